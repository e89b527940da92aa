//! Stores on real LMDB, in temporary directories, written by hand at hand-driven times.

mod basics;
mod blobs;
mod changing;
mod days;
mod extend;
mod growth;
mod history;
mod index;
mod journal;
mod keys;
mod places;
mod repair;
mod retention;
mod room;
mod topics;

use heed::Database;
use heed::types::Bytes as Raw;

use vixen_core::id::{Digest, Lane, MapVersion, Shard};
use vixen_core::segment::{
    Blob, Challenger, Elected, Encoding, Record, RecordFlags, SegmentBuilder, SegmentMeta, Topic,
};

use super::write::Memory;
use super::*;
use vixen_replica::{self, Body, Committed, Finding, Job, Lost, Mark, OrderRow, Place};

const BYTES_MAX: u64 = 256 << 20;

fn options() -> StoreOptions {
    StoreOptions { group: GroupId(0), bytes_max: BYTES_MAX, fsync: false, has_peers: true }
}

fn owner(n: u128) -> OwnerId {
    OwnerId(uuid::Uuid::from_u128(n))
}

fn topic(uri: &str) -> Topic {
    Topic::new("r", uri)
}

/// A segment of `owner(of)` with one message for each of `uris`.
fn segment_of(of: u128, seq: u64, uris: &[&str]) -> (SegmentMeta, Blob) {
    segment_with(of, seq, uris, b"[1]")
}

fn segment_with(of: u128, seq: u64, uris: &[&str], payload: &[u8]) -> (SegmentMeta, Blob) {
    let id = SegmentId { owner: owner(of), seq: Seq(seq) };
    let mut builder = SegmentBuilder::new(id, Shard(0), MapVersion(1));
    for uri in uris {
        let record = Record {
            topic: 0,
            content: Encoding::Json.into(),
            flags: RecordFlags::default(),
            session: seq,
            attributes: &[],
            payload,
        };
        builder.push(&topic(uri), record);
    }
    let chunk = builder.close();
    (chunk.meta, Blob::assemble(&chunk.topics, &[&chunk.records]))
}

/// A segment of `owner(1)` with `count` messages of one topic.
fn segment(seq: u64, count: usize) -> (SegmentMeta, Blob) {
    segment_of(1, seq, &vec!["t"; count])
}

/// Day `n` of the tests.
fn day(n: u32) -> UtcDay {
    let first: UtcDay = "2026-11-19".parse().expect("a date");
    UtcDay(first.0 + n)
}

fn at(n: u32, millis: u64) -> WallTime {
    day(n).start().plus_millis(millis)
}

fn stamp(n: u32, millis: u64) -> Stamp {
    Stamp::at(at(n, millis), Lane::new(0).expect("a lane"))
}

fn elected(meta: SegmentMeta, stamp: Stamp, group: u16) -> Elected {
    Elected { meta, challenger: Challenger { stamp, group: GroupId(group) } }
}

fn temporary(meta: SegmentMeta, blob: &Blob) -> Job {
    Job::Store(vixen_replica::Store { meta, blob: blob.clone(), mark: Mark::Temporary })
}

/// The order as it should be.
#[derive(Clone, Debug)]
struct Order {
    next: Position,
    chain: Digest,
    rows: Vec<(Position, OrderRow)>,
}

impl Order {
    const fn new() -> Self {
        Self { next: Position::FIRST, chain: Digest([0; 16]), rows: Vec::new() }
    }

    fn place(&mut self, meta: SegmentMeta, stamp: Stamp, body: Body) -> Job {
        let group = u16::from(body == Body::Elsewhere);
        let row = OrderRow::chained(self.chain, elected(meta, stamp, group));
        let first = self.next;
        self.rows.push((first, row));
        (self.next, self.chain) = (first.plus(meta.count), row.chain);
        Job::Place(Place { first, row, body })
    }

    fn head(&self) -> OrderBase {
        let stamp = self.rows.last().map_or(Stamp::ZERO, |(_, row)| row.elected.stamp());
        OrderBase { next: self.next, stamp, chain: self.chain }
    }

    /// The segments from the one that begins at `first` on.
    fn elected_from(&self, first: Position) -> Vec<Elected> {
        let rows = self.rows.iter().filter(|(at, _)| *at >= first);
        rows.map(|(_, row)| row.elected).collect()
    }
}

/// A store, and what its writer remembers.
struct Bench {
    store: Arc<Store>,
    memory: Memory,
}

impl Bench {
    fn open(dir: &Path, now: WallTime) -> Self {
        let store = Arc::new(Store::open(dir, options(), now).expect("opens"));
        let memory = Memory::recover(&store).expect("reads");
        Self { store, memory }
    }

    /// Closes it and opens it again.
    fn reopen(self, dir: &Path, now: WallTime) -> Self {
        drop(self);
        Self::open(dir, now)
    }

    fn commit(&mut self, jobs: &[Job], now: WallTime) -> Committed {
        self.store.commit(&mut self.memory, jobs, now).expect("a commit")
    }

    /// Stores a segment and places it, all at the time of its stamp.
    fn put(&mut self, order: &mut Order, (meta, blob): &(SegmentMeta, Blob), stamp: Stamp) {
        let place = order.place(*meta, stamp, Body::Stored);
        self.commit(&[temporary(*meta, blob), place], stamp.wall_time());
    }

    /// What the node does when the index of day 0 is at odds. Whether that has helped.
    #[must_use]
    fn index_anew(&mut self, meanwhile: impl FnOnce(&Self)) -> bool {
        let day = day(0);
        let begun = self.commit(&[Job::IndexAnew { day, begins: true }], at(0, 98));
        assert_eq!(begun.index_begun, [day]);
        let mut jobs = Vec::new();
        let look_up = |finding| match finding {
            Finding::NotIndexed { first, elected } => jobs.push(Job::Index { first, elected }),
            other => panic!("{other:?}"),
        };
        self.store.look_up(day, look_up).expect("reads");
        self.commit(&jobs, at(0, 98));
        meanwhile(self);
        let ended = self.commit(&[Job::IndexAnew { day, begins: false }], at(0, 99));
        ended.index_at_odds.is_empty()
    }

    fn env(&self, n: u32) -> Arc<DayEnv> {
        Arc::clone(self.store.days().envs.get(&day(n)).expect("the day is there"))
    }

    fn days(&self) -> Vec<UtcDay> {
        self.store.day_bytes().into_iter().map(|(day, _)| day).collect()
    }

    fn rows(&self, from: Position) -> Vec<(Position, OrderRow)> {
        self.store.rows_from(from, usize::MAX).expect("reads")
    }

    fn recovered(&self) -> Recovered {
        self.store.recover().expect("reads")
    }

    fn placed_blob(&self, stamp: Stamp, meta: &SegmentMeta) -> Option<Blob> {
        self.store.placed_blob(stamp, meta).expect("reads")
    }
}

type Dump = Vec<(Vec<u8>, Vec<u8>)>;

/// All rows of a database as they are on disk.
fn dump(env: &DayEnv, of: Database<Raw, Raw>) -> Dump {
    let txn = env.read().expect("reads");
    let rows = of.iter(&txn).expect("reads").map(|row| row.expect("a row"));
    rows.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// Changes one bit of a stored value.
fn flip(env: &DayEnv, of: Database<Raw, Raw>, key: &[u8]) {
    let mut txn = env.env.write_txn().expect("a transaction");
    let mut value = of.get(&txn, key).expect("reads").expect("a row").to_vec();
    let at = value.len() / 2;
    value[at] ^= 4;
    of.put(&mut txn, key, &value).expect("writes");
    txn.commit().expect("a commit");
}

fn remove(env: &DayEnv, of: Database<Raw, Raw>, key: &[u8]) {
    let mut txn = env.env.write_txn().expect("a transaction");
    assert!(of.delete(&mut txn, key).expect("writes"), "there was a row");
    txn.commit().expect("a commit");
}

fn key_of(position: Position) -> [u8; 8] {
    position.0.to_be_bytes()
}

/// Numbers that look random; the same for the same seed (SplitMix64).
struct Random(u64);

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).expect("below a length")
    }

    const fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}
