//! Why somebody is not let in.

/// What a way to log in needs, and the client does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Needed {
    /// Who it is.
    #[error("a name")]
    Name,
    /// For cryptosign.
    #[error("an Ed25519 public key, 32 bytes in hex")]
    PublicKey,
    /// For SCRAM.
    #[error("random bytes in base64, 256 characters at most")]
    Nonce,
}

/// A login that did not succeed. The texts are for the client and tell nothing about users; where a gate
/// can name what is missing as its protocol does, it has texts of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Something that the client says is not what its protocol wants: the gate cannot read it.
    #[error("{field} is not {expected}")]
    Malformed {
        /// What it is, as the protocol calls it.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// There is no such realm.
    #[error("no such realm here")]
    NoSuchRealm,
    /// The client wants to be anonymous, and the realm does not have that.
    #[error("this realm has no anonymous sessions")]
    AuthenticationRequired,
    /// The method needs something that the client does not say.
    #[error("this method of authentication needs {0}")]
    Incomplete(Needed),
    /// The realm has none of the methods that the client offers.
    #[error("this realm has none of the methods that are offered")]
    NoMatchingMethod,
    /// The client wants its proof bound to a TLS channel.
    #[error("channel binding is not supported")]
    ChannelBinding,
    /// The proof is wrong, or there is no such user: which one is not told.
    #[error("authentication denied")]
    Denied,
    /// The procedure that decides about logins by this method does not answer, or nothing that may be.
    #[error(
        "what decides about this login does not answer, or not with a role of the realm: try again later"
    )]
    NoDecision,
    /// Too many failures came from the client's address, or for the account.
    #[error("too many failed logins from this address or for this name: try again later")]
    Throttled,
}

impl Refusal {
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
            Self::NoDecision => "no_decision",
            Self::Throttled => "throttled",
        }
    }

    /// Whether the same login may succeed later, with nothing changed at either end.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        match self {
            Self::Throttled | Self::NoDecision => true,
            Self::Malformed { .. }
            | Self::NoSuchRealm
            | Self::AuthenticationRequired
            | Self::Incomplete(_)
            | Self::NoMatchingMethod
            | Self::ChannelBinding
            | Self::Denied => false,
        }
    }

    /// Whether it may be a guess, which [`LoginThrottle`](super::LoginThrottle) is to count.
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
            | Self::NoDecision
            | Self::Throttled => false,
        }
    }
}
