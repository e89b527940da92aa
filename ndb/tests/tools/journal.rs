//! What the tools say of a store's journal, and what becomes of it.

use std::path::Path;
use std::process::Command;

use vixen_core::id::StoreId;
use vixen_runtime::dirlock::DirLock;
use vixen_runtime::journal::{BLOCK_BYTES, JOURNAL_FILE, Journal, JournalId, Sequence};

use super::writer::{Writer, encode};
use super::{SECOND_DAY, lines_of, store, text, tool};

const STORE: StoreId = StoreId(uuid::Uuid::from_bytes([7; 16]));

/// The newest day says that LMDB has all of the journal up to `applied`.
fn put_row(writer: &Writer, id: JournalId, applied: u64) {
    let row = encode(b"journal", &(1_u32, applied, id.0));
    let day = &writer.days[&SECOND_DAY.parse().expect("a day")];
    day.change(|day, txn| day.put(txn, "meta", b"journal", &row));
}

/// A store with a journal of three records, of which LMDB has the first.
fn with_journal(dir: &Path) -> (Writer, JournalId) {
    let mut writer = store(dir);
    let id = Journal::create(dir, STORE, 8 * BLOCK_BYTES as u64).expect("created");
    let (mut journal, _) = Journal::open(dir, STORE, id, Sequence(0)).expect("opens");
    for _ in 0..3 {
        let (meta, blob, _) = writer.segment(&[("com.a", "[1]")]);
        let metas = postcard::to_stdvec(&vec![meta]).expect("encodes");
        let length = u32::try_from(metas.len()).expect("short").to_be_bytes();
        let parts: [&[u8]; 4] = [&[1], &length, &metas, blob.as_bytes()];
        journal.append(&parts).expect("a place");
    }
    put_row(&writer, id, 1);
    (writer, id)
}

/// Changes one bit of the journal, in its block `block`.
fn flip(dir: &Path, block: usize) {
    let path = dir.join(JOURNAL_FILE);
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes[block * BLOCK_BYTES + 50] ^= 1;
    std::fs::write(path, bytes).expect("writes");
}

#[test]
fn verify_and_stats_count_what_no_day_has_yet() {
    let dir = tempfile::tempdir().expect("dir");
    let (writer, id) = with_journal(dir.path());
    let (code, out, err) = tool("verify", dir.path(), &[]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("journal    2 segments,") && !out.contains("note:"), "{out}");
    let (code, out, _) = tool("stats", dir.path(), &[]);
    assert!(code == 0 && out.contains("in the journal 2 segments,"), "{out}");
    let (code, out, _) = tool("stats", dir.path(), &["--json"]);
    assert!(code == 0 && out.contains("\"journal_segments\":2"), "{out}");
    put_row(&writer, id, 3);
    let (_, out, _) = tool("verify", dir.path(), &[]);
    assert!(out.contains("journal    0 segments, 0 B"), "{out}");
    assert_eq!(lines_of(dir.path(), &[]), writer.lines, "a dump has the order");
}

#[test]
fn a_torn_tail_is_a_note_and_damage_is_a_problem() {
    let dir = tempfile::tempdir().expect("dir");
    let (writer, id) = with_journal(dir.path());
    flip(dir.path(), 3);
    let (code, out, _) = tool("verify", dir.path(), &[]);
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("journal    1 segment,") && out.contains("was not written whole"),
        "{out}"
    );
    flip(dir.path(), 2);
    let (code, out, _) = tool("verify", dir.path(), &[]);
    assert!(code == 1 && out.contains("the journal is damaged: record 2 is not whole"), "{out}");
    // What LMDB has may be anything.
    put_row(&writer, id, 2);
    assert_eq!(tool("verify", dir.path(), &[]).0, 0);
    flip(dir.path(), 0);
    let (code, out, _) = tool("verify", dir.path(), &[]);
    assert!(code == 1 && out.contains("its first block is damaged"), "{out}");
    flip(dir.path(), 0);
    put_row(&writer, JournalId([1; 16]), 2);
    let (code, out, _) = tool("verify", dir.path(), &[]);
    assert!(code == 1 && out.contains("the journal of another store"), "{out}");
    std::fs::write(dir.path().join(JOURNAL_FILE), b"").expect("writes");
    let (code, out, _) = tool("verify", dir.path(), &[]);
    assert!(code == 1 && out.contains("is no journal"), "{out}");
    std::fs::remove_file(dir.path().join(JOURNAL_FILE)).expect("removed");
    let (code, out, _) = tool("verify", dir.path(), &[]);
    assert!(code == 0 && out.contains("note: the journal is not here"), "{out}");
}

#[test]
fn a_backup_of_a_stopped_node_has_its_journal_and_so_has_the_restored_store() {
    let dirs = tempfile::tempdir().expect("dir");
    let [live, backup, volume, node] =
        ["live", "backup", "volume", "node"].map(|name| dirs.path().join(name));
    with_journal(&live);
    std::fs::create_dir_all(volume.join("lost+found")).expect("a volume");
    for to in [&backup, &volume] {
        let (code, out, err) = tool("backup", &live, &["--to", text(to)]);
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.contains("journal    2 segments,") && !out.contains("left out"), "{out}");
    }
    let (code, out, err) = tool("restore", &node, &["--from", text(&backup)]);
    assert_eq!(code, 0, "{out}{err}");
    let bytes = |dir: &Path| std::fs::read(dir.join(JOURNAL_FILE)).expect("reads");
    assert!([&backup, &volume, &node].map(|dir| bytes(dir) == bytes(&live)) == [true; 3]);
    let (code, out, _) = tool("verify", &node, &[]);
    assert!(code == 0 && out.contains("journal    2 segments,"), "{out}");
}

#[test]
fn a_backup_of_a_running_node_has_none_a_restored_store_an_empty_one_and_rebuild_puts_it_aside() {
    let dirs = tempfile::tempdir().expect("dir");
    let [live, backup, node] = ["live", "backup", "node"].map(|name| dirs.path().join(name));
    with_journal(&live);
    let runs = DirLock::take(&live).expect("free");
    let (code, out, err) = tool("backup", &live, &["--to", text(&backup)]);
    drop(runs);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.contains("left out: the journal, which the node writes, with 2 segments,"),
        "{out}"
    );
    assert!(!backup.join(JOURNAL_FILE).exists());
    let (code, out, err) = tool("restore", &node, &["--from", text(&backup)]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, _) = tool("verify", &node, &[]);
    assert!(code == 0 && !out.contains("note:") && out.contains("journal    0 segments"), "{out}");
    assert!(node.join(JOURNAL_FILE).exists());
    let (code, out, err) = tool("rebuild", &node, &["--without-peers"]);
    assert!(code == 0 && out.contains("moved 2 days"), "{out}{err}");
    assert!(!node.join(JOURNAL_FILE).exists());
    let (code, out, err) = tool("restore", &node, &["--from", text(&backup)]);
    assert_eq!(code, 0, "{out}{err}");
}

#[test]
fn a_store_is_restored_though_there_is_no_room_for_its_journal_and_gets_none_where_it_had_ended() {
    let dirs = tempfile::tempdir().expect("dir");
    let [live, backup, node, closed] =
        ["live", "backup", "node", "closed"].map(|name| dirs.path().join(name));
    let (writer, id) = with_journal(&live);
    std::fs::remove_file(live.join(JOURNAL_FILE)).expect("removed");
    assert_eq!(tool("backup", &live, &["--to", text(&backup)]).0, 0);
    // No file of some MiB: the days are smaller, the journal is not.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 8192; exec {} restore --dir {} --from {}",
        env!("CARGO_BIN_EXE_vixen-ndb"),
        text(&node),
        text(&backup)
    );
    let restored = Command::new("sh").args(["-c", &limited]).output().expect("runs");
    let err = String::from_utf8_lossy(&restored.stderr);
    assert!(restored.status.success() && err.contains("restore: no journal is made"), "{err}");
    assert!(!node.join(JOURNAL_FILE).exists());
    assert_eq!(lines_of(&node, &[]), writer.lines);
    put_row(&writer, id, u64::MAX);
    let (code, out, err) = tool("restore", &closed, &["--from", text(&live)]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(!closed.join(JOURNAL_FILE).exists());
}

#[test]
fn a_damaged_row_of_the_journal_is_a_problem_and_hides_no_row_of_the_order() {
    let dir = tempfile::tempdir().expect("dir");
    let (writer, _) = with_journal(dir.path());
    let day = &writer.days[&SECOND_DAY.parse().expect("a day")];
    let mut row = day.value("meta", b"journal");
    row[0] ^= 4;
    day.change(|day, txn| day.put(txn, "meta", b"journal", &row));
    let (code, out, _) = tool("verify", dir.path(), &[]);
    assert!(code == 1 && out.contains("meta"), "{out}");
    assert_eq!(lines_of(dir.path(), &[]), writer.lines);
}
