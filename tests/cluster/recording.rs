//! Nodes that record, and the replays of what they recorded.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use vixen_core::id::Position;
use vixen_core::recording::Verdict;
use vixen_kit::recorded::{core_after, vote_after};
use vixen_tests::check::check;
use vixen_tests::harness::{Cluster, ClusterOptions, NodeSetup, Tier};
use vixen_tests::load::{Amount, Load};
use vixen_tests::trace::trace;
use vixen_vote::Orderer;

use crate::config::{ends, text};
use crate::support::{acknowledged, acknowledged_positions, all_settled, caught_up, load_on};

/// Messages between two faults.
const WHILE_RECORDED: u64 = 1_000;

fn records_at(path: &Path) -> NodeSetup {
    let env = vec![("VIXEN_RECORD".to_owned(), path.display().to_string())];
    NodeSetup { env, ..NodeSetup::default() }
}

/// Runs `replay`; its exit code, and all that it said.
async fn replay(tier: Tier, file: &Path, more: &[&str]) -> (Option<i32>, String) {
    let file = file.to_str().expect("a path of the test");
    let output = ends(tier, &[&["replay", file], more].concat()).await;
    (output.status.code(), text(&output))
}

/// Recordings of a node, oldest first.
fn recordings(dir: &Path, node: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).expect("a folder").map(|file| file.expect("a file").path());
    let is_of = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(node))
    };
    let mut files: Vec<_> = files.filter(is_of).collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_nodes_of_all_tiers_have_recorded_is_replayed_with_the_same_effects() {
    let dir = tempfile::tempdir().expect("a folder");
    let setup = |id: &str, _store: &Path| {
        if id.ends_with('1') { records_at(dir.path()) } else { NodeSetup::default() }
    };
    let mut cluster =
        Cluster::start_with(ClusterOptions::default(), setup).await.expect("a cluster");
    let load = Load::start(load_on(&cluster, Amount::UntilStopped)).await.expect("a load");
    let progress = load.progress();
    for id in ["D1", "S1"] {
        acknowledged(&progress, WHILE_RECORDED).await.expect("traffic before the kill");
        cluster.kill(id).await.expect("killed");
        acknowledged(&progress, WHILE_RECORDED).await.expect("traffic while it is dead");
        cluster.restart(id).await.expect("ready again");
    }
    acknowledged(&progress, WHILE_RECORDED).await.expect("traffic after the restarts");
    load.stop();
    let result = load.finish().await.expect("the load ends");
    check(&result.history).assert_ok();
    all_settled(&cluster).await.expect("nothing is left over");
    // Of nobody who reads: feeds that nobody waits for come later.
    let (_first, last) = acknowledged_positions(&result.history).expect("messages");
    caught_up(&cluster, "D1", last + 1).await.expect("all of it");
    cluster.stop_all().await.expect("clean exits");
    // With what entries write themselves.
    let end = end_of(&cluster, "D1").await;
    assert!(end > last, "{end} after {last}");

    for (tier, id, starts) in [(Tier::Sync, "S1", 2), (Tier::Ndb, "D1", 2), (Tier::Entry, "E1", 1)]
    {
        let files = recordings(dir.path(), id);
        assert_eq!(files.len(), starts, "{files:?}");
        for (start, file) in (1..).zip(&files) {
            let (code, said) = replay(tier, file, &["--quiet"]).await;
            eprintln!("{id}, start {start}: {}", said.trim_end());
            assert_eq!(code, Some(0), "{id}: {said}");
            let was_killed = start < starts;
            let is_cut = ["without a word", "in the middle of an entry", "within the last input"];
            assert!(said.starts_with("agrees: "), "{id}: {said}");
            assert_eq!(is_cut.iter().any(|end| said.contains(end)), was_killed, "{id}: {said}");
            assert_eq!(said.contains("the node was stopped"), !was_killed, "{id}: {said}");
        }
        told_by_name(tier, &files[0], dir.path()).await;
    }

    // The machines are where those of the nodes were.
    let last = |node| recordings(dir.path(), node).pop().expect("a recording");
    let file = File::open(last("D1")).expect("there");
    let (summary, next) = core_after(file, Instant::now(), |core| core.reader().next_position())
        .expect("a recording");
    assert_eq!(summary.verdict, Verdict::Agrees);
    assert_eq!(next, Some(Position(end)));
    let file = File::open(last("S1")).expect("there");
    let (summary, pending) =
        vote_after(file, Instant::now(), Orderer::pending_segments).expect("a recording");
    assert_eq!(summary.verdict, Verdict::Agrees);
    assert_eq!(pending, Some(0));

    let entry = &last("E1");
    let (code, said) = replay(Tier::Entry, entry, &["--only", "Publish", "--to", "2000"]).await;
    assert_eq!(code, Some(0), "{said}");
    let is_shown = |line: &&str| line.starts_with('#');
    let mut inputs = said.lines().filter(is_shown);
    // Others have the word in what they led to.
    assert!(inputs.any(|line| line.contains(" segmenter Publish { ")), "{said}");
    let (code, said) = replay(Tier::Entry, entry, &["--only", "nonsense"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("no input has the word \"nonsense\""), "{said}");
    let (code, said) = replay(Tier::Sync, entry, &[]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("is a recording of an entry: replay it with `vixen-entry replay`"),
        "{said}"
    );
}

/// The position after the last that a node's store has.
async fn end_of(cluster: &Cluster, id: &str) -> u64 {
    let rows = cluster.ndb_tool(id, &["dump", "--rows"]).await.expect("it runs");
    assert!(rows.status.success(), "{}", rows.words());
    let last = rows.stdout.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
    let last: Value = serde_json::from_slice(last.expect("a row")).expect("JSON");
    let number = |name: &str| last[name].as_u64().expect("a number");
    number("position") + number("count")
}

/// One byte that is changed, and an end that is cut off.
async fn told_by_name(tier: Tier, file: &Path, dir: &Path) {
    let whole = std::fs::read(file).expect("read");
    let copy = dir.join("copy");
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&copy, &damaged).expect("written");
    let (code, said) = replay(tier, &copy, &["--quiet"]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("; the recording is damaged: entry "), "{said}");
    std::fs::write(&copy, &whole[..middle]).expect("written");
    let (code, said) = replay(tier, &copy, &["--quiet"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("agrees: "), "{said}");
}

#[tokio::test]
async fn a_node_that_would_overwrite_a_recording_does_not_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("S1.vixenrec");
    let options = ClusterOptions {
        sync: 1,
        ndb: 1,
        entries: 1,
        write_quorum: 1,
        ..ClusterOptions::default()
    };
    let setup = |id: &str, _store: &Path| {
        if id == "S1" { records_at(&file) } else { NodeSetup::default() }
    };
    let mut cluster = Cluster::start_with(options, setup).await.expect("a cluster");
    cluster.stop("S1").await.expect("a clean exit");
    let before = std::fs::read(&file).expect("recorded");
    cluster.spawn("S1").expect("started");
    let status = cluster.ended("S1").await.expect("it ends");
    assert!(!status.success());
    let log = cluster.log("S1").expect("a log");
    assert!(log.contains("S1.vixenrec is there already, and is not overwritten"), "{log}");
    assert_eq!(std::fs::read(&file).expect("still there"), before);
    let (code, said) = replay(Tier::Sync, &file, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("S1, a sync node of vixen "), "{said}");
    assert!(said.contains("#1 "), "{said}");
}

#[tokio::test]
async fn the_recordings_of_a_cluster_tell_stage_by_stage_what_its_segments_waited_for() {
    const MESSAGES: u64 = 300;
    let dir = tempfile::tempdir().expect("a folder");
    let cluster =
        Cluster::start_with(ClusterOptions::default(), |_id, _store| records_at(dir.path()));
    let mut cluster = cluster.await.expect("a cluster");
    let load = Load::start(load_on(&cluster, Amount::Messages(MESSAGES))).await.expect("a load");
    check(&load.finish().await.expect("the load ends").history).assert_ok();
    cluster.stop_all().await.expect("clean exits");
    let report = trace(dir.path(), 2, 3).expect("recordings");
    let text = report.to_string();
    eprintln!("{text}");
    assert!(report.segments() > 0, "{text}");
    // By whichever way they were elected.
    let stages = ["its journal", "to the home", "wait for the segment before"];
    assert!(stages.iter().all(|stage| text.contains(&format!("| {stage} |"))), "{text}");
    assert!(["told, and its turn", "ballot"].iter().any(|stage| text.contains(stage)), "{text}");
    assert!(text.contains(" at E"), "{text}");
}
