//! Why a store cannot be used.

use vixen_common::id::SegmentId;
use vixen_common::lmdb::OpenError;

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// LMDB failed.
    #[error("LMDB failed")]
    Lmdb(#[from] heed::Error),
    /// A row does not parse.
    #[error("a row is malformed")]
    Row(#[source] postcard::Error),
    /// A key does not parse.
    #[error("key {0:02x?} is malformed")]
    Key(Vec<u8>),
    /// A blob does not have the digest of its segment.
    #[error("the stored bytes of segment {0} are damaged")]
    Damaged(SegmentId),
}
