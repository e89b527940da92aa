//! The links of a node: whom they lead to, and what that makes it ready for.

use std::collections::BTreeSet;

use vixen_core::id::{NdbId, OwnerId, SyncId};
use vixen_core::wire::{Message, NdbStanding, PeerId};
use vixen_runtime::link::LinkSender;

use super::NdbNode;

impl NdbNode {
    pub(super) fn senders_of_peer(&self, wanted: NdbId) -> impl Iterator<Item = &LinkSender> {
        self.links.values().filter_map(move |linked| match linked.peer {
            PeerId::Ndb { id, .. } if id == wanted => Some(&linked.sender),
            PeerId::Ndb { .. } | PeerId::Sync { .. } | PeerId::Entry { .. } => None,
        })
    }

    pub(super) fn senders_of_sync(&self, wanted: SyncId) -> impl Iterator<Item = &LinkSender> {
        self.links.values().filter_map(move |linked| match linked.peer {
            PeerId::Sync { id, .. } if id == wanted => Some(&linked.sender),
            PeerId::Sync { .. } | PeerId::Ndb { .. } | PeerId::Entry { .. } => None,
        })
    }

    /// The links of the entry that an owner is of.
    pub(super) fn senders_of(&self, wanted: OwnerId) -> impl Iterator<Item = &LinkSender> {
        self.links.values().filter_map(move |linked| match linked.peer {
            PeerId::Entry { owner } if wanted.is_of_entry(owner) => Some(&linked.sender),
            PeerId::Entry { .. } | PeerId::Sync { .. } | PeerId::Ndb { .. } => None,
        })
    }

    /// The other ndb nodes that are linked, each once.
    pub(super) fn ndb_peers(&self) -> BTreeSet<NdbId> {
        let peers = self.links.values().filter_map(|linked| match linked.peer {
            PeerId::Ndb { id, .. } => Some(id),
            PeerId::Sync { .. } | PeerId::Entry { .. } => None,
        });
        peers.collect()
    }

    /// Who of the group is there, and heard, to store segments at once.
    pub(super) fn note_present(&mut self) {
        let group = self.options.id.group;
        let present = self.links.heard_values().filter_map(|linked| match linked.peer {
            PeerId::Ndb { id, .. } if id.group == group => Some(id.member),
            PeerId::Ndb { .. } | PeerId::Sync { .. } | PeerId::Entry { .. } => None,
        });
        self.unwritten.set_present(present.collect());
    }

    /// Says something to every node that `is_meant`.
    pub(super) fn tell(&self, is_meant: impl Fn(&PeerId) -> bool, message: &Message) {
        for linked in self.links.values().filter(|linked| is_meant(&linked.peer)) {
            let _down_follows = linked.sender.send(message.clone());
        }
    }

    /// Says something to all sync nodes.
    pub(super) fn tell_sync(&self, message: &Message) {
        self.tell(|peer| matches!(peer, PeerId::Sync { .. }), message);
    }

    /// The sync nodes that are linked and heard.
    pub(super) fn feeds_up(&self) -> usize {
        let nodes = self.links.heard_values().filter_map(|linked| match linked.peer {
            PeerId::Sync { id, .. } => Some(id),
            PeerId::Ndb { .. } | PeerId::Entry { .. } => None,
        });
        nodes.collect::<BTreeSet<_>>().len()
    }

    pub(super) fn feeds_needed(&self) -> usize {
        self.options.membership.quorum()
    }

    /// What this node can do at present.
    pub(super) fn standing_now(&self) -> NdbStanding {
        if self.room.is_low() {
            NdbStanding::DiskFull
        } else if self.feeds_up() < self.feeds_needed() {
            NdbStanding::NoFeeds
        } else if self.disk_wait.is_stalled() {
            NdbStanding::DiskStalled
        } else {
            NdbStanding::Willing
        }
    }

    /// Tells all whether new segments are taken, where that has changed.
    pub(super) fn tell_standing(&mut self) {
        let standing = self.standing_now();
        if standing == self.standing {
            return;
        }
        self.standing = standing;
        self.replica.set_willing(standing != NdbStanding::DiskFull);
        self.tell(|_all| true, &Message::NdbStanding { standing });
    }
}
