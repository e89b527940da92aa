//! Sync nodes forget what ndb nodes have applied; who was away for longer than that takes the
//! order from an ndb node.

use std::time::{Duration, Instant};

use vixen_tests::check::check;
use vixen_tests::harness::{Cluster, ClusterOptions, Tier, wait_until};
use vixen_tests::load::{Amount, Load, LoadOptions, Pace};

use crate::support::{
    SOON, acknowledged, all_joined, all_settled, all_stored, caught_up, home_of, load_on,
    next_position, running,
};

const RETENTION: Duration = Duration::from_secs(1);
/// At least so long is who must miss something away.
const AWAY: Duration = Duration::from_secs(3);
const MESSAGES: u64 = 2_000;

async fn start() -> Cluster {
    let extra = format!("[limits]\nfeed-retention = \"{}ms\"\n", RETENTION.as_millis());
    let options = ClusterOptions { extra, ..ClusterOptions::default() };
    Cluster::start(options).await.expect("a cluster")
}

/// Not as much as it can: it is to last for a while.
fn steady_load(cluster: &Cluster) -> LoadOptions {
    let pace = Pace::Open { per_second: 1_500.0 };
    LoadOptions { pace, ..load_on(cluster, Amount::UntilStopped) }
}

async fn trimmed_to(cluster: &Cluster, id: &str) -> anyhow::Result<u64> {
    cluster.status_number(id, "/trimmed_to").await
}

/// Waits until all sync nodes that run have forgotten everything up to `stamp`.
async fn trimmed_past(cluster: &Cluster, stamp: u64) {
    for id in running(cluster, Tier::Sync) {
        wait_until(&format!("{id} to forget everything up to {stamp}"), SOON, || async {
            let at = trimmed_to(cluster, &id).await?;
            anyhow::ensure!(at > stamp, "it has forgotten up to {at}");
            Ok(Some(()))
        })
        .await
        .expect("it forgets");
    }
}

/// Waits until [`AWAY`] has passed since `since`, and all sync nodes that run have forgotten what
/// was new then.
async fn away_for_long(cluster: &Cluster, since: Instant) {
    let clock = newest(cluster).await;
    tokio::time::sleep_until((since + AWAY).into()).await;
    trimmed_past(cluster, clock).await;
}

/// A stamp as high as any elected so far.
async fn newest(cluster: &Cluster) -> u64 {
    let mut newest = 0;
    for id in running(cluster, Tier::Sync) {
        newest = newest.max(cluster.status_number(&id, "/clock").await.expect("a clock"));
    }
    newest
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
async fn elections_are_forgotten_while_messages_come_and_when_they_end() {
    let mut cluster = start().await;
    let options = steady_load(&cluster);
    let topic = options.topic.clone();
    let load = Load::start(options).await.expect("a load");
    for _ in 0..3 {
        let clock = newest(&cluster).await;
        trimmed_past(&cluster, clock).await;
    }
    finish(&cluster, load, &topic).await;
    cluster.stop_all().await.expect("clean exits");

    // After a restart of everything readers go on from where they were, or from an ndb node.
    cluster.start_all().await.expect("ready again");
    let options = LoadOptions { first_publisher: 10, ..steady_load(&cluster) };
    let load = Load::start(options).await.expect("a load");
    acknowledged(&load.progress(), MESSAGES).await.expect("traffic after the restart");
    load.stop();
    let result = load.finish().await.expect("the load ends");
    assert_eq!((&result.troubles, &result.first_error), (&Vec::new(), &None));
    check(&result.history).assert_ok();
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn an_ndb_node_that_was_away_for_longer_takes_the_order_from_a_peer() {
    let mut cluster = start().await;
    let options = steady_load(&cluster);
    let topic = options.topic.clone();
    let load = Load::start(options).await.expect("a load");
    let progress = load.progress();
    acknowledged(&progress, MESSAGES).await.expect("traffic before the kill");
    for victim in ["D2", "D1"] {
        cluster.kill(victim).await.expect("killed");
        away_for_long(&cluster, Instant::now()).await;
        cluster.restart(victim).await.expect("ready again");
        let next = next_position(&cluster, "D3").await.expect("a position");
        caught_up(&cluster, victim, next).await.expect("the restarted node catches up");
        for metric in ["vixen_ndb_feeds_trimmed_total", "vixen_ndb_order_rows_fetched_total"] {
            let count = cluster.metric(victim, metric).await.expect("metrics");
            assert!(count > 0.0, "{metric} of {victim} is {count}");
        }
        acknowledged(&progress, MESSAGES).await.expect("traffic after the restart");
    }
    finish(&cluster, load, &topic).await;
    for id in cluster.ids_of(Tier::Ndb) {
        let violations = cluster.metric(&id, "vixen_ndb_frontier_violations_total").await;
        assert_eq!(violations.expect("metrics"), 0.0, "{id}");
    }
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn a_sync_node_that_was_away_for_longer_settles() {
    let mut cluster = start().await;
    let options = steady_load(&cluster);
    let topic = options.topic.clone();
    let load = Load::start(options).await.expect("a load");
    let progress = load.progress();
    acknowledged(&progress, MESSAGES).await.expect("traffic before the kill");
    let home = home_of(&cluster, "E1").await.expect("a home");
    let other = cluster.ids_of(Tier::Sync).into_iter().find(|id| *id != home).expect("three");
    for victim in [home, other] {
        cluster.kill(&victim).await.expect("killed");
        away_for_long(&cluster, Instant::now()).await;
        cluster.restart(&victim).await.expect("ready again");
        wait_until(&format!("{victim} to settle"), SOON, || async {
            let status = cluster.status(&victim).await?;
            anyhow::ensure!(status["unsettled_since_restart"] == 0, "{status:#}");
            anyhow::ensure!(!status["watermark"].is_null(), "{status:#}");
            Ok(Some(()))
        })
        .await
        .expect("settled");
        acknowledged(&progress, MESSAGES).await.expect("traffic after the restart");
        // It counts for readers as well: without another, its feed is needed.
        let third = cluster.ids_of(Tier::Sync).into_iter().find(|id| *id != victim);
        let third = third.expect("three");
        cluster.kill(&third).await.expect("killed");
        acknowledged(&progress, MESSAGES).await.expect("traffic that needs its feed");
        cluster.restart(&third).await.expect("ready again");
        acknowledged(&progress, MESSAGES).await.expect("traffic after the restart");
    }
    finish(&cluster, load, &topic).await;
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn an_entry_that_was_cut_off_for_longer_takes_the_order_from_an_ndb_node() {
    let mut cluster = start().await;
    let options = steady_load(&cluster);
    let topic = options.topic.clone();
    let load = Load::start(options).await.expect("a load");
    let progress = load.progress();
    acknowledged(&progress, MESSAGES).await.expect("traffic before the pause");
    // Nobody publishes there, and one subscribes. With new sync processes its feeds are cut off.
    cluster.pause("E3").expect("paused");
    let paused = Instant::now();
    for id in cluster.ids_of(Tier::Sync) {
        cluster.kill(&id).await.expect("killed");
        cluster.spawn(&id).expect("started");
        all_joined(&cluster).await.expect("three of three again");
    }
    away_for_long(&cluster, paused).await;
    cluster.resume("E3").expect("resumed");
    acknowledged(&progress, MESSAGES).await.expect("traffic after the pause");
    finish(&cluster, load, &topic).await;
    for metric in ["vixen_entry_feeds_trimmed_total", "vixen_entry_order_rows_fetched_total"] {
        let count = cluster.metric("E3", metric).await.expect("metrics");
        assert!(count > 0.0, "{metric} of E3 is {count}");
    }
    cluster.stop_all().await.expect("clean exits");
}
