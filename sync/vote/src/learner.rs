//! Learner: counts who has accepted what. What q nodes accepted at one ballot is elected, and what all accepted
//! in the fast round.
//!
//! Source: Lamport, *Paxos Made Simple* (2001), §2.3; rule 5. Every node learns from the votes of all; they are counted
//! as readers of the order count them (`vixen_core::tally`).

use vixen_core::id::{Ballot, SegmentId, SyncId};
use vixen_core::segment::{Challenger, Elected, Proposal, SegmentMeta};
use vixen_core::tally::{NodeSet, Tallies};

use super::rules::GoesBy;

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
    tallies: Tallies,
}

impl Learner {
    pub(crate) fn new(rules: GoesBy) -> Self {
        Self { rules, tallies: Tallies::default() }
    }

    /// Counts the acceptance of a node.
    pub(crate) fn count(&mut self, from: SyncId, proposal: &Proposal, quorum: usize) -> Counted {
        let value = Elected { meta: proposal.meta, challenger: proposal.challenger };
        match self.tallies.count(from, proposal.ballot, value) {
            None => Counted::Conflict,
            Some(voters) if self.rules.elects(voters.len(), quorum) => Counted::Elected(voters),
            Some(_) => Counted::Waits,
        }
    }

    /// Counts the acceptance of a node in the fast round.
    pub(crate) fn count_fast(
        &mut self,
        from: SyncId,
        meta: SegmentMeta,
        challenger: Challenger,
        members: usize,
    ) -> Counted {
        let voters = self.tallies.count_fast(from, Elected { meta, challenger });
        match self.rules.elects_fast(voters.len(), members) {
            true => Counted::Elected(voters),
            false => Counted::Waits,
        }
    }

    /// Who voted for this value of the segment in the fast round.
    pub(crate) fn fast_voters(&self, meta: SegmentMeta, challenger: Challenger) -> NodeSet {
        self.tallies.fast_voters(Elected { meta, challenger })
    }

    /// Who voted for the segment at a ballot.
    pub(crate) fn voters(&self, segment: SegmentId, ballot: Ballot) -> NodeSet {
        self.tallies.voters(segment, ballot)
    }

    /// Whether anybody voted for the segment.
    pub(crate) fn has_votes(&self, segment: SegmentId) -> bool {
        self.tallies.has_votes(segment)
    }

    /// The segment is pending no more.
    pub(crate) fn settle(&mut self, segment: SegmentId) {
        self.tallies.settle(segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orderer::tests::meta;
    use crate::rules::Proven;
    use vixen_core::id::{GroupId, Stamp};

    const fn value(stamp: u64) -> Challenger {
        Challenger { stamp: Stamp(stamp), group: GroupId(0) }
    }

    #[test]
    fn a_quorum_at_one_ballot_elects() {
        let mut learner = Learner::new(GoesBy(&Proven));
        let proposal = |ballot, stamp| Proposal {
            meta: meta(1, 1),
            ballot: Ballot(ballot),
            challenger: value(stamp),
        };
        assert_eq!(learner.count(SyncId(0), &proposal(0, 5), 2), Counted::Waits);
        assert_eq!(learner.count(SyncId(1), &proposal(1, 5), 2), Counted::Waits);
        assert_eq!(learner.count(SyncId(0), &proposal(1, 6), 2), Counted::Conflict);
        assert!(matches!(learner.count(SyncId(2), &proposal(1, 5), 2), Counted::Elected(_)));
    }

    #[test]
    fn the_fast_round_needs_all_for_one_value() {
        let mut learner = Learner::new(GoesBy(&Proven));
        let mut count = |from, stamp| learner.count_fast(SyncId(from), meta(1, 1), value(stamp), 3);
        assert_eq!(count(0, 5), Counted::Waits);
        assert_eq!(count(1, 5), Counted::Waits);
        assert_eq!(count(2, 4), Counted::Waits, "of an earlier proposal");
        assert!(matches!(count(2, 5), Counted::Elected(_)));
    }
}
