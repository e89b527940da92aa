//! Why a journal cannot be used.

use std::path::{Path, PathBuf};

use crate::disk::has_no_room;

/// Why a journal cannot be used. But for want of room, a node stops.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store says that there is one.
    #[error(
        "{path} is missing: it has what this store has committed last. Put it back beside the store's other files, which belong \
         to it"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It is of another store, or of another time of this one.
    #[error(
        "{path} is the journal of another store, or of another time: put this store's own back"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It begins with something else, or is too short or too long.
    #[error("{path} is no journal, or its first block is damaged, or its length is another")]
    Header {
        /// The file.
        path: PathBuf,
    },
    /// A later version wrote it.
    #[error("{path} has format version {found}, which this version of vixen does not read")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u8,
    },
    /// What was durable cannot be read: this store has forgotten what it has told others.
    #[error(
        "{path} is damaged: record {missing} is missing, and record {later}, which was written after it was durable, is there"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The number of the first record that cannot be read.
        missing: u64,
        /// That of a later one.
        later: u64,
    },
    /// The system failed.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl JournalError {
    /// What the system said, where that is the cause.
    #[must_use]
    pub const fn of_the_disk(&self) -> Option<&std::io::Error> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Missing { .. }
            | Self::Foreign { .. }
            | Self::Header { .. }
            | Self::Format { .. }
            | Self::Damaged { .. } => None,
        }
    }

    /// Whether the file is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
            || self.of_the_disk().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    }

    /// Whether something in `dir` failed for want of room on the disk: it can be done again.
    #[must_use]
    pub fn is_of_room(&self, dir: &Path) -> bool {
        self.of_the_disk().is_some_and(|error| has_no_room(dir, error))
    }
}
