//! Sessions: who calls and is called here, and how much waits for each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vixen_core::id::Position;

use crate::api::calls::{CallFeatures, Party};
use crate::api::{RequestId, SessionId, SessionInfo};

/// Requests of progressive calls that ended early, kept for each session: so many of them may still have parts
/// under way.
const UNFINISHED_MAX: usize = 1024;

/// One of the entry's own.
#[derive(Debug)]
pub(super) struct Session {
    /// Its realm.
    pub(super) realm: Arc<str>,
    /// As others are told of it.
    pub(super) party: Party,
    /// What it announced.
    pub(super) features: CallFeatures,
    /// Calls that it has open.
    pub(super) open_calls: usize,
    /// Payloads of its calls that are kept.
    pub(super) kept_bytes: usize,
    /// What it was told and has not written.
    pub(super) queued_bytes: usize,
    /// Its registrations of whose calls it is told the timeout.
    forwards: BTreeSet<Position>,
    /// Its calls that were answered before they were complete: what is left of them goes nowhere.
    unfinished: BTreeSet<RequestId>,
}

impl Session {
    /// Whether so much more may wait for its socket; one message in any case.
    pub(super) const fn has_room(&self, bytes: usize, max: usize) -> bool {
        self.queued_bytes == 0 || self.queued_bytes.saturating_add(bytes) <= max
    }

    /// Whether it is told the timeouts of calls to a registration, or not any more.
    pub(super) fn forward(&mut self, registration: Position, forwards: bool) {
        if forwards {
            self.forwards.insert(registration);
        } else {
            self.forwards.remove(&registration);
        }
    }

    /// Whether it gives up calls to this registration itself when their time is over.
    pub(super) fn keeps_timeouts_of(&self, registration: Position) -> bool {
        self.features.keeps_timeouts && self.forwards.contains(&registration)
    }

    /// A call was answered, and parts of it may still come.
    pub(super) fn leave_unfinished(&mut self, request: RequestId) {
        self.unfinished.insert(request);
        if self.unfinished.len() > UNFINISHED_MAX {
            self.unfinished.pop_first();
        }
    }

    /// Whether this is a part of a call that was answered before.
    pub(super) fn is_left_over(&mut self, request: RequestId, has_more: bool) -> bool {
        if has_more { self.unfinished.contains(&request) } else { self.unfinished.remove(&request) }
    }
}

/// All that are open.
#[derive(Debug, Default)]
pub(super) struct Sessions(BTreeMap<SessionId, Session>);

impl Sessions {
    pub(super) fn open(&mut self, info: &SessionInfo) {
        let (authid, authrole) = (Arc::clone(&info.authid), Arc::clone(&info.authrole));
        let session = Session {
            realm: Arc::clone(&info.realm),
            party: Party { session: info.session, authid, authrole },
            features: info.calls,
            open_calls: 0,
            kept_bytes: 0,
            queued_bytes: 0,
            forwards: BTreeSet::new(),
            unfinished: BTreeSet::new(),
        };
        self.0.insert(info.session, session);
    }

    pub(super) fn close(&mut self, session: SessionId) -> Option<Session> {
        self.0.remove(&session)
    }

    pub(super) fn get(&self, session: SessionId) -> Option<&Session> {
        self.0.get(&session)
    }

    pub(super) fn get_mut(&mut self, session: SessionId) -> Option<&mut Session> {
        self.0.get_mut(&session)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.0.iter().map(|(id, session)| (*id, session))
    }
}
