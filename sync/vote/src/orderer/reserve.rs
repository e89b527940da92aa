//! Reserves: who is not needed for a quorum waits a little before spending a disk sync.
//!
//! While all are present, every node leaves a segment to its home, which asks for it in the fast round. What
//! follows is about the ballots, where somebody is absent.
//!
//! An owner's *first quorum* is its home and the q−1 members after it. While all of that quorum is
//! present and this node is not of it, it leaves drafting and accepting to them, and learns the
//! outcome from their votes: one commit in three less, in a cluster of three. It steps in when a
//! segment has waited for longer than the hedge delay, and at once for owners whose first quorum
//! is not all there. A promise or an acceptance that is made later, or never, is always allowed
//! (`docs/design/004-reserves.md`), so this is a matter of pace, not of safety.

use vixen_core::id::{Ballot, OwnerId, SegmentId, SyncId};
use vixen_core::segment::Proposal;
use vixen_core::time::WallTime;

use crate::hedge::Hedge;

use super::{Effects, Orderer};

impl Orderer {
    /// Whether the owner's first quorum is all present here and does without this node.
    #[must_use]
    pub fn is_reserve_of(&self, owner: OwnerId) -> bool {
        self.first_quorum(owner).all(|id| id != self.options.id && self.presence.is_present(id))
    }

    pub(super) fn first_quorum(&self, owner: OwnerId) -> impl Iterator<Item = SyncId> {
        self.members().ring(owner).take(self.quorum())
    }

    /// Leaves the draft of a segment that W ndb nodes have to its home, or its first quorum, if there is one.
    pub(super) fn hold_back(&mut self, now: WallTime, segment: SegmentId) {
        let is_open = self
            .acceptor
            .vote(segment)
            .is_some_and(|vote| vote.draft.is_none() && vote.promised == Ballot(0))
            && self.acceptor.asked(segment).is_none();
        if is_open && self.leaves_to_others(segment.owner) {
            self.hold(now, segment, None);
        }
    }

    /// Whether others draft, or ask for it, before this node does.
    pub(super) fn leaves_to_others(&self, owner: OwnerId) -> bool {
        self.is_led_fast(owner) || self.is_reserve_of(owner)
    }

    fn hold(&mut self, now: WallTime, segment: SegmentId, offer: Option<Proposal>) {
        self.arm(now, segment);
        let Some(hedge) = self.hedges.get(segment) else { return };
        if hedge.is_held {
            self.hedges.set(segment, Hedge { offer: offer.or(hedge.offer), ..hedge });
        } else {
            let due = now.plus_millis(self.hedges.hedge_ms());
            self.hedges.set(segment, Hedge { due, is_held: true, offer, ..hedge });
        }
    }

    /// Ends the holding back; what was offered. Whoever leads now has a hedge delay to answer in.
    pub(super) fn release(&mut self, now: WallTime, segment: SegmentId) -> Option<Proposal> {
        let hedge = self.hedges.get(segment).filter(|hedge| hedge.is_held)?;
        let patience = hedge.since.plus_millis(self.patience_ms(segment, 0));
        let due = patience.max(now.plus_millis(self.hedges.hedge_ms()));
        self.hedges.set(segment, Hedge { due, is_held: false, offer: None, ..hedge });
        hedge.offer
    }

    /// Leaves a proposal to the first quorum; `false` when this node must accept it now.
    pub(super) fn offer(&mut self, now: WallTime, proposal: Proposal) -> bool {
        let segment = proposal.meta.id;
        let is_open = self.acceptor.vote(segment).is_some_and(|vote| vote.draft.is_none());
        if proposal.ballot != Ballot(0) || !is_open || !self.is_reserve_of(segment.owner) {
            self.release(now, segment);
            return false;
        }
        self.hold(now, segment, Some(proposal));
        true
    }

    /// Does what a reserve had left to others.
    pub(super) fn step_in(&mut self, now: WallTime, segment: SegmentId, fx: &mut Effects) {
        let offer = self.release(now, segment);
        self.draft_from(now, segment, fx);
        let Some(proposal) = offer else { return };
        let vote = self.acceptor.vote(segment);
        let may_accept =
            vote.is_some_and(|vote| self.rules.may_accept(vote.promised, proposal.ballot));
        if may_accept {
            self.accept_and_tell(now, proposal, fx);
        }
    }

    /// Passes over those to whom the segment was left, the home or the first quorum, and who have said nothing
    /// since it came.
    pub(super) fn suspect_awaited(&mut self, now: WallTime, segment: SegmentId, since: WallTime) {
        let awaited = if self.is_led_fast(segment.owner) { 1 } else { self.quorum() };
        let ring = self.members().ring(segment.owner).take(awaited);
        let silent: Vec<SyncId> = ring.filter(|id| self.presence.is_silent(*id, since)).collect();
        for peer in silent {
            self.presence.suspect(now, peer, since);
        }
    }
}
