//! A topic index that has lost something: reads by topic leave nothing out, tell of it, and it is made anew.

use vixen_core::segment::{Match, TopicPattern};
use vixen_core::wire::{HistoryEnd, HistoryPlace, HistoryQuery, TailSegment};

use super::*;

const SEGMENTS: u64 = 8;
const FILE: &str = "data.mdb";

/// A day of segments, of which each has some of the topics.
struct Indexed {
    dir: tempfile::TempDir,
    bench: Bench,
    order: Order,
    /// The writer has found the index at odds.
    is_told: bool,
    /// Positions of the messages of each topic.
    wanted: Vec<(&'static str, Vec<u64>)>,
}

impl Indexed {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let bench = Bench::open(dir.path(), at(0, 0));
        let wanted = ["a", "b", "c", "none"].map(|uri| (uri, Vec::new())).into();
        let mut new = Self { dir, bench, order: Order::new(), is_told: false, wanted };
        (1..=SEGMENTS).for_each(|n| new.put(n));
        new
    }

    /// Stores one more segment.
    fn put(&mut self, n: u64) {
        let of = [("a", 1), ("b", 2), ("c", 3)];
        let uris: Vec<_> =
            of.iter().filter(|(_, each)| n.is_multiple_of(*each)).map(|of| of.0).collect();
        for (at, uri) in (self.order.next.0..).zip(&uris) {
            let (_, positions) =
                self.wanted.iter_mut().find(|(wanted, _)| wanted == uri).expect("one of them");
            positions.push(at);
        }
        let (meta, blob) = segment_of(1, n, &uris);
        let place = self.order.place(meta, stamp(0, n), Body::Stored);
        let committed = self.bench.commit(&[temporary(meta, &blob), place], at(0, n));
        self.is_told |= !committed.index_at_odds.is_empty();
    }

    /// The same store in another directory, of which the file is changed.
    fn changed(&self, change: impl Fn(&mut Vec<u8>)) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let day = day(0).to_string();
        std::fs::create_dir(dir.path().join(&day)).expect("made");
        let mut file = std::fs::read(self.dir.path().join(&day).join(FILE)).expect("reads");
        change(&mut file);
        std::fs::write(dir.path().join(&day).join(FILE), file).expect("writes");
        let bench = Bench::open(dir.path(), at(0, 99));
        Self { dir, bench, order: self.order.clone(), is_told: false, wanted: self.wanted.clone() }
    }

    /// The same store in another directory, of which rows are gone.
    fn without(&self, gone: &Dump, table: fn(&DayEnv) -> Database<Raw, Raw>) -> Self {
        let changed = self.changed(|_| {});
        let env = changed.bench.env(0);
        gone.iter().for_each(|(key, _)| remove(&env, table(&env), key));
        changed
    }

    /// Reads each topic from each position on, both ways: nothing is left out. Whether any read told of the
    /// index.
    fn read(&self, what: &str) -> bool {
        let mut told = false;
        for (uri, positions) in &self.wanted {
            for from in 1..self.order.next.0 {
                for is_backward in [false, true] {
                    let query = HistoryQuery {
                        from: HistoryPlace::Position(Position(from)),
                        is_backward,
                        until: None,
                        topics: vec![TopicPattern::new("r", uri, Match::Exact)],
                        messages_max: 99,
                        bytes_max: 1 << 20,
                    };
                    let batch = self.bench.store.history(&query, &[]).expect("reads");
                    let mut found: Vec<_> = batch.segments.iter().flat_map(messages_of).collect();
                    found.sort_unstable();
                    let in_range =
                        |at: &&u64| if is_backward { **at <= from } else { **at >= from };
                    let wanted: Vec<_> = positions.iter().filter(in_range).copied().collect();
                    assert_eq!(found, wanted, "{what}: {uri} from {from}, backward: {is_backward}");
                    let has_ended = matches!(batch.end, HistoryEnd::Next { is_end: true, .. });
                    assert!(has_ended, "{what}: {:?}", batch.end);
                    told |= batch.at_odds.is_some();
                }
            }
        }
        told
    }

    /// What the scrub, or the writer, has the node do: it finds the index at odds, and makes it anew.
    fn mend(&mut self, what: &str) {
        let step = self.bench.store.scrub(Position::FIRST, None, u64::MAX).expect("reads");
        let not_indexed = step.findings.into_iter().filter_map(|finding| match finding {
            Finding::NotIndexed { first, elected } => Some(Job::Index { first, elected }),
            _other => None,
        });
        let committed = self.bench.commit(&not_indexed.collect::<Vec<_>>(), at(0, 97));
        self.is_told |= !committed.index_at_odds.is_empty();
        assert!(self.is_told, "{what}: the scrub did not find it");
        assert!(self.bench.index_anew(|_| {}), "{what}");
    }

    /// Nothing is left out while the index is at odds, while it is mended, and afterwards; the next segments
    /// are found as well.
    fn notice_and_mend(mut self, what: &str) {
        assert!(self.read(what), "{what}: no reader noticed");
        self.put(SEGMENTS + 1);
        self.mend_and_read(what);
    }

    /// Nothing is left out until it is mended, and afterwards.
    fn mend_and_read(mut self, what: &str) {
        self.read(what);
        self.mend(what);
        self.put(SEGMENTS + 2);
        assert!(!self.read(what), "{what}: at odds for ever");
        let step = self.bench.store.scrub(Position::FIRST, None, u64::MAX).expect("reads");
        assert_eq!(step.findings, [], "{what}");
    }
}

fn messages_of(segment: &TailSegment) -> Vec<u64> {
    let offsets = if segment.offsets.is_empty() {
        (0..segment.count).collect()
    } else {
        segment.offsets.clone()
    };
    offsets.into_iter().map(|offset| segment.first.plus(offset).0).collect()
}

/// Runs of rows: each alone, with its neighbour, and all from it on.
fn runs(rows: &Dump) -> impl Iterator<Item = Dump> {
    (0..rows.len()).flat_map(|first| {
        [1, 2, rows.len()].map(|many| rows[first..rows.len().min(first + many)].to_vec())
    })
}

#[test]
fn an_index_that_is_whole_is_gone_by() {
    let indexed = Indexed::new();
    assert!(!indexed.read("whole"));
    assert!(!indexed.changed(|_| {}).read("opened again"));
}

#[test]
fn rows_that_are_gone_from_the_topic_index_hide_nothing() {
    let indexed = Indexed::new();
    let rows = dump(&indexed.bench.env(0), indexed.bench.env(0).topic_rows);
    for gone in runs(&rows) {
        let what = format!("without rows {gone:?}");
        indexed.without(&gone, |env| env.topic_rows).notice_and_mend(&what);
    }
}

#[test]
fn names_that_are_gone_from_the_topic_index_hide_nothing() {
    let indexed = Indexed::new();
    let names = dump(&indexed.bench.env(0), indexed.bench.env(0).topics);
    for gone in runs(&names) {
        let what = format!("without names {gone:?}");
        indexed.without(&gone, |env| env.topics).notice_and_mend(&what);
    }
}

/// A search that comes by the row is led astray.
#[test]
fn bits_that_flip_in_the_topic_index_hide_nothing() {
    let indexed = Indexed::new();
    let env = indexed.bench.env(0);
    let rows = [dump(&env, env.topic_rows), dump(&env, env.topics)].concat();
    for (key, value) in rows {
        let row = [&key[..], &value[..]].concat();
        for byte in 0..row.len() {
            let bit = 1 << (byte % 8);
            let changed = indexed.changed(|file| {
                let places: Vec<_> = (0..file.len() - row.len())
                    .filter(|at| file[*at..].starts_with(&row))
                    .collect();
                assert!(!places.is_empty(), "{row:?} is nowhere in the file");
                places.iter().for_each(|at| file[at + byte] ^= bit);
            });
            changed.notice_and_mend(&format!("bit of byte {byte} of {row:?}"));
        }
    }
}

/// As an earlier version has left it.
#[test]
fn the_index_of_a_store_of_the_format_before_is_made_anew() {
    let mut indexed = Indexed::new();
    let env = indexed.bench.env(0);
    let rows = dump(&env, env.topic_rows);
    let mut txn = env.env.write_txn().expect("a transaction");
    env.clear_index(&mut txn).expect("clears");
    // Numbers of then, whose rows had a checksum only, and names that told of no generation.
    for (key, _) in rows.iter().filter(|(key, _)| !key.ends_with(&[0xff; 8])) {
        env.topic_rows.put(&mut txn, key, &Digest::of(&[key]).0[..4]).expect("writes");
    }
    for (number, uri) in (0u8..).zip(["a", "b", "c"]) {
        let (key, value) =
            ([b"r\0", uri.as_bytes()].concat(), [number, 1, b'r', 1, uri.as_bytes()[0]]);
        let check = Digest::of(&[&key, &value]).0;
        env.topics.put(&mut txn, &key, &[&value[..], &check[..8]].concat()).expect("writes");
    }
    env.meta.delete(&mut txn, b"index").expect("deletes");
    env.meta.put(&mut txn, b"format", &[3]).expect("writes");
    txn.commit().expect("a commit");
    drop(env);
    indexed.bench = indexed.bench.reopen(indexed.dir.path(), at(0, 99));
    // Its first commit says so.
    assert!(!indexed.read("of format 3"), "known from the start");
    indexed.put(SEGMENTS + 1);
    assert!(indexed.is_told);
    indexed.mend_and_read("of format 3");
}
