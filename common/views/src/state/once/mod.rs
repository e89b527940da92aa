//! Once-marks: by which name a message was sent, so that one that is sent again counts once.
//!
//! A mark is an id, or a number in the row of a producer. Of each realm there are those of whom a client is (its
//! authid, the *who*), and a head says how long they are known. In this order:
//!
//! | the head has | verdict |
//! |---|---|
//! | an id, or numbers, that are all known | [`Marked::Duplicate`], or of another message [`Marked::Reused`] |
//! | numbers of a producer that is not known, not from 1 on | [`Marked::UnknownProducer`] |
//! | numbers beyond the next of their producer | [`Marked::Gap`] |
//! | numbers from before the next to behind it | [`Marked::Overlaps`] |
//! | numbers before the next, of which some are not kept any more | [`Marked::Forgotten`] |
//! | else | that of its conditions, which is kept with each mark |
//!
//! ```text
//!           enters                    leaves, the oldest first
//!   head ------------> window of a who -------+--> gone
//!     |                  ^                    +--> resting: the last number of a producer ---> gone
//!     +--> waiting ------+ decided
//! ```
//! A mark leaves the window when it is older than `keep_ms`, or one of more than `keep_count`; the last number of a
//! producer rests then, and is known on, for `producer_keep_ms` after it was sent and as one of `keep_count`. What
//! waits is known as long as it does, and its window begins when it is decided.
//!
//! What leaves is asked at each head of the same who, before anything else, by what the head before it said and by
//! what this one says. So it does not matter that others are taken out by any message, a few at a time: whoever does
//! not come back would be known for ever.
//!
//! Source: `docs/design/028-state.md`, *Exactly once*.
//!
//! Invariants, beside those of `State`:
//! - T9: of equal marks in a window at most one is made; numbers of a producer are made in order.

mod check;
mod item;
mod marks;
mod restore;
mod who;

use serde::{Deserialize, Serialize};

use vixen_core::id::Position;
use vixen_core::segment::Once;
use vixen_core::time::WallTime;

use super::outcome::{Refusal, Verdict};
use super::{Size, State};

pub(super) use marks::{Entered, Marks};

/// What a mark counts, and a producer and a who beside their marks: beside the bytes of their names.
pub const MARK_BYTES: usize = 200;

/// So many marks at most are taken out by a message of which nobody sent another.
const SWEPT_BY_MESSAGE: usize = 64;

/// What the mark of a head says of it: none of its parts is made. Its bytes are part of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Marked {
    /// It was sent before. Of several numbers: of the first; [`State::known`] tells each.
    Duplicate {
        /// Where it is: the message that was sent under the name, or the head of its keys.
        of: Position,
        /// What became of it.
        was: Was,
    },
    /// Another message was sent under its name.
    Reused {
        /// That one.
        of: Position,
    },
    /// Numbers before it have not been sent.
    Gap {
        /// The next of its producer.
        expected: u64,
    },
    /// It was sent, and what became of it is not kept any more.
    Forgotten {
        /// The lowest number of its producer that is.
        from: u64,
    },
    /// Nobody can say whether the numbers before it are there.
    UnknownProducer,
    /// Some of its numbers were sent, and others were not.
    Overlaps {
        /// The first that was not.
        next: u64,
    },
}

/// What became of a message with a mark. Its bytes are part of the chain and of the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Was {
    /// It was made at its place.
    Accepted,
    /// It was not made.
    Refused(Refusal),
    /// It waits for its key.
    Waits,
    /// It waited, and got its key.
    Won {
        /// By this message: the version of the key.
        at: Position,
    },
    /// It waited, and does not any more.
    Left,
}

impl Was {
    /// What is kept with a mark; `None`: nothing is.
    pub(super) const fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Accepted => Some(Self::Accepted),
            Verdict::Refused(refusal) => Some(Self::Refused(refusal)),
            Verdict::Marked(_) => None,
        }
    }

    /// Whether whoever sent the message can be told what became of it.
    #[must_use]
    pub const fn is_decided(self) -> bool {
        match self {
            Self::Waits => false,
            Self::Accepted | Self::Refused(_) | Self::Won { .. } | Self::Left => true,
        }
    }
}

impl Marked {
    /// Whether it stands without asking the order: it says what became of a message, once and for all.
    #[must_use]
    pub const fn is_decided(self) -> bool {
        match self {
            Self::Duplicate { was, .. } => was.is_decided(),
            Self::Reused { .. } => true,
            Self::Gap { .. }
            | Self::Forgotten { .. }
            | Self::UnknownProducer
            | Self::Overlaps { .. } => false,
        }
    }
}

impl State {
    /// What is known of the `nth` message, from 0, that is named by a mark: [`Marked::Duplicate`] or
    /// [`Marked::Reused`], as a head with that message alone would be told at this place with a stamp of `at`; of the
    /// last number of a producer also where so many others are to rest by then that it would be pushed out. An entry
    /// answers by it with no message, where [`Marked::is_decided`]; else a head goes into the order.
    #[must_use]
    pub fn known(&self, realm: &str, once: &Once, nth: usize, at: WallTime) -> Option<Marked> {
        self.marks.known(realm, once, nth, self.time.max(at))
    }

    /// How many once-marks are known.
    #[must_use]
    pub const fn marks(&self) -> usize {
        self.marks.count()
    }

    /// How many of a realm are.
    #[must_use]
    pub fn marks_of(&self, realm: &str) -> usize {
        self.marks.count_of(realm)
    }

    /// What a head is by its once-mark alone; `None`: its conditions say it.
    pub(super) fn marked(&mut self, realm: &str, once: Option<&Once>) -> Option<Verdict> {
        self.marks.look(realm, once?, self.time).map(Verdict::Marked)
    }

    /// Keeps what became of a head with its mark; `of`: the place of the first message that is named.
    pub(super) fn keep_mark(&mut self, realm: &str, once: &Once, of: Position, verdict: Verdict) {
        if let Some(was) = Was::of(verdict) {
            let entered = Entered { of, by: self.position, at: self.time };
            self.marks.keep(realm, once, entered, was);
        }
    }

    /// What is left of a waiter: it won, or left. To be called by whatever ends its waiting, once, when `position` and
    /// `time` are those of the message that does; nothing is done if it had no mark.
    #[cfg_attr(not(test), expect(dead_code, reason = "what waits is of step 5 of the design"))]
    pub(super) fn settle_mark(&mut self, waiter: Position, was: Was) {
        let entered = Entered { of: waiter, by: self.position, at: self.time };
        self.marks.settle(entered, was);
    }
}

impl Size {
    const fn of_marks(bytes: usize) -> Self {
        Self { keys: 0, bytes }
    }
}
