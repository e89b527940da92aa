//! A store's journal, and the rows that it has and LMDB has not.
//!
//! ```text
//!   records of the journal:  … in LMDB | on their way to it (`checkpoint`) | only here (`rows`) |
//!                                      ^ released up to here               ^ mark               ^ last
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use vixen_core::segment::Elected;
use vixen_runtime::journal::{AppendError, Journal};

use super::StoreError;
use super::checkpoint::{Checkpoint, Checkpoints};
use super::databases::Databases;
use super::record::Record;
use super::rows::Rows;
use crate::metrics::StoreMetrics;

/// Rows wait at most this long for their checkpoint to begin.
const CHECKPOINT: Duration = Duration::from_secs(1);
/// One begins also with this part of the journal taken.
const CHECKPOINT_PART: u64 = 4;
/// After one that found no room.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// See the module.
pub(super) struct Journaled {
    journal: Journal,
    databases: Databases,
    checkpoints: Checkpoints,
    rows: Rows,
    /// When the oldest of `rows` came, if any is there.
    since: Option<Instant>,
    checkpoint: Option<Checkpoint>,
    began_at: Instant,
    /// The last checkpoint has failed, for want of room or for good.
    has_failed: bool,
    bytes: Vec<u8>,
}

impl Journaled {
    /// With the rows of its records.
    pub(super) fn new(
        journal: Journal,
        databases: Databases,
        rows: Rows,
        now: Instant,
    ) -> Result<Self, StoreError> {
        let checkpoints = Checkpoints::start(databases.clone()).map_err(StoreError::Thread)?;
        let since = (journal.bytes() > 0).then_some(now);
        Ok(Self {
            journal,
            databases,
            checkpoints,
            rows,
            since,
            checkpoint: None,
            began_at: now,
            has_failed: false,
            bytes: Vec::new(),
        })
    }

    /// Rows that LMDB may not have, oldest first.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Rows> {
        let on_their_way = self.checkpoint.iter().map(|checkpoint| &*checkpoint.rows);
        on_their_way.chain(self.since.is_some().then_some(&self.rows))
    }

    /// Whether LMDB has all.
    pub(super) const fn is_empty(&self) -> bool {
        self.since.is_none() && self.checkpoint.is_none()
    }

    /// Whether LMDB had no room for what the journal has when that was last tried.
    pub(super) const fn lacks_room(&self) -> bool {
        self.has_failed
    }

    /// Commits a record; durable on return.
    pub(super) fn commit(
        &mut self,
        record: &Record,
        forgotten: &[Elected],
        metrics: &StoreMetrics,
        now: Instant,
    ) -> Result<(), StoreError> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.bytes = record.encode(bytes)?;
        if self.append(metrics, now)? {
            self.rows.add(record, forgotten);
            self.since.get_or_insert(now);
        } else {
            // More than the journal takes.
            self.write_all(metrics, now)?;
            let mut rows = Rows::default();
            rows.add(record, forgotten);
            self.databases.write(&rows, None)?;
            metrics.lmdb_synced();
        }
        Ok(())
    }

    /// `false` when the journal never has a place for it.
    fn append(&mut self, metrics: &StoreMetrics, now: Instant) -> Result<bool, StoreError> {
        for is_again in [false, true] {
            match self.journal.append(&[&self.bytes]) {
                Ok(_) => {
                    metrics.journal_synced(self.journal.bytes());
                    return Ok(true);
                }
                Err(AppendError::TooLong) => return Ok(false),
                Err(AppendError::Full) if is_again => return Ok(false),
                Err(AppendError::Full) => {
                    metrics.full.increment(1);
                    self.write_all(metrics, now)?;
                }
                Err(AppendError::Disk(error)) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Ends a checkpoint that is done, and begins one that is due. Not blocking.
    pub(super) fn tend(&mut self, metrics: &StoreMetrics, now: Instant) -> Result<(), StoreError> {
        let is_running = self.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.is_running);
        if is_running {
            match self.checkpoints.poll() {
                Some(done) => self.ended(done, metrics, now)?,
                None => return Ok(()),
            }
        }
        let has_failed = self.checkpoint.is_some();
        let is_old = self.since.is_some_and(|since| now >= since + CHECKPOINT);
        let is_much = self.journal.bytes() >= self.journal.bytes_max() / CHECKPOINT_PART;
        if has_failed {
            if now >= self.began_at + TRY_AGAIN { self.begin(now) } else { Ok(()) }
        } else if self.since.is_some() && (is_old || is_much) {
            self.begin(now)
        } else {
            Ok(())
        }
    }

    /// Begins the checkpoint that is to be tried again, or one of all rows; none may be running.
    fn begin(&mut self, now: Instant) -> Result<(), StoreError> {
        let checkpoint = self.checkpoint.get_or_insert_with(|| {
            let rows = Arc::new(std::mem::take(&mut self.rows));
            self.since = None;
            Checkpoint { rows, mark: self.journal.mark(), is_running: false }
        });
        self.checkpoints.begin(&checkpoint.rows, checkpoint.mark.sequence)?;
        (checkpoint.is_running, self.began_at) = (true, now);
        Ok(())
    }

    fn ended(
        &mut self,
        done: Result<(), StoreError>,
        metrics: &StoreMetrics,
        now: Instant,
    ) -> Result<(), StoreError> {
        self.has_failed = done.is_err();
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.is_running = false;
        }
        done?;
        if let Some(checkpoint) = self.checkpoint.take() {
            self.journal.release(checkpoint.mark);
        }
        metrics.checkpoint(now.saturating_duration_since(self.began_at), self.journal.bytes());
        Ok(())
    }

    /// Writes all rows to LMDB. Blocking. After an error of room they stay here.
    pub(super) fn write_all(
        &mut self,
        metrics: &StoreMetrics,
        now: Instant,
    ) -> Result<(), StoreError> {
        while !self.is_empty() {
            if !self.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.is_running) {
                self.begin(now)?;
            }
            let done = self.checkpoints.wait();
            self.ended(done, metrics, now)?;
        }
        Ok(())
    }
}
