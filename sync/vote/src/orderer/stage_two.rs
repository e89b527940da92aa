//! Stage two: proposing, accepting, counting votes, and what follows from an election (rules 3, 4, 5
//! and 7).

use vixen_core::id::{SegmentId, Stamp, SyncId};
use vixen_core::segment::{Challenger, Elected, Proposal, SegmentMeta};
use vixen_core::tally::NodeSet;
use vixen_core::time::WallTime;
use vixen_core::wire::{Message, VoteMessage};

use crate::coordinator::Choice;
use crate::effects::Election;
use crate::learner::Counted;

use super::{After, Drop, Effects, Orderer, Pick};

impl Orderer {
    /// Proposes once a quorum of picks and the floor are known, if it has not yet. ELECT_SEGMENT leaves once
    /// a promise of the ballot is durable, made before: who starts again with it does not use the ballot (rule 3).
    /// Where picks came that nobody asked for, there may be none; then it leaves once the acceptance is
    /// durable, as the vote of this node does.
    pub(super) fn try_propose(
        &mut self,
        now: WallTime,
        segment: SegmentId,
        fx: &mut Effects,
    ) -> bool {
        let quorum = self.quorum();
        let Some(vote) = self.acceptor.vote(segment) else { return false };
        let Some(round) = self.coordinator.round(segment) else { return false };
        let recovered = self.acceptor.recovered(segment);
        if round.picks.len() < quorum
            || !self.rules.may_propose(vote, round.ballot)
            || !self.rules.may_use(round.ballot, recovered)
            || self.waits_for_all(segment)
        {
            return false;
        }
        let Some(floor) = self.owners.floor_of(segment) else { return false };
        let (meta, ballot) = (vote.meta, round.ballot);
        let is_promised = self.rules.is_promised(vote, ballot);
        let mut picks: Vec<Pick> = round.picks.values().copied().collect();
        picks.retain(|pick| !self.is_wild(pick.highest(), now));
        if picks.len() < quorum {
            return false;
        }
        let challenger = match self.coordinator.choose(picks, quorum, floor) {
            Choice::Value(challenger) => challenger,
            Choice::Fresh(group) => Challenger { stamp: self.fresh(now, floor), group },
        };
        if self.is_wild(challenger.stamp, now) {
            fx.dropped.push(Drop::WildClock);
            return false;
        }
        let proposal = Proposal { meta, ballot, challenger };
        let message = Message::Vote(VoteMessage::ElectSegment { proposal });
        let after = if is_promised { After::Promise(segment) } else { After::Vote(segment) };
        self.say_to_all(&message, after, fx);
        fx.writes.extend(self.acceptor.accept(&proposal));
        self.say_to_all(&Message::Vote(VoteMessage::Vote { proposal }), After::Vote(segment), fx);
        self.tell_accepted(segment, fx);
        self.on_vote(now, self.options.id, proposal, fx);
        true
    }

    /// A stamp above this node's clock and the floor, that no other segment is given. One that is
    /// too far ahead will not be proposed, so the clock need not pass it.
    pub(super) fn fresh(&mut self, now: WallTime, floor: Stamp) -> Stamp {
        let stamp = self.acceptor.next_stamp(now, floor);
        if !self.is_wild(stamp, now) {
            self.acceptor.see(stamp);
        }
        stamp
    }

    /// A coordinator's proposal.
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
        // Whoever proposes has a ceiling above the stamp, durably.
        if self.is_wild_of(now, from, proposal.challenger.stamp) {
            fx.dropped.push(Drop::WildClock);
            self.presence.pass_over(now, from);
            return;
        }
        if self.is_late(now, from, segment, fx) || !self.takes(proposal.meta, fx) {
            return;
        }
        let promised = self.promised(segment);
        if !self.rules.may_accept(promised, proposal.ballot) {
            self.reject(from, segment, promised, fx);
            return;
        }
        let accepted = self.acceptor.vote(segment).and_then(|vote| vote.accepted);
        if let Some((_, challenger)) = accepted.filter(|(ballot, _)| *ballot == proposal.ballot) {
            if challenger != proposal.challenger {
                fx.dropped.push(Drop::Conflict);
                return;
            }
            // A repeat: the coordinator may have missed the vote.
            self.say(from, Message::Vote(VoteMessage::Vote { proposal }), After::Vote(segment), fx);
        } else if !self.offer(now, proposal) {
            self.accept_and_tell(now, proposal, fx);
        }
    }

    /// Accepts, tells all, and counts its own vote.
    pub(super) fn accept_and_tell(&mut self, now: WallTime, proposal: Proposal, fx: &mut Effects) {
        let segment = proposal.meta.id;
        fx.writes.extend(self.acceptor.accept(&proposal));
        self.postpone(now, segment);
        self.say_to_all(&Message::Vote(VoteMessage::Vote { proposal }), After::Vote(segment), fx);
        self.tell_accepted(segment, fx);
        self.on_vote(now, self.options.id, proposal, fx);
    }

    /// A node, or this one, has accepted.
    pub(super) fn on_vote(
        &mut self,
        now: WallTime,
        from: SyncId,
        proposal: Proposal,
        fx: &mut Effects,
    ) {
        let segment = proposal.meta.id;
        if self.is_late(now, from, segment, fx) {
            return;
        }
        self.note_clock(now, from, proposal.challenger.stamp);
        if !self.takes(proposal.meta, fx) {
            return;
        }
        if self.acceptor.asked(segment).is_some() {
            // Who proposed has counted W durable votes, and ndb nodes that have its place do not say it again.
            self.acceptor.take_group(segment, proposal.challenger.group);
            self.draft_from(now, segment, fx);
        }
        match self.learner.count(from, &proposal, self.quorum()) {
            Counted::Conflict => fx.dropped.push(Drop::Conflict),
            Counted::Waits => {}
            Counted::Elected(voters) => {
                self.elect_by(now, voters, proposal.meta, proposal.challenger, fx);
            }
        }
    }

    /// The votes of these nodes have elected.
    pub(super) fn elect_by(
        &mut self,
        now: WallTime,
        voters: NodeSet,
        meta: SegmentMeta,
        challenger: Challenger,
        fx: &mut Effects,
    ) {
        let is_voter = voters.contains(self.options.id.0);
        let after = if is_voter { After::Vote(meta.id) } else { After::Nothing };
        self.elect(now, Elected { meta, challenger }, after, fx);
    }

    /// A peer knows the outcome.
    pub(super) fn on_resolved(&mut self, now: WallTime, elected: Elected, fx: &mut Effects) {
        if self.is_elected(elected.meta.id) {
            fx.dropped.push(Drop::Late);
            return;
        }
        self.elect(now, elected, After::Nothing, fx);
    }

    /// Notes the outcome, and goes on with the owner's next segment, which may have waited for it.
    fn elect(&mut self, now: WallTime, elected: Elected, after: After, fx: &mut Effects) {
        let segment = elected.meta.id;
        self.acceptor.settle(segment);
        if let Some(hedge) = self.hedges.elected(now, segment) {
            fx.waited.push((segment, now.millis_since(hedge.since)));
        }
        self.forget(segment);
        self.follow_order(elected.stamp());
        let owner = self.owners.elect(now, &elected);
        fx.elected.push(Election { elected, owner, after });
        self.draft_from(now, segment.next(), fx);
        self.try_propose(now, segment.next(), fx);
        self.revive(now, segment.next());
    }

    /// The segment is pending no more, and its acceptor's row is gone: nobody collects anything for it.
    pub(super) fn forget(&mut self, segment: SegmentId) {
        self.coordinator.settle(segment);
        self.learner.settle(segment);
        self.eligibility.settle(segment);
    }
}
