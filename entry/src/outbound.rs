//! The broker's way to one session: a channel with a bound in bytes, and one of its own for calls, which wait
//! neither for events nor for what a session reads from the store.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use tokio::sync::{Notify, mpsc};

use vixen_broker::api::calls::CallTold;
use vixen_broker::api::{self, Outgoing, QueueRoom, Sent};
use vixen_broker::dealer::Breach;
use vixen_broker::event::EventBatch;
use vixen_broker::meta::Goodbye;

/// What a session tells the broker of this entry.
pub type SessionEvent = api::SessionEvent<Outbound>;

/// What a session takes at a time.
const BATCH: usize = 256;

/// What a session hears of calls.
#[derive(Debug)]
pub enum OfCalls {
    /// It is told this, of one turn: at least one.
    Told(Vec<CallTold>),
    /// It has broken the rules, and is to be ended.
    Broken(Breach),
    /// Somebody has ended it, and it is over for the broker: the last that it hears.
    Killed,
    /// The entry stops, and its calls have ended: nothing more of them comes.
    Over,
}

/// The broker's way to one session: never blocks, bounded in bytes.
#[derive(Clone, Debug)]
pub struct Outbound {
    queue: mpsc::UnboundedSender<Outgoing>,
    room: Arc<QueueRoom>,
    calls: mpsc::UnboundedSender<OfCalls>,
    calls_room: Arc<QueueRoom>,
    verdict: Arc<Verdict>,
}

/// What ends a session, whatever waits before it: that may wait for ever.
#[derive(Debug, Default)]
struct Verdict {
    /// There is a reason.
    told: Notify,
    /// Somebody has ended it; what its client is to be told.
    killed: OnceLock<Arc<Goodbye>>,
}

/// The session's end of an [`Outbound`].
#[derive(Debug)]
pub struct OutboundReceiver {
    queue: mpsc::UnboundedReceiver<Outgoing>,
    room: Arc<QueueRoom>,
    calls: CallReceiver,
}

/// The session's end for calls.
#[derive(Debug)]
struct CallReceiver {
    queue: mpsc::UnboundedReceiver<OfCalls>,
    room: Arc<QueueRoom>,
    verdict: Arc<Verdict>,
    /// The broker has stopped, and all is taken.
    is_over: bool,
}

/// Makes the way from broker to session, holding at most `bytes_max` bytes of events.
#[must_use]
pub fn outbound(bytes_max: usize) -> (Outbound, OutboundReceiver) {
    let (queue, receiver) = mpsc::unbounded_channel();
    let (calls, calls_receiver) = mpsc::unbounded_channel();
    let room = Arc::new(QueueRoom::new(bytes_max));
    // What calls may queue is decided where they are dealt with.
    let calls_room = Arc::new(QueueRoom::new(usize::MAX));
    let verdict = Arc::new(Verdict::default());
    let of_calls = CallReceiver {
        queue: calls_receiver,
        room: Arc::clone(&calls_room),
        verdict: Arc::clone(&verdict),
        is_over: false,
    };
    let sender = Outbound { queue, room: Arc::clone(&room), calls, calls_room, verdict };
    (sender, OutboundReceiver { queue: receiver, room, calls: of_calls })
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
        self.room.take(outgoing.queued_bytes());
        // One that is gone needs no answer.
        let _is_gone = self.queue.send(outgoing);
    }

    /// Queues what a turn has of calls for the session; returns the bytes that wait with it.
    pub fn send_calls(&self, told: Vec<CallTold>) -> usize {
        let bytes = told.iter().map(CallTold::queued_bytes).sum();
        self.calls_room.take(bytes);
        // As above.
        let _is_gone = self.calls.send(OfCalls::Told(told));
        bytes
    }

    /// The session has broken the rules of calls.
    pub fn send_breach(&self, breach: Breach) {
        if breach == Breach::Unread {
            self.verdict.told.notify_one();
        }
        // As above.
        let _is_gone = self.calls.send(OfCalls::Broken(breach));
    }

    /// The session is over, and is to be told why.
    pub fn send_killed(&self, goodbye: Arc<Goodbye>) {
        // The first word stands.
        let _is_told = self.verdict.killed.set(goodbye);
        self.verdict.told.notify_one();
        // As above.
        let _is_gone = self.calls.send(OfCalls::Killed);
    }

    /// The entry stops, and all that the session is told of calls is told.
    pub fn send_calls_over(&self) {
        // As above.
        let _is_gone = self.calls.send(OfCalls::Over);
    }

    /// Bytes of calls that are not written yet.
    #[must_use]
    pub fn waiting_call_bytes(&self) -> usize {
        self.calls_room.waiting_bytes()
    }
}

impl OutboundReceiver {
    /// Takes what waits, at least one: of calls into `calls`, and if it may, into `buffer`, of neither so much that
    /// the other waits for it; `false` once the broker has stopped and all is taken. Cancel safe.
    pub async fn receive(
        &mut self,
        may_take_events: bool,
        buffer: &mut VecDeque<Outgoing>,
        calls: &mut Vec<OfCalls>,
    ) -> bool {
        loop {
            tokio::select! {
                biased;
                taken = self.calls.queue.recv_many(calls, BATCH), if !self.calls.is_over => {
                    if taken > 0 {
                        if may_take_events {
                            self.take_events(buffer);
                        }
                        return true;
                    }
                    self.calls.is_over = true;
                }
                first = self.queue.recv(), if may_take_events => {
                    let Some(first) = first else { return false };
                    buffer.push_back(first);
                    self.take_events(buffer);
                    return true;
                }
                else => std::future::pending().await,
            }
        }
    }

    /// Resolves when the session is to be ended, whatever waits: it leaves unread what it is told of calls, or somebody
    /// has [`killed`](Self::killed) it. Cancel safe.
    pub fn must_end(&self) -> impl Future<Output = ()> + Send + use<> {
        let verdict = Arc::clone(&self.calls.verdict);
        async move {
            verdict.told.notified().await;
            // It stays so.
            verdict.told.notify_one();
        }
    }

    /// What the client is to be told, if somebody has ended its session.
    #[must_use]
    pub fn killed(&self) -> Option<&Arc<Goodbye>> {
        self.calls.verdict.killed.get()
    }

    fn take_events(&mut self, buffer: &mut VecDeque<Outgoing>) {
        while buffer.len() < BATCH
            && let Ok(next) = self.queue.try_recv()
        {
            buffer.push_back(next);
        }
    }

    /// Gives back the room of what [`receive`](Self::receive) took, once it is written: of events and answers,
    /// and of calls.
    pub fn give_back(&self, bytes: usize, call_bytes: usize) {
        self.room.give_back(bytes);
        self.calls.room.give_back(call_bytes);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use vixen_broker::api::RequestId;

    use super::*;

    #[tokio::test]
    async fn a_session_that_is_killed_hears_it_whatever_waits_before() {
        let (sender, receiver) = outbound(1 << 20);
        sender.send(Outgoing::Unsubscribed { request: RequestId(1) });
        assert!(receiver.must_end().now_or_never().is_none());
        let goodbye = Arc::new(Goodbye { reason: "a.b".to_owned(), message: None });
        sender.send_killed(Arc::clone(&goodbye));
        for _ in 0..2 {
            assert!(receiver.must_end().now_or_never().is_some(), "and stays so");
        }
        assert_eq!(receiver.killed(), Some(&goodbye));
    }

    #[tokio::test]
    async fn calls_do_not_hold_up_what_else_there_is() {
        let (sender, mut receiver) = outbound(1 << 20);
        for request in 1..=2 * BATCH as u64 {
            let told = CallTold::Unregistered { request: RequestId(request) };
            sender.send_calls(vec![told]);
        }
        sender.send(Outgoing::Unsubscribed { request: RequestId(1) });
        let (mut events, mut calls) = (VecDeque::new(), Vec::new());
        assert!(receiver.receive(false, &mut events, &mut calls).await);
        assert_eq!((events.len(), calls.len()), (0, BATCH), "it may not take events");
        assert!(receiver.receive(true, &mut events, &mut calls).await);
        assert_eq!((events.len(), calls.len()), (1, 2 * BATCH));
    }
}
