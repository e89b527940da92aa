//! Places: the positions that are known, told to writers or seen by readers (L3, L4).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::history::{Ending, Key, Operation, Value};
use super::violation::{Place, Violation};

/// Whose a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Origin {
    /// The operation, by its place in the history.
    pub(super) operation: usize,
    /// Which of its changes.
    pub(super) part: usize,
    /// Put by this ending of what that change has put; `None`: by the change itself.
    pub(super) ending: Option<usize>,
}

/// A change that has certainly been made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    /// An operation, by its part 0, or an ending.
    pub(super) by: Origin,
    pub(super) position: u64,
    /// Positions that it has.
    pub(super) parts: u64,
    /// Not after it was made possible.
    pub(super) called: u64,
    /// Somebody had been told of it by then.
    pub(super) returned: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Places {
    values: BTreeMap<Value, Origin>,
    made: BTreeMap<Origin, Made>,
    /// First position and number of positions of each.
    taken: BTreeMap<u64, u64>,
}

impl Places {
    /// Of all of a history.
    pub(super) fn of(history: &[Operation]) -> Result<Self, Vec<Violation>> {
        let mut places = Self::default();
        let mut violations = Vec::new();
        for (operation, said) in history.iter().enumerate() {
            places.note_values(operation, said, &mut violations);
            if let (Some(position), Some(returned)) = (said.position(), said.returned()) {
                let by = Origin { operation, part: 0, ending: None };
                let (parts, called) = (parts_of(said), said.called());
                places.made.insert(by, Made { by, position, parts, called, returned });
            }
        }
        for (place, operation) in history.iter().enumerate() {
            let Operation::Read(read) = operation else { continue };
            let seen = read.found.iter().filter_map(|(key, found)| Some((*key, (*found)?)));
            for (key, (value, position)) in seen {
                let seen = Seen { read: place, key, value, position, returned: read.returned };
                violations.extend(places.see(history, &seen).err());
            }
        }
        places.taken = places.made.values().map(|made| (made.position, made.parts)).collect();
        places.check_order(history, &mut violations);
        if violations.is_empty() { Ok(places) } else { Err(violations) }
    }

    fn note_values(&mut self, operation: usize, said: &Operation, violations: &mut Vec<Violation>) {
        for (part, value, endings) in said.puts() {
            let of_endings = endings.iter().enumerate();
            let of_endings = of_endings.filter_map(|(n, ending)| Some((ending.then?, Some(n))));
            for (value, ending) in [(value, None)].into_iter().chain(of_endings) {
                let origin = Origin { operation, part, ending };
                if self.values.insert(value, origin).is_some() {
                    violations.push(Violation::PutTwice { value });
                }
            }
        }
    }

    /// Somebody has read it: so it was made, and there.
    fn see(&mut self, history: &[Operation], seen: &Seen) -> Result<(), Violation> {
        let Seen { read, key, value, position, returned } = *seen;
        let read = || Place::of(history, read);
        let origin = self.values.get(&value).copied();
        let origin = origin.filter(|origin| key_of(history, *origin) == Some(key));
        let Some(origin) = origin else {
            return Err(Violation::NobodyPut { value, read: read() });
        };
        let writer = &history[origin.operation];
        if writer.changes_nothing() {
            let writer = Place::of(history, origin.operation);
            return Err(Violation::RefusedSeen { writer, read: read() });
        }
        let part = if origin.ending.is_some() { 0 } else { origin.part as u64 };
        let by = match origin.ending {
            Some(_) => origin,
            None => Origin { part: 0, ..origin },
        };
        let Some(first) = position.checked_sub(part) else {
            return Err(Violation::OtherPosition {
                value,
                known: part,
                seen: position,
                read: read(),
            });
        };
        let called = match origin.ending {
            Some(ending) => ending_of(history, origin, ending).map_or(0, |ending| ending.from),
            None => writer.called(),
        };
        let parts = if origin.ending.is_some() { 1 } else { parts_of(writer) };
        let made = Made { by, position: first, parts, called, returned };
        let made = self.made.entry(by).or_insert(made);
        made.returned = made.returned.min(returned);
        if made.position == first {
            Ok(())
        } else {
            let known = made.position + part;
            Err(Violation::OtherPosition { value, known, seen: position, read: read() })
        }
    }

    /// L3.
    fn check_order(&self, history: &[Operation], violations: &mut Vec<Violation>) {
        let mut made = self.made.values().collect::<Vec<_>>();
        made.sort_unstable_by_key(|made| made.position);
        let place = |made: &Made| Place::of(history, made.by.operation);
        for pair in made.windows(2) {
            if pair[1].position < pair[0].position + pair[0].parts {
                let (first, second) = (place(pair[0]), place(pair[1]));
                violations.push(Violation::PositionTwice { first, second });
            }
        }
        // From the last on: of those from here on, the one that somebody was told of first.
        let mut told = BTreeMap::<u64, &Made>::new();
        let mut earliest: Option<&Made> = None;
        for before in made.iter().rev() {
            if let Some(after) = earliest.filter(|after| after.returned < before.called) {
                let (first, second) = (place(after), place(before));
                violations.push(Violation::OutOfTime { first, second });
            }
            earliest = earliest.filter(|earliest| earliest.returned <= before.returned);
            told.insert(before.position, earliest.get_or_insert(before));
        }
        self.check_reads(history, &told, violations);
    }

    /// No read finds what was replaced at or below a position that somebody had been told before it was called.
    fn check_reads(
        &self,
        history: &[Operation],
        told: &BTreeMap<u64, &Made>,
        violations: &mut Vec<Violation>,
    ) {
        let mut changes = BTreeSet::new();
        for made in self.made.values() {
            let keys = match (made.by.ending, &history[made.by.operation]) {
                (None, Operation::Write(write)) => {
                    write.changes.iter().map(|change| change.key).collect()
                }
                _ => key_of(history, made.by).into_iter().collect::<Vec<_>>(),
            };
            changes.extend((made.position..).zip(keys).map(|(position, key)| (key, position)));
        }
        for (place, operation) in history.iter().enumerate() {
            let Operation::Read(read) = operation else { continue };
            for (key, found) in &read.found {
                let Some((value, position)) = *found else { continue };
                let after = (Bound::Excluded((*key, position)), Bound::Included((*key, u64::MAX)));
                let Some((_, replaced)) = changes.range(after).next() else { continue };
                // The change that this is a part of may begin before.
                let from = self.taken.range(..=replaced).next_back().map_or(0, |(first, _)| *first);
                let Some((_, made)) = told.range(from..).next() else { continue };
                if made.returned < read.called {
                    let (told, read) =
                        (Place::of(history, made.by.operation), Place::of(history, place));
                    violations.push(Violation::Stale { value, replaced: *replaced, told, read });
                }
            }
        }
    }

    /// Whose a value is.
    pub(super) fn origin_of(&self, value: Value) -> Option<Origin> {
        self.values.get(&value).copied()
    }

    /// Whether a value has certainly been put.
    pub(super) fn is_made(&self, origin: Origin) -> bool {
        self.position_of(origin).is_some()
    }

    /// What is known of a change.
    pub(super) fn made(&self, by: Origin) -> Option<&Made> {
        self.made.get(&by)
    }

    /// The position of a value, if it is known.
    pub(super) fn position_of(&self, origin: Origin) -> Option<u64> {
        if origin.ending.is_some() {
            return self.made.get(&origin).map(|made| made.position);
        }
        let made = self.made.get(&Origin { part: 0, ..origin })?;
        Some(made.position + origin.part as u64)
    }

    /// Whether a change is known to have this position.
    pub(super) fn is_known(&self, position: u64) -> bool {
        let before = self.taken.range(..=position).next_back();
        before.is_some_and(|(first, parts)| position - first < *parts)
    }

    /// Operations without an answer that have certainly taken place.
    pub(super) fn seen(&self, history: &[Operation]) -> usize {
        let is_unanswered =
            |by: &&Origin| by.ending.is_none() && history[by.operation].returned().is_none();
        self.made.keys().filter(is_unanswered).count()
    }
}

/// A value that somebody has read.
struct Seen {
    read: usize,
    key: Key,
    value: Value,
    position: u64,
    returned: u64,
}

fn parts_of(operation: &Operation) -> u64 {
    match operation {
        Operation::Write(write) => write.changes.len() as u64,
        Operation::Lock(_) | Operation::Read(_) => 1,
    }
}

/// Of which key a value is.
pub(super) fn key_of(history: &[Operation], origin: Origin) -> Option<Key> {
    match &history[origin.operation] {
        Operation::Read(_) => None,
        Operation::Write(write) => write.changes.get(origin.part).map(|change| change.key),
        Operation::Lock(lock) => Some(lock.key),
    }
}

pub(super) fn value_of(history: &[Operation], origin: Origin) -> Option<Value> {
    match (&history[origin.operation], origin.ending) {
        (_, Some(ending)) => ending_of(history, origin, ending)?.then,
        (Operation::Read(_), None) => None,
        (Operation::Write(write), None) => write.changes.get(origin.part)?.put,
        (Operation::Lock(lock), None) => Some(lock.value),
    }
}

/// What may become of what a change puts.
pub(super) fn endings_of(history: &[Operation], origin: Origin) -> &[Ending] {
    match (&history[origin.operation], origin.ending) {
        // What an ending puts stays.
        (_, Some(_)) | (Operation::Read(_), None) => &[],
        (Operation::Write(write), None) => {
            write.changes.get(origin.part).map_or(&[], |change| &change.endings)
        }
        (Operation::Lock(lock), None) => &lock.endings,
    }
}

pub(super) fn ending_of(history: &[Operation], origin: Origin, ending: usize) -> Option<&Ending> {
    endings_of(history, Origin { ending: None, ..origin }).get(ending)
}
