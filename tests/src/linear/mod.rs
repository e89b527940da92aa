//! Judges a history of reads, writes and locks of keys: whether some order of them, one after the other,
//! explains what all clients were told.
//!
//! Source: Herlihy and Wing, *Linearizability* (1990); Wing and Gong, *Testing and Verifying Concurrent Objects*
//! (1993); Lowe, *Testing for Linearizability* (2017), for the memo; `docs/design/028-state.md`.
//!
//! ```text
//!   put x = 1 when absent   |------ @10 ------|
//!   put x = 2 when absent       |---- refused: 10 ----|
//!   get x                                         |-- 1 @10 --|
//!   put x = 3                 |--------- no answer                       any time from its call on, or never
//! ```
//! Rules:
//! - L1: there is an order of all operations in which each that returned before another was called comes first, and in
//!   which each answer is what the model (`model.rs`) says at its place.
//! - L2: in that order what changes keys has the positions that clients were told, rising.
//! - L3: no position is that of two changes; the change that has the lower of two was not called after the other had
//!   returned; and nobody reads a value that was replaced below what somebody had been told before. All that whatever
//!   the keys.
//! - L4: a value that is read was put, by somebody who was not refused, and has the position that its writer was told.
//!
//! Positions that are told do two things: L2 takes nearly all choice out of the search, so a thousand operations a key
//! cost little; and what is read tells where a write stands whose answer was lost. Choice is left where nobody has seen
//! it. Operations on keys that nothing joins are judged apart: an order of all follows from orders of each (Herlihy
//! and Wing, theorem 1), and that positions agree with it is L3.
//!
//! What is not seen: whether a will or a time to live does anything at all, or in time; who is first of those
//! that wait, where no refusal tells that somebody waits. These are no matter of this rule.

mod history;
mod joined;
mod key_set;
mod model;
mod places;
mod problem;
mod search;
mod steps;
mod violation;
mod wanted;

#[cfg(test)]
mod tests;

pub use history::{
    Change, Condition, Ending, Found, Key, Lock, LockOutcome, Operation, Read, Refusal, Value,
    Write, WriteOutcome,
};
pub use violation::{Place, Violation};

use places::Places;

/// What was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// All operations.
    pub operations: usize,
    /// Sets of keys that nothing joins.
    pub joined: usize,
    /// Writes and locks without an answer that were seen to have taken place.
    pub seen: usize,
    /// States that were looked at.
    pub states: usize,
}

/// Judges a history, whatever the order of its operations. For each set of keys that writes or reads join no
/// more than `states_max` states are looked at.
///
/// # Errors
/// What is wrong: at least one; all that L3 and L4 say, or else at most one a set of joined keys.
pub fn check(history: &[Operation], states_max: usize) -> Result<Summary, Vec<Violation>> {
    let places = Places::of(history)?;
    let sets = joined::sets(history);
    let mut summary = Summary {
        operations: history.len(),
        joined: sets.len(),
        seen: places.seen(history),
        states: 0,
    };
    let mut violations = Vec::new();
    for set in sets {
        match search::order_of(history, &places, &set, states_max) {
            Ok(states) => summary.states += states,
            Err(violation) => violations.push(violation),
        }
    }
    if violations.is_empty() { Ok(summary) } else { Err(violations) }
}
