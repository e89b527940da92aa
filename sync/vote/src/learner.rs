//! Learner: counts who has accepted what. What q nodes accepted at one ballot is elected, and what all accepted
//! in the fast round.
//!
//! Source: Lamport, *Paxos Made Simple* (2001), §2.3; rule 5. Every node learns from the votes of all. Votes of the
//! fast round are counted by value: a home that lost its row in a crash may have proposed two there, and
//! never voted for the first.
//!
//! Invariant:
//! - L1: the votes of one ballot that are counted are for one value.

use std::collections::BTreeMap;

use vixen_core::id::{Ballot, SegmentId, SyncId};
use vixen_core::segment::{Challenger, Proposal};

use super::nodes::NodeSet;
use super::rules::GoesBy;

/// Who voted at a ballot, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tally {
    voters: NodeSet,
    value: Challenger,
}

/// What a vote makes of the votes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Other votes of this ballot are for another value: somebody is broken.
    Conflict,
    /// They do not elect yet.
    Waits,
    /// They elect: these nodes have accepted.
    Elected(NodeSet),
}

/// Votes for pending segments. Volatile: they are said again on new links.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Learner {
    rules: GoesBy,
    tallies: BTreeMap<SegmentId, BTreeMap<Ballot, Tally>>,
    fast: BTreeMap<SegmentId, BTreeMap<Challenger, NodeSet>>,
}

impl Learner {
    pub(crate) const fn new(rules: GoesBy) -> Self {
        Self { rules, tallies: BTreeMap::new(), fast: BTreeMap::new() }
    }

    /// Counts the acceptance of a node.
    pub(crate) fn count(&mut self, from: SyncId, proposal: &Proposal, quorum: usize) -> Counted {
        let (segment, value) = (proposal.meta.id, proposal.challenger);
        let fresh = Tally { voters: NodeSet::default(), value };
        let ballots = self.tallies.entry(segment).or_default();
        let tally = ballots.entry(proposal.ballot).or_insert(fresh);
        if tally.value != value {
            return Counted::Conflict;
        }
        tally.voters.insert(from.0);
        match self.rules.elects(tally.voters.len(), quorum) {
            true => Counted::Elected(tally.voters),
            false => Counted::Waits,
        }
    }

    /// Counts the acceptance of a node in the fast round.
    pub(crate) fn count_fast(
        &mut self,
        from: SyncId,
        segment: SegmentId,
        value: Challenger,
        members: usize,
    ) -> Counted {
        let voters = self.fast.entry(segment).or_default().entry(value).or_default();
        voters.insert(from.0);
        match self.rules.elects_fast(voters.len(), members) {
            true => Counted::Elected(*voters),
            false => Counted::Waits,
        }
    }

    /// Who voted for this value of the segment in the fast round.
    pub(crate) fn fast_voters(&self, segment: SegmentId, value: Challenger) -> NodeSet {
        let voters = self.fast.get(&segment).and_then(|values| values.get(&value));
        voters.copied().unwrap_or_default()
    }

    /// Who voted for the segment at a ballot.
    pub(crate) fn voters(&self, segment: SegmentId, ballot: Ballot) -> NodeSet {
        let tally = self.tallies.get(&segment).and_then(|ballots| ballots.get(&ballot));
        tally.map(|tally| tally.voters).unwrap_or_default()
    }

    /// Whether anybody voted for the segment.
    pub(crate) fn has_votes(&self, segment: SegmentId) -> bool {
        self.tallies.contains_key(&segment) || self.fast.contains_key(&segment)
    }

    /// The segment is pending no more.
    pub(crate) fn settle(&mut self, segment: SegmentId) {
        self.tallies.remove(&segment);
        self.fast.remove(&segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orderer::tests::meta;
    use crate::rules::Proven;
    use vixen_core::id::{GroupId, Stamp};

    fn proposal(ballot: u32, stamp: u64) -> Proposal {
        let challenger = Challenger { stamp: Stamp(stamp), group: GroupId(0) };
        Proposal { meta: meta(1, 1), ballot: Ballot(ballot), challenger }
    }

    #[test]
    fn votes_of_different_ballots_do_not_add_up() {
        let mut learner = Learner::new(GoesBy(&Proven));
        assert_eq!(learner.count(SyncId(0), &proposal(0, 5), 2), Counted::Waits);
        assert_eq!(learner.count(SyncId(1), &proposal(1, 5), 2), Counted::Waits);
        assert_eq!(learner.count(SyncId(1), &proposal(1, 5), 2), Counted::Waits, "said again");
        assert!(matches!(learner.count(SyncId(2), &proposal(1, 5), 2), Counted::Elected(_)));
    }

    #[test]
    fn the_fast_round_needs_all_for_one_value() {
        let (mut learner, segment) = (Learner::new(GoesBy(&Proven)), meta(1, 1).id);
        let value = |stamp| Challenger { stamp: Stamp(stamp), group: GroupId(0) };
        let mut count = |from, stamp| learner.count_fast(SyncId(from), segment, value(stamp), 3);
        assert_eq!(count(0, 5), Counted::Waits);
        assert_eq!(count(1, 5), Counted::Waits);
        assert_eq!(count(2, 4), Counted::Waits, "of an earlier proposal");
        assert_eq!(count(1, 5), Counted::Waits, "said again");
        assert!(matches!(count(2, 5), Counted::Elected(_)));
    }

    #[test]
    fn a_second_value_at_one_ballot_is_not_counted() {
        let mut learner = Learner::new(GoesBy(&Proven));
        assert_eq!(learner.count(SyncId(0), &proposal(0, 5), 2), Counted::Waits);
        assert_eq!(learner.count(SyncId(1), &proposal(0, 6), 2), Counted::Conflict);
        assert_eq!(learner.voters(meta(1, 1).id, Ballot(0)).len(), 1);
    }
}
