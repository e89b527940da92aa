//! The writer: the threads that write.
//!
//! ```text
//!   jobs ──> appender: what arrives goes into the journal ──> LMDB: all else, and what has arrived
//!                └── a report a record                            └── a report a commit
//! ```
//! Without fsync there is no journal, and jobs go to LMDB at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as jobs;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use tokio::sync::mpsc;

use vixen_core::wire::OrderBase;

use super::lmdb::{LmdbThread, Work};
use crate::store::arrivals::{Appender, Out};
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

/// The way to the threads. Dropping it lets them finish what waits, and end; nobody
/// waits for that, since a damaged store may hold it up for ever.
pub(crate) struct Writer {
    way: Option<Way>,
    threads: Vec<JoinHandle<()>>,
    reports: Arc<Reports>,
}

enum Way {
    Appender(jobs::Sender<Vec<Job>>),
    Lmdb(jobs::Sender<Work>),
}

/// What the threads tell the node.
pub(super) struct Reports {
    sender: mpsc::UnboundedSender<Result<Committed, StoreError>>,
    /// Where the order on disk begins and ends, as was told last: commits of the journal change nothing of that.
    ends: Mutex<(OrderBase, OrderBase)>,
    lacks_room: AtomicBool,
}

impl Reports {
    /// LMDB has committed, or failed; `false` when nobody is there to hear it.
    pub(super) fn committed(&self, committed: Result<Committed, StoreError>) -> bool {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(Committed { base, head, .. }) = &committed {
            *ends = (*base, *head);
        }
        self.sender.send(committed).is_ok()
    }

    /// The journal has segments, or has failed.
    fn durable(&self, durable: Result<Committed, StoreError>) -> bool {
        // Sent while the lock is held: what is told of the ends does not go back.
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let (base, head) = *ends;
        self.sender.send(durable.map(|durable| Committed { base, head, ..durable })).is_ok()
    }

    pub(super) fn has_no_room(&self) {
        if !self.lacks_room.swap(true, Ordering::Relaxed) {
            tracing::warn!("the disk has no room for what is to be written: it waits");
        }
    }

    pub(super) fn has_room(&self) {
        if self.lacks_room.swap(false, Ordering::Relaxed) {
            tracing::info!("what waited for room on the disk is written");
        }
    }
}

impl Writer {
    /// Starts the threads; their reports, and the last error, come by the channel.
    pub(crate) fn start(
        store: Arc<Store>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Result<Committed, StoreError>>), StartError> {
        let memory = Memory::recover(&store)?;
        let (sender, told) = mpsc::unbounded_channel();
        let ends = Mutex::new((store.base(), store.head()));
        let reports = Arc::new(Reports { sender, ends, lacks_room: AtomicBool::new(false) });
        let (work, waiting) = jobs::channel();
        let lmdb = LmdbThread::new(Arc::clone(&store), memory, waiting, Arc::clone(&reports));
        let lmdb = Builder::new().name("ndb-writer".to_owned()).spawn(move || lmdb.run())?;
        let mut threads = vec![lmdb];
        let way = match store.take_journal() {
            None => Way::Lmdb(work),
            Some(journal) => {
                let (sender, waiting) = jobs::channel();
                let (appender, reports) = (Appender::new(store, journal), Arc::clone(&reports));
                let append = move || append_all(appender, &waiting, &work, &reports);
                threads.push(Builder::new().name("ndb-arrivals".to_owned()).spawn(append)?);
                Way::Appender(sender)
            }
        };
        Ok((Self { way: Some(way), threads, reports }, told))
    }

    /// Hands jobs over; `false` when a thread has stopped, after its error was reported.
    pub(crate) fn write(&self, jobs: Vec<Job>) -> bool {
        match &self.way {
            Some(Way::Appender(sender)) => sender.send(jobs).is_ok(),
            Some(Way::Lmdb(sender)) => sender.send(Work::Jobs(jobs)).is_ok(),
            None => false,
        }
    }

    /// Whether LMDB had no room when it was last written to. The journal may take more nevertheless.
    pub(crate) fn lacks_room(&self) -> bool {
        self.reports.lacks_room.load(Ordering::Relaxed)
    }

    /// Waits until everything handed over is committed, and ends the threads. Blocking.
    pub(crate) fn finish(mut self) {
        self.way = None;
        for thread in self.threads.drain(..) {
            let _panic_was_reported = thread.join();
        }
    }
}

/// Appends until nobody hands over anything, or something fails.
fn append_all(
    mut appender: Appender,
    waiting: &jobs::Receiver<Vec<Job>>,
    work: &jobs::Sender<Work>,
    reports: &Reports,
) {
    while let Ok(mut batch) = waiting.recv() {
        batch.extend(waiting.try_iter().flatten());
        let mut is_heard = true;
        let taken = appender.take(batch, &mut |out| {
            is_heard &= match out {
                Out::Durable(committed) => reports.durable(Ok(*committed)),
                Out::Arrived(arrived) => work.send(Work::Arrived(arrived)).is_ok(),
                Out::Jobs(jobs) => work.send(Work::Jobs(jobs)).is_ok(),
            };
        });
        if let Err(error) = taken {
            reports.durable(Err(error));
            return;
        }
        if !is_heard {
            return;
        }
    }
}
