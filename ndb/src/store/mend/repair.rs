//! Repair of damaged rows of the order, by those of a peer.

use std::time::{Duration, Instant};

use vixen_core::id::{Digest, Position};
use vixen_core::segment::{Blob, Elected};
use vixen_core::time::UtcDay;

use crate::store::day::DayEnv;
use crate::store::day::purge;
use crate::store::write::{Memory, index};
use crate::store::{Store, StoreError, read, row};
use vixen_replica::OrderRow;

/// A peer with more rows sends so many in one answer.
const ANSWER_ROWS: usize = 4_096;

/// Between two looks at the whole tree of a day, which may be large.
const TREE_LOOKS: Duration = Duration::from_secs(5);

impl Store {
    /// Mends the order where a peer has these rows from `first` on. Returns how many were written.
    ///
    /// # Errors
    /// As for [`repair_order`](Self::repair_order).
    pub(in crate::store) fn repair(
        &self,
        memory: &mut Memory,
        first: Position,
        rows: &[Elected],
    ) -> Result<usize, StoreError> {
        let repaired = self.repair_order(first, rows);
        if !matches!(repaired, Ok(0) | Err(StoreError::Misfit(_))) || !self.leads_astray(first)? {
            return repaired;
        }
        if memory.tree_seen_at.is_some_and(|at| at.elapsed() < TREE_LOOKS) {
            return repaired;
        }
        memory.tree_seen_at = Some(Instant::now());
        if self.write_tree_anew(first)? {
            tracing::warn!(position = %first, "the tree of the order led astray: written anew");
            return self.repair_order(first, rows);
        }
        repaired
    }

    /// Writes the rows that a peer has from `first` on, as far as this node's own are damaged:
    /// until one of its own fits behind, or its order ends. Returns how many were written.
    ///
    /// # Errors
    /// `Misfit` when the rows do not lead from the row before to the one behind: nothing is written.
    pub(in crate::store) fn repair_order(
        &self,
        first: Position,
        rows: &[Elected],
    ) -> Result<usize, StoreError> {
        let (base, head) = (self.base(), self.head());
        let mut chain = match self.row_before(first) {
            Ok(Some(row)) => row.chain,
            Ok(None) if first == base.next => base.chain,
            // The row before is damaged as well: that is to be mended first.
            Ok(None) | Err(StoreError::Order(_)) => return Err(StoreError::Misfit(first)),
            Err(error) => return Err(error),
        };
        let mut at = first;
        let mut written: Vec<(Position, OrderRow)> = Vec::new();
        let mut fits = false;
        for elected in rows {
            fits = at >= head.next || self.fits(at, chain)?;
            if fits {
                break;
            }
            let row = OrderRow::chained(chain, *elected);
            chain = row.chain;
            written.push((at, row));
            at = at.plus(elected.meta.count);
        }
        let ends = at == head.next && chain == head.chain;
        // What is longer than one answer is mended by several; only the last is known to fit.
        let is_part = rows.len() >= ANSWER_ROWS && at < head.next;
        if !(ends || is_part || (at < head.next && (fits || self.fits(at, chain)?))) {
            return Err(StoreError::Misfit(first));
        }
        let mut days: std::collections::BTreeMap<UtcDay, Vec<(Position, OrderRow)>> =
            std::collections::BTreeMap::new();
        for (at, row) in &written {
            let day = UtcDay::of(row.elected.stamp().wall_time());
            days.entry(day).or_default().push((*at, *row));
        }
        for (day, rows) in &days {
            let env = self.day(*day)?;
            env.write(&mut |env, txn| {
                remove_between(env, txn, rows)?;
                for (at, row) in rows {
                    let key = at.0.to_be_bytes();
                    env.order.put(txn, &key, &row::encode(&key, row)?)?;
                    self.index_repaired(env, txn, *at, row)?;
                }
                Ok(())
            })?;
        }
        for (day, rows) in &days {
            let Some((first, _)) = rows.first() else { continue };
            let mut known = self.days_mut();
            let begins = known.firsts.iter().find(|(_, of)| *of == day).map(|(first, _)| *first);
            if begins.is_none_or(|begins| *first < begins) {
                known.firsts.retain(|_, of| of != day);
                known.firsts.insert(*first, *day);
            }
        }
        Ok(written.len())
    }

    /// A row that was damaged while its day was indexed is in no index.
    fn index_repaired(
        &self,
        env: &DayEnv,
        txn: &mut heed::RwTxn<'_>,
        at: Position,
        row: &OrderRow,
    ) -> Result<(), StoreError> {
        let meta = row.elected.meta;
        if row.elected.challenger.group != self.group() {
            return Ok(());
        }
        let bytes = env.blob(txn, meta.id)?;
        match bytes.filter(|bytes| read::check(bytes, &meta).is_ok()) {
            Some(bytes) => index(env, txn, at, &Blob::from_bytes(bytes)),
            None if env.missing.get(txn, &meta.id.to_key())?.is_some() => Ok(()),
            None => env.mark_at_odds(txn),
        }
    }

    /// Whether this node's own row at `at` is whole, chained to `chain`, and where a search finds it.
    fn fits(&self, at: Position, chain: Digest) -> Result<bool, StoreError> {
        let is_whole = match self.rows_from(at, 1) {
            Ok(rows) => rows.first().is_some_and(|(first, row)| {
                *first == at && OrderRow::chained(chain, row.elected).chain == row.chain
            }),
            Err(StoreError::Order(_) | StoreError::Row { .. }) => false,
            Err(error) => return Err(error),
        };
        let Some(env) = self.days().day_at(at).cloned().filter(|_| is_whole) else {
            return Ok(false);
        };
        let txn = env.read()?;
        env.finds_row(&txn, at)
    }
}

/// Removes what stands where the rows are to be, and what is damaged around: keys that are damaged
/// stand anywhere.
fn remove_between(
    env: &DayEnv,
    txn: &mut heed::RwTxn<'_>,
    rows: &[(Position, OrderRow)],
) -> Result<(), StoreError> {
    let (Some((first, _)), Some((last, row))) = (rows.first(), rows.last()) else { return Ok(()) };
    let end = last.plus(row.elected.meta.count);
    let is_kept = |key: &[u8], value: &[u8]| {
        let row = DayEnv::order_row(key, value);
        row.is_ok_and(|(at, _)| !(*first..end).contains(&at))
    };
    purge(txn, env.order, (&first.0.to_be_bytes(), &end.0.to_be_bytes()), &is_kept)?;
    Ok(())
}
