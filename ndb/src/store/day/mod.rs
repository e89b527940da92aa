//! One UTC day of the store: an LMDB environment of its own.
//!
//! The rows of a day are those whose stamps lie in it, so the order runs through the days without
//! going back; its blobs are those of its rows, and those that arrived in it and have no place yet.
//! A day needs no other: dropping one is deleting its directory.

mod blobs;
mod purge;
mod rows;
mod topics;

use std::collections::HashMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use heed::types::Bytes as Raw;
use heed::{Database, Env, RoTxn, RwTxn, WithoutTls};
use metrics::Counter;

use vixen_core::id::{OwnerId, Seq, Stamp, StoreId};
use vixen_core::segment::Topic;
use vixen_core::time::UtcDay;
use vixen_runtime::durable;
use vixen_runtime::lmdb::{self, Formats};

pub(in crate::store) use purge::purge;
pub(in crate::store) use topics::{NameRow, Named, TopicNumber, TopicRow, is_of, read_row};

use crate::metrics::disk_syncs;
use crate::store::StoreError;
use crate::store::keys::db_name;

/// Versions of all rows. A store of a version that is not read is refused, not guessed at; golden rows of
/// each that is are in `store/tests/basics.rs`.
///
/// - 4: the rows of the topic index are linked. One of format 3 is made anew.
/// - 5: there may be a journal beside the days, with segments that they do not have.
pub(in crate::store) const FORMATS: Formats = Formats::spanning(5, 3);
/// The first whose topic index is read.
const FORMAT_LINKED: u8 = 4;

/// The map of a day begins with this and grows with the data; small in tests, so that they grow it.
const MAP_BYTES_MIN: u64 = if cfg!(test) { 1 << 20 } else { 1 << 30 };
const MAP_GROWTH: u64 = 4;

/// Syncs of a commit: of its pages, and of the page that says which they are.
const LMDB_SYNCS: u64 = 2;

/// Databases of one day. Keys are big-endian, so byte order is log order.
pub(crate) struct DayEnv {
    pub(in crate::store) day: UtcDay,
    pub(in crate::store) dir: PathBuf,
    pub(in crate::store) env: Env<WithoutTls>,
    /// Held for writing while the map grows: no transaction may live then.
    pub(in crate::store) growth: RwLock<()>,
    pub(in crate::store) bytes_max: u64,
    pub(in crate::store) meta: Database<Raw, Raw>,
    /// Segment id → [`SegmentMeta`]: stored, without a place.
    pub(in crate::store) temporary: Database<Raw, Raw>,
    /// See [`blobs`]. A blob's checksum is the digest in its segment's meta.
    pub(in crate::store) blobs: Database<Raw, Raw>,
    /// Position of the first message (u64) → [`OrderRow`].
    pub(in crate::store) order: Database<Raw, Raw>,
    /// Segment id → [`Lost`]: placed, of this group, without bytes.
    pub(in crate::store) missing: Database<Raw, Raw>,
    /// Owner id → highest placed seq and its stamp.
    pub(in crate::store) owners: Database<Raw, Raw>,
    /// See [`topics`].
    pub(in crate::store) topics: Database<Raw, Raw>,
    pub(in crate::store) topic_rows: Database<Raw, Raw>,
    /// Topics of this day that were used lately; for the writer.
    pub(in crate::store) topic_numbers: Mutex<HashMap<Topic, Named>>,
    /// The writer has found the topic index at odds, and nobody has been told yet.
    pub(in crate::store) is_at_odds: AtomicBool,
    /// Syncs of the disk that commits asked for.
    syncs: Counter,
    /// Each write finds no room.
    #[cfg(test)]
    pub(in crate::store) has_no_room: AtomicBool,
}

/// Highest placed seq of an owner, with its stamp.
pub(in crate::store) type PlacedOwner = (OwnerId, (Seq, Stamp));

/// A read transaction; the map does not grow while it lives. Never kept across an await, and never
/// two of a day on one thread: a map that is about to grow between them waits for the first, and the
/// second for it.
pub(in crate::store) struct Reading<'e> {
    txn: RoTxn<'e, WithoutTls>,
    _no_growth: RwLockReadGuard<'e, ()>,
    #[cfg(debug_assertions)]
    _alone: alone::Alone,
}

/// Tells in debug builds when a thread reads a day that it reads already.
#[cfg(debug_assertions)]
mod alone {
    use std::cell::RefCell;

    thread_local! {
        static DAYS: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    }

    pub(in crate::store) struct Alone(usize);

    impl Alone {
        pub(in crate::store) fn at(day: &super::DayEnv) -> Self {
            let day = std::ptr::from_ref(day).addr();
            DAYS.with_borrow_mut(|days| {
                assert!(!days.contains(&day), "this thread reads the day already");
                days.push(day);
            });
            Self(day)
        }
    }

    impl Drop for Alone {
        fn drop(&mut self) {
            DAYS.with_borrow_mut(|days| days.retain(|day| *day != self.0));
        }
    }
}

impl<'e> Deref for Reading<'e> {
    type Target = RoTxn<'e, WithoutTls>;

    fn deref(&self) -> &Self::Target {
        &self.txn
    }
}

impl DayEnv {
    /// Opens or creates the day below `store_dir`; a new one gets `store_id`. Blocking.
    pub(in crate::store) fn open(
        store_dir: &Path,
        day: UtcDay,
        store_id: Option<StoreId>,
        bytes_max: u64,
        fsync: bool,
    ) -> Result<(Self, StoreId), StoreError> {
        let dir = Self::make(store_dir, day, store_id, fsync)?;
        let used = std::fs::metadata(dir.join("data.mdb")).map_or(0, |file| file.len());
        let map = used.saturating_mul(2).next_multiple_of(MAP_BYTES_MIN).max(MAP_BYTES_MIN);
        let env = lmdb::open(&dir, map.min(bytes_max).max(used), fsync)?;
        // A reader that was killed must not keep pages from being used again.
        env.clear_stale_readers()?;
        let mut txn = env.write_txn()?;
        let mut found = Self::assemble(day, dir, &env, bytes_max, &mut |name| {
            Ok(env.create_database(&mut txn, Some(name))?)
        })?;
        if lmdb::format(&txn, found.meta)?.is_some_and(|format| format < FORMAT_LINKED) {
            found.mark_at_odds(&mut txn)?;
        }
        // What a process before has not brought to its end.
        *found.is_at_odds.get_mut() = found.is_index_due(&txn)?;
        if fsync {
            found.syncs = disk_syncs();
        }
        let store_id = lmdb::identify(&mut txn, found.meta, &found.dir, FORMATS, store_id)?;
        txn.commit()?;
        // Also where the file was there: whoever made it may have had no room, or no time, for this.
        if fsync {
            sync_dir(&found.dir)?;
            sync_dir(store_dir)?;
        }
        Ok((found, store_id))
    }

    /// Makes the day below `store_dir`, unless it is there; its directory.
    pub(in crate::store) fn make(
        store_dir: &Path,
        day: UtcDay,
        store_id: Option<StoreId>,
        fsync: bool,
    ) -> Result<PathBuf, StoreError> {
        let dir = store_dir.join(day.to_string());
        lmdb::make(&dir, FORMATS, store_id, &db_name::ALL, fsync)?;
        Ok(dir)
    }

    /// A day of an environment whose databases `database` finds or makes, by name.
    pub(in crate::store) fn assemble(
        day: UtcDay,
        dir: PathBuf,
        env: &Env<WithoutTls>,
        bytes_max: u64,
        database: &mut dyn FnMut(&'static str) -> Result<Database<Raw, Raw>, StoreError>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            day,
            dir,
            env: env.clone(),
            growth: RwLock::new(()),
            bytes_max,
            meta: database(db_name::META)?,
            temporary: database(db_name::TEMPORARY)?,
            blobs: database(db_name::BLOBS)?,
            order: database(db_name::ORDER)?,
            missing: database(db_name::MISSING)?,
            owners: database(db_name::OWNERS)?,
            topics: database(db_name::TOPICS)?,
            topic_rows: database(db_name::TOPIC_ROWS)?,
            topic_numbers: Mutex::default(),
            is_at_odds: AtomicBool::new(false),
            syncs: Counter::noop(),
            #[cfg(test)]
            has_no_room: AtomicBool::new(false),
        })
    }

    pub(in crate::store) fn read(&self) -> Result<Reading<'_>, StoreError> {
        #[cfg(debug_assertions)]
        let alone = alone::Alone::at(self);
        let no_growth = self.growth.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Reading {
            txn: self.env.read_txn()?,
            _no_growth: no_growth,
            #[cfg(debug_assertions)]
            _alone: alone,
        })
    }

    /// Runs `change` in a write transaction and commits it; durable on return (with fsync). When
    /// the map is full it grows, and `change` runs again. Whatever ends a transaction without its
    /// commit, nothing that was remembered in it outlives it.
    pub(in crate::store) fn write<T>(
        &self,
        change: &mut dyn FnMut(&Self, &mut RwTxn<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        loop {
            #[cfg(test)]
            if self.has_no_room.load(std::sync::atomic::Ordering::Relaxed) {
                let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
                return Err(StoreError::Lmdb(heed::Error::Io(full)));
            }
            let mut txn = self.env.write_txn()?;
            let written = change(self, &mut txn).and_then(|done| {
                txn.commit()?;
                self.syncs.increment(LMDB_SYNCS);
                Ok(done)
            });
            if written.is_err() {
                // Numbers given in the transaction that failed are not in the store.
                self.forget_topics();
            }
            match written {
                Err(StoreError::Lmdb(heed::Error::Mdb(heed::MdbError::MapFull)))
                    if (self.env.info().map_size as u64) < self.bytes_max =>
                {
                    self.grow()?;
                }
                outcome => return outcome,
            }
        }
    }

    fn grow(&self) -> Result<(), StoreError> {
        let _no_readers = self.growth.write().unwrap_or_else(PoisonError::into_inner);
        let wanted = (self.env.info().map_size as u64).saturating_mul(MAP_GROWTH);
        lmdb::resize(&self.env, wanted.min(self.bytes_max))?;
        Ok(())
    }

    /// Whether readers may be shown what the topic index says.
    pub(in crate::store) fn has_index(&self) -> Result<bool, StoreError> {
        let txn = self.read()?;
        let is_linked = lmdb::format(&txn, self.meta)?.is_some_and(|found| found >= FORMAT_LINKED);
        Ok(is_linked && !self.is_index_due(&txn)?)
    }

    /// Numbers of topics are read from disk again.
    pub(in crate::store) fn forget_topics(&self) {
        self.topic_numbers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Bytes of its file.
    pub(in crate::store) fn disk_bytes(&self) -> u64 {
        std::fs::metadata(self.dir.join("data.mdb")).map_or(0, |file| file.len())
    }
}

/// Makes what was created or removed in a directory durable.
pub(in crate::store) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Directory { path: dir.to_owned(), source };
    durable::sync_dir(dir).map_err(failed)
}
