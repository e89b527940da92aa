//! What an entry needs of the cluster, and what it says is missing.

use std::collections::BTreeMap;

use vixen_core::id::{GroupId, NdbId, SyncId};
use vixen_core::name::NodeName;
use vixen_core::roster::Roster;
use vixen_core::wire::NdbStanding;
use vixen_core::words::{Absence, Missed, Words};

use super::EntryOptions;
use super::peers::Peers;

/// Counts of nodes against what is needed.
#[derive(Clone, Debug)]
pub(super) struct Quorum {
    /// Linked sync nodes that are heard and able.
    pub(super) sync_up: usize,
    /// A majority of the sync nodes.
    pub(super) sync_needed: usize,
    /// The ndb groups, in order.
    pub(super) groups: Vec<GroupQuorum>,
    /// W.
    pub(super) write_quorum: usize,
    /// Sync nodes that are missed.
    sync_missed: Missed,
    roster: Roster,
}

/// The linked ndb nodes of a group that are heard, each with what it said last on its link.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupQuorum {
    pub(super) linked: BTreeMap<NdbId, Option<NdbStanding>>,
    /// The others.
    missed: Missed,
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
        options: &EntryOptions,
        standing_of: impl Fn(NdbId) -> Option<NdbStanding>,
        absence: impl Fn(&NodeName) -> Option<Absence>,
    ) -> Self {
        let missed = |name: NodeName| absence(&name).map(|absence| (name, absence));
        let membership = &options.membership;
        let mut list = vec![GroupQuorum::default(); membership.groups().count()];
        for node in ndb.heard() {
            if let Some(group) = list.get_mut(usize::from(node.group.0)) {
                group.linked.insert(node, standing_of(node));
            }
        }
        for (group, (_, members)) in list.iter_mut().zip(membership.groups()) {
            let others = members.iter().filter(|ndb| !group.linked.contains_key(ndb));
            group.missed = others.filter_map(|ndb| missed(options.roster.ndb(*ndb))).collect();
        }
        let nodes = membership.sync().iter();
        let is_able = |id: &SyncId| absence(&options.roster.sync(*id)).is_none();
        Self {
            sync_missed: nodes.filter_map(|id| missed(options.roster.sync(*id))).collect(),
            sync_up: sync.heard().filter(is_able).count(),
            sync_needed: membership.quorum(),
            groups: list,
            write_quorum: membership.write_quorum(),
            roster: options.roster.clone(),
        }
    }

    /// What keeps the vote from happening, in words.
    pub(super) fn missing_sync(&self) -> Option<Words> {
        let Self { sync_up, sync_needed, .. } = self;
        let count = format!("{sync_up} of {sync_needed} sync nodes connected");
        let words = || Words::new(count).then(", waiting for ").awaited(self.sync_missed.clone());
        (sync_up < sync_needed).then(words)
    }

    /// What keeps a group from holding a segment, in words.
    fn missing_ndb(&self, id: GroupId, group: &GroupQuorum) -> Option<Words> {
        let needed = self.write_quorum;
        let (up, willing) = (group.up(), group.willing());
        if willing >= needed {
            return None;
        }
        let words = if up < needed {
            let count = format!("{up} of {needed} ndb nodes of group {id} live, waiting for ");
            Words::new(count).awaited(group.missed.clone())
        } else {
            Words::new(format!("{willing} of {needed} ndb nodes of group {id} willing"))
        };
        let reasons = group.reasons(&self.roster).into_iter();
        let words = reasons.fold(words, |words, reason| words.then(", ").then(reason));
        let others = (up >= needed && !group.missed.is_empty()).then(|| group.missed.clone());
        Some(others.into_iter().fold(words, |words, others| words.then(", ").gone(others)))
    }

    /// What keeps every group from holding a segment, in words.
    pub(super) fn missing_group(&self) -> Option<Words> {
        let groups = (0..).map(GroupId).zip(&self.groups);
        let missing: Option<Vec<_>> =
            groups.map(|(id, group)| self.missing_ndb(id, group)).collect();
        missing.map(|each| Words::join(each, ", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(of: u16, standings: &[Option<NdbStanding>]) -> GroupQuorum {
        let nodes = (0..).map(|member| NdbId { group: GroupId(of), member });
        let linked: BTreeMap<_, _> = nodes.zip(standings.iter().copied()).collect();
        let others = (0..3).map(|member| NdbId { group: GroupId(of), member });
        let others = others.filter(|ndb| !linked.contains_key(ndb));
        let missed = others.map(|ndb| (roster().ndb(ndb), Absence::Down)).collect();
        GroupQuorum { linked, missed }
    }

    fn roster() -> Roster {
        let ids = (0..2).flat_map(|group| (0..3).map(move |n| (GroupId(group), n)));
        let named = ids.map(|(group, member)| {
            let name = format!("D{}", group.0 * 3 + u16::from(member) + 1);
            (NdbId { group, member }, name.parse().expect("a name"))
        });
        Roster::new([], named)
    }

    fn missing(groups: Vec<GroupQuorum>) -> Option<String> {
        let quorum = Quorum {
            sync_up: 2,
            sync_needed: 2,
            groups,
            write_quorum: 2,
            sync_missed: Missed::new(),
            roster: roster(),
        };
        quorum.missing_group().map(|words| words.text(std::time::Instant::now()))
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
        let wanted = "1 of 2 ndb nodes of group 0 live, waiting for D2, D3 (no link), 0 of 2 ndb nodes \
                      of group 1 willing, no standing yet at D6, disk full at D4 and D5";
        assert_eq!(text.as_deref(), Some(wanted));
        let feeds = Some(NdbStanding::NoFeeds);
        let wanted = "1 of 2 ndb nodes of group 0 live, waiting for D2, D3 (no link), too few sync nodes \
                      connected at D1";
        assert_eq!(missing(vec![group(0, &[feeds])]).as_deref(), Some(wanted));
        let wanted = "1 of 2 ndb nodes of group 0 willing, disk full at D1, D3 down";
        assert_eq!(missing(vec![group(0, &[full, willing])]).as_deref(), Some(wanted));
    }
}
