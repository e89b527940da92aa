//! When a checkpoint is written, and by whom.

use std::time::{Duration, Instant};

use vixen_core::id::Digest;
use vixen_core::time::{UtcDay, WallTime};

use crate::record::Life;
use crate::registrations::Registrations;

/// Records since the last checkpoint, however small the view.
const RECORDS_MIN: usize = 4_096;
/// As many times the size of the view, where that is more: so writing costs less than what is written of.
const RECORDS_PER_SIZE: usize = 2;
/// Time of the order since the last checkpoint.
const AGE_MS: u64 = 6 * 3_600_000;
/// For each living life that comes before, until it is taken for one that does not write.
const STAGGER: Duration = Duration::from_millis(250);
/// Until one that was written and is not read is written again.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Due {
    /// Time of the last checkpoint, by the order.
    last: Option<WallTime>,
    /// Time of the order.
    time: WallTime,
    /// Applied since then.
    records: usize,
    /// When this entry writes, since one is due.
    writes_at: Option<Instant>,
    /// Time of the order when it wrote one that it has not read yet.
    written: Option<WallTime>,
}

impl Due {
    /// A whole checkpoint was read, whose last part has this time.
    pub(super) fn since(at: WallTime) -> Self {
        Self { last: Some(at), time: at, ..Self::default() }
    }

    /// The order has come so far.
    pub(super) fn at_least(&mut self, at: WallTime) {
        self.time = self.time.max(at);
    }

    /// A record was applied.
    pub(super) const fn applied(&mut self) {
        self.records += 1;
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.writes_at
    }

    fn is_due(&self, view: &Registrations) -> bool {
        let Some(last) = self.last else { return true };
        self.records >= RECORDS_MIN.max(RECORDS_PER_SIZE * view.size())
            || self.time.millis_since(last) >= AGE_MS
            || UtcDay::of(self.time) > UtcDay::of(last)
    }

    /// Whether this entry, which is ready, writes one now.
    pub(super) fn is_now(&mut self, now: Instant, own: Life, view: &Registrations) -> bool {
        if !self.is_due(view) {
            self.writes_at = None;
            return false;
        }
        let rank = || rank(own, self.last, view);
        let at = *self.writes_at.get_or_insert_with(|| now + STAGGER * rank());
        if now < at {
            return false;
        }
        self.writes_at = Some(now + PATIENCE);
        // While the order stands still, what was written waits for its place.
        let patience_ms = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
        let is_under_way =
            self.written.is_some_and(|written| self.time.millis_since(written) < patience_ms);
        if !is_under_way {
            self.written = Some(self.time);
        }
        !is_under_way
    }
}

/// How many living lives come before: by rendezvous hash, another order each time.
fn rank(own: Life, last: Option<WallTime>, view: &Registrations) -> u32 {
    let last = last.unwrap_or_default().0.to_le_bytes();
    let weight = |life: Life| (Digest::of(&[&last, life.owner.0.as_bytes()]), life);
    let before = view.lives().filter(|living| weight(living.life) < weight(own));
    u32::try_from(before.count()).unwrap_or(u32::MAX)
}
