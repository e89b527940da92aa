//! Where history is found: in the recent order, in a day, in its topic index.

use std::sync::Arc;

use vixen_core::id::{Position, SegmentId, Stamp};
use vixen_core::segment::{Blob, SegmentMeta};

use super::{Reader, Recent, TOPICS_MAX};
use crate::store::day::{DayEnv, TopicNumber};
use crate::store::{StoreError, read};
use vixen_replica::OrderRow;

/// As [`Store::resolve`], beyond the order on disk.
pub(super) fn find_recent(
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

pub(super) enum Found {
    Blob(Blob),
    Missing,
    Damaged,
}

pub(super) fn blob_of(env: &DayEnv, meta: &SegmentMeta) -> Result<Found, StoreError> {
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
pub(super) fn numbers_of(
    env: &DayEnv,
    reader: &mut Reader<'_>,
) -> Result<Option<Vec<TopicNumber>>, StoreError> {
    let txn = env.read()?;
    // Known, and being mended.
    if env.is_index_due(&txn)? {
        return Ok(None);
    }
    if !env.is_index_sound(&txn)? {
        reader.at_odds = Some(env.day);
        return Ok(None);
    }
    // Also where the row of one is damaged: it is counted.
    if env.missing.len(&txn)? > 0 {
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
pub(super) fn next_of_topics(
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
pub(super) fn last_of_topics(
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

pub(super) fn row_at(
    env: &Arc<DayEnv>,
    first: Position,
) -> Result<Option<(Position, OrderRow)>, StoreError> {
    let rows = read::rows_of_day(env, first, 1)?;
    Ok(rows.into_iter().next().filter(|(at, _)| *at == first))
}

pub(super) const fn next_of(position: Position) -> Position {
    Position(position.0.saturating_add(1))
}
