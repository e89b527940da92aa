//! Merge: segments as pieces of the order, and which of them comes next.

use std::ops::Range;

use vixen_core::id::Position;
use vixen_core::segment::{Records, Topic};
use vixen_core::wire::TailSegment;

use super::Direction;

impl Direction {
    /// Positions that come first in this direction have lower ranks.
    pub(super) const fn rank(self, position: Position) -> u64 {
        match self {
            Self::Forward => position.0,
            Self::Backward => u64::MAX - position.0,
        }
    }
}

/// Positions from `start` on and below `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: Position,
    pub(super) end: Position,
}

impl Window {
    pub(super) const fn is_empty(&self) -> bool {
        self.start.0 >= self.end.0
    }

    /// Leaves out what is before `start`.
    pub(super) fn raise(&mut self, start: Position) {
        self.start = self.start.max(start);
    }

    /// Leaves out what is at `end` and after it.
    pub(super) fn lower(&mut self, end: Position) {
        self.end = self.end.min(end);
    }
}

/// Messages of one segment, at least one, with ascending offsets below its count.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    segment: TailSegment,
    len: usize,
}

impl Piece {
    /// `None` when the segment contradicts itself.
    pub(super) fn new(segment: TailSegment) -> Option<Self> {
        let offsets = &segment.offsets;
        let is_ascending = offsets.windows(2).all(|pair| pair[0] < pair[1]);
        let is_within = offsets.last().is_none_or(|last| *last < segment.count);
        let len = if offsets.is_empty() { segment.count as usize } else { offsets.len() };
        let is_position = (1..1 << 53).contains(&segment.first.0);
        let fits = is_ascending && is_within && len > 0 && is_position;
        fits.then_some(Self { segment, len })
    }

    /// Number of messages, at least one.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn segment(&self) -> &TailSegment {
        &self.segment
    }

    pub(super) fn into_segment(self) -> TailSegment {
        self.segment
    }

    /// Memory it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        const BASE: usize = 128;
        let topics: usize = self.segment.topics.iter().map(topic_bytes).sum();
        BASE + topics + self.segment.offsets.len() * 4 + self.segment.records.len()
    }

    /// Position of its first message.
    pub(super) fn lowest(&self) -> Position {
        self.segment.first.plus(self.offset(0))
    }

    /// Position of its last message.
    pub(super) fn highest(&self) -> Position {
        self.segment.first.plus(self.offset(self.len - 1))
    }

    /// Position of the message that comes first in the direction.
    pub(super) fn near(&self, direction: Direction) -> Position {
        match direction {
            Direction::Forward => self.lowest(),
            Direction::Backward => self.highest(),
        }
    }

    /// Where to read on after it.
    pub(super) fn after(&self, direction: Direction) -> Position {
        match direction {
            Direction::Forward => self.highest().plus(1),
            Direction::Backward => Position(self.lowest().0.saturating_sub(1)),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "an index is below the segment's count")]
    fn offset(&self, index: usize) -> u32 {
        self.segment.offsets.get(index).copied().unwrap_or(index as u32)
    }

    /// How many of its messages stand below `position`.
    fn below(&self, position: Position) -> usize {
        let offset = position.0.saturating_sub(self.segment.first.0);
        if self.segment.offsets.is_empty() {
            return usize::try_from(offset).unwrap_or(usize::MAX).min(self.len);
        }
        self.segment.offsets.partition_point(|each| u64::from(*each) < offset)
    }

    /// What of it is in the window, and of that at most the first `limit` in the direction. `None`
    /// when that is nothing, or its records cannot be read.
    pub(super) fn cut(self, direction: Direction, window: Window, limit: u64) -> Option<Self> {
        let mut kept = self.below(window.start)..self.below(window.end);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if kept.len() > limit {
            match direction {
                Direction::Forward => kept.end = kept.start + limit,
                Direction::Backward => kept.start = kept.end - limit,
            }
        }
        if kept.is_empty() {
            return None;
        }
        if kept.len() == self.len { Some(self) } else { self.keep(kept) }
    }

    fn keep(self, kept: Range<usize>) -> Option<Self> {
        let mut sizes = Records::new(&self.segment.records).map(|record| record.stored_bytes());
        let start: usize = sizes.by_ref().take(kept.start).sum();
        let (bytes, read) =
            sizes.take(kept.len()).fold((0, 0), |(bytes, read), record| (bytes + record, read + 1));
        if read != kept.len() {
            return None;
        }
        let offsets = kept.clone().map(|index| self.offset(index)).collect();
        let records = self.segment.records.slice(start..start + bytes);
        let segment = TailSegment { offsets, records, ..self.segment };
        Some(Self { segment, len: kept.len() })
    }
}

fn topic_bytes(topic: &Topic) -> usize {
    size_of::<Topic>() + topic.realm.len() + topic.uri.len()
}

#[cfg(test)]
mod tests {
    use vixen_core::id::Stamp;
    use vixen_core::segment::{Encoding, Record, RecordFlags};

    use super::*;

    fn piece(first: u64, count: u32, offsets: &[u32]) -> Option<Piece> {
        let all: Vec<_> = (0..count).collect();
        let mut records = Vec::new();
        for offset in if offsets.is_empty() { &all } else { offsets } {
            let payload = format!("[{offset}]");
            let (topic, session, flags) = (0, 1, RecordFlags::default());
            let content = Encoding::Json.into();
            let payload = payload.as_bytes();
            Record { topic, content, flags, session, attributes: &[], payload }
                .write_to(&mut records);
        }
        Piece::new(TailSegment {
            first: Position(first),
            count,
            stamp: Stamp(1),
            topics: vec![Topic::new("r", "t")],
            offsets: offsets.to_vec(),
            records: records.into(),
        })
    }

    /// Positions kept, and whether the payloads are theirs.
    fn kept(piece: Option<Piece>) -> Vec<u64> {
        let Some(piece) = piece else { return Vec::new() };
        let mut records = Records::new(&piece.segment.records);
        let each = records.by_ref().enumerate().map(|(index, record)| {
            let offset = piece.offset(index);
            assert_eq!(record.payload, format!("[{offset}]").as_bytes());
            piece.segment.first.plus(offset).0
        });
        let positions: Vec<_> = each.collect();
        assert!(records.is_complete() && positions.len() == piece.len());
        positions
    }

    #[test]
    fn a_cut_keeps_what_is_in_the_window_and_the_limit() {
        let all = Window { start: Position(0), end: Position(100) };
        let middle = Window { start: Position(12), end: Position(15) };
        let (forward, backward) = (Direction::Forward, Direction::Backward);
        let cut = |offsets: &[u32], direction, window, limit| {
            kept(piece(10, 6, offsets).and_then(|piece| piece.cut(direction, window, limit)))
        };
        assert_eq!(cut(&[], forward, all, 9), [10, 11, 12, 13, 14, 15]);
        assert_eq!(cut(&[], forward, all, 2), [10, 11]);
        assert_eq!(cut(&[], backward, all, 2), [14, 15]);
        assert_eq!(cut(&[], forward, middle, 9), [12, 13, 14]);
        assert_eq!(cut(&[], backward, middle, 1), [14]);
        assert_eq!(cut(&[0, 3, 5], forward, middle, 9), [13]);
        assert_eq!(cut(&[0, 3, 5], backward, all, 2), [13, 15]);
        assert!(cut(&[0, 1], forward, middle, 9).is_empty());
        assert!(cut(&[], forward, all, 0).is_empty());
    }

    #[test]
    fn a_segment_that_contradicts_itself_is_no_piece() {
        assert!(piece(1, 0, &[]).is_none(), "no messages");
        assert!(piece(1, 3, &[1, 1]).is_none() && piece(1, 3, &[2, 0]).is_none());
        assert!(piece(1, 3, &[0, 3]).is_none(), "beyond its count");
        assert!(
            piece(u64::MAX >> 1, 3, &[]).is_none() && piece(0, 3, &[]).is_none(),
            "no position"
        );
    }
}
