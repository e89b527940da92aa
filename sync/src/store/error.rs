//! Why a store cannot be used.

use std::path::PathBuf;

use vixen_common::lmdb::OpenError;

/// Why a store cannot be used. None of these is retryable: the node stops.
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
