//! Asked: calls of which the view knows nobody, until it is known to be complete.
//!
//! ```text
//!   CALL --missed--> Asked --the view is complete up to a moment after it came--> a second look
//! ```
//! A view may be behind: who was told REGISTERED at another entry is found here all the same. Nobody was invoked, so
//! whatever ends a call ends one of these without a word to anybody else. The question is one for all that wait: what
//! comes while it is asked waits for the next.
//!
//! Source: `docs/design/027-calls.md`, *A miss that waits*.

use std::collections::BTreeMap;

use super::super::io::Outcome;
use super::super::routes::Routes;
use super::super::turn::Turn;
use super::super::words::{CallNumber, Part};
use super::ending::{end, outcome_of};
use super::{Breach, Call, CallError, CallTold, Open, Origin, beyond_bytes};

/// The calls that wait, by the numbers that they have until they are placed.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) calls: BTreeMap<CallNumber, Open>,
    /// A question is wanted, or under way.
    is_asking: bool,
}

impl Origin {
    /// The call waits until it is known whether somebody has registered its procedure.
    pub(super) fn ask<R: Routes>(&mut self, open: Open, turn: &mut Turn<'_, R>) {
        let number = self.next_number();
        if let Some(expires) = open.expires {
            self.timers.set(number.0, expires);
        }
        self.by_request.insert((open.session, open.request), number);
        self.asked.calls.insert(number, open);
        if !std::mem::replace(&mut self.asked.is_asking, true) {
            turn.fx.is_asking = true;
        }
    }

    /// The view has all that was placed before the question, or nobody could tell in time: those that came before,
    /// up to this one, are looked at again.
    pub(in crate::dealer) fn on_complete<R: Routes>(
        &mut self,
        up_to: CallNumber,
        turn: &mut Turn<'_, R>,
    ) {
        self.asked.is_asking = false;
        let later = self.asked.calls.split_off(&CallNumber(up_to.0 + 1));
        let numbers: Vec<_> = self.asked.calls.keys().copied().collect();
        for number in numbers {
            let Some(mut open) = self.take_asked(number) else { continue };
            open.is_asked = true;
            self.find(open, None, turn);
        }
        self.asked.calls.extend(later);
        if !self.asked.calls.is_empty() {
            self.asked.is_asking = true;
            turn.fx.is_asking = true;
        }
    }

    /// A call that waits goes on.
    pub(super) fn more_of_asked<R: Routes>(
        &mut self,
        number: CallNumber,
        call: Call,
        turn: &mut Turn<'_, R>,
    ) {
        let Some(open) = self.asked.calls.get_mut(&number) else { return };
        let session = open.session;
        if !open.goes_on_by(&call) {
            return turn.fx.breaches.push((session, Breach::RepeatedRequest(call.request)));
        }
        open.has_more = call.has_more;
        let (takes_progress, has_more) = (open.takes_progress, call.has_more);
        let payload = call.payload.detached();
        let bytes = payload.counted_bytes();
        // There is nobody yet who could be given what is not kept.
        if let Some(error) = beyond_bytes(session, bytes, turn) {
            return self.end_asked(number, error, turn);
        }
        open.kept_bytes += bytes;
        if let Some(kept) = &mut open.kept {
            kept.rest.push(Part { payload, takes_progress, has_more });
        }
        turn.keep(session, bytes);
    }

    /// The gate has refused a part of a call that waits. Whether it was one.
    pub(super) fn spoil_asked<R: Routes>(
        &mut self,
        number: CallNumber,
        has_more: bool,
        told: CallTold,
        turn: &mut Turn<'_, R>,
    ) -> bool {
        let Some(open) = self.asked.calls.get_mut(&number) else { return false };
        if !open.has_more {
            let breach = Breach::RepeatedRequest(open.request);
            turn.fx.breaches.push((open.session, breach));
            return true;
        }
        open.has_more = has_more;
        if let Some(open) = self.take_asked(number) {
            end(open, Some(told), Outcome::Refused, None, turn);
        }
        true
    }

    /// Answers a call that waits.
    pub(super) fn end_asked<R: Routes>(
        &mut self,
        number: CallNumber,
        error: CallError,
        turn: &mut Turn<'_, R>,
    ) {
        let Some(open) = self.take_asked(number) else { return };
        let (request, outcome) = (open.request, outcome_of(&error));
        end(open, Some(CallTold::Failed { request, error }), outcome, None, turn);
    }

    /// Forgets a call that waits.
    pub(super) fn take_asked(&mut self, number: CallNumber) -> Option<Open> {
        let open = self.asked.calls.remove(&number)?;
        self.by_request.remove(&(open.session, open.request));
        self.timers.cancel(number.0);
        Some(open)
    }
}
