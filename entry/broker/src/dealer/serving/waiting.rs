//! Waiting: calls that came before the view knew of their registration.
//!
//! None of them is an invocation yet: who gives one up is answered at once, and its callee has heard nothing.

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::{OwnerId, Position};

use super::super::words::{CallNumber, Invoke, Part};

type Key = (OwnerId, CallNumber);

#[derive(Debug)]
struct Call {
    invoke: Invoke,
    rest: Vec<Part>,
    bytes: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    calls: BTreeMap<Key, Call>,
    /// In the order in which they may be invoked.
    by_registration: BTreeSet<(Position, Key)>,
}

impl Waiting {
    pub(super) fn insert(&mut self, key: Key, invoke: Invoke, bytes: usize) {
        self.by_registration.insert((invoke.registration, key));
        self.calls.insert(key, Call { invoke, rest: Vec::new(), bytes });
    }

    pub(super) fn append(&mut self, key: Key, part: Part, bytes: usize) {
        if let Some(call) = self.calls.get_mut(&key) {
            call.rest.push(part);
            call.bytes += bytes;
        }
    }

    /// Returns the bytes that it had.
    pub(super) fn remove(&mut self, key: Key) -> usize {
        let Some(call) = self.calls.remove(&key) else { return 0 };
        self.by_registration.remove(&(call.invoke.registration, key));
        call.bytes
    }

    /// Takes the calls to registrations whose record is at or before this position.
    pub(super) fn take_up_to(&mut self, applied: Position) -> Vec<(Key, Invoke, Vec<Part>, usize)> {
        let mut taken = Vec::new();
        while let Some(&(registration, key)) = self.by_registration.first() {
            if registration > applied {
                break;
            }
            self.by_registration.pop_first();
            let call = self.calls.remove(&key);
            taken.extend(call.map(|Call { invoke, rest, bytes }| (key, invoke, rest, bytes)));
        }
        taken
    }

    pub(super) fn bytes(&self, key: Key) -> usize {
        self.calls.get(&key).map_or(0, |call| call.bytes)
    }

    pub(super) fn has(&self, key: Key) -> bool {
        self.calls.contains_key(&key)
    }

    pub(super) fn len(&self) -> usize {
        assert_eq!(self.calls.len(), self.by_registration.len(), "each waits for one record");
        self.calls.len()
    }

    pub(super) fn all_bytes(&self) -> usize {
        self.calls.values().map(|call| call.bytes).sum()
    }
}
