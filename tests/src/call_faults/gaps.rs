//! For how long nobody had a result.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Callers whose waits count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    pub(super) procedure: usize,
    /// They are at the entry that is struck.
    pub(super) is_at_struck: bool,
}

/// The longest times without a result, of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Longest {
    /// Of shared procedures, at the one where it was longest, for callers elsewhere than at the entry that is struck.
    pub(super) shared: Duration,
    /// Of procedures with one callee, likewise.
    pub(super) single: Duration,
    /// For callers at the entry that is struck, of any procedure.
    pub(super) at_struck: Option<Duration>,
}

/// Lane by lane.
#[derive(Clone, Debug)]
pub(super) struct Gaps {
    lanes: BTreeMap<Lane, (Instant, Duration)>,
}

impl Gaps {
    /// From now on.
    pub(super) fn new(now: Instant, lanes: impl Iterator<Item = Lane>) -> Self {
        Self { lanes: lanes.map(|lane| (lane, (now, Duration::ZERO))).collect() }
    }

    pub(super) fn result(&mut self, now: Instant, lane: Lane) {
        if let Some((last, longest)) = self.lanes.get_mut(&lane) {
            *longest = (*longest).max(now.saturating_duration_since(*last));
            *last = now;
        }
    }

    /// Up to now; the first `shared` procedures are shared.
    pub(super) fn close(&mut self, now: Instant, shared: usize) -> Longest {
        let mut all = Longest::default();
        for (lane, (last, longest)) in &mut self.lanes {
            *longest = (*longest).max(now.saturating_duration_since(*last));
            *last = now;
            if lane.is_at_struck {
                all.at_struck = all.at_struck.max(Some(*longest));
            } else if lane.procedure < shared {
                all.shared = all.shared.max(*longest);
            } else {
                all.single = all.single.max(*longest);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_reaches_from_one_result_to_the_next_and_to_the_end() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let lane = |procedure, is_at_struck| Lane { procedure, is_at_struck };
        let lanes = [lane(0, false), lane(1, false), lane(2, false), lane(0, true)];
        let mut gaps = Gaps::new(begun, lanes.into_iter());
        gaps.result(at(5), lane(0, false));
        gaps.result(at(20), lane(0, false));
        gaps.result(at(7), lane(1, false));
        gaps.result(at(39), lane(2, false));
        gaps.result(at(30), lane(0, true));
        gaps.result(at(31), lane(1, true));
        let longest = gaps.close(at(40), 1);
        let ms = Duration::from_millis;
        let wanted = Longest { shared: ms(20), single: ms(39), at_struck: Some(ms(30)) };
        assert_eq!(longest, wanted);
    }
}
