//! Procedures that decide, called by the entry itself: for each it is a caller of its own dealer, whom nobody sees.
//!
//! A question waits at the desk of its procedure until it is asked (`vixen_broker::authority::desk`), and what it asks
//! is answered once, in its time: by the procedure, or by nobody. An answer is of the registration as it was asked: where
//! that has changed meanwhile it is asked again, of whom is there, for whoever has said so may not be let any more.

mod answers;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as StdInstant};

use metrics::{Gauge, gauge};
use tokio::time::Instant;

use vixen_broker::api::calls::{Call, CallError, CallFeatures, CallTold, Payload};
use vixen_broker::api::{Origin, RequestId, SessionId, SessionInfo};
use vixen_broker::authority::desk::Desk;
use vixen_broker::authority::turns::Entry;
use vixen_core::segment::{Encoding, Match, TopicPattern};
use vixen_views::registrations::Change;

use super::calls::CallEffects;
use super::run::EntryNode;
use crate::authority::{Asker, Asking, Edition};
use answers::{Unanswered, is_busy};

/// Callers of the dealer from here on are the entry: no client has such an id (`1..=2^53`), and callees are not told.
const FIRST_CALLER: u64 = 1 << 60;

/// Procedures of which something is remembered that nobody asks any more.
const KEPT_MAX: usize = 64;

const WAITING: &str = "vixen_entry_authorizer_waiting";

/// Whether it is the entry that calls.
pub(super) const fn is_entry(session: SessionId) -> bool {
    session.0 >= FIRST_CALLER
}

/// A procedure of a realm.
type Decider = (Arc<str>, Arc<str>);

/// See the module.
pub(super) struct Deciders {
    of: BTreeMap<Decider, Asked>,
    /// As whom the entry calls it.
    callers: BTreeMap<SessionId, Decider>,
    callers_ever: u64,
    /// Callers that are to be closed.
    lost: Vec<SessionId>,
    /// Which view of the registrations was there the last time, and whether it could be gone by.
    view: (u64, bool),
    waiting: Gauge,
}

/// One of them.
struct Asked {
    caller: SessionId,
    desk: Desk<Question>,
    /// How often its registration has changed.
    counter: Arc<AtomicU64>,
    /// It has not answered the last time.
    is_failing: bool,
}

/// What waits for an answer.
struct Question {
    arguments: bytes::Bytes,
    begun: Instant,
    asker: Asker,
    /// The registration that was asked.
    edition: Option<Edition>,
}

impl Question {
    /// Whether the registration is still the one that was asked.
    fn is_current(&self) -> bool {
        self.edition.as_ref().is_some_and(Edition::is_current)
    }
}

impl Deciders {
    pub(super) fn new() -> Self {
        answers::describe();
        Self {
            of: BTreeMap::new(),
            callers: BTreeMap::new(),
            callers_ever: 0,
            lost: Vec::new(),
            view: (0, false),
            waiting: gauge!(WAITING),
        }
    }

    /// The registrations of a realm have changed: what those said that have to do with it is not kept.
    pub(super) fn note(&self, changes: &[Change]) {
        for change in changes {
            let pattern = match change {
                Change::Created { pattern, .. }
                | Change::Joined { pattern, .. }
                | Change::Left { pattern, .. }
                | Change::Deleted { pattern, .. } => pattern,
                Change::Alive(_) | Change::Over(_) => continue,
            };
            self.note_pattern(pattern);
        }
    }

    /// Callees here are about to leave these registrations, before the order says so: they decide nothing any more,
    /// by what is open with them either.
    pub(super) fn note_leaving(&self, leaving: &[TopicPattern]) {
        leaving.iter().for_each(|pattern| self.note_pattern(pattern));
    }

    fn note_pattern(&self, pattern: &TopicPattern) {
        // Nobody is asked by a pattern.
        if pattern.matching == Match::Exact {
            let decider = (Arc::clone(&pattern.realm), Arc::clone(&pattern.uri));
            self.of.get(&decider).into_iter().for_each(Asked::note_change);
        }
    }

    /// A view that begins anew, or is ready again, does not say what has changed meanwhile.
    fn note_view(&mut self, view: (u64, bool)) {
        if std::mem::replace(&mut self.view, view) != view {
            self.of.values().for_each(Asked::note_change);
        }
    }

    /// When something is to be done without an answer.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.of.values().filter_map(|asked| asked.desk.due_at()).min().map(Instant::from_std)
    }

    /// A question waits for its turn.
    pub(super) fn on_asking(&mut self, asking: Asking) {
        let Asking { realm, procedure, whose, by, arguments, asker } = asking;
        let bytes = realm.len() + procedure.len() + arguments.len();
        let question = Question { arguments, begun: Instant::now(), asker, edition: None };
        let decider = (realm, procedure);
        let asked = self.asked(&decider);
        let entry = Entry { whose, bytes, by: by.into_std() };
        if let Err(question) = asked.desk.push(entry, question) {
            asked.unanswered(&decider, question, &Unanswered::Full);
        }
    }

    fn asked(&mut self, decider: &Decider) -> &mut Asked {
        if !self.of.contains_key(decider) && self.of.len() >= KEPT_MAX {
            self.forget_idle();
        }
        let Self { of, callers, callers_ever, .. } = self;
        of.entry(decider.clone()).or_insert_with(|| {
            let caller = SessionId(FIRST_CALLER + *callers_ever);
            *callers_ever += 1;
            callers.insert(caller, decider.clone());
            Asked::new(caller)
        })
    }

    /// Forgets what nobody asks, and whose answers nobody keeps.
    fn forget_idle(&mut self) {
        let Self { of, callers, lost, .. } = self;
        of.retain(|_, asked| {
            let is_kept = !asked.desk.is_idle() || Arc::strong_count(&asked.counter) > 1;
            if !is_kept {
                callers.remove(&asked.caller);
                lost.push(asked.caller);
            }
            is_kept
        });
    }

    /// The dealer tells a caller of the entry nothing more: it was told too much in one turn. Another takes its place.
    pub(super) fn lose(&mut self, caller: SessionId) {
        let Some(decider) = self.callers.remove(&caller) else { return };
        self.lost.push(caller);
        let Some(asked) = self.of.get_mut(&decider) else { return };
        asked.caller = SessionId(FIRST_CALLER + self.callers_ever);
        self.callers_ever += 1;
        self.callers.insert(asked.caller, decider.clone());
        for question in asked.desk.take_open(Instant::now().into_std()) {
            asked.unanswered(&decider, question, &Unanswered::Lost);
        }
    }

    /// Nobody is asked any more, as the entry stops.
    fn end(&mut self) {
        for (decider, asked) in &mut self.of {
            for question in asked.desk.take_all() {
                asked.unanswered(decider, question, &Unanswered::Stopped);
            }
        }
    }
}

impl Asked {
    fn new(caller: SessionId) -> Self {
        Self { caller, desk: Desk::default(), counter: Arc::default(), is_failing: false }
    }

    fn note_change(&self) {
        self.counter.fetch_add(1, Ordering::AcqRel);
    }

    /// The next call that is to be made, and as whom.
    fn next_call(&mut self, procedure: &Arc<str>, now: StdInstant) -> Option<Call> {
        let edition = Edition::of(&self.counter);
        let next = self.desk.next(now, |question| question.asker.is_there())?;
        next.question.edition = Some(edition);
        Some(Call {
            request: next.request,
            procedure: Arc::clone(procedure),
            payload: Payload::new(Encoding::Json, next.question.arguments.clone()),
            takes_progress: false,
            has_more: false,
            timeout_ms: Some(ms(next.left)),
            came: None,
            is_disclosed: false,
            routing_key: None,
            testament: None,
            rights: None,
        })
    }

    /// The dealer has an answer to a call.
    fn hear(
        &mut self,
        decider: &Decider,
        request: RequestId,
        answer: Result<&Payload, &CallError>,
        now: StdInstant,
    ) {
        if answer.err().is_some_and(is_busy) {
            return self.desk.busy(now, request);
        }
        // Whoever says so may have no word in it any more, and others may by now.
        if self.desk.under_way(request).is_some_and(|question| !question.is_current()) {
            return self.desk.again(request);
        }
        if let Some(question) = self.desk.answered(request) {
            self.answered(decider, question, answer);
        }
    }
}

/// A time that is not over in whole ms: the dealer has no others.
fn ms(left: Duration) -> NonZeroU64 {
    let ms = u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    NonZeroU64::new(ms).unwrap_or(NonZeroU64::MIN)
}

/// The entry as a caller.
fn caller(session: SessionId, realm: &Arc<str>) -> SessionInfo {
    SessionInfo {
        session,
        realm: Arc::clone(realm),
        authid: "".into(),
        authrole: "".into(),
        authmethod: "internal",
        authprovider: "internal",
        origin: Origin { client: IpAddr::V4(Ipv4Addr::UNSPECIFIED), site: None },
        is_announced: false,
        calls: CallFeatures::default(),
    }
}

impl EntryNode {
    /// Asks what may be asked, and gives out what is answered or has waited for too long.
    pub(super) fn settle_deciders(&mut self, fx: &mut CallEffects) {
        let Self { calls, deciders, .. } = self;
        deciders.note_view(calls.view_seen());
        for session in std::mem::take(&mut deciders.lost) {
            calls.close_caller(session, fx);
        }
        loop {
            let told = fx.take_told_to_entry();
            let has_heard = !told.is_empty();
            deciders.hear(told, |session, bytes| calls.caller_has_read(session, bytes));
            if calls.are_over() {
                deciders.end();
            }
            let has_asked = deciders.ask(|caller, realm, call| {
                calls.call_as(caller, realm, call, fx);
            });
            if !has_heard && !has_asked {
                break;
            }
        }
        let waiting: usize = deciders.of.values().map(|asked| asked.desk.waiting()).sum();
        deciders.waiting.set(waiting as f64);
    }
}

impl Deciders {
    /// Takes what the entry was told as a caller.
    fn hear(
        &mut self,
        told: Vec<(SessionId, CallTold)>,
        mut has_read: impl FnMut(SessionId, usize),
    ) {
        let now = Instant::now().into_std();
        for (session, told) in told {
            has_read(session, told.queued_bytes());
            let Some(decider) = self.callers.get(&session).cloned() else { continue };
            let Some(asked) = self.of.get_mut(&decider) else { continue };
            match &told {
                CallTold::Result { request, is_progress: false, payload, .. } => {
                    asked.hear(&decider, *request, Ok(payload), now);
                }
                CallTold::Failed { request, error } => {
                    asked.hear(&decider, *request, Err(error), now);
                }
                // It asks for no parts, and registers nothing.
                CallTold::Result { .. }
                | CallTold::Registered { .. }
                | CallTold::Unregistered { .. }
                | CallTold::Refused { .. }
                | CallTold::Invocation { .. }
                | CallTold::Interrupt { .. }
                | CallTold::Revoked { .. } => {}
            }
        }
    }

    /// Makes the calls that may be made now. Whether there was one.
    fn ask(&mut self, mut call: impl FnMut(SessionId, SessionInfo, Call)) -> bool {
        let now = Instant::now().into_std();
        let mut has_asked = false;
        for (decider, asked) in &mut self.of {
            while let Some(question) = asked.desk.overdue(now) {
                asked.unanswered(decider, question, &Unanswered::Late);
            }
            let (realm, procedure) = decider;
            while let Some(made) = asked.next_call(procedure, now) {
                has_asked = true;
                call(asked.caller, caller(asked.caller, realm), made);
            }
        }
        has_asked
    }
}

#[cfg(test)]
mod tests;
