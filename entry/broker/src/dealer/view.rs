//! The view of the registrations, as calls are routed by it.

use std::sync::Arc;

use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::{Match, Topic};
use vixen_views::record::{self, RegistrationId};
use vixen_views::registrations::{self, Registrations};

use super::routes::{Callee, Route, Routes};
use crate::api::SessionId;
use crate::api::calls::Invoke as Policy;

/// It answers by what it has applied; whether that is enough is for whoever reads the order to say.
impl Routes for Registrations {
    fn find(&self, procedure: &Topic) -> Result<Option<Route>, Arc<str>> {
        Ok(self.lookup(procedure).map(|found| Route {
            registration: Position(found.id.0),
            is_pattern: found.pattern.matching != Match::Exact,
            policy: policy_of(found.invoke),
        }))
    }

    fn callees(
        &self,
        registration: Position,
    ) -> impl DoubleEndedIterator<Item = (Position, Callee)> {
        let found = self.get(RegistrationId(registration.0));
        found.into_iter().flat_map(|found| found.callees.iter()).map(callee_of)
    }

    fn callees_after(
        &self,
        registration: Position,
        place: Position,
    ) -> impl Iterator<Item = (Position, Callee)> {
        let found = self.get(RegistrationId(registration.0));
        found.into_iter().flat_map(move |found| found.callees.after(place)).map(callee_of)
    }

    fn number_of_callees(&self, registration: Position) -> usize {
        self.get(RegistrationId(registration.0)).map_or(0, |found| found.callees.len())
    }

    fn keeps_timeouts(&self, registration: Position, place: Position) -> bool {
        let found = self.get(RegistrationId(registration.0));
        found.is_some_and(|found| found.callees.keeps_timeouts(place))
    }

    fn name_of(&self, entry: OwnerId) -> Option<Arc<str>> {
        self.living(entry).map(|living| living.facts.name.as_str().into())
    }

    fn applied(&self) -> Position {
        self.position()
    }
}

const fn callee_of((place, callee): (Position, registrations::Callee)) -> (Position, Callee) {
    let registrations::Callee { life, session } = callee;
    (place, Callee { owner: life.owner, session: SessionId(session) })
}

/// The policy of a record.
#[must_use]
pub const fn policy_of(invoke: record::Invoke) -> Policy {
    match invoke {
        record::Invoke::Single => Policy::Single,
        record::Invoke::RoundRobin => Policy::RoundRobin,
        record::Invoke::Random => Policy::Random,
        record::Invoke::First => Policy::First,
        record::Invoke::Last => Policy::Last,
    }
}
