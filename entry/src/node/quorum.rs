//! What an entry needs of the cluster, and what it says is missing.

use vixen_common::id::{GroupId, NdbId, SyncId};

use super::peers::Peers;

/// Counts of linked nodes against what is needed.
#[derive(Clone, Debug)]
pub(super) struct Quorum {
    /// Linked sync nodes.
    pub(super) sync_up: usize,
    /// A majority of the sync nodes.
    pub(super) sync_needed: usize,
    /// Linked ndb nodes of each group.
    pub(super) groups_up: Vec<usize>,
    /// W.
    pub(super) write_quorum: usize,
}

impl Quorum {
    pub(super) fn of(
        sync: &Peers<SyncId>,
        ndb: &Peers<NdbId>,
        groups: usize,
        write_quorum: u8,
    ) -> Self {
        let mut groups_up = vec![0; groups];
        for node in ndb.linked() {
            if let Some(up) = groups_up.get_mut(usize::from(node.group.0)) {
                *up += 1;
            }
        }
        Self {
            sync_up: sync.linked().count(),
            sync_needed: sync.iter().count() / 2 + 1,
            groups_up,
            write_quorum: usize::from(write_quorum),
        }
    }

    /// What keeps the vote from happening, in words.
    pub(super) fn missing_sync(&self) -> Option<String> {
        let Self { sync_up, sync_needed, .. } = self;
        (sync_up < sync_needed).then(|| format!("{sync_up} of {sync_needed} sync nodes connected"))
    }

    /// What keeps `group` from holding a segment, in words.
    pub(super) fn missing_ndb(&self, group: GroupId) -> Option<String> {
        let up = self.groups_up.get(usize::from(group.0)).copied().unwrap_or(0);
        let needed = self.write_quorum;
        (up < needed).then(|| format!("{up} of {needed} ndb nodes of {group} live"))
    }

    /// What keeps every group from holding a segment, in words.
    pub(super) fn missing_group(&self) -> Option<String> {
        let groups = (0..).take(self.groups_up.len()).map(GroupId);
        let missing: Option<Vec<_>> = groups.map(|group| self.missing_ndb(group)).collect();
        missing.map(|each| each.join(", "))
    }
}
