//! What all tiers of vixen share: the ids and stamps, the wire messages and the links that carry
//! them, the frontier that turns the feeds of the sync cluster into one order, the configuration
//! file, and telemetry.
//!
//! Nothing here decides anything about a vote, a disk or a client: that is for `vixen-sync`,
//! `vixen-ndb` and `vixen-entry`.

// They panic where nobody reads, and wait where somebody reads slowly: `telemetry::print`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod address;
pub mod bound;
pub mod config;
pub mod dirlock;
pub mod disk;
pub mod durable;
pub mod frontier;
pub mod health;
pub mod id;
pub mod link;
pub mod lmdb;
pub mod patterns;
pub mod payload;
pub mod process;
pub mod redundancy;
pub mod reload;
pub mod roster;
pub mod segment;
pub mod server;
pub mod skew;
pub mod telemetry;
pub mod tier;
pub mod time;
pub mod tls;
pub mod wire;
pub mod words;
