//! What is over: when it was, and for how long it is remembered.
//!
//! ```text
//!   over --- 60 s of the order's time, and 4,096 records: both have passed ---> forgotten, the oldest first
//! ```
//! By the time alone one leap of the clocks would forget what was over a moment ago, and a clock that stands
//! still would forget nothing: so records are counted as well, and there is a bound.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use vixen_core::id::Position;
use vixen_core::time::WallTime;

/// For how long ends and lives that are over are remembered at least, in milliseconds of the order's time: much
/// longer than a lease.
///
/// A record of a forgotten life that comes later still does nothing, but for LIFE: by that it is alive
/// again, until it is called gone again.
pub const KEPT_MS: u64 = 60_000;

/// And for how many records that are applied.
pub const KEPT_RECORDS: u64 = 4_096;

/// Most ends, and most lives that are over, that are remembered: the oldest are forgotten before the next record.
pub const KEPT_MAX: usize = 65_536;

/// When something was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment {
    /// Of the record by which it was.
    pub at: Position,
    /// The view's time there.
    pub time: WallTime,
    /// How many records the view had applied, this one included.
    pub records: u64,
}

/// How far the order has come, beside its positions. Neither falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) time: WallTime,
    pub(super) records: u64,
}

impl Clock {
    pub(super) const fn is_kept(&self, moment: &Moment) -> bool {
        self.time.millis_since(moment.time) <= KEPT_MS
            || self.records.saturating_sub(moment.records) < KEPT_RECORDS
    }
}

/// Names of what is over, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Aged<K> {
    by_age: BTreeSet<(Moment, K)>,
}

impl<K: Ord> Default for Aged<K> {
    fn default() -> Self {
        Self { by_age: BTreeSet::new() }
    }
}

impl<K: Ord> Aged<K> {
    pub(super) fn len(&self) -> usize {
        self.by_age.len()
    }

    pub(super) fn insert(&mut self, over: Moment, name: K) {
        self.by_age.insert((over, name));
    }

    pub(super) fn remove(&mut self, over: Moment, name: K) {
        self.by_age.remove(&(over, name));
    }

    /// The oldest, if it is to be forgotten.
    pub(super) fn pop(&mut self, clock: &Clock) -> Option<K> {
        let (oldest, _) = self.by_age.first()?;
        if self.by_age.len() <= KEPT_MAX && clock.is_kept(oldest) {
            return None;
        }
        self.by_age.pop_first().map(|(_over, name)| name)
    }

    /// Whether times and counts rise with positions, as they do in a view.
    pub(super) fn is_rising(&self) -> bool {
        let moments = || self.by_age.iter().map(|(over, _name)| over);
        moments().zip(moments().skip(1)).all(|(one, next)| {
            let is_one = one.at == next.at;
            one.time <= next.time
                && one.records <= next.records
                && is_one == (one.records == next.records)
                && (!is_one || one.time == next.time)
        })
    }
}
