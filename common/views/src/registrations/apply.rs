//! What each record does.

use vixen_core::id::Position;
use vixen_core::time::WallTime;

use super::ends::End;
use super::outcome::{Applied, Change, Compared, Ignored, LeftWhy, Outcome, Verdict};
use super::table::{Callee, Callees, Registration};
use super::{KEPT_MS, Living, Registrations};
use crate::record::{
    CheckpointPart, Facts, Gone, Invoke, Life, Record, RecordError, Register, RegistrationId, Said,
    SessionOver, Unregister, UnregisterWhy,
};

/// A record that is being applied.
#[derive(Clone, Copy)]
struct Step {
    position: Position,
    now: WallTime,
    writer: Life,
}

impl Registrations {
    /// Takes the message at `position` of the realm of records into account; `at` is the time of its stamp.
    /// Positions rise; those between, of other realms, are nothing to the view.
    pub fn apply_message(
        &mut self,
        position: Position,
        at: WallTime,
        topic: &str,
        payload: &[u8],
    ) -> Outcome {
        match Record::read(topic, payload) {
            Ok(record) => self.take(position, at, Ok(&record)),
            Err(error) => self.take(position, at, Err(error)),
        }
    }

    /// The same for a record that is at hand.
    pub fn apply(&mut self, position: Position, at: WallTime, record: &Record) -> Outcome {
        self.take(position, at, record.verify().map(|()| record))
    }

    /// Everything up to `position` is applied, since no record was between.
    pub fn pass(&mut self, position: Position) {
        if self.stopped.is_none() {
            self.position = self.position.max(position);
        }
    }

    fn take(
        &mut self,
        position: Position,
        at: WallTime,
        read: Result<&Record, RecordError>,
    ) -> Outcome {
        if let Some(error) = self.stopped {
            return Outcome::Stopped(error);
        }
        if position <= self.position {
            return Outcome::Repeated;
        }
        if let Err(error) = read
            && error.stops()
        {
            self.stopped = Some(error);
            return Outcome::Stopped(error);
        }
        self.position = position;
        self.time = self.time.max(at);
        self.forget();
        let record = match read {
            Ok(record) => record,
            // Leaves the chain as it is: a later version may know what this one does not.
            Err(error) => return Outcome::PassedOver(error),
        };
        if let Said::Checkpoint(part) = &record.said {
            return Outcome::Checkpoint(self.compare(part));
        }
        let step = Step { position, now: self.time, writer: record.writer };
        let mut changes = Vec::new();
        let verdict = self.said(step, &record.said, &mut changes);
        let applied = Applied { verdict, changes };
        self.chain.push(position, &applied);
        Outcome::Applied(applied)
    }

    fn said(&mut self, step: Step, said: &Said, changes: &mut Vec<Change>) -> Verdict {
        if let Said::Life(facts) = said {
            return self.on_life(step, facts, changes);
        }
        if !self.lives.is_alive(step.writer) {
            return Verdict::Ignored(Ignored::NotAlive);
        }
        match said {
            Said::Register(register) => self.on_register(step, register, changes),
            Said::Unregister(unregister) => self.on_unregister(step, unregister, changes),
            Said::SessionOver(over) => self.on_session_over(step, over, changes),
            Said::Gone(gone) => self.on_gone(step, gone, changes),
            // Both are looked at before.
            Said::Life(_) | Said::Checkpoint(_) => Verdict::Done,
        }
    }

    fn compare(&self, part: &CheckpointPart) -> Compared {
        match self.chain_at(part.as_of) {
            Some(own) if own == part.chain => Compared::Same,
            Some(_) => Compared::Differs,
            None => Compared::Unknown,
        }
    }

    fn on_life(&mut self, step: Step, facts: &Facts, changes: &mut Vec<Change>) -> Verdict {
        let life = step.writer;
        if !self.lives.is_open(life) {
            return Verdict::Ignored(Ignored::NotAlive);
        }
        if let Some(before) = self.lives.living(life.owner).map(|living| living.life)
            && before != life
        {
            self.leave_all_of(step, before, LeftWhy::NewLife, changes);
            changes.push(Change::Over(before));
        }
        self.lives.live(Living { life, facts: facts.clone(), told_at: step.position });
        changes.push(Change::Alive(life));
        Verdict::Done
    }

    fn on_register(
        &mut self,
        step: Step,
        register: &Register,
        changes: &mut Vec<Change>,
    ) -> Verdict {
        if let Some(refusal) = self.refuses(register) {
            return Verdict::Refused(refusal);
        }
        let callee = Callee { life: step.writer, session: register.session };
        let there = self.find(&register.pattern);
        if let Some(there) = there.filter(|_| !register.is_forced) {
            let id = there.id;
            if self.table.is_callee(id, &callee) {
                return Verdict::Stays(id);
            }
            self.join(step, id, callee, changes);
            return Verdict::Registered(id);
        }
        if let Some(there) = there {
            let id = there.id;
            let places: Vec<_> = there.callees.iter().map(|(place, _)| (place, id)).collect();
            self.leave(step, &places, LeftWhy::Unseated, changes);
        }
        let id = RegistrationId::from(step.position);
        let (pattern, invoke, created) = (register.pattern.clone(), register.invoke, step.now);
        changes.push(Change::Created {
            registration: id,
            pattern: pattern.clone(),
            invoke,
            created,
        });
        let callees = Callees::default();
        self.table.create(Registration { id, pattern, invoke, created, callees });
        self.join(step, id, callee, changes);
        Verdict::Registered(id)
    }

    fn join(
        &mut self,
        step: Step,
        registration: RegistrationId,
        callee: Callee,
        changes: &mut Vec<Change>,
    ) {
        let Some(pattern) = self.get(registration).map(|there| there.pattern.clone()) else {
            return;
        };
        self.table.join(registration, step.position, callee);
        changes.push(Change::Joined { registration, pattern, callee });
    }

    fn on_unregister(
        &mut self,
        step: Step,
        unregister: &Unregister,
        changes: &mut Vec<Change>,
    ) -> Verdict {
        let Unregister { realm, session, registration, why } = unregister;
        let there = self.get(*registration).filter(|there| there.pattern.realm == *realm);
        let is_meant = |callee: &Callee| {
            // Meta procedures name callees of all entries.
            let is_any = *why == UnregisterWhy::Removed;
            callee.session == *session && (is_any || callee.life == step.writer)
        };
        let callees = there.into_iter().flat_map(|there| there.callees.iter());
        let meant = callees.filter(|(_, callee)| is_meant(callee));
        let places: Vec<_> = meant.map(|(place, _)| (place, *registration)).collect();
        if places.is_empty() {
            return Verdict::Ignored(Ignored::NotCallee);
        }
        self.leave(step, &places, LeftWhy::Unregistered(*why), changes);
        Verdict::Done
    }

    fn on_session_over(
        &mut self,
        step: Step,
        over: &SessionOver,
        changes: &mut Vec<Change>,
    ) -> Verdict {
        let callee = Callee { life: step.writer, session: over.session };
        let is_of_realm = |id: RegistrationId| {
            self.get(id).is_some_and(|there| there.pattern.realm == over.realm)
        };
        let mut places = self.table.places_of(&callee);
        places.retain(|(_, id)| is_of_realm(*id));
        self.leave(step, &places, LeftWhy::SessionOver, changes);
        Verdict::Done
    }

    fn on_gone(&mut self, step: Step, gone: &Gone, changes: &mut Vec<Change>) -> Verdict {
        if !self.lives.is_open(gone.life) {
            return Verdict::Ignored(Ignored::OverBefore);
        }
        self.leave_all_of(step, gone.life, LeftWhy::Gone(gone.why), changes);
        self.was_over(step.now);
        if let Some(over) = self.lives.end(gone.life, step.now) {
            changes.push(Change::Over(over));
        }
        Verdict::Done
    }

    fn leave_all_of(&mut self, step: Step, life: Life, why: LeftWhy, changes: &mut Vec<Change>) {
        let places = self.table.places_of_lives(life.owner, life.number);
        self.leave(step, &places, why, changes);
    }

    /// Callees leave, in this order; who held a `single` registration and leaves by another entry's word is
    /// kept for those after it.
    fn leave(
        &mut self,
        step: Step,
        places: &[(Position, RegistrationId)],
        why: LeftWhy,
        changes: &mut Vec<Change>,
    ) {
        for (place, registration) in places {
            let Some(departed) = self.table.leave(*registration, *place) else { continue };
            let (registration, callee) = (*registration, departed.callee);
            let pattern = departed.pattern;
            let is_by_another = callee.life.owner != step.writer.owner;
            if departed.invoke == Invoke::Single && is_by_another {
                let (holder, at, time) = (callee.life, step.position, step.now);
                self.ends.keep(pattern.clone(), End { registration, holder, at, time });
                self.was_over(time);
            }
            changes.push(Change::Left { registration, pattern: pattern.clone(), callee, why });
            if departed.was_last {
                changes.push(Change::Deleted { registration, pattern });
            }
        }
    }

    fn was_over(&mut self, at: WallTime) {
        self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
    }

    /// Forgets what has been over for long, whenever there may be something.
    fn forget(&mut self) {
        if self.oldest.is_none_or(|oldest| self.time.millis_since(oldest) <= KEPT_MS) {
            return;
        }
        self.lives.forget(self.time);
        self.ends.forget(self.time);
        self.oldest = self.oldest_over();
    }

    /// When the first of what is over and not forgotten was.
    pub(super) fn oldest_over(&self) -> Option<WallTime> {
        let ends = self.ends.by_pattern.values().flat_map(|ends| ends.values());
        let ends = ends.map(|end| end.time);
        ends.chain(self.lives.times_over()).min()
    }
}
