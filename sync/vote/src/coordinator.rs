//! Coordinator: the ballots that this node leads, what it is told in stage one, and which value
//! follows from that.
//!
//! Source: Lamport, *Paxos Made Simple* (2001), §2.2, phases 1a and 2a; rules 3 and 4. What it has
//! proposed is in the row of its own acceptor, which accepts first: so this is volatile.
//!
//! Invariant:
//! - Q1: the picks of a round are of its ballot, which never falls.

use std::collections::BTreeMap;

use vixen_core::id::{Ballot, GroupId, SegmentId, Stamp, SyncId};
use vixen_core::segment::Challenger;

use super::rules::{GoesBy, Pick};

/// Stage one of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Round {
    /// The ballot that picks are collected for.
    pub(crate) ballot: Ballot,
    /// Who promised it, and what each said.
    pub(crate) picks: BTreeMap<SyncId, Pick>,
    /// The highest promise that a ballot of this node was refused for.
    outbid: Ballot,
    /// It waits for no more picks than it needs.
    is_late: bool,
}

/// What a quorum's picks come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// This value.
    Value(Challenger),
    /// A fresh stamp above the floor, and this group.
    Fresh(GroupId),
}

/// See the module doc.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Coordinator {
    rules: GoesBy,
    rounds: BTreeMap<SegmentId, Round>,
}

impl Coordinator {
    pub(crate) const fn new(rules: GoesBy) -> Self {
        Self { rules, rounds: BTreeMap::new() }
    }

    /// Takes the pick of a node at `ballot`, which this node leads; `false` where that is behind.
    pub(crate) fn collect(
        &mut self,
        segment: SegmentId,
        ballot: Ballot,
        from: SyncId,
        pick: Pick,
    ) -> bool {
        let round = self.rounds.entry(segment).or_default();
        if ballot < round.ballot {
            return false;
        }
        if ballot > round.ballot {
            round.ballot = ballot;
            round.picks.clear();
        }
        assert!(round.ballot == ballot, "Q1");
        // A node drafts once and keeps it, so a repeat says the same or, with `accepted`, more.
        round.picks.insert(from, pick);
        true
    }

    /// The segment has waited long enough for the votes of all in the fast round.
    pub(crate) fn hurry(&mut self, segment: SegmentId) {
        if let Some(round) = self.rounds.get_mut(&segment) {
            round.is_late = true;
        }
    }

    /// Whether the fast round, in which this node has accepted `value`, may still elect: all that have said
    /// their pick have accepted it as well, and it is not too late.
    pub(crate) fn may_be_unanimous(&self, segment: SegmentId, value: Challenger) -> bool {
        self.round(segment).is_none_or(|round| {
            let mut picks = round.picks.values();
            !round.is_late && picks.all(|pick| pick.fast == Some(value))
        })
    }

    /// A node has refused a ballot of this one for a higher promise.
    pub(crate) fn refuse(&mut self, segment: SegmentId, promised: Ballot) {
        if promised > self.outbid(segment) {
            self.rounds.entry(segment).or_default().outbid = promised;
        }
    }

    pub(crate) fn round(&self, segment: SegmentId) -> Option<&Round> {
        self.rounds.get(&segment)
    }

    /// The ballot that picks are collected for; 0 before there are any.
    pub(crate) fn ballot(&self, segment: SegmentId) -> Ballot {
        self.round(segment).map_or(Ballot(0), |round| round.ballot)
    }

    /// The highest promise that a ballot of this node was refused for.
    pub(crate) fn outbid(&self, segment: SegmentId) -> Ballot {
        self.round(segment).map_or(Ballot(0), |round| round.outbid)
    }

    /// How many have said their pick.
    pub(crate) fn picks(&self, segment: SegmentId) -> usize {
        self.round(segment).map_or(0, |round| round.picks.len())
    }

    /// Whether this node has said its pick.
    pub(crate) fn has_pick(&self, segment: SegmentId, from: SyncId) -> bool {
        self.round(segment).is_some_and(|round| round.picks.contains_key(&from))
    }

    /// Rule 4: what to propose after these picks of q nodes or more, where the owner's previous
    /// segment is elected at `floor`.
    pub(crate) fn choose(&self, mut picks: Vec<Pick>, quorum: usize, floor: Stamp) -> Choice {
        assert!(picks.len() >= quorum, "P2c: a value follows from a quorum's picks");
        if let Some(adopted) = self.rules.adopted(&picks, quorum) {
            return Choice::Value(adopted);
        }
        picks.sort_unstable_by_key(|pick| pick.draft);
        let Pick { draft: stamp, group, .. } = self.rules.drafted(&picks, quorum);
        match self.rules.clears(stamp, floor) {
            true => Choice::Value(Challenger { stamp, group }),
            false => Choice::Fresh(group),
        }
    }

    /// The segment is pending no more.
    pub(crate) fn settle(&mut self, segment: SegmentId) {
        self.rounds.remove(&segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orderer::tests::meta;
    use crate::rules::Proven;

    fn pick(draft: u64) -> Pick {
        Pick { draft: Stamp(draft), group: GroupId(0), accepted: None, fast: None }
    }

    fn coordinator() -> Coordinator {
        Coordinator::new(GoesBy(&Proven))
    }

    #[test]
    fn picks_of_a_lower_ballot_are_behind_and_those_of_a_higher_begin_anew() {
        let (mut coordinator, segment) = (coordinator(), meta(1, 1).id);
        assert!(coordinator.collect(segment, Ballot(3), SyncId(0), pick(5)));
        assert!(!coordinator.collect(segment, Ballot(0), SyncId(1), pick(6)));
        assert!(coordinator.collect(segment, Ballot(3), SyncId(1), pick(6)));
        assert_eq!(coordinator.picks(segment), 2);
        assert!(coordinator.collect(segment, Ballot(6), SyncId(2), pick(7)));
        assert_eq!((coordinator.ballot(segment), coordinator.picks(segment)), (Ballot(6), 1));
    }

    #[test]
    fn a_draft_at_or_below_the_floor_makes_way_for_a_fresh_stamp() {
        let value = |floor| coordinator().choose(vec![pick(7), pick(5)], 2, Stamp(floor));
        let highest = Challenger { stamp: Stamp(7), group: GroupId(0) };
        assert_eq!(value(6), Choice::Value(highest));
        assert_eq!(value(7), Choice::Fresh(GroupId(0)));
    }

    #[test]
    fn what_was_accepted_goes_before_every_draft_and_floor() {
        let value = Challenger { stamp: Stamp(3), group: GroupId(1) };
        let accepted = Pick { accepted: Some((Ballot(0), value)), ..pick(9) };
        let choice = coordinator().choose(vec![pick(7), accepted], 2, Stamp(8));
        assert_eq!(choice, Choice::Value(value));
    }
}
