//! History against a naive model: random segments, random queries.

use vixen_core::segment::{Match, Records, TopicPattern};
use vixen_core::wire::{HistoryEnd, HistoryPlace, HistoryQuery};

use super::*;

const DAYS: u32 = 3;

/// One message of the order.
#[derive(Clone, Debug)]
struct Message {
    position: Position,
    stamp: Stamp,
    offset: u32,
    uri: String,
    is_here: bool,
}

struct Model {
    messages: Vec<Message>,
    next: Position,
}

impl Model {
    /// Where a reader begins, as `HistoryPlace` says it.
    fn begin(&self, query: &HistoryQuery) -> u64 {
        match query.from {
            HistoryPlace::Position(position) => position.0,
            HistoryPlace::End => self.next.0 - 1,
            HistoryPlace::Id { stamp, offset } if query.is_backward => {
                let upto = |m: &&Message| (m.stamp, m.offset) <= (stamp, offset);
                self.messages.iter().rfind(upto).map_or(0, |m| m.position.0)
            }
            HistoryPlace::Id { stamp, offset } => {
                let from = |m: &&Message| (m.stamp, m.offset) >= (stamp, offset);
                self.messages.iter().find(from).map_or(self.next.0, |m| m.position.0)
            }
        }
    }

    fn answer(&self, query: &HistoryQuery) -> Vec<(u64, String)> {
        let begin = self.begin(query);
        let range = if query.is_backward {
            query.until.map_or(0, |until| until.0)..begin + 1
        } else {
            begin..query.until.map_or(u64::MAX, |until| until.0)
        };
        let is_wanted = |m: &&Message| {
            let is_matching = query.topics.iter().any(|p| p.matches(&topic(&m.uri)));
            m.is_here && is_matching && range.contains(&m.position.0)
        };
        let wanted = self.messages.iter().filter(is_wanted);
        let mut wanted: Vec<_> = wanted.map(|m| (m.position.0, m.uri.clone())).collect();
        if query.is_backward {
            wanted.reverse();
        }
        wanted
    }
}

/// Follows the batches to their end.
fn follow(store: &Store, query: &HistoryQuery, recent: &[Recent]) -> Vec<(u64, String)> {
    let mut query = query.clone();
    let mut got = Vec::new();
    for _ in 0..10_000 {
        let batch = store.history(&query, recent).expect("reads");
        let mut count = 0;
        for segment in batch.segments {
            let mut part = Vec::new();
            for (n, record) in (0..).zip(Records::new(&segment.records)) {
                let offset = segment.offsets.get(n).copied();
                let offset = offset.unwrap_or_else(|| u32::try_from(n).expect("small"));
                let uri = segment.topics[usize::from(record.topic)].uri.to_string();
                part.push((segment.first.plus(offset).0, uri));
            }
            assert!(segment.offsets.is_empty() || segment.offsets.len() == part.len());
            assert!(!part.is_empty());
            count += part.len();
            if query.is_backward {
                part.reverse();
            }
            got.extend(part);
        }
        assert!(count <= query.messages_max as usize);
        match batch.end {
            HistoryEnd::Next { next, is_end } => {
                query.from = HistoryPlace::Position(next);
                if is_end {
                    return got;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("the batches do not end")
}

/// Three days of segments of two groups; the last of them are not on disk yet.
fn build(bench: &mut Bench, random: &mut Random) -> (Model, Order, Vec<Recent>) {
    let uris: Vec<String> = (0..40)
        .map(|n| match n % 4 {
            0 => format!("a.{n}"),
            1 => format!("a.b.{n}"),
            2 => format!("{}.{n}", "long".repeat(130)),
            _ => format!("c{n}.b.x"),
        })
        .collect();
    let mut order = Order::new();
    let mut model = Model { messages: Vec::new(), next: Position::FIRST };
    let mut seq = 0;
    let mut recents = Vec::new();
    for of_day in 0..DAYS {
        let mut jobs = Vec::new();
        let is_last = of_day + 1 == DAYS;
        let on_disk = if is_last { random.below(36) } else { u64::MAX };
        for n in 0..5 + random.below(30) {
            seq += 1;
            let count = 1 + random.below(8);
            let all: Vec<&str> = (0..count).map(|_| uris[random.index(40)].as_str()).collect();
            let (meta, blob) = segment_of(1, seq, &all);
            let stamp = stamp(of_day, 10 * (n + 1));
            let is_here = random.percent(70);
            let body = if is_here { Body::Stored } else { Body::Elsewhere };
            if is_here {
                jobs.push(temporary(meta, &blob));
            }
            for (offset, uri) in (0..).zip(&all) {
                let position = order.next.plus(offset);
                let uri = (*uri).to_owned();
                model.messages.push(Message { position, stamp, offset, uri, is_here });
            }
            let place = order.place(meta, stamp, body);
            if n < on_disk {
                jobs.push(place);
            } else if let Job::Place(place) = place {
                let body = is_here.then(|| blob.open().expect("opens"));
                recents.push(Recent { first: place.first, row: place.row, body });
            }
        }
        bench.commit(&jobs, at(of_day, 500));
    }
    model.next = order.next;
    (model, order, recents)
}

fn query(model: &Model, random: &mut Random) -> HistoryQuery {
    let place = |random: &mut Random| Position(random.below(model.next.0 + 4));
    let from = match random.below(6) {
        0 => HistoryPlace::End,
        1..=3 => HistoryPlace::Position(place(random)),
        // A message, or none, and its time alone.
        _ => {
            let near = &model.messages[random.index(model.messages.len())];
            let stamp = match random.below(3) {
                0 => near.stamp,
                1 => near.stamp.just_below(),
                _ => Stamp(near.stamp.0 + 1),
            };
            HistoryPlace::Id { stamp, offset: u32::try_from(random.below(9)).expect("small") }
        }
    };
    let patterns = 1 + random.below(3);
    let topics = (0..patterns).map(|_| {
        let near = &model.messages[random.index(model.messages.len())].uri;
        match random.below(8) {
            0 => TopicPattern::all("r"),
            1 => TopicPattern::new("r", "a.", Match::Prefix),
            2 => TopicPattern::new("r", ".b.", Match::Wildcard),
            3 => TopicPattern::new("r", "a.", Match::Wildcard),
            4 => TopicPattern::new("r", "none", Match::Exact),
            5 => TopicPattern::new("other", near, Match::Exact),
            _ => TopicPattern::new("r", near, Match::Exact),
        }
    });
    let topics = topics.collect();
    let messages_max = [1, 2, 7, 1_000][random.index(4)];
    let bytes_max = [1, 60, 500, 1 << 20][random.index(4)];
    let until = random.percent(40).then(|| place(random));
    let is_backward = random.percent(50);
    HistoryQuery { from, is_backward, until, topics, messages_max, bytes_max }
}

fn compare(seed: u64) {
    let dir = tempfile::tempdir().expect("dir");
    let mut random = Random(seed);
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let (model, _, recent) = build(&mut bench, &mut random);
    for _ in 0..150 {
        let query = query(&model, &mut random);
        let wanted = model.answer(&query);
        assert_eq!(follow(&bench.store, &query, &recent), wanted, "seed {seed}, {query:?}");
    }
}

/// A seed that fails is printed, and becomes a test of its own.
#[test]
fn batches_followed_to_their_end_are_what_a_naive_reader_finds() {
    (1..=12).for_each(compare);
}

#[test]
fn more_topics_than_the_index_is_asked_for_are_read_by_the_order() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    let uris: Vec<String> = (0..600).map(|n| format!("a.{n:03}")).collect();
    for (seq, some) in (1..).zip(uris.chunks(10)) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        bench.put(&mut order, &segment_of(1, seq, &some), stamp(0, seq));
    }
    for is_backward in [false, true] {
        let from = if is_backward { 600 } else { 1 };
        let query = HistoryQuery {
            from: HistoryPlace::Position(Position(from)),
            is_backward,
            until: None,
            topics: vec![TopicPattern::new("r", "a.", Match::Prefix)],
            messages_max: 64,
            bytes_max: 1 << 20,
        };
        let mut got = follow(&bench.store, &query, &[]);
        if is_backward {
            got.reverse();
        }
        assert_eq!(got, (1..).zip(uris.iter().cloned()).collect::<Vec<_>>());
    }
}

fn all_from(from: u64, is_backward: bool) -> HistoryQuery {
    HistoryQuery {
        from: HistoryPlace::Position(Position(from)),
        is_backward,
        until: None,
        topics: vec![TopicPattern::all("r")],
        messages_max: 1_000,
        bytes_max: 1 << 20,
    }
}

#[test]
fn what_is_missing_or_damaged_stops_a_batch_there_and_nothing_is_passed_over() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    let segments: Vec<_> = (1..=5).map(|seq| segment(seq, 2)).collect();
    for (seq, segment) in (1..).zip(&segments) {
        bench.put(&mut order, segment, stamp(0, seq));
    }
    let env = bench.env(0);
    let batch = |from, is_backward, topics: TopicPattern| {
        let query = HistoryQuery { topics: vec![topics], ..all_from(from, is_backward) };
        let batch = bench.store.history(&query, &[]).expect("reads");
        let firsts: Vec<_> = batch.segments.iter().map(|segment| segment.first.0).collect();
        (firsts, batch.end, batch.damaged)
    };
    let exact = || TopicPattern::new("r", "t", Match::Exact);
    flip(&env, env.blobs, &segments[2].0.id.to_key());
    let damaged = Some(order.rows[2]);
    for how in [TopicPattern::all("r"), exact()] {
        let end = |next| HistoryEnd::Unavailable { next: Position(next) };
        assert_eq!(batch(1, false, how.clone()), (vec![1, 3], end(5), damaged));
        assert_eq!(batch(10, true, how.clone()), (vec![9, 7], end(6), damaged));
        assert_eq!(batch(6, false, how), (vec![], end(6), damaged));
    }
    remove(&env, env.blobs, &segments[2].0.id.to_key());
    let end = HistoryEnd::Unavailable { next: Position(5) };
    assert_eq!(batch(1, false, exact()), (vec![1, 3], end, None));
}

#[test]
fn a_damaged_row_of_the_order_is_named_by_where_it_begins() {
    for broken in [0, 2, 3, 5] {
        for is_removed in [false, true] {
            for is_reopened in [false, true] {
                damaged_row(broken, is_removed, is_reopened);
            }
        }
    }
}

/// Two days of three segments of two messages; the row `broken` is damaged.
fn damaged_row(broken: usize, is_removed: bool, is_reopened: bool) {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    for n in 0..6 {
        bench.put(&mut order, &segment(n + 1, 2), stamp(u32::from(n >= 3), n));
    }
    let env = bench.env(u32::from(broken >= 3));
    let at_row = order.rows[broken].0;
    if is_removed {
        remove(&env, env.order, &key_of(at_row));
    } else {
        flip(&env, env.order, &key_of(at_row));
    }
    drop(env);
    let what = format!("row {broken}, removed {is_removed}, reopened {is_reopened}");
    if is_reopened {
        // A first row that is gone, and a last one, look like an order that is shorter.
        if broken == 5 || is_removed && broken == 0 {
            return;
        }
        bench = bench.reopen(dir.path(), at(1, 99));
    }
    let named = |read: Result<(), StoreError>| match read {
        Err(StoreError::Order(at)) => assert_eq!(at, at_row, "{what}"),
        other => panic!("{what}: {other:?}"),
    };
    let read = |query: HistoryQuery| bench.store.history(&query, &[]).map(|_batch| ());
    for within in [0, 1] {
        named(bench.store.rows_from(at_row.plus(within), 9).map(|_rows| ()));
    }
    for topics in [TopicPattern::all("r"), TopicPattern::new("r", "t", Match::Exact)] {
        for (from, is_backward) in [(1, false), (at_row.0 + 1, false), (12, true), (at_row.0, true)]
        {
            named(read(HistoryQuery {
                topics: vec![topics.clone()],
                ..all_from(from, is_backward)
            }));
        }
    }
}

#[test]
fn before_the_first_day_that_is_left_a_reader_hears_where_it_begins() {
    let dir = tempfile::tempdir().expect("dir");
    let mut random = Random(77);
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let (mut model, order, recent) = build(&mut bench, &mut random);
    bench.commit(&[Job::Trim { keep_from: day(1) }], at(2, 600));
    let base = bench.store.base();
    let of_base = order.rows.iter().rfind(|(_, row)| row.elected.stamp() < stamp(1, 0));
    assert_eq!(Some(base.chain), of_base.map(|(_, row)| row.chain));
    let trimmed = HistoryEnd::Trimmed { first: base.next };
    for is_backward in [false, true] {
        for from in [1, base.next.0 - 1] {
            let batch = bench.store.history(&all_from(from, is_backward), &[]).expect("reads");
            assert_eq!((batch.segments.len(), batch.end), (0, trimmed));
        }
        for stamp in [stamp(0, 1), base.stamp] {
            let from = HistoryPlace::Id { stamp, offset: 0 };
            let query = HistoryQuery { from, ..all_from(0, is_backward) };
            assert_eq!(bench.store.history(&query, &[]).expect("reads").end, trimmed);
        }
    }
    let batch = bench.store.history(&all_from(0, false), &[]).expect("reads");
    assert_eq!(batch.end, trimmed);
    // What is left reads as before, and backward reading ends at the base.
    model.messages.retain(|message| message.position >= base.next);
    for _ in 0..100 {
        let mut query = query(&model, &mut random);
        if model.begin(&query) < base.next.0 {
            query.from = HistoryPlace::Position(base.next);
        }
        assert_eq!(follow(&bench.store, &query, &recent), model.answer(&query), "{query:?}");
    }
}

/// Found under full disks: a segment that is placed and missing is not in the index, and readers of
/// its topic went by it.
#[test]
fn a_missing_segment_stops_readers_of_a_topic_that_the_index_does_not_have_it_under() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    let segments: Vec<_> = (1..=3).map(|seq| segment_of(1, seq, &["t"])).collect();
    bench.put(&mut order, &segments[0], stamp(0, 1));
    let missing = order.place(segments[1].0, stamp(0, 2), Body::Missing);
    bench.commit(&[missing], at(0, 2));
    bench.put(&mut order, &segments[2], stamp(0, 3));
    let topics = vec![TopicPattern::new("r", "t", Match::Exact)];
    for (from, is_backward, got) in [(1, false, 1), (3, true, 3)] {
        let query = HistoryQuery { topics: topics.clone(), ..all_from(from, is_backward) };
        let batch = bench.store.history(&query, &[]).expect("reads");
        let firsts: Vec<_> = batch.segments.iter().map(|segment| segment.first.0).collect();
        let end = HistoryEnd::Unavailable { next: Position(2) };
        assert_eq!((firsts, batch.end), (vec![got], end));
    }
}
