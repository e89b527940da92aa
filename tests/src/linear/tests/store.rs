//! A store with clients, seeded, which is what it should be or has one of the faults that the checker is to find.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// What is wrong with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Nothing,
    /// Conditions are asked when a write comes, and not at its place.
    AtArrival,
    /// A will is applied twice, the second time whatever the key has by then.
    WillTwice,
    /// Writers are told place and outcome when their write comes; the order decides later.
    ToldBefore,
}

#[derive(Clone, Copy)]
struct Held {
    value: Value,
    position: u64,
    operation: usize,
}

#[derive(Default)]
struct Cell {
    held: Option<Held>,
    queue: Vec<usize>,
}

/// What the store has to do yet, in any order.
enum Task {
    Place(usize),
    /// Of what this operation has put into the key.
    Will {
        key: Key,
        operation: usize,
        is_second: bool,
    },
    /// The key is free for who waits.
    Win(Key),
}

/// The verdict of a write.
type Verdict = Result<(), (Key, Refusal)>;

/// Verdict and position, where they are made when a write comes.
type Early = Option<(Verdict, u64)>;

enum Answer {
    Found(Vec<(Key, Found)>),
    Write(Verdict, u64),
    Won(u64),
}

struct Client {
    session: usize,
    waits: Option<usize>,
}

/// See the module.
pub(super) struct Store {
    rng: StdRng,
    fault: Fault,
    /// How often clients die, and answers are lost: 1 is every tenth operation or so.
    mishaps: f64,
    keys: u32,
    now: u64,
    next_position: u64,
    next_value: u64,
    next_session: usize,
    cells: BTreeMap<Key, Cell>,
    clients: Vec<Client>,
    tasks: Vec<Task>,
    /// Operations with their sessions and what was decided at arrival.
    asked: Vec<(Operation, usize, Early)>,
    answers: BTreeMap<usize, Answer>,
    /// Sessions that are over.
    over: BTreeMap<usize, u64>,
}

impl Store {
    pub(super) fn new(seed: u64, fault: Fault, keys: u32, clients: usize) -> Self {
        let clients =
            (0..clients).map(|session| Client { session, waits: None }).collect::<Vec<_>>();
        Self {
            rng: StdRng::seed_from_u64(seed),
            fault,
            mishaps: 1.0,
            keys,
            now: 0,
            next_position: 1,
            next_value: 1,
            next_session: clients.len(),
            cells: (1..=keys).map(|key| (Key(key), Cell::default())).collect(),
            clients,
            tasks: Vec::new(),
            asked: Vec::new(),
            answers: BTreeMap::new(),
            over: BTreeMap::new(),
        }
    }

    pub(super) fn with_mishaps(self, mishaps: f64) -> Self {
        Self { mishaps, ..self }
    }

    /// The history of so many operations.
    pub(super) fn run(mut self, operations: usize) -> Vec<Operation> {
        while self.asked.len() < operations || !self.tasks.is_empty() {
            self.now += 1;
            let client = self.rng.random_range(0..self.clients.len());
            match self.rng.random_range(0..20) {
                0..6 if self.clients[client].waits.is_none() && self.asked.len() < operations => {
                    self.ask(client);
                }
                6..12 if !self.tasks.is_empty() => {
                    let task = self.tasks.swap_remove(self.rng.random_range(0..self.tasks.len()));
                    self.work(task);
                }
                12..18 => self.answer(client),
                18 if self.rng.random_bool(0.6 * self.mishaps) => self.die(client),
                19 => self.leave(client),
                _ => {}
            }
        }
        let is_told = |operation: &Operation| match operation {
            Operation::Read(read) => read.returned > 0,
            Operation::Write(_) | Operation::Lock(_) => true,
        };
        self.asked.into_iter().map(|(operation, ..)| operation).filter(is_told).collect()
    }

    fn key(&mut self) -> Key {
        Key(self.rng.random_range(1..=self.keys))
    }

    fn value(&mut self) -> Value {
        self.next_value += 1;
        Value(self.next_value)
    }

    fn ask(&mut self, client: usize) {
        let (called, key) = (self.now, self.key());
        let operation = match self.rng.random_range(0..20) {
            0..6 => Operation::Read(Read { called, returned: 0, found: vec![(key, None)] }),
            6 => {
                let found = (1..=self.keys).map(|key| (Key(key), None)).collect();
                Operation::Read(Read { called, returned: 0, found })
            }
            7..10 => {
                let (value, endings) = (self.value(), Vec::new());
                let outcome = LockOutcome::Unknown { leaves: None };
                Operation::Lock(Lock { called, key, value, endings, outcome })
            }
            _ => Operation::Write(self.write(called, key)),
        };
        let place = self.asked.len();
        let early = match (&operation, self.fault) {
            (Operation::Write(write), Fault::AtArrival | Fault::ToldBefore) => {
                let verdict = self.verdict(write);
                let position = self.take_positions(&operation);
                Some((verdict, position))
            }
            _ => None,
        };
        if let (Some((verdict, position)), Fault::ToldBefore) = (early, self.fault) {
            self.answers.insert(place, Answer::Write(verdict, position));
        }
        self.asked.push((operation, self.clients[client].session, early));
        self.clients[client].waits = Some(place);
        self.tasks.push(Task::Place(place));
    }

    fn write(&mut self, called: u64, key: Key) -> Write {
        let mut write = Write {
            called,
            conditions: Vec::new(),
            changes: Vec::new(),
            outcome: WriteOutcome::Unknown,
        };
        let mut keys = vec![key];
        if self.rng.random_bool(0.2) {
            let other = self.key();
            keys.extend((other != key).then_some(other));
        }
        for key in keys {
            let put = self.rng.random_bool(0.6).then(|| self.value());
            write.changes.push(Change { key, put, endings: Vec::new() });
        }
        for _ in 0..[0, 1, 1, 1, 2][self.rng.random_range(0..5)] {
            let of = if self.rng.random_bool(0.8) { key } else { self.key() };
            let condition = match (self.rng.random_range(0..5), self.cells[&of].held) {
                (0, Some(held)) => Condition::Is(held.value),
                (1..4, Some(held)) => Condition::At(held.position),
                (4, Some(_)) => Condition::Present,
                _ => Condition::Absent,
            };
            write.conditions.push((of, condition));
        }
        write
    }

    fn take_positions(&mut self, operation: &Operation) -> u64 {
        let first = self.next_position;
        self.next_position += match operation {
            Operation::Write(write) => write.changes.len() as u64,
            Operation::Lock(_) | Operation::Read(_) => 1,
        };
        first
    }

    fn verdict(&self, write: &Write) -> Verdict {
        for (key, condition) in &write.conditions {
            let cell = &self.cells[key];
            let holds = match (condition, cell.held) {
                (Condition::Absent, held) => held.is_none() && cell.queue.is_empty(),
                (Condition::Present, held) => held.is_some(),
                (Condition::At(position), held) => {
                    held.is_some_and(|held| held.position == *position)
                }
                (Condition::Is(value), held) => held.is_some_and(|held| held.value == *value),
            };
            if !holds {
                let found = match cell.held {
                    Some(held) => Refusal::Version(held.position),
                    None if *condition == Condition::Absent => Refusal::Reserved,
                    None => Refusal::Absent,
                };
                return Err((*key, found));
            }
        }
        Ok(())
    }

    fn work(&mut self, task: Task) {
        match task {
            Task::Place(place) => self.place(place),
            Task::Will { key, operation, is_second } => self.will(key, operation, is_second),
            Task::Win(key) => self.win(key),
        }
    }

    fn place(&mut self, place: usize) {
        let (operation, _session, early) = self.asked[place].clone();
        match &operation {
            Operation::Read(read) => {
                let found = |key: &Key| {
                    (*key, self.cells[key].held.map(|held| (held.value, held.position)))
                };
                let found = read.found.iter().map(|(key, _)| found(key)).collect();
                self.answers.insert(place, Answer::Found(found));
            }
            Operation::Write(write) => {
                let now = self.verdict(write);
                let (verdict, position) = match (early, self.fault) {
                    (Some(early), Fault::AtArrival) => (early.0, self.take_positions(&operation)),
                    (Some(early), _) => (now, early.1),
                    (None, _) => (now, self.take_positions(&operation)),
                };
                if self.fault != Fault::ToldBefore {
                    self.answers.insert(place, Answer::Write(verdict, position));
                }
                if verdict.is_ok() {
                    for (part, change) in write.changes.iter().enumerate() {
                        let position = position + part as u64;
                        self.set(change.key, change.put, (place, position));
                    }
                }
            }
            Operation::Lock(lock) => {
                let cell = self.cells.get_mut(&lock.key).expect("a key");
                if cell.held.is_none() && cell.queue.is_empty() {
                    self.hold(place);
                } else {
                    cell.queue.push(place);
                }
            }
        }
    }

    /// A lock gets its key.
    fn hold(&mut self, place: usize) {
        let operation = self.asked[place].0.clone();
        let Operation::Lock(lock) = &operation else { panic!("no lock") };
        let position = self.take_positions(&operation);
        self.set(lock.key, Some(lock.value), (place, position));
        self.answers.insert(place, Answer::Won(position));
    }

    fn set(&mut self, key: Key, put: Option<Value>, (operation, position): (usize, u64)) {
        self.keep(key, put, (operation, position));
        if put.is_some() && self.over.contains_key(&self.asked[operation].1) {
            self.will_is_due(key, operation);
        }
    }

    /// Two entries write it, as may be.
    fn will_is_due(&mut self, key: Key, operation: usize) {
        for is_second in [false, true] {
            self.tasks.push(Task::Will { key, operation, is_second });
        }
    }

    fn will(&mut self, key: Key, operation: usize, is_second: bool) {
        let Some(held) = self.cells[&key].held else { return };
        let is_blind = self.fault == Fault::WillTwice && is_second;
        if held.operation != operation && !is_blind {
            return;
        }
        let puts = self.asked[operation].0.puts();
        let of_key = puts.iter().find(|(part, ..)| match &self.asked[operation].0 {
            Operation::Write(write) => write.changes[*part].key == key,
            Operation::Lock(_) | Operation::Read(_) => true,
        });
        let Some(ending) = of_key.and_then(|(_, _, endings)| endings.first().copied()) else {
            return;
        };
        let is_its_will = ending.then == Some(held.value);
        if is_its_will && !is_blind {
            return;
        }
        let position = self.next_position;
        self.next_position += 1;
        // What it puts has no will.
        self.keep(key, ending.then, (operation, position));
    }

    fn keep(&mut self, key: Key, put: Option<Value>, (operation, position): (usize, u64)) {
        let cell = self.cells.get_mut(&key).expect("a key");
        cell.held = put.map(|value| Held { value, position, operation });
        if cell.held.is_none() && !cell.queue.is_empty() {
            self.tasks.push(Task::Win(key));
        }
    }

    fn win(&mut self, key: Key) {
        let over = &self.over;
        let asked = &self.asked;
        let cell = self.cells.get_mut(&key).expect("a key");
        if cell.held.is_some() {
            return;
        }
        let is_bound = |place: &&usize| !over.contains_key(&asked[**place].1);
        let first = cell.queue.iter().find(is_bound).copied();
        cell.queue.retain(|place| is_bound(&place) && Some(*place) != first);
        if let Some(first) = first {
            self.hold(first);
        }
    }

    fn answer(&mut self, client: usize) {
        let Some(place) = self.clients[client].waits else { return };
        let Some(answer) = self.answers.remove(&place) else { return };
        self.clients[client].waits = None;
        if self.rng.random_bool(0.08 * self.mishaps) {
            // It is lost.
            return;
        }
        let returned = self.now;
        match (&mut self.asked[place].0, answer) {
            (Operation::Read(read), Answer::Found(found)) => {
                (read.returned, read.found) = (returned, found);
            }
            (Operation::Write(write), Answer::Write(verdict, position)) => {
                write.outcome = match verdict {
                    Ok(()) => WriteOutcome::Accepted { returned, position },
                    Err((key, found)) => WriteOutcome::Refused { returned, key, found },
                };
            }
            (Operation::Lock(lock), Answer::Won(position)) => {
                lock.outcome = LockOutcome::Won { returned, position };
            }
            _ => panic!("another answer"),
        }
    }

    /// A client is gone, and another comes.
    fn die(&mut self, client: usize) {
        let session = self.clients[client].session;
        let then = self.rng.random_bool(0.3).then(|| self.value());
        self.clients[client] = Client { session: self.next_session, waits: None };
        self.next_session += 1;
        self.over.insert(session, self.now);
        let mut then = then;
        for (operation, of, _) in &mut self.asked {
            if *of != session {
                continue;
            }
            let ending = |then| Ending { from: self.now, then };
            match operation {
                Operation::Read(_) => {}
                Operation::Write(write) => {
                    for change in write.changes.iter_mut().filter(|change| change.put.is_some()) {
                        change.endings.push(ending(then.take()));
                    }
                }
                Operation::Lock(lock) => {
                    lock.endings.push(ending(then.take()));
                    if let LockOutcome::Unknown { leaves } = &mut lock.outcome {
                        *leaves = Some(self.now);
                    }
                }
            }
        }
        let asked = &self.asked;
        let held = self.cells.iter().filter_map(|(key, cell)| Some((*key, cell.held?)));
        let held = held.filter(|(_, held)| asked[held.operation].1 == session);
        for (key, held) in held.collect::<Vec<_>>() {
            self.will_is_due(key, held.operation);
        }
    }

    /// A client that waits for a lock does so no more.
    fn leave(&mut self, client: usize) {
        let Some(place) = self.clients[client].waits else { return };
        let Operation::Lock(lock) = &mut self.asked[place].0 else { return };
        if self.answers.contains_key(&place) {
            return;
        }
        lock.outcome = LockOutcome::Left { returned: self.now };
        let cell = self.cells.get_mut(&lock.key).expect("a key");
        cell.queue.retain(|waits| *waits != place);
        self.tasks.retain(|task| !matches!(task, Task::Place(placed) if *placed == place));
        self.clients[client].waits = None;
    }
}
