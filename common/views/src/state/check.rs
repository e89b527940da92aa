//! The invariants, looked at as a whole: costs as much as the view is large, payloads included.

use std::collections::BTreeSet;
use std::ops::Bound;

use vixen_core::id::Position;

use super::State;

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// T2.
    #[error("version {0} is to come")]
    ToCome(Position),
    /// T2: a message is of one topic.
    #[error("version {0} is of two keys")]
    OfTwoKeys(Position),
    /// T5.
    #[error("a write is open behind its last part")]
    OpenBehind,
    /// T9: numbers of a producer are not in the order of their places.
    #[error("the once-mark of {0} is before the number before it")]
    OutOfOrder(Position),
    /// T9: a mark that is kept is not found, or one that is not kept is.
    #[error("once-marks are not where they are looked for")]
    MarkAstray,
    /// T12.
    #[error("sizes or the sum are not those of what is held")]
    Miscounted,
}

impl State {
    /// Looks whether the invariants hold.
    ///
    /// # Errors
    /// The first that does not.
    pub fn verify(&self) -> Result<(), Broken> {
        let mut versions = BTreeSet::new();
        for (realm, _) in self.realms() {
            for (_, value) in self.range(realm, Bound::Unbounded) {
                if value.version > self.position {
                    return Err(Broken::ToCome(value.version));
                }
                if !versions.insert(value.version) {
                    return Err(Broken::OfTwoKeys(value.version));
                }
            }
        }
        let is_behind =
            |open: &super::OpenWrite| open.left == 0 || open.next != self.applied_below();
        if self.open.as_ref().is_some_and(is_behind) {
            return Err(Broken::OpenBehind);
        }
        self.marks.verify(self.position, self.time)?;
        if self.keys.counted_anew() == self.keys { Ok(()) } else { Err(Broken::Miscounted) }
    }

    /// The same, for tests and simulations.
    ///
    /// # Panics
    /// When an invariant does not hold.
    pub fn check(&self) {
        if let Err(broken) = self.verify() {
            panic!("at {}: {broken}", self.position);
        }
    }
}
