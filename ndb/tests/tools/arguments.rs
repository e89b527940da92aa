//! What the tools say of their arguments.

use super::{CONFIG, run, store, text, tool};

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
