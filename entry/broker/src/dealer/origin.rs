//! Origin: the caller's half of each call.
//!
//! Invariant J1: each call gets one final answer and nothing after it. A call is forgotten in the step that
//! gives the answer: what comes later finds nothing.

mod asked;
mod bounds;
mod ending;
mod lost;
pub(super) mod pending;
mod placing;
mod router;
pub(super) mod unmade;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::Topic;
use vixen_core::wire::{Cancellation, DropMode, InvokeRefusal};

use super::io::{Breach, Missed, Note, Outcome};
use super::limits::after;
use super::peers::Unreachable;
use super::routes::{Callee, Chooser, Routes, RoutingKey};
use super::timers::Timers;
use super::turn::Turn;
use super::words::{Answer, CallNumber, Part, PeerWord};
use super::{CANCELED, CancelAnswer, UNAVAILABLE, text_arguments};
use crate::access::is_reserved;
use crate::api::calls::{Call, CallError, CallTold, CancelMode, Invoke as Policy, Party, Payload};
use crate::api::{RequestId, SessionId};
use asked::Asked;
use bounds::{beyond, beyond_bytes};
use ending::{answer_in_room, close, error_outcome, fail, refuse, release};

/// Arguments that a second try would need.
#[derive(Clone, Debug)]
struct Kept {
    first: Part,
    rest: Vec<Part>,
}

impl Kept {
    fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

/// A call without a final answer.
#[derive(Debug)]
struct Open {
    session: SessionId,
    request: RequestId,
    /// In the realm of the caller.
    procedure: Topic,
    begun: Instant,
    /// Its timeout, and when that ends; `None` for one beyond what the clock has.
    timeout_ms: Option<u64>,
    expires: Option<Instant>,
    /// Who calls, where the callee is told.
    caller: Option<Party>,
    takes_progress: bool,
    has_more: bool,
    routing_key: Option<RoutingKey>,
    /// Until the first answer.
    kept: Option<Kept>,
    kept_bytes: usize,
    /// What it holds until it is answered.
    held_bytes: usize,
    /// Callees that did not answer it, in which registration; few.
    tried: Vec<(Position, Callee, Missed)>,
    /// It came before a moment up to which the view is complete: what that does not know, nobody has registered.
    is_asked: bool,
}

impl Open {
    /// Whether a call of its request is a part of it. What a gate makes of the arguments depends on the procedure, so a
    /// part has that of its call (WAMP spec *Progressive Call Invocations*: calls are known by request and procedure).
    fn goes_on_by(&self, part: &Call) -> bool {
        self.has_more && self.procedure.uri == part.procedure
    }

    /// Whether more may come of it than one answer.
    const fn may_go_on(&self) -> bool {
        self.takes_progress || self.has_more
    }
}

/// One that is with a callee.
#[derive(Debug)]
struct Placed {
    open: Open,
    registration: Position,
    policy: Policy,
    callee: Callee,
    /// CANCEL kill was passed on.
    is_killing: bool,
}

impl Placed {
    fn is_sole(&self) -> bool {
        is_sole(self.policy, self.open.routing_key.is_some())
    }
}

/// Whether no other callee is called where the one that would be is busy.
const fn is_sole(policy: Policy, has_key: bool) -> bool {
    match policy {
        Policy::Single => true,
        Policy::First | Policy::Last => !has_key,
        Policy::RoundRobin | Policy::Random => false,
    }
}

/// Calls that end in one step because their time has come; the others end in the next.
const DUE_MAX: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Origin {
    calls: BTreeMap<CallNumber, Placed>,
    asked: Asked,
    by_request: BTreeMap<(SessionId, RequestId), CallNumber>,
    /// By the entry of the callee.
    by_owner: BTreeSet<(OwnerId, CallNumber)>,
    last: CallNumber,
    timers: Timers,
    chooser: Chooser,
    is_stopped: bool,
    /// Calls of the router itself that this step has ended.
    pub(super) meta_over: Vec<CallNumber>,
}

impl Origin {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self {
            calls: BTreeMap::new(),
            asked: Asked::default(),
            by_request: BTreeMap::new(),
            by_owner: BTreeSet::new(),
            last: CallNumber(0),
            timers: Timers::default(),
            chooser: Chooser::new(seed),
            is_stopped: false,
            meta_over: Vec::new(),
        }
    }

    /// Calls that are open.
    pub(super) fn open(&self) -> usize {
        self.calls.len() + self.asked.calls.len()
    }

    pub(super) const fn last(&self) -> CallNumber {
        self.last
    }

    /// Calls that wait until the view is complete.
    pub(super) fn asked(&self) -> usize {
        self.asked.calls.len()
    }

    /// When the longest open of them began.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let placed = self.calls.values().map(|placed| &placed.open);
        placed.chain(self.asked.calls.values()).map(|open| open.begun).min()
    }

    pub(super) fn timeout_at(&self) -> Option<Instant> {
        self.timers.first()
    }

    pub(super) fn on_call<R: Routes>(
        &mut self,
        session: SessionId,
        call: Call,
        turn: &mut Turn<'_, R>,
    ) {
        if let Some(number) = self.by_request.get(&(session, call.request)).copied() {
            return self.on_more(number, call, turn);
        }
        let Some(caller) = turn.sessions.get_mut(session) else { return };
        if caller.is_left_over(call.request, &call.procedure, call.has_more) {
            return;
        }
        let realm = Arc::clone(&caller.realm);
        let caller = call.is_disclosed.then(|| caller.party.clone());
        let timeout_ms = turn.options.limits.timeouts().ms(call.timeout_ms);
        // Where its gate has kept it, its time runs since then.
        let came = call.came.map_or(turn.now, |came| came.min(turn.now));
        let routing_key = call.routing_key.as_deref().map(RoutingKey::new);
        let Call { request, procedure, payload, takes_progress, has_more, .. } = call;
        let from_gate = (call.testament, call.rights);
        let payload = payload.detached();
        let (kept_bytes, held_bytes) = (payload.counted_bytes(), procedure.len());
        let open = Open {
            session,
            request,
            procedure: Topic { realm, uri: procedure },
            begun: turn.now,
            timeout_ms,
            expires: timeout_ms.and_then(|ms| after(came, ms)),
            caller,
            takes_progress,
            has_more,
            routing_key,
            kept: Some(Kept {
                first: Part { payload, takes_progress, has_more },
                rest: Vec::new(),
            }),
            kept_bytes,
            held_bytes,
            tried: Vec::new(),
            is_asked: false,
        };
        if self.is_stopped {
            let text = format!("entry {} stops", turn.options.name);
            return refuse(open, CallError::Unavailable(text.into()), turn);
        }
        if let Some(error) = beyond(session, kept_bytes + held_bytes, turn) {
            return refuse(open, error, turn);
        }
        turn.count_call(session);
        turn.keep(session, kept_bytes + held_bytes);
        if is_reserved(&open.procedure.uri) {
            self.ask_router(open, from_gate, turn);
        } else {
            self.find(open, None, turn);
        }
    }

    /// Goes on with an open call.
    fn on_more<R: Routes>(&mut self, number: CallNumber, call: Call, turn: &mut Turn<'_, R>) {
        if self.asked.calls.contains_key(&number) {
            return self.more_of_asked(number, call, turn);
        }
        let Some(placed) = self.calls.get_mut(&number) else { return };
        let session = placed.open.session;
        if !placed.open.goes_on_by(&call) && !placed.is_killing {
            return turn.fx.breaches.push((session, Breach::RepeatedRequest(call.request)));
        }
        placed.open.has_more &= call.has_more;
        if placed.is_killing {
            return;
        }
        let to = placed.callee.owner;
        if turn.peers.waiting_bytes(to) > turn.options.limits.link_busy_bytes() {
            let text = Unreachable::LinkFull(turn.name(to)).to_string();
            let error = CallError::Callee { uri: CANCELED.into(), payload: text_arguments(&text) };
            return self.give_up(number, error, turn);
        }
        let (takes_progress, has_more) = (placed.open.takes_progress, call.has_more);
        let payload = call.payload.detached();
        let bytes = payload.counted_bytes();
        let part = Part { payload, takes_progress, has_more };
        if beyond_bytes(session, bytes, turn).is_some() {
            // It goes on, but not to another callee.
            release(&mut placed.open, turn);
        } else if let Some(kept) = &mut placed.open.kept {
            kept.rest.push(part.clone());
            placed.open.kept_bytes += bytes;
            turn.keep(session, bytes);
        }
        turn.send(to, PeerWord::More { number, part });
    }

    pub(super) fn on_cancel<R: Routes>(
        &mut self,
        session: SessionId,
        request: RequestId,
        mode: CancelMode,
        turn: &mut Turn<'_, R>,
    ) {
        let Some(number) = self.by_request.get(&(session, request)).copied() else { return };
        // Nobody was invoked.
        self.end_asked(number, CallError::Canceled, turn);
        let Some(placed) = self.calls.get_mut(&number).filter(|placed| !placed.is_killing) else {
            return;
        };
        // What callees of other entries have announced is not known here: those who cancel are answered.
        let is_plain =
            turn.own_session(placed.callee).is_some_and(|own| !own.features.is_interruptible);
        let is_silent = turn.options.cancel_answer == CancelAnswer::Announced && is_plain;
        // The router itself is not interrupted.
        let may_be_told = !is_silent && !placed.is_with_router();
        let mode = match mode {
            CancelMode::Kill if may_be_told => {
                placed.is_killing = true;
                let to = placed.callee.owner;
                return turn.send(to, PeerWord::Cancel { number, cancel: Cancellation::Kill });
            }
            CancelMode::Kill | CancelMode::Skip => DropMode::Skip,
            CancelMode::KillNoWait => DropMode::KillNoWait,
            CancelMode::Unnamed => DropMode::NoMode,
        };
        let Some(placed) = self.take(number) else { return };
        let to = placed.callee.owner;
        if is_silent {
            close(placed, None, Outcome::Canceled, turn);
        } else {
            fail(placed, CallError::Canceled, turn);
        }
        turn.send(to, PeerWord::Cancel { number, cancel: Cancellation::Drop(mode) });
    }

    /// The serving entry has not invoked the callee.
    pub(super) fn on_refuse<R: Routes>(
        &mut self,
        from: OwnerId,
        number: CallNumber,
        reason: InvokeRefusal,
        turn: &mut Turn<'_, R>,
    ) {
        if !self.is_with(from, number) {
            return turn.fx.notes.push(Note::Late);
        }
        let Some(placed) = self.take(number) else { return };
        if placed.is_killing {
            return fail(placed, CallError::Canceled, turn);
        }
        match reason {
            InvokeRefusal::Lease | InvokeRefusal::NotReady => {
                let (name, procedure) = (turn.name(from), &placed.open.procedure.uri);
                let text = if reason == InvokeRefusal::Lease {
                    format!(
                        "entry {name} has not heard from a majority of sync nodes: it cannot tell who holds {procedure}"
                    )
                } else {
                    format!("entry {name} is not ready for calls")
                };
                fail(placed, CallError::Unavailable(text.into()), turn);
            }
            InvokeRefusal::Busy if placed.is_sole() => {
                let error = CallError::MaxConcurrency(Arc::clone(&placed.open.procedure.uri));
                fail(placed, error, turn);
            }
            InvokeRefusal::Busy
            | InvokeRefusal::Left
            | InvokeRefusal::Queue
            | InvokeRefusal::EntryFull
            | InvokeRefusal::NotAnnounced
            | InvokeRefusal::Draining => {
                self.try_next(placed, Missed::Refused(reason), turn);
            }
        }
    }

    pub(super) fn on_answer<R: Routes>(
        &mut self,
        from: OwnerId,
        number: CallNumber,
        answer: Answer,
        turn: &mut Turn<'_, R>,
    ) {
        if !self.is_with(from, number) {
            return turn.fx.notes.push(Note::Late);
        }
        match answer {
            Answer::Progress { callee, payload } => self.on_progress(number, callee, payload, turn),
            Answer::Result { callee, payload } => {
                let Some(placed) = self.take(number) else { return };
                let request = placed.open.request;
                let (is_progress, about, missing) = (false, None, Vec::new());
                let told =
                    CallTold::Result { request, is_progress, callee, about, missing, payload };
                answer_in_room(placed, told, Outcome::Result, turn);
            }
            Answer::Error { uri, payload } => {
                let Some(placed) = self.take(number) else { return };
                let may_try = !placed.is_killing
                    && placed.policy != Policy::Single
                    && placed.open.kept.is_some();
                if &*uri == UNAVAILABLE && may_try {
                    return self.try_next(placed, Missed::Unavailable, turn);
                }
                let request = placed.open.request;
                let outcome = error_outcome(&uri);
                let error = CallError::Callee { uri, payload };
                answer_in_room(placed, CallTold::Failed { request, error }, outcome, turn);
            }
            Answer::CalleeGone => {
                let Some(placed) = self.take(number) else { return };
                fail(placed, CallError::CalleeGone { entry: None }, turn);
            }
        }
    }

    fn on_progress<R: Routes>(
        &mut self,
        number: CallNumber,
        callee: Option<Party>,
        payload: Payload,
        turn: &mut Turn<'_, R>,
    ) {
        let Some(placed) = self.calls.get_mut(&number).filter(|placed| !placed.is_killing) else {
            return;
        };
        release(&mut placed.open, turn);
        let Open { session, request, .. } = placed.open;
        let (is_progress, about, missing) = (true, None, Vec::new());
        let told = CallTold::Result { request, is_progress, callee, about, missing, payload };
        if turn.has_room(session, told.queued_bytes(), turn.options.limits.caller_queue_bytes_max) {
            turn.fx.notes.push(Note::Progress);
            return turn.tell(session, told);
        }
        self.give_up(number, CallError::CallerTooSlow, turn);
    }

    /// Ends calls whose time has come.
    pub(super) fn on_timeout<R: Routes>(&mut self, turn: &mut Turn<'_, R>) {
        for _ in 0..DUE_MAX {
            let Some(number) = self.timers.take_due(turn.now) else { return };
            let number = CallNumber(number);
            let placed = self.calls.get(&number).map(|placed| &placed.open);
            let Some(open) = placed.or_else(|| self.asked.calls.get(&number)) else { continue };
            let timeout_ms = open.timeout_ms.unwrap_or_default();
            self.end_asked(number, CallError::Timeout { timeout_ms }, turn);
            self.give_up(number, CallError::Timeout { timeout_ms }, turn);
        }
    }

    pub(super) fn on_registration_ended(&mut self, registration: Position) {
        self.chooser.forget(registration);
    }

    /// Answers a call that its callee need not answer any more.
    fn give_up<R: Routes>(&mut self, number: CallNumber, error: CallError, turn: &mut Turn<'_, R>) {
        let Some(placed) = self.take(number) else { return };
        let to = placed.callee.owner;
        fail(placed, error, turn);
        let cancel = Cancellation::Drop(DropMode::KillNoWait);
        turn.send(to, PeerWord::Cancel { number, cancel });
    }

    /// Whether a call of this number is with that entry.
    fn is_with(&self, from: OwnerId, number: CallNumber) -> bool {
        self.calls.get(&number).is_some_and(|placed| placed.callee.owner == from)
    }

    fn next_number(&mut self) -> CallNumber {
        self.last = CallNumber(self.last.0 + 1);
        self.last
    }

    fn insert(&mut self, number: CallNumber, placed: Placed) {
        let Open { session, request, .. } = placed.open;
        self.by_request.insert((session, request), number);
        self.by_owner.insert((placed.callee.owner, number));
        self.calls.insert(number, placed);
    }

    /// Forgets a call.
    fn take(&mut self, number: CallNumber) -> Option<Placed> {
        let placed = self.calls.remove(&number)?;
        self.by_request.remove(&(placed.open.session, placed.open.request));
        self.by_owner.remove(&(placed.callee.owner, number));
        self.timers.cancel(number.0);
        if placed.is_with_router() {
            self.meta_over.push(number);
        }
        Some(placed)
    }

    /// Asserts what holds between steps, with the calls of each session and the bytes that all of them keep.
    pub(super) fn check(&self) -> (BTreeMap<SessionId, (usize, usize)>, usize) {
        assert_eq!(self.open(), self.by_request.len(), "J1: one number for each request");
        assert_eq!(self.calls.len(), self.by_owner.len(), "J1: each is with one entry");
        let mut of_sessions: BTreeMap<SessionId, (usize, usize)> = BTreeMap::new();
        let mut kept_bytes = 0;
        for (number, Placed { open, callee, .. }) in &self.calls {
            assert!(
                self.by_owner.contains(&(callee.owner, *number)),
                "J1: {callee:?} has {open:?}"
            );
        }
        let placed = self.calls.iter().map(|(number, placed)| (number, &placed.open));
        for (number, open) in placed.chain(&self.asked.calls) {
            let known = self.by_request.get(&(open.session, open.request));
            assert_eq!(known, Some(number), "J1: the request of {open:?}");
            let (calls, bytes) = of_sessions.entry(open.session).or_default();
            *calls += 1;
            *bytes += open.kept_bytes + open.held_bytes;
            kept_bytes += open.kept_bytes + open.held_bytes;
        }
        for number in self.timers.numbers() {
            let number = CallNumber(number);
            let is_open =
                self.calls.contains_key(&number) || self.asked.calls.contains_key(&number);
            assert!(is_open, "J5: a timer of an open call");
        }
        (of_sessions, kept_bytes)
    }

    /// Registrations of which something is remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.chooser.remembered()
    }
}
