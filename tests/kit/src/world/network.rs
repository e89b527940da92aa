//! How links of the World come and go, and what they carry.

use rand::RngExt;

use vixen_core::id::{GroupId, NdbId, StoreId};
use vixen_core::segment::SegmentMeta;
use vixen_core::wire::{DraftMessage, Message, PeerId, PublishMessage, VoteMessage};

use super::hosts::Machine;
use super::io::{Arrived, Counted, Fact, Name};
use super::links::{End, LinkNumber, Route};
use super::{Event, World};

/// Of one segment in so many a node says another content.
const LIES_EACH: u64 = 5;
/// One segment in so many is sent to two groups.
const STRAYS_EACH: u64 = 4;

impl World {
    /// What a process says is on its way, as its peers are to hear it.
    pub(super) fn send(&mut self, from: Name, to: Name, lasts_us: u64, mut message: Message) {
        self.lie(from, &mut message);
        if let Message::Vote(VoteMessage::ElectSegment { proposal }) = &message {
            self.judge.on_proposal(from, proposal);
        }
        if let Some(astray) = self.astray(to, &message) {
            self.judge.take(from, Fact::Count(Counted::Astray));
            self.put(from, astray, lasts_us, message.clone());
        }
        self.put(from, to, lasts_us, message);
    }

    /// Of one segment in so many the first node of a group that has nodes to spare says that it has another
    /// content than its peers have.
    fn lie(&mut self, from: Name, message: &mut Message) {
        let (
            Name::Ndb(NdbId { group, member: 0 }),
            Message::Draft(DraftMessage::GenerateDraft { meta }),
        ) = (from, message)
        else {
            return;
        };
        let has_spare = self.membership.group(group).len() > self.membership.write_quorum();
        if self.plan.lies && has_spare && meta.id.seq.0.is_multiple_of(LIES_EACH) {
            meta.count += 1;
            self.judge.take(from, Fact::Count(Counted::Lied));
        }
    }

    /// Of one segment in so many a node of the other group gets what a node of its own does: then both may
    /// have it, and the vote decides.
    fn astray(&self, to: Name, message: &Message) -> Option<Name> {
        let (Name::Ndb(id), Message::Publish(message)) = (to, message) else { return None };
        let (PublishMessage::BeginAdvanceSegment { segment, .. }
        | PublishMessage::KeepAdvanceHistory { segment, .. }
        | PublishMessage::AdvanceSegmentOver { meta: SegmentMeta { id: segment, .. } }) = message
        else {
            return None;
        };
        let goes = self.plan.strays && segment.seq.0.is_multiple_of(STRAYS_EACH);
        let other = NdbId { group: GroupId(1 - id.group.0), member: id.member };
        let is_there = self.membership.group(other.group).contains(&other);
        (goes && is_there).then_some(Name::Ndb(other))
    }

    fn put(&mut self, from: Name, to: Name, lasts_us: u64, message: Message) {
        let is_of_vote = matches!((from, to), (Name::Sync(_), Name::Sync(_)));
        let is_of_vote = is_of_vote && may_be_lost(&message);
        let copies = if is_of_vote && self.is_faulty { self.plan.copies(&mut self.rng) } else { 1 };
        for _ in 0..copies {
            let delay_us = lasts_us + self.rng.random_range(20..self.plan.delay_us_max);
            let message = message.clone();
            match self.links.send(self.now_us, (from, to), message, delay_us) {
                Route::At(link, end, at_us, message) => {
                    // Out of order, where the vote has to bear that.
                    let mixes = is_of_vote && self.is_faulty && self.plan.mixes;
                    let at_us = if mixes { self.now_us + delay_us } else { at_us };
                    self.at_us(at_us, Event::Message { link, end, message });
                }
                Route::Nowhere => {}
            }
        }
    }

    pub(super) fn on_message(&mut self, link: LinkNumber, end: End, message: Message) {
        if !self.links.is_current(link, end) {
            return;
        }
        let Some((own, peer)) = self.links.ends(link, end) else { return };
        self.arrive(own, Arrived::Message { from: peer, message });
    }

    pub(super) fn on_link_up(&mut self, link: LinkNumber, end: End) {
        if !self.links.up(link, end) {
            return;
        }
        let Some((own, name)) = self.links.ends(link, end) else { return };
        let Some(peer) = self.links.peer(link, end) else { return };
        self.arrive(own, Arrived::Up { name, peer });
    }

    pub(super) fn on_link_down(&mut self, link: LinkNumber, end: End) {
        let Some((own, peer)) = self.links.ends(link, end) else { return };
        if self.links.down(link, end) {
            self.arrive(own, Arrived::Down { name: peer });
        }
        // The other end learns of it, if it does not know.
        let after_us = self.rng.random_range(0..20_000);
        self.at(after_us, Event::LinkDown { link, end: 1 - end });
        self.dial(own, peer);
    }

    /// The one of two that dials does so soon.
    pub(super) fn dial(&mut self, a: Name, b: Name) {
        let (from, to) = (a.max(b), a.min(b));
        if self.dialled.insert((from, to)) {
            let after_us = self.rng.random_range(500..40_000);
            self.at(after_us, Event::Dial { from, to });
        }
    }

    pub(super) fn on_dial(&mut self, from: Name, to: Name) {
        self.dialled.remove(&(from, to));
        if self.links.is_linked(from, to) {
            return;
        }
        let is_up = |name| self.hosts.get(&name).is_some_and(|host| host.is_up);
        if !is_up(from) || !is_up(to) || self.links.is_cut(from, to) {
            return self.dial(from, to);
        }
        let up_us = [0, 1].map(|_| self.now_us + self.rng.random_range(100..3_000));
        let (Some(one), Some(other)) = (self.peer_of(from), self.peer_of(to)) else { return };
        let link = self.links.make([from, to], [one, other], up_us);
        for (end, at_us) in up_us.into_iter().enumerate() {
            self.at_us(at_us, Event::LinkUp { link, end });
        }
    }

    /// As whom a process comes to its peers; `None` where it does not run.
    pub(super) fn peer_of(&self, name: Name) -> Option<PeerId> {
        match (name, &self.hosts.get(&name)?.machine) {
            (Name::Sync(id), Machine::Sync(node)) => Some(PeerId::Sync { id, store: node.store() }),
            (Name::Ndb(id), Machine::Ndb(_)) => {
                Some(PeerId::Ndb { id, store: StoreId(uuid::Uuid::nil()) })
            }
            (Name::Entry(_), Machine::Entry(node)) => Some(PeerId::Entry { owner: node.owner()? }),
            (Name::Sync(_) | Name::Ndb(_) | Name::Entry(_), _) => {
                unreachable!("a machine has the name of its kind")
            }
        }
    }
}

/// Ballots and clocks, which are said again until they have done their part. What is said once a link is not lost
/// before that is: standings, digests, and elections that a peer has missed.
const fn may_be_lost(message: &Message) -> bool {
    matches!(
        message,
        Message::Vote(VoteMessage::PickChallenger { .. })
            | Message::Vote(VoteMessage::ElectSegment { .. })
            | Message::Vote(VoteMessage::Vote { .. })
            | Message::Vote(VoteMessage::ProposeFast { .. })
            | Message::Vote(VoteMessage::VoteFast { .. })
            | Message::Vote(VoteMessage::Prepare { .. })
            | Message::Vote(VoteMessage::Reject { .. })
            | Message::Vote(VoteMessage::OwnerForgotten { .. })
            | Message::Vote(VoteMessage::SyncClock { .. })
    )
}
