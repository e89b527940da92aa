use std::sync::atomic::{AtomicBool, Ordering};

use vixen_core::segment::TopicPattern;
use vixen_core::wire::{HistoryPlace, HistoryQuery};

use super::*;

#[test]
fn a_map_grows_while_readers_read() {
    const SEGMENTS: u64 = 48;
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    let payload = vec![b'x'; 256 << 10];
    bench.put(&mut order, &segment_with(1, 1, &["t"], &payload), stamp(0, 1));
    let map_at_first = bench.env(0).env.info().map_size;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..3 {
            let (store, done) = (Arc::clone(&bench.store), &done);
            scope.spawn(move || {
                let mut rounds = 0;
                while !done.load(Ordering::Relaxed) || rounds == 0 {
                    read_everything(&store, reader);
                    rounds += 1;
                }
            });
        }
        for seq in 2..=SEGMENTS {
            bench.put(&mut order, &segment_with(1, seq, &["t"], &payload), stamp(0, seq));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(bench.env(0).env.info().map_size > 8 * map_at_first);
    let bench = bench.reopen(dir.path(), at(0, 99));
    assert_eq!(bench.rows(Position(1)), order.rows);
    let scrubbed = bench.store.scrub(Position(1), None, u64::MAX).expect("reads");
    assert_eq!((scrubbed.messages, scrubbed.findings), (SEGMENTS, vec![]));
}

fn read_everything(store: &Store, reader: u32) {
    let head = store.head().next;
    let rows = store.rows_from(Position(1), usize::MAX).expect("reads");
    assert!(rows.len() as u64 + 1 >= head.0);
    for (_, row) in &rows {
        let blob = store.placed_blob(row.elected.stamp(), &row.elected.meta).expect("reads");
        assert!(blob.is_some());
    }
    let query = HistoryQuery {
        from: HistoryPlace::End,
        is_backward: true,
        until: None,
        topics: vec![TopicPattern::all("r")],
        messages_max: 4 + reader,
        bytes_max: 1 << 30,
    };
    let batch = store.history(&query, &[]).expect("reads");
    assert!(!batch.segments.is_empty());
}

#[test]
fn beyond_its_bound_a_map_does_not_grow_and_what_was_committed_stays() {
    let dir = tempfile::tempdir().expect("dir");
    let small = StoreOptions { bytes_max: 2 << 20, ..options() };
    let store = Store::open(dir.path(), small, at(0, 0)).expect("opens");
    let mut memory = Memory::recover(&store).expect("reads");
    let payload = vec![b'x'; 256 << 10];
    let mut stored = Vec::new();
    for seq in 1.. {
        let (meta, blob) = segment_with(1, seq, &["t"], &payload);
        match store.commit(&mut memory, &[temporary(meta, &blob)], at(0, 1)) {
            Ok(_committed) => stored.push(meta),
            Err(StoreError::Lmdb(heed::Error::Mdb(heed::MdbError::MapFull))) => break,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(stored.len() >= 4, "the map grew to its bound: {}", stored.len());
    assert_eq!(store.recover().expect("reads").temporary, stored);
}
