//! What a message costs between nodes and on disks, by their own counters.

use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, Tier};

/// Frames between nodes for a message that is alone, on 3+3+3. Nodes that have to wait for a busy processor step in
/// for each other, and beat meanwhile: more than on a machine of their own.
const FRAMES_MAX: f64 = 60.0;
/// Commits of all stores for it, each two syncs of a disk.
const COMMITS_MAX: f64 = 12.0;
/// What is passed over: the first messages meet caches that are cold.
const WARM: u64 = 20;
const MESSAGES: u64 = 200;

/// The sums of a counter over all nodes of a tier.
async fn sum(cluster: &Cluster, tiers: &[Tier], metric: &str) -> f64 {
    let mut sum = 0.0;
    for id in tiers.iter().flat_map(|tier| cluster.ids_of(*tier)) {
        sum += cluster.metric(&id, metric).await.expect("a counter");
    }
    sum
}

async fn spent(cluster: &Cluster) -> [f64; 2] {
    let frames = sum(cluster, &Tier::ALL, "vixen_link_frames_sent_total").await;
    let commits = sum(cluster, &[Tier::Sync], "vixen_sync_commits_total").await
        + sum(cluster, &[Tier::Ndb], "vixen_ndb_commits_total").await;
    [frames, commits]
}

/// One message at a time, each acknowledged before the next: nothing shares its frames and commits.
#[tokio::test]
async fn a_lone_message_costs_no_more_frames_and_commits_than_it_may() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let url = cluster.urls()[0].clone();
    let mut publisher = Connection::open(&url, "realm1").await.expect("a session");
    let mut before = spent(&cluster).await;
    for request in 1..=WARM + MESSAGES {
        let position = publisher.publish(request, "com.budget", "[1]").await.expect("a position");
        assert_eq!(position, request, "nobody else publishes");
        if request == WARM {
            before = spent(&cluster).await;
        }
    }
    let after = spent(&cluster).await;
    let [frames, commits] = [0, 1].map(|at| (after[at] - before[at]) / MESSAGES as f64);
    eprintln!("a lone message: {frames:.1} frames, {commits:.1} commits");
    assert!(frames <= FRAMES_MAX, "{frames:.1} frames");
    assert!(commits <= COMMITS_MAX, "{commits:.1} commits");
    publisher.close().await.expect("an orderly end");
    cluster.stop_all().await.expect("clean exits");
}
