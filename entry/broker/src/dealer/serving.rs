//! Serving: the callee's half of each call.
//!
//! Invariants:
//! - J2: each invocation that an origin asks for gets one refusal or final answer while its link stands.
//! - J3: a slot is taken exactly while its call is known.

mod books;
mod waiting;

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;

use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::{Content, Encoding};
use vixen_core::wire::{Cancellation, DropMode, InvokeRefusal};

use super::CANCELED;
use super::io::{Note, Terms};
use super::routes::Routes;
use super::turn::Turn;
use super::words::{Answer, CallNumber, Invoke, Part, PeerWord};
use crate::api::SessionId;
use crate::api::calls::{CallTold, CancelMode, InvocationId, Payload};
use books::{Callees, Invocation};
use waiting::Waiting;

/// What an origin is told in place of what the link has no room for.
const LINK_FULL: &[u8] =
    br#"["the link to the entry of the caller is full: limits.link-queue-bytes-max"]"#;
/// What an origin is told where a progressive call is more than its callee reads.
const CALLEE_FULL: &[u8] = br#"["queue of the callee is full: limits.callee-queue-bytes-max"]"#;

/// Where a call of an origin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// It waits for the view.
    Waiting,
    /// It is with a callee.
    Invoked(SessionId, InvocationId),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Serving {
    callees: Callees,
    /// All calls that are known, by who sent them.
    held: BTreeMap<(OwnerId, CallNumber), Held>,
    waiting: Waiting,
    is_draining: bool,
}

impl Serving {
    /// Calls that are known, of this entry's callers as well.
    pub(super) fn open(&self) -> usize {
        self.held.len()
    }

    pub(super) fn on_serves(&mut self, session: SessionId, registration: Position, terms: Terms) {
        self.callees.serve(session, registration, terms);
    }

    pub(super) fn on_leaves(&mut self, session: SessionId, registration: Position) {
        self.callees.leave(session, registration);
    }

    pub(super) const fn on_drain(&mut self) {
        self.is_draining = true;
    }

    pub(super) fn on_invoke<R: Routes>(
        &mut self,
        from: OwnerId,
        number: CallNumber,
        invoke: Invoke,
        turn: &mut Turn<'_, R>,
    ) {
        if self.held.contains_key(&(from, number)) {
            return;
        }
        let is_own = from == turn.options.owner;
        if !is_own && turn.usage.calls >= turn.options.limits.calls_max {
            return turn.send(from, PeerWord::Refuse { number, reason: InvokeRefusal::Queue });
        }
        if !is_own && !self.is_draining && invoke.registration > turn.routes.applied() {
            return self.wait(from, number, invoke, turn);
        }
        match self.reason_against(from, &invoke, turn) {
            Some(reason) => turn.send(from, PeerWord::Refuse { number, reason }),
            None => self.invoke(from, number, invoke, turn),
        }
    }

    /// Keeps an invocation until the view knows of its registration.
    fn wait<R: Routes>(
        &mut self,
        from: OwnerId,
        number: CallNumber,
        invoke: Invoke,
        turn: &mut Turn<'_, R>,
    ) {
        let bytes = invoke.part.payload.counted_bytes();
        if turn.usage.bytes().saturating_add(bytes) > turn.options.limits.calls_bytes_max {
            return turn.send(from, PeerWord::Refuse { number, reason: InvokeRefusal::Queue });
        }
        turn.usage.calls += 1;
        turn.usage.kept_bytes += bytes;
        self.held.insert((from, number), Held::Waiting);
        self.waiting.insert((from, number), invoke, bytes);
    }

    /// Why a callee may not be invoked.
    fn reason_against<R: Routes>(
        &self,
        from: OwnerId,
        invoke: &Invoke,
        turn: &Turn<'_, R>,
    ) -> Option<InvokeRefusal> {
        if self.is_draining {
            return Some(InvokeRefusal::Draining);
        }
        let limits = &turn.options.limits;
        let Some(callee) = turn.sessions.get(invoke.session) else {
            return Some(InvokeRefusal::Left);
        };
        let Some(service) = self.callees.service(invoke.session, invoke.registration) else {
            return Some(InvokeRefusal::Left);
        };
        if service.is_full() {
            return Some(InvokeRefusal::Busy);
        }
        let bytes = CallTold::OVERHEAD_BYTES + invoke.part.payload.bytes.len();
        let has_room = callee.has_room(bytes, limits.callee_queue_bytes_max);
        let is_own = from == turn.options.owner;
        // What a caller of this entry has kept is counted already.
        let all = turn.usage.bytes().saturating_add(if is_own { 0 } else { bytes });
        let is_open_to_more =
            self.callees.invocations(invoke.session) < limits.invocations_per_session_max;
        let is_within = has_room && is_open_to_more && all <= limits.calls_bytes_max;
        (!is_within).then_some(InvokeRefusal::Queue)
    }

    fn invoke<R: Routes>(
        &mut self,
        from: OwnerId,
        number: CallNumber,
        invoke: Invoke,
        turn: &mut Turn<'_, R>,
    ) {
        let Invoke { registration, session, procedure, caller, timeout_ms, part } = invoke;
        let call = Invocation { from, number, registration, is_interrupted: false };
        let Some((invocation, terms)) = self.callees.invoke(session, call) else {
            return turn.send(from, PeerWord::Refuse { number, reason: InvokeRefusal::Left });
        };
        if from != turn.options.owner {
            turn.usage.calls += 1;
        }
        self.held.insert((from, number), Held::Invoked(session, invocation));
        let callee = turn.sessions.get(session);
        let keeps = callee.is_some_and(|callee| callee.keeps_timeouts_of(registration));
        let timeout_ms = timeout_ms.filter(|_| keeps);
        let parts = (procedure, caller, timeout_ms);
        turn.tell(session, told(invocation, terms, parts, part));
    }

    pub(super) fn on_more<R: Routes>(
        &mut self,
        from: OwnerId,
        number: CallNumber,
        part: Part,
        turn: &mut Turn<'_, R>,
    ) {
        let bytes = part.payload.counted_bytes();
        let max = turn.options.limits.callee_queue_bytes_max;
        match self.held.get(&(from, number)).copied() {
            None => turn.fx.notes.push(Note::Late),
            Some(Held::Waiting) => {
                let is_within = self.waiting.bytes((from, number)).saturating_add(bytes) <= max
                    && turn.usage.bytes().saturating_add(bytes)
                        <= turn.options.limits.calls_bytes_max;
                if is_within {
                    turn.usage.kept_bytes += bytes;
                    self.waiting.append((from, number), part, bytes);
                } else {
                    self.forget_waiting((from, number), turn);
                    turn.send(from, PeerWord::Refuse { number, reason: InvokeRefusal::Queue });
                }
            }
            Some(Held::Invoked(session, invocation)) => {
                let Some((call, terms)) = self.callees.call(session, invocation) else { return };
                if call.is_interrupted {
                    return;
                }
                let told_bytes = CallTold::OVERHEAD_BYTES + part.payload.bytes.len();
                if turn.has_room(session, told_bytes, max) {
                    turn.tell(session, told(invocation, terms, (None, None, None), part));
                } else {
                    self.forget((from, number), turn);
                    interrupt(session, invocation, CancelMode::KillNoWait, turn);
                    turn.send(from, canceled(number, CALLEE_FULL));
                }
            }
        }
    }

    pub(super) fn on_cancel<R: Routes>(
        &mut self,
        from: OwnerId,
        number: CallNumber,
        cancel: Cancellation,
        turn: &mut Turn<'_, R>,
    ) {
        let (session, invocation) = match self.held.get(&(from, number)).copied() {
            None => return,
            Some(Held::Waiting) => {
                self.forget_waiting((from, number), turn);
                if cancel == Cancellation::Kill {
                    turn.send(from, canceled(number, b""));
                }
                return;
            }
            Some(Held::Invoked(session, invocation)) => (session, invocation),
        };
        let was_interrupted =
            self.callees.call(session, invocation).is_some_and(|(call, _)| call.is_interrupted);
        match cancel {
            Cancellation::Kill if was_interrupted => {}
            Cancellation::Kill => {
                if interrupt(session, invocation, CancelMode::Kill, turn) {
                    self.callees.set_interrupted(session, invocation);
                } else {
                    self.forget((from, number), turn);
                    turn.send(from, canceled(number, b""));
                }
            }
            Cancellation::Drop(mode) => {
                self.forget((from, number), turn);
                if let Some(mode) = interrupt_of(mode).filter(|_| !was_interrupted) {
                    interrupt(session, invocation, mode, turn);
                }
            }
        }
    }

    pub(super) fn on_yield<R: Routes>(
        &mut self,
        session: SessionId,
        invocation: InvocationId,
        (is_progress, payload): (bool, Payload),
        turn: &mut Turn<'_, R>,
    ) {
        let Some((call, terms)) = self.callees.call(session, invocation) else {
            return turn.fx.notes.push(Note::Late);
        };
        let Invocation { from, number, is_interrupted, .. } = call;
        let callee = turn.sessions.get(session).filter(|_| terms.is_disclosed);
        let callee = callee.map(|callee| callee.party.clone());
        if !is_progress {
            self.forget((from, number), turn);
            return answer(from, number, Answer::Result { callee, payload }, turn);
        }
        if is_interrupted {
            self.forget((from, number), turn);
            turn.send(from, canceled(number, b""));
        } else if turn.peers.waiting_bytes(from) > turn.options.limits.link_busy_bytes() {
            self.forget((from, number), turn);
            interrupt(session, invocation, CancelMode::KillNoWait, turn);
            turn.send(from, canceled(number, LINK_FULL));
        } else {
            turn.send(
                from,
                PeerWord::Answer { number, answer: Answer::Progress { callee, payload } },
            );
        }
    }

    pub(super) fn on_fail<R: Routes>(
        &mut self,
        session: SessionId,
        invocation: InvocationId,
        (uri, payload): (Arc<str>, Payload),
        turn: &mut Turn<'_, R>,
    ) {
        let Some((call, _)) = self.callees.call(session, invocation) else {
            return turn.fx.notes.push(Note::Late);
        };
        let Invocation { from, number, .. } = call;
        self.forget((from, number), turn);
        answer(from, number, Answer::Error { uri, payload }, turn);
    }

    /// The callee is gone.
    pub(super) fn on_closed<R: Routes>(&mut self, session: SessionId, turn: &mut Turn<'_, R>) {
        for Invocation { from, number, .. } in self.callees.close(session) {
            self.held.remove(&(from, number));
            self.uncount(from, turn);
            turn.send(from, PeerWord::Answer { number, answer: Answer::CalleeGone });
        }
    }

    /// Nobody waits for answers at that entry any more. Where it may still hear, it is told that none will come.
    pub(super) fn on_peer_gone<R: Routes>(&mut self, peer: OwnerId, turn: &mut Turn<'_, R>) {
        let all = (peer, CallNumber(0))..=(peer, CallNumber(u64::MAX));
        let numbers: Vec<_> = self.held.range(all).map(|((_, number), _)| *number).collect();
        for number in numbers {
            self.on_cancel(peer, number, Cancellation::Drop(DropMode::KillNoWait), turn);
            turn.send(peer, PeerWord::Answer { number, answer: Answer::CalleeGone });
        }
    }

    /// The entry stops: whoever still waits is told.
    pub(super) fn on_stop<R: Routes>(&mut self, turn: &mut Turn<'_, R>) {
        self.is_draining = true;
        while let Some((&(from, number), _)) = self.held.first_key_value() {
            self.on_cancel(from, number, Cancellation::Drop(DropMode::KillNoWait), turn);
            turn.send(from, PeerWord::Answer { number, answer: Answer::CalleeGone });
        }
    }

    /// The view has come further: invokes what has waited for that, in the order in which it came.
    pub(super) fn on_applied<R: Routes>(&mut self, turn: &mut Turn<'_, R>) {
        for ((from, number), invoke, rest, bytes) in self.waiting.take_up_to(turn.routes.applied())
        {
            self.held.remove(&(from, number));
            turn.usage.calls -= 1;
            turn.usage.kept_bytes -= bytes;
            self.on_invoke(from, number, invoke, turn);
            for part in rest {
                if self.held.contains_key(&(from, number)) {
                    self.on_more(from, number, part, turn);
                }
            }
        }
    }

    /// Forgets a call that is with a callee; its slot is free.
    fn forget<R: Routes>(&mut self, key: (OwnerId, CallNumber), turn: &mut Turn<'_, R>) {
        if let Some(Held::Invoked(session, invocation)) = self.held.remove(&key) {
            self.callees.end(session, invocation);
            self.uncount(key.0, turn);
        }
    }

    fn forget_waiting<R: Routes>(&mut self, key: (OwnerId, CallNumber), turn: &mut Turn<'_, R>) {
        self.held.remove(&key);
        turn.usage.kept_bytes -= self.waiting.remove(key);
        turn.usage.calls -= 1;
    }

    fn uncount<R: Routes>(&self, from: OwnerId, turn: &mut Turn<'_, R>) {
        if from != turn.options.owner {
            turn.usage.calls -= 1;
        }
    }

    /// Asserts what holds between steps. Returns how many calls are of other entries, and the bytes that wait.
    pub(super) fn check(&self, own: OwnerId, invocations_max: usize) -> (usize, usize) {
        self.callees.check(invocations_max);
        let mut invoked = 0;
        for ((from, number), held) in &self.held {
            match held {
                Held::Waiting => assert!(self.waiting.has((*from, *number)), "J2: it waits"),
                Held::Invoked(session, invocation) => {
                    let call = self.callees.call(*session, *invocation).map(|(call, _)| call);
                    let of = call.map(|call| (call.from, call.number));
                    assert_eq!(of, Some((*from, *number)), "J2: {session:?} has {invocation:?}");
                    invoked += 1;
                }
            }
        }
        assert_eq!(
            invoked,
            self.callees.all_invocations(),
            "J2: nobody has a call that is not known"
        );
        assert_eq!(invoked + self.waiting.len(), self.held.len(), "J2: what waits is known");
        (self.held.keys().filter(|(from, _)| *from != own).count(), self.waiting.all_bytes())
    }
}

type Details = (Option<Arc<str>>, Option<crate::api::calls::Party>, Option<NonZeroU64>);

/// An INVOCATION, or more of one.
fn told(
    invocation: InvocationId,
    terms: Terms,
    (procedure, caller, timeout_ms): Details,
    part: Part,
) -> CallTold {
    let Part { payload, takes_progress, has_more } = part;
    let registration = terms.told;
    CallTold::Invocation {
        invocation,
        registration,
        procedure,
        caller,
        timeout_ms,
        takes_progress,
        has_more,
        payload,
    }
}

/// Interrupts a callee, if it wants that. Returns whether it does.
fn interrupt<R: Routes>(
    session: SessionId,
    invocation: InvocationId,
    mode: CancelMode,
    turn: &mut Turn<'_, R>,
) -> bool {
    let wants = turn.sessions.get(session).is_some_and(|callee| callee.features.is_interruptible);
    if wants {
        turn.tell(session, CallTold::Interrupt { invocation, mode });
    }
    wants
}

/// What a callee is told of a call that nobody waits for.
const fn interrupt_of(mode: DropMode) -> Option<CancelMode> {
    match mode {
        DropMode::Skip => None,
        DropMode::KillNoWait => Some(CancelMode::KillNoWait),
        DropMode::NoMode => Some(CancelMode::Unnamed),
    }
}

/// The last word of a call: small, where its link has no room for more.
fn answer<R: Routes>(to: OwnerId, number: CallNumber, answer: Answer, turn: &mut Turn<'_, R>) {
    if turn.peers.waiting_bytes(to) > turn.options.limits.link_full_bytes() {
        turn.send(to, canceled(number, LINK_FULL));
    } else {
        turn.send(to, PeerWord::Answer { number, answer });
    }
}

/// ERROR `wamp.error.canceled`, with these arguments as JSON.
fn canceled(number: CallNumber, arguments: &'static [u8]) -> PeerWord {
    let (content, bytes) = (Content::Arguments(Encoding::Json), Bytes::from_static(arguments));
    let answer = Answer::Error { uri: CANCELED.into(), payload: Payload { content, bytes } };
    PeerWord::Answer { number, answer }
}
