//! The task of one tail: does what its machine says, with the link, the log and the store.
//!
//! It never runs ahead of its link (the link's queue paces it), so a slow entry costs a cursor, not
//! memory. The store is read in bounded batches outside the node's loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking, yield_now};
use tokio::time::{Instant, sleep_until};

use vixen_core::id::Position;
use vixen_core::segment::{Blob, TopicPattern};
use vixen_core::wire::{Message, ReadMessage};
use vixen_replica::OrderRow;
use vixen_replica::tail::{InterestChange, Step, StoredBody, StoredRow, Tail};
use vixen_runtime::link::{LinkSender, SendError};

use super::{TailContext, Trouble};
use crate::store::{Store, StoreError};

/// Rows and bytes read from the store at a time.
const ROWS_BATCH: usize = 256;
const BYTES_BATCH: usize = 1 << 20;

/// How long a tail keeps back where it is, while nobody waits for that: then its word is in place of a beat.
const KEPT_BACK: Duration = Duration::from_secs(1);

/// A change of the interest, to be answered with its version.
#[derive(Debug)]
struct Change {
    version: u64,
    change: InterestChange,
}

/// The node's end of a tail. Dropping it ends the task.
pub(super) struct TailHandle {
    changes: mpsc::UnboundedSender<Change>,
    cursor: Arc<AtomicU64>,
    /// Dropped with the handle: a task that waits for a slow link must hear of its end as well.
    _alive: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl TailHandle {
    pub(super) fn change(&self, version: u64, change: InterestChange) {
        let _task_has_ended = self.changes.send(Change { version, change });
    }

    pub(super) fn cursor(&self) -> Position {
        Position(self.cursor.load(Ordering::Relaxed))
    }
}

/// Starts a tail on `sender` from `from`, or from the head of the order, in place of `before`.
pub(super) fn start(
    context: TailContext,
    sender: LinkSender,
    from: Option<Position>,
    topics: Vec<TopicPattern>,
    before: Option<TailHandle>,
) -> TailHandle {
    let (changes, waiting) = mpsc::unbounded_channel();
    let (alive, ended) = oneshot::channel();
    let cursor = Arc::new(AtomicU64::new(from.unwrap_or_default().0));
    let shared_cursor = Arc::clone(&cursor);
    let task = tokio::spawn(async move {
        // What the tail before still sends is filtered by another interest: it must all be on the
        // link before TAIL_OPENED. Not aborted: each FOLLOW_TAIL has its answer.
        if let Some(TailHandle { changes, _alive, task, .. }) = before {
            drop((changes, _alive));
            let _ended = task.await;
        }
        let (tail, opened) = Tail::open(from, context.log.head(), topics);
        if sender.send(opened).is_ok() {
            let told_at = Instant::now();
            let task =
                TailTask { context, sender, changes: waiting, ended, shared_cursor, tail, told_at };
            // Ends with the link or the handle; both are normal.
            let _ended = task.run().await;
        }
    });
    TailHandle { changes, cursor, _alive: alive, task }
}

struct TailTask {
    context: TailContext,
    sender: LinkSender,
    changes: mpsc::UnboundedReceiver<Change>,
    /// Resolves when the handle is dropped; not to be awaited after that.
    ended: oneshot::Receiver<()>,
    shared_cursor: Arc<AtomicU64>,
    tail: Tail,
    /// When it said something last.
    told_at: Instant,
}

/// The tail has nothing more to do.
struct Ended;

impl From<SendError> for Ended {
    fn from(_down: SendError) -> Self {
        Self
    }
}

impl TailTask {
    async fn run(mut self) -> Result<(), Ended> {
        let mut log_changes = self.context.log.watch();
        loop {
            self.take_changes()?;
            let step = self.tail.step(self.context.log.trusted_to());
            self.shared_cursor.store(self.tail.cursor().0, Ordering::Relaxed);
            match step {
                Step::Send(message) => self.send(message).await?,
                Step::Rest => yield_now().await,
                Step::Find { from, limit } => {
                    log_changes.mark_unchanged();
                    let (found, head) = self.context.log.find(from, limit);
                    self.tail.found(found, head);
                }
                Step::ReadBody { first, row } => self.read_body(first, row).await?,
                Step::ReadStore { from } => self.read_store(from).await?,
                Step::Report(finding) => self.context.report(Trouble::Found(finding)),
                Step::Wait => tokio::select! {
                    () = sleep_until(self.told_at + KEPT_BACK), if self.tail.keeps_back() => {
                        self.tail.tell_kept_back();
                    }
                    changed = log_changes.changed() => changed.map_err(|_node_ended| Ended)?,
                    change = self.changes.recv() => self.take(change.ok_or(Ended)?),
                    _reason = self.sender.closed() => return Err(Ended),
                },
            }
        }
    }

    fn take_changes(&mut self) -> Result<(), Ended> {
        loop {
            match self.changes.try_recv() {
                Ok(change) => self.take(change),
                Err(mpsc::error::TryRecvError::Empty) => return Ok(()),
                Err(mpsc::error::TryRecvError::Disconnected) => return Err(Ended),
            }
        }
    }

    fn take(&mut self, Change { version, change }: Change) {
        self.tail.change(Some(version), change);
    }

    /// Sends when the link has little before it; nothing once the handle is dropped.
    async fn send(&mut self, message: Message) -> Result<(), Ended> {
        if let Message::Read(ReadMessage::TailSegment(part)) = &message {
            self.context.metrics.segments.increment(1);
            self.context.metrics.bytes.increment(part.records.len() as u64);
        }
        self.told_at = Instant::now();
        tokio::select! {
            biased;
            _dropped = &mut self.ended => Err(Ended),
            sent = self.sender.send_paced(message) => Ok(sent?),
        }
    }

    async fn read_body(&mut self, first: Position, row: OrderRow) -> Result<(), Ended> {
        let store = Arc::clone(&self.context.store);
        let elected = row.elected;
        let read = spawn_blocking(move || store.placed_blob(elected.stamp(), &elected.meta));
        let body = stored(read.await.map_err(|_node_ended| Ended)?).unwrap_or_else(|error| {
            self.context.report(Trouble::Failed(error));
            StoredBody::Absent
        });
        self.tail.body(first, row, body);
        Ok(())
    }

    async fn read_store(&mut self, from: Position) -> Result<(), Ended> {
        let store = Arc::clone(&self.context.store);
        let read = spawn_blocking(move || read_batch(&store, from)).await;
        match read.map_err(|_node_ended| Ended)? {
            Ok(rows) => self.tail.rows(rows),
            // The reader is told what it misses.
            Err(StoreError::Trimmed { first }) => self.tail.trimmed(first, self.context.log.head()),
            Err(StoreError::Order(at)) => self.tail.damaged(at),
            Err(error) => {
                self.context.report(Trouble::Failed(error));
                return Err(Ended);
            }
        }
        Ok(())
    }
}

/// Rows from `from` on with their blobs, about [`BYTES_BATCH`] of them and none after the first
/// unreadable one; `None` for a body of another group.
fn read_batch(store: &Store, from: Position) -> Result<Vec<StoredRow>, StoreError> {
    let mut bytes = 0;
    let mut batch = Vec::new();
    for (first, row) in store.rows_from(from, ROWS_BATCH)? {
        let is_here = row.elected.challenger.group == store.group();
        let read = is_here.then(|| store.placed_blob(row.elected.stamp(), &row.elected.meta));
        let body = read.map(stored).transpose()?;
        let is_readable = matches!(body, None | Some(StoredBody::Blob(_)));
        // What is of another group costs nothing.
        bytes += if is_here { row.elected.meta.bytes as usize } else { 0 };
        batch.push((first, row, body));
        if !is_readable || bytes >= BYTES_BATCH {
            break;
        }
    }
    Ok(batch)
}

fn stored(read: Result<Option<Blob>, StoreError>) -> Result<StoredBody, StoreError> {
    match read {
        Ok(Some(blob)) => Ok(StoredBody::Blob(blob)),
        Ok(None) => Ok(StoredBody::Absent),
        Err(StoreError::Damaged(_)) => Ok(StoredBody::Damaged),
        Err(error) => Err(error),
    }
}
