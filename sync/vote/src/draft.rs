//! Stage one at every node: eligible segments get a draft (rules 1 and 2).

use vixen_core::id::{Ballot, NdbId, SegmentId};
use vixen_core::segment::SegmentMeta;
use vixen_core::time::WallTime;
use vixen_core::wire::Message;

use super::{Drop, Effects, Pick, Votes};

impl Votes {
    pub(super) fn on_generate_draft(
        &mut self,
        now: WallTime,
        from: NdbId,
        meta: SegmentMeta,
        fx: &mut Effects,
    ) {
        if self.is_elected(meta.id) {
            self.answer_late(now, from, meta.id, fx);
            return;
        }
        let write_quorum = self.members().write_quorum();
        let rules = self.rules;
        let pending = self.pending_of_any(meta);
        pending.store(from, meta, write_quorum, rules.0);
        if pending.vote.meta != meta {
            fx.dropped.push(Drop::Conflict);
        }
        if pending.vote.group.is_some() {
            self.arm(now, meta.id);
            self.hold_back(now, meta.id);
        }
        self.draft_from(now, meta.id, fx);
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
        let Some(pending) = self.pending.get(&segment) else { return false };
        let is_settled = pending.vote.draft.is_some() || pending.vote.promised > Ballot(0);
        if is_settled || self.is_held(segment) {
            return false;
        }
        let ballot = pending.asked.max(self.acting_ballot(segment.owner));
        self.promise(now, segment, ballot, fx);
        let leader = self.members().coordinator(segment.owner, ballot);
        if ballot > Ballot(0) && leader == self.options.id {
            // Others may not know yet that the nodes before are absent.
            fx.ballots_started += 1;
            self.send_prepare(segment, ballot, fx);
        }
        self.send_pick(now, segment, ballot, fx);
        true
    }

    /// Rule 1: W durable votes of one group, and the segment before it drafted or elected here.
    pub(super) fn is_eligible(&self, segment: SegmentId) -> bool {
        let has_group = self.pending.get(&segment).is_some_and(|p| p.vote.group.is_some());
        has_group
            && segment.previous().is_none_or(|previous| {
                self.is_elected(previous)
                    || self.pending.get(&previous).is_some_and(|p| p.vote.draft.is_some())
            })
    }

    /// Sends this node's stage-one reply to the coordinator of `ballot`, or takes it itself.
    pub(super) fn send_pick(
        &mut self,
        now: WallTime,
        segment: SegmentId,
        ballot: Ballot,
        fx: &mut Effects,
    ) {
        let Some(pending) = self.pending.get(&segment) else { return };
        let vote = pending.vote;
        let (Some(draft), Some(group)) = (vote.draft, vote.group) else { return };
        let to = self.members().coordinator(segment.owner, ballot);
        if to == self.options.id {
            let pick = Pick { draft, group, accepted: vote.accepted };
            self.on_pick_challenger(now, to, vote.meta, ballot, pick, fx);
            return;
        }
        let accepted = vote.accepted;
        let message = Message::PickChallenger { meta: vote.meta, ballot, draft, group, accepted };
        fx.sends.push((to, message));
    }
}
