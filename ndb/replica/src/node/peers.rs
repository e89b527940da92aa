//! Peers: which sync and ndb nodes are linked, and heard.

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::{GroupId, NdbId, SyncId};
use vixen_core::wire::PeerId;

/// See the module doc. Entries are nobody that this node counts on.
#[derive(Debug, Default)]
pub(super) struct Peers {
    /// Those that are linked, and whether they are heard.
    sync: BTreeMap<SyncId, bool>,
    ndb: BTreeMap<NdbId, bool>,
}

impl Peers {
    pub(super) fn up(&mut self, peer: &PeerId) {
        match peer {
            PeerId::Sync { id, .. } => _ = self.sync.insert(*id, true),
            PeerId::Ndb { id, .. } => _ = self.ndb.insert(*id, true),
            PeerId::Entry { .. } => {}
        }
    }

    pub(super) fn down(&mut self, peer: &PeerId) {
        match peer {
            PeerId::Sync { id, .. } => _ = self.sync.remove(id),
            PeerId::Ndb { id, .. } => _ = self.ndb.remove(id),
            PeerId::Entry { .. } => {}
        }
    }

    pub(super) fn silent(&mut self, peer: &PeerId, is_silent: bool) {
        let is_heard = match peer {
            PeerId::Sync { id, .. } => self.sync.get_mut(id),
            PeerId::Ndb { id, .. } => self.ndb.get_mut(id),
            PeerId::Entry { .. } => None,
        };
        if let Some(is_heard) = is_heard {
            *is_heard = !is_silent;
        }
    }

    /// Sync nodes that are linked and heard.
    pub(super) fn feeds(&self) -> usize {
        self.sync.values().filter(|is_heard| **is_heard).count()
    }

    /// Ndb nodes that are linked.
    pub(super) fn ndb(&self) -> Vec<NdbId> {
        self.ndb.keys().copied().collect()
    }

    /// Who of the group is there, and heard, to store segments at once.
    pub(super) fn present(&self, group: GroupId) -> BTreeSet<u8> {
        let heard = self.ndb.iter().filter(|(id, is_heard)| id.group == group && **is_heard);
        heard.map(|(id, _)| id.member).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vixen_core::id::StoreId;

    #[test]
    fn who_is_silent_counts_no_more_and_is_linked_still() {
        let mut peers = Peers::default();
        let store = StoreId(uuid::Uuid::from_u128(1));
        let ndb = |group, member| {
            let id = NdbId { group: GroupId(group), member };
            PeerId::Ndb { id, store }
        };
        [ndb(0, 1), ndb(0, 2), ndb(1, 3)].iter().for_each(|peer| peers.up(peer));
        peers.silent(&ndb(0, 2), true);
        assert_eq!(peers.present(GroupId(0)), BTreeSet::from([1]));
        assert_eq!(peers.ndb().len(), 3);
        peers.silent(&ndb(0, 2), false);
        assert_eq!(peers.present(GroupId(0)), BTreeSet::from([1, 2]));
        peers.down(&ndb(0, 2));
        peers.silent(&ndb(0, 2), false);
        assert_eq!(peers.present(GroupId(0)), BTreeSet::from([1]), "it has no link");
        let sync = PeerId::Sync { id: SyncId(1), store };
        peers.up(&sync);
        assert_eq!(peers.feeds(), 1);
        peers.silent(&sync, true);
        assert_eq!(peers.feeds(), 0);
    }
}
