//! One builder of each thing that tests make by the dozen.

use uuid::Uuid;

use vixen_core::id::{Digest, GroupId, MapVersion, NdbId, OwnerId, SegmentId, Seq, Shard, Stamp};
use vixen_core::segment::{Challenger, Elected, SegmentMeta};

/// The owner with this number. It has no time: nobody forgets it.
#[must_use]
pub const fn owner(number: u128) -> OwnerId {
    OwnerId(Uuid::from_u128(number))
}

/// A segment of the owner with this number.
#[must_use]
pub const fn segment(owner_number: u128, seq: u64) -> SegmentId {
    SegmentId { owner: owner(owner_number), seq: Seq(seq) }
}

/// What is known of a segment of one message: what a test means otherwise it says by struct update.
#[must_use]
pub const fn meta(id: SegmentId) -> SegmentMeta {
    SegmentMeta {
        id,
        shard: Shard(0),
        map: MapVersion(1),
        count: 1,
        bytes: 1,
        digest: Digest([0; 16]),
    }
}

/// The segment, elected at a stamp into group 0.
#[must_use]
pub const fn elected(meta: SegmentMeta, stamp: u64) -> Elected {
    Elected { meta, challenger: Challenger { stamp: Stamp(stamp), group: GroupId(0) } }
}

/// A node of group 0.
#[must_use]
pub const fn ndb(member: u8) -> NdbId {
    NdbId { group: GroupId(0), member }
}
