//! The sending end of a link: a queue bounded in bytes, of messages that go now and messages that may wait.
//!
//! ```text
//!   push ---> waiting: in order -------------> taken all at once: one frame, one write
//!                       |                            ^
//!                       +-- a message that goes Now -+   or a lazy one whose delay is over, many of
//!                                                        them, or a flush
//! ```
//! Order is that of the pushes, whatever their haste: a lazy message only waits longer for company
//! (`docs/design/026-fewer-frames.md`).
//!
//! Invariants:
//! - Q1: messages are taken in the order in which they were queued, each once.
//! - Q2: a message that goes now is taken as soon as the carrier is free, with all before it.
//! - Q3: no message waits for longer than its haste allows, when the carrier is free.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use vixen_core::wire::{Dialect, Message, Spoken};

/// Waiting bytes below which a paced sender goes on: enough to fill a socket, little to hold.
const PACE_BYTES: usize = 1 << 20;
/// More lazy bytes than this do not wait: a frame of this size is worth its write.
const LAZY_BYTES_MAX: usize = 64 << 10;
/// Nor do more messages: a receiver has not all of them to do at once.
const LAZY_MESSAGES_MAX: usize = 256;
/// How long a message waits by whose coming its receiver judges the pace of others.
const NEXT: Duration = Duration::from_millis(5);
/// How long a message waits that somebody may come to wait for.
const SOON: Duration = Duration::from_millis(20);
/// How long one waits that nobody waits for before he has said so.
const LATER: Duration = Duration::from_millis(100);

/// How long a message may wait for company.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Haste {
    /// Not at all: somebody waits for it.
    Now,
    /// 5 ms: nobody waits for it, and there is most often a next message that takes it along.
    Next,
    /// 20 ms: nobody waits for it while all goes well.
    Soon,
    /// 100 ms: nobody waits for it, and whoever begins to says so.
    Later,
}

impl Haste {
    const fn patience(self) -> Option<Duration> {
        match self {
            Self::Now => None,
            Self::Next => Some(NEXT),
            Self::Soon => Some(SOON),
            Self::Later => Some(LATER),
        }
    }
}

/// The message was not queued: the link is down, or just went down for passing its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("link is down")]
pub struct SendError;

/// Puts messages on a link. Cheap to clone; all clones share one queue.
#[derive(Clone, Debug)]
pub struct LinkSender {
    end: Arc<SendingEnd>,
    spoken: Spoken,
}

/// Dropped with the last sender.
#[derive(Debug)]
struct SendingEnd {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Tells the carrier that something is due, or due earlier than it was.
    wake: Notify,
    waiting_bytes: AtomicUsize,
    bytes_max: usize,
    drained: Notify,
    closed: watch::Sender<Option<String>>,
    begun: Instant,
    /// When the carrier took something last, in milliseconds after `begun`.
    taken_ms: AtomicU64,
}

/// What the carrier has not taken.
#[derive(Debug, Default)]
struct Waiting {
    messages: Vec<Message>,
    bytes: usize,
    due: Due,
    /// No sender is left.
    is_over: bool,
    /// The carrier is gone.
    is_gone: bool,
}

/// When what waits is to be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Due {
    /// Nothing waits.
    #[default]
    Never,
    At(Instant),
    Now,
}

impl Due {
    /// The earlier of the two; whether that is news.
    fn hasten(&mut self, other: Self) -> bool {
        let is_earlier = match (*self, other) {
            (Self::Now, _) | (_, Self::Never) => false,
            (Self::Never | Self::At(_), Self::Now) | (Self::Never, Self::At(_)) => true,
            (Self::At(before), Self::At(at)) => at < before,
        };
        if is_earlier {
            *self = other;
        }
        is_earlier
    }
}

/// The carrier's end of the queue.
#[derive(Debug)]
pub(super) struct LinkReceiver {
    shared: Arc<Shared>,
    closed: watch::Receiver<Option<String>>,
}

/// Makes a queue that holds at most `bytes_max` bytes, to where all dialects are spoken in their newest versions.
pub(super) fn queue(bytes_max: usize) -> (LinkSender, LinkReceiver) {
    let (closed, closed_reader) = watch::channel(None);
    let shared = Arc::new(Shared {
        waiting: Mutex::default(),
        wake: Notify::new(),
        waiting_bytes: AtomicUsize::new(0),
        bytes_max,
        drained: Notify::new(),
        closed,
        begun: Instant::now(),
        taken_ms: AtomicU64::new(0),
    });
    let end = Arc::new(SendingEnd { shared: Arc::clone(&shared) });
    let sender = LinkSender { end, spoken: Spoken::newest() };
    (sender, LinkReceiver { shared, closed: closed_reader })
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SendingEnd {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.wake.notify_one();
    }
}

impl Drop for LinkReceiver {
    fn drop(&mut self) {
        self.shared.lock().is_gone = true;
    }
}

impl LinkSender {
    /// The same, where this is spoken.
    pub(super) fn speaking(self, spoken: Spoken) -> Self {
        Self { spoken, ..self }
    }

    /// Whether what a version of a dialect brought is understood at the other end.
    #[must_use]
    pub const fn speaks(&self, dialect: Dialect, version: u16) -> bool {
        self.spoken.has(dialect, version)
    }

    /// Queues a message that goes now, without waiting. A queue over its bound closes the link.
    ///
    /// # Errors
    /// When the link is down; the node hears `Down` and sends again on the next link.
    pub fn send(&self, message: Message) -> Result<(), SendError> {
        self.send_all([(message, Haste::Now)])
    }

    /// Queues messages in one go: those of a turn are one frame. A queue over its bound closes the link.
    ///
    /// # Errors
    /// When the link is down; the node hears `Down` and sends again on the next link.
    pub fn send_all(
        &self,
        messages: impl IntoIterator<Item = (Message, Haste)>,
    ) -> Result<(), SendError> {
        let shared = &self.end.shared;
        if self.is_closed() {
            return Err(SendError);
        }
        let mut waiting = shared.lock();
        let mut is_news = false;
        for (message, haste) in messages {
            let bytes = message.queued_bytes();
            let before = shared.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
            if before + bytes > shared.bytes_max && before > 0 {
                drop(waiting);
                self.close("the queue passed its bound: the peer does not read");
                return Err(SendError);
            }
            waiting.messages.push(message);
            waiting.bytes += bytes;
            let is_much =
                waiting.bytes > LAZY_BYTES_MAX || waiting.messages.len() > LAZY_MESSAGES_MAX;
            let patience = haste.patience().filter(|_| !is_much);
            let due = patience.map_or(Due::Now, |patience| Due::At(Instant::now() + patience));
            is_news |= waiting.due.hasten(due);
        }
        if waiting.is_gone {
            return Err(SendError);
        }
        drop(waiting);
        if is_news {
            shared.wake.notify_one();
        }
        Ok(())
    }

    /// What waits goes now: somebody has begun to wait for it, or may.
    pub fn flush(&self) {
        let mut waiting = self.end.shared.lock();
        if !waiting.messages.is_empty() && waiting.due.hasten(Due::Now) {
            drop(waiting);
            self.end.shared.wake.notify_one();
        }
    }

    /// When something left last, or the link came up.
    #[must_use]
    pub fn sent_at(&self) -> std::time::Instant {
        let shared = &self.end.shared;
        let taken = Duration::from_millis(shared.taken_ms.load(Ordering::Acquire));
        (shared.begun + taken).into_std()
    }

    /// Queues a message once little is waiting: for streams that need not be ahead of the peer.
    ///
    /// # Errors
    /// When the link is down.
    pub async fn send_paced(&self, message: Message) -> Result<(), SendError> {
        let shared = &self.end.shared;
        let mut closed = shared.closed.subscribe();
        loop {
            let drained = shared.drained.notified();
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
        self.end.shared.waiting_bytes.load(Ordering::Acquire)
    }

    /// Closes the link; what is queued is dropped.
    pub fn close(&self, reason: &str) {
        self.end.shared.closed.send_if_modified(|closed| {
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
        self.end.shared.closed.borrow().is_some()
    }

    /// Resolves with the reason once the link is closed.
    pub async fn closed(&self) -> String {
        let mut closed = self.end.shared.closed.subscribe();
        let reason = closed.wait_for(Option::is_some).await;
        reason.ok().and_then(|reason| reason.clone()).unwrap_or_default()
    }
}

impl LinkReceiver {
    /// Takes all that waits into `buffer` as soon as something is due, at least one message; the reason when
    /// closed.
    pub(super) async fn receive(&mut self, buffer: &mut Vec<Message>) -> Result<(), String> {
        let Self { shared, closed } = self;
        loop {
            if let Some(reason) = closed.borrow().clone() {
                return Err(reason);
            }
            let due = {
                let mut waiting = shared.lock();
                let is_due = match waiting.due {
                    Due::Never => false,
                    Due::Now => true,
                    Due::At(at) => waiting.is_over || at <= Instant::now(),
                };
                if is_due {
                    buffer.append(&mut waiting.messages);
                    (waiting.due, waiting.bytes) = (Due::Never, 0);
                    drop(waiting);
                    let taken = shared.begun.elapsed().as_millis();
                    let taken = u64::try_from(taken).unwrap_or(u64::MAX);
                    shared.taken_ms.store(taken, Ordering::Release);
                    return Ok(());
                }
                if waiting.is_over {
                    return Err("the node dropped the link".to_owned());
                }
                waiting.due
            };
            let wait = async {
                match due {
                    Due::At(at) => sleep_until(at).await,
                    Due::Never | Due::Now => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _closed = closed.changed() => {}
                () = shared.wake.notified() => {}
                () = wait => {}
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
    use futures_util::FutureExt as _;

    use vixen_core::id::Stamp;

    use super::*;
    use vixen_core::wire::{FeedMessage, Marks, ReplicaMessage};

    fn message() -> Message {
        Message::Feed(FeedMessage::Watermark { marks: Marks::at(Stamp(1)) })
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

    const fn marked(stamp: u64) -> Message {
        Message::Feed(FeedMessage::Watermark { marks: Marks::at(Stamp(stamp)) })
    }

    async fn taken(receiver: &mut LinkReceiver) -> Vec<Message> {
        let mut buffer = Vec::new();
        receiver.receive(&mut buffer).await.expect("open");
        receiver.taken(buffer.iter().map(Message::queued_bytes).sum());
        buffer
    }

    /// What is due now; nothing when the carrier has to wait.
    fn due(receiver: &mut LinkReceiver) -> Vec<Message> {
        taken(receiver).now_or_never().unwrap_or_default()
    }

    fn lazy(sender: &LinkSender, stamp: u64, haste: Haste) {
        sender.send_all([(marked(stamp), haste)]).expect("open");
    }

    #[tokio::test]
    async fn a_lazy_message_goes_with_the_next_one_that_goes_now_and_before_it() {
        let (sender, mut receiver) = queue(1 << 20);
        sender.send_all([(marked(1), Haste::Later), (marked(2), Haste::Soon)]).expect("open");
        assert_eq!(due(&mut receiver), [], "they wait");
        sender.send(marked(3)).expect("open");
        lazy(&sender, 4, Haste::Later);
        assert_eq!(due(&mut receiver), [1, 2, 3, 4].map(marked), "all that waits, in order");
        assert_eq!((due(&mut receiver), sender.waiting_bytes()), (vec![], 0), "once");
    }

    #[tokio::test]
    async fn a_lazy_message_goes_alone_when_its_time_is_over() {
        let (sender, mut receiver) = queue(1 << 20);
        let begun = Instant::now();
        lazy(&sender, 1, Haste::Later);
        assert_eq!(due(&mut receiver), []);
        assert_eq!(taken(&mut receiver).await, [marked(1)]);
        assert!(begun.elapsed() >= LATER);
    }

    #[tokio::test]
    async fn the_first_that_is_due_takes_all_with_it() {
        let (sender, mut receiver) = queue(1 << 20);
        let carrier = tokio::spawn(async move { taken(&mut receiver).await });
        tokio::task::yield_now().await;
        let begun = Instant::now();
        // The carrier waits already, and is woken for what is due earlier.
        lazy(&sender, 1, Haste::Later);
        tokio::task::yield_now().await;
        lazy(&sender, 2, Haste::Soon);
        tokio::task::yield_now().await;
        lazy(&sender, 3, Haste::Next);
        assert_eq!(carrier.await.expect("no panic"), [1, 2, 3].map(marked));
        assert!(begun.elapsed() >= NEXT);
    }

    #[tokio::test]
    async fn a_carrier_that_waits_for_time_is_woken_by_what_goes_now() {
        let (sender, mut receiver) = queue(1 << 20);
        lazy(&sender, 1, Haste::Later);
        let carrier = tokio::spawn(async move { taken(&mut receiver).await });
        tokio::task::yield_now().await;
        sender.send(marked(2)).expect("open");
        assert_eq!(carrier.await.expect("no panic"), [1, 2].map(marked));
    }

    #[tokio::test]
    async fn a_flush_takes_what_waits_and_not_what_comes() {
        let (sender, mut receiver) = queue(1 << 20);
        sender.flush();
        lazy(&sender, 1, Haste::Later);
        assert_eq!(due(&mut receiver), []);
        sender.flush();
        assert_eq!(due(&mut receiver), [marked(1)]);
        lazy(&sender, 2, Haste::Later);
        assert_eq!(due(&mut receiver), []);
    }

    #[tokio::test]
    async fn many_lazy_messages_do_not_wait() {
        let (sender, mut receiver) = queue(1 << 20);
        (1..=LAZY_MESSAGES_MAX as u64).for_each(|stamp| lazy(&sender, stamp, Haste::Later));
        assert_eq!(due(&mut receiver), []);
        lazy(&sender, 0, Haste::Later);
        assert_eq!(due(&mut receiver).len(), LAZY_MESSAGES_MAX + 1);
    }

    #[tokio::test]
    async fn lazy_bytes_count_for_the_bound_of_the_queue() {
        let (sender, _receiver) = queue(300);
        lazy(&sender, 1, Haste::Later);
        lazy(&sender, 2, Haste::Later);
        assert_eq!(sender.send_all([(marked(3), Haste::Later)]), Err(SendError));
        assert!(sender.is_closed());
    }

    #[tokio::test]
    async fn what_is_lazy_leaves_before_the_end_of_its_node() {
        let (sender, mut receiver) = queue(1 << 20);
        lazy(&sender, 1, Haste::Later);
        drop(sender);
        assert_eq!(due(&mut receiver), [marked(1)]);
        let ended = receiver.receive(&mut Vec::new()).await.expect_err("ended");
        assert!(ended.contains("dropped"));
    }

    #[tokio::test]
    async fn a_queue_knows_when_something_left_last() {
        let (sender, mut receiver) = queue(1 << 20);
        let begun = sender.sent_at();
        lazy(&sender, 1, Haste::Soon);
        assert_eq!(sender.sent_at(), begun, "what waits has not left");
        let _messages = taken(&mut receiver).await;
        assert!(sender.sent_at() >= begun + SOON);
        drop(receiver);
        assert_eq!(sender.send(marked(2)), Err(SendError), "nobody carries it");
    }
}
