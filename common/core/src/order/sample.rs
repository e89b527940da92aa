//! What tests of the order read.

use crate::id::{Digest, GroupId, MapVersion, OwnerId, Position, SegmentId, Seq, Shard, Stamp};
use crate::segment::{Challenger, Elected, SegmentMeta};
use crate::wire::OrderBase;

/// A segment of so many messages, elected at a stamp.
pub(crate) fn elected(stamp: u64, count: u32) -> Elected {
    let id = SegmentId { owner: OwnerId(uuid::Uuid::from_u128(1)), seq: Seq(stamp) };
    let meta = SegmentMeta {
        id,
        shard: Shard(0),
        map: MapVersion(1),
        count,
        bytes: 1,
        digest: Digest([0; 16]),
    };
    Elected { meta, challenger: Challenger { stamp: Stamp(stamp), group: GroupId(0) } }
}

/// Where an order begins.
pub(crate) fn base(next: u64, stamp: u64) -> OrderBase {
    OrderBase { next: Position(next), stamp: Stamp(stamp), chain: Digest([7; 16]) }
}
