//! A batch under construction: what of each segment is wanted, and whether there is room.

use bytes::Bytes;

use vixen_core::id::Position;
use vixen_core::segment::{Records, Topic};
use vixen_core::wire::TailSegment;

use super::lookup::next_of;
use super::{READ_FACTOR, ROWS_MAX, Reader, Stop};
use vixen_replica::OrderRow;

impl Reader<'_> {
    /// Begins with a segment: where the next batch would begin with it.
    pub(super) fn begin(&mut self, first: Position, count: u32) -> Result<Position, Stop> {
        let here = if self.query.is_backward {
            Position(first.plus(count).0 - 1).min(self.from)
        } else {
            first.max(self.from)
        };
        self.rows += 1;
        // Each batch brings the reader on.
        let bytes_max = u64::from(self.query.bytes_max).max(1);
        let is_full = self.messages >= self.query.messages_max
            || self.bytes >= bytes_max
            || self.bytes_read >= bytes_max.saturating_mul(READ_FACTOR)
            || self.rows > ROWS_MAX;
        if is_full { Err(Stop::Full(here)) } else { Ok(here) }
    }

    /// Adds what is wanted of a segment's messages.
    pub(super) fn add(
        &mut self,
        first: Position,
        row: &OrderRow,
        topics: Vec<Topic>,
        records: Bytes,
    ) -> Option<Stop> {
        let meta = row.elected.meta;
        let wanted: Vec<bool> = topics
            .iter()
            .map(|topic| self.query.topics.iter().any(|pattern| pattern.matches(topic)))
            .collect();
        if !wanted.contains(&true) {
            return None;
        }
        let range = self.range();
        let last = first.plus(meta.count.saturating_sub(1));
        let is_whole = !wanted.contains(&false)
            && range.0 <= first
            && last < range.1
            && meta.count <= self.query.messages_max - self.messages;
        let mut segment = TailSegment {
            first,
            count: meta.count,
            stamp: row.elected.stamp(),
            topics,
            offsets: Vec::new(),
            records,
        };
        if is_whole {
            self.push(segment, meta.count);
            return None;
        }
        let mut offsets: Vec<u32> = Vec::new();
        for (offset, record) in (0u32..).zip(Records::new(&segment.records)) {
            let at = first.plus(offset);
            let is_wanted = wanted.get(usize::from(record.topic)).copied().unwrap_or(false);
            if is_wanted && at >= range.0 && at < range.1 {
                offsets.push(offset);
            }
        }
        if offsets.is_empty() {
            return None;
        }
        let room = usize::try_from(self.query.messages_max - self.messages).unwrap_or(usize::MAX);
        let cut = offsets.len() > room;
        if cut {
            if self.query.is_backward {
                offsets.drain(..offsets.len() - room);
            } else {
                offsets.truncate(room);
            }
        }
        let mut kept = Vec::new();
        let mut wanted = offsets.iter().peekable();
        for (offset, record) in (0u32..).zip(Records::new(&segment.records)) {
            if wanted.next_if_eq(&&offset).is_some() {
                record.write_to(&mut kept);
            }
        }
        let (lowest, highest) = (offsets.first().copied(), offsets.last().copied());
        let count = u32::try_from(offsets.len()).unwrap_or(u32::MAX);
        segment.records = kept.into();
        segment.offsets = offsets;
        self.push(segment, count);
        if !cut {
            return None;
        }
        let next = if self.query.is_backward {
            Position(first.plus(lowest.unwrap_or(0)).0.saturating_sub(1))
        } else {
            next_of(first.plus(highest.unwrap_or(0)))
        };
        Some(Stop::Full(next))
    }
    /// The positions wanted: first, and the one after the last.
    pub(super) fn range(&self) -> (Position, Position) {
        let until = self.query.until;
        if self.query.is_backward {
            (until.unwrap_or(Position::FIRST), next_of(self.from))
        } else {
            (self.from, until.unwrap_or(Position(u64::MAX)))
        }
    }

    pub(super) fn push(&mut self, segment: TailSegment, messages: u32) {
        self.messages += messages;
        self.bytes += segment.records.len() as u64;
        self.segments.push(segment);
    }
}
