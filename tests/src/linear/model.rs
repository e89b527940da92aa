//! What keys have, and what operations make of them: as plain as can be, and of nothing that vixen is made of.

use std::collections::BTreeMap;

use super::history::{Condition, Key, Operation, Read, Refusal, Value, Write};
use super::places::{Origin, Places, ending_of, value_of};

/// What a key has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Cell {
    /// Who put its value.
    pub(super) held: Option<Origin>,
    /// Locks that wait, by their places in the history, the first one first.
    pub(super) queue: Vec<usize>,
}

/// The rules for some keys; their cells are in the order of the keys.
pub(super) struct Model<'a> {
    history: &'a [Operation],
    places: &'a Places,
    index: BTreeMap<Key, usize>,
}

impl<'a> Model<'a> {
    pub(super) fn new(history: &'a [Operation], places: &'a Places, keys: &[Key]) -> Self {
        let index = keys.iter().enumerate().map(|(place, key)| (*key, place)).collect();
        Self { history, places, index }
    }

    /// Where the cell of a key is.
    pub(super) fn index(&self, key: Key) -> usize {
        self.index[&key]
    }

    /// Whether a read of now finds what it found.
    pub(super) fn finds(&self, cells: &[Cell], read: &Read) -> bool {
        read.found.iter().all(|(key, found)| match (self.cell(cells, *key).held, *found) {
            (None, found) => found.is_none(),
            // What is read has a position that is known, since it is read.
            (Some(origin), Some((value, position))) => {
                self.value(origin) == Some(value)
                    && self.places.position_of(origin) == Some(position)
            }
            (Some(_), None) => false,
        })
    }

    /// Whether a write of now is refused with these words.
    pub(super) fn refuses(
        &self,
        cells: &[Cell],
        write: &Write,
        (key, found): (Key, Refusal),
    ) -> bool {
        let cell = self.cell(cells, key);
        let is_found = match (found, cell.held) {
            (Refusal::Absent, held) => held.is_none(),
            (Refusal::Version(position), Some(origin)) => self.is_at(origin, position),
            (Refusal::Version(_), None) | (Refusal::Reserved, Some(_)) => false,
            (Refusal::Reserved, None) => !cell.queue.is_empty(),
        };
        let fails = |condition: Condition| match (condition, found) {
            // Then that is its position.
            (Condition::At(position), Refusal::Version(found)) => position != found,
            // That somebody waits is told where it matters, and only there.
            (Condition::Absent, Refusal::Absent) => false,
            (Condition::Present | Condition::At(_) | Condition::Is(_), Refusal::Reserved) => false,
            _ => !self.holds(cell, condition),
        };
        let mut conditions = write.conditions.iter();
        is_found && conditions.any(|(of, condition)| *of == key && fails(*condition))
    }

    pub(super) fn holds(&self, cell: &Cell, condition: Condition) -> bool {
        match (condition, cell.held) {
            (Condition::Absent, held) => held.is_none() && cell.queue.is_empty(),
            (Condition::Present, held) => held.is_some(),
            (Condition::At(position), Some(origin)) => self.is_at(origin, position),
            (Condition::Is(value), Some(origin)) => self.value(origin) == Some(value),
            (Condition::At(_) | Condition::Is(_), None) => false,
        }
    }

    /// Whether a value may have this position: where nobody has told it, any that nothing else has.
    fn is_at(&self, origin: Origin, position: u64) -> bool {
        match self.places.position_of(origin) {
            Some(known) => known == position,
            None => !self.places.is_known(position),
        }
    }

    /// Makes a write; whether it is accepted.
    pub(super) fn write(&self, cells: &mut [Cell], operation: usize, write: &Write) -> bool {
        let holds =
            |(key, condition): &(Key, Condition)| self.holds(self.cell(cells, *key), *condition);
        if !write.conditions.iter().all(holds) {
            return false;
        }
        for (part, change) in write.changes.iter().enumerate() {
            let origin = Origin { operation, part, ending: None };
            cells[self.index(change.key)].held = change.put.map(|_| origin);
        }
        true
    }

    /// A lock gets its key; whether it is its turn.
    pub(super) fn win(&self, cells: &mut [Cell], operation: usize, key: Key) -> bool {
        let cell = &mut cells[self.index(key)];
        let is_its_turn = cell.queue.first().is_none_or(|first| *first == operation);
        if cell.held.is_some() || !is_its_turn {
            return false;
        }
        cell.queue.retain(|waits| *waits != operation);
        cell.held = Some(Origin { operation, part: 0, ending: None });
        true
    }

    /// A value goes by one of its endings; whether it was there.
    pub(super) fn end(&self, cell: &mut Cell, by: Origin) -> bool {
        let Some(ending) = by.ending else { return false };
        if cell.held != Some(Origin { ending: None, ..by }) {
            return false;
        }
        let then = ending_of(self.history, by, ending).and_then(|ending| ending.then);
        cell.held = then.map(|_| by);
        true
    }

    /// For people.
    pub(super) fn said(&self, cells: &[Cell]) -> String {
        let said = self.index.iter().map(|(key, index)| {
            let cell = &cells[*index];
            let held = match cell.held {
                Some(origin) => {
                    let value = self.value(origin).map_or(0, |value| value.0);
                    match self.places.position_of(origin) {
                        Some(position) => format!("v{value} @{position}"),
                        None => format!("v{value}"),
                    }
                }
                None => "absent".to_owned(),
            };
            match cell.queue.len() {
                0 => format!("k{} is {held}", key.0),
                waiting => format!("k{} is {held}, {waiting} wait", key.0),
            }
        });
        said.collect::<Vec<_>>().join(", ")
    }

    fn value(&self, origin: Origin) -> Option<Value> {
        value_of(self.history, origin)
    }

    fn cell<'c>(&self, cells: &'c [Cell], key: Key) -> &'c Cell {
        &cells[self.index(key)]
    }
}
