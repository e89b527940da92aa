//! Bytes that change on disk while they are read: what was verified is what is handed over.
//!
//! LMDB hands out the file's own pages, and a page that has to be read from the disk again may come
//! back as another one between two looks at it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use vixen_core::segment::{Match, TopicPattern};
use vixen_core::wire::{HistoryPlace, HistoryQuery};

use super::*;

/// So that a look takes as long as several changes.
static PAYLOAD: [u8; 64 << 10] = [b'1'; 64 << 10];
const LOOKS: u32 = 4_000;

/// Where the bytes lie in the file of the day.
fn offset_of(env: &DayEnv, wanted: &[u8]) -> u64 {
    let file = std::fs::read(env.dir.join("data.mdb")).expect("reads");
    let found = file.windows(wanted.len()).position(|bytes| bytes == wanted);
    found.expect("it is there") as u64
}

/// Looks again and again while one byte of the file, at `offset`, is damaged and made whole in turns.
fn look_while_changing(env: &DayEnv, offset: u64, mut look: impl FnMut()) {
    let path = env.dir.join("data.mdb");
    let file = File::options().read(true).write(true).open(path).expect("opens");
    let mut whole = [0];
    file.read_exact_at(&mut whole, offset).expect("reads");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                file.write_all_at(&[whole[0] ^ 1], offset).expect("writes");
                file.write_all_at(&whole, offset).expect("writes");
            }
        });
        let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..LOOKS).for_each(|_look| look());
        }));
        is_over.store(true, Ordering::Relaxed);
        looked.expect("what is handed over is whole");
    });
}

fn stored(dir: &Path) -> (Bench, Order, (SegmentMeta, Blob)) {
    let (mut bench, mut order) = (Bench::open(dir, at(0, 0)), Order::new());
    let segment = segment_with(1, 1, &["a"], &PAYLOAD);
    bench.put(&mut order, &segment, stamp(0, 1));
    (bench, order, segment)
}

#[test]
fn a_blob_that_changes_while_it_is_read_is_handed_over_whole_or_not_at_all() {
    let dir = tempfile::tempdir().expect("dir");
    let (bench, order, (meta, blob)) = stored(dir.path());
    let env = bench.env(0);
    let last = offset_of(&env, blob.as_bytes()) + blob.as_bytes().len() as u64 - 1;
    let pattern = TopicPattern { realm: "r".into(), uri: "a".into(), matching: Match::Exact };
    let query = HistoryQuery {
        from: HistoryPlace::Position(Position::FIRST),
        until: None,
        is_backward: false,
        messages_max: 100,
        bytes_max: 1 << 20,
        topics: vec![pattern],
    };
    let (_topics, records) = blob.open().expect("whole");
    look_while_changing(&env, last, || {
        if let Ok(read) = bench.store.placed_blob(order.head().stamp, &meta) {
            assert!(read.as_ref() == Some(&blob), "a blob is handed over as it is not");
        }
        let batch = bench.store.history(&query, &[]).expect("the order is whole");
        for segment in batch.segments {
            assert!(segment.records == records, "history hands over records as they are not");
        }
    });
}

#[test]
fn a_row_that_changes_while_it_is_read_is_read_whole_or_not_at_all() {
    let dir = tempfile::tempdir().expect("dir");
    let (bench, order, _segment) = stored(dir.path());
    let env = bench.env(0);
    let (_key, value) = dump(&env, env.order).remove(0);
    let row = offset_of(&env, &value);
    // Its digest, its stamp, its count: wherever it changes.
    for byte in [2, value.len() as u64 / 2, value.len() as u64 - 12] {
        look_while_changing(&env, row + byte, || {
            let read = bench.store.rows_from(Position::FIRST, 1);
            assert!(read.is_err() || read.ok().as_ref() == Some(&order.rows), "a row as it is not");
        });
    }
    // And its key.
    look_while_changing(&env, row - 1, || {
        let read = bench.store.rows_from(Position::FIRST, 1);
        let is_right = |rows: &Vec<_>| *rows == order.rows || rows.is_empty();
        assert!(read.is_err() || read.ok().as_ref().is_some_and(is_right), "a row as it is not");
    });
}
