//! What all tiers of vixen share and nothing of the system is needed for: the ids and stamps, the
//! wire messages, segments and their records, payloads, patterns of topics, and the reader that
//! turns the feeds of the sync cluster into one order.
//!
//! Pure: no socket, no file, no clock is read here, and nothing in the dependency tree could. What
//! touches the system is in `vixen-runtime`.

pub mod access;
pub mod durability;
pub mod id;
pub mod membership;
pub mod name;
pub mod order;
pub mod patterns;
pub mod payload;
pub mod recording;
pub mod roster;
pub mod segment;
pub mod skew;
pub mod tally;
pub mod tier;
pub mod time;
pub mod wire;
pub mod words;
