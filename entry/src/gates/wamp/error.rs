//! What goes wrong with a client, and what it is told: the one place that knows error URIs and
//! close codes.
//!
//! URIs of the WAMP specification where it has one, `vixen.error.…` elsewhere.

use vixen_broker::api::{PublishError, SubscribeError};
use vixen_broker::history::HistoryError;
use vixen_core::id::Position;

use crate::auth;
use crate::quota::Exceeded;

const PROTOCOL_VIOLATION: &str = "wamp.error.protocol_violation";
const PAYLOAD_SIZE_EXCEEDED: &str = "wamp.error.payload_size_exceeded";
const INVALID_URI: &str = "wamp.error.invalid_uri";
/// What somebody is told whose input ended for that of all.
pub(crate) const UNFINISHED_INPUT: &str = "vixen.error.unfinished_input";

/// The client broke the protocol: its session is aborted, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    /// The frame is not JSON.
    #[error("the frame is not valid JSON")]
    NotJson,
    /// The message is not of the session's serializer.
    #[error("the message is not valid {0}")]
    NotEncoded(&'static str),
    /// The message is no list that begins with a number.
    #[error("a WAMP message is a list that starts with its message code")]
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
    /// A text frame under a binary subprotocol.
    #[error("text frame, but this serializer is binary")]
    Text,
    /// A batch that ends within a message.
    #[error("the batch ends within a message or its length")]
    Batch,
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
            Self::NotEncoded(_) => "not_encoded",
            Self::NotList => "not_list",
            Self::UnknownCode => "unknown_code",
            Self::NoDealer => "no_dealer",
            Self::Unexpected(_) => "unexpected",
            Self::Arity(_) => "arity",
            Self::Type { .. } => "type",
            Self::Id(_) => "id",
            Self::NoRole => "no_role",
            Self::Binary => "binary",
            Self::Text => "text",
            Self::Batch => "batch",
            Self::Framing => "framing",
        }
    }
}

/// One request cannot be served; the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
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
    #[error("option '{0}' takes {wanted}", wanted = wanted(.0))]
    InvalidOption(&'static str),
    /// Options that no dictionary can hold: a key twice.
    #[error("the options hold a key twice")]
    InvalidOptions,
    /// A black- or whitelist is longer than anybody needs.
    #[error("option '{0}' has more than 1000 elements")]
    ListTooLong(&'static str),
    /// The option `after` names no place.
    #[error(
        "option 'after' is no position such as 42, no permanent id such as 2611210830e1a2b3a0, no \
         RFC 3339 time such as 2026-11-21T10:00:00Z, and not 'today'"
    )]
    InvalidAfter,
    /// The pattern is no URI by the rule of its kind of matching.
    #[error(
        "pattern is no URI: for match 'prefix' its last component may be empty, for 'wildcard' any"
    )]
    InvalidPattern,
    /// A quota of the realm, or of the role for each user, is used up.
    #[error(transparent)]
    Quota(#[from] Exceeded),
    /// The role of the session does not allow it.
    #[error("the role of this session may not {0} this topic")]
    NotAuthorized(&'static str),
    /// The role of the session may not say who it is, or must not hide.
    #[error("option 'disclose_me': the role of this session may not disclose itself here")]
    DisclosureNotAllowed,
}

impl Refusal {
    /// The error URI.
    #[must_use]
    pub(crate) const fn uri(self) -> &'static str {
        match self {
            Self::InvalidUri
            | Self::InvalidPattern
            | Self::TopicTooLong { .. }
            | Self::ReservedUri => INVALID_URI,
            Self::TooLarge { .. } => PAYLOAD_SIZE_EXCEEDED,
            Self::InvalidOption(_)
            | Self::InvalidOptions
            | Self::InvalidAfter
            | Self::ListTooLong(_) => "wamp.error.invalid_argument",
            Self::Quota(_) => "vixen.error.quota_exceeded",
            Self::NotAuthorized(_) => "wamp.error.not_authorized",
            Self::DisclosureNotAllowed => "wamp.error.option_disallowed.disclose_me",
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
            Self::InvalidOption(_)
            | Self::InvalidOptions
            | Self::InvalidAfter
            | Self::ListTooLong(_) => "invalid_option",
            Self::InvalidPattern => "invalid_pattern",
            Self::Quota(_) => "quota_exceeded",
            Self::NotAuthorized(_) => "not_authorized",
            Self::DisclosureNotAllowed => "disclosure_not_allowed",
        }
    }
}

/// The error URI for a message that was not acknowledged.
#[must_use]
pub(crate) const fn publish_error_uri(error: &PublishError) -> &'static str {
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
pub(crate) const fn subscribe_error_uri(error: &SubscribeError) -> &'static str {
    match error {
        SubscribeError::NoSuchSubscription => "wamp.error.no_such_subscription",
        SubscribeError::TooMany { .. } => "vixen.error.too_many_subscriptions",
        SubscribeError::TooManyPatternsOfSession { .. }
        | SubscribeError::TooManyPatterns { .. }
        | SubscribeError::TooManyShapes { .. } => "vixen.error.too_many_patterns",
        SubscribeError::InterestFull { .. } => "vixen.error.interest_full",
    }
}

/// The error URI for a subscription whose past cannot be read.
#[must_use]
pub(crate) const fn history_error_uri(error: &HistoryError) -> &'static str {
    match error {
        HistoryError::Busy { .. } => "vixen.error.too_many_reads",
        HistoryError::NotReady => "vixen.error.not_ready",
        HistoryError::Trimmed { .. } => "vixen.error.trimmed",
        HistoryError::Beyond { .. } => "vixen.error.beyond_end",
        HistoryError::NotOfThisOrder { .. } => "vixen.error.not_of_this_order",
        HistoryError::EndUnknown { .. } => "vixen.error.unavailable",
        HistoryError::Unavailable { .. } => "vixen.error.unavailable",
        HistoryError::Stopped => "vixen.error.shutting_down",
    }
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ending {
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
    /// The client may not come in.
    #[error(transparent)]
    LoginRefused(auth::Refusal),
    /// The realms were read again, and do not know the session any more.
    #[error("the configuration of the realm does not know this session any more")]
    RoleGone,
    /// No HELLO in time.
    #[error("no HELLO, or no answer to the CHALLENGE, in time")]
    HelloTimeout,
    /// A frame is larger than `limits.frame-bytes-max`.
    #[error("frame is larger than limits.frame-bytes-max allows")]
    FrameTooLarge,
    /// A frame before WELCOME is larger than one of a login may be.
    #[error("frame is larger than 16 KiB, as much as one holds before WELCOME")]
    HelloTooLarge,
    /// All clients together had too much unfinished, and this one most.
    #[error(
        "too much is unfinished: more than limits.unfinished-bytes-max allows, most of it here"
    )]
    UnfinishedCrowded,
    /// A frame or message did not become whole in time.
    #[error("a message did not become whole within limits.unfinished-timeout")]
    UnfinishedTimeout,
    /// The client was so slow that retention has overtaken it.
    #[error("messages that this session was to get are trimmed, first position is {first}")]
    Trimmed {
        /// The first position that is left.
        first: Position,
    },
    /// The client answers no pings.
    #[error("nothing heard from the client for longer than limits.keep-alive-timeout")]
    KeepAliveTimeout,
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
    pub(crate) const fn uri(self) -> Option<&'static str> {
        Some(match self {
            Self::Goodbye => "wamp.close.goodbye_and_out",
            Self::Violation(_) | Self::HelloTimeout => PROTOCOL_VIOLATION,
            Self::InvalidRealm => INVALID_URI,
            Self::LoginRefused(refusal) => refusal.uri(),
            Self::RoleGone => "wamp.close.killed",
            Self::FrameTooLarge | Self::HelloTooLarge => PAYLOAD_SIZE_EXCEEDED,
            Self::UnfinishedCrowded => UNFINISHED_INPUT,
            Self::Trimmed { .. } => "vixen.error.trimmed",
            Self::KeepAliveTimeout | Self::UnfinishedTimeout => "wamp.close.timeout",
            Self::Shutdown => "wamp.close.system_shutdown",
            Self::ClientAborted | Self::Disconnected | Self::NoSessionId => return None,
        })
    }

    /// Value of the metric label `reason`.
    #[must_use]
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::ClientAborted => "client_aborted",
            Self::Disconnected => "disconnected",
            Self::Violation(_) => "protocol_violation",
            Self::InvalidRealm => "invalid_realm",
            Self::LoginRefused(_) => "login_refused",
            Self::RoleGone => "role_gone",
            Self::HelloTimeout => "hello_timeout",
            Self::FrameTooLarge | Self::HelloTooLarge => "frame_too_large",
            Self::UnfinishedCrowded => "unfinished_crowded",
            Self::UnfinishedTimeout => "unfinished_timeout",
            Self::Trimmed { .. } => "trimmed",
            Self::KeepAliveTimeout => "keep_alive_timeout",
            Self::Shutdown => "shutdown",
            Self::NoSessionId => "no_session_id",
        }
    }

    /// Whether the client is not to come back as it is: what it sent is wrong, or who it is. Client
    /// libraries take GOODBYE and ABORT as that, and come back by themselves when the WebSocket just
    /// closes; its close frame has the URI all the same.
    #[must_use]
    pub(super) const fn is_final(self) -> bool {
        match self {
            Self::Goodbye
            | Self::ClientAborted
            | Self::Disconnected
            | Self::Violation(_)
            | Self::InvalidRealm
            | Self::RoleGone
            | Self::FrameTooLarge
            | Self::HelloTooLarge => true,
            Self::LoginRefused(refusal) => !refusal.is_temporary(),
            Self::HelloTimeout
            | Self::Trimmed { .. }
            | Self::KeepAliveTimeout
            | Self::UnfinishedCrowded
            | Self::UnfinishedTimeout
            | Self::Shutdown
            | Self::NoSessionId => false,
        }
    }

    /// Whether an open session ends by GOODBYE; all else ends by ABORT.
    #[must_use]
    pub(super) const fn is_orderly(self) -> bool {
        matches!(
            self,
            Self::Goodbye
                | Self::Trimmed { .. }
                | Self::RoleGone
                | Self::KeepAliveTimeout
                | Self::UnfinishedCrowded
                | Self::UnfinishedTimeout
                | Self::Shutdown
        )
    }

    /// The WebSocket close code (RFC 6455 §7.4.1, and *Try Again Later* of its registry at IANA).
    #[must_use]
    pub(super) const fn close_code(self) -> u16 {
        match self {
            Self::LoginRefused(refusal) if refusal.is_temporary() => 1013,
            Self::Goodbye
            | Self::ClientAborted
            | Self::Disconnected
            | Self::InvalidRealm
            | Self::LoginRefused(_) => 1000,
            Self::Shutdown => 1001,
            Self::Violation(_) => 1002,
            Self::RoleGone => 1008,
            Self::FrameTooLarge | Self::HelloTooLarge => 1009,
            Self::NoSessionId => 1011,
            Self::HelloTimeout
            | Self::Trimmed { .. }
            | Self::KeepAliveTimeout
            | Self::UnfinishedCrowded
            | Self::UnfinishedTimeout => 1013,
        }
    }
}

/// What an option takes, in words.
fn wanted(option: &str) -> &'static str {
    match option {
        "ack" => "'canonical' or 'durable'",
        "match" => "'exact', 'prefix' or 'wildcard'",
        "limit" => "a whole number from 1 on",
        "exclude" | "eligible" => "a list of session ids",
        list if list.contains("_auth") => "a list of texts",
        _switch => "true or false",
    }
}

#[cfg(test)]
mod tests {
    use vixen_core::id::GroupId;

    use super::*;
    use vixen_broker::history::Trouble;

    #[test]
    fn refusals_have_the_uris_of_the_specification_and_few_labels() {
        let argument = "wamp.error.invalid_argument";
        let table = [
            (Refusal::InvalidUri, INVALID_URI, "invalid_uri"),
            (Refusal::InvalidPattern, INVALID_URI, "invalid_pattern"),
            (Refusal::TopicTooLong { max: 9 }, INVALID_URI, "topic_too_long"),
            (Refusal::ReservedUri, INVALID_URI, "reserved_uri"),
            (Refusal::TooLarge { max: 9 }, "wamp.error.payload_size_exceeded", "too_large"),
            (Refusal::InvalidOption("match"), argument, "invalid_option"),
            (Refusal::InvalidOptions, argument, "invalid_option"),
            (Refusal::InvalidAfter, argument, "invalid_option"),
            (Refusal::ListTooLong("exclude"), argument, "invalid_option"),
            (Refusal::NotAuthorized("publish"), "wamp.error.not_authorized", "not_authorized"),
            (
                Refusal::DisclosureNotAllowed,
                "wamp.error.option_disallowed.disclose_me",
                "disclosure_not_allowed",
            ),
        ];
        for (refusal, uri, label) in table {
            assert_eq!((refusal.uri(), refusal.label()), (uri, label), "{refusal}");
        }
    }

    #[test]
    fn what_a_client_can_mend_is_named() {
        let table = [
            (Refusal::InvalidOption("limit"), "'limit'"),
            (Refusal::ListTooLong("eligible"), "'eligible' has more than 1000"),
            (Refusal::TopicTooLong { max: 512 }, "512 bytes"),
            (Refusal::InvalidAfter, "not 'today'"),
            (Refusal::NotAuthorized("subscribe"), "may not subscribe"),
        ];
        for (refusal, part) in table {
            assert!(refusal.to_string().contains(part), "{refusal}");
        }
    }

    #[test]
    fn violations_are_told_apart_by_their_labels() {
        let (message, element, expected) = ("PUBLISH", "Topic", "a string");
        let all = [
            Violation::NotJson,
            Violation::NotList,
            Violation::UnknownCode,
            Violation::NoDealer,
            Violation::Unexpected("HELLO"),
            Violation::Arity("HELLO"),
            Violation::Type { message, element, expected },
            Violation::Id("PUBLISH"),
            Violation::NoRole,
            Violation::Binary,
            Violation::Text,
            Violation::Batch,
            Violation::Framing,
        ];
        let labels: std::collections::BTreeSet<_> = all.iter().map(|v| v.label()).collect();
        assert_eq!(labels.len(), all.len());
        for violation in all {
            let ending = Ending::from(violation);
            assert_eq!(ending.uri(), Some("wamp.error.protocol_violation"));
            assert_eq!((ending.label(), ending.close_code()), ("protocol_violation", 1002));
            assert!(!ending.is_orderly());
        }
    }

    #[test]
    fn endings_have_their_uri_label_close_code_and_form() {
        let first = Position(17);
        let table = [
            (Ending::Goodbye, Some("wamp.close.goodbye_and_out"), "goodbye", 1000, true),
            (Ending::ClientAborted, None, "client_aborted", 1000, false),
            (Ending::Disconnected, None, "disconnected", 1000, false),
            (Ending::InvalidRealm, Some(INVALID_URI), "invalid_realm", 1000, false),
            (
                Ending::LoginRefused(auth::Refusal::NoMatchingMethod),
                Some("wamp.error.no_matching_auth_method"),
                "login_refused",
                1000,
                false,
            ),
            (
                Ending::LoginRefused(auth::Refusal::Throttled),
                Some("vixen.error.too_many_failed_logins"),
                "login_refused",
                1013,
                false,
            ),
            (Ending::RoleGone, Some("wamp.close.killed"), "role_gone", 1008, true),
            (Ending::HelloTimeout, Some(PROTOCOL_VIOLATION), "hello_timeout", 1013, false),
            (Ending::FrameTooLarge, Some(PAYLOAD_SIZE_EXCEEDED), "frame_too_large", 1009, false),
            (Ending::HelloTooLarge, Some(PAYLOAD_SIZE_EXCEEDED), "frame_too_large", 1009, false),
            (
                Ending::UnfinishedCrowded,
                Some("vixen.error.unfinished_input"),
                "unfinished_crowded",
                1013,
                true,
            ),
            (
                Ending::UnfinishedTimeout,
                Some("wamp.close.timeout"),
                "unfinished_timeout",
                1013,
                true,
            ),
            (Ending::Trimmed { first }, Some("vixen.error.trimmed"), "trimmed", 1013, true),
            (
                Ending::KeepAliveTimeout,
                Some("wamp.close.timeout"),
                "keep_alive_timeout",
                1013,
                true,
            ),
            (Ending::Shutdown, Some("wamp.close.system_shutdown"), "shutdown", 1001, true),
            (Ending::NoSessionId, None, "no_session_id", 1011, false),
        ];
        for (ending, uri, label, code, is_orderly) in table {
            let told = (ending.uri(), ending.label(), ending.close_code(), ending.is_orderly());
            assert_eq!(told, (uri, label, code, is_orderly), "{ending}");
        }
        assert!(Ending::Trimmed { first }.to_string().ends_with("first position is 17"));
    }

    #[test]
    fn endings_are_final_where_the_same_again_would_end_the_same() {
        let first = Position(17);
        let table = [
            (Ending::Goodbye, true),
            (Ending::Violation(Violation::NotJson), true),
            (Ending::InvalidRealm, true),
            (Ending::LoginRefused(auth::Refusal::Denied), true),
            (Ending::LoginRefused(auth::Refusal::NoSuchRealm), true),
            (Ending::LoginRefused(auth::Refusal::Throttled), false),
            (Ending::RoleGone, true),
            (Ending::FrameTooLarge, true),
            (Ending::HelloTooLarge, true),
            (Ending::UnfinishedCrowded, false),
            (Ending::UnfinishedTimeout, false),
            (Ending::HelloTimeout, false),
            (Ending::Trimmed { first }, false),
            (Ending::KeepAliveTimeout, false),
            (Ending::Shutdown, false),
            (Ending::NoSessionId, false),
        ];
        for (ending, is_final) in table {
            assert_eq!(ending.is_final(), is_final, "{ending}");
        }
    }

    #[test]
    fn a_past_that_cannot_be_read_has_the_uri_of_the_history_route() {
        let (group, waited_ms, trouble) = (GroupId(2), 10_000, Trouble::Behind);
        let nodes = "D7, D8, D9".to_owned();
        let table = [
            (HistoryError::Busy { max: 64 }, "vixen.error.too_many_reads"),
            (HistoryError::NotReady, "vixen.error.not_ready"),
            (HistoryError::Trimmed { first: Position(17) }, "vixen.error.trimmed"),
            (HistoryError::Beyond { end: Position(5) }, "vixen.error.beyond_end"),
            (HistoryError::NotOfThisOrder { end: Position(5) }, "vixen.error.not_of_this_order"),
            (HistoryError::EndUnknown { waited_ms }, "vixen.error.unavailable"),
            (
                HistoryError::Unavailable { group, nodes, waited_ms, trouble },
                "vixen.error.unavailable",
            ),
            (HistoryError::Stopped, "vixen.error.shutting_down"),
        ];
        for (error, uri) in table {
            assert_eq!(history_error_uri(&error), uri);
        }
    }
}
