//! Rules broken on purpose, to see that the checker notices.

use vixen_vote::Mutation;

/// One broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Inside the vote, by its own switch; needs the feature `mutate`.
    Vote(Mutation),
    /// Rule 7: feeds are told the clock, whatever is drafted.
    WatermarkIgnoresDrafts,
    /// A restart loses the drafts of pending segments, and tells a watermark at once.
    DraftsForgottenAtRestart,
    /// A restart begins at clock zero.
    ClockNotRestored,
    /// Messages leave before the rows of their step are on disk.
    ReplyBeforeCommit,
}

impl Fault {
    /// All, by the names of the command line.
    pub(crate) const ALL: [(&'static str, Self); 11] = [
        ("minimum-of-drafts", Self::Vote(Mutation::MinimumOfDrafts)),
        ("recovery-ignores-accepted", Self::Vote(Mutation::RecoveryIgnoresAccepted)),
        ("two-values-one-ballot", Self::Vote(Mutation::TwoValuesOneBallot)),
        ("no-floor", Self::Vote(Mutation::NoFloor)),
        ("accept-leaves-clock", Self::Vote(Mutation::AcceptLeavesClock)),
        ("no-bound", Self::Vote(Mutation::NoBound)),
        ("reach-leaps", Self::Vote(Mutation::ReachLeaps)),
        ("watermark-ignores-drafts", Self::WatermarkIgnoresDrafts),
        ("drafts-forgotten-at-restart", Self::DraftsForgottenAtRestart),
        ("clock-not-restored", Self::ClockNotRestored),
        ("reply-before-commit", Self::ReplyBeforeCommit),
    ];

    /// Switches the vote of this process to the fault, or to none. `false` when this build cannot.
    pub(crate) fn switch(fault: Option<Self>) -> bool {
        let mutation = fault.and_then(|fault| match fault {
            Self::Vote(mutation) => Some(mutation),
            Self::WatermarkIgnoresDrafts
            | Self::DraftsForgottenAtRestart
            | Self::ClockNotRestored
            | Self::ReplyBeforeCommit => None,
        });
        set(mutation)
    }
}

#[cfg(feature = "mutate")]
fn set(mutation: Option<Mutation>) -> bool {
    vixen_vote::mutate(mutation);
    true
}

#[cfg(not(feature = "mutate"))]
const fn set(mutation: Option<Mutation>) -> bool {
    mutation.is_none()
}
