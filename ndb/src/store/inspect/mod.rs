//! Looking into a store from outside: for the tools, which read beside a running node.
//!
//! A day is opened for reading only, by itself, and closed again: retention may drop it meanwhile,
//! and hundreds of days need neither as many open files nor as much address space. Transactions
//! last for one batch of rows, since the node cannot use pages again that a reader still sees.

mod damage;
mod day;
mod journal;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use heed::{EnvFlags, EnvOpenOptions};

use vixen_core::id::{GroupId, Position};
use vixen_core::time::UtcDay;
use vixen_core::wire::OrderBase;
use vixen_runtime::lmdb;

use crate::store::arrivals::JournalRow;
use crate::store::day::{DayEnv, FORMATS};
use crate::store::{BEGINNING, StoreError, days_in};
pub(crate) use journal::{InJournal, JournalState, journal_row};
use vixen_replica::OrderRow;

/// As `vixen_runtime::lmdb` opens a node's environments: the first process that has one open sets
/// the number of reader slots for all.
const READERS_MAX: u32 = 1_024;
const DATABASES_MAX: u32 = 8;

/// One transaction reads so many rows, or so many bytes of blobs, at most.
const ROWS_BATCH: usize = 512;
const BYTES_BATCH: usize = 8 << 20;
/// Rows of the small tables that one transaction checks.
const SMALL_BATCH: usize = 16_384;

/// A store's directory, a node's own or a backup.
#[derive(Clone, Debug)]
pub(crate) struct Inspector {
    dir: PathBuf,
    bytes_max: u64,
}

/// What was in a day when it was first looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DayBounds {
    /// What its `meta` says of where the order begins.
    pub(crate) base: Option<OrderBase>,
    /// Its first position, and the one after its last.
    pub(crate) rows: Option<(Position, Position)>,
    /// Where peers of the group were known to begin, when that was earlier.
    pub(crate) kept_by_group: Option<Position>,
    /// What its `meta` says of the journal.
    pub(crate) journal: Option<JournalRow>,
}

/// One day that could be looked at, or why not.
pub(crate) type Surveyed = (UtcDay, Result<DayBounds, StoreError>);

/// A day that is open for reading.
pub(crate) struct Day(DayEnv);

/// A row of the order.
#[derive(Debug)]
pub(crate) enum Read {
    /// As it was written.
    Row(Segment),
    /// Not as it was written.
    Damaged {
        /// Its position, if at least its key has the form of one.
        at: Option<Position>,
    },
}

/// A row with what is here of its segment.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Position of its first message.
    pub(crate) first: Position,
    /// The row.
    pub(crate) row: OrderRow,
    /// The blob, unchecked, if blobs of its group were asked for and it is here.
    pub(crate) blob: Option<Bytes>,
    /// Whether it is noted as missing.
    pub(crate) is_missing: bool,
    /// Whether a search for the row finds it.
    pub(crate) is_found: bool,
}

/// Where reading a day goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursor(Option<Vec<u8>>);

/// Rows of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// In order.
    pub(crate) rows: Vec<Read>,
    /// Where to go on; `None` at the end.
    pub(crate) next: Option<Cursor>,
}

/// Numbers of a day.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DayNumbers {
    /// Segments noted as missing.
    pub(crate) missing: u64,
    /// Segments without a place.
    pub(crate) temporary: u64,
    /// Topics.
    pub(crate) topics: u64,
    /// Bytes of its file.
    pub(crate) file_bytes: u64,
    /// Pages of the file that hold nothing now.
    pub(crate) pages_free: u64,
    /// Bytes of a page.
    pub(crate) page_bytes: u64,
}

impl Inspector {
    /// For the store in `dir`; `bytes_max` is the most that one day may have.
    pub(crate) const fn new(dir: PathBuf, bytes_max: u64) -> Self {
        Self { dir, bytes_max }
    }

    /// The store's directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The days there are, each with its bounds as they are now, the oldest first. What is written
    /// later is beyond them.
    ///
    /// # Errors
    /// When the directory cannot be read. A day that cannot be has its error with it.
    pub(crate) fn survey(&self) -> Result<Vec<Surveyed>, StoreError> {
        if self.dir.join("data.mdb").exists() {
            return Err(StoreError::OldLayout { path: self.dir.clone() });
        }
        let mut surveyed = Vec::new();
        // The newest first: rows of a day are complete before the first of the next is written.
        for day in days_in(&self.dir)?.into_iter().rev() {
            match self.open(day).and_then(|open| open.map(|day| day.bounds()).transpose()) {
                Ok(Some(bounds)) => surveyed.push((day, Ok(bounds))),
                Ok(None) => {}
                Err(error) => surveyed.push((day, Err(error))),
            }
        }
        surveyed.reverse();
        Ok(surveyed)
    }

    /// Opens a day; `None` when retention has dropped it, or it is just being made.
    ///
    /// # Errors
    /// When LMDB cannot read it, or it has another format.
    pub(crate) fn open(&self, day: UtcDay) -> Result<Option<Day>, StoreError> {
        let gone = |error: &StoreError| match error {
            StoreError::Lmdb(heed::Error::Io(error)) => error.kind() == ErrorKind::NotFound,
            _ => false,
        };
        match DayEnv::open_read_only(&self.dir, day, self.bytes_max) {
            Ok(env) => Ok(env.map(Day)),
            Err(error) if gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The group whose blobs are here, told by those that are; `None` when there are none.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn find_group(&self, days: &[Surveyed]) -> Result<Option<GroupId>, StoreError> {
        for (day, bounds) in days.iter().rev() {
            let has_rows = bounds.as_ref().is_ok_and(|bounds| bounds.rows.is_some());
            let Some(day) = (if has_rows { self.open(*day)? } else { None }) else { continue };
            if let Some(group) = day.find_group()? {
                return Ok(Some(group));
            }
        }
        Ok(None)
    }
}

/// Where the order of surveyed days begins and ends: the most that any day knows.
pub(crate) fn base_of(days: &[Surveyed]) -> OrderBase {
    let bases = days.iter().filter_map(|(_, bounds)| bounds.as_ref().ok()?.base);
    bases.max_by_key(|base| base.next).unwrap_or(BEGINNING)
}

/// Where peers of the group were known to begin, if they have more than is here.
pub(crate) fn kept_by_group(days: &[Surveyed]) -> Option<Position> {
    let base = base_of(days).next;
    let firsts = days.iter().filter_map(|(_, bounds)| bounds.as_ref().ok()?.kept_by_group);
    firsts.min().filter(|first| *first < base)
}

/// The position after the last row of surveyed days.
pub(crate) fn end_of(days: &[Surveyed]) -> Position {
    let ends = days.iter().filter_map(|(_, bounds)| Some(bounds.as_ref().ok()?.rows?.1));
    ends.max().unwrap_or(Position::FIRST).max(base_of(days).next)
}

impl DayEnv {
    /// Opens the day below `store_dir` for reading, beside the node that may have it open too;
    /// `None` when it is not there, or without its first commit.
    fn open_read_only(
        store_dir: &Path,
        day: UtcDay,
        bytes_max: u64,
    ) -> Result<Option<Self>, StoreError> {
        let dir = store_dir.join(day.to_string());
        let used = match std::fs::metadata(dir.join("data.mdb")) {
            Ok(file) if file.len() > 0 => file.len(),
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Directory { path: dir, source }),
        };
        // The file may grow while it is read, and only as far as the node's own bound.
        let map = used.saturating_mul(2).max(bytes_max).next_multiple_of(1 << 20);
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options
            .map_size(usize::try_from(map).unwrap_or(usize::MAX))
            .max_dbs(DATABASES_MAX)
            .max_readers(READERS_MAX);
        #[expect(unsafe_code, reason = "opening LMDB")]
        // SAFETY: the map is for reading only. The node that may have the same file open never
        // truncates or rewrites it, and LMDB's lock file keeps pages that a reader sees. A file
        // that something else has damaged may raise a signal: `tools::fault` answers for that.
        let env = unsafe {
            options.flags(EnvFlags::READ_ONLY);
            options.open(&dir)?
        };
        // Tools that were killed must not keep pages from being used again.
        env.clear_stale_readers()?;
        let txn = env.read_txn()?;
        if env.info().last_txn_id == 0 {
            return Ok(None);
        }
        let day = Self::assemble(day, dir, &env, bytes_max, &mut |name| {
            let found = env.open_database(&txn, Some(name))?;
            found.ok_or(StoreError::Row { database: name, key: Vec::new() })
        })?;
        FORMATS.check(&day.dir, lmdb::format(&txn, day.meta)?.unwrap_or(0))?;
        // Without this the handles would end with the transaction.
        txn.commit()?;
        Ok(Some(day))
    }
}
