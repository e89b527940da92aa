//! New links and retries: saying again what is unresolved, and telling peers what they missed.

use vixen_core::id::{Ballot, OwnerId, SegmentId, Seq, SyncId};
use vixen_core::segment::Proposal;
use vixen_core::time::WallTime;
use vixen_core::wire::Message;

use super::state::Pending;
use super::{Effects, Votes, is_recent};

/// Segments that one retry says again at most: the oldest of each owner hold up the rest.
const RETRY_SEGMENTS_MAX: usize = 256;
/// Pause between two times that peers are told of a clock that is ahead.
const TELL_CLOCK_MS: u64 = 50;

impl Votes {
    /// On a new link to `peer`: the digest of what is elected here, then everything unresolved
    /// that is the peer's business.
    pub(super) fn on_peer_up(&mut self, now: WallTime, peer: SyncId, fx: &mut Effects) {
        let owners = self.owners.iter().map(|(id, owner)| (*id, owner.row.contiguous)).collect();
        fx.sends.push((peer, Message::SyncDigest { owners }));
        let pending: Vec<SegmentId> = self.pending.keys().copied().collect();
        for segment in pending {
            self.say_again(segment, peer, fx);
        }
        if self.bound.is_ahead(now, self.clock.value()) {
            fx.sends.push((peer, Message::SyncClock { stamp: self.clock.value() }));
        }
    }

    /// Tells all peers that this node's clock is ahead, if it is and if they were not told just
    /// now: it has no lower stamp to give, and what is pending may wait for it.
    pub(super) fn tell_clock(&mut self, now: WallTime, fx: &mut Effects) {
        let is_told =
            self.clock_told_at.0 <= now.0 && now.millis_since(self.clock_told_at) < TELL_CLOCK_MS;
        if is_told || !self.bound.is_ahead(now, self.clock.value()) {
            return;
        }
        self.clock_told_at = now;
        let stamp = self.clock.value();
        for peer in self.members().sync_peers(self.options.id) {
            fx.sends.push((peer, Message::SyncClock { stamp }));
        }
    }

    pub(super) fn on_retry(&mut self, now: WallTime, fx: &mut Effects) {
        let is_old = |pending: &Pending| {
            // Also what was accepted without a draft: its outcome may have been missed.
            let has_voted = pending.vote.draft.is_some() || pending.vote.accepted.is_some();
            has_voted && pending.hedge.is_none_or(|hedge| !is_recent(now, hedge.since))
        };
        let old = self.pending.iter().filter(|(_, pending)| is_old(pending));
        let pending: Vec<SegmentId> =
            old.map(|(segment, _)| *segment).take(RETRY_SEGMENTS_MAX).collect();
        let membership = self.members().clone();
        for segment in pending {
            for peer in membership.sync_peers(self.options.id) {
                let before = fx.sends.len();
                self.say_again(segment, peer, fx);
                if fx.sends.len() == before {
                    self.ask_outcome(segment, peer, fx);
                }
            }
            self.tell_previous(segment, fx);
        }
    }

    /// Tells the coordinator of a segment that waits the election before it: without that it
    /// proposes nothing, and knows nobody to ask for it.
    fn tell_previous(&self, segment: SegmentId, fx: &mut Effects) {
        let Some(promised) = self.pending.get(&segment).map(|p| p.vote.promised) else { return };
        let leader = self.members().coordinator(segment.owner, promised);
        let previous = segment.previous().filter(|previous| self.is_elected(*previous));
        if let Some(previous) = previous.filter(|_| leader != self.options.id) {
            fx.catch_ups.push((leader, segment.owner, previous.seq.before()));
        }
    }

    fn say_again(&self, segment: SegmentId, peer: SyncId, fx: &mut Effects) {
        let Some(pending) = self.pending.get(&segment) else { return };
        let vote = &pending.vote;
        let members = self.members();
        let promised_to = members.coordinator(segment.owner, vote.promised);
        if promised_to == peer
            && let (Some(draft), Some(group)) = (vote.draft, vote.group)
        {
            let message = Message::PickChallenger {
                meta: vote.meta,
                ballot: vote.promised,
                draft,
                group,
                accepted: vote.accepted,
            };
            fx.sends.push((peer, message));
        }
        if let Some((ballot, challenger)) = vote.accepted {
            let proposal = Proposal { meta: vote.meta, ballot, challenger };
            let led = members.coordinator(segment.owner, ballot) == self.options.id;
            let message = if led && ballot >= vote.promised {
                Message::ElectSegment { proposal }
            } else {
                Message::Vote { proposal }
            };
            fx.sends.push((peer, message));
        }
        if pending.picking > Ballot(0) && !vote.has_accepted_at(pending.picking) {
            let message = Message::Prepare { meta: vote.meta, ballot: pending.picking };
            fx.sends.push((peer, message));
        }
    }

    /// Says this node's draft to a peer that does not lead its ballot: it may know the outcome, or have
    /// forgotten the owner. Else nobody might be asked: the home waits for others' drafts, and one
    /// whose stamps are too far ahead leaves it to others.
    fn ask_outcome(&self, segment: SegmentId, peer: SyncId, fx: &mut Effects) {
        let Some(vote) = self.pending.get(&segment).map(|pending| pending.vote) else { return };
        if let (Some(draft), Some(group)) = (vote.draft, vote.group) {
            let (meta, ballot, accepted) = (vote.meta, vote.promised, vote.accepted);
            fx.sends.push((peer, Message::PickChallenger { meta, ballot, draft, group, accepted }));
        }
    }

    /// A peer's digest: everything elected here beyond it goes to the peer.
    pub(super) fn on_digest(&mut self, from: SyncId, owners: &[(OwnerId, Seq)], fx: &mut Effects) {
        let known: std::collections::BTreeMap<OwnerId, Seq> = owners.iter().copied().collect();
        for (id, owner) in &self.owners {
            let theirs = known.get(id).copied().unwrap_or_default();
            if owner.row.contiguous > theirs || !owner.beyond.is_empty() {
                fx.catch_ups.push((from, *id, theirs));
            }
        }
    }
}
