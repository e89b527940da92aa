//! What goes wrong with a client, and what it is told: the one place that knows error URIs and
//! close codes.
//!
//! URIs of the WAMP specification where it has one, `vixen.error.…` elsewhere.

use crate::broker::{PublishError, SubscribeError};

const PROTOCOL_VIOLATION: &str = "wamp.error.protocol_violation";
const PAYLOAD_SIZE_EXCEEDED: &str = "wamp.error.payload_size_exceeded";
const INVALID_URI: &str = "wamp.error.invalid_uri";

/// The client broke the protocol: its session is aborted, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    /// The frame is not JSON.
    #[error("the frame is not valid JSON")]
    NotJson,
    /// The frame is JSON, and no list.
    #[error("a WAMP message is a JSON list that starts with its message code")]
    NotList,
    /// The message code is none of WAMP.
    #[error("unknown message code")]
    UnknownCode,
    /// A message of a role that this router does not have.
    ///
    /// The specification calls a message that the receiver's role does not take a protocol error.
    /// The broker role is all that WELCOME announces, so CALL, REGISTER and the like are answered
    /// as such, and not by an ERROR that would suggest trying another procedure.
    #[error("this router is a broker and no dealer: it takes no remote procedure calls")]
    NoDealer,
    /// A known message that a client may not send, or not now.
    #[error("{0} is not expected here")]
    Unexpected(&'static str),
    /// The message has too few or too many elements.
    #[error("{0} has the wrong number of elements")]
    Arity(&'static str),
    /// An element is of the wrong type.
    #[error("{message}: {element} is not {expected}")]
    Type {
        /// Name of the message.
        message: &'static str,
        /// Name of the element.
        element: &'static str,
        /// The type of the specification.
        expected: &'static str,
    },
    /// An id is no integer of `1..=2^53`.
    #[error("{0}: an id is not an integer from 1 to 2^53")]
    Id(&'static str),
    /// The details of HELLO announce no client role.
    #[error("HELLO announces no client role, as in {{\"roles\":{{\"publisher\":{{}}}}}}")]
    NoRole,
    /// A binary frame under a JSON subprotocol.
    #[error("binary frame, but wamp.2.json is text")]
    Binary,
    /// The frame is not text as RFC 6455 wants it, or the framing is broken.
    #[error("broken WebSocket framing")]
    Framing,
}

impl Violation {
    /// Value of the metric label `reason`.
    #[must_use]
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotList => "not_list",
            Self::UnknownCode => "unknown_code",
            Self::NoDealer => "no_dealer",
            Self::Unexpected(_) => "unexpected",
            Self::Arity(_) => "arity",
            Self::Type { .. } => "type",
            Self::Id(_) => "id",
            Self::NoRole => "no_role",
            Self::Binary => "binary",
            Self::Framing => "framing",
        }
    }
}

/// One request cannot be served; the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// The topic is no URI.
    #[error("topic is no URI: components without whitespace or '#', separated by single dots")]
    InvalidUri,
    /// The topic is longer than `limits.topic-bytes-max`.
    #[error("topic has more than {max} bytes, as many as limits.topic-bytes-max allows")]
    TopicTooLong {
        /// The bound.
        max: usize,
    },
    /// Topics under `wamp.` belong to the router.
    #[error("topics that start with 'wamp.' are reserved")]
    ReservedUri,
    /// Topic and payload are larger than `limits.message-bytes-max`.
    #[error("message has more than {max} bytes, as many as limits.message-bytes-max allows")]
    TooLarge {
        /// The bound.
        max: usize,
    },
    /// An option has the wrong type or value.
    #[error("option '{0}' is not of the type that the specification gives it")]
    InvalidOption(&'static str),
    /// Options that no dictionary can hold: a key twice.
    #[error("the options hold a key twice")]
    InvalidOptions,
    /// A kind of matching that this router does not offer.
    #[error("option 'match': this router matches topics exactly, no prefix and no wildcard")]
    MatchNotAllowed,
}

impl Refusal {
    /// The error URI.
    #[must_use]
    pub(super) const fn uri(self) -> &'static str {
        match self {
            Self::InvalidUri | Self::TopicTooLong { .. } | Self::ReservedUri => INVALID_URI,
            Self::TooLarge { .. } => PAYLOAD_SIZE_EXCEEDED,
            Self::InvalidOption(_) | Self::InvalidOptions => "wamp.error.invalid_argument",
            Self::MatchNotAllowed => "wamp.error.option_not_allowed",
        }
    }

    /// Value of the metric label `reason`.
    #[must_use]
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::InvalidUri => "invalid_uri",
            Self::TopicTooLong { .. } => "topic_too_long",
            Self::ReservedUri => "reserved_uri",
            Self::TooLarge { .. } => "too_large",
            Self::InvalidOption(_) | Self::InvalidOptions => "invalid_option",
            Self::MatchNotAllowed => "match_not_allowed",
        }
    }
}

/// The error URI for a message that was not acknowledged.
#[must_use]
pub(super) const fn publish_error_uri(error: &PublishError) -> &'static str {
    match error {
        PublishError::NoQuorum { .. } => "vixen.error.no_quorum",
    }
}

/// Value of the metric label `reason` for a message that was not acknowledged.
#[must_use]
pub(super) const fn publish_error_label(error: &PublishError) -> &'static str {
    match error {
        PublishError::NoQuorum { .. } => "no_quorum",
    }
}

/// The error URI for a subscription that was refused.
#[must_use]
pub(super) const fn subscribe_error_uri(error: &SubscribeError) -> &'static str {
    match error {
        SubscribeError::NoSuchSubscription => "wamp.error.no_such_subscription",
        SubscribeError::TooMany { .. } => "vixen.error.too_many_subscriptions",
    }
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ending {
    /// The client said GOODBYE.
    #[error("client said goodbye")]
    Goodbye,
    /// The client sent ABORT.
    #[error("client aborted")]
    ClientAborted,
    /// The connection is gone.
    #[error("client disconnected")]
    Disconnected,
    /// The client broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// HELLO names a realm that is no URI, or too long.
    #[error("the realm is no URI, or too long")]
    InvalidRealm,
    /// HELLO offers authentication methods, and not `anonymous`.
    #[error("this router knows the authentication method 'anonymous' only")]
    NoAuthMethod,
    /// No HELLO in time.
    #[error("no HELLO in time")]
    HelloTimeout,
    /// A frame is larger than `limits.frame-bytes-max`.
    #[error("frame is larger than limits.frame-bytes-max allows")]
    FrameTooLarge,
    /// The client does not read its events fast enough.
    #[error("more events wait for this client than limits.subscriber-buffer-bytes-max allows")]
    SlowSubscriber,
    /// The node stops.
    #[error("this node is shutting down")]
    Shutdown,
    /// The node has no randomness for a session id.
    #[error("this node cannot make a session id")]
    NoSessionId,
}

impl Ending {
    /// The reason URI of the last message, GOODBYE or ABORT; `None` to send none.
    #[must_use]
    pub(super) const fn uri(self) -> Option<&'static str> {
        Some(match self {
            Self::Goodbye => "wamp.close.goodbye_and_out",
            Self::Violation(_) | Self::HelloTimeout => PROTOCOL_VIOLATION,
            Self::InvalidRealm => INVALID_URI,
            Self::NoAuthMethod => "wamp.error.no_matching_auth_method",
            Self::FrameTooLarge => PAYLOAD_SIZE_EXCEEDED,
            Self::SlowSubscriber => "vixen.error.slow_subscriber",
            Self::Shutdown => "wamp.close.system_shutdown",
            Self::ClientAborted | Self::Disconnected | Self::NoSessionId => return None,
        })
    }

    /// Whether an open session ends by GOODBYE; all else ends by ABORT.
    #[must_use]
    pub(super) const fn is_orderly(self) -> bool {
        matches!(self, Self::Goodbye | Self::SlowSubscriber | Self::Shutdown)
    }

    /// The WebSocket close code (RFC 6455 §7.4.1).
    #[must_use]
    pub(super) const fn close_code(self) -> u16 {
        match self {
            Self::Goodbye
            | Self::ClientAborted
            | Self::Disconnected
            | Self::InvalidRealm
            | Self::NoAuthMethod => 1000,
            Self::Shutdown => 1001,
            Self::Violation(_) => 1002,
            Self::HelloTimeout | Self::SlowSubscriber => 1008,
            Self::FrameTooLarge => 1009,
            Self::NoSessionId => 1011,
        }
    }
}
