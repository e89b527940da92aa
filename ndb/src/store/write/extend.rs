//! Days from before the order begins here, taken back from a peer that has kept them.
//!
//! ```text
//!            rows of a peer             own rows
//!   base' |------------------| base |------------...
//!         chained to base'     ^ and their chain leads to the first row here
//! ```
//! From new to old, so that what has come is whole at each moment. Days before the one with the base
//! are written first, and the base moves with the last transaction: after a crash in between the order
//! begins where it did, and rows before that are written again.

use std::collections::BTreeMap;
use std::sync::Arc;

use heed::RwTxn;

use vixen_core::id::Position;
use vixen_core::segment::{Blob, Elected};
use vixen_core::time::UtcDay;
use vixen_core::wire::OrderBase;

use crate::store::day::DayEnv;
use crate::store::write::index;
use crate::store::{Store, StoreError, read, row};
use vixen_replica::{Extended, Lost, OrderRow};

type Rows = Vec<(Position, OrderRow)>;

impl Store {
    /// Writes the rows of a peer that stand from `base` to where the order begins here.
    ///
    /// # Errors
    /// `Misfit` when they do not lead to it: nothing is written.
    pub(in crate::store) fn extend(
        &self,
        base: OrderBase,
        rows: &[Elected],
    ) -> Result<Extended, StoreError> {
        let by_day = self.fitting(base, rows)?;
        let mut lost = Vec::new();
        let last = self.holder_of_base()?;
        let last_day = last.as_ref().map(|env| env.day);
        let kept = match &last {
            Some(env) => env.read().and_then(|txn| env.kept_by_group(&txn))?,
            None => None,
        };
        let begin = |env: &DayEnv, txn: &mut RwTxn<'_>| {
            env.put_base(txn, base)?;
            // There may be more before.
            let more = kept.filter(|first| *first < base.next);
            more.map_or(Ok(()), |first| env.put_kept_by_group(txn, first))
        };
        let mut holder = None;
        for (day, rows) in by_day.iter().filter(|(day, _)| Some(**day) != last_day) {
            let env = self.day(*day)?;
            let is_holder = *holder.get_or_insert(*day) == *day;
            lost.extend(env.write(&mut |env, txn| {
                if is_holder {
                    begin(env, txn)?;
                }
                self.put_rows_before(env, txn, rows)
            })?);
        }
        if let Some(env) = &last {
            lost.extend(env.write(&mut |env, txn| {
                env.delete_base(txn)?;
                if holder.is_none() {
                    begin(env, txn)?;
                }
                by_day.get(&env.day).map_or(Ok(Vec::new()), |r| self.put_rows_before(env, txn, r))
            })?);
        }
        let mut days = self.days_mut();
        for (day, rows) in &by_day {
            let Some((first, _)) = rows.first() else { continue };
            days.firsts.retain(|_, of| of != day);
            days.firsts.insert(*first, *day);
        }
        days.base = base;
        Ok(Extended { base, rows: rows.len(), lost })
    }

    /// The day whose `meta` says where the order begins; it is written where none does.
    fn holder_of_base(&self) -> Result<Option<Arc<DayEnv>>, StoreError> {
        let base = self.base();
        let envs: Vec<_> = self.days().envs.values().cloned().collect();
        for env in envs {
            let found = env.read().and_then(|txn| env.base(&txn))?;
            if found.is_some_and(|found| found.next == base.next) {
                return Ok(Some(env));
            }
        }
        let first = self.days().day_at(base.next).cloned();
        if let Some(env) = &first {
            env.write(&mut |env, txn| env.put_base(txn, base))?;
        }
        Ok(first)
    }

    /// The rows, a day each, if they lead from `base` to where the order begins here.
    fn fitting(
        &self,
        base: OrderBase,
        rows: &[Elected],
    ) -> Result<BTreeMap<UtcDay, Rows>, StoreError> {
        let here = self.base();
        if base.next < Position::FIRST || rows.is_empty() {
            return Err(StoreError::Misfit(base.next));
        }
        let (mut at, mut chain, mut stamp) = (base.next, base.chain, base.stamp);
        let mut by_day: BTreeMap<UtcDay, Rows> = BTreeMap::new();
        for elected in rows {
            if elected.stamp() <= stamp {
                return Err(StoreError::Misfit(at));
            }
            let row = OrderRow::chained(chain, *elected);
            let day = UtcDay::of(elected.stamp().wall_time());
            by_day.entry(day).or_default().push((at, row));
            (at, chain, stamp) = (at.plus(elected.meta.count), row.chain, elected.stamp());
        }
        // A store may not know what its first row is chained to, and has that row.
        let own = self.rows_from(here.next, 1)?;
        let leads_here = match own.first() {
            Some((first, own)) if *first == here.next => {
                OrderRow::chained(chain, own.elected).chain == own.chain
                    && stamp < own.elected.stamp()
            }
            Some(_) | None => chain == here.chain,
        };
        if at == here.next && leads_here { Ok(by_day) } else { Err(StoreError::Misfit(at)) }
    }

    pub(in crate::store) fn put_rows_before(
        &self,
        env: &DayEnv,
        txn: &mut RwTxn<'_>,
        rows: &[(Position, OrderRow)],
    ) -> Result<Vec<Lost>, StoreError> {
        let mut lost = Vec::new();
        for (first, row) in rows {
            let at = first.0.to_be_bytes();
            env.order.put(txn, &at, &row::encode(&at, row)?)?;
            let meta = row.elected.meta;
            if row.elected.challenger.group != self.group() {
                continue;
            }
            let bytes = env.blob(txn, meta.id)?;
            if let Some(bytes) = bytes.filter(|bytes| read::check(bytes, &meta).is_ok()) {
                index(env, txn, *first, &Blob::from_bytes(bytes))?;
                continue;
            }
            let missing = Lost { meta, first: *first, stamp: row.elected.stamp() };
            let key = meta.id.to_key();
            env.missing.put(txn, &key, &row::encode(&key, &missing)?)?;
            lost.push(missing);
        }
        Ok(lost)
    }

    /// Peers of the group have the order from `first` on, and here it begins later.
    pub(in crate::store) fn note_kept_by_group(&self, first: Position) -> Result<(), StoreError> {
        if first >= self.base().next {
            return Ok(());
        }
        let holder = self.holder_of_base()?;
        holder.map_or(Ok(()), |env| env.write(&mut |env, txn| env.put_kept_by_group(txn, first)))
    }

    /// At most `limit` rows that end at `before`, and where the first begins; none when the order here
    /// does not reach below it, or no row ends there.
    ///
    /// # Errors
    /// When a row is damaged, or LMDB fails.
    pub(crate) fn order_before(
        &self,
        before: Position,
        limit: usize,
    ) -> Result<(OrderBase, Vec<Elected>), StoreError> {
        let own = self.base();
        let mut base = OrderBase { next: before, ..own };
        let mut rows = Vec::new();
        let mut row = self.row_before(before)?;
        while let Some(OrderRow { elected, .. }) = row.filter(|_| rows.len() < limit) {
            rows.push(elected);
            base.next = Position(base.next.0.saturating_sub(u64::from(elected.meta.count)));
            row = if base.next > own.next { self.row_before(base.next)? } else { None };
            (base.stamp, base.chain) =
                row.map_or((own.stamp, own.chain), |row| (row.elected.stamp(), row.chain));
        }
        rows.reverse();
        Ok((base, rows))
    }
}
