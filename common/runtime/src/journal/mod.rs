//! A journal in front of a store: one write and one `fdatasync` a commit, in a file that has all its blocks.
//!
//! ```text
//!   commit ── append: write, fdatasync ──> journal   (a ring of blocks, 8 MiB for instance)
//!                      └── rows in memory ── now and then, one transaction ──> LMDB, then `release`
//!   start:  records beyond what LMDB has applied ──> rows in memory ──> LMDB
//! ```
//! The file is made whole and written once before it is used, so that a write changes none of the file system's own
//! pages: `fdatasync` has one thing to do, and there is room for it however full the disk is (where the file system writes in
//! place). What the bytes are, and how a torn tail is told from damage, is in `format.rs`.
//!
//! One thread appends. Design: `docs/design/025-journal.md`.

mod error;
mod format;
mod look;
mod ring;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use vixen_core::id::StoreId;

use crate::durable;
use crate::ids::new_store_id;
pub use error::JournalError;
pub use format::{BLOCK_BYTES, JournalId, Sequence};
use format::{BadHeader, Checks, Found, HEAD_BYTES, Header, blocks_of, records};
pub use look::Look;
use ring::Ring;

/// The file of a journal, in the directory of its store.
pub const JOURNAL_FILE: &str = "journal";
/// Its name until it is whole.
const MAKING: &str = "journal.making";
/// Where one goes that is not used any more, and is not to be lost to who wants to look at it.
const ASIDE: &str = "journal.refused";
/// Zeros that are written at once while one is made.
const MAKING_BYTES: usize = 1 << 20;

/// What a record has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub sequence: Sequence,
    /// What was appended.
    pub body: Vec<u8>,
}

/// Up to where a journal was when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    block: u32,
    /// The last record.
    pub sequence: Sequence,
}

/// Why a record was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no place for it until something is released.
    #[error("the journal is full")]
    Full,
    /// There never is.
    #[error("the record is larger than the journal")]
    TooLong,
    /// The disk failed. The record may be durable or not, and what is appended next has its number.
    #[error(transparent)]
    Disk(#[from] JournalError),
}

/// An open journal. See the module.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    checks: Checks,
    ring: Ring,
    last: Sequence,
    /// The record at hand, and room for the next.
    whole: Vec<u8>,
    /// Where a record is that was written and could not be synced.
    unsynced: Option<u32>,
}

impl Journal {
    /// Makes the journal of `store` in `dir`, of about `bytes`, instead of any that is there. Durable on return, and so is
    /// its name. Blocking.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(dir: &Path, store: StoreId, bytes: u64) -> Result<JournalId, JournalError> {
        let (path, making) = (dir.join(JOURNAL_FILE), dir.join(MAKING));
        let id = JournalId(*new_store_id().0.as_bytes());
        let blocks = bytes / BLOCK_BYTES as u64;
        let blocks = u32::try_from(blocks).unwrap_or(u32::MAX).max(2);
        let header = Header { id, store, blocks };
        let made = || {
            let file = File::create(&making)?;
            let zeros = vec![0; MAKING_BYTES];
            let end = u64::from(blocks) * BLOCK_BYTES as u64;
            let mut at = 0;
            while at < end {
                let bytes = (end - at).min(MAKING_BYTES as u64);
                let part = usize::try_from(bytes).unwrap_or(MAKING_BYTES);
                file.write_all_at(&zeros[..part], at)?;
                at += bytes;
            }
            file.write_all_at(&header.encode(), 0)?;
            file.sync_all()?;
            fs::rename(&making, &path)?;
            durable::sync_dir(dir)
        };
        made().map_err(|source| {
            // It must not keep the room that was not enough.
            let _may_not_be_there = fs::remove_file(&making);
            JournalError::Io { path: path.clone(), source }
        })?;
        Ok(id)
    }

    /// Opens the journal `id` of `store` in `dir`, and reads its records beyond `applied`. What it gives back is durable.
    /// Blocking, proportional to the size of the file.
    ///
    /// # Errors
    /// When it is not there, or another, or damaged; or it cannot be read or written.
    pub fn open(
        dir: &Path,
        store: StoreId,
        id: JournalId,
        applied: Sequence,
    ) -> Result<(Self, Vec<Record>), JournalError> {
        let (bytes, header) = read(dir)?;
        let path = dir.join(JOURNAL_FILE);
        let failed = |source| JournalError::Io { path: path.clone(), source };
        let file = File::options().read(true).write(true).open(&path).map_err(failed)?;
        if (header.id, header.store) != (id, store) {
            return Err(JournalError::Foreign { path });
        }
        let found = records(&bytes, &header, applied).map_err(|damage| JournalError::Damaged {
            path: path.clone(),
            missing: damage.missing.0,
            later: damage.later.0,
        })?;
        sync_last(&file, &bytes, found.last()).map_err(failed)?;
        let mut ring = Ring::new(header.blocks);
        let mut last = applied;
        let mut read = Vec::with_capacity(found.len());
        for record in found {
            ring.take(record.block, record.blocks());
            last = last.next();
            read.push(Record { sequence: last, body: bytes[record.body].to_vec() });
        }
        let (checks, whole) = (header.checks(), Vec::new());
        Ok((Self { path, file, checks, ring, last, whole, unsynced: None }, read))
    }

    /// Removes the journal in `dir`: its store has all that was in it, and says no more that there is one.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(dir: &Path) -> Result<(), JournalError> {
        let path = dir.join(JOURNAL_FILE);
        fs::remove_file(&path).map_err(|source| JournalError::Io { path, source })
    }

    /// Puts the journal in `dir`, if there is one, aside under another name, in the place of one that was put
    /// aside before.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn set_aside(dir: &Path) -> Result<(), JournalError> {
        let path = dir.join(JOURNAL_FILE);
        match fs::rename(&path, dir.join(ASIDE)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            renamed => renamed
                .and_then(|()| durable::sync_dir(dir))
                .map_err(|source| JournalError::Io { path, source }),
        }
    }

    /// Appends a record, whose body is all of the parts; durable on return. Blocking.
    ///
    /// # Errors
    /// When there is no place for it, or the disk fails.
    pub fn append(&mut self, body: &[&[u8]]) -> Result<Sequence, AppendError> {
        let blocks = blocks_of(body.iter().map(|part| part.len()).sum());
        if blocks > self.ring.size() {
            return Err(AppendError::TooLong);
        }
        let block = self.ring.place(blocks).ok_or(AppendError::Full)?;
        let sequence = self.last.next();
        self.whole.clear();
        self.whole.resize(HEAD_BYTES, 0);
        body.iter().for_each(|part| self.whole.extend_from_slice(part));
        self.checks.seal(block, sequence, &mut self.whole);
        self.write(block).map_err(|source| JournalError::Io { path: self.path.clone(), source })?;
        self.ring.take(block, blocks);
        self.last = sequence;
        Ok(sequence)
    }

    fn write(&mut self, block: u32) -> std::io::Result<()> {
        // Another record may have this number, whole, in another place.
        if let Some(other) = self.unsynced.filter(|other| *other != block) {
            self.file.write_all_at(&[0; BLOCK_BYTES], place_of(other))?;
        }
        self.unsynced = Some(block);
        self.file.write_all_at(&self.whole, place_of(block))?;
        self.file.sync_data()?;
        self.unsynced = None;
        Ok(())
    }

    /// Up to where it is now.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        Mark { block: self.ring.mark(), sequence: self.last }
    }

    /// What was appended before the mark is elsewhere, durable, and its place is free.
    pub const fn release(&mut self, mark: Mark) {
        self.ring.release(mark.block);
    }

    /// Bytes of records that were not released.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.ring.used() as u64 * BLOCK_BYTES as u64
    }

    /// Bytes that there may be.
    #[must_use]
    pub const fn bytes_max(&self) -> u64 {
        self.ring.size() as u64 * BLOCK_BYTES as u64
    }
}

/// The bytes of the journal in `dir`, and what its first block says.
fn read(dir: &Path) -> Result<(Vec<u8>, Header), JournalError> {
    let path = dir.join(JOURNAL_FILE);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(JournalError::Missing { path });
        }
        read => read.map_err(|source| JournalError::Io { path: path.clone(), source })?,
    };
    match Header::decode(&bytes) {
        Ok(header) if bytes.len() as u64 == u64::from(header.blocks) * BLOCK_BYTES as u64 => {
            Ok((bytes, header))
        }
        Ok(_) | Err(BadHeader::Damaged) => Err(JournalError::Header { path }),
        Err(BadHeader::Format(found)) => Err(JournalError::Format { path, found }),
    }
}

/// A process that was killed may have written the last record and not synced it, and one whose sync failed has lost
/// it although it can be read. The same bytes again lose nothing, and are durable then.
fn sync_last(file: &File, bytes: &[u8], last: Option<&Found>) -> std::io::Result<()> {
    if let Some(last) = last {
        let begin = last.block as usize * BLOCK_BYTES;
        let end = begin + last.blocks() as usize * BLOCK_BYTES;
        file.write_all_at(&bytes[begin..end], begin as u64)?;
    }
    file.sync_data()
}

fn place_of(block: u32) -> u64 {
    u64::from(block) * BLOCK_BYTES as u64
}

#[cfg(test)]
mod tests;
