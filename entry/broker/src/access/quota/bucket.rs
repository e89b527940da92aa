//! Bucket: what may be had by the second, and for one second at once.
//!
//! Source: the virtual scheduling form of the generic cell rate algorithm, ITU-T I.371 (2004), Annex A.

use std::time::{Duration, Instant};

/// As much as so long allows may be had at once.
const BURST: Duration = Duration::from_secs(1);

/// The time up to which what was taken is paid; in the future while more was taken than allowed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    paid_until: Option<Instant>,
}

impl Bucket {
    /// How long nothing can be taken; `None` when something can.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let ahead = self.paid_until?.saturating_duration_since(now);
        (ahead >= BURST).then(|| (ahead - BURST).max(Duration::from_millis(1)))
    }

    /// Takes `amount`, of which `rate` are allowed a second.
    pub(super) fn take(&mut self, now: Instant, amount: u64, rate: u64) {
        // Rounded up: three thirds of a second are one, and no fourth passes.
        let nanos = (u128::from(amount) * 1_000_000_000).div_ceil(u128::from(rate.max(1)));
        // A century would be no time of a clock any more.
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX >> 3));
        let from = self.paid_until.map_or(now, |paid| paid.max(now));
        self.paid_until = Some(from.checked_add(cost).unwrap_or(from));
    }
}
