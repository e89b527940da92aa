//! The bounds of subscriptions and testaments, as the configuration says them.

use vixen_broker::delivery::SubscriptionLimits;
use vixen_broker::meta::TestamentLimits;
use vixen_runtime::address::WideBlock;
use vixen_runtime::config::Limits;

pub(super) fn subscription_limits(limits: &Limits) -> SubscriptionLimits {
    let patterns = limits.patterns_per_address_max;
    let bytes = limits.interest_bytes_per_address_max;
    // Of a realm as of the entry: one site shuts nobody out.
    let patterns_of_all = limits.patterns_per_realm_max.min(limits.patterns_per_entry_max);
    let bytes_of_all = limits.interest_bytes_per_realm_max.min(limits.interest_bytes_max);
    SubscriptionLimits {
        per_session_max: limits.subscriptions_per_session_max,
        patterns_per_session_max: limits.patterns_per_session_max,
        patterns_per_realm_max: limits.patterns_per_realm_max,
        patterns_per_entry_max: limits.patterns_per_entry_max,
        patterns_per_address_max: patterns,
        patterns_per_site_max: WideBlock::share_of(patterns, patterns_of_all),
        wildcard_steps_max: limits.wildcard_steps_max,
        interest_bytes_max: limits.interest_bytes_max,
        interest_bytes_per_address_max: bytes,
        interest_bytes_per_site_max: WideBlock::share_of(bytes, bytes_of_all),
        interest_bytes_per_realm_max: limits.interest_bytes_per_realm_max,
    }
}

pub(super) fn testament_limits(limits: &Limits) -> TestamentLimits {
    let calls = &limits.calls;
    let (share, whole) = (calls.testaments_bytes_per_address_max, calls.testaments_bytes_max);
    TestamentLimits {
        per_session_max: calls.testaments_per_session_max,
        bytes_per_session_max: calls.testaments_bytes_per_session_max,
        bytes_per_address_max: share,
        bytes_per_site_max: WideBlock::share_of(share, whole),
        bytes_max: whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where one address may have everything, as behind a proxy that is not trusted, so may its site.
    #[test]
    fn a_site_has_no_less_than_an_address_and_no_more_than_eight_or_half() {
        let limits = Limits {
            patterns_per_entry_max: 100,
            patterns_per_address_max: 80,
            interest_bytes_max: 100,
            interest_bytes_per_address_max: 3,
            ..Limits::default()
        };
        let of = subscription_limits(&limits);
        assert_eq!((of.patterns_per_site_max, of.interest_bytes_per_site_max), (80, 24));
        let of = subscription_limits(&Limits::default());
        assert_eq!((of.patterns_per_site_max, of.interest_bytes_per_site_max), (25_000, 16 << 20));
    }
}
