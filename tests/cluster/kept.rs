//! Clocks of ndb nodes that are wrong, and what retention makes of them.

use std::path::Path;

use serde_json::json;

use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, NodeSetup, Tier, get, wait_until};

use crate::support::SOON;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
const DAYS: i64 = 4;
const NOTHING_KEPT: &str = "1970-01-01";

/// A node whose clock is off by so many days.
fn off_by(days: i64) -> NodeSetup {
    let offset = (days * DAY_MS).to_string();
    NodeSetup { env: vec![("VIXEN_CLOCK_OFFSET_MS".to_owned(), offset)], ..NodeSetup::default() }
}

async fn publish(cluster: &Cluster, payload: &str) {
    let url = cluster.url("E1").expect("a URL");
    let mut publisher = Connection::open(&url, "realm1").await.expect("a session");
    publisher.publish(1, "com.example.days", payload).await.expect("acknowledged");
    publisher.close().await.expect("closed");
}

/// A cluster with a message on each of four days, that keeps thirty.
async fn four_days() -> Cluster {
    let extra = "[storage]\nretention-age = \"30days\"\n".to_owned();
    let options = ClusterOptions { entries: 1, extra, ..ClusterOptions::default() };
    let setup = |_id: &str, _store: &Path| off_by(1 - DAYS);
    let mut cluster = Cluster::start_with(options, setup).await.expect("a cluster");
    for day in 1 - DAYS..=0 {
        if day > 1 - DAYS {
            cluster.stop_all().await.expect("clean exits");
            for id in cluster.ids() {
                cluster.set_up(&id, off_by(day)).expect("set up");
            }
            cluster.start_all().await.expect("ready");
        }
        publish(&cluster, &format!("[{day}]")).await;
    }
    cluster
}

/// Restarts these ndb nodes in another way, and waits until they have thought about retention.
async fn restart_as(cluster: &mut Cluster, ids: &[String], setup: &NodeSetup) {
    for id in ids {
        cluster.stop(id).await.expect("a clean exit");
        cluster.set_up(id, setup.clone()).expect("set up");
    }
    cluster.restart_together(ids).await.expect("ready again");
    for id in ids {
        wait_until(&format!("{id} to think about retention"), SOON, || async {
            let retention = cluster.status(id).await?["retention"].clone();
            let is_done = retention["keep_from"] != NOTHING_KEPT
                && retention["peers"].as_object().is_some_and(|peers| peers.len() == 2);
            Ok(is_done.then_some(()))
        })
        .await
        .expect("it does");
    }
}

async fn first_position(cluster: &Cluster, id: &str) -> u64 {
    cluster.status_number(id, "/first_position").await.expect("a status")
}

/// Reads more often than there are replicas, from whatever one of them.
async fn everything_is_read(cluster: &Cluster) {
    let entry = cluster.address("E1").expect("an address");
    for query in ["after=0&limit=all", "limit=all", "direction=backward&limit=all"].repeat(4) {
        let answer = get(&entry, &format!("/history?{query}")).await.expect("an answer");
        let lines = answer.body.lines().count();
        assert_eq!((answer.status, lines), (200, 4), "{query}: {}", answer.body);
    }
}

#[tokio::test]
async fn no_wrong_clock_drops_a_day_and_what_most_have_dropped_is_taken_back_from_the_one_that_has_not()
 {
    let mut cluster = four_days().await;
    let all = cluster.ids_of(Tier::Ndb);
    // One clock, then all of the tier, are sixty days ahead.
    for wrong in [&all[..1], &all[..]] {
        restart_as(&mut cluster, wrong, &off_by(60)).await;
        for id in &all {
            assert_eq!(first_position(&cluster, id).await, 1, "{id}");
        }
        everything_is_read(&cluster).await;
        restart_as(&mut cluster, wrong, &NodeSetup::default()).await;
    }
    // Two nodes are told to keep a day, and drop three; the third keeps what it was told.
    let mut short = NodeSetup::default();
    short.env.push(("VIXEN_STORAGE_RETENTION_AGE".to_owned(), "1day".to_owned()));
    restart_as(&mut cluster, &all[..2], &short).await;
    for id in &all[..2] {
        wait_until(&format!("{id} to drop days"), SOON, || async {
            Ok((first_position(&cluster, id).await > 1).then_some(()))
        })
        .await
        .expect("dropped");
    }
    assert_eq!(first_position(&cluster, &all[2]).await, 1);
    everything_is_read(&cluster).await;
    // They are told again what the third one is.
    restart_as(&mut cluster, &all[..2], &NodeSetup::default()).await;
    everything_is_read(&cluster).await;
    for id in &all {
        wait_until(&format!("{id} to have everything again"), SOON, || async {
            let status = cluster.status(id).await?;
            let is_whole = status["first_position"] == 1 && status["missing_segments"] == json!(0);
            anyhow::ensure!(is_whole, "{status:#}");
            Ok(Some(()))
        })
        .await
        .expect("taken back");
    }
    cluster.stop_all().await.expect("clean exits");
    let mut dumps = Vec::new();
    for id in &all {
        let verified = cluster.ndb_tool(id, &["verify", "--complete"]).await.expect("it runs");
        assert!(verified.status.success(), "{}", verified.words());
        let dump = cluster.ndb_tool(id, &["dump"]).await.expect("it runs");
        dumps.push(dump.stdout);
    }
    assert!(!dumps[0].is_empty() && dumps.iter().all(|dump| *dump == dumps[0]));
}
