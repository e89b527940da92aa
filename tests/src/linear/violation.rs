//! What can be wrong with a history.

use std::fmt;

use super::history::{Operation, Value};

/// An operation, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its place in the history, from 0.
    pub operation: usize,
    /// What it was.
    pub said: String,
}

impl Place {
    pub(super) fn of(history: &[Operation], operation: usize) -> Self {
        Self { operation, said: history[operation].to_string() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {}", self.operation, self.said)
    }
}

/// Why no order explains a history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The history is none that can be judged.
    #[error("{value:?} is put twice: what is read could not tell by whom")]
    PutTwice {
        /// The value.
        value: Value,
    },
    /// L3.
    #[error("one position for two changes: {first} and {second}")]
    PositionTwice {
        /// That with the lower first position.
        first: Place,
        /// The other.
        second: Place,
    },
    /// L3.
    #[error("{first} had returned before {second} was possible, and has the higher position")]
    OutOfTime {
        /// Returned first.
        first: Place,
        /// Called later; or the change that ended then.
        second: Place,
    },
    /// L3.
    #[error("{value:?} was replaced at {replaced}, and was read after {told} had returned: {read}")]
    Stale {
        /// What was read.
        value: Value,
        /// Where its key was changed next.
        replaced: u64,
        /// Has that position, or a higher one.
        told: Place,
        /// Who read it.
        read: Place,
    },
    /// L4.
    #[error("nobody has put {value:?} there, and it was read: {read}")]
    NobodyPut {
        /// The value.
        value: Value,
        /// Who read it.
        read: Place,
    },
    /// L4.
    #[error(
        "the client of {writer} was told that it changed nothing, and its value was read: {read}"
    )]
    RefusedSeen {
        /// Whose value it is.
        writer: Place,
        /// Who read it.
        read: Place,
    },
    /// L4.
    #[error("{value:?} is at {known}, as somebody was told, and was read at {seen}: {read}")]
    OtherPosition {
        /// The value.
        value: Value,
        /// Its position.
        known: u64,
        /// That it was read with.
        seen: u64,
        /// Who read it so.
        read: Place,
    },
    /// L1, L2.
    #[error(
        "no order explains it: {placed} of {operations} operations can be placed, then {state}, and none of these can \
         be next: {}",
        listed(next)
    )]
    NoOrder {
        /// Most operations that can be placed.
        placed: usize,
        /// Of so many.
        operations: usize,
        /// What keys have then.
        state: String,
        /// One of them has to come next.
        next: Vec<Place>,
    },
    /// It is not known whether there is an order.
    #[error(
        "no order was found among {states} states, with {placed} of {operations} operations placed at most"
    )]
    NotJudged {
        /// States that were looked at.
        states: usize,
        /// Most operations that were placed.
        placed: usize,
        /// Of so many.
        operations: usize,
    },
}

fn listed(places: &[Place]) -> String {
    places.iter().map(Place::to_string).collect::<Vec<_>>().join("; ")
}
