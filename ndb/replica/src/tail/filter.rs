//! What of a segment an entry wants.

use bytes::Bytes;

use vixen_core::id::Position;
use vixen_core::segment::{Record, Records, Topic};
use vixen_core::wire::TailSegment;

use super::recent::Entry;

/// The part of a segment that is of interest and at or after `from`; `None` when that is nothing.
/// The decision is by topic of the table (`wanted`, one for each), so a segment wanted whole is passed
/// on unread. A part has the topics that it needs, and no others.
pub(crate) fn filter(
    entry: &Entry,
    topics: &[Topic],
    records: &Bytes,
    from: Position,
    wanted: &[bool],
) -> Option<TailSegment> {
    if !wanted.contains(&true) {
        return None;
    }
    let whole = TailSegment {
        first: entry.first,
        count: entry.row.elected.meta.count,
        stamp: entry.row.elected.stamp(),
        topics: topics.to_vec(),
        offsets: Vec::new(),
        records: records.clone(),
    };
    if from <= entry.first && !wanted.contains(&false) {
        return Some(whole);
    }
    let mut part = TailSegment { topics: Vec::new(), records: Bytes::new(), ..whole };
    let mut kept = Vec::new();
    // Where the topics of the table stand in that of the part.
    let mut places: Vec<Option<u16>> = vec![None; topics.len()];
    for (offset, record) in (0u32..).zip(Records::new(records)) {
        let at = usize::from(record.topic);
        let is_wanted = wanted.get(at).copied().unwrap_or(false);
        if let (true, Some(topic)) = (is_wanted, topics.get(at))
            && entry.first.plus(offset) >= from
        {
            // As many as before, or fewer.
            let next = u16::try_from(part.topics.len()).unwrap_or(u16::MAX);
            let place = *places[at].get_or_insert_with(|| {
                part.topics.push(topic.clone());
                next
            });
            part.offsets.push(offset);
            Record { topic: place, ..record }.write_to(&mut kept);
        }
    }
    part.records = kept.into();
    (!part.offsets.is_empty()).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OrderRow;
    use crate::tail::recent::EntryBody;
    use vixen_core::id::{Digest, GroupId, MapVersion, OwnerId, SegmentId, Seq, Shard, Stamp};
    use vixen_core::segment::{Challenger, Elected, Encoding, RecordFlags, SegmentBuilder};

    fn entry() -> (Entry, Vec<Topic>, Bytes) {
        let id = SegmentId { owner: OwnerId(uuid::Uuid::from_u128(1)), seq: Seq(1) };
        let mut builder = SegmentBuilder::new(id, Shard(0), MapVersion(1));
        for uri in ["a", "b", "a"] {
            let record = Record {
                topic: 0,
                content: Encoding::Json.into(),
                flags: RecordFlags::default(),
                session: 1,
                attributes: &[],
                payload: uri.as_bytes(),
            };
            builder.push(&Topic::new("r", uri), record);
        }
        let chunk = builder.close();
        let challenger = Challenger { stamp: Stamp(5), group: GroupId(0) };
        let elected = Elected { meta: chunk.meta, challenger };
        let row = OrderRow::chained(Digest::default(), elected);
        let body = EntryBody::Stored;
        (Entry { first: Position(10), row, body }, chunk.topics, chunk.records)
    }

    fn offsets(interest: &[&str], from: u64) -> Option<Vec<u32>> {
        let (entry, topics, records) = entry();
        let wanted: Vec<_> = topics.iter().map(|topic| interest.contains(&&*topic.uri)).collect();
        let part = filter(&entry, &topics, &records, Position(from), &wanted)?;
        let kept: Vec<_> = Records::new(&part.records).collect();
        assert_eq!(kept.len(), if part.offsets.is_empty() { 3 } else { part.offsets.len() });
        for record in kept {
            let topic = &part.topics[usize::from(record.topic)];
            assert_eq!(record.payload, topic.uri.as_bytes(), "each has its own topic");
        }
        if !part.offsets.is_empty() {
            assert!(part.topics.iter().all(|topic| interest.contains(&&*topic.uri)), "no others");
        }
        Some(part.offsets)
    }

    #[test]
    fn a_segment_wanted_whole_is_passed_on_whole() {
        assert_eq!(offsets(&["a", "b"], 10), Some(vec![]));
        assert_eq!(offsets(&["a", "b"], 1), Some(vec![]));
    }

    #[test]
    fn other_topics_and_earlier_positions_are_left_out() {
        assert_eq!(offsets(&["a"], 10), Some(vec![0, 2]));
        assert_eq!(offsets(&["b"], 10), Some(vec![1]));
        assert_eq!(offsets(&["a", "b"], 11), Some(vec![1, 2]));
        assert_eq!(offsets(&["a"], 13), None);
        assert_eq!(offsets(&["c"], 10), None);
        assert_eq!(offsets(&[], 10), None);
    }
}
