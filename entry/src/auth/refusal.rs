//! Why somebody is not let in.

/// A login that did not succeed. The texts are for the client and tell nothing about users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The details of HELLO, or of AUTHENTICATE, are not what the specification says.
    #[error("{field} is not {expected}")]
    Malformed {
        /// The field, with its dictionaries.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// There is no such realm.
    #[error("no such realm here")]
    NoSuchRealm,
    /// The client wants to be anonymous, and the realm does not have that.
    #[error("this realm has no anonymous sessions: offer a method in HELLO.Details.authmethods")]
    AuthenticationRequired,
    /// The method needs something that HELLO does not have.
    #[error("this method of authentication needs {0}")]
    Incomplete(&'static str),
    /// The realm has none of the methods that the client offers.
    #[error("this realm has none of the methods in HELLO.Details.authmethods")]
    NoMatchingMethod,
    /// The client wants its proof bound to a TLS channel.
    #[error("channel binding is not supported: leave authextra.channel_binding out, or null")]
    ChannelBinding,
    /// The proof is wrong, or there is no such user: which one is not told.
    #[error("authentication denied")]
    Denied,
    /// Too many failures came from the client's address, or for the account.
    #[error("too many failed logins from this address or for this name: try again later")]
    Throttled,
}

impl Refusal {
    /// The reason of ABORT (WAMP spec, *Advanced Profile URIs*).
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Malformed { .. } => "wamp.error.protocol_violation",
            Self::NoSuchRealm => "wamp.error.no_such_realm",
            Self::AuthenticationRequired | Self::Incomplete(_) => {
                "wamp.error.authentication_required"
            }
            Self::NoMatchingMethod => "wamp.error.no_matching_auth_method",
            Self::ChannelBinding => "wamp.error.authentication_failed",
            Self::Denied => "wamp.error.authentication_denied",
            Self::Throttled => "vixen.error.too_many_failed_logins",
        }
    }

    /// Value of a metric label `reason`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::NoSuchRealm => "no_such_realm",
            Self::AuthenticationRequired => "authentication_required",
            Self::Incomplete(_) => "incomplete",
            Self::NoMatchingMethod => "no_matching_method",
            Self::ChannelBinding => "channel_binding",
            Self::Denied => "denied",
            Self::Throttled => "throttled",
        }
    }

    /// Whether the same login may succeed later, with nothing changed at either end.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        match self {
            Self::Throttled => true,
            Self::Malformed { .. }
            | Self::NoSuchRealm
            | Self::AuthenticationRequired
            | Self::Incomplete(_)
            | Self::NoMatchingMethod
            | Self::ChannelBinding
            | Self::Denied => false,
        }
    }

    /// Whether it may be a guess, which [`FailureGate`](super::FailureGate) is to count.
    #[must_use]
    pub const fn is_failed_proof(self) -> bool {
        match self {
            Self::Denied => true,
            Self::Malformed { .. }
            | Self::NoSuchRealm
            | Self::AuthenticationRequired
            | Self::Incomplete(_)
            | Self::NoMatchingMethod
            | Self::ChannelBinding
            | Self::Throttled => false,
        }
    }
}
