//! The open segment: takes messages until it closes.

use vixen_core::id::{MapVersion, SegmentId, Shard};
use vixen_core::segment::{Record, SegmentBuilder, Topic};
use vixen_core::time::WallTime;

use super::pending::Pending;

/// Bytes of a blob before its topics and records, generously.
pub(super) const BLOB_PREFIX_BYTES: usize = 16;

/// Bytes a topic takes in the table beside its two texts.
const TOPIC_OVERHEAD_BYTES: usize = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) builder: SegmentBuilder,
    pub(super) shard: Shard,
    pub(super) pending: Pending,
    pub(super) opened_at: WallTime,
    /// Upper bound of the blob's size.
    pub(super) bytes: usize,
    pub(super) last_topic: Option<Topic>,
}

impl Open {
    pub(super) fn new(id: SegmentId, shard: Shard, map: MapVersion) -> Self {
        Self {
            builder: SegmentBuilder::new(id, shard, map),
            shard,
            pending: Pending::default(),
            opened_at: WallTime(0),
            bytes: BLOB_PREFIX_BYTES,
            last_topic: None,
        }
    }

    /// Upper bound of what `record` of `topic` adds to the blob.
    pub(super) fn added_bytes(&self, topic: &Topic, record: &Record<'_>) -> usize {
        added_bytes(self.last_topic.as_ref(), topic, record)
    }

    /// Appends a message; its offset.
    pub(super) fn put(&mut self, now: WallTime, topic: &Topic, record: Record<'_>) -> u32 {
        if self.builder.count() == 0 {
            self.opened_at = now;
        }
        self.bytes += self.added_bytes(topic, &record);
        if self.last_topic.as_ref() != Some(topic) {
            self.last_topic = Some(topic.clone());
        }
        self.builder.push(topic, record)
    }
}

/// Upper bound of what `record` of `topic` adds to a blob whose last message is of `last`: a topic that
/// is in the table already, but was not the last one, is counted again.
pub(super) fn added_bytes(last: Option<&Topic>, topic: &Topic, record: &Record<'_>) -> usize {
    let known = last == Some(topic);
    let table = if known { 0 } else { topic.realm.len() + topic.uri.len() + TOPIC_OVERHEAD_BYTES };
    table + record.stored_bytes()
}
