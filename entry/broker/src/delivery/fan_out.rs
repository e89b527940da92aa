//! Fan-out: how many events the messages of a segment are.
//!
//! A message is an event for each pattern that matches its topic. One session may have hundreds that
//! all do, such as the prefixes of one topic, so a message of a megabyte may be as many hundreds of
//! megabytes, and a segment of small ones millions of events: made at once, in one buffer, in the loop
//! that everybody waits for. Beyond a bound they are not made at all: whoever has subscribed such a
//! topic is left out, and reads it from the store, a few of its patterns at a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use vixen_core::segment::{Match, Records, Topic, TopicPattern};
use vixen_core::wire::TailSegment;

use crate::event::{EVENT_OVERHEAD_BYTES, Event, Target};

/// So many patterns for one topic are made events of in any case.
const FREE: usize = 4;
/// Bytes of events of all topics with more patterns than these, in one segment.
const BYTES_MAX: usize = 4 << 20;

/// The topics of the table whose events are not to be made, where each has so many patterns.
pub(super) fn crowded(segment: &TailSegment, patterns: &[usize]) -> Vec<usize> {
    let many: Vec<_> = (0..patterns.len()).filter(|topic| patterns[*topic] > FREE).collect();
    if many.is_empty() {
        return many;
    }
    let mut bytes = vec![0_usize; patterns.len()];
    for record in Records::new(&segment.records) {
        let body = record.attributes.len() + record.payload.len();
        if let Some(bytes) = bytes.get_mut(usize::from(record.topic)) {
            *bytes += EVENT_OVERHEAD_BYTES + body;
        }
    }
    let mut many: Vec<_> = many.into_iter().map(|t| (bytes[t] * patterns[t], t)).collect();
    // Those that take little are not left out for those that take much.
    many.sort_unstable();
    let mut sum = 0_usize;
    let mut fits = |(bytes, _): &(usize, usize)| {
        sum = sum.saturating_add(*bytes);
        sum <= BYTES_MAX
    };
    let fitting = many.iter().take_while(|topic| fits(topic)).count();
    many.drain(..fitting);
    many.into_iter().map(|(_, topic)| topic).collect()
}

/// How many of the events of a segment clients get: what entries tell each other is for entries.
pub(super) fn of_clients(
    segment: &TailSegment,
    targets: &[Vec<Target>],
    events: &[Event],
) -> usize {
    let of_entries =
        segment.topics.iter().zip(targets).filter(|(topic, _)| exactly(topic).is_of_entries());
    let of_entries: BTreeSet<_> =
        of_entries.flat_map(|(_, targets)| targets).map(|target| target.subscription).collect();
    events.iter().filter(|event| !of_entries.contains(&event.subscription)).count()
}

/// The topic and no other one.
fn exactly(Topic { realm, uri }: &Topic) -> TopicPattern {
    TopicPattern { realm: Arc::clone(realm), uri: Arc::clone(uri), matching: Match::Exact }
}

#[cfg(test)]
mod tests {
    use vixen_core::id::{Position, Stamp};
    use vixen_core::segment::{Encoding, Record, RecordFlags};

    use super::*;

    /// Messages of so many bytes each, by topic.
    fn segment(messages: &[(u16, usize)]) -> TailSegment {
        let mut records = Vec::new();
        for (topic, bytes) in messages {
            let payload = vec![b' '; *bytes];
            let flags = RecordFlags::default();
            let (content, payload) = (Encoding::Json.into(), &payload[..]);
            Record { topic: *topic, content, flags, session: 1, attributes: &[], payload }
                .write_to(&mut records);
        }
        TailSegment {
            first: Position(1),
            count: u32::try_from(messages.len()).expect("few"),
            stamp: Stamp(1),
            topics: (0..4).map(|n| Topic::new("r", &n.to_string())).collect(),
            offsets: vec![],
            records: records.into(),
        }
    }

    #[test]
    fn a_large_message_that_many_patterns_match_is_not_made_events_of() {
        let large = segment(&[(0, 1 << 20), (1, 10)]);
        assert!(crowded(&large, &[FREE, FREE]).is_empty());
        assert_eq!(crowded(&large, &[FREE + 1, 500]), [0]);
        assert!(crowded(&large, &[0, 5000]).is_empty());
    }

    #[test]
    fn nor_are_many_small_ones_and_those_that_take_little_are() {
        let messages: Vec<_> = (0..4096).map(|n| (u16::from(n % 64 == 0), 2)).collect();
        let small = segment(&messages);
        assert_eq!(crowded(&small, &[1, 500]), [1]);
        assert_eq!(crowded(&small, &[500, 20]), [0]);
        assert!(crowded(&small, &[6, 20]).is_empty());
    }
}
