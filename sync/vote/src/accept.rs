//! Stage two: accepting, counting votes, and what follows from an election (rules 5 and 7).

use vixen_core::id::SyncId;
use vixen_core::segment::{Elected, Proposal};
use vixen_core::time::WallTime;
use vixen_core::wire::Message;

use super::state::NodeSet;
use super::{Drop, Effects, Votes};

impl Votes {
    pub(super) fn on_elect_segment(
        &mut self,
        now: WallTime,
        from: SyncId,
        proposal: Proposal,
        fx: &mut Effects,
    ) {
        let segment = proposal.meta.id;
        if self.members().coordinator(segment.owner, proposal.ballot) != from {
            fx.dropped.push(Drop::NotCoordinator);
            return;
        }
        // Whoever proposes has accepted, durably: its clock is there.
        if self.is_wild_of(now, from, proposal.challenger.stamp) {
            fx.dropped.push(Drop::WildClock);
            self.presence.suspect_wild(now, from);
            // It is a vote nevertheless: a quorum elects whatever this node thinks of it.
            self.on_vote(now, from, proposal, fx);
            return;
        }
        if self.is_late(now, from, segment, fx) {
            return;
        }
        let rules = self.rules;
        let Some(pending) = self.pending_of(proposal.meta, fx) else { return };
        let promised = pending.vote.promised;
        if !rules.may_accept(promised, proposal.ballot) {
            fx.dropped.push(Drop::StaleBallot);
            fx.sends.push((from, Message::Reject { segment, promised }));
            return;
        }
        if pending.vote.has_accepted_at(proposal.ballot) {
            // A repeat: the coordinator may have missed the vote.
            fx.sends.push((from, Message::Vote { proposal }));
        } else if !self.offer(now, proposal) {
            self.accept_and_tell(now, proposal, fx);
        }
        self.on_vote(now, from, proposal, fx);
    }

    /// Accepts, tells all, and counts its own vote.
    pub(super) fn accept_and_tell(&mut self, now: WallTime, proposal: Proposal, fx: &mut Effects) {
        self.accept(proposal, fx);
        self.postpone(now, proposal.meta.id);
        for peer in self.members().sync_peers(self.options.id) {
            fx.sends.push((peer, Message::Vote { proposal }));
        }
        self.on_vote(now, self.options.id, proposal, fx);
    }

    pub(super) fn on_vote(
        &mut self,
        now: WallTime,
        from: SyncId,
        proposal: Proposal,
        fx: &mut Effects,
    ) {
        let (rules, quorum) = (self.rules, self.quorum());
        if self.is_late(now, from, proposal.meta.id, fx) {
            return;
        }
        self.note_clock(now, from, proposal.challenger.stamp);
        let Some(pending) = self.pending_of(proposal.meta, fx) else { return };
        let fresh = (NodeSet::default(), proposal.challenger);
        let (voters, challenger) = pending.votes.entry(proposal.ballot).or_insert(fresh);
        if *challenger != proposal.challenger {
            fx.dropped.push(Drop::Conflict);
            return;
        }
        voters.insert(from.0);
        if rules.elects(voters.len(), quorum) {
            let elected = Elected { meta: proposal.meta, challenger: proposal.challenger };
            self.elect(now, elected, fx);
        }
    }

    pub(super) fn on_resolved(&mut self, now: WallTime, elected: Elected, fx: &mut Effects) {
        if self.is_elected(elected.meta.id) {
            fx.dropped.push(Drop::Late);
            return;
        }
        self.elect(now, elected, fx);
    }

    /// Notes the outcome, and goes on with the owner's next segment, which may have waited for it.
    fn elect(&mut self, now: WallTime, elected: Elected, fx: &mut Effects) {
        let segment = elected.meta.id;
        if let Some(pending) = self.pending.remove(&segment) {
            if let Some(draft) = pending.vote.draft {
                self.drafts.remove(&draft);
            }
            if let Some(hedge) = pending.hedge {
                self.hedges.settled(now, segment, &hedge);
                fx.waited.push((segment, now.millis_since(hedge.since)));
            }
        }
        self.unsettled.remove(&segment);
        self.clock.raise(elected.stamp());
        self.bound.elect(elected.stamp());
        let owner = self.owners.entry(segment.owner).or_default();
        owner.elect(segment.seq, elected.stamp());
        owner.elected_at = now;
        fx.elected.push((elected, owner.row));
        self.draft_from(now, segment.next(), fx);
        self.try_propose(now, segment.next(), fx);
        self.revive(now, segment.next());
    }
}
