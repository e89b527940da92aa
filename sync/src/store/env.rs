//! Opening the environment, and what identifies a store.

use std::path::{Path, PathBuf};

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, RwTxn};

use vixen_common::id::StoreId;

/// Version of all rows below.
pub(super) const FORMAT: u8 = 1;

pub(super) mod db_name {
    pub(in super::super) const META: &str = "meta";
    pub(in super::super) const VOTES: &str = "votes";
    pub(in super::super) const ELECTED: &str = "elected";
    pub(in super::super) const BY_STAMP: &str = "by-stamp";
    pub(in super::super) const OWNERS: &str = "owners";
}

pub(super) mod meta_key {
    pub(in super::super) const FORMAT: &[u8] = b"format";
    pub(in super::super) const STORE_ID: &[u8] = b"store-id";
    pub(in super::super) const CEILING: &[u8] = b"clock-ceiling";
}

/// Why a store cannot be used. None of these is retryable: the node stops.
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
    /// A segment is marked elected and its stamp has no row.
    #[error("segment {0:02x?} is elected at a stamp that is not stored")]
    Dangling(Vec<u8>),
}

pub(super) fn open(dir: &Path, bytes_max: u64, fsync: bool) -> Result<Env, StoreError> {
    std::fs::create_dir_all(dir)
        .map_err(|source| StoreError::Directory { path: dir.to_owned(), source })?;
    let mut options = EnvOpenOptions::new();
    options.map_size(usize::try_from(bytes_max).unwrap_or(usize::MAX)).max_dbs(8);
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
    if let Some(found) = meta.get(txn, meta_key::FORMAT)? {
        let found = found.first().copied().unwrap_or(0);
        if found != FORMAT {
            return Err(StoreError::Format { path: dir.to_owned(), found });
        }
    }
    if let Some(id) = meta.get(txn, meta_key::STORE_ID)? {
        let id = uuid::Uuid::from_slice(id);
        return id.map(StoreId).map_err(|_length| StoreError::Key(meta_key::STORE_ID.to_vec()));
    }
    let id = StoreId::generate();
    meta.put(txn, meta_key::FORMAT, &[FORMAT])?;
    meta.put(txn, meta_key::STORE_ID, id.0.as_bytes())?;
    Ok(id)
}
