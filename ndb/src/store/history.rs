//! History: one batch of stored messages, in either direction, by topic patterns.
//!
//! Few topics are read by the topic index: only the segments that have them. Many, or all, by the
//! order itself.

use std::sync::Arc;

use bytes::Bytes;

use vixen_core::id::{Position, SegmentId, Stamp};
use vixen_core::segment::{Blob, Records, SegmentMeta, Topic};
use vixen_core::time::UtcDay;
use vixen_core::wire::{HistoryEnd, HistoryPlace, HistoryQuery, TailSegment};

use super::day::DayEnv;
use super::topics::TopicNumber;
use super::{Store, StoreError, read};
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

impl Reader<'_> {
    /// Begins with a segment: where the next batch would begin with it.
    fn begin(&mut self, first: Position, count: u32) -> Result<Position, Stop> {
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
    fn add(
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
    fn range(&self) -> (Position, Position) {
        let until = self.query.until;
        if self.query.is_backward {
            (until.unwrap_or(Position::FIRST), next_of(self.from))
        } else {
            (self.from, until.unwrap_or(Position(u64::MAX)))
        }
    }

    fn push(&mut self, segment: TailSegment, messages: u32) {
        self.messages += messages;
        self.bytes += segment.records.len() as u64;
        self.segments.push(segment);
    }
}

/// As [`Store::resolve`], beyond the order on disk.
fn find_recent(
    recent: &[Recent],
    stamp: Stamp,
    offset: u32,
    end: Position,
    is_backward: bool,
) -> Position {
    let at = recent.partition_point(|recent| recent.row.elected.stamp() < stamp);
    let Some(found) = recent.get(at) else { return read::backward_or(end, is_backward) };
    if found.row.elected.stamp() != stamp {
        return read::backward_or(found.first, is_backward);
    }
    if offset < found.row.elected.meta.count {
        return found.first.plus(offset);
    }
    read::backward_or(found.end(), is_backward)
}

enum Found {
    Blob(Blob),
    Missing,
    Damaged,
}

fn blob_of(env: &DayEnv, meta: &SegmentMeta) -> Result<Found, StoreError> {
    let txn = env.read()?;
    let segment: SegmentId = meta.id;
    let Some(bytes) = env.blob(&txn, segment)? else { return Ok(Found::Missing) };
    match read::check(&bytes, meta) {
        Ok(()) => Ok(Found::Blob(Blob::from_bytes(bytes))),
        Err(_damaged) => Ok(Found::Damaged),
    }
}

/// The topics to look up in the index; `None` when the order is to be read.
///
/// A segment whose bytes are missing is not in the index yet: a day with such segments is read by its
/// order, which stops at them. What is placed later lies beyond the end that the reader took before.
fn numbers_of(
    env: &DayEnv,
    reader: &mut Reader<'_>,
) -> Result<Option<Vec<TopicNumber>>, StoreError> {
    let txn = env.read()?;
    if !env.is_index_sound(&txn)? {
        reader.at_odds = Some(env.day);
        return Ok(None);
    }
    if !env.missing.is_empty(&txn)? {
        return Ok(None);
    }
    match env.matching_topics(&txn, &reader.query.topics, TOPICS_MAX) {
        // A damaged name is found by reading everything.
        Err(StoreError::Row { .. }) => {
            reader.at_odds = Some(env.day);
            Ok(None)
        }
        outcome => outcome,
    }
}

/// The first segment with any of the topics that begins at or after `from`.
fn next_of_topics(
    env: &DayEnv,
    numbers: &[TopicNumber],
    from: Position,
) -> Result<Option<Position>, StoreError> {
    let txn = env.read()?;
    let mut next: Option<Position> = None;
    for number in numbers {
        let found = env.next_of_topic(&txn, *number, from)?;
        next = [next, found].into_iter().flatten().min();
    }
    Ok(next)
}

/// The last segment with any of the topics that begins before `below`.
fn last_of_topics(
    env: &DayEnv,
    numbers: &[TopicNumber],
    below: Position,
) -> Result<Option<Position>, StoreError> {
    let txn = env.read()?;
    let mut last: Option<Position> = None;
    for number in numbers {
        last = last.max(env.last_of_topic(&txn, *number, below)?);
    }
    Ok(last)
}

fn row_at(env: &Arc<DayEnv>, first: Position) -> Result<Option<(Position, OrderRow)>, StoreError> {
    let rows = read::rows_of_day(env, first, 1)?;
    Ok(rows.into_iter().next().filter(|(at, _)| *at == first))
}

const fn next_of(position: Position) -> Position {
    Position(position.0.saturating_add(1))
}
