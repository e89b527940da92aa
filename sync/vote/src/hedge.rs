//! Hedge: when a pending segment has waited for long enough that this node does something.
//!
//! ```text
//! W durable votes here     1 hedge            rank hedges         doubling, up to a second
//! ------|---------------------|--------------------|-------------------|------------->
//!     since        reserves step in (rule 6)   take over          and again
//! ```
//! The hedge delay is four times the measured time from W durable votes to the election, 10 to
//! 50 ms. A node's rank is the number of present nodes before it in the ring that begins at the
//! owner's home, so nodes come one after the other, not all at once. Whatever moves the segment on
//! starts the delay anew.

use std::collections::BTreeSet;

use vixen_core::id::SegmentId;
use vixen_core::segment::Proposal;
use vixen_core::time::WallTime;

use super::Votes;

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

/// All clocks by time, and the pace of elections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Hedges {
    by_time: BTreeSet<(WallTime, SegmentId)>,
    /// Smoothed milliseconds from W durable votes to the election, times eight.
    pace_ms_x8: u64,
}

impl Hedges {
    pub(super) fn hedge_ms(&self) -> u64 {
        (self.pace_ms_x8 / 2).clamp(HEDGE_MS_MIN, HEDGE_MS_MAX)
    }

    pub(super) fn remove(&mut self, segment: SegmentId, hedge: &Hedge) {
        self.by_time.remove(&(hedge.due, segment));
    }

    /// The segment is elected.
    pub(super) fn settled(&mut self, now: WallTime, segment: SegmentId, hedge: &Hedge) {
        self.remove(segment, hedge);
        let took = now.millis_since(hedge.since).min(HEDGE_MS_MAX);
        self.pace_ms_x8 = self.pace_ms_x8 - self.pace_ms_x8 / 8 + took;
    }
}

/// What is left until `due`. Nothing, when that is further off than any pause: wall time was
/// turned back.
const fn remaining_ms(due: WallTime, now: WallTime) -> u64 {
    let millis = due.millis_since(now);
    if millis > DELAY_MS_MAX { 0 } else { millis }
}

impl Votes {
    /// Milliseconds until [`Votes::overdue`] has a segment; `None` while nothing is pending.
    #[must_use]
    pub fn due_in_ms(&self, now: WallTime) -> Option<u64> {
        let (first, _) = self.hedges.by_time.first()?;
        let (last, _) = self.hedges.by_time.last()?;
        Some(remaining_ms(*first, now).min(remaining_ms(*last, now)))
    }

    /// A segment that has waited long enough: give [`Input::Overdue`](super::Input::Overdue).
    #[must_use]
    pub fn overdue(&self, now: WallTime) -> Option<SegmentId> {
        // Those that were set before wall time was turned back come last.
        let ends = [self.hedges.by_time.first()?, self.hedges.by_time.last()?];
        let (_, segment) = ends.into_iter().find(|(due, _)| remaining_ms(*due, now) == 0)?;
        Some(*segment)
    }

    /// Starts the clock of a segment, if it does not run.
    pub(super) fn arm(&mut self, now: WallTime, segment: SegmentId) {
        if self.pending.get(&segment).is_none_or(|pending| pending.hedge.is_some()) {
            return;
        }
        let due = now.plus_millis(self.patience_ms(segment, 0));
        let hedge = Hedge { since: now, due, attempts: 0, is_held: false, offer: None };
        self.set_hedge(segment, hedge);
    }

    /// Starts the delay anew: something moved the segment on.
    pub(super) fn postpone(&mut self, now: WallTime, segment: SegmentId) {
        let hedge = self.pending.get(&segment).and_then(|pending| pending.hedge);
        if let Some(hedge) = hedge.filter(|hedge| !hedge.is_held) {
            let due = now.plus_millis(self.patience_ms(segment, hedge.attempts));
            self.set_hedge(segment, Hedge { due, ..hedge });
        }
    }

    pub(super) fn set_hedge(&mut self, segment: SegmentId, hedge: Hedge) {
        let Some(pending) = self.pending.get_mut(&segment) else { return };
        if let Some(before) = pending.hedge.replace(hedge) {
            self.hedges.remove(segment, &before);
        }
        self.hedges.by_time.insert((hedge.due, segment));
    }

    /// How long this node waits before it takes over a segment, after `attempts` of its own.
    pub(super) fn patience_ms(&self, segment: SegmentId, attempts: u8) -> u64 {
        let rank = u64::try_from(self.rank(segment.owner)).unwrap_or(u64::MAX).max(1);
        let once = self.hedges.hedge_ms().saturating_mul(rank);
        (once << attempts.min(DOUBLINGS_MAX)).min(DELAY_MS_MAX)
    }
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
        for _ in 0..100 {
            hedges.settled(WallTime(6), segment, &hedge);
        }
        let at_six = hedges.hedge_ms();
        assert!((20..=24).contains(&at_six), "four times six, smoothed: {at_six}");
        for _ in 0..100 {
            hedges.settled(WallTime(700), segment, &hedge);
        }
        assert_eq!(hedges.hedge_ms(), HEDGE_MS_MAX);
        for _ in 0..30 {
            hedges.settled(WallTime(2), segment, &hedge);
        }
        assert!(hedges.hedge_ms() < 15, "a stall is soon forgotten: {}", hedges.hedge_ms());
    }
}
