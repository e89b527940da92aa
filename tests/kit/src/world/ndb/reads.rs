//! What readers of a storage node of the World get: tails, reads of history, and peers that lack something.

use vixen_core::id::{Position, SegmentId};
use vixen_core::segment::{Blob, Record, Records, Topic};
use vixen_core::wire::{
    HistoryEnd, HistoryPlace, HistoryQuery, Message, ReplicaMessage, TailSegment,
};
use vixen_replica::tail::{EntryBody, RecentOrder, Step, StoredBody, StoredRow, Tail};
use vixen_replica::{Finding, Lost, OrderRow, Read};

use super::disk::{self, NdbDisk};

/// Segments of one batch of history.
const HISTORY_BATCH: usize = 4;
/// Rows of the store that a tail reads at a time.
const TAIL_BATCH: usize = 4;
/// Rows of the order in one answer.
const ROWS_MAX: usize = 8;

/// What is to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) disk: &'a NdbDisk,
    pub(super) recent: &'a RecentOrder,
    /// Damaged bytes are given out.
    pub(super) is_careless: bool,
}

impl Source<'_> {
    /// What a peer asks for.
    pub(super) fn answer(self, read: Read) -> Vec<Message> {
        let message = match read {
            Read::Segments(segments) => return self.segments(segments),
            Read::Order { from, rows_max } => match self.disk.rows_from(from) {
                Ok(rows) => {
                    let begins_here = |(first, _): &(Position, OrderRow)| *first >= from;
                    let rows = rows.skip_while(|row| !begins_here(row));
                    let rows = rows.take(rows_max.min(ROWS_MAX)).map(|(_, row)| row.elected);
                    ReplicaMessage::OrderRows { first: from, rows: rows.collect() }
                }
                Err(base) => ReplicaMessage::OrderTrimmed { asked: from, base },
            },
            Read::OrderBefore { before, rows_max } => {
                let (base, rows) = self.disk.order_before(before, rows_max.min(ROWS_MAX));
                ReplicaMessage::OrderBefore { before, base, rows }
            }
        };
        vec![Message::Replica(message)]
    }

    fn segments(self, asked: Vec<(SegmentId, Option<Blob>)>) -> Vec<Message> {
        let (mut answers, mut absent) = (Vec::new(), Vec::new());
        for (segment, held) in asked {
            let blob = held.or_else(|| match self.disk.read(segment) {
                // The one who asks verifies them.
                disk::Read::Whole(blob) | disk::Read::Damaged(blob) => Some(blob),
                disk::Read::Nothing => None,
            });
            match blob {
                Some(blob) => {
                    let blob = blob.as_bytes().clone();
                    answers.push(ReplicaMessage::SegmentBlob { segment, blob });
                }
                None => absent.push(segment),
            }
        }
        if !absent.is_empty() {
            answers.push(ReplicaMessage::SegmentsMissing { segments: absent });
        }
        answers.into_iter().map(Message::Replica).collect()
    }

    /// A tail goes on until it has to wait: what it sends, and what it has found.
    pub(super) fn advance(
        self,
        tail: &mut Tail,
        mut send: impl FnMut(Message),
        found: &mut Vec<Finding>,
    ) {
        let recent = self.recent;
        loop {
            match tail.step(recent.trusted_to()) {
                Step::Send(message) => send(message),
                Step::Rest => {}
                Step::Find { from, limit } => {
                    tail.found(recent.find(from, limit), recent.head().0);
                }
                Step::ReadBody { first, row } => tail.body(first, row, self.body(&row)),
                Step::ReadStore { from } => match self.disk.rows_from(from) {
                    Ok(rows) => tail.rows(self.batch(rows)),
                    Err(base) => tail.trimmed(base.next, recent.head()),
                },
                Step::Report(finding) => found.push(finding),
                Step::Wait => return,
            }
        }
    }

    /// Rows with their bytes, none after the first whose bytes are not to be had.
    fn batch(self, rows: impl Iterator<Item = (Position, OrderRow)>) -> Vec<StoredRow> {
        let mut batch = Vec::new();
        for (first, row) in rows.take(TAIL_BATCH) {
            let body = self.disk.is_of_group(&row).then(|| self.body(&row));
            let is_readable = matches!(body, None | Some(StoredBody::Blob(_)));
            batch.push((first, row, body));
            if !is_readable {
                break;
            }
        }
        batch
    }

    fn body(self, row: &OrderRow) -> StoredBody {
        match self.disk.read(row.elected.meta.id) {
            disk::Read::Whole(blob) => StoredBody::Blob(blob),
            disk::Read::Damaged(blob) if self.is_careless => StoredBody::Blob(blob),
            disk::Read::Damaged(_) => StoredBody::Damaged,
            disk::Read::Nothing => StoredBody::Absent,
        }
    }

    /// One batch of stored messages, forward: subscribers read no other way. And what was found on the way.
    pub(super) fn history(
        self,
        query: &HistoryQuery,
    ) -> (Vec<TailSegment>, HistoryEnd, Option<Finding>) {
        assert!(!query.is_backward, "subscribers read forward");
        let HistoryPlace::Position(from) = query.from else {
            panic!("subscribers read from positions: {query:?}")
        };
        let (disk, recent) = (self.disk, self.recent);
        let stored = match disk.rows_from(from.max(Position::FIRST)) {
            Ok(rows) => rows,
            Err(base) => return (Vec::new(), HistoryEnd::Trimmed { first: base.next }, None),
        };
        // What is placed and not on disk yet, if it follows that.
        let beyond = recent.entries_from(disk.head.next);
        let mut beyond = beyond.peekable();
        let is_next = beyond.peek().is_some_and(|entry| entry.first == disk.head.next);
        let order_end = if is_next { recent.head().0 } else { disk.head.next };
        let end = query.until.map_or(order_end, |until| until.min(order_end));
        let rows = stored.map(|(first, row)| (first, row, None));
        let beyond = beyond.filter(|_| is_next);
        let rows = rows.chain(beyond.map(|entry| (entry.first, entry.row, Some(&entry.body))));
        let (mut at, mut segments, mut messages) = (from, Vec::new(), 0u32);
        for (first, row, body) in rows {
            let after = first.plus(row.elected.meta.count);
            if after <= at {
                continue;
            }
            if at >= end {
                break;
            }
            if segments.len() >= HISTORY_BATCH || messages >= query.messages_max {
                return (segments, HistoryEnd::Next { next: at, is_end: false }, None);
            }
            if disk.is_of_group(&row) {
                let stored = body.is_none().then(|| self.body(&row));
                let open = match (&stored, body) {
                    (Some(StoredBody::Blob(blob)), _) => EntryBody::of(blob),
                    (_, Some(body)) => body.clone(),
                    (_, None) => EntryBody::Missing,
                };
                let EntryBody::Open(topics, records) = open else {
                    let (meta, stamp) = (row.elected.meta, row.elected.stamp());
                    let is_damaged = matches!(stored, Some(StoredBody::Damaged));
                    let found = is_damaged.then_some(Finding::Blob(Lost { meta, first, stamp }));
                    return (segments, HistoryEnd::Unavailable { next: at }, found);
                };
                let part = part_of(first, &row, topics, &records, (at, end), query);
                messages += part.as_ref().map_or(0, count_of);
                segments.extend(part);
            }
            at = after;
        }
        (segments, HistoryEnd::Next { next: end.max(from), is_end: true }, None)
    }
}

/// What of a segment stands in a range, and is wanted.
fn part_of(
    first: Position,
    row: &OrderRow,
    topics: Vec<Topic>,
    records: &[u8],
    (from, end): (Position, Position),
    query: &HistoryQuery,
) -> Option<TailSegment> {
    let (mut offsets, mut kept) = (Vec::new(), Vec::new());
    for (offset, record) in (0u32..).zip(Records::new(records)) {
        let (topic, at) = (topics.get(usize::from(record.topic))?, first.plus(offset));
        let is_wanted = query.topics.iter().any(|pattern| pattern.matches(topic));
        if is_wanted && at >= from && at < end {
            offsets.push(offset);
            Record { ..record }.write_to(&mut kept);
        }
    }
    let count = row.elected.meta.count;
    let (is_empty, is_whole) = (offsets.is_empty(), u32::try_from(offsets.len()) == Ok(count));
    if is_whole {
        offsets.clear();
    }
    let stamp = row.elected.stamp();
    let part = TailSegment { first, count, stamp, topics, offsets, records: kept.into() };
    (!is_empty).then_some(part)
}

fn count_of(part: &TailSegment) -> u32 {
    let messages = u32::try_from(part.offsets.len()).unwrap_or(u32::MAX);
    if messages == 0 { part.count } else { messages }
}
