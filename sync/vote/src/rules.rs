//! The decisions of the protocol, one function each, named by their rules in `docs/protocol.md`.
//!
//! Nothing here has a state. The machines ask, and go by the answer; [`Proven`] answers as the rules
//! say, and tests answer one question wrongly, to see that the model checker and the simulation
//! notice. So what is broken on purpose is in tests only.

use std::fmt;
use std::hash::{Hash, Hasher};

use vixen_core::id::{Ballot, GroupId, Stamp};
use vixen_core::segment::Challenger;
use vixen_core::time::WallTime;

use super::acceptor::VoteState;

/// What a coordinator got in stage one from one node.
///
/// Source: Lamport, *Paxos Made Simple* (2001), §2.2, phase 1b, and the draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pick {
    /// The stamp that the node promises.
    pub draft: Stamp,
    /// A group of which it counted W durable votes.
    pub group: GroupId,
    /// The last value it accepted, and its ballot.
    pub accepted: Option<(Ballot, Challenger)>,
    /// What it accepted in the fast round, where it has accepted nothing since.
    pub fast: Option<Challenger>,
}

impl Pick {
    /// What a proposal that follows it is not below; its node's clock is there.
    #[must_use]
    pub fn highest(&self) -> Stamp {
        let accepted = self.accepted.map(|(_, challenger)| challenger.stamp);
        accepted.unwrap_or_default().max(self.draft)
    }
}

/// The decisions of the protocol; see the module doc. What a function is given is all that its rule
/// looks at.
pub trait Rules: fmt::Debug + Sync {
    /// Rule 1: whether so many nodes of a group that have a segment on disk are enough.
    fn is_durable(&self, stored: usize, write_quorum: usize) -> bool {
        stored >= write_quorum
    }

    /// Rule 6, the acceptor: whether it may promise `ballot`. *Paxos Made Simple*, P1a.
    fn may_promise(&self, promised: Ballot, ballot: Ballot) -> bool {
        promised <= ballot
    }

    /// Rule 5, the acceptor: whether it may accept a proposal of `ballot`. *Paxos Made Simple*, P1a.
    fn may_accept(&self, promised: Ballot, ballot: Ballot) -> bool {
        promised <= ballot
    }

    /// Rule 5, the acceptor: where its clock is once it has accepted a stamp.
    fn clock_after_accepting(&self, clock: Stamp, accepted: Stamp) -> Stamp {
        clock.max(accepted)
    }

    /// The fast round, the home: whether it may propose there, where a ballot of another was `asked` for. It has
    /// done nothing about the segment yet.
    fn may_propose_fast(&self, row: &VoteState, asked: Ballot) -> bool {
        row.is_empty() && asked == Ballot(0)
    }

    /// The fast round, the acceptor: whether its row is what unanimity stands on. One that has promised,
    /// drafted or accepted anything may be one of a quorum that another value follows from.
    fn is_open(&self, row: &VoteState) -> bool {
        row.is_empty()
    }

    /// The fast round, the acceptor: whether this stamp may be the draft of a node that has promised to make none at
    /// or below `floor`. Its clock may be past the stamp.
    fn may_draft(&self, floor: Stamp, stamp: Stamp) -> bool {
        stamp > floor
    }

    /// The fast round, the learner: whether the votes of so many nodes for one value elect: all. With less, who
    /// recovers could not tell what was elected from what a reader has passed.
    fn elects_fast(&self, voters: usize, members: usize) -> bool {
        voters >= members
    }

    /// Rule 3: whether a coordinator may begin to propose at `ballot`, its own, where its store had a promise of
    /// `recovered` at the start of this process: it may have proposed there before, and not have got to
    /// write it.
    fn may_use(&self, ballot: Ballot, recovered: Option<Ballot>) -> bool {
        recovered.is_none_or(|recovered| ballot > recovered)
    }

    /// Rule 3: whether a proposal at `ballot` may leave before its acceptance is durable: a promise of the ballot was
    /// made before, which a start finds.
    fn is_promised(&self, row: &VoteState, ballot: Ballot) -> bool {
        row.promised == ballot && !row.is_empty()
    }

    /// Rule 3: whether a coordinator with this row may propose at `ballot`, which is its own: once.
    /// It accepts what it proposes, so its row tells.
    fn may_propose(&self, row: &VoteState, ballot: Ballot) -> bool {
        row.promised <= ballot && !row.has_accepted_at(ballot)
    }

    /// Rule 4: the value that must be proposed again, of what a quorum or more has accepted: that of the highest
    /// ballot (*Paxos Made Simple*, P2c); else, of the fast round, what a quorum of them has accepted. One that has
    /// not will never do so, and without it nothing is elected there.
    fn adopted(&self, picks: &[Pick], quorum: usize) -> Option<Challenger> {
        let accepted = picks.iter().filter_map(|pick| pick.accepted);
        let highest = accepted.max_by_key(|(ballot, _)| *ballot).map(|(_, challenger)| challenger);
        highest.or_else(|| {
            let votes =
                |value: &Challenger| picks.iter().filter(|pick| pick.fast == Some(*value)).count();
            picks.iter().filter_map(|pick| pick.fast).find(|value| votes(value) >= quorum)
        })
    }

    /// Rule 4 where nothing was accepted: the highest of the q lowest drafts, of which there are
    /// q or more, in rising order.
    fn drafted(&self, rising: &[Pick], quorum: usize) -> Pick {
        rising[quorum - 1]
    }

    /// Rule 4: whether a draft may be proposed where the owner's previous segment is elected at
    /// `floor`; else the coordinator gives a fresh stamp.
    fn clears(&self, draft: Stamp, floor: Stamp) -> bool {
        draft > floor
    }

    /// Rule 5, the learner: whether the votes of so many nodes at one ballot elect.
    fn elects(&self, voters: usize, quorum: usize) -> bool {
        voters >= quorum
    }

    /// Rule 7: what the feeds may be promised.
    fn watermark(&self, floor: Stamp, lowest_draft: Option<Stamp>) -> Stamp {
        lowest_draft.map_or(floor, |draft| draft.just_below().min(floor))
    }

    /// Rule 8: whether a stamp may be used that is ahead of wall time by more than the bound, or is
    /// not; where it is, the reach of the order may cover it.
    fn admits(&self, is_ahead: bool, is_in_reach: bool) -> bool {
        !is_ahead || is_in_reach
    }

    /// Rule 8: how far an order that is ahead may reach, `passed_ms` after it reached to `reach`.
    fn reach(&self, order: WallTime, reach: WallTime, passed_ms: u64, ahead_ms: u64) -> WallTime {
        reach.plus_millis(passed_ms).clamp(order, order.plus_millis(ahead_ms))
    }

    /// Rule 10: whether an owner that is not remembered may have been forgotten.
    fn may_be_forgotten(&self, made_at: WallTime, forgotten_to: WallTime) -> bool {
        made_at <= forgotten_to
    }
}

/// The rules as `docs/protocol.md` has them, and proves them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proven;

impl Rules for Proven {}

/// The rules that a machine goes by. They are no part of its state: all machines of one cluster go by
/// the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct GoesBy(pub(super) &'static dyn Rules);

impl PartialEq for GoesBy {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for GoesBy {}

impl Hash for GoesBy {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl std::ops::Deref for GoesBy {
    type Target = dyn Rules;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(draft: u64, accepted: Option<(u32, u64)>) -> Pick {
        let group = GroupId(0);
        let accepted = accepted
            .map(|(ballot, stamp)| (Ballot(ballot), Challenger { stamp: Stamp(stamp), group }));
        Pick { draft: Stamp(draft), group, accepted, fast: None }
    }

    #[test]
    fn the_value_of_the_highest_ballot_is_adopted() {
        let picks = [pick(9, Some((1, 40))), pick(7, None), pick(8, Some((2, 30)))];
        assert_eq!(Proven.adopted(&picks, 2).map(|value| value.stamp), Some(Stamp(30)));
        assert_eq!(Proven.adopted(&[pick(9, None), pick(7, None)], 2), None);
    }

    #[test]
    fn of_the_fast_round_only_what_a_quorum_of_picks_has_is_adopted() {
        let fast = |stamp: u64| {
            let value = Challenger { stamp: Stamp(stamp), group: GroupId(0) };
            Pick { fast: Some(value), ..pick(stamp, None) }
        };
        let adopted = |picks: &[Pick]| Proven.adopted(picks, 2).map(|value| value.stamp.0);
        assert_eq!(adopted(&[fast(5), pick(7, None)]), None);
        assert_eq!(adopted(&[fast(5), fast(6)]), None, "two values of a home that was restarted");
        assert_eq!(adopted(&[pick(7, None), fast(5), fast(5)]), Some(5));
        assert_eq!(adopted(&[fast(5), fast(5), pick(7, Some((0, 9)))]), Some(9));
    }

    #[test]
    fn ballots_that_a_store_has_are_not_used_again() {
        assert!(Proven.may_use(Ballot(0), None) && Proven.may_use(Ballot(3), Some(Ballot(0))));
        assert!(!Proven.may_use(Ballot(0), Some(Ballot(0))));
    }

    #[test]
    fn of_drafts_the_highest_of_the_quorum_of_lowest_is_taken() {
        let rising = [pick(3, None), pick(5, None), pick(9, None)];
        assert_eq!(Proven.drafted(&rising, 2).draft, Stamp(5));
        assert!(Proven.clears(Stamp(5), Stamp(4)) && !Proven.clears(Stamp(5), Stamp(5)));
    }

    #[test]
    fn a_coordinator_proposes_once_a_ballot_and_below_no_promise() {
        let mut row = VoteState::new(crate::orderer::tests::meta(1, 1));
        assert!(Proven.may_propose(&row, Ballot(1)));
        row.promised = Ballot(1);
        row.accepted = Some((Ballot(1), Challenger { stamp: Stamp(1), group: GroupId(0) }));
        assert!(!Proven.may_propose(&row, Ballot(1)));
        row.promised = Ballot(3);
        assert!(!Proven.may_propose(&row, Ballot(2)) && Proven.may_propose(&row, Ballot(4)));
    }
}
