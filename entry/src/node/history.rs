//! Reads of stored messages: consumers on one side, what is decided in `history` on the other.
//!
//! ```text
//!   consumer --Open--> core --ReadHistory--> ndb
//!   consumer <--HistoryItem-- core <--HistorySegment, HistoryEnd-- ndb
//!   consumer --Took--> core
//! ```
//! The core never waits for a consumer: it gives out as many items as fit the consumer's queue, and
//! goes on when it hears that one was taken.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use vixen_broker::history::{
    Bound, Direction, Effects, End, History, HistoryError, HistoryItem, HistoryOptions,
    HistoryRequest, ITEMS_WAITING_MAX, Input, Known, Note, ReadId, RefPoint, Start, Verdict,
};
use vixen_core::id::{NdbId, PermanentId, Position, Stamp, SyncId};
use vixen_core::segment::TopicPattern;
use vixen_core::time::WallTime;
use vixen_core::wire::{Message, TailSegment};
use vixen_runtime::clock::wall_time;
use vixen_runtime::link::Inbox;

use super::run::EntryNode;
use super::{EntryEvent, EntryHandle, EntryOptions};

/// So far ahead of the wall a time may be without a question: clocks differ.
const TIME_AHEAD_MS: u64 = 60_000;

/// What consumers of stored messages tell the core.
#[derive(Debug)]
pub enum HistoryEvent {
    /// A new one; answered at once.
    Open {
        /// What it wants.
        request: HistoryRequest,
        /// Where it waits.
        answer: oneshot::Sender<HistoryStream>,
    },
    /// It took an item.
    Took {
        /// Its read.
        read: ReadId,
    },
    /// It is gone before the end.
    Dropped {
        /// Its read.
        read: ReadId,
    },
}

impl From<HistoryEvent> for EntryEvent {
    fn from(event: HistoryEvent) -> Self {
        Self::History(event)
    }
}

/// Stored messages as they come. Dropping it ends the read.
#[derive(Debug)]
pub struct HistoryStream {
    read: ReadId,
    items: mpsc::Receiver<HistoryItem>,
    inbox: Inbox<EntryEvent>,
    is_over: bool,
    end: Option<Position>,
    /// The last position of the order, as it was known at the start.
    order_end: Position,
}

impl HistoryStream {
    /// The next messages, in the order of reading; `None` after the last. Cancel safe.
    ///
    /// # Errors
    /// Why there are no more; the last word.
    pub async fn next(&mut self) -> Result<Option<Vec<TailSegment>>, HistoryError> {
        if self.is_over {
            return Ok(None);
        }
        match self.items.recv().await {
            Some(HistoryItem::Segments(segments)) => {
                let took = HistoryEvent::Took { read: self.read };
                // A full inbox is being drained: the core never waits for this task.
                if let Err(mpsc::error::TrySendError::Full(took)) = self.inbox.try_send(took.into())
                {
                    let inbox = self.inbox.clone();
                    tokio::spawn(async move { inbox.send(took).await });
                }
                Ok(Some(segments))
            }
            Some(HistoryItem::End { next }) => {
                self.is_over = true;
                self.end = Some(next);
                Ok(None)
            }
            Some(HistoryItem::Failed(error)) => {
                self.is_over = true;
                Err(error)
            }
            None => {
                self.is_over = true;
                Err(HistoryError::Stopped)
            }
        }
    }
}

impl HistoryStream {
    /// After the last messages of a read forward: where one that was not given out can stand at the
    /// earliest.
    #[must_use]
    pub const fn end(&self) -> Option<Position> {
        self.end
    }

    /// The last position of the order, as it was known at the start.
    #[must_use]
    pub const fn order_end(&self) -> Position {
        self.order_end
    }
}

impl Drop for HistoryStream {
    fn drop(&mut self) {
        if !self.is_over {
            // If it does not get through, the core sees it with its next turn.
            let _hint = self.inbox.try_send(HistoryEvent::Dropped { read: self.read }.into());
        }
    }
}

impl EntryHandle {
    /// Where the core puts the items of a read, [`ITEMS_WAITING_MAX`] and the last one, and where
    /// they come out; `order_end` is the last position of the order.
    pub(crate) fn history_stream(
        &self,
        read: ReadId,
        order_end: Position,
    ) -> (mpsc::Sender<HistoryItem>, HistoryStream) {
        let (sender, items) = mpsc::channel(ITEMS_WAITING_MAX + 1);
        (
            sender,
            HistoryStream {
                read,
                items,
                inbox: self.inbox.clone(),
                is_over: false,
                end: None,
                order_end,
            },
        )
    }

    /// Reads stored messages. Where a permanent id is named, there has to be that message.
    ///
    /// # Errors
    /// When the node stops, or the id is of no message. Other errors come with the stream.
    pub async fn history(
        &self,
        mut request: HistoryRequest,
    ) -> Result<HistoryStream, HistoryError> {
        if let Some(RefPoint::Id(id)) = request.named
            && let Some(pattern) = request.topics.first()
        {
            self.find(id, TopicPattern::all(&pattern.realm)).await?;
            request.named = None;
        }
        self.open(request).await
    }

    /// Looks for the message of a permanent id: an id that was given out is found until retention
    /// drops it, and one of another order is not, for no stamp is made twice.
    async fn find(&self, id: PermanentId, realm: TopicPattern) -> Result<(), HistoryError> {
        let request = HistoryRequest {
            start: Start::At(Bound::Id(id).place()),
            direction: Direction::Backward,
            until: Some(Bound::Id(id)),
            topics: vec![realm],
            limit: Some(1),
            named: Some(RefPoint::Id(id)),
        };
        let mut stream = self.open(request).await?;
        while let Some(segments) = stream.next().await? {
            for segment in segments {
                let last = segment.count.saturating_sub(1);
                let offset = segment.offsets.last().copied().unwrap_or(last);
                if segment.stamp == id.stamp && offset == id.offset {
                    return Ok(());
                }
            }
        }
        Err(HistoryError::NotOfThisOrder { end: stream.order_end })
    }

    async fn open(&self, request: HistoryRequest) -> Result<HistoryStream, HistoryError> {
        let (answer, answered) = oneshot::channel();
        let open = HistoryEvent::Open { request, answer };
        self.inbox.send(open.into()).await.map_err(|_stopped| HistoryError::Stopped)?;
        answered.await.map_err(|_stopped| HistoryError::Stopped)
    }
}

/// A read that waits, and where its consumer does.
type Asked = (HistoryRequest, oneshot::Sender<HistoryStream>);

/// The core's part of it.
pub(super) struct Reads {
    history: History,
    consumers: BTreeMap<ReadId, mpsc::Sender<HistoryItem>>,
    last: ReadId,
    /// Reads whose place is not known here.
    end: End<Asked>,
    /// What the steps of this turn owe.
    fx: Effects,
}

impl Reads {
    pub(super) fn new(options: &EntryOptions) -> Self {
        let end = End::new(&options.membership);
        let options = HistoryOptions {
            owner: options.owner,
            membership: options.membership.clone(),
            roster: options.roster.clone(),
        };
        Self {
            history: History::new(options),
            consumers: BTreeMap::new(),
            last: ReadId(0),
            end,
            fx: Effects::default(),
        }
    }

    /// When [`EntryNode::settle_history`] has something to do without an event.
    pub(super) fn timeout_at(&self) -> Option<WallTime> {
        self.history.timeout_at().into_iter().chain(self.end.timeout_at()).min()
    }

    /// How far a sync node has come, as it was asked.
    pub(super) fn reached(&mut self, from: SyncId, request: u64, stamp: Stamp) {
        self.end.answered(from, request, stamp);
    }

    pub(super) fn ndb_up(&mut self, now: WallTime, ndb: NdbId) {
        self.history.step(now, Input::NdbUp { ndb }, &mut self.fx);
    }

    pub(super) fn ndb_down(&mut self, now: WallTime, ndb: NdbId) {
        self.history.step(now, Input::NdbDown { ndb }, &mut self.fx);
    }

    fn step(&mut self, now: WallTime, input: Input) {
        self.history.step(now, input, &mut self.fx);
    }

    /// Opens a read up to the end of what is known.
    fn open(
        &mut self,
        now: WallTime,
        handle: &EntryHandle,
        request: HistoryRequest,
        known: &Known,
    ) -> HistoryStream {
        let (read, stream) = self.add(handle, known.end());
        self.step(now, Input::Open { read, request, next: known.next });
        stream
    }

    /// A read that fails at once.
    fn refuse(&mut self, handle: &EntryHandle, error: HistoryError) -> HistoryStream {
        let (read, stream) = self.add(handle, Position(0));
        self.fx.items.push((read, HistoryItem::Failed(error)));
        stream
    }

    fn add(&mut self, handle: &EntryHandle, order_end: Position) -> (ReadId, HistoryStream) {
        let read = ReadId(self.last.0.wrapping_add(1));
        self.last = read;
        let (consumer, stream) = handle.history_stream(read, order_end);
        self.consumers.insert(read, consumer);
        (read, stream)
    }

    /// Forgets the reads whose consumers are gone.
    fn sweep(&mut self, now: WallTime) {
        let gone = self.consumers.extract_if(.., |_, consumer| consumer.is_closed());
        let gone: Vec<_> = gone.map(|(read, _)| read).collect();
        for read in gone {
            self.step(now, Input::Cancel { read });
        }
    }

    /// Hands an item to its consumer, who has room or is gone.
    fn hand(&mut self, read: ReadId, item: HistoryItem) {
        let is_last = match &item {
            HistoryItem::Segments(_) => false,
            HistoryItem::End { .. } | HistoryItem::Failed(_) => true,
        };
        if let Some(consumer) = self.consumers.get(&read) {
            let _gone = consumer.try_send(item);
        }
        if is_last {
            self.consumers.remove(&read);
        }
    }
}

impl EntryNode {
    pub(super) fn on_history(&mut self, now: WallTime, event: HistoryEvent) {
        match event {
            HistoryEvent::Open { request, answer } => {
                self.metrics.history_reads.increment(1);
                tracing::debug!(?request, "history is read");
                // The places of those who are gone are free.
                self.reads.sweep(now);
                self.open_history(now, request, answer);
            }
            HistoryEvent::Took { read } => self.reads.step(now, Input::Took { read }),
            HistoryEvent::Dropped { read } => {
                self.reads.consumers.remove(&read);
                self.reads.step(now, Input::Cancel { read });
            }
        }
    }

    fn open_history(
        &mut self,
        now: WallTime,
        request: HistoryRequest,
        answer: oneshot::Sender<HistoryStream>,
    ) {
        let stream = match self.known() {
            None => self.reads.refuse(&self.handle, HistoryError::NotReady),
            Some(known) => match request.named.filter(|named| !is_known(*named, &known)) {
                None => self.reads.open(now, &self.handle, request, &known),
                Some(named) => match self.reads.end.wait(now, named, (request, answer)) {
                    Ok(()) => return,
                    Err((_, answer)) => {
                        let busy = HistoryError::Busy { max: End::<Asked>::WAITING_MAX };
                        let _asker_gone = answer.send(self.reads.refuse(&self.handle, busy));
                        return;
                    }
                },
            },
        };
        let _asker_gone = answer.send(stream);
    }

    /// How far the order is known here.
    pub(super) fn known(&self) -> Option<Known> {
        let reader = self.reader.as_ref()?;
        let frontier = reader.frontier();
        // A tail may be ahead of the frontier: what is delivered is stored.
        let next = Some(reader.next_position()).max(self.delivery.passed());
        Some(Known {
            next: next.unwrap_or_default(),
            delivered: frontier.delivered(),
            sigma: frontier.sigma(),
        })
    }

    /// Opens the reads whose place has come, refuses those whose place cannot come, and asks how far
    /// the others may have to wait.
    fn settle_end(&mut self, now: WallTime) {
        let Some(known) = self.known() else { return };
        let (told, question) = self.reads.end.poll(now, &known);
        for ((request, answer), verdict) in told {
            let stream = match verdict {
                Verdict::Within => self.reads.open(now, &self.handle, request, &known),
                Verdict::Beyond => {
                    self.reads.refuse(&self.handle, HistoryError::Beyond { end: known.end() })
                }
                Verdict::Unknown { waited_ms } => {
                    self.reads.refuse(&self.handle, HistoryError::EndUnknown { waited_ms })
                }
            };
            let _asker_gone = answer.send(stream);
        }
        if let Some(request) = question {
            for id in self.sync.linked() {
                self.sync.send(id, Message::AskReached { request });
            }
        }
    }

    /// Takes `HistorySegment` and `HistoryEnd`.
    pub(super) fn on_history_message(&mut self, now: WallTime, from: NdbId, message: Message) {
        let input = match message {
            Message::HistorySegment { request, segment } => {
                Input::Segment { from, request, segment }
            }
            Message::HistoryEnd { request, end } => Input::End { from, request, end },
            other => return self.on_stranger(&self.options.roster.ndb(from), &other),
        };
        self.reads.step(now, input);
    }

    /// Does what this turn's steps owe.
    pub(super) fn settle_history(&mut self, now: WallTime) {
        self.reads.sweep(now);
        self.settle_end(now);
        self.reads.step(now, Input::Flush);
        let Effects { sends, items, notes } = std::mem::take(&mut self.reads.fx);
        for (to, message) in sends {
            self.ndb.send(to, message);
        }
        for (read, item) in items {
            if let HistoryItem::Failed(error) = &item {
                self.metrics.history_failed(error);
                // As often as a client likes: counted, and in the log for who looks for it.
                tracing::debug!(read = read.0, %error, "a read of history failed");
            }
            self.reads.hand(read, item);
        }
        for note in notes {
            match note {
                Note::GaveOut { messages } => self.metrics.history_messages.increment(messages),
                Note::Trouble { read, from, trouble } => {
                    let peer = self.options.roster.ndb(from);
                    tracing::debug!(read = read.0, %peer, %trouble, "history asked for again");
                }
            }
        }
    }

    /// When [`settle_history`](Self::settle_history) is due without an event.
    pub(super) fn history_due_at(&self) -> Option<Instant> {
        self.reads.timeout_at().map(|at| self.clock.instant_of(at))
    }
}

/// Whether the order has come to what is named, or it is a time that is not, or hardly, ahead: then it
/// stands between messages, whether or not there are any behind it.
fn is_known(named: RefPoint, known: &Known) -> bool {
    let is_time_by_now = match named {
        RefPoint::Time(at) => at <= wall_time().plus_millis(TIME_AHEAD_MS),
        RefPoint::Position(_) | RefPoint::Id(_) => false,
    };
    is_time_by_now || known.holds(named)
}
