//! Roster: what the nodes of the configuration are called, for those who print.
//!
//! Messages, keys and vote rows know nodes by lane, or by group and place; people know them by the
//! id that stands in `vixen.toml`. Whoever writes for people is handed a roster and asks it. Entries
//! are not in it: they need no place in other nodes' configurations, and bring their name with HELLO.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{NdbId, SyncId};
use crate::name::NodeName;
use crate::wire::{PeerId, Refusal};

/// See the module doc. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Roster(Arc<Names>);

#[derive(Debug, Default)]
struct Names {
    sync: BTreeMap<SyncId, NodeName>,
    ndb: BTreeMap<NdbId, NodeName>,
}

impl Roster {
    /// These nodes.
    pub fn new(
        sync: impl IntoIterator<Item = (SyncId, NodeName)>,
        ndb: impl IntoIterator<Item = (NdbId, NodeName)>,
    ) -> Self {
        let (sync, ndb) = (sync.into_iter().collect(), ndb.into_iter().collect());
        Self(Arc::new(Names { sync, ndb }))
    }

    /// What a sync node is called. One that the configuration does not have, which no link lets in,
    /// is called by its lane.
    #[must_use]
    pub fn sync(&self, id: SyncId) -> NodeName {
        let known = self.0.sync.get(&id).cloned();
        known.unwrap_or_else(|| NodeName::stand_in(format!("lane-{}", id.0)))
    }

    /// What an ndb node is called. One that the configuration does not have, which no link lets in,
    /// is called by its place.
    #[must_use]
    pub fn ndb(&self, id: NdbId) -> NodeName {
        let known = self.0.ndb.get(&id).cloned();
        let stand_in = || format!("group-{}-place-{}", id.group.0, id.member);
        known.unwrap_or_else(|| NodeName::stand_in(stand_in()))
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &NodeName> {
        self.0.sync.values().chain(self.0.ndb.values())
    }

    /// Whether a sync or ndb node is called so.
    #[must_use]
    pub fn has(&self, name: &NodeName) -> bool {
        self.names().any(|known| known == name)
    }

    /// The sync node that is called so.
    #[must_use]
    pub fn sync_id(&self, name: &NodeName) -> Option<SyncId> {
        self.sync_nodes().find(|(_, known)| *known == name).map(|(id, _)| id)
    }

    /// The sync nodes.
    pub fn sync_nodes(&self) -> impl Iterator<Item = (SyncId, &NodeName)> {
        self.0.sync.iter().map(|(id, name)| (*id, name))
    }

    /// The ndb nodes of all groups.
    pub fn ndb_nodes(&self) -> impl Iterator<Item = (NdbId, &NodeName)> {
        self.0.ndb.iter().map(|(id, name)| (*id, name))
    }

    /// Names of sync nodes, separated by commas.
    pub fn sync_list<'a>(&self, ids: impl IntoIterator<Item = &'a SyncId>) -> String {
        list(ids.into_iter().map(|id| self.sync(*id)))
    }

    /// Names of ndb nodes, separated by commas.
    pub fn ndb_list<'a>(&self, ids: impl IntoIterator<Item = &'a NdbId>) -> String {
        list(ids.into_iter().map(|id| self.ndb(*id)))
    }

    /// Whether a peer may be called `name`, at the node called `by`.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, by: &NodeName, peer: &PeerId, name: &NodeName) -> Result<(), Refusal> {
        let ours = match peer {
            PeerId::Sync { id, .. } => self.0.sync.get(id),
            PeerId::Ndb { id, .. } => self.0.ndb.get(id),
            PeerId::Entry { .. } => {
                let is_taken = self.has(name);
                let taken = Refusal::NameTaken { by: by.clone(), name: name.clone() };
                return if is_taken { Err(taken) } else { Ok(()) };
            }
        };
        match ours {
            Some(ours) if ours == name => Ok(()),
            Some(ours) => Err(Refusal::Name {
                by: by.clone(),
                place: place_of(peer),
                theirs: name.clone(),
                ours: ours.clone(),
            }),
            None => Err(unknown(by, peer, name)),
        }
    }
}

/// The refusal of a node that has no place here.
#[must_use]
pub fn unknown(by: &NodeName, peer: &PeerId, name: &NodeName) -> Refusal {
    Refusal::Unknown { by: by.clone(), name: name.clone(), place: place_of(peer) }
}

/// What a peer says it is, in words.
fn place_of(peer: &PeerId) -> String {
    match peer {
        PeerId::Sync { id, .. } => format!("the sync node of lane {}", id.0),
        PeerId::Ndb { id, .. } => {
            format!("the ndb node at place {} of group {}", id.member, id.group)
        }
        PeerId::Entry { .. } => "an entry".to_owned(),
    }
}

fn list(names: impl Iterator<Item = NodeName>) -> String {
    let names: Vec<_> = names.collect();
    names.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{GroupId, OwnerId, StoreId};

    fn name(text: &str) -> NodeName {
        text.parse().expect("a name")
    }

    fn roster() -> Roster {
        let ndb = NdbId { group: GroupId(1), member: 2 };
        Roster::new([(SyncId(1), name("S2"))], [(ndb, name("D6"))])
    }

    const fn store() -> StoreId {
        StoreId(uuid::Uuid::nil())
    }

    #[test]
    fn nodes_have_the_names_of_the_configuration() {
        assert_eq!(roster().sync(SyncId(1)), name("S2"));
        assert_eq!(roster().ndb(NdbId { group: GroupId(1), member: 2 }), name("D6"));
        assert_eq!(roster().sync_list(&[SyncId(1), SyncId(5)]), "S2, lane-5");
        let unknown = NdbId { group: GroupId(0), member: 3 };
        assert_eq!(roster().ndb_list(&[unknown]), "group-0-place-3");
    }

    #[test]
    fn a_node_with_another_name_is_refused_with_both() {
        let peer = PeerId::Sync { id: SyncId(1), store: store() };
        assert_eq!(roster().check(&name("S1"), &peer, &name("S2")), Ok(()));
        let refusal = roster().check(&name("S1"), &peer, &name("S7")).expect_err("another name");
        let wanted = "the sync node of lane 1 is called S7 in its own configuration, and S2 in that \
                      of S1; give all nodes the same vixen.toml";
        assert_eq!(refusal.to_string(), wanted);
        let stranger = PeerId::Sync { id: SyncId(3), store: store() };
        let refusal = roster().check(&name("S1"), &stranger, &name("S4")).expect_err("unknown");
        let wanted = "S4, the sync node of lane 3, is not in the configuration of S1; give all nodes \
                      the same vixen.toml";
        assert_eq!(refusal.to_string(), wanted);
    }

    #[test]
    fn an_entry_has_any_name_but_those_of_other_tiers() {
        let entry = PeerId::Entry { owner: OwnerId(uuid::Uuid::nil()) };
        assert_eq!(roster().check(&name("S1"), &entry, &name("E9")), Ok(()));
        let taken = Refusal::NameTaken { by: name("S1"), name: name("D6") };
        assert_eq!(roster().check(&name("S1"), &entry, &name("D6")), Err(taken));
    }
}
