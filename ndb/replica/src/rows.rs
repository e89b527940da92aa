//! Rows of the order index, and what of the store a replica starts from.

use serde::{Deserialize, Serialize};

use vixen_core::id::{Digest, OwnerId, Position, Seq, Stamp};
use vixen_core::segment::{Elected, SegmentMeta};
use vixen_core::wire::OrderBase;

/// An order without a row, from the first position on.
pub const BEGINNING: OrderBase =
    OrderBase { next: Position::FIRST, stamp: Stamp::ZERO, chain: Digest([0; 16]) };

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// Stored segments without a place.
    pub temporary: Vec<SegmentMeta>,
    /// Placed segments of this group without bytes.
    pub missing: Vec<Lost>,
    /// Highest placed seq of each owner.
    pub owners: Vec<(OwnerId, Seq)>,
    /// Where the order begins.
    pub base: OrderBase,
    /// Where it ends: what the next row is chained to.
    pub head: OrderBase,
}

impl Default for Recovered {
    fn default() -> Self {
        Self {
            temporary: Vec::new(),
            missing: Vec::new(),
            owners: Vec::new(),
            base: BEGINNING,
            head: BEGINNING,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vixen_core::id::{GroupId, MapVersion, SegmentId, Shard};
    use vixen_core::segment::Challenger;

    /// Golden: what is on disk stays readable.
    #[test]
    fn rows_have_these_bytes() {
        let owner = OwnerId(uuid::Uuid::from_u128(0x0102));
        let meta = SegmentMeta {
            id: SegmentId { owner, seq: Seq(300) },
            shard: Shard(5),
            map: MapVersion(2),
            count: 3,
            bytes: 200,
            digest: Digest([7; 16]),
        };
        let meta_bytes =
            [&[16][..], &[0; 14], &[1, 2, 0xac, 2, 5, 2, 3, 0xc8, 1], &[7; 16]].concat();
        let elected =
            Elected { meta, challenger: Challenger { stamp: Stamp(9), group: GroupId(1) } };
        let row = OrderRow { elected, chain: Digest([8; 16]) };
        let row_bytes = [&meta_bytes[..], &[9, 1], &[8; 16]].concat();
        assert_eq!(postcard::to_stdvec(&row), Ok(row_bytes));
        let lost = Lost { meta, first: Position(128), stamp: Stamp(9) };
        let lost_bytes = [&meta_bytes[..], &[0x80, 1, 9]].concat();
        assert_eq!(postcard::to_stdvec(&lost), Ok(lost_bytes));
        let chain = "ca75da5f382c626e280a4a2401943aea";
        assert_eq!(OrderRow::chained(Digest::default(), elected).chain.to_string(), chain);
    }
}
