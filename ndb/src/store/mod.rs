//! The store of an ndb node: one LMDB environment a UTC day, all in one directory.
//!
//! ```text
//! <dir>/2026-11-20/    rows and blobs of that day      <- dropped whole by retention
//! <dir>/2026-11-21/    ...                             <- the newest
//! <dir>/journal        segments that have arrived, until their day has them (with fsync)
//! ```
//! A segment's bytes are written into `journal` when they arrive, and into `blobs` of the day of its row with that row.
//! What waits for its place for long, or arrives where there is no journal, is in `blobs` of the newest day before, and the
//! temporary table marks it; moving to permanent is a row of `order` and the removal of the mark. Only where
//! midnight (by the stamp) lies between that and its place, the bytes move to the day of the row.
//! Only the writer thread writes to LMDB; readers are short and cross no await.

mod arrivals;
mod day;
mod error;
pub(crate) mod inspect;
mod keys;
mod mend;
mod read;
mod row;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use vixen_core::id::{GroupId, OwnerId, Position, SegmentId, Seq, Stamp, StoreId};
use vixen_core::time::{UtcDay, WallTime};
use vixen_core::wire::OrderBase;
use vixen_runtime::ids::new_store_id;
use vixen_runtime::journal::Journal;
use vixen_runtime::lmdb;

use vixen_replica::{BEGINNING, Recovered};

use crate::metrics::StoreMetrics;
use arrivals::Arrivals;
pub(crate) use arrivals::{JOURNAL_BYTES, JournalRow};
use day::DayEnv;
pub use error::StoreError;
pub(crate) use mend::ScrubStep;
pub(crate) use read::Recent;
pub use write::StartError;
pub(crate) use write::Writer;

/// How a store is opened.
#[derive(Clone, Debug)]
pub(crate) struct StoreOptions {
    /// The group whose blobs are here.
    pub(crate) group: GroupId,
    /// Bound of the map of one day.
    pub(crate) bytes_max: u64,
    /// Whether commits are durable.
    pub(crate) fsync: bool,
    /// Whether the group has other nodes.
    pub(crate) has_peers: bool,
}

/// See the module doc.
pub(crate) struct Store {
    dir: PathBuf,
    options: StoreOptions,
    store_id: StoreId,
    days: RwLock<Days>,
    arrivals: RwLock<Arrivals>,
    /// Until the writer takes it.
    journal: Mutex<Option<Journal>>,
    metrics: StoreMetrics,
}

/// The days at hand, and where the order runs through them.
struct Days {
    envs: BTreeMap<UtcDay, Arc<DayEnv>>,
    /// Position of each day's first row.
    firsts: BTreeMap<Position, UtcDay>,
    /// Where the order begins here.
    base: OrderBase,
    /// Where it ends: what the next row is chained to.
    head: OrderBase,
}

impl Store {
    /// Opens or creates the store in `dir`; a new one gets its first day, that of `now`. What only its journal has is
    /// in LMDB then, if there is room. Blocking.
    pub(crate) fn open(
        dir: &Path,
        options: StoreOptions,
        now: WallTime,
    ) -> Result<Self, StoreError> {
        Self::open_with(dir, options, JOURNAL_BYTES, now)
    }

    /// The same, with a new journal of so many bytes where there is none.
    fn open_with(
        dir: &Path,
        options: StoreOptions,
        journal_bytes: u64,
        now: WallTime,
    ) -> Result<Self, StoreError> {
        if dir.join("data.mdb").exists() {
            return Err(StoreError::OldLayout { path: dir.to_owned() });
        }
        let failed = |source| StoreError::Directory { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        write::finish_interrupted(dir)?;
        let mut names = days_in(dir)?;
        if names.is_empty() {
            names.push(UtcDay::of(now));
        }
        let mut envs = BTreeMap::new();
        let mut store_id = None;
        // The newest first: a new day takes its id from the one before.
        for name in names.into_iter().rev() {
            let (env, id) = DayEnv::open(dir, name, store_id, options.bytes_max, options.fsync)?;
            store_id.get_or_insert(id);
            envs.insert(name, Arc::new(env));
        }
        let days = Days::of(envs)?;
        // A store has at least one day.
        let store_id = store_id.unwrap_or_else(new_store_id);
        let store = Self {
            dir: dir.to_owned(),
            options,
            store_id,
            days: RwLock::new(days),
            arrivals: RwLock::default(),
            journal: Mutex::default(),
            metrics: StoreMetrics::new(),
        };
        store.begin_journal(journal_bytes, now)?;
        Ok(store)
    }

    pub(crate) const fn store_id(&self) -> StoreId {
        self.store_id
    }

    /// The group whose blobs are here.
    pub(crate) const fn group(&self) -> GroupId {
        self.options.group
    }

    fn days(&self) -> RwLockReadGuard<'_, Days> {
        self.days.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn days_mut(&self) -> RwLockWriteGuard<'_, Days> {
        self.days.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrivals(&self) -> RwLockReadGuard<'_, Arrivals> {
        self.arrivals.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrivals_mut(&self) -> RwLockWriteGuard<'_, Arrivals> {
        self.arrivals.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_journal(&self, journal: Option<Journal>) {
        *self.journal.lock().unwrap_or_else(PoisonError::into_inner) = journal;
    }

    /// The journal, for the one thread that appends to it.
    fn take_journal(&self) -> Option<Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Where the order begins here: retention has dropped what is before.
    pub(crate) fn base(&self) -> OrderBase {
        self.days().base
    }

    /// Where the order ends that is on disk.
    pub(crate) fn head(&self) -> OrderBase {
        self.days().head
    }

    /// Gives up reader slots of processes that were killed, in the day that is written: they would
    /// keep its pages from being used again.
    pub(crate) fn clear_stale_readers(&self) -> Result<(), StoreError> {
        let newest = self.days().envs.values().next_back().cloned();
        let cleared = newest.map_or(Ok(0), |day| day.env.clear_stale_readers())?;
        if cleared > 0 {
            tracing::info!(readers = cleared, "reader slots of processes that are gone are free");
        }
        Ok(())
    }

    /// The days, each with the bytes of its file.
    pub(crate) fn day_bytes(&self) -> Vec<(UtcDay, u64)> {
        let envs: Vec<_> = self.days().envs.values().cloned().collect();
        envs.iter().map(|env| (env.day, env.disk_bytes())).collect()
    }

    /// The day, created where it is missing; for the writer.
    fn day(&self, day: UtcDay) -> Result<Arc<DayEnv>, StoreError> {
        if let Some(env) = self.days().envs.get(&day) {
            return Ok(Arc::clone(env));
        }
        // It may have been dropped a moment ago: one that is far behind places rows of old days.
        self.wait_until_closed(day);
        let StoreOptions { bytes_max, fsync, .. } = self.options;
        let (env, _id) = DayEnv::open(&self.dir, day, Some(self.store_id), bytes_max, fsync)?;
        let env = Arc::new(env);
        tracing::info!(%day, "a day of the store begins");
        self.days_mut().envs.insert(day, Arc::clone(&env));
        Ok(env)
    }

    /// Reads what the replica starts from. Blocking, proportional to what is unresolved.
    pub(crate) fn recover(&self) -> Result<Recovered, StoreError> {
        let days = self.days();
        let mut recovered = Recovered { base: days.base, head: days.head, ..Recovered::default() };
        recovered.owners =
            days.placed_owners()?.into_iter().map(|(o, (seq, _))| (o, seq)).collect();
        let placed: BTreeMap<OwnerId, Seq> = recovered.owners.iter().copied().collect();
        let mut damaged = 0;
        for env in days.envs.values() {
            let txn = env.read()?;
            let (temporary, bad) = env.temporaries(&txn)?;
            let (missing, bad_too) = env.missing(&txn)?;
            damaged += bad + bad_too;
            // A mark that outlived its row's commit in another day.
            let waits = |id: SegmentId| placed.get(&id.owner).is_none_or(|seq| id.seq > *seq);
            recovered.temporary.extend(temporary.into_iter().filter(|meta| waits(meta.id)));
            // Rows that were on their way from a peer have not reached the order yet.
            recovered.missing.extend(missing.into_iter().filter(|l| l.first >= days.base.next));
        }
        // For what the journal has there was no room in LMDB.
        let known: BTreeSet<SegmentId> = recovered.temporary.iter().map(|meta| meta.id).collect();
        let waiting = self.arrivals();
        recovered.temporary.extend(waiting.metas().filter(|meta| !known.contains(&meta.id)));
        if damaged > 0 {
            tracing::error!(rows = damaged, "rows of unresolved or missing segments are damaged");
        }
        Ok(recovered)
    }
}

impl Days {
    fn of(envs: BTreeMap<UtcDay, Arc<DayEnv>>) -> Result<Self, StoreError> {
        let mut days = Self { envs, firsts: BTreeMap::new(), base: BEGINNING, head: BEGINNING };
        let mut begins = None;
        for env in days.envs.values() {
            let txn = env.read()?;
            if let Some(base) = env.base(&txn)?
                && base.next > days.base.next
            {
                days.base = base;
                days.head = base;
            }
            if let Some((first, _)) = env.first_row(&txn)? {
                days.firsts.insert(first, env.day);
                begins.get_or_insert(env.first_key(&txn)?.unwrap_or(first).min(first));
            }
        }
        if let Some(newest) = days.firsts.values().next_back()
            && let Some(env) = days.envs.get(newest)
        {
            let txn = env.read()?;
            if let Some((first, row)) = env.last_row(&txn)? {
                let next = first.plus(row.elected.meta.count);
                days.head = OrderBase { next, stamp: row.elected.stamp(), chain: row.chain };
            }
        }
        if let Some(first) = begins
            && first > days.base.next
        {
            // A backup whose oldest days were dropped meanwhile: what its first row is chained to
            // is not known here.
            days.base.next = first;
        }
        // What is damaged at the beginning is looked for in the oldest day.
        if let Some((first, day)) = days.firsts.pop_first() {
            days.firsts.insert(first.min(days.base.next), day);
        }
        Ok(days)
    }

    /// Highest placed seq of each owner, with its stamp: the newest day with rows has them all, and
    /// where none has rows any more, or only such as were taken back from a peer, the day to which the
    /// base was written.
    fn placed_owners(&self) -> Result<BTreeMap<OwnerId, (Seq, Stamp)>, StoreError> {
        let newest = self.firsts.values().next_back().copied().unwrap_or_default();
        let mut owners: BTreeMap<OwnerId, (Seq, Stamp)> = BTreeMap::new();
        for env in self.envs.range(newest..).map(|(_, env)| env) {
            let txn = env.read()?;
            for (owner, placed) in env.owners(&txn)? {
                let known = owners.entry(owner).or_insert(placed);
                *known = placed.max(*known);
            }
        }
        Ok(owners)
    }

    /// The day whose rows hold `position`, or would.
    fn day_at(&self, position: Position) -> Option<&Arc<DayEnv>> {
        let (_, day) = self.firsts.range(..=position).next_back()?;
        self.envs.get(day)
    }
}

/// The days that have a directory, in order.
pub(crate) fn days_in(dir: &Path) -> Result<Vec<UtcDay>, StoreError> {
    let failed = |source| StoreError::Directory { path: dir.to_owned(), source };
    let mut days = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // Others are not this store's business, and one without its file was never begun.
        let day = name.to_str().and_then(|name| name.parse::<UtcDay>().ok());
        days.extend(day.filter(|_day| dir.join(&name).join(lmdb::DATA_FILE).exists()));
    }
    days.sort_unstable();
    Ok(days)
}

#[cfg(test)]
mod tests;
