//! What each record does.

use vixen_core::id::Position;
use vixen_core::time::WallTime;

use super::ends::End;
use super::outcome::{Applied, Change, Checked, Compared, Ignored, LeftWhy, Outcome, Verdict};
use super::over::Moment;
use super::table::{Callee, Callees, Registration};
use super::{Living, Registrations};
use crate::record::{
    CheckpointPart, Facts, Gone, Invoke, Life, Record, RecordError, Register, RegistrationId, Said,
    SessionOver, Unregister, UnregisterWhy,
};

/// Entries of which it is known which of their checkpoints was compared last.
const COMPARED_MAX: usize = 1_024;

/// A record that is being applied.
#[derive(Clone, Copy)]
struct Step {
    now: Moment,
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

    /// Everything below `next` is applied, since no record was between: `next` itself is not.
    pub fn pass_below(&mut self, next: Position) {
        if self.stopped.is_none() {
            self.position = self.position.max(Position(next.0.saturating_sub(1)));
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
        if let Err(RecordError::Nowhere) = read {
            // Not all readers read such topics.
            return Outcome::PassedOver(RecordError::Nowhere);
        }
        let is_applied = read.is_ok_and(|record| !matches!(record.said, Said::Checkpoint(_)));
        self.clock.time = self.clock.time.max(at);
        self.clock.records += u64::from(is_applied);
        self.lives.forget(&self.clock);
        self.ends.forget(&self.clock);
        let record = match read {
            Ok(record) => record,
            // Leaves the chain as it is: a later version may know what this one does not.
            Err(error) => return Outcome::PassedOver(error),
        };
        if let Said::Checkpoint(part) = &record.said {
            return if part.may_stand(position, self.clock.time) {
                Outcome::Checkpoint(self.compare(record.writer, part))
            } else {
                Outcome::PassedOver(CheckpointPart::untimely())
            };
        }
        let now = Moment { at: position, time: self.clock.time, records: self.clock.records };
        let step = Step { now, writer: record.writer };
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

    fn compare(&mut self, writer: Life, part: &CheckpointPart) -> Checked {
        let (as_of, number, parts) = (part.as_of, part.part, part.parts);
        let before = self.compared.get(&writer.owner).copied();
        let compared = match self.chain_at(as_of) {
            _ if before.is_some_and(|before| as_of <= before) => Compared::Again,
            Some(own) if own == part.chain => Compared::Same,
            Some(_) => Compared::Differs,
            None => Compared::Unknown,
        };
        if compared != Compared::Again {
            self.compared.insert(writer.owner, as_of);
            if self.compared.len() > COMPARED_MAX {
                let oldest = self.compared.iter().min_by_key(|(_owner, as_of)| **as_of);
                let oldest = oldest.map(|(owner, _as_of)| *owner);
                oldest.and_then(|owner| self.compared.remove(&owner));
            }
        }
        Checked { writer, as_of, part: number, parts, compared }
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
        self.lives.live(Living { life, facts: facts.clone(), told_at: step.now.at });
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
            self.join(step, id, (callee, register.keeps_timeouts), changes);
            return Verdict::Registered(id);
        }
        if let Some(there) = there {
            let id = there.id;
            let places: Vec<_> = there.callees.iter().map(|(place, _)| (place, id)).collect();
            self.leave(step, &places, LeftWhy::Unseated, changes);
        }
        let id = RegistrationId::from(step.now.at);
        let (pattern, invoke, created) = (register.pattern.clone(), register.invoke, step.now.time);
        changes.push(Change::Created {
            registration: id,
            pattern: pattern.clone(),
            invoke,
            created,
        });
        let callees = Callees::default();
        self.table.create(Registration { id, pattern, invoke, created, callees });
        self.join(step, id, (callee, register.keeps_timeouts), changes);
        Verdict::Registered(id)
    }

    fn join(
        &mut self,
        step: Step,
        registration: RegistrationId,
        (callee, keeps_timeouts): (Callee, bool),
        changes: &mut Vec<Change>,
    ) {
        let Some(pattern) = self.get(registration).map(|there| there.pattern.clone()) else {
            return;
        };
        self.table.join(registration, step.now.at, callee, keeps_timeouts);
        changes.push(Change::Joined { registration, pattern, callee, keeps_timeouts });
    }

    fn on_unregister(
        &mut self,
        step: Step,
        unregister: &Unregister,
        changes: &mut Vec<Change>,
    ) -> Verdict {
        let Unregister { realm, session, registration, why } = unregister;
        let life = match why {
            UnregisterWhy::Removed(life) => *life,
            UnregisterWhy::Asked | UnregisterWhy::Refused => step.writer,
        };
        let callee = Callee { life, session: *session };
        let there = self.get(*registration).filter(|there| there.pattern.realm == *realm);
        let place = there.and_then(|there| self.table.place_in(there.id, &callee));
        let Some(place) = place else { return Verdict::Ignored(Ignored::NotCallee) };
        self.leave(step, &[(place, *registration)], LeftWhy::Unregistered(*why), changes);
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
                let (holder, over) = (callee.life, step.now);
                self.ends.keep(pattern.clone(), End { registration, holder, over });
            }
            changes.push(Change::Left { registration, pattern: pattern.clone(), callee, why });
            if departed.was_last {
                changes.push(Change::Deleted { registration, pattern });
            }
        }
    }
}
