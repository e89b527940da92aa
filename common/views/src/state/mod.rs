//! State: the values of keys, as a view of the order.
//!
//! ```text
//!   position, time, message --> apply --> verdict; values; chain, sum
//!   realm, key --> get --> value, with its version
//! ```
//! A key is a realm and a topic; its version is the position of the message that gave it its value. The head of a
//! write is looked at in this order; the first row that holds is its verdict.
//!
//! | the head | verdict |
//! |---|---|
//! | its once-mark is known, or not the next | what [`Marked`] says of it |
//! | EXPIRE: the version is another, has no time to live, or its time has not come | refused |
//! | a condition does not hold | refused, with which, and what was found |
//! | else | accepted: PUT and DELETE of all parts are made, each with its own position |
//!
//! Parts of a write are its head and what follows at the next positions. Where one is missing or another, the rest
//! is ignored: entries write them into one segment, so that is of one that has a fault. Between the messages of a
//! write the view is *open*, and is not to be read.
//!
//! Holders with their wills and waiters are not here yet, nor what entries tell each other of them: a
//! message that needs one stops the view ([`Unread::NotKept`]), since another verdict than the one to come must
//! not be told.
//!
//! Source: `docs/design/028-state.md`, *apply(position, time, message)*.
//!
//! Invariants, by the names of the design:
//! - T1: equal messages give equal views, with equal chains and sums, in whatever pieces they were read.
//! - T2: a key has one version; versions of a key rise; a version is the position of a message of its topic.
//! - T5: of a write of several keys all versions are there or none, unless the view is open.
//! - T9: of equal once-marks in a window at most one is accepted; numbers of a producer are accepted in order.
//! - T12: sizes and the sum that are counted are those of what is held.

mod apply;
mod chain;
mod check;
mod conditions;
mod items;
mod keys;
mod limits;
mod matching;
mod once;
mod outcome;
mod sum;
#[cfg(test)]
mod tests;

use std::ops::Bound;
use std::sync::Arc;

use vixen_core::id::{Digest, Position};
use vixen_core::time::WallTime;

use items::ClockItem;
use keys::Keys;
use once::Marks;
use sum::ItemHash;

pub use check::Broken;
pub use keys::Value;
pub use limits::{Asked, AskedOnce, Full, Growth, KEY_BYTES, Size, StateLimits, UnderWay};
pub use matching::VALUE_BYTES_MAX;
pub use once::{MARK_BYTES, Marked, Was};
pub use outcome::{Found, Outcome, Refusal, Unread, Verdict};
pub use sum::Sum;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Everything up to here is applied.
    position: Position,
    /// The highest time of a message so far.
    time: WallTime,
    /// How many messages are applied.
    records: u64,
    chain: Digest,
    keys: Keys,
    marks: Marks,
    open: Option<OpenWrite>,
    stopped: Option<Unread>,
}

/// A write of which messages are to come.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OpenWrite {
    head: Position,
    realm: Arc<str>,
    is_accepted: bool,
    is_free: bool,
    /// Where its next part has to stand.
    next: Position,
    /// How many are to come, at least 1.
    left: u16,
}

impl State {
    /// The view before the first message.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything up to here is applied, itself included.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Everything below is applied, and nothing else: as links and deliveries tell it.
    #[must_use]
    pub const fn applied_below(&self) -> Position {
        Position(self.position.0.saturating_add(1))
    }

    /// The time of the order as far as it is applied; it never falls.
    #[must_use]
    pub const fn time(&self) -> WallTime {
        self.time
    }

    /// How many messages are applied.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Hash over all verdicts.
    #[must_use]
    pub const fn chain(&self) -> Digest {
        self.chain
    }

    /// Sum of the hashes of all that the view holds, with its time and number of messages.
    #[must_use]
    pub fn sum(&self) -> Sum {
        let Self { time, records, keys, marks, .. } = self;
        let clock = ItemHash::of(&ClockItem { time: *time, records: *records });
        keys.sum().with(marks.sum()).plus(clock)
    }

    /// Whether messages of a write are to come: the view is not to be read then, nor a checkpoint made of it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Why the view stands still: what it cannot be without is not known here.
    #[must_use]
    pub const fn stopped(&self) -> Option<Unread> {
        self.stopped
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, realm: &str, key: &str) -> Option<&Value> {
        self.keys.get(realm, key)
    }

    /// The keys of a realm from one on, in the order of their bytes, with their values.
    pub fn range<'a>(
        &'a self,
        realm: &str,
        from: Bound<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        self.keys.range(realm, from)
    }

    /// All realms that have keys, in the order of their bytes, with what these take.
    pub fn realms(&self) -> impl Iterator<Item = (&str, Size)> {
        self.keys.realms()
    }

    /// What all of it takes.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.keys.size().plus(self.marks.size())
    }

    /// What a realm takes.
    #[must_use]
    pub fn size_of(&self, realm: &str) -> Size {
        self.keys.size_of(realm).plus(self.marks.size_of(realm))
    }
}
