//! Calls on the status page.

use std::time::Instant;

use serde_json::{Value, json};

use vixen_core::segment::Match;
use vixen_views::record::Invoke;

use super::Calls;
use super::procedures::Taken;

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

    /// The first registrations, who serves them, and what calls of this entry's callers to them have taken.
    pub(in crate::node) fn registrations(&self) -> Value {
        let view = self.registrar.view();
        let listed = view.iter().take(LISTED_MAX).map(|registration| {
            let taken = self.procedures.taken(registration.id);
            let callees = registration.callees.iter().take(CALLEES_MAX).map(|(_, callee)| {
                let entry = view.living(callee.life.owner).map(|living| &living.facts.name);
                json!({ "entry": entry, "session": callee.session })
            });
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
                "calls": taken.map_or(0, Taken::calls),
                "latency": taken.map(Taken::status),
            })
        });
        json!({ "total": view.len(), "listed": listed.collect::<Vec<_>>() })
    }

    /// How far the view of registrations has come. Where two entries have the same position and are well, they have
    /// the same chain.
    pub(in crate::node) fn view_status(&self) -> Value {
        let view = self.registrar.view();
        json!({
            "ready": self.registrar.is_ready(),
            "waits_for": self.registrar.waits_for().as_deref(),
            "position": view.position().0,
            "records": view.records(),
            "chain": view.chain().to_string(),
            "as_of": self.registrar.follower().began_with().map(|as_of| as_of.0),
        })
    }

    /// Entries whose registrations count, and whether each is heard.
    pub(in crate::node) fn lives(&self) -> Value {
        let lives = self.registrar.view().lives().map(|living| {
            json!({
                "entry": living.facts.name,
                "owner": living.life.owner.to_string(),
                "life": living.life.number,
                "link_address": living.facts.link_address.as_deref(),
                "trust": self.registrar.trust_of(living.life.owner).text(),
                "told_at": living.told_at.0,
            })
        });
        lives.collect()
    }
}
