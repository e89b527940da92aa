//! Checkpoints: what waits in the journal for long goes to `temporary`, so that its blocks can be used again.

use std::collections::BTreeSet;
use std::time::Instant;

use vixen_core::id::SegmentId;
use vixen_core::segment::{Blob, SegmentMeta};
use vixen_core::time::WallTime;

use crate::store::arrivals::{Arrived, JournalRow};
use crate::store::write::Memory;
use crate::store::{Store, StoreError};
use vixen_replica::{Committed, Job, Mark};

impl Store {
    /// A record is durable in the journal: its segments wait.
    pub(in crate::store) fn arrived(&self, arrived: Arrived) {
        self.arrivals_mut().arrived(arrived, Instant::now());
        self.metrics.journal_bytes(self.arrivals().bytes());
    }

    /// These segments do not wait any more, durably; and LMDB says so of the journal, if that was written.
    pub(in crate::store) fn settled(
        &self,
        segments: &BTreeSet<SegmentId>,
        row: Option<JournalRow>,
    ) {
        self.arrivals_mut().settle(segments, row);
        self.metrics.journal_bytes(self.arrivals().bytes());
    }

    /// Writes what has waited for long, or `everything`, to `temporary`; durable on return, and so is that the journal is
    /// done with it.
    ///
    /// # Errors
    /// When LMDB fails; then it goes on waiting.
    pub(in crate::store) fn checkpoint(
        &self,
        memory: &mut Memory,
        everything: bool,
        now: WallTime,
    ) -> Result<(), StoreError> {
        let overdue = self.arrivals().overdue(everything, Instant::now());
        if !overdue.is_empty() {
            return self.write_temporary(memory, overdue, now);
        }
        // What was dropped is settled without a row.
        let nothing = BTreeSet::new();
        let row = self.arrivals().row_without(&nothing);
        let Some(row) = row else { return Ok(()) };
        self.put_journal(row)?;
        self.settled(&nothing, Some(row));
        Ok(())
    }

    /// Writes segments without a place to LMDB.
    pub(in crate::store) fn write_temporary(
        &self,
        memory: &mut Memory,
        segments: Vec<(SegmentMeta, Blob)>,
        now: WallTime,
    ) -> Result<(), StoreError> {
        let store =
            |(meta, blob)| Job::Store(vixen_replica::Store { meta, blob, mark: Mark::Temporary });
        let jobs: Vec<Job> = segments.into_iter().map(store).collect();
        // Nobody waits for it: whoever did was told when it was durable in the journal.
        let mut untold = Committed::default();
        self.commit_run(memory, jobs.iter().collect(), now, &mut untold)
    }
}
