//! The recent end of the order, in memory, for live tails.
//!
//! ```text
//! positions  1 ........... | oldest kept ............ | next
//!            store only    | here (and in the store)  | not placed yet
//! ```
//! Bounded in bytes; rows the writer has not committed yet are always kept, so whatever is not
//! here is in the store.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use vixen_core::id::{Position, SegmentId, Stamp};
use vixen_core::segment::{Blob, Topic};
use vixen_core::wire::OrderBase;

use crate::replica::{Body, Place};
use crate::rows::OrderRow;

/// Bytes counted for a row without a body.
const ROW_BYTES: usize = 128;

/// A placed segment, and its messages where they are at hand.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Position of its first message.
    pub first: Position,
    /// Its row.
    pub row: OrderRow,
    /// Its messages.
    pub body: EntryBody,
}

/// Messages of a placed segment.
#[derive(Clone, Debug)]
pub enum EntryBody {
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
    #[must_use]
    pub fn of(blob: &Blob) -> Self {
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
    #[must_use]
    pub const fn end(&self) -> Position {
        self.first.plus(self.row.elected.meta.count)
    }
}

/// What stands at a position.
#[derive(Clone, Debug)]
pub enum Found {
    /// The segment that holds it, and some after it.
    Entries(Vec<Arc<Entry>>),
    /// Something older than is kept: read the store.
    Older,
    /// Nothing yet.
    AtHead,
}

/// What changes for those who read the order at a node.
#[derive(Clone, Debug)]
pub enum Change {
    /// The next segment of the order.
    Placed(Place),
    /// Bytes of a missing segment came.
    Arrived(SegmentId, Blob),
    /// The store has everything before this position.
    Written(Position),
    /// The store has bytes, or rows, that somebody may wait for.
    Filled,
    /// The order goes on from here, and nothing before it is at hand.
    Rebased(OrderBase),
    /// Nothing from this position on is given out: the order here is not that of most nodes.
    Trusted(Position),
}

/// The recent end of one node's order. See the module doc.
#[derive(Debug)]
pub struct RecentOrder {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    bytes_max: usize,
    next: Position,
    stamp: Stamp,
    written_to: Position,
    trusted_to: Position,
}

impl RecentOrder {
    /// Starts at the head of the stored order.
    #[must_use]
    pub const fn new(next: Position, stamp: Stamp, bytes_max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            bytes_max,
            next,
            stamp,
            written_to: next,
            trusted_to: Position(u64::MAX),
        }
    }

    /// Takes a change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Placed(place) => self.push(place),
            Change::Arrived(segment, blob) => self.arrive(*segment, blob),
            Change::Written(position) => {
                self.written_to = self.written_to.max(*position);
                self.shrink();
            }
            Change::Filled => {}
            Change::Rebased(base) => {
                let trusted_to = self.trusted_to;
                *self = Self { trusted_to, ..Self::new(base.next, base.stamp, self.bytes_max) };
            }
            Change::Trusted(to) => self.trusted_to = *to,
        }
    }

    fn push(&mut self, place: &Place) {
        let body = match &place.body {
            Body::Memory(blob) => EntryBody::of(blob),
            Body::Stored => EntryBody::Stored,
            Body::Missing => EntryBody::Missing,
            Body::Elsewhere => EntryBody::Elsewhere,
        };
        assert_eq!(place.first, self.next, "T1: the recent order has no gap");
        let entry = Entry { first: place.first, row: place.row, body };
        self.bytes += entry.body.bytes();
        self.next = entry.end();
        self.stamp = place.row.elected.stamp();
        self.entries.push_back(Arc::new(entry));
        self.shrink();
    }

    fn arrive(&mut self, segment: SegmentId, blob: &Blob) {
        let found = self.entries.iter().position(|e| e.row.elected.meta.id == segment);
        if let Some(entry) = found.and_then(|at| self.entries.get_mut(at)) {
            let body = EntryBody::of(blob);
            let (before, after) = (entry.body.bytes(), body.bytes());
            *entry = Arc::new(Entry { first: entry.first, row: entry.row, body });
            self.bytes = self.bytes - before + after;
        }
    }

    fn shrink(&mut self) {
        while self.bytes > self.bytes_max
            && self.entries.front().is_some_and(|entry| entry.end() <= self.written_to)
        {
            if let Some(entry) = self.entries.pop_front() {
                self.bytes -= entry.body.bytes();
            }
        }
    }

    /// The head of the order: the next position, and the last stamp before it.
    #[must_use]
    pub const fn head(&self) -> (Position, Stamp) {
        (self.next, self.stamp)
    }

    /// Nothing from here on is given out.
    #[must_use]
    pub const fn trusted_to(&self) -> Position {
        self.trusted_to
    }

    /// Bytes kept.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What stands at `position`, at most `limit` segments of it.
    #[must_use]
    pub fn find(&self, position: Position, limit: usize) -> Found {
        if position >= self.next {
            return Found::AtHead;
        }
        if self.entries.front().is_none_or(|oldest| position < oldest.first) {
            return Found::Older;
        }
        let at = self.entries.partition_point(|entry| entry.end() <= position);
        Found::Entries(self.entries.iter().skip(at).take(limit).cloned().collect())
    }

    /// All segments from `position` on that are kept, for readers of history.
    pub fn entries_from(&self, position: Position) -> impl Iterator<Item = &Entry> {
        let at = self.entries.partition_point(|entry| entry.first < position);
        self.entries.iter().skip(at).map(Arc::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn place(first: u64, count: u32, body: Body) -> Place {
        sample::place(first, sample::meta(1, first, count), body)
    }

    fn recent(next: u64, stamp: u64, bytes_max: usize) -> RecentOrder {
        RecentOrder::new(Position(next), Stamp(stamp), bytes_max)
    }

    fn firsts(found: Found) -> Vec<u64> {
        match found {
            Found::Entries(entries) => entries.iter().map(|e| e.first.0).collect(),
            Found::Older | Found::AtHead => panic!("not entries: {found:?}"),
        }
    }

    #[test]
    fn a_position_in_the_middle_of_a_segment_finds_that_segment() {
        let mut recent = recent(1, 0, 1 << 20);
        recent.apply(&Change::Placed(place(1, 3, Body::Stored)));
        recent.apply(&Change::Placed(place(4, 2, Body::Stored)));
        assert_eq!(firsts(recent.find(Position(3), 9)), [1, 4]);
        assert_eq!(firsts(recent.find(Position(4), 9)), [4]);
        assert!(matches!(recent.find(Position(6), 9), Found::AtHead));
        assert_eq!(recent.head(), (Position(6), Stamp(4)));
    }

    #[test]
    fn only_what_is_written_is_let_go() {
        let mut recent = recent(1, 0, ROW_BYTES);
        recent.apply(&Change::Placed(place(1, 1, Body::Stored)));
        recent.apply(&Change::Placed(place(2, 1, Body::Stored)));
        assert_eq!(firsts(recent.find(Position(1), 9)), [1, 2]);
        recent.apply(&Change::Written(Position(2)));
        assert!(matches!(recent.find(Position(1), 9), Found::Older));
        assert_eq!(firsts(recent.find(Position(2), 9)), [2]);
    }

    #[test]
    fn what_was_placed_before_the_start_is_older() {
        let recent = recent(9, 3, 1 << 20);
        assert!(matches!(recent.find(Position(2), 9), Found::Older));
        assert!(matches!(recent.find(Position(9), 9), Found::AtHead));
    }

    #[test]
    fn bytes_that_come_take_their_place_and_a_new_beginning_lets_all_go() {
        let mut recent = recent(1, 0, 1 << 20);
        recent.apply(&Change::Placed(place(1, 1, Body::Missing)));
        let blob = Blob::assemble(&[Topic::new("r", "t")], &[]);
        recent.apply(&Change::Arrived(sample::segment(1, 1), blob));
        let bodies: Vec<_> = recent.entries_from(Position(1)).map(|e| e.body.clone()).collect();
        assert!(matches!(&bodies[..], [EntryBody::Open(topics, _)] if topics.len() == 1));
        assert!(recent.bytes() > ROW_BYTES);
        recent.apply(&Change::Trusted(Position(5)));
        let base = OrderBase { next: Position(50), stamp: Stamp(9), ..crate::BEGINNING };
        recent.apply(&Change::Rebased(base));
        assert_eq!((recent.bytes(), recent.head()), (0, (Position(50), Stamp(9))));
        assert_eq!(recent.trusted_to(), Position(5));
    }
}
