//! The registrar's view, as the dealer asks it.

use std::sync::Arc;
use std::time::Instant;

use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::{Match, Topic};
use vixen_views::record::{self, RegistrationId};
use vixen_views::registrations;

use super::Registrar;
use crate::access::is_reserved;
use crate::api::SessionId;
use crate::api::calls::Invoke;
use crate::dealer::{Callee, Hold, Route, Routes};

impl Routes for Registrar {
    fn find(&self, procedure: &Topic) -> Result<Option<Route>, Arc<str>> {
        // As it stops, what is open may still find another callee.
        if let Some(why) = self.waits_for().filter(|_| !self.is_over()) {
            return Err(why);
        }
        // What the router serves itself is nobody's, also where a pattern has its name.
        let is_served = |found: &&registrations::Registration| {
            found.pattern.matching == Match::Exact || !is_reserved(&procedure.uri)
        };
        let found = self.view().lookup(procedure).filter(is_served);
        Ok(found.map(|registration| Route {
            registration: Position(registration.id.0),
            is_pattern: registration.pattern.matching != Match::Exact,
            policy: policy_of(registration.invoke),
        }))
    }

    fn callees(
        &self,
        registration: Position,
    ) -> impl DoubleEndedIterator<Item = (Position, Callee)> {
        let found = self.view().get(RegistrationId(registration.0));
        let callees = found.into_iter().flat_map(|found| found.callees.iter());
        callees.map(|(place, callee)| (place, callee_of(callee)))
    }

    fn callees_after(
        &self,
        registration: Position,
        place: Position,
    ) -> impl Iterator<Item = (Position, Callee)> {
        let found = self.view().get(RegistrationId(registration.0));
        let callees = found.into_iter().flat_map(move |found| found.callees.after(place));
        callees.map(|(place, callee)| (place, callee_of(callee)))
    }

    fn keeps_timeouts(&self, registration: Position, place: Position) -> bool {
        let found = self.view().get(RegistrationId(registration.0));
        found.is_some_and(|found| found.callees.keeps_timeouts(place))
    }

    fn name_of(&self, entry: OwnerId) -> Option<Arc<str>> {
        self.view().living(entry).map(|living| living.facts.name.as_str().into())
    }

    fn is_complete(&self) -> bool {
        if !self.is_alone || self.tenures.has_links() {
            return false;
        }
        let own = self.life().owner;
        self.view().lives().all(|living| living.life.owner == own)
    }

    fn applied(&self) -> Position {
        self.view().position()
    }

    fn hold(&self, now: Instant, registration: Position) -> Option<Hold> {
        let found = self.view().get(RegistrationId(registration.0))?;
        if found.invoke != record::Invoke::Single {
            return None;
        }
        if self.is_complete() {
            return None;
        }
        let is_held = self.tenures.is_held(now, &found.pattern, self.life().owner);
        Some(if is_held { Hold::HandOver } else { Hold::Lease })
    }
}

const fn callee_of(callee: registrations::Callee) -> Callee {
    Callee { owner: callee.life.owner, session: SessionId(callee.session) }
}

const fn policy_of(invoke: record::Invoke) -> Invoke {
    match invoke {
        record::Invoke::Single => Invoke::Single,
        record::Invoke::RoundRobin => Invoke::RoundRobin,
        record::Invoke::Random => Invoke::Random,
        record::Invoke::First => Invoke::First,
        record::Invoke::Last => Invoke::Last,
    }
}
