//! Filters: rules in JSON-Logic that say which messages somebody wants.
//!
//! A rule is checked and compiled when it comes ([`Filter::compile`]), and asked for each message
//! ([`Filter::ask`]) over what [`Data`] has of it. For users: `docs/filters.md`; why it is so:
//! `docs/design/028-state.md`, *Filters*.
//!
//! Source: the operators as jsonlogic.com defines them, and where it leaves something open the reference
//! implementation, json-logic-js 2.0.5. `cases.json` is the table of what that means.
//!
//! Invariants:
//! - F1: no rule and no message makes this panic.
//! - F2: a rule takes at most [`Limits::steps`] for a message; a step is a bounded piece of work, and what is made
//!   within it is bounded too. So are its depth and, beside the message, its memory.
//! - F3: equal rule and equal message, equal answer and equal steps, on every node.
//!
//! Pure: no clock, no setting, no randomness.

mod answer;
mod budget;
mod compile;
mod convert;
mod data;
mod error;
mod evaluate;
mod expr;
mod fields;
mod number;
mod operator;
#[cfg(test)]
mod tests;
mod value;

pub use answer::{Answer, Failure};
pub use compile::{Filter, Limits};
pub use data::{Data, DataError, Message, PAYLOAD_BYTES_MAX, Publisher};
pub use error::FilterError;
pub use operator::Arity;
