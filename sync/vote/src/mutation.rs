//! Rules that a test can switch off, to see that the model checker and the simulation notice.
//!
//! Without the feature `mutate`, which only the tests of this workspace ask for, every
//! [`Mutation::is_on`] is the constant `false`.

/// A rule of the vote that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutation {
    /// Rule 4: the lowest draft is proposed instead of the highest of the q lowest.
    MinimumOfDrafts = 1,
    /// Rule 4: what nodes of the quorum have accepted is not looked at.
    RecoveryIgnoresAccepted = 2,
    /// Rule 3: a coordinator proposes again at a ballot that it has used.
    TwoValuesOneBallot = 3,
    /// Rule 4: the stamp of the owner's previous segment is not looked at.
    NoFloor = 4,
    /// Rule 5: accepting does not raise the clock.
    AcceptLeavesClock = 5,
    /// Rule 8: stamps are used and accepted however far ahead they are.
    NoBound = 6,
    /// Rule 8: an order that is ahead may go on by the whole bound at each election.
    ReachLeaps = 7,
    /// Rule 8: wall time is the bound, wherever the order is.
    WallTimeOnly = 8,
    /// O1: an owner that is not remembered is taken for a new one.
    ForgottenOwnerIsNew = 9,
}

#[cfg(feature = "mutate")]
static ACTIVE: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Breaks a rule in all votes of this process, or none.
#[cfg(feature = "mutate")]
pub fn mutate(mutation: Option<Mutation>) {
    let number = mutation.map_or(0, |mutation| mutation as u8);
    ACTIVE.store(number, std::sync::atomic::Ordering::SeqCst);
}

impl Mutation {
    /// Whether the rule is broken.
    #[cfg(feature = "mutate")]
    pub(super) fn is_on(self) -> bool {
        ACTIVE.load(std::sync::atomic::Ordering::Relaxed) == self as u8
    }

    /// Whether the rule is broken.
    #[cfg(not(feature = "mutate"))]
    #[expect(clippy::unused_self, reason = "the other build reads it")]
    pub(super) const fn is_on(self) -> bool {
        false
    }
}
