//! What `verify` finds.

use vixen_core::id::{Digest, OwnerId, Position, SegmentId, Seq, Stamp};
use vixen_core::time::UtcDay;
use vixen_core::wire::OrderBase;

use super::writer::{Day, Fate, Writer, encode};
use super::{FIRST_DAY, SECOND_DAY, lines_of, store, tool};

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
