//! Registrar: who is callee of what at this entry.
//!
//! ```text
//!   session ──REGISTER, UNREGISTER, its end──> Registrar ──record──> view (vixen-views)
//!   session <────────answers, revocations───── Registrar <─changes── view
//!   dealer  <──────whom it may call here────── Registrar
//! ```
//! It writes records of the realm `#calls` and reads what they make of each other. For now it gives them positions
//! of its own and applies them at once: the view is of this entry alone.
//!
//! Source: `docs/design/027-calls.md`.
//!
//! Invariants:
//! - R1: each REGISTER and UNREGISTER is answered once.
//! - R2: what the dealer is told of callees here is what the view has.
//! - R3: patterns are counted as sessions have them (`limits`).

mod gone;
mod io;
mod limits;
mod routes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vixen_core::id::{OwnerId, Position};
use vixen_core::name::NodeName;
use vixen_core::segment::{Match, TopicPattern};
use vixen_core::time::WallTime;
use vixen_views::record::{self, Facts, Life, Reads, Record, Said};
use vixen_views::registrations::{
    Callee, Change, LeftWhy, Outcome, Refusal, Registration, Registrations, Verdict,
};

use crate::api::calls::{CallTold, CalleeRequest, Invoke, Register, RegisterError, RegistrationId};
use crate::api::{RequestId, SessionId, SessionInfo};
use crate::dealer::{self, Terms};

pub use gone::{HeardOf, Owed, Suspects, Trust};
pub use io::{Effects, Input};
use limits::Patterns;
pub use limits::RegistrationLimits;

/// How a registrar runs.
#[derive(Clone, Debug)]
pub struct RegistrarOptions {
    /// This incarnation of the entry.
    pub owner: OwnerId,
    /// What people call it.
    pub name: NodeName,
    /// How much registrations may take.
    pub limits: RegistrationLimits,
}

/// See the module.
#[derive(Debug)]
pub struct Registrar {
    options: RegistrarOptions,
    life: Life,
    view: Registrations,
    sessions: BTreeMap<SessionId, Session>,
    patterns: Patterns,
}

/// An open session.
#[derive(Debug)]
struct Session {
    info: Arc<SessionInfo>,
    /// What it has agreed on, by registration.
    terms: BTreeMap<Position, Terms>,
    /// Those of its registrations that are no exact procedures.
    patterns: BTreeSet<Position>,
}

impl Registrar {
    /// One of a process that has just begun: nobody is callee of anything.
    #[must_use]
    pub fn new(now: WallTime, options: RegistrarOptions) -> Self {
        let life = Life { owner: options.owner, number: 1 };
        let facts = Facts { name: options.name.clone(), link_address: None, reads: Reads::HERE };
        let (view, sessions) = (Registrations::new(), BTreeMap::new());
        let patterns = Patterns::default();
        let mut registrar = Self { options, life, view, sessions, patterns };
        let mut changes = Vec::new();
        registrar.write(now, Said::Life(facts), &mut changes);
        registrar
    }

    /// The registrations.
    #[must_use]
    pub const fn view(&self) -> &Registrations {
        &self.view
    }

    /// The life of the entry that its registrations hang on.
    #[must_use]
    pub const fn life(&self) -> Life {
        self.life
    }

    /// Advances by one input.
    pub fn step(&mut self, now: WallTime, input: Input, fx: &mut Effects) {
        match input {
            Input::Opened { info } => {
                let (terms, patterns) = (BTreeMap::new(), BTreeSet::new());
                self.sessions.insert(info.session, Session { info, terms, patterns });
            }
            Input::Register { session, register } => {
                self.on_register(now, session, register, fx);
            }
            Input::Unregister { session, request, registration } => {
                self.on_unregister(now, session, request, registration, fx);
            }
            Input::Hide { session, registration } => self.on_hide(session, registration, fx),
            Input::Remove { realm, registration, session } => {
                self.on_remove(now, realm, registration, session, fx);
            }
            Input::Closed { session } => self.on_closed(now, session, fx),
            Input::Read { position, at, record } => {
                if let Outcome::Applied(applied) = self.view.apply(position, at, &record) {
                    self.settle(&applied.changes, fx);
                }
            }
        }
        self.check();
    }

    fn on_register(
        &mut self,
        now: WallTime,
        session: SessionId,
        register: Register,
        fx: &mut Effects,
    ) {
        let Some(open) = self.sessions.get(&session) else { return };
        let request = register.request;
        let pattern = TopicPattern {
            realm: Arc::clone(&open.info.realm),
            uri: Arc::clone(&register.procedure),
            matching: register.matching,
        };
        if let Err(error) = self.admit(open, &pattern) {
            return refuse_register(session, request, error, fx);
        }
        let said = Said::Register(record::Register {
            number: request.0,
            session: session.0,
            pattern,
            invoke: invoke_of(register.invoke),
            is_forced: register.is_forced,
        });
        let mut changes = Vec::new();
        let verdict = self.write(now, said, &mut changes);
        match verdict {
            Some(Verdict::Registered(id) | Verdict::Stays(id)) => {
                self.seat(session, Position(id.0), &register, &changes, fx);
            }
            Some(Verdict::Refused(Refusal::AlreadyExists)) => {
                let error = RegisterError::AlreadyExists(register.procedure);
                refuse_register(session, request, error, fx);
            }
            Some(Verdict::Refused(Refusal::OtherPolicy)) => {
                let error = RegisterError::OtherPolicy(register.procedure);
                refuse_register(session, request, error, fx);
            }
            Some(Verdict::Done | Verdict::Ignored(_)) | None => {
                let reason = "the entry's view of registrations stands still".into();
                refuse_register(session, request, RegisterError::Unavailable(reason), fx);
            }
        }
    }

    /// Whether the session may have one more registration, of this pattern.
    fn admit(&self, open: &Session, pattern: &TopicPattern) -> Result<(), RegisterError> {
        let has_it = |found: &Registration| open.terms.contains_key(&Position(found.id.0));
        if self.view.find(pattern).is_some_and(has_it) {
            // It says so again, and gets no second place.
            return Ok(());
        }
        let limits = &self.options.limits;
        let max = limits.per_session_max;
        if open.terms.len() >= max {
            return Err(RegisterError::TooMany { max });
        }
        if !pattern.is_exact() {
            self.patterns.admit(open.patterns.len(), open.info.origin, limits)?;
        }
        limits.admit(&self.view, pattern)
    }

    /// The session is a callee of `registration`; who was one before may have lost it.
    fn seat(
        &mut self,
        session: SessionId,
        registration: Position,
        register: &Register,
        changes: &[Change],
        fx: &mut Effects,
    ) {
        self.settle(changes, fx);
        let told = RegistrationId(registration.0);
        let request = register.request;
        fx.told.push((session, CallTold::Registered { request, registration: told }));
        let Some(open) = self.sessions.get_mut(&session) else { return };
        let terms = Terms {
            told,
            concurrency: register.concurrency,
            forwards_timeout: register.forwards_timeout,
            is_disclosed: register.is_disclosed,
        };
        open.terms.insert(registration, terms);
        if register.matching != Match::Exact && open.patterns.insert(registration) {
            self.patterns.add(open.info.origin);
        }
        fx.dealer.push(dealer::Input::Serves { session, registration, terms });
    }

    fn on_unregister(
        &mut self,
        now: WallTime,
        session: SessionId,
        request: RequestId,
        registration: RegistrationId,
        fx: &mut Effects,
    ) {
        let Some(open) = self.sessions.get(&session) else { return };
        if !open.terms.contains_key(&Position(registration.0)) {
            let (kind, error) = (CalleeRequest::Unregister, RegisterError::NoSuchRegistration);
            return fx.told.push((session, CallTold::Refused { request, kind, error }));
        }
        let said = Said::Unregister(record::Unregister {
            realm: Arc::clone(&open.info.realm),
            session: session.0,
            registration: record::RegistrationId(registration.0),
            why: record::UnregisterWhy::Asked,
        });
        let mut changes = Vec::new();
        self.write(now, said, &mut changes);
        self.settle(&changes, fx);
        fx.told.push((session, CallTold::Unregistered { request }));
    }

    fn on_hide(&mut self, session: SessionId, registration: RegistrationId, fx: &mut Effects) {
        let registration = Position(registration.0);
        let open = self.sessions.get_mut(&session);
        let Some(terms) = open.and_then(|open| open.terms.get_mut(&registration)) else { return };
        terms.is_disclosed = false;
        fx.dealer.push(dealer::Input::Serves { session, registration, terms: *terms });
    }

    fn on_remove(
        &mut self,
        now: WallTime,
        realm: Arc<str>,
        registration: Position,
        session: SessionId,
        fx: &mut Effects,
    ) {
        let registration = record::RegistrationId(registration.0);
        let found = self.view.get(registration).filter(|found| found.pattern.realm == realm);
        let callees = found.into_iter().flat_map(|found| found.callees.iter());
        let lives = callees.filter(|(_, callee)| callee.session == session.0);
        let lives: Vec<_> = lives.map(|(_, callee)| callee.life).collect();
        for life in lives {
            let said = Said::Unregister(record::Unregister {
                realm: Arc::clone(&realm),
                session: session.0,
                registration,
                why: record::UnregisterWhy::Removed(life),
            });
            let mut changes = Vec::new();
            self.write(now, said, &mut changes);
            self.settle(&changes, fx);
        }
    }

    fn on_closed(&mut self, now: WallTime, session: SessionId, fx: &mut Effects) {
        let Some(open) = self.sessions.get(&session) else { return };
        if !open.terms.is_empty() {
            let realm = Arc::clone(&open.info.realm);
            let said = Said::SessionOver(record::SessionOver { realm, session: session.0 });
            let mut changes = Vec::new();
            self.write(now, said, &mut changes);
            self.settle(&changes, fx);
        }
        self.sessions.remove(&session);
    }

    /// Writes a record at the next position, and reads it.
    fn write(&mut self, now: WallTime, said: Said, changes: &mut Vec<Change>) -> Option<Verdict> {
        let position = self.view.position().plus(1);
        let record = Record { writer: self.life, said };
        match self.view.apply(position, now, &record) {
            Outcome::Applied(applied) => {
                changes.extend(applied.changes);
                Some(applied.verdict)
            }
            Outcome::Checkpoint(_)
            | Outcome::PassedOver(_)
            | Outcome::Stopped(_)
            | Outcome::Repeated => None,
        }
    }

    /// Tells the dealer, and who has lost something, what the view has changed.
    fn settle(&mut self, changes: &[Change], fx: &mut Effects) {
        fx.changes.extend_from_slice(changes);
        for change in changes {
            match change {
                Change::Left { registration, callee, why, .. } if callee.life == self.life => {
                    self.leave(Position(registration.0), SessionId(callee.session), *why, fx);
                }
                Change::Deleted { registration, .. } => {
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
        fx.dealer.push(dealer::Input::Leaves { session, registration });
        let Some(open) = self.sessions.get_mut(&session) else { return };
        if open.patterns.remove(&registration) {
            self.patterns.remove(open.info.origin);
        }
        let Some(terms) = open.terms.remove(&registration) else { return };
        let is_taken = matches!(
            why,
            LeftWhy::Unseated | LeftWhy::Unregistered(record::UnregisterWhy::Removed(_))
        );
        if is_taken {
            fx.told.push((session, CallTold::Revoked { registration: terms.told }));
        }
    }

    /// What R3 is about, from the sessions.
    fn counted(&self) -> Patterns {
        let mut counted = Patterns::default();
        for open in self.sessions.values() {
            open.patterns.iter().for_each(|_| counted.add(open.info.origin));
        }
        counted
    }

    /// R2 and R3, as far as they cost little.
    fn check(&self) {
        debug_assert!(self.patterns == self.counted(), "R3: patterns are counted");
        debug_assert!(
            self.sessions.iter().all(|(session, open)| {
                let callee = Callee { life: self.life, session: session.0 };
                let served = self.view.served_by(&callee).into_iter().map(|(_, id)| id.0);
                let mut served: Vec<_> = served.collect();
                served.sort_unstable();
                served == open.terms.keys().map(|at| at.0).collect::<Vec<_>>()
            }),
            "R2: a session has terms for what it serves, and nothing else"
        );
    }
}

fn refuse_register(session: SessionId, request: RequestId, error: RegisterError, fx: &mut Effects) {
    let kind = CalleeRequest::Register;
    fx.told.push((session, CallTold::Refused { request, kind, error }));
}

const fn invoke_of(invoke: Invoke) -> record::Invoke {
    match invoke {
        Invoke::Single => record::Invoke::Single,
        Invoke::RoundRobin => record::Invoke::RoundRobin,
        Invoke::Random => record::Invoke::Random,
        Invoke::First => record::Invoke::First,
        Invoke::Last => record::Invoke::Last,
    }
}
