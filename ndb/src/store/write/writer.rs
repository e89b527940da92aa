//! The writer: the one thread that writes, and its group commit.
//!
//! It takes all jobs that wait, writes them in one transaction, commits, and reports. What comes
//! in during a commit shares the next one, so commits grow with the load.

use std::sync::Arc;
use std::sync::mpsc as jobs;
use std::time::Instant;

use tokio::sync::mpsc;

use vixen_runtime::clock::wall_time;
use vixen_runtime::disk::DISK_LOOK;

use crate::store::write::Memory;
use crate::store::{Store, StoreError};
use vixen_replica::{Committed, Job};

/// Why the writer cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no thread.
    #[error("cannot start the writer thread")]
    Thread(#[from] std::io::Error),
}

/// The way to the writer thread. Dropping it lets the thread finish what waits, and end; nobody
/// waits for that, since a damaged store may hold it up for ever.
pub(crate) struct Writer {
    jobs: Option<jobs::Sender<Vec<Job>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread; its reports, and its last error, come by the channel.
    pub(crate) fn start(
        store: Arc<Store>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Result<Committed, StoreError>>), StartError> {
        let memory = Memory::recover(&store)?;
        let (sender, waiting) = jobs::channel();
        let (report, reports) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("ndb-writer".to_owned())
            .spawn(move || write_all(&store, memory, &waiting, &report))?;
        Ok((Self { jobs: Some(sender), thread: Some(thread) }, reports))
    }

    /// Hands jobs over; `false` when the thread has stopped, after its error was reported.
    pub(crate) fn write(&self, jobs: Vec<Job>) -> bool {
        self.jobs.as_ref().is_some_and(|sender| sender.send(jobs).is_ok())
    }

    /// Waits until everything handed over is committed, and ends the thread. Blocking.
    pub(crate) fn finish(mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _panic_was_reported = thread.join();
        }
    }
}

fn write_all(
    store: &Store,
    mut memory: Memory,
    waiting: &jobs::Receiver<Vec<Job>>,
    report: &mpsc::UnboundedSender<Result<Committed, StoreError>>,
) {
    while let Ok(mut batch) = waiting.recv() {
        batch.extend(waiting.try_iter().flatten());
        let begun = Instant::now();
        let mut committed = store.commit(&mut memory, &batch, wall_time());
        let mut waits = false;
        while committed.as_ref().is_err_and(|error| store.has_no_room(error)) {
            if !std::mem::replace(&mut waits, true) {
                tracing::warn!("the disk has no room for what is to be written: it waits");
            }
            // Nothing of the batch is lost: it is written again, what of it is on disk as well.
            match wait_for_space(waiting) {
                More::Jobs(more) => batch.extend(more),
                More::Nothing => {}
                More::Stops => break,
            }
            committed = Memory::recover(store).and_then(|recovered| {
                memory = recovered;
                store.commit(&mut memory, &batch, wall_time())
            });
        }
        if waits && committed.is_ok() {
            tracing::info!("what waited for room on the disk is written");
        }
        let elapsed = begun.elapsed();
        let committed = committed.map(|committed| Committed { elapsed, ..committed });
        let failed = committed.is_err();
        if report.send(committed).is_err() || failed {
            return;
        }
    }
}

enum More {
    Jobs(Vec<Job>),
    Nothing,
    /// The node stops.
    Stops,
}

/// What else comes while the disk is full, at most for a moment.
fn wait_for_space(waiting: &jobs::Receiver<Vec<Job>>) -> More {
    match waiting.recv_timeout(DISK_LOOK) {
        Ok(more) => More::Jobs(more),
        Err(jobs::RecvTimeoutError::Timeout) => More::Nothing,
        Err(jobs::RecvTimeoutError::Disconnected) => More::Stops,
    }
}
