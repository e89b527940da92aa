//! Wanted: which of the steps that nobody has told may matter now. All others can come later, or never, in any order
//! that there is, so they are not tried: without that, each write without an answer would double the states.
//!
//! Such a step matters now if
//! - something that has to come next cannot, and the step changes what that asks for; or something that it cannot
//!   come before asks for it in its turn;
//! - or what comes next changes what the step asks for or changes, so that it cannot come later, and the step changes
//!   something else as well: else nothing would be left of it. Who waits for a key is something else.
//!
//! What is told of a value that certainly was put (L4) is wanted of nobody else: if the value is gone, the state is
//! a dead end.

use super::history::{
    Condition, Key, Lock, LockOutcome, Operation, Read, Refusal, Write, WriteOutcome,
};
use super::key_set::KeySet;
use super::places::Origin;
use super::problem::{Node, Problem, What};

/// See the module.
pub(super) struct Wanted {
    /// A step that changes the value of such a key may matter.
    values: KeySet,
    /// Of what comes next, and of writes that may matter, the keys that they change.
    changes: Vec<KeySet>,
    /// Of those that may be, by their places.
    maybe: Vec<bool>,
}

/// It cannot come, ever.
struct Never;

impl Wanted {
    /// In a state that is settled; `None` in a dead end.
    pub(super) fn of(problem: &Problem<'_>, node: &Node, reach: u64) -> Option<Self> {
        let mut wanted = Self {
            values: KeySet::none(problem.keys()),
            changes: Vec::new(),
            maybe: vec![false; problem.maybe.len()],
        };
        for place in problem.open(node, reach) {
            let What::Operation(operation) = problem.must[place].what else { continue };
            wanted.values.add(&by_told(problem, node, operation).ok()?);
        }
        if let Some(place) = problem.made.get(node.made) {
            let next = problem.must[*place].what;
            wanted.by_next(problem, node, next).ok()?;
        }
        while wanted.more(problem, node, reach) {}
        Some(wanted)
    }

    /// Whether a step that does nothing but change the value of this key may matter.
    pub(super) fn values(&self, index: usize) -> bool {
        self.values.contains(index)
    }

    /// Whether a step that changes who waits for this key may matter: that outlives its values.
    pub(super) fn waiters(&self, index: usize) -> bool {
        self.values.contains(index) || self.is_changed(index)
    }

    /// What may matter of writes and locks without an answer that nobody has seen.
    pub(super) fn maybe(&self) -> impl Iterator<Item = usize> + '_ {
        self.maybe.iter().enumerate().filter(|(_, is_wanted)| **is_wanted).map(|(place, _)| place)
    }

    /// What is next of all that changes something and has a position.
    fn by_next(&mut self, problem: &Problem<'_>, node: &Node, next: What) -> Result<(), Never> {
        match next {
            What::Ending(by) => {
                let Some(key) = problem.key_of(by) else { return Ok(()) };
                let (index, origin) = (problem.model.index(key), Origin { ending: None, ..by });
                self.changes.push(KeySet::one(problem.keys(), index));
                if node.cells[index].held != Some(origin) {
                    if problem.places.is_made(origin) {
                        return Err(Never);
                    }
                    self.values.insert(index);
                }
            }
            What::Operation(operation) => match &problem.history[operation] {
                Operation::Read(_) => {}
                Operation::Lock(lock) => {
                    let index = problem.model.index(lock.key);
                    let cell = &node.cells[index];
                    self.changes.push(KeySet::one(problem.keys(), index));
                    if cell.held.is_some()
                        || cell.queue.first().is_some_and(|first| *first != operation)
                    {
                        self.values.insert(index);
                    }
                }
                Operation::Write(write) => {
                    self.changes.push(problem.changes_of(write));
                    for (key, condition) in &write.conditions {
                        self.by_condition(problem, node, (*key, *condition))?;
                    }
                }
            },
        }
        Ok(())
    }

    fn by_condition(
        &mut self,
        problem: &Problem<'_>,
        node: &Node,
        (key, condition): (Key, Condition),
    ) -> Result<(), Never> {
        let index = problem.model.index(key);
        if problem.model.holds(&node.cells[index], condition) {
            return Ok(());
        }
        let is_hopeless = match condition {
            Condition::Absent | Condition::Present => false,
            // All that is before has been, or comes to nothing.
            Condition::At(position) => problem.places.is_known(position),
            Condition::Is(value) => {
                problem.places.origin_of(value).is_none_or(|origin| problem.places.is_made(origin))
            }
        };
        if is_hopeless {
            return Err(Never);
        }
        self.values.insert(index);
        Ok(())
    }

    /// What is wanted by what is wanted; whether there was more.
    fn more(&mut self, problem: &Problem<'_>, node: &Node, reach: u64) -> bool {
        let mut is_more = false;
        for index in 0..problem.keys() {
            // Who waits outlives the value, and waits or wins by what that is.
            let is_wanted = self.is_changed(index) && problem.may_wait(node, index);
            if is_wanted && !self.values.contains(index) {
                self.values.insert(index);
                is_more = true;
            }
        }
        for (place, operation) in problem.maybe.iter().copied().enumerate() {
            let said = &problem.history[operation];
            if self.maybe[place] || node.maybe[place] || said.called() > reach {
                continue;
            }
            let is_wanted = match said {
                Operation::Read(_) => false,
                Operation::Lock(lock) => {
                    let index = problem.model.index(lock.key);
                    let waits = node.cells[index].queue.contains(&operation);
                    self.values(index) || waits && self.is_changed(index)
                }
                Operation::Write(write) => {
                    let (asked, changes) = (problem.asked_of(write), problem.changes_of(write));
                    let is_wanted =
                        changes.meets(&self.values) || self.cannot_be_late(&asked, &changes);
                    if is_wanted {
                        self.values.add(&asked);
                        self.changes.push(changes);
                    }
                    is_wanted
                }
            };
            self.maybe[place] = is_wanted;
            is_more |= is_wanted;
        }
        is_more
    }

    /// Whether something that comes next, or may, changes what a write asks for or changes, and does not undo
    /// all of it.
    fn cannot_be_late(&self, asked: &KeySet, changes: &KeySet) -> bool {
        let by = |by: &KeySet| (by.meets(asked) || by.meets(changes)) && !changes.is_in(by);
        // Of one key: endings, wins.
        self.changes.iter().any(by) || self.values.each().any(|one| by(&one))
    }

    fn is_changed(&self, index: usize) -> bool {
        self.changes.iter().any(|changes| changes.contains(index))
    }
}

/// Which keys have to be other than they are for what has to be and changes nothing, and is not so now, as far as
/// steps that nobody has told can help.
fn by_told(problem: &Problem<'_>, node: &Node, operation: usize) -> Result<KeySet, Never> {
    let none = || KeySet::none(problem.keys());
    let one = |key: &Key| KeySet::one(problem.keys(), problem.model.index(*key));
    match &problem.history[operation] {
        Operation::Read(read) => by_read(problem, node, read),
        Operation::Write(Write { outcome: WriteOutcome::Refused { key, found, .. }, .. }) => {
            let is_wanted = match found {
                Refusal::Absent => node.cells[problem.model.index(*key)].held.is_some(),
                Refusal::Reserved => true,
                Refusal::Version(position) => !problem.places.is_known(*position),
            };
            Ok(if is_wanted { one(key) } else { none() })
        }
        // It has to leave, if it waits.
        Operation::Lock(Lock { key, outcome: LockOutcome::Left { .. }, .. }) => Ok(one(key)),
        // They have their turn.
        Operation::Write(_) | Operation::Lock(_) => Ok(none()),
    }
}

fn by_read(problem: &Problem<'_>, node: &Node, read: &Read) -> Result<KeySet, Never> {
    let mut absent = KeySet::none(problem.keys());
    for (key, found) in &read.found {
        let index = problem.model.index(*key);
        let held = node.cells[index].held;
        match found {
            None if held.is_some() => absent.insert(index),
            None => {}
            Some((value, _)) => {
                let origin = problem.places.origin_of(*value);
                if held == origin {
                    continue;
                }
                if origin.is_some_and(|origin| problem.has_been(node, origin)) {
                    return Err(Never);
                }
                // It is not there yet, and nothing but its own turn helps.
                return Ok(KeySet::none(problem.keys()));
            }
        }
    }
    Ok(absent)
}
