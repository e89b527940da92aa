//! Membership: who votes, who stores, and how many of them decide.
//!
//! A value, and an input of every machine that counts nodes. Nobody else computes a majority or a home;
//! whoever needs one asks here. It is constant while a node runs; the epoch tells one from the next.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Ballot, GroupId, MapVersion, NdbId, OwnerId, SyncId};
use crate::wire::PeerId;

/// Number of a membership: the next has the next number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Of the membership that a cluster starts with.
    pub const FIRST: Self = Self(1);
}

/// See the module doc. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Membership(Arc<Members>);

#[derive(Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Members {
    epoch: Epoch,
    sync: Vec<SyncId>,
    groups: Vec<Vec<NdbId>>,
    write_quorum: u8,
}

impl Membership {
    /// The membership that a cluster starts with: its sync nodes in any order, the ndb nodes of each
    /// group, and W, how many of a group must have a segment on disk.
    ///
    /// # Panics
    /// Without a sync node; a configuration has at least one.
    #[must_use]
    pub fn first(
        sync: impl IntoIterator<Item = SyncId>,
        groups: impl IntoIterator<Item = Vec<NdbId>>,
        write_quorum: u8,
    ) -> Self {
        let mut sync: Vec<_> = sync.into_iter().collect();
        assert!(!sync.is_empty(), "a vote has members");
        sync.sort_unstable();
        let groups = groups.into_iter().collect();
        Self(Arc::new(Members { epoch: Epoch::FIRST, sync, groups, write_quorum }))
    }

    /// So many sync nodes, from lane 0 on, and groups of so many nodes each.
    #[must_use]
    pub fn sized(
        sync_nodes: u8,
        group_sizes: impl IntoIterator<Item = u8>,
        write_quorum: u8,
    ) -> Self {
        let group = |(group, size)| (0..size).map(|member| NdbId { group, member }).collect();
        let groups = (0..).map(GroupId).zip(group_sizes).map(group);
        Self::first((0..sync_nodes).map(SyncId), groups, write_quorum)
    }

    /// Its number.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.0.epoch
    }

    /// The sync nodes, sorted.
    #[must_use]
    pub fn sync(&self) -> &[SyncId] {
        &self.0.sync
    }

    /// The sync nodes but `own`.
    pub fn sync_peers(&self, own: SyncId) -> impl Iterator<Item = SyncId> + '_ {
        self.0.sync.iter().copied().filter(move |id| *id != own)
    }

    /// q: sync nodes that decide. Any two quorums share a node.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.0.sync.len() / 2 + 1
    }

    /// The groups' ids.
    pub fn group_ids(&self) -> impl Iterator<Item = GroupId> + use<> {
        (0..).map(GroupId).take(self.0.groups.len())
    }

    /// Each group and its ndb nodes.
    pub fn groups(&self) -> impl Iterator<Item = (GroupId, &[NdbId])> {
        (0..).map(GroupId).zip(self.0.groups.iter().map(Vec::as_slice))
    }

    /// The ndb nodes of a group; none of one that does not exist.
    #[must_use]
    pub fn group(&self, id: GroupId) -> &[NdbId] {
        self.0.groups.get(usize::from(id.0)).map_or(&[], Vec::as_slice)
    }

    /// All ndb nodes, group by group.
    pub fn ndb(&self) -> impl Iterator<Item = NdbId> + '_ {
        self.0.groups.iter().flatten().copied()
    }

    /// Nodes of a group of which any two such sets share one.
    #[must_use]
    pub fn group_majority(&self, id: GroupId) -> usize {
        self.group(id).len() / 2 + 1
    }

    /// Whether the sync or ndb node is a member; entries need not be.
    #[must_use]
    pub fn has(&self, peer: &PeerId) -> bool {
        match peer {
            PeerId::Sync { id, .. } => self.0.sync.contains(id),
            PeerId::Ndb { id, .. } => self.group(id.group).contains(id),
            PeerId::Entry { .. } => false,
        }
    }

    /// W: ndb nodes of one group that must have a segment on disk.
    #[must_use]
    pub fn write_quorum(&self) -> usize {
        self.0.write_quorum.into()
    }

    /// The map from shards to groups.
    #[must_use]
    pub fn map(&self) -> MapVersion {
        MapVersion(u16::try_from(self.0.groups.len()).unwrap_or(u16::MAX))
    }

    /// The home coordinator of all segments of `owner`, by rendezvous hash: every node that knows the
    /// same members agrees, and a change of members moves only the owners it must.
    #[must_use]
    pub fn home(&self, owner: OwnerId) -> SyncId {
        let heaviest = self.0.sync.iter().copied().max_by_key(|id| weight(owner, *id));
        heaviest.unwrap_or(self.0.sync[0])
    }

    /// The sync nodes in the order of their ballots for this owner, from its home on.
    pub fn ring(&self, owner: OwnerId) -> impl Iterator<Item = SyncId> + '_ {
        let (home, members) = (self.home(owner), self.sync());
        let at = members.iter().position(|id| *id == home).unwrap_or(0);
        members.iter().cycle().skip(at).take(members.len()).copied()
    }

    /// The node that owns `ballot` of the owner's segments: number `(home + ballot) mod n` of the
    /// sorted members.
    #[must_use]
    pub fn coordinator(&self, owner: OwnerId, ballot: Ballot) -> SyncId {
        let (home, members) = (self.home(owner), self.sync());
        let at = members.iter().position(|id| *id == home).unwrap_or(0);
        let turn = usize::try_from(ballot.0).unwrap_or(0);
        members[(at + turn % members.len()) % members.len()]
    }
}

/// Owner and lane, well mixed: two rounds of the finalizer of SplitMix64 (Steele et al., *Fast
/// Splittable Pseudorandom Number Generators*, 2014). Nobody gains by choosing a home, so it need
/// not be a cryptographic hash, and it is asked for at each step.
fn weight(owner: OwnerId, id: SyncId) -> (u64, SyncId) {
    let (high, low) = owner.0.as_u64_pair();
    (mix(mix(high ^ u64::from(id.0)) ^ low), id)
}

const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(n: u128) -> OwnerId {
        OwnerId(uuid::Uuid::from_u128(n))
    }

    fn of(lanes: &[u8]) -> Membership {
        Membership::first(lanes.iter().map(|lane| SyncId(*lane)), [], 2)
    }

    #[test]
    fn two_quorums_share_a_node() {
        for n in 1..=7 {
            let members = of(&(0..n).collect::<Vec<_>>());
            assert!(2 * members.quorum() > usize::from(n), "{n}");
            assert!(2 * (members.quorum() - 1) <= usize::from(n), "{n}");
        }
    }

    #[test]
    fn the_order_in_which_nodes_are_named_says_nothing() {
        assert_eq!(of(&[2, 0, 1]), of(&[0, 1, 2]));
        assert_eq!(
            of(&[2, 0, 1]).sync_peers(SyncId(1)).collect::<Vec<_>>(),
            [SyncId(0), SyncId(2)]
        );
    }

    #[test]
    fn groups_are_numbered_from_0() {
        let members = Membership::sized(1, [1, 3], 1);
        let sizes: Vec<_> = members.groups().map(|(id, nodes)| (id.0, nodes.len())).collect();
        assert_eq!(sizes, [(0, 1), (1, 3)]);
        assert_eq!(members.group_ids().collect::<Vec<_>>(), [GroupId(0), GroupId(1)]);
        assert_eq!(members.group(GroupId(1))[2], NdbId { group: GroupId(1), member: 2 });
        assert_eq!((members.group(GroupId(2)), members.ndb().count()), (&[][..], 4));
        assert_eq!(
            (members.group_majority(GroupId(0)), members.group_majority(GroupId(1))),
            (1, 2)
        );
        assert_eq!(members.map(), MapVersion(2));
    }

    #[test]
    fn owners_spread_over_all_members() {
        let members = of(&[0, 1, 2]);
        let homes: Vec<_> = (0..300).map(|n| members.home(owner(n))).collect();
        for member in members.sync() {
            assert!(homes.iter().filter(|home| *home == member).count() > 50);
        }
    }

    #[test]
    fn ballots_go_round_the_members() {
        let members = of(&[3, 5, 9]);
        let first = members.coordinator(owner(1), Ballot(0));
        assert_eq!(first, members.home(owner(1)));
        assert_eq!(members.coordinator(owner(1), Ballot(3)), first);
        assert_ne!(members.coordinator(owner(1), Ballot(1)), first);
    }
}
