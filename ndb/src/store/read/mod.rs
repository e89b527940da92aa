//! Reading the order and its blobs.

mod history;

use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use bytes::Bytes;

use vixen_core::id::{Digest, Position, SegmentId, Stamp};
use vixen_core::segment::{Blob, Elected, SegmentMeta};
use vixen_core::time::UtcDay;
use vixen_core::wire::HistoryPlace;

use crate::store::day::DayEnv;
use crate::store::{Store, StoreError};
pub(crate) use history::Recent;
use vixen_replica::OrderRow;

impl Store {
    /// The row whose segment holds `position`, and rows after it, at most `limit`; fewer at the end
    /// of the order, and where a row is damaged.
    ///
    /// # Errors
    /// `Trimmed` when retention has dropped the position, `Order` when the first row is damaged.
    pub(crate) fn rows_from(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<(Position, OrderRow)>, StoreError> {
        let (base, head) = (self.base(), self.head());
        if position < base.next {
            return Err(StoreError::Trimmed { first: base.next });
        }
        let mut rows: Vec<(Position, OrderRow)> = Vec::new();
        let mut at = position;
        while at < head.next && rows.len() < limit {
            let Some(env) = self.days().day_at(at).cloned() else { break };
            let read = rows_of_day(&env, at, limit - rows.len())?;
            // A day ends where the next begins.
            let Some((first, last)) = read.last() else {
                return if rows.is_empty() { Err(self.no_row_at(at)) } else { Ok(rows) };
            };
            let is_gap = !rows.is_empty() && read.first().is_some_and(|(first, _)| *first != at);
            if is_gap {
                break;
            }
            at = first.plus(last.elected.meta.count);
            rows.extend(read);
        }
        Ok(rows)
    }

    /// The segments from the one that begins at `from` on, at most `limit`; none when no segment
    /// does.
    pub(crate) fn order_from(
        &self,
        from: Position,
        limit: usize,
    ) -> Result<Vec<Elected>, StoreError> {
        let mut rows = self.rows_from(from, limit)?;
        let begins_here = rows.first().is_some_and(|(first, _)| *first == from);
        if !begins_here {
            rows.clear();
        }
        Ok(rows.into_iter().map(|(_, row)| row.elected).collect())
    }

    /// The row that ends where `next` begins; `None` at the beginning, or when no row does.
    pub(crate) fn row_before(&self, next: Position) -> Result<Option<OrderRow>, StoreError> {
        let Some(before) = next.0.checked_sub(1).map(Position) else { return Ok(None) };
        if before < self.base().next || next > self.head().next {
            return Ok(None);
        }
        let rows = self.rows_from(before, 1)?;
        let row = rows.first().filter(|(first, row)| first.plus(row.elected.meta.count) == next);
        Ok(row.map(|(_, row)| *row))
    }

    /// No whole row holds `position`: tells where the one that should begins, so that it can be had
    /// from a peer.
    pub(in crate::store) fn no_row_at(&self, position: Position) -> StoreError {
        match self.end_of_whole(position) {
            Ok(at) => StoreError::Order(at),
            Err(error) => error,
        }
    }

    /// The end of the last whole row at or before `position`.
    fn end_of_whole(&self, position: Position) -> Result<Position, StoreError> {
        let (envs, base): (Vec<_>, _) = {
            let days = self.days();
            let before = days.firsts.range(..=position).rev();
            let envs = before.filter_map(|(_, day)| days.envs.get(day).cloned());
            (envs.collect(), days.base.next)
        };
        for env in envs {
            let txn = env.read()?;
            match env.last_row_upto(&txn, position)? {
                // The search was led astray.
                Some((first, _)) if first > position => {
                    if let Some(at) = env.mend_from(&txn, position)? {
                        return Ok(at.max(base));
                    }
                }
                Some((first, row)) => return Ok(first.plus(row.elected.meta.count).max(base)),
                None => {}
            }
        }
        Ok(base)
    }

    /// A placed segment's blob, checked against its digest.
    pub(crate) fn placed_blob(
        &self,
        stamp: Stamp,
        meta: &SegmentMeta,
    ) -> Result<Option<Blob>, StoreError> {
        // Its row is not on disk yet.
        let arrived = self.arrivals().find(meta.id).filter(|(arrived, _)| arrived == meta);
        if let Some((_, blob)) = arrived {
            return Ok(Some(blob));
        }
        let env = self.days().envs.get(&UtcDay::of(stamp.wall_time())).cloned();
        let Some(env) = env else { return Ok(None) };
        let txn = env.read()?;
        let Some(bytes) = env.blob(&txn, meta.id)? else { return Ok(None) };
        check(&bytes, meta)?;
        Ok(Some(Blob::from_bytes(bytes)))
    }

    /// The blob of a segment of whatever day, for a peer that verifies it.
    pub(crate) fn any_blob(&self, segment: SegmentId) -> Result<Option<Blob>, StoreError> {
        if let Some((_, blob)) = self.arrivals().find(segment) {
            return Ok(Some(blob));
        }
        let envs: Vec<_> = self.days().envs.values().rev().cloned().collect();
        for env in envs {
            let txn = env.read()?;
            if let Some(bytes) = env.blob(&txn, segment)? {
                return Ok(Some(Blob::from_bytes(bytes)));
            }
        }
        Ok(None)
    }

    /// The position from which a reader begins: the message at the place, or the nearest in its
    /// direction. Forward, the end of the order is one; backward, 0 when nothing is before it.
    pub(crate) fn resolve(
        &self,
        place: HistoryPlace,
        is_backward: bool,
    ) -> Result<Position, StoreError> {
        let (base, head) = (self.base(), self.head());
        match place {
            HistoryPlace::Position(position) => Ok(position),
            HistoryPlace::End => Ok(Position(head.next.0.saturating_sub(1))),
            HistoryPlace::Id { stamp, offset } => {
                let day = UtcDay::of(stamp.wall_time());
                let env = {
                    let days = self.days();
                    let later = days.firsts.values().copied().find(|d| *d >= day);
                    later.and_then(|day| days.envs.get(&day).cloned())
                };
                // Older than the oldest row that is left: that is the beginning, or trimmed.
                if stamp <= base.stamp {
                    let before = Position(base.next.0.saturating_sub(1));
                    return Ok(if is_backward { before } else { Position::FIRST });
                }
                let found = match &env {
                    Some(env) => first_at_or_after(env, stamp)?,
                    None => None,
                };
                // Without one, every row of that day and all days before is lower.
                let (first, row) = match found {
                    Some(found) => found,
                    None => {
                        let next = self.after_whole(self.first_after_day(day))?;
                        return Ok(backward_or(next, is_backward));
                    }
                };
                if row.elected.stamp() == stamp && offset < row.elected.meta.count {
                    return Ok(first.plus(offset));
                }
                let next = if row.elected.stamp() == stamp {
                    first.plus(row.elected.meta.count)
                } else {
                    self.after_whole(first)?
                };
                Ok(backward_or(next, is_backward))
            }
        }
    }

    /// `next`, unless the row before it is damaged: it may be that one that was looked for.
    fn after_whole(&self, next: Position) -> Result<Position, StoreError> {
        if next > self.base().next {
            self.rows_from(Position(next.0.saturating_sub(1)), 1)?;
        }
        Ok(next)
    }

    /// Position of the first row after a day; the end of the order when there is none.
    fn first_after_day(&self, day: UtcDay) -> Position {
        let days = self.days();
        let later = days.firsts.iter().find(|(_, other)| **other > day);
        later.map_or(days.head.next, |(first, _)| *first)
    }
}

/// The message at `next`, or the one before it.
pub(in crate::store) const fn backward_or(next: Position, is_backward: bool) -> Position {
    if is_backward { Position(next.0.saturating_sub(1)) } else { next }
}

/// The bytes are those that the meta names. They are a copy: what LMDB lends may change afterwards.
pub(in crate::store) fn check(bytes: &Bytes, meta: &SegmentMeta) -> Result<(), StoreError> {
    let is_whole = bytes.len() as u64 == u64::from(meta.bytes);
    if is_whole && Digest::of(&[bytes]) == meta.digest {
        Ok(())
    } else {
        Err(StoreError::Damaged(meta.id))
    }
}

/// Rows of one day from the one that holds `position` on, without a gap; stops before a damaged
/// one. None when the first is damaged.
pub(in crate::store) fn rows_of_day(
    env: &Arc<DayEnv>,
    position: Position,
    limit: usize,
) -> Result<Vec<(Position, OrderRow)>, StoreError> {
    let txn = env.read()?;
    let mut rows: Vec<(Position, OrderRow)> = Vec::new();
    let Some((first, row)) = env.last_row_upto(&txn, position)? else { return Ok(rows) };
    let mut at = first.plus(row.elected.meta.count);
    // Not the row that was asked for: it is damaged, or the search was led astray.
    if at <= position || first > position {
        return Ok(rows);
    }
    rows.push((first, row));
    let key = position.0.to_be_bytes();
    let after = (Excluded(key.as_slice()), Unbounded);
    for item in env.order.range(&txn, &after)? {
        if rows.len() >= limit {
            break;
        }
        let (key, value) = item?;
        match DayEnv::order_row(key, value) {
            Ok((first, row)) if first == at => {
                at = first.plus(row.elected.meta.count);
                rows.push((first, row));
            }
            // A damaged key in the midst of another row hides nothing.
            Err(_) if key < at.0.to_be_bytes().as_slice() => {}
            Ok(_) | Err(_) => break,
        }
    }
    Ok(rows)
}

/// Whether a whole row of the day holds `position`.
pub(in crate::store) fn holds(env: &Arc<DayEnv>, position: Position) -> Result<bool, StoreError> {
    Ok(!rows_of_day(env, position, 1)?.is_empty())
}

/// The first row of a day whose stamp is not below `stamp`. Stamps rise with positions, so a search
/// by halves over the positions finds it without reading what lies between.
fn first_at_or_after(
    env: &Arc<DayEnv>,
    stamp: Stamp,
) -> Result<Option<(Position, OrderRow)>, StoreError> {
    let txn = env.read()?;
    let at_or_after = |position: u64| -> Result<Option<(Position, OrderRow)>, StoreError> {
        let key = position.to_be_bytes();
        let range = (Included(key.as_slice()), Unbounded);
        for item in env.order.range(&txn, &range)? {
            let (key, value) = item?;
            if let Ok(row) = DayEnv::order_row(key, value) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    };
    let (Some((low, _)), Some((high, _))) = (env.first_row(&txn)?, env.last_row(&txn)?) else {
        return Ok(None);
    };
    // All rows below `low` have lower stamps; the answer, if any, begins at or below `high`.
    let (mut low, mut high) = (low.0, high.0 + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match at_or_after(middle)? {
            // A search that is led astray may end before: on it goes nevertheless.
            Some((first, row)) if row.elected.stamp() < stamp => low = first.0.max(middle) + 1,
            Some(_) | None => high = middle,
        }
    }
    let found = at_or_after(low)?;
    Ok(found.filter(|(_, row)| row.elected.stamp() >= stamp))
}
