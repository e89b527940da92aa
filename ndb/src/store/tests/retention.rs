use std::time::{Duration, Instant};

use super::*;

/// Deletion is done beside the writer; nobody says when it is through.
fn wait_for_names(dir: &Path, wanted: &[UtcDay]) {
    let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let mut names: Vec<_> = std::fs::read_dir(dir)
            .expect("reads")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        if names == wanted {
            return;
        }
        assert!(Instant::now() < until, "{names:?} are left, not {wanted:?}");
        std::thread::yield_now();
    }
}

/// Four days of two segments each, of 1 and 2 messages.
fn four_days(dir: &Path) -> (Bench, Order, Vec<(SegmentMeta, Blob)>) {
    let mut bench = Bench::open(dir, at(0, 0));
    let mut order = Order::new();
    let mut segments = Vec::new();
    for n in 0..8 {
        let segment = segment(n + 1, if n % 2 == 0 { 1 } else { 2 });
        bench.put(&mut order, &segment, stamp(u32::try_from(n / 2).expect("small"), n));
        segments.push(segment);
    }
    (bench, order, segments)
}

fn trim(bench: &mut Bench, keep_from: u32) -> Option<Position> {
    bench.commit(&[Job::Trim { keep_from: day(keep_from) }], at(3, 99)).trimmed_to
}

fn check_trimmed_to_day_2(bench: &Bench, order: &Order) {
    let (first, base) = (order.rows[4].0, order.rows[3].1);
    assert_eq!(
        bench.store.base(),
        OrderBase { next: first, stamp: base.elected.stamp(), chain: base.chain }
    );
    assert_eq!(bench.store.head(), order.head());
    assert_eq!(bench.rows(first), order.rows[4..]);
    for before in [Position(0), Position(1), Position(first.0 - 1)] {
        let read = bench.store.rows_from(before, 1);
        assert!(matches!(read, Err(StoreError::Trimmed { first: f }) if f == first), "{read:?}");
    }
    assert_eq!(bench.store.row_before(first).expect("reads"), None);
    assert_eq!(bench.recovered().owners, [(owner(1), Seq(8))]);
    // What is left is chained to the base.
    let step = bench.store.scrub(Position(1), None, u64::MAX).expect("reads");
    assert_eq!((step.segments, step.findings), (4, vec![]));
}

#[test]
fn whole_days_go_with_their_directories_and_the_order_begins_after_them() {
    let dir = tempfile::tempdir().expect("dir");
    let (mut bench, order, segments) = four_days(dir.path());
    assert_eq!(trim(&mut bench, 0), Some(Position(1)), "nothing to drop");
    assert_eq!(trim(&mut bench, 2), Some(order.rows[4].0));
    assert_eq!(bench.days(), [day(2), day(3)]);
    wait_for_names(dir.path(), &[day(2), day(3)]);
    for _ in 0..2 {
        check_trimmed_to_day_2(&bench, &order);
        assert_eq!(bench.placed_blob(stamp(0, 0), &segments[0].0), None);
        assert_eq!(bench.store.any_blob(segments[0].0.id).expect("reads"), None);
        bench = bench.reopen(dir.path(), at(3, 99));
    }
    assert_eq!(trim(&mut bench, 2), Some(order.rows[4].0), "again, and nothing happens");
    check_trimmed_to_day_2(&bench, &order);
}

#[test]
fn the_newest_day_never_goes() {
    let dir = tempfile::tempdir().expect("dir");
    let (mut bench, order, _) = four_days(dir.path());
    assert_eq!(trim(&mut bench, 9), Some(Position(1)));
    assert_eq!(bench.rows(Position(1)), order.rows);
}

#[test]
fn a_reader_that_lasts_keeps_what_it_reads() {
    let dir = tempfile::tempdir().expect("dir");
    let (mut bench, _, segments) = four_days(dir.path());
    let env = bench.env(0);
    let txn = env.read().expect("reads");
    // The writer has a thread of its own.
    std::thread::scope(|threads| threads.spawn(|| trim(&mut bench, 2)).join()).expect("no panic");
    assert!(!dir.path().join(day(0).to_string()).exists(), "nobody opens it again");
    let read = env.blob(&txn, segments[0].0.id).expect("reads");
    assert_eq!(read.as_ref(), Some(segments[0].1.as_bytes()));
    drop(txn);
    drop(env);
    wait_for_names(dir.path(), &[day(2), day(3)]);
}

/// Copies the files of a store that nobody has open.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("creates");
    for entry in std::fs::read_dir(from).expect("reads") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("copies");
        }
    }
}

#[test]
fn a_stop_in_the_midst_of_it_is_made_up_for() {
    let dirs = [tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir")];
    let (bench, order, _) = four_days(dirs[0].path());
    drop(bench);
    copy(dirs[0].path(), dirs[1].path());
    let mut bench = Bench::open(dirs[0].path(), at(3, 90));
    trim(&mut bench, 2);
    wait_for_names(dirs[0].path(), &[day(2), day(3)]);
    drop(bench);
    // The base is written, one directory is still there, the other is renamed and half deleted.
    let old = |n: u32| dirs[1].path().join(day(n).to_string());
    copy(&old(1), &dirs[0].path().join(day(1).to_string()));
    let renamed = dirs[0].path().join(format!("trimmed-{}", day(0)));
    std::fs::create_dir(&renamed).expect("creates");
    std::fs::copy(old(0).join("data.mdb"), renamed.join("data.mdb")).expect("copies");
    let mut bench = Bench::open(dirs[0].path(), at(3, 90));
    wait_for_names(dirs[0].path(), &[day(1), day(2), day(3)]);
    check_trimmed_to_day_2(&bench, &order);
    // The next look at the age of days ends it.
    assert_eq!(trim(&mut bench, 2), Some(order.rows[4].0));
    wait_for_names(dirs[0].path(), &[day(2), day(3)]);
    check_trimmed_to_day_2(&bench, &order);
}

#[test]
fn a_backup_without_its_oldest_days_begins_with_its_first_row() {
    let dir = tempfile::tempdir().expect("dir");
    let (bench, order, _) = four_days(dir.path());
    drop(bench);
    for n in [0, 1] {
        std::fs::remove_dir_all(dir.path().join(day(n).to_string())).expect("removes");
    }
    let bench = Bench::open(dir.path(), at(3, 99));
    let first = order.rows[4].0;
    assert_eq!(bench.store.base().next, first);
    assert_eq!(bench.rows(first), order.rows[4..]);
    let trimmed = bench.store.rows_from(Position(1), 1);
    assert!(matches!(trimmed, Err(StoreError::Trimmed { .. })));
    let step = bench.store.scrub(Position(1), None, u64::MAX).expect("reads");
    assert_eq!((step.segments, step.findings), (4, vec![]));
}

#[test]
fn segments_without_a_place_are_carried_to_the_newest_day() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    let (waiting, blob) = segment_of(2, 1, &["t"]);
    let (gone, gone_blob) = segment_of(3, 1, &["t"]);
    bench.commit(&[temporary(waiting, &blob), temporary(gone, &gone_blob)], at(0, 1));
    for n in 0..3 {
        bench.put(&mut order, &segment(u64::from(n) + 1, 1), stamp(n, 5));
    }
    bench.commit(&[Job::Drop(gone.id)], at(2, 6));
    trim(&mut bench, 2);
    wait_for_names(dir.path(), &[day(2)]);
    let mut bench = bench.reopen(dir.path(), at(2, 9));
    assert_eq!(bench.recovered().temporary, [waiting]);
    assert_eq!(bench.store.any_blob(waiting.id).expect("reads"), Some(blob.clone()));
    bench.commit(&[order.place(waiting, stamp(2, 10), Body::Stored)], at(2, 11));
    assert_eq!(bench.recovered().temporary, []);
    assert_eq!(bench.placed_blob(stamp(2, 10), &waiting), Some(blob));
}

/// The newest day has segments that wait, and no rows yet.
#[test]
fn owners_outlive_the_last_day_with_rows() {
    let dir = tempfile::tempdir().expect("dir");
    let (mut bench, mut order, _) = four_days(dir.path());
    let (waiting, blob) = segment_of(2, 1, &["t"]);
    bench.commit(&[temporary(waiting, &blob)], at(5, 1));
    assert_eq!(trim(&mut bench, 5), Some(order.next));
    for _ in 0..2 {
        assert_eq!((bench.store.base(), bench.store.head()), (order.head(), order.head()));
        let recovered = bench.recovered();
        assert_eq!(recovered.owners, [(owner(1), Seq(8))]);
        assert_eq!(recovered.temporary, [waiting]);
        assert_eq!((recovered.head.next, recovered.head.chain), (order.next, order.chain));
        assert_eq!(bench.rows(order.next), []);
        wait_for_names(dir.path(), &[day(5)]);
        bench = bench.reopen(dir.path(), at(5, 2));
    }
    let first = order.next;
    bench.put(&mut order, &segment(9, 2), stamp(5, 3));
    let bench = bench.reopen(dir.path(), at(5, 4));
    assert_eq!(bench.rows(first), order.rows[8..]);
    assert_eq!(bench.recovered().owners, [(owner(1), Seq(9))]);
}

#[test]
fn what_was_found_in_a_day_that_went_meanwhile_does_not_bring_it_back() {
    let dir = tempfile::tempdir().expect("dir");
    let (mut bench, order, segments) = four_days(dir.path());
    trim(&mut bench, 2);
    let (first, row) = order.rows[0];
    let (meta, blob) = segments[0].clone();
    let stamp = row.elected.stamp();
    let mark = Mark::Permanent { first, stamp };
    let jobs = [
        Job::Lose(Lost { meta, first, stamp }),
        Job::Index { first, elected: row.elected },
        Job::Store(vixen_replica::Store { meta, blob, mark }),
    ];
    let committed = bench.commit(&jobs, at(3, 99));
    assert_eq!(committed.stored, [meta.id], "the replica hears of it");
    assert_eq!(bench.days(), [day(2), day(3)]);
    assert_eq!(bench.recovered().missing, []);
}

#[test]
fn damaged_rows_at_the_end_of_a_day_do_not_keep_it() {
    let dir = tempfile::tempdir().expect("dir");
    let (mut bench, order, _) = four_days(dir.path());
    flip(&bench.env(1), bench.env(1).order, &key_of(order.rows[3].0));
    assert_eq!(trim(&mut bench, 2), Some(order.rows[4].0));
    let base = bench.store.base();
    assert_eq!((base.next, base.chain), (order.rows[4].0, Digest::default()), "not known");
    assert_eq!(bench.rows(base.next), order.rows[4..]);
    let step = bench.store.scrub(Position(1), None, u64::MAX).expect("reads");
    assert_eq!(step.findings, []);
}

#[test]
fn an_order_that_begins_anew_keeps_what_waits_and_goes_on_from_its_base() {
    let dir = tempfile::tempdir().expect("dir");
    let (mut bench, old, segments) = four_days(dir.path());
    let (waiting, blob) = segment_of(2, 1, &["t"]);
    bench.commit(&[temporary(waiting, &blob)], at(3, 50));
    let base = OrderBase { next: Position(1_000), stamp: stamp(3, 60), chain: Digest([7; 16]) };
    let committed = bench.commit(&[Job::Rebase(base)], at(3, 70));
    assert_eq!(committed.trimmed_to, Some(base.next));
    assert_eq!(committed.placed_to, Some((base.stamp, base.next)));
    for _ in 0..2 {
        assert_eq!((bench.store.base(), bench.store.head()), (base, base));
        let recovered = bench.recovered();
        assert_eq!((recovered.head.next, recovered.head.chain), (base.next, base.chain));
        assert_eq!(recovered.temporary, [waiting]);
        assert_eq!(recovered.owners, [(owner(1), Seq(8))], "their segments do not come again");
        let read = bench.store.rows_from(old.rows[7].0, 1);
        assert!(matches!(read, Err(StoreError::Trimmed { first }) if first == base.next));
        assert_eq!(bench.store.any_blob(segments[7].0.id).expect("reads"), None);
        wait_for_names(dir.path(), &[day(3)]);
        bench = bench.reopen(dir.path(), at(3, 80));
    }
    let mut order = Order { next: base.next, chain: base.chain, rows: Vec::new() };
    bench.commit(&[order.place(waiting, stamp(3, 90), Body::Stored)], at(3, 91));
    bench.put(&mut order, &segment(9, 2), stamp(4, 1));
    let bench = bench.reopen(dir.path(), at(4, 2));
    assert_eq!(bench.rows(base.next), order.rows);
    let step = bench.store.scrub(Position(1), None, u64::MAX).expect("reads");
    assert_eq!((step.segments, step.findings), (2, vec![]));
}

/// A node that is far behind places rows of days that its retention has dropped.
#[test]
fn a_day_that_was_dropped_is_begun_again_when_its_readers_have_ended() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    let (waiting, blob) = segment_of(2, 1, &["t"]);
    bench.commit(&[temporary(waiting, &blob)], at(3, 0));
    bench.put(&mut order, &segment(1, 1), stamp(0, 1));
    std::thread::scope(|scope| {
        let env = bench.env(0);
        let (reads, is_reading) = std::sync::mpsc::channel();
        let (go_on, may_end) = std::sync::mpsc::channel();
        scope.spawn(move || {
            let txn = env.read().expect("reads");
            reads.send(()).expect("the test waits");
            may_end.recv().expect("the test goes on");
            drop(txn);
        });
        is_reading.recv().expect("it reads");
        assert_eq!(trim(&mut bench, 3), Some(Position(2)));
        go_on.send(()).expect("it waits");
        bench.put(&mut order, &segment(2, 2), stamp(0, 2));
    });
    assert_eq!(bench.rows(Position(2)), order.rows[1..]);
    // The name under which it is deleted may be taken.
    let taken = dir.path().join(format!("trimmed-{}-0", day(0)));
    std::fs::create_dir_all(taken.join("not empty")).expect("creates");
    assert_eq!(trim(&mut bench, 3), Some(Position(4)));
    let bench = bench.reopen(dir.path(), at(3, 9));
    wait_for_names(dir.path(), &[day(3)]);
    assert_eq!(bench.store.base(), order.head());
    assert_eq!(bench.recovered().temporary, [waiting]);
}
