//! What `dump` and `stats` print.

use std::process::{Command, Stdio};

use super::writer::{Fate, Writer};
use super::{FIRST_DAY, SECOND_DAY, lines_of, store, text, tool};

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
