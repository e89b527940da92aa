//! Each thread's own view of the tables: what is looked up for every action of every state takes
//! no lock, and most of it one read.

use std::cell::RefCell;

use crate::table::{Facts, Number, Outcome};

/// What comes of a parcel at a node.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Nothing changes and nothing leaves.
    Nothing {
        /// And that is so for ever.
        is_inert: bool,
    },
    /// Something does.
    Change(Outcome),
}

/// Entries of a row: not looked up yet, the two kinds of nothing, or an outcome after these.
const UNKNOWN: u32 = 0;
const NOTHING: u32 = 1;
const INERT: u32 = 2;
const OUTCOMES: u32 = 3;

#[derive(Debug, Default)]
struct Cache {
    /// The tables it is of.
    tables: Option<u64>,
    /// By node, by parcel.
    rows: Vec<Vec<u32>>,
    outcomes: Vec<Outcome>,
    facts: Vec<Option<Facts>>,
    receivers: Vec<Option<usize>>,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

/// Runs `look` on the cache of these tables.
fn with<T>(tables: u64, look: impl FnOnce(&mut Cache) -> T) -> T {
    CACHE.with_borrow_mut(|cache| {
        if cache.tables != Some(tables) {
            *cache = Cache { tables: Some(tables), ..Cache::default() };
        }
        look(cache)
    })
}

/// The place at `at`, made if it is not there.
fn place<T: Clone + Default>(places: &mut Vec<T>, at: usize) -> &mut T {
    if places.len() <= at {
        places.resize((at + 1).next_power_of_two(), T::default());
    }
    &mut places[at]
}

/// The step, taken with `take` when this thread sees it for the first time.
pub(crate) fn step(
    tables: u64,
    node: Number,
    parcel: Number,
    take: impl FnOnce() -> Outcome,
) -> Step {
    let (at, to) = (node as usize, parcel as usize);
    let known = with(tables, |cache| {
        let entry = *place(place(&mut cache.rows, at), to);
        let number = entry.checked_sub(OUTCOMES).map(|number| number as usize);
        match (entry, number) {
            (UNKNOWN, _) => None,
            (_, Some(number)) => Some(Step::Change(cache.outcomes[number].clone())),
            _ => Some(Step::Nothing { is_inert: entry == INERT }),
        }
    });
    if let Some(step) = known {
        return step;
    }
    // Outside of the borrow: it looks up other things.
    let outcome = take();
    with(tables, |cache| {
        let (entry, step) = if outcome.is_inert {
            (INERT, Step::Nothing { is_inert: true })
        } else if outcome.changes_nothing {
            (NOTHING, Step::Nothing { is_inert: false })
        } else {
            cache.outcomes.push(outcome.clone());
            let number = u32::try_from(cache.outcomes.len() - 1).expect("fewer than 2^32");
            (OUTCOMES + number, Step::Change(outcome))
        };
        *place(place(&mut cache.rows, at), to) = entry;
        step
    })
}

pub(crate) fn facts(tables: u64, node: Number, read: impl FnOnce() -> Facts) -> Facts {
    with(tables, |cache| *place(&mut cache.facts, node as usize).get_or_insert_with(read))
}

pub(crate) fn receiver(tables: u64, parcel: Number, read: impl FnOnce() -> usize) -> usize {
    with(tables, |cache| *place(&mut cache.receivers, parcel as usize).get_or_insert_with(read))
}
