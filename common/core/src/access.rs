//! Access: what a configuration may say of topics, publishers and how much is published.

use std::fmt;

use serde::Serialize;

/// A site of IPv6 may have so many times as much of anything as one client address.
pub const SITE_SHARES: usize = 8;

/// The two rules for names of topics and realms (WAMP spec §2.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UriCheck {
    /// Components without whitespace, `.` and `#`.
    #[default]
    Loose,
    /// Components of small letters, digits and `_`.
    Strict,
}

impl fmt::Display for UriCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loose => "loose",
            Self::Strict => "strict",
        })
    }
}

/// Whether the subscribers of a message are told its publisher (WAMP spec, *Publisher
/// Identification*).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disclosure {
    /// `never`: a publisher who asks for it is refused.
    Never,
    /// `on-request`: when the publisher asks.
    #[default]
    OnRequest,
    /// `always`: asked or not.
    Always,
}

impl fmt::Display for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "never",
            Self::OnRequest => "on-request",
            Self::Always => "always",
        })
    }
}

/// How much may be published through one entry: by a user, or in a realm. `None`, the default of each:
/// without bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// `messages-per-second`.
    pub messages_per_second: Option<u64>,
    /// `bytes-per-second`: of topics and payloads.
    pub bytes_per_second: Option<u64>,
    /// `topics-per-second`: topics that were not published before.
    pub topics_per_second: Option<u64>,
    /// `topics-max`: different topics of one to two days.
    pub topics_max: Option<u64>,
}

impl Quota {
    /// Without bound.
    pub const UNLIMITED: Self = Self {
        messages_per_second: None,
        bytes_per_second: None,
        topics_per_second: None,
        topics_max: None,
    };

    /// Users of an entry whose quotas are remembered.
    pub const USERS_MAX: usize = 1 << 16;

    /// Topics that are told apart where only new ones a second are bounded.
    const TOPICS_KNOWN: u64 = 1 << 14;

    /// How many topics are remembered for it at most; `None`: it bounds none.
    #[must_use]
    pub fn topics_kept(&self) -> Option<u64> {
        self.topics_max.or(self.topics_per_second.map(|_bound| Self::TOPICS_KNOWN))
    }

    /// Whether nothing is bounded.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::UNLIMITED
    }
}
