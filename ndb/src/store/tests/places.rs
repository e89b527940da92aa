//! Where readers begin: `resolve`.

use vixen_core::wire::HistoryPlace;

use super::*;

/// Day 0: segment of 2 at positions 1 and 2, of 3 at 3 to 5. Day 1: nothing. Day 2: of 1 at 6.
fn bench(dir: &Path) -> Bench {
    let mut bench = Bench::open(dir, at(0, 0));
    let mut order = Order::new();
    bench.put(&mut order, &segment(1, 2), stamp(0, 100));
    bench.put(&mut order, &segment(2, 3), stamp(0, 200));
    bench.put(&mut order, &segment(3, 1), stamp(2, 50));
    bench
}

#[test]
fn an_id_is_found_at_its_message_or_the_nearest_in_its_direction() {
    let dir = tempfile::tempdir().expect("dir");
    let bench = bench(dir.path());
    let resolve = |stamp, offset| {
        let place = HistoryPlace::Id { stamp, offset };
        let find = |is_backward| bench.store.resolve(place, is_backward).expect("reads").0;
        (find(false), find(true))
    };
    // Its message.
    assert_eq!(resolve(stamp(0, 100), 0), (1, 1));
    assert_eq!(resolve(stamp(0, 100), 1), (2, 2));
    assert_eq!(resolve(stamp(0, 200), 2), (5, 5));
    assert_eq!(resolve(stamp(2, 50), 0), (6, 6));
    // Beyond the last of a segment.
    assert_eq!(resolve(stamp(0, 100), 2), (3, 2));
    assert_eq!(resolve(stamp(0, 100), u32::MAX), (3, 2));
    assert_eq!(resolve(stamp(0, 200), 3), (6, 5));
    assert_eq!(resolve(stamp(2, 50), 1), (7, 6));
    // Before all, between, after all; with and without rows of that day.
    assert_eq!(resolve(Stamp::ZERO, 0), (1, 0));
    assert_eq!(resolve(stamp(0, 0), 0), (1, 0));
    assert_eq!(resolve(stamp(0, 100).just_below(), 7), (1, 0));
    assert_eq!(resolve(stamp(0, 101), 0), (3, 2));
    assert_eq!(resolve(stamp(0, 201), 0), (6, 5));
    assert_eq!(resolve(stamp(1, 0), 0), (6, 5));
    assert_eq!(resolve(stamp(1, 77), 9), (6, 5));
    assert_eq!(resolve(stamp(2, 0), 0), (6, 5));
    assert_eq!(resolve(stamp(2, 51), 0), (7, 6));
    assert_eq!(resolve(stamp(9, 0), 0), (7, 6));
    assert_eq!(resolve(Stamp(u64::MAX), u32::MAX), (7, 6));
}

#[test]
fn positions_are_themselves_and_the_end_is_the_last_message() {
    let dir = tempfile::tempdir().expect("dir");
    let bench = bench(dir.path());
    for is_backward in [false, true] {
        let find = |place| bench.store.resolve(place, is_backward).expect("reads");
        assert_eq!(find(HistoryPlace::Position(Position(4))), Position(4));
        assert_eq!(find(HistoryPlace::End), Position(6));
    }
}

#[test]
fn in_an_empty_order_everything_is_at_its_beginning() {
    let dir = tempfile::tempdir().expect("dir");
    let bench = Bench::open(dir.path(), at(0, 0));
    for stamp in [Stamp::ZERO, stamp(0, 5), Stamp(u64::MAX)] {
        let place = HistoryPlace::Id { stamp, offset: 0 };
        assert_eq!(bench.store.resolve(place, false).expect("reads"), Position(1));
        assert_eq!(bench.store.resolve(place, true).expect("reads"), Position(0));
    }
    assert_eq!(bench.store.resolve(HistoryPlace::End, true).expect("reads"), Position(0));
}

/// A search by halves comes across damaged rows that it was not asked for.
#[test]
fn a_damaged_row_elsewhere_does_not_matter_and_one_that_may_be_meant_is_told() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    for n in 1..=9 {
        bench.put(&mut order, &segment(n, 2), stamp(0, 10 * n));
    }
    let env = bench.env(0);
    let broken = order.rows[4].0;
    flip(&env, env.order, &key_of(broken));
    let resolve = |millis, is_backward| {
        let place = HistoryPlace::Id { stamp: stamp(0, millis), offset: 0 };
        bench.store.resolve(place, is_backward)
    };
    for n in [1, 2, 3, 4, 6, 7, 8, 9] {
        assert_eq!(resolve(10 * n, false).expect("whole"), Position(2 * n - 1));
    }
    for millis in [45, 50, 55] {
        let found = resolve(millis, false);
        assert!(matches!(found, Err(StoreError::Order(at)) if at == broken), "{found:?}");
    }
}

#[test]
fn a_damaged_last_row_of_a_day_is_told_as_well() {
    let dir = tempfile::tempdir().expect("dir");
    let bench = bench(dir.path());
    flip(&bench.env(0), bench.env(0).order, &key_of(Position(3)));
    for looked_for in [stamp(0, 150), stamp(0, 200), stamp(0, 300), stamp(1, 1)] {
        let place = HistoryPlace::Id { stamp: looked_for, offset: 0 };
        let found = bench.store.resolve(place, false);
        assert!(matches!(found, Err(StoreError::Order(Position(3)))), "{found:?}");
    }
}
