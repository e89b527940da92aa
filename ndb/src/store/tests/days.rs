use super::*;

#[test]
fn rows_go_to_the_day_of_their_stamp_and_read_as_one_order() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    let segments: Vec<_> = (1..).zip([2, 3, 1].repeat(3)).map(|(n, of)| segment(n, of)).collect();
    for (n, segment) in segments.iter().enumerate() {
        let n32 = u32::try_from(n).expect("small");
        bench.put(&mut order, segment, stamp(n32 / 3, n as u64));
    }
    for _ in 0..2 {
        assert_eq!(bench.days(), [day(0), day(1), day(2)]);
        for n in 0..3 {
            let env = bench.env(n);
            assert_eq!(dump(&env, env.order).len(), 3);
            assert_eq!(dump(&env, env.blobs).len(), 3);
        }
        assert_eq!(bench.rows(Position(1)), order.rows);
        for position in 1..order.next.0 {
            let rows = bench.rows(Position(position));
            let wanted = order.rows.iter().rev().find(|(first, _)| first.0 <= position);
            assert_eq!(rows.first(), wanted);
            assert_eq!(rows.last(), order.rows.last());
        }
        for ((_, row), (meta, blob)) in order.rows.iter().zip(&segments) {
            assert_eq!(bench.placed_blob(row.elected.stamp(), meta).as_ref(), Some(blob));
            assert_eq!(bench.store.any_blob(meta.id).expect("reads").as_ref(), Some(blob));
        }
        assert_eq!(bench.store.head(), order.head());
        assert_eq!(bench.store.base(), BEGINNING);
        bench = bench.reopen(dir.path(), at(2, 100));
    }
}

#[test]
fn bytes_that_arrived_before_midnight_move_to_the_day_of_their_place() {
    // With the bytes in the store, in memory, and in the same commit.
    for way in 0..3 {
        let dir = tempfile::tempdir().expect("dir");
        let mut bench = Bench::open(dir.path(), at(0, 0));
        let mut order = Order::new();
        let (meta, blob) = segment(1, 2);
        let body = if way == 1 { Body::Memory(blob.clone()) } else { Body::Stored };
        let place = order.place(meta, stamp(1, 1), body);
        if way == 2 {
            bench.commit(&[temporary(meta, &blob), place], at(0, 99));
        } else {
            bench.commit(&[temporary(meta, &blob)], at(0, 99));
            assert_eq!(dump(&bench.env(0), bench.env(0).blobs).len(), 1);
            bench.commit(&[place], at(1, 2));
        }
        assert_eq!(bench.days(), [day(0), day(1)]);
        for empty in [bench.env(0).blobs, bench.env(0).temporary, bench.env(0).order] {
            assert_eq!(dump(&bench.env(0), empty), []);
        }
        assert_eq!(dump(&bench.env(1), bench.env(1).temporary), []);
        assert_eq!(bench.placed_blob(stamp(1, 1), &meta), Some(blob), "way {way}");
        let bench = bench.reopen(dir.path(), at(1, 3));
        assert_eq!(bench.recovered().temporary, []);
        assert_eq!(bench.store.scrub(Position(1), None, u64::MAX).expect("reads").findings, []);
    }
}

/// The stamp may be of a day before that of the arrival as well: clocks differ.
#[test]
fn bytes_move_to_the_day_before_as_well() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    let (meta, blob) = segment(1, 2);
    bench.commit(&[temporary(meta, &blob)], at(1, 1));
    bench.commit(&[order.place(meta, stamp(0, 9), Body::Stored)], at(1, 2));
    assert_eq!(bench.placed_blob(stamp(0, 9), &meta), Some(blob));
    assert_eq!(dump(&bench.env(1), bench.env(1).blobs), []);
}

#[test]
fn a_copy_that_the_vote_decided_against_goes_wherever_it_is() {
    for of_day in [0, 1] {
        let dir = tempfile::tempdir().expect("dir");
        let mut bench = Bench::open(dir.path(), at(0, 0));
        let mut order = Order::new();
        let (meta, blob) = segment(1, 2);
        bench.commit(&[temporary(meta, &blob)], at(0, 1));
        bench.commit(&[order.place(meta, stamp(of_day, 9), Body::Elsewhere)], at(1, 2));
        assert_eq!(bench.store.any_blob(meta.id).expect("reads"), None);
        assert_eq!(bench.recovered().temporary, []);
        let (other, blob) = segment(2, 1);
        bench.commit(&[temporary(other, &blob)], at(1, 3));
        bench.commit(&[Job::Drop(other.id)], at(1, 4));
        assert_eq!(bench.store.any_blob(other.id).expect("reads"), None);
        assert_eq!(bench.recovered().temporary, []);
    }
}

/// A stop between the commit of the day of the row and that of the day of arrival.
#[test]
fn a_mark_that_outlived_its_row_waits_for_nothing() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    let (meta, blob) = segment(1, 2);
    bench.commit(&[temporary(meta, &blob)], at(0, 99));
    let before = bench.env(0);
    let (marks, blobs) = (dump(&before, before.temporary), dump(&before, before.blobs));
    bench.commit(&[order.place(meta, stamp(1, 1), Body::Stored)], at(1, 2));
    let mut txn = before.env.write_txn().expect("a transaction");
    before.temporary.put(&mut txn, &marks[0].0, &marks[0].1).expect("writes");
    before.blobs.put(&mut txn, &blobs[0].0, &blobs[0].1).expect("writes");
    txn.commit().expect("a commit");
    drop(before);
    let mut bench = bench.reopen(dir.path(), at(1, 3));
    let recovered = bench.recovered();
    assert_eq!(recovered.temporary, []);
    assert_eq!(recovered.owners, [(meta.id.owner, Seq(1))]);
    assert_eq!(bench.placed_blob(stamp(1, 1), &meta), Some(blob));
    // It does not travel with the day either.
    bench.commit(&[Job::Trim { keep_from: day(1) }], at(1, 4));
    assert_eq!(dump(&bench.env(1), bench.env(1).temporary), []);
}

/// A stop after the commit of the older of two days that one group commit touches.
#[test]
fn a_commit_cut_off_between_two_days_leaves_a_beginning_of_the_order() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    let segments = [segment(1, 1), segment(2, 2), segment(3, 3)];
    for (n, segment) in (0..).zip(&segments) {
        bench.put(&mut order, segment, stamp(n, 1));
    }
    // The youngest day was never written.
    drop(bench);
    std::fs::remove_dir_all(dir.path().join(day(2).to_string())).expect("removes");
    let bench = Bench::open(dir.path(), at(2, 2));
    assert_eq!(bench.rows(Position(1)), order.rows[..2]);
    assert_eq!(bench.recovered().owners, [(owner(1), Seq(2))]);
    assert_eq!(bench.store.head().next, Position(4));
}

#[test]
fn a_new_day_knows_the_owners_of_those_before_for_eight_days() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    bench.put(&mut order, &segment_of(1, 7, &["t"]), stamp(0, 1));
    bench.put(&mut order, &segment_of(2, 8, &["t"]), stamp(5, 1));
    bench.put(&mut order, &segment_of(3, 9, &["t"]), stamp(8, 1));
    bench.put(&mut order, &segment_of(3, 10, &["t"]), stamp(8, 2));
    let owners = |bench: &Bench| bench.recovered().owners;
    let all = [(owner(1), Seq(7)), (owner(2), Seq(8)), (owner(3), Seq(10))];
    let mut bench = bench.reopen(dir.path(), at(8, 3));
    assert_eq!(owners(&bench), all);
    bench.put(&mut order, &segment_of(3, 11, &["t"]), stamp(9, 1));
    let bench = bench.reopen(dir.path(), at(9, 2));
    assert_eq!(owners(&bench), [(owner(2), Seq(8)), (owner(3), Seq(11))]);
}

#[test]
fn one_commit_over_several_days_carries_owners_and_head() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    let segments: Vec<_> = (1..=6).map(|n| segment_of(u128::from(n % 2), n, &["t"])).collect();
    let mut jobs: Vec<_> = segments.iter().map(|(meta, blob)| temporary(*meta, blob)).collect();
    for (n, (meta, _)) in (0..).zip(&segments) {
        jobs.push(order.place(*meta, stamp(n / 2, n.into()), Body::Stored));
    }
    let committed = bench.commit(&jobs, at(1, 0));
    assert_eq!((committed.rows, committed.stored.len()), (6, 6));
    assert_eq!(committed.placed_to, Some((stamp(2, 5), order.next)));
    for _ in 0..2 {
        assert_eq!(bench.rows(Position(1)), order.rows);
        assert_eq!(bench.recovered().owners, [(owner(0), Seq(6)), (owner(1), Seq(5))]);
        assert_eq!(bench.recovered().temporary, []);
        assert_eq!(bench.store.scrub(Position(1), None, u64::MAX).expect("reads").findings, []);
        bench = bench.reopen(dir.path(), at(2, 9));
    }
}

#[test]
fn a_clock_that_goes_back_brings_back_no_day() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(5, 0));
    let (meta, blob) = segment(1, 1);
    bench.commit(&[temporary(meta, &blob)], at(2, 0));
    assert_eq!(bench.days(), [day(5)]);
}
