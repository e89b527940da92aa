//! How links of the World come and go, and what they carry.

use rand::RngExt;

use vixen_core::id::StoreId;
use vixen_core::wire::{Message, PeerId, VoteMessage};

use super::hosts::Machine;
use super::io::{Arrived, Name};
use super::links::{End, LinkNumber, Route};
use super::{Event, World};

impl World {
    pub(super) fn send(&mut self, from: Name, to: Name, lasts_us: u64, message: Message) {
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
            | Message::Vote(VoteMessage::Prepare { .. })
            | Message::Vote(VoteMessage::Reject { .. })
            | Message::Vote(VoteMessage::OwnerForgotten { .. })
            | Message::Vote(VoteMessage::SyncClock { .. })
    )
}
