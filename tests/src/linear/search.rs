//! The search for an order (L1, L2): of all that may come next, what is known to be next is tried first, and no state
//! is looked at twice.
//!
//! ```text
//!   must    |###########|#  ##   #        |      base: all before are done; the earliest return of
//!                       ^base      ^reach        those not done is the reach: what is called later comes later
//!   made    @3 @7 @9 @12 ...                     changes whose position is known: one after the other
//!   maybe   ? ? ?                                writes and locks without an answer that nobody has seen
//! ```
//! What changes nothing is done as soon as it may: if it can be done now, any order that has it later can have it now.
//! Everything else is a choice, but for what nobody has told and [nothing wants](super::wanted).

use std::collections::{BTreeMap, HashSet};

use rustc_hash::FxBuildHasher;

use super::history::{Key, Lock, LockOutcome, Operation, Read, Refusal, Write, WriteOutcome};
use super::joined::Set;
use super::model::{Cell, Model};
use super::places::{Origin, Places, endings_of, key_of};
use super::violation::{Place, Violation};
use super::wanted::Wanted;

/// Has to be in the order.
pub(super) struct Must {
    pub(super) called: u64,
    returned: u64,
    pub(super) what: What,
}

#[derive(Clone, Copy)]
pub(super) enum What {
    /// Told to its client, or its value was seen.
    Operation(usize),
    /// What it puts was seen.
    Ending(Origin),
}

/// A state of the search, after [`Search::settle`] if it is looked at.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Node {
    /// All that must be are done below it.
    base: usize,
    /// Those that are done above, rising.
    done: Vec<usize>,
    /// Changes of known positions that are made.
    pub(super) made: usize,
    /// Which of those that may be are done, or have left.
    pub(super) maybe: Vec<bool>,
    pub(super) cells: Vec<Cell>,
}

pub(super) struct Search<'a> {
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
    reserved: Vec<Option<usize>>,
    /// The places of changes among `made`.
    turns: BTreeMap<Origin, usize>,
}

/// Finds an order of a set, with positions as they are known; the number of states it took.
pub(super) fn order_of(
    history: &[Operation],
    places: &Places,
    set: &Set,
    states_max: usize,
) -> Result<usize, Violation> {
    Search::new(history, places, set).run(set, states_max)
}

impl<'a> Search<'a> {
    fn new(history: &'a [Operation], places: &'a Places, set: &Set) -> Self {
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
        Self { history, places, model, must, made, maybe, reserved, turns }
    }

    fn run(&self, set: &Set, states_max: usize) -> Result<usize, Violation> {
        let mut seen: HashSet<Node, FxBuildHasher> = HashSet::default();
        let mut nodes = vec![Node {
            base: 0,
            done: Vec::new(),
            made: 0,
            maybe: vec![false; self.maybe.len()],
            cells: vec![Cell::default(); set.keys.len()],
        }];
        let mut furthest: Option<Node> = None;
        while let Some(mut node) = nodes.pop() {
            let reach = self.settle(&mut node);
            if node.base == self.must.len() {
                return Ok(seen.len() + 1);
            }
            if !seen.insert(node.clone()) {
                continue;
            }
            if furthest.as_ref().is_none_or(|furthest| furthest.placed() < node.placed()) {
                furthest = Some(node.clone());
            }
            if seen.len() >= states_max {
                let (placed, operations) =
                    (furthest.map_or(0, |node| node.placed()), self.must.len());
                return Err(Violation::NotJudged { states: seen.len(), placed, operations });
            }
            self.follow(&node, reach, &mut nodes);
        }
        Err(self.no_order(furthest))
    }

    fn no_order(&self, furthest: Option<Node>) -> Violation {
        let operations = self.must.len();
        let Some(mut node) = furthest else {
            let (state, next) = (String::new(), Vec::new());
            return Violation::NoOrder { placed: 0, operations, state, next };
        };
        let reach = self.settle(&mut node);
        let place = |must: usize| match self.must[must].what {
            What::Operation(operation) | What::Ending(Origin { operation, .. }) => {
                Place::of(self.history, operation)
            }
        };
        Violation::NoOrder {
            placed: node.placed(),
            operations,
            state: self.model.said(&node.cells),
            next: self.open(&node, reach).map(place).collect(),
        }
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

    /// Of which key a value is.
    pub(super) fn key_of(&self, origin: Origin) -> Option<Key> {
        key_of(self.history, origin)
    }

    /// Of which keys a write makes something else.
    pub(super) fn changes_of(&self, write: &Write) -> Vec<usize> {
        write.changes.iter().map(|change| self.model.index(change.key)).collect()
    }

    /// Whether a value that certainly was put has been put.
    pub(super) fn has_been(&self, node: &Node, origin: Origin) -> bool {
        let by = if origin.ending.is_some() { origin } else { Origin { part: 0, ..origin } };
        self.turns.get(&by).is_some_and(|turn| *turn < node.made)
    }

    /// Does all that changes nothing and may be done; how far times reach then.
    fn settle(&self, node: &mut Node) -> u64 {
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
            Operation::Read(read) => self.reads(node, read),
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

    fn reads(&self, node: &Node, read: &Read) -> bool {
        self.model.finds(&node.cells, read)
    }

    /// All states that may follow, the likeliest last.
    fn follow(&self, node: &Node, reach: u64, nodes: &mut Vec<Node>) {
        let Some(wanted) = Wanted::of(self, node, reach) else { return };
        self.try_maybe(node, &wanted, nodes);
        self.try_queues(node, (reach, &wanted), nodes);
        self.try_endings(node, (reach, &wanted), nodes);
        self.try_made(node, reach, nodes);
    }

    /// The next change whose position is known.
    fn try_made(&self, node: &Node, reach: u64, nodes: &mut Vec<Node>) {
        let Some(place) = self.made.get(node.made).copied() else { return };
        let must = &self.must[place];
        let mut next = node.clone();
        let is_made = must.called <= reach
            && match must.what {
                What::Operation(operation) => self.change(&mut next.cells, operation),
                What::Ending(by) => self.end(&mut next.cells, by),
            };
        if is_made {
            next.made += 1;
            next.finish(place, self.must.len());
            nodes.push(next);
        }
    }

    /// Makes what an operation asks for, if it can be made.
    fn change(&self, cells: &mut [Cell], operation: usize) -> bool {
        match &self.history[operation] {
            Operation::Read(_) => false,
            Operation::Write(write) => self.model.write(cells, operation, write),
            Operation::Lock(lock) => self.model.win(cells, operation, lock.key),
        }
    }

    fn end(&self, cells: &mut [Cell], by: Origin) -> bool {
        let Some(key) = key_of(self.history, by) else { return false };
        self.model.end(&mut cells[self.model.index(key)], by)
    }

    /// What nobody has told, and may be.
    fn try_maybe(&self, node: &Node, wanted: &Wanted, nodes: &mut Vec<Node>) {
        for place in wanted.maybe() {
            let mut cells = node.cells.clone();
            if self.change(&mut cells, self.maybe[place]) && cells != node.cells {
                let mut next = Node { cells, ..node.clone() };
                next.maybe[place] = true;
                nodes.push(next);
            }
        }
    }

    /// Values that go by themselves, unseen.
    fn try_endings(&self, node: &Node, (reach, wanted): (u64, &Wanted), nodes: &mut Vec<Node>) {
        for (index, cell) in node.cells.iter().enumerate() {
            let Some(held) = cell.held.filter(|_| wanted.values(index)) else { continue };
            for (number, ending) in endings_of(self.history, held).iter().enumerate() {
                let by = Origin { ending: Some(number), ..held };
                if ending.from > reach || self.turns.contains_key(&by) {
                    continue;
                }
                let mut next = node.clone();
                if self.model.end(&mut next.cells[index], by) {
                    nodes.push(next);
                }
            }
        }
    }

    /// Locks begin to wait, or leave.
    fn try_queues(&self, node: &Node, (reach, wanted): (u64, &Wanted), nodes: &mut Vec<Node>) {
        for place in self.open(node, reach).collect::<Vec<_>>() {
            let What::Operation(operation) = self.must[place].what else { continue };
            let Operation::Lock(lock) = &self.history[operation] else { continue };
            let index = self.model.index(lock.key);
            let waits = node.cells[index].queue.contains(&operation);
            if !waits && wanted.waiters(index) {
                self.try_wait(node, operation, lock, nodes);
            }
            let leaves = matches!(lock.outcome, LockOutcome::Left { .. });
            // One that is not in the queue is done at the last moment: until then it may come.
            if leaves && (waits || self.must[place].returned == reach) {
                let mut next = node.clone();
                next.cells[index].queue.retain(|waits| *waits != operation);
                next.finish(place, self.must.len());
                nodes.push(next);
            }
        }
        for (place, operation) in self.maybe.iter().copied().enumerate() {
            let Operation::Lock(lock) = &self.history[operation] else { continue };
            let index = self.model.index(lock.key);
            if node.maybe[place] || lock.called > reach || !wanted.waiters(index) {
                continue;
            }
            if !node.cells[index].queue.contains(&operation) {
                self.try_wait(node, operation, lock, nodes);
            } else if let LockOutcome::Unknown { leaves: Some(leaves) } = lock.outcome
                && leaves <= reach
            {
                let mut next = node.clone();
                next.cells[index].queue.retain(|waits| *waits != operation);
                next.maybe[place] = true;
                nodes.push(next);
            }
        }
    }

    /// That a lock waits matters where others wait behind it, or somebody is told so.
    fn try_wait(&self, node: &Node, operation: usize, lock: &Lock, nodes: &mut Vec<Node>) {
        let index = self.model.index(lock.key);
        let cell = &node.cells[index];
        let is_free = cell.held.is_none() && cell.queue.is_empty();
        let is_told = self.reserved[index].is_some_and(|last| last >= node.base);
        // Who is known to win does so in the order of the queue.
        let turn = |operation| self.turns.get(&Origin { operation, part: 0, ending: None });
        let own = turn(operation);
        let is_behind = own.is_none()
            || cell.queue.iter().filter_map(|waits| turn(*waits)).all(|before| Some(before) < own);
        if !is_free && (is_told || !cell.queue.is_empty()) && is_behind {
            let mut next = node.clone();
            next.cells[index].queue.push(operation);
            nodes.push(next);
        }
    }
}

impl Node {
    fn is_done(&self, place: usize) -> bool {
        place < self.base || self.done.binary_search(&place).is_ok()
    }

    /// How many of those that must be are done.
    const fn placed(&self) -> usize {
        self.base + self.done.len()
    }

    /// Notes that it is done.
    fn finish(&mut self, place: usize, all: usize) {
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
