//! What client sessions and the entry's core say to each other.
//!
//! ```text
//!   socket --> session task --SessionEvent--> core --Outgoing--> session task --> socket
//! ```
//! A session task owns one client connection and its protocol; the core owns segments, the
//! frontier, subscriptions and the tail. Neither waits for the other: a session that has too much
//! unacknowledged stops reading its socket, and one whose outgoing queue passes its bound is
//! closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use tokio::sync::mpsc;

use vixen_common::id::Position;
use vixen_common::segment::{RecordFlags, Topic};

/// A WAMP session id: random, global scope, `1..=2^53` (WAMP spec §2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A WAMP request id, chosen by the client, session scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A WAMP subscription id: one per topic and entry, router scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u64);

/// What a session tells the core.
#[derive(Debug)]
pub enum SessionEvent {
    /// A session is welcome; first of its events.
    Opened {
        /// The session.
        session: SessionId,
        /// The way back to it.
        outbound: Outbound,
    },
    /// Messages in the order the client sent them.
    Publish {
        /// The session.
        session: SessionId,
        /// At least one.
        messages: Vec<Publish>,
    },
    /// Answered by `Outgoing::Subscribed`.
    Subscribe {
        /// The session.
        session: SessionId,
        /// Echoed.
        request: RequestId,
        /// Exact topic.
        topic: Topic,
    },
    /// Answered by `Outgoing::Unsubscribed`.
    Unsubscribe {
        /// The session.
        session: SessionId,
        /// Echoed.
        request: RequestId,
        /// Of a `Subscribed` before.
        subscription: SubscriptionId,
    },
    /// The connection is gone; last of its events.
    Closed {
        /// The session.
        session: SessionId,
    },
}

/// One message of a client.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Where to.
    pub topic: Topic,
    /// The text after the topic in the JSON PUBLISH, verbatim: empty, `args`, or `args,kwargs`.
    pub payload: Bytes,
    /// What the publisher asked for.
    pub flags: RecordFlags,
    /// The request to acknowledge, if the client wants that.
    pub acknowledge: Option<RequestId>,
    /// The publish timeout does not count for it: it is resolved when it has its place.
    pub wait: bool,
}

impl Publish {
    /// What it counts against the bounds on unacknowledged bytes.
    #[must_use]
    pub fn counted_bytes(&self) -> usize {
        const OVERHEAD: usize = 64;
        OVERHEAD + self.payload.len()
    }
}

/// What the core tells a session.
#[derive(Debug)]
pub enum Outgoing {
    /// Messages of this session have their place, or were given up: oldest first, all outcomes in
    /// publishing order, except that those with [`Publish::wait`] come after later ones that were
    /// given up. Gives back their share of the bounds.
    Resolved {
        /// Number of messages, acknowledged or not.
        messages: usize,
        /// Their [`Publish::counted_bytes`].
        bytes: usize,
        /// The answers for those that wanted one.
        answers: Vec<(RequestId, Result<Position, PublishError>)>,
    },
    /// The subscription holds: whatever is published from now on will come.
    Subscribed {
        /// Of the `Subscribe`.
        request: RequestId,
        /// The subscription.
        subscription: SubscriptionId,
    },
    /// The subscription is over.
    Unsubscribed {
        /// Of the `Unsubscribe`.
        request: RequestId,
    },
    /// The request was refused.
    Refused {
        /// Of the `Subscribe` or `Unsubscribe`.
        request: RequestId,
        /// Which kind of request, by WAMP message code (32 or 34).
        kind: u8,
        /// Why.
        error: SubscribeError,
    },
    /// Events of one segment, shared by all sessions; each takes those of its subscriptions.
    Events(Arc<SegmentEvents>),
}

/// Why a message will not be acknowledged. It may still become canonical, once: the publisher
/// does not know (`no quorum`), as after a lost connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// What is missing for longer than the publish timeout.
    #[error("not acknowledged within {waited_ms} ms: {missing}")]
    NoQuorum {
        /// How long the message waited.
        waited_ms: u64,
        /// What it waits for, in words.
        missing: String,
    },
}

/// Why a subscription request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// No such subscription of this session.
    #[error("no such subscription")]
    NoSuchSubscription,
    /// The session has as many as it may have.
    #[error(
        "the session has {max} subscriptions, as many as limits.subscriptions-per-session-max allows"
    )]
    TooMany {
        /// The bound.
        max: usize,
    },
}

/// Canonical messages of one segment that some session here has subscribed, in order.
#[derive(Debug)]
pub struct SegmentEvents {
    /// In the order of positions.
    pub events: Vec<Event>,
    /// Size of all frames.
    pub bytes: usize,
}

/// One message for the subscribers of one subscription.
#[derive(Clone, Debug)]
pub struct Event {
    /// Whose subscribers get it.
    pub subscription: SubscriptionId,
    /// The publisher's session, if it is excluded.
    pub excluded: Option<SessionId>,
    /// The whole WAMP EVENT as JSON text.
    pub frame: Utf8Bytes,
}

/// The core's way to one session: never blocks, bounded in bytes.
#[derive(Clone, Debug)]
pub struct Outbound {
    queue: mpsc::UnboundedSender<Outgoing>,
    waiting_bytes: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// The session's end of an [`Outbound`].
#[derive(Debug)]
pub struct OutboundReceiver {
    queue: mpsc::UnboundedReceiver<Outgoing>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// Makes the way from core to session, holding at most `bytes_max` bytes of events.
#[must_use]
pub fn outbound(bytes_max: usize) -> (Outbound, OutboundReceiver) {
    let (queue, receiver) = mpsc::unbounded_channel();
    let waiting_bytes = Arc::new(AtomicUsize::new(0));
    let sender = Outbound { queue, waiting_bytes: Arc::clone(&waiting_bytes), bytes_max };
    (sender, OutboundReceiver { queue: receiver, waiting_bytes })
}

impl Outgoing {
    fn queued_bytes(&self) -> usize {
        const BASE: usize = 64;
        BASE + match self {
            Self::Events(events) => events.bytes,
            Self::Resolved { answers, .. } => answers.len() * 32,
            Self::Subscribed { .. } | Self::Unsubscribed { .. } | Self::Refused { .. } => 0,
        }
    }
}

impl Outbound {
    /// Queues `outgoing`; `false` when the session is gone or too slow, and must be dropped.
    #[must_use]
    pub fn send(&self, outgoing: Outgoing) -> bool {
        let bytes = outgoing.queued_bytes();
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        if waiting > 0 && waiting + bytes > self.bytes_max {
            return false;
        }
        self.queue.send(outgoing).is_ok()
    }
}

impl OutboundReceiver {
    /// Takes all that waits, at least one, into `buffer`; `false` once the core dropped the
    /// session (it was too slow, or the node stops).
    pub async fn receive(&mut self, buffer: &mut Vec<Outgoing>) -> bool {
        const BATCH: usize = 256;
        self.queue.recv_many(buffer, BATCH).await > 0
    }

    /// Gives back the room of what [`receive`](Self::receive) took, once it is written.
    pub fn written(&self, outgoing: &[Outgoing]) {
        let bytes = outgoing.iter().map(Outgoing::queued_bytes).sum();
        self.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}
