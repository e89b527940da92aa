//! Groups: which of them can hold a segment.
//!
//! ```text
//!        W nodes linked, heard and willing       no answer for a while
//!  not willing --------------------------> willing --------------------> stalled
//!              <--------------------------         <--------------------
//!                  fewer than W of them             a TRIM, link or standing
//! ```
//! A stalled group is not willing, however many of its nodes said that they are.

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::{GroupId, NdbId};
use vixen_core::membership::Membership;
use vixen_core::time::WallTime;
use vixen_core::wire::NdbStanding;

/// What a linked node said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    /// Nothing yet on this link: it counts as not willing.
    Unheard,
    /// This, last.
    Said(NdbStanding),
}

#[derive(Debug)]
struct Group {
    members: Vec<NdbId>,
    is_stalled: bool,
    /// Its patience begins here: it became willing, or W nodes took a segment.
    alive_at: WallTime,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Groups {
    list: Vec<Group>,
    write_quorum: usize,
    /// The linked nodes.
    up: BTreeMap<NdbId, Node>,
    /// Of these, those from which nothing comes.
    silent: BTreeSet<NdbId>,
}

impl Groups {
    pub(super) fn new(membership: &Membership) -> Self {
        let group = |(_, members): (GroupId, &[NdbId])| Group {
            members: members.to_vec(),
            is_stalled: false,
            alive_at: WallTime(0),
        };
        Self {
            list: membership.groups().map(group).collect(),
            write_quorum: membership.write_quorum(),
            up: BTreeMap::new(),
            silent: BTreeSet::new(),
        }
    }

    pub(super) const fn write_quorum(&self) -> usize {
        self.write_quorum
    }

    /// What a linked node said last; `None` while it is not linked or has said nothing.
    pub(super) fn standing(&self, ndb: NdbId) -> Option<NdbStanding> {
        match self.up.get(&ndb)? {
            Node::Unheard => None,
            Node::Said(standing) => Some(*standing),
        }
    }

    /// The linked nodes of a group.
    pub(super) fn linked(&self, group: GroupId) -> impl Iterator<Item = NdbId> {
        let members = self.get(group).into_iter().flat_map(|group| &group.members);
        members.copied().filter(|ndb| self.up.contains_key(ndb))
    }

    /// Whether a segment may be given to the group.
    pub(super) fn is_willing(&self, group: GroupId) -> bool {
        self.has_quorum(group) && !self.is_stalled(group)
    }

    pub(super) fn is_stalled(&self, group: GroupId) -> bool {
        self.get(group).is_some_and(|group| group.is_stalled)
    }

    /// The first willing group of the round that begins with `own`.
    pub(super) fn first_willing(&self, own: GroupId) -> Option<GroupId> {
        let all = || (0..).take(self.list.len()).map(GroupId);
        let round = all().skip_while(|group| *group != own).chain(all());
        round.take(self.list.len()).find(|group| self.is_willing(*group))
    }

    /// Since when the patience with a willing group runs; `None` for one that is not.
    pub(super) fn alive_at(&self, group: GroupId) -> Option<WallTime> {
        self.get(group).filter(|_| self.is_willing(group)).map(|group| group.alive_at)
    }

    /// A new link: what the node said on the last one holds no more.
    pub(super) fn node_up(&mut self, now: WallTime, ndb: NdbId) {
        self.silent.remove(&ndb);
        self.change(now, ndb, Some(Node::Unheard));
        self.has_answered(now, ndb.group);
    }

    pub(super) fn node_down(&mut self, now: WallTime, ndb: NdbId) {
        self.silent.remove(&ndb);
        self.change(now, ndb, None);
    }

    /// Nothing comes from a linked node any more, or something comes again.
    pub(super) fn node_silent(&mut self, now: WallTime, ndb: NdbId, is_silent: bool) {
        let had_quorum = self.has_quorum(ndb.group);
        if is_silent && self.up.contains_key(&ndb) {
            self.silent.insert(ndb);
        } else if self.silent.remove(&ndb) {
            self.has_answered(now, ndb.group);
        }
        self.note_quorum(now, ndb.group, had_quorum);
    }

    /// What a linked node says of itself; what it said before.
    pub(super) fn said(
        &mut self,
        now: WallTime,
        ndb: NdbId,
        standing: NdbStanding,
    ) -> Option<NdbStanding> {
        let before = self.standing(ndb);
        if self.up.contains_key(&ndb) {
            self.change(now, ndb, Some(Node::Said(standing)));
            self.has_answered(now, ndb.group);
        }
        before
    }

    /// W nodes of the group took a segment.
    pub(super) fn has_taken(&mut self, now: WallTime, group: GroupId) {
        if let Some(group) = self.get_mut(group) {
            group.alive_at = now;
        }
    }

    /// A node of the group answered.
    pub(super) fn has_answered(&mut self, now: WallTime, group: GroupId) {
        if let Some(group) = self.get_mut(group).filter(|group| group.is_stalled) {
            group.is_stalled = false;
            group.alive_at = now;
        }
    }

    pub(super) fn stall(&mut self, group: GroupId) {
        if let Some(group) = self.get_mut(group) {
            group.is_stalled = true;
        }
    }

    fn change(&mut self, now: WallTime, ndb: NdbId, node: Option<Node>) {
        let had_quorum = self.has_quorum(ndb.group);
        match node {
            Some(node) => self.up.insert(ndb, node),
            None => self.up.remove(&ndb),
        };
        self.note_quorum(now, ndb.group, had_quorum);
    }

    /// The patience with a group begins when it gets a quorum.
    fn note_quorum(&mut self, now: WallTime, group: GroupId, had_quorum: bool) {
        let has_quorum = self.has_quorum(group);
        if let Some(group) = self.get_mut(group).filter(|_| has_quorum && !had_quorum) {
            group.alive_at = now;
        }
    }

    fn has_quorum(&self, group: GroupId) -> bool {
        let willing = Some(NdbStanding::Willing);
        let is_willing = |ndb: &NdbId| self.standing(*ndb) == willing && !self.silent.contains(ndb);
        self.linked(group).filter(is_willing).count() >= self.write_quorum
    }

    fn get(&self, group: GroupId) -> Option<&Group> {
        self.list.get(usize::from(group.0))
    }

    fn get_mut(&mut self, group: GroupId) -> Option<&mut Group> {
        self.list.get_mut(usize::from(group.0))
    }
}
