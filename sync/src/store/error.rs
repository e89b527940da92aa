//! Why a store cannot be used.

use std::path::{Path, PathBuf};

use vixen_runtime::disk::has_no_room;
use vixen_runtime::journal::JournalError;
use vixen_runtime::lmdb::OpenError;

/// Why a store cannot be used. Only for want of room on the disk is it tried again; else the node stops.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is another tier's directory.
    #[error(
        "{path} holds days, as the store of an ndb node does: give the directory of a sync node \
         (storage.data-dir)"
    )]
    OfNdb {
        /// The directory.
        path: PathBuf,
    },
    /// LMDB failed.
    #[error("LMDB failed")]
    Lmdb(#[from] heed::Error),
    /// The journal cannot be used.
    #[error("the journal of the store failed")]
    Journal(#[from] JournalError),
    /// The journal has rows of a version that is not read.
    #[error("the journal has rows of version {0}, which this version of vixen does not read")]
    RowsVersion(u8),
    /// The journal does not go on where LMDB ends: files of different times.
    #[error(
        "data.mdb has {has} commits and its journal goes on with number {goes_on}: the two are of different times; put \
         back those that belong together, or start with an empty directory"
    )]
    NotItsJournal {
        /// Commits in LMDB.
        has: u64,
        /// The first in the journal.
        goes_on: u64,
    },
    /// What the journal has cannot be written to LMDB.
    #[error(
        "there is no room on the disk to write what the journal has, as durability = \"memory\" needs"
    )]
    NoRoomToReplay,
    /// The thread of checkpoints cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// It has ended.
    #[error("the thread of checkpoints has ended")]
    NoCheckpoints,
    /// A row does not parse.
    #[error("a row is malformed")]
    Row(#[source] postcard::Error),
    /// A key does not parse.
    #[error("key {0:02x?} is malformed")]
    Key(Vec<u8>),
    /// A segment is marked elected and its stamp has no row.
    #[error("segment {0:02x?} is elected at a stamp that is not stored")]
    Dangling(Vec<u8>),
}

impl StoreError {
    /// What the system said, where that is the cause.
    const fn of_the_disk(&self) -> Option<&std::io::Error> {
        match self {
            Self::Open(error) => error.of_the_disk(),
            Self::Lmdb(heed::Error::Io(error)) => Some(error),
            Self::Journal(error) => error.of_the_disk(),
            Self::OfNdb { .. }
            | Self::Lmdb(_)
            | Self::RowsVersion(_)
            | Self::NotItsJournal { .. }
            | Self::NoRoomToReplay
            | Self::Thread(_)
            | Self::NoCheckpoints
            | Self::Row(_)
            | Self::Key(_)
            | Self::Dangling(_) => None,
        }
    }

    /// Whether a write in `dir` failed for want of room on the disk: it can be done again.
    pub(crate) fn is_of_room(&self, dir: &Path) -> bool {
        self.of_the_disk().is_some_and(|error| has_no_room(dir, error))
    }
}
