//! Waiting: calls that came before the view knew of their registration, or of their callee's place in it.
//!
//! None of them is an invocation yet: who gives one up is answered at once, and its callee has heard nothing. Those
//! of one callee are invoked in the order in which they came; of a registration that others serve as well, these go on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use vixen_core::id::{OwnerId, Position};

use super::super::limits::less;
use super::super::words::{CallNumber, Invoke, Part};
use crate::api::SessionId;

pub(super) type Key = (OwnerId, CallNumber);

/// A registration, and who of those that serve it.
pub(super) type Served = (Position, SessionId);

/// One that waits.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) invoke: Invoke,
    /// What came after it.
    pub(super) rest: Vec<Part>,
    /// What both keep.
    pub(super) bytes: usize,
    pub(super) came: u64,
    until: Instant,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    calls: BTreeMap<Key, Call>,
    /// In the order in which they came.
    by_callee: BTreeMap<(Served, u64), Key>,
    /// How many wait for each.
    of_callee: BTreeMap<Served, usize>,
    by_time: BTreeSet<(Instant, u64, Key)>,
    /// What those of each entry keep.
    bytes_of: BTreeMap<OwnerId, usize>,
    last: u64,
}

impl Waiting {
    pub(super) fn insert(&mut self, key: Key, invoke: Invoke, bytes: usize, until: Instant) {
        self.last += 1;
        let came = self.last;
        let served = (invoke.registration, invoke.session);
        self.by_callee.insert((served, came), key);
        *self.of_callee.entry(served).or_default() += 1;
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
        let served = (call.invoke.registration, call.invoke.session);
        self.by_callee.remove(&(served, call.came));
        if let Some(number) = self.of_callee.get_mut(&served) {
            less(number, 1);
            if *number == 0 {
                self.of_callee.remove(&served);
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

    /// Who is waited for, in registrations whose record is at or before this position.
    pub(super) fn callees_up_to(&self, applied: Position) -> Vec<Served> {
        let up_to = (applied, SessionId(u64::MAX));
        self.of_callee.range(..=up_to).map(|(served, _)| *served).collect()
    }

    /// The call to this callee that came first.
    pub(super) fn first_of(&self, served: Served) -> Option<Key> {
        let (_, key) = self.by_callee.range((served, 0)..=(served, u64::MAX)).next()?;
        Some(*key)
    }

    /// Where its callee has joined.
    pub(super) fn place_of(&self, key: Key) -> Option<Position> {
        self.calls.get(&key).map(|call| call.invoke.place)
    }

    /// Whether its callee has joined up to there.
    pub(super) fn is_within(&self, key: Key, applied: Position) -> bool {
        self.place_of(key).is_some_and(|place| place <= applied)
    }

    /// Whether one waits for this callee.
    pub(super) fn is_for(&self, served: Served) -> bool {
        self.of_callee.contains_key(&served)
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
        assert_eq!(self.calls.len(), self.by_callee.len(), "each waits for one callee");
        assert_eq!(self.calls.len(), self.by_time.len(), "each waits up to one moment");
        self.calls.len()
    }

    pub(super) fn all_bytes(&self) -> usize {
        let all = self.calls.values().map(|call| call.bytes).sum();
        assert_eq!(self.bytes_of.values().sum::<usize>(), all, "J4: what those of each entry keep");
        all
    }
}
