//! One step, exact effects: each cell of both tables, policies, bounds; then dealers joined by links.

mod asked;
mod bounds;
mod cluster;
mod deciders;
mod holds;
mod needs;
mod origin;
mod pending;
mod policies;
mod rights;
mod router;
mod same;
mod serving;
mod texts;
mod view;
mod world;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::{Content, Encoding, Passthru, Topic};
use vixen_core::wire::{Cancellation, DropMode, InvokeRefusal};

use super::*;
use crate::api::calls::{
    Call, CallError, CallFeatures, CallTold, CancelMode, InvocationId, Invoke as Policy, Party,
    Payload, RegistrationId, Withdrawal,
};
use crate::api::{Origin as Address, RequestId, SessionId, SessionInfo};

pub(super) const SEED: [u8; 32] = [7; 32];

pub(super) fn owner(entry: u8) -> OwnerId {
    OwnerId(uuid::Uuid::from_u128(entry.into()))
}

fn entry_of(owner: OwnerId) -> u128 {
    owner.0.as_u128()
}

pub(super) fn json(text: &str) -> Payload {
    let content = Content::Arguments(Encoding::Json);
    Payload::new(content, Bytes::copy_from_slice(text.as_bytes()))
}

/// One that is for the other side alone to look into.
pub(super) fn packed(text: &str) -> Payload {
    let (scheme, serializer) = ("x_mine".to_owned(), None);
    let passthru = Passthru { scheme, serializer, cipher: None, keyid: None };
    Payload { passthru: Some(Box::new(passthru)), ..json(text) }
}

fn text_of(payload: &Payload) -> &str {
    std::str::from_utf8(&payload.bytes).expect("tests send text")
}

/// No bound is in the way.
pub(super) fn roomy() -> CallLimits {
    CallLimits {
        calls_per_session_max: 4096,
        calls_bytes_per_session_max: 16 << 20,
        calls_max: 1 << 18,
        calls_bytes_max: 256 << 20,
        invocations_per_session_max: 4096,
        callee_queue_bytes_max: 4 << 20,
        caller_queue_bytes_max: 4 << 20,
        link_queue_bytes_max: 4 << 20,
        call_timeout_max: None,
        call_timeout: None,
    }
}

pub(super) fn options(entry: u8, limits: CallLimits) -> DealerOptions {
    let name = format!("E{entry}").into();
    DealerOptions {
        owner: owner(entry),
        name,
        limits,
        cancel_answer: CancelAnswer::Always,
        seed: SEED,
    }
}

/// The first link to an entry.
pub(super) fn link(entry: u8) -> Link {
    Link { peer: owner(entry), number: 1 }
}

pub(super) fn callee(entry: u8, session: u64) -> Callee {
    let (owner, session) = (owner(entry), SessionId(session));
    Callee { owner, session }
}

/// A view of registrations that does as the test says.
#[derive(Debug, Default)]
pub(super) struct Registry {
    pub(super) of: BTreeMap<String, (Route, Vec<(Position, Callee)>)>,
    pub(super) applied: u64,
    pub(super) not_ready: Option<Arc<str>>,
    pub(super) may_be_behind: bool,
    /// What keeps calls from callees.
    pub(super) hold: Option<Hold>,
    /// Callees at these places keep timeouts.
    pub(super) keeping: Vec<u64>,
    /// How many names it was asked for.
    pub(super) named: std::cell::Cell<usize>,
}

impl Registry {
    /// A URI that ends with a dot is a prefix.
    pub(super) fn add(&mut self, uri: &str, id: u64, policy: Policy, callees: Vec<Callee>) {
        let (registration, is_pattern) = (Position(id), uri.ends_with('.'));
        let route = Route { registration, is_pattern, policy };
        let places = (id..).map(Position);
        self.of.insert(uri.to_owned(), (route, places.zip(callees).collect()));
        self.applied = self.applied.max(id);
    }

    /// A callee leaves all its registrations; those without one are over.
    pub(super) fn remove(&mut self, entry: u8, session: u64) {
        for (_, callees) in self.of.values_mut() {
            callees.retain(|(_, callee)| *callee != self::callee(entry, session));
        }
        self.of.retain(|_, (_, callees)| !callees.is_empty());
    }
}

impl Routes for Registry {
    fn find(&self, Topic { uri, .. }: &Topic) -> Result<Option<Route>, Arc<str>> {
        if let Some(why) = &self.not_ready {
            return Err(Arc::clone(why));
        }
        let exact = self.of.get(&**uri);
        let prefix = self.of.iter().rev().find(|(of, _)| of.ends_with('.') && uri.starts_with(*of));
        Ok(exact.or(prefix.map(|(_, found)| found)).map(|(route, _)| *route))
    }

    fn callees(
        &self,
        registration: Position,
    ) -> impl DoubleEndedIterator<Item = (Position, Callee)> {
        let mut all = self.of.values();
        let found = all.find(|(route, _)| route.registration == registration);
        found.into_iter().flat_map(|(_, callees)| callees.iter().copied())
    }

    fn callees_after(
        &self,
        registration: Position,
        place: Position,
    ) -> impl Iterator<Item = (Position, Callee)> {
        let after = self.callees(registration).filter(move |(at, _)| *at > place);
        after.chain(self.callees(registration).filter(move |(at, _)| *at <= place))
    }

    fn keeps_timeouts(&self, _registration: Position, place: Position) -> bool {
        self.keeping.contains(&place.0)
    }

    fn name_of(&self, entry: OwnerId) -> Option<Arc<str>> {
        self.named.set(self.named.get() + 1);
        Some(format!("E{}", entry_of(entry)).into())
    }

    fn is_complete(&self) -> bool {
        !self.may_be_behind
    }

    fn applied(&self) -> Position {
        Position(self.applied)
    }

    fn hold(&self, _now: Instant, _registration: Position) -> Option<Hold> {
        self.hold
    }
}

/// The dealer of entry 1, its view, and its clock.
pub(super) struct Bench {
    pub(super) dealer: Dealer,
    pub(super) registry: Registry,
    pub(super) now: Instant,
    pub(super) notes: Vec<Note>,
}

impl Bench {
    pub(super) fn new(limits: CallLimits) -> Self {
        Self::with(options(1, limits))
    }

    pub(super) fn with(options: DealerOptions) -> Self {
        let (dealer, registry) = (Dealer::new(options), Registry::default());
        Self { dealer, registry, now: Instant::now(), notes: Vec::new() }
    }

    /// Advances and says what is owed, a line each: first to sessions, then to entries.
    pub(super) fn step(&mut self, input: Input) -> Vec<String> {
        let fx = self.effects(input);
        self.notes.extend(&fx.notes);
        lines(&fx)
    }

    pub(super) fn effects(&mut self, input: Input) -> Effects {
        let mut fx = Effects::default();
        self.dealer.step(self.now, &self.registry, input, &mut fx);
        self.dealer.check();
        fx
    }

    pub(super) fn open(&mut self, session: u64) {
        let features = CallFeatures {
            is_interruptible: true,
            keeps_timeouts: true,
            hears_revocation: true,
            takes_parts: true,
            ..CallFeatures::default()
        };
        self.open_with(session, features);
    }

    pub(super) fn open_with(&mut self, session: u64, features: CallFeatures) {
        let none: [&str; 0] = [];
        assert_eq!(self.step(opened(session, features)), none);
    }

    /// A session of this entry serves a registration.
    pub(super) fn serve(&mut self, session: u64, id: u64, concurrency: u32) {
        let (session, registration, terms) =
            (SessionId(session), Position(id), terms(id, concurrency));
        self.effects(Input::Serves { session, registration, terms });
    }

    /// An entry is linked, and takes calls.
    pub(super) fn link(&mut self, entry: u8) {
        let link = link(entry);
        self.effects(Input::LinkUp { link, name: format!("E{entry}").into() });
        self.effects(Input::Standing { link, is_ready: true, is_draining: false });
    }

    pub(super) fn call(&mut self, session: u64, request: u64, uri: &str) -> Vec<String> {
        self.step(word(session, CallWord::Call(call(request, uri))))
    }

    pub(super) fn cancel(&mut self, session: u64, request: u64, mode: CancelMode) -> Vec<String> {
        self.step(word(session, CallWord::Cancel { request: RequestId(request), mode }))
    }

    pub(super) fn result(&mut self, session: u64, invocation: u64, text: &str) -> Vec<String> {
        self.step(word(session, result(invocation, false, text)))
    }

    pub(super) fn progress(&mut self, session: u64, invocation: u64, text: &str) -> Vec<String> {
        self.step(word(session, result(invocation, true, text)))
    }

    pub(super) fn fail(
        &mut self,
        session: u64,
        invocation: u64,
        uri: &str,
        text: &str,
    ) -> Vec<String> {
        let (invocation, error, payload) = (InvocationId(invocation), uri.into(), json(text));
        self.step(word(session, CallWord::Fail { invocation, error, payload }))
    }

    pub(super) fn close(&mut self, session: u64) -> Vec<String> {
        self.step(Input::Closed { session: SessionId(session) })
    }

    /// An entry says something.
    pub(super) fn hear(&mut self, entry: u8, word: PeerWord) -> Vec<String> {
        self.step(Input::Heard { link: link(entry), word })
    }

    /// Time passes, and the timeout fires if it is due.
    pub(super) fn pass(&mut self, ms: u64) -> Vec<String> {
        self.now += Duration::from_millis(ms);
        let is_due = self.dealer.timeout_at().is_some_and(|at| at <= self.now);
        if is_due { self.step(Input::Timeout) } else { Vec::new() }
    }

    /// How the calls have ended, with what else was noted.
    pub(super) fn outcomes(&mut self) -> Vec<&'static str> {
        let notes = std::mem::take(&mut self.notes).into_iter();
        let labels = notes.map(|note| match note {
            Note::Ended { outcome, .. } => outcome.label(),
            Note::Progress => "progress",
            Note::Rerouted(missed) => missed.label(),
            Note::Late => "late",
        });
        labels.collect()
    }
}

pub(super) fn terms(id: u64, concurrency: u32) -> Terms {
    Terms {
        told: RegistrationId(id),
        concurrency: NonZeroU32::new(concurrency),
        is_disclosed: false,
        forwards_timeout: false,
    }
}

pub(super) fn opened(session: u64, features: CallFeatures) -> Input {
    let origin = Address { client: [10, 0, 0, 1].into(), site: None };
    let info = SessionInfo {
        session: SessionId(session),
        realm: "r".into(),
        authid: format!("id{session}").into(),
        authrole: "role".into(),
        authmethod: "anonymous",
        authprovider: "static",
        origin,
        is_announced: true,
        calls: features,
    };
    Input::Opened { info: Arc::new(info) }
}

pub(super) fn word(session: u64, word: CallWord) -> Input {
    Input::Word { session: SessionId(session), word }
}

pub(super) fn call(request: u64, uri: &str) -> Call {
    Call {
        request: RequestId(request),
        procedure: uri.into(),
        payload: json("[1]"),
        takes_progress: false,
        has_more: false,
        timeout_ms: None,
        came: None,
        is_disclosed: false,
        routing_key: None,
        testament: None,
        rights: None,
    }
}

pub(super) fn timed(request: u64, uri: &str, timeout_ms: u64) -> CallWord {
    let timeout_ms = NonZeroU64::new(timeout_ms);
    CallWord::Call(Call { timeout_ms, ..call(request, uri) })
}

pub(super) fn part(request: u64, uri: &str, has_more: bool) -> CallWord {
    CallWord::Call(Call { has_more, ..call(request, uri) })
}

pub(super) fn result(invocation: u64, is_progress: bool, text: &str) -> CallWord {
    CallWord::Yield { invocation: InvocationId(invocation), is_progress, payload: json(text) }
}

pub(super) fn refuse(number: u64, reason: InvokeRefusal) -> PeerWord {
    PeerWord::Refuse { number: CallNumber(number), reason }
}

pub(super) fn answer(number: u64, answer: Answer) -> PeerWord {
    PeerWord::Answer { number: CallNumber(number), answer }
}

pub(super) fn result_of(text: &str) -> Answer {
    Answer::Result { callee: None, payload: json(text) }
}

pub(super) fn progress_of(text: &str) -> Answer {
    Answer::Progress { callee: None, payload: json(text) }
}

pub(super) fn error_of(uri: &str, text: &str) -> Answer {
    Answer::Error { uri: uri.into(), payload: json(text) }
}

/// An invocation as another entry asks for it.
pub(super) fn invoke(number: u64, session: u64, registration: u64) -> PeerWord {
    let part = Part { payload: json("[1]"), takes_progress: false, has_more: false };
    let invoke = Invoke {
        registration: Position(registration),
        place: Position(registration),
        session: SessionId(session),
        procedure: None,
        caller: None,
        timeout_ms: None,
        part,
    };
    PeerWord::Invoke { number: CallNumber(number), invoke }
}

/// The same of a callee that has joined there.
pub(super) fn invoke_at(number: u64, session: u64, registration: u64, at: u64) -> PeerWord {
    match invoke(number, session, registration) {
        PeerWord::Invoke { number, invoke } => {
            PeerWord::Invoke { number, invoke: Invoke { place: Position(at), ..invoke } }
        }
        other => other,
    }
}

pub(super) fn more(number: u64, has_more: bool) -> PeerWord {
    let part = Part { payload: json("[2]"), takes_progress: false, has_more };
    PeerWord::More { number: CallNumber(number), part }
}

pub(super) fn cancel(number: u64, cancel: Cancellation) -> PeerWord {
    PeerWord::Cancel { number: CallNumber(number), cancel }
}

fn lines(fx: &Effects) -> Vec<String> {
    let told = fx.told.iter().map(|(session, told)| format!("{} <- {}", session.0, said(told)));
    let sends =
        fx.sends.iter().map(|(to, word)| format!("E{} <- {}", entry_of(to.peer), spoken(word)));
    let breaches =
        fx.breaches.iter().map(|(session, breach)| format!("{} ends: {breach}", session.0));
    told.chain(sends).chain(breaches).collect()
}

fn party(what: &str, party: &Option<Party>) -> String {
    let Some(Party { session, authid, authrole }) = party else { return String::new() };
    format!(" {what} {} {authid} {authrole}", session.0)
}

fn flag(name: &str, is_set: bool) -> String {
    if is_set { format!(" {name}") } else { String::new() }
}

fn said(told: &CallTold) -> String {
    match told {
        CallTold::Result { request, is_progress, callee, about: _, missing: _, payload } => {
            let (more, by) = (flag("progress", *is_progress), party("by", callee));
            format!("result {}{more}{by} {}", request.0, text_of(payload))
        }
        CallTold::Failed { request, error: CallError::Callee { uri, payload } } => {
            format!("failed {} {uri} {}", request.0, text_of(payload))
        }
        CallTold::Failed { request, error: CallError::CalleeGone { entry: Some(entry) } } => {
            format!("failed {}: gone, {entry}", request.0)
        }
        CallTold::Failed { request, error } => format!("failed {}: {error}", request.0),
        CallTold::Invocation {
            invocation,
            registration,
            fence,
            procedure,
            caller,
            timeout_ms,
            takes_progress,
            has_more,
            payload,
        } => {
            let fence = fence.map_or_else(String::new, |fence| format!(" fence {}", fence.0));
            let procedure = procedure.as_ref().map_or_else(String::new, |uri| format!(" {uri}"));
            let procedure = fence + &procedure;
            let timeout = timeout_ms.map_or_else(String::new, |ms| format!(" {ms} ms"));
            let flags = flag("takes-progress", *takes_progress) + &flag("has-more", *has_more);
            let details = procedure + &party("for", caller) + &timeout + &flags;
            format!(
                "invocation {} of {}{details} {}",
                invocation.0,
                registration.0,
                text_of(payload)
            )
        }
        CallTold::Interrupt { invocation, mode } => format!("interrupt {} {mode:?}", invocation.0),
        CallTold::Registered { .. }
        | CallTold::Unregistered { .. }
        | CallTold::Refused { .. }
        | CallTold::Revoked { .. } => format!("{told:?}"),
    }
}

fn spoken(word: &PeerWord) -> String {
    match word {
        PeerWord::Invoke { number, invoke } => {
            let Invoke { registration, place: _, session, procedure, caller, timeout_ms, part } =
                invoke;
            let procedure = procedure.as_ref().map_or_else(String::new, |uri| format!(" {uri}"));
            let timeout = timeout_ms.map_or_else(String::new, |ms| format!(" {ms} ms"));
            let details =
                procedure + &party("for", caller) + &timeout + &flag("has-more", part.has_more);
            let (session, id) = (session.0, registration.0);
            format!("invoke {} of {session} in {id}{details} {}", number.0, text_of(&part.payload))
        }
        PeerWord::More { number, part } => {
            format!(
                "more {}{} {}",
                number.0,
                flag("has-more", part.has_more),
                text_of(&part.payload)
            )
        }
        PeerWord::Cancel { number, cancel: Cancellation::Kill } => format!("kill {}", number.0),
        PeerWord::Cancel { number, cancel: Cancellation::Drop(mode) } => {
            format!("drop {} {mode:?}", number.0)
        }
        PeerWord::Refuse { number, reason } => format!("refuse {} {reason:?}", number.0),
        PeerWord::Answer { number, answer } => match answer {
            Answer::Progress { callee, payload } => {
                format!("progress {}{} {}", number.0, party("by", callee), text_of(payload))
            }
            Answer::Result { callee, payload } => {
                format!("result {}{} {}", number.0, party("by", callee), text_of(payload))
            }
            Answer::Error { uri, payload } => {
                format!("error {} {uri} {}", number.0, text_of(payload))
            }
            Answer::CalleeGone => format!("gone {}", number.0),
        },
    }
}
