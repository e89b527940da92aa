//! Ending: what becomes of the books of a call, and what its caller is told.

use std::time::Duration;

use super::super::io::{CalledAt, Note, Outcome};
use super::super::routes::Routes;
use super::super::turn::Turn;
use super::{Open, Placed};
use crate::api::calls::{CallError, CallTold};

/// What a second try would need is not kept any more.
pub(super) fn release<R: Routes>(open: &mut Open, turn: &mut Turn<'_, R>) {
    open.kept = None;
    turn.unkeep(open.session, std::mem::take(&mut open.kept_bytes));
}

/// Answers a call with an error.
pub(super) fn fail<R: Routes>(placed: Placed, error: CallError, turn: &mut Turn<'_, R>) {
    let outcome = outcome_of(&error);
    let told = CallTold::Failed { request: placed.open.request, error };
    close(placed, Some(told), outcome, turn);
}

/// Answers a call with what the callee said, or, where the caller leaves no room for it, with a small error.
pub(super) fn answer_in_room<R: Routes>(
    placed: Placed,
    told: CallTold,
    outcome: Outcome,
    turn: &mut Turn<'_, R>,
) {
    let max = turn.options.limits.caller_queue_bytes_max;
    if turn.has_room(placed.open.session, told.queued_bytes(), max) {
        close(placed, Some(told), outcome, turn);
    } else {
        fail(placed, CallError::CallerTooSlow, turn);
    }
}

/// The end of a call that came to a callee.
pub(super) fn close<R: Routes>(
    placed: Placed,
    told: Option<CallTold>,
    outcome: Outcome,
    turn: &mut Turn<'_, R>,
) {
    let is_linked = placed.callee.owner != turn.options.owner;
    let at = CalledAt { registration: placed.registration, is_linked };
    end(placed.open, told, outcome, Some(at), turn);
}

/// The end of a call that was counted.
pub(super) fn end<R: Routes>(
    mut open: Open,
    told: Option<CallTold>,
    outcome: Outcome,
    at: Option<CalledAt>,
    turn: &mut Turn<'_, R>,
) {
    release(&mut open, turn);
    turn.unkeep(open.session, open.held_bytes);
    turn.uncount_call(open.session);
    leave_unfinished(&open, turn);
    note_end(&open, outcome, at, turn);
    if let Some(told) = told {
        turn.tell(open.session, told);
    }
}

/// The end of a call that was never counted.
pub(super) fn refuse<R: Routes>(open: Open, error: CallError, turn: &mut Turn<'_, R>) {
    leave_unfinished(&open, turn);
    note_end(&open, outcome_of(&error), None, turn);
    turn.tell(open.session, CallTold::Failed { request: open.request, error });
}

fn leave_unfinished<R: Routes>(open: &Open, turn: &mut Turn<'_, R>) {
    let max = turn.options.limits.unfinished_max();
    if let Some(caller) = turn.sessions.get_mut(open.session).filter(|_| open.has_more) {
        caller.leave_unfinished(open.request, &open.procedure.uri, max);
    }
}

fn note_end<R>(open: &Open, outcome: Outcome, at: Option<CalledAt>, turn: &mut Turn<'_, R>) {
    let took = turn.now.checked_duration_since(open.begun).unwrap_or(Duration::ZERO);
    turn.fx.notes.push(Note::Ended { outcome, at, took });
}

pub(super) fn error_outcome(uri: &str) -> Outcome {
    match uri {
        super::super::CANCELED => Outcome::Canceled,
        // As one says that keeps timeouts itself.
        super::super::TIMEOUT => Outcome::Timeout,
        _ => Outcome::CalleeError,
    }
}

pub(super) fn outcome_of(error: &CallError) -> Outcome {
    match error {
        CallError::Callee { uri, .. } => error_outcome(uri),
        CallError::Meta(_) => Outcome::CalleeError,
        CallError::NoSuchProcedure(_) => Outcome::NoSuchProcedure,
        CallError::NoAvailableCallee { .. } | CallError::NotAnnounced { .. } => {
            Outcome::NoAvailableCallee
        }
        CallError::Canceled | CallError::CalleeGone { .. } | CallError::CallerTooSlow => {
            Outcome::Canceled
        }
        CallError::Timeout { .. } => Outcome::Timeout,
        CallError::Unavailable(_) => Outcome::Unavailable,
        CallError::MaxConcurrency(_) => Outcome::MaxConcurrency,
        CallError::TooMany { .. } | CallError::NotAuthorized => Outcome::Refused,
    }
}
