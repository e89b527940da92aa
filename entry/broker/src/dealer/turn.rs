//! What both halves have at hand in a step.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use vixen_core::id::{OwnerId, Position};
use vixen_core::wire::InvokeRefusal;

use super::books::Callees;
use super::io::Breach;
use super::limits::{Usage, less};
use super::needs::Needs;
use super::peers::Peers;
use super::routes::{Callee, Routes};
use super::sessions::{Session, Sessions};
use super::words::PeerWord;
use super::{DealerOptions, Effects};
use crate::api::SessionId;
use crate::api::calls::CallTold;

/// See the module.
pub(super) struct Turn<'a, R> {
    pub(super) now: Instant,
    pub(super) routes: &'a R,
    pub(super) options: &'a DealerOptions,
    pub(super) sessions: &'a mut Sessions,
    pub(super) peers: &'a mut Peers,
    pub(super) usage: &'a mut Usage,
    pub(super) callees: &'a mut Callees,
    /// What one half of this entry says to the other.
    pub(super) own: VecDeque<PeerWord>,
    pub(super) fx: &'a mut Effects,
}

impl<R: Routes> Turn<'_, R> {
    /// The session of a callee, if it is of this entry.
    pub(super) fn own_session(&self, callee: Callee) -> Option<&Session> {
        self.sessions.get(callee.session).filter(|_| callee.owner == self.options.owner)
    }

    /// Tells a session, if it is still there. One that leaves unread what comes without a look at its room, as the
    /// errors of calls that end at once, is to be ended.
    pub(super) fn tell(&mut self, session: SessionId, told: CallTold) {
        let limits = &self.options.limits;
        let max = limits.caller_queue_bytes_max.max(limits.callee_queue_bytes_max);
        let bytes = told.queued_bytes();
        let Some(open) = self.sessions.get_mut(session).filter(|open| !open.is_ending) else {
            return;
        };
        if !open.has_room(bytes, max) {
            open.beyond_bytes += bytes;
            if open.beyond_bytes > max {
                open.is_ending = true;
                return self.fx.breaches.push((session, Breach::Unread));
            }
        }
        self.change(session, |open| open.queued_bytes += bytes);
        self.usage.queued_bytes += bytes;
        self.fx.told.push((session, told));
    }

    /// A session has written so much of what it was told.
    pub(super) fn written(&mut self, session: SessionId, bytes: usize) {
        let Some(open) = self.sessions.get(session) else { return };
        let written = open.queued_bytes.min(bytes);
        self.change(session, |open| {
            open.queued_bytes -= written;
            open.beyond_bytes = open.beyond_bytes.min(open.queued_bytes);
        });
        less(&mut self.usage.queued_bytes, written);
    }

    /// A session is gone. What its calls take is taken off as they end.
    pub(super) fn close(&mut self, session: SessionId) {
        let Some(closed) = self.sessions.close(session) else { return };
        less(&mut self.usage.queued_bytes, closed.queued_bytes);
        less(&mut self.usage.sessions, usize::from(closed.is_user()));
    }

    /// A caller has one more call.
    pub(super) fn count_call(&mut self, session: SessionId) {
        self.usage.calls += 1;
        self.change(session, |caller| caller.open_calls += 1);
    }

    /// A call of a caller, which may be gone, has ended.
    pub(super) fn uncount_call(&mut self, session: SessionId) {
        less(&mut self.usage.calls, 1);
        self.change(session, |caller| less(&mut caller.open_calls, 1));
    }

    /// A call of a caller holds so much more.
    pub(super) fn keep(&mut self, session: SessionId, bytes: usize) {
        self.usage.kept_bytes += bytes;
        self.change(session, |caller| caller.kept_bytes += bytes);
    }

    /// A call of a caller, which may be gone, holds so much less.
    pub(super) fn unkeep(&mut self, session: SessionId, bytes: usize) {
        less(&mut self.usage.kept_bytes, bytes);
        self.change(session, |caller| less(&mut caller.kept_bytes, bytes));
    }

    fn change(&mut self, session: SessionId, change: impl FnOnce(&mut Session)) {
        let Some(open) = self.sessions.get_mut(session) else { return };
        let was_user = open.is_user();
        change(open);
        match (was_user, open.is_user()) {
            (false, true) => self.usage.sessions += 1,
            (true, false) => less(&mut self.usage.sessions, 1),
            (false, false) | (true, true) => {}
        }
    }

    /// An entry has brought one more call to a callee. Those of this one are counted at their caller.
    pub(super) fn bring(&mut self, from: OwnerId) {
        if from != self.options.owner {
            self.usage.calls += 1;
            *self.usage.brought.entry(from).or_default() += 1;
        }
    }

    /// A call that an entry has brought has ended.
    pub(super) fn unbring(&mut self, from: OwnerId) {
        if from == self.options.owner {
            return;
        }
        less(&mut self.usage.calls, 1);
        if let Some(brought) = self.usage.brought.get_mut(&from) {
            less(brought, 1);
            if *brought == 0 {
                self.usage.brought.remove(&from);
            }
        }
    }

    /// Whether an entry may bring one more call. What callers of this one have is looked at as they call.
    pub(super) fn may_bring(&self, from: OwnerId) -> bool {
        let brought = self.usage.brought.get(&from).copied().unwrap_or_default();
        from == self.options.owner
            || self.usage.has_call_for(brought, self.options.limits.calls_max)
    }

    /// Why a callee of this entry may not be given a call of so many bytes that needs this of it.
    pub(super) fn reason_against(
        &self,
        from: OwnerId,
        Callee { session, .. }: Callee,
        registration: Position,
        (bytes, needs): (usize, Needs),
    ) -> Option<InvokeRefusal> {
        if self.callees.is_draining {
            return Some(InvokeRefusal::Draining);
        }
        let limits = &self.options.limits;
        let callee = self.sessions.get(session).filter(|callee| !callee.is_ending);
        let service = self.callees.service(session, registration);
        let (Some(callee), Some(service)) = (callee, service) else {
            return Some(InvokeRefusal::Left);
        };
        // Before what may be otherwise in a moment.
        if !needs.are_met_by(callee.features) {
            return Some(InvokeRefusal::NotAnnounced);
        }
        if service.is_full() {
            return Some(InvokeRefusal::Busy);
        }
        let is_open_to_more =
            self.callees.invocations(session) < limits.invocations_per_session_max;
        if !(is_open_to_more && callee.has_room(bytes, limits.callee_queue_bytes_max)) {
            return Some(InvokeRefusal::Queue);
        }
        // What a caller of this entry has kept is counted already.
        let more = if from == self.options.owner { 0 } else { bytes };
        let used = callee.used_bytes();
        let has_bytes = self.usage.has_bytes_for(used, more, limits.calls_bytes_max);
        (!(has_bytes && self.may_bring(from))).then_some(InvokeRefusal::EntryFull)
    }

    /// Sends a word to an entry, be it this one. Without a link it goes nowhere: whoever waits for it has been
    /// told that the link is gone.
    pub(super) fn send(&mut self, to: OwnerId, word: PeerWord) {
        if to == self.options.owner {
            self.own.push_back(word);
        } else if let Some(link) = self.peers.add_waiting(to, word.queued_bytes()) {
            self.fx.sends.push((link, word));
        }
    }

    /// What people call an entry; one that nobody knows by a name goes by its owner id.
    pub(super) fn name(&self, owner: OwnerId) -> Arc<str> {
        if owner == self.options.owner {
            return Arc::clone(&self.options.name);
        }
        let known = self.peers.name(owner).or_else(|| self.routes.name_of(owner));
        known.unwrap_or_else(|| owner.to_string().into())
    }

    /// Whether so much may wait for a session's socket besides what does, within the session's bound and its share
    /// of the entry's; one message in any case.
    pub(super) fn has_room(&self, session: SessionId, bytes: usize, max: usize) -> bool {
        let all_max = self.options.limits.calls_bytes_max;
        self.sessions.get(session).is_some_and(|open| {
            let has_share = self.usage.has_bytes_for(open.queued_bytes, bytes, all_max);
            open.has_room(bytes, max) && (has_share || open.queued_bytes == 0)
        })
    }
}
