//! Terms: the settings that all nodes of a cluster must have alike, for what one of them answers is
//! counted by the others.
//!
//! A node with another write quorum would call durable what is on one disk, and one with other sync
//! nodes would take another majority. So the listener tells its terms once the dialler has proved the
//! secret, the dialler compares, and its assent is the last word of HELLO: before it no message is
//! taken. Two nodes that differ are not linked, and both say in what.
//!
//! Addresses are not among them, which machines may know under different names; nor is anything that a
//! node decides for itself alone. Groups are only ever added at the end, node by node while the cluster
//! runs: who has fewer has the others' first ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::durability::Durability;
use crate::id::SyncId;
use crate::name::NodeName;
use crate::tier::Tier;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// `cluster.write-quorum`: W.
    pub write_quorum: u8,
    /// `cluster.durability`: what an answer waits for.
    pub durability: Durability,
    /// `[[sync]]`: lanes, and what their nodes are called.
    pub sync: BTreeMap<SyncId, NodeName>,
    /// `[[ndb-group]]`: the members of each.
    pub groups: Vec<Vec<NodeName>>,
    /// `limits.segment-bytes-max`: an entry waits for ever for an ndb node that takes less than it sends.
    pub segment_bytes_max: u64,
}

/// A setting that two nodes have otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// As in the configuration file.
    pub key: String,
    /// What the dialler has.
    pub dialler: String,
    /// What the listener has.
    pub listener: String,
}

/// One of two nodes that are compared.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    /// What it is.
    pub tier: Tier,
    /// What it has.
    pub terms: &'a Terms,
}

impl Terms {
    /// In what the two differ that must have it alike: in nothing, if they may be linked.
    #[must_use]
    pub fn differences(dialler: Party<'_>, listener: Party<'_>) -> Vec<Difference> {
        let (here, there) = (dialler.terms, listener.terms);
        let differs = |key: &str, here: String, there: String| Difference {
            key: key.to_owned(),
            dialler: here,
            listener: there,
        };
        let mut all = Vec::new();
        if here.write_quorum != there.write_quorum {
            let (here, there) = (here.write_quorum.to_string(), there.write_quorum.to_string());
            all.push(differs("cluster.write-quorum", here, there));
        }
        if here.durability != there.durability {
            let (here, there) = (here.durability.to_string(), there.durability.to_string());
            all.push(differs("cluster.durability", here, there));
        }
        if here.sync != there.sync {
            all.push(differs("sync", lanes(&here.sync), lanes(&there.sync)));
        }
        for (at, (here, there)) in here.groups.iter().zip(&there.groups).enumerate() {
            if here != there {
                all.push(differs(&format!("ndb-group[{at}]"), names(here), names(there)));
            }
        }
        let has_too_much = match (dialler.tier, listener.tier) {
            (Tier::Entry, Tier::Ndb) => here.segment_bytes_max > there.segment_bytes_max,
            (Tier::Ndb, Tier::Entry) => here.segment_bytes_max < there.segment_bytes_max,
            (Tier::Sync | Tier::Ndb | Tier::Entry, _) => false,
        };
        if has_too_much {
            let (here, there) = (here.segment_bytes_max, there.segment_bytes_max);
            all.push(differs("limits.segment-bytes-max", here.to_string(), there.to_string()));
        }
        all
    }
}

/// `cluster.write-quorum is 1 at E1 and 2 at D1, …`
pub(super) fn told(differences: &[Difference], dialler: &NodeName, listener: &NodeName) -> String {
    let each = differences.iter().map(|Difference { key, dialler: here, listener: there }| {
        format!("{key} is {here} at {dialler} and {there} at {listener}")
    });
    each.collect::<Vec<_>>().join(", ")
}

/// `S1 (lane 0), S2 (lane 1)`
fn lanes(sync: &BTreeMap<SyncId, NodeName>) -> String {
    let each = sync.iter().map(|(lane, name)| format!("{name} (lane {})", lane.0));
    each.collect::<Vec<_>>().join(", ")
}

fn names(members: &[NodeName]) -> String {
    members.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().expect("a name")
    }

    fn terms() -> Terms {
        let names = |names: [&str; 3]| names.map(name).to_vec();
        Terms {
            write_quorum: 2,
            durability: Durability::Fsync,
            sync: (0..).map(SyncId).zip(names(["S1", "S2", "S3"])).collect(),
            groups: vec![names(["D1", "D2", "D3"])],
            segment_bytes_max: 1 << 20,
        }
    }

    /// What is said when E1 with these terms dials D1 with those.
    fn said(entry: &Terms, ndb: &Terms) -> String {
        let dialler = Party { tier: Tier::Entry, terms: entry };
        let listener = Party { tier: Tier::Ndb, terms: ndb };
        told(&Terms::differences(dialler, listener), &name("E1"), &name("D1"))
    }

    #[test]
    fn nodes_with_the_same_terms_agree() {
        assert_eq!(said(&terms(), &terms()), "");
    }

    #[test]
    fn whatever_differs_is_named_with_both_values_and_both_nodes() {
        let other = Terms { write_quorum: 1, durability: Durability::Memory, ..terms() };
        let wanted = "cluster.write-quorum is 1 at E1 and 2 at D1, cluster.durability is memory at E1 \
                      and fsync at D1";
        assert_eq!(said(&other, &terms()), wanted);
        let mut other = terms();
        other.sync.remove(&SyncId(2));
        other.groups[0].swap(0, 1);
        let sync = "sync is S1 (lane 0), S2 (lane 1), S3 (lane 2) at E1 and S1 (lane 0), S2 (lane 1) \
                    at D1";
        let group = "ndb-group[0] is D1, D2, D3 at E1 and D2, D1, D3 at D1";
        assert_eq!(said(&terms(), &other), format!("{sync}, {group}"));
    }

    #[test]
    fn groups_are_added_node_by_node() {
        let mut more = terms();
        more.groups.push(vec![name("D4")]);
        assert_eq!(said(&more, &terms()), "");
        assert_eq!(said(&terms(), &more), "");
    }

    #[test]
    fn an_entry_makes_no_larger_segments_than_an_ndb_node_takes() {
        let larger = Terms { segment_bytes_max: 2 << 20, ..terms() };
        let wanted = "limits.segment-bytes-max is 2097152 at E1 and 1048576 at D1";
        assert_eq!(said(&larger, &terms()), wanted);
        assert_eq!(said(&terms(), &larger), "", "raised at ndb nodes first");
    }
}
