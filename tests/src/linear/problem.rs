//! The problem: what has to be in an order, what may be, and the states on the way.
//!
//! ```text
//!   must    |###########|#  ##   #        |      base: all before are done; the earliest return of
//!                       ^base      ^reach        those not done is the reach: what is called later comes later
//!   made    @3 @7 @9 @12 ...                     changes whose position is known: one after the other
//!   maybe   ? ? ?                                writes and locks without an answer that nobody has seen
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::history::{Condition, Ending, Key, Operation, Refusal, Value, Write, WriteOutcome};
use super::joined::Set;
use super::key_set::KeySet;
use super::model::{Cell, Model};
use super::places::{Origin, Places, endings_of, key_of, value_of};

/// Has to be in the order.
pub(super) struct Must {
    pub(super) called: u64,
    pub(super) returned: u64,
    pub(super) what: What,
}

#[derive(Clone, Copy)]
pub(super) enum What {
    /// Told to its client, or its value was seen.
    Operation(usize),
    /// What it puts was seen.
    Ending(Origin),
}

/// A state of the search, after [`Problem::settle`] if it is looked at.
#[derive(Clone)]
pub(super) struct Node {
    /// All that must be are done below it.
    pub(super) base: usize,
    /// Those that are done above, rising.
    done: Vec<usize>,
    /// Changes of known positions that are made.
    pub(super) made: usize,
    /// Which of those that may be are done, or have left.
    pub(super) maybe: Vec<bool>,
    pub(super) cells: Vec<Cell>,
    /// Steps that nobody has told.
    pub(super) untold: usize,
}

/// What makes states alike: all that comes of them, but for what is used up.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Alike {
    base: usize,
    done: Vec<usize>,
    made: usize,
    cells: Vec<(Option<Holds>, Vec<usize>)>,
}

/// What a key has, as far as it can matter.
#[derive(PartialEq, Eq, Hash)]
enum Holds {
    /// This value.
    Known(Origin),
    /// A value that nobody has read or asks for; from when on it may go.
    Some(u64),
}

/// See the module.
pub(super) struct Problem<'a> {
    pub(super) history: &'a [Operation],
    pub(super) places: &'a Places,
    pub(super) model: Model<'a>,
    /// By the times of their calls.
    pub(super) must: Vec<Must>,
    /// Of these, those that change something, by their positions.
    pub(super) made: Vec<usize>,
    /// By their places in the history.
    pub(super) maybe: Vec<usize>,
    /// Of each key, the last of those that must be which tells that somebody waits for it.
    pub(super) reserved: Vec<Option<usize>>,
    /// The places of changes among `made`.
    pub(super) turns: BTreeMap<Origin, usize>,
    /// Values that conditions ask for.
    asked: BTreeSet<Value>,
}

impl<'a> Problem<'a> {
    pub(super) fn new(history: &'a [Operation], places: &'a Places, set: &Set) -> Self {
        let model = Model::new(history, places, &set.keys);
        let (mut must, mut maybe) = (Vec::new(), Vec::new());
        let mut positions = Vec::new();
        for place in set.operations.iter().copied() {
            let (operation, part) =
                (&history[place], Origin { operation: place, part: 0, ending: None });
            let made = places.made(part);
            let returned = operation.returned().or(made.map(|made| made.returned));
            match returned {
                Some(returned) => {
                    let (called, what) = (operation.called(), What::Operation(place));
                    // Seen before its client heard of it.
                    let returned = made.map_or(returned, |made| made.returned.min(returned));
                    must.push((Must { called, returned, what }, made.map(|made| made.position)));
                }
                None => maybe.push(place),
            }
            for (part, _, endings) in operation.puts() {
                for ending in 0..endings.len() {
                    let by = Origin { operation: place, part, ending: Some(ending) };
                    let Some(made) = places.made(by) else { continue };
                    let (called, returned) = (made.called, made.returned);
                    let what = What::Ending(by);
                    must.push((Must { called, returned, what }, Some(made.position)));
                }
            }
        }
        must.sort_by_key(|(must, _)| must.called);
        let mut reserved = vec![None; set.keys.len()];
        for (place, (must, position)) in must.iter().enumerate() {
            positions.extend(position.map(|position| (position, place)));
            if let What::Operation(operation) = must.what
                && let Operation::Write(Write {
                    outcome: WriteOutcome::Refused { key, found: Refusal::Reserved, .. },
                    ..
                }) = &history[operation]
            {
                reserved[model.index(*key)] = Some(place);
            }
        }
        positions.sort_unstable();
        let made = positions.into_iter().map(|(_, place)| place).collect::<Vec<_>>();
        let must = must.into_iter().map(|(must, _)| must).collect::<Vec<_>>();
        let by = |place: &usize| match must[*place].what {
            What::Operation(operation) => Origin { operation, part: 0, ending: None },
            What::Ending(by) => by,
        };
        let turns = made.iter().enumerate().map(|(turn, place)| (by(place), turn)).collect();
        let conditions = set.operations.iter().flat_map(|place| match &history[*place] {
            Operation::Write(write) => &write.conditions[..],
            Operation::Read(_) | Operation::Lock(_) => &[],
        });
        let asked = conditions.filter_map(|(_, condition)| match condition {
            Condition::Is(value) => Some(*value),
            Condition::Absent | Condition::Present | Condition::At(_) => None,
        });
        let asked = asked.collect();
        Self { history, places, model, must, made, maybe, reserved, turns, asked }
    }

    /// Before anything is done.
    pub(super) fn begin(&self) -> Node {
        Node {
            base: 0,
            done: Vec::new(),
            made: 0,
            maybe: vec![false; self.maybe.len()],
            cells: vec![Cell::default(); self.keys()],
            untold: 0,
        }
    }

    /// What a state is like.
    pub(super) fn alike(&self, node: &Node, reach: u64) -> Alike {
        let cell =
            |cell: &Cell| (cell.held.map(|held| self.holds(held, reach)), cell.queue.clone());
        let (base, done, made) = (node.base, node.done.clone(), node.made);
        Alike { base, done, made, cells: node.cells.iter().map(cell).collect() }
    }

    fn holds(&self, held: Origin, reach: u64) -> Holds {
        let endings = endings_of(self.history, held);
        let is_plain = |ending: &Ending| ending.then.is_none();
        let value = value_of(self.history, held);
        let is_asked = value.is_none_or(|value| self.asked.contains(&value));
        if self.places.is_made(held) || is_asked || !endings.iter().all(is_plain) {
            return Holds::Known(held);
        }
        let from = endings.iter().map(|ending| ending.from).min().unwrap_or(u64::MAX);
        Holds::Some(if from <= reach { 0 } else { from })
    }

    /// Number of keys.
    pub(super) fn keys(&self) -> usize {
        self.reserved.len()
    }

    /// Whether all that must be is done.
    pub(super) fn is_over(&self, node: &Node) -> bool {
        node.base == self.must.len()
    }

    /// The earliest return of what must be and is not done: nothing that was called after it can be next.
    fn reach(&self, node: &Node) -> u64 {
        let mut reach = u64::MAX;
        for (place, must) in self.must.iter().enumerate().skip(node.base) {
            if must.called > reach {
                break;
            }
            if !node.is_done(place) {
                reach = reach.min(must.returned);
            }
        }
        reach
    }

    /// What must be, is not done, and may be next as far as times tell.
    pub(super) fn open<'s>(
        &'s self,
        node: &'s Node,
        reach: u64,
    ) -> impl Iterator<Item = usize> + 's {
        let window = self.must.iter().enumerate().skip(node.base);
        let window = window.take_while(move |(_, must)| must.called <= reach);
        window.map(|(place, _)| place).filter(|place| !node.is_done(*place))
    }

    /// Whether it matters who waits for a key: somebody does, or is yet to be told so.
    pub(super) fn may_wait(&self, node: &Node, index: usize) -> bool {
        let is_told = self.reserved[index].is_some_and(|last| last >= node.base);
        is_told || !node.cells[index].queue.is_empty()
    }

    /// Of which key a value is.
    pub(super) fn key_of(&self, origin: Origin) -> Option<Key> {
        key_of(self.history, origin)
    }

    /// Of which keys a write makes something else.
    pub(super) fn changes_of(&self, write: &Write) -> KeySet {
        self.key_set(write.changes.iter().map(|change| change.key))
    }

    /// Which keys have to be as a write wants them.
    pub(super) fn asked_of(&self, write: &Write) -> KeySet {
        self.key_set(write.conditions.iter().map(|(key, _)| *key))
    }

    fn key_set(&self, keys: impl Iterator<Item = Key>) -> KeySet {
        let mut set = KeySet::none(self.keys());
        keys.for_each(|key| set.insert(self.model.index(key)));
        set
    }

    /// Whether a value that certainly was put has been put.
    pub(super) fn has_been(&self, node: &Node, origin: Origin) -> bool {
        let by = if origin.ending.is_some() { origin } else { Origin { part: 0, ..origin } };
        self.turns.get(&by).is_some_and(|turn| *turn < node.made)
    }

    /// Does all that changes nothing and may be done; how far times reach then.
    pub(super) fn settle(&self, node: &mut Node) -> u64 {
        loop {
            let reach = self.reach(node);
            let idle = self.open(node, reach).filter(|place| self.is_true(node, *place));
            let idle = idle.collect::<Vec<_>>();
            if idle.is_empty() {
                return reach;
            }
            idle.into_iter().for_each(|place| node.finish(place, self.must.len()));
        }
    }

    /// Whether it changes nothing, and what its client was told is so now.
    fn is_true(&self, node: &Node, place: usize) -> bool {
        let What::Operation(operation) = self.must[place].what else { return false };
        match &self.history[operation] {
            Operation::Read(read) => self.model.finds(&node.cells, read),
            Operation::Write(write) => match write.outcome {
                WriteOutcome::Refused { key, found, .. } => {
                    self.model.refuses(&node.cells, write, (key, found))
                }
                WriteOutcome::Accepted { .. } | WriteOutcome::Unknown => false,
            },
            // It has to be out of the queue, and stays out: a choice.
            Operation::Lock(_) => false,
        }
    }
}

impl Node {
    pub(super) fn is_done(&self, place: usize) -> bool {
        place < self.base || self.done.binary_search(&place).is_ok()
    }

    /// How many of those that must be are done.
    pub(super) const fn placed(&self) -> usize {
        self.base + self.done.len()
    }

    /// Notes that it is done.
    pub(super) fn finish(&mut self, place: usize, all: usize) {
        if let Err(at) = self.done.binary_search(&place) {
            self.done.insert(at, place);
        }
        let begin = self.base;
        let row =
            self.done.iter().zip(begin..all).take_while(|(done, place)| **done == *place).count();
        self.done.drain(..row);
        self.base += row;
    }
}
