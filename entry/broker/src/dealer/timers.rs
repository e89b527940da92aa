//! Timers: when calls are given up.
//!
//! Invariant J5: a timeout fires once, and not before its time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// One timer a call, by the number of the call.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(Instant, u64)>,
    of: BTreeMap<u64, Instant>,
}

impl Timers {
    /// Sets the timer of a call; one before it is no more.
    pub(super) fn set(&mut self, number: u64, at: Instant) {
        self.cancel(number);
        self.due.insert((at, number));
        self.of.insert(number, at);
    }

    /// The call has no timer any more.
    pub(super) fn cancel(&mut self, number: u64) {
        if let Some(at) = self.of.remove(&number) {
            self.due.remove(&(at, number));
        }
    }

    /// When the first is due.
    pub(super) fn first(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The first call whose time has come; its timer is no more.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<u64> {
        let (at, number) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.cancel(number);
        Some(number)
    }

    /// The calls that have one.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        assert_eq!(self.due.len(), self.of.len(), "J5: a timer in both books");
        self.of.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Each call fires at its last time or not at all, whatever is set and cancelled between.
        #[test]
        fn a_timeout_fires_once_and_not_before_its_time(
            acts in prop::collection::vec((0_u64..8, 0_u64..40, 0_u8..3), 1..80),
        ) {
            let begin = Instant::now();
            let at = |ms: u64| begin + Duration::from_millis(ms);
            let (mut timers, mut wanted) = (Timers::default(), BTreeMap::new());
            for (now, (number, ms, act)) in acts.into_iter().enumerate() {
                let now = u64::try_from(now).expect("few");
                match act {
                    0 => {
                        timers.cancel(number);
                        wanted.remove(&number);
                    }
                    1 => {
                        timers.set(number, at(now + ms));
                        wanted.insert(number, now + ms);
                    }
                    _ => {
                        while let Some(fired) = timers.take_due(at(now)) {
                            let due = wanted.remove(&fired);
                            prop_assert!(due.is_some_and(|due| due <= now), "{fired}: {due:?} at {now}");
                        }
                        prop_assert!(wanted.values().all(|due| *due > now));
                    }
                }
                prop_assert_eq!(timers.first(), wanted.values().min().map(|ms| at(*ms)));
                prop_assert!(timers.numbers().eq(wanted.keys().copied()));
            }
        }
    }
}
