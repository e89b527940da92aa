//! New links and retries: saying again what is unresolved, and telling peers what they missed.

use std::collections::BTreeMap;

use vixen_core::id::{Ballot, OwnerId, SegmentId, Seq, SyncId};
use vixen_core::segment::Proposal;
use vixen_core::time::WallTime;
use vixen_core::wire::{Message, VoteMessage};

use super::stage_one::pick_message;
use super::{After, Effects, Orderer, is_recent};

/// Segments that one retry says again at most: the oldest of each owner hold up the rest.
const RETRY_SEGMENTS_MAX: usize = 256;
/// Pause between two times that peers are told of a clock that is ahead.
const TELL_CLOCK_MS: u64 = 50;

impl Orderer {
    /// On a new link to `peer`: the digest of what is elected here, then everything unresolved
    /// that is the peer's business.
    pub(super) fn on_peer_up(&self, now: WallTime, peer: SyncId, fx: &mut Effects) {
        let owners = self.owners.prefixes().collect();
        // What it counts as elected may rest on this node's own votes.
        self.say(peer, Message::Vote(VoteMessage::SyncDigest { owners }), After::All, fx);
        for segment in self.acceptor.segments() {
            self.say_again(segment, peer, fx);
        }
        let stamp = self.acceptor.clock();
        if self.bound.is_ahead(now, stamp) {
            self.say(peer, Message::Vote(VoteMessage::SyncClock { stamp }), After::Clock, fx);
        }
    }

    /// Tells all peers that this node's clock is ahead, if it is and if they were not told just
    /// now: it has no lower stamp to give, and what is pending may wait for it.
    pub(super) fn tell_clock(&mut self, now: WallTime, fx: &mut Effects) {
        let is_told =
            self.clock_told_at.0 <= now.0 && now.millis_since(self.clock_told_at) < TELL_CLOCK_MS;
        if is_told || !self.bound.is_ahead(now, self.acceptor.clock()) {
            return;
        }
        self.clock_told_at = now;
        let stamp = self.acceptor.clock();
        self.say_to_all(&Message::Vote(VoteMessage::SyncClock { stamp }), After::Clock, fx);
    }

    pub(super) fn on_retry(&self, now: WallTime, fx: &mut Effects) {
        let is_old = |vote: &&crate::VoteState| {
            // Also what was accepted without a draft: its outcome may have been missed.
            let has_voted = vote.draft.is_some() || vote.accepted.is_some();
            let hedge = self.hedges.get(vote.meta.id);
            has_voted && hedge.is_none_or(|hedge| !is_recent(now, hedge.since))
        };
        let old = self.acceptor.votes().filter(is_old).map(|vote| vote.meta.id);
        for segment in old.take(RETRY_SEGMENTS_MAX) {
            for peer in self.members().sync_peers(self.options.id) {
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
        let leader = self.members().coordinator(segment.owner, self.promised(segment));
        let previous = segment.previous().filter(|previous| self.is_elected(*previous));
        if let Some(previous) = previous.filter(|_| leader != self.options.id) {
            fx.catch_ups.push((leader, segment.owner, previous.seq.before()));
        }
    }

    fn say_again(&self, segment: SegmentId, peer: SyncId, fx: &mut Effects) {
        let Some(vote) = self.acceptor.vote(segment) else { return };
        let (members, after) = (self.members(), After::Vote(segment));
        // In the fast round a pick is a vote, for all.
        let leader = members.coordinator(segment.owner, vote.promised);
        let pick = self.acceptor.pick(segment);
        if let Some(pick) = pick.filter(|pick| leader == peer || pick.fast.is_some()) {
            self.say(peer, pick_message(vote.meta, vote.promised, pick), after, fx);
        }
        self.send_fast_to(segment, peer, fx);
        if let Some((ballot, challenger)) = vote.accepted {
            let proposal = Proposal { meta: vote.meta, ballot, challenger };
            let leads = members.coordinator(segment.owner, ballot) == self.options.id;
            if leads && ballot >= vote.promised {
                self.say(peer, Message::Vote(VoteMessage::ElectSegment { proposal }), after, fx);
            }
            self.say(peer, Message::Vote(VoteMessage::Vote { proposal }), after, fx);
        }
        let picking = self.coordinator.ballot(segment);
        if picking > Ballot(0) && !vote.has_accepted_at(picking) {
            let message = Message::Vote(VoteMessage::Prepare { meta: vote.meta, ballot: picking });
            self.say(peer, message, after, fx);
        }
    }

    /// Says this node's draft to a peer that does not lead its ballot: it may know the outcome, or have
    /// forgotten the owner. Else nobody might be asked: the home waits for others' drafts, and one
    /// whose stamps are too far ahead leaves it to others.
    fn ask_outcome(&self, segment: SegmentId, peer: SyncId, fx: &mut Effects) {
        let Some(vote) = self.acceptor.vote(segment) else { return };
        if let Some(pick) = self.acceptor.pick(segment) {
            let message = pick_message(vote.meta, vote.promised, pick);
            self.say(peer, message, After::Vote(segment), fx);
        }
    }

    /// A peer's digest: everything elected here beyond it goes to the peer.
    pub(super) fn on_digest(&self, from: SyncId, owners: &[(OwnerId, Seq)], fx: &mut Effects) {
        let theirs: BTreeMap<OwnerId, Seq> = owners.iter().copied().collect();
        let beyond = self.owners.beyond(&theirs);
        fx.catch_ups.extend(beyond.map(|(owner, after)| (from, owner, after)));
    }
}
