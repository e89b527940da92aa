//! Stores that are put aside.

use super::{CONFIG, FIRST_DAY, SECOND_DAY, run, store, text, tool};

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
