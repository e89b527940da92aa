//! The bounds of calls, as the configuration says them.

use vixen_broker::dealer::CallLimits;
use vixen_broker::delivery::SubscriptionLimits;
use vixen_broker::registrar::RegistrationLimits;
use vixen_runtime::config::Limits;

use crate::node::limits::subscription_limits;

pub(super) fn call_limits(limits: &Limits) -> CallLimits {
    let bounds = &limits.calls;
    CallLimits {
        calls_per_session_max: bounds.per_session_max,
        calls_bytes_per_session_max: bounds.bytes_per_session_max,
        calls_max: bounds.max,
        calls_bytes_max: bounds.bytes_max,
        invocations_per_session_max: bounds.invocations_per_session_max,
        callee_queue_bytes_max: bounds.callee_queue_bytes_max,
        caller_queue_bytes_max: bounds.caller_queue_bytes_max,
        link_queue_bytes_max: limits.link_queue_bytes_max,
        call_timeout_max: bounds.call_timeout_max,
        call_timeout: bounds.call_timeout,
    }
}

/// Patterns have the bounds of subscriptions.
pub(super) fn registration_limits(limits: &Limits) -> RegistrationLimits {
    let SubscriptionLimits {
        per_session_max: _,
        patterns_per_session_max,
        patterns_per_realm_max,
        patterns_per_entry_max,
        patterns_per_address_max,
        patterns_per_site_max,
        wildcard_steps_max,
        interest_bytes_max: _,
        interest_bytes_per_address_max: _,
        interest_bytes_per_site_max: _,
        interest_bytes_per_realm_max: _,
    } = subscription_limits(limits);
    RegistrationLimits {
        per_session_max: limits.calls.registrations_per_session_max,
        per_realm_max: limits.calls.registrations_per_realm_max,
        patterns_per_session_max,
        patterns_per_address_max,
        patterns_per_site_max,
        patterns_per_realm_max,
        patterns_per_entry_max,
        wildcard_steps_max,
    }
}
