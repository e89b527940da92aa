//! Judges a run: what publishers were told and what subscribers received, against what vixen
//! guarantees (DESIGN §3).
//!
//! Rules:
//! - R1 *durability*: what was acknowledged is received by every subscriber.
//! - R2 *once*: no message stands at two positions; no two messages stand at one.
//! - R3 *one order*: positions rise at each subscriber; at one position all of them have the same
//!   message with the same permanent id; none misses what another has.
//! - R4 *acknowledgement*: the position in PUBLISHED is the position in EVENT.
//! - R5 *permanent ids* rise with the positions.
//! - R6 *own order*: one publisher's messages keep the order in which it sent them.
//! - R7 *real time*: a message acknowledged before another was sent comes before it, whoever sent
//!   them.
//! - R8 *honesty*: what is received and was not acknowledged was at least sent and not refused;
//!   every payload arrives as it was sent.
//!
//! The cost is a few passes and one sort over the messages: millions take about a second.

mod history;
mod id_key;
mod judge;
mod order;
mod report;
mod violation;

#[cfg(test)]
mod tests;

pub use history::{Event, History, Outcome, Publication, Publisher, Subscriber};
pub use id_key::IdKey;
pub use judge::check;
pub use report::Report;
pub use violation::{MessageName, Violation};
