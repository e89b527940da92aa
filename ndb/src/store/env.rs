//! Opening the environment, and what identifies a store.

use std::path::{Path, PathBuf};

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, RwTxn, WithoutTls};

use vixen_common::id::{SegmentId, StoreId};

/// Version of all rows.
const FORMAT: u8 = 1;
/// Reader slots of LMDB: tails and peers read on a bounded pool of threads.
const READERS_MAX: u32 = 1_024;

pub(super) mod db_name {
    pub(in super::super) const META: &str = "meta";
    pub(in super::super) const TEMPORARY: &str = "temporary";
    pub(in super::super) const BLOBS: &str = "blobs";
    pub(in super::super) const ORDER: &str = "order";
    pub(in super::super) const MISSING: &str = "missing";
    pub(in super::super) const OWNERS: &str = "owners";
}

const KEY_FORMAT: &[u8] = b"format";
const KEY_STORE_ID: &[u8] = b"store-id";

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made.
    #[error("cannot create {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// LMDB failed.
    #[error("store failed")]
    Lmdb(#[from] heed::Error),
    /// The store has rows of another version.
    #[error("the store in {path} has format version {found}, this version reads {FORMAT}")]
    Format {
        /// The directory.
        path: PathBuf,
        /// Its version.
        found: u8,
    },
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

pub(super) fn open(dir: &Path, bytes_max: u64, fsync: bool) -> Result<Env<WithoutTls>, StoreError> {
    std::fs::create_dir_all(dir)
        .map_err(|source| StoreError::Directory { path: dir.to_owned(), source })?;
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options
        .map_size(usize::try_from(bytes_max).unwrap_or(usize::MAX))
        .max_dbs(8)
        .max_readers(READERS_MAX);
    #[expect(unsafe_code, reason = "opening LMDB")]
    // SAFETY: the directory is this node's own; a second process on it is kept out by the lock
    // that the node takes on it, and nothing else truncates or rewrites the file while it is
    // mapped. NO_SYNC gives up durability only, as `durability = "memory"` asks for.
    unsafe {
        if !fsync {
            options.flags(EnvFlags::NO_SYNC);
        }
        Ok(options.open(dir)?)
    }
}

/// Checks the format version and reads the store id, or writes both into a new store.
pub(super) fn identify(
    txn: &mut RwTxn<'_>,
    meta: Database<Bytes, Bytes>,
    dir: &Path,
) -> Result<StoreId, StoreError> {
    if let Some(found) = meta.get(txn, KEY_FORMAT)? {
        let found = found.first().copied().unwrap_or(0);
        if found != FORMAT {
            return Err(StoreError::Format { path: dir.to_owned(), found });
        }
    }
    if let Some(id) = meta.get(txn, KEY_STORE_ID)? {
        let id = uuid::Uuid::from_slice(id);
        return id.map(StoreId).map_err(|_length| StoreError::Key(KEY_STORE_ID.to_vec()));
    }
    let id = StoreId::generate();
    meta.put(txn, KEY_FORMAT, &[FORMAT])?;
    meta.put(txn, KEY_STORE_ID, id.0.as_bytes())?;
    Ok(id)
}
