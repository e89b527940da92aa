//! Reserves: who is not needed for a quorum waits a little before spending a disk sync.
//!
//! An owner's *first quorum* is its home and the q−1 members after it. While this node is linked to
//! all of that quorum and not of it, it leaves drafting and accepting to them, and learns the
//! outcome from their votes: one commit in three less, in a cluster of three. It steps in when a
//! segment has waited for longer than the hedge delay, and at once for owners whose first quorum
//! is not all there. A promise or an acceptance that is made later, or never, is always allowed
//! (`docs/design/004-reserves.md`), so this is a matter of pace, not of safety.

use std::collections::{BTreeMap, BTreeSet};

use vixen_common::id::{Ballot, OwnerId, SegmentId, SyncId};
use vixen_common::segment::Proposal;
use vixen_common::time::WallTime;

use super::home::home;
use super::{Effects, Votes};

/// Bounds of the hedge delay, which is four times the measured time to an election.
const HEDGE_MS_MIN: u64 = 10;
const HEDGE_MS_MAX: u64 = 50;

/// A segment that is left to its first quorum.
#[derive(Clone, Copy, Debug)]
struct Held {
    since: WallTime,
    until: WallTime,
    /// The proposal to accept if this node must step in.
    offer: Option<Proposal>,
}

/// What a node leaves to others for now, and whom it sees.
#[derive(Clone, Debug, Default)]
pub(super) struct Reserve {
    /// Peers with a link.
    pub(super) up: BTreeSet<SyncId>,
    held: BTreeMap<SegmentId, Held>,
    by_time: BTreeSet<(WallTime, SegmentId)>,
    /// Smoothed milliseconds from W durable votes to the election, times eight.
    pace_ms_x8: u64,
}

impl Reserve {
    pub(super) fn is_held(&self, segment: SegmentId) -> bool {
        self.held.contains_key(&segment)
    }

    pub(super) fn next_in_ms(&self, now: WallTime) -> Option<u64> {
        self.by_time.first().map(|(until, _)| remaining_ms(*until, now))
    }

    /// The segment is elected.
    pub(super) fn settled(&mut self, now: WallTime, segment: SegmentId) {
        if let Some(held) = self.release(segment) {
            let took = now.millis_since(held.since);
            self.pace_ms_x8 = self.pace_ms_x8 - self.pace_ms_x8 / 8 + took;
        }
    }

    fn hedge_ms(&self) -> u64 {
        (self.pace_ms_x8 / 2).clamp(HEDGE_MS_MIN, HEDGE_MS_MAX)
    }

    fn hold(&mut self, now: WallTime, segment: SegmentId) {
        if !self.held.contains_key(&segment) {
            let until = now.plus_millis(self.hedge_ms());
            self.held.insert(segment, Held { since: now, until, offer: None });
            self.by_time.insert((until, segment));
        }
    }

    fn release(&mut self, segment: SegmentId) -> Option<Held> {
        let held = self.held.remove(&segment)?;
        self.by_time.remove(&(held.until, segment));
        Some(held)
    }
}

/// What is left until `until`. Nothing, when that is further off than any hedge: wall time was
/// turned back.
const fn remaining_ms(until: WallTime, now: WallTime) -> u64 {
    let millis = until.millis_since(now);
    if millis > HEDGE_MS_MAX { 0 } else { millis }
}

impl Votes {
    /// Whether the owner's first quorum is all linked here and does without this node.
    #[must_use]
    pub fn is_reserve_of(&self, owner: OwnerId) -> bool {
        let members = &self.options.members;
        let at = members.iter().position(|id| *id == home(owner, members)).unwrap_or(0);
        let mut first = members.iter().cycle().skip(at).take(self.quorum());
        first.all(|id| *id != self.options.id && self.reserve.up.contains(id))
    }

    /// Leaves the draft of a segment that W ndb nodes have to its first quorum, if there is one.
    pub(super) fn hold_back(&mut self, now: WallTime, segment: SegmentId) {
        let is_open = self
            .pending
            .get(&segment)
            .is_some_and(|p| p.vote.draft.is_none() && p.vote.promised == Ballot(0));
        if is_open && !self.reserve.is_held(segment) && self.is_reserve_of(segment.owner) {
            self.reserve.hold(now, segment);
        }
    }

    /// Leaves a proposal to the first quorum; `false` when this node must accept it now.
    pub(super) fn offer(&mut self, now: WallTime, proposal: Proposal) -> bool {
        let segment = proposal.meta.id;
        let is_known = self.pending.get(&segment).is_some_and(|p| p.vote.draft.is_none());
        if proposal.ballot != Ballot(0) || !is_known || !self.is_reserve_of(segment.owner) {
            self.reserve.release(segment);
            return false;
        }
        self.reserve.hold(now, segment);
        if let Some(held) = self.reserve.held.get_mut(&segment) {
            held.offer = Some(proposal);
        }
        true
    }

    /// Steps in for segments whose time is over.
    pub(super) fn on_hedge(&mut self, now: WallTime, fx: &mut Effects) {
        while let Some((_, segment)) =
            self.reserve.by_time.first().copied().filter(|at| remaining_ms(at.0, now) == 0)
        {
            self.step_in(now, segment, fx);
        }
    }

    /// Steps in for all segments of owners whose first quorum is no longer all there.
    pub(super) fn on_peer_down(&mut self, now: WallTime, peer: SyncId, fx: &mut Effects) {
        self.reserve.up.remove(&peer);
        let held: Vec<SegmentId> = self.reserve.held.keys().copied().collect();
        for segment in held {
            if !self.is_reserve_of(segment.owner) {
                self.step_in(now, segment, fx);
            }
        }
    }

    fn step_in(&mut self, now: WallTime, segment: SegmentId, fx: &mut Effects) {
        let Some(held) = self.reserve.release(segment) else { return };
        self.draft_from(now, segment, fx);
        let Some(proposal) = held.offer else { return };
        let may_accept =
            self.pending.get(&segment).is_some_and(|p| p.vote.promised <= proposal.ballot);
        if may_accept {
            self.accept_and_tell(now, proposal, fx);
        }
    }
}
