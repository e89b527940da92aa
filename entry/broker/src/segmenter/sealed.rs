//! Sealed: a closed segment as the messages that carry it.

use vixen_core::segment::{Chunk, Records};
use vixen_core::wire::{Message, PublishMessage};

/// Records of one KEEP, in bytes: well below a frame's bound, and small enough that votes and
/// tails on the same link do not wait long behind it.
const KEEP_BYTES_MAX: usize = 512 << 10;

/// BEGIN, KEEPs and OVER of `chunk`, to be sent back to back; and, where somebody waits for that, the
/// request to hear when it is durable.
pub(super) fn messages_of(chunk: Chunk, awaits_durable: bool) -> Vec<Message> {
    let Chunk { meta, topics, records } = chunk;
    let mut messages = vec![Message::Publish(PublishMessage::BeginAdvanceSegment {
        segment: meta.id,
        shard: meta.shard,
    })];
    // The first KEEP brings the whole topic table.
    let mut topics = Some(topics);
    let mut offset = 0;
    let mut start = 0;
    for (count, end) in keeps_of(&records, meta.count) {
        messages.push(Message::Publish(PublishMessage::KeepAdvanceHistory {
            segment: meta.id,
            offset,
            topics: topics.take().unwrap_or_default(),
            count,
            records: records.slice(start..end),
        }));
        offset += count;
        start = end;
    }
    messages.push(Message::Publish(PublishMessage::AdvanceSegmentOver { meta }));
    if awaits_durable {
        messages.push(Message::Publish(PublishMessage::AwaitDurable { segment: meta.id }));
    }
    messages
}

/// Where each KEEP ends in `records`, and how many records it has. A record is never cut.
fn keeps_of(records: &[u8], count: u32) -> Vec<(u32, usize)> {
    if records.len() <= KEEP_BYTES_MAX {
        return vec![(count, records.len())];
    }
    let mut keeps = Vec::new();
    let (mut start, mut end, mut inside) = (0, 0, 0);
    for record in Records::new(records) {
        let bytes = record.stored_bytes();
        if inside > 0 && end - start + bytes > KEEP_BYTES_MAX {
            keeps.push((inside, end));
            (start, inside) = (end, 0);
        }
        end += bytes;
        inside += 1;
    }
    keeps.push((inside, end));
    keeps
}

#[cfg(test)]
mod tests {
    use super::*;
    use vixen_core::id::{MapVersion, OwnerId, SegmentId, Seq, Shard};
    use vixen_core::segment::{Blob, Encoding, Record, RecordFlags, SegmentBuilder, Topic};

    fn chunk(sizes: &[usize]) -> Chunk {
        let owner = OwnerId(uuid::Uuid::from_u128(1));
        let mut builder =
            SegmentBuilder::new(SegmentId { owner, seq: Seq::FIRST }, Shard(0), MapVersion(1));
        for size in sizes {
            let payload = vec![b'1'; *size];
            let record = Record {
                topic: 0,
                content: Encoding::Json.into(),
                flags: RecordFlags::default(),
                session: 1,
                attributes: &[],
                payload: &payload,
            };
            builder.push(&Topic::new("r", "t"), record);
        }
        builder.close()
    }

    fn counts(sizes: &[usize]) -> Vec<u32> {
        let chunk = chunk(sizes);
        let meta = chunk.meta;
        let mut counts = Vec::new();
        let mut parts = Vec::new();
        let mut table = Vec::new();
        for message in messages_of(chunk, false) {
            if let Message::Publish(PublishMessage::KeepAdvanceHistory {
                offset,
                topics,
                count,
                records,
                ..
            }) = message
            {
                assert_eq!(offset, counts.iter().sum::<u32>());
                table.extend(topics);
                counts.push(count);
                parts.push(records);
            }
        }
        let parts: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
        assert_eq!(Blob::assemble(&table, &parts).verify(&meta), Ok(()));
        counts
    }

    #[test]
    fn a_small_segment_is_one_keep() {
        assert_eq!(counts(&[10, 20, 30]), [3]);
    }

    #[test]
    fn a_large_segment_is_cut_between_records_below_the_bound() {
        assert_eq!(counts(&[300_000, 200_000, 100_000, 100_000]), [2, 2]);
        assert_eq!(counts(&[100, 900_000, 100]), [1, 1, 1]);
    }
}
