//! The view: one test a row of its table, then what any records make of it.

mod checkpoint;
mod lives;
mod lookup;
mod naive;
mod random;
mod table;

use std::sync::Arc;

use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::{Match, TopicPattern};
use vixen_core::time::WallTime;

use super::*;
use crate::record::{
    Facts, Gone, GoneWhy, Invoke, Reads, Record, Said, SessionOver, Unregister, UnregisterWhy,
};

const REALM: &str = "r";

fn life(owner: u128, number: u32) -> Life {
    Life { owner: OwnerId(uuid::Uuid::from_u128(owner)), number }
}

fn exact(uri: &str) -> TopicPattern {
    TopicPattern::new(REALM, uri, Match::Exact)
}

fn callee(owner: u128, session: u64) -> Callee {
    Callee { life: life(owner, 1), session }
}

/// A view that gets records at positions 10, 20, 30 … a second apart.
#[derive(Clone)]
struct Desk {
    view: Registrations,
    position: u64,
    now: WallTime,
}

impl Desk {
    /// With the first lives of two entries, 1 and 2, told at 10 and 20.
    fn new() -> Self {
        let mut desk = Self { view: Registrations::new(), position: 0, now: WallTime(0) };
        desk.live(life(1, 1));
        desk.live(life(2, 1));
        desk
    }

    fn say(&mut self, writer: Life, said: Said) -> Applied {
        self.position += 10;
        self.now = self.now.plus_millis(1_000);
        let record = Record { writer, said };
        let outcome = self.view.apply(Position(self.position), self.now, &record);
        self.view.check();
        match outcome {
            Outcome::Applied(applied) => applied,
            other => panic!("{other:?}"),
        }
    }

    fn live(&mut self, writer: Life) -> Applied {
        let name = format!("E{}", writer.owner.0.as_u128()).parse().expect("a name");
        self.say(writer, Said::Life(Facts { name, link_address: None, reads: Reads::HERE }))
    }

    /// By a session of an owner's first life.
    fn register(&mut self, owner: u128, session: u64, uri: &str, invoke: Invoke) -> Applied {
        self.register_of(life(owner, 1), session, exact(uri), invoke, false)
    }

    fn force(&mut self, owner: u128, session: u64, uri: &str, invoke: Invoke) -> Applied {
        self.register_of(life(owner, 1), session, exact(uri), invoke, true)
    }

    fn register_of(
        &mut self,
        writer: Life,
        session: u64,
        pattern: TopicPattern,
        invoke: Invoke,
        is_forced: bool,
    ) -> Applied {
        let (number, keeps_timeouts) = (self.position, false);
        let register = Register { number, session, pattern, invoke, is_forced, keeps_timeouts };
        self.say(writer, Said::Register(register))
    }

    /// By a session that keeps timeouts.
    fn register_keeping(
        &mut self,
        owner: u128,
        session: u64,
        uri: &str,
        invoke: Invoke,
    ) -> Applied {
        let (number, pattern) = (self.position, exact(uri));
        let (is_forced, keeps_timeouts) = (false, true);
        let register = Register { number, session, pattern, invoke, is_forced, keeps_timeouts };
        self.say(life(owner, 1), Said::Register(register))
    }

    fn unregister(
        &mut self,
        owner: u128,
        session: u64,
        registration: u64,
        why: UnregisterWhy,
    ) -> Applied {
        let (realm, registration) = (Arc::from(REALM), RegistrationId(registration));
        let said = Said::Unregister(Unregister { realm, session, registration, why });
        self.say(life(owner, 1), said)
    }

    fn over(&mut self, owner: u128, session: u64) -> Applied {
        let realm = REALM.into();
        self.say(life(owner, 1), Said::SessionOver(SessionOver { realm, session }))
    }

    fn gone(&mut self, writer: u128, of: Life, why: GoneWhy) -> Applied {
        self.say(life(writer, 1), Said::Gone(Gone { life: of, why }))
    }

    /// Who serves a registration, with their places.
    fn callees(&self, registration: u64) -> Vec<(u64, Callee)> {
        let there = self.view.get(RegistrationId(registration));
        there.into_iter().flat_map(|there| there.callees.iter()).map(|(at, c)| (at.0, c)).collect()
    }
}

fn left(registration: u64, uri: &str, callee: Callee, why: LeftWhy) -> Change {
    Change::Left { registration: RegistrationId(registration), pattern: exact(uri), callee, why }
}

fn deleted(registration: u64, uri: &str) -> Change {
    Change::Deleted { registration: RegistrationId(registration), pattern: exact(uri) }
}

fn joined(registration: u64, uri: &str, callee: Callee) -> Change {
    let (registration, keeps_timeouts) = (RegistrationId(registration), false);
    Change::Joined { registration, pattern: exact(uri), callee, keeps_timeouts }
}
