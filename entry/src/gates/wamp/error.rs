//! How a connection ends, and what its client is told: the one place that knows close codes.

use vixen_core::id::Position;

use super::login;
use crate::auth;
use crate::gates::refusal::OptionError;
use crate::gates::uris::{
    CALLS_UNREAD, INVALID_URI, KILLED, PAYLOAD_SIZE_EXCEEDED, PROTOCOL_VIOLATION,
    REGISTRATION_LOST, SYSTEM_SHUTDOWN, TIMEOUT, UNFINISHED_INPUT, of_login,
};

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
    /// An option of a message of calls has a value that it cannot have.
    #[error("{message}: {error}")]
    Option {
        /// Name of the message.
        message: &'static str,
        /// Which one, and what it takes.
        error: OptionError,
    },
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
    /// A packed payload of a client that has not announced it in that role.
    #[error(
        "{0} has option 'ppt_scheme', and HELLO announces no payload_passthru_mode for its role"
    )]
    NotAnnounced(&'static str),
    /// A CALL has the id of a call that is open, and is no part of it.
    #[error("CALL has the request id {0} of an open call; number requests from 1 on")]
    Repeated(u64),
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
            Self::Option { .. } => "option",
            Self::Unexpected(_) => "unexpected",
            Self::Arity(_) => "arity",
            Self::Type { .. } => "type",
            Self::Id(_) => "id",
            Self::NotAnnounced(_) => "not_announced",
            Self::Repeated(_) => "repeated",
            Self::NoRole => "no_role",
            Self::Binary => "binary",
            Self::Text => "text",
            Self::Batch => "batch",
            Self::Framing => "framing",
        }
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
    #[error("{}", login::words(*.0))]
    LoginRefused(auth::Refusal),
    /// The realms were read again, and do not know the session any more.
    #[error("the configuration of the realm does not know this session any more")]
    RoleGone,
    /// Somebody has ended it by a procedure of the router. What its client is told is theirs to say.
    #[error("ended by another session")]
    Killed,
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
    /// The client does not read what it is told of calls.
    #[error(
        "what the session is told of calls is not read: limits.caller-queue-bytes-max, limits.callee-queue-bytes-max"
    )]
    CallsUnread,
    /// Another client has what this one had registered, and it would not know.
    #[error(
        "another has what this session had registered, and it announced no registration_revocation"
    )]
    RegistrationLost,
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
            Self::LoginRefused(refusal) => of_login(refusal),
            Self::RoleGone | Self::Killed => KILLED,
            Self::FrameTooLarge | Self::HelloTooLarge => PAYLOAD_SIZE_EXCEEDED,
            Self::UnfinishedCrowded => UNFINISHED_INPUT,
            Self::Trimmed { .. } => "vixen.error.trimmed",
            Self::CallsUnread => CALLS_UNREAD,
            Self::RegistrationLost => REGISTRATION_LOST,
            Self::KeepAliveTimeout | Self::UnfinishedTimeout => TIMEOUT,
            Self::Shutdown => SYSTEM_SHUTDOWN,
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
            Self::Killed => "killed",
            Self::HelloTimeout => "hello_timeout",
            Self::FrameTooLarge | Self::HelloTooLarge => "frame_too_large",
            Self::UnfinishedCrowded => "unfinished_crowded",
            Self::UnfinishedTimeout => "unfinished_timeout",
            Self::Trimmed { .. } => "trimmed",
            Self::CallsUnread => "calls_unread",
            Self::RegistrationLost => "registration_lost",
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
            | Self::Killed
            | Self::FrameTooLarge
            | Self::HelloTooLarge => true,
            Self::LoginRefused(refusal) => !refusal.is_temporary(),
            Self::HelloTimeout
            | Self::Trimmed { .. }
            | Self::CallsUnread
            | Self::RegistrationLost
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
                | Self::CallsUnread
                | Self::RegistrationLost
                | Self::RoleGone
                | Self::Killed
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
            Self::RoleGone | Self::Killed => 1008,
            Self::FrameTooLarge | Self::HelloTooLarge => 1009,
            Self::NoSessionId => 1011,
            Self::HelloTimeout
            | Self::Trimmed { .. }
            | Self::CallsUnread
            | Self::RegistrationLost
            | Self::KeepAliveTimeout
            | Self::UnfinishedCrowded
            | Self::UnfinishedTimeout => 1013,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_are_told_apart_by_their_labels() {
        let (message, element, expected) = ("PUBLISH", "Topic", "a string");
        let all = [
            Violation::NotJson,
            Violation::NotList,
            Violation::UnknownCode,
            Violation::Option { message: "CALL", error: OptionError::Invalid("timeout") },
            Violation::Unexpected("HELLO"),
            Violation::Arity("HELLO"),
            Violation::Type { message, element, expected },
            Violation::Id("PUBLISH"),
            Violation::NotAnnounced("CALL"),
            Violation::Repeated(7),
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
            (
                Ending::LoginRefused(auth::Refusal::NoDecision),
                Some("wamp.error.authentication_failed"),
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
            (Ending::CallsUnread, Some("vixen.error.calls_unread"), "calls_unread", 1013, true),
            (
                Ending::RegistrationLost,
                Some("vixen.error.registration_lost"),
                "registration_lost",
                1013,
                true,
            ),
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
            (Ending::LoginRefused(auth::Refusal::NoDecision), false),
            (Ending::RoleGone, true),
            (Ending::FrameTooLarge, true),
            (Ending::HelloTooLarge, true),
            (Ending::UnfinishedCrowded, false),
            (Ending::UnfinishedTimeout, false),
            (Ending::HelloTimeout, false),
            (Ending::Trimmed { first }, false),
            (Ending::RegistrationLost, false),
            (Ending::KeepAliveTimeout, false),
            (Ending::Shutdown, false),
            (Ending::NoSessionId, false),
        ];
        for (ending, is_final) in table {
            assert_eq!(ending.is_final(), is_final, "{ending}");
        }
    }
}
