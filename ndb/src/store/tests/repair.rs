//! Scrub and repair: rows and bytes damaged on disk are found, all of them and nothing else.

use super::*;

const SEGMENTS: u64 = 12;

/// Three days of four segments, every fifth of another group.
struct Stored {
    bench: Bench,
    order: Order,
    segments: Vec<(SegmentMeta, Blob)>,
}

/// One to three topics.
const fn topics_of(n: u64) -> &'static [&'static str] {
    match n % 3 {
        0 => &["a"],
        1 => &["a", "b"],
        _ => &["a", "b", "c"],
    }
}

impl Stored {
    fn new(dir: &Path) -> Self {
        let mut bench = Bench::open(dir, at(0, 0));
        let mut order = Order::new();
        let mut segments = Vec::new();
        for n in 0..SEGMENTS {
            let (meta, blob) = segment_of(1, n + 1, topics_of(n));
            let stamp = stamp(u32::try_from(n / 4).expect("small"), n);
            if n % 5 == 4 {
                bench.commit(&[order.place(meta, stamp, Body::Elsewhere)], stamp.wall_time());
            } else {
                bench.put(&mut order, &(meta, blob.clone()), stamp);
            }
            segments.push((meta, blob));
        }
        Self { bench, order, segments }
    }

    fn env(&self, n: usize) -> Arc<DayEnv> {
        self.bench.env(u32::try_from(n / 4).expect("small"))
    }

    fn lost(&self, n: usize) -> Lost {
        let (first, row) = self.order.rows[n];
        Lost { meta: row.elected.meta, first, stamp: row.elected.stamp() }
    }

    fn first(&self, n: usize) -> Position {
        self.order.rows[n].0
    }

    /// Everything a whole pass finds, in steps of a few bytes.
    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let (mut next, mut chain) = (Some(self.bench.store.base().next), None);
        let mut segments = 0;
        while let Some(from) = next {
            let step = self.bench.store.scrub(from, chain, 100).expect("reads");
            findings.extend(step.findings);
            segments += step.segments;
            (next, chain) = (step.next, step.chain);
        }
        assert!(segments <= SEGMENTS);
        findings
    }

    fn orders(&self) -> Vec<Dump> {
        (0..3).map(|n| dump(&self.bench.env(n), self.bench.env(n).order)).collect()
    }

    fn repair(&self, from: Position, rows: &[Elected]) -> Result<usize, StoreError> {
        self.bench.store.repair_order(from, rows)
    }
}

#[test]
fn a_whole_store_has_nothing_to_find_and_all_is_looked_at() {
    let dir = tempfile::tempdir().expect("dir");
    let stored = Stored::new(dir.path());
    assert_eq!(stored.findings(), []);
    let step = stored.bench.store.scrub(Position(1), None, u64::MAX).expect("reads");
    assert_eq!((step.segments, step.messages), (SEGMENTS, stored.order.next.0 - 1));
    let here = stored.order.rows.iter().filter(|(_, row)| row.elected.challenger.group.0 == 0);
    let bytes: u64 = here.map(|(_, row)| u64::from(row.elected.meta.bytes)).sum();
    assert_eq!((step.bytes, step.next, step.chain), (bytes, None, Some(stored.order.chain)));
}

#[test]
fn exactly_the_damaged_are_found() {
    let dir = tempfile::tempdir().expect("dir");
    let stored = Stored::new(dir.path());
    let key = |n: usize| stored.segments[n].0.id.to_key();
    // Bits and absence of bytes, of rows, of the topic index.
    flip(&stored.env(1), stored.env(1).blobs, &key(1));
    remove(&stored.env(5), stored.env(5).blobs, &key(5));
    flip(&stored.env(3), stored.env(3).order, &key_of(stored.first(3)));
    remove(&stored.env(7), stored.env(7).order, &key_of(stored.first(7)));
    let topic_row = |n: usize, number: u32| {
        let first = key_of(stored.first(n));
        [&number.to_be_bytes()[..], &first[..]].concat()
    };
    let env = stored.env(8);
    let numbered: Vec<_> = dump(&env, env.topic_rows).into_iter().map(|(key, _)| key).collect();
    let of_8 = numbered.iter().find(|key| key[4..] == key_of(stored.first(8))).expect("indexed");
    remove(&env, env.topic_rows, of_8);
    let of_11 = numbered.iter().rfind(|key| key[4..] == key_of(stored.first(11))).expect("indexed");
    assert_eq!(*of_11, topic_row(11, u32::from(of_11[3])));
    flip(&env, env.topic_rows, of_11);
    let not_indexed = |n: usize| {
        let (first, row) = stored.order.rows[n];
        Finding::NotIndexed { first, elected: row.elected }
    };
    let wanted = [
        Finding::Blob(stored.lost(1)),
        Finding::Row { at: stored.first(3) },
        Finding::NoBlob(stored.lost(5)),
        Finding::Row { at: stored.first(7) },
        not_indexed(8),
        not_indexed(11),
    ];
    assert_eq!(stored.findings(), wanted);
}

#[test]
fn bytes_noted_as_missing_are_found_once_and_for_all() {
    let dir = tempfile::tempdir().expect("dir");
    let mut stored = Stored::new(dir.path());
    let lost = stored.lost(1);
    flip(&stored.env(1), stored.env(1).blobs, &lost.meta.id.to_key());
    stored.bench.commit(&[Job::Lose(lost)], at(2, 99));
    assert_eq!(stored.findings(), []);
    assert_eq!(stored.bench.recovered().missing, [lost]);
    let Lost { meta, first, stamp } = lost;
    let blob = stored.segments[1].1.clone();
    let mark = Mark::Permanent { first, stamp };
    stored.bench.commit(&[Job::Store(vixen_replica::Store { meta, blob, mark })], at(2, 99));
    assert_eq!(stored.bench.recovered().missing, []);
    assert_eq!(stored.findings(), []);
    assert_eq!(stored.bench.placed_blob(stamp, &meta), Some(stored.segments[1].1.clone()));
}

/// A reader saw the damage before good bytes were written, and was heard afterwards.
#[test]
fn bytes_that_are_good_by_now_are_not_lost() {
    let dir = tempfile::tempdir().expect("dir");
    let mut stored = Stored::new(dir.path());
    let lost = stored.lost(1);
    stored.bench.commit(&[Job::Lose(lost)], at(2, 99));
    assert_eq!(stored.bench.recovered().missing, []);
    let blob = stored.bench.placed_blob(lost.stamp, &lost.meta);
    assert_eq!(blob.as_ref(), Some(&stored.segments[1].1));
    assert_eq!(stored.findings(), []);
}

#[test]
fn a_segment_is_indexed_again_even_when_the_name_of_its_topic_is_damaged() {
    let dir = tempfile::tempdir().expect("dir");
    let mut stored = Stored::new(dir.path());
    for is_remembered in [true, false] {
        if !is_remembered {
            stored.bench = stored.bench.reopen(dir.path(), at(2, 99));
        }
        let env = stored.env(0);
        let names = dump(&env, env.topics);
        let of_a = names.iter().rfind(|(key, _)| key.ends_with(b"r\0a")).expect("a name");
        flip(&env, env.topics, &of_a.0);
        let findings = stored.findings();
        assert!(findings.len() > 1, "all segments of the day that have the topic");
        let jobs: Vec<_> = findings
            .into_iter()
            .map(|finding| match finding {
                Finding::NotIndexed { first, elected } => Job::Index { first, elected },
                other => panic!("{other:?}"),
            })
            .collect();
        // One by one they cannot be found again by all who search: the day is indexed anew.
        let committed = stored.bench.commit(&jobs, at(2, 99));
        assert_eq!(committed.index_at_odds, [day(0)]);
        assert!(stored.bench.index_anew(|_| {}));
        assert_eq!(stored.findings(), []);
        let txn = env.read().expect("reads");
        let pattern = vixen_core::segment::TopicPattern::all("r");
        let numbers = env.matching_topics(&txn, &[pattern], 99).expect("reads").expect("few");
        assert_eq!(numbers.len(), 3);
    }
}

#[test]
fn damaged_bytes_without_a_place_are_found() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let segments = [segment(1, 1), segment(2, 2), segment(3, 3)];
    for (n, (meta, blob)) in (0..).zip(&segments) {
        bench.commit(&[temporary(*meta, blob)], at(n, 1));
    }
    assert_eq!(bench.store.scrub_temporary().expect("reads"), []);
    flip(&bench.env(0), bench.env(0).blobs, &segments[0].0.id.to_key());
    remove(&bench.env(2), bench.env(2).blobs, &segments[2].0.id.to_key());
    let wanted = [Finding::Temporary(segments[0].0), Finding::Temporary(segments[2].0)];
    assert_eq!(bench.store.scrub_temporary().expect("reads"), wanted);
}

#[test]
fn rows_of_a_peer_restore_the_order_to_the_byte() {
    // Single rows, runs, over midnight, the first, the last, whole days, everything but one.
    let runs: [&[usize]; 9] = [
        &[2],
        &[0],
        &[11],
        &[3, 4],
        &[3, 4, 5, 8],
        &[4],
        &[4, 5, 6, 7],
        &[10, 11],
        &[0, 1, 2, 3, 4, 5, 6, 8, 9, 10],
    ];
    for broken in runs {
        for is_removed in [false, true] {
            let dir = tempfile::tempdir().expect("dir");
            let stored = Stored::new(dir.path());
            let before = stored.orders();
            for n in broken {
                let env = stored.env(*n);
                if is_removed {
                    remove(&env, env.order, &key_of(stored.first(*n)));
                } else {
                    flip(&env, env.order, &key_of(stored.first(*n)));
                }
            }
            let mut rounds = 0;
            while let Some(finding) = stored.findings().first().cloned() {
                let Finding::Row { at } = finding else { panic!("{finding:?}") };
                let rows = stored.order.elected_from(at);
                assert!(stored.repair(at, &rows).expect("fits") > 0);
                rounds += 1;
                assert!(rounds <= broken.len());
            }
            assert_eq!(stored.orders(), before, "{broken:?}");
            assert_eq!(stored.bench.rows(Position(1)), stored.order.rows);
        }
    }
}

/// The first row of a day is gone when the store is opened: what is before does not reach there.
#[test]
fn a_store_opens_with_damaged_rows_and_is_repaired() {
    for broken in [0, 1, 3, 4, 7, 8, 11] {
        let dir = tempfile::tempdir().expect("dir");
        let mut stored = Stored::new(dir.path());
        let before = stored.orders();
        let env = stored.env(broken);
        flip(&env, env.order, &key_of(stored.first(broken)));
        drop(env);
        stored.bench = stored.bench.reopen(dir.path(), at(2, 99));
        assert_eq!(stored.bench.store.base(), BEGINNING);
        if broken == 11 {
            // It is had again as it was had the first time.
            let head = stored.bench.store.head();
            assert_eq!((head.next, head.chain), (stored.first(11), stored.order.rows[10].1.chain));
            assert_eq!(stored.findings(), []);
            let (first, row) = stored.order.rows[11];
            let place = Job::Place(Place { first, row, body: Body::Missing });
            stored.bench.commit(&[place], at(2, 100));
            assert_eq!(stored.bench.recovered().missing, [], "its bytes are still there");
        } else {
            let at = stored.first(broken);
            assert_eq!(stored.findings(), [Finding::Row { at }], "row {broken}");
            let repaired = stored.repair(at, &stored.order.elected_from(at));
            assert_eq!(repaired.expect("fits"), 1);
        }
        assert_eq!(stored.orders(), before, "row {broken}");
        assert_eq!(stored.findings(), []);
        assert_eq!(stored.bench.rows(Position(1)), stored.order.rows, "row {broken}");
        assert_eq!(stored.bench.store.head(), stored.order.head());
    }
}

#[test]
fn a_row_under_a_damaged_key_hides_no_whole_row() {
    let dir = tempfile::tempdir().expect("dir");
    let stored = Stored::new(dir.path());
    let env = stored.env(0);
    // The row at 2 (two messages) is followed by that of 4, whose key now says 3.
    let (whole, moved) = (stored.first(1), stored.first(2));
    assert_eq!((whole, moved), (Position(2), Position(4)));
    let rows = dump(&env, env.order);
    let value = &rows.iter().find(|(key, _)| *key == key_of(moved)).expect("there").1;
    let mut txn = env.env.write_txn().expect("a transaction");
    env.order.put(&mut txn, &key_of(Position(3)), value).expect("writes");
    env.order.delete(&mut txn, &key_of(moved)).expect("writes");
    txn.commit().expect("a commit");
    let read = stored.bench.store.rows_from(Position(3), 9).expect("the row at 2 holds it");
    assert_eq!(read, stored.order.rows[1..2]);
    assert_eq!(stored.findings(), [Finding::Row { at: moved }]);
    let rows = stored.order.elected_from(moved);
    assert_eq!(stored.repair(moved, &rows).expect("fits"), 1);
    assert_eq!(stored.findings(), []);
    assert_eq!(stored.bench.rows(Position(1)), stored.order.rows);
}

#[test]
fn rows_that_do_not_lead_to_what_is_here_are_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().expect("dir");
    let stored = Stored::new(dir.path());
    for n in [2, 11] {
        flip(&stored.env(n), stored.env(n).order, &key_of(stored.first(n)));
    }
    let before = stored.orders();
    let right = |n: usize| stored.order.elected_from(stored.first(n));
    let changed = |n: usize, change: &dyn Fn(&mut Elected)| {
        let mut rows = right(n);
        change(&mut rows[0]);
        rows
    };
    let wrong: [(usize, Vec<Elected>); 9] = [
        // Another stamp, digest, count (shorter and longer than what is damaged).
        (2, changed(2, &|row| row.challenger.stamp = stamp(0, 3).just_below())),
        (2, changed(2, &|row| row.meta.digest = Digest([1; 16]))),
        (2, changed(2, &|row| row.meta.count = 1)),
        (2, changed(2, &|row| row.meta.count = 1_000)),
        (2, changed(2, &|row| row.meta.digest = Digest([1; 16]))[..1].to_vec()),
        (2, changed(2, &|row| row.meta.count = 1)[..1].to_vec()),
        // The end must fit as well, and not be passed.
        (11, changed(11, &|row| row.meta.digest = Digest([1; 16]))),
        (11, changed(11, &|row| row.meta.count = 1_000)),
        (11, changed(11, &|row| row.meta.count = 1)),
    ];
    for (n, rows) in &wrong {
        let at = stored.first(*n);
        let refused = stored.repair(at, rows);
        assert!(matches!(refused, Err(StoreError::Misfit(_))), "{n}: {refused:?}");
        assert_eq!(stored.orders(), before);
    }
    // Behind a damaged row, in the midst of one, and beyond the end nothing can be said.
    for at in [stored.first(3), stored.first(1).plus(1), stored.order.next.plus(9)] {
        let refused = stored.repair(at, &right(3));
        assert!(matches!(refused, Err(StoreError::Misfit(_))), "{at}: {refused:?}");
        assert_eq!(stored.orders(), before);
    }
    assert_eq!(stored.bench.days(), [day(0), day(1), day(2)]);
    for n in [2, 11] {
        assert_eq!(stored.repair(stored.first(n), &right(n)).expect("fits"), 1);
    }
    assert_eq!(stored.repair(stored.first(2), &right(2)).expect("fits"), 0, "whole already");
    assert_eq!(stored.findings(), []);
}

/// As the writer does it: a misfit is told and the other jobs of the batch are done.
#[test]
fn a_misfit_does_not_stop_the_writer() {
    let dir = tempfile::tempdir().expect("dir");
    let mut stored = Stored::new(dir.path());
    flip(&stored.env(2), stored.env(2).order, &key_of(stored.first(2)));
    let (meta, blob) = segment(99, 1);
    let first = stored.first(2);
    let wrong = Job::Repair { first, rows: stored.order.elected_from(stored.first(5)) };
    let committed = stored.bench.commit(&[wrong, temporary(meta, &blob)], at(2, 99));
    assert_eq!((committed.repaired, committed.stored), (0, vec![meta.id]));
    let right = Job::Repair { first, rows: stored.order.elected_from(first) };
    assert_eq!(stored.bench.commit(&[right], at(2, 99)).repaired, 1);
    assert_eq!(stored.findings(), []);
}
