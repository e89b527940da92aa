//! Judged: what a message says whose effect depends on its place in the order. Attribute 130.
//!
//! ```text
//! +--------------+---------+----------------+
//! | version u8 1 | kind u8 | body, postcard |
//! +--------------+---------+----------------+
//! ```
//! | kind | stands in | body |
//! |---|---|---|
//! | 1 PUT | `k.R.T` | [`Put`], [`Head`] |
//! | 2 DELETE | `k.R.T` | [`Head`] |
//! | 3 WIN | `k.R.T` | position of the waiter, life |
//! | 4 WILL, 5 EXPIRE | `k.R.T` | version, life |
//! | 6 ONCE | `o.R` | parts, [`Once`] |
//! | 7 BODY | R, its own topic | how far behind its head |
//! | 8 PUT of a member | `k.R.T` | [`Put`], [`Member`] |
//! | 9 DELETE of a member | `k.R.T` | [`Member`] |
//!
//! A value has one form: other bytes that would say the same are malformed. Who does not know a kind below 128
//! shows such a message to nobody, and nothing is changed by it; a kind from 128 on that is not known stops
//! whoever judges.
//!
//! Source: `docs/design/028-state.md`, *Attributes*.

mod bytes;
#[cfg(test)]
mod tests;

use ::bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Content;
use crate::id::{Life, Position};

/// From here on whoever judges has to know the kind.
const MUST_BE_KNOWN: u8 = 128;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// A value for the key; the head of its write.
    Put(Put, Head),
    /// The key has no value any more; the head of its write.
    Delete(Head),
    /// A waiter gets the key: the value is the message's.
    Win {
        /// The waiter.
        of: Position,
        /// Of the entry that writes it.
        life: Life,
    },
    /// What was to be done when a holder is over.
    Will {
        /// The version that has it.
        of: Position,
        /// Of the entry that writes it.
        life: Life,
    },
    /// The time to live of a version is over.
    Expire {
        /// The version.
        of: Position,
        /// Of the entry that writes it.
        life: Life,
    },
    /// The head of messages of a realm that count once: their bodies follow it.
    Once {
        /// Messages of the write, the head included.
        parts: u16,
        /// By what they are known again.
        once: Once,
    },
    /// A message of a realm that counts if its head does.
    Body {
        /// How many positions its head stands before it, at least 1.
        behind: u16,
    },
    /// A value for another key of the same write.
    MemberPut(Put, Member),
    /// Another key of the same write has no value any more.
    MemberDelete(Member),
}

/// What a value has beside its payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// It expires so many milliseconds after its message's time, at least 1.
    pub ttl_ms: Option<u64>,
    /// What is done with the key when its holder is over.
    pub will: Option<Will>,
}

/// What is done with a key when its holder is over. Variants are stored: only ever added, at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Will {
    /// It has no value any more.
    Delete,
    /// It has this one.
    Put {
        /// What the bytes are.
        content: Content,
        /// A payload: at most [`Judged::WILL_BYTES_MAX`].
        payload: Bytes,
    },
}

/// What is said of a whole write, at its first message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Messages of the write, at least 1: this one, and members at the next positions.
    pub parts: u16,
    /// All of it has to hold: at most [`Judged::WHEN_MAX`], of them [`Judged::VALUES_MAX`] of values.
    pub when: Vec<When>,
    /// Where it does not hold, the write waits until the key is free: with one part and just [`Condition::Absent`] of
    /// its own key.
    pub is_watch: bool,
    /// Of the writing entry: just where a part has a will, or the write may wait.
    pub life: Option<Life>,
    /// By what the write is known again.
    pub once: Option<Once>,
}

/// A key, and what has to hold of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct When {
    /// A topic of the same realm; `None`: the head's own.
    pub key: Option<String>,
    /// What has to hold.
    pub is: Condition,
}

/// What has to hold of a key. Variants are stored: only ever added, at the end, and with a new version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// It has no value, and nobody waits for it.
    Absent,
    /// It has a value.
    Present,
    /// Its version is this one.
    Position(Position),
    /// This is a part of its value.
    Value {
        /// What the bytes are.
        content: Content,
        /// One value, of arguments; or raw: at most [`Judged::CONDITION_BYTES_MAX`].
        bytes: Bytes,
    },
    /// Its value has no [`Cause`], or one below this.
    CauseBelow(Cause),
}

/// Up to where a result of a table is folded: attribute 4 of a message. Ordered: later generations are above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cause {
    /// Rises each time that the table is built anew.
    pub generation: u32,
    /// Messages up to here are in it, itself included.
    pub position: Position,
}

/// By what a message is known again, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Once {
    /// Its name.
    pub name: OnceName,
    /// The authid that names it; empty: nobody in particular.
    pub who: String,
    /// How long it is known, in milliseconds of the order's time.
    pub keep_ms: u64,
    /// How many of the same *who* are known.
    pub keep_count: u32,
    /// How long a producer's last number is known, in milliseconds of the order's time.
    pub producer_keep_ms: u64,
    /// Of each message: 8 bytes of BLAKE3 over what it says. At least 1; more have the heads of bodies alone.
    pub digests: Vec<[u8; 8]>,
}

/// The name of a message. Variants are stored: only ever added, at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnceName {
    /// One of a row.
    Numbers {
        /// Whose row: 1 to [`Judged::NAME_BYTES_MAX`].
        producer: String,
        /// Of the first message, from 1.
        first: u64,
    },
    /// Any text: 1 to [`Judged::NAME_BYTES_MAX`].
    Id(String),
}

/// What is said of a message that is a part of a write and not its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// How many positions the head stands before it, at least 1.
    pub behind: u16,
    /// The write is accepted whatever there is: nobody has to be asked.
    pub is_free: bool,
}

/// Why bytes are no judged attribute to this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JudgedError {
    /// Of a version that is not in force.
    #[error("a judged message of version {0}, which is not in force")]
    Version(u8),
    /// Of a kind that this version does not know.
    #[error("a judged message of kind {0}, which is not known here")]
    Kind(u8),
    /// It is none of its kind.
    #[error("a judged message is malformed: {0}")]
    Malformed(&'static str),
}

impl JudgedError {
    /// Whether whoever judges cannot go on without what it says. All others are passed over, by every version.
    #[must_use]
    pub const fn stops(self) -> bool {
        match self {
            Self::Kind(kind) => kind >= MUST_BE_KNOWN,
            Self::Version(_) | Self::Malformed(_) => false,
        }
    }
}

impl Judged {
    /// Largest condition of a value, in bytes.
    pub const CONDITION_BYTES_MAX: usize = 4 << 10;
    /// Most conditions of a write.
    pub const WHEN_MAX: usize = 64;
    /// Of these, most of values: each costs every entry a walk over one.
    pub const VALUES_MAX: usize = 8;
    /// Largest will, in bytes of its payload.
    pub const WILL_BYTES_MAX: usize = 64 << 10;
    /// Longest id of a message, and longest name of a producer, in bytes.
    pub const NAME_BYTES_MAX: usize = 256;
}

impl Head {
    /// Of a write of so many parts, without conditions.
    #[must_use]
    pub const fn of_parts(parts: u16) -> Self {
        Self { parts, when: Vec::new(), is_watch: false, life: None, once: None }
    }

    /// Whether the write is accepted whatever there is.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.when.is_empty() && !self.is_watch && self.life.is_none() && self.once.is_none()
    }
}
