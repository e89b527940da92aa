//! What goes into the books of a session, and what comes out.

use std::sync::Arc;
use std::time::Duration;

use vixen_core::id::Position;
use vixen_core::segment::TopicPattern;

use super::OWN_REQUEST;
use crate::api::calls::{CallTold, CallWord, RegistrationId};
use crate::api::{
    Answer, JoinId, RequestId, RequestKind, SessionEvent, SessionId, SubscribeError, SubscribeMode,
    SubscriptionId,
};
use crate::event::EventBatch;
use crate::history::HistoryError;

/// What a step owes: tell the broker, then the client, each in order.
#[derive(Debug, Default)]
pub struct Effects {
    /// For the broker.
    pub ask: Vec<Ask>,
    /// For the client.
    pub told: Vec<Told>,
    /// What the session was to get next is gone: it cannot go on.
    pub lost: Option<HistoryError>,
    /// Before the next read.
    pub pause: Option<Duration>,
    /// Why what was to be read is read again.
    pub failed: Option<HistoryError>,
    /// Messages of a later version, which this one cannot judge: nobody gets them.
    pub left_out: usize,
}

/// What a session asks of the broker for its subscriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A subscription.
    Subscribe {
        /// Echoed in the answer.
        request: RequestId,
        /// Which topics.
        pattern: TopicPattern,
        /// How it begins.
        mode: SubscribeMode,
    },
    /// That these become live.
    Join {
        /// Echoed in the answer.
        join: JoinId,
        /// At least one.
        subscriptions: Vec<SubscriptionId>,
    },
    /// That this ends.
    Unsubscribe {
        /// Echoed in the answer.
        request: RequestId,
        /// Of a subscribe before.
        subscription: SubscriptionId,
    },
    /// That it is no callee of this any more.
    LeaveRegistration {
        /// As the session was told.
        registration: RegistrationId,
    },
    /// That callers are not told any more that it is.
    HideRegistration {
        /// As the session was told.
        registration: RegistrationId,
    },
}

impl Ask {
    /// As a session tells it.
    #[must_use]
    pub fn of<O>(self, session: SessionId) -> SessionEvent<O> {
        match self {
            Self::Subscribe { request, pattern, mode } => {
                SessionEvent::Subscribe { session, request, pattern, mode }
            }
            Self::Join { join, subscriptions } => {
                SessionEvent::Join { session, join, subscriptions }
            }
            Self::Unsubscribe { request, subscription } => {
                SessionEvent::Unsubscribe { session, request, subscription }
            }
            Self::LeaveRegistration { registration } => {
                let word = CallWord::Unregister { request: OWN_REQUEST, registration };
                SessionEvent::Calls { session, words: vec![word] }
            }
            Self::HideRegistration { registration } => {
                let words = vec![CallWord::Hide { registration }];
                SessionEvent::Calls { session, words }
            }
        }
    }
}

/// What a client is told.
#[derive(Debug)]
pub enum Told {
    /// What became of messages that it wanted to hear of; at least one.
    Resolved(Vec<Answer>),
    /// A subscription stands.
    Subscribed {
        /// Of the subscribe.
        request: RequestId,
        /// The subscription.
        subscription: SubscriptionId,
        /// The end of the order when the broker took it, as far as it is known.
        end: Position,
    },
    /// A subscription is over, as it was asked for.
    Unsubscribed {
        /// Of the unsubscribe.
        request: RequestId,
    },
    /// A request is refused.
    Refused {
        /// Which one.
        request: RequestId,
        /// Of which kind.
        kind: RequestKind,
        /// Why.
        error: RequestError,
    },
    /// A subscription is over, and nobody has asked for that.
    Ended {
        /// The subscription.
        subscription: SubscriptionId,
        /// Why.
        reason: EndReason,
    },
    /// Events.
    Events {
        /// Those of all sessions.
        batch: Arc<EventBatch>,
        /// Those that this client gets, by index into [`EventBatch::events`]; at least one.
        taken: Vec<usize>,
    },
    /// Something of calls.
    Call(CallTold),
}

/// Why a request about a subscription is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The broker does not take it.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    /// It cannot begin where it was to.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Another request of this id waits for its answer.
    #[error("another request of this id still waits for its answer; number requests from 1 on")]
    Repeated,
    /// It was over before it stood.
    #[error("it ended before it began")]
    Ended(EndReason),
    /// The realms were read again meanwhile.
    #[error("the role of this session may not subscribe this topic any more")]
    NotAuthorized,
}

/// Why a subscription ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// It has got what it wanted.
    Complete,
    /// The session may not have it any more.
    NotAuthorized,
}
