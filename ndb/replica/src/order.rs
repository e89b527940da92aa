//! Rows of the order index, and what of the store a replica starts from.

use serde::{Deserialize, Serialize};

use vixen_core::id::{Digest, OwnerId, Position, Seq, Stamp};
use vixen_core::segment::{Elected, SegmentMeta};

/// One segment's place in the order, chained to all rows before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRow {
    /// The segment and its stamp and group.
    pub elected: Elected,
    /// Hash of the previous row's chain and of `elected`: two nodes with the same chain at a
    /// position agree on everything before it.
    pub chain: Digest,
}

impl OrderRow {
    /// The row that follows one with chain `previous`; `Digest::default()` before the first.
    #[must_use]
    pub fn chained(previous: Digest, elected: Elected) -> Self {
        // Encoding a value of fixed parts into memory does not fail.
        let row = postcard::to_stdvec(&elected).unwrap_or_default();
        Self { elected, chain: Digest::of(&[&previous.0, &row]) }
    }
}

/// Whether a stored segment has its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It waits for its election.
    Temporary,
    /// It has one, and its bytes came late.
    Permanent {
        /// Position of its first message.
        first: Position,
        /// Its stamp.
        stamp: Stamp,
    },
}

/// A placed segment of this group whose bytes are not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// What it is.
    pub meta: SegmentMeta,
    /// Position of its first message.
    pub first: Position,
    /// Its stamp.
    pub stamp: Stamp,
}

/// What a replica starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Stored segments without a place.
    pub temporary: Vec<SegmentMeta>,
    /// Placed segments of this group without bytes.
    pub missing: Vec<Lost>,
    /// Highest placed seq of each owner.
    pub owners: Vec<(OwnerId, Seq)>,
    /// Stamp of the last placed segment.
    pub head_stamp: Stamp,
    /// The position after it.
    pub head_next: Position,
    /// The chain up to it.
    pub chain: Digest,
}

impl Default for Recovered {
    fn default() -> Self {
        Self {
            temporary: Vec::new(),
            missing: Vec::new(),
            owners: Vec::new(),
            head_stamp: Stamp::ZERO,
            head_next: Position::FIRST,
            chain: Digest::default(),
        }
    }
}
