//! What tests of this crate build on.

use vixen_core::id::{
    Digest, GroupId, MapVersion, OwnerId, Position, SegmentId, Seq, Shard, Stamp,
};
use vixen_core::segment::{
    Blob, Challenger, Chunk, Elected, Encoding, Record, RecordFlags, SegmentBuilder, SegmentMeta,
    Topic,
};

use crate::replica::{Body, Place};
use crate::rows::OrderRow;

/// The owner of [`chunk`]s.
pub(crate) const fn owner() -> OwnerId {
    OwnerId(uuid::Uuid::from_u128(1))
}

pub(crate) fn segment(owner: u128, seq: u64) -> SegmentId {
    SegmentId { owner: OwnerId(uuid::Uuid::from_u128(owner)), seq: Seq(seq) }
}

/// A segment of so many messages, whole.
pub(crate) fn chunk(seq: u64, count: u32) -> Chunk {
    chunk_of(seq, &vec!["t"; count as usize])
}

/// A segment with a message of each of these topics.
pub(crate) fn chunk_of(seq: u64, uris: &[&str]) -> Chunk {
    let id = SegmentId { owner: owner(), seq: Seq(seq) };
    let mut builder = SegmentBuilder::new(id, Shard(0), MapVersion(1));
    for uri in uris {
        let record = Record {
            topic: 0,
            content: Encoding::Json.into(),
            flags: RecordFlags::default(),
            session: 1,
            attributes: &[],
            payload: b"[1]",
        };
        builder.push(&Topic::new("r", uri), record);
    }
    builder.close()
}

pub(crate) fn blob(chunk: &Chunk) -> Blob {
    Blob::assemble(&chunk.topics, &[&chunk.records])
}

/// A segment of so many messages, without bytes.
pub(crate) fn meta(owner: u128, seq: u64, count: u32) -> SegmentMeta {
    SegmentMeta {
        id: segment(owner, seq),
        shard: Shard(0),
        map: MapVersion(1),
        count,
        bytes: 1,
        digest: Digest([0; 16]),
    }
}

/// Elected at a stamp in group 0.
pub(crate) const fn elected(meta: SegmentMeta, stamp: u64) -> Elected {
    Elected { meta, challenger: Challenger { stamp: Stamp(stamp), group: GroupId(0) } }
}

/// Its place, with a stamp as its position.
pub(crate) fn place(first: u64, meta: SegmentMeta, body: Body) -> Place {
    let row = OrderRow::chained(Digest::default(), elected(meta, first));
    Place { first: Position(first), row, body }
}
