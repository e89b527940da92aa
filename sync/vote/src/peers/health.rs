//! Health: whether this node can do its part of the vote, or others need not wait for it.
//!
//! It *stands aside* where fewer than W ndb nodes of each group are linked, since it can draft nothing
//! then, and for a while after it came very late to what was due: it was paused, or its disk or machine
//! is slow, and it has to read what came meanwhile. Most of what ndb nodes asked for in that time is
//! elected by then, so drafts are put off until it has read so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use vixen_core::id::{GroupId, NdbId};
use vixen_core::membership::Membership;

use crate::orderer::Input;

/// A loop that comes this late to what was due has been paused, or its disk or machine is slow.
const STALL: Duration = Duration::from_millis(200);
/// How long a node stands aside then: it has to read what came meanwhile, and others need not wait.
const STALLED_ASIDE: Duration = Duration::from_millis(200);
/// Drafts put off during a stall; more are made at once.
const DEFERRED_MAX: usize = 16_384;

/// See the module doc.
#[derive(Debug)]
pub struct Health {
    is_aside: bool,
    stalled_until: Option<Instant>,
    /// Drafts asked for during the stall.
    deferred: Vec<Input>,
}

impl Default for Health {
    fn default() -> Self {
        Self { is_aside: true, stalled_until: None, deferred: Vec::new() }
    }
}

impl Health {
    /// Whether others need not wait for it.
    #[must_use]
    pub const fn is_aside(&self) -> bool {
        self.is_aside
    }

    /// Whether it was stalled just now.
    #[must_use]
    pub const fn is_stalled(&self) -> bool {
        self.stalled_until.is_some()
    }

    /// When the stall is over.
    #[must_use]
    pub const fn due_at(&self) -> Option<Instant> {
        self.stalled_until
    }

    /// A turn begins that was due at `due`, or was not. Whether it comes so late that the node is
    /// stalled.
    pub fn begin_turn(&mut self, due: Option<Instant>, now: Instant) -> bool {
        let is_late = due.is_some_and(|due| now > due + STALL);
        if is_late {
            self.stalled_until = Some(now + STALLED_ASIDE);
        }
        is_late
    }

    /// Ends a stall that is over; the drafts that were put off, or nothing while it lasts.
    pub fn end_stall(&mut self, now: Instant) -> Option<Vec<Input>> {
        self.stalled_until.filter(|until| *until <= now)?;
        self.stalled_until = None;
        Some(std::mem::take(&mut self.deferred))
    }

    /// Puts a draft off, if the node is stalled; else gives it back, to be made now.
    pub fn defer(&mut self, input: Input) -> Option<Input> {
        if !self.is_stalled() || self.deferred.len() >= DEFERRED_MAX {
            return Some(input);
        }
        self.deferred.push(input);
        None
    }

    /// Looks which ndb nodes are linked and heard; whether the node stands aside, where that is new.
    pub fn look(
        &mut self,
        heard: impl Iterator<Item = NdbId>,
        members: &Membership,
    ) -> Option<bool> {
        let mut groups: BTreeMap<GroupId, BTreeSet<NdbId>> = BTreeMap::new();
        for id in heard {
            groups.entry(id.group).or_default().insert(id);
        }
        let lacks_ndb = groups.values().all(|nodes| nodes.len() < members.write_quorum());
        let is_aside = self.is_stalled() || lacks_ndb;
        (std::mem::replace(&mut self.is_aside, is_aside) != is_aside).then_some(is_aside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orderer::tests::meta;

    fn ndb(group: u16, member: u8) -> NdbId {
        NdbId { group: GroupId(group), member }
    }

    #[test]
    fn it_stands_aside_until_w_nodes_of_one_group_are_heard() {
        let (mut health, members) = (Health::default(), Membership::sized(3, [3, 3], 2));
        assert_eq!(health.look([ndb(0, 0), ndb(1, 0)].into_iter(), &members), None);
        assert!(health.is_aside());
        assert_eq!(health.look([ndb(0, 0), ndb(0, 1)].into_iter(), &members), Some(false));
        assert_eq!(health.look(std::iter::empty(), &members), Some(true));
    }

    #[test]
    fn drafts_that_were_asked_for_during_a_stall_are_made_when_it_is_over() {
        let (mut health, now) = (Health::default(), Instant::now());
        let input = Input::GenerateDraft { from: ndb(0, 0), meta: meta(1, 1) };
        assert_eq!(health.defer(input.clone()), Some(input.clone()));
        assert!(!health.begin_turn(Some(now), now + STALL));
        let late = now + STALL + Duration::from_millis(1);
        assert!(health.begin_turn(Some(now), late) && health.is_stalled());
        assert_eq!(health.defer(input.clone()), None);
        assert_eq!(health.end_stall(late), None);
        assert_eq!(health.end_stall(late + STALLED_ASIDE), Some(vec![input]));
        assert!(!health.is_stalled());
    }
}
