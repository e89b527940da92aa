//! Segments: built at their owner, verified and opened at a storage node.

use vixen_core::id::{MapVersion, OwnerId, SegmentId, Seq, Shard};
use vixen_core::segment::{
    Blob, Chunk, Content, Encoding, Record, RecordFlags, SegmentBuilder, Topic,
};

use crate::Case;

/// Of one segment.
pub(crate) const MESSAGES: usize = 100;

fn topics() -> Vec<Topic> {
    (0..4).map(|n| Topic::new("realm1", &format!("com.example.topic{n}"))).collect()
}

fn built(topics: &[Topic], payload: &[u8]) -> Chunk {
    let id = SegmentId { owner: OwnerId(uuid::Uuid::from_u128(1)), seq: Seq(1) };
    let mut builder = SegmentBuilder::new(id, Shard(0), MapVersion(1));
    for n in 0..MESSAGES {
        let record = Record {
            topic: 0,
            content: Content::Arguments(Encoding::Json),
            flags: RecordFlags::EXCLUDE_ME,
            session: 1,
            attributes: &[],
            payload,
        };
        builder.push(&topics[n % topics.len()], record);
    }
    builder.close()
}

/// A payload of 128 bytes, in JSON.
fn payload() -> Vec<u8> {
    format!("[\"{}\"]", "x".repeat(124)).into_bytes()
}

/// A segment of all messages.
pub(crate) fn packed() -> Chunk {
    built(&topics(), &payload())
}

/// Messages of 128 bytes are packed, and the segment's digest is made.
pub(crate) fn build() -> Case {
    let (topics, payload) = (topics(), payload());
    Box::new(move || built(&topics, &payload).records.len())
}

/// The blob of the same segment.
pub(crate) fn verify() -> Case {
    let chunk = packed();
    let records: [&[u8]; 1] = [&chunk.records];
    let blob = Blob::assemble(&chunk.topics, &records);
    Box::new(move || {
        blob.verify(&chunk.meta).expect("what was built");
        blob.open().expect("what was built").1.len()
    })
}
