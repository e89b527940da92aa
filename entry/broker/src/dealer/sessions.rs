//! Sessions: who calls and is called here, and how much waits for each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vixen_core::id::Position;

use crate::api::calls::{CallFeatures, Party};
use crate::api::{RequestId, SessionId, SessionInfo};

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
    /// What its open calls hold: names, and payloads that are kept.
    pub(super) kept_bytes: usize,
    /// What it was told and has not written.
    pub(super) queued_bytes: usize,
    /// How much of that was told beyond the room of its queue.
    pub(super) beyond_bytes: usize,
    /// It does not read: it is told nothing more.
    pub(super) is_ending: bool,
    /// It is the entry itself.
    pub(super) is_of_entry: bool,
    /// Its registrations of whose calls it is told the timeout.
    forwards: BTreeSet<Position>,
    unfinished: Unfinished,
}

impl Session {
    /// Whether so much more may wait for its socket; one message in any case.
    pub(super) const fn has_room(&self, bytes: usize, max: usize) -> bool {
        self.queued_bytes == 0 || self.queued_bytes.saturating_add(bytes) <= max
    }

    /// Whether it takes of what the entry has for calls.
    pub(super) const fn is_user(&self) -> bool {
        self.open_calls > 0 || self.used_bytes() > 0
    }

    /// What it takes of the bytes that the entry has for calls.
    pub(super) const fn used_bytes(&self) -> usize {
        self.kept_bytes + self.queued_bytes
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

    /// A call of this procedure was answered, and parts of it may still come; of so many calls that is remembered.
    pub(super) fn leave_unfinished(&mut self, request: RequestId, procedure: &str, max: usize) {
        self.unfinished.insert(request, Called::of(procedure), max);
    }

    /// Whether a call of this procedure was answered, and parts of it may still come.
    pub(super) fn is_unfinished(&self, request: RequestId, procedure: &str) -> bool {
        self.unfinished.has(request, procedure)
    }

    /// Whether this is a part of a call that was answered before.
    pub(super) fn is_left_over(
        &mut self,
        request: RequestId,
        procedure: &str,
        has_more: bool,
    ) -> bool {
        let is_left_over = self.unfinished.has(request, procedure);
        if is_left_over && !has_more {
            self.unfinished.remove(request);
        }
        is_left_over
    }
}

/// A procedure that was called, by its hash: long names are not kept for what may never come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Called(u64);

impl Called {
    fn of(procedure: &str) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(procedure.as_bytes()).as_bytes();
        Self(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// Calls that were answered before they were complete: what is left of them goes nowhere. Of one request there is
/// one, the last.
#[derive(Debug, Default)]
struct Unfinished {
    calls: BTreeMap<RequestId, (u64, Called)>,
    by_age: BTreeMap<u64, RequestId>,
    last: u64,
}

impl Unfinished {
    /// Where there are too many, those are forgotten that were answered first.
    fn insert(&mut self, request: RequestId, called: Called, max: usize) {
        self.remove(request);
        self.last += 1;
        self.calls.insert(request, (self.last, called));
        self.by_age.insert(self.last, request);
        if self.calls.len() > max
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.calls.remove(&oldest);
        }
    }

    /// A part has the procedure of its call (WAMP spec *Progressive Call Invocations*): what has another is a call.
    fn has(&self, request: RequestId, procedure: &str) -> bool {
        self.calls.get(&request).is_some_and(|(_, called)| *called == Called::of(procedure))
    }

    fn remove(&mut self, request: RequestId) {
        if let Some((age, _)) = self.calls.remove(&request) {
            self.by_age.remove(&age);
        }
    }
}

/// All that are open.
#[derive(Debug, Default)]
pub(super) struct Sessions(BTreeMap<SessionId, Session>);

impl Sessions {
    /// One that is open already stays as it is.
    pub(super) fn open(&mut self, info: &SessionInfo, is_of_entry: bool) {
        let (authid, authrole) = (Arc::clone(&info.authid), Arc::clone(&info.authrole));
        let session = || Session {
            realm: Arc::clone(&info.realm),
            party: Party { session: info.session, authid, authrole },
            features: info.calls,
            open_calls: 0,
            kept_bytes: 0,
            queued_bytes: 0,
            beyond_bytes: 0,
            is_ending: false,
            is_of_entry,
            forwards: BTreeSet::new(),
            unfinished: Unfinished::default(),
        };
        self.0.entry(info.session).or_insert_with(session);
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
