//! Redundancy: which nodes are missed, and how many may be lost yet, as one node sees it.

use std::collections::BTreeMap;

use metrics::{describe_gauge, gauge};

use vixen_core::id::GroupId;
use vixen_core::membership::Membership;
use vixen_core::name::NodeName;
use vixen_core::roster::Roster;
use vixen_core::wire::Nowhere;
use vixen_core::words::{Absence, Missed, Words};

/// The nodes of the vote, or those of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// All of them.
    pub members: usize,
    /// A majority of the sync nodes; W of a group.
    pub needed: usize,
    /// Those that are missed, or cannot do their part.
    pub missed: Missed,
}

impl Part {
    /// Those that do their part.
    #[must_use]
    pub const fn up(&self) -> usize {
        self.members.saturating_sub(self.missed.len())
    }

    /// How many may be lost before one too few is left; below 0 when there are.
    #[must_use]
    pub fn spare(&self) -> i64 {
        let signed = |count| i64::try_from(count).unwrap_or(i64::MAX);
        signed(self.up()) - signed(self.needed)
    }

    /// Whether none can be reached.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let gone = self.missed.iter().filter(|(_, absence)| absence.is_gone());
        gone.count() >= self.members
    }
}

/// See the module doc.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redundancy {
    /// The vote.
    pub sync: Part,
    /// The groups, in order.
    pub groups: Vec<(GroupId, Part)>,
    /// What no node of a group has.
    pub nowhere: BTreeMap<GroupId, Nowhere>,
}

impl Redundancy {
    /// Of all members; `absence` tells how one is missed.
    pub fn of(
        membership: &Membership,
        roster: &Roster,
        absence: impl Fn(&NodeName) -> Option<Absence>,
    ) -> Self {
        let missed = |name: NodeName| {
            let absence = absence(&name)?;
            Some((name, absence))
        };
        let sync = Part {
            members: membership.sync().len(),
            needed: membership.quorum(),
            missed: membership.sync().iter().filter_map(|id| missed(roster.sync(*id))).collect(),
        };
        let groups = membership.groups().map(|(id, nodes)| {
            let part = Part {
                members: nodes.len(),
                needed: membership.write_quorum(),
                missed: nodes.iter().filter_map(|ndb| missed(roster.ndb(*ndb))).collect(),
            };
            (id, part)
        });
        let groups = groups.collect();
        Self { sync, groups, nowhere: BTreeMap::new() }
    }

    /// With what is at no node of its group.
    #[must_use]
    pub fn with_nowhere(mut self, nowhere: BTreeMap<GroupId, Nowhere>) -> Self {
        self.nowhere = nowhere;
        self
    }

    /// What is lost, though this node is ready; `None` when everything is there.
    #[must_use]
    pub fn lost(&self) -> Option<Words> {
        let sync = (!self.sync.missed.is_empty()).then(|| {
            let words = Words::default().gone(self.sync.missed.clone());
            if self.sync.spare() > 0 {
                words
            } else {
                words.then(" (no further sync node may be lost)")
            }
        });
        let groups = self.groups.iter().filter(|(_, part)| !part.missed.is_empty());
        let groups = groups.map(|(id, part)| {
            let words = Words::default().gone(part.missed.clone());
            if part.is_gone() {
                words.then(format!(" (group {id} cannot be read)"))
            } else if part.spare() < 0 {
                words.then(format!(" (group {id} takes no messages)"))
            } else if part.spare() == 0 {
                words.then(format!(" (no further node of group {id} may be lost)"))
            } else {
                words
            }
        });
        let nowhere = self.nowhere.iter().map(|(id, nowhere)| Words::new(nowhere.text(*id)));
        let all: Vec<_> = sync.into_iter().chain(groups).chain(nowhere).collect();
        (!all.is_empty()).then(|| Words::join(all, "; "))
    }

    /// Groups of which nobody can be reached, with their nodes; `None` when there are none.
    #[must_use]
    pub fn gone(&self) -> Option<Words> {
        let gone = self.groups.iter().filter(|(_, part)| part.is_gone());
        let each: Vec<_> = gone
            .map(|(id, part)| {
                let words = Words::new(format!("group {id} cannot be read: "));
                words.gone(part.missed.clone())
            })
            .collect();
        (!each.is_empty()).then(|| Words::join(each, "; "))
    }

    /// What is missed: nodes, and segments that are nowhere.
    #[must_use]
    pub fn missed(&self) -> usize {
        let segments = self.nowhere.values().map(|nowhere| nowhere.segments).sum::<u64>();
        self.sync.missed.len()
            + self.groups.iter().map(|(_, part)| part.missed.len()).sum::<usize>()
            + usize::try_from(segments).unwrap_or(usize::MAX)
    }

    /// What is nowhere, for a status page.
    #[must_use]
    pub fn nowhere_status(&self) -> Vec<serde_json::Value> {
        self.nowhere.iter().map(|(group, nowhere)| nowhere.status(*group)).collect()
    }

    /// Sets the gauges.
    pub fn tell_metrics(&self) {
        describe_gauge!(
            "vixen_quorum_spare",
            "Nodes of a `tier` (ndb: of a `group`) that may be lost before its quorum is, as this \
             node sees it; below 0: it is"
        );
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; these are small")]
        {
            gauge!("vixen_quorum_spare", "tier" => "sync").set(self.sync.spare() as f64);
            for (id, part) in &self.groups {
                gauge!("vixen_quorum_spare", "tier" => "ndb", "group" => id.to_string())
                    .set(part.spare() as f64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use vixen_core::id::{NdbId, SyncId};

    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().expect("a name")
    }

    /// S1 to S3 and two groups of D1 to D6, W = 2, of which `missed` are missed.
    fn redundancy(missed: &[(&str, Absence)]) -> Redundancy {
        let ids = (0..2).flat_map(|group| (0..3).map(move |member| (GroupId(group), member)));
        let ndb = ids
            .zip(1..)
            .map(|((group, member), n)| (NdbId { group, member }, name(&format!("D{n}"))));
        let sync = (0..3).map(|lane| (SyncId(lane), name(&format!("S{}", lane + 1))));
        let roster = Roster::new(sync, ndb);
        Redundancy::of(&Membership::sized(3, [3, 3], 2), &roster, |name| {
            missed.iter().find(|(missed, _)| *missed == name.as_str()).map(|(_, how)| how.clone())
        })
    }

    fn lost(missed: &[(&str, Absence)]) -> Option<String> {
        redundancy(missed).lost().map(|words| words.text(Instant::now()))
    }

    #[test]
    fn with_everybody_there_nothing_is_lost() {
        assert_eq!(lost(&[]), None);
        let whole = redundancy(&[]);
        assert_eq!((whole.sync.spare(), whole.groups[1].1.spare(), whole.missed()), (1, 1, 0));
    }

    #[test]
    fn a_dead_group_is_named_with_its_nodes_and_what_it_means() {
        let down = ["D4", "D5", "D6"].map(|node| (node, Absence::Down));
        let text = "D4, D5, D6 down (group 1 cannot be read)";
        assert_eq!(lost(&down).as_deref(), Some(text));
        assert_eq!(redundancy(&down).groups[1].1.spare(), -2);
        let gone = redundancy(&down).gone().map(|words| words.text(Instant::now()));
        assert_eq!(gone.as_deref(), Some("group 1 cannot be read: D4, D5, D6 down"));
        assert_eq!(redundancy(&down[1..]).gone(), None);
    }

    #[test]
    fn what_is_at_no_node_is_said_with_its_group() {
        let nowhere = Nowhere::of([3, 7].map(vixen_core::id::Position));
        let all = redundancy(&[("S2", Absence::Down)]);
        let all = all.with_nowhere([(GroupId(1), nowhere)].into());
        let text = all.lost().map(|words| words.text(Instant::now()));
        let wanted =
            "S2 down (no further sync node may be lost); 2 segments are at no node of group 1";
        assert_eq!((text.as_deref(), all.missed()), (Some(wanted), 3));
    }

    #[test]
    fn who_cannot_take_messages_can_be_read_yet() {
        let full = Absence::Unable("disk full");
        let text = lost(&["D1", "D2", "D3"].map(|node| (node, full.clone())));
        assert_eq!(text.as_deref(), Some("D1, D2, D3 disk full (group 0 takes no messages)"));
    }

    #[test]
    fn what_may_be_lost_yet_is_said() {
        let text = lost(&[("S2", Absence::Down), ("D3", Absence::Down)]);
        let wanted = "S2 down (no further sync node may be lost); D3 down (no further node of group \
                      0 may be lost)";
        assert_eq!(text.as_deref(), Some(wanted));
    }
}
