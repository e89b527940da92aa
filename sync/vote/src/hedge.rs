//! Hedge: when a pending segment has waited for long enough that this node does something.
//!
//! ```text
//! W durable votes here     1 hedge            rank hedges         doubling, up to a second
//! ------|---------------------|--------------------|-------------------|------------->
//!     since        who held back steps in      take over          and again
//! ```
//! Who steps in has drafted, and gives whoever leads a hedge delay more before it takes over.
//! The hedge delay is four times the measured time from W durable votes to the election, 10 to
//! 50 ms. A node's rank is the number of present nodes before it in the ring that begins at the
//! owner's home, so nodes come one after the other, not all at once. Whatever moves the segment on
//! starts the delay anew.

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::SegmentId;
use vixen_core::segment::Proposal;
use vixen_core::time::WallTime;

const HEDGE_MS_MIN: u64 = 10;
const HEDGE_MS_MAX: u64 = 50;
/// Longest pause between attempts at one segment.
const DELAY_MS_MAX: u64 = 1_000;
/// Doublings after which the pause has reached its maximum in any case.
const DOUBLINGS_MAX: u8 = 7;

/// One pending segment's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Hedge {
    /// When W durable votes, or a proposal, came.
    pub(super) since: WallTime,
    pub(super) due: WallTime,
    /// Ballots started here without success.
    pub(super) attempts: u8,
    /// Left to its first quorum; see `reserve`.
    pub(super) is_held: bool,
    /// The proposal to accept if this node, a reserve, must step in.
    pub(super) offer: Option<Proposal>,
}

/// All clocks, and the pace of elections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Hedges {
    clocks: BTreeMap<SegmentId, Hedge>,
    by_time: BTreeSet<(WallTime, SegmentId)>,
    /// Smoothed milliseconds from W durable votes to the election, times eight.
    pace_ms_x8: u64,
}

impl Hedges {
    pub(super) fn hedge_ms(&self) -> u64 {
        (self.pace_ms_x8 / 2).clamp(HEDGE_MS_MIN, HEDGE_MS_MAX)
    }

    /// The clock of a segment, if it runs.
    pub(super) fn get(&self, segment: SegmentId) -> Option<Hedge> {
        self.clocks.get(&segment).copied()
    }

    /// Whether the segment is left to its first quorum.
    pub(super) fn is_held(&self, segment: SegmentId) -> bool {
        self.get(segment).is_some_and(|hedge| hedge.is_held)
    }

    /// Clocks of segments that are not left to others.
    pub(super) fn driven(&self) -> Vec<(SegmentId, Hedge)> {
        let driven = self.clocks.iter().filter(|(_, hedge)| !hedge.is_held);
        driven.map(|(segment, hedge)| (*segment, *hedge)).collect()
    }

    /// Sets the clock of a pending segment.
    pub(super) fn set(&mut self, segment: SegmentId, hedge: Hedge) {
        if let Some(before) = self.clocks.insert(segment, hedge) {
            self.by_time.remove(&(before.due, segment));
        }
        self.by_time.insert((hedge.due, segment));
    }

    /// The segment is pending no more.
    pub(super) fn remove(&mut self, segment: SegmentId) -> Option<Hedge> {
        let hedge = self.clocks.remove(&segment)?;
        self.by_time.remove(&(hedge.due, segment));
        Some(hedge)
    }

    /// The segment is elected; its clock, if that ran.
    pub(super) fn elected(&mut self, now: WallTime, segment: SegmentId) -> Option<Hedge> {
        let hedge = self.remove(segment)?;
        let took = now.millis_since(hedge.since).min(HEDGE_MS_MAX);
        self.pace_ms_x8 = self.pace_ms_x8 - self.pace_ms_x8 / 8 + took;
        Some(hedge)
    }

    /// Milliseconds until [`overdue`](Self::overdue) has a segment.
    pub(super) fn due_in_ms(&self, now: WallTime) -> Option<u64> {
        let (first, _) = self.by_time.first()?;
        let (last, _) = self.by_time.last()?;
        Some(remaining_ms(*first, now).min(remaining_ms(*last, now)))
    }

    /// A segment whose clock has gone off.
    pub(super) fn overdue(&self, now: WallTime) -> Option<SegmentId> {
        // Those that were set before wall time was turned back come last.
        let ends = [self.by_time.first()?, self.by_time.last()?];
        let (_, segment) = ends.into_iter().find(|(due, _)| remaining_ms(*due, now) == 0)?;
        Some(*segment)
    }
}

/// How long a node waits that has `rank` present nodes before it, after `attempts` of its own.
pub(super) fn patience_ms(hedge_ms: u64, rank: usize, attempts: u8) -> u64 {
    let rank = u64::try_from(rank).unwrap_or(u64::MAX).max(1);
    let once = hedge_ms.saturating_mul(rank);
    (once << attempts.min(DOUBLINGS_MAX)).min(DELAY_MS_MAX)
}

/// What is left until `due`. Nothing, when that is further off than any pause: wall time was
/// turned back.
const fn remaining_ms(due: WallTime, now: WallTime) -> u64 {
    let millis = due.millis_since(now);
    if millis > DELAY_MS_MAX { 0 } else { millis }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_further_off_than_any_is_over_at_once() {
        assert_eq!(remaining_ms(WallTime(1_020), WallTime(1_000)), 20);
        assert_eq!(remaining_ms(WallTime(900), WallTime(1_000)), 0);
        assert_eq!(remaining_ms(WallTime(90_000), WallTime(1_000)), 0);
    }

    #[test]
    fn the_hedge_delay_follows_the_pace_within_its_bounds() {
        let mut hedges = Hedges::default();
        assert_eq!(hedges.hedge_ms(), HEDGE_MS_MIN);
        let segment = SegmentId {
            owner: vixen_core::id::OwnerId(uuid::Uuid::from_u128(1)),
            seq: vixen_core::id::Seq(1),
        };
        let hedge = Hedge {
            since: WallTime(0),
            due: WallTime(10),
            attempts: 0,
            is_held: false,
            offer: None,
        };
        let elected = |hedges: &mut Hedges, at: u64| {
            hedges.set(segment, hedge);
            hedges.elected(WallTime(at), segment);
        };
        for _ in 0..100 {
            elected(&mut hedges, 6);
        }
        let at_six = hedges.hedge_ms();
        assert!((20..=24).contains(&at_six), "four times six, smoothed: {at_six}");
        for _ in 0..100 {
            elected(&mut hedges, 700);
        }
        assert_eq!(hedges.hedge_ms(), HEDGE_MS_MAX);
        for _ in 0..30 {
            elected(&mut hedges, 2);
        }
        assert!(hedges.hedge_ms() < 15, "a stall is soon forgotten: {}", hedges.hedge_ms());
    }
}
