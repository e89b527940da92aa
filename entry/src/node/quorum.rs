//! What an entry needs of the cluster, and what it says is missing.

use std::collections::BTreeMap;

use vixen_common::id::{GroupId, NdbId, SyncId};
use vixen_common::roster::Roster;
use vixen_common::wire::NdbStanding;

use super::EntryOptions;
use super::peers::Peers;

/// Counts of nodes against what is needed.
#[derive(Clone, Debug)]
pub(super) struct Quorum {
    /// Linked sync nodes.
    pub(super) sync_up: usize,
    /// A majority of the sync nodes.
    pub(super) sync_needed: usize,
    /// The ndb groups, in order.
    pub(super) groups: Vec<GroupQuorum>,
    /// W.
    pub(super) write_quorum: usize,
    roster: Roster,
}

/// The linked ndb nodes of a group, each with what it said last on its link.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupQuorum {
    pub(super) linked: BTreeMap<NdbId, Option<NdbStanding>>,
}

impl GroupQuorum {
    /// Linked nodes.
    pub(super) fn up(&self) -> usize {
        self.linked.len()
    }

    /// Nodes that take segments.
    pub(super) fn willing(&self) -> usize {
        let willing = Some(NdbStanding::Willing);
        self.linked.values().filter(|standing| **standing == willing).count()
    }

    /// Why linked nodes take none, each reason with its nodes, in words.
    fn reasons(&self, roster: &Roster) -> Vec<String> {
        let mut reasons = BTreeMap::<_, Vec<_>>::new();
        for (ndb, standing) in &self.linked {
            if *standing != Some(NdbStanding::Willing) {
                reasons.entry(*standing).or_default().push(roster.ndb(*ndb).to_string());
            }
        }
        let each = reasons.into_iter().map(|(standing, nodes)| {
            format!("{} at {}", standing_name(standing), nodes.join(" and "))
        });
        each.collect()
    }
}

/// A word for people.
pub(super) const fn standing_name(standing: Option<NdbStanding>) -> &'static str {
    match standing {
        None => "no standing yet",
        Some(standing) => standing.name(),
    }
}

impl Quorum {
    /// `standing_of` tells what a linked ndb node said.
    pub(super) fn of(
        sync: &Peers<SyncId>,
        ndb: &Peers<NdbId>,
        groups: usize,
        options: &EntryOptions,
        standing_of: impl Fn(NdbId) -> Option<NdbStanding>,
    ) -> Self {
        let mut list = vec![GroupQuorum::default(); groups];
        for node in ndb.linked() {
            if let Some(group) = list.get_mut(usize::from(node.group.0)) {
                group.linked.insert(node, standing_of(node));
            }
        }
        Self {
            sync_up: sync.linked().count(),
            sync_needed: sync.iter().count() / 2 + 1,
            groups: list,
            write_quorum: usize::from(options.write_quorum),
            roster: options.roster.clone(),
        }
    }

    /// What keeps the vote from happening, in words.
    pub(super) fn missing_sync(&self) -> Option<String> {
        let Self { sync_up, sync_needed, .. } = self;
        (sync_up < sync_needed).then(|| format!("{sync_up} of {sync_needed} sync nodes connected"))
    }

    /// What keeps a group from holding a segment, in words.
    fn missing_ndb(&self, id: GroupId, group: &GroupQuorum) -> Option<String> {
        let needed = self.write_quorum;
        let (up, willing) = (group.up(), group.willing());
        if willing >= needed {
            return None;
        }
        let count = if up < needed {
            format!("{up} of {needed} ndb nodes of group {id} live")
        } else {
            format!("{willing} of {needed} ndb nodes of group {id} willing")
        };
        let parts: Vec<_> = std::iter::once(count).chain(group.reasons(&self.roster)).collect();
        Some(parts.join(", "))
    }

    /// What keeps every group from holding a segment, in words.
    pub(super) fn missing_group(&self) -> Option<String> {
        let groups = (0..).map(GroupId).zip(&self.groups);
        let missing: Option<Vec<_>> =
            groups.map(|(id, group)| self.missing_ndb(id, group)).collect();
        missing.map(|each| each.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(of: u16, standings: &[Option<NdbStanding>]) -> GroupQuorum {
        let nodes = (0..).map(|member| NdbId { group: GroupId(of), member });
        GroupQuorum { linked: nodes.zip(standings.iter().copied()).collect() }
    }

    fn missing(groups: Vec<GroupQuorum>) -> Option<String> {
        let ids = (0..2).flat_map(|group| (0..3).map(move |n| (GroupId(group), n)));
        let named = ids.map(|(group, member)| {
            let name = format!("D{}", group.0 * 3 + u16::from(member) + 1);
            (NdbId { group, member }, name.parse().expect("a name"))
        });
        let roster = Roster::new([], named);
        Quorum { sync_up: 2, sync_needed: 2, groups, write_quorum: 2, roster }.missing_group()
    }

    #[test]
    fn one_willing_group_is_enough() {
        let willing = Some(NdbStanding::Willing);
        let full = Some(NdbStanding::DiskFull);
        assert_eq!(missing(vec![group(0, &[]), group(1, &[willing, full, willing])]), None);
    }

    #[test]
    fn what_is_missing_is_told_with_its_reason() {
        let willing = Some(NdbStanding::Willing);
        let full = Some(NdbStanding::DiskFull);
        let text = missing(vec![group(0, &[willing]), group(1, &[full, full, None])]);
        let wanted = "1 of 2 ndb nodes of group 0 live, 0 of 2 ndb nodes of group 1 willing, no \
                      standing yet at D6, disk full at D4 and D5";
        assert_eq!(text.as_deref(), Some(wanted));
        let feeds = Some(NdbStanding::NoFeeds);
        let wanted = "1 of 2 ndb nodes of group 0 live, too few sync nodes connected at D1";
        assert_eq!(missing(vec![group(0, &[feeds])]).as_deref(), Some(wanted));
    }
}
