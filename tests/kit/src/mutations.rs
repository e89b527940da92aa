//! Rules of the vote, and of those who read the order, that are broken on purpose, one each, to see that the model checker
//! and the simulation notice. What ships asks [`Rules`] and [`Reads`]; these answer one question wrongly.

use vixen_core::id::{Ballot, Stamp};
use vixen_core::order::{self, Reads};
use vixen_core::segment::Challenger;
use vixen_core::time::WallTime;
use vixen_vote::{Pick, Proven, Rules, VoteState};

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Rule 4: the lowest draft is proposed instead of the highest of the q lowest.
    MinimumOfDrafts,
    /// Rule 4: what nodes of the quorum have accepted is not looked at.
    RecoveryIgnoresAccepted,
    /// Rule 3: a coordinator proposes again at a ballot that it has used.
    TwoValuesOneBallot,
    /// Rule 4: the stamp of the owner's previous segment is not looked at.
    NoFloor,
    /// Rule 5: accepting does not raise the clock.
    AcceptLeavesClock,
    /// Rule 5: the votes of one node less than a quorum elect.
    FewerElect,
    /// Rule 7: the watermark is the clock, whatever is pending.
    WatermarkIgnoresDrafts,
    /// Rule 8: stamps are used and accepted however far ahead they are.
    NoBound,
    /// Rule 8: an order that is ahead may go on by the whole bound at each election.
    ReachLeaps,
    /// Rule 8: wall time is the bound, wherever the order is.
    WallTimeOnly,
    /// O1: an owner that is not remembered is taken for a new one.
    ForgottenOwnerIsNew,
    /// The fast round: a stamp is accepted that the watermark, or an election, has passed.
    FastBelowFloor,
    /// The fast round: a value is accepted though something was promised or drafted before.
    FastOverRow,
    /// The fast round: the home proposes though it has promised another's ballot, and drafted.
    FastAfterPromise,
    /// The fast round: a quorum elects.
    FastByQuorum,
    /// The fast round: all but one elect.
    FastByAllButOne,
    /// Rule 4: what one node has accepted in the fast round is adopted.
    FastAdoptedFromOne,
    /// Rule 3: a ballot is used again after a restart that lost what was proposed there.
    BallotUsedAgain,
    /// Rule 3: a proposal leaves though no promise of its ballot is durable.
    ElectBeforePromise,
}

impl Mutation {
    /// All, by the names of the command line.
    pub const ALL: [(&'static str, Self); 19] = [
        ("minimum-of-drafts", Self::MinimumOfDrafts),
        ("recovery-ignores-accepted", Self::RecoveryIgnoresAccepted),
        ("two-values-one-ballot", Self::TwoValuesOneBallot),
        ("no-floor", Self::NoFloor),
        ("accept-leaves-clock", Self::AcceptLeavesClock),
        ("fewer-elect", Self::FewerElect),
        ("watermark-ignores-drafts", Self::WatermarkIgnoresDrafts),
        ("no-bound", Self::NoBound),
        ("reach-leaps", Self::ReachLeaps),
        ("wall-time-only", Self::WallTimeOnly),
        ("forgotten-owner-is-new", Self::ForgottenOwnerIsNew),
        ("fast-below-floor", Self::FastBelowFloor),
        ("fast-over-row", Self::FastOverRow),
        ("fast-after-promise", Self::FastAfterPromise),
        ("fast-by-quorum", Self::FastByQuorum),
        ("fast-by-all-but-one", Self::FastByAllButOne),
        ("fast-adopted-from-one", Self::FastAdoptedFromOne),
        ("ballot-used-again", Self::BallotUsedAgain),
        ("elect-before-promise", Self::ElectBeforePromise),
    ];

    /// The rules with this one broken.
    #[must_use]
    pub fn rules(self) -> &'static dyn Rules {
        match self {
            Self::MinimumOfDrafts => &MinimumOfDrafts,
            Self::RecoveryIgnoresAccepted => &RecoveryIgnoresAccepted,
            Self::TwoValuesOneBallot => &TwoValuesOneBallot,
            Self::NoFloor => &NoFloor,
            Self::AcceptLeavesClock => &AcceptLeavesClock,
            Self::FewerElect => &FewerElect,
            Self::WatermarkIgnoresDrafts => &WatermarkIgnoresDrafts,
            Self::NoBound => &NoBound,
            Self::ReachLeaps => &ReachLeaps,
            Self::WallTimeOnly => &WallTimeOnly,
            Self::ForgottenOwnerIsNew => &ForgottenOwnerIsNew,
            Self::FastBelowFloor => &FastBelowFloor,
            Self::FastOverRow => &FastOverRow,
            Self::FastAfterPromise => &FastAfterPromise,
            Self::FastByQuorum => &FastByQuorum,
            Self::FastByAllButOne => &FastByAllButOne,
            Self::FastAdoptedFromOne => &FastAdoptedFromOne,
            Self::BallotUsedAgain => &BallotUsedAgain,
            Self::ElectBeforePromise => &ElectBeforePromise,
        }
    }

    /// The rules with this one broken, or as they are.
    #[must_use]
    pub fn rules_of(mutation: Option<Self>) -> &'static dyn Rules {
        mutation.map_or(&Proven, Self::rules)
    }
}

#[derive(Debug)]
struct MinimumOfDrafts;

impl Rules for MinimumOfDrafts {
    fn drafted(&self, rising: &[Pick], _: usize) -> Pick {
        rising[0]
    }
}

#[derive(Debug)]
struct RecoveryIgnoresAccepted;

impl Rules for RecoveryIgnoresAccepted {
    fn adopted(&self, _: &[Pick], _: usize) -> Option<Challenger> {
        None
    }
}

#[derive(Debug)]
struct TwoValuesOneBallot;

impl Rules for TwoValuesOneBallot {
    fn may_propose(&self, row: &VoteState, ballot: Ballot) -> bool {
        row.promised <= ballot
    }
}

#[derive(Debug)]
struct NoFloor;

impl Rules for NoFloor {
    fn clears(&self, _: Stamp, _: Stamp) -> bool {
        true
    }
}

#[derive(Debug)]
struct AcceptLeavesClock;

impl Rules for AcceptLeavesClock {
    fn clock_after_accepting(&self, clock: Stamp, _: Stamp) -> Stamp {
        clock
    }
}

#[derive(Debug)]
struct FewerElect;

impl Rules for FewerElect {
    fn elects(&self, voters: usize, quorum: usize) -> bool {
        voters + 1 >= quorum
    }
}

#[derive(Debug)]
struct WatermarkIgnoresDrafts;

impl Rules for WatermarkIgnoresDrafts {
    fn watermark(&self, clock: Stamp, _: Option<Stamp>) -> Stamp {
        clock
    }
}

#[derive(Debug)]
struct NoBound;

impl Rules for NoBound {
    fn admits(&self, _: bool, _: bool) -> bool {
        true
    }
}

#[derive(Debug)]
struct ReachLeaps;

impl Rules for ReachLeaps {
    fn reach(&self, order: WallTime, _: WallTime, _: u64, ahead_ms: u64) -> WallTime {
        order.plus_millis(ahead_ms)
    }
}

#[derive(Debug)]
struct WallTimeOnly;

impl Rules for WallTimeOnly {
    fn admits(&self, is_ahead: bool, _: bool) -> bool {
        !is_ahead
    }
}

#[derive(Debug)]
struct ForgottenOwnerIsNew;

impl Rules for ForgottenOwnerIsNew {
    fn may_be_forgotten(&self, _: WallTime, _: WallTime) -> bool {
        false
    }
}

#[derive(Debug)]
struct FastBelowFloor;

impl Rules for FastBelowFloor {
    fn may_draft(&self, _: Stamp, _: Stamp) -> bool {
        true
    }
}

#[derive(Debug)]
struct FastOverRow;

impl Rules for FastOverRow {
    fn is_open(&self, row: &VoteState) -> bool {
        row.accepted.is_none() && row.fast.is_none()
    }
}

#[derive(Debug)]
struct FastAfterPromise;

impl Rules for FastAfterPromise {
    fn may_propose_fast(&self, row: &VoteState, _: Ballot) -> bool {
        row.accepted.is_none() && row.fast.is_none()
    }
}

#[derive(Debug)]
struct FastByQuorum;

impl Rules for FastByQuorum {
    fn elects_fast(&self, voters: usize, members: usize) -> bool {
        voters > members / 2
    }
}

#[derive(Debug)]
struct FastByAllButOne;

impl Rules for FastByAllButOne {
    fn elects_fast(&self, voters: usize, members: usize) -> bool {
        voters + 1 >= members
    }
}

#[derive(Debug)]
struct FastAdoptedFromOne;

impl Rules for FastAdoptedFromOne {
    fn adopted(&self, picks: &[Pick], quorum: usize) -> Option<Challenger> {
        let fast = || picks.iter().find_map(|pick| pick.fast);
        Proven.adopted(picks, quorum).or_else(fast)
    }
}

#[derive(Debug)]
struct BallotUsedAgain;

impl Rules for BallotUsedAgain {
    fn may_use(&self, _: Ballot, _: Option<Ballot>) -> bool {
        true
    }
}

#[derive(Debug)]
struct ElectBeforePromise;

impl Rules for ElectBeforePromise {
    fn is_promised(&self, _: &VoteState, _: Ballot) -> bool {
        true
    }
}

/// A rule of readers that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misreading {
    /// One node less than a quorum elects.
    FewerElect,
    /// In the fast round a quorum elects.
    FastByQuorum,
    /// What was told accepted, and is not known elected, holds nothing.
    ToldHoldsNothing,
    /// A clock counts though what was proposed before its node's start may be lost.
    LostCounts,
}

impl Misreading {
    /// All, by the names of the command line.
    pub const ALL: [(&'static str, Self); 4] = [
        ("reader-fewer-elect", Self::FewerElect),
        ("reader-fast-by-quorum", Self::FastByQuorum),
        ("reader-told-holds-nothing", Self::ToldHoldsNothing),
        ("reader-lost-counts", Self::LostCounts),
    ];

    /// The rules with this one broken, or as they are.
    #[must_use]
    pub fn rules_of(misreading: Option<Self>) -> &'static dyn Reads {
        match misreading {
            None => &order::Proven,
            Some(Self::FewerElect) => &ReadersFewerElect,
            Some(Self::FastByQuorum) => &ReadersFastByQuorum,
            Some(Self::ToldHoldsNothing) => &ToldHoldsNothing,
            Some(Self::LostCounts) => &LostCounts,
        }
    }
}

#[derive(Debug)]
struct ReadersFewerElect;

impl Reads for ReadersFewerElect {
    fn elects(&self, voters: usize, quorum: usize) -> bool {
        voters + 1 >= quorum
    }
}

#[derive(Debug)]
struct ReadersFastByQuorum;

impl Reads for ReadersFastByQuorum {
    fn elects_fast(&self, voters: usize, members: usize) -> bool {
        voters > members / 2
    }
}

#[derive(Debug)]
struct ToldHoldsNothing;

impl Reads for ToldHoldsNothing {
    fn held(&self, promise: Stamp, _: Option<Stamp>) -> Stamp {
        promise
    }
}

#[derive(Debug)]
struct LostCounts;

impl Reads for LostCounts {
    fn covers(&self, _: Stamp, _: Stamp) -> bool {
        true
    }
}
