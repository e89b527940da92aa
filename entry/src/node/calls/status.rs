//! Calls on the status page.

use std::time::Instant;

use serde_json::{Value, json};

use vixen_core::segment::Match;
use vixen_views::record::Invoke;

use super::Calls;

/// Registrations that are listed, and of each so many callees.
const LISTED_MAX: usize = 100;
const CALLEES_MAX: usize = 100;

impl Calls {
    /// Open calls by side, and how old the oldest is.
    pub(in crate::node) fn status(&self, now: Instant) -> Value {
        let oldest = self.dealer.oldest().map(|at| now.saturating_duration_since(at));
        json!({
            "origin": self.dealer.open_calls(),
            "serving": self.dealer.open_invocations(),
            "queued_bytes": self.dealer.queued_bytes(),
            "oldest_ms": oldest.and_then(|age| u64::try_from(age.as_millis()).ok()),
        })
    }

    /// The first registrations, and who serves them.
    pub(in crate::node) fn registrations(&self) -> Value {
        let view = self.registrar.view();
        let listed = view.iter().take(LISTED_MAX).map(|registration| {
            let callees = registration.callees.iter().map(|(_, callee)| callee.session);
            let callees = callees.take(CALLEES_MAX);
            json!({
                "id": registration.id.0,
                "realm": *registration.pattern.realm,
                "uri": *registration.pattern.uri,
                "match": match registration.pattern.matching {
                    Match::Exact | Match::Dotted => "exact",
                    Match::Prefix => "prefix",
                    Match::Wildcard => "wildcard",
                },
                "invoke": match registration.invoke {
                    Invoke::Single => "single",
                    Invoke::RoundRobin => "roundrobin",
                    Invoke::Random => "random",
                    Invoke::First => "first",
                    Invoke::Last => "last",
                },
                "callees": callees.collect::<Vec<_>>(),
                "callees_total": registration.callees.len(),
            })
        });
        json!({ "total": view.len(), "listed": listed.collect::<Vec<_>>() })
    }
}
