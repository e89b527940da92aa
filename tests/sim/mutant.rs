//! Rules broken on purpose: the simulation must notice each.

#[cfg(feature = "mutate")]
use vixen_vote::Mutation;

/// A rule that the driver keeps, broken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "mutate"), expect(dead_code, reason = "made by the mutation tests"))]
pub(crate) enum Mutant {
    /// Rule 7: the watermark is the clock, whatever is pending.
    WatermarkIgnoresDrafts,
    /// Rows of votes are not read at a restart.
    DraftsForgotten,
    /// The ceiling of the clock is not read at a restart.
    ClockForgotten,
    /// Messages leave, and then a crash takes the rows they depend on.
    ReplyBeforeCommit,
    /// A rule inside of the vote.
    #[cfg(feature = "mutate")]
    Vote(Mutation),
}

#[cfg(feature = "mutate")]
impl Mutant {
    pub(crate) const ALL: [Self; 13] = [
        Self::WatermarkIgnoresDrafts,
        Self::DraftsForgotten,
        Self::ClockForgotten,
        Self::ReplyBeforeCommit,
        Self::Vote(Mutation::MinimumOfDrafts),
        Self::Vote(Mutation::RecoveryIgnoresAccepted),
        Self::Vote(Mutation::TwoValuesOneBallot),
        Self::Vote(Mutation::NoFloor),
        Self::Vote(Mutation::AcceptLeavesClock),
        Self::Vote(Mutation::NoBound),
        Self::Vote(Mutation::ReachLeaps),
        Self::Vote(Mutation::WallTimeOnly),
        Self::Vote(Mutation::ForgottenOwnerIsNew),
    ];

    /// Breaks the rule of the vote, for all votes of the process; none for a rule of the driver.
    pub(crate) fn activate(mutant: Option<Self>) {
        vixen_vote::mutate(match mutant {
            Some(Self::Vote(mutation)) => Some(mutation),
            _ => None,
        });
    }
}
