//! What goes into delivery, and what comes out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use vixen_core::id::{GroupId, NdbId, Position};
use vixen_core::segment::TopicPattern;
use vixen_core::wire::{Message, TailSegment};

use super::Change;
use crate::api::{JoinId, Origin, Outgoing, RequestId, SessionId, SubscribeMode, SubscriptionId};

/// A segment of the order, as far as delivery needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Position of its first message.
    pub first: Position,
    /// Number of its messages.
    pub count: u32,
    /// The group that holds it.
    pub group: GroupId,
}

/// Everything that can happen to delivery. Recorded: the order of the variants is their number.
#[derive(Debug, Serialize, Deserialize)]
pub enum Input {
    /// A session wants topics.
    Subscribe {
        /// The session.
        session: SessionId,
        /// Where its client is.
        origin: Origin,
        /// Echoed in the answer.
        request: RequestId,
        /// Which topics.
        pattern: TopicPattern,
        /// How it begins.
        mode: SubscribeMode,
    },
    /// A session has read what is stored.
    Join {
        /// The session.
        session: SessionId,
        /// Echoed in the answer.
        join: JoinId,
        /// What `Subscribed` named.
        subscriptions: Vec<SubscriptionId>,
    },
    /// Events from a position on had no room in a session's queue.
    Lag {
        /// The session.
        session: SessionId,
        /// The first position it did not get.
        from: Position,
    },
    /// A session no longer wants a subscription.
    Unsubscribe {
        /// The session.
        session: SessionId,
        /// Echoed in the answer.
        request: RequestId,
        /// What `Subscribed` named.
        subscription: SubscriptionId,
    },
    /// A session is gone.
    SessionClosed {
        /// The session.
        session: SessionId,
    },
    /// A new link to an ndb node; it carries no tail yet.
    NdbUp {
        /// The node.
        ndb: NdbId,
    },
    /// The link to an ndb node is gone.
    NdbDown {
        /// The node.
        ndb: NdbId,
    },
    /// Nothing comes from a linked ndb node any more, or something comes again.
    NdbSilent {
        /// The node.
        ndb: NdbId,
        /// Nothing comes.
        is_silent: bool,
    },
    /// `TailOpened` of an ndb node.
    TailOpened {
        /// The node.
        from: NdbId,
        /// The first position the tail will carry.
        next: Position,
    },
    /// `InterestChanged` of an ndb node.
    InterestChanged {
        /// The node.
        from: NdbId,
        /// The change that holds from here on.
        version: u64,
        /// The next position of its tail.
        next: Position,
    },
    /// Canonical messages of an ndb node's tail.
    Segment {
        /// The node.
        from: NdbId,
        /// The messages.
        segment: TailSegment,
    },
    /// `TailPosition` of an ndb node.
    TailPosition {
        /// The node.
        from: NdbId,
        /// The next position of its tail.
        next: Position,
    },
    /// The frontier placed segments: the next of the order, without a gap.
    Placed {
        /// The segments, in order.
        slots: Vec<Slot>,
    },
    /// All that waited has been stepped.
    Flush,
    /// The time of [`Delivery::timeout_at`](super::Delivery::timeout_at) came.
    Timeout,
    /// Other entries hear of what becomes of the subscriptions of a realm, or cease to.
    HeardElsewhere {
        /// The realm.
        realm: Arc<str>,
        /// They do.
        is_heard: bool,
    },
}

/// What the driver owes after a step.
#[derive(Debug, Default)]
pub struct Effects {
    /// Nodes with a new link: of what was said to them before in the same turn, nothing is left here.
    pub anew: Vec<NdbId>,
    /// Messages to ndb nodes, in this order for each node.
    pub sends: Vec<(NdbId, Message)>,
    /// Words to sessions, in this order for each session.
    pub outgoing: Vec<(SessionId, Outgoing)>,
    /// What happened, for metrics and the log.
    pub notes: Vec<Note>,
    /// What looking for subscribers took: nodes and entries of the index.
    pub steps: usize,
}

/// Facts for metrics and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A tail is followed at another replica, or for the first time.
    TailMoved {
        /// The group.
        group: GroupId,
        /// The replica left behind, when it is still linked.
        from: Option<NdbId>,
        /// The replica followed.
        to: NdbId,
    },
    /// A replica does not have what the entry has not seen: live subscribers read it from the store.
    PositionsMissed {
        /// The replica.
        from: NdbId,
        /// How many positions, at most: those of other topics count.
        count: u64,
    },
    /// A segment that had come before, from another replica, or that stands before all interest.
    Repeated,
    /// Events were made for sessions of clients.
    Delivered {
        /// Messages with subscribers.
        events: usize,
    },
    /// Subscriptions came or went.
    Changed(Change),
    /// Messages of a later version, which this one cannot judge: nobody gets them.
    LeftOut {
        /// How many.
        messages: usize,
    },
    /// A segment could not be read to its end.
    Malformed {
        /// Where it begins.
        first: Position,
    },
}

/// A tail, for the status page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailStatus {
    /// The group.
    pub group: GroupId,
    /// The replica followed.
    pub at: Option<NdbId>,
    /// Its next position.
    pub next: Option<Position>,
}
