//! What slow messages wait for: the recordings of all nodes of a cluster on one machine, put side by side.
//!
//! Each node has recorded what its machines were given, and when (`vixen_core::recording`). A segment leaves
//! marks in all of them, and what is between two marks is a stage:
//!
//! ```text
//!   opened ─wait─> closed ─to ndb─> whole ─journal─> durable ─to home─> W durable at the home
//!     ─propose─> last sync node has it ─vote─> its vote is where all are counted ─tell─> the entry has its place
//! ```
//! Of things that several nodes do, the one that was waited for counts: the W-th ndb node, the last sync node. It
//! is named, with how long it took no input meanwhile, and whether it was writing then. All recordings go by one
//! clock: a cluster that was started on one machine.

mod node;
mod report;
mod stages;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::Context as _;

use node::NodeTrace;
pub use report::Report;
use stages::Stages;

/// Reads all recordings in a directory; `write_quorum` is W. The `slowest` segments are shown one by one.
///
/// # Errors
/// When one cannot be read, or none is there.
pub fn trace(dir: &Path, write_quorum: usize, slowest: usize) -> anyhow::Result<Report> {
    let mut nodes = Vec::new();
    let files = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    for file in files {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "vixenrec") {
            let read = NodeTrace::read(&path);
            nodes.push(read.with_context(|| path.display().to_string())?);
        }
    }
    anyhow::ensure!(!nodes.is_empty(), "no recordings in {}", dir.display());
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Report::new(Stages::of_all(&nodes, write_quorum), slowest))
}
