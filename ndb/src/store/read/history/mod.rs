//! History: one batch of stored messages, in either direction, by topic patterns.
//!
//! Few topics are read by the topic index: only the segments that have them. Many, or all, by the
//! order itself.

mod batch;
mod lookup;

use std::sync::Arc;

use bytes::Bytes;

use vixen_core::id::Position;
use vixen_core::segment::Topic;
use vixen_core::time::UtcDay;
use vixen_core::wire::{HistoryEnd, HistoryPlace, HistoryQuery, TailSegment};

use crate::store::day::{DayEnv, TopicNumber};
use crate::store::{Store, StoreError, read};
use lookup::{
    Found, blob_of, find_recent, last_of_topics, next_of, next_of_topics, numbers_of, row_at,
};
use vixen_replica::OrderRow;

/// With more topics than this, the order is read instead of the index.
const TOPICS_MAX: usize = 256;
/// A batch ends after reading so many times what it may send.
const READ_FACTOR: u64 = 8;
/// A batch ends after looking at so many rows, of whatever group.
const ROWS_MAX: usize = 16_384;

/// What a reader gets at once.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The wanted messages, in the direction of the query.
    pub(crate) segments: Vec<TailSegment>,
    /// How the batch ends.
    pub(crate) end: HistoryEnd,
    /// A segment whose bytes are damaged.
    pub(crate) damaged: Option<(Position, OrderRow)>,
    /// A day whose topic index and order are at odds: it was read by the order.
    pub(crate) at_odds: Option<UtcDay>,
}

/// A placed segment whose row may not be on disk yet.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    /// Position of its first message.
    pub(crate) first: Position,
    /// Its row.
    pub(crate) row: OrderRow,
    /// Its messages; `None` when they are not at hand.
    pub(crate) body: Option<(Vec<Topic>, Bytes)>,
}

/// A batch under construction.
struct Reader<'q> {
    query: &'q HistoryQuery,
    from: Position,
    segments: Vec<TailSegment>,
    messages: u32,
    bytes: u64,
    bytes_read: u64,
    rows: usize,
    damaged: Option<(Position, OrderRow)>,
    at_odds: Option<UtcDay>,
}

/// Where a batch stops.
enum Stop {
    /// Its bounds are reached; the next begins here.
    Full(Position),
    /// The bytes of the segment at this position cannot be had.
    Unavailable(Position),
}

impl Store {
    /// Reads one batch. `recent` are segments in their order from the end of the one on disk on, as
    /// it was before the call, or from earlier. Blocking.
    ///
    /// # Errors
    /// When the order itself cannot be read.
    pub(crate) fn history(
        &self,
        query: &HistoryQuery,
        recent: &[Recent],
    ) -> Result<Batch, StoreError> {
        let (base, head) = (self.base(), self.head());
        // What has come to disk meanwhile is read there.
        let beyond = recent.partition_point(|recent| recent.first < head.next);
        let is_next = recent.get(beyond).is_some_and(|recent| recent.first == head.next);
        let recent = if is_next { &recent[beyond..] } else { &[] };
        let end_of_order = recent.last().map_or(head.next, Recent::end);
        let from = match query.from {
            HistoryPlace::End => Position(end_of_order.0.saturating_sub(1)),
            HistoryPlace::Id { stamp, offset } if stamp > head.stamp => {
                find_recent(recent, stamp, offset, end_of_order, query.is_backward)
            }
            HistoryPlace::Position(_) | HistoryPlace::Id { .. } => {
                self.resolve(query.from, query.is_backward)?
            }
        };
        let mut reader = Reader {
            query,
            from,
            segments: Vec::new(),
            messages: 0,
            bytes: 0,
            bytes_read: 0,
            rows: 0,
            damaged: None,
            at_odds: None,
        };
        if from < base.next && (base.next > Position::FIRST) && (!query.is_backward || from.0 > 0) {
            let end = HistoryEnd::Trimmed { first: base.next };
            return Ok(Batch { segments: Vec::new(), end, damaged: None, at_odds: None });
        }
        let stop = if query.is_backward {
            match self.read_recent(&mut reader, recent.iter().rev()) {
                None => self.read_backward(&mut reader, from)?,
                stop => stop,
            }
        } else {
            match self.read_forward(&mut reader, from.max(base.next))? {
                None => self.read_recent(&mut reader, recent.iter()),
                stop => stop,
            }
        };
        let end = match stop {
            Some(Stop::Full(next)) => HistoryEnd::Next { next, is_end: false },
            Some(Stop::Unavailable(next)) => HistoryEnd::Unavailable { next },
            None if query.is_backward => {
                let lowest = query.until.unwrap_or(Position::FIRST).max(base.next);
                let next = Position(lowest.0.saturating_sub(1).min(from.0));
                HistoryEnd::Next { next, is_end: true }
            }
            None => {
                let end = query.until.map_or(end_of_order, |until| until.min(end_of_order));
                HistoryEnd::Next { next: end.max(from), is_end: true }
            }
        };
        let Reader { segments, damaged, at_odds, .. } = reader;
        Ok(Batch { segments, end, damaged, at_odds })
    }

    /// Reads segments that are not on disk yet, in the direction of the query.
    fn read_recent<'r>(
        &self,
        reader: &mut Reader<'_>,
        recent: impl Iterator<Item = &'r Recent>,
    ) -> Option<Stop> {
        let range = reader.range();
        let wanted = recent.filter(|recent| recent.first < range.1 && recent.end() > range.0);
        for Recent { first, row, body } in wanted {
            let here = match reader.begin(*first, row.elected.meta.count) {
                Ok(here) => here,
                Err(stop) => return Some(stop),
            };
            if row.elected.challenger.group != self.options.group {
                continue;
            }
            let Some((topics, records)) = body else { return Some(Stop::Unavailable(here)) };
            if let Some(stop) = reader.add(*first, row, topics.clone(), records.clone()) {
                return Some(stop);
            }
        }
        None
    }

    fn read_forward(
        &self,
        reader: &mut Reader<'_>,
        from: Position,
    ) -> Result<Option<Stop>, StoreError> {
        let head = self.head().next;
        let end = reader.query.until.map_or(head, |until| until.min(head));
        let mut at = from;
        while at < end {
            let (env, day_end) = {
                let days = self.days();
                let next = days.firsts.range(next_of(at)..).next().map(|(first, _)| *first);
                let env = days.day_at(at).cloned();
                (env, next.unwrap_or(days.head.next).min(end))
            };
            let Some(env) = env else { return Err(self.no_row_at(at)) };
            let stop = match numbers_of(&env, reader)? {
                Some(numbers) => self.forward_by_index(reader, &env, &numbers, at, day_end)?,
                None => self.forward_by_order(reader, &env, at, day_end)?,
            };
            if stop.is_some() {
                return Ok(stop);
            }
            at = day_end;
        }
        Ok(None)
    }

    fn forward_by_order(
        &self,
        reader: &mut Reader<'_>,
        env: &Arc<DayEnv>,
        mut at: Position,
        end: Position,
    ) -> Result<Option<Stop>, StoreError> {
        while at < end {
            let rows = read::rows_of_day(env, at, 256)?;
            if rows.is_empty() {
                return Err(self.no_row_at(at));
            }
            for (first, row) in rows {
                if first >= end {
                    return Ok(None);
                }
                if let Some(stop) = self.take(reader, env, first, row, false)? {
                    return Ok(Some(stop));
                }
                at = first.plus(row.elected.meta.count);
            }
        }
        Ok(None)
    }

    fn forward_by_index(
        &self,
        reader: &mut Reader<'_>,
        env: &Arc<DayEnv>,
        numbers: &[TopicNumber],
        from: Position,
        end: Position,
    ) -> Result<Option<Stop>, StoreError> {
        // The segment that holds `from` begins before it.
        let rows = read::rows_of_day(env, from, 1)?;
        let Some((mut at, _)) = rows.first().copied() else { return Err(self.no_row_at(from)) };
        // The index does not show where rows are gone at the end of a day.
        let last = Position(end.0.saturating_sub(1));
        loop {
            let next = match next_of_topics(env, numbers, at) {
                // The index is damaged here, the order is not.
                Err(StoreError::Row { .. }) => {
                    reader.at_odds = Some(env.day);
                    return self.forward_by_order(reader, env, at.max(from), end);
                }
                found => found?,
            };
            let Some(first) = next.filter(|first| *first < end) else {
                return if read::holds(env, last)? { Ok(None) } else { Err(self.no_row_at(last)) };
            };
            let Some((first, row)) = row_at(env, first)? else {
                if !read::holds(env, first)? {
                    return Err(self.no_row_at(first));
                }
                // The index leads into the midst of a segment.
                reader.at_odds = Some(env.day);
                return self.forward_by_order(reader, env, at.max(from), end);
            };
            if let Some(stop) = self.take(reader, env, first, row, true)? {
                return Ok(Some(stop));
            }
            at = first.plus(row.elected.meta.count);
        }
    }

    fn read_backward(
        &self,
        reader: &mut Reader<'_>,
        from: Position,
    ) -> Result<Option<Stop>, StoreError> {
        let (base, head) = (self.base(), self.head().next);
        let lowest = reader.query.until.unwrap_or(Position::FIRST).max(base.next);
        let mut at = Position(from.0.min(head.0.saturating_sub(1)));
        while at >= lowest {
            let (env, day_first) = {
                let days = self.days();
                let found = days.firsts.range(..=at).next_back();
                let Some((first, day)) = found else { return Ok(None) };
                let Some(env) = days.envs.get(day).cloned() else { return Ok(None) };
                (env, *first)
            };
            // The index does not show where rows are gone at the end of a day.
            if !read::holds(&env, at)? {
                return Err(self.no_row_at(at));
            }
            let mut numbers = numbers_of(&env, reader)?;
            // Descending through the day's segments.
            let mut below = next_of(at);
            loop {
                let found = match &numbers {
                    None if below <= day_first => None,
                    None => {
                        let before = Position(below.0 - 1);
                        let rows = read::rows_of_day(&env, before, 1)?;
                        Some(rows.first().copied().ok_or_else(|| self.no_row_at(before))?)
                    }
                    Some(some) => match last_of_topics(&env, some, below) {
                        // The index is damaged here, the order is not.
                        Err(StoreError::Row { .. }) => {
                            reader.at_odds = Some(env.day);
                            numbers = None;
                            continue;
                        }
                        Err(error) => return Err(error),
                        Ok(None) => None,
                        Ok(Some(first)) => match row_at(&env, first)? {
                            None if read::holds(&env, first)? => {
                                // The index leads into the midst of a segment.
                                reader.at_odds = Some(env.day);
                                numbers = None;
                                continue;
                            }
                            found => Some(found.ok_or_else(|| self.no_row_at(first))?),
                        },
                    },
                };
                let Some((first, row)) = found else { break };
                if first.plus(row.elected.meta.count) <= lowest {
                    return Ok(None);
                }
                if let Some(stop) = self.take(reader, &env, first, row, numbers.is_some())? {
                    return Ok(Some(stop));
                }
                below = first;
            }
            match day_first.0.checked_sub(1) {
                Some(before) => at = Position(before),
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Adds what is wanted of one segment, to which the index has led, or the order.
    fn take(
        &self,
        reader: &mut Reader<'_>,
        env: &Arc<DayEnv>,
        first: Position,
        row: OrderRow,
        by_index: bool,
    ) -> Result<Option<Stop>, StoreError> {
        let meta = row.elected.meta;
        let here = match reader.begin(first, meta.count) {
            Ok(here) => here,
            Err(stop) => return Ok(Some(stop)),
        };
        if row.elected.challenger.group != self.options.group {
            return Ok(None);
        }
        let blob = match blob_of(env, &meta)? {
            Found::Blob(blob) => blob,
            Found::Missing => return Ok(Some(Stop::Unavailable(here))),
            Found::Damaged => {
                reader.damaged = Some((first, row));
                return Ok(Some(Stop::Unavailable(here)));
            }
        };
        reader.bytes_read += u64::from(meta.bytes);
        let Ok((topics, records)) = blob.open() else {
            reader.damaged = Some((first, row));
            return Ok(Some(Stop::Unavailable(here)));
        };
        let is_wanted = |topic| reader.query.topics.iter().any(|pattern| pattern.matches(topic));
        if by_index && !topics.iter().any(is_wanted) {
            reader.at_odds = Some(env.day);
        }
        Ok(reader.add(first, &row, topics, records))
    }
}

impl Recent {
    const fn end(&self) -> Position {
        self.first.plus(self.row.elected.meta.count)
    }
}
