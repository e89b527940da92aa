//! The bounds of subscriptions, as the configuration says them.

use vixen_broker::delivery::SubscriptionLimits;
use vixen_runtime::config::Limits;

pub(super) const fn subscription_limits(limits: &Limits) -> SubscriptionLimits {
    SubscriptionLimits {
        per_session_max: limits.subscriptions_per_session_max,
        patterns_per_session_max: limits.patterns_per_session_max,
        patterns_per_realm_max: limits.patterns_per_realm_max,
        patterns_per_entry_max: limits.patterns_per_entry_max,
        wildcard_steps_max: limits.wildcard_steps_max,
        interest_bytes_max: limits.interest_bytes_max,
    }
}
