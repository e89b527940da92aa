//! What the view makes of records, and what becomes of callees where it begins anew.

use vixen_views::follower::{Effect, Input as Followed};
use vixen_views::registrations::{Applied, Change, Ignored, LeftWhy, Outcome, Verdict};

use super::*;

impl Registrar {
    pub(super) fn on_view(&mut self, now: Instant, input: Followed, fx: &mut Effects) {
        let number = match &input {
            Followed::Message { topic, payload, .. } => self.number_of(topic, payload),
            _ => None,
        };
        let message = match &input {
            Followed::Message { topic, payload, .. } if self.is_ready() => {
                Some((Arc::clone(topic), payload.clone()))
            }
            _ => None,
        };
        let (was_ready, before) = (self.is_ready(), self.view().position());
        let mut effects = Vec::new();
        self.follower.step(now, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::ReadEarlier { from_end } => fx.reads.push(Read::Earlier { from_end }),
                Effect::Follow(from) => {
                    self.applied_below = self.view().applied_below();
                    for (pattern, end) in self.follower.view().ends() {
                        self.tenures.ended(now, pattern, *end);
                    }
                    fx.reads.push(Read::Follow(from));
                }
                Effect::Told { position, outcome: Outcome::Applied(applied) } => {
                    self.applied_below = position.plus(1);
                    self.watch(now, &applied, message.as_ref(), fx);
                    self.on_applied(now, number, &applied, fx);
                }
                Effect::Told { outcome: Outcome::Stopped(error), .. } => self.on_stopped(error, fx),
                Effect::Told { .. } => {}
                Effect::Write(record) => {
                    let is_first = |part: &record::CheckpointPart| part.part == 0;
                    if matches!(&record.said, Said::Checkpoint(part) if is_first(part)) {
                        fx.notes.push(Note::Checkpoint);
                    }
                    fx.records.push(record);
                }
                Effect::Ready(life) => {
                    fx.notes.push(Note::Ready(life));
                    self.watch_anew(now);
                    self.on_ready(now, fx);
                }
                Effect::Unusable(error) => fx.notes.push(Note::Unusable(error)),
                Effect::Differs(checked) => fx.notes.push(Note::Differs(checked)),
                Effect::Cut => fx.notes.push(Note::Cut),
            }
        }
        if self.follower.stage() == Stage::Over {
            self.give_all_up(fx);
        }
        let is_ready = self.is_ready();
        if is_ready != was_ready {
            fx.dealer.push(dealer::Input::View { is_ready });
        }
        if self.view().position() != before {
            fx.dealer.push(dealer::Input::Applied);
        }
    }

    /// Which REGISTER of this entry a message is.
    fn number_of(&self, topic: &str, payload: &[u8]) -> Option<u64> {
        // Most are of others, or nobody waits.
        if self.pending.is_empty() {
            return None;
        }
        let record = Record::read(topic, payload).ok()?;
        match record.said {
            Said::Register(register) if record.writer.owner == self.life().owner => {
                Some(register.number)
            }
            _ => None,
        }
    }

    fn on_applied(
        &mut self,
        now: Instant,
        number: Option<u64>,
        applied: &Applied,
        fx: &mut Effects,
    ) {
        self.settle(now, &applied.changes, fx);
        let Some(number) = number.filter(|number| self.pending.contains_key(number)) else {
            return;
        };
        match applied.verdict {
            Verdict::Registered(id) | Verdict::Stays(id) => {
                self.on_registered(number, Position(id.0), fx);
            }
            Verdict::Refused(refusal) => self.on_refused(number, refusal, fx),
            // It was written by a life that is over: the next one writes it again.
            Verdict::Ignored(Ignored::NotAlive) => {}
            Verdict::Done | Verdict::Ignored(_) => {}
        }
    }

    /// The session is a callee of `id`.
    fn on_registered(&mut self, number: u64, id: Position, fx: &mut Effects) {
        let Some(pending) = self.end(number) else { return };
        if pending.is_given_up {
            self.take_back(&pending, fx);
        } else {
            self.seat(pending, id, fx);
        }
    }

    /// A session was told that it is no callee: if it is one nevertheless, its place is given up, unless it has asked
    /// for it again.
    fn take_back(&mut self, pending: &Pending, fx: &mut Effects) {
        let Pending { session, register, is_counted, .. } = pending;
        if *is_counted {
            self.uncount_pattern(*session);
        }
        let asks_again = self.asks_for(*session, register).any(|other| !other.is_given_up);
        if !asks_again && let Some(id) = self.ghost(*session, register) {
            self.give_up_place(*session, id, fx);
        }
    }

    fn give_up_place(&self, session: SessionId, id: Position, fx: &mut Effects) {
        let Some(open) = self.sessions.get(&session) else { return };
        let realm = Arc::clone(&open.info.realm);
        self.write_unregister(realm, session, id, record::UnregisterWhy::Refused, fx);
    }

    /// The session of a REGISTER has a place that it does not know of: takes it, if it is what was asked for.
    fn take_ghost(&mut self, number: u64, id: Position, fx: &mut Effects) {
        let Some(Pending { session, register, .. }) = self.pending.get(&number) else { return };
        let (session, invoke) = (*session, invoke_of(register.invoke));
        let there = self.view().get(record::RegistrationId(id.0));
        if there.is_some_and(|there| there.invoke == invoke) {
            self.on_registered(number, id, fx);
        } else {
            self.give_up_place(session, id, fx);
            self.write_register(number, fx);
        }
    }

    pub(super) fn seat(&mut self, pending: Pending, id: Position, fx: &mut Effects) {
        let Pending { session, register, is_counted, anew, .. } = pending;
        let Some(open) = self.sessions.get_mut(&session) else { return };
        let before = open.seats.get(&id);
        // It may have asked to leave since.
        let leaving = before.and_then(|seat| seat.leaving.clone());
        let told = anew.or(before.map(|seat| seat.terms.told)).unwrap_or(RegistrationId(id.0));
        if anew.is_none() {
            let request = register.request;
            fx.told.push((session, CallTold::Registered { request, registration: told }));
        }
        let terms = Terms {
            told,
            concurrency: register.concurrency,
            forwards_timeout: register.forwards_timeout,
            is_disclosed: register.is_disclosed,
        };
        let is_leaving = leaving.is_some();
        let seat = Seat { terms, register, leaving };
        let is_pattern = seat.is_pattern();
        let is_new = open.seats.insert(id, seat).is_none();
        self.seats += usize::from(is_new);
        match (is_pattern && is_new, is_counted) {
            (true, false) => self.count_pattern(session),
            (false, true) => self.uncount_pattern(session),
            (true, true) | (false, false) => {}
        }
        if !is_leaving {
            fx.dealer.push(dealer::Input::Serves { session, registration: id, terms });
        }
    }

    fn on_refused(&mut self, number: u64, refusal: Refusal, fx: &mut Effects) {
        let asked = self.pending.get(&number).filter(|pending| !pending.is_given_up);
        let own = asked.and_then(|pending| self.ghost(pending.session, &pending.register));
        if let Some(id) = own {
            return self.take_ghost(number, id, fx);
        }
        let Some(pending) = self.end(number) else { return };
        if pending.is_given_up {
            return self.take_back(&pending, fx);
        }
        let Pending { session, register, is_counted, anew, .. } = pending;
        if is_counted {
            self.uncount_pattern(session);
        }
        if let Some(registration) = anew {
            let open = self.sessions.get(&session);
            if open.is_some_and(|open| !open.info.calls.hears_revocation) {
                fx.misled.push(session);
            }
            return fx.told.push((session, CallTold::Revoked { registration }));
        }
        let request = (CalleeRequest::Register, register.request);
        let error = self.refused_by(refusal, session, register);
        refuse(session, request, error, fx);
    }

    /// Nothing is applied any more: nobody waits for it.
    fn on_stopped(&mut self, error: record::RecordError, fx: &mut Effects) {
        fx.notes.push(Note::Stopped(error));
        self.give_all_up(fx);
    }

    /// Nobody gets a place any more.
    fn give_all_up(&mut self, fx: &mut Effects) {
        let reason = self.waits_for().unwrap_or_default();
        for pending in self.pending.values_mut() {
            if !std::mem::replace(&mut pending.is_given_up, true) && pending.anew.is_none() {
                let request = (CalleeRequest::Register, pending.register.request);
                let error = RegisterError::Unavailable(Arc::clone(&reason));
                refuse(pending.session, request, error, fx);
            }
        }
    }

    /// Tells the dealer, and who has lost something, what the view has changed.
    fn settle(&mut self, now: Instant, changes: &[Change], fx: &mut Effects) {
        // What is read again is no news.
        if matches!(self.follower.stage(), Stage::Announcing | Stage::Ready | Stage::Over) {
            fx.changes.extend_from_slice(changes);
        }
        for change in changes {
            if let Change::Left { registration, callee, .. } = change {
                self.asked.left(*registration, *callee);
            }
            match change {
                Change::Left { registration, callee, why, .. }
                    if callee.life.owner == self.life().owner =>
                {
                    self.leave(Position(registration.0), SessionId(callee.session), *why, fx);
                }
                Change::Deleted { registration, pattern } => {
                    let mut ends = self.follower.view().ends_of(pattern);
                    if let Some(end) = ends.find(|end| end.registration == *registration) {
                        self.tenures.ended(now, pattern, *end);
                    }
                    let registration = Position(registration.0);
                    fx.dealer.push(dealer::Input::RegistrationEnded { registration });
                }
                Change::Alive(_)
                | Change::Over(_)
                | Change::Created { .. }
                | Change::Joined { .. }
                | Change::Left { .. } => {}
            }
        }
    }

    fn leave(
        &mut self,
        registration: Position,
        session: SessionId,
        why: LeftWhy,
        fx: &mut Effects,
    ) {
        let open = self.sessions.get_mut(&session);
        let Some(seat) = open.and_then(|open| open.seats.remove(&registration)) else { return };
        self.seats -= 1;
        let told = seat.terms.told;
        if let Some(requests) = seat.leaving {
            self.forget_pattern(session, seat.register.matching);
            let answer = |request| (session, CallTold::Unregistered { request });
            return fx.told.extend(requests.into_iter().map(answer));
        }
        fx.dealer.push(dealer::Input::Leaves { session, registration });
        match why {
            LeftWhy::Gone(_) | LeftWhy::NewLife if !self.is_stopping => {
                self.lost.push((session, seat));
            }
            // It was taken back for a REGISTER that had failed, and had been found by another since.
            LeftWhy::Unregistered(
                record::UnregisterWhy::Removed(_) | record::UnregisterWhy::Refused,
            )
            | LeftWhy::Unseated => {
                self.forget_pattern(session, seat.register.matching);
                fx.told.push((session, CallTold::Revoked { registration: told }));
            }
            LeftWhy::Gone(_)
            | LeftWhy::NewLife
            | LeftWhy::Unregistered(_)
            | LeftWhy::SessionOver => {
                self.forget_pattern(session, seat.register.matching);
            }
        }
    }

    fn forget_pattern(&mut self, session: SessionId, matching: Match) {
        if matching != Match::Exact {
            self.uncount_pattern(session);
        }
    }

    /// The entry stops: its callees end in the order, with its life.
    pub(super) fn on_stop(&mut self, now: Instant, fx: &mut Effects) {
        self.is_stopping = true;
        for (session, seat) in std::mem::take(&mut self.lost) {
            self.forget_pattern(session, seat.register.matching);
        }
        self.on_view(now, Followed::Stop, fx);
    }

    /// The view has the record of this life, and so everything that the entry wrote before.
    fn on_ready(&mut self, now: Instant, fx: &mut Effects) {
        self.asked.all_read();
        self.find_seats(fx);
        if self.is_stopping {
            return;
        }
        if !std::mem::replace(&mut self.was_ready, true) {
            self.end_former_lives(fx);
        }
        let is_written = |number: &u64| !self.held.has(*number) && !self.asked.has(*number);
        let pending: Vec<_> = self.pending.keys().copied().filter(is_written).collect();
        // What was had before comes first: who says so again finds it.
        let mut lost = std::mem::take(&mut self.lost);
        lost.sort_by_key(|(_, seat)| seat.terms.told);
        for (session, seat) in lost {
            let is_counted = seat.is_pattern();
            let (anew, is_given_up) = (Some(seat.terms.told), false);
            let (register, is_coming) = (seat.register, !is_counted);
            let pending = Pending { session, register, is_counted, is_coming, anew, is_given_up };
            match self.ghost(session, &pending.register) {
                Some(id) => self.seat(pending, id, fx),
                None => {
                    self.begin(now, pending, fx);
                }
            }
        }
        for number in pending {
            self.find_pending(number, fx);
        }
    }

    /// This process has its name from those that began before it, and ends their lives. One that began after it may have
    /// the name from this one: if it is no more, sync nodes do not hear it, and it is ended as others are.
    fn end_former_lives(&mut self, fx: &mut Effects) {
        let named = self.view().lives().filter(|living| self.has_own_name(living));
        for life in named.map(|living| living.life).collect::<Vec<_>>() {
            if self.is_before(life.owner) {
                self.write_gone(life, record::GoneWhy::Renamed, fx);
            } else {
                fx.notes.push(Note::Newer(life));
            }
        }
    }

    /// Looks for what sessions had in a view that may be another.
    fn find_seats(&mut self, fx: &mut Effects) {
        let mut lost = Vec::new();
        let mut leaving = Vec::new();
        for (session, open) in &mut self.sessions {
            let callee = Callee { life: self.follower.life(), session: session.0 };
            let served = self.follower.view().served_by(&callee);
            let is_lost = |at: &Position, _: &mut Seat| !served.iter().any(|(_, id)| id.0 == at.0);
            lost.extend(open.seats.extract_if(.., is_lost).map(|(at, seat)| (*session, at, seat)));
            let left = open.seats.iter().filter(|(_, seat)| seat.leaving.is_some());
            leaving.extend(left.map(|(at, _)| (*session, *at, Arc::clone(&open.info.realm))));
        }
        // What it has said of them may be of a life that is over.
        for (session, at, realm) in leaving.into_iter().filter(|_| !self.is_stopping) {
            self.write_unregister(realm, session, at, record::UnregisterWhy::Asked, fx);
        }
        self.seats -= lost.len();
        for (session, registration, seat) in lost {
            let requests = seat.leaving.iter().flatten();
            let answer =
                |request: &RequestId| (session, CallTold::Unregistered { request: *request });
            fx.told.extend(requests.map(answer));
            let is_leaving = seat.leaving.is_some();
            if !is_leaving {
                fx.dealer.push(dealer::Input::Leaves { session, registration });
            }
            if is_leaving || self.is_stopping {
                self.forget_pattern(session, seat.register.matching);
            } else {
                self.lost.push((session, seat));
            }
        }
    }

    /// A REGISTER that was written before this life's record, and was not seen to be applied: a view that began
    /// behind it may have it; else it is written again.
    fn find_pending(&mut self, number: u64, fx: &mut Effects) {
        let Some(pending) = self.pending.get(&number) else { return };
        let is_given_up = pending.is_given_up;
        match self.ghost(pending.session, &pending.register) {
            Some(id) if !is_given_up => self.take_ghost(number, id, fx),
            None if !is_given_up => self.write_register(number, fx),
            Some(_) | None => {
                if let Some(pending) = self.end(number) {
                    self.take_back(&pending, fx);
                }
            }
        }
    }

    /// Where the view has a session as callee of what a REGISTER is of, in a place that the session does not know of.
    fn ghost(&self, session: SessionId, register: &Register) -> Option<Position> {
        let pattern = self.pattern_of(session, register)?;
        let id = self.view().find(&pattern)?.id;
        let served = self.view().served_by(&self.callee(session));
        let at = Position(id.0);
        let is_known = self.sessions.get(&session)?.seats.contains_key(&at);
        (!is_known && served.iter().any(|(_, of)| *of == id)).then_some(at)
    }
}
