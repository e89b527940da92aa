//! What the gates of an entry and its broker say to each other, in words of no protocol.
//!
//! ```text
//!   client <--gate's protocol--> client task --SessionEvent--> broker --Outgoing--> client task
//! ```
//! A client task owns one connection and its protocol; the broker owns segments, the order,
//! subscriptions and the tail. Neither waits for the other: a session that has too much
//! unacknowledged is not read from, and one whose outgoing queue is full gets no events: it reads them
//! from the store when it can, and joins again (`replay`). How a session is reached is the driver's,
//! [`SessionEvent`] carries it along.

pub mod calls;
mod write;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use vixen_core::id::{PermanentId, Position};
use vixen_core::segment::{
    Attributes, Content, Publisher, Receiver, RecordFlags, Topic, TopicPattern,
};

use crate::access::Permissions;
use crate::event::EventBatch;
use crate::history::RefPoint;
use calls::{CallFeatures, CallWord};
pub use write::Write;

/// A session id: random, `1..=2^53`, so that every gate can say it (WAMP spec §2.1.2, global scope).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u64);

/// A request of a session, by a number that its gate or client chose; session scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// A subscription: one per pattern and entry, or of one session alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubscriptionId(pub u64);

/// Where a client is, as everything that is bounded by address counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Its address, or the first one of the network where all of that is one client's.
    pub client: IpAddr,
    /// The first address of its site, where that may have many such networks.
    pub site: Option<IpAddr>,
}

/// Who a session is; fixed when it is welcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// The session.
    pub session: SessionId,
    /// Its realm.
    pub realm: Arc<str>,
    /// As in its WELCOME.
    pub authid: Arc<str>,
    /// As in its WELCOME.
    pub authrole: Arc<str>,
    /// As in its WELCOME.
    pub authmethod: &'static str,
    /// As in its WELCOME.
    pub authprovider: &'static str,
    /// Where its client is, as everything that is bounded by address counts it.
    pub origin: Origin,
    /// Whether others hear of its coming and going (WAMP spec *Session Meta API*).
    pub is_announced: bool,
    /// What it announced of calls.
    pub calls: CallFeatures,
}

impl SessionInfo {
    /// As black- and whitelists see it.
    #[must_use]
    pub fn receiver(&self) -> Receiver<'_> {
        Receiver { session: self.session.0, authid: &self.authid, authrole: &self.authrole }
    }
}

/// What a session tells the core; `O` is the way back to it.
#[derive(Debug)]
pub enum SessionEvent<O> {
    /// A session is welcome; first of its events.
    Opened {
        /// Who it is.
        info: Arc<SessionInfo>,
        /// The way back to it.
        outbound: O,
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
        /// Which topics.
        pattern: TopicPattern,
        /// How it begins.
        mode: SubscribeMode,
    },
    /// The session has read what is stored, or nearly: live events are to come. Answered by
    /// `Outgoing::Joined`.
    Join {
        /// The session.
        session: SessionId,
        /// Echoed.
        join: JoinId,
        /// Of `Subscribed` before, at least one; those that are over by now are left out.
        subscriptions: Vec<SubscriptionId>,
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
    /// What it says of calls, in the order in which its client did.
    Calls {
        /// The session.
        session: SessionId,
        /// At least one.
        words: Vec<CallWord>,
    },
    /// What it may do has changed, and it has left testaments: those that it may not publish any more are forgotten.
    Rights {
        /// The session.
        session: SessionId,
        /// What it may; `None`: nothing.
        permissions: Option<Permissions>,
    },
    /// The connection is gone; last of its events.
    Closed {
        /// The session.
        session: SessionId,
    },
}

/// How a subscription begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubscribeMode {
    /// Live, and shared with all sessions that want the same.
    #[default]
    Live,
    /// With what is stored, live after a `Join`. Shared, unless the session has the same already:
    /// then it gets one of its own.
    Replay,
    /// As `Replay`, and one of its own in any case.
    PrivateReplay,
    /// With what is stored, and never live.
    Snapshot,
}

/// What a subscriber wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Which topics.
    pub pattern: TopicPattern,
    /// Where to begin; `None`: with what is published from now on.
    pub after: Option<After>,
    /// No more events than these.
    pub limit: Option<u64>,
    /// Only what is stored.
    pub is_snapshot: bool,
}

/// Where in the past to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// With the first message that there is.
    Beginning,
    /// After this.
    Point(RefPoint),
}

impl Subscribe {
    /// How the broker is asked.
    #[must_use]
    pub const fn mode(&self) -> SubscribeMode {
        if self.is_snapshot {
            SubscribeMode::Snapshot
        } else if self.limit.is_some() {
            SubscribeMode::PrivateReplay
        } else if self.after.is_some() {
            SubscribeMode::Replay
        } else {
            SubscribeMode::Live
        }
    }
}

/// Which of its joins a session means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JoinId(pub u64);

/// When a publisher is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AckLevel {
    /// The message has its place in the order, for ever.
    #[default]
    Canonical,
    /// W nodes of a group have it on disk; its place comes later.
    Durable,
}

/// One message of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// Where to.
    pub topic: Topic,
    /// What the payload is.
    pub content: Content,
    /// What came after the topic in the PUBLISH, verbatim: nothing, the arguments, or both.
    pub payload: Bytes,
    /// Stored [`Attributes`].
    pub attributes: Bytes,
    /// What the publisher asked for.
    pub flags: RecordFlags,
    /// The request to acknowledge, if the client wants that.
    pub acknowledge: Option<RequestId>,
    /// When to acknowledge.
    pub level: AckLevel,
    /// The publish timeout does not count for it: it is resolved when it has its place.
    pub wait: bool,
}

impl Publish {
    /// What it counts against the bound of a message, and against quotas.
    #[must_use]
    pub fn message_bytes(&self) -> usize {
        self.topic.uri.len() + self.payload.len() + self.attributes.len()
    }

    /// Subscribers are told who publishes.
    pub fn disclose(&mut self, info: &SessionInfo) {
        // It was made here, by this version.
        let Ok(attributes) = Attributes::from_bytes(&self.attributes) else { return };
        let publisher =
            Publisher { authid: info.authid.to_string(), authrole: info.authrole.to_string() };
        let attributes = Attributes { publisher: Some(publisher), ..attributes };
        self.attributes = attributes.to_bytes().into();
    }

    /// What it counts against the bounds on unacknowledged bytes.
    #[must_use]
    pub fn counted_bytes(&self) -> usize {
        const OVERHEAD: usize = 64;
        OVERHEAD + self.payload.len() + self.attributes.len()
    }
}

/// Where a message stands for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In the order of all messages.
    pub position: Position,
    /// Tells when it was elected, too.
    pub id: PermanentId,
}

/// What a publisher is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// It has its place.
    Canonical(Place),
    /// It is safe; the number is of no use but to tell it from others.
    Durable {
        /// `2^52..2^53`: no position is as large.
        publication: u64,
    },
}

/// The answer to one request.
pub type Answer = (RequestId, Result<Acknowledged, PublishError>);

/// What the core tells a session.
#[derive(Debug)]
pub enum Outgoing {
    /// Messages of this session have their place, or were given up: oldest first, all outcomes in
    /// publishing order, except that those with [`Publish::wait`] come after later ones that were
    /// given up, and a [`Write`] that no segment holds is refused at once. Gives back their share of the bounds.
    Resolved {
        /// Number of messages, acknowledged or not; a [`Write`] is one.
        messages: usize,
        /// Their [`Publish::counted_bytes`].
        bytes: usize,
        /// The answers for those that wanted one.
        answers: Vec<Answer>,
    },
    /// The subscription holds.
    Subscribed {
        /// Of the `Subscribe`.
        request: RequestId,
        /// The subscription.
        subscription: SubscriptionId,
        /// Whatever stands from here on will come, unless it has to be joined first.
        live_from: Position,
        /// The end of the order as far as this entry knows it.
        end: Position,
    },
    /// Whatever stands from here on will come live.
    Joined {
        /// Of the `Join`.
        join: JoinId,
        /// The first position.
        from: Position,
    },
    /// The session takes events too slowly: from here on nothing comes of these subscriptions
    /// until they are joined again.
    Lagging {
        /// The first position that was left out.
        from: Position,
        /// All that were live.
        subscriptions: Vec<SubscriptionId>,
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
        /// Which kind of request it was.
        kind: RequestKind,
        /// Why.
        error: SubscribeError,
    },
    /// Events of one segment, shared by all sessions; each takes those of its subscriptions.
    Events(Arc<EventBatch>),
}

/// Requests that may be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// To subscribe.
    Subscribe,
    /// To end a subscription.
    Unsubscribe,
}

/// Why a message will not be acknowledged. It may still become canonical, once: the publisher
/// does not know (`no quorum`), as after a lost connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// What is missing for longer than the publish timeout.
    #[error(
        "not acknowledged within {waited_ms} ms: {missing}. The outcome is not known: the message may \
         still get its place, once"
    )]
    NoQuorum {
        /// How long the message waited.
        waited_ms: u64,
        /// What it waits for, in words.
        missing: String,
    },
    /// No segment holds it.
    #[error(
        "a write of {messages} messages with {bytes} bytes, stored: it would have to fit one segment, of at most \
         {messages_max} messages and about {bytes_max} bytes. Nothing of it was written"
    )]
    TooLarge {
        /// Its parts.
        messages: usize,
        /// What they would take of a segment, at most.
        bytes: usize,
        /// `limits.segment-messages-max`.
        messages_max: u32,
        /// `limits.segment-bytes-max`.
        bytes_max: usize,
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
    /// The session has as many patterns as it may have. Exact topics may still be subscribed.
    #[error(
        "the session has {max} subscriptions by pattern, as many as limits.patterns-per-session-max allows: \
         subscribe exact topics, or fewer patterns"
    )]
    TooManyPatternsOfSession {
        /// The bound.
        max: usize,
    },
    /// There are as many patterns as there may be. Exact topics may still be subscribed.
    #[error(
        "{} has {max} subscriptions by pattern, as many as {} allows: subscribe exact topics, or fewer \
         patterns{}",
        holder.name(), holder.said(holder.patterns_key()), holder.elsewhere()
    )]
    TooManyPatterns {
        /// Who has them.
        holder: Holder,
        /// The bound.
        max: usize,
    },
    /// The wildcards of the realm leave too many components open, in too many ways.
    #[error(
        "the wildcards of the realm would take more than {max} steps a message (limits.wildcard-steps-max): \
         use one that has its open components where others have them, or a prefix"
    )]
    TooManyShapes {
        /// The bound.
        max: usize,
    },
    /// Topics and patterns take as much as they may.
    #[error(
        "the topics of all subscriptions of {} would take more than {max} bytes ({}): subscribe a pattern in \
         place of many topics, or fewer of them{}",
        holder.name(), holder.said(holder.interest_key()), holder.elsewhere()
    )]
    InterestFull {
        /// Whose they are.
        holder: Holder,
        /// The bound.
        max: usize,
    },
}

impl SubscribeError {
    /// The key in `[limits]` of what is reached, if it is a limit.
    #[must_use]
    pub const fn limit(&self) -> Option<&'static str> {
        match self {
            Self::NoSuchSubscription => None,
            Self::TooMany { .. } => Some("subscriptions-per-session-max"),
            Self::TooManyPatternsOfSession { .. } => Some("patterns-per-session-max"),
            Self::TooManyPatterns { holder, .. } => Some(holder.patterns_key()),
            Self::TooManyShapes { .. } => Some("wildcard-steps-max"),
            Self::InterestFull { holder, .. } => Some(holder.interest_key()),
        }
    }
}

/// Who has all that there may be, of what sessions have together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// All sessions of the client's address, or of its IPv6 network of 64 bits.
    Address,
    /// All sessions of its IPv6 network of 48 bits.
    Site,
    /// All sessions of the realm at this entry.
    Realm,
    /// All sessions of the entry.
    Entry,
}

impl Holder {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "this client's address at this entry",
            Self::Site => "this client's IPv6 network (48 bits) at this entry",
            Self::Realm => "the realm at this entry",
            Self::Entry => "this entry",
        }
    }

    const fn patterns_key(self) -> &'static str {
        match self {
            Self::Address | Self::Site => "patterns-per-address-max",
            Self::Realm => "patterns-per-realm-max",
            Self::Entry => "patterns-per-entry-max",
        }
    }

    const fn interest_key(self) -> &'static str {
        match self {
            Self::Address | Self::Site => "interest-bytes-per-address-max",
            Self::Realm => "interest-bytes-per-realm-max",
            Self::Entry => "interest-bytes-max",
        }
    }

    /// A key of `[limits]` that bounds what it has, in words.
    #[must_use]
    pub fn said(self, key: &str) -> String {
        match self {
            Self::Address | Self::Realm | Self::Entry => format!("limits.{key}"),
            Self::Site => format!("limits.{key} for a network of 48 bits"),
        }
    }

    /// What helps besides, where others have a part in it.
    #[must_use]
    pub const fn elsewhere(self) -> &'static str {
        match self {
            Self::Address | Self::Site => "",
            Self::Realm | Self::Entry => ", or at another entry",
        }
    }
}

impl Outgoing {
    /// What it counts against the room of its session's queue.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        const BASE: usize = 64;
        BASE + match self {
            Self::Events(events) => events.bytes(),
            Self::Resolved { answers, .. } => answers.len() * 48,
            Self::Lagging { subscriptions, .. } => subscriptions.len() * 8,
            Self::Subscribed { .. }
            | Self::Joined { .. }
            | Self::Unsubscribed { .. }
            | Self::Refused { .. } => 0,
        }
    }
}

/// What became of events for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// They wait for it, or it is gone.
    Queued,
    /// As much waits as may: they were not queued.
    Full,
}

/// How much may wait for one session. What sends and what takes share it, from whatever tasks.
#[derive(Debug)]
pub struct QueueRoom {
    waiting_bytes: AtomicUsize,
    bytes_max: usize,
}

impl QueueRoom {
    /// Room for so many bytes, and for one message in any case.
    #[must_use]
    pub const fn new(bytes_max: usize) -> Self {
        Self { waiting_bytes: AtomicUsize::new(0), bytes_max }
    }

    /// Takes room for events, if there is any. For one sender.
    #[must_use]
    pub fn admit(&self, events: &Outgoing) -> Sent {
        let bytes = events.queued_bytes();
        let waiting = self.waiting_bytes.load(Ordering::Acquire);
        if waiting > 0 && waiting + bytes > self.bytes_max {
            return Sent::Full;
        }
        self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        Sent::Queued
    }

    /// Takes room for what a session has asked for: its own bounds limit how much that is.
    pub fn take(&self, bytes: usize) {
        self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// How much waits.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes.load(Ordering::Acquire)
    }

    /// Gives room back, once what took it is written.
    pub fn give_back(&self, bytes: usize) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}
