//! The store of a sync node: one LMDB environment with a journal in front of it, written by the node's own loop.
//!
//! ```text
//!   commit ──> journal: one write, one fdatasync        durable on return
//!          └─> rows in memory (`Rows`) ── now and then, one transaction on a thread of its own ──> LMDB
//!   reads  ──> LMDB and the rows in memory, as one
//! ```
//! A commit takes all writes of a drained inbox at once: that is the group commit. It is one record of the journal, so it
//! is all there after a power cut, or not at all; so is a transaction of LMDB, which has the number of the last record whose rows
//! it has. A start writes what is beyond. Without fsync there is no journal, and commits are transactions.

mod checkpoint;
mod databases;
mod error;
mod journaled;
mod keys;
mod record;
mod rows;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use heed::{Env, RoTxn, WithoutTls};

use vixen_core::id::{OwnerId, SegmentId, Seq, Stamp, StoreId, SyncId};
use vixen_core::segment::Elected;
use vixen_core::time::UtcDay;
use vixen_runtime::journal::Journal;
use vixen_runtime::lmdb::{self, Formats};

use vixen_vote::{Batch, Elections, Recovered, Standing, VoteState};

pub use error::StoreError;

use crate::metrics::StoreMetrics;
use databases::Databases;
use journaled::Journaled;
use record::{Record, VoteBefore};
use rows::Rows;

/// Versions of all rows; a store of a version that is not read is refused, not guessed at. From version 4 on a store may have
/// a journal, from 5 on the row of a vote says what was accepted in the fast round.
const FORMATS: Formats = Formats::new(ROWS, 4);
/// The version of rows, also in the journal.
const ROWS: u8 = 5;
/// Of a new journal: some seconds of commits.
const JOURNAL_BYTES: u64 = 8 << 20;

/// A sync node's rows. See the module.
pub(crate) struct Store {
    dir: PathBuf,
    databases: Databases,
    /// With fsync.
    journaled: Option<Journaled>,
    metrics: StoreMetrics,
    store_id: StoreId,
    commits: u64,
    trimmed_to: Stamp,
}

/// Which elections go with a commit.
pub(crate) struct Forgetting<'a> {
    /// None above this stamp.
    pub(crate) upto: Stamp,
    /// Whether this one may.
    pub(crate) may_go: &'a dyn Fn(&Elected) -> bool,
    /// Elections looked at, so that a commit does not take long.
    pub(crate) rows_max: usize,
}

/// Whether an ndb node keeps its messages there.
fn holds_days(dir: &Path) -> bool {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .any(|name| name.parse::<UtcDay>().is_ok())
}

impl Store {
    /// Opens or creates the store in `dir`, and writes to LMDB what only its journal has, if there is room. Blocking.
    pub(crate) fn open(
        dir: &Path,
        bytes_max: u64,
        fsync: bool,
        now: Instant,
    ) -> Result<Self, StoreError> {
        Self::open_with(dir, bytes_max, fsync.then_some(JOURNAL_BYTES), now)
    }

    /// The same, with a new journal of so many bytes where there is none; without, it is not durable.
    fn open_with(
        dir: &Path,
        bytes_max: u64,
        journal_bytes: Option<u64>,
        now: Instant,
    ) -> Result<Self, StoreError> {
        if holds_days(dir) {
            return Err(StoreError::OfNdb { path: dir.to_owned() });
        }
        let fsync = journal_bytes.is_some();
        lmdb::make(dir, FORMATS, None, &databases::NAMES, fsync)?;
        let env = lmdb::open(dir, bytes_max, fsync)?;
        let mut txn = env.write_txn()?;
        let databases = Databases::open(&env, &mut txn)?;
        let store_id = lmdb::identify(&mut txn, databases.meta, dir, FORMATS, None)?;
        databases.keep_forgotten_to(&mut txn)?;
        let mut journal = databases.journal(&txn)?;
        if let (None, Some(bytes)) = (journal, journal_bytes) {
            // One that is there has nothing: a store that has something in one says so.
            let id = Journal::create(dir, store_id, bytes)?;
            databases.set_journal(&mut txn, Some(id))?;
            journal = Some((id, vixen_runtime::journal::Sequence::default()));
        }
        let (commits, trimmed_to) = databases.counts(&txn)?;
        txn.commit()?;
        if fsync {
            // What it says of the journal may be a process's before, which did not wait for the disk.
            env.force_sync()?;
        }
        let metrics = StoreMetrics::new(fsync);
        let mut store = Self {
            dir: dir.to_owned(),
            databases,
            journaled: None,
            metrics,
            store_id,
            commits,
            trimmed_to,
        };
        if let Some((id, applied)) = journal {
            let (journal, records) = Journal::open(dir, store_id, id, applied)?;
            store.replay(journal, &records, &env, now)?;
        }
        if !fsync {
            store.end_journal(&env)?;
        }
        Ok(store)
    }

    fn replay(
        &mut self,
        journal: Journal,
        records: &[vixen_runtime::journal::Record],
        env: &Env<WithoutTls>,
        now: Instant,
    ) -> Result<(), StoreError> {
        let mut rows = Rows::default();
        for record in records {
            let record = Record::decode(&record.body)?;
            if record.commits <= self.commits {
                // It found no room, and was written to LMDB with more.
                continue;
            }
            if record.commits != self.commits + 1 {
                let (has, goes_on) = (self.commits, record.commits);
                return Err(StoreError::NotItsJournal { has, goes_on });
            }
            rows.add(&record, &[]);
            self.commits = record.commits;
            self.trimmed_to = self.trimmed_to.max(record.trimmed_to);
        }
        if !records.is_empty() {
            tracing::info!(
                path = %self.dir.display(),
                records = records.len(),
                bytes = journal.bytes(),
                file_bytes = env.real_disk_size().unwrap_or_default(),
                "commits that the journal has are written to the store"
            );
        }
        self.metrics.replayed.set(f64::from(u32::try_from(records.len()).unwrap_or(u32::MAX)));
        let journaled = Journaled::new(journal, self.databases.clone(), rows, now)?;
        let journaled = self.journaled.insert(journaled);
        match journaled.write_all(&self.metrics, now) {
            // What is in the journal is durable: it can wait.
            Err(error) if error.is_of_room(&self.dir) => Ok(()),
            written => written,
        }
    }

    /// A store that is not to be durable has no journal any more, and what it had is in LMDB.
    fn end_journal(&mut self, env: &Env<WithoutTls>) -> Result<(), StoreError> {
        let Some(journaled) = self.journaled.take() else { return Ok(()) };
        if !journaled.is_empty() {
            return Err(StoreError::NoRoomToReplay);
        }
        drop(journaled);
        let mut txn = env.write_txn()?;
        self.databases.set_journal(&mut txn, None)?;
        txn.commit()?;
        env.force_sync()?;
        Ok(Journal::remove(&self.dir)?)
    }

    /// Commits so far.
    pub(crate) const fn commits(&self) -> u64 {
        self.commits
    }

    /// Elections up to here are forgotten, some of them or all.
    pub(crate) const fn trimmed_to(&self) -> Stamp {
        self.trimmed_to
    }

    pub(crate) const fn store_id(&self) -> StoreId {
        self.store_id
    }

    /// What is remembered of peers.
    pub(crate) fn standings(&self) -> Result<Vec<(SyncId, Standing)>, StoreError> {
        self.read(|databases, txn| databases.standings(txn))
    }

    /// Segments whose vote is on disk and which are not known elected.
    pub(crate) fn pending(&self) -> Result<u64, StoreError> {
        self.read(|databases, txn| databases.pending(txn))
    }

    /// Reads everything the vote starts from. Blocking, proportional to owners and pending
    /// segments, not to history.
    pub(crate) fn recover(&self) -> Result<Recovered, StoreError> {
        self.read(|databases, txn| databases.recover(txn))
    }

    /// What LMDB has once all rows are in it.
    fn read<T>(
        &self,
        read: impl FnOnce(&Databases, &RoTxn<'_, WithoutTls>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let waiting: Vec<&Rows> = self.journaled.iter().flat_map(Journaled::rows).collect();
        if waiting.is_empty() {
            let txn = self.databases.env.read_txn()?;
            return read(&self.databases, &txn);
        }
        // Never committed: for that there may be no room.
        let mut txn = self.databases.env.write_txn()?;
        for rows in waiting {
            self.databases.apply(&mut txn, rows)?;
        }
        let found = read(&self.databases, &txn);
        txn.abort();
        found
    }

    /// Forgets what is remembered of a peer; `false` when nothing is. Durable on return.
    pub(crate) fn forget_peer(&mut self, peer: SyncId, now: Instant) -> Result<bool, StoreError> {
        self.write_all(now)?;
        let mut txn = self.databases.env.write_txn()?;
        let was_known = self.databases.forget_peer(&mut txn, peer)?;
        txn.commit()?;
        Ok(was_known)
    }

    /// Writes all at once, and forgets what `retention` allows; durable on return unless
    /// the store was opened without fsync. Blocking. After an error nothing is certain but what is
    /// on disk; of one [of room](StoreError::is_of_room) the same commit is to be tried again, before
    /// any other.
    pub(crate) fn commit(
        &mut self,
        batch: &Batch,
        retention: Option<Forgetting<'_>>,
        now: Instant,
    ) -> Result<(), StoreError> {
        let forgotten = match retention {
            Some(retention) => self.forgets(&retention)?,
            None => Vec::new(),
        };
        let last = forgotten.last().map(Elected::stamp);
        let trimmed_to = self.trimmed_to.max(batch.trimmed_to.max(last).unwrap_or_default());
        let record = Record::new(self.commits + 1, batch, trimmed_to);
        match &mut self.journaled {
            Some(journaled) => journaled.commit(&record, &forgotten, &self.metrics, now)?,
            None => {
                let mut rows = Rows::default();
                rows.add(&record, &forgotten);
                self.databases.write(&rows, None)?;
            }
        }
        (self.commits, self.trimmed_to) = (record.commits, trimmed_to);
        Ok(())
    }

    /// Looks after the journal: what it has had for some time goes to LMDB. For every turn of the loop; not blocking.
    ///
    /// # Errors
    /// When LMDB has failed, but not for want of room: then it is tried again.
    pub(crate) fn tend(&mut self, now: Instant) -> Result<(), StoreError> {
        match &mut self.journaled {
            Some(journaled) => match journaled.tend(&self.metrics, now) {
                Err(error) if error.is_of_room(&self.dir) => Ok(()),
                tended => tended,
            },
            None => Ok(()),
        }
    }

    /// Whether LMDB had no room for what the journal has when that was last tried. Commits go on until the journal is full.
    pub(crate) fn lacks_room(&self) -> bool {
        self.journaled.as_ref().is_some_and(Journaled::lacks_room)
    }

    /// Writes to LMDB all that only the journal has. Blocking.
    pub(crate) fn write_all(&mut self, now: Instant) -> Result<(), StoreError> {
        match &mut self.journaled {
            Some(journaled) => journaled.write_all(&self.metrics, now),
            None => Ok(()),
        }
    }

    /// Elections in LMDB that are to go, and are not on their way out.
    fn forgets(&self, retention: &Forgetting<'_>) -> Result<Vec<Elected>, StoreError> {
        let stays = |elected: &Elected| !self.has_forgotten(elected);
        let mut goes = self.databases.elected_up_to(retention.upto, stays, retention.rows_max)?;
        goes.retain(|elected| (retention.may_go)(elected));
        Ok(goes)
    }

    fn has_forgotten(&self, elected: &Elected) -> bool {
        let mut rows = self.journaled.iter().flat_map(Journaled::rows);
        rows.any(|rows| rows.has_forgotten(elected.stamp()))
    }
}

impl Elections for Store {
    type Error = StoreError;

    fn elected_after(&self, after: Stamp, limit: usize) -> Result<Vec<Elected>, StoreError> {
        let rows = self.journaled.iter().flat_map(Journaled::rows);
        let waiting = rows.flat_map(|rows| rows.elected_after(after).take(limit));
        let mut found: BTreeMap<Stamp, Elected> =
            waiting.map(|elected| (elected.stamp(), elected)).collect();
        let stays = |elected: &Elected| !self.has_forgotten(elected);
        let stored = self.databases.elected_after(after, stays, limit)?;
        found.extend(stored.into_iter().map(|elected| (elected.stamp(), elected)));
        Ok(found.into_values().take(limit).collect())
    }

    fn elected_of(
        &self,
        owner: OwnerId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Elected>, StoreError> {
        let rows = self.journaled.iter().flat_map(Journaled::rows);
        let waiting = rows.flat_map(|rows| rows.elected_of(owner, after).take(limit));
        let mut found: BTreeMap<SegmentId, Elected> =
            waiting.map(|elected| (elected.meta.id, elected)).collect();
        let stays = |elected: &Elected| !self.has_forgotten(elected);
        let stored = self.databases.elected_of(owner, after, stays, limit)?;
        found.extend(stored.into_iter().map(|elected| (elected.meta.id, elected)));
        Ok(found.into_values().take(limit).collect())
    }
}

fn encode<T: serde::Serialize>(row: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(row).map_err(StoreError::Row)
}

/// The row of a vote. One that was written before version 5 ends before what was accepted in the fast round.
fn decode_vote(row: &[u8]) -> Result<VoteState, StoreError> {
    match postcard::from_bytes(row) {
        Err(postcard::Error::DeserializeUnexpectedEnd) => decode::<VoteBefore>(row).map(Into::into),
        vote => vote.map_err(StoreError::Row),
    }
}

fn decode<T: serde::de::DeserializeOwned>(row: &[u8]) -> Result<T, StoreError> {
    postcard::from_bytes(row).map_err(StoreError::Row)
}

#[cfg(test)]
mod tests;
