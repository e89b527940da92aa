//! Durability: what an answer of a node waits for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is on disk when a node answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Everything an answer depends on is written and synced: survives a power cut.
    Fsync,
    /// Both syncs are skipped: survives the loss of processes, not of machines.
    Memory,
}

impl Durability {
    /// Whether commits are synced to disk.
    #[must_use]
    pub const fn is_fsync(self) -> bool {
        matches!(self, Self::Fsync)
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fsync => "fsync",
            Self::Memory => "memory",
        })
    }
}
