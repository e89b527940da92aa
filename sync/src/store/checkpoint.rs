//! Checkpoints: rows that the journal has go to LMDB, in one durable transaction, on a thread of their own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use vixen_runtime::journal::{Mark, Sequence};

use super::StoreError;
use super::databases::Databases;
use super::rows::Rows;

/// The thread that writes to LMDB; it ends with this.
pub(super) struct Checkpoints {
    jobs: Option<SyncSender<(Arc<Rows>, Sequence)>>,
    done: Receiver<Result<(), StoreError>>,
    thread: Option<JoinHandle<()>>,
}

/// Rows that are on their way.
pub(super) struct Checkpoint {
    pub(super) rows: Arc<Rows>,
    pub(super) mark: Mark,
    /// The thread has them. Where it has failed for want of room, it is to be given them again.
    pub(super) is_running: bool,
}

impl Checkpoints {
    pub(super) fn start(databases: Databases) -> Result<Self, std::io::Error> {
        let (jobs, todo) = sync_channel::<(Arc<Rows>, Sequence)>(1);
        let (results, done) = sync_channel(1);
        let work = move || {
            while let Ok((rows, applied)) = todo.recv() {
                let written = databases.write(&rows, Some(applied));
                if results.send(written).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("checkpoints".to_owned()).spawn(work)?;
        Ok(Self { jobs: Some(jobs), done, thread: Some(thread) })
    }

    /// Begins; nothing else may be running.
    pub(super) fn begin(&self, rows: &Arc<Rows>, applied: Sequence) -> Result<(), StoreError> {
        let sent = self.jobs.as_ref().map(|jobs| jobs.send((Arc::clone(rows), applied)));
        sent.and_then(Result::ok).ok_or(StoreError::NoCheckpoints)
    }

    /// How it ended, if it did.
    pub(super) fn poll(&self) -> Option<Result<(), StoreError>> {
        match self.done.try_recv() {
            Ok(done) => Some(done),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(StoreError::NoCheckpoints)),
        }
    }

    /// Waits for its end.
    pub(super) fn wait(&self) -> Result<(), StoreError> {
        self.done.recv().unwrap_or(Err(StoreError::NoCheckpoints))
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
