//! The links of a node: whom they lead to.

use vixen_core::wire::{Message, PeerId};
use vixen_replica::{Effects, To};
use vixen_runtime::link::{LinkId, Linked};

use super::NdbNode;

impl NdbNode {
    /// Sends to those who are meant, and linked.
    pub(super) fn send(&self, to: To, message: Message) {
        let meant = self.links.iter().filter(|(_, linked)| to.is_meant(&linked.peer));
        if to.is_one_link() {
            if let Some((_, linked)) = meant.max_by_key(|(link, _)| *link) {
                let _down_follows = linked.sender.send(message);
            }
            return;
        }
        for (_, linked) in meant {
            let _down_follows = linked.sender.send(message.clone());
        }
    }

    /// Sends all that steps have said so far. It waits for nothing: what depends on a commit is said once that is
    /// there.
    pub(super) fn send_all(&self, fx: &mut Effects) {
        for (to, message) in std::mem::take(&mut fx.sends) {
            self.send(to, message);
        }
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
