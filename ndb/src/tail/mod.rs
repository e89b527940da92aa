//! Tails: the stream of canonical messages to one entry, from any position, then live.
//!
//! One task a tail. It never runs ahead of its link (the link's queue paces it), so a slow entry
//! costs a cursor, not memory. It reads the log of recent segments, and the store for what is
//! older, in bounded batches outside the node's loop.

mod filter;
mod interest;
mod log;
mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use vixen_core::id::{Position, SegmentId};
use vixen_core::segment::{Blob, TopicPattern};
use vixen_core::wire::Message;
use vixen_runtime::link::{LinkSender, SendError};

use crate::metrics::TailMetrics;
use crate::store::{Finding, Store, StoreError};
use vixen_replica::{Lost, OrderRow};

use filter::filter;
use interest::Interest;
use log::{Entry, EntryBody, Found};
use turn::{PATTERN_WORK, SEGMENT_WORK, Turn};

pub(crate) use log::TailLog;

/// Segments taken from the log at a time.
const ENTRIES_BATCH: usize = 64;
/// Rows and bytes read from the store at a time.
const ROWS_BATCH: usize = 256;
const BYTES_BATCH: usize = 1 << 20;

/// What the node tells a tail.
#[derive(Debug)]
pub(crate) enum Command {
    /// Change the interest, and answer with this version.
    Change { version: u64, change: Change },
}

/// Patterns that are wanted, and that are no longer.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) add: Vec<TopicPattern>,
    pub(crate) remove: Vec<TopicPattern>,
}

impl Change {
    pub(crate) fn extend(&mut self, add: Vec<TopicPattern>, remove: Vec<TopicPattern>) {
        self.add.extend(add);
        self.remove.extend(remove);
    }
}

/// Where readers send the news that something stored is unreadable.
pub(crate) type TroubleReport = mpsc::UnboundedSender<Trouble>;

/// What a reader of the store came across.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Something is not as it was written; peers have it.
    Found(Finding),
    /// The store itself does not work.
    Failed(StoreError),
}

/// The node's end of a tail. Dropping it ends the task.
pub(crate) struct TailHandle {
    commands: mpsc::UnboundedSender<Command>,
    cursor: Arc<AtomicU64>,
    /// Dropped with the handle: a task that waits for a slow link must hear of its end as well.
    _alive: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl TailHandle {
    pub(crate) fn tell(&self, command: Command) {
        let _task_has_ended = self.commands.send(command);
    }

    pub(crate) fn cursor(&self) -> Position {
        Position(self.cursor.load(Ordering::Relaxed))
    }
}

/// What tails share.
#[derive(Clone)]
pub(crate) struct TailContext {
    pub(crate) log: Arc<TailLog>,
    pub(crate) store: Arc<Store>,
    pub(crate) trouble: TroubleReport,
    /// Nothing from this position on is given out: the order here is not that of most nodes.
    pub(crate) trusted_to: Arc<AtomicU64>,
    pub(crate) metrics: TailMetrics,
}

/// Starts a tail on `sender` from `from`, or from the head of the order, in place of `before`.
pub(crate) fn start(
    context: TailContext,
    sender: LinkSender,
    from: Option<Position>,
    topics: Vec<TopicPattern>,
    before: Option<TailHandle>,
) -> TailHandle {
    let (commands, waiting) = mpsc::unbounded_channel();
    let (alive, ended) = oneshot::channel();
    let cursor = Arc::new(AtomicU64::new(from.unwrap_or_default().0));
    let shared_cursor = Arc::clone(&cursor);
    let task = tokio::spawn(async move {
        // What the tail before still sends is filtered by another interest: it must all be on the
        // link before TAIL_OPENED. Not aborted: each FOLLOW_TAIL has its answer.
        if let Some(TailHandle { commands, _alive, task, .. }) = before {
            drop((commands, _alive));
            let _ended = task.await;
        }
        let (head_next, head_stamp) = context.log.head();
        let next = from.unwrap_or(head_next);
        if sender.send(Message::TailOpened { next, head_stamp, head_next }).is_err() {
            return;
        }
        let mut tail = Tail {
            context,
            sender,
            commands: waiting,
            ended,
            cursor: next,
            told: next,
            shared_cursor,
            interest: Interest::default(),
            damaged: None,
            turn: Turn::default(),
        };
        tail.change_interest(Change { add: topics, remove: Vec::new() }).await;
        // Ends with the link or the handle; both are normal.
        let _ended = tail.run().await;
    });
    TailHandle { commands, cursor, _alive: alive, task }
}

struct Tail {
    context: TailContext,
    sender: LinkSender,
    commands: mpsc::UnboundedReceiver<Command>,
    /// Resolves when the handle is dropped; not to be awaited after that.
    ended: oneshot::Receiver<()>,
    /// The next position to look at.
    cursor: Position,
    /// The entry knows that nothing of interest to it is unsent before this.
    told: Position,
    shared_cursor: Arc<AtomicU64>,
    interest: Interest,
    /// The unreadable segment that was reported last: a tail that waits for it says so once.
    damaged: Option<SegmentId>,
    turn: Turn,
}

/// The tail has nothing more to do.
struct Ended;

impl From<SendError> for Ended {
    fn from(_down: SendError) -> Self {
        Self
    }
}

impl Tail {
    async fn run(mut self) -> Result<(), Ended> {
        let mut changes = self.context.log.watch();
        loop {
            self.take_commands().await?;
            changes.mark_unchanged();
            let is_stalled = self.advance().await?;
            self.shared_cursor.store(self.cursor.0, Ordering::Relaxed);
            if !is_stalled {
                continue;
            }
            if self.told < self.cursor && !self.interest.is_empty() {
                self.told = self.cursor;
                self.send(Message::TailPosition { next: self.cursor }).await?;
            }
            tokio::select! {
                changed = changes.changed() => changed.map_err(|_node_ended| Ended)?,
                command = self.commands.recv() => {
                    let command = command.ok_or(Ended)?;
                    self.apply(command).await?;
                }
                _reason = self.sender.closed() => return Err(Ended),
            }
        }
    }

    /// Sends when the link has little before it; nothing once the handle is dropped.
    async fn send(&mut self, message: Message) -> Result<(), Ended> {
        tokio::select! {
            biased;
            _dropped = &mut self.ended => Err(Ended),
            sent = self.sender.send_paced(message) => Ok(sent?),
        }
    }

    async fn take_commands(&mut self) -> Result<(), Ended> {
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.apply(command).await?,
                Err(mpsc::error::TryRecvError::Empty) => return Ok(()),
                Err(mpsc::error::TryRecvError::Disconnected) => return Err(Ended),
            }
        }
    }

    async fn apply(&mut self, command: Command) -> Result<(), Ended> {
        match command {
            Command::Change { version, change } => {
                self.change_interest(change).await;
                self.told = self.cursor;
                self.send(Message::InterestChanged { version, next: self.cursor }).await?;
            }
        }
        Ok(())
    }

    /// All of it holds at once: nothing is sent before the end.
    async fn change_interest(&mut self, change: Change) {
        for pattern in &change.remove {
            self.interest.remove(pattern);
            self.turn.work(PATTERN_WORK).await;
        }
        for pattern in &change.add {
            self.interest.add(pattern);
            self.turn.work(PATTERN_WORK).await;
        }
    }

    /// Sends what stands at the cursor and moves it; `true` when it must wait for a change.
    async fn advance(&mut self) -> Result<bool, Ended> {
        if self.interest.is_empty() {
            self.cursor = self.cursor.max(self.context.log.head().0);
            return Ok(true);
        }
        match self.context.log.find(self.cursor, ENTRIES_BATCH) {
            Found::AtHead => Ok(true),
            Found::Older => self.read_store().await,
            Found::Entries(entries) => {
                for entry in entries {
                    self.turn.work(SEGMENT_WORK).await;
                    if self.deliver(&entry).await? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    /// Sends the wanted part of one segment; `true` when its bytes are not here, or its place is not
    /// trusted.
    async fn deliver(&mut self, entry: &Entry) -> Result<bool, Ended> {
        if entry.end().0 > self.context.trusted_to.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let read;
        let (topics, records) = match &entry.body {
            EntryBody::Open(topics, records) => (topics, records),
            EntryBody::Missing => return Ok(true),
            EntryBody::Elsewhere => {
                self.cursor = entry.end();
                return Ok(false);
            }
            EntryBody::Stored => {
                read = self.read_body(entry.first, entry.row).await?;
                match &read {
                    Some(EntryBody::Open(topics, records)) => (topics, records),
                    Some(EntryBody::Stored | EntryBody::Missing | EntryBody::Elsewhere) | None => {
                        return Ok(true);
                    }
                }
            }
        };
        let mut wanted = Vec::with_capacity(topics.len());
        for topic in topics {
            let (is_wanted, steps) = self.interest.contains(topic);
            wanted.push(is_wanted);
            self.turn.work(steps.0).await;
        }
        if let Some(part) = filter(entry, topics, records, self.cursor, &wanted) {
            self.context.metrics.segments.increment(1);
            self.context.metrics.bytes.increment(part.records.len() as u64);
            self.send(Message::TailSegment(part)).await?;
            self.told = entry.end();
        }
        self.cursor = entry.end();
        Ok(false)
    }

    async fn read_body(
        &mut self,
        first: Position,
        row: OrderRow,
    ) -> Result<Option<EntryBody>, Ended> {
        let store = Arc::clone(&self.context.store);
        let elected = row.elected;
        let read =
            tokio::task::spawn_blocking(move || store.placed_blob(elected.stamp(), &elected.meta));
        let read = read.await.map_err(|_node_ended| Ended)?;
        Ok(self.opened(first, row, read))
    }

    fn opened(
        &mut self,
        first: Position,
        row: OrderRow,
        read: Result<Option<Blob>, StoreError>,
    ) -> Option<EntryBody> {
        let meta = row.elected.meta;
        match read {
            Ok(Some(blob)) => Some(EntryBody::of(&blob)),
            Ok(None) => None,
            Err(StoreError::Damaged(_)) => {
                if self.damaged.replace(meta.id) != Some(meta.id) {
                    let lost = Lost { meta, first, stamp: row.elected.stamp() };
                    self.report(Trouble::Found(Finding::Blob(lost)));
                }
                None
            }
            Err(error) => {
                self.report(Trouble::Failed(error));
                None
            }
        }
    }

    fn report(&self, trouble: Trouble) {
        let _node_has_ended = self.context.trouble.send(trouble);
    }

    /// Sends a batch of segments older than the log; `true` when the first one's bytes are not
    /// here.
    async fn read_store(&mut self) -> Result<bool, Ended> {
        let store = Arc::clone(&self.context.store);
        let from = self.cursor;
        let read = tokio::task::spawn_blocking(move || read_batch(&store, from)).await;
        let batch = match read.map_err(|_node_ended| Ended)? {
            Ok(batch) => batch,
            Err(StoreError::Trimmed { first }) => {
                // The reader is told what it misses.
                let (head_next, head_stamp) = self.context.log.head();
                self.send(Message::TailOpened { next: first, head_stamp, head_next }).await?;
                (self.cursor, self.told) = (first, first);
                return Ok(false);
            }
            Err(StoreError::Order(at)) => {
                self.report(Trouble::Found(Finding::Row { at }));
                return Ok(true);
            }
            Err(error) => {
                self.report(Trouble::Failed(error));
                return Err(Ended);
            }
        };
        if batch.is_empty() {
            return Ok(true);
        }
        for (first, row, body) in batch {
            let body = match body {
                None => EntryBody::Elsewhere,
                Some(read) => match self.opened(first, row, read) {
                    Some(body) => body,
                    None => return Ok(true),
                },
            };
            self.turn.work(SEGMENT_WORK).await;
            if self.deliver(&Entry { first, row, body }).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

type ReadBlob = Result<Option<Blob>, StoreError>;

/// Rows from `from` on with their blobs, about [`BYTES_BATCH`] of them and none after the first
/// unreadable one; `None` for a body of another group.
fn read_batch(
    store: &Store,
    from: Position,
) -> Result<Vec<(Position, OrderRow, Option<ReadBlob>)>, StoreError> {
    let mut bytes = 0;
    let mut batch = Vec::new();
    for (first, row) in store.rows_from(from, ROWS_BATCH)? {
        let is_here = row.elected.challenger.group == store.group();
        let blob = is_here.then(|| store.placed_blob(row.elected.stamp(), &row.elected.meta));
        let is_readable = matches!(blob, None | Some(Ok(Some(_))));
        // What is of another group costs nothing.
        bytes += if is_here { row.elected.meta.bytes as usize } else { 0 };
        batch.push((first, row, blob));
        if !is_readable || bytes >= BYTES_BATCH {
            break;
        }
    }
    Ok(batch)
}
