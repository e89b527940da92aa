//! Take-over: ballots above 0, when the home of an owner is dead, paused, slow or wild (rule 6).
//!
//! Who is absent when a segment becomes eligible is passed over at once: the *acting ballot* is the
//! lowest whose coordinator is present, and drafts are promised to it without being asked. So a
//! dead home costs no more than one PREPARE beside the drafts. Who falls silent under way is
//! overtaken when the hedge is over, by the present nodes in the order of the ring.
//!
//! Nothing here decides anything: any node may start any ballot of its own at any time, and the
//! value is safe by rules 4 and 5 (`docs/protocol.md`).

use vixen_core::id::{Ballot, OwnerId, SegmentId, SyncId};
use vixen_core::segment::Proposal;
use vixen_core::time::WallTime;
use vixen_core::wire::{Message, VoteMessage};

use crate::hedge::{Hedge, patience_ms};

use super::{After, Effects, Orderer};

impl Orderer {
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
        let Some(hedge) = self.hedges.get(segment) else { return };
        self.tell_clock(now, fx);
        if hedge.is_held {
            self.suspect_awaited(now, segment, hedge.since);
            self.step_in(now, segment, fx);
            return;
        }
        let is_my_turn = self.has_quorum()
            && self.is_eligible(segment)
            && segment.previous().is_none_or(|previous| self.is_elected(previous));
        // Where nothing can be done yet, what changes that revives the clock.
        let attempts = hedge.attempts.saturating_add(1);
        let due = now.plus_millis(self.patience_ms(segment, attempts));
        self.hedges.set(segment, Hedge { due, attempts, ..hedge });
        if is_my_turn {
            self.push(now, segment, fx);
        }
    }

    /// Starts a segment's clock anew, because what it waited for is there: its predecessor is
    /// elected. It goes off at once if the coordinator is absent and this node is next, or if it is this node and must
    /// begin another ballot after its restart.
    pub(super) fn revive(&mut self, now: WallTime, segment: SegmentId) {
        let Some(hedge) = self.hedges.get(segment).filter(|hedge| !hedge.is_held) else { return };
        let leader = self.members().coordinator(segment.owner, self.promised(segment));
        let is_led = leader == self.options.id || self.presence.is_present(leader);
        let is_used_up = leader == self.options.id && !self.may_go_on(segment);
        let patience_ms = match !is_used_up && (is_led || self.rank(segment.owner) > 0) {
            true => self.patience_ms(segment, 0),
            false => 0,
        };
        self.hedges.set(segment, Hedge { attempts: 0, due: now.plus_millis(patience_ms), ..hedge });
    }

    /// Drives a segment on: says this node's own ballot again, or overtakes another's. One whose own
    /// stamps are too far ahead leaves it to others: it may have none to propose.
    fn push(&mut self, now: WallTime, segment: SegmentId, fx: &mut Effects) {
        let is_wild = self.is_wild(self.acceptor.clock(), now);
        let Some(promised) = self.acceptor.vote(segment).map(|vote| vote.promised) else { return };
        let (picking, outbid) =
            (self.coordinator.ballot(segment), self.coordinator.outbid(segment));
        let highest = promised.max(picking).max(outbid);
        let leader = self.members().coordinator(segment.owner, promised);
        if leader == self.options.id && highest == promised {
            self.hurry(now, segment);
            // What was too far ahead may be admitted by now.
            if self.try_propose(now, segment, fx) {
                return;
            }
            let may_use = self.may_go_on(segment);
            if may_use && !is_wild {
                self.insist(segment, fx);
            }
            if may_use {
                return;
            }
        }
        if leader != self.options.id {
            let since = self.hedges.get(segment).map_or(now, |hedge| hedge.since);
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

    /// Whether the ballot that this node has promised, its own, leads on: it has proposed there, or may.
    fn may_go_on(&self, segment: SegmentId) -> bool {
        let recovered = self.acceptor.recovered(segment);
        self.acceptor.vote(segment).is_some_and(|vote| {
            vote.has_accepted_at(vote.promised) || self.rules.may_use(vote.promised, recovered)
        })
    }

    /// Asks again those who have not answered this node's ballot.
    fn insist(&self, segment: SegmentId, fx: &mut Effects) {
        let Some(vote) = self.acceptor.vote(segment) else { return };
        let others = self.members().sync_peers(self.options.id);
        let after = After::Vote(segment);
        if let Some((ballot, challenger)) = vote.accepted.filter(|(at, _)| *at == vote.promised) {
            let voters = self.learner.voters(segment, ballot);
            let proposal = Proposal { meta: vote.meta, ballot, challenger };
            for peer in others.filter(|id| !voters.contains(id.0)) {
                self.say(peer, Message::Vote(VoteMessage::ElectSegment { proposal }), after, fx);
                self.say(peer, Message::Vote(VoteMessage::Vote { proposal }), after, fx);
            }
        } else if vote.promised == Ballot(0) && vote.fast.is_some() {
            self.send_fast(segment, fx);
        } else {
            let message =
                Message::Vote(VoteMessage::Prepare { meta: vote.meta, ballot: vote.promised });
            for peer in others.filter(|id| !self.coordinator.has_pick(segment, *id)) {
                self.say(peer, message.clone(), after, fx);
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
        fx.writes.extend(self.acceptor.promise(now, segment, ballot));
        self.send_prepare(segment, ballot, fx);
        self.send_pick(now, segment, ballot, fx);
        self.draft_from(now, segment.next(), fx);
    }

    /// A link came up: what waited for a majority goes on soon.
    pub(super) fn on_link_up(&mut self, now: WallTime, peer: SyncId, fx: &mut Effects) {
        self.presence.link_up(peer);
        self.take_heart(now);
        self.on_peer_up(now, peer, fx);
    }

    /// A peer is there again: what is pending is tried as if for the first time.
    fn take_heart(&mut self, now: WallTime) {
        for (segment, hedge) in self.hedges.driven() {
            self.hedges.set(segment, Hedge { attempts: 0, ..hedge });
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
        let pending: Vec<SegmentId> = self.acceptor.segments().collect();
        for segment in pending {
            if self.hedges.is_held(segment) {
                if !self.leaves_to_others(segment.owner) {
                    self.step_in(now, segment, fx);
                }
                continue;
            }
            let Some(promised) = self.acceptor.vote(segment).map(|vote| vote.promised) else {
                continue;
            };
            let leader = self.members().coordinator(segment.owner, promised);
            if leader == self.options.id {
                // It may have waited for the peer's vote in the fast round.
                self.try_propose(now, segment, fx);
            }
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

    /// Milliseconds until [`Orderer::overdue`] has a segment; `None` while nothing is pending.
    #[must_use]
    pub fn due_in_ms(&self, now: WallTime) -> Option<u64> {
        self.hedges.due_in_ms(now)
    }

    /// A segment that has waited long enough: give [`Input::Overdue`](super::Input::Overdue).
    #[must_use]
    pub fn overdue(&self, now: WallTime) -> Option<SegmentId> {
        self.hedges.overdue(now)
    }

    /// Starts the clock of a pending segment, if it does not run.
    pub(super) fn arm(&mut self, now: WallTime, segment: SegmentId) {
        if self.acceptor.vote(segment).is_none() || self.hedges.get(segment).is_some() {
            return;
        }
        let due = now.plus_millis(self.patience_ms(segment, 0));
        let hedge = Hedge { since: now, due, attempts: 0, is_held: false, offer: None };
        self.hedges.set(segment, hedge);
    }

    /// Starts the delay anew: something moved the segment on.
    pub(super) fn postpone(&mut self, now: WallTime, segment: SegmentId) {
        if let Some(hedge) = self.hedges.get(segment).filter(|hedge| !hedge.is_held) {
            let due = now.plus_millis(self.patience_ms(segment, hedge.attempts));
            self.hedges.set(segment, Hedge { due, ..hedge });
        }
    }

    /// How long this node waits before it takes over a segment, after `attempts` of its own.
    pub(super) fn patience_ms(&self, segment: SegmentId, attempts: u8) -> u64 {
        patience_ms(self.hedges.hedge_ms(), self.rank(segment.owner), attempts)
    }
}
