//! Sync nodes whose stores are wiped, rolled back or copied: they are refused, say so and end, and
//! the others go on (DESIGN §4 rule 9).

use std::path::{Path, PathBuf};

use vixen_tests::check::check;
use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, Tier, wait_until};
use vixen_tests::load::{Amount, Load, LoadOptions};

use crate::config::{ends, text};
use crate::support::{SOON, acknowledged, all_settled, all_stored, load_on, running};

const MESSAGES: u64 = 3_000;
const REFUSED: &str = "vixen_sync_peers_refused_total";

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        assert!(entry.file_type().expect("a type").is_file(), "a store is flat: {entry:?}");
        copy_sparse(&entry.path(), &to.join(entry.file_name()));
    }
}

/// LMDB's file is as large as its map, and nearly all of it is a hole.
fn copy_sparse(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("--sparse=always").args([from, to]).status();
    assert!(copied.expect("cp").success(), "{}", from.display());
}

/// Puts a copy of `from` in the place of `to`.
fn replace_folder(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).expect("removed");
    copy_folder(from, to);
}

/// The sum of what the other sync nodes have refused.
async fn refused_by_others(cluster: &Cluster) -> f64 {
    let mut sum = 0.0;
    for id in running(cluster, Tier::Sync).into_iter().filter(|id| id != "S2") {
        sum += cluster.metric(&id, REFUSED).await.expect("metrics");
    }
    sum
}

/// Starts S2 with a store that is not what its peers remember: it must end, with these words.
async fn assert_refused(cluster: &mut Cluster, problem: &str) {
    let seen = cluster.log("S2").expect("a log").len();
    let before = refused_by_others(cluster).await;
    cluster.spawn("S2").expect("started");
    let status = cluster.ended("S2").await.expect("it ends by itself");
    let log = cluster.log("S2").expect("a log").split_off(seen);
    assert!(!status.success(), "S2 ended with {status}: {log}");
    let remedy = "A sync node lost its store";
    for word in ["refuses this node's store", problem, remedy, "docs/operations.md"] {
        assert!(log.contains(word), "no {word:?} in: {log}");
    }
    assert!(["S1 refuses", "S3 refuses"].iter().any(|peer| log.contains(peer)), "{log}");
    wait_until("the others to count it", SOON, || async {
        Ok((refused_by_others(cluster).await > before).then_some(()))
    })
    .await
    .expect("counted");
    wait_until("a peer to tell its operator", SOON, || async {
        let logs = [cluster.log("S1")?, cluster.log("S3")?].concat();
        anyhow::ensure!(logs.contains(remedy), "{logs}");
        Ok(Some(()))
    })
    .await
    .expect("told");
}

/// A load that goes on until it is stopped, and must not fail.
async fn start_load(cluster: &Cluster, first_publisher: u32) -> (Load, String) {
    let options = LoadOptions { first_publisher, ..load_on(cluster, Amount::UntilStopped) };
    let topic = options.topic.clone();
    (Load::start(options).await.expect("a load"), topic)
}

async fn finish(cluster: &Cluster, load: Load, topic: &str) {
    load.stop();
    let result = load.finish().await.expect("the load ends");
    assert_eq!((&result.troubles, &result.first_error), (&Vec::new(), &None));
    check(&result.history).assert_ok();
    all_settled(cluster).await.expect("nothing is left over");
    all_stored(cluster, topic, &result.history).await.expect("all ndb nodes have one order");
}

#[tokio::test]
async fn a_wiped_sync_node_is_refused_and_ends_and_the_others_go_on() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let (load, topic) = start_load(&cluster, 0).await;
    let progress = load.progress();
    acknowledged(&progress, MESSAGES).await.expect("traffic");
    cluster.stop("S2").await.expect("a clean exit");
    std::fs::remove_dir_all(cluster.store_dir("S2")).expect("removed");
    for _again in 0..2 {
        assert_refused(&mut cluster, "it knows this node by another store").await;
        acknowledged(&progress, MESSAGES).await.expect("traffic without it");
    }
    finish(&cluster, load, &topic).await;
}

#[tokio::test]
async fn a_sync_node_that_was_rolled_back_is_refused_and_its_latest_store_is_not() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let (backup, latest) = (cluster.dir().join("backup"), cluster.dir().join("latest"));
    cluster.stop_all().await.expect("clean exits");
    let store = cluster.store_dir("S2");
    copy_folder(&store, &backup);
    cluster.start_all().await.expect("ready again");

    let (load, topic) = start_load(&cluster, 0).await;
    let progress = load.progress();
    acknowledged(&progress, MESSAGES).await.expect("traffic");
    cluster.stop("S2").await.expect("a clean exit");
    copy_folder(&store, &latest);
    replace_folder(&backup, &store);
    assert_refused(&mut cluster, "which now counts").await;
    acknowledged(&progress, MESSAGES).await.expect("traffic without it");

    replace_folder(&latest, &store);
    cluster.restart("S2").await.expect("its own, latest store is welcome");
    acknowledged(&progress, MESSAGES).await.expect("traffic with it");
    finish(&cluster, load, &topic).await;
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn a_copy_of_a_store_is_refused_once_the_original_has_run_on() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let copy = cluster.dir().join("copy");
    let store = cluster.store_dir("S2");
    let (load, topic) = start_load(&cluster, 0).await;
    let progress = load.progress();
    acknowledged(&progress, MESSAGES).await.expect("traffic");
    cluster.stop("S2").await.expect("a clean exit");
    copy_folder(&store, &copy);
    cluster.restart("S2").await.expect("ready again");
    acknowledged(&progress, MESSAGES).await.expect("traffic");
    cluster.stop("S2").await.expect("a clean exit");
    replace_folder(&copy, &store);
    assert_refused(&mut cluster, "a copy of it runs elsewhere").await;
    acknowledged(&progress, MESSAGES).await.expect("traffic without it");
    finish(&cluster, load, &topic).await;
}

/// Both start with the same number of commits, and nothing is published: only the start counts.
#[tokio::test]
async fn a_copy_of_a_store_is_refused_though_nothing_happened_since() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let copy = cluster.dir().join("copy");
    let store = cluster.store_dir("S2");
    cluster.stop("S2").await.expect("a clean exit");
    copy_folder(&store, &copy);
    cluster.restart("S2").await.expect("ready again");
    all_settled(&cluster).await.expect("an idle cluster");
    cluster.stop("S2").await.expect("a clean exit");
    replace_folder(&copy, &store);
    assert_refused(&mut cluster, "a copy of it runs elsewhere").await;
}

/// Waits until `node` counts S2, whose store it remembers from then on.
async fn knows_store_of_s2(cluster: &Cluster, node: &str) {
    wait_until("S2 to be taken", SOON, || async {
        let status = cluster.status(node).await?;
        let mut links = status["links"].as_array().into_iter().flatten();
        let is_taken = links.any(|link| link["peer"] == "S2" && link["taken"] == true);
        Ok(is_taken.then_some(()))
    })
    .await
    .expect("S2 is taken");
}

/// `vixen-sync --forget-peer S2` at a node: what it says, if it ends well.
async fn forget(cluster: &Cluster, node: &str) -> Result<String, String> {
    let config = cluster.config_file().to_str().expect("a path of the test");
    let output =
        ends(Tier::Sync, &["--config", config, "--node", node, "--forget-peer", "S2"]).await;
    let text = text(&output);
    if output.status.success() { Ok(text) } else { Err(text) }
}

#[tokio::test]
async fn a_lost_store_is_replaced_by_the_operators_word_and_nothing_is_lost() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let (load, topic) = start_load(&cluster, 0).await;
    let progress = load.progress();
    acknowledged(&progress, MESSAGES).await.expect("traffic");
    for node in ["S1", "S3"] {
        knows_store_of_s2(&cluster, node).await;
    }
    cluster.stop("S2").await.expect("a clean exit");
    let store: PathBuf = cluster.store_dir("S2");
    std::fs::remove_dir_all(&store).expect("removed");
    acknowledged(&progress, MESSAGES).await.expect("traffic without it");

    // Not while the node runs, and not while something is pending.
    let refusal = forget(&cluster, "S1").await.expect_err("S1 runs");
    assert!(refusal.contains("S1 runs, and has the directory"), "{refusal}");
    assert!(!refusal.contains("another directory"), "{refusal}");
    cluster.kill("S3").await.expect("killed");
    // The load's last segments may be elected already, and wait for a watermark only.
    let url = cluster.url("E3").expect("an entry");
    let mut other = Connection::open(&url, "realm1").await.expect("a session");
    other.send(br#"[16,1,{},"vixen.amnesia.beside",["pending"]]"#);
    other.exchange().await.expect("sent");
    wait_until("S1 to have a draft on disk", SOON, || async {
        let status = cluster.status("S1").await?;
        let mut pending = status["pending"].as_array().into_iter().flatten();
        anyhow::ensure!(pending.any(|line| !line["draft"].is_null()), "{status:#}");
        Ok(Some(()))
    })
    .await
    .expect("pending");
    cluster.stop("S1").await.expect("a clean exit");
    let refusal = forget(&cluster, "S1").await.expect_err("segments are pending");
    for word in ["segments are pending at S1", "pending_total", "S2"] {
        assert!(refusal.contains(word), "no {word:?} in {refusal}");
    }
    let both = ["S1", "S3"].map(str::to_owned);
    cluster.restart_together(&both).await.expect("ready again");
    acknowledged(&progress, MESSAGES).await.expect("traffic with the majority back");
    load.stop();
    let before = load.finish().await.expect("the load ends");
    assert_eq!(before.troubles, Vec::<String>::new());
    check(&before.history).assert_ok();

    // The way out, as docs/operations.md tells it.
    let entries = cluster.ids_of(Tier::Entry);
    for entry in &entries {
        cluster.stop(entry).await.expect("a clean exit");
    }
    all_settled(&cluster).await.expect("nothing is pending");
    for node in &both {
        cluster.stop(node).await.expect("a clean exit");
    }
    for node in &both {
        let said = forget(&cluster, node).await.expect("forgotten");
        assert!(said.contains(&format!("{node} has forgotten the store of S2")), "{said}");
        let said = forget(&cluster, node).await.expect("nothing to do");
        assert!(said.contains("remembers no store of S2"), "{said}");
    }
    let all = ["S1", "S2", "S3"].map(str::to_owned);
    cluster.restart_together(&all).await.expect("S2 is welcome with an empty store");
    cluster.restart_together(&entries).await.expect("ready again");

    let (load, topic_after) = start_load(&cluster, 10).await;
    assert_eq!(topic, topic_after);
    let progress = load.progress();
    acknowledged(&progress, MESSAGES).await.expect("traffic with the empty store");
    // It counts for a majority now.
    cluster.kill("S3").await.expect("killed");
    acknowledged(&progress, MESSAGES).await.expect("traffic with S1 and S2");
    cluster.restart("S3").await.expect("ready again");
    load.stop();
    let after = load.finish().await.expect("the load ends");
    assert_eq!((&after.troubles, &after.first_error), (&Vec::new(), &None));
    check(&after.history).assert_ok();
    all_settled(&cluster).await.expect("nothing is left over");
    let mut history = before.history;
    history.publishers.extend(after.history.publishers);
    // Subscribers of the two loads saw one part each: what is stored is judged against both.
    history.subscribers.clear();
    all_stored(&cluster, &topic, &history).await.expect("all ndb nodes have one order");
    cluster.stop_all().await.expect("clean exits");
}
