//! Serving: the callee's half of each call.
//!
//! Invariants:
//! - J2: each invocation that an origin asks for gets one refusal or final answer while its link stands.
//! - J3: a slot is taken exactly while its call is known.

mod lease;
mod waiting;

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vixen_core::id::{OwnerId, Position};
use vixen_core::wire::{Cancellation, DropMode, InvokeRefusal};

use super::books::{Callees, Invocation};
use super::io::{Note, Terms};
use super::limits::less;
use super::needs::Needs;
use super::routes::{Callee, Hold, Routes};
use super::turn::Turn;
use super::words::{Answer, CallNumber, Invoke, Part, PeerWord};
use super::{CANCELED, text_arguments};
use crate::api::SessionId;
use crate::api::calls::{CallTold, CancelMode, InvocationId, Party, Payload, RegistrationId};
pub use lease::LEASE_ASKED;
use lease::Lease;
use waiting::{Call, Key, Waiting};

/// What an origin is told in place of what the link has no room for.
const LINK_FULL: &str = "the link to the entry of the caller is full: limits.link-queue-bytes-max";
/// What an origin is told where a progressive call is more than its callee reads.
const CALLEE_FULL: &str = "queue of the callee is full: limits.callee-queue-bytes-max";
/// What an origin is told where a callee has lost the right to serve a progressive call.
const RIGHT_LOST: &str = "the callee may not serve this procedure any more";

/// For how long a call waits for the view: longer than a view is behind while its entry is ready.
const WAIT: Duration = Duration::from_secs(5);

/// Where a call of an origin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// It waits for the view.
    Waiting,
    /// It is with a callee.
    Invoked(SessionId, InvocationId),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Serving {
    /// All calls that are known, by who sent them.
    held: BTreeMap<(OwnerId, CallNumber), Held>,
    waiting: Waiting,
    /// The own view can be gone by.
    is_ready: bool,
    lease: Lease,
}

impl Default for Serving {
    fn default() -> Self {
        let (held, waiting, lease) = (BTreeMap::new(), Waiting::default(), Lease::default());
        Self { held, waiting, is_ready: true, lease }
    }
}

impl Serving {
    /// Calls that are known, of this entry's callers as well.
    pub(super) fn open(&self) -> usize {
        self.held.len()
    }

    /// Where the callee stands of a call that waits to be invoked.
    pub(super) fn place_of(&self, key: Key) -> Option<Position> {
        self.waiting.place_of(key)
    }

    /// When a call has waited for the view for too long.
    pub(super) fn timeout_at(&self) -> Option<Instant> {
        self.waiting.until()
    }

    /// What waits is refused: other entries may have callees for it.
    pub(super) fn on_drain<R: Routes>(&mut self, turn: &mut Turn<'_, R>) {
        turn.callees.is_draining = true;
        while let Some(key) = self.waiting.first() {
            self.refuse_waiting(key, InvokeRefusal::Draining, turn);
        }
    }

    /// Whether the own view can be gone by.
    pub(super) fn on_view<R: Routes>(&mut self, is_ready: bool, turn: &mut Turn<'_, R>) {
        self.is_ready = is_ready;
        if !is_ready {
            self.lease.end();
        }
        while let Some(key) = self.waiting.first().filter(|_| !is_ready) {
            self.refuse_waiting(key, InvokeRefusal::NotReady, turn);
        }
    }

    /// Refuses what has waited for too long.
    pub(super) fn on_timeout<R: Routes>(&mut self, turn: &mut Turn<'_, R>) {
        while let Some(key) = self.waiting.overdue(turn.now) {
            self.refuse_waiting(key, InvokeRefusal::NotReady, turn);
        }
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
        // Where the callee has just joined, its place is beyond that of the registration.
        let is_behind = !is_own && invoke.place > turn.routes.applied();
        let reason = if turn.callees.is_draining {
            InvokeRefusal::Draining
        } else if !is_own && !self.is_ready {
            InvokeRefusal::NotReady
        } else if !turn.may_bring(from) {
            InvokeRefusal::EntryFull
        } else if is_behind
            || self.waiting.is_for((invoke.registration, invoke.session))
            || self.hold(invoke.registration, turn).is_some()
        {
            return self.wait(from, number, invoke, turn);
        } else {
            return self.give(from, number, invoke, turn);
        };
        turn.send(from, PeerWord::Refuse { number, reason });
    }

    /// Invokes the callee, if that takes it.
    fn give<R: Routes>(
        &mut self,
        from: OwnerId,
        number: CallNumber,
        invoke: Invoke,
        turn: &mut Turn<'_, R>,
    ) {
        let callee = Callee { owner: turn.options.owner, session: invoke.session };
        let load = (invoke.told_bytes(), Needs::of([&invoke.part]));
        match turn.reason_against(from, callee, invoke.registration, load) {
            Some(reason) => turn.send(from, PeerWord::Refuse { number, reason }),
            None => self.invoke(from, number, invoke, turn),
        }
    }

    /// Keeps an invocation until the view knows of its callee, behind those that wait for the same.
    fn wait<R: Routes>(
        &mut self,
        from: OwnerId,
        number: CallNumber,
        invoke: Invoke,
        turn: &mut Turn<'_, R>,
    ) {
        let bytes = invoke.kept_bytes();
        let (own, max) = (self.waiting.bytes_of(from), turn.options.limits.calls_bytes_max);
        if !turn.usage.has_bytes_for(own, bytes, max) {
            return turn.send(from, PeerWord::Refuse { number, reason: InvokeRefusal::EntryFull });
        }
        turn.bring(from);
        turn.usage.kept_bytes += bytes;
        self.held.insert((from, number), Held::Waiting);
        let until = turn.now.checked_add(WAIT).unwrap_or(turn.now);
        self.waiting.insert((from, number), invoke, bytes, until);
    }

    fn invoke<R: Routes>(
        &mut self,
        from: OwnerId,
        number: CallNumber,
        invoke: Invoke,
        turn: &mut Turn<'_, R>,
    ) {
        let Invoke { registration, place: _, session, procedure, caller, timeout_ms, part } =
            invoke;
        debug_assert!(
            match turn.routes.hold(turn.now, registration) {
                None => true,
                Some(Hold::HandOver) => false,
                Some(Hold::Lease) => self.lease.holds(turn.now),
            },
            "U1: who holds a procedure alone is invoked under a lease and after the hand-over"
        );
        let may_go_on = part.may_go_on();
        let call = Invocation { from, number, registration, is_interrupted: false, may_go_on };
        let Some((invocation, terms)) = turn.callees.invoke(session, call) else {
            return turn.send(from, PeerWord::Refuse { number, reason: InvokeRefusal::Left });
        };
        turn.bring(from);
        self.held.insert((from, number), Held::Invoked(session, invocation));
        let callee = turn.sessions.get(session);
        let keeps = callee.is_some_and(|callee| callee.keeps_timeouts_of(registration));
        let timeout_ms = timeout_ms.filter(|_| keeps);
        let details = Details { procedure, caller, timeout_ms };
        turn.tell(session, told(invocation, registration, terms, details, part));
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
                let (key, own) = ((from, number), self.waiting.bytes_of(from));
                let bytes_max = turn.options.limits.calls_bytes_max;
                if self.waiting.bytes(key).saturating_add(bytes) > max {
                    self.refuse_waiting(key, InvokeRefusal::Queue, turn);
                } else if !turn.usage.has_bytes_for(own, bytes, bytes_max) {
                    self.refuse_waiting(key, InvokeRefusal::EntryFull, turn);
                } else {
                    turn.usage.kept_bytes += bytes;
                    self.waiting.append(key, part, bytes);
                }
            }
            Some(Held::Invoked(session, invocation)) => {
                let Some((call, terms)) = turn.callees.call(session, invocation) else { return };
                if call.is_interrupted {
                    return;
                }
                let told_bytes = CallTold::OVERHEAD_BYTES + part.payload.said_bytes();
                if turn.has_room(session, told_bytes, max) {
                    turn.callees.set_going_on(session, invocation, part.may_go_on());
                    let registration = call.registration;
                    let more = told(invocation, registration, terms, Details::default(), part);
                    turn.tell(session, more);
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
                    turn.send(from, canceled(number, ""));
                }
                return;
            }
            Some(Held::Invoked(session, invocation)) => (session, invocation),
        };
        let was_interrupted =
            turn.callees.call(session, invocation).is_some_and(|(call, _)| call.is_interrupted);
        match cancel {
            Cancellation::Kill if was_interrupted => {}
            Cancellation::Kill => {
                if interrupt(session, invocation, CancelMode::Kill, turn) {
                    turn.callees.set_interrupted(session, invocation);
                } else {
                    self.forget((from, number), turn);
                    turn.send(from, canceled(number, ""));
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
        let Some((call, terms)) = turn.callees.call(session, invocation) else {
            return turn.fx.notes.push(Note::Late);
        };
        let Invocation { from, number, is_interrupted, .. } = call;
        let payload = payload.detached();
        let callee = turn.sessions.get(session).filter(|_| terms.is_disclosed);
        let callee = callee.map(|callee| callee.party.clone());
        if !is_progress {
            self.forget((from, number), turn);
            return answer(from, number, Answer::Result { callee, payload }, turn);
        }
        if is_interrupted {
            self.forget((from, number), turn);
            turn.send(from, canceled(number, ""));
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
        let Some((call, _)) = turn.callees.call(session, invocation) else {
            return turn.fx.notes.push(Note::Late);
        };
        let Invocation { from, number, .. } = call;
        self.forget((from, number), turn);
        answer(from, number, Answer::Error { uri, payload: payload.detached() }, turn);
    }

    /// The callee may not serve this registration any more: its invocations end, if more may come of them. Of the
    /// others the one answer is of when it might.
    pub(super) fn on_right_lost<R: Routes>(
        &mut self,
        session: SessionId,
        registration: RegistrationId,
        turn: &mut Turn<'_, R>,
    ) {
        for (invocation, call) in turn.callees.going_on(session, registration) {
            let Invocation { from, number, is_interrupted, .. } = call;
            self.forget((from, number), turn);
            if !is_interrupted {
                interrupt(session, invocation, CancelMode::KillNoWait, turn);
            }
            turn.send(from, canceled(number, RIGHT_LOST));
        }
    }

    /// The callee is gone.
    pub(super) fn on_closed<R: Routes>(&mut self, session: SessionId, turn: &mut Turn<'_, R>) {
        for Invocation { from, number, .. } in turn.callees.close(session) {
            self.held.remove(&(from, number));
            turn.unbring(from);
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
        self.on_drain(turn);
        while let Some((&(from, number), _)) = self.held.first_key_value() {
            self.on_cancel(from, number, Cancellation::Drop(DropMode::KillNoWait), turn);
            turn.send(from, PeerWord::Answer { number, answer: Answer::CalleeGone });
        }
    }

    /// The view has come further, or what held calls may be over: invokes what has waited for that, in the order in
    /// which it came.
    pub(super) fn on_applied<R: Routes>(&mut self, turn: &mut Turn<'_, R>) {
        let (applied, mut ready) = (turn.routes.applied(), Vec::new());
        for served in self.waiting.callees_up_to(applied) {
            if self.hold(served.0, turn).is_some() {
                continue;
            }
            while let Some(key) = self.waiting.first_of(served)
                && self.waiting.is_within(key, applied)
            {
                ready.extend(self.forget_waiting(key, turn).map(|call| (key, call)));
            }
        }
        ready.sort_unstable_by_key(|(_, call)| call.came);
        // Those that wait on came later.
        for ((from, number), Call { invoke, rest, .. }) in ready {
            self.give(from, number, invoke, turn);
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
            turn.callees.end(session, invocation);
            turn.unbring(key.0);
        }
    }

    fn forget_waiting<R: Routes>(&mut self, key: Key, turn: &mut Turn<'_, R>) -> Option<Call> {
        let call = self.waiting.remove(key)?;
        self.held.remove(&key);
        less(&mut turn.usage.kept_bytes, call.bytes);
        turn.unbring(key.0);
        Some(call)
    }

    fn refuse_waiting<R: Routes>(
        &mut self,
        key: Key,
        reason: InvokeRefusal,
        turn: &mut Turn<'_, R>,
    ) {
        self.forget_waiting(key, turn);
        turn.send(key.0, PeerWord::Refuse { number: key.1, reason });
    }

    /// Asserts what holds between steps. Returns how many calls each other entry has brought, and the bytes that
    /// wait.
    pub(super) fn check(
        &self,
        own: OwnerId,
        callees: &Callees,
    ) -> (BTreeMap<OwnerId, usize>, usize) {
        let (mut invoked, mut brought) = (0, BTreeMap::new());
        for ((from, number), held) in &self.held {
            if *from != own {
                *brought.entry(*from).or_default() += 1;
            }
            match held {
                Held::Waiting => assert!(self.waiting.has((*from, *number)), "J2: it waits"),
                Held::Invoked(session, invocation) => {
                    let call = callees.call(*session, *invocation).map(|(call, _)| call);
                    let of = call.map(|call| (call.from, call.number));
                    assert_eq!(of, Some((*from, *number)), "J2: {session:?} has {invocation:?}");
                    invoked += 1;
                }
            }
        }
        let known = callees.all_invocations();
        assert_eq!(invoked, known, "J2: nobody has a call that is not known");
        assert_eq!(invoked + self.waiting.len(), self.held.len(), "J2: what waits is known");
        (brought, self.waiting.all_bytes())
    }
}

/// What a callee may know of a call beside its arguments.
#[derive(Default)]
struct Details {
    procedure: Option<Arc<str>>,
    caller: Option<Party>,
    timeout_ms: Option<NonZeroU64>,
}

/// An INVOCATION, or more of one.
fn told(
    invocation: InvocationId,
    present: Position,
    terms: Terms,
    details: Details,
    part: Part,
) -> CallTold {
    let Details { procedure, caller, timeout_ms } = details;
    let Part { payload, takes_progress, has_more } = part;
    let registration = terms.told;
    CallTold::Invocation {
        invocation,
        registration,
        fence: (registration.0 != present.0).then_some(present),
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

/// ERROR `wamp.error.canceled`, with a text if there is one to say.
fn canceled(number: CallNumber, text: &str) -> PeerWord {
    let answer = Answer::Error { uri: CANCELED.into(), payload: text_arguments(text) };
    PeerWord::Answer { number, answer }
}
