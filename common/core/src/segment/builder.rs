//! Builds a segment at its owner, message by message.

use bytes::Bytes;
use indexmap::IndexSet;

use super::blob::Blob;
use super::record::Record;
use super::{SegmentMeta, Topic};
use crate::id::{Digest, MapVersion, SegmentId, Shard};

/// An open segment. Topics get their indices as they first appear.
#[derive(Debug)]
pub struct SegmentBuilder {
    id: SegmentId,
    shard: Shard,
    map: MapVersion,
    /// Hashed with a key of this process: topics are chosen by clients, who could make them collide.
    topics: IndexSet<Topic>,
    records: Vec<u8>,
    count: u32,
    last: Option<u16>,
}

/// A closed segment, ready to be sent as one BEGIN, KEEP and OVER.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// What the segment is.
    pub meta: SegmentMeta,
    /// Its topic table.
    pub topics: Vec<Topic>,
    /// Its packed records.
    pub records: Bytes,
}

impl SegmentBuilder {
    /// Most topics in one segment: their indices are 16 bits.
    pub const TOPICS_MAX: usize = u16::MAX as usize;

    /// Opens a segment.
    #[must_use]
    pub fn new(id: SegmentId, shard: Shard, map: MapVersion) -> Self {
        Self { id, shard, map, topics: IndexSet::new(), records: Vec::new(), count: 0, last: None }
    }

    /// Gives the segment another id.
    pub const fn rename(&mut self, id: SegmentId) {
        self.id = id;
    }

    /// The segment's id.
    #[must_use]
    pub const fn id(&self) -> SegmentId {
        self.id
    }

    /// Messages so far.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of the packed records so far.
    #[must_use]
    pub const fn record_bytes(&self) -> usize {
        self.records.len()
    }

    /// Topics so far.
    #[must_use]
    pub fn topics(&self) -> usize {
        self.topics.len()
    }

    /// Whether it takes no message of a topic it has not seen.
    #[must_use]
    pub fn is_topic_table_full(&self) -> bool {
        self.topics.len() >= Self::TOPICS_MAX
    }

    /// Appends a message and returns its offset. `record.topic` is set here.
    pub fn push(&mut self, topic: &Topic, mut record: Record<'_>) -> u32 {
        record.topic = self.index_of(topic);
        record.write_to(&mut self.records);
        let offset = self.count;
        self.count += 1;
        offset
    }

    fn index_of(&mut self, topic: &Topic) -> u16 {
        // Runs of one topic are the common case: no map look-up for them.
        if let Some(last) = self.last
            && self.topics[usize::from(last)] == *topic
        {
            return last;
        }
        let index = self.topics.get_index_of(topic);
        let index = index.unwrap_or_else(|| self.topics.insert_full(topic.clone()).0);
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        self.last = Some(index);
        index
    }

    /// Closes the segment: its meta is final from here on.
    #[must_use]
    pub fn close(self) -> Chunk {
        let Self { id, shard, map, topics, records, count, .. } = self;
        let topics: Vec<Topic> = topics.into_iter().collect();
        let prefix = Blob::prefix(&topics);
        let bytes = u32::try_from(prefix.len() + records.len()).unwrap_or(u32::MAX);
        let digest = Digest::of(&[&prefix, &records]);
        let meta = SegmentMeta { id, shard, map, count, bytes, digest };
        Chunk { meta, topics, records: records.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{OwnerId, Seq};
    use crate::segment::{BlobError, Encoding, RecordFlags, Records};

    fn closed() -> Chunk {
        let id = SegmentId { owner: OwnerId(uuid::Uuid::from_u128(1)), seq: Seq::FIRST };
        let mut builder = SegmentBuilder::new(id, Shard(0), MapVersion(1));
        for (n, uri) in ["a", "b", "b", "a"].iter().enumerate() {
            let record = Record {
                topic: 0,
                content: Encoding::Json.into(),
                flags: RecordFlags::default(),
                session: 9,
                attributes: &[],
                payload: b"[1]",
            };
            let offset = builder.push(&Topic::new("realm1", uri), record);
            assert_eq!(offset as usize, n);
        }
        builder.close()
    }

    #[test]
    fn a_closed_segment_verifies_and_keeps_topics_and_order() {
        let chunk = closed();
        let blob = Blob::assemble(&chunk.topics, &[&chunk.records]);
        assert_eq!(blob.verify(&chunk.meta), Ok(()));
        let (topics, records) = blob.open().expect("a good blob");
        assert_eq!(topics, [Topic::new("realm1", "a"), Topic::new("realm1", "b")]);
        let order: Vec<_> = Records::new(&records).map(|r| r.topic).collect();
        assert_eq!(order, [0, 1, 1, 0]);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found() {
        let chunk = closed();
        let blob = Blob::assemble(&chunk.topics, &[&chunk.records]);
        for at in 0..blob.as_bytes().len() {
            let mut bytes = blob.as_bytes().to_vec();
            bytes[at] ^= 1;
            let bad = Blob::from_bytes(bytes.into());
            assert_eq!(bad.verify(&chunk.meta), Err(BlobError::Digest));
            let _opens_or_not_but_never_panics = bad.open();
        }
    }

    #[test]
    fn a_wrong_count_is_refused() {
        let chunk = closed();
        let blob = Blob::assemble(&chunk.topics, &[&chunk.records]);
        let meta = SegmentMeta { count: 5, ..chunk.meta };
        assert_eq!(blob.verify(&meta), Err(BlobError::Count { found: 4, announced: 5 }));
    }

    #[test]
    fn a_segment_without_a_record_is_refused() {
        let id = SegmentId { owner: OwnerId(uuid::Uuid::from_u128(1)), seq: Seq(1) };
        let chunk = SegmentBuilder::new(id, Shard(0), MapVersion(1)).close();
        let blob = Blob::assemble(&chunk.topics, &[&chunk.records]);
        assert_eq!(blob.verify(&chunk.meta), Err(BlobError::Empty));
    }
}
