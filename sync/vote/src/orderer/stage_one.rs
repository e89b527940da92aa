//! Stage one: eligible segments get a draft and a promise (rules 1, 2 and 6), and coordinators are
//! told.

use vixen_core::id::{Ballot, NdbId, SegmentId, SyncId};
use vixen_core::segment::SegmentMeta;
use vixen_core::time::WallTime;
use vixen_core::wire::{DraftAnswer, Message, VoteMessage};

use super::{After, Drop, Effects, Orderer, Pick};

impl Orderer {
    /// An ndb node has the segment on disk.
    pub(super) fn on_generate_draft(
        &mut self,
        now: WallTime,
        from: NdbId,
        meta: SegmentMeta,
        fx: &mut Effects,
    ) {
        let segment = meta.id;
        if self.is_elected(segment) {
            self.answer_late(now, from, segment, fx);
            return;
        }
        let mut is_known = self.acceptor.hear_of(meta, false);
        let stored = self.eligibility.count(from, meta);
        let has_group = |vote: &crate::VoteState| vote.group.is_some();
        let is_stored = self.rules.is_durable(stored, self.members().write_quorum());
        if is_stored && !self.acceptor.vote(segment).is_some_and(has_group) {
            is_known = self.takes_content(meta);
            if is_known {
                self.acceptor.count_group(segment, from.group);
            }
        }
        if !is_known {
            fx.dropped.push(Drop::Conflict);
        }
        if self.acceptor.vote(segment).is_some_and(has_group) {
            self.arm(now, segment);
            self.hold_back(now, segment);
        }
        self.draft_from(now, segment, fx);
    }

    /// A draft is asked for of an elected segment: normal while others are quicker, worth an
    /// answer when the node seems to have missed the outcome.
    fn answer_late(&self, now: WallTime, from: NdbId, segment: SegmentId, fx: &mut Effects) {
        fx.dropped.push(Drop::Late);
        if self.owners.has_missed(now, segment) {
            fx.answers.push((from, segment, DraftAnswer::Elected));
        }
    }

    /// Rule 1: W durable votes of one group, and the segment before it drafted or elected here.
    pub(super) fn is_eligible(&self, segment: SegmentId) -> bool {
        let has_group = self.acceptor.vote(segment).is_some_and(|vote| vote.group.is_some());
        has_group
            && segment.previous().is_none_or(|previous| {
                self.is_elected(previous)
                    || self.acceptor.vote(previous).is_some_and(|vote| vote.draft.is_some())
            })
    }

    /// Drafts the segment if it is eligible, and then its successors, which may have waited for it.
    pub(super) fn draft_from(&mut self, now: WallTime, first: SegmentId, fx: &mut Effects) {
        let mut segment = first;
        while self.try_draft(now, segment, fx) {
            segment = segment.next();
        }
    }

    fn try_draft(&mut self, now: WallTime, segment: SegmentId, fx: &mut Effects) -> bool {
        if !self.is_eligible(segment) {
            return false;
        }
        let Some(vote) = self.acceptor.vote(segment) else { return false };
        let asked = self.acceptor.asked(segment).unwrap_or_default();
        let acting = self.acting_ballot(segment.owner);
        let home = self.members().coordinator(segment.owner, Ballot(0));
        if acting == Ballot(0)
            && home == self.options.id
            && self.rules.may_propose_fast(vote, asked)
        {
            return self.propose_fast(now, segment, fx);
        }
        let is_settled = vote.draft.is_some() || vote.promised > Ballot(0);
        if is_settled || self.hedges.is_held(segment) {
            return false;
        }
        let ballot = asked.max(acting);
        fx.writes.extend(self.acceptor.promise(now, segment, ballot));
        let leader = self.members().coordinator(segment.owner, ballot);
        if ballot > Ballot(0) && leader == self.options.id {
            // Others may not know yet that the nodes before are absent.
            fx.ballots_started += 1;
            self.send_prepare(segment, ballot, fx);
        }
        self.send_pick(now, segment, ballot, fx);
        true
    }

    /// Asks all others to promise a ballot of this node, which it has promised itself.
    pub(super) fn send_prepare(&self, segment: SegmentId, ballot: Ballot, fx: &mut Effects) {
        let Some(vote) = self.acceptor.vote(segment) else { return };
        let message = Message::Vote(VoteMessage::Prepare { meta: vote.meta, ballot });
        self.say_to_all(&message, After::Vote(segment), fx);
    }

    /// Says this node's pick to the coordinator of `ballot`, or takes it itself.
    pub(super) fn send_pick(
        &mut self,
        now: WallTime,
        segment: SegmentId,
        ballot: Ballot,
        fx: &mut Effects,
    ) {
        let Some(meta) = self.acceptor.vote(segment).map(|vote| vote.meta) else { return };
        let Some(pick) = self.acceptor.pick(segment) else { return };
        let to = self.members().coordinator(segment.owner, ballot);
        if to == self.options.id {
            self.on_pick_challenger(now, to, meta, ballot, pick, fx);
            return;
        }
        self.say(to, pick_message(meta, ballot, pick), After::Vote(segment), fx);
    }

    /// The acceptor's half of a take-over: promise, and answer with the draft (made now if there is
    /// none) and what was accepted.
    pub(super) fn on_prepare(
        &mut self,
        now: WallTime,
        from: SyncId,
        meta: SegmentMeta,
        ballot: Ballot,
        fx: &mut Effects,
    ) {
        let segment = meta.id;
        if self.members().coordinator(segment.owner, ballot) != from {
            fx.dropped.push(Drop::NotCoordinator);
            return;
        }
        if self.is_elected(segment) {
            // Who prepares does not know: its feeds and digests do, but it asks now.
            fx.catch_ups.push((from, segment.owner, segment.seq.before()));
            return;
        }
        if !self.takes(meta, fx) {
            return;
        }
        let promised = self.promised(segment);
        if !self.rules.may_promise(promised, ballot) {
            self.reject(from, segment, promised, fx);
            return;
        }
        // Not eligible here yet: the answer comes with the draft, which nothing holds back any more.
        self.acceptor.ask(segment, ballot);
        self.release(now, segment);
        if !self.is_eligible(segment) {
            return;
        }
        fx.writes.extend(self.acceptor.promise(now, segment, ballot));
        self.send_pick(now, segment, ballot, fx);
        if ballot > promised {
            // One that only repeats its ballot may have no stamp to propose: it holds nobody up.
            self.postpone(now, segment);
        }
        self.draft_from(now, segment.next(), fx);
    }

    /// What this node has promised of a segment; 0 where it knows nothing of it.
    pub(super) fn promised(&self, segment: SegmentId) -> Ballot {
        self.acceptor.vote(segment).map_or(Ballot(0), |vote| vote.promised)
    }

    /// Refuses the ballot of a coordinator: a higher one is promised.
    pub(super) fn reject(
        &self,
        from: SyncId,
        segment: SegmentId,
        promised: Ballot,
        fx: &mut Effects,
    ) {
        fx.dropped.push(Drop::StaleBallot);
        let message = Message::Vote(VoteMessage::Reject { segment, promised });
        self.say(from, message, After::Vote(segment), fx);
    }

    /// The coordinator's half: a node has promised a ballot of this one.
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
            self.presence.pass_over(now, from);
        }
        if !self.takes(meta, fx) {
            return;
        }
        if !self.coordinator.collect(meta.id, ballot, from, pick) {
            fx.dropped.push(Drop::StaleBallot);
            return;
        }
        self.try_propose(now, meta.id, fx);
    }

    /// A ballot of this node is lost. Who holds the higher one drives it, and this node votes in
    /// that; if nobody does, the next attempt here goes above it.
    pub(super) fn on_reject(
        &mut self,
        now: WallTime,
        segment: SegmentId,
        promised: Ballot,
        fx: &mut Effects,
    ) {
        if self.acceptor.vote(segment).is_some() {
            self.coordinator.refuse(segment, promised);
            fx.dropped.push(Drop::StaleBallot);
            // Nothing is elected in the fast round any more, and a quorum of others may do.
            self.coordinator.hurry(segment);
            self.try_propose(now, segment, fx);
        }
    }
}

/// A pick, as it travels.
pub(super) const fn pick_message(meta: SegmentMeta, ballot: Ballot, pick: Pick) -> Message {
    let Pick { draft, group, accepted, fast } = pick;
    Message::Vote(match fast {
        Some(challenger) => VoteMessage::VoteFast { meta, ballot, challenger },
        None => VoteMessage::PickChallenger { meta, ballot, draft, group, accepted },
    })
}
