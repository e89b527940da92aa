//! The links of a node: whom they lead to, and what on them may wait for company.
//!
//! What nobody waits for goes later and together (`docs/design/026-fewer-frames.md`): TRIM, ORDER_APPLIED, and
//! GENERATE_DRAFT to sync nodes that leave the segment to its home, for as long as the home answers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use vixen_core::id::{OwnerId, SyncId};
use vixen_core::wire::{DraftMessage, Message, PeerId, PublishMessage};
use vixen_replica::{Effects, To};
use vixen_runtime::link::{Haste, LinkId, Linked};

use super::NdbNode;

/// A home that tells of no election for so long after a draft was asked of it is late: what it says at its leisure has
/// come by then.
const LATE: Duration = Duration::from_millis(150);

/// Since when homes have told of no election, though a draft was asked of them.
#[derive(Debug, Default)]
pub(super) struct Homes {
    asked: BTreeMap<SyncId, Instant>,
}

impl Homes {
    /// A home is asked for an election.
    fn ask(&mut self, home: SyncId, now: Instant) {
        self.asked.entry(home).or_insert(now);
    }

    /// A sync node has said what became of a segment.
    pub(super) fn heard(&mut self, from: SyncId) {
        self.asked.remove(&from);
    }

    fn is_late(&self, home: SyncId, now: Instant) -> bool {
        self.asked.get(&home).is_some_and(|since| now.saturating_duration_since(*since) >= LATE)
    }
}

impl NdbNode {
    /// Sends all that steps have said so far, in one go for each link. It waits for nothing: what depends on a commit
    /// is said once that is there.
    pub(super) fn send_all(&mut self, fx: &mut Effects) {
        let now = Instant::now();
        let mut by_link: BTreeMap<LinkId, Vec<(Message, Haste)>> = BTreeMap::new();
        for (to, message) in std::mem::take(&mut fx.sends) {
            let meant = self.links.iter().filter(|(_, linked)| to.is_meant(&linked.peer));
            let meant = meant.map(|(link, linked)| (link, linked.peer));
            let newest = to.is_one_link();
            let mut meant: Vec<(LinkId, PeerId)> = meant.collect();
            if newest {
                meant.drain(..meant.len().saturating_sub(1));
            }
            for (link, peer) in meant {
                let haste = self.haste(&peer, &message, now);
                by_link.entry(link).or_default().push((message.clone(), haste));
            }
        }
        for (link, messages) in by_link {
            if let Some(linked) = self.links.get(link) {
                let _down_follows = linked.sender.send_all(messages);
            }
        }
    }

    /// How long a message may wait for company.
    fn haste(&mut self, peer: &PeerId, message: &Message, now: Instant) -> Haste {
        match (message, *peer) {
            // Only the patience of an entry with a whole group goes by it: a second and more.
            (Message::Publish(PublishMessage::TrimAdvanceSegment { .. }), _)
            | (Message::Draft(DraftMessage::OrderApplied { .. }), _) => Haste::Later,
            (Message::Draft(DraftMessage::GenerateDraft { meta }), PeerId::Sync { id, .. }) => {
                self.haste_of_draft(meta.id.owner, id, now)
            }
            _ => Haste::Now,
        }
    }

    /// The home of an owner proposes once W nodes of the group have asked it. The others have to know when it is absent or
    /// late, and that from W nodes, of which a spare is none while all is well.
    fn haste_of_draft(&mut self, owner: OwnerId, to: SyncId, now: Instant) -> Haste {
        let home = self.options.membership.home(owner);
        let of_home =
            |linked: &&Linked| matches!(linked.peer, PeerId::Sync { id, .. } if id == home);
        // One that says that it cannot do its part, or whose clock is wild, is passed over by the others.
        let is_able = self.links.absence(&self.options.roster.sync(home)).is_none()
            && self.skew.absence(home, now).is_none();
        let is_there = is_able && self.links.heard_values().any(|linked| of_home(&linked));
        if !is_there || self.homes.is_late(home, now) {
            return Haste::Now;
        }
        match (to == home, self.core.is_spare_of(owner)) {
            (true, false) => {
                self.homes.ask(home, now);
                Haste::Now
            }
            (true, true) | (false, false) => Haste::Soon,
            (false, true) => Haste::Later,
        }
    }

    /// Tells sync nodes whether somebody waits for the order here: a tail that carries something, or who reads
    /// what is stored.
    pub(super) fn tell_awaited(&mut self) {
        let is_awaited = self.tails.carry() || self.awaited.is_read(Instant::now());
        self.awaited.tell(&self.links, is_awaited);
    }

    /// All links to the peer of one.
    fn links_to(&self, peer: &PeerId) -> impl Iterator<Item = (LinkId, &Linked)> {
        let to = match *peer {
            PeerId::Sync { id, .. } => To::Sync(id),
            PeerId::Ndb { id, .. } => To::Ndb(id),
            PeerId::Entry { owner } => To::Entry(owner),
        };
        self.links.iter().filter(move |(_, linked)| to.is_meant(&linked.peer))
    }

    /// Whether a peer has a link.
    pub(super) fn is_linked(&self, peer: &PeerId) -> bool {
        self.links_to(peer).next().is_some()
    }

    /// Whether a peer is linked, and heard on one of its links.
    pub(super) fn is_heard(&self, peer: &PeerId) -> bool {
        self.links_to(peer).any(|(link, _)| !self.links.is_silent(link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_late_when_it_says_nothing_for_long_after_it_was_asked() {
        let (mut homes, now, home) = (Homes::default(), Instant::now(), SyncId(1));
        homes.ask(home, now);
        homes.ask(home, now + LATE / 2);
        assert!(!homes.is_late(home, now + LATE / 2));
        assert!(homes.is_late(home, now + LATE), "since it was asked first");
        assert!(!homes.is_late(SyncId(0), now + LATE), "nobody asked that one");
        homes.heard(home);
        assert!(!homes.is_late(home, now + LATE));
    }
}
