//! Why a request is not served.

use super::quota::Exceeded;

/// What may be done with a topic or procedure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// To publish to it.
    Publish,
    /// To subscribe to it, or to read what was published.
    Subscribe,
    /// To call it.
    Call,
    /// To register it.
    Register,
}

impl Act {
    /// As authorizers are told.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::Call => "call",
            Self::Register => "register",
        }
    }
}

impl std::fmt::Display for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Publish => "publish to this topic",
            Self::Subscribe => "subscribe this topic",
            Self::Call => "call this procedure",
            Self::Register => "register this procedure",
        })
    }
}

/// One request is not served; who made it goes on. Gates have codes of their own for each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The topic is no name by the rule.
    #[error("topic is no URI: components without whitespace or '#', separated by single dots")]
    InvalidTopic,
    /// The procedure is no name by the rule.
    #[error("procedure is no URI: components without whitespace or '#', separated by single dots")]
    InvalidProcedure,
    /// Procedures under `wamp.` belong to the router.
    #[error("procedures that start with 'wamp.' are reserved")]
    ReservedProcedure,
    /// The topic or procedure is longer than `limits.topic-bytes-max`.
    #[error(
        "topic or procedure has more than {max} bytes, as many as limits.topic-bytes-max allows"
    )]
    TopicTooLong {
        /// The bound.
        max: usize,
    },
    /// Topics under `wamp.` belong to the router.
    #[error("topics that start with 'wamp.' are reserved")]
    ReservedTopic,
    /// The pattern is none by the rule of its kind of matching.
    #[error(
        "pattern is no URI: for match 'prefix' its last component may be empty, for 'wildcard' any"
    )]
    InvalidPattern,
    /// Topic and payload are larger than `limits.message-bytes-max`.
    #[error("message has more than {max} bytes, as many as limits.message-bytes-max allows")]
    TooLarge {
        /// The bound.
        max: usize,
    },
    /// In payload passthru mode there is one argument, and nothing else.
    #[error(
        "with option 'ppt_scheme' there is one argument and no keyword arguments; bytes, but where \
         'ppt_serializer' is 'native' or left out"
    )]
    NotPacked,
    /// A quota of the realm, or of the role for each user, is used up.
    #[error(transparent)]
    Quota(#[from] Exceeded),
    /// The role of the session does not allow it.
    #[error("the role of this session may not {0}")]
    NotAuthorized(Act),
    /// The role of the session may not say who it is, or must not hide.
    #[error("the role of this session may not disclose itself here")]
    DisclosureNotAllowed,
}

impl Refusal {
    /// Value of the metric label `reason`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::InvalidTopic | Self::InvalidProcedure => "invalid_uri",
            Self::TopicTooLong { .. } => "topic_too_long",
            Self::ReservedTopic | Self::ReservedProcedure => "reserved_uri",
            Self::InvalidPattern => "invalid_pattern",
            Self::TooLarge { .. } => "too_large",
            Self::NotPacked => "not_packed",
            Self::Quota(_) => "quota_exceeded",
            Self::NotAuthorized(_) => "not_authorized",
            Self::DisclosureNotAllowed => "disclosure_not_allowed",
        }
    }
}
