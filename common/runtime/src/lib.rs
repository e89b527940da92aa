//! What all tiers of vixen share and the system is needed for: links, servers, TLS, the
//! configuration file, stores' environments and telemetry.
//!
//! Nothing here decides anything about a vote, a disk or a client: that is for `vixen-sync`,
//! `vixen-ndb` and `vixen-entry`. What needs nothing of the system is in `vixen-core`.

// They panic where nobody reads, and wait where somebody reads slowly: `telemetry::print`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod address;
pub mod bound;
pub mod clock;
pub mod config;
pub mod dirlock;
pub mod disk;
pub mod durable;
pub mod health;
pub mod ids;
pub mod journal;
pub mod link;
pub mod lmdb;
pub mod order;
pub mod process;
pub mod recording;
pub mod redundancy;
pub mod reload;
pub mod server;
pub mod telemetry;
pub mod tls;
