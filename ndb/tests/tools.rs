//! The tools of `vixen-ndb` on stores that are written here, row by row, while they look.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

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
use vixen_core::wire::OrderBase;
use vixen_replica::{Lost, OrderRow};

const DATABASES: [&str; 8] =
    ["meta", "temporary", "blobs", "order", "missing", "owners", "topics", "topic-rows"];
const FORMAT: u8 = 3;
const MAP_BYTES: usize = 1 << 30;

/// One day of a store, open for writing.
struct Day {
    env: Env<WithoutTls>,
    databases: BTreeMap<&'static str, Database<Raw, Raw>>,
}

/// Writes a store as a node does, as far as the tools look at it.
struct Writer {
    dir: PathBuf,
    days: BTreeMap<UtcDay, Day>,
    topics: BTreeMap<(UtcDay, String), u32>,
    next: Position,
    chain: Digest,
    seq: u64,
    /// What a dump should print.
    lines: Vec<String>,
}

/// What becomes of a segment.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Whole,
    Missing,
    OtherGroup,
}

fn encode<T: Serialize>(key: &[u8], value: &T) -> Vec<u8> {
    let mut row = postcard::to_stdvec(value).expect("encodes");
    row.extend_from_slice(&Digest::of(&[key, &row]).0[..8]);
    row
}

impl Day {
    fn open(dir: &Path) -> Self {
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

    fn put(&self, txn: &mut RwTxn<'_>, database: &str, key: &[u8], value: &[u8]) {
        self.databases[database].put(txn, key, value).expect("puts");
    }

    /// One change by itself.
    fn change(&self, change: impl FnOnce(&Self, &mut RwTxn<'_>)) {
        let mut txn = self.env.write_txn().expect("begins");
        change(self, &mut txn);
        txn.commit().expect("commits");
    }

    fn value(&self, database: &str, key: &[u8]) -> Vec<u8> {
        let txn = self.env.read_txn().expect("begins");
        self.databases[database].get(&txn, key).expect("reads").expect("is there").to_vec()
    }
}

impl Writer {
    fn new(dir: &Path) -> Self {
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

    fn segment(&mut self, messages: &[(&str, &str)]) -> (SegmentMeta, Blob, Vec<Topic>) {
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

    fn day(&mut self, name: UtcDay) -> &Day {
        let dir = self.dir.join(name.to_string());
        self.days.entry(name).or_insert_with(|| Day::open(&dir))
    }

    /// Places a segment, `ms` after the day's begin; its row's position.
    fn place(&mut self, day: &str, ms: u64, messages: &[(&str, &str)], fate: Fate) -> Position {
        let (meta, blob, topics) = self.segment(messages);
        let name: UtcDay = day.parse().expect("a day");
        let at = WallTime(name.start().0 + ms);
        let stamp = Stamp::at(at, Lane::new(1).expect("a lane"));
        let group = GroupId(u16::from(fate == Fate::OtherGroup));
        let elected = Elected { meta, challenger: Challenger { stamp, group } };
        let (first, row) = (self.next, OrderRow::chained(self.chain, elected));
        let numbers: Vec<_> = topics
            .iter()
            .map(|topic| {
                let next = u32::try_from(self.topics.len()).expect("few");
                *self.topics.entry((name, topic.uri.to_string())).or_insert(next)
            })
            .collect();
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
                    for (topic, number) in topics.iter().zip(&numbers) {
                        let name = [topic.realm.as_bytes(), topic.uri.as_bytes()].join(&0);
                        let value = (number, topic.realm.clone(), topic.uri.clone());
                        day.put(txn, "topics", &name, &encode(&name, &value));
                        let key = [&number.to_be_bytes()[..], &first.0.to_be_bytes()].concat();
                        day.put(txn, "topic-rows", &key, &Digest::of(&[&key]).0[..4]);
                    }
                }
            }
        });
        (self.next, self.chain) = (first.plus(meta.count), row.chain);
        if fate == Fate::Whole {
            self.expect_lines(first, stamp, &format!("{name}T00:00:00.{ms:03}Z"), messages);
        }
        first
    }

    fn expect_lines(&mut self, first: Position, stamp: Stamp, time: &str, of: &[(&str, &str)]) {
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
    fn keep(&mut self, day: &str) -> SegmentId {
        let (meta, blob, _) = self.segment(&[("com.wait", "[0]")]);
        self.day(day.parse().expect("a day")).change(|day, txn| {
            let key = meta.id.to_key();
            day.put(txn, "temporary", &key, &encode(&key, &meta));
            day.put(txn, "blobs", &key, blob.as_bytes());
        });
        meta.id
    }
}

const FIRST_DAY: &str = "2026-11-20";
const SECOND_DAY: &str = "2026-11-21";

/// Two days, with a segment of another group and one that waits.
fn store(dir: &Path) -> Writer {
    let mut writer = Writer::new(dir);
    writer.place(FIRST_DAY, 1, &[("com.a", "[1]"), ("com.b", "[\"x\"],{\"k\":[2]}")], Fate::Whole);
    writer.place(FIRST_DAY, 2, &[("com.a", "[0]"); 3], Fate::OtherGroup);
    writer.place(FIRST_DAY, 3, &[("com.a", "")], Fate::Whole);
    writer.place(SECOND_DAY, 1, &[("org.c", "[{\"deep\":[]}]"); 2], Fate::Whole);
    writer.keep(SECOND_DAY);
    writer
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vixen-ndb"));
    command.env_remove("VIXEN_CONFIG").env_remove("VIXEN_NODE").args(arguments);
    command.output().expect("runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// Runs a tool on a directory; its exit code, stdout and stderr.
fn tool(name: &str, dir: &Path, more: &[&str]) -> (i32, String, String) {
    let output = run(&[&[name, "--dir", text(dir)], more].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn lines_of(dir: &Path, more: &[&str]) -> Vec<String> {
    let (code, out, err) = tool("dump", dir, more);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    out.lines().map(str::to_owned).collect()
}

#[test]
fn a_whole_store_verifies() {
    let dir = tempfile::tempdir().expect("dir");
    let writer = store(dir.path());
    let (code, out, err) = tool("verify", dir.path(), &["--complete"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    for line in [
        "group 0",
        "order      4 rows of 8 messages in 2 days, positions 1 to 8",
        "own        3 segments of 5 messages",
        "temporary  1 segment",
        "missing    0 segments",
        "good: everything is as it was written",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    drop(writer);
}

#[test]
fn each_damage_is_found_and_named() {
    let first: fn(&Writer) -> &Day = |writer| &writer.days[&FIRST_DAY.parse().expect("a day")];
    let flip = |day: &Day, database: &str, key: &[u8]| {
        let mut value = day.value(database, key);
        value[3] ^= 1;
        day.change(|day, txn| day.put(txn, database, key, &value));
    };
    type Damage<'c> = Box<dyn Fn(&mut Writer) -> String + 'c>;
    let cases: [(&str, Damage<'_>); 7] = [
        (
            "a blob",
            Box::new(|w| {
                let id = SegmentId { owner: OwnerId(uuid::Uuid::from_u128(1)), seq: Seq(3) };
                flip(first(w), "blobs", &id.to_key());
                format!("day {FIRST_DAY}, position 6, segment {id}: the messages are damaged")
            }),
        ),
        (
            "a row",
            Box::new(|w| {
                flip(first(w), "order", &3u64.to_be_bytes());
                format!("day {FIRST_DAY}, position 3: a row of the order is damaged")
            }),
        ),
        (
            "a row that is gone",
            Box::new(|w| {
                first(w).change(|day, txn| {
                    assert!(
                        day.databases["order"].delete(txn, &3u64.to_be_bytes()).expect("deletes")
                    );
                });
                "position 6, segment".to_owned()
            }),
        ),
        (
            "a blob that is gone",
            Box::new(|w| {
                let id = SegmentId { owner: OwnerId(uuid::Uuid::from_u128(1)), seq: Seq(3) };
                first(w).change(|day, txn| {
                    assert!(day.databases["blobs"].delete(txn, &id.to_key()).expect("deletes"));
                });
                "position 6, segment".to_owned()
            }),
        ),
        (
            "the topic index",
            Box::new(|w| {
                first(w).change(|day, txn| day.databases["topic-rows"].clear(txn).expect("clears"));
                "the topic index lacks topics".to_owned()
            }),
        ),
        (
            "a row of a small table",
            Box::new(|w| {
                flip(first(w), "owners", uuid::Uuid::from_u128(1).as_bytes());
                format!("day {FIRST_DAY}: a row of owners is damaged")
            }),
        ),
        (
            "a chain",
            Box::new(|w| {
                w.chain = Digest([9; 16]);
                w.place(SECOND_DAY, 9, &[("com.a", "[]")], Fate::Whole);
                "position 9, segment".to_owned()
            }),
        ),
    ];
    for (name, damage) in cases {
        let dir = tempfile::tempdir().expect("dir");
        let mut writer = store(dir.path());
        let wanted = damage(&mut writer);
        let (code, out, err) = tool("verify", dir.path(), &[]);
        assert_eq!((code, err.as_str()), (1, ""), "{name}: {out}");
        assert!(out.contains(&wanted), "{name}: {wanted}: {out}");
    }
}

#[test]
fn missing_segments_are_listed_and_a_problem_when_all_are_wanted() {
    let dir = tempfile::tempdir().expect("dir");
    let mut writer = store(dir.path());
    writer.place(SECOND_DAY, 5, &[("com.a", "[7]")], Fate::Missing);
    let (code, out, _) = tool("verify", dir.path(), &[]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("missing    1 segment of 1 message"), "{out}");
    assert!(out.contains("position 9, segment"), "{out}");
    let (code, out, _) = tool("verify", dir.path(), &["--complete"]);
    assert_eq!(code, 1, "{out}");

    let (code, out, err) = tool("dump", dir.path(), &[]);
    assert_eq!((code, out.lines().count()), (1, writer.lines.len()), "{out}");
    assert!(err.contains("position 9: segment") && err.contains("is missing"), "{err}");
    writer.place(SECOND_DAY, 6, &[("com.a", "[8]")], Fate::Whole);
    let (code, out, err) = tool("dump", dir.path(), &["--skip-missing"]);
    assert_eq!(
        (code, out.lines().collect::<Vec<_>>()),
        (1, writer.lines.iter().map(String::as_str).collect())
    );
    assert!(err.contains("position 9: segment"), "{err}");
}

#[test]
fn a_dump_prints_what_was_published() {
    let dir = tempfile::tempdir().expect("dir");
    let writer = store(dir.path());
    let all = &writer.lines;
    assert_eq!(lines_of(dir.path(), &[]), *all);
    assert_eq!(lines_of(dir.path(), &["--from", "2", "--to", "8"]), all[1..4]);
    assert_eq!(lines_of(dir.path(), &["--from", "3", "--to", "6"]), [""; 0]);
    assert_eq!(lines_of(dir.path(), &["--topic", "com.a"]), [all[0].clone(), all[2].clone()]);
    assert_eq!(lines_of(dir.path(), &["--topic", "com.", "--match", "prefix"]), all[..3]);
    assert_eq!(lines_of(dir.path(), &["--topic", ".c", "--match", "wildcard"]), all[3..]);
    assert_eq!(lines_of(dir.path(), &["--realm", "elsewhere"]), [""; 0]);
    for line in all {
        let _: serde_json::Value = serde_json::from_str(line).expect("JSON");
    }
}

#[test]
fn a_dump_of_rows_has_all_groups_and_the_chain() {
    let dir = tempfile::tempdir().expect("dir");
    let writer = store(dir.path());
    let rows: Vec<serde_json::Value> = lines_of(dir.path(), &["--rows"])
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let of = |key: &str| rows.iter().map(|row| row[key].to_string()).collect::<Vec<_>>();
    assert_eq!(of("position"), ["1", "3", "6", "7"]);
    assert_eq!(of("group"), ["0", "1", "0", "0"]);
    assert_eq!(of("count"), ["2", "3", "1", "2"]);
    assert_eq!(rows[3]["chain"], writer.chain.to_string());
}

#[test]
fn a_reader_that_has_had_enough_ends_a_dump_quietly() {
    let dir = tempfile::tempdir().expect("dir");
    let mut writer = Writer::new(dir.path());
    let long = format!("[\"{}\"]", "x".repeat(1 << 16));
    for n in 0..64 {
        writer.place(FIRST_DAY, n, &[("com.a", &long)], Fate::Whole);
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_vixen-ndb"))
        .args(["dump", "--dir", text(dir.path())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn stats_count_what_is_there() {
    let dir = tempfile::tempdir().expect("dir");
    let mut writer = store(dir.path());
    writer.place(SECOND_DAY, 5, &[("com.a", "[7]")], Fate::Missing);
    let (code, out, err) = tool("stats", dir.path(), &["--json"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let stats: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let day = |n: usize, key: &str| stats["days"][n][key].clone();
    assert_eq!([day(0, "rows"), day(0, "messages"), day(0, "own_segments")], [3, 6, 2]);
    assert_eq!([day(1, "missing"), day(1, "temporary"), day(1, "topics")], [1, 1, 1]);
    assert_eq!([day(1, "first_position"), day(1, "last_position")], [7, 9]);
    assert_eq!(day(0, "first_time"), "2026-11-20T00:00:00.001Z");
    assert_eq!([&stats["next_position"], &stats["group"]], [10, 0]);
    assert_eq!(
        stats["topics"][0],
        serde_json::json!({"realm": "realm1", "topic": "com.a", "segments": 2})
    );
    let (code, out, _) = tool("stats", dir.path(), &[]);
    assert!(code == 0 && out.contains("2026-11-21") && out.contains("com.a (realm1)"), "{out}");
}

#[test]
fn an_order_that_begins_later_is_whole_when_its_base_is_known() {
    let dir = tempfile::tempdir().expect("dir");
    let mut writer = store(dir.path());
    let first_day: UtcDay = FIRST_DAY.parse().expect("a day");
    let (rows, second) = (lines_of(dir.path(), &["--rows"]), SECOND_DAY.parse().expect("a day"));
    let last: serde_json::Value = serde_json::from_str(&rows[2]).expect("JSON");
    let chain = last["chain"].as_str().expect("text");
    let byte = |n: usize| u8::from_str_radix(&chain[2 * n..2 * n + 2], 16).expect("hex");
    let chain = Digest(std::array::from_fn(byte));
    let stamp = Stamp(last["stamp"].as_u64().expect("a stamp"));
    drop(writer.days.remove(&first_day));
    std::fs::remove_dir_all(dir.path().join(FIRST_DAY)).expect("drops the day");
    // As a backup has it, when the day went before it was copied.
    let (code, out, _) = tool("verify", dir.path(), &[]);
    assert!(code == 0 && out.contains("note: the order begins at position 7"), "{out}");
    let base = OrderBase { next: Position(7), stamp, chain };
    writer.days[&second].change(|day, txn| day.put(txn, "meta", b"base", &encode(b"base", &base)));
    let (code, out, _) = tool("verify", dir.path(), &[]);
    assert!(code == 0 && !out.contains("note"), "{out}");
    assert_eq!(lines_of(dir.path(), &[]), writer.lines[3..]);
    let (code, _, err) = tool("dump", dir.path(), &["--from", "1"]);
    assert!(code == 1 && err.contains("begins at position 7"), "{err}");
}

#[test]
fn a_backup_of_a_store_that_is_written_has_no_gap_and_comes_back() {
    let dirs = tempfile::tempdir().expect("dir");
    let [live, backup, restored] =
        ["live", "backup", "restored"].map(|name| dirs.path().join(name));
    let mut writer = store(&live);
    let stop = AtomicBool::new(false);
    let lines = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut ms = 10;
            while !stop.load(Ordering::Relaxed) {
                // Days begin while days are copied.
                let day = format!("2026-11-{}", 21 + (ms / 100).min(9));
                writer.place(
                    &day,
                    ms,
                    &[("com.a", "[1]"), ("com.b", "[2],{\"n\":1}")],
                    Fate::Whole,
                );
                ms += 1;
            }
            writer
        });
        let (code, out, err) = tool("backup", &live, &["--to", text(&backup)]);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.contains("good: everything is as it was written"), "{out}");
        writing.join().expect("writes").lines
    });
    let copied = lines_of(&backup, &[]);
    assert!(copied.len() >= 5, "{}", copied.len());
    assert_eq!(copied, lines[..copied.len()]);
    // What is there is not written over, and a half-made backup is none.
    let (code, _, err) = tool("backup", &live, &["--to", text(&backup)]);
    assert!(code == 2 && err.contains("is not empty"), "{err}");
    assert!(!dirs.path().join("backup.partial").exists());

    let (code, out, err) = tool("restore", &restored, &["--from", text(&backup)]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(lines_of(&restored, &[]), copied);
    assert_eq!(lines_of(&restored, &["--rows"]), lines_of(&backup, &["--rows"]));
    let (code, _, err) = tool("restore", &restored, &["--from", text(&backup)]);
    assert!(code == 2 && err.contains("is not empty"), "{err}");
}

#[test]
fn nothing_is_restored_into_a_backup_or_backed_up_into_its_store() {
    let dirs = tempfile::tempdir().expect("dir");
    let [live, backup, link] = ["live", "backup", "link"].map(|name| dirs.path().join(name));
    store(&live);
    let (code, out, err) = tool("backup", &live, &["--to", text(&backup)]);
    assert_eq!(code, 0, "{out}{err}");
    std::os::unix::fs::symlink(&backup, &link).expect("a link");
    for inner in [backup.clone(), backup.join("new"), link.join("new/er")] {
        let (code, _, err) = tool("restore", &inner, &["--from", text(&backup)]);
        assert!(code == 2 && err.contains("a backup stays as it is"), "{err}");
    }
    assert!(!backup.join("new").exists());
    for inner in [live.clone(), live.join("backup")] {
        let (code, _, err) = tool("backup", &live, &["--to", text(&inner)]);
        assert!(code == 2 && err.contains("would be lost with it"), "{err}");
    }
    assert!(!live.join("backup.partial").exists());
}

#[test]
fn the_root_of_a_new_volume_takes_a_backup_and_a_restored_store() {
    let dirs = tempfile::tempdir().expect("dir");
    let [live, backup, restored] =
        ["live", "backup", "restored"].map(|name| dirs.path().join(name));
    let writer = store(&live);
    for volume in [&backup, &restored] {
        std::fs::create_dir_all(volume.join("lost+found")).expect("a volume");
    }
    let (code, out, err) = tool("backup", &live, &["--to", text(&backup)]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(!backup.join("backup.partial").exists());
    let (code, out, err) = tool("restore", &restored, &["--from", text(&backup)]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(lines_of(&restored, &[]), writer.lines);
    // Anything else in it is somebody's.
    let (code, _, err) = tool("backup", &live, &["--to", text(&backup)]);
    assert!(code == 2 && err.contains("is not empty: it has 2026-11-2"), "{err}");
    let file = dirs.path().join("file");
    std::fs::create_dir(&file).expect("a directory");
    std::fs::write(file.join("lost+found"), "a file").expect("a file");
    let (code, _, err) = tool("restore", &file, &["--from", text(&backup)]);
    assert!(code == 2 && err.contains("is not empty: it has lost+found"), "{err}");
}

#[test]
fn a_directory_that_cannot_be_used_is_told_with_the_reason_of_the_system() {
    let dirs = tempfile::tempdir().expect("dir");
    let live = dirs.path().join("live");
    drop(store(&live));
    let file = dirs.path().join("file");
    std::fs::write(&file, "").expect("writes");
    // A file is in its place, or in that of a folder above; with whoever may read everything, no
    // mode keeps a directory from being read.
    for target in [file.clone(), file.join("below")] {
        let (code, _, err) = tool("restore", &target, &["--from", text(&live)]);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(text(&target)), "{err}");
        assert!(err.contains("Not a directory (os error 20)"), "{err}");
        assert!(!err.contains("stop "), "nothing runs there: {err}");
        for name in ["verify", "dump", "stats", "rebuild"] {
            let (code, _, err) = tool(name, &target, &[]);
            assert!(code == 2 && err.contains("Not a directory (os error 20)"), "{name}: {err}");
        }
        let new = dirs.path().join("new");
        let (code, _, err) = tool("restore", &new, &["--from", text(&target)]);
        assert!(code == 2 && err.contains("Not a directory (os error 20)"), "{err}");
    }
    let absent = dirs.path().join("absent");
    let (code, _, err) = tool("verify", &absent, &[]);
    assert!(code == 2 && err.contains("there is no directory"), "{err}");
    let (code, _, err) = tool("restore", &live, &["--from", text(&absent)]);
    assert!(code == 2 && err.contains("there is no backup"), "{err}");
}

#[test]
fn a_node_of_another_tier_is_told_which_nodes_have_a_store_of_this_kind() {
    let dir = tempfile::tempdir().expect("dir");
    let config = dir.path().join("vixen.toml");
    std::fs::write(&config, CONFIG).expect("writes");
    for name in ["verify", "dump", "stats", "backup", "restore", "rebuild"] {
        let mut arguments = vec![name, "--config", text(&config), "--node", "S1"];
        match name {
            "backup" => arguments.extend(["--to", "unused"]),
            "restore" => arguments.extend(["--from", text(dir.path())]),
            _ => {}
        }
        let output = run(&arguments);
        let err = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{name}: {err}");
        assert!(err.contains("S1 is a sync node, and this is for ndb nodes: D1"), "{name}: {err}");
        assert!(!err.contains("vixen-sync"), "{name}: {err}");
    }
}

#[test]
fn a_damaged_backup_is_restored_only_on_demand() {
    let dirs = tempfile::tempdir().expect("dir");
    let (backup, node) = (dirs.path().join("backup"), dirs.path().join("node"));
    let writer = store(&backup);
    let day = &writer.days[&FIRST_DAY.parse().expect("a day")];
    day.change(|day, txn| day.databases["topic-rows"].clear(txn).expect("clears"));
    drop(writer);
    let (code, out, _) = tool("restore", &node, &["--from", text(&backup)]);
    assert!(code == 1 && out.contains("not restored"), "{out}");
    assert!(!node.exists());
    let (code, _, err) = tool("restore", &node, &["--from", text(&backup), "--group", "1"]);
    assert!(code == 2 && err.contains("the backup is of a node of group 0"), "{err}");
    let (code, out, _) = tool("restore", &node, &["--from", text(&backup), "--damaged-too"]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn rebuild_puts_the_days_aside_unless_the_node_runs() {
    let dir = tempfile::tempdir().expect("dir");
    drop(store(dir.path()));
    {
        let _running = vixen_runtime::dirlock::DirLock::take(dir.path()).expect("free");
        let (code, _, err) = tool("rebuild", dir.path(), &["--without-peers"]);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("runs, and has the directory") && err.contains("stop it"), "{err}");
        assert!(!err.contains("another directory"), "{err}");
        assert!(dir.path().join(FIRST_DAY).exists());
    }
    // A directory does not tell whether anybody else has what is there.
    let (code, _, err) = tool("rebuild", dir.path(), &[]);
    assert!(code == 2 && err.contains("give --config and --node instead of --dir"), "{err}");
    assert!(dir.path().join(FIRST_DAY).exists());
    let (code, out, err) = tool("rebuild", dir.path(), &["--without-peers"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("moved 2 days") && out.contains("Next:"), "{out}");
    assert!(!dir.path().join(FIRST_DAY).exists());
    let aside = std::fs::read_dir(dir.path()).expect("reads").find_map(|entry| {
        let path = entry.expect("an entry").path();
        text(&path).contains("damaged-").then_some(path)
    });
    let (code, out, _) = tool("verify", &aside.expect("put aside"), &[]);
    assert!(code == 0 && out.contains("positions 1 to 8"), "{out}");
    let (code, out, _) = tool("rebuild", dir.path(), &["--without-peers"]);
    assert!(code == 0 && out.contains("there is nothing"), "{out}");
    // What was put aside does not keep a backup from coming back.
    let backup = tempfile::tempdir().expect("dir");
    drop(store(backup.path()));
    let (code, out, err) = tool("restore", dir.path(), &["--from", text(backup.path())]);
    assert_eq!(code, 0, "{out}{err}");
}

const CONFIG: &str = r#"
[cluster]
name = "test"
secret = "only-for-this-test"
data-dir = "data"
write-quorum = 1
[[sync]]
id = "S1"
lane = 0
address = "127.0.0.1:1"
[[ndb-group]]
[[ndb-group.member]]
id = "D1"
address = "127.0.0.1:2"
listen = "127.0.0.1:0"
"#;

#[test]
fn a_store_that_is_cut_short_ends_in_words_and_not_in_a_bare_signal() {
    let dir = tempfile::tempdir().expect("dir");
    let config = dir.path().join("vixen.toml");
    std::fs::write(&config, CONFIG).expect("writes");
    let node = dir.path().join("data/D1");
    drop(store(&node));
    let data = node.join(SECOND_DAY).join("data.mdb");
    let file = std::fs::OpenOptions::new().write(true).open(data).expect("opens");
    file.set_len(2 * 4_096).expect("cuts");
    let named = ["--config", text(&config), "--node", "D1"];
    let output = run(&[&["verify"], &named[..]].concat());
    let err = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("vixen-ndb rebuild --config"), "{err}");
    // And so the node itself.
    let output = run(&named);
    let err = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(70), "{err}");
    for words in ["D1: the store in", "signal SIGBUS", "vixen-ndb rebuild --config"] {
        assert!(err.contains(words), "{words}: {err}");
    }
    // Its only node is not put aside by mistake.
    let output = run(&[&["rebuild"], &named[..]].concat());
    let err = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.code() == Some(2) && err.contains("only node of its group"), "{err}");
}

#[test]
fn running_a_node_takes_its_arguments_as_before() {
    let dir = tempfile::tempdir().expect("dir");
    let config = dir.path().join("vixen.toml");
    std::fs::write(&config, CONFIG).expect("writes");
    let output = run(&["--config", text(&config), "--node", "D1", "--check-config"]);
    let out = String::from_utf8(output.stdout).expect("text");
    assert!(
        output.status.success()
            && out.starts_with("configuration is good: D1 is an ndb node of test\n"),
        "{out}"
    );
    let (code, _, err) = tool("verify", dir.path(), &[]);
    assert!(code == 2 && err.contains("no day of a store"), "{err}");
    let output = run(&["verify"]);
    let err = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.code() == Some(2) && err.contains("which store?"), "{err}");
    // An argument of the node before a command would be easy to misread.
    let output = run(&["--node", "D1", "verify", "--dir", text(dir.path())]);
    assert_eq!(output.status.code(), Some(2));
    for name in ["verify", "dump", "stats", "backup", "restore", "rebuild"] {
        let output = run(&[name, "--help"]);
        let out = String::from_utf8(output.stdout).expect("text");
        assert!(out.contains("Example:") && out.contains("Exit codes:"), "{name}: {out}");
    }
}
