//! Rows whose keys are damaged on disk: they stand where no search finds them, and lead searches
//! for others astray.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt as _;

use super::*;

const SEGMENTS: u64 = 24;
const TOPICS: [&str; 2] = ["a", "b"];

struct Stored {
    bench: Bench,
    order: Order,
}

impl Stored {
    fn new(dir: &Path) -> Self {
        Self::with(dir, SEGMENTS)
    }

    fn with(dir: &Path, segments: u64) -> Self {
        let (mut bench, mut order) = (Bench::open(dir, at(0, 0)), Order::new());
        for n in 1..=segments {
            bench.put(&mut order, &segment_of(1, n, &TOPICS), stamp(0, n));
        }
        Self { bench, order }
    }

    fn findings(&self) -> Vec<Finding> {
        self.bench.store.scrub(Position::FIRST, None, u64::MAX).expect("reads").findings
    }

    /// What the node has done for what the scrub has found.
    fn mend(&mut self) {
        for finding in self.findings() {
            let job = match finding {
                Finding::Row { at } => Job::Repair { first: at, rows: self.order.elected_from(at) },
                other => panic!("{other:?}"),
            };
            self.bench.commit(&[job], at(0, 1_000));
        }
    }

    /// What the node has done for what readers come across who read from each row on.
    fn mend_for_readers(&mut self) {
        for (first, _) in self.order.rows.clone() {
            if let Err(StoreError::Order(at)) = self.bench.store.rows_from(first, 1) {
                let rows = self.order.elected_from(at);
                assert_ne!(rows, [], "a row begins at {at}");
                self.bench.commit(&[Job::Repair { first: at, rows }], self::at(0, 1_000));
            }
        }
    }
}

/// Changes one bit of a row's key wherever the row is in the file.
fn flip_key(env: &DayEnv, (key, value): &(Vec<u8>, Vec<u8>), bit: usize) {
    let path = env.dir.join("data.mdb");
    let row = [&key[..], &value[..]].concat();
    let bytes = std::fs::read(&path).expect("reads");
    let file = std::fs::File::options().write(true).open(&path).expect("opens");
    let found = bytes.windows(row.len()).enumerate().filter(|(_, bytes)| *bytes == row);
    let byte = key.len() - 1 - bit / 8;
    for (at, _) in found {
        file.write_all_at(&[key[byte] ^ (1 << (bit % 8))], (at + byte) as u64).expect("writes");
    }
}

#[test]
fn a_row_of_the_order_under_a_damaged_key_is_repaired_and_nothing_is_left_of_it() {
    let dir = tempfile::tempdir().expect("dir");
    let mut stored = Stored::new(dir.path());
    let env = stored.bench.env(0);
    let before = dump(&env, env.order);
    for row in &before {
        for bit in [0, 1, 3, 4, 6, 15, 63] {
            flip_key(&env, row, bit);
            stored.mend();
            assert_eq!(dump(&env, env.order), before, "bit {bit} of {row:?}");
            assert_eq!(stored.findings(), [], "bit {bit} of {row:?}");
            assert_eq!(stored.bench.rows(Position::FIRST), stored.order.rows);
        }
    }
}

/// The keys between the pages of a tree whose keys have eight bytes: where each stands in the file.
/// Pages that are not used any more are among them.
fn separators(file: &[u8]) -> Vec<usize> {
    const PAGE: usize = 4096;
    const HEADER: usize = 16;
    const BRANCH: u16 = 1;
    let number = |at: usize| u16::from_le_bytes([file[at], file[at + 1]]);
    let mut found = Vec::new();
    // Two pages of LMDB's own are first.
    for page in (2 * PAGE..file.len()).step_by(PAGE) {
        if number(page + 10) & BRANCH == 0 {
            continue;
        }
        let nodes = (usize::from(number(page + 12)).saturating_sub(HEADER)) / 2;
        // The first one of a page is never looked at.
        for node in 1..nodes {
            let at = page + usize::from(number(page + HEADER + 2 * node));
            if number(at + 6) == 8 {
                found.push(at + 8);
            }
        }
    }
    found
}

/// Changes one bit of a key between pages, in turn of each, has it mended, and asks for nothing less
/// than all of the order as it was.
fn damage_separators(mend: impl Fn(&mut Stored)) {
    let dir = tempfile::tempdir().expect("dir");
    let mut stored = Stored::with(dir.path(), 400);
    let env = stored.bench.env(0);
    let (file, all) = (env.dir.join("data.mdb"), dump(&env, env.order));
    let whole = std::fs::read(&file).expect("reads");
    let below = file.strip_prefix(dir.path()).expect("in the directory");
    let places = separators(&whole);
    let keys: BTreeSet<_> = places.iter().map(|at| whole[*at..at + 8].to_vec()).collect();
    assert!(keys.len() >= 4, "{keys:?}");
    let mut harmful = 0;
    for key in keys {
        for bit in [0, 1, 3, 4, 6, 7, 8, 9, 10, 11, 15, 31, 63] {
            let copy = tempfile::tempdir().expect("dir");
            let damaged = copy.path().join(below);
            std::fs::create_dir_all(damaged.parent().expect("a day")).expect("made");
            let mut bytes = whole.clone();
            for at in places.iter().filter(|at| whole[**at..**at + 8] == key) {
                bytes[at + 7 - bit / 8] ^= 1 << (bit % 8);
            }
            std::fs::write(&damaged, &bytes).expect("writes");
            stored.bench = Bench::open(copy.path(), at(0, 1_000));
            harmful += usize::from(!stored.findings().is_empty());
            mend(&mut stored);
            let env = stored.bench.env(0);
            let is_as_before = dump(&env, env.order) == all;
            assert!(is_as_before, "bit {bit} of {key:?}: the rows are not what they were");
            for (first, row) in &stored.order.rows {
                let found = stored.bench.store.rows_from(*first, 1);
                assert_eq!(found.expect("reads"), [(*first, *row)], "bit {bit} of {key:?}");
            }
        }
    }
    assert!(harmful > 20, "{harmful}");
}

#[test]
fn rows_hidden_by_a_damaged_key_between_pages_are_found_by_the_scrub() {
    damage_separators(|stored| {
        stored.mend();
        assert_eq!(stored.findings(), []);
    });
}

#[test]
fn rows_hidden_by_a_damaged_key_between_pages_are_found_by_their_readers() {
    damage_separators(|stored| {
        stored.mend_for_readers();
        stored.mend_for_readers();
    });
}
