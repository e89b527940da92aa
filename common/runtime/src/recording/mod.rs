//! Records what the machines of a node are given, and plays recordings: the file and the thread for
//! `vixen_core::recording`.
//!
//! A node whose recorder is off pays for it with a look at an `Option`. One that records encodes each input before
//! the step and sums up its effects after it; a thread writes, and nobody waits for that: a recording that cannot
//! keep up, or has no room, ends, and the node goes on.

mod args;
mod file;
mod lines;
mod recorder;
mod replay;
mod sink;
#[cfg(test)]
mod tests;

pub use args::RecordArgs;
pub use file::RecordError;
pub use recorder::Recorder;
pub use replay::ReplayArgs;
pub(crate) use sink::{THREAD, flush};
