//! Copies of a store, and what becomes of them.

use std::sync::atomic::{AtomicBool, Ordering};

use super::writer::Fate;
use super::{FIRST_DAY, lines_of, store, text, tool};

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
