//! Unmade: calls, and parts of them, that their gate has refused, or that were over before it let them pass.

use std::sync::Arc;
use std::time::Duration;

use vixen_core::wire::{Cancellation, DropMode};

use super::super::io::{Note, Outcome};
use super::super::routes::Routes;
use super::super::turn::Turn;
use super::super::words::PeerWord;
use super::ending::close;
use super::{Breach, CallError, CallTold, Origin};
use crate::api::calls::Withdrawal;
use crate::api::{RequestId, SessionId};

/// A call, or a part of one, that the caller's gate has refused.
#[derive(Debug)]
pub(in crate::dealer) struct Spoiled {
    pub(in crate::dealer) request: RequestId,
    pub(in crate::dealer) procedure: Arc<str>,
    pub(in crate::dealer) has_more: bool,
    pub(in crate::dealer) error: CallError,
}

/// A call, or a part of one, that was over before its gate let it pass.
#[derive(Debug)]
pub(in crate::dealer) struct Withdrawn {
    pub(in crate::dealer) request: RequestId,
    pub(in crate::dealer) procedure: Arc<str>,
    pub(in crate::dealer) has_more: bool,
    pub(in crate::dealer) why: Withdrawal,
}

impl Origin {
    /// The gate has refused a call, or a part of one: nothing more of it goes to anybody.
    pub(in crate::dealer) fn on_spoiled<R: Routes>(
        &mut self,
        session: SessionId,
        spoiled: Spoiled,
        turn: &mut Turn<'_, R>,
    ) {
        let Spoiled { request, procedure, has_more, error } = spoiled;
        let told = CallTold::Failed { request, error };
        if let Some(number) = self.by_request.get(&(session, request)).copied() {
            if self.spoil_asked(number, has_more, told.clone(), turn) {
                return;
            }
            let Some(placed) = self.calls.get_mut(&number) else { return };
            if !placed.open.has_more && !placed.is_killing {
                return turn.fx.breaches.push((session, Breach::RepeatedRequest(request)));
            }
            placed.open.has_more &= has_more;
            let Some(placed) = self.take(number) else { return };
            let to = placed.callee.owner;
            close(placed, Some(told), Outcome::Refused, turn);
            let cancel = Cancellation::Drop(DropMode::KillNoWait);
            return turn.send(to, PeerWord::Cancel { number, cancel });
        }
        self.end_unmade(session, (&procedure, has_more), told, Outcome::Refused, turn);
    }

    /// A call, or a part of one, is over of which the gate does not know yet whether it may be made.
    pub(in crate::dealer) fn on_withdrawn<R: Routes>(
        &mut self,
        session: SessionId,
        withdrawn: Withdrawn,
        turn: &mut Turn<'_, R>,
    ) {
        let Withdrawn { request, procedure, has_more, why } = withdrawn;
        let number = self.by_request.get(&(session, request)).copied();
        match (why, number) {
            (Withdrawal::Canceled(mode), Some(number)) => {
                let placed = self.calls.get_mut(&number).map(|placed| &mut placed.open);
                if let Some(open) = placed.or_else(|| self.asked.calls.get_mut(&number)) {
                    open.has_more &= has_more;
                }
                self.on_cancel(session, request, mode, turn);
            }
            (Withdrawal::Canceled(_), None) => {
                let told = CallTold::Failed { request, error: CallError::Canceled };
                self.end_unmade(session, (&procedure, has_more), told, Outcome::Canceled, turn);
            }
            (Withdrawal::Timeout { .. }, Some(_has_its_own)) => {}
            (Withdrawal::Timeout { timeout_ms }, None) => {
                let caller = turn.sessions.get(session);
                if caller.is_none_or(|caller| caller.is_unfinished(request, &procedure)) {
                    return;
                }
                let error = CallError::Timeout { timeout_ms };
                // What comes of it yet is a part of it, be it all of it.
                let told = CallTold::Failed { request, error };
                self.end_unmade(session, (&procedure, true), told, Outcome::Timeout, turn);
            }
        }
    }

    /// Answers a call of which nothing is open, unless this is a part of one that has its answer.
    fn end_unmade<R: Routes>(
        &mut self,
        session: SessionId,
        (procedure, has_more): (&str, bool),
        told: CallTold,
        outcome: Outcome,
        turn: &mut Turn<'_, R>,
    ) {
        let CallTold::Failed { request, .. } = told else { return };
        let max = turn.options.limits.unfinished_max();
        let Some(caller) = turn.sessions.get_mut(session) else { return };
        if caller.is_left_over(request, procedure, has_more) {
            return;
        }
        if has_more {
            caller.leave_unfinished(request, procedure, max);
        }
        turn.fx.notes.push(Note::Ended { outcome, at: None, took: Duration::ZERO });
        turn.tell(session, told);
    }
}
