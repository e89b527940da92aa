//! What ends calls beside their callers and callees: an entry that is gone, rights that are lost, a session or an entry
//! that ends.

use std::sync::Arc;

use vixen_core::id::OwnerId;
use vixen_core::wire::{Cancellation, DropMode};

use super::super::io::Outcome;
use super::super::routes::Routes;
use super::super::turn::Turn;
use super::super::words::{CallNumber, PeerWord};
use super::ending::{close, end};
use super::{CallError, Origin};
use crate::access::Permissions;
use crate::api::{RequestId, SessionId};

impl Origin {
    /// Nothing comes of calls to this entry any more. `why` names it; their callees are told where it can
    /// still hear.
    pub(in crate::dealer) fn on_peer_gone<R: Routes>(
        &mut self,
        peer: OwnerId,
        why: &Arc<str>,
        turn: &mut Turn<'_, R>,
    ) {
        let all = (peer, CallNumber(0))..=(peer, CallNumber(u64::MAX));
        let numbers: Vec<_> = self.by_owner.range(all).map(|(_, number)| *number).collect();
        for number in numbers {
            let entry = Some(Arc::clone(why));
            self.give_up(number, CallError::CalleeGone { entry }, turn);
        }
    }

    /// The caller may do other things: a call that it may not make any more ends, if more may come of it. Of the
    /// others the one answer was allowed as they were made.
    pub(in crate::dealer) fn on_rights<R: Routes>(
        &mut self,
        session: SessionId,
        permissions: &Permissions,
        turn: &mut Turn<'_, R>,
    ) {
        for number in self.calls_of(session) {
            let placed = self.calls.get(&number).map(|placed| &placed.open);
            let Some(open) = placed.or_else(|| self.asked.calls.get(&number)) else { continue };
            if open.may_go_on() && permissions.call(&open.procedure.uri).is_none() {
                self.end_asked(number, CallError::NotAuthorized, turn);
                self.give_up(number, CallError::NotAuthorized, turn);
            }
        }
    }

    /// By their numbers.
    fn calls_of(&self, session: SessionId) -> Vec<CallNumber> {
        let all = (session, RequestId(0))..=(session, RequestId(u64::MAX));
        self.by_request.range(all).map(|(_, number)| *number).collect()
    }

    /// The caller is gone: nobody is answered.
    pub(in crate::dealer) fn on_closed<R: Routes>(
        &mut self,
        session: SessionId,
        turn: &mut Turn<'_, R>,
    ) {
        for number in self.calls_of(session) {
            if let Some(open) = self.take_asked(number) {
                end(open, None, Outcome::Canceled, None, turn);
            }
            let Some(placed) = self.take(number) else { continue };
            let to = placed.callee.owner;
            close(placed, None, Outcome::Canceled, turn);
            let cancel = Cancellation::Drop(DropMode::KillNoWait);
            turn.send(to, PeerWord::Cancel { number, cancel });
        }
    }

    /// The entry stops: nothing is open afterwards.
    pub(in crate::dealer) fn on_stop<R: Routes>(&mut self, turn: &mut Turn<'_, R>) {
        self.is_stopped = true;
        let text: Arc<str> = format!("entry {} stops", turn.options.name).into();
        while let Some((&number, _)) = self.asked.calls.first_key_value() {
            self.end_asked(number, CallError::Unavailable(Arc::clone(&text)), turn);
        }
        while let Some((&number, _)) = self.calls.first_key_value() {
            self.give_up(number, CallError::Unavailable(Arc::clone(&text)), turn);
        }
    }
}
