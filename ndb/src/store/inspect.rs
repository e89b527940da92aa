//! Looking into a store from outside: for the tools, which read beside a running node.
//!
//! A day is opened for reading only, by itself, and closed again: retention may drop it meanwhile,
//! and hundreds of days need neither as many open files nor as much address space. Transactions
//! last for one batch of rows, since the node cannot use pages again that a reader still sees.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use heed::types::Bytes as Raw;
use heed::{CompactionOption, Database, EnvFlags, EnvOpenOptions};
use nix::libc::{EFBIG, EINVAL, EIO, ENOMEM};

use vixen_core::id::{GroupId, Position, SegmentId, Seq, Stamp};
use vixen_core::segment::{SegmentMeta, Topic};
use vixen_core::time::UtcDay;
use vixen_core::wire::OrderBase;
use vixen_runtime::lmdb::OpenError;

use super::day::{DayEnv, FORMATS, db_name};
use super::{BEGINNING, StoreError, days_in, row, topics};
use vixen_replica::{Lost, OrderRow};

/// As `vixen_runtime::lmdb` opens a node's environments: the first process that has one open sets
/// the number of reader slots for all.
const READERS_MAX: u32 = 1_024;
const DATABASES_MAX: u32 = 8;
/// In `meta`, written by `vixen_runtime::lmdb::identify`.
const KEY_FORMAT: &[u8] = b"format";

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
        let found = day.meta.get(&txn, KEY_FORMAT)?.and_then(|value| value.first().copied());
        FORMATS.check(&day.dir, found.unwrap_or(0))?;
        // Without this the handles would end with the transaction.
        txn.commit()?;
        Ok(Some(day))
    }
}

impl Day {
    /// Which day it is.
    pub(crate) const fn day(&self) -> UtcDay {
        self.0.day
    }

    /// Where it begins and ends now.
    ///
    /// # Errors
    /// When LMDB fails, or what `meta` says is damaged.
    fn bounds(&self) -> Result<DayBounds, StoreError> {
        let env = &self.0;
        let txn = env.read()?;
        let base = env.base(&txn)?;
        let kept_by_group = env.kept_by_group(&txn)?;
        let without_rows = DayBounds { base, rows: None, kept_by_group };
        let Some((first, _)) = env.order.first(&txn)? else {
            return Ok(without_rows);
        };
        let first = row::position_of(db_name::ORDER, first)?;
        let Some((key, value)) = env.order.last(&txn)? else {
            return Ok(without_rows);
        };
        let end = match DayEnv::order_row(key, value) {
            Ok((first, row)) => first.plus(row.elected.meta.count),
            // Damaged: it is looked at all the same, and told of then.
            Err(_damaged) => row::position_of(db_name::ORDER, key)?.plus(1),
        };
        Ok(DayBounds { rows: Some((first, end)), ..without_rows })
    }

    fn find_group(&self) -> Result<Option<GroupId>, StoreError> {
        let env = &self.0;
        let mut next = Some(Cursor::default());
        while let Some(cursor) = next {
            let batch = self.rows(&cursor, Position(u64::MAX), None)?;
            let txn = env.read()?;
            for read in batch.rows {
                let Read::Row(segment) = read else { continue };
                let elected = segment.row.elected;
                let key = elected.meta.id.to_key();
                // A mark means that the bytes may be those of a copy that the vote passed over.
                let is_own = env.missing.get(&txn, &key)?.is_some()
                    || (env.blob(&txn, elected.meta.id)?.is_some()
                        && env.temporary.get(&txn, &key)?.is_none());
                if is_own {
                    return Ok(Some(elected.challenger.group));
                }
            }
            next = batch.next;
        }
        Ok(None)
    }

    /// Where the row stands that holds `position`, or the first after it.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn cursor_at(&self, position: Position) -> Result<Cursor, StoreError> {
        let txn = self.0.read()?;
        let key = position.0.to_be_bytes();
        let upto = (Unbounded, Included(&key[..]));
        let mut before = self.0.order.rev_range(&txn, &upto)?;
        // Keys are positions: the row before the one that is found ends below `position`.
        before.next().transpose()?;
        let before = before.next().transpose()?;
        Ok(Cursor(before.map(|(key, _)| key.to_vec())))
    }

    /// The next rows below `until`, with the blobs of `group`.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn rows(
        &self,
        cursor: &Cursor,
        until: Position,
        group: Option<GroupId>,
    ) -> Result<Batch, StoreError> {
        let env = &self.0;
        let txn = env.read()?;
        let range = (
            cursor.0.as_ref().map_or(Unbounded, |after| Excluded(after.as_slice())),
            Unbounded::<&[u8]>,
        );
        let (mut batch, mut bytes) = (Batch::default(), 0);
        for item in env.order.range(&txn, &range)? {
            let (key, value) = item?;
            let row = DayEnv::order_row(key, value);
            // Where the tree is damaged, a search may lead to whole rows before.
            if row.is_ok() && cursor.0.as_deref().is_some_and(|after| key <= after) {
                continue;
            }
            // A key that is damaged may say anything, and ends nothing.
            if row.as_ref().is_ok_and(|(first, _)| *first >= until) {
                return Ok(batch);
            }
            let is_whole = row.is_ok();
            batch.rows.push(match row {
                Ok((first, row)) => {
                    let id = row.elected.meta.id;
                    let is_wanted = Some(row.elected.challenger.group) == group;
                    let blob = if is_wanted { env.blob(&txn, id)? } else { None };
                    bytes += blob.as_ref().map_or(0, Bytes::len);
                    let is_missing = is_wanted && env.missing.get(&txn, &id.to_key())?.is_some();
                    let is_found = env.finds_row(&txn, first)?;
                    Read::Row(Segment { first, row, blob, is_missing, is_found })
                }
                Err(_damaged) => Read::Damaged { at: row::position_of(db_name::ORDER, key).ok() },
            });
            if is_whole && (batch.rows.len() >= ROWS_BATCH || bytes >= BYTES_BATCH) {
                batch.next = Some(Cursor(Some(key.to_vec())));
                return Ok(batch);
            }
        }
        Ok(batch)
    }

    /// Whether the topic index has the segment under all its topics.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn is_indexed(&self, first: Position, topics: &[Topic]) -> Result<bool, StoreError> {
        let txn = self.0.read()?;
        self.0.is_indexed(&txn, first, topics)
    }

    /// Hands over each segment without a place, with its bytes; `None` for one whose row is
    /// damaged.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn temporaries(
        &self,
        mut see: impl FnMut(Option<(SegmentMeta, Option<Bytes>)>),
    ) -> Result<(), StoreError> {
        let env = &self.0;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let txn = env.read()?;
            let begin = after.as_ref().map_or(Unbounded, |after| Excluded(after.as_slice()));
            let range = (begin, Unbounded::<&[u8]>);
            let (mut bytes, mut last, mut read) = (0, None, Vec::new());
            for item in env.temporary.range(&txn, &range)? {
                let (key, value) = item?;
                let meta = row::decode::<SegmentMeta>(db_name::TEMPORARY, key, value);
                read.push(match meta {
                    Ok(meta) => {
                        let blob = env.blob(&txn, meta.id)?;
                        bytes += blob.as_ref().map_or(0, Bytes::len);
                        Some((meta, blob))
                    }
                    Err(_damaged) => None,
                });
                if bytes >= BYTES_BATCH {
                    last = Some(key.to_vec());
                    break;
                }
            }
            drop(txn);
            read.into_iter().for_each(&mut see);
            let Some(last) = last else { return Ok(()) };
            after = Some(last);
        }
    }

    /// Checks each row of the small tables, and hands over the database and key of those that are
    /// not as they were written.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn check_tables(
        &self,
        mut damaged: impl FnMut(&'static str, &[u8]),
    ) -> Result<(), StoreError> {
        let env = &self.0;
        {
            let txn = env.read()?;
            if env.base(&txn).is_err() || env.counter(&txn, b"topics").is_err() {
                damaged(db_name::META, &[]);
            }
        }
        type Check = fn(&[u8], &[u8]) -> bool;
        let tables: [(&'static str, Database<Raw, Raw>, Check); 4] = [
            (db_name::MISSING, env.missing, |key, value| {
                let lost = row::decode::<Lost>(db_name::MISSING, key, value);
                lost.is_ok_and(|lost| SegmentId::from_key(key) == Some(lost.meta.id))
            }),
            (db_name::OWNERS, env.owners, |key, value| {
                row::decode::<(Seq, Stamp)>(db_name::OWNERS, key, value).is_ok()
            }),
            (db_name::TOPICS, env.topics, |key, value| {
                row::decode::<(u32, Arc<str>, Arc<str>)>(db_name::TOPICS, key, value).is_ok()
            }),
            (db_name::TOPIC_ROWS, env.topic_rows, |key, value| {
                topics::read_row(key, value).is_ok()
            }),
        ];
        for (name, table, is_good) in tables {
            self.each(table, |key, value| {
                if !is_good(key, value) {
                    damaged(name, key);
                }
            })?;
        }
        Ok(())
    }

    /// Runs through a table, a transaction a batch.
    fn each(
        &self,
        table: Database<Raw, Raw>,
        mut see: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), StoreError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let txn = self.0.read()?;
            let begin = after.as_ref().map_or(Unbounded, |after| Excluded(after.as_slice()));
            let range = (begin, Unbounded::<&[u8]>);
            let mut last = None;
            for (n, item) in table.range(&txn, &range)?.enumerate() {
                let (key, value) = item?;
                see(key, value);
                if n + 1 >= SMALL_BATCH {
                    last = Some(key.to_vec());
                    break;
                }
            }
            let Some(last) = last else { return Ok(()) };
            after = Some(last);
        }
    }

    /// How many segments have messages of each topic, added to `into`.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn count_topics(
        &self,
        into: &mut BTreeMap<(Arc<str>, Arc<str>), u64>,
    ) -> Result<(), StoreError> {
        let mut by_number: HashMap<u32, u64> = HashMap::new();
        self.each(self.0.topic_rows, |key, _| {
            if let Some(number) = key.first_chunk::<4>() {
                *by_number.entry(u32::from_be_bytes(*number)).or_default() += 1;
            }
        })?;
        self.each(self.0.topics, |key, value| {
            type Named = (u32, Arc<str>, Arc<str>);
            if let Ok((number, realm, uri)) = row::decode::<Named>(db_name::TOPICS, key, value) {
                *into.entry((realm, uri)).or_default() += by_number.get(&number).unwrap_or(&0);
            }
        })
    }

    /// Numbers of tables and pages.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn numbers(&self) -> Result<DayNumbers, StoreError> {
        let env = &self.0;
        let txn = env.read()?;
        let all = [
            env.meta,
            env.temporary,
            env.blobs,
            env.order,
            env.missing,
            env.owners,
            env.topics,
            env.topic_rows,
        ];
        let main = env.env.stat();
        // Two pages of LMDB's own come first.
        let mut used = 2 + main.branch_pages + main.leaf_pages + main.overflow_pages;
        for database in all {
            let stat = database.stat(&txn)?;
            used += stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        }
        let pages = env.env.info().last_page_number + 1;
        Ok(DayNumbers {
            missing: env.missing.len(&txn)?,
            temporary: env.temporary.len(&txn)?,
            topics: env.topics_len(&txn)?,
            file_bytes: env.disk_bytes(),
            pages_free: pages.saturating_sub(used) as u64,
            page_bytes: u64::from(main.page_size),
        })
    }

    /// Copies the day, as of one moment, into a new file; durable on return.
    ///
    /// # Errors
    /// When LMDB fails, or the file cannot be written.
    pub(crate) fn copy_to(&self, file: &Path) -> Result<u64, StoreError> {
        // Compaction follows what damaged pages say of themselves: where there are any, they are
        // copied as they are.
        let has_copies = self.0.has_copies(&*self.0.read()?)?;
        let compaction =
            if has_copies { CompactionOption::Disabled } else { CompactionOption::Enabled };
        let copy = self.0.env.copy_to_path(file, compaction)?;
        let synced = copy.sync_all().and_then(|()| copy.metadata());
        let failed = |source| StoreError::Directory { path: file.to_owned(), source };
        Ok(synced.map_err(failed)?.len())
    }
}

impl StoreError {
    /// Whether the bytes on disk are not what was written, so that only a backup or the peers help.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Open(OpenError::Lmdb(error)) | Self::Lmdb(error) => is_damage(error),
            Self::Open(OpenError::StoreId { .. })
            | Self::Row { .. }
            | Self::Order(_)
            | Self::Damaged(_) => true,
            Self::Open(OpenError::Directory { .. } | OpenError::Format { .. })
            | Self::Directory { .. }
            | Self::OldLayout { .. }
            | Self::Encode(_)
            | Self::Trimmed { .. }
            | Self::Misfit(_) => false,
        }
    }
}

/// Garbled pages show in many ways: as what LMDB calls corrupt, as sizes that no memory can hold,
/// as a state that cannot be.
fn is_damage(error: &heed::Error) -> bool {
    use heed::MdbError;
    match error {
        heed::Error::Mdb(error) => !matches!(
            error,
            MdbError::MapFull | MdbError::DbsFull | MdbError::ReadersFull | MdbError::TlsFull
        ),
        heed::Error::Io(error) => {
            matches!(error.raw_os_error(), Some(EIO | ENOMEM | EINVAL | EFBIG))
        }
        heed::Error::Encoding(_) | heed::Error::Decoding(_) | heed::Error::EnvAlreadyOpened => {
            false
        }
    }
}
