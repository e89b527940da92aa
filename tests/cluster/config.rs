//! What a node is started with: bad configurations end with a text that helps.

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;

use vixen_tests::harness::{Binaries, Cluster, ClusterOptions, Tier, wait_until};

use crate::support::{SOON, logged};

const GOOD: &str = r#"
[cluster]
name = "test"
secret = "8f3b61c07d2e4a95b1f06c7e2d9a4853"
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
[[entry]]
id = "E1"
listen = "127.0.0.1:3"
[access]
open = true
"#;

/// Runs a node that must end by itself.
pub(crate) async fn ends(tier: Tier, args: &[&str]) -> Output {
    let binaries = tokio::task::spawn_blocking(Binaries::find).await.expect("no panic");
    let program = binaries.expect("the node programs").program(tier);
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(SOON, command.output()).await;
    output.unwrap_or_else(|_elapsed| panic!("{args:?} did not end")).expect("it starts")
}

/// All that it said.
pub(crate) fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// Runs `tier` with a file of this content; all of `words` must be in the complaint.
async fn assert_refused(dir: &Path, tier: Tier, node: &str, content: &str, words: &[&str]) {
    let file = dir.join("vixen.toml");
    std::fs::write(&file, content).expect("written");
    let file = file.to_str().expect("a path of the test");
    for check in [&["--check-config"][..], &[]] {
        let args = [&["--config", file, "--node", node], check].concat();
        let output = ends(tier, &args).await;
        let text = text(&output);
        assert!(!output.status.success(), "{args:?} starts with {content}");
        for word in words {
            assert!(text.contains(word), "no {word:?} in: {text}");
        }
    }
}

#[tokio::test]
async fn a_bad_configuration_is_refused_with_file_key_and_fix() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let changed = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        GOOD.replacen(from, to, 1)
    };
    let unknown_key = changed("lane = 0", "lane = 0\ncolour = 1");
    let twice = changed("id = \"D1\"", "id = \"S1\"");
    let quorum = changed("write-quorum = 1", "write-quorum = 2");
    let even = GOOD.to_owned() + "[[sync]]\nid = \"S2\"\nlane = 1\naddress = \"127.0.0.1:9\"\n";
    let short = changed("8f3b61c07d2e4a95b1f06c7e2d9a4853", "short");
    let syntax = changed("lane = 0", "lane = = 0");
    let bad = [
        (&unknown_key, ["vixen.toml", "sync[0].colour", "lane"]),
        (&twice, ["vixen.toml", "ndb-group[0].member[0].id", "give each node"]),
        (&quorum, ["vixen.toml", "cluster.write-quorum", "set it between 1 and 1"]),
        (&even, ["vixen.toml", "sync", "1, 3, 5"]),
        (&short, ["vixen.toml", "cluster.secret", "use a longer one"]),
        (&syntax, ["vixen.toml", "line", "column"]),
    ];
    for (tier, node) in [(Tier::Sync, "S1"), (Tier::Ndb, "D1"), (Tier::Entry, "E1")] {
        for (content, words) in &bad {
            assert_refused(dir, tier, node, content, words).await;
        }
        let words = ["vixen.toml: ", "no node here is called `X9`", "--node"];
        if tier != Tier::Entry {
            assert_refused(dir, tier, "X9", GOOD, &words).await;
        }
        if tier == Tier::Entry {
            let silent = changed("[access]\nopen = true\n", "");
            let words = ["vixen.toml: access.open: nobody may use the entry", "add [[realm]]"];
            assert_refused(dir, tier, node, &silent, &words).await;
        }
        let missing = dir.join("missing.toml");
        let missing = missing.to_str().expect("a path of the test");
        let output = ends(tier, &["--config", missing, "--node", node]).await;
        let text = text(&output);
        assert!(!output.status.success() && text.contains("missing.toml"), "{text}");
        assert!(text.contains("--config"), "no fix in: {text}");
    }
}

#[tokio::test]
async fn a_file_without_a_node_is_one_for_nearcast_and_that_of_a_cluster_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let check = |file: String| async move {
        let output = ends(Tier::Entry, &["--config", &file, "--check-config"]).await;
        (output.status.success(), text(&output))
    };
    let single = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/single.toml");
    let (is_good, said) = check(single.to_owned()).await;
    assert!(is_good && said.contains("nearcast, all of vixen here, with 2 realms"), "{said}");
    let cluster = dir.path().join("vixen.toml");
    std::fs::write(&cluster, GOOD).expect("written");
    let (is_good, said) = check(cluster.to_str().expect("a path of the test").to_owned()).await;
    assert!(!is_good && said.contains("vixen.toml: sync: describes nodes of a cluster"), "{said}");
    assert!(said.contains("say by --node ID"), "{said}");
}

#[tokio::test]
async fn entries_of_a_file_that_are_not_linked_are_a_warning() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("vixen.toml");
    let check = async |content: &str| {
        std::fs::write(&file, content).expect("written");
        let path = file.to_str().expect("a path of the test");
        let output = ends(Tier::Entry, &["--config", path, "--node", "E1", "--check-config"]).await;
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    let second = "[[entry]]\nid = \"E2\"\nlisten = \"127.0.0.1:4\"\n";
    let said = check(&format!("{GOOD}{second}")).await;
    let warning = format!("warning: {}: entry.link-address: is missing for E1, E2", file.display());
    assert!(said.contains(&warning), "{said}");
    let linked = format!("{GOOD}{second}link-address = \"127.0.0.1:5\"\n");
    assert!(!check(&linked).await.contains("link-address"), "one of two dials the other");
    assert!(!check(GOOD).await.contains("link-address"), "it is alone");
}

/// Runs a program with its output at a full disk, or into a pipe whose reader is gone. It finds a
/// password at its standard input.
pub(crate) async fn ends_into(output: Stdio, tier: Tier, args: &[&str]) -> Output {
    let binaries = tokio::task::spawn_blocking(Binaries::find).await.expect("no panic");
    let (input, mut password) = std::io::pipe().expect("a pipe");
    password.write_all(b"p4ssw0rd-of-anna\n").expect("written");
    drop(password);
    let mut command = Command::new(binaries.expect("the node programs").program(tier));
    command.args(args).stdin(input).stdout(output).stderr(Stdio::piped());
    let child = command.kill_on_drop(true).spawn().expect("it starts");
    let output = tokio::time::timeout(SOON, child.wait_with_output()).await;
    output.unwrap_or_else(|_elapsed| panic!("{args:?} did not end")).expect("it ends")
}

pub(crate) fn closed_pipe() -> Stdio {
    let (_reader, writer) = std::io::pipe().expect("a pipe");
    writer.into()
}

pub(crate) fn full_disk() -> Stdio {
    std::fs::File::options().write(true).open("/dev/full").expect("/dev/full").into()
}

#[tokio::test]
async fn printing_into_a_closed_pipe_is_quiet_and_onto_a_full_disk_an_error() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("vixen.toml");
    std::fs::write(&file, GOOD).expect("written");
    let file = file.to_str().expect("a path of the test");
    let check = |node| vec!["--config", file, "--node", node, "--check-config"];
    let passwd = vec!["passwd", "--authid", "anna", "--role", "user", "--method", "wampcra"];
    for (tier, args) in [
        (Tier::Sync, check("S1")),
        (Tier::Ndb, check("D1")),
        (Tier::Entry, check("E1")),
        (Tier::Entry, passwd),
        (Tier::Sync, vec!["--help"]),
        (Tier::Ndb, vec!["--version"]),
        (Tier::Ndb, vec!["verify", "--help"]),
        (Tier::Entry, vec!["-h"]),
    ] {
        let closed = ends_into(closed_pipe(), tier, &args).await;
        assert!(closed.status.success(), "{args:?}: {}", text(&closed));
        assert!(closed.stderr.is_empty(), "{args:?}: {}", text(&closed));
        let full = ends_into(full_disk(), tier, &args).await;
        let words = text(&full);
        assert_eq!(full.status.code(), Some(1), "{args:?}: {words}");
        assert!(words.contains("cannot write to standard output: No space left"), "{words}");
        assert!(!words.contains("panicked"), "{args:?}: {words}");
    }
}

/// The end of the story, told on standard error, is told to nobody here.
#[tokio::test]
async fn a_program_that_fails_and_cannot_say_why_fails_in_order() {
    for tier in [Tier::Sync, Tier::Ndb, Tier::Entry] {
        let binaries = tokio::task::spawn_blocking(Binaries::find).await.expect("no panic");
        let mut command = Command::new(binaries.expect("the node programs").program(tier));
        command.args(["--config", "/no/such/file", "--node", "X1"]).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(closed_pipe()).kill_on_drop(true);
        let status = tokio::time::timeout(SOON, command.status()).await;
        let status = status.unwrap_or_else(|_elapsed| panic!("{tier:?} did not end"));
        assert_eq!(status.expect("it starts").code(), Some(1), "{tier:?}");
    }
}

#[tokio::test]
async fn check_config_version_and_help_end_well_and_start_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("vixen.toml");
    std::fs::write(&file, GOOD).expect("written");
    let file = file.to_str().expect("a path of the test");
    for (tier, node) in [(Tier::Sync, "S1"), (Tier::Ndb, "D1"), (Tier::Entry, "E1")] {
        let output = ends(tier, &["--config", file, "--node", node, "--check-config"]).await;
        assert!(output.status.success(), "{}", text(&output));
        assert!(!dir.path().join("data").exists(), "{node} made its store");
        let version = ends(tier, &["--version"]).await;
        let wanted = format!("{} {}", tier.program(), env!("CARGO_PKG_VERSION"));
        assert!(version.status.success() && text(&version).contains(&wanted), "{version:?}");
        let help = ends(tier, &["--help"]).await;
        assert!(help.status.success(), "{help:?}");
        for word in ["--config", "--node", "--check-config"] {
            assert!(text(&help).contains(word), "{}", text(&help));
        }
    }
}

#[tokio::test]
async fn health_is_asked_by_each_binary_and_by_any_of_them() -> anyhow::Result<()> {
    let mut cluster =
        Cluster::start(ClusterOptions { entries: 1, ..ClusterOptions::default() }).await?;
    let config = cluster.config_file().to_owned();
    let config = config.to_str().expect("a path of the test");
    let ask = |tier, node| async move {
        ends(tier, &["--config", config, "--node", node, "--health"]).await
    };
    for (tier, node) in [
        (Tier::Sync, "S1"),
        (Tier::Ndb, "D1"),
        (Tier::Entry, "E1"),
        // An image has one health check for all its containers.
        (Tier::Entry, "S2"),
        (Tier::Entry, "D2"),
    ] {
        let output = ask(tier, node).await;
        let text = text(&output);
        assert!(output.status.success(), "{node}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with(&format!("{node} is ready")), "{text}");
    }
    for id in ["S2", "S3"] {
        cluster.kill(id).await?;
    }
    wait_until("S1 to be not ready", SOON, || async {
        let output = ask(Tier::Sync, "S1").await;
        let said = text(&output);
        anyhow::ensure!(output.status.code() == Some(1), "{said}");
        anyhow::ensure!(said.starts_with("vixen-sync: S1 is not ready: "), "{said}");
        Ok(Some(()))
    })
    .await?;
    let output = ask(Tier::Sync, "S2").await;
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("vixen-sync: S2 does not answer at "), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_reload_names_the_keys_that_wait_for_a_restart() -> anyhow::Result<()> {
    let options = ClusterOptions {
        sync: 1,
        ndb: 1,
        entries: 1,
        write_quorum: 1,
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start(options).await?;
    let file = cluster.config_file();
    let text = std::fs::read_to_string(file)?.replace("\"10000ms\"", "\"9s\"");
    let more = "[log]\nfilter = \"info,vixen_sync=debug\"\n[storage]\nscrub-period = \"1day\"\n";
    std::fs::write(file, text + more)?;
    for (id, keys) in [
        ("S1", "log.filter, storage.scrub-period"),
        ("D1", "log.filter, storage.scrub-period"),
        ("E1", "cluster.publish-timeout, log.filter"),
    ] {
        kill(Pid::from_raw(i32::try_from(cluster.pid(id)?)?), Signal::SIGHUP)?;
        let keys = format!("waits_for_restart=\"{keys}\"");
        logged(&cluster, id, &["WARN", "configuration read again", &keys]).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_cannot_start_says_which_node_and_why() {
    let extra = "[limits]\ncolour = 1\n".to_owned();
    let started = Cluster::start(ClusterOptions { extra, ..ClusterOptions::default() }).await;
    let error = format!("{:#}", started.expect_err("a bad configuration"));
    for word in [" ended with exit status", "--- log of ", "limits.colour"] {
        assert!(error.contains(word), "no {word:?} in: {error}");
    }
}
