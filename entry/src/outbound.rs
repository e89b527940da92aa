//! The broker's way to one session: a channel with a bound in bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;

use vixen_broker::api::{self, Outgoing, QueueRoom, Sent};
use vixen_broker::event::EventBatch;

/// What a session tells the broker of this entry.
pub type SessionEvent = api::SessionEvent<Outbound>;

/// What a session takes at a time.
const BATCH: usize = 256;

/// The broker's way to one session: never blocks, bounded in bytes.
#[derive(Clone, Debug)]
pub struct Outbound {
    queue: mpsc::UnboundedSender<Outgoing>,
    room: Arc<QueueRoom>,
}

/// The session's end of an [`Outbound`].
#[derive(Debug)]
pub struct OutboundReceiver {
    queue: mpsc::UnboundedReceiver<Outgoing>,
    room: Arc<QueueRoom>,
}

/// Makes the way from broker to session, holding at most `bytes_max` bytes of events.
#[must_use]
pub fn outbound(bytes_max: usize) -> (Outbound, OutboundReceiver) {
    let (queue, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(QueueRoom::new(bytes_max));
    let sender = Outbound { queue, room: Arc::clone(&room) };
    (sender, OutboundReceiver { queue: receiver, room })
}

impl Outbound {
    /// Queues events if there is room for them.
    pub fn send_events(&self, events: &Arc<EventBatch>) -> Sent {
        let outgoing = Outgoing::Events(Arc::clone(events));
        let sent = self.room.admit(&outgoing);
        if sent == Sent::Queued {
            // One that is gone needs none.
            let _is_gone = self.queue.send(outgoing);
        }
        sent
    }

    /// Queues what a session has asked for: its own bounds limit how much that is.
    pub fn send(&self, outgoing: Outgoing) {
        self.room.take(&outgoing);
        // One that is gone needs no answer.
        let _is_gone = self.queue.send(outgoing);
    }
}

impl OutboundReceiver {
    /// Takes all that waits, at least one, into `buffer`; `false` once the broker has stopped.
    /// Cancel safe.
    pub async fn receive(&mut self, buffer: &mut VecDeque<Outgoing>) -> bool {
        let Some(first) = self.queue.recv().await else { return false };
        buffer.push_back(first);
        while buffer.len() < BATCH
            && let Ok(next) = self.queue.try_recv()
        {
            buffer.push_back(next);
        }
        true
    }

    /// Gives back the room of what [`receive`](Self::receive) took, once it is written.
    pub fn give_back(&self, bytes: usize) {
        self.room.give_back(bytes);
    }
}
