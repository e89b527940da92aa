//! Bound: how far ahead of wall time a stamp may be (rule 8).
//!
//! ```text
//!            wall time            wall time + ahead       order's clock        reach
//! ---------------|------------------------|---------------------|---------------|------> stamps
//!                     admitted always         admitted while the order is ahead
//! ```
//! The *order's clock* is the highest stamp that a quorum's clocks are known to have passed: the
//! newest elected one, or what is known of peers' clocks. Nothing can be elected below it any more,
//! so wall time bounds nothing where it is ahead. Stamps go on from there then, and no quicker than
//! time passes: the *reach* begins at the order's clock, runs with wall time, and is never more
//! than `ahead` before it. So one node whose clock is wrong, or runs too fast, cannot make the
//! order's lead over wall time grow (`docs/design/011-the-orders-clock.md`).
//!
//! Nothing here touches safety: what is not admitted is as good as lost.

use std::collections::BTreeMap;

use vixen_core::id::{Stamp, SyncId};
use vixen_core::time::WallTime;

use super::rules::GoesBy;

/// Longest time that counts as passed between two looks: wall time may have been set meanwhile.
const PASSED_MS_MAX: u64 = 1_000;

/// See the module doc.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bound {
    rules: GoesBy,
    ahead_ms_max: u64,
    quorum: usize,
    /// The newest stamp known elected.
    elected: Stamp,
    /// The order's clock.
    order: Stamp,
    /// What is known of peers' clocks that are far ahead.
    clocks: BTreeMap<SyncId, Stamp>,
    /// Zero while the order is not ahead.
    reach: WallTime,
    /// When that was.
    looked_at: WallTime,
}

impl Bound {
    /// A node that knows nothing newer than `elected` to be elected.
    pub(super) const fn new(
        rules: GoesBy,
        ahead_ms_max: u64,
        quorum: usize,
        elected: Stamp,
    ) -> Self {
        Self {
            rules,
            ahead_ms_max,
            quorum,
            elected,
            order: elected,
            clocks: BTreeMap::new(),
            reach: WallTime(0),
            looked_at: WallTime(0),
        }
    }

    /// A stamp is elected.
    pub(super) fn elect(&mut self, stamp: Stamp) {
        self.elected = self.elected.max(stamp);
        self.order = self.order.max(stamp);
    }

    /// A peer's clock is at `clock`, durably, and never falls.
    pub(super) fn hear(&mut self, peer: SyncId, clock: Stamp) {
        let known = self.clocks.entry(peer).or_default();
        *known = clock.max(*known);
    }

    /// Whether a stamp may be used and accepted by a node whose own clock is at `own`.
    pub(super) fn admits(&mut self, now: WallTime, own: Stamp, stamp: Stamp) -> bool {
        let is_ahead = self.is_ahead(now, stamp);
        if is_ahead {
            self.look(now, own);
        }
        self.rules.admits(is_ahead, stamp.wall_time() <= self.reach)
    }

    /// Whether a stamp, or a clock, is further ahead of wall time than one node's word allows.
    pub(super) const fn is_ahead(&self, now: WallTime, stamp: Stamp) -> bool {
        stamp.wall_time().millis_since(now) > self.ahead_ms_max
    }

    /// Whether a stamp was admitted at the last look, for the status page.
    pub(super) fn seems_admitted(&self, now: WallTime, stamp: Stamp) -> bool {
        !self.is_ahead(now, stamp) || stamp.wall_time() <= self.reach
    }

    /// The newest stamp known elected.
    pub(super) const fn elected(&self) -> Stamp {
        self.elected
    }

    /// Brings the reach up to now.
    fn look(&mut self, now: WallTime, own: Stamp) {
        self.order = self.order.max(self.passed_by_quorum(own));
        let passed_ms = now.millis_since(self.looked_at).min(PASSED_MS_MAX);
        self.looked_at = now;
        let order = self.order.wall_time();
        self.reach = if !self.is_ahead(now, self.order) {
            WallTime(0)
        } else {
            self.rules.reach(order, self.reach, passed_ms, self.ahead_ms_max)
        };
    }

    /// The highest stamp that the clocks of a quorum are at or above, as far as is known.
    fn passed_by_quorum(&self, own: Stamp) -> Stamp {
        let mut clocks: Vec<Stamp> = self.clocks.values().copied().chain([own]).collect();
        clocks.sort_unstable_by(|a, b| b.cmp(a));
        clocks.get(self.quorum.saturating_sub(1)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Proven;
    use vixen_core::id::Lane;

    const PROVEN: GoesBy = GoesBy(&Proven);
    const NOW: WallTime = WallTime(1_800_000_000_000);
    const AHEAD_MS: u64 = 10_000;
    const HOUR_MS: u64 = 3_600_000;

    fn at(ms: u64) -> Stamp {
        Stamp::at(NOW.plus_millis(ms), Lane::new(2).expect("a lane"))
    }

    fn bound() -> Bound {
        Bound::new(PROVEN, AHEAD_MS, 2, Stamp::ZERO)
    }

    #[test]
    fn one_node_moves_nothing_beyond_the_bound() {
        let mut bound = bound();
        assert!(bound.admits(NOW, Stamp::ZERO, at(AHEAD_MS)));
        assert!(!bound.admits(NOW, Stamp::ZERO, at(AHEAD_MS + 1)));
        // Whether its own clock is ahead, or a peer's.
        assert!(!bound.admits(NOW, at(HOUR_MS), at(HOUR_MS)));
        bound.hear(SyncId(2), at(2 * HOUR_MS));
        assert!(!bound.admits(NOW, Stamp::ZERO, at(HOUR_MS)));
    }

    #[test]
    fn an_order_that_is_ahead_goes_on_as_fast_as_time() {
        let mut bound = bound();
        bound.elect(at(HOUR_MS));
        assert!(bound.admits(NOW, Stamp::ZERO, Stamp(at(HOUR_MS).0 + 64)));
        assert!(!bound.admits(NOW, Stamp::ZERO, at(HOUR_MS + 1)));
        assert!(bound.admits(NOW.plus_millis(7), Stamp::ZERO, at(HOUR_MS + 7)));
        assert!(!bound.admits(NOW.plus_millis(7), Stamp::ZERO, at(HOUR_MS + 8)));
    }

    #[test]
    fn whoever_is_elected_as_far_as_possible_does_not_add_to_the_lead() {
        let mut bound = bound();
        bound.elect(at(HOUR_MS));
        let mut now = NOW;
        for _ in 0..100 {
            now = now.plus_millis(3);
            let order = bound.elected().wall_time();
            let furthest = (0..AHEAD_MS + 1)
                .rev()
                .map(|ms| Stamp::at(order.plus_millis(ms), Lane::new(3).expect("a lane")))
                .find(|stamp| bound.admits(now, Stamp::ZERO, *stamp));
            let furthest = furthest.expect("the order goes on");
            bound.elect(furthest);
            assert!(furthest.wall_time().millis_since(now) <= HOUR_MS);
        }
    }

    #[test]
    fn a_lead_that_has_shrunk_does_not_come_back() {
        let mut bound = bound();
        bound.elect(at(HOUR_MS));
        let mut now = NOW;
        // Elected at the order's clock, again and again, while time catches up.
        for _ in 0..3_000 {
            now = now.plus_millis(1_000);
            assert!(bound.admits(now, Stamp::ZERO, Stamp(at(HOUR_MS).0 + 64)));
        }
        assert!(!bound.admits(now, Stamp::ZERO, at(HOUR_MS + AHEAD_MS + 1)));
        // And once it has caught up, the bound is that of wall time again.
        let now = NOW.plus_millis(HOUR_MS - AHEAD_MS);
        assert!(!bound.admits(now, Stamp::ZERO, at(HOUR_MS + 1)));
    }

    #[test]
    fn a_quorum_of_clocks_is_the_orders_clock_though_nothing_is_elected() {
        let mut bound = bound();
        bound.hear(SyncId(1), at(2 * HOUR_MS));
        assert!(!bound.admits(NOW, Stamp::ZERO, at(HOUR_MS)));
        bound.hear(SyncId(2), at(HOUR_MS));
        assert!(bound.admits(NOW, Stamp::ZERO, at(HOUR_MS)), "any quorum has one of them");
        assert!(!bound.admits(NOW, Stamp::ZERO, at(HOUR_MS + 1)));
        let mut alone = Bound::new(PROVEN, AHEAD_MS, 1, Stamp::ZERO);
        assert!(alone.admits(NOW, at(HOUR_MS), at(HOUR_MS)));
    }

    #[test]
    fn wall_time_that_is_set_forward_counts_for_a_second() {
        let mut bound = bound();
        bound.elect(at(HOUR_MS));
        assert!(bound.admits(NOW, Stamp::ZERO, at(HOUR_MS)));
        let set = NOW.plus_millis(600_000);
        assert!(bound.admits(set, Stamp::ZERO, at(HOUR_MS + PASSED_MS_MAX)));
        assert!(!bound.admits(set, Stamp::ZERO, at(HOUR_MS + PASSED_MS_MAX + 1)));
    }
}
