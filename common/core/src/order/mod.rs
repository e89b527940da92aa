//! The order: the feeds of the sync nodes, merged into one sequence of segments and counted.

mod catch_up;
mod frontier;
mod sequencer;

pub use catch_up::CatchUp;
pub use frontier::{Frontier, Learned};
pub use sequencer::{Placed, Sequencer, TakenRows};
