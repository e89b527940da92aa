//! The [`world`], which runs all pure machines of all tiers in one seeded, deterministic loop, and what it shares
//! with the model checker. The rules of the vote that are broken on purpose are in [`mutations`]; what both have
//! of a sync node's disk is in [`sync_disk`]. Recordings of real nodes are stepped through by [`recorded`].
//!
//! Pure as the machines are: no socket, no file, no thread; time is what a test says it is.

pub mod mutations;
pub mod recorded;
pub mod sync_disk;
pub mod world;
