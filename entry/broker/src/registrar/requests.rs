//! What sessions ask for: each becomes a record, and is answered when that is applied (`applied`).

use super::*;
use crate::client::OWN_REQUEST;

/// Where so many records have no room on their way to the order, nobody registers. Those of ends come to it still:
/// of each place, and each session, there is one.
const UNSENT_MAX: usize = 1024;
/// So many UNREGISTERs of one place may wait for its end.
const LEAVING_MAX: usize = 16;

impl Registrar {
    pub(super) fn on_register(
        &mut self,
        now: Instant,
        session: SessionId,
        register: Register,
        fx: &mut Effects,
    ) {
        let Some(pattern) = self.pattern_of(session, &register) else { return };
        let request = (CalleeRequest::Register, register.request);
        let unready = self.refuses_all().map(RegisterError::Unavailable);
        let admitted = unready.map_or_else(|| self.admit(session, &pattern), Err);
        let is_new = match admitted {
            Ok(is_new) => is_new,
            Err(error) => return refuse(session, request, error, fx),
        };
        let (is_counted, is_coming) = (is_new && !pattern.is_exact(), is_new && pattern.is_exact());
        let (anew, is_given_up) = (None, false);
        let pending = Pending { session, register, is_counted, is_coming, anew, is_given_up };
        if !is_new && let Some(id) = self.has_already(&pending) {
            return self.seat(pending, id, fx);
        }
        if is_counted {
            self.count_pattern(session);
        }
        if pending.register.is_forced {
            self.cease(&pattern, fx);
        }
        let number = self.begin(now, pending, fx);
        let at = now.checked_add(self.timeout).filter(|_| !self.held.has(number));
        if let Some(at) = at {
            self.waits.push_back((at, Wait::Register(number)));
        }
    }

    /// Where a session has its place already, and asks for nothing else: then nobody need hear of it.
    fn has_already(&self, pending: &Pending) -> Option<Position> {
        let Pending { session, register, .. } = pending;
        if register.is_forced || self.asks_for(*session, register).next().is_some() {
            return None;
        }
        let there = self.view().find(&self.pattern_of(*session, register)?)?;
        let is_shared = there.invoke != record::Invoke::Single;
        (is_shared && there.invoke == invoke_of(register.invoke)).then_some(Position(there.id.0))
    }

    /// What a session has pending of a procedure.
    pub(super) fn asks_for(
        &self,
        session: SessionId,
        register: &Register,
    ) -> impl Iterator<Item = &Pending> {
        let numbers = self.sessions.get(&session).map(|open| &open.registering);
        let pending = numbers.into_iter().flatten().filter_map(|number| self.pending.get(number));
        pending.filter(|other| {
            other.register.procedure == register.procedure
                && other.register.matching == register.matching
        })
    }

    /// Why nobody may register now.
    #[must_use]
    pub fn refuses_all(&self) -> Option<Arc<str>> {
        if self.is_stopping {
            return Some("the entry is about to stop".into());
        }
        let full = "what was registered before waits for limits.entry-unacknowledged-bytes-max";
        self.waits_for().or_else(|| (self.unsent >= UNSENT_MAX).then(|| full.into()))
    }

    /// Writes a REGISTER, now or when nobody who may be gone is in its way; its number.
    pub(super) fn begin(&mut self, now: Instant, pending: Pending, fx: &mut Effects) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        if let Some(open) = self.sessions.get_mut(&pending.session) {
            open.registering.insert(number);
        }
        if let Some(pattern) = self.pattern_of(pending.session, &pending.register) {
            if pending.is_counted {
                self.coming.add(&pattern);
            } else if pending.is_coming {
                self.coming.add_exact(&pattern.realm);
            }
            if pending.is_by_force() {
                self.asked.force(pattern);
            }
        }
        self.pending.insert(number, pending);
        self.hold_or(now, number, fx, Self::write_or_ask);
        number
    }

    /// Who holds a procedure alone, at this entry, is not invoked any more from before another takes it by force: no
    /// other entry waits for this one.
    fn cease(&self, pattern: &TopicPattern, fx: &mut Effects) {
        let there = self.view().find(pattern);
        let Some(there) = there.filter(|there| there.invoke == record::Invoke::Single) else {
            return;
        };
        let registration = Position(there.id.0);
        let own = there.callees.iter().filter(|(_, callee)| callee.life.owner == self.life().owner);
        for session in own.map(|(_, callee)| SessionId(callee.session)) {
            fx.dealer.push(dealer::Input::Leaves { session, registration });
        }
    }

    /// Writes the REGISTER with this number, by the present life.
    pub(super) fn write_register(&self, number: u64, fx: &mut Effects) {
        if let Some(register) = self.said_of(number) {
            self.write(Said::Register(register), fx);
        }
    }

    /// What the record of a REGISTER says.
    pub(super) fn said_of(&self, number: u64) -> Option<record::Register> {
        let pending = self.pending.get(&number)?;
        let Pending { session, register, .. } = pending;
        let keeps_timeouts = self.sessions.get(session)?.info.calls.keeps_timeouts;
        Some(record::Register {
            number,
            session: session.0,
            pattern: self.pattern_of(*session, register)?,
            invoke: invoke_of(register.invoke),
            is_forced: pending.is_by_force(),
            keeps_timeouts: register.forwards_timeout && keeps_timeouts,
        })
    }

    /// Takes a REGISTER out that is not pending any more.
    pub(super) fn end(&mut self, number: u64) -> Option<Pending> {
        let pending = self.pending.remove(&number)?;
        self.held.remove(number);
        self.asked.remove(number);
        if let Some(pattern) = self.pattern_of(pending.session, &pending.register) {
            if pending.is_counted {
                self.coming.remove(&pattern);
            } else if pending.is_coming {
                self.coming.remove_exact(&pattern.realm);
            }
            if pending.is_by_force() {
                self.asked.unforce(&pattern);
            }
        }
        if let Some(open) = self.sessions.get_mut(&pending.session) {
            open.registering.remove(&number);
        }
        Some(pending)
    }

    /// Whether the session may register this, and whether it has one more by that.
    fn admit(&self, session: SessionId, pattern: &TopicPattern) -> Result<bool, RegisterError> {
        let Some(open) = self.sessions.get(&session) else {
            return Err(RegisterError::NoSuchRegistration);
        };
        let max = self.limits.per_session_max;
        if open.registering.len() >= max {
            return Err(RegisterError::TooMany { max });
        }
        let there = self.view().find(pattern).map(|found| Position(found.id.0));
        let own = there.and_then(|at| open.seats.get(&at));
        if own.is_some_and(|seat| seat.leaving.is_none()) {
            // It says so again, and gets no second place.
            return Ok(false);
        }
        let limits = &self.limits;
        if open.seats.len() + open.registering.len() >= max {
            return Err(RegisterError::TooMany { max });
        }
        if !pattern.is_exact() {
            self.patterns.admit(open.patterns, open.info.origin, limits)?;
        }
        limits.admit(self.view(), &self.coming, pattern).map(|()| true)
    }

    pub(super) fn on_unregister(
        &mut self,
        now: Instant,
        session: SessionId,
        request: RequestId,
        registration: RegistrationId,
        fx: &mut Effects,
    ) {
        if request == OWN_REQUEST {
            // Its client has not asked for it: the role of the session has lost the right.
            fx.dealer.push(dealer::Input::RightLost { session, registration });
        }
        let Some(at) = self.seat_told(session, registration).map(|(at, _)| at) else {
            return self.unregister_lost(session, request, registration, fx);
        };
        let Some(open) = self.sessions.get_mut(&session) else { return };
        let Some(seat) = open.seats.get_mut(&at) else { return };
        if seat.leaving.as_ref().is_some_and(|requests| requests.len() >= LEAVING_MAX) {
            let error = RegisterError::Unavailable("it is about to end already".into());
            return refuse(session, (CalleeRequest::Unregister, request), error, fx);
        }
        if let Some(due) = now.checked_add(self.timeout) {
            let wait = Wait::Unregister { session, registration, request };
            self.waits.push_back((due, wait));
        }
        if let Some(requests) = &mut seat.leaving {
            return requests.push(request);
        }
        seat.leaving = Some(vec![request]);
        let realm = Arc::clone(&open.info.realm);
        // Who leaves is not called any more, from before it says so.
        fx.dealer.push(dealer::Input::Leaves { session, registration: at });
        self.write_unregister(realm, session, at, record::UnregisterWhy::Asked, fx);
    }

    pub(super) fn write_unregister(
        &self,
        realm: Arc<str>,
        session: SessionId,
        registration: Position,
        why: record::UnregisterWhy,
        fx: &mut Effects,
    ) {
        let registration = record::RegistrationId(registration.0);
        let session = session.0;
        let said = record::Unregister { realm, session, registration, why };
        self.write(Said::Unregister(said), fx);
    }

    /// What it wants to leave is to be registered anew, or is nothing of it.
    fn unregister_lost(
        &mut self,
        session: SessionId,
        request: RequestId,
        registration: RegistrationId,
        fx: &mut Effects,
    ) {
        let is_it =
            |(of, seat): &(SessionId, Seat)| *of == session && seat.terms.told == registration;
        if let Some(index) = self.lost.iter().position(is_it) {
            let (_, seat) = self.lost.remove(index);
            if seat.is_pattern() {
                self.uncount_pattern(session);
            }
            return fx.told.push((session, CallTold::Unregistered { request }));
        }
        let of_session = self.sessions.get(&session).map(|open| &open.registering);
        let anew = of_session.into_iter().flatten().copied().find(|number| {
            let pending = self.pending.get(number);
            pending.is_some_and(|one| one.anew == Some(registration) && !one.is_given_up)
        });
        let anew = anew.and_then(|number| self.pending.get_mut(&number));
        match anew {
            Some(pending) => {
                pending.is_given_up = true;
                fx.told.push((session, CallTold::Unregistered { request }));
            }
            None if self.sessions.contains_key(&session) => {
                let error = RegisterError::NoSuchRegistration;
                refuse(session, (CalleeRequest::Unregister, request), error, fx);
            }
            None => {}
        }
    }

    pub(super) fn on_hide(
        &mut self,
        session: SessionId,
        registration: RegistrationId,
        fx: &mut Effects,
    ) {
        if let Some(at) = self.seat_told(session, registration).map(|(at, _)| at) {
            let open = self.sessions.get_mut(&session);
            let Some(seat) = open.and_then(|open| open.seats.get_mut(&at)) else { return };
            (seat.terms.is_disclosed, seat.register.is_disclosed) = (false, false);
            if seat.leaving.is_none() {
                let terms = seat.terms;
                fx.dealer.push(dealer::Input::Serves { session, registration: at, terms });
            }
            return;
        }
        let of_session = self.lost.iter_mut().filter(|(of, _)| *of == session);
        for (_, seat) in of_session.filter(|(_, seat)| seat.terms.told == registration) {
            seat.register.is_disclosed = false;
        }
        let Some(open) = self.sessions.get(&session) else { return };
        for number in &open.registering {
            let pending = self.pending.get_mut(number);
            if let Some(anew) = pending.filter(|pending| pending.anew == Some(registration)) {
                anew.register.is_disclosed = false;
            }
        }
    }

    pub(super) fn on_closed(&mut self, session: SessionId, fx: &mut Effects) {
        let Some(open) = self.sessions.get(&session) else { return };
        let realm = Arc::clone(&open.info.realm);
        let (mut has_any, held) = (!open.seats.is_empty(), open.patterns);
        self.seats -= open.seats.len();
        for number in open.registering.clone() {
            // Of what is not written nobody has read.
            has_any |= !self.held.has(number) && !self.asked.has(number);
            self.end(number);
        }
        self.lost.retain(|(of, _)| *of != session);
        for _ in 0..held {
            self.uncount_pattern(session);
        }
        self.sessions.remove(&session);
        // Of an entry that stops all ends at once.
        if has_any && !self.is_stopping {
            self.write(Said::SessionOver(record::SessionOver { realm, session: session.0 }), fx);
        }
    }

    pub(super) fn on_timeout(&mut self, now: Instant, missing: &Arc<str>, fx: &mut Effects) {
        let waited_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let error = || RegisterError::NoQuorum { waited_ms, missing: Arc::clone(missing) };
        while let Some((at, wait)) = self.waits.front().copied()
            && at <= now
        {
            self.waits.pop_front();
            if self.is_answered(wait) {
                continue;
            }
            match wait {
                Wait::Register(number) => {
                    let Some(pending) = self.pending.get_mut(&number) else { continue };
                    pending.is_given_up = true;
                    let request = (CalleeRequest::Register, pending.register.request);
                    refuse(pending.session, request, error(), fx);
                }
                Wait::Unregister { session, registration, request } => {
                    let at = self.seat_told(session, registration).map(|(at, _)| at);
                    let seats = self.sessions.get_mut(&session).map(|open| &mut open.seats);
                    let seat = seats.and_then(|seats| seats.get_mut(&at?));
                    if let Some(requests) = seat.and_then(|seat| seat.leaving.as_mut()) {
                        requests.retain(|waits| *waits != request);
                    }
                    refuse(session, (CalleeRequest::Unregister, request), error(), fx);
                }
            }
        }
        if self.tenures.expire(now) {
            fx.dealer.push(dealer::Input::Applied);
        }
        if self.follower.deadline().is_some_and(|at| at <= now) {
            self.on_view(now, vixen_views::follower::Input::Tick, fx);
        }
    }
}

impl Pending {
    /// Whether it takes what others have. By force it was taken once: what another has by now stays with them.
    const fn is_by_force(&self) -> bool {
        self.register.is_forced && self.anew.is_none()
    }
}
