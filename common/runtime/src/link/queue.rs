//! The sending end of a link: a queue bounded in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, mpsc, watch};

use vixen_core::wire::Message;

/// Waiting bytes below which a paced sender goes on: enough to fill a socket, little to hold.
const PACE_BYTES: usize = 1 << 20;

/// The message was not queued: the link is down, or just went down for passing its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("link is down")]
pub struct SendError;

/// Puts messages on a link. Cheap to clone; all clones share one queue.
#[derive(Clone, Debug)]
pub struct LinkSender {
    shared: Arc<Shared>,
    queue: mpsc::UnboundedSender<Message>,
}

#[derive(Debug)]
struct Shared {
    waiting_bytes: AtomicUsize,
    bytes_max: usize,
    drained: Notify,
    closed: watch::Sender<Option<String>>,
}

/// The carrier's end of the queue.
#[derive(Debug)]
pub(super) struct LinkReceiver {
    shared: Arc<Shared>,
    queue: mpsc::UnboundedReceiver<Message>,
    closed: watch::Receiver<Option<String>>,
}

/// Makes a queue that holds at most `bytes_max` bytes.
pub(super) fn queue(bytes_max: usize) -> (LinkSender, LinkReceiver) {
    let (queue, receiver) = mpsc::unbounded_channel();
    let (closed, closed_reader) = watch::channel(None);
    let shared = Arc::new(Shared {
        waiting_bytes: AtomicUsize::new(0),
        bytes_max,
        drained: Notify::new(),
        closed,
    });
    let sender = LinkSender { shared: Arc::clone(&shared), queue };
    (sender, LinkReceiver { shared, queue: receiver, closed: closed_reader })
}

impl LinkSender {
    /// Queues a message without waiting. A queue over its bound closes the link.
    ///
    /// # Errors
    /// When the link is down; the node hears `Down` and sends again on the next link.
    pub fn send(&self, message: Message) -> Result<(), SendError> {
        let bytes = message.queued_bytes();
        let waiting = self.shared.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        if waiting + bytes > self.shared.bytes_max && waiting > 0 {
            self.close("the queue passed its bound: the peer does not read");
            return Err(SendError);
        }
        if self.is_closed() {
            return Err(SendError);
        }
        self.queue.send(message).map_err(|_closed| SendError)
    }

    /// Queues a message once little is waiting: for streams that need not be ahead of the peer.
    ///
    /// # Errors
    /// When the link is down.
    pub async fn send_paced(&self, message: Message) -> Result<(), SendError> {
        let mut closed = self.shared.closed.subscribe();
        loop {
            let drained = self.shared.drained.notified();
            if self.is_closed() {
                return Err(SendError);
            }
            if self.waiting_bytes() < PACE_BYTES {
                return self.send(message);
            }
            tokio::select! {
                () = drained => {}
                _ = closed.changed() => {}
            }
        }
    }

    /// Bytes queued and not yet taken by the carrier.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.shared.waiting_bytes.load(Ordering::Acquire)
    }

    /// Closes the link; what is queued is dropped.
    pub fn close(&self, reason: &str) {
        self.shared.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            if first {
                *closed = Some(reason.to_owned());
            }
            first
        });
    }

    /// Whether the link has been closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.closed.borrow().is_some()
    }

    /// Resolves with the reason once the link is closed.
    pub async fn closed(&self) -> String {
        let mut closed = self.shared.closed.subscribe();
        let reason = closed.wait_for(Option::is_some).await;
        reason.ok().and_then(|reason| reason.clone()).unwrap_or_default()
    }
}

impl LinkReceiver {
    /// Takes all that waits, at least one message, into `buffer`; the reason when closed.
    pub(super) async fn receive(&mut self, buffer: &mut Vec<Message>) -> Result<(), String> {
        const BATCH: usize = 1024;
        let closed = &mut self.closed;
        tokio::select! {
            biased;
            reason = closed.wait_for(Option::is_some) => {
                Err(reason.ok().and_then(|r| r.clone()).unwrap_or_default())
            }
            taken = self.queue.recv_many(buffer, BATCH) => {
                if taken == 0 {
                    return Err("the node dropped the link".to_owned());
                }
                Ok(())
            }
        }
    }

    /// Tells the bound that these bytes have left.
    pub(super) fn taken(&self, bytes: usize) {
        self.shared.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
        if self.shared.waiting_bytes.load(Ordering::Acquire) < PACE_BYTES {
            self.shared.drained.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use vixen_core::id::Stamp;

    use super::*;
    use vixen_core::wire::{FeedMessage, ReplicaMessage};

    fn message() -> Message {
        Message::Feed(FeedMessage::Watermark { stamp: Stamp(1) })
    }

    #[tokio::test]
    async fn a_queue_over_its_bound_closes_the_link() {
        let (sender, mut receiver) = queue(300);
        assert_eq!(sender.send(message()), Ok(()));
        assert_eq!(sender.send(message()), Ok(()));
        assert_eq!(sender.send(message()), Err(SendError));
        assert!(sender.is_closed());
        let reason = receiver.receive(&mut Vec::new()).await.expect_err("closed");
        assert!(reason.contains("does not read"));
    }

    #[tokio::test]
    async fn one_message_above_the_bound_still_passes_an_empty_queue() {
        let (sender, _receiver) = queue(1);
        assert_eq!(sender.send(message()), Ok(()));
    }

    #[tokio::test]
    async fn a_paced_sender_goes_on_when_the_carrier_took_enough() {
        let (sender, mut receiver) = queue(64 << 20);
        let big = Message::Replica(ReplicaMessage::SegmentsMissing {
            segments: vec![
                vixen_core::id::SegmentId {
                    owner: vixen_core::id::OwnerId(uuid::Uuid::from_u128(1)),
                    seq: vixen_core::id::Seq(1)
                };
                60_000
            ],
        });
        sender.send(big.clone()).expect("room");
        let paced = tokio::spawn({
            let sender = sender.clone();
            async move { sender.send_paced(message()).await }
        });
        let mut buffer = Vec::new();
        receiver.receive(&mut buffer).await.expect("open");
        receiver.taken(big.queued_bytes());
        assert_eq!(paced.await.expect("no panic"), Ok(()));
    }
}
