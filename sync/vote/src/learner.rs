//! Learner: counts who has accepted what. What q nodes accepted at one ballot is elected.
//!
//! Source: Lamport, *Paxos Made Simple* (2001), §2.3; rule 5. Every node learns from the votes of all.
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
}

impl Learner {
    pub(crate) const fn new(rules: GoesBy) -> Self {
        Self { rules, tallies: BTreeMap::new() }
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

    /// Who voted for the segment at a ballot.
    pub(crate) fn voters(&self, segment: SegmentId, ballot: Ballot) -> NodeSet {
        let tally = self.tallies.get(&segment).and_then(|ballots| ballots.get(&ballot));
        tally.map(|tally| tally.voters).unwrap_or_default()
    }

    /// Whether anybody voted for the segment.
    pub(crate) fn has_votes(&self, segment: SegmentId) -> bool {
        self.tallies.contains_key(&segment)
    }

    /// The segment is pending no more.
    pub(crate) fn settle(&mut self, segment: SegmentId) {
        self.tallies.remove(&segment);
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
    fn a_second_value_at_one_ballot_is_not_counted() {
        let mut learner = Learner::new(GoesBy(&Proven));
        assert_eq!(learner.count(SyncId(0), &proposal(0, 5), 2), Counted::Waits);
        assert_eq!(learner.count(SyncId(1), &proposal(0, 6), 2), Counted::Conflict);
        assert_eq!(learner.voters(meta(1, 1).id, Ballot(0)).len(), 1);
    }
}
