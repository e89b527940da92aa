//! What both halves have at hand in a step.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use vixen_core::id::OwnerId;

use super::limits::Usage;
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
    /// What one half of this entry says to the other.
    pub(super) own: VecDeque<PeerWord>,
    pub(super) fx: &'a mut Effects,
}

impl<R: Routes> Turn<'_, R> {
    /// The session of a callee, if it is of this entry.
    pub(super) fn own_session(&self, callee: Callee) -> Option<&Session> {
        self.sessions.get(callee.session).filter(|_| callee.owner == self.options.owner)
    }

    /// Tells a session, if it is still there.
    pub(super) fn tell(&mut self, session: SessionId, told: CallTold) {
        let Some(open) = self.sessions.get_mut(session) else { return };
        let bytes = told.queued_bytes();
        open.queued_bytes += bytes;
        self.usage.queued_bytes += bytes;
        self.fx.told.push((session, told));
    }

    /// Sends a word to an entry, be it this one. Without a link it goes nowhere: whoever waits for it has been
    /// told that the link is gone.
    pub(super) fn send(&mut self, to: OwnerId, word: PeerWord) {
        if to == self.options.owner {
            self.own.push_back(word);
        } else if self.peers.add_waiting(to, word.queued_bytes()) {
            self.fx.sends.push((to, word));
        }
    }

    /// What people call an entry.
    pub(super) fn name(&self, owner: OwnerId) -> Arc<str> {
        if owner == self.options.owner {
            Arc::clone(&self.options.name)
        } else {
            self.peers.name(owner)
        }
    }

    /// Whether so much may wait for a session's socket besides what does. Where the entry as a whole has reached
    /// its bound, those get no more who have something waiting.
    pub(super) fn has_room(&self, session: SessionId, bytes: usize, max: usize) -> bool {
        let is_full =
            self.usage.bytes().saturating_add(bytes) > self.options.limits.calls_bytes_max;
        self.sessions
            .get(session)
            .is_some_and(|open| open.has_room(bytes, max) && !(is_full && open.queued_bytes > 0))
    }
}
