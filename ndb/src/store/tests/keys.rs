//! Rows whose keys are damaged on disk: they stand where no search finds them, and lead searches
//! for others astray.

use std::os::unix::fs::FileExt as _;

use crate::store::Finding;

use super::*;

const SEGMENTS: u64 = 24;
const TOPICS: [&str; 2] = ["a", "b"];

struct Stored {
    bench: Bench,
    order: Order,
}

impl Stored {
    fn new(dir: &Path) -> Self {
        let (mut bench, mut order) = (Bench::open(dir, at(0, 0)), Order::new());
        for n in 1..=SEGMENTS {
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
                Finding::NotIndexed { first, elected } => Job::Index { first, elected },
                other => panic!("{other:?}"),
            };
            self.bench.commit(&[job], at(0, 1_000));
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

#[test]
fn a_topic_of_a_segment_under_a_damaged_key_is_indexed_again_and_nothing_is_left_of_it() {
    let dir = tempfile::tempdir().expect("dir");
    let mut stored = Stored::new(dir.path());
    let env = stored.bench.env(0);
    let before = dump(&env, env.topic_rows);
    assert_eq!(before.len() as u64, SEGMENTS * TOPICS.len() as u64);
    for row in &before {
        for bit in [0, 1, 3, 4, 6, 15, 63, 64] {
            flip_key(&env, row, bit);
            stored.mend();
            assert_eq!(dump(&env, env.topic_rows), before, "bit {bit} of {row:?}");
            assert_eq!(stored.findings(), [], "bit {bit} of {row:?}");
        }
    }
}
