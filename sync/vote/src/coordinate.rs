//! Stage one at the coordinator: picks become a challenger (rules 3 and 4).

use vixen_core::id::{Ballot, SegmentId, Stamp, SyncId};
use vixen_core::segment::{Challenger, Proposal, SegmentMeta};
use vixen_core::time::WallTime;
use vixen_core::wire::Message;

use super::state::Write;
use super::{Drop, Effects, Pick, Votes};

impl Votes {
    pub(super) fn on_pick_challenger(
        &mut self,
        now: WallTime,
        from: SyncId,
        meta: SegmentMeta,
        ballot: Ballot,
        pick: Pick,
        fx: &mut Effects,
    ) {
        // Who says it to a node that does not lead the ballot asks for the outcome.
        if self.is_late(now, from, meta.id, fx) {
            return;
        }
        if self.members().coordinator(meta.id.owner, ballot) != self.options.id {
            fx.dropped.push(Drop::NotCoordinator);
            return;
        }
        if from != self.options.id && self.is_wild_of(now, from, pick.highest()) {
            // Kept, not used: it may be all that there is (rule 8).
            fx.dropped.push(Drop::WildClock);
            self.presence.suspect_wild(now, from);
        }
        let Some(pending) = self.pending_of(meta, fx) else { return };
        if ballot < pending.picking {
            fx.dropped.push(Drop::StaleBallot);
            return;
        }
        if ballot > pending.picking {
            pending.picking = ballot;
            pending.picks.clear();
        }
        // A node drafts once and keeps it, so a repeat says the same or, with `accepted`, more.
        pending.picks.insert(from, pick);
        self.try_propose(now, meta.id, fx);
    }

    /// Proposes once a quorum of picks and the floor are known, if it has not yet. Accepts the
    /// proposal in the same step, so that its row is durable before ELECT_SEGMENT leaves (rule 3).
    pub(super) fn try_propose(
        &mut self,
        now: WallTime,
        segment: SegmentId,
        fx: &mut Effects,
    ) -> bool {
        let quorum = self.quorum();
        let Some(pending) = self.pending.get(&segment) else { return false };
        let ballot = pending.picking;
        if pending.picks.len() < quorum || !self.rules.may_propose(&pending.vote, ballot) {
            return false;
        }
        let Some(floor) = self.floor_of(segment) else { return false };
        let meta = pending.vote.meta;
        let mut picks: Vec<Pick> = pending.picks.values().copied().collect();
        picks.retain(|pick| !self.is_wild(pick.highest(), now));
        if picks.len() < quorum {
            return false;
        }
        let challenger = match self.rules.adopted(&picks) {
            Some(challenger) => challenger,
            None => self.challenge(now, picks, floor),
        };
        if self.is_wild(challenger.stamp, now) {
            fx.dropped.push(Drop::WildClock);
            return false;
        }
        let proposal = Proposal { meta, ballot, challenger };
        for peer in self.members().sync_peers(self.options.id) {
            fx.sends.push((peer, Message::ElectSegment { proposal }));
        }
        self.accept(proposal, fx);
        self.on_vote(now, self.options.id, proposal, fx);
        true
    }

    /// The stamp of the owner's previous segment, once it is known elected.
    pub(super) fn floor_of(&self, segment: SegmentId) -> Option<Stamp> {
        self.owners.get(&segment.owner).map_or_else(
            || (segment.previous().is_none()).then_some(Stamp::ZERO),
            |owner| owner.floor_of(segment.seq),
        )
    }

    /// Rule 4 where nothing was accepted before: the highest of the q lowest drafts, or, where
    /// that is not above the floor, a fresh stamp above the floor and those drafts. There are
    /// q picks or more.
    fn challenge(&mut self, now: WallTime, mut picks: Vec<Pick>, floor: Stamp) -> Challenger {
        let quorum = self.quorum();
        picks.sort_unstable_by_key(|pick| pick.draft);
        let drafted = self.rules.drafted(&picks, quorum);
        let stamp = if self.rules.clears(drafted.draft, floor) {
            drafted.draft
        } else {
            self.fresh(now, floor)
        };
        Challenger { stamp, group: drafted.group }
    }

    /// A stamp above this node's clock and the floor, that no other segment is given. One that is
    /// too far ahead will not be proposed, so the clock need not pass it.
    fn fresh(&mut self, now: WallTime, floor: Stamp) -> Stamp {
        let stamp = self.clock.next(now, floor);
        if !self.is_wild(stamp, now) {
            self.clock.raise(stamp);
        }
        stamp
    }

    /// Accepts a proposal into the row of its segment.
    pub(super) fn accept(&mut self, proposal: Proposal, fx: &mut Effects) {
        let Some(pending) = self.pending.get_mut(&proposal.meta.id) else { return };
        debug_assert!(pending.vote.promised <= proposal.ballot, "B1");
        pending.vote.promised = proposal.ballot;
        pending.vote.accepted = Some((proposal.ballot, proposal.challenger));
        pending.vote.count_as_proposed();
        fx.writes.push(Write::Vote(pending.vote));
        let clock = self.clock.value();
        self.clock.raise(self.rules.clock_after_accepting(clock, proposal.challenger.stamp));
    }
}
