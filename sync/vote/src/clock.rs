//! Clock: the highest stamp a node has seen or made, with a durable ceiling above it.
//!
//! ```text
//! stamps ----------|--------------------|------------>
//!                value               ceiling (on disk)
//! ```
//! Writing the clock with each stamp it sees would cost a commit; instead a ceiling somewhat
//! ahead is on disk before the value passes the old one. After a restart the value is the ceiling,
//! so every stamp made then is above all that was ever seen, made or promised before.
//!
//! Invariants:
//! - C1: `value` never falls, restarts included.
//! - C2: nothing that depends on `value` leaves before a ceiling at or above it is durable.

use vixen_core::id::{Lane, Stamp};
use vixen_core::time::WallTime;

/// How far ahead the ceiling is written: one small write each half second under load, and at most
/// this much of the future used up by a restart.
const CEILING_AHEAD_MS: u64 = 500;
/// How far beyond the value at least: where that is ahead of wall time, stamps rise by their
/// counters only, and restarts one after the other must not add up.
const CEILING_BEYOND_MS: u64 = 10;

/// See the module's drawing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Clock {
    lane: Lane,
    value: Stamp,
    ceiling: Stamp,
}

impl Clock {
    /// A clock that starts at the stored ceiling.
    pub(super) const fn new(lane: Lane, ceiling: Stamp) -> Self {
        Self { lane, value: ceiling, ceiling }
    }

    pub(super) const fn lane(&self) -> Lane {
        self.lane
    }

    pub(super) const fn value(&self) -> Stamp {
        self.value
    }

    /// Sees a stamp of another node.
    pub(super) fn raise(&mut self, seen: Stamp) {
        self.value = self.value.max(seen);
    }

    /// Makes the lowest stamp of this lane above the clock, above `floor`, and not below `now`.
    pub(super) fn make(&mut self, now: WallTime, floor: Stamp) -> Stamp {
        let made = self.next(now, floor);
        assert!(made > self.value, "C1");
        self.value = made;
        made
    }

    /// What [`make`](Self::make) would make.
    pub(super) fn next(&self, now: WallTime, floor: Stamp) -> Stamp {
        Stamp::next(self.lane, self.value.max(floor), now)
    }

    /// The new ceiling to write when the value has passed the old one; call it once a step.
    pub(super) fn take_ceiling(&mut self, now: WallTime) -> Option<Stamp> {
        if self.value <= self.ceiling {
            return None;
        }
        let beyond = self.value.wall_time().plus_millis(CEILING_BEYOND_MS);
        let ahead = Stamp::at(beyond.max(now.plus_millis(CEILING_AHEAD_MS)), self.lane);
        self.ceiling = ahead.max(self.value);
        assert!(self.ceiling >= self.value, "C2");
        Some(self.ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock::new(Lane::new(1).expect("lane"), Stamp::ZERO)
    }

    #[test]
    fn stamps_rise_even_when_wall_time_stands_still_or_falls() {
        let mut clock = clock();
        let now = WallTime(1_600_000_000_000);
        let first = clock.make(now, Stamp::ZERO);
        let second = clock.make(now, Stamp::ZERO);
        let third = clock.make(WallTime(now.0 - 5_000), Stamp::ZERO);
        assert!(first < second && second < third);
    }

    #[test]
    fn a_ceiling_is_due_exactly_when_the_value_passed_it() {
        let now = WallTime(1_600_000_000_000);
        let mut clock = clock();
        assert_eq!(clock.take_ceiling(now), None);
        let made = clock.make(now, Stamp::ZERO);
        let ceiling = clock.take_ceiling(now).expect("passed");
        assert!(ceiling > made);
        clock.raise(ceiling);
        assert_eq!(clock.take_ceiling(now), None);
        clock.raise(Stamp(ceiling.0 + 1));
        assert!(clock.take_ceiling(now).is_some());
    }

    #[test]
    fn restarts_one_after_the_other_use_up_little_of_the_future() {
        let now = WallTime(1_600_000_000_000);
        let mut clock = clock();
        for _ in 0..20 {
            let made = clock.make(now, Stamp::ZERO);
            let ceiling = clock.take_ceiling(now).unwrap_or(made);
            clock = Clock::new(Lane::new(1).expect("lane"), ceiling);
        }
        assert!(clock.value().wall_time().millis_since(now) <= 500 + 20 * CEILING_BEYOND_MS);
    }
}
