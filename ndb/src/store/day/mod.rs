//! One UTC day of the store: an LMDB environment of its own.
//!
//! The rows of a day are those whose stamps lie in it, so the order runs through the days without
//! going back; its blobs are those of its rows, and those that arrived in it and have no place yet.
//! A day needs no other: dropping one is deleting its directory.

mod blobs;
mod purge;
mod topics;

use std::collections::HashMap;
use std::ops::{Bound, Deref};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use heed::types::Bytes as Raw;
use heed::{Database, Env, RoTxn, RwTxn, WithoutTls};

use vixen_core::id::{OwnerId, Position, Seq, Stamp, StoreId};
use vixen_core::segment::{SegmentMeta, Topic};
use vixen_core::time::UtcDay;
use vixen_core::wire::OrderBase;
use vixen_runtime::durable;
use vixen_runtime::lmdb::{self, Formats};

pub(in crate::store) use purge::purge;
pub(in crate::store) use topics::{TopicNumber, read_row};

use crate::store::keys::{db_name, position_of};
use crate::store::{StoreError, row};
use vixen_replica::{Lost, OrderRow};

/// Versions of all rows. A store of a version that is not read is refused, not guessed at; golden rows of
/// each that is are in `store/tests/basics.rs`.
pub(in crate::store) const FORMATS: Formats = Formats::new(3, 3);

/// The map of a day begins with this and grows with the data; small in tests, so that they grow it.
const MAP_BYTES_MIN: u64 = if cfg!(test) { 1 << 20 } else { 1 << 30 };
const MAP_GROWTH: u64 = 4;

/// In `meta`: where the order begins when what is before was dropped ([`OrderBase`]).
const KEY_BASE: &[u8] = b"base";

/// In `meta`, beside the base: where the order begins at peers that have kept more ([`Position`]).
const KEY_KEPT_BY_GROUP: &[u8] = b"kept-by-group";

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
    /// Numbers of topics of this day that were used lately; for the writer.
    pub(in crate::store) topic_numbers: Mutex<HashMap<Topic, u32>>,
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
        let found = Self::assemble(day, dir, &env, bytes_max, &mut |name| {
            Ok(env.create_database(&mut txn, Some(name))?)
        })?;
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
            let mut txn = self.env.write_txn()?;
            let written = change(self, &mut txn).and_then(|done| {
                txn.commit()?;
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

    /// Numbers of topics are read from disk again.
    pub(in crate::store) fn forget_topics(&self) {
        self.topic_numbers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(in crate::store) fn base(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Option<OrderBase>, StoreError> {
        let base = self.meta.get(txn, KEY_BASE)?;
        base.map(|value| row::decode(db_name::META, KEY_BASE, value)).transpose()
    }

    pub(in crate::store) fn put_base(
        &self,
        txn: &mut RwTxn<'_>,
        base: OrderBase,
    ) -> Result<(), StoreError> {
        self.meta.put(txn, KEY_BASE, &row::encode(KEY_BASE, &base)?)?;
        // What peers have beyond is to be seen anew.
        self.meta.delete(txn, KEY_KEPT_BY_GROUP)?;
        Ok(())
    }

    /// The order begins elsewhere now.
    pub(in crate::store) fn delete_base(&self, txn: &mut RwTxn<'_>) -> Result<(), StoreError> {
        self.meta.delete(txn, KEY_BASE)?;
        self.meta.delete(txn, KEY_KEPT_BY_GROUP)?;
        Ok(())
    }

    pub(in crate::store) fn kept_by_group(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Option<Position>, StoreError> {
        let first = self.meta.get(txn, KEY_KEPT_BY_GROUP)?;
        first.map(|value| row::decode(db_name::META, KEY_KEPT_BY_GROUP, value)).transpose()
    }

    pub(in crate::store) fn put_kept_by_group(
        &self,
        txn: &mut RwTxn<'_>,
        first: Position,
    ) -> Result<(), StoreError> {
        self.meta.put(txn, KEY_KEPT_BY_GROUP, &row::encode(KEY_KEPT_BY_GROUP, &first)?)?;
        Ok(())
    }

    /// A number kept in `meta`; 0 when there is none.
    pub(in crate::store) fn counter(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        key: &[u8],
    ) -> Result<u32, StoreError> {
        let value = self.meta.get(txn, key)?;
        value.map_or(Ok(0), |value| row::decode(db_name::META, key, value))
    }

    pub(in crate::store) fn put_counter(
        &self,
        txn: &mut RwTxn<'_>,
        key: &[u8],
        value: u32,
    ) -> Result<(), StoreError> {
        self.meta.put(txn, key, &row::encode(key, &value)?)?;
        Ok(())
    }

    /// The order's row at a key that was read.
    pub(in crate::store) fn order_row(
        key: &[u8],
        value: &[u8],
    ) -> Result<(Position, OrderRow), StoreError> {
        let first = position_of(db_name::ORDER, key)?;
        // Verified with the position that was read, whatever the key is by now.
        Ok((first, row::decode(db_name::ORDER, &first.0.to_be_bytes(), value)?))
    }

    /// The lowest key of the order, whether or not its row is whole.
    pub(in crate::store) fn first_key(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Option<Position>, StoreError> {
        let first = self.order.first(txn)?;
        Ok(first.and_then(|(key, _)| position_of(db_name::ORDER, key).ok()))
    }

    /// The first whole row: a damaged one must not keep the store from being opened.
    pub(in crate::store) fn first_row(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Option<(Position, OrderRow)>, StoreError> {
        first_whole(self.order.iter(txn)?)
    }

    /// The last whole row.
    pub(in crate::store) fn last_row(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Option<(Position, OrderRow)>, StoreError> {
        first_whole(self.order.rev_iter(txn)?)
    }

    /// The last whole row that begins at or before `position`.
    pub(in crate::store) fn last_row_upto(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        position: Position,
    ) -> Result<Option<(Position, OrderRow)>, StoreError> {
        let key = position.0.to_be_bytes();
        let upto = (Bound::Unbounded, Bound::Included(key.as_slice()));
        first_whole(self.order.rev_range(txn, &upto)?)
    }

    /// Where a row is to be mended so that `position` can be read, by looking at all from the first one
    /// on, for when searches are led astray: where the row that holds it begins, or else the end of
    /// the last whole one before.
    pub(in crate::store) fn mend_from(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        position: Position,
    ) -> Result<Option<Position>, StoreError> {
        let mut end = None;
        for item in self.order.iter(txn)? {
            let (key, value) = item?;
            let Ok((first, row)) = Self::order_row(key, value) else { continue };
            if first > position {
                break;
            }
            let next = first.plus(row.elected.meta.count);
            if position < next {
                return Ok(Some(first));
            }
            end = Some(next);
        }
        Ok(end)
    }

    /// Whether a search for the row that begins at `position` ends at it. Where a key between the pages
    /// of the tree is damaged it does not, though the row stands there whole.
    pub(in crate::store) fn finds_row(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        position: Position,
    ) -> Result<bool, StoreError> {
        Ok(self.order.get(txn, &position.0.to_be_bytes())?.is_some())
    }

    /// Reads rows of a database whose keys are segment ids. One that is damaged is left out and
    /// counted: what it stood for is fetched again, or offered by a peer.
    pub(in crate::store) fn temporaries(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<(Vec<SegmentMeta>, usize), StoreError> {
        read_all(db_name::TEMPORARY, self.temporary, txn)
    }

    /// As [`temporaries`](Self::temporaries).
    pub(in crate::store) fn missing(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<(Vec<Lost>, usize), StoreError> {
        read_all(db_name::MISSING, self.missing, txn)
    }

    pub(in crate::store) fn owners(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Vec<PlacedOwner>, StoreError> {
        let mut owners = Vec::new();
        for item in self.owners.iter(txn)? {
            let (key, value) = item?;
            let damaged = || StoreError::Row { database: db_name::OWNERS, key: key.to_vec() };
            let owner = uuid::Uuid::from_slice(key).map_err(|_length| damaged())?;
            owners.push((OwnerId(owner), row::decode(db_name::OWNERS, owner.as_bytes(), value)?));
        }
        Ok(owners)
    }

    pub(in crate::store) fn put_owner(
        &self,
        txn: &mut RwTxn<'_>,
        owner: OwnerId,
        placed: (Seq, Stamp),
    ) -> Result<(), StoreError> {
        let key = owner.0.as_bytes();
        self.owners.put(txn, key, &row::encode(key, &placed)?)?;
        Ok(())
    }

    /// Bytes of its file.
    pub(in crate::store) fn disk_bytes(&self) -> u64 {
        std::fs::metadata(self.dir.join("data.mdb")).map_or(0, |file| file.len())
    }
}

fn read_all<T: serde::de::DeserializeOwned>(
    name: &'static str,
    database: Database<Raw, Raw>,
    txn: &RoTxn<'_, WithoutTls>,
) -> Result<(Vec<T>, usize), StoreError> {
    let (mut rows, mut damaged) = (Vec::new(), 0);
    for item in database.iter(txn)? {
        let (key, value) = item?;
        match row::decode(name, key, value) {
            Ok(read) => rows.push(read),
            Err(_damaged) => damaged += 1,
        }
    }
    Ok((rows, damaged))
}

/// The first of the rows that is whole.
fn first_whole<'t>(
    rows: impl Iterator<Item = heed::Result<(&'t [u8], &'t [u8])>>,
) -> Result<Option<(Position, OrderRow)>, StoreError> {
    for item in rows {
        let (key, value) = item?;
        if let Ok(row) = DayEnv::order_row(key, value) {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Makes what was created or removed in a directory durable.
pub(in crate::store) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Directory { path: dir.to_owned(), source };
    durable::sync_dir(dir).map_err(failed)
}
