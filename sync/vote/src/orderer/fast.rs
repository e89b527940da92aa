//! The fast round: the home's value is elected as soon as all nodes have accepted it, and its proposal is at
//! once the PREPARE of ballot 0, the home's.
//!
//! ```text
//!   home       A         B
//!    |--FAST-->|         |      before anything is durable at the home
//!    |--FAST-->|-------->|
//!    | fsync   | fsync   | fsync
//!    |<--VOTE--|---VOTE->|      each to all: n votes elect
//! ```
//! A node that knows something of the segment, or of an election above the stamp, answers with its draft: then
//! nothing is elected here, and the home goes on with ballot 0 as soon as a quorum has answered. It does so
//! as well when a node that has not answered is absent, or is late (`docs/design/024-vote-v3.md`).

use vixen_core::id::{Ballot, OwnerId, SegmentId, SyncId};
use vixen_core::segment::{Challenger, SegmentMeta};
use vixen_core::time::WallTime;
use vixen_core::wire::{Message, VoteMessage};

use crate::hedge::Hedge;
use crate::learner::Counted;

use super::{After, Drop, Effects, Orderer, Pick};

/// Votes of the fast round beyond a quorum have at least so long: a sync of the disk is now and then a few
/// milliseconds late, and going on without one costs another.
const REST_MS_MIN: u64 = 5;

impl Orderer {
    /// Whether a node leaves the segments of an owner to its home: all are there, so the home proposes in the
    /// fast round, which a draft that nobody asked for would close.
    pub(super) fn is_led_fast(&self, owner: OwnerId) -> bool {
        self.members().home(owner) != self.options.id
            && self.presence.present() + 1 == self.members().sync().len()
    }

    /// Whether a node gathers the votes of a segment that were given with this ballot promised. The others only learn.
    #[must_use]
    pub fn gathers(&self, node: SyncId, owner: OwnerId, ballot: Ballot) -> bool {
        self.members().coordinator(owner, ballot) == node
    }

    /// The home's part, once the segment is eligible and its predecessor elected. `false` before.
    pub(super) fn propose_fast(
        &mut self,
        now: WallTime,
        segment: SegmentId,
        fx: &mut Effects,
    ) -> bool {
        let Some(floor) = self.owners.floor_of(segment) else { return false };
        let Some(vote) = self.acceptor.vote(segment) else { return false };
        let (meta, Some(group)) = (vote.meta, vote.group) else { return false };
        let stamp = self.fresh(now, floor);
        if self.is_wild(stamp, now) {
            // Others have drafts to give, if they are asked.
            fx.writes.extend(self.acceptor.promise(now, segment, Ballot(0)));
            self.send_prepare(segment, Ballot(0), fx);
            self.send_pick(now, segment, Ballot(0), fx);
            return true;
        }
        let challenger = Challenger { stamp, group };
        fx.writes.extend(self.acceptor.accept_fast(segment, challenger));
        self.send_fast(segment, fx);
        self.tell_fast(now, meta, challenger, fx);
        true
    }

    /// Says the home's value to all that have not answered. It may leave before it is durable here.
    pub(super) fn send_fast(&self, segment: SegmentId, fx: &mut Effects) {
        for peer in self.members().sync_peers(self.options.id) {
            self.send_fast_to(segment, peer, fx);
        }
    }

    /// The same to one of them.
    pub(super) fn send_fast_to(&self, segment: SegmentId, peer: SyncId, fx: &mut Effects) {
        let Some(vote) = self.acceptor.vote(segment) else { return };
        let is_home = self.members().home(segment.owner) == self.options.id;
        let is_open = vote.promised == Ballot(0) && vote.accepted.is_none();
        let Some(challenger) = vote.fast.filter(|_| is_home && is_open) else { return };
        if !self.coordinator.has_pick(segment, peer) {
            let message = VoteMessage::ProposeFast { meta: vote.meta, challenger };
            // The election before it may rest on this node's own vote.
            let after = segment.previous().map_or(After::Clock, After::Vote);
            self.say(peer, Message::Vote(message), after, fx);
        }
    }

    /// Tells all that this node has accepted in the fast round, and counts its own vote.
    fn tell_fast(
        &mut self,
        now: WallTime,
        meta: SegmentMeta,
        challenger: Challenger,
        fx: &mut Effects,
    ) {
        let ballot = self.promised(meta.id);
        let message = Message::Vote(VoteMessage::VoteFast { meta, ballot, challenger });
        self.say_to_all(&message, After::Vote(meta.id), fx);
        self.tell_accepted(meta.id, fx);
        self.on_vote_fast(now, (self.options.id, ballot), meta, challenger, fx);
    }

    /// The acceptor's part.
    pub(super) fn on_propose_fast(
        &mut self,
        now: WallTime,
        from: SyncId,
        meta: SegmentMeta,
        challenger: Challenger,
        fx: &mut Effects,
    ) {
        let segment = meta.id;
        if self.members().home(segment.owner) != from {
            fx.dropped.push(Drop::NotCoordinator);
            return;
        }
        if self.is_late(now, from, segment, fx) {
            return;
        }
        // The home's ceiling is above what it proposes.
        let is_wild = self.is_wild_of(now, from, challenger.stamp);
        if is_wild {
            fx.dropped.push(Drop::WildClock);
            self.presence.pass_over(now, from);
        }
        if !self.takes(meta, fx) {
            return;
        }
        let Some(vote) = self.acceptor.vote(segment) else { return };
        let (promised, has_draft) = (vote.promised, vote.draft.is_some());
        let is_accepted = !is_wild
            && self.rules.is_open(vote)
            && self.rules.may_draft(self.acceptor.floor(), challenger.stamp);
        if !is_accepted && !self.rules.may_promise(promised, Ballot(0)) {
            self.reject(from, segment, promised, fx);
            return;
        }
        self.arm(now, segment);
        self.release(now, segment);
        if is_accepted {
            fx.writes.extend(self.acceptor.accept_fast(segment, challenger));
            self.postpone(now, segment);
            self.tell_fast(now, meta, challenger, fx);
        } else {
            if !has_draft {
                self.postpone(now, segment);
            }
            // Who proposes has counted W durable votes.
            self.acceptor.take_group(segment, challenger.group);
            fx.writes.extend(self.acceptor.promise(now, segment, Ballot(0)));
            self.send_pick(now, segment, Ballot(0), fx);
        }
        self.draft_from(now, segment.next(), fx);
    }

    /// A node, or this one, has accepted in the fast round, and promised `ballot` since.
    pub(super) fn on_vote_fast(
        &mut self,
        now: WallTime,
        (from, ballot): (SyncId, Ballot),
        meta: SegmentMeta,
        challenger: Challenger,
        fx: &mut Effects,
    ) {
        let segment = meta.id;
        if self.is_late(now, from, segment, fx) {
            return;
        }
        if from != self.options.id && self.is_wild_of(now, from, challenger.stamp) {
            fx.dropped.push(Drop::WildClock);
            self.presence.pass_over(now, from);
        }
        if !self.takes(meta, fx) {
            return;
        }
        let leads = self.members().coordinator(segment.owner, ballot) == self.options.id;
        let Challenger { stamp, group } = challenger;
        let pick = Pick { draft: stamp, group, accepted: None, fast: Some(challenger) };
        if leads && !self.coordinator.collect(segment, ballot, from, pick) {
            fx.dropped.push(Drop::StaleBallot);
        }
        let members = self.members().sync().len();
        match self.learner.count_fast(from, meta, challenger, members) {
            Counted::Elected(voters) => {
                self.elect_by(now, voters, meta, challenger, fx);
            }
            Counted::Waits | Counted::Conflict => {
                if leads && !self.try_propose(now, segment, fx) {
                    self.expect_the_rest(now, segment);
                }
            }
        }
    }

    /// Whether the home leaves the segment to the fast round: all who have answered have accepted its value,
    /// and whoever has not is there, and not late.
    pub(super) fn waits_for_all(&self, segment: SegmentId) -> bool {
        let Some(vote) = self.acceptor.vote(segment) else { return false };
        let Some(value) = vote.fast.filter(|_| vote.promised == Ballot(0)) else { return false };
        self.members().home(segment.owner) == self.options.id
            && self.coordinator.may_be_unanimous(segment, value)
            && self.members().sync_peers(self.options.id).all(|peer| {
                self.coordinator.has_pick(segment, peer) || self.presence.is_present(peer)
            })
    }

    /// A quorum has accepted in the fast round: the others have as long again, not the whole delay. One slow
    /// disk of three is not what a publisher waits for.
    fn expect_the_rest(&mut self, now: WallTime, segment: SegmentId) {
        let picks = self.coordinator.picks(segment);
        let Some(hedge) = self.hedges.get(segment) else { return };
        if picks == self.quorum() && self.waits_for_all(segment) {
            let took_ms = now.millis_since(hedge.since);
            let due = now.plus_millis(took_ms.max(REST_MS_MIN)).min(hedge.due);
            self.hedges.set(segment, Hedge { due, ..hedge });
        }
    }

    /// The home has waited long enough for the votes of all: those that are missing are passed over for a
    /// while.
    pub(super) fn hurry(&mut self, now: WallTime, segment: SegmentId) {
        if self.waits_for_all(segment) {
            let others = self.members().sync_peers(self.options.id);
            let late: Vec<SyncId> =
                others.filter(|peer| !self.coordinator.has_pick(segment, *peer)).collect();
            // Its late vote is a word, and none that clears it.
            late.into_iter().for_each(|peer| self.presence.be_late(now, peer));
        }
        self.coordinator.hurry(segment);
    }
}
