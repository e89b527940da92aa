//! What a message brings about.

use serde::{Deserialize, Serialize};

use vixen_core::id::Position;
use vixen_core::segment::{AttributesError, JudgedError};
use vixen_core::time::WallTime;

use super::once::Marked;

/// What became of a message of realm `#state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is the head of a write, or all of it.
    Head(Verdict),
    /// It is another part of a write.
    Member {
        /// The head of the write: its verdict is that of all parts.
        head: Position,
        /// Whether that was accepted, so the change is made.
        is_made: bool,
    },
    /// It says nothing to this version, and none has to know it.
    PassedOver(Unread),
    /// The view stands still from here on, or has before: a later version is needed to read on.
    Stopped(Unread),
    /// Its position is not above what the view has applied: nothing is changed.
    Repeated,
}

/// What the order makes of a write. Its bytes are part of the chain: variants are only ever added, at the end, and
/// with a new version; so are those of what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// It holds: all of its parts are made.
    Accepted,
    /// None of them is.
    Refused(Refusal),
    /// Its once-mark decides: none of them is, whatever its conditions.
    Marked(Marked),
}

/// Why a write does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// A condition does not.
    Condition {
        /// Which of them, from 0: the first that does not.
        at: u16,
        /// What the key has.
        found: Found,
    },
    /// What it ends is not the version of the key.
    OtherVersion(Found),
    /// It is not the time to end the version; `None`: that never comes.
    NotDue(Option<WallTime>),
}

/// What a key has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// No value.
    Nothing,
    /// A value, with this version.
    Version(Position),
}

/// Why a message says nothing to this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It is in a topic where nothing is written, or in another form of one.
    #[error("a message in a topic without state")]
    Nowhere,
    /// Its attributes cannot be read.
    #[error("a message of state has no readable attributes")]
    Attributes(#[source] AttributesError),
    /// It does not say what it does.
    #[error("a message of state does not say what it does")]
    Unmarked,
    /// What it says cannot be read, or is later.
    #[error("what a message of state does is not known")]
    Judged(#[from] JudgedError),
    /// What it says is not said in such a topic.
    #[error("a message of state stands in a topic of others")]
    Misplaced,
    /// It is a part of a write and does not follow the others.
    #[error("a part of a write does not follow its head")]
    Stray,
    /// It needs what this version does not keep.
    #[error("a message of state needs {0}, which are not kept here")]
    NotKept(&'static str),
}

impl Unread {
    /// Whether the view cannot go on without what the message says. All others are passed over: by every version, as
    /// if they were not there.
    #[must_use]
    pub const fn stops(self) -> bool {
        match self {
            Self::Judged(error) => error.stops(),
            Self::NotKept(_) => true,
            Self::Nowhere
            | Self::Attributes(_)
            | Self::Unmarked
            | Self::Misplaced
            | Self::Stray => false,
        }
    }
}
