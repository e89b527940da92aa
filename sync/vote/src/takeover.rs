//! Take-over: ballots above 0, when the home of an owner is dead, paused, slow or wild (rule 6).
//!
//! Who is absent when a segment becomes eligible is passed over at once: the *acting ballot* is the
//! lowest whose coordinator is present, and drafts are promised to it without being asked. So a
//! dead home costs no more than one PREPARE beside the drafts. Who falls silent under way is
//! overtaken when the hedge is over, by the present nodes in the order of the ring.
//!
//! Nothing here decides anything: any node may start any ballot of its own at any time, and the
//! value is safe by rules 4 and 5 (`docs/protocol.md`).

use vixen_core::id::{Ballot, OwnerId, SegmentId, Stamp, SyncId};
use vixen_core::segment::{Proposal, SegmentMeta};
use vixen_core::time::WallTime;
use vixen_core::wire::Message;

use super::hedge::Hedge;
use super::state::Write;
use super::{Drop, Effects, Votes};

impl Votes {
    /// Nodes before this one in the owner's ring that may act.
    pub(super) fn rank(&self, owner: OwnerId) -> usize {
        let is_enough = self.is_enough_present();
        self.members()
            .ring(owner)
            .take_while(|id| *id != self.options.id)
            .filter(|id| self.may_act(*id, is_enough))
            .count()
    }

    /// Whether a quorum is left without those that are absent. Where all are slow, say on a machine
    /// that is overloaded, everybody may suspect everybody: then who is linked counts, so that
    /// they do not all begin ballots at once.
    fn is_enough_present(&self) -> bool {
        let own = usize::from(!self.presence.is_aside(self.options.id));
        self.presence.present() + own >= self.quorum()
    }

    fn may_act(&self, id: SyncId, is_enough: bool) -> bool {
        if id == self.options.id {
            !is_enough || !self.presence.is_aside(id)
        } else if is_enough {
            self.presence.is_present(id)
        } else {
            self.presence.is_linked(id)
        }
    }

    /// Whether enough nodes are linked for anything to be elected.
    #[must_use]
    pub fn has_quorum(&self) -> bool {
        self.presence.linked() + 1 >= self.quorum()
    }

    /// The lowest ballot whose coordinator may act; 0 where nothing can be elected anyway.
    pub(super) fn acting_ballot(&self, owner: OwnerId) -> Ballot {
        if !self.has_quorum() {
            return Ballot(0);
        }
        let is_enough = self.is_enough_present();
        let at = self.members().ring(owner).position(|id| self.may_act(id, is_enough)).unwrap_or(0);
        Ballot(u32::try_from(at).unwrap_or(0))
    }

    /// The lowest ballot of this node at or above `from`; none when all are used up.
    fn own_ballot(&self, owner: OwnerId, from: Ballot) -> Option<Ballot> {
        let members = u32::try_from(self.members().sync().len()).ok()?;
        (0..members)
            .map_while(|step| from.0.checked_add(step))
            .map(Ballot)
            .find(|ballot| self.members().coordinator(owner, *ballot) == self.options.id)
    }

    /// The segment has waited long enough.
    pub(super) fn on_overdue(&mut self, now: WallTime, segment: SegmentId, fx: &mut Effects) {
        let Some(hedge) = self.pending.get(&segment).and_then(|p| p.hedge) else { return };
        self.tell_clock(now, fx);
        if hedge.is_held {
            self.step_in(now, segment, fx);
            self.suspect_first_quorum(now, segment, hedge.since);
            return;
        }
        let is_my_turn = self.has_quorum()
            && self.is_eligible(segment)
            && segment.previous().is_none_or(|previous| self.is_elected(previous));
        // Where nothing can be done yet, what changes that revives the clock.
        let attempts = hedge.attempts.saturating_add(1);
        let due = now.plus_millis(self.patience_ms(segment, attempts));
        self.set_hedge(segment, Hedge { due, attempts, ..hedge });
        if is_my_turn {
            self.push(now, segment, fx);
        }
    }

    /// Starts a segment's clock anew, because what it waited for is there: its predecessor is
    /// elected. It goes off at once if the coordinator is absent and this node is next.
    pub(super) fn revive(&mut self, now: WallTime, segment: SegmentId) {
        let Some(pending) = self.pending.get(&segment) else { return };
        let Some(hedge) = pending.hedge.filter(|hedge| !hedge.is_held) else { return };
        let leader = self.members().coordinator(segment.owner, pending.vote.promised);
        let is_led = leader == self.options.id || self.presence.is_present(leader);
        let patience_ms = match is_led || self.rank(segment.owner) > 0 {
            true => self.patience_ms(segment, 0),
            false => 0,
        };
        self.set_hedge(segment, Hedge { attempts: 0, due: now.plus_millis(patience_ms), ..hedge });
    }

    /// Drives a segment on: says this node's own ballot again, or overtakes another's. One whose own
    /// stamps are too far ahead leaves it to others: it may have none to propose.
    fn push(&mut self, now: WallTime, segment: SegmentId, fx: &mut Effects) {
        let is_wild = self.is_wild(self.clock.value(), now);
        let Some(pending) = self.pending.get(&segment) else { return };
        let promised = pending.vote.promised;
        let highest = promised.max(pending.picking).max(pending.outbid);
        let leader = self.members().coordinator(segment.owner, promised);
        if leader == self.options.id && highest == promised {
            // What was too far ahead may be admitted by now.
            let is_proposed = self.try_propose(now, segment, fx);
            if !is_proposed && !is_wild {
                self.insist(segment, fx);
            }
            return;
        }
        if leader != self.options.id {
            let since = pending.hedge.map_or(now, |hedge| hedge.since);
            self.presence.suspect(now, leader, since);
        }
        if is_wild {
            return;
        }
        let from = if highest > promised { highest } else { Ballot(promised.0.saturating_add(1)) };
        if let Some(ballot) = self.own_ballot(segment.owner, from) {
            self.start_ballot(now, segment, ballot, fx);
        }
    }

    /// Asks again those who have not answered this node's ballot.
    fn insist(&mut self, segment: SegmentId, fx: &mut Effects) {
        let Some(pending) = self.pending.get(&segment) else { return };
        let vote = &pending.vote;
        let others = self.members().sync_peers(self.options.id);
        if let Some((ballot, challenger)) = vote.accepted.filter(|(at, _)| *at == vote.promised) {
            let voters = pending.votes.get(&ballot).map(|(voters, _)| *voters).unwrap_or_default();
            let proposal = Proposal { meta: vote.meta, ballot, challenger };
            for peer in others.filter(|id| !voters.contains(id.0)) {
                fx.sends.push((peer, Message::ElectSegment { proposal }));
            }
        } else if vote.promised > Ballot(0) {
            let message = Message::Prepare { meta: vote.meta, ballot: vote.promised };
            for peer in others.filter(|id| !pending.picks.contains_key(id)) {
                fx.sends.push((peer, message.clone()));
            }
        }
    }

    /// Promises `ballot`, which is this node's own, and asks all others to.
    fn start_ballot(
        &mut self,
        now: WallTime,
        segment: SegmentId,
        ballot: Ballot,
        fx: &mut Effects,
    ) {
        fx.ballots_started += 1;
        self.promise(now, segment, ballot, fx);
        self.send_prepare(segment, ballot, fx);
        self.send_pick(now, segment, ballot, fx);
        self.draft_from(now, segment.next(), fx);
    }

    pub(super) fn send_prepare(&self, segment: SegmentId, ballot: Ballot, fx: &mut Effects) {
        let Some(pending) = self.pending.get(&segment) else { return };
        let message = Message::Prepare { meta: pending.vote.meta, ballot };
        for peer in self.members().sync_peers(self.options.id) {
            fx.sends.push((peer, message.clone()));
        }
    }

    /// Promises `ballot`, with a draft, into the row of an eligible segment.
    pub(super) fn promise(
        &mut self,
        now: WallTime,
        segment: SegmentId,
        ballot: Ballot,
        fx: &mut Effects,
    ) {
        let Some(pending) = self.pending.get_mut(&segment) else { return };
        debug_assert!(pending.vote.promised <= ballot, "B1");
        let before = pending.vote;
        pending.vote.promised = ballot;
        if pending.vote.draft.is_none() {
            let draft = self.clock.make(now, Stamp::ZERO);
            pending.vote.draft = Some(draft);
            self.drafts.insert(draft);
        }
        if pending.vote != before {
            fx.writes.push(Write::Vote(pending.vote));
        }
    }

    /// The acceptor's half: promise, and answer with the draft (made now if there is none) and
    /// what was accepted.
    pub(super) fn on_prepare(
        &mut self,
        now: WallTime,
        from: SyncId,
        meta: SegmentMeta,
        ballot: Ballot,
        fx: &mut Effects,
    ) {
        let segment = meta.id;
        if ballot == Ballot(0) || self.members().coordinator(segment.owner, ballot) != from {
            fx.dropped.push(Drop::NotCoordinator);
            return;
        }
        if self.is_elected(segment) {
            // Who prepares does not know: its feeds and digests do, but it asks now.
            fx.catch_ups.push((from, segment.owner, segment.seq.before()));
            return;
        }
        let rules = self.rules;
        let Some(pending) = self.pending_of(meta, fx) else { return };
        let promised = pending.vote.promised;
        if !rules.may_promise(promised, ballot) {
            fx.dropped.push(Drop::StaleBallot);
            fx.sends.push((from, Message::Reject { segment, promised }));
            return;
        }
        // Not eligible here yet: the answer comes with the draft.
        pending.asked = pending.asked.max(ballot);
        if !self.is_eligible(segment) {
            return;
        }
        self.release(now, segment);
        self.promise(now, segment, ballot, fx);
        self.send_pick(now, segment, ballot, fx);
        if ballot > promised {
            // One that only repeats its ballot may have no stamp to propose: it holds nobody up.
            self.postpone(now, segment);
        }
        self.draft_from(now, segment.next(), fx);
    }

    /// A ballot of this node is lost. Who holds the higher one drives it, and this node votes in
    /// that; if nobody does, the next attempt here goes above it.
    pub(super) fn on_reject(&mut self, segment: SegmentId, promised: Ballot, fx: &mut Effects) {
        if let Some(pending) = self.pending.get_mut(&segment) {
            pending.outbid = pending.outbid.max(promised);
            fx.dropped.push(Drop::StaleBallot);
        }
    }

    /// A link came up: what waited for a majority goes on soon.
    pub(super) fn on_link_up(&mut self, now: WallTime, peer: SyncId, fx: &mut Effects) {
        self.presence.link_up(peer);
        self.take_heart(now);
        self.on_peer_up(now, peer, fx);
    }

    /// A peer is there again: what is pending is tried as if for the first time.
    fn take_heart(&mut self, now: WallTime) {
        let waiting: Vec<_> =
            self.pending.iter().filter_map(|(id, pending)| Some((*id, pending.hedge?))).collect();
        for (segment, hedge) in waiting.into_iter().filter(|(_, hedge)| !hedge.is_held) {
            self.set_hedge(segment, Hedge { attempts: 0, ..hedge });
            self.postpone(now, segment);
        }
    }

    /// A peer fell silent, which is as if its link went down; or it is heard again, and has or gets
    /// all that was sent to it meanwhile.
    pub(super) fn on_silence(
        &mut self,
        now: WallTime,
        peer: SyncId,
        is_silent: bool,
        fx: &mut Effects,
    ) {
        self.presence.fall_silent(peer, is_silent);
        if is_silent {
            self.replace(now, peer, fx);
        } else {
            self.take_heart(now);
        }
    }

    /// A link went down: what the peer had to do, others do at once.
    pub(super) fn on_link_down(&mut self, now: WallTime, peer: SyncId, fx: &mut Effects) {
        self.presence.link_down(peer);
        self.replace(now, peer, fx);
    }

    /// A peer, or this node, cannot do its part, or can again.
    pub(super) fn on_aside(
        &mut self,
        now: WallTime,
        peer: SyncId,
        is_aside: bool,
        fx: &mut Effects,
    ) {
        self.presence.stand_aside(peer, is_aside);
        if is_aside && peer != self.options.id {
            self.replace(now, peer, fx);
        }
    }

    /// Does, or waits no longer for, what an absent peer had to do.
    fn replace(&mut self, now: WallTime, peer: SyncId, fx: &mut Effects) {
        let pending: Vec<SegmentId> = self.pending.keys().copied().collect();
        for segment in pending {
            if self.is_held(segment) {
                if !self.is_reserve_of(segment.owner) {
                    self.step_in(now, segment, fx);
                }
                continue;
            }
            let Some(pending) = self.pending.get(&segment) else { continue };
            let leader = self.members().coordinator(segment.owner, pending.vote.promised);
            if leader != peer {
                continue;
            }
            if self.rank(segment.owner) == 0 {
                self.on_overdue(now, segment, fx);
            } else {
                self.postpone(now, segment);
            }
        }
    }
}
