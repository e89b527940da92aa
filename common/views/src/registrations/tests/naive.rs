//! The view once more, as plainly as it can be said: one list of all callees.

use super::*;

/// A callee in its registration, at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seat {
    place: u64,
    id: u64,
    pattern: TopicPattern,
    invoke: Invoke,
    callee: Callee,
    keeps_timeouts: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Naive {
    seats: Vec<Seat>,
    alive: Vec<Life>,
    over: Vec<Life>,
}

impl Naive {
    pub(super) fn apply(&mut self, position: u64, record: &Record) {
        let writer = record.writer;
        let same = |other: &Life| other.owner == writer.owner;
        if let Said::Life(_) = &record.said {
            let is_late = |other: &Life| same(other) && other.number > writer.number;
            let is_over = |other: &Life| same(other) && other.number >= writer.number;
            if !self.alive.iter().any(is_late) && !self.over.iter().any(is_over) {
                self.alive.retain(|other| !same(other));
                self.alive.push(writer);
            }
        } else if self.alive.contains(&writer) {
            self.said(position, writer, &record.said);
        }
        // Whose life is not alive is no callee.
        self.seats.retain(|seat| self.alive.contains(&seat.callee.life));
    }

    fn said(&mut self, position: u64, writer: Life, said: &Said) {
        match said {
            Said::Register(register) => self.register(position, writer, register),
            Said::Unregister(Unregister { realm, session, registration, why }) => {
                let life = if let UnregisterWhy::Removed(life) = why { *life } else { writer };
                let is_meant = |seat: &Seat| {
                    (seat.id, &seat.pattern.realm) == (registration.0, realm)
                        && seat.callee == Callee { life, session: *session }
                };
                self.seats.retain(|seat| !is_meant(seat));
            }
            Said::SessionOver(SessionOver { realm, session }) => {
                let over = Callee { life: writer, session: *session };
                self.seats.retain(|seat| seat.callee != over || seat.pattern.realm != *realm);
            }
            Said::Gone(Gone { life, .. }) => {
                let is_gone = |one: &Life| one.owner == life.owner && one.number <= life.number;
                if !self.alive.iter().any(|one| one.owner == life.owner && !is_gone(one)) {
                    self.alive.retain(|one| !is_gone(one));
                    self.over.push(*life);
                }
            }
            Said::Life(_) | Said::Checkpoint(_) => {}
        }
    }

    fn register(&mut self, position: u64, writer: Life, register: &Register) {
        let Register { session, pattern, invoke, is_forced, keeps_timeouts, .. } = register;
        if *is_forced {
            self.seats.retain(|seat| seat.pattern != *pattern);
        }
        let callee = Callee { life: writer, session: *session };
        let there: Vec<_> = self.seats.iter().filter(|seat| seat.pattern == *pattern).collect();
        let id = match there.first() {
            None => position,
            Some(seat) if seat.invoke == Invoke::Single || seat.invoke != *invoke => return,
            Some(_) if there.iter().any(|seat| seat.callee == callee) => return,
            Some(seat) => seat.id,
        };
        let (pattern, invoke, keeps_timeouts) = (pattern.clone(), *invoke, *keeps_timeouts);
        self.seats.push(Seat { place: position, id, pattern, invoke, callee, keeps_timeouts });
    }

    /// Whether the view says the same.
    pub(super) fn compare(&self, view: &Registrations) {
        let seats = view.iter().flat_map(|there| {
            there.callees.iter().map(|(place, callee)| Seat {
                place: place.0,
                id: there.id.0,
                pattern: there.pattern.clone(),
                invoke: there.invoke,
                callee,
                keeps_timeouts: there.callees.keeps_timeouts(place),
            })
        });
        let mut seats: Vec<_> = seats.collect();
        seats.sort_by_key(|seat| seat.place);
        assert_eq!(seats, self.seats);
        let mut alive = self.alive.clone();
        alive.sort_unstable();
        assert_eq!(view.lives().map(|living| living.life).collect::<Vec<_>>(), alive);
    }
}
