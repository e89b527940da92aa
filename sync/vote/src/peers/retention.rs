//! Retention: which elections this node may forget (DESIGN §4, *Retention*).
//!
//! An election goes when W ndb nodes of its group have applied past it durably, its owner's
//! segments are elected up to it without a gap, and it is older than `limits.feed-retention`: so a
//! reader whose link was down for a while finds its feed where it left it. What is older, readers
//! take from an ndb node's order.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use vixen_core::id::{GroupId, NdbId, Stamp};
use vixen_core::membership::Membership;
use vixen_core::segment::Elected;

use crate::owners::OwnerRow;

/// Pause between looks for owners that are idle, in a node that is not.
const EXPIRE_OWNERS: Duration = Duration::from_secs(600);

/// See the module doc.
#[derive(Debug)]
pub struct Retention {
    applied: Applied,
    ages: Ages,
    owners_expired_at: Instant,
}

impl Retention {
    /// Begins to look now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { applied: Applied::default(), ages: Ages::default(), owners_expired_at: now }
    }

    /// A node's durable head of the order. A lower one than before is an emptied node: it counts
    /// as it is.
    pub fn applied(&mut self, node: NdbId, stamp: Stamp) {
        self.applied.note(node, stamp);
    }

    /// What each node has said last.
    #[must_use]
    pub const fn nodes(&self) -> &BTreeMap<NdbId, Stamp> {
        &self.applied.nodes
    }

    /// Where the newest election is `newest`, elections up to this stamp have been known for `age`.
    pub fn known_for(&mut self, age: Duration, newest: Stamp, now: Instant) -> Stamp {
        self.ages.older_than(age, newest, now)
    }

    /// For each group, up to where W of its nodes have the order.
    #[must_use]
    pub fn floors(&self, membership: &Membership) -> BTreeMap<GroupId, Stamp> {
        self.applied.floors(membership)
    }

    /// Whether an election may go where these are the floors, and its owner's row is this one. An owner
    /// that was dropped has been elected to its end.
    #[must_use]
    pub fn may_go(
        floors: &BTreeMap<GroupId, Stamp>,
        owner: Option<OwnerRow>,
        elected: &Elected,
    ) -> bool {
        floors.get(&elected.challenger.group).is_some_and(|floor| elected.stamp() <= *floor)
            && owner.is_none_or(|row| elected.meta.id.seq <= row.contiguous)
    }

    /// Whether it is time to look for owners to forget; at once where some have ended.
    pub fn looks_for_owners(&mut self, has_ended: bool, now: Instant) -> bool {
        let is_due = has_ended || now.duration_since(self.owners_expired_at) >= EXPIRE_OWNERS;
        if is_due {
            self.owners_expired_at = now;
        }
        is_due
    }
}

/// How far ndb nodes have applied the order, as they say.
#[derive(Debug, Default)]
struct Applied {
    nodes: BTreeMap<NdbId, Stamp>,
}

impl Applied {
    /// A node's durable head of the order. A lower one than before is an emptied node: it counts
    /// as it is.
    fn note(&mut self, node: NdbId, stamp: Stamp) {
        self.nodes.insert(node, stamp);
    }

    /// For each group, up to where W of its nodes have the order.
    fn floors(&self, membership: &Membership) -> BTreeMap<GroupId, Stamp> {
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
}

/// When elections became known, by the monotonic clock: their stamps do not tell where the order
/// is ahead of wall time, or wall time was set.
#[derive(Debug, Default)]
struct Ages {
    /// All that was known elected then is at or below the stamp; oldest first.
    looks: VecDeque<(Instant, Stamp)>,
}

/// Looks are no closer to each other than this.
const AGES_APART: Duration = Duration::from_secs(1);

impl Ages {
    /// Takes note of the newest election known; elections up to the stamp returned have been known
    /// for `age`.
    fn older_than(&mut self, age: Duration, newest: Stamp, now: Instant) -> Stamp {
        if self.looks.back().is_none_or(|(at, _)| now.duration_since(*at) >= AGES_APART.min(age)) {
            self.looks.push_back((now, newest));
        }
        let is_old = |(at, _): &(Instant, Stamp)| now.duration_since(*at) >= age;
        // The last one that is old enough stays in front.
        while self.looks.get(1).is_some_and(is_old) {
            self.looks.pop_front();
        }
        self.looks.front().filter(|look| is_old(look)).map_or(Stamp::ZERO, |(_, stamp)| *stamp)
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

    #[test]
    fn what_was_known_long_enough_is_old_whatever_its_stamp() {
        let mut ages = Ages::default();
        let minute = Duration::from_secs(60);
        let begun = Instant::now();
        let mut older = |after_s: u64, newest: u64| {
            ages.older_than(minute, Stamp(newest), begun + Duration::from_secs(after_s)).0
        };
        assert_eq!(older(0, 100), 0);
        assert_eq!(older(30, 200), 0);
        assert_eq!(older(59, 300), 0);
        assert_eq!(older(60, 300), 100);
        assert_eq!(older(89, 400), 100);
        assert_eq!(older(95, 400), 200);
        assert_eq!(older(1_000, 900), 400);
        let mut at_once = Ages::default();
        assert_eq!(at_once.older_than(Duration::ZERO, Stamp(7), begun), Stamp(7));
        assert_eq!(at_once.older_than(Duration::ZERO, Stamp(9), begun), Stamp(9));
    }
}
