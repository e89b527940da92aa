//! The workload generator: publishers and subscribers, what they measured, and their history.
//!
//! ```text
//!   publishers --PUBLISH--> entries … entries --EVENT--> subscribers
//!        |                                                    |
//!        +------------> History, latencies <------------------+
//! ```
//! *Closed loop*: each publisher keeps a window of messages unanswered; latency counts from the
//! send. *Open loop*: messages are due at a fixed rate whatever the answers; latency counts from
//! the time a message was due, so a stall shows in all messages that it delayed, not in one (no
//! coordinated omission).

mod arrivals;
mod calls;
mod clock;
mod gaps;
mod measure;
mod options;
mod progress;
mod publisher;
mod roaming;
mod run;
mod subscriber;
pub(crate) mod ticker;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

pub use arrivals::Arrivals;
pub use calls::{CallOptions, CallResult, run_calls};
pub use clock::RunClock;
pub use gaps::Span;
pub use measure::{Latency, LoadResult};
pub use options::{Amount, LoadOptions, Pace};
pub use progress::Progress;
pub use roaming::{Roaming, RoamingResult};
pub use run::Load;
