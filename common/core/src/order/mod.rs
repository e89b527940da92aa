//! The order: the feeds of the sync nodes, merged into one sequence of segments and counted. The
//! [`Reader`] is what entries, ndb nodes and the simulation read it by.

mod catch_up;
mod feed;
mod frontier;
mod io;
mod reader;
mod reads;
mod recorded;
mod sequencer;

pub use frontier::{Frontier, Learned};
pub use io::{Effects, Input, Note, Teller};
pub use reader::Reader;
pub use reads::{Proven, Reads};
pub use recorded::ReaderStart;
pub use sequencer::Placed;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
