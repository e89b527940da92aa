//! Registrar: who is callee of what at this entry.
//!
//! ```text
//!   session ──REGISTER, UNREGISTER, its end──> Registrar ──record──────────> the order
//!   session <────────answers, revocations───── Registrar <─what is read of it──┘
//!   dealer  <──────whom it may call here────── Registrar (view: vixen-views)
//! ```
//! It writes records of the realm `#calls`, and answers when its own view has applied them: then all entries find
//! the same, each as it comes so far. The view is kept by the follower (`vixen_views::follower`), which it holds.
//!
//! A life that was called gone ends all registrations that hang on it, and so does a view that is given up for
//! another where it has not got them. What sessions here had is registered anew then, in the order of its places,
//! and keeps the id that they were told.
//!
//! Source: `docs/design/027-calls.md`.
//!
//! Invariants:
//! - R1: each REGISTER and UNREGISTER is answered once.
//! - R2: what the dealer is told of callees here is what the view has.
//! - R3: patterns are counted as sessions have them, or have written them (`limits`).
//! - R4: a REGISTER that is held, or asked for, is pending, and was not written (`held`, `asked`).

mod applied;
mod asked;
mod doubts;
mod gone;
mod held;
mod io;
mod limits;
mod requests;
mod routes;
mod tenure;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use vixen_core::id::{OwnerId, Position};
use vixen_core::membership::Membership;
use vixen_core::name::NodeName;
use vixen_core::segment::{Match, TopicPattern};
use vixen_views::follower::{self, Follower, Stage};
use vixen_views::record::{self, Facts, Life, Reads, Record, Said};
use vixen_views::registrations::{Callee, Living, Refusal, Registrations};

use crate::api::calls::{CallTold, CalleeRequest, Invoke, Register, RegisterError, RegistrationId};
use crate::api::{RequestId, SessionId, SessionInfo};
use crate::dealer::{self, Terms};

use asked::Asked;
pub use gone::{HeardOf, Owed, Suspects, Trust};
use held::Held;
pub use io::{Effects, EntryLink, Input, Note, Read};
pub use limits::RegistrationLimits;
use limits::{Coming, Patterns};
use tenure::Tenures;

/// How a registrar runs.
#[derive(Clone, Debug)]
pub struct RegistrarOptions {
    /// This incarnation of the entry.
    pub owner: OwnerId,
    /// What people call it.
    pub name: NodeName,
    /// Where other entries dial it, if they do.
    pub link_address: Option<Arc<str>>,
    /// Whose sync nodes say who is heard.
    pub membership: Membership,
    /// How much registrations may take.
    pub limits: RegistrationLimits,
    /// How long a session waits for its record's place.
    pub timeout: Duration,
    /// Most bytes of state in a part of a checkpoint.
    pub part_bytes_max: usize,
    /// No other entry can join: this one has all that is registered.
    pub is_alone: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Registrar {
    name: NodeName,
    limits: RegistrationLimits,
    timeout: Duration,
    follower: Follower,
    /// Of the other entries.
    suspects: Suspects,
    /// It was, once: what was here before under this name is not any more.
    was_ready: bool,
    is_alone: bool,
    /// Nobody registers any more, and nothing is registered anew.
    is_stopping: bool,
    /// Records that have no room on their way to the order, as it was told.
    unsent: usize,
    /// After the last record that was applied.
    applied_below: Position,
    sessions: BTreeMap<SessionId, Session>,
    /// REGISTERs that the view has not applied, by their numbers.
    pending: BTreeMap<u64, Pending>,
    /// Those of them that are not written yet: as what is in their way may end soon, or is known not to.
    held: Held,
    asked: Asked,
    last_number: u64,
    /// What was registered, and hangs on nothing now: to be registered anew when the view is ready.
    lost: Vec<(SessionId, Seat)>,
    /// What sessions wait for, oldest first; some of it may be answered.
    waits: VecDeque<(Instant, Wait)>,
    /// Of all sessions.
    seats: usize,
    patterns: Patterns,
    coming: Coming,
    tenures: Tenures,
}

/// An open session.
#[derive(Debug)]
struct Session {
    info: Arc<SessionInfo>,
    /// Where it is callee, by registration.
    seats: BTreeMap<Position, Seat>,
    /// Its REGISTERs that are pending, by their numbers.
    registering: BTreeSet<u64>,
    /// How many of both are no exact procedures.
    patterns: usize,
}

/// A place of a session among the callees of a registration.
#[derive(Clone, Debug)]
struct Seat {
    terms: Terms,
    /// As it was asked for.
    register: Register,
    /// UNREGISTER is written: whom to answer when that is applied.
    leaving: Option<Vec<RequestId>>,
}

/// A REGISTER that is written, or is to be when the view is ready.
#[derive(Clone, Debug)]
struct Pending {
    session: SessionId,
    register: Register,
    /// It is counted among patterns.
    is_counted: bool,
    /// It is counted among the exact procedures that may be new to the realm.
    is_coming: bool,
    /// What the session was told before; `None`: it waits for an answer.
    anew: Option<RegistrationId>,
    /// It was told that it has failed, or wants it no more.
    is_given_up: bool,
}

/// What a session waits for.
#[derive(Clone, Copy, Debug)]
enum Wait {
    Register(u64),
    Unregister { session: SessionId, registration: RegistrationId, request: RequestId },
}

impl Registrar {
    /// One of a process that has just begun: it knows of no callee.
    #[must_use]
    pub fn new(options: RegistrarOptions) -> Self {
        let RegistrarOptions {
            owner,
            name,
            link_address,
            membership,
            limits,
            timeout,
            part_bytes_max,
            is_alone,
        } = options;
        let nodes = membership.sync().iter().copied();
        let suspects = Suspects::new(owner, name.clone(), nodes, membership.quorum());
        let life = Life { owner, number: 1 };
        let facts = Facts { name: name.clone(), link_address, reads: Reads::HERE };
        Self {
            name,
            limits,
            timeout,
            follower: Follower::new(life, facts).with_parts(part_bytes_max),
            suspects,
            was_ready: false,
            is_alone,
            is_stopping: false,
            unsent: 0,
            applied_below: Position(1),
            sessions: BTreeMap::new(),
            pending: BTreeMap::new(),
            held: Held::default(),
            asked: Asked::default(),
            last_number: 0,
            lost: Vec::new(),
            waits: VecDeque::new(),
            seats: 0,
            patterns: Patterns::default(),
            coming: Coming::default(),
            tenures: Tenures::default(),
        }
    }

    /// The registrations, as far as they are known here.
    #[must_use]
    pub const fn view(&self) -> &Registrations {
        self.follower.view()
    }

    /// How the entry comes to them.
    #[must_use]
    pub const fn follower(&self) -> &Follower {
        &self.follower
    }

    /// The present life of the entry.
    #[must_use]
    pub const fn life(&self) -> Life {
        self.follower.life()
    }

    /// Whether the view may be gone by.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.follower.stage() == Stage::Ready
    }

    /// Whether nothing of this entry is left in the order, as it stops.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.follower.has_ended()
    }

    /// Why the view may not be gone by, in words.
    #[must_use]
    pub fn waits_for(&self) -> Option<Arc<str>> {
        let waits_for = match self.follower.stage() {
            Stage::Ready => return None,
            Stage::Seeking => "the entry looks for what is known of registrations",
            Stage::Reading => "the entry reads the registrations",
            Stage::Announcing => "the entry waits until its life has a place in the order",
            Stage::Over => "the entry is about to stop",
            Stage::Cut(_) => "retention has dropped a part of the registrations before it was read",
            Stage::Stopped(error) => {
                return Some(
                    format!("the entry's view of registrations stands still: {error}").into(),
                );
            }
        };
        Some(waits_for.into())
    }

    /// Whether somebody here waits for what others register: a callee, or who is to be one, or all while the view
    /// is not ready.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        match self.follower.stage() {
            // As it stops, it waits for its own last word.
            Stage::Ready => self.is_stopping || self.seats > 0 || !self.pending.is_empty(),
            Stage::Reading | Stage::Announcing => true,
            Stage::Seeking | Stage::Cut(_) | Stage::Stopped(_) | Stage::Over => false,
        }
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn timeout_at(&self) -> Option<Instant> {
        let waits = self.waits.front().map(|(at, _)| *at);
        let suspects = self.suspects.timeout_at();
        let suspects = suspects.filter(|_| !self.is_stopping && self.is_ready());
        let entries = suspects.into_iter().chain(self.held.timeout_at());
        let entries = entries.chain(self.asked.due_at());
        let view = self.tenures.timeout_at().into_iter().chain(self.follower.deadline());
        waits.into_iter().chain(view).chain(entries).min()
    }

    /// The number of the last REGISTER that has come.
    #[must_use]
    pub const fn last_number(&self) -> u64 {
        self.last_number
    }

    /// Records that have no room on their way to the order, as far as it knows.
    #[must_use]
    pub const fn unsent(&self) -> usize {
        self.unsent
    }

    /// Everything below is applied, as far as it is of the records: it rises with them alone.
    #[must_use]
    pub const fn applied_below(&self) -> Position {
        self.applied_below
    }

    /// Advances by one input.
    pub fn step(&mut self, now: Instant, input: Input, fx: &mut Effects) {
        // It comes with each turn, and changes nothing for sessions.
        let is_passage = matches!(input, Input::View(follower::Input::Passed { .. }));
        match input {
            Input::Opened { info } => {
                let (seats, registering, patterns) = (BTreeMap::new(), BTreeSet::new(), 0);
                let session = info.session;
                self.sessions.insert(session, Session { info, seats, registering, patterns });
            }
            Input::Register { session, register } => self.on_register(now, session, register, fx),
            Input::Unregister { session, request, registration } => {
                self.on_unregister(now, session, request, registration, fx);
            }
            Input::Hide { session, registration } => self.on_hide(session, registration, fx),
            Input::Remove { realm, registration, session } => {
                self.on_remove(&realm, registration, session, fx);
            }
            Input::Closed { session } => self.on_closed(session, fx),
            Input::View(input) => self.on_view(now, input, fx),
            Input::Unsent { records } => {
                self.unsent = records;
                self.follower.hold_back(records > 0);
            }
            Input::Standing { owner, applied_below } => {
                if self.tenures.applied(owner, applied_below) {
                    fx.dealer.push(dealer::Input::Applied);
                }
            }
            Input::Complete { up_to, is_known } => self.on_complete(now, (up_to, is_known), fx),
            Input::Stop => self.on_stop(now, fx),
            Input::Entry { owner, link } => self.on_entry(now, owner, link),
            Input::Heard { from, request, said } => self.on_heard(now, from, request, said),
            Input::Timeout { missing } => {
                self.on_timeout(now, &missing, fx);
                self.poll_suspects(now, fx);
            }
        }
        self.release_held(now, fx);
        self.ask(now, fx);
        while self.waits.front().is_some_and(|(_, wait)| self.is_answered(*wait)) {
            self.waits.pop_front();
        }
        if !is_passage {
            self.check();
        }
    }

    fn is_answered(&self, wait: Wait) -> bool {
        match wait {
            Wait::Register(number) => {
                // What is held waits anew when it is released.
                self.held.has(number)
                    || self.pending.get(&number).is_none_or(|pending| pending.is_given_up)
            }
            Wait::Unregister { session, registration, request } => {
                let leaving = self.seat_told(session, registration);
                let leaving = leaving.and_then(|(_, seat)| seat.leaving.as_ref());
                !leaving.is_some_and(|requests| requests.contains(&request))
            }
        }
    }

    /// The place of a session in the registration that it was told so.
    fn seat_told(&self, session: SessionId, told: RegistrationId) -> Option<(Position, &Seat)> {
        let seats = &self.sessions.get(&session)?.seats;
        let is_it = |(_, seat): &(&Position, &Seat)| seat.terms.told == told;
        // Most have the id that they were told.
        let found = seats.get_key_value(&Position(told.0)).filter(is_it);
        let found = found.or_else(|| seats.iter().find(is_it));
        found.map(|(at, seat)| (*at, seat))
    }

    const fn callee(&self, session: SessionId) -> Callee {
        Callee { life: self.life(), session: session.0 }
    }

    /// Whether it is another process of the name of this one.
    fn has_own_name(&self, living: &Living) -> bool {
        living.facts.name == self.name && living.life.owner != self.life().owner
    }

    /// Whether a process began before this one, by the time in its owner id.
    fn is_before(&self, other: OwnerId) -> bool {
        other < self.life().owner
    }

    /// Writes a record of the present life.
    fn write(&self, said: Said, fx: &mut Effects) {
        fx.records.push(Record { writer: self.life(), said });
    }

    /// A session has one more pattern.
    fn count_pattern(&mut self, session: SessionId) {
        if let Some(open) = self.sessions.get_mut(&session) {
            open.patterns += 1;
            self.patterns.add(open.info.origin);
        }
    }

    /// A callee is to leave, whose entry it is.
    fn on_remove(
        &mut self,
        realm: &Arc<str>,
        registration: Position,
        session: SessionId,
        fx: &mut Effects,
    ) {
        let registration = record::RegistrationId(registration.0);
        let found = self.view().get(registration).filter(|found| found.pattern.realm == *realm);
        let callees = found.into_iter().flat_map(|found| found.callees.iter());
        let of_session = callees.filter(|(_, callee)| callee.session == session.0);
        for callee in of_session.map(|(_, callee)| callee).collect::<Vec<_>>() {
            let life = callee.life;
            if !self.asked.removing(registration, callee) {
                // It is on its way.
                continue;
            }
            if life.owner == self.life().owner {
                // It is not invoked any more, from before that is written: no other entry waits for this one.
                let at = Position(registration.0);
                fx.dealer.push(dealer::Input::Leaves { session, registration: at });
            }
            let said = Said::Unregister(record::Unregister {
                realm: Arc::clone(realm),
                session: session.0,
                registration,
                why: record::UnregisterWhy::Removed(life),
            });
            self.write(said, fx);
        }
    }

    /// A session has one less.
    fn uncount_pattern(&mut self, session: SessionId) {
        if let Some(open) = self.sessions.get_mut(&session) {
            open.patterns = open.patterns.saturating_sub(1);
            self.patterns.remove(open.info.origin);
        }
    }

    /// What a REGISTER of a session is of.
    fn pattern_of(&self, session: SessionId, register: &Register) -> Option<TopicPattern> {
        Some(TopicPattern {
            realm: Arc::clone(&self.sessions.get(&session)?.info.realm),
            uri: Arc::clone(&register.procedure),
            matching: register.matching,
        })
    }

    /// What R3 is about, from the sessions.
    fn counted(&self) -> Patterns {
        let mut counted = Patterns::default();
        for open in self.sessions.values() {
            (0..open.patterns).for_each(|_| counted.add(open.info.origin));
        }
        counted
    }

    /// How many patterns each session has, from what it has.
    fn patterns_held(&self) -> BTreeMap<SessionId, usize> {
        let mut held = BTreeMap::<_, usize>::new();
        let seats = self.sessions.iter().flat_map(|(session, open)| {
            open.seats.values().map(|seat| (*session, seat.is_pattern()))
        });
        let lost = self.lost.iter().map(|(session, seat)| (*session, seat.is_pattern()));
        let pending = self.pending.values().map(|pending| (pending.session, pending.is_counted));
        for (session, is_pattern) in seats.chain(lost).chain(pending) {
            *held.entry(session).or_default() += usize::from(is_pattern);
        }
        held
    }

    /// R2 and R3, as far as they cost little.
    fn check(&self) {
        debug_assert!(self.patterns == self.counted(), "R3: patterns are counted");
        debug_assert!(
            {
                let held = self.patterns_held();
                let is_so = |(session, open): (&SessionId, &Session)| {
                    open.patterns == held.get(session).copied().unwrap_or_default()
                };
                self.sessions.iter().all(is_so)
            },
            "R3: patterns are those of sessions"
        );
        debug_assert!(!self.pending.is_empty() || self.coming.is_empty(), "R3: nothing is coming");
        debug_assert!(
            self.held
                .numbers()
                .chain(self.asked.numbers())
                .all(|number| self.pending.contains_key(&number)),
            "R4: what is held or asked for is pending"
        );
        debug_assert_eq!(
            self.pending.len(),
            self.sessions.values().map(|open| open.registering.len()).sum::<usize>(),
            "R1: each is of a session"
        );
        debug_assert_eq!(
            self.seats,
            self.sessions.values().map(|open| open.seats.len()).sum::<usize>(),
            "R2: seats are counted"
        );
        debug_assert!(
            !self.is_ready()
                || self.sessions.iter().all(|(session, open)| {
                    let served = self.view().served_by(&self.callee(*session));
                    let is_served = |at: &Position| {
                        served.iter().any(|(_, registration)| registration.0 == at.0)
                    };
                    open.seats.keys().all(is_served)
                }),
            "R2: a session has terms for what it serves"
        );
    }
}

impl Seat {
    fn is_pattern(&self) -> bool {
        self.register.matching != Match::Exact
    }
}

fn refuse(
    session: SessionId,
    (kind, request): (CalleeRequest, RequestId),
    error: RegisterError,
    fx: &mut Effects,
) {
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
