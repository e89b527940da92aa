//! Writes stores row by row, as a node does, as far as the tools look at them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use heed::types::Bytes as Raw;
use heed::{Database, Env, EnvOpenOptions, RwTxn, WithoutTls};
use serde::Serialize;

use vixen_core::id::{
    Digest, GroupId, Lane, MapVersion, OwnerId, PermanentId, Position, SegmentId, Seq, Shard, Stamp,
};
use vixen_core::segment::{
    Blob, Challenger, Elected, Encoding, Record, RecordFlags, SegmentBuilder, SegmentMeta, Topic,
};
use vixen_core::time::{UtcDay, WallTime};
use vixen_replica::{Lost, OrderRow};

const DATABASES: [&str; 8] =
    ["meta", "temporary", "blobs", "order", "missing", "owners", "topics", "topic-rows"];
const FORMAT: u8 = 5;
const MAP_BYTES: usize = 1 << 30;

/// One day of a store, open for writing.
pub(crate) struct Day {
    pub(crate) env: Env<WithoutTls>,
    pub(crate) databases: BTreeMap<&'static str, Database<Raw, Raw>>,
}

/// Writes a store as a node does, as far as the tools look at it.
pub(crate) struct Writer {
    pub(crate) dir: PathBuf,
    pub(crate) days: BTreeMap<UtcDay, Day>,
    pub(crate) topics: BTreeMap<UtcDay, Indexed>,
    pub(crate) next: Position,
    pub(crate) chain: Digest,
    pub(crate) seq: u64,
    /// What a dump should print.
    pub(crate) lines: Vec<String>,
}

/// The topics of a day: the number of each, and where its segments begin.
type Indexed = BTreeMap<String, (u32, Vec<Position>)>;

/// What becomes of a segment.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    Whole,
    Missing,
    OtherGroup,
}

pub(crate) fn encode<T: Serialize>(key: &[u8], value: &T) -> Vec<u8> {
    let mut row = postcard::to_stdvec(value).expect("encodes");
    row.extend_from_slice(&Digest::of(&[key, &row]).0[..8]);
    row
}

impl Day {
    pub(crate) fn open(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).expect("a directory");
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(MAP_BYTES).max_dbs(8).max_readers(1_024);
        #[expect(unsafe_code, reason = "opening LMDB")]
        // SAFETY: the directory is the test's own, and opened once in this process.
        let env = unsafe { options.open(dir) }.expect("opens");
        let mut txn = env.write_txn().expect("begins");
        let databases: BTreeMap<_, Database<Raw, Raw>> = DATABASES
            .map(|name| (name, env.create_database(&mut txn, Some(name)).expect("a database")))
            .into();
        databases["meta"].put(&mut txn, b"format", &[FORMAT]).expect("puts");
        databases["meta"].put(&mut txn, b"store-id", &[7; 16]).expect("puts");
        txn.commit().expect("commits");
        Self { env, databases }
    }

    pub(crate) fn put(&self, txn: &mut RwTxn<'_>, database: &str, key: &[u8], value: &[u8]) {
        self.databases[database].put(txn, key, value).expect("puts");
    }

    /// Writes all of the topic index.
    fn put_index(&self, txn: &mut RwTxn<'_>, indexed: &Indexed) {
        let numbers = u32::try_from(indexed.len()).expect("few");
        self.put(txn, "meta", b"index", &encode(b"index", &(0u32, 0u32, numbers)));
        let mut link = [0; 8];
        let end = (String::new(), u32::MAX, b"\xff\0\0\0\0\xff".to_vec());
        let named = indexed.iter().map(|(uri, (number, _))| {
            (uri.clone(), *number, [b"\xff\0\0\0\0realm1\0", uri.as_bytes()].concat())
        });
        for (uri, number, key) in named.chain([end]) {
            let realm = if uri.is_empty() { "" } else { "realm1" };
            self.put(txn, "topics", &key, &encode(&key, &(number, realm, uri, link)));
            link.copy_from_slice(&Digest::of(&[&key]).0[..8]);
        }
        for (number, rows) in indexed.values() {
            let mut before = 0u64.to_be_bytes();
            for first in rows.iter().copied().chain([Position(u64::MAX)]) {
                let key = [&number.to_be_bytes()[..], &first.0.to_be_bytes()].concat();
                let check = Digest::of(&[&key, &before]).0;
                self.put(txn, "topic-rows", &key, &[&check[..4], &before].concat());
                before = first.0.to_be_bytes();
            }
        }
    }

    /// One change by itself.
    pub(crate) fn change(&self, change: impl FnOnce(&Self, &mut RwTxn<'_>)) {
        let mut txn = self.env.write_txn().expect("begins");
        change(self, &mut txn);
        txn.commit().expect("commits");
    }

    pub(crate) fn value(&self, database: &str, key: &[u8]) -> Vec<u8> {
        let txn = self.env.read_txn().expect("begins");
        self.databases[database].get(&txn, key).expect("reads").expect("is there").to_vec()
    }
}

impl Writer {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            days: BTreeMap::new(),
            topics: BTreeMap::new(),
            next: Position::FIRST,
            chain: Digest::default(),
            seq: 0,
            lines: Vec::new(),
        }
    }

    pub(crate) fn segment(&mut self, messages: &[(&str, &str)]) -> (SegmentMeta, Blob, Vec<Topic>) {
        self.seq += 1;
        let owner = OwnerId(uuid::Uuid::from_u128(1));
        let id = SegmentId { owner, seq: Seq(self.seq) };
        let mut builder = SegmentBuilder::new(id, Shard(5), MapVersion(2));
        for (uri, payload) in messages {
            let (content, flags) = (Encoding::Json.into(), RecordFlags::default());
            let payload = payload.as_bytes();
            let record =
                Record { topic: 0, content, flags, session: 1 << 52, attributes: &[], payload };
            builder.push(&Topic::new("realm1", uri), record);
        }
        let chunk = builder.close();
        let blob = Blob::assemble(&chunk.topics, &[&chunk.records]);
        (chunk.meta, blob, chunk.topics)
    }

    pub(crate) fn day(&mut self, name: UtcDay) -> &Day {
        let dir = self.dir.join(name.to_string());
        self.days.entry(name).or_insert_with(|| Day::open(&dir))
    }

    /// Places a segment, `ms` after the day's begin; its row's position.
    pub(crate) fn place(
        &mut self,
        day: &str,
        ms: u64,
        messages: &[(&str, &str)],
        fate: Fate,
    ) -> Position {
        let (meta, blob, topics) = self.segment(messages);
        let name: UtcDay = day.parse().expect("a day");
        let at = WallTime(name.start().0 + ms);
        let stamp = Stamp::at(at, Lane::new(1).expect("a lane"));
        let group = GroupId(u16::from(fate == Fate::OtherGroup));
        let elected = Elected { meta, challenger: Challenger { stamp, group } };
        let (first, row) = (self.next, OrderRow::chained(self.chain, elected));
        if fate == Fate::Whole {
            let indexed = self.topics.entry(name).or_default();
            for topic in &topics {
                let next = u32::try_from(indexed.len()).expect("few");
                let of_topic = indexed.entry(topic.uri.to_string());
                of_topic.or_insert((next, Vec::new())).1.push(first);
            }
        }
        let indexed = self.topics.get(&name).cloned().unwrap_or_default();
        let day = self.day(name);
        day.change(|day, txn| {
            let (key, segment) = (first.0.to_be_bytes(), meta.id.to_key());
            day.put(txn, "order", &key, &encode(&key, &row));
            let owner = meta.id.owner.0.as_bytes();
            day.put(txn, "owners", owner, &encode(owner, &(meta.id.seq, stamp)));
            match fate {
                Fate::OtherGroup => {}
                Fate::Missing => {
                    let lost = Lost { meta, first, stamp };
                    day.put(txn, "missing", &segment, &encode(&segment, &lost));
                }
                Fate::Whole => {
                    day.put(txn, "blobs", &segment, blob.as_bytes());
                    day.put_index(txn, &indexed);
                }
            }
        });
        (self.next, self.chain) = (first.plus(meta.count), row.chain);
        if fate == Fate::Whole {
            self.expect_lines(first, stamp, &format!("{name}T00:00:00.{ms:03}Z"), messages);
        }
        first
    }

    pub(crate) fn expect_lines(
        &mut self,
        first: Position,
        stamp: Stamp,
        time: &str,
        of: &[(&str, &str)],
    ) {
        for (offset, (uri, payload)) in (0..).zip(of) {
            let id = PermanentId { stamp, offset };
            let (args, kwargs) = match *payload {
                "" => ("[]", "{}"),
                payload => payload.split_once("],{").map_or((payload, "{}"), |(args, kwargs)| {
                    (&payload[..=args.len()], &payload[payload.len() - kwargs.len() - 1..])
                }),
            };
            self.lines.push(format!(
                "{{\"position\":{},\"id\":\"{id}\",\"time\":\"{time}\",\"realm\":\"realm1\",\
                 \"topic\":\"{uri}\",\"session\":4503599627370496,\"args\":{args},\
                 \"kwargs\":{kwargs}}}",
                first.plus(offset),
            ));
        }
    }

    /// Stores a segment that waits for its place.
    pub(crate) fn keep(&mut self, day: &str) -> SegmentId {
        let (meta, blob, _) = self.segment(&[("com.wait", "[0]")]);
        self.day(day.parse().expect("a day")).change(|day, txn| {
            let key = meta.id.to_key();
            day.put(txn, "temporary", &key, &encode(&key, &meta));
            day.put(txn, "blobs", &key, blob.as_bytes());
        });
        meta.id
    }
}
