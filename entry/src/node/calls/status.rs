//! Calls on the status page.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use vixen_broker::api::SessionId;
use vixen_broker::dealer::{Awaited, PendingCall};
use vixen_core::segment::Match;
use vixen_views::record::Invoke;

use super::Calls;
use super::procedures::Taken;

/// Registrations that are listed, and of each so many callees.
const LISTED_MAX: usize = 100;
const CALLEES_MAX: usize = 100;

impl Calls {
    /// Open calls by side, how old the oldest is, and what the first of this entry's own callers wait for.
    pub(in crate::node) fn status(&self, now: Instant) -> Value {
        let oldest = self.dealer.oldest().map(|at| now.saturating_duration_since(at));
        let pending = self.dealer.pending(now, &self.registrar, LISTED_MAX);
        let pending: Vec<_> = pending.map(|call| self.pending(&call)).collect();
        json!({
            "origin": self.dealer.open_calls(),
            "serving": self.dealer.open_invocations(),
            "queued_bytes": self.dealer.queued_bytes(),
            "oldest_ms": oldest.map(millis),
            "pending": pending,
        })
    }

    fn pending(&self, call: &PendingCall) -> Value {
        let (kind, session, waits_for) = self.words_of(call.waits_for);
        json!({
            "caller": call.caller,
            "request": call.request,
            "realm": *call.procedure.realm,
            "procedure": *call.procedure.uri,
            "age_ms": millis(call.age),
            "timeout_in_ms": call.time_left.map(millis),
            "callees_tried": call.tried,
            "callee": session,
            "waits_for_kind": kind,
            "waits_for": waits_for,
        })
    }

    /// What an open call waits for, as a kind and in words, and the callee.
    fn words_of(&self, awaited: Awaited) -> (&'static str, Option<SessionId>, String) {
        match awaited {
            Awaited::View => {
                let text =
                    "the view of registrations, which knows nobody for it, to be known as complete";
                ("view", None, text.to_owned())
            }
            Awaited::Router => ("router", None, "this entry, which answers it itself".to_owned()),
            Awaited::Callee { entry, session, is_canceled } => {
                let name = self.view().living(entry).map(|living| living.facts.name.to_string());
                let of = if is_canceled {
                    "the end that the caller has asked for, of"
                } else {
                    "the answer of"
                };
                let name = name.unwrap_or_else(|| entry.to_string());
                let text = format!("{of} callee {} at entry {name}", session.0);
                (if is_canceled { "cancel" } else { "callee" }, Some(session), text)
            }
            Awaited::Place { at, session } => {
                let text = format!("the view of registrations to come to position {}", at.0);
                ("place", Some(session), text)
            }
            Awaited::Lease { session } => {
                let text = "word that the view of registrations is complete: the callee holds the procedure alone";
                ("lease", Some(session), text.to_owned())
            }
            Awaited::HandOver { session } => {
                let text =
                    "the lease of who held the procedure alone before: 2 s from when that is gone";
                ("hand_over", Some(session), text.to_owned())
            }
        }
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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
