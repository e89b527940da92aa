//! Why a store cannot be used.

use std::path::PathBuf;

use vixen_core::id::{Position, SegmentId};
use vixen_runtime::journal::JournalError;
use vixen_runtime::lmdb::OpenError;

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// LMDB failed.
    #[error("LMDB failed")]
    Lmdb(#[from] heed::Error),
    /// The journal cannot be used.
    #[error("the journal of the store failed")]
    Journal(#[from] JournalError),
    /// The journal has records of a version that is not read.
    #[error("the journal has records of version {0}, which this version of vixen does not read")]
    JournalVersion(u8),
    /// A record of the journal is whole and does not parse.
    #[error("a record of the journal is malformed")]
    JournalRecord,
    /// A directory cannot be read or changed.
    #[error("cannot use {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The directory holds a store of the time before days.
    #[error(
        "{path} has a data.mdb, as the store of a sync node has: no store of an ndb node of this version. \
         Give the directory of an ndb node; never empty that of a sync node"
    )]
    OldLayout {
        /// The directory.
        path: PathBuf,
    },
    /// A value cannot be written.
    #[error("a row cannot be encoded")]
    Encode(#[source] postcard::Error),
    /// A row, or its key, is not what was written.
    #[error("a row of {database} is damaged (key {key:02x?})")]
    Row {
        /// The database.
        database: &'static str,
        /// The key as it is.
        key: Vec<u8>,
    },
    /// The order is not what was written, from here on.
    #[error("the order at position {0} is damaged")]
    Order(Position),
    /// A blob does not have the digest of its segment.
    #[error("the stored bytes of segment {0} are damaged")]
    Damaged(SegmentId),
    /// The position was dropped by retention.
    #[error("trimmed, first position is {first}")]
    Trimmed {
        /// The first position that is left.
        first: Position,
    },
    /// Rows that a peer sent do not fit those beside them.
    #[error("a peer's rows of the order do not fit at position {0}")]
    Misfit(Position),
}

impl StoreError {
    /// What the system said, where that is the cause.
    pub(super) const fn of_the_disk(&self) -> Option<&std::io::Error> {
        match self {
            Self::Open(error) => error.of_the_disk(),
            Self::Journal(error) => error.of_the_disk(),
            Self::Lmdb(heed::Error::Io(error)) | Self::Directory { source: error, .. } => {
                Some(error)
            }
            Self::Lmdb(_)
            | Self::JournalVersion(_)
            | Self::JournalRecord
            | Self::OldLayout { .. }
            | Self::Encode(_)
            | Self::Row { .. }
            | Self::Order(_)
            | Self::Damaged(_)
            | Self::Trimmed { .. }
            | Self::Misfit(_) => None,
        }
    }
}
