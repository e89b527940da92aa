//! Steps: the states that may follow one.

use super::history::{Lock, LockOutcome, Operation};
use super::model::Cell;
use super::places::{Origin, endings_of};
use super::problem::{Node, Problem, What};
use super::wanted::Wanted;

impl Problem<'_> {
    /// All that may follow a settled state, as far as it matters; what is told comes last.
    pub(super) fn steps(&self, node: &Node, reach: u64, wanted: &Wanted) -> Vec<Node> {
        let mut steps = Vec::new();
        self.try_maybe(node, wanted, &mut steps);
        self.try_queues(node, (reach, wanted), &mut steps);
        self.try_endings(node, (reach, wanted), &mut steps);
        self.try_made(node, reach, &mut steps);
        steps
    }

    /// The next change whose position is known.
    fn try_made(&self, node: &Node, reach: u64, steps: &mut Vec<Node>) {
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
            steps.push(next);
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
        let Some(key) = self.key_of(by) else { return false };
        self.model.end(&mut cells[self.model.index(key)], by)
    }

    /// What nobody has told, and may be.
    fn try_maybe(&self, node: &Node, wanted: &Wanted, steps: &mut Vec<Node>) {
        for place in wanted.maybe() {
            let mut cells = node.cells.clone();
            if self.change(&mut cells, self.maybe[place]) && cells != node.cells {
                let mut next = node.clone();
                next.cells = cells;
                next.maybe[place] = true;
                next.untold += 1;
                steps.push(next);
            }
        }
    }

    /// Values that go by themselves, unseen.
    fn try_endings(&self, node: &Node, (reach, wanted): (u64, &Wanted), steps: &mut Vec<Node>) {
        for (index, cell) in node.cells.iter().enumerate() {
            let Some(held) = cell.held.filter(|_| wanted.values(index)) else { continue };
            for (number, ending) in endings_of(self.history, held).iter().enumerate() {
                let by = Origin { ending: Some(number), ..held };
                if ending.from > reach || self.turns.contains_key(&by) {
                    continue;
                }
                let mut next = node.clone();
                if self.model.end(&mut next.cells[index], by) {
                    next.untold += 1;
                    steps.push(next);
                }
            }
        }
    }

    /// Locks begin to wait, or leave.
    fn try_queues(&self, node: &Node, (reach, wanted): (u64, &Wanted), steps: &mut Vec<Node>) {
        for place in self.open(node, reach).collect::<Vec<_>>() {
            let What::Operation(operation) = self.must[place].what else { continue };
            let Operation::Lock(lock) = &self.history[operation] else { continue };
            let index = self.model.index(lock.key);
            let waits = node.cells[index].queue.contains(&operation);
            if !waits && wanted.waiters(index) {
                self.try_wait(node, operation, lock, steps);
            }
            let leaves = matches!(lock.outcome, LockOutcome::Left { .. });
            // One that is not in the queue is done at the last moment: until then it may come.
            if leaves && (waits || self.must[place].returned == reach) {
                let mut next = node.clone();
                next.cells[index].queue.retain(|waits| *waits != operation);
                next.finish(place, self.must.len());
                steps.push(next);
            }
        }
        for (place, operation) in self.maybe.iter().copied().enumerate() {
            let Operation::Lock(lock) = &self.history[operation] else { continue };
            let index = self.model.index(lock.key);
            if node.maybe[place] || lock.called > reach || !wanted.waiters(index) {
                continue;
            }
            if !node.cells[index].queue.contains(&operation) {
                self.try_wait(node, operation, lock, steps);
            } else if let LockOutcome::Unknown { leaves: Some(leaves) } = lock.outcome
                && leaves <= reach
            {
                let mut next = node.clone();
                next.cells[index].queue.retain(|waits| *waits != operation);
                next.maybe[place] = true;
                next.untold += 1;
                steps.push(next);
            }
        }
    }

    /// That a lock waits matters where others wait behind it, or somebody is told so.
    fn try_wait(&self, node: &Node, operation: usize, lock: &Lock, steps: &mut Vec<Node>) {
        let index = self.model.index(lock.key);
        let cell = &node.cells[index];
        let is_free = cell.held.is_none() && cell.queue.is_empty();
        // Who is known to win does so in the order of the queue.
        let turn = |operation| self.turns.get(&Origin { operation, part: 0, ending: None });
        let own = turn(operation);
        let is_behind = own.is_none()
            || cell.queue.iter().filter_map(|waits| turn(*waits)).all(|before| Some(before) < own);
        if !is_free && self.may_wait(node, index) && is_behind {
            let mut next = node.clone();
            next.cells[index].queue.push(operation);
            next.untold += 1;
            steps.push(next);
        }
    }
}
