//! What a message costs between nodes and on disks, and what an idle cluster costs, by the nodes' own counters.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, Tier};

use crate::support::begun;

/// Frames between nodes for a message that is alone, on 3+3+3, where it takes no time. Somebody waits for 12.
const FRAMES_MAX: f64 = 14.0;
/// The same where somebody reads at another entry: three words to that entry, three to the ndb node that it reads from,
/// and the tail.
const FRAMES_MAX_READ: f64 = FRAMES_MAX + 7.0;
/// The rest gather what nobody waits for, some every 20 and some every 100 ms, and nodes that have to wait for a busy
/// processor step in for each other: so many more for each millisecond that a message takes.
const FRAMES_MAX_PER_MS: f64 = 1.5;
/// Commits of all stores for it, each a sync of a disk, and those of nodes that step in.
const COMMITS_MAX: f64 = 6.5;
const COMMITS_MAX_PER_MS: f64 = 0.5;
/// A segment whose nodes do not all vote in time goes by a ballot: so many commits and frames more for that one.
const COMMITS_OF_BALLOT: f64 = 2.0;
const FRAMES_OF_BALLOT: f64 = 7.0;
/// Commits of a message whose segment needs none.
const COMMITS: f64 = 5.4;
/// Frames a second on a link, one way, while nobody does anything: one, a beat or what sync nodes say of the time.
/// A word of the time that is late has both of them. The ends of the window may have one more.
const IDLE_FRAMES_MAX: f64 = 2.0;
/// So long an idle cluster is looked at. Nothing happens in it, so there is no event to wait for.
const IDLE: Duration = Duration::from_secs(6);
/// By then what lies in queues has left, and nobody is taken to read on.
const QUIET: Duration = Duration::from_secs(3);
/// What is passed over: the first messages meet caches that are cold.
const WARM: u64 = 20;
const MESSAGES: u64 = 200;
const TOPIC: &str = "com.budget";
const FRAMES: &str = "vixen_link_frames_sent_total";

/// The sums of a counter over all nodes of a tier.
async fn sum(cluster: &Cluster, tiers: &[Tier], metric: &str) -> f64 {
    let mut sum = 0.0;
    for id in tiers.iter().flat_map(|tier| cluster.ids_of(*tier)) {
        sum += cluster.metric(&id, metric).await.expect("a counter");
    }
    sum
}

async fn spent(cluster: &Cluster) -> [f64; 2] {
    let frames = sum(cluster, &Tier::ALL, FRAMES).await;
    let commits = sum(cluster, &[Tier::Sync], "vixen_sync_commits_total").await
        + sum(cluster, &[Tier::Ndb], "vixen_ndb_commits_total").await;
    [frames, commits]
}

/// Frames that a node has sent to the nodes of a tier, and by how many links.
async fn sent(cluster: &Cluster) -> BTreeMap<(String, &'static str), (f64, usize)> {
    let mut all = BTreeMap::new();
    for from in Tier::ALL {
        for id in cluster.ids_of(from) {
            for (to, label) in [(Tier::Sync, "sync"), (Tier::Ndb, "ndb"), (Tier::Entry, "entry")] {
                let label_of = format!("to=\"{label}\"");
                let frames = cluster.metric_with(&id, FRAMES, &label_of).await.expect("a counter");
                let links = cluster.ids_of(to).iter().filter(|peer| **peer != id).count();
                // Entries have no links to each other.
                if (from, to) != (Tier::Entry, Tier::Entry) {
                    all.insert((id.clone(), label), (frames, links));
                }
            }
        }
    }
    all
}

/// One message at a time, each acknowledged before the next: nothing shares its frames and commits. At most `frames_max`
/// where it takes no time.
async fn alone(mut cluster: Cluster, frames_max: f64) {
    // What entries write themselves at the beginning is written.
    begun(&cluster).await.expect("the beginning");
    let url = cluster.urls()[0].clone();
    let mut publisher = Connection::open(&url, "realm1").await.expect("a session");
    tokio::time::sleep(QUIET).await;
    let mut before = spent(&cluster).await;
    let (mut begun, mut ways, mut last) = (Instant::now(), BTreeMap::new(), None);
    for request in 1..=WARM + MESSAGES {
        let position = publisher.publish(request, TOPIC, "[1]").await.expect("a position");
        assert!(last.is_none_or(|last| position == last + 1), "nobody else publishes");
        last = Some(position);
        if request == WARM {
            ways = sent(&cluster).await;
            before = spent(&cluster).await;
            begun = Instant::now();
        }
    }
    let took_ms = begun.elapsed().as_secs_f64() * 1e3 / MESSAGES as f64;
    let after = spent(&cluster).await;
    for ((from, to), (frames, _links)) in sent(&cluster).await {
        let before = ways.get(&(from.clone(), to)).map_or(0.0, |(before, _links)| *before);
        eprintln!("  {from} to {to}: {:.2} frames", (frames - before) / MESSAGES as f64);
    }
    let [frames, commits] = [0, 1].map(|at| (after[at] - before[at]) / MESSAGES as f64);
    eprintln!("a lone message: {frames:.1} frames, {commits:.1} commits, {took_ms:.1} ms");
    let ballots = ((commits - COMMITS) / COMMITS_OF_BALLOT).max(0.0);
    let most = frames_max + took_ms * FRAMES_MAX_PER_MS + ballots * FRAMES_OF_BALLOT;
    assert!(frames <= most, "{frames:.1} frames, at most {most:.1} with {ballots:.2} ballots");
    assert!(commits <= COMMITS_MAX + took_ms * COMMITS_MAX_PER_MS, "{commits:.1} commits");
    publisher.close().await.expect("an orderly end");
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn a_lone_message_costs_no_more_frames_and_commits_than_it_may() {
    let cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    alone(cluster, FRAMES_MAX).await;
}

/// An entry and an ndb node besides wait for all that is elected, and the one tells the other.
#[tokio::test]
async fn a_lone_message_that_somebody_reads_elsewhere_costs_one_frame_more_for_each_word() {
    let cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let mut reader = Connection::open(&cluster.urls()[2], "realm1").await.expect("a session");
    reader.subscribe(1, TOPIC).await.expect("a subscription");
    alone(cluster, FRAMES_MAX_READ).await;
}

#[tokio::test]
async fn an_idle_cluster_says_one_word_a_second_on_each_link() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let mut publisher = Connection::open(&cluster.urls()[0], "realm1").await.expect("a session");
    publisher.publish(1, "com.idle", "[1]").await.expect("a position");
    tokio::time::sleep(QUIET).await;
    let (before, begun) = (sent(&cluster).await, Instant::now());
    tokio::time::sleep(IDLE).await;
    let after = sent(&cluster).await;
    // Nodes are asked one after the other: the last of them has counted for as long.
    let seconds = begun.elapsed().as_secs_f64();
    for (way, (frames, links)) in &after {
        let per_link = (frames - before[way].0) / *links as f64;
        let most = (IDLE_FRAMES_MAX * seconds).ceil() + 1.0;
        assert!(per_link <= most, "{way:?}: {per_link:.1} frames a link in {seconds:.1} s");
        assert!(per_link >= 1.0, "{way:?}: nobody is silent");
    }
    publisher.close().await.expect("an orderly end");
    cluster.stop_all().await.expect("clean exits");
}
