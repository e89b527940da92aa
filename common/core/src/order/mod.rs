//! The order: the feeds of the sync nodes, merged into one sequence of segments and counted. The
//! [`Reader`] is what entries, ndb nodes and the simulation read it by.

mod catch_up;
mod frontier;
mod io;
mod reader;
mod recorded;
mod sequencer;

pub use frontier::{Frontier, Learned};
pub use io::{Effects, Input, Note, Teller};
pub use reader::Reader;
pub use recorded::ReaderStart;
pub use sequencer::Placed;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
