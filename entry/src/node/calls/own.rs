//! The entry itself as a caller: of procedures that decide about others.

use std::sync::Arc;

use vixen_broker::api::calls::{Call, CallTold, CallWord};
use vixen_broker::api::{SessionId, SessionInfo};
use vixen_broker::dealer;

use super::super::deciders::is_entry;
use super::{CallEffects, Calls};

impl CallEffects {
    /// What the entry itself is told as a caller.
    pub(in crate::node) fn take_told_to_entry(&mut self) -> Vec<(SessionId, CallTold)> {
        self.told.extract_if(.., |(session, _)| is_entry(*session)).collect()
    }
}

impl Calls {
    /// The entry itself calls, as this one.
    pub(in crate::node) fn call_as(
        &mut self,
        session: SessionId,
        info: SessionInfo,
        call: Call,
        fx: &mut CallEffects,
    ) {
        // One that is open already stays as it is.
        self.step_dealer(dealer::Input::OpenedByEntry { info: Arc::new(info) }, fx);
        self.words(session, vec![CallWord::Call(call)], fx);
    }

    /// The entry itself does not call as this one any more.
    pub(in crate::node) fn close_caller(&mut self, session: SessionId, fx: &mut CallEffects) {
        self.step_dealer(dealer::Input::Closed { session }, fx);
    }

    /// The entry itself has read so much of what it was told as a caller.
    pub(in crate::node) fn caller_has_read(&mut self, session: SessionId, bytes: usize) {
        let mut nothing = CallEffects::default();
        self.step_dealer(dealer::Input::Written { session, bytes }, &mut nothing);
    }

    /// Which view of the registrations this is, as they come and go, and whether it may be gone by.
    pub(in crate::node) fn view_seen(&self) -> (u64, bool) {
        (self.follow.followed(), self.registrar.is_ready())
    }
}
