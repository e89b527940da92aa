//! Transactions that find no room: what they remembered is forgotten with them.

use std::io::{Error as IoError, ErrorKind};

use vixen_core::segment::{Match, TopicPattern};
use vixen_core::wire::{HistoryEnd, HistoryPlace, HistoryQuery};
use vixen_runtime::lmdb::OpenError;

use super::*;

/// Positions of all messages of a topic, read by the index.
fn read_topic(store: &Store, uri: &str) -> Vec<u64> {
    let query = HistoryQuery {
        from: HistoryPlace::Position(store.base().next),
        is_backward: false,
        until: None,
        topics: vec![TopicPattern::new("r", uri, Match::Exact)],
        messages_max: 99,
        bytes_max: 1 << 20,
    };
    let batch = store.history(&query, &[]).expect("reads");
    assert!(matches!(batch.end, HistoryEnd::Next { is_end: true, .. }), "{:?}", batch.end);
    batch.segments.iter().map(|segment| segment.first.0).collect()
}

/// A store of 2 MiB, and a segment that does not fit into it.
fn small(dir: &Path) -> (Bench, Job) {
    let options = StoreOptions { bytes_max: 2 << 20, ..options() };
    let store = Arc::new(Store::open(dir, options, at(0, 0)).expect("opens"));
    let memory = Memory::recover(&store).expect("reads");
    let (meta, blob) = segment_with(9, 1, &["t"], &vec![b'x'; 3 << 20]);
    (Bench { store, memory }, temporary(meta, &blob))
}

fn is_full(outcome: &Result<Committed, StoreError>) -> bool {
    let Err(StoreError::Lmdb(heed::Error::Mdb(heed::MdbError::MapFull))) = outcome else {
        return false;
    };
    true
}

#[test]
fn topics_that_were_new_when_a_transaction_had_no_room_are_named_by_its_repetition() {
    let dir = tempfile::tempdir().expect("dir");
    let (mut bench, too_large) = small(dir.path());
    let mut order = Order::new();
    let (meta, blob) = segment_of(1, 1, &["new"]);
    let stored = || temporary(meta, &blob);
    let place = order.place(meta, stamp(0, 1), Body::Stored);
    // In the transaction the topic gets its number; then there is no room for the rest of it.
    let jobs = [stored(), place, too_large];
    assert!(is_full(&bench.store.commit(&mut bench.memory, &jobs, at(0, 1))));
    bench.memory = Memory::recover(&bench.store).expect("reads");
    let [stored, place, _] = jobs;
    bench.commit(&[stored, place], at(0, 2));
    assert_eq!(read_topic(&bench.store, "new"), [1]);
    bench.put(&mut order, &segment_of(1, 2, &["other"]), stamp(0, 3));
    bench.put(&mut order, &segment_of(1, 3, &["new"]), stamp(0, 4));
    assert_eq!(read_topic(&bench.store, "new"), [1, 3]);
    assert_eq!(read_topic(&bench.store, "other"), [2]);
    let scrubbed = bench.store.scrub(Position(1), None, u64::MAX).expect("reads");
    assert_eq!(scrubbed.findings, vec![]);
}

#[test]
fn a_repetition_after_days_were_dropped_brings_no_row_of_them_back() {
    let dir = tempfile::tempdir().expect("dir");
    let (mut bench, too_large) = small(dir.path());
    let mut order = Order::new();
    let (old, old_blob) = segment_of(1, 1, &["t"]);
    let (new, new_blob) = segment_of(1, 2, &["t"]);
    let places = [
        order.place(old, stamp(0, 1), Body::Memory(old_blob.clone())),
        order.place(new, stamp(1, 1), Body::Memory(new_blob.clone())),
    ];
    let mut jobs = vec![temporary(old, &old_blob), temporary(new, &new_blob)];
    jobs.extend(places);
    let before_trim = jobs.len();
    jobs.extend([Job::Trim { keep_from: day(1) }, too_large]);
    assert!(is_full(&bench.store.commit(&mut bench.memory, &jobs, at(1, 1))));
    assert_eq!((bench.store.base().next, bench.days()), (Position(2), vec![day(1)]));
    // The repetition has no room either, and does not come as far as the days that go.
    let trim = jobs.remove(before_trim);
    bench.memory = Memory::recover(&bench.store).expect("reads");
    assert!(is_full(&bench.store.commit(&mut bench.memory, &jobs, at(1, 2))));
    assert_eq!((bench.store.head(), bench.days()), (order.head(), vec![day(1)]));
    jobs.pop();
    jobs.push(trim);
    bench.memory = Memory::recover(&bench.store).expect("reads");
    let committed = bench.commit(&jobs, at(1, 3));
    assert_eq!((committed.rows, committed.stored.len()), (2, 2), "what was handed over is told of");
    assert_eq!((bench.store.base().next, bench.days()), (Position(2), vec![day(1)]));
    assert_eq!((bench.store.head(), read_topic(&bench.store, "t")), (order.head(), vec![2]));
}

#[test]
fn a_day_that_cannot_begin_for_want_of_room_is_waited_for_as_well() {
    let dir = tempfile::tempdir().expect("dir");
    let store = Store::open(dir.path(), options(), at(0, 0)).expect("opens");
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        let source = || IoError::from(kind);
        let path = dir.path().to_owned();
        for error in [
            StoreError::Lmdb(heed::Error::Io(source())),
            StoreError::Open(OpenError::Lmdb(heed::Error::Io(source()))),
            StoreError::Open(OpenError::Directory { path: path.clone(), source: source() }),
            StoreError::Directory { path: path.clone(), source: source() },
        ] {
            assert!(store.has_no_room(&error), "{error:?}");
        }
    }
    let other = StoreError::Lmdb(heed::Error::Io(IoError::from(ErrorKind::PermissionDenied)));
    assert!(!store.has_no_room(&other));
}
