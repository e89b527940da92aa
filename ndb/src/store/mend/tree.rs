//! The tree of a day's order, where a key between its pages is damaged.
//!
//! All rows may be whole then, and stand in their order, and a search for some of them ends
//! elsewhere. The tree is written anew from them, which needs no peer.
//!
//! ```text
//!   [ 100 | 200 | 300 ]  ->  [ 100 | 712 | 300 ]      a search for 250 goes to the first page,
//!     |     |     |            |     |     |          one for 310 may go there as well
//! ```

use std::ops::Bound::{Included, Unbounded};

use heed::{AnyTls, RoTxn, WithoutTls};

use vixen_core::id::Position;

use crate::store::day::DayEnv;
use crate::store::{Store, StoreError};
use vixen_replica::OrderRow;

/// A day with more rows is not written anew: it would have to be held in memory.
const ROWS_MAX: usize = 4 << 20;

type Rows = Vec<(Position, Vec<u8>)>;

impl DayEnv {
    /// Whether searches around the row that begins at `position` end where they cannot.
    fn leads_astray(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        position: Position,
    ) -> Result<bool, StoreError> {
        let key = position.0.to_be_bytes();
        let key = key.as_slice();
        let from = (Included(key), Unbounded);
        let next = self.order.range(txn, &from)?.next().transpose()?;
        if next.is_some_and(|(found, _)| found < key) {
            return Ok(true);
        }
        let is_there = next.is_some_and(|(found, _)| found == key);
        if is_there && !self.finds_row(txn, position)? {
            return Ok(true);
        }
        let upto = (Unbounded, Included(key));
        let last = self.order.rev_range(txn, &upto)?.next().transpose()?;
        Ok(last.is_some_and(|(found, _)| found > key))
    }

    /// The rows of the day as they stand, one after another; `None` when not all are whole, in their
    /// order and chained, or there are too many.
    fn all_rows(&self, txn: &RoTxn<'_, AnyTls>) -> Result<Option<Rows>, StoreError> {
        let mut rows = Rows::new();
        let mut before: Option<(Position, OrderRow)> = None;
        for item in self.order.iter(txn)? {
            let (key, value) = item?;
            // A copy is verified and written: the page may change between two looks.
            let value = value.to_vec();
            let Ok((first, row)) = Self::order_row(key, &value) else { return Ok(None) };
            let follows = before.is_none_or(|(at, before)| {
                at.plus(before.elected.meta.count) == first
                    && OrderRow::chained(before.chain, row.elected).chain == row.chain
            });
            if !follows || rows.len() == ROWS_MAX {
                return Ok(None);
            }
            before = Some((first, row));
            rows.push((first, value));
        }
        Ok(Some(rows))
    }
}

impl Store {
    /// Whether searches around the row that begins at `position` end where they cannot.
    pub(in crate::store) fn leads_astray(&self, position: Position) -> Result<bool, StoreError> {
        let Some(env) = self.days().day_at(position).cloned() else { return Ok(false) };
        let txn = env.read()?;
        env.leads_astray(&txn, position)
    }

    /// Writes the order of the day of `position` anew, if all its rows are whole. Returns whether it
    /// did.
    ///
    /// # Errors
    /// When LMDB itself fails.
    pub(in crate::store) fn write_tree_anew(&self, position: Position) -> Result<bool, StoreError> {
        let Some(env) = self.days().day_at(position).cloned() else { return Ok(false) };
        env.write(&mut |env, txn| {
            let Some(rows) = env.all_rows(txn)? else { return Ok(false) };
            // Its pages go by where they were read: each of them had the rows that belong there.
            env.order.clear(txn)?;
            for (first, value) in rows {
                env.order.put(txn, &first.0.to_be_bytes(), &value)?;
            }
            Ok(true)
        })
    }
}
