//! The sync tier of vixen: a leaderless cluster that elects the permanent id of every segment by a
//! vote in two stages.
//!
//! The vote itself is `vixen-vote`, which is pure, and is what the model checker and the simulator
//! run. Here `store` is LMDB, and `node` is the driver. Nothing here knows what a message is about, or who publishes and subscribes.

// They panic where nobody reads, and wait where somebody reads slowly: `telemetry::print`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod forget;
mod metrics;
mod node;
mod serve;
mod store;

pub use forget::forget_peer;
pub use node::{SyncError, SyncEvent, SyncHandle, SyncNode, SyncOptions};
pub use serve::serve;
pub use store::StoreError;
