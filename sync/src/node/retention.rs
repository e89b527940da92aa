//! Retention: which elections this node may forget (DESIGN §4, *Retention*).
//!
//! An election goes when W ndb nodes of its group have applied past it durably, its owner's
//! segments are elected up to it without a gap, and it is older than `limits.feed-retention`: so a
//! reader whose link was down for a while finds its feed where it left it. What is older, readers
//! take from an ndb node's order.

use std::collections::BTreeMap;

use vixen_core::id::{GroupId, NdbId, Stamp};
use vixen_core::membership::Membership;

/// How far ndb nodes have applied the order, as they say.
#[derive(Debug, Default)]
pub(super) struct Applied {
    nodes: BTreeMap<NdbId, Stamp>,
}

impl Applied {
    /// A node's durable head of the order. A lower one than before is an emptied node: it counts
    /// as it is.
    pub(super) fn note(&mut self, node: NdbId, stamp: Stamp) {
        self.nodes.insert(node, stamp);
    }

    /// For each group, up to where W of its nodes have the order.
    pub(super) fn floors(&self, membership: &Membership) -> BTreeMap<GroupId, Stamp> {
        let mut groups: BTreeMap<GroupId, Vec<Stamp>> = BTreeMap::new();
        for (node, stamp) in &self.nodes {
            groups.entry(node.group).or_default().push(*stamp);
        }
        let quorum = membership.write_quorum().max(1);
        groups
            .into_iter()
            .filter_map(|(group, mut stamps)| {
                stamps.sort_unstable_by(|a, b| b.cmp(a));
                Some((group, *stamps.get(quorum - 1)?))
            })
            .collect()
    }

    pub(super) fn nodes(&self) -> &BTreeMap<NdbId, Stamp> {
        &self.nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(group: u16, member: u8) -> NdbId {
        NdbId { group: GroupId(group), member }
    }

    #[test]
    fn the_floor_of_a_group_is_where_w_of_its_nodes_have_come_to() {
        let mut applied = Applied::default();
        assert!(applied.floors(&Membership::sized(3, [3], 2)).is_empty());
        applied.note(node(0, 0), Stamp(50));
        assert!(applied.floors(&Membership::sized(3, [3], 2)).is_empty());
        applied.note(node(0, 1), Stamp(30));
        applied.note(node(0, 2), Stamp(90));
        applied.note(node(1, 0), Stamp(70));
        assert_eq!(
            applied.floors(&Membership::sized(3, [3], 2)),
            BTreeMap::from([(GroupId(0), Stamp(50))])
        );
        applied.note(node(0, 0), Stamp(10));
        assert_eq!(
            applied.floors(&Membership::sized(3, [3], 2)),
            BTreeMap::from([(GroupId(0), Stamp(30))])
        );
    }
}
