//! Error URIs: how errors are named to clients of WAMP, and in the JSON of HTTP. This is the one place that
//! knows them.
//!
//! URIs of the WAMP specification where it has one, `vixen.error.…` elsewhere.

use vixen_broker::access;
use vixen_broker::api::calls::{CallError, MetaError, RegisterError};
use vixen_broker::api::{PublishError, SubscribeError};
use vixen_broker::history::HistoryError;
use vixen_broker::meta::Missing;

use crate::admission::RightsLost;
use crate::auth;

pub(crate) const FEATURE_NOT_SUPPORTED: &str = "wamp.error.feature_not_supported";
pub(crate) const INVALID_ARGUMENT: &str = "wamp.error.invalid_argument";
pub(crate) const INVALID_URI: &str = "wamp.error.invalid_uri";
pub(crate) const KILLED: &str = "wamp.close.killed";
pub(crate) const NOT_AUTHORIZED: &str = "wamp.error.not_authorized";
pub(crate) const PAYLOAD_SIZE_EXCEEDED: &str = "wamp.error.payload_size_exceeded";
pub(crate) const PROTOCOL_VIOLATION: &str = "wamp.error.protocol_violation";
pub(crate) const SYSTEM_SHUTDOWN: &str = "wamp.close.system_shutdown";
pub(crate) const TIMEOUT: &str = "wamp.close.timeout";
const NO_QUORUM: &str = "vixen.error.no_quorum";
const UNAVAILABLE: &str = "wamp.error.unavailable";
/// What somebody is told whose input ended for that of all.
pub(crate) const UNFINISHED_INPUT: &str = "vixen.error.unfinished_input";
/// What a client is told that does not read what it is told of calls.
pub(crate) const CALLS_UNREAD: &str = "vixen.error.calls_unread";
/// What a client is told that is to come back and register again.
pub(crate) const REGISTRATION_LOST: &str = "vixen.error.registration_lost";

/// Of a request that is not served.
#[must_use]
pub(crate) const fn of_refusal(refusal: access::Refusal) -> &'static str {
    match refusal {
        access::Refusal::InvalidTopic
        | access::Refusal::InvalidProcedure
        | access::Refusal::ReservedProcedure
        | access::Refusal::InvalidPattern
        | access::Refusal::TopicTooLong { .. }
        | access::Refusal::ReservedTopic => INVALID_URI,
        access::Refusal::NotPacked => INVALID_ARGUMENT,
        access::Refusal::TooLarge { .. } => PAYLOAD_SIZE_EXCEEDED,
        access::Refusal::Quota(_) => "vixen.error.quota_exceeded",
        access::Refusal::NotAuthorized(_) => NOT_AUTHORIZED,
        access::Refusal::DisclosureNotAllowed => "wamp.error.option_disallowed.disclose_me",
    }
}

/// Of a login that did not succeed (WAMP spec, *Advanced Profile URIs*).
#[must_use]
pub(crate) const fn of_login(refusal: auth::Refusal) -> &'static str {
    match refusal {
        auth::Refusal::Malformed { .. } => PROTOCOL_VIOLATION,
        auth::Refusal::NoSuchRealm => "wamp.error.no_such_realm",
        auth::Refusal::AuthenticationRequired | auth::Refusal::Incomplete(_) => {
            "wamp.error.authentication_required"
        }
        auth::Refusal::NoMatchingMethod => "wamp.error.no_matching_auth_method",
        auth::Refusal::ChannelBinding | auth::Refusal::NoDecision => {
            "wamp.error.authentication_failed"
        }
        auth::Refusal::Denied => "wamp.error.authentication_denied",
        auth::Refusal::Throttled => "vixen.error.too_many_failed_logins",
    }
}

/// Of what a reload has taken away.
#[must_use]
pub(crate) const fn of_rights(lost: RightsLost) -> &'static str {
    match lost {
        RightsLost::Session => KILLED,
        RightsLost::Topic(_) => NOT_AUTHORIZED,
    }
}

/// Of a message that was not acknowledged.
#[must_use]
pub(crate) const fn of_publish(error: &PublishError) -> &'static str {
    match error {
        PublishError::NoQuorum { .. } => NO_QUORUM,
        PublishError::TooLarge { .. } => PAYLOAD_SIZE_EXCEEDED,
    }
}

/// Of a call that has failed.
#[must_use]
pub(crate) fn of_call(error: &CallError) -> &str {
    match error {
        CallError::Callee { uri, .. } => uri,
        CallError::Meta(error) => of_meta(error),
        CallError::NoSuchProcedure(_) => "wamp.error.no_such_procedure",
        CallError::NoAvailableCallee { .. } => "wamp.error.no_available_callee",
        CallError::NotAnnounced { .. } => FEATURE_NOT_SUPPORTED,
        CallError::NotAuthorized => NOT_AUTHORIZED,
        CallError::Canceled | CallError::CalleeGone { .. } | CallError::CallerTooSlow => {
            "wamp.error.canceled"
        }
        CallError::Timeout { .. } => "wamp.error.timeout",
        CallError::Unavailable(_) => UNAVAILABLE,
        CallError::MaxConcurrency(_) => "crossbar.error.max_concurrency_reached",
        CallError::TooMany { .. } => "vixen.error.too_many_calls",
    }
}

/// Of a procedure of the router itself that does not do it.
pub(super) fn of_meta(error: &MetaError) -> &'static str {
    match error {
        MetaError::Argument(_) => INVALID_ARGUMENT,
        MetaError::Uri(_) => INVALID_URI,
        MetaError::NotAuthorized => NOT_AUTHORIZED,
        MetaError::History(error) => of_history(error),
        MetaError::Scope => "wamp.error.testament_error",
        MetaError::TooManyReads { .. } => "vixen.error.too_many_reads",
        MetaError::NothingSoFar { .. } => "vixen.error.nothing_so_far",
        MetaError::Unavailable(_) | MetaError::Unanswered(_) => UNAVAILABLE,
        MetaError::TooManyTestaments { .. } => "vixen.error.too_many_testaments",
        MetaError::NoSuch(Missing::Session(_) | Missing::OwnSession(_)) => {
            "wamp.error.no_such_session"
        }
        MetaError::NoSuch(Missing::Subscription(_)) => "wamp.error.no_such_subscription",
        MetaError::NoSuch(Missing::Registration(_)) => "wamp.error.no_such_registration",
    }
}

/// Of a registration that was refused.
#[must_use]
pub(crate) const fn of_register(error: &RegisterError) -> &'static str {
    match error {
        RegisterError::AlreadyExists(_) => "wamp.error.procedure_already_exists",
        RegisterError::OtherPolicy { .. } => {
            "wamp.error.procedure_exists_with_different_invocation_policy"
        }
        RegisterError::Invalid(_) => INVALID_URI,
        RegisterError::NoSuchRegistration => "wamp.error.no_such_registration",
        RegisterError::Repeated => INVALID_ARGUMENT,
        RegisterError::TooMany { .. }
        | RegisterError::TooManyOfRealm { .. }
        | RegisterError::TooManyPatternsOfSession { .. }
        | RegisterError::TooManyPatterns { .. }
        | RegisterError::TooManyShapes { .. } => "vixen.error.too_many_registrations",
        RegisterError::Unavailable(_) => UNAVAILABLE,
        RegisterError::NoQuorum { .. } => NO_QUORUM,
    }
}

/// Of a subscription that was refused.
#[must_use]
pub(crate) const fn of_subscription(error: &SubscribeError) -> &'static str {
    match error {
        SubscribeError::NoSuchSubscription => "wamp.error.no_such_subscription",
        SubscribeError::TooMany { .. } => "vixen.error.too_many_subscriptions",
        SubscribeError::TooManyPatternsOfSession { .. }
        | SubscribeError::TooManyPatterns { .. }
        | SubscribeError::TooManyShapes { .. } => "vixen.error.too_many_patterns",
        SubscribeError::InterestFull { .. } => "vixen.error.interest_full",
    }
}

/// Of a past that cannot be read.
#[must_use]
pub(crate) const fn of_history(error: &HistoryError) -> &'static str {
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

#[cfg(test)]
mod tests {
    use vixen_broker::history::Trouble;
    use vixen_core::id::{GroupId, Position};

    use super::*;
    use crate::auth::Needed;

    #[test]
    fn logins_that_are_refused_have_the_uris_of_the_specification() {
        use auth::Refusal;
        let table = [
            (Refusal::NoSuchRealm, "wamp.error.no_such_realm"),
            (Refusal::NoMatchingMethod, "wamp.error.no_matching_auth_method"),
            (Refusal::AuthenticationRequired, "wamp.error.authentication_required"),
            (Refusal::Incomplete(Needed::Name), "wamp.error.authentication_required"),
            (Refusal::Denied, "wamp.error.authentication_denied"),
            (Refusal::ChannelBinding, "wamp.error.authentication_failed"),
            (Refusal::NoDecision, "wamp.error.authentication_failed"),
            (Refusal::Malformed { field: "x", expected: "y" }, "wamp.error.protocol_violation"),
            (Refusal::Throttled, "vixen.error.too_many_failed_logins"),
        ];
        for (refusal, uri) in table {
            assert_eq!(of_login(refusal), uri);
            assert_eq!(refusal.is_failed_proof(), refusal == Refusal::Denied);
        }
    }

    #[test]
    fn a_past_that_cannot_be_read_has_one_uri_in_all_gates() {
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
            assert_eq!(of_history(&error), uri);
        }
    }
}
