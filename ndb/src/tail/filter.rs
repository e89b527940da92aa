//! What of a segment an entry wants.

use bytes::Bytes;

use vixen_common::id::Position;
use vixen_common::segment::{Records, Topic};
use vixen_common::wire::TailSegment;

use super::interest::Interest;
use super::log::Entry;

/// The part of a segment that is of interest and at or after `from`; `None` when that is nothing.
/// The decision is by topic of the table, so a segment wanted whole is passed on unread.
pub(super) fn filter(
    entry: &Entry,
    topics: &[Topic],
    records: &Bytes,
    from: Position,
    interest: &Interest,
) -> Option<TailSegment> {
    let wanted: Vec<bool> = topics.iter().map(|topic| interest.contains(topic)).collect();
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
    let mut offsets = Vec::new();
    let mut kept = Vec::new();
    for (offset, record) in (0u32..).zip(Records::new(records)) {
        let is_wanted = wanted.get(usize::from(record.topic)).copied().unwrap_or(false);
        if is_wanted && entry.first.plus(offset) >= from {
            offsets.push(offset);
            record.write_to(&mut kept);
        }
    }
    (!offsets.is_empty()).then(|| TailSegment { offsets, records: kept.into(), ..whole })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::OrderRow;
    use crate::tail::log::EntryBody;
    use vixen_common::id::{Digest, GroupId, MapVersion, OwnerId, SegmentId, Seq, Shard, Stamp};
    use vixen_common::segment::{
        Challenger, Elected, Encoding, Match, Record, RecordFlags, SegmentBuilder, TopicPattern,
    };

    fn entry() -> (Entry, Vec<Topic>, Bytes) {
        let id = SegmentId { owner: OwnerId(uuid::Uuid::from_u128(1)), seq: Seq(1) };
        let mut builder = SegmentBuilder::new(id, Shard(0), MapVersion(1));
        for uri in ["a", "b", "a"] {
            let record = Record {
                topic: 0,
                encoding: Encoding::Json,
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
        let interest =
            interest.iter().map(|uri| TopicPattern::new("r", uri, Match::Exact)).collect();
        let part = filter(&entry, &topics, &records, Position(from), &interest)?;
        let kept = Records::new(&part.records).count();
        assert_eq!(kept, if part.offsets.is_empty() { 3 } else { part.offsets.len() });
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
        assert_eq!(offsets(&["a", "b"], 11), Some(vec![1, 2]));
        assert_eq!(offsets(&["a"], 13), None);
        assert_eq!(offsets(&["c"], 10), None);
        assert_eq!(offsets(&[], 10), None);
    }
}
