//! Tails and reads of history at a storage node of the World.
//!
//! To be replaced by the pure machine of `ndb/tail` wherever that does the same.

use std::collections::BTreeMap;

use bytes::Bytes;

use vixen_core::id::{GroupId, Position, SegmentId};
use vixen_core::patterns::PatternIndex;
use vixen_core::segment::{Blob, Record, Records, Topic, TopicPattern};
use vixen_core::wire::{
    HistoryEnd, HistoryPlace, HistoryQuery, Message, OrderBase, ReadMessage, TailSegment,
};
use vixen_replica::{Body, Lost, OrderRow};

use super::ndb_disk::{NdbDisk, Read};

/// Segments of one batch of history.
const BATCH: usize = 4;

/// A placed segment, and its bytes where they are in memory.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) row: OrderRow,
    pub(super) body: Body,
}

/// The order as tails and reads see it: what is on disk, and what is on its way there.
#[derive(Debug)]
pub(super) struct View {
    pub(super) rows: BTreeMap<Position, Seen>,
    /// Where the segments of these rows stand.
    places: BTreeMap<SegmentId, Position>,
    pub(super) base: OrderBase,
    pub(super) head: OrderBase,
}

/// The stream of canonical messages to one entry.
#[derive(Debug)]
pub(super) struct Tail {
    cursor: Position,
    told: Position,
    interest: PatternIndex<()>,
}

/// What reading came across.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) damaged: Vec<Lost>,
}

/// What is to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) group: GroupId,
    pub(super) view: &'a View,
    pub(super) disk: &'a NdbDisk,
    /// Damaged bytes are given out.
    pub(super) is_careless: bool,
}

/// Bytes of a placed segment.
enum Found {
    Open(Vec<Topic>, Bytes),
    Elsewhere,
    NotHere,
}

impl View {
    pub(super) fn of(disk: &NdbDisk, group: GroupId) -> Self {
        let rows = disk.rows().map(|(first, row)| {
            let body = if row.elected.challenger.group != group {
                Body::Elsewhere
            } else if disk.is_missing(row.elected.meta.id) {
                Body::Missing
            } else {
                Body::Stored
            };
            (first, Seen { row, body })
        });
        let rows: BTreeMap<Position, Seen> = rows.collect();
        let places = rows.iter().map(|(first, seen)| (seen.row.elected.meta.id, *first)).collect();
        Self { rows, places, base: disk.base, head: disk.head }
    }

    /// The next row of the order.
    pub(super) fn push(&mut self, first: Position, row: OrderRow, body: Body) {
        let meta = row.elected.meta;
        let next = first.plus(meta.count);
        self.head = OrderBase { next, stamp: row.elected.stamp(), chain: row.chain };
        self.places.insert(meta.id, first);
        self.rows.insert(first, Seen { row, body });
    }

    /// The order goes on from there, and nothing before it is here.
    pub(super) fn rebase(&mut self, base: OrderBase) {
        (self.base, self.head) = (base, base);
        self.rows.clear();
        self.places.clear();
    }

    /// Of a segment that is placed.
    pub(super) fn find(&mut self, segment: SegmentId) -> Option<(Position, &mut Seen)> {
        let first = *self.places.get(&segment)?;
        self.rows.get_mut(&first).map(|seen| (first, seen))
    }

    pub(super) fn trim(&mut self, base: OrderBase) {
        if base.next > self.base.next {
            self.rows = self.rows.split_off(&base.next);
            self.places.retain(|_, first| *first >= base.next);
            self.base = base;
        }
    }

    fn at(&self, position: Position) -> Option<(Position, &Seen)> {
        let (first, seen) = self.rows.range(..=position).next_back()?;
        (first.plus(seen.row.elected.meta.count) > position).then_some((*first, seen))
    }
}

impl Source<'_> {
    fn read(&self, first: Position, seen: &Seen, findings: &mut Findings) -> Found {
        let open = |blob: &Blob| {
            blob.open().map_or(Found::NotHere, |(topics, records)| Found::Open(topics, records))
        };
        let elected = seen.row.elected;
        match &seen.body {
            Body::Elsewhere => Found::Elsewhere,
            _ if elected.challenger.group != self.group => Found::Elsewhere,
            Body::Missing => Found::NotHere,
            Body::Memory(blob) => open(blob),
            Body::Stored => match self.disk.read(elected.meta.id) {
                Read::Whole(blob) => open(&blob),
                Read::Damaged(blob) if self.is_careless => open(&blob),
                Read::Damaged(_) => {
                    let (meta, stamp) = (elected.meta, elected.stamp());
                    findings.damaged.push(Lost { meta, first, stamp });
                    Found::NotHere
                }
                Read::Nothing => Found::NotHere,
            },
        }
    }
}

impl Tail {
    /// Opens a tail, and says so.
    pub(super) fn open(
        view: &View,
        from: Option<Position>,
        topics: &[TopicPattern],
        sends: &mut Vec<Message>,
    ) -> Self {
        let (head_next, head_stamp) = (view.head.next, view.head.stamp);
        let next = from.unwrap_or(head_next);
        sends.push(Message::Read(ReadMessage::TailOpened { next, head_stamp, head_next }));
        let mut interest = PatternIndex::default();
        for pattern in topics {
            interest.insert(pattern, ());
        }
        Self { cursor: next, told: next, interest }
    }

    pub(super) fn change(
        &mut self,
        version: u64,
        add: &[TopicPattern],
        remove: &[TopicPattern],
        sends: &mut Vec<Message>,
    ) {
        for pattern in remove {
            self.interest.remove(pattern);
        }
        for pattern in add {
            self.interest.insert(pattern, ());
        }
        self.told = self.cursor;
        sends.push(Message::Read(ReadMessage::InterestChanged { version, next: self.cursor }));
    }

    /// Goes on as far as it can.
    pub(super) fn advance(
        &mut self,
        source: Source<'_>,
        findings: &mut Findings,
        sends: &mut Vec<Message>,
    ) {
        let view = source.view;
        if self.interest.is_empty() {
            self.cursor = self.cursor.max(view.head.next);
            return;
        }
        while self.cursor < view.head.next {
            if self.cursor < view.base.next {
                let (head_next, head_stamp) = (view.head.next, view.head.stamp);
                let next = view.base.next;
                sends.push(Message::Read(ReadMessage::TailOpened { next, head_stamp, head_next }));
                (self.cursor, self.told) = (next, next);
                continue;
            }
            let Some((first, seen)) = view.at(self.cursor) else { break };
            let end = first.plus(seen.row.elected.meta.count);
            match source.read(first, seen, findings) {
                Found::Open(topics, records) => {
                    let wants = |topic: &Topic| self.interest.contains(topic).0;
                    let part = part(first, &seen.row, &topics, &records, self.cursor, wants);
                    if let Some(part) = part {
                        sends.push(Message::Read(ReadMessage::TailSegment(part)));
                        self.told = end;
                    }
                }
                Found::Elsewhere => {}
                Found::NotHere => break,
            }
            self.cursor = end;
        }
        if self.told < self.cursor {
            self.told = self.cursor;
            sends.push(Message::Read(ReadMessage::TailPosition { next: self.cursor }));
        }
    }
}

/// The part of a segment that is wanted and stands at or after `from`.
fn part(
    first: Position,
    row: &OrderRow,
    topics: &[Topic],
    records: &Bytes,
    from: Position,
    wants: impl Fn(&Topic) -> bool,
) -> Option<TailSegment> {
    let (mut offsets, mut kept) = (Vec::new(), Vec::new());
    for (offset, record) in (0u32..).zip(Records::new(records)) {
        let topic = topics.get(usize::from(record.topic))?;
        if first.plus(offset) >= from && wants(topic) {
            offsets.push(offset);
            Record { ..record }.write_to(&mut kept);
        }
    }
    let count = row.elected.meta.count;
    let is_whole = offsets.len() == usize::try_from(count).unwrap_or(usize::MAX);
    let whole = TailSegment {
        first,
        count,
        stamp: row.elected.stamp(),
        topics: topics.to_vec(),
        offsets: Vec::new(),
        records: records.clone(),
    };
    match (is_whole, offsets.is_empty()) {
        (true, _) => Some(whole),
        (false, true) => None,
        (false, false) => Some(TailSegment { offsets, records: kept.into(), ..whole }),
    }
}

/// One batch of stored messages, forward: subscribers read no other way.
pub(super) fn history(
    source: Source<'_>,
    query: &HistoryQuery,
    findings: &mut Findings,
) -> (Vec<TailSegment>, HistoryEnd) {
    assert!(!query.is_backward, "subscribers read forward");
    let view = source.view;
    let HistoryPlace::Position(from) = query.from else {
        panic!("subscribers read from positions: {query:?}")
    };
    if from < view.base.next && view.base.next > Position::FIRST {
        return (Vec::new(), HistoryEnd::Trimmed { first: view.base.next });
    }
    let end = query.until.map_or(view.head.next, |until| until.min(view.head.next));
    let (mut at, mut segments, mut messages) = (from, Vec::new(), 0u32);
    while at < end {
        let Some((first, seen)) = view.at(at) else { break };
        let after = first.plus(seen.row.elected.meta.count);
        match source.read(first, seen, findings) {
            Found::Open(topics, records) => {
                let wants = |topic: &Topic| query.topics.iter().any(|p| p.matches(topic));
                let cut = |position: Position| query.until.is_none_or(|until| position < until);
                if let Some(part) = part(first, &seen.row, &topics, &records, at, wants) {
                    let part = until(part, cut);
                    messages += part.as_ref().map_or(0, count_of);
                    segments.extend(part);
                }
            }
            Found::Elsewhere => {}
            Found::NotHere => return (segments, HistoryEnd::Unavailable { next: at }),
        }
        at = after;
        if segments.len() >= BATCH || messages >= query.messages_max {
            return (segments, HistoryEnd::Next { next: at.min(end), is_end: false });
        }
    }
    (segments, HistoryEnd::Next { next: end.max(from), is_end: true })
}

fn count_of(part: &TailSegment) -> u32 {
    let messages = u32::try_from(part.offsets.len()).unwrap_or(u32::MAX);
    if messages == 0 { part.count } else { messages }
}

/// What of it stands where it is wanted; a read may end within a segment.
fn until(segment: TailSegment, is_wanted: impl Fn(Position) -> bool) -> Option<TailSegment> {
    let offset_of =
        |index: usize, offset: u32| segment.offsets.get(index).copied().unwrap_or(offset);
    let (mut offsets, mut kept) = (Vec::new(), Vec::new());
    for ((index, offset), record) in (0..).zip(0u32..).zip(Records::new(&segment.records)) {
        let offset = offset_of(index, offset);
        if is_wanted(segment.first.plus(offset)) {
            offsets.push(offset);
            record.write_to(&mut kept);
        }
    }
    if offsets.is_empty() {
        return None;
    }
    if u32::try_from(offsets.len()) == Ok(segment.count) {
        return Some(segment);
    }
    Some(TailSegment { offsets, records: kept.into(), ..segment })
}

/// For the judge: what a segment says.
pub(super) fn open(topics: &[Topic], records: &[u8]) -> Vec<(Topic, super::io::Mark)> {
    let records = Records::new(records);
    let each = records.map(|record| {
        (topics[usize::from(record.topic)].clone(), super::io::Mark::of(record.payload))
    });
    each.collect()
}

/// Bytes of a segment for a peer: only what is whole.
pub(super) fn whole(disk: &NdbDisk, segment: SegmentId) -> Option<Blob> {
    match disk.read(segment) {
        Read::Whole(blob) => Some(blob),
        Read::Damaged(_) | Read::Nothing => None,
    }
}
