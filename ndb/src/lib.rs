//! The storage tier of vixen: segments in LMDB, the order index, the live tail.
//!
//! What happens to a segment from its first message to its place is `vixen-replica`, which is pure.
//! Here `store` is LMDB and its writer thread, `tail` the streams to entries, `node` the driver. Nothing here
//! knows WAMP, and nothing here decides an order: that comes from the feeds of the sync nodes.

// They panic where nobody reads, and wait where somebody reads slowly: `telemetry::print`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod metrics;
mod node;
mod serve;
mod store;
mod tail;
pub mod tools;

pub use node::{NdbError, NdbEvent, NdbHandle, NdbNode, NdbOptions};
pub use serve::serve;
pub use store::{StartError, StoreError};
