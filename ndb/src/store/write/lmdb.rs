//! The thread that writes to LMDB, and its group commit.
//!
//! It takes all jobs that wait, writes them in one transaction, commits, and reports. What comes
//! in during a commit shares the next one, so commits grow with the load. Segments that the journal has are no jobs: they
//! wait here for their place, or for a checkpoint.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use vixen_core::id::SegmentId;
use vixen_runtime::clock::wall_time;
use vixen_runtime::disk::DISK_LOOK;

use super::writer::Reports;
use crate::store::arrivals::Arrived;
use crate::store::write::Memory;
use crate::store::{Store, StoreError};
use vixen_replica::{Committed, Job};

/// What the thread is handed, in order.
pub(super) enum Work {
    Jobs(Vec<Job>),
    Arrived(Arrived),
}

/// See the module.
pub(super) struct LmdbThread {
    store: Arc<Store>,
    memory: Memory,
    waiting: Receiver<Work>,
    /// Taken from there, and not done.
    queue: VecDeque<Work>,
    reports: Arc<Reports>,
    /// A checkpoint has found no room: not before this is it tried again.
    again_at: Option<Instant>,
}

impl LmdbThread {
    pub(super) const fn new(
        store: Arc<Store>,
        memory: Memory,
        waiting: Receiver<Work>,
        reports: Arc<Reports>,
    ) -> Self {
        Self { store, memory, waiting, queue: VecDeque::new(), reports, again_at: None }
    }

    /// Works until nobody hands over anything, or something fails.
    pub(super) fn run(mut self) {
        while self.wait() {
            let mut jobs = Vec::new();
            self.take_next(&mut jobs);
            if !jobs.is_empty() {
                let committed = self.commit(jobs);
                let failed = committed.is_err();
                if !self.reports.committed(committed) || failed {
                    return;
                }
            }
            let is_due = self.checkpoint_at().is_some_and(|at| at <= Instant::now());
            if is_due && !self.checkpoint(false) {
                return;
            }
        }
        // So that the next start finds all in LMDB.
        self.checkpoint(true);
    }

    /// Waits for something to do; `false` when nothing comes any more.
    fn wait(&mut self) -> bool {
        if self.queue.is_empty() {
            let waited = match self.checkpoint_at() {
                Some(at) => self.waiting.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => self.waiting.recv().map_err(|_gone| RecvTimeoutError::Disconnected),
            };
            if matches!(waited, Err(RecvTimeoutError::Disconnected)) {
                return false;
            }
            self.queue.extend(waited.ok());
        }
        self.queue.extend(self.waiting.try_iter());
        true
    }

    fn checkpoint_at(&self) -> Option<Instant> {
        match (self.store.arrivals().due_at(), self.again_at) {
            (Some(due_at), Some(again_at)) => Some(due_at.max(again_at)),
            // One that found no room, and nothing that waits for it any more: it is told that there is room.
            (due_at, again_at) => due_at.or(again_at),
        }
    }

    /// Adds the jobs that are next to those at hand, with what has arrived before them.
    fn take_next(&mut self, jobs: &mut Vec<Job>) {
        let mut segments: BTreeSet<SegmentId> = jobs.iter().filter_map(Job::segment).collect();
        while let Some(work) = self.queue.pop_front() {
            match work {
                Work::Jobs(more) => {
                    segments.extend(more.iter().filter_map(Job::segment));
                    jobs.extend(more);
                }
                // What is to be done with one of the same id is about the one before.
                Work::Arrived(arrived)
                    if arrived.segments.iter().any(|(meta, _)| segments.contains(&meta.id)) =>
                {
                    self.queue.push_front(Work::Arrived(arrived));
                    return;
                }
                Work::Arrived(arrived) => self.store.arrived(arrived),
            }
        }
    }

    fn commit(&mut self, mut jobs: Vec<Job>) -> Result<Committed, StoreError> {
        let begun = Instant::now();
        let mut committed = self.store.commit(&mut self.memory, &jobs, wall_time());
        while committed.as_ref().is_err_and(|error| self.store.has_no_room(error)) {
            self.reports.has_no_room();
            // Nothing of the jobs is lost: they are written again, what of them is on disk as well.
            if !self.wait_for_room(&mut jobs) {
                break;
            }
            committed = Memory::recover(&self.store).and_then(|memory| {
                self.memory = memory;
                self.store.commit(&mut self.memory, &jobs, wall_time())
            });
        }
        let elapsed = begun.elapsed();
        let committed = committed.map(|committed| Committed { elapsed, ..committed });
        // Of what a checkpoint found no room for, nothing may be left.
        if committed.is_ok() && self.store.arrivals().due_at().is_none() {
            self.again_at = None;
        }
        if committed.is_ok() && self.again_at.is_none() {
            self.reports.has_room();
        }
        committed
    }

    /// What else comes while the disk is full, at most for a moment; `false` when nothing comes any more.
    fn wait_for_room(&mut self, jobs: &mut Vec<Job>) -> bool {
        match self.waiting.recv_timeout(DISK_LOOK) {
            Ok(work) => self.queue.push_back(work),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        self.take_next(jobs);
        true
    }

    /// `false` when it has failed for good, and that was reported.
    fn checkpoint(&mut self, everything: bool) -> bool {
        let written = self.store.checkpoint(&mut self.memory, everything, wall_time());
        let written = match written {
            Err(error) if self.store.has_no_room(&error) => {
                // The journal has it.
                self.reports.has_no_room();
                self.again_at = Some(Instant::now() + DISK_LOOK);
                Memory::recover(&self.store).map(|memory| self.memory = memory)
            }
            Ok(()) => {
                self.again_at = None;
                self.reports.has_room();
                Ok(())
            }
            failed => failed,
        };
        match written {
            Ok(()) => true,
            Err(error) => {
                self.reports.committed(Err(error));
                false
            }
        }
    }
}
