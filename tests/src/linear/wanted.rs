//! Wanted: which of the steps that nobody has told may matter now. All others can come later, or never, in any order
//! that there is, so they are not tried: without that, each write without an answer would double the states.
//!
//! Such a step matters now if
//! - something that has to come next cannot, and the step changes what that asks for; or something that it cannot
//!   come before asks for it in its turn;
//! - or what comes next changes what the step asks for or changes, so that it cannot come later, and the step changes
//!   something else as well: else nothing would be left of it.
//!
//! What is told of a value that certainly was put (L4) is wanted of nobody else: if the value is gone, the state is
//! a dead end.

use super::history::{
    Condition, Key, Lock, LockOutcome, Operation, Read, Refusal, Write, WriteOutcome,
};
use super::places::Origin;
use super::search::{Node, Search, What};

/// By places of keys, or of what may be.
pub(super) struct Wanted {
    /// A step that changes the value of such a key may matter.
    values: Vec<bool>,
    /// Of what comes next, and of writes that may matter, the keys that they change.
    changes: Vec<Vec<usize>>,
    maybe: Vec<bool>,
}

/// It cannot come, ever.
struct Never;

impl Wanted {
    /// In a state that is settled; `None` in a dead end.
    pub(super) fn of(search: &Search<'_>, node: &Node, reach: u64) -> Option<Self> {
        let keys = node.cells.len();
        let mut wanted = Self {
            values: vec![false; keys],
            changes: Vec::new(),
            maybe: vec![false; search.maybe.len()],
        };
        for place in search.open(node, reach) {
            if let What::Operation(operation) = search.must[place].what {
                wanted.by_told(search, node, operation).ok()?;
            }
        }
        if let Some(place) = search.made.get(node.made) {
            wanted.by_next(search, node, search.must[*place].what).ok()?;
        }
        while wanted.more(search, node, reach) {}
        Some(wanted)
    }

    /// Whether a step that does nothing but change the value of this key may matter.
    pub(super) fn values(&self, index: usize) -> bool {
        self.values[index]
    }

    /// Whether a step that changes who waits for this key may matter: that outlives its values.
    pub(super) fn waiters(&self, index: usize) -> bool {
        self.values[index] || self.is_changed(index)
    }

    /// What may matter of writes and locks without an answer that nobody has seen.
    pub(super) fn maybe(&self) -> impl Iterator<Item = usize> + '_ {
        self.maybe.iter().enumerate().filter(|(_, is_wanted)| **is_wanted).map(|(place, _)| place)
    }

    /// What has to be, changes nothing, and is not so now.
    fn by_told(&mut self, search: &Search<'_>, node: &Node, operation: usize) -> Result<(), Never> {
        match &search.history[operation] {
            Operation::Read(read) => self.by_read(search, node, read),
            Operation::Write(Write {
                outcome: WriteOutcome::Refused { key, found, .. }, ..
            }) => {
                let index = search.model.index(*key);
                self.values[index] |= match found {
                    Refusal::Absent => node.cells[index].held.is_some(),
                    Refusal::Reserved => true,
                    Refusal::Version(position) => !search.places.is_known(*position),
                };
                Ok(())
            }
            Operation::Lock(Lock { key, outcome: LockOutcome::Left { .. }, .. }) => {
                // It has to leave, if it waits.
                self.values[search.model.index(*key)] = true;
                Ok(())
            }
            // They have their turn.
            Operation::Write(_) | Operation::Lock(_) => Ok(()),
        }
    }

    fn by_read(&mut self, search: &Search<'_>, node: &Node, read: &Read) -> Result<(), Never> {
        let mut absent = Vec::new();
        for (key, found) in &read.found {
            let index = search.model.index(*key);
            let held = node.cells[index].held;
            match found {
                None if held.is_some() => absent.push(index),
                None => {}
                Some((value, _)) => {
                    let origin = search.places.origin_of(*value);
                    if held == origin {
                        continue;
                    }
                    // It is not there yet, and nothing but its own turn helps; or not any more.
                    let is_gone = origin.is_some_and(|origin| search.has_been(node, origin));
                    return if is_gone { Err(Never) } else { Ok(()) };
                }
            }
        }
        absent.into_iter().for_each(|index| self.values[index] = true);
        Ok(())
    }

    /// What is next of all that changes something and has a position.
    fn by_next(&mut self, search: &Search<'_>, node: &Node, next: What) -> Result<(), Never> {
        match next {
            What::Ending(by) => {
                let Some(key) = search.key_of(by) else { return Err(Never) };
                let (index, origin) = (search.model.index(key), Origin { ending: None, ..by });
                self.changes.push(vec![index]);
                if node.cells[index].held != Some(origin) {
                    if search.places.is_made(origin) {
                        return Err(Never);
                    }
                    self.values[index] = true;
                }
                Ok(())
            }
            What::Operation(operation) => match &search.history[operation] {
                Operation::Read(_) => Ok(()),
                Operation::Lock(lock) => {
                    let index = search.model.index(lock.key);
                    let cell = &node.cells[index];
                    self.changes.push(vec![index]);
                    let is_its_turn = cell.queue.first().is_none_or(|first| *first == operation);
                    self.values[index] |= cell.held.is_some() || !is_its_turn;
                    Ok(())
                }
                Operation::Write(write) => {
                    self.changes.push(search.changes_of(write));
                    write.conditions.iter().try_for_each(|(key, condition)| {
                        self.by_condition(search, node, (*key, *condition))
                    })
                }
            },
        }
    }

    fn by_condition(
        &mut self,
        search: &Search<'_>,
        node: &Node,
        (key, condition): (Key, Condition),
    ) -> Result<(), Never> {
        let index = search.model.index(key);
        if search.model.holds(&node.cells[index], condition) {
            return Ok(());
        }
        let is_hopeless = match condition {
            Condition::Absent | Condition::Present => false,
            // All that is before has been, or comes to nothing.
            Condition::At(position) => search.places.is_known(position),
            Condition::Is(value) => {
                search.places.origin_of(value).is_none_or(|origin| search.places.is_made(origin))
            }
        };
        self.values[index] = true;
        if is_hopeless { Err(Never) } else { Ok(()) }
    }

    /// What is wanted by what is wanted; whether there was more.
    fn more(&mut self, search: &Search<'_>, node: &Node, reach: u64) -> bool {
        let mut is_more = false;
        for (place, operation) in search.maybe.iter().copied().enumerate() {
            let said = &search.history[operation];
            if self.maybe[place] || node.maybe[place] || said.called() > reach {
                continue;
            }
            let index = |key: &Key| search.model.index(*key);
            match said {
                Operation::Read(_) => {}
                Operation::Lock(lock) => {
                    let index = index(&lock.key);
                    let waits = node.cells[index].queue.contains(&operation);
                    let is_wanted = self.values[index] || waits && self.is_changed(index);
                    self.maybe[place] = is_wanted;
                    is_more |= is_wanted;
                }
                Operation::Write(write) => {
                    let changes = search.changes_of(write);
                    let asked = write.conditions.iter().map(|(key, _)| index(key));
                    let asked = asked.collect::<Vec<_>>();
                    let is_wanted = changes.iter().any(|index| self.values[*index])
                        || self.cannot_be_late(&asked, &changes);
                    if is_wanted {
                        asked.into_iter().for_each(|index| self.values[index] = true);
                        self.changes.push(changes);
                        self.maybe[place] = true;
                        is_more = true;
                    }
                }
            }
        }
        is_more
    }

    /// Whether something that comes next, or may, changes what a write asks for or changes, and does not undo
    /// all of it.
    fn cannot_be_late(&self, asked: &[usize], changes: &[usize]) -> bool {
        let meets = |index: &usize| asked.contains(index) || changes.contains(index);
        let undoes = |by: &[usize]| changes.iter().all(|index| by.contains(index));
        let by_writes = self.changes.iter().any(|by| by.iter().any(meets) && !undoes(by));
        // Of one key: endings, wins.
        let wanted = self.values.iter().enumerate().filter(|(_, is_wanted)| **is_wanted);
        by_writes || wanted.map(|(index, _)| index).any(|index| meets(&index) && !undoes(&[index]))
    }

    fn is_changed(&self, index: usize) -> bool {
        self.changes.iter().any(|changes| changes.contains(&index))
    }
}
