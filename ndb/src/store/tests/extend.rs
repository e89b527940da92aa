//! Days that were dropped come back from a store that has kept them.

use super::*;

/// Five days of two segments each; every other one of another group.
fn five_days(dir: &Path) -> (Bench, Order, Vec<(SegmentMeta, Blob)>) {
    let mut bench = Bench::open(dir, at(0, 0));
    let (mut order, mut segments) = (Order::new(), Vec::new());
    for n in 0..10u32 {
        let (meta, blob) = segment(u64::from(n) + 1, 1 + n as usize % 3);
        let stamp = stamp(n / 2, u64::from(n));
        let is_here = n % 2 == 0;
        let body = if is_here { Body::Memory(blob.clone()) } else { Body::Elsewhere };
        let place = order.place(meta, stamp, body);
        let stored = is_here.then(|| temporary(meta, &blob));
        let jobs: Vec<_> = stored.into_iter().chain([place]).collect();
        bench.commit(&jobs, stamp.wall_time());
        segments.push((meta, blob));
    }
    (bench, order, segments)
}

fn trim(bench: &mut Bench, keep_from: u32) {
    bench.commit(&[Job::Trim { keep_from: day(keep_from) }], at(4, 99));
}

/// What `bench` lacks of what `kept` has, `limit` rows at a time.
fn extend(bench: &mut Bench, kept: &Bench, limit: usize) -> Vec<Lost> {
    let mut lost = Vec::new();
    while bench.store.base().next > kept.store.base().next {
        let before = bench.store.base().next;
        let (base, rows) = kept.store.order_before(before, limit).expect("reads");
        let extended =
            bench.commit(&[Job::Extend { base, rows: rows.clone() }], at(4, 99)).extended;
        assert_eq!((extended.len(), extended[0].rows), (1, rows.len()));
        assert_eq!((bench.store.base(), extended[0].base), (base, base));
        lost.extend(extended.into_iter().flat_map(|extended| extended.lost));
    }
    lost
}

/// Brings the bytes of what is missing.
fn fill(bench: &mut Bench, lost: &[Lost], segments: &[(SegmentMeta, Blob)]) {
    for Lost { meta, first, stamp } in lost.iter().copied() {
        let (_, blob) = segments.iter().find(|(known, _)| *known == meta).expect("one of them");
        let mark = Mark::Permanent { first, stamp };
        let store = vixen_replica::Store { meta, blob: blob.clone(), mark };
        bench.commit(&[Job::Store(store)], at(4, 100));
    }
}

#[test]
fn what_a_peer_has_kept_comes_back_whole_whatever_the_pieces() {
    for limit in [1, 2, 3, 99] {
        let dirs = [tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir")];
        let (kept, order, segments) = five_days(dirs[0].path());
        let (mut bench, _, _) = five_days(dirs[1].path());
        let head = bench.store.head();
        trim(&mut bench, 3);
        let lost = extend(&mut bench, &kept, limit);
        assert_eq!(lost.len(), 3, "one of two is of this group");
        assert_eq!((bench.store.base(), bench.store.head()), (BEGINNING, head));
        let mut noted = bench.recovered().missing;
        noted.sort_by_key(|lost| lost.first);
        let mut by_first = lost.clone();
        by_first.sort_by_key(|lost| lost.first);
        assert_eq!(noted, by_first);
        fill(&mut bench, &lost, &segments);
        for _ in 0..2 {
            assert_eq!(bench.rows(Position(1)), order.rows);
            let step = bench.store.scrub(Position(1), None, u64::MAX).expect("reads");
            assert_eq!((step.segments, step.findings), (10, vec![]));
            assert_eq!(bench.recovered(), kept.recovered());
            bench = bench.reopen(dirs[1].path(), at(4, 200));
        }
    }
}

#[test]
fn rows_that_do_not_lead_to_the_order_here_change_nothing() {
    let dirs = [tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir")];
    let (kept, _, _) = five_days(dirs[0].path());
    let (mut bench, _, _) = five_days(dirs[1].path());
    trim(&mut bench, 3);
    let (before, days) = (bench.store.base(), bench.days());
    let (base, rows) = kept.store.order_before(before.next, 4).expect("reads");
    let without_last = rows[..3].to_vec();
    let mut other = rows.clone();
    other[1].meta.count += 1;
    let mut later = rows.clone();
    later.swap(0, 1);
    let wrong = OrderBase { chain: Digest([9; 16]), ..base };
    let early = OrderBase { next: Position(0), ..base };
    for (base, rows) in [
        (base, without_last),
        (base, other),
        (base, later),
        (base, Vec::new()),
        (wrong, rows.clone()),
        (early, rows.clone()),
    ] {
        let extended = bench.commit(&[Job::Extend { base, rows }], at(4, 99)).extended;
        assert!(extended.is_empty());
        assert_eq!((bench.store.base(), bench.days()), (before, days.clone()));
    }
    // And no rows are given where none ends, or none are left.
    for before in [Position(0), Position(1), Position(3), Position(999)] {
        assert_eq!(kept.store.order_before(before, 9).expect("reads").1, vec![], "{before}");
    }
    assert_eq!(bench.store.order_before(before.next, 9).expect("reads").1, vec![]);
}

#[test]
fn after_a_crash_between_its_days_the_order_begins_where_it_did_and_is_extended_again() {
    let dirs = [tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir")];
    let (kept, order, segments) = five_days(dirs[0].path());
    let (mut bench, _, _) = five_days(dirs[1].path());
    trim(&mut bench, 3);
    let before = bench.store.base();
    // Of six rows the oldest day is written, and nothing more.
    let (base, rows) = kept.store.order_before(before.next, 6).expect("reads");
    let env = bench.store.day(day(0)).expect("opens");
    env.write(&mut |env, txn| {
        env.put_base(txn, base)?;
        bench.store.put_rows_before(env, txn, &order.rows[..2])
    })
    .expect("writes");
    drop(env);
    let mut bench = bench.reopen(dirs[1].path(), at(4, 100));
    assert_eq!((bench.store.base(), bench.recovered().missing), (before, vec![]));
    assert_eq!(bench.rows(before.next), order.rows[6..]);
    let again = bench.commit(&[Job::Extend { base, rows }], at(4, 101)).extended;
    fill(&mut bench, &again[0].lost, &segments);
    assert_eq!(bench.rows(Position(1)), order.rows);
    let step = bench.store.scrub(Position(1), None, u64::MAX).expect("reads");
    assert_eq!((step.segments, step.findings), (10, vec![]));
    // What came back goes again by retention.
    trim(&mut bench, 1);
    assert_eq!(bench.rows(order.rows[2].0), order.rows[2..]);
}

/// What the day with the base says of the group.
fn known(bench: &Bench) -> Option<Position> {
    let envs: Vec<_> = bench.store.days().envs.values().cloned().collect();
    let noted = envs.iter().filter_map(|env| {
        let txn = env.read().expect("reads");
        env.kept_by_group(&txn).expect("reads")
    });
    noted.min()
}

#[test]
fn that_the_group_has_kept_more_is_known_until_it_has_come() {
    let dirs = [tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir")];
    let (kept, _, _) = five_days(dirs[0].path());
    let (mut bench, _, _) = five_days(dirs[1].path());
    trim(&mut bench, 3);
    assert_eq!(known(&bench), None);
    bench.commit(&[Job::KeptByGroup(Position(1))], at(4, 99));
    assert_eq!(known(&bench), Some(Position(1)));
    let (base, rows) = kept.store.order_before(bench.store.base().next, 3).expect("reads");
    bench.commit(&[Job::Extend { base, rows }], at(4, 99));
    assert_eq!(known(&bench), Some(Position(1)));
    extend(&mut bench, &kept, 2);
    assert_eq!(known(&bench), None);
}
