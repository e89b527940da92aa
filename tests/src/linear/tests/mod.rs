//! The checker is held to written histories, to made ones, and to a search that tries everything.

mod brute;
mod mutations;
mod random;
mod store;
mod table;

use std::ops::Range;

use super::*;

/// States that a search may take here.
const STATES: usize = 20_000;

const X: u32 = 1;
const Y: u32 = 2;
const Z: u32 = 3;

fn put(key: u32, value: u64) -> Write {
    change(key, Some(Value(value)))
}

fn delete(key: u32) -> Write {
    change(key, None)
}

fn change(key: u32, put: Option<Value>) -> Write {
    let changes = vec![Change { key: Key(key), put, endings: Vec::new() }];
    Write { called: 0, conditions: Vec::new(), changes, outcome: WriteOutcome::Unknown }
}

impl Write {
    fn when(mut self, key: u32, condition: Condition) -> Self {
        self.conditions.push((Key(key), condition));
        self
    }

    fn and(mut self, other: Self) -> Self {
        self.changes.extend(other.changes);
        self
    }

    /// Its last change may be undone from then on, or replaced.
    fn will(mut self, from: u64, then: Option<u64>) -> Self {
        let ending = Ending { from, then: then.map(Value) };
        self.changes.last_mut().expect("one").endings.push(ending);
        self
    }

    fn made(self, at: Range<u64>, position: u64) -> Operation {
        let outcome = WriteOutcome::Accepted { returned: at.end, position };
        Operation::Write(Self { called: at.start, outcome, ..self })
    }

    fn refused(self, at: Range<u64>, key: u32, found: Refusal) -> Operation {
        let outcome = WriteOutcome::Refused { returned: at.end, key: Key(key), found };
        Operation::Write(Self { called: at.start, outcome, ..self })
    }

    fn lost(self, called: u64) -> Operation {
        Operation::Write(Self { called, ..self })
    }
}

fn lock(key: u32, value: u64) -> Lock {
    let outcome = LockOutcome::Unknown { leaves: None };
    Lock { called: 0, key: Key(key), value: Value(value), endings: Vec::new(), outcome }
}

impl Lock {
    /// Its holder is gone from then on.
    fn dies(mut self, from: u64) -> Self {
        self.endings.push(Ending { from, then: None });
        self
    }

    fn won(self, at: Range<u64>, position: u64) -> Operation {
        let outcome = LockOutcome::Won { returned: at.end, position };
        Operation::Lock(Self { called: at.start, outcome, ..self })
    }

    fn left(self, at: Range<u64>) -> Operation {
        let outcome = LockOutcome::Left { returned: at.end };
        Operation::Lock(Self { called: at.start, outcome, ..self })
    }

    fn lost(self, called: u64, leaves: Option<u64>) -> Operation {
        Operation::Lock(Self { called, outcome: LockOutcome::Unknown { leaves }, ..self })
    }
}

/// Value and position.
type Seen = Option<(u64, u64)>;

fn get(key: u32, at: Range<u64>, found: Seen) -> Operation {
    get_all(at, &[(key, found)])
}

fn get_all(at: Range<u64>, found: &[(u32, Seen)]) -> Operation {
    let found = found
        .iter()
        .map(|(key, found)| (Key(*key), found.map(|(value, position)| (Value(value), position))));
    Operation::Read(Read { called: at.start, returned: at.end, found: found.collect() })
}

/// What is wrong with it, in words.
fn wrong(history: &[Operation]) -> Vec<String> {
    let said = |violations: Vec<Violation>| violations.iter().map(Violation::to_string).collect();
    check(history, STATES).map_or_else(said, |_| Vec::new())
}
