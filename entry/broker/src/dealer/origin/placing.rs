//! Placing: which callee a call goes to, first and where one does not answer it.
//!
//! A second try is made only where the callee was never invoked, or where it answered itself that it is not
//! available; each callee gets a call once, and a call goes to eight callees at most.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use vixen_core::id::OwnerId;
use vixen_core::wire::{CALL_URI_BYTES_MAX, InvokeRefusal};

use super::super::io::{Missed, Note};
use super::super::needs::Needs;
use super::super::peers::{Load, Unreachable};
use super::super::routes::{Look, Route, Routes};
use super::super::turn::Turn;
use super::super::words::{Invoke, Part, PeerWord};
use super::ending::{end, outcome_of};
use super::{CallError, CallTold, Kept, Open, Origin, Party, Placed, is_sole};

/// How much later than a callee that keeps the timeout itself the entry gives a call up.
const CALLEE_FIRST: Duration = Duration::from_millis(500);

/// Callees that one call is tried at: what is busy everywhere should not cross every link.
const TRIES_MAX: usize = 8;

/// Reasons that a caller is told.
const REASONS_MAX: usize = 4;

impl Origin {
    /// Looks for a callee, after another has `missed` the call.
    pub(super) fn find<R: Routes>(
        &mut self,
        open: Open,
        missed: Option<Missed>,
        turn: &mut Turn<'_, R>,
    ) {
        if open.expires.is_some_and(|at| at <= turn.now) {
            let timeout_ms = open.timeout_ms.unwrap_or_default();
            return fail_unplaced(open, CallError::Timeout { timeout_ms }, turn);
        }
        // No entry takes a longer one from another.
        if open.procedure.uri.len() > CALL_URI_BYTES_MAX {
            let error = CallError::NoSuchProcedure(Arc::clone(&open.procedure.uri));
            return fail_unplaced(open, error, turn);
        }
        let is_of_entry = is_of_entry(&open, turn);
        let may_serve = |route: &Route| !(is_of_entry && route.is_pattern);
        // An exact registration is found before all patterns.
        match turn.routes.find(&open.procedure).map(|route| route.filter(may_serve)) {
            Ok(Some(route)) => self.place(open, route, missed, turn),
            Ok(None) if !open.is_asked && !turn.routes.is_complete() => self.ask(open, turn),
            Ok(None) => {
                let error = CallError::NoSuchProcedure(Arc::clone(&open.procedure.uri));
                fail_unplaced(open, error, turn);
            }
            Err(why) => fail_unplaced(open, CallError::Unavailable(why), turn),
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
        open.tried.push((registration, callee, missed));
        let why = if open.kept.is_none() {
            NOT_KEPT
        } else if open.tried.len() >= TRIES_MAX {
            TRIED_ENOUGH
        } else {
            return self.find(open, Some(missed), turn);
        };
        let error = none_left(&open, &Seen { beside: Some(why), ..Seen::default() });
        fail_unplaced(open, error, turn);
    }

    fn place<R: Routes>(
        &mut self,
        open: Open,
        route: Route,
        missed: Option<Missed>,
        turn: &mut Turn<'_, R>,
    ) {
        let Some(kept) = &open.kept else { return };
        let registration = route.registration;
        let mut seen = Seen::default();
        let load = load_of(&open, kept, &route, turn);
        let chosen = self.chooser.choose(turn.routes, &route, open.routing_key, |callee| {
            look(&open, load, &route, *callee, turn, &mut seen)
        });
        let Some((place, callee)) = chosen else {
            let error = if seen.is_stopped {
                CallError::MaxConcurrency(Arc::clone(&open.procedure.uri))
            } else {
                none_left(&open, &seen)
            };
            return fail_unplaced(open, error, turn);
        };
        if let Some(missed) = missed {
            turn.fx.notes.push(Note::Rerouted(missed));
        }
        let number = self.next_number();
        if let Some(expires) = open.expires {
            let keeps = match turn.own_session(callee) {
                Some(own) => own.keeps_timeouts_of(registration),
                // Of another entry it is as it was when it joined.
                None => turn.routes.keeps_timeouts(registration, place),
            };
            let later = if keeps { CALLEE_FIRST } else { Duration::ZERO };
            self.timers.set(number.0, expires.checked_add(later).unwrap_or(expires));
        }
        let timeout_ms =
            open.expires.and_then(|at| ms_left(at.saturating_duration_since(turn.now)));
        let procedure = route.is_pattern.then(|| Arc::clone(&open.procedure.uri));
        let (session, caller) = (callee.session, open.caller.clone());
        let part = kept.first.clone();
        let invoke = Invoke { registration, place, session, procedure, caller, timeout_ms, part };
        turn.send(callee.owner, PeerWord::Invoke { number, invoke });
        for part in &kept.rest {
            turn.send(callee.owner, PeerWord::More { number, part: part.clone() });
        }
        let policy = route.policy;
        self.insert(number, Placed { open, registration, policy, callee, is_killing: false });
    }
}

/// Whether the entry itself calls.
fn is_of_entry<R: Routes>(open: &Open, turn: &Turn<'_, R>) -> bool {
    turn.sessions.get(open.session).is_some_and(|caller| caller.is_of_entry)
}

/// What a call has to bring to a callee.
fn load_of<R: Routes>(open: &Open, kept: &Kept, route: &Route, turn: &Turn<'_, R>) -> Load {
    let procedure = if route.is_pattern { open.procedure.uri.len() } else { 0 };
    let texts = procedure + open.caller.as_ref().map_or(0, Party::text_bytes);
    let bytes = |part: &Part| CallTold::OVERHEAD_BYTES + part.payload.said_bytes();
    let bytes: usize = texts + kept.parts().map(bytes).sum::<usize>();
    let (needs, is_of_entry) = (Needs::of(kept.parts()), is_of_entry(open, turn));
    Load { words: 1 + kept.rest.len(), bytes, needs, is_of_entry }
}

/// What a callee gets of the time that is left: never less than there is, or it would end a call too early.
fn ms_left(left: Duration) -> Option<NonZeroU64> {
    NonZeroU64::new(u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

/// What was seen of the callees of a registration, as nobody was chosen.
#[derive(Default)]
struct Seen {
    against: BTreeSet<Missed>,
    /// Entries that calls cannot go to.
    away: BTreeMap<OwnerId, Unreachable>,
    /// The one that would have been called is busy, and no other takes its place.
    is_stopped: bool,
    beside: Option<&'static str>,
}

/// Whether a callee may be given a call.
fn look<R: Routes>(
    open: &Open,
    load: Load,
    route: &Route,
    callee: super::super::Callee,
    turn: &Turn<'_, R>,
    seen: &mut Seen,
) -> Look {
    let has_tried = |(registration, tried, missed): &(_, _, Missed)| {
        *tried == callee && (*registration == route.registration || *missed == Missed::Unavailable)
    };
    if open.tried.iter().any(has_tried) {
        return Look::Away;
    }
    // Many callees may be of one entry, which is asked once.
    if seen.away.contains_key(&callee.owner) {
        return Look::Away;
    }
    let own = turn.options.owner;
    if callee.owner == own {
        let load = (load.bytes, load.needs);
        let Some(reason) = turn.reason_against(own, callee, route.registration, load) else {
            return Look::Able;
        };
        seen.against.insert(Missed::Refused(reason));
        seen.is_stopped =
            reason == InvokeRefusal::Busy && is_sole(route.policy, open.routing_key.is_some());
        return if seen.is_stopped { Look::Stop } else { Look::Busy };
    }
    match turn.peers.why_not(callee.owner, load, &turn.options.limits) {
        None => Look::Able,
        Some(why) => {
            seen.away.insert(callee.owner, why(turn.name(callee.owner)));
            Look::Away
        }
    }
}

/// Answers a call that is with no callee.
pub(super) fn fail_unplaced<R: Routes>(open: Open, error: CallError, turn: &mut Turn<'_, R>) {
    let (request, outcome) = (open.request, outcome_of(&error));
    end(open, Some(CallTold::Failed { request, error }), outcome, None, turn);
}

/// What a caller is told where nobody is left to try.
fn none_left(open: &Open, seen: &Seen) -> CallError {
    let procedure = Arc::clone(&open.procedure.uri);
    let tried = open.tried.iter().map(|(_, _, missed)| *missed);
    let missed: BTreeSet<_> = tried.chain(seen.against.iter().copied()).collect();
    let is_all = |reason| missed.iter().eq([&Missed::Refused(reason)]);
    if seen.away.is_empty() && seen.beside != Some(NOT_KEPT) {
        if is_all(InvokeRefusal::Busy) {
            return CallError::MaxConcurrency(procedure);
        }
        let needs = open.kept.as_ref().map(|kept| Needs::of(kept.parts()));
        if is_all(InvokeRefusal::NotAnnounced)
            && let Some(features) = needs.and_then(Needs::features)
        {
            return CallError::NotAnnounced { procedure, features };
        }
    }
    let missed = missed.into_iter().map(|missed| why(missed).to_owned());
    let away: BTreeSet<_> = seen.away.values().collect();
    let away = away.into_iter().map(ToString::to_string);
    let reasons = seen.beside.into_iter().map(str::to_owned).chain(missed).chain(away);
    let reasons: Vec<_> = reasons.take(REASONS_MAX).collect();
    let reason = if reasons.is_empty() { "it has none".into() } else { reasons.join("; ").into() };
    CallError::NoAvailableCallee { procedure, reason }
}

/// Why no other callee gets a call whose first one did not take it.
const NOT_KEPT: &str = "its arguments are more than is kept for a second try: limits.calls-bytes-per-session-max, limits.calls-bytes-max";
const TRIED_ENOUGH: &str = "it was tried at 8 callees, as many as one call is";

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
        Missed::Refused(InvokeRefusal::EntryFull) => {
            "the entry of a callee has as many calls as it may have: limits.calls-max, limits.calls-bytes-max"
        }
        Missed::Refused(InvokeRefusal::NotAnnounced) => {
            "a callee has not announced what the call needs"
        }
        Missed::Unavailable => "a callee answered wamp.error.unavailable",
    }
}
