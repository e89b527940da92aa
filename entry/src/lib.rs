//! The entry tier of vixen: WAMP clients on one side, ndb and sync nodes on the other.
//!
//! `segmenter` turns what sessions publish into advance segments and acknowledges it; `delivery`
//! turns the tails of the ndb nodes into events; `history` reads what they stored; all are pure.
//! `node` drives them, `wamp` and `http` face the clients, `serve` runs an entry of a cluster, and
//! `nearcast` runs all three tiers in one process. Nothing here stores a message or has a part in
//! the vote.

// They panic where nobody reads, and wait where somebody reads slowly: `telemetry::print`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod answers;
pub mod auth;
pub mod broker;
pub mod delivery;
mod door;
pub mod events;
mod feed;
pub mod history;
pub mod http;
mod metrics;
mod nearcast;
mod node;
pub mod quota;
mod rights;
pub mod segmenter;
mod serve;
pub mod wamp;

pub use nearcast::Nearcast;
pub use node::{EntryEvent, EntryHandle, EntryNode, EntryOptions, HistoryEvent, HistoryStream};
pub use serve::{Listens, serve};
