//! Books: what each callee of this entry serves, and what it has not answered.

use std::collections::BTreeMap;

use vixen_core::id::{OwnerId, Position};

use super::io::Terms;
use super::words::CallNumber;
use crate::api::SessionId;
use crate::api::calls::{InvocationId, RegistrationId};

/// A call that is with a callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invocation {
    /// Its origin.
    pub(super) from: OwnerId,
    /// Its number there.
    pub(super) number: CallNumber,
    pub(super) registration: Position,
    /// INTERRUPT with the mode `kill` was sent.
    pub(super) is_interrupted: bool,
    /// More may come of it than one answer.
    pub(super) may_go_on: bool,
}

/// A registration that a session serves, or has served.
#[derive(Debug)]
pub(super) struct Service {
    terms: Terms,
    /// Its invocations that are not answered.
    taken: u32,
    /// The session has left it: it is kept until what is open has ended.
    has_left: bool,
}

impl Service {
    /// Whether the callee takes no more at once.
    pub(super) fn is_full(&self) -> bool {
        self.terms.concurrency.is_some_and(|max| self.taken >= max.get())
    }
}

#[derive(Debug, Default)]
struct Book {
    last: u64,
    invocations: BTreeMap<InvocationId, Invocation>,
    services: BTreeMap<Position, Service>,
}

/// The books of all callees.
#[derive(Debug, Default)]
pub(super) struct Callees {
    books: BTreeMap<SessionId, Book>,
    /// The entry is about to stop: none of them gets a new call.
    pub(super) is_draining: bool,
}

impl Callees {
    pub(super) fn serve(&mut self, session: SessionId, registration: Position, terms: Terms) {
        let services = &mut self.books.entry(session).or_default().services;
        let taken = services.get(&registration).map_or(0, |service| service.taken);
        services.insert(registration, Service { terms, taken, has_left: false });
    }

    pub(super) fn leave(&mut self, session: SessionId, registration: Position) {
        let Some(book) = self.books.get_mut(&session) else { return };
        if let Some(service) = book.services.get_mut(&registration) {
            service.has_left = true;
        }
        book.tidy(registration);
    }

    /// What the session serves now under this registration.
    pub(super) fn service(&self, session: SessionId, registration: Position) -> Option<&Service> {
        let service = self.books.get(&session)?.services.get(&registration)?;
        (!service.has_left).then_some(service)
    }

    /// Invocations that the session has not answered.
    pub(super) fn invocations(&self, session: SessionId) -> usize {
        self.books.get(&session).map_or(0, |book| book.invocations.len())
    }

    /// Gives a call to a session: it takes a slot.
    pub(super) fn invoke(
        &mut self,
        session: SessionId,
        call: Invocation,
    ) -> Option<(InvocationId, Terms)> {
        let book = self.books.get_mut(&session)?;
        let service = book.services.get_mut(&call.registration)?;
        service.taken += 1;
        book.last += 1;
        let invocation = InvocationId(book.last);
        book.invocations.insert(invocation, call);
        Some((invocation, service.terms))
    }

    /// A call that is with a session, and on which terms.
    pub(super) fn call(
        &self,
        session: SessionId,
        invocation: InvocationId,
    ) -> Option<(Invocation, Terms)> {
        let book = self.books.get(&session)?;
        let call = book.invocations.get(&invocation)?;
        Some((*call, book.services.get(&call.registration)?.terms))
    }

    pub(super) fn set_interrupted(&mut self, session: SessionId, invocation: InvocationId) {
        self.with_call(session, invocation, |call| call.is_interrupted = true);
    }

    /// Whether more may come of it than one answer.
    pub(super) fn set_going_on(
        &mut self,
        session: SessionId,
        invocation: InvocationId,
        may_go_on: bool,
    ) {
        self.with_call(session, invocation, |call| call.may_go_on = may_go_on);
    }

    fn with_call(
        &mut self,
        session: SessionId,
        invocation: InvocationId,
        change: impl FnOnce(&mut Invocation),
    ) {
        let book = self.books.get_mut(&session);
        if let Some(call) = book.and_then(|book| book.invocations.get_mut(&invocation)) {
            change(call);
        }
    }

    /// Invocations of a registration, as the session was told it, of which more may come than one answer; oldest
    /// first.
    pub(super) fn going_on(
        &self,
        session: SessionId,
        told: RegistrationId,
    ) -> Vec<(InvocationId, Invocation)> {
        let Some(Book { invocations, services, .. }) = self.books.get(&session) else {
            return Vec::new();
        };
        let is_it = |call: &Invocation| {
            let service = services.get(&call.registration);
            call.may_go_on && service.is_some_and(|service| service.terms.told == told)
        };
        let found = invocations.iter().filter(|(_, call)| is_it(call));
        found.map(|(invocation, call)| (*invocation, *call)).collect()
    }

    /// A call is with the session no more: its slot is free.
    pub(super) fn end(&mut self, session: SessionId, invocation: InvocationId) {
        let Some(book) = self.books.get_mut(&session) else { return };
        let Some(call) = book.invocations.remove(&invocation) else { return };
        if let Some(service) = book.services.get_mut(&call.registration) {
            assert!(service.taken > 0, "J3: a slot of {call:?}");
            service.taken -= 1;
        }
        book.tidy(call.registration);
    }

    /// The session is gone. Returns what it has not answered, oldest first.
    pub(super) fn close(&mut self, session: SessionId) -> impl Iterator<Item = Invocation> + use<> {
        self.books.remove(&session).unwrap_or_default().invocations.into_values()
    }

    pub(super) fn all_invocations(&self) -> usize {
        self.books.values().map(|book| book.invocations.len()).sum()
    }

    /// Asserts J3 and the bound of each callee.
    pub(super) fn check(&self, invocations_max: usize) {
        for (session, book) in &self.books {
            assert!(book.invocations.len() <= invocations_max, "J4: invocations of {session:?}");
            let mut taken: BTreeMap<Position, u32> = BTreeMap::new();
            for call in book.invocations.values() {
                *taken.entry(call.registration).or_default() += 1;
            }
            for (registration, service) in &book.services {
                let known = taken.remove(registration).unwrap_or(0);
                assert_eq!(service.taken, known, "J3: slots of {registration:?} at {session:?}");
                assert!(!service.has_left || known > 0, "J3: nothing is kept of what was left");
            }
            assert!(taken.is_empty(), "J3: {session:?} serves {taken:?} without slots");
        }
    }
}

impl Book {
    /// Forgets a registration that the session has left, once nothing of it is open.
    fn tidy(&mut self, registration: Position) {
        let is_over = |service: &Service| service.has_left && service.taken == 0;
        if self.services.get(&registration).is_some_and(is_over) {
            self.services.remove(&registration);
        }
    }
}
