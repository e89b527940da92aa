//! REGISTERs that the view refuses: a complete view does so without a record.
//!
//! ```text
//!   REGISTER --the view refuses it--> asked --complete up to a while after it came, refuses still--> refused
//!                                          \--else, or nobody can tell in time---------------------> written
//! ```
//! A while, because who moves to another entry has left the first one by a record that is under way: with a record of
//! its own, its REGISTER would come behind that.
//!
//! Its record would be stored, and read by all entries, for nothing, as often as a client likes. A view may be behind,
//! so it has to be known to be complete, as for a call of which it knows nobody; one question does for all that wait.
//! What this entry has written and not read is behind in any case: whoever leaves by that is in nobody's way. They are
//! pending as those are that are written, and counted with them.
//!
//! Source: `docs/design/027-calls.md`, *Complete up to a moment*.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use vixen_core::id::Position;
use vixen_core::segment::TopicPattern;
use vixen_views::record::{Gone, GoneWhy, Life, RegistrationId, Said};
use vixen_views::registrations::{Callee, Refusal};

use super::held::LOOKED_AT_MAX;
use super::{Effects, Registrar, refuse};
use crate::api::SessionId;
use crate::api::calls::{CalleeRequest, Register, RegisterError};
use crate::dealer::{Routes as _, policy_of};

/// So old a REGISTER is at least when it is asked about: longer than a record takes to its place.
pub(super) const RIPE_AFTER: Duration = Duration::from_millis(250);

/// Those that wait, by their numbers, and what is known beside the view.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// From when each may be asked about: who came later, later.
    numbers: BTreeMap<u64, Instant>,
    /// Since when a question is wanted, or under way.
    asked_at: Option<Instant>,
    /// REGISTERs of this entry by force that are pending.
    forced: BTreeMap<TopicPattern, usize>,
    /// Callees that this entry has taken out, and the view has still.
    removing: BTreeSet<(RegistrationId, Callee)>,
    /// Lives that this entry has called gone, and the view has still.
    ending: BTreeSet<Life>,
}

impl Asked {
    pub(super) fn has(&self, number: u64) -> bool {
        self.numbers.contains_key(&number)
    }

    /// It waits no more.
    pub(super) fn remove(&mut self, number: u64) {
        self.numbers.remove(&number);
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.numbers.keys().copied()
    }

    /// When the next question is due.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let first = self.numbers.first_key_value().map(|(_, ripe)| *ripe);
        first.filter(|_| self.asked_at.is_none())
    }

    /// A REGISTER by force is pending.
    pub(super) fn force(&mut self, pattern: TopicPattern) {
        *self.forced.entry(pattern).or_default() += 1;
    }

    /// It is not any more.
    pub(super) fn unforce(&mut self, pattern: &TopicPattern) {
        let Some(count) = self.forced.get_mut(pattern) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.forced.remove(pattern);
        }
    }

    /// A callee is taken out; `false` where it is already.
    pub(super) fn removing(&mut self, registration: RegistrationId, callee: Callee) -> bool {
        self.removing.insert((registration, callee))
    }

    /// A callee has left.
    pub(super) fn left(&mut self, registration: RegistrationId, callee: Callee) {
        self.removing.remove(&(registration, callee));
    }

    /// A life is over.
    pub(super) fn over(&mut self, life: Life) {
        self.ending.remove(&life);
    }

    /// The view has all that was written before, or that was of a life that is over.
    pub(super) fn all_read(&mut self) {
        self.removing.clear();
        self.ending.clear();
    }
}

impl Registrar {
    /// Says that a life is over.
    pub(super) fn write_gone(&mut self, life: Life, why: GoneWhy, fx: &mut Effects) {
        self.asked.ending.insert(life);
        self.write(Said::Gone(Gone { life, why }), fx);
    }

    /// Writes a REGISTER, or waits until it is known whether that would be in vain.
    pub(super) fn write_or_ask(&mut self, now: Instant, number: u64, fx: &mut Effects) {
        match self.refusal_of(number) {
            None => self.write_register(number, fx),
            Some(refusal) if self.is_complete() => self.refuse_unwritten(number, refusal, fx),
            Some(_) => {
                let ripe = now.checked_add(RIPE_AFTER).unwrap_or(now);
                self.asked.numbers.insert(number, ripe);
            }
        }
    }

    /// Asks for a complete view, if that is due.
    pub(super) fn ask(&mut self, now: Instant, fx: &mut Effects) {
        if self.asked.due_at().is_some_and(|due| due <= now) {
            self.asked.asked_at = Some(now);
            fx.is_asking = true;
        }
    }

    /// The view had all that was placed before a question, asked when the last REGISTER was `up_to`, or nobody can tell
    /// in time: those that were old enough by then are looked at again.
    pub(super) fn on_complete(
        &mut self,
        now: Instant,
        (up_to, is_known): (u64, bool),
        fx: &mut Effects,
    ) {
        let Some(asked_at) = self.asked.asked_at.take() else { return };
        let is_due = |number: &u64, ripe: &mut Instant| *number <= up_to && *ripe <= asked_at;
        let due: Vec<_> = self.asked.numbers.extract_if(.., is_due).collect();
        for (number, _) in due {
            let Some(pending) = self.pending.get(&number) else { continue };
            if pending.is_given_up {
                self.forget_unwritten(number);
                continue;
            }
            if !self.is_ready() {
                // It counts as written, and is when the view is ready.
                continue;
            }
            match self.refusal_of(number).filter(|_| is_known) {
                Some(refusal) => self.refuse_unwritten(number, refusal, fx),
                None => self.hold_or(now, number, fx, |this, _, number, fx| {
                    this.write_register(number, fx);
                }),
            }
        }
    }

    /// Why the order would refuse a REGISTER that is not written, if the view is complete and nothing comes before it.
    fn refusal_of(&self, number: u64) -> Option<Refusal> {
        // What is registered anew is answered in another way.
        if self.pending.get(&number)?.anew.is_some() {
            return None;
        }
        let register = self.said_of(number)?;
        let refusal = self.view().refuses(&register)?;
        let there = self.view().find(&register.pattern)?;
        if self.asked.forced.contains_key(&register.pattern) {
            return None;
        }
        let mut callees = there.callees.iter().take(LOOKED_AT_MAX);
        callees.any(|(_, callee)| self.stands(there.id, &callee)).then_some(refusal)
    }

    /// Whether a callee is one for as long as is known here: nothing on its way, by this entry, takes it out.
    fn stands(&self, registration: RegistrationId, callee: &Callee) -> bool {
        let is_ending = self.asked.ending.contains(&callee.life);
        if is_ending || self.asked.removing.contains(&(registration, *callee)) {
            return false;
        }
        if callee.life.owner == self.life().owner {
            let open = self.sessions.get(&SessionId(callee.session));
            let seat = open.and_then(|open| open.seats.get(&Position(registration.0)));
            return callee.life == self.life() && seat.is_some_and(|seat| seat.leaving.is_none());
        }
        !self.suspects.may_be_gone(callee.life.owner)
    }

    /// Answers a REGISTER of which nothing was written.
    fn refuse_unwritten(&mut self, number: u64, refusal: Refusal, fx: &mut Effects) {
        let Some(pending) = self.forget_unwritten(number) else { return };
        let request = (CalleeRequest::Register, pending.register.request);
        let error = self.refused_by(refusal, pending.session, pending.register);
        refuse(pending.session, request, error, fx);
    }

    /// What a callee is told of a REGISTER that the view refuses.
    pub(super) fn refused_by(
        &self,
        refusal: Refusal,
        session: SessionId,
        register: Register,
    ) -> RegisterError {
        match refusal {
            Refusal::AlreadyExists => RegisterError::AlreadyExists(register.procedure),
            Refusal::OtherPolicy => {
                let pattern = self.pattern_of(session, &register);
                let there = pattern.and_then(|pattern| self.view().find(&pattern));
                let policy = there.map(|there| policy_of(there.invoke));
                RegisterError::OtherPolicy { procedure: register.procedure, policy }
            }
        }
    }
}
