//! Remote procedure calls while nodes and callees die, stand still and are cut off, one after the other, and what
//! callers are told.
//!
//! ```text
//!   callers, at all entries ──CALL──> E1 E2 E3 ──INVOCATION──> callees, at all entries
//!                                     S1 S2 S3, D1 D2 D3
//!   a round: results from everywhere ──> kill -9, SIGSTOP, cut ──> back ──> results from everywhere
//!            ──> callers hold ──> all entries agree, nothing is pending, nothing is left
//! ```
//! Half of the callees share a procedure; the others have procedures with one callee, two candidates for each, so
//! that each loss is a hand-over. The judge stands outside: it knows what callers and callees were told, the status
//! pages, and in the end the records of the order.

mod callee;
mod caller;
mod fault;
mod gaps;
mod ledger;
mod order;
mod report;
mod settled;
mod strike;
mod tenures;
mod trial;

use std::path::PathBuf;
use std::time::Duration;

pub use fault::{Blow, Kind, Victim};
pub use report::CallsOutcome;

/// How faults are done to calls.
#[derive(Clone, Debug)]
pub struct CallFaultOptions {
    /// Faults, after a round without one.
    pub rounds: u32,
    /// Where everything random comes from, apart from the timing of the processes.
    pub seed: u64,
    /// Callers, spread over the entries.
    pub callers: usize,
    /// Callees, spread likewise: at least four.
    pub callees: usize,
    /// Calls that each caller has open at most.
    pub outstanding: usize,
    /// Calls per second of all callers together.
    pub per_second: f64,
    /// Of each call.
    pub timeout: Duration,
    /// How much later than that an answer may come.
    pub grace: Duration,
    /// The longest time from an invocation to its answer.
    pub work: Duration,
    /// The longest time from a blow to its end: 100 ms is the shortest.
    pub away_max: Duration,
    /// Who is struck.
    pub victims: Vec<Victim>,
    /// What is done; cuts take a network of one's own.
    pub blows: Vec<Blow>,
    /// Where configuration, logs and stores go; `None`: a temporary folder, which stays when a guarantee was broken.
    pub dir: Option<PathBuf>,
}

impl CallFaultOptions {
    /// So many faults of all kinds.
    #[must_use]
    pub fn new(rounds: u32, seed: u64) -> Self {
        Self {
            rounds,
            seed,
            callers: 200,
            callees: 20,
            outstanding: 2,
            per_second: 1_000.0,
            timeout: Duration::from_secs(3),
            grace: Duration::from_secs(1),
            work: Duration::from_millis(50),
            // Longer than it takes until an entry is silent, and is gone.
            away_max: Duration::from_secs(6),
            victims: Victim::ALL.to_vec(),
            blows: Blow::ALL.to_vec(),
            dir: None,
        }
    }
}

/// Runs it and judges.
///
/// # Errors
/// When it cannot be run; whatever goes wrong later is in the outcome.
pub async fn run(options: CallFaultOptions) -> anyhow::Result<CallsOutcome> {
    trial::run(options).await
}
