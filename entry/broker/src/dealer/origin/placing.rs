//! Placing: which callee a call goes to, first and where one does not answer it.
//!
//! A second try is made only where the callee was never invoked, or where it answered itself that it is not
//! available, and each callee gets a call once.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use vixen_core::wire::InvokeRefusal;

use super::super::io::{Missed, Note};
use super::super::peers::Unreachable;
use super::super::routes::{Route, Routes};
use super::super::turn::Turn;
use super::super::words::{CallNumber, Invoke, PeerWord};
use super::ending::{end, outcome_of};
use super::{CallError, CallTold, Open, Origin, Placed};

/// How much later than a callee that keeps the timeout itself the entry gives a call up.
const CALLEE_FIRST: Duration = Duration::from_millis(500);

/// Reasons that a caller is told.
const REASONS_MAX: usize = 4;

impl Origin {
    /// Looks for a callee.
    pub(super) fn find<R: Routes>(&mut self, open: Open, turn: &mut Turn<'_, R>) {
        match turn.routes.find(&open.procedure) {
            Ok(Some(route)) => self.place(open, route, turn),
            Ok(None) => {
                let error = CallError::NoSuchProcedure(Arc::clone(&open.procedure.uri));
                fail(open, error, turn);
            }
            Err(why) => fail(open, CallError::Unavailable(why), turn),
        }
    }

    /// The callee did not answer: another may.
    pub(super) fn try_next<R: Routes>(
        &mut self,
        placed: Placed,
        missed: Missed,
        turn: &mut Turn<'_, R>,
    ) {
        let Placed { mut open, registration, callee, .. } = placed;
        open.tried.insert((registration, callee), missed);
        if open.kept.is_some() {
            return self.find(open, turn);
        }
        let error = none_left(&open, BTreeSet::new());
        fail(open, error, turn);
    }

    fn place<R: Routes>(&mut self, open: Open, route: Route, turn: &mut Turn<'_, R>) {
        let (routes, peers) = (turn.routes, &*turn.peers);
        let (own, limits) = (turn.options.owner, &turn.options.limits);
        let registration = route.registration;
        let chosen = self.chooser.choose(routes, &route, open.routing_key.as_deref(), |callee| {
            let is_new = !open.tried.contains_key(&(registration, *callee));
            is_new && (callee.owner == own || peers.is_reachable(callee.owner, limits))
        });
        let Some(callee) = chosen else {
            let all = routes.callees(registration).map(|(_, callee)| callee.owner);
            let elsewhere = all.filter(|owner| *owner != own);
            let away = elsewhere.filter_map(|owner| peers.why_not(owner, limits)).collect();
            let error = none_left(&open, away);
            return fail(open, error, turn);
        };
        let left = open.expires.map(|at| at.saturating_duration_since(turn.now).as_millis());
        if left == Some(0) {
            let timeout_ms = open.timeout_ms.unwrap_or_default();
            return fail(open, CallError::Timeout { timeout_ms }, turn);
        }
        let timeout_ms = left.and_then(|ms| NonZeroU64::new(u64::try_from(ms).unwrap_or(u64::MAX)));
        if let Some((_, missed)) = open.tried.last_key_value() {
            turn.fx.notes.push(Note::Rerouted(*missed));
        }
        let number = CallNumber(self.last.0 + 1);
        self.last = number;
        if let Some(expires) = open.expires {
            let keeps =
                turn.own_session(callee).is_some_and(|own| own.keeps_timeouts_of(registration));
            let later = if keeps { CALLEE_FIRST } else { Duration::ZERO };
            self.timers.set(number.0, expires.checked_add(later).unwrap_or(expires));
        }
        if let Some(kept) = &open.kept {
            let procedure = route.is_pattern.then(|| Arc::clone(&open.procedure.uri));
            let (session, caller) = (callee.session, open.caller.clone());
            let part = kept.first.clone();
            let invoke = Invoke { registration, session, procedure, caller, timeout_ms, part };
            turn.send(callee.owner, PeerWord::Invoke { number, invoke });
            for part in &kept.rest {
                turn.send(callee.owner, PeerWord::More { number, part: part.clone() });
            }
        }
        self.by_request.insert((open.session, open.request), number);
        let policy = route.policy;
        let placed = Placed { open, registration, policy, callee, is_killing: false };
        self.calls.insert(number, placed);
    }
}

/// Answers a call that is with no callee.
fn fail<R: Routes>(open: Open, error: CallError, turn: &mut Turn<'_, R>) {
    let (request, outcome) = (open.request, outcome_of(&error));
    end(open, Some(CallTold::Failed { request, error }), outcome, None, turn);
}

/// What a caller is told where all callees are tried, or `away`.
fn none_left(open: &Open, away: BTreeSet<Unreachable>) -> CallError {
    let procedure = Arc::clone(&open.procedure.uri);
    let missed: BTreeSet<_> = open.tried.values().copied().collect();
    if away.is_empty() && missed.iter().eq([&Missed::Refused(InvokeRefusal::Busy)]) {
        return CallError::MaxConcurrency(procedure);
    }
    let missed = missed.into_iter().map(|missed| why(missed).to_owned());
    let reasons = missed.chain(away.iter().map(ToString::to_string)).take(REASONS_MAX);
    let reasons: Vec<_> = reasons.collect();
    let reason = if reasons.is_empty() { "it has none".into() } else { reasons.join("; ").into() };
    CallError::NoAvailableCallee { procedure, reason }
}

const fn why(missed: Missed) -> &'static str {
    match missed {
        Missed::Refused(InvokeRefusal::Left) => "a callee left as it was to be called",
        Missed::Refused(InvokeRefusal::Busy) => {
            "a callee has as many invocations as it takes at once"
        }
        Missed::Refused(InvokeRefusal::Queue) => {
            "queue of the callee is full: limits.callee-queue-bytes-max, limits.invocations-per-session-max"
        }
        Missed::Refused(InvokeRefusal::Draining) => "the entry of a callee is about to stop",
        Missed::Refused(InvokeRefusal::Lease | InvokeRefusal::NotReady) => {
            "the entry of a callee is not ready for calls"
        }
        Missed::Unavailable => "a callee answered wamp.error.unavailable",
    }
}
