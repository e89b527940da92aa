//! REGISTERs that wait: the view would refuse them for callees whose entry may be gone, as that of a client is that comes
//! to another entry when its own has died.
//!
//! Each is written as soon as the registration in its way ends, or its entry is heard, here or by a quorum of sync nodes;
//! and at the latest after [`HELD_MAX`], or is answered then where the view cannot be gone by. They are pending as those
//! are that are written, and counted with them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use vixen_views::record::RegistrationId;

use super::{Effects, Pending, Registrar, Wait, refuse};
use crate::api::calls::{CalleeRequest, RegisterError};

/// So long a REGISTER waits at most: longer than it takes until an entry that was killed or stands still is called gone.
pub(super) const HELD_MAX: Duration = Duration::from_secs(3);

/// Callees of a registration that are looked at: where the first of them may all be gone, the others are taken to be, and a
/// REGISTER has waited in vain if they are not.
pub(super) const LOOKED_AT_MAX: usize = 64;

/// Those that wait, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Until when, and for the end of which registration: who came first has the lowest number and waits no longer than
    /// the others.
    all: BTreeMap<u64, (Instant, RegistrationId)>,
    by_registration: BTreeMap<RegistrationId, BTreeSet<u64>>,
    /// What they wait for has ended.
    due: BTreeSet<u64>,
    /// More may be known of entries.
    is_news: bool,
}

impl Held {
    fn add(&mut self, number: u64, until: Instant, registration: RegistrationId) {
        self.all.insert(number, (until, registration));
        self.by_registration.entry(registration).or_default().insert(number);
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.all.contains_key(&number)
    }

    /// It waits no more.
    pub(super) fn remove(&mut self, number: u64) {
        let Some((_, registration)) = self.all.remove(&number) else { return };
        self.due.remove(&number);
        if let Some(numbers) = self.by_registration.get_mut(&registration) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_registration.remove(&registration);
            }
        }
    }

    /// A registration has ended.
    pub(super) fn ended(&mut self, registration: RegistrationId) {
        self.due.extend(self.by_registration.get(&registration).into_iter().flatten());
    }

    /// More may be known of entries, or the view is another.
    pub(super) const fn look_again(&mut self) {
        self.is_news = true;
    }

    /// When one has waited for long enough.
    pub(super) fn timeout_at(&self) -> Option<Instant> {
        self.all.first_key_value().map(|(_, (until, _))| *until)
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.all.keys().copied()
    }
}

impl Registrar {
    /// Holds a REGISTER where the view would refuse it and may not for long; else does this with it.
    pub(super) fn hold_or(
        &mut self,
        now: Instant,
        number: u64,
        fx: &mut Effects,
        otherwise: impl FnOnce(&mut Self, Instant, u64, &mut Effects),
    ) {
        match self.waits_for_end(number) {
            Some(registration) => self.held.add(number, now + HELD_MAX, registration),
            None => otherwise(self, now, number, fx),
        }
    }

    /// Takes a REGISTER out that is pending and not written: nobody has read of it.
    pub(super) fn forget_unwritten(&mut self, number: u64) -> Option<Pending> {
        let pending = self.end(number)?;
        if pending.is_counted {
            self.uncount_pattern(pending.session);
        }
        Some(pending)
    }

    /// The registration that stands in the way of a REGISTER, if all its callees may be gone.
    fn waits_for_end(&self, number: u64) -> Option<RegistrationId> {
        let register = self.said_of(number)?;
        self.view().refuses(&register)?;
        let there = self.view().find(&register.pattern)?;
        let mut callees = there.callees.iter().take(LOOKED_AT_MAX);
        callees.all(|(_, callee)| self.suspects.may_be_gone(callee.life.owner)).then_some(there.id)
    }

    /// Writes those that need not wait any more.
    pub(super) fn release_held(&mut self, now: Instant, fx: &mut Effects) {
        if self.held.all.is_empty() {
            return;
        }
        if !self.is_ready() {
            return self.answer_held(now, fx);
        }
        let mut due = std::mem::take(&mut self.held.due);
        if std::mem::take(&mut self.held.is_news) {
            due.extend(self.held.numbers().filter(|number| self.waits_for_end(*number).is_none()));
        }
        let waited = self.held.all.iter().take_while(|(_, (until, _))| *until <= now);
        due.extend(waited.map(|(number, _)| *number));
        for number in due {
            self.held.remove(number);
            self.release(now, number, fx);
        }
    }

    /// The view cannot be gone by: who has waited for long enough is told so. What is to be registered anew is written
    /// when it can.
    fn answer_held(&mut self, now: Instant, fx: &mut Effects) {
        let waited = self.held.all.iter().take_while(|(_, (until, _))| *until <= now);
        for number in waited.map(|(number, _)| *number).collect::<Vec<_>>() {
            if self.pending.get(&number).is_some_and(|pending| pending.anew.is_some()) {
                self.held.remove(number);
                continue;
            }
            let Some(pending) = self.forget_unwritten(number) else { continue };
            if !pending.is_given_up {
                let request = (CalleeRequest::Register, pending.register.request);
                let error = RegisterError::Unavailable(self.waits_for().unwrap_or_default());
                refuse(pending.session, request, error, fx);
            }
        }
    }

    fn release(&mut self, now: Instant, number: u64, fx: &mut Effects) {
        let Some(pending) = self.pending.get(&number) else { return };
        if pending.is_given_up {
            self.forget_unwritten(number);
            return;
        }
        let is_awaited = pending.anew.is_none();
        self.write_or_ask(now, number, fx);
        if let Some(at) = now.checked_add(self.timeout).filter(|_| is_awaited) {
            self.waits.push_back((at, Wait::Register(number)));
        }
    }
}
