//! Why a request of a client is not served: what it asks for cannot be read, or may not be.

use vixen_broker::access;

use super::uris::{INVALID_ARGUMENT, of_refusal};

/// One request cannot be served; the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// An option cannot be read.
    Option(OptionError),
    /// It is refused.
    Access(access::Refusal),
}

/// An option that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OptionError {
    /// It has the wrong type or value.
    #[error("option '{0}' takes {wanted}", wanted = wanted(.0))]
    Invalid(&'static str),
    /// Options that no dictionary can hold: a key twice.
    #[error("the options hold a key twice")]
    Twice,
    /// A black- or whitelist is longer than anybody needs.
    #[error("option '{0}' has more than 1000 elements")]
    ListTooLong(&'static str),
    /// They are more than the authorizer of the role is told.
    #[error("the options have more than 4096 bytes, as many as the authorizer of a role is told")]
    TooLong,
    /// The option `after` names no place.
    #[error(
        "option 'after' is no position such as 42, no permanent id such as 2611210830e1a2b3a0, no \
         RFC 3339 time such as 2026-11-21T10:00:00Z, and not 'today'"
    )]
    InvalidAfter,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Option(error) => error.fmt(f),
            // By the name of what the client has asked for.
            Self::Access(refusal @ access::Refusal::DisclosureNotAllowed) => {
                write!(f, "option 'disclose_me': {refusal}")
            }
            Self::Access(refusal) => refusal.fmt(f),
        }
    }
}

impl From<OptionError> for Refusal {
    fn from(error: OptionError) -> Self {
        Self::Option(error)
    }
}

impl From<access::Refusal> for Refusal {
    fn from(refusal: access::Refusal) -> Self {
        Self::Access(refusal)
    }
}

impl Refusal {
    /// The error URI.
    #[must_use]
    pub(crate) const fn uri(self) -> &'static str {
        match self {
            Self::Option(_) => INVALID_ARGUMENT,
            Self::Access(refusal) => of_refusal(refusal),
        }
    }

    /// Value of the metric label `reason`.
    #[must_use]
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Option(_) => "invalid_option",
            Self::Access(refusal) => refusal.label(),
        }
    }
}

/// What an option takes, in words.
fn wanted(option: &str) -> &'static str {
    match option {
        "ack" => "'canonical' or 'durable'",
        "match" => "'exact', 'prefix' or 'wildcard'",
        "limit" => "a whole number from 1 on",
        "concurrency" => "a whole number from 1 to 4294967295",
        "timeout" => "a whole number of milliseconds, 0 for none",
        "mode" => "'skip', 'kill' or 'killnowait'",
        "invoke" => "'single', 'roundrobin', 'random', 'first' or 'last'",
        "rkey" => "a text",
        "ppt_scheme" => {
            "'wamp', 'mqtt' or a name that begins with 'x_', and is needed where other options of it are"
        }
        "ppt_serializer" | "ppt_cipher" | "ppt_keyid" => "a text of at most 256 bytes",
        "exclude" | "eligible" => "a list of session ids",
        list if list.contains("_auth") => "a list of texts",
        _switch => "true or false",
    }
}

#[cfg(test)]
mod tests {
    use vixen_broker::access::Act;

    use super::super::uris::INVALID_URI;
    use super::*;

    #[test]
    fn refusals_have_the_uris_of_the_specification_and_few_labels() {
        use access::Refusal as No;
        let table: [(Refusal, &str, &str); 12] = [
            (No::InvalidTopic.into(), INVALID_URI, "invalid_uri"),
            (No::InvalidPattern.into(), INVALID_URI, "invalid_pattern"),
            (No::TopicTooLong { max: 9 }.into(), INVALID_URI, "topic_too_long"),
            (No::ReservedTopic.into(), INVALID_URI, "reserved_uri"),
            (No::TooLarge { max: 9 }.into(), "wamp.error.payload_size_exceeded", "too_large"),
            (OptionError::Invalid("match").into(), INVALID_ARGUMENT, "invalid_option"),
            (OptionError::Twice.into(), INVALID_ARGUMENT, "invalid_option"),
            (OptionError::TooLong.into(), INVALID_ARGUMENT, "invalid_option"),
            (OptionError::InvalidAfter.into(), INVALID_ARGUMENT, "invalid_option"),
            (OptionError::ListTooLong("exclude").into(), INVALID_ARGUMENT, "invalid_option"),
            (No::NotAuthorized(Act::Publish).into(), "wamp.error.not_authorized", "not_authorized"),
            (
                No::DisclosureNotAllowed.into(),
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
        use access::Refusal as No;
        let table: [(Refusal, &str); 6] = [
            (OptionError::Invalid("limit").into(), "'limit'"),
            (OptionError::ListTooLong("eligible").into(), "'eligible' has more than 1000"),
            (No::TopicTooLong { max: 512 }.into(), "512 bytes"),
            (OptionError::InvalidAfter.into(), "not 'today'"),
            (No::NotAuthorized(Act::Subscribe).into(), "may not subscribe this topic"),
            (No::DisclosureNotAllowed.into(), "option 'disclose_me': the role of this session"),
        ];
        for (refusal, part) in table {
            assert!(refusal.to_string().contains(part), "{refusal}");
        }
    }
}
