//! Waiting: calls that came before the view knew of their registration, or of their callee's place in it.
//!
//! None of them is an invocation yet: who gives one up is answered at once, and its callee has heard nothing. Those
//! of one registration are invoked in the order in which they came.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use vixen_core::id::{OwnerId, Position};

use super::super::limits::less;
use super::super::words::{CallNumber, Invoke, Part};

pub(super) type Key = (OwnerId, CallNumber);

/// One that waits.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) invoke: Invoke,
    /// What came after it.
    pub(super) rest: Vec<Part>,
    /// What both keep.
    pub(super) bytes: usize,
    came: u64,
    until: Instant,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    calls: BTreeMap<Key, Call>,
    /// In the order in which they came.
    by_registration: BTreeMap<(Position, u64), Key>,
    /// How many wait for each.
    of_registration: BTreeMap<Position, usize>,
    by_time: BTreeSet<(Instant, u64, Key)>,
    /// What those of each entry keep.
    bytes_of: BTreeMap<OwnerId, usize>,
    last: u64,
}

impl Waiting {
    pub(super) fn insert(&mut self, key: Key, invoke: Invoke, bytes: usize, until: Instant) {
        self.last += 1;
        let came = self.last;
        self.by_registration.insert((invoke.registration, came), key);
        *self.of_registration.entry(invoke.registration).or_default() += 1;
        self.by_time.insert((until, came, key));
        *self.bytes_of.entry(key.0).or_default() += bytes;
        self.calls.insert(key, Call { invoke, rest: Vec::new(), bytes, came, until });
    }

    pub(super) fn append(&mut self, key: Key, part: Part, bytes: usize) {
        if let Some(call) = self.calls.get_mut(&key) {
            call.rest.push(part);
            call.bytes += bytes;
            *self.bytes_of.entry(key.0).or_default() += bytes;
        }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Call> {
        let call = self.calls.remove(&key)?;
        let registration = call.invoke.registration;
        self.by_registration.remove(&(registration, call.came));
        if let Some(number) = self.of_registration.get_mut(&registration) {
            less(number, 1);
            if *number == 0 {
                self.of_registration.remove(&registration);
            }
        }
        self.by_time.remove(&(call.until, call.came, key));
        if let Some(bytes) = self.bytes_of.get_mut(&key.0) {
            less(bytes, call.bytes);
            if *bytes == 0 {
                self.bytes_of.remove(&key.0);
            }
        }
        Some(call)
    }

    /// The registrations that calls wait for, whose record is at or before this position.
    pub(super) fn registrations_up_to(&self, applied: Position) -> Vec<Position> {
        self.of_registration.range(..=applied).map(|(registration, _)| *registration).collect()
    }

    /// The call to this registration that came first.
    pub(super) fn first_of(&self, registration: Position) -> Option<Key> {
        let (_, key) =
            self.by_registration.range((registration, 0)..=(registration, u64::MAX)).next()?;
        Some(*key)
    }

    /// Whether its callee has joined up to there.
    pub(super) fn is_within(&self, key: Key, applied: Position) -> bool {
        self.calls.get(&key).is_some_and(|call| call.invoke.place <= applied)
    }

    /// Whether one waits for this registration.
    pub(super) fn is_for(&self, registration: Position) -> bool {
        self.of_registration.contains_key(&registration)
    }

    /// When the first has waited for too long.
    pub(super) fn until(&self) -> Option<Instant> {
        self.by_time.first().map(|(until, _, _)| *until)
    }

    /// One that has waited for too long.
    pub(super) fn overdue(&self, now: Instant) -> Option<Key> {
        let (until, _, key) = self.by_time.first()?;
        (*until <= now).then_some(*key)
    }

    /// One of all, the one first that came first.
    pub(super) fn first(&self) -> Option<Key> {
        self.by_time.first().map(|(_, _, key)| *key)
    }

    pub(super) fn bytes(&self, key: Key) -> usize {
        self.calls.get(&key).map_or(0, |call| call.bytes)
    }

    /// What those of an entry keep.
    pub(super) fn bytes_of(&self, from: OwnerId) -> usize {
        self.bytes_of.get(&from).copied().unwrap_or_default()
    }

    pub(super) fn has(&self, key: Key) -> bool {
        self.calls.contains_key(&key)
    }

    pub(super) fn len(&self) -> usize {
        assert_eq!(self.calls.len(), self.by_registration.len(), "each waits for one record");
        assert_eq!(self.calls.len(), self.by_time.len(), "each waits up to one moment");
        self.calls.len()
    }

    pub(super) fn all_bytes(&self) -> usize {
        let all = self.calls.values().map(|call| call.bytes).sum();
        assert_eq!(self.bytes_of.values().sum::<usize>(), all, "J4: what those of each entry keep");
        all
    }
}
