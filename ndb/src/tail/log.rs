//! The recent end of the order, in memory, for live tails.
//!
//! ```text
//! positions  1 ........... | oldest kept ............ | next
//!            store only    | here (and in the store)  | not placed yet
//! ```
//! Bounded in bytes; rows the writer has not committed yet are always kept, so whatever is not
//! here is in the store.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use vixen_core::id::{Position, SegmentId, Stamp};
use vixen_core::segment::{Blob, Topic};

use crate::store::Recent;
use vixen_replica::{Body, OrderRow, Place};

/// Bytes counted for a row without a body.
const ROW_BYTES: usize = 128;

/// A placed segment, and its messages where they are at hand.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) first: Position,
    pub(crate) row: OrderRow,
    pub(crate) body: EntryBody,
}

/// Messages of a placed segment.
#[derive(Clone, Debug)]
pub(crate) enum EntryBody {
    /// At hand: the topic table and the packed records.
    Open(Vec<Topic>, Bytes),
    /// To be read from the store.
    Stored,
    /// On their way from a peer.
    Missing,
    /// Of another group.
    Elsewhere,
}

impl EntryBody {
    /// Opens a verified blob.
    pub(crate) fn of(blob: &Blob) -> Self {
        blob.open().map_or(Self::Stored, |(topics, records)| Self::Open(topics, records))
    }

    fn bytes(&self) -> usize {
        ROW_BYTES
            + match self {
                Self::Open(topics, records) => topics.len() * 64 + records.len(),
                Self::Stored | Self::Missing | Self::Elsewhere => 0,
            }
    }
}

impl Entry {
    /// The position after its last message.
    pub(crate) const fn end(&self) -> Position {
        self.first.plus(self.row.elected.meta.count)
    }
}

/// What stands at a position.
#[derive(Debug)]
pub(crate) enum Found {
    /// The segment that holds it, and some after it.
    Entries(Vec<Arc<Entry>>),
    /// Something older than is kept: read the store.
    Older,
    /// Nothing yet.
    AtHead,
}

#[derive(Debug)]
struct Inner {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    next: Position,
    stamp: Stamp,
    written_to: Position,
}

/// Shared by the node and its tails.
#[derive(Debug)]
pub(crate) struct TailLog {
    inner: Mutex<Inner>,
    bytes_max: usize,
    changes: watch::Sender<u64>,
}

impl TailLog {
    /// Starts at the head of the stored order.
    pub(crate) fn new(next: Position, stamp: Stamp, bytes_max: usize) -> Self {
        let entries = VecDeque::new();
        let inner = Inner { entries, bytes: 0, next, stamp, written_to: next };
        Self { inner: Mutex::new(inner), bytes_max, changes: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends placed segments and wakes the tails.
    pub(crate) fn push(&self, places: &[Place]) {
        let mut inner = self.lock();
        for place in places {
            let body = match &place.body {
                Body::Memory(blob) => EntryBody::of(blob),
                Body::Stored => EntryBody::Stored,
                Body::Missing => EntryBody::Missing,
                Body::Elsewhere => EntryBody::Elsewhere,
            };
            let entry = Entry { first: place.first, row: place.row, body };
            inner.bytes += entry.body.bytes();
            inner.next = entry.end();
            inner.stamp = place.row.elected.stamp();
            inner.entries.push_back(Arc::new(entry));
        }
        self.shrink(&mut inner);
        drop(inner);
        self.wake();
    }

    /// The order goes on from `next`, and nothing before it is here.
    pub(crate) fn rebase(&self, next: Position, stamp: Stamp) {
        let mut inner = self.lock();
        *inner = Inner { entries: VecDeque::new(), bytes: 0, next, stamp, written_to: next };
        drop(inner);
        self.wake();
    }

    /// Bytes of a missing segment came.
    pub(crate) fn arrive(&self, segment: SegmentId, blob: &Blob) {
        let mut inner = self.lock();
        let found = inner.entries.iter().position(|e| e.row.elected.meta.id == segment);
        if let Some(entry) = found.and_then(|at| inner.entries.get_mut(at)) {
            let body = EntryBody::of(blob);
            let (before, after) = (entry.body.bytes(), body.bytes());
            *entry = Arc::new(Entry { first: entry.first, row: entry.row, body });
            inner.bytes = inner.bytes - before + after;
        }
        drop(inner);
        self.wake();
    }

    /// Wakes all tails: the store has bytes that one may wait for.
    pub(crate) fn wake(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// The store has everything before `position`; segments from there on stay here. Also wakes
    /// tails that wait for a commit.
    pub(crate) fn written(&self, position: Position) {
        let mut inner = self.lock();
        inner.written_to = inner.written_to.max(position);
        self.shrink(&mut inner);
        drop(inner);
        self.wake();
    }

    fn shrink(&self, inner: &mut Inner) {
        while inner.bytes > self.bytes_max
            && inner.entries.front().is_some_and(|entry| entry.end() <= inner.written_to)
        {
            if let Some(entry) = inner.entries.pop_front() {
                inner.bytes -= entry.body.bytes();
            }
        }
    }

    /// The head of the order: the next position, and the last stamp before it.
    pub(crate) fn head(&self) -> (Position, Stamp) {
        let inner = self.lock();
        (inner.next, inner.stamp)
    }

    /// Bytes kept.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// What stands at `position`, at most `limit` segments of it.
    pub(crate) fn find(&self, position: Position, limit: usize) -> Found {
        let inner = self.lock();
        if position >= inner.next {
            return Found::AtHead;
        }
        if inner.entries.front().is_none_or(|oldest| position < oldest.first) {
            return Found::Older;
        }
        let at = inner.entries.partition_point(|entry| entry.end() <= position);
        Found::Entries(inner.entries.iter().skip(at).take(limit).cloned().collect())
    }

    /// All segments from `position` on that are kept, for readers of history.
    pub(crate) fn recent(&self, position: Position) -> Vec<Recent> {
        let inner = self.lock();
        let at = inner.entries.partition_point(|entry| entry.first < position);
        let entries = inner.entries.iter().skip(at);
        let recent = entries.map(|entry| {
            let body = match &entry.body {
                EntryBody::Open(topics, records) => Some((topics.clone(), records.clone())),
                EntryBody::Stored | EntryBody::Missing | EntryBody::Elsewhere => None,
            };
            Recent { first: entry.first, row: entry.row, body }
        });
        recent.collect()
    }

    /// Wakes on every change.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vixen_core::id::{Digest, GroupId, MapVersion, OwnerId, Seq, Shard};
    use vixen_core::segment::{Challenger, Elected, SegmentMeta};

    fn place(first: u64, count: u32, body: Body) -> Place {
        let id = SegmentId { owner: OwnerId(uuid::Uuid::from_u128(1)), seq: Seq(first) };
        let meta = SegmentMeta {
            id,
            shard: Shard(0),
            map: MapVersion(1),
            count,
            bytes: 1,
            digest: Digest([0; 16]),
        };
        let challenger = Challenger { stamp: Stamp(first), group: GroupId(0) };
        let row = OrderRow::chained(Digest::default(), Elected { meta, challenger });
        Place { first: Position(first), row, body }
    }

    fn firsts(found: Found) -> Vec<u64> {
        match found {
            Found::Entries(entries) => entries.iter().map(|e| e.first.0).collect(),
            Found::Older | Found::AtHead => panic!("not entries: {found:?}"),
        }
    }

    #[test]
    fn a_position_in_the_middle_of_a_segment_finds_that_segment() {
        let log = TailLog::new(Position(1), Stamp::ZERO, 1 << 20);
        log.push(&[place(1, 3, Body::Stored), place(4, 2, Body::Stored)]);
        assert_eq!(firsts(log.find(Position(3), 9)), [1, 4]);
        assert_eq!(firsts(log.find(Position(4), 9)), [4]);
        assert!(matches!(log.find(Position(6), 9), Found::AtHead));
        assert_eq!(log.head(), (Position(6), Stamp(4)));
    }

    #[test]
    fn only_what_is_written_is_let_go() {
        let log = TailLog::new(Position(1), Stamp::ZERO, ROW_BYTES);
        log.push(&[place(1, 1, Body::Stored), place(2, 1, Body::Stored)]);
        assert_eq!(firsts(log.find(Position(1), 9)), [1, 2]);
        log.written(Position(2));
        assert!(matches!(log.find(Position(1), 9), Found::Older));
        assert_eq!(firsts(log.find(Position(2), 9)), [2]);
    }

    #[test]
    fn what_was_placed_before_the_start_is_older() {
        let log = TailLog::new(Position(9), Stamp(3), 1 << 20);
        assert!(matches!(log.find(Position(2), 9), Found::Older));
        assert!(matches!(log.find(Position(9), 9), Found::AtHead));
    }
}
