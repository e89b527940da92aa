//! Reads of stored messages: consumers on one side, what is decided in `history` on the other.
//!
//! ```text
//!   consumer --Open--> core --ReadHistory--> ndb
//!   consumer <--HistoryItem-- core <--HistorySegment, HistoryEnd-- ndb
//!   consumer --Took--> core
//! ```
//! The core never waits for a consumer: it gives out as many items as fit the consumer's queue, and
//! goes on when it hears that one was taken.

use tokio::sync::{mpsc, oneshot};

use vixen_broker::history::{
    Bound, Direction, HistoryError, HistoryItem, HistoryRequest, ITEMS_WAITING_MAX, ReadId,
    RefPoint, Start,
};
use vixen_core::id::{PermanentId, Position};
use vixen_core::segment::TopicPattern;
use vixen_core::wire::TailSegment;
use vixen_runtime::link::Inbox;

use super::{EntryEvent, EntryHandle};

/// What consumers of stored messages tell the core.
#[derive(Debug)]
pub enum HistoryEvent {
    /// A new one; answered once its end is known, or at once where it ends before.
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
