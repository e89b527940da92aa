use std::collections::BTreeSet;

use vixen_core::segment::{Match, TopicPattern};
use vixen_core::wire::{HistoryPlace, HistoryQuery};

use super::super::day::TopicNumber;
use super::*;

/// The numbers of topics that match, by the index; `None` when they are more than `max`.
fn matching(env: &DayEnv, pattern: TopicPattern, max: usize) -> Option<Vec<TopicNumber>> {
    let txn = env.read().expect("reads");
    env.matching_topics(&txn, &[pattern], max).expect("reads")
}

fn pattern(uri: &str, matching: Match) -> TopicPattern {
    TopicPattern::new("r", uri, matching)
}

/// Positions of the segments with a topic, by the index.
fn segments(env: &DayEnv, number: TopicNumber) -> (Vec<u64>, Vec<u64>) {
    let txn = env.read().expect("reads");
    let (mut up, mut down) = (Vec::new(), Vec::new());
    let mut from = Position(0);
    while let Some(found) = env.next_of_topic(&txn, number, from).expect("reads") {
        up.push(found.0);
        from = found.plus(1);
    }
    let mut before = Position(u64::MAX);
    while let Some(found) = env.last_of_topic(&txn, number, before).expect("reads") {
        down.push(found.0);
        before = found;
    }
    down.reverse();
    (up, down)
}

#[test]
fn exact_prefix_and_wildcard_find_what_they_match_and_where_it_is() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    bench.put(&mut order, &segment_of(1, 1, &["a", "a.b", "a.b"]), stamp(0, 1));
    bench.put(&mut order, &segment_of(1, 2, &["a.c", "ab"]), stamp(0, 2));
    bench.put(&mut order, &segment_of(1, 3, &["a.b", "x.b.c", "a.b.c"]), stamp(0, 3));
    let env = bench.env(0);
    let found = |uri, how| matching(&env, pattern(uri, how), 99).expect("few").len();
    assert_eq!(found("a.b", Match::Exact), 1);
    assert_eq!(found("a", Match::Exact), 1);
    assert_eq!(found("b", Match::Exact), 0);
    assert_eq!(found("a.", Match::Prefix), 3);
    assert_eq!(found("a", Match::Prefix), 5);
    assert_eq!(found("", Match::Prefix), 6);
    assert_eq!(found("a.", Match::Wildcard), 2);
    assert_eq!(found(".b.c", Match::Wildcard), 2);
    assert_eq!(found("..", Match::Wildcard), 2);
    let other_realm = TopicPattern::all("r2");
    assert_eq!(matching(&env, other_realm, 9), Some(vec![]));
    let number = matching(&env, pattern("a.b", Match::Exact), 1).expect("one")[0];
    assert_eq!(segments(&env, number), (vec![1, 6], vec![1, 6]));
    assert_eq!(matching(&env, TopicPattern::all("r"), 5), None, "six are more than five");
}

#[test]
fn long_topics_that_begin_the_same_are_told_apart() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    // Below, at and above what fits into a key.
    let long: Vec<String> = [400, 477, 478, 479, 480, 481, 600, 5_000]
        .iter()
        .flat_map(|length| ["x", "y"].map(|end| "a".repeat(length - 1) + end))
        .collect();
    for (seq, uri) in (1..).zip(&long) {
        bench.put(&mut order, &segment_of(1, seq, &[uri]), stamp(0, seq));
    }
    let bench = bench.reopen(dir.path(), at(0, 99));
    let env = bench.env(0);
    let mut numbers = BTreeSet::new();
    for (position, uri) in (1..).zip(&long) {
        let found = matching(&env, pattern(uri, Match::Exact), 99).expect("few");
        assert_eq!(found.len(), 1, "{} bytes", uri.len());
        assert_eq!(segments(&env, found[0]), (vec![position], vec![position]));
        numbers.insert(found[0]);
    }
    assert_eq!(numbers.len(), long.len());
    for length in [1, 470, 479, 480, 500] {
        let found = matching(&env, pattern(&"a".repeat(length), Match::Prefix), 99);
        let wanted = long.iter().filter(|uri| uri.starts_with(&"a".repeat(length))).count();
        assert_eq!(found.map(|found| found.len()), Some(wanted), "prefix of {length}");
    }
}

#[test]
fn thousands_of_topics_are_found_after_a_restart_as_well() {
    const TOPICS: usize = 6_000;
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    let uris: Vec<String> = (0..TOPICS).map(|n| format!("t.{}.{n}", n % 7)).collect();
    let all: Vec<&str> = uris.iter().map(String::as_str).collect();
    for (seq, some) in (1..).zip(all.chunks(1_000)) {
        bench.put(&mut order, &segment_of(1, seq, some), stamp(0, seq));
    }
    let mut bench = bench.reopen(dir.path(), at(0, 99));
    // Known topics keep their number, a new one gets its own.
    bench.put(&mut order, &segment_of(1, 99, &["t.3.3", "new"]), stamp(0, 99));
    let env = bench.env(0);
    let txn = env.read().expect("reads");
    assert_eq!(env.topics_len(&txn).expect("reads"), TOPICS as u64 + 1);
    drop(txn);
    let seventh = matching(&env, pattern("t.3.", Match::Prefix), TOPICS).expect("some");
    assert_eq!(seventh.len(), (0..TOPICS).filter(|n| n % 7 == 3).count());
    let number = matching(&env, pattern("t.3.3", Match::Exact), 1).expect("one")[0];
    assert_eq!(segments(&env, number).0, [1, TOPICS as u64 + 1]);
    let new = matching(&env, pattern("new", Match::Exact), 1).expect("one")[0];
    assert_eq!(new, TopicNumber(u32::try_from(TOPICS).expect("small")));
}

/// Reads all of a topic in a direction: positions, and the day that is at odds.
fn read_all(store: &Store, uri: &str, is_backward: bool) -> (Vec<u64>, Option<UtcDay>) {
    let from = if is_backward { HistoryPlace::End } else { HistoryPlace::Position(Position(1)) };
    let query = HistoryQuery {
        from,
        is_backward,
        until: None,
        topics: vec![pattern(uri, Match::Exact)],
        messages_max: 99,
        bytes_max: 1 << 20,
    };
    let batch = store.history(&query, &[]).expect("reads");
    (batch.segments.iter().map(|segment| segment.first.0).collect(), batch.at_odds)
}

/// Three segments, of topics a, b and c.
fn three(dir: &Path) -> Bench {
    let mut bench = Bench::open(dir, at(0, 0));
    let mut order = Order::new();
    for (seq, uri) in (1..).zip(["a", "b", "c"]) {
        bench.put(&mut order, &segment_of(1, seq, &[uri]), stamp(0, seq));
    }
    bench
}

#[test]
fn an_index_whose_numbers_were_never_given_is_not_gone_by_and_is_made_anew() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = three(dir.path());
    // As a store was left whose writer remembered numbers of a transaction that failed.
    let env = bench.env(0);
    let mut txn = env.env.write_txn().expect("a transaction");
    env.topics.clear(&mut txn).expect("clears");
    env.meta.delete(&mut txn, b"index").expect("deletes");
    txn.commit().expect("a commit");
    env.forget_topics();
    for is_backward in [false, true] {
        for (position, uri) in (1..).zip(["a", "b", "c"]) {
            let read = read_all(&bench.store, uri, is_backward);
            assert_eq!(read, (vec![position], Some(day(0))), "{uri}");
        }
    }
    drop(env);
    let is_mended = bench.index_anew(|bench| {
        // Until it is through, the order is read, and nobody needs to be told.
        assert_eq!(read_all(&bench.store, "c", false), (vec![3], None));
    });
    assert!(is_mended);
    let bench = bench.reopen(dir.path(), at(0, 100));
    for (position, uri) in (1..).zip(["a", "b", "c"]) {
        assert_eq!(read_all(&bench.store, uri, false), (vec![position], None), "{uri}");
    }
    assert_eq!(read_all(&bench.store, "d", false), (vec![], None));
}

#[test]
fn rows_that_lead_elsewhere_leave_nothing_out_and_are_told_of() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = three(dir.path());
    let env = bench.env(0);
    let number = matching(&env, pattern("b", Match::Exact), 1).expect("one")[0];
    // Under b, the segment of a, and a position at which none begins.
    for first in [1u64, 9] {
        let mut key = number.0.to_be_bytes().to_vec();
        key.extend_from_slice(&first.to_be_bytes());
        let before = (first - 1).to_be_bytes();
        let check = Digest::of(&[&key, &before]).0;
        let value = [&check[..4], &before].concat();
        let mut txn = env.env.write_txn().expect("a transaction");
        env.topic_rows.put(&mut txn, &key, &value).expect("writes");
        txn.commit().expect("a commit");
        for is_backward in [false, true] {
            // Backward, none of the rows leads to it.
            let told = (!is_backward).then_some(day(0));
            assert_eq!(read_all(&bench.store, "b", is_backward), (vec![2], told), "{first}");
        }
        // More of b, so that the second leads into the midst of a segment.
        let mut order = Order::new();
        (order.next, order.chain) = (bench.store.head().next, bench.store.head().chain);
        if first == 1 {
            let many = segment_of(1, 4, &["d"; 9]);
            bench.put(&mut order, &many, stamp(0, 9));
        }
    }
}
