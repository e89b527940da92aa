//! A search that tries everything: no memo, no set of keys, no position that is known before it is met.

use std::collections::BTreeMap;

use super::*;

#[derive(Clone, PartialEq, Eq)]
struct Held {
    value: Value,
    /// Which of the changes that were made.
    change: usize,
    part: u64,
    endings: Vec<Ending>,
}

#[derive(Clone, Default)]
struct Cell {
    held: Option<Held>,
    queue: Vec<usize>,
}

#[derive(Clone)]
struct Change {
    /// Its first position, once it is met.
    first: Option<u64>,
    parts: u64,
    /// Positions that the first is none of.
    not: Vec<u64>,
}

#[derive(Clone)]
struct Node {
    done: Vec<bool>,
    cells: BTreeMap<Key, Cell>,
    /// In the order in which they were made.
    changes: Vec<Change>,
}

/// Whether some order of all operations explains the history, with positions that rise.
pub(super) fn explains(history: &[Operation]) -> bool {
    let keys = history.iter().flat_map(|operation| operation.keys());
    let cells = keys.map(|key| (key, Cell::default())).collect();
    go(history, &Node { done: vec![false; history.len()], cells, changes: Vec::new() })
}

fn go(history: &[Operation], node: &Node) -> bool {
    if !do_positions_rise(&node.changes) {
        return false;
    }
    let open = history.iter().zip(&node.done).filter(|(_, done)| !**done);
    let Some(reach) = open.filter_map(|(operation, _)| operation.returned()).min() else {
        return true;
    };
    for (place, operation) in history.iter().enumerate() {
        if node.done[place] || operation.called() > reach {
            continue;
        }
        if node.steps(place, operation, reach).iter().any(|next| go(history, next)) {
            return true;
        }
    }
    node.endings(reach).iter().any(|next| go(history, next))
}

fn do_positions_rise(changes: &[Change]) -> bool {
    let mut free = 0;
    changes.iter().filter_map(|change| Some((change.first?, change.parts))).all(|(first, parts)| {
        let rises = first >= free;
        free = first + parts;
        rises
    })
}

impl Node {
    /// What may come of an operation now.
    fn steps(&self, place: usize, operation: &Operation, reach: u64) -> Vec<Self> {
        let mut next = self.clone();
        match operation {
            Operation::Read(read) => {
                let finds = read.found.iter().all(|(key, found)| next.finds(*key, *found));
                if finds { next.finished(place) } else { vec![] }
            }
            Operation::Write(write) => match write.outcome {
                WriteOutcome::Refused { key, found, .. } => {
                    let of_key = write.conditions.iter().filter(|(of, condition)| {
                        let is_of_waiters = match found {
                            Refusal::Absent => *condition != Condition::Absent,
                            Refusal::Reserved => *condition == Condition::Absent,
                            Refusal::Version(_) => true,
                        };
                        *of == key && is_of_waiters
                    });
                    let fails = of_key.map(|(_, condition)| next.fails(key, *condition));
                    let fails = fails.collect::<Vec<_>>().contains(&true);
                    if fails && next.is_found(key, found) { next.finished(place) } else { vec![] }
                }
                WriteOutcome::Accepted { .. } | WriteOutcome::Unknown => {
                    let conditions = write.conditions.iter();
                    if !conditions.fold(true, |all, (key, of)| next.holds(*key, *of) && all) {
                        return vec![];
                    }
                    let change = next.changes.len();
                    next.push(operation.position(), write.changes.len() as u64);
                    for (part, of) in (0..).zip(&write.changes) {
                        let endings = of.endings.clone();
                        let held = of.put.map(|value| Held { value, change, part, endings });
                        next.cell(of.key).held = held;
                    }
                    next.finished(place)
                }
            },
            Operation::Lock(lock) => self.lock_steps(place, lock, operation, reach),
        }
    }

    fn lock_steps(
        &self,
        place: usize,
        lock: &Lock,
        operation: &Operation,
        reach: u64,
    ) -> Vec<Self> {
        let cell = &self.cells[&lock.key];
        let (is_free, waits) = (cell.held.is_none(), cell.queue.contains(&place));
        let mut steps = Vec::new();
        let is_next = cell.queue.first().is_none_or(|first| *first == place);
        let wins = !matches!(lock.outcome, LockOutcome::Left { .. });
        if is_free && is_next && wins {
            let mut next = self.clone();
            let (value, change) = (lock.value, next.changes.len());
            next.push(operation.position(), 1);
            let held = Held { value, change, part: 0, endings: lock.endings.clone() };
            let cell = next.cell(lock.key);
            cell.held = Some(held);
            cell.queue.retain(|waits| *waits != place);
            steps.extend(next.finished(place));
        }
        let would_win = is_free && cell.queue.is_empty();
        if !(waits || would_win) {
            let mut next = self.clone();
            next.cell(lock.key).queue.push(place);
            steps.push(next);
        }
        let leaves = match lock.outcome {
            LockOutcome::Left { .. } => true,
            LockOutcome::Unknown { leaves } => {
                waits && leaves.is_some_and(|leaves| leaves <= reach)
            }
            LockOutcome::Won { .. } => false,
        };
        if leaves {
            let mut next = self.clone();
            next.cell(lock.key).queue.retain(|waits| *waits != place);
            steps.extend(next.finished(place));
        }
        steps
    }

    fn endings(&self, reach: u64) -> Vec<Self> {
        let mut steps = Vec::new();
        for (key, cell) in &self.cells {
            let Some(held) = &cell.held else { continue };
            for ending in held.endings.iter().filter(|ending| ending.from <= reach) {
                let mut next = self.clone();
                let change = next.changes.len();
                next.push(None, 1);
                let put = |value| Held { value, change, part: 0, endings: Vec::new() };
                next.cell(*key).held = ending.then.map(put);
                steps.push(next);
            }
        }
        steps
    }

    fn finished(mut self, place: usize) -> Vec<Self> {
        self.done[place] = true;
        vec![self]
    }

    fn cell(&mut self, key: Key) -> &mut Cell {
        self.cells.get_mut(&key).expect("of the history")
    }

    fn finds(&mut self, key: Key, found: Found) -> bool {
        match (self.cells[&key].held.clone(), found) {
            (None, None) => true,
            (Some(held), Some((value, position))) => {
                held.value == value && self.is_at(&held, position)
            }
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    fn is_found(&mut self, key: Key, found: Refusal) -> bool {
        let cell = self.cells[&key].clone();
        match (found, cell.held) {
            (Refusal::Absent, held) => held.is_none(),
            (Refusal::Version(position), Some(held)) => self.is_at(&held, position),
            (Refusal::Reserved, None) => !cell.queue.is_empty(),
            (Refusal::Version(_), None) | (Refusal::Reserved, Some(_)) => false,
        }
    }

    fn holds(&mut self, key: Key, condition: Condition) -> bool {
        let cell = self.cells[&key].clone();
        match (condition, cell.held) {
            (Condition::Absent, held) => held.is_none() && cell.queue.is_empty(),
            (Condition::Present, held) => held.is_some(),
            (Condition::At(position), Some(held)) => self.is_at(&held, position),
            (Condition::Is(value), Some(held)) => held.value == value,
            (Condition::At(_) | Condition::Is(_), None) => false,
        }
    }

    /// Whether a condition does not hold, as it is from here on.
    fn fails(&mut self, key: Key, condition: Condition) -> bool {
        match (condition, self.cells[&key].held.clone()) {
            (Condition::At(position), Some(held)) => {
                let change = &mut self.changes[held.change];
                let Some(other) = position.checked_sub(held.part) else { return true };
                match change.first {
                    Some(first) => first != other,
                    None => {
                        change.not.push(other);
                        true
                    }
                }
            }
            (Condition::Absent | Condition::Present | Condition::Is(_), _)
            | (Condition::At(_), None) => !self.holds(key, condition),
        }
    }

    fn push(&mut self, first: Option<u64>, parts: u64) {
        self.changes.push(Change { first, parts, not: Vec::new() });
    }

    /// Whether it has this position; from here on it has no other.
    fn is_at(&mut self, held: &Held, position: u64) -> bool {
        let change = &mut self.changes[held.change];
        let Some(wanted) = position.checked_sub(held.part) else { return false };
        !change.not.contains(&wanted) && *change.first.get_or_insert(wanted) == wanted
    }
}
