//! LMDB environments: how the stores of sync and ndb nodes are opened, and what identifies one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, RoTxn, RwTxn, WithoutTls};

use vixen_core::id::StoreId;

use crate::durable;
use crate::ids::new_store_id;

/// Databases of one environment at most.
const DATABASES_MAX: u32 = 8;
/// Reader slots: readers run on a bounded pool of threads.
const READERS_MAX: u32 = 1_024;

/// The file of an environment.
pub const DATA_FILE: &str = "data.mdb";
/// Where an environment is until it is whole, in the directory that it is for.
const MAKING: &str = "making";
/// The map of an environment with nothing in it.
const MAKING_BYTES: u64 = 1 << 20;
/// The database of what identifies a store.
const DB_META: &str = "meta";

const KEY_FORMAT: &[u8] = b"format";
const KEY_STORE_ID: &[u8] = b"store-id";

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
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
    #[error("LMDB cannot open the store")]
    Lmdb(#[from] heed::Error),
    /// The store has rows of a version that is not read.
    #[error(
        "the store in {path} has format version {found}, and this version of vixen reads {formats}: start {}",
        formats.advice(*found)
    )]
    Format {
        /// The directory.
        path: PathBuf,
        /// Its version.
        found: u8,
        /// What this node reads.
        formats: Formats,
    },
    /// The row that identifies the store does not parse.
    #[error("the store in {path} has a malformed store id")]
    StoreId {
        /// The directory.
        path: PathBuf,
    },
}

impl OpenError {
    /// What the system said, where that is the cause.
    #[must_use]
    pub const fn of_the_disk(&self) -> Option<&std::io::Error> {
        match self {
            Self::Lmdb(heed::Error::Io(error)) | Self::Directory { source: error, .. } => {
                Some(error)
            }
            Self::Lmdb(_) | Self::Format { .. } | Self::StoreId { .. } => None,
        }
    }
}

/// The versions of rows that a store may have. A node writes the newest and reads that and the one
/// before, so that nodes can be updated one after the other, each with the store it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Formats {
    newest: u8,
    oldest: u8,
}

impl Formats {
    /// The newest, and the one before, unless that is older than `kept_since`.
    ///
    /// # Panics
    /// `kept_since` is beyond the newest: in a constant, which does not compile then.
    #[must_use]
    pub const fn new(newest: u8, kept_since: u8) -> Self {
        assert!(kept_since <= newest, "the newest is read");
        Self { newest, oldest: if kept_since < newest { newest - 1 } else { newest } }
    }

    /// The newest, and all from `oldest` on.
    ///
    /// # Panics
    /// `oldest` is beyond the newest: in a constant, which does not compile then.
    #[must_use]
    pub const fn spanning(newest: u8, oldest: u8) -> Self {
        assert!(oldest <= newest, "the newest is read");
        Self { newest, oldest }
    }

    /// Whether a store with rows of this version can be read.
    ///
    /// # Errors
    /// It cannot.
    pub fn check(self, dir: &Path, found: u8) -> Result<(), OpenError> {
        if (self.oldest..=self.newest).contains(&found) {
            Ok(())
        } else {
            Err(OpenError::Format { path: dir.to_owned(), found, formats: self })
        }
    }

    /// What to start where a store is not read.
    const fn advice(self, found: u8) -> &'static str {
        if found > self.newest {
            "the later version that wrote it"
        } else {
            "a version that reads it, or this one with an empty directory"
        }
    }
}

impl std::fmt::Display for Formats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.oldest == self.newest {
            write!(f, "{}", self.newest)
        } else {
            let word = if self.oldest + 1 == self.newest { "and" } else { "to" };
            write!(f, "{} {word} {}", self.oldest, self.newest)
        }
    }
}

/// Makes an environment in `dir`, unless there is one: `databases`, all empty but `meta`, which has the
/// format version and the store id, `new_id` or a random one. Its names are durable on return (with `fsync`). Blocking.
/// The caller must hold the directory's `DirLock`.
///
/// What is stopped on the way, by a power cut or otherwise, is made again. LMDB alone would not:
/// a file whose name reached the disk and whose first pages did not is none that it opens.
///
/// # Errors
/// When the directory or LMDB's files cannot be had.
pub fn make(
    dir: &Path,
    formats: Formats,
    new_id: Option<StoreId>,
    databases: &[&str],
    fsync: bool,
) -> Result<(), OpenError> {
    let failed = |source| OpenError::Directory { path: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let making = dir.join(MAKING);
    match std::fs::remove_dir_all(&making) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _gone => {}
    }
    let file = dir.join(DATA_FILE);
    if !file.exists() {
        std::fs::create_dir(&making).map_err(failed)?;
        let env = open(&making, MAKING_BYTES, fsync)?;
        let mut txn = env.write_txn()?;
        let meta = env.create_database(&mut txn, Some(DB_META))?;
        for name in databases {
            let _empty: Database<Bytes, Bytes> = env.create_database(&mut txn, Some(name))?;
        }
        identify(&mut txn, meta, dir, formats, new_id)?;
        txn.commit()?;
        env.prepare_for_closing().wait();
        std::fs::rename(making.join(DATA_FILE), &file).map_err(failed)?;
        std::fs::remove_dir_all(&making).map_err(failed)?;
    }
    if fsync {
        // Of one that was there, too: who made it may have been killed before this.
        durable::sync_dir(dir).map_err(failed)?;
    }
    Ok(())
}

/// Opens the environment in `dir`, or creates it there as LMDB does (better: [`make`]), with a sparse
/// map of `bytes_max`. Without `fsync` commits are not durable. Blocking. The caller must hold the
/// directory's `DirLock`.
///
/// # Errors
/// When the directory or LMDB's files cannot be had.
pub fn open(dir: &Path, bytes_max: u64, fsync: bool) -> Result<Env<WithoutTls>, OpenError> {
    std::fs::create_dir_all(dir)
        .map_err(|source| OpenError::Directory { path: dir.to_owned(), source })?;
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options
        .map_size(usize::try_from(bytes_max).unwrap_or(usize::MAX))
        .max_dbs(DATABASES_MAX)
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

/// Changes the size of the map.
///
/// # Errors
/// When the address space is not to be had.
pub fn resize(env: &Env<WithoutTls>, bytes: u64) -> Result<(), heed::Error> {
    #[expect(unsafe_code, reason = "LMDB maps the file anew")]
    // SAFETY: the caller holds off all transactions of this process on this environment.
    unsafe {
        env.resize(usize::try_from(bytes).unwrap_or(usize::MAX))
    }
}

/// The format version of a store; `None` in one that has none yet.
///
/// # Errors
/// When `meta` cannot be read.
pub fn format(
    txn: &RoTxn<'_, WithoutTls>,
    meta: Database<Bytes, Bytes>,
) -> Result<Option<u8>, heed::Error> {
    Ok(meta.get(txn, KEY_FORMAT)?.map(|found| found.first().copied().unwrap_or(0)))
}

/// The id of a store; `None` in one that has none yet.
///
/// # Errors
/// When `meta` cannot be read, or it is malformed.
pub fn store_id(
    txn: &RoTxn<'_, WithoutTls>,
    meta: Database<Bytes, Bytes>,
    dir: &Path,
) -> Result<Option<StoreId>, OpenError> {
    let id = meta.get(txn, KEY_STORE_ID)?.map(uuid::Uuid::from_slice).transpose();
    let id = id.map_err(|_length| OpenError::StoreId { path: dir.to_owned() })?;
    Ok(id.map(StoreId))
}

/// Checks the format version and reads the store id from `meta`, or writes both into a new store: `new_id`,
/// or a random one. A store of the version before is one of the newest from then on: what is written into
/// it is.
///
/// # Errors
/// When the store is of a version that is not read, or unreadable.
pub fn identify(
    txn: &mut RwTxn<'_>,
    meta: Database<Bytes, Bytes>,
    dir: &Path,
    formats: Formats,
    new_id: Option<StoreId>,
) -> Result<StoreId, OpenError> {
    if let Some(found) = format(txn, meta)? {
        formats.check(dir, found)?;
        if found != formats.newest {
            meta.put(txn, KEY_FORMAT, &[formats.newest])?;
        }
    }
    if let Some(id) = store_id(txn, meta, dir)? {
        return Ok(id);
    }
    let id = new_id.unwrap_or_else(new_store_id);
    meta.put(txn, KEY_FORMAT, &[formats.newest])?;
    meta.put(txn, KEY_STORE_ID, id.0.as_bytes())?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: u64 = 1 << 20;
    const FIRST: Formats = Formats::new(1, 1);

    #[test]
    fn what_was_stopped_on_the_way_is_made_again_and_what_is_whole_stays() {
        let dir = tempfile::tempdir().expect("dir");
        let making = dir.path().join(MAKING);
        std::fs::create_dir(&making).expect("created");
        // As a power cut may leave it.
        std::fs::write(making.join(DATA_FILE), [0; 8_192]).expect("written");
        let id = new_store_id();
        make(dir.path(), FIRST, Some(id), &[], true).expect("made");
        assert!(!making.exists());
        assert_eq!(identified(dir.path(), FIRST).expect("whole"), id);
        make(dir.path(), FIRST, None, &[], true).expect("there");
        assert_eq!(identified(dir.path(), FIRST).expect("the same"), id);
    }

    fn identified(dir: &Path, formats: Formats) -> Result<StoreId, OpenError> {
        let env = open(dir, BYTES_MAX, true)?;
        let mut txn = env.write_txn()?;
        let meta = env.create_database(&mut txn, Some("meta"))?;
        let id = identify(&mut txn, meta, dir, formats, None)?;
        txn.commit()?;
        Ok(id)
    }

    #[test]
    fn a_store_keeps_its_id_and_goes_on_with_the_next_format() {
        let dir = tempfile::tempdir().expect("dir");
        let id = identified(dir.path(), FIRST).expect("new");
        assert_eq!(identified(dir.path(), FIRST).expect("known"), id);
        // The next version reads it, and makes it its own.
        assert_eq!(identified(dir.path(), Formats::new(2, 1)).expect("read"), id);
        let error = identified(dir.path(), FIRST).expect_err("written by a later version");
        let text = error.to_string();
        assert!(
            text.contains("version 2, and this version of vixen reads 1: start the later"),
            "{text}"
        );
        assert_eq!(identified(dir.path(), Formats::new(3, 1)).expect("read"), id);
        // The one after the next does not, nor does one that begins anew.
        for formats in [Formats::new(5, 1), Formats::new(4, 4)] {
            let error = identified(dir.path(), formats).expect_err("too old");
            assert!(matches!(error, OpenError::Format { found: 3, .. }), "{error}");
        }
        let text = identified(dir.path(), Formats::new(5, 1)).expect_err("too old").to_string();
        assert!(text.contains("reads 4 and 5: start a version that reads it"), "{text}");
        assert_eq!(identified(dir.path(), Formats::spanning(5, 3)).expect("read"), id);
        let text =
            identified(dir.path(), Formats::spanning(9, 7)).expect_err("too old").to_string();
        assert!(text.contains("version 5, and this version of vixen reads 7 to 9"), "{text}");
    }
}
