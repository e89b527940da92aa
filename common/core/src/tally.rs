//! Votes, counted: who has accepted what. The vote and all who read the order count alike.
//!
//! Source: Lamport, *Paxos Made Simple* (2001), §2.3; `docs/protocol.md` rules 1b and 5. How many elect is for those to
//! say who count. Votes of the fast round are counted by value: a home that lost its row in a crash may have proposed
//! two there, and never voted for the first.
//!
//! Invariant:
//! - L1: the votes of one ballot that are counted are for one value.

use std::collections::BTreeMap;

use crate::id::{Ballot, SegmentId, SyncId};
use crate::segment::Elected;

/// A set of node numbers below 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeSet(u64);

impl NodeSet {
    /// Adds a node.
    pub fn insert(&mut self, number: u8) {
        self.0 |= 1u64.checked_shl(u32::from(number)).unwrap_or(0);
    }

    /// Whether a node is of it.
    #[must_use]
    pub fn contains(self, number: u8) -> bool {
        self.0 & 1u64.checked_shl(u32::from(number)).unwrap_or(0) != 0
    }

    /// How many nodes it has.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Who voted at a ballot, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tally {
    voters: NodeSet,
    value: Elected,
}

/// Votes for segments that are not known elected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tallies {
    ballots: BTreeMap<SegmentId, BTreeMap<Ballot, Tally>>,
    fast: BTreeMap<SegmentId, BTreeMap<Elected, NodeSet>>,
}

impl Tallies {
    /// Counts the acceptance of a node at a ballot: all that have accepted the same there. `None`, and it is not
    /// counted, where others have accepted something else there: somebody is broken.
    pub fn count(&mut self, from: SyncId, ballot: Ballot, value: Elected) -> Option<NodeSet> {
        let fresh = Tally { voters: NodeSet::default(), value };
        let ballots = self.ballots.entry(value.meta.id).or_default();
        let tally = ballots.entry(ballot).or_insert(fresh);
        if tally.value != value {
            return None;
        }
        tally.voters.insert(from.0);
        Some(tally.voters)
    }

    /// Counts the acceptance of a node in the fast round: all that have accepted the same there.
    pub fn count_fast(&mut self, from: SyncId, value: Elected) -> NodeSet {
        let voters = self.fast.entry(value.meta.id).or_default().entry(value).or_default();
        voters.insert(from.0);
        *voters
    }

    /// Who voted for this value of the segment in the fast round.
    #[must_use]
    pub fn fast_voters(&self, value: Elected) -> NodeSet {
        let voters = self.fast.get(&value.meta.id).and_then(|values| values.get(&value));
        voters.copied().unwrap_or_default()
    }

    /// Who voted for the segment at a ballot.
    #[must_use]
    pub fn voters(&self, segment: SegmentId, ballot: Ballot) -> NodeSet {
        let tally = self.ballots.get(&segment).and_then(|ballots| ballots.get(&ballot));
        tally.map(|tally| tally.voters).unwrap_or_default()
    }

    /// Whether anybody voted for the segment.
    #[must_use]
    pub fn has_votes(&self, segment: SegmentId) -> bool {
        self.ballots.contains_key(&segment) || self.fast.contains_key(&segment)
    }

    /// The segment is known elected, or never will be.
    pub fn settle(&mut self, segment: SegmentId) {
        self.ballots.remove(&segment);
        self.fast.remove(&segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::sample::elected;

    const fn at(mut value: Elected, stamp: u64) -> Elected {
        value.challenger.stamp = crate::id::Stamp(stamp);
        value
    }

    #[test]
    fn votes_of_different_ballots_do_not_add_up() {
        let (mut tallies, value) = (Tallies::default(), elected(5, 1));
        let mut count =
            |from, ballot| tallies.count(SyncId(from), Ballot(ballot), value).map(NodeSet::len);
        assert_eq!((count(0, 0), count(1, 1), count(1, 1)), (Some(1), Some(1), Some(1)));
        assert_eq!(count(2, 1), Some(2));
    }

    #[test]
    fn a_second_value_at_one_ballot_is_not_counted() {
        let (mut tallies, value) = (Tallies::default(), elected(5, 1));
        assert!(tallies.count(SyncId(0), Ballot(0), value).is_some());
        assert_eq!(tallies.count(SyncId(1), Ballot(0), at(value, 6)), None);
        assert_eq!(tallies.voters(value.meta.id, Ballot(0)).len(), 1);
    }

    #[test]
    fn votes_of_the_fast_round_are_counted_by_value() {
        let (mut tallies, value) = (Tallies::default(), elected(5, 1));
        assert_eq!(tallies.count_fast(SyncId(0), value).len(), 1);
        assert_eq!(tallies.count_fast(SyncId(1), at(value, 4)).len(), 1, "an earlier proposal");
        assert_eq!(tallies.count_fast(SyncId(0), value).len(), 1, "said again");
        assert_eq!(tallies.count_fast(SyncId(1), value).len(), 2);
        tallies.settle(value.meta.id);
        assert!(!tallies.has_votes(value.meta.id));
    }
}
