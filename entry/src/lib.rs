//! The entry tier of vixen: WAMP clients on one side, ndb and sync nodes on the other.
//!
//! What it does between the two is `vixen-broker`, which is pure. `node` drives it, `gates` face the clients,
//! `serve` runs an entry of a cluster, and `nearcast` runs all three tiers in one process. Nothing here stores
//! a message or has a part in the vote.

// They panic where nobody reads, and wait where somebody reads slowly: `telemetry::print`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod admission;
pub mod auth;
mod authority;
pub mod gates;
mod metrics;
mod nearcast;
mod node;
pub mod outbound;
mod reads;
mod serve;
mod text;

pub use authority::AuthorityEvent;
pub use nearcast::Nearcast;
pub use node::{
    EntryEvent, EntryHandle, EntryNode, EntryOptions, HistoryEvent, HistoryStream, ViewEvent,
    recorded_machines,
};
pub use serve::{Listens, serve};
