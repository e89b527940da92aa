//! Messages that no node has any more.

use serde_json::json;

use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, Tier, wait_until};

use crate::gone::Stream;
use crate::support::{SOON, logged};

const LOST: &str = "5 segments are at no node of group 0";

/// The order is known yet, from the sync nodes, and the messages are nowhere.
#[tokio::test]
async fn a_group_that_lost_all_its_stores_says_what_is_at_no_node() {
    let options = ClusterOptions { entries: 2, ..ClusterOptions::default() };
    let mut cluster = Cluster::start(options).await.expect("a cluster");
    let mut live = Stream::open_at(&cluster, "E2", "plant.1", "").await;
    live.until("retry: 1000\n\n").await;
    // What it hears of these is their places alone: without a link no tail sends it anything.
    cluster.pause("E2").expect("paused");
    for id in cluster.ids_of(Tier::Ndb) {
        logged(&cluster, &id, &["link down", "peer=E2"]).await;
    }
    let url = cluster.url("E1").expect("a URL");
    let mut publisher = Connection::open(&url, "realm1").await.expect("a session");
    for request in 1..=5 {
        publisher.publish(request, "plant.1", "[1]").await.expect("acknowledged");
    }
    publisher.close().await.expect("closed");
    let ids = cluster.ids_of(Tier::Ndb);
    cluster.kill_together(&ids).await.expect("killed");
    for id in &ids {
        std::fs::remove_dir_all(cluster.store_dir(id)).expect("removed");
    }
    for id in &ids {
        cluster.spawn(id).expect("started");
    }
    cluster.resume("E2").expect("it goes on");
    // That nobody is there comes first, until they are.
    let told = live.until(&format!("what comes next waits: {LOST}")).await;
    assert!(told.contains("event: waiting\n") && !told.contains("\"position\":"), "{told}");
    for id in ["S1", "E1", "E2"] {
        wait_until(&format!("{id} to say what is lost"), SOON, || async {
            let answer = cluster.get(id, "/readyz").await?;
            let is_said = answer.status == 200 && answer.body.contains(LOST);
            anyhow::ensure!(is_said, "{} {}", answer.status, answer.body);
            Ok(Some(()))
        })
        .await
        .expect("told");
        let status = cluster.status(id).await.expect("a status");
        let lost = json!({
            "group": 0, "segments": 5, "first_position": 1, "last_position": 5,
        });
        assert_eq!(status["segments_nowhere"], json!([lost]), "{id}");
    }
    for id in &ids {
        wait_until(&format!("{id} to say what is lost"), SOON, || async {
            let answer = cluster.get(id, "/readyz").await?;
            let is_said = answer.body.contains(LOST);
            anyhow::ensure!(answer.status == 200 && is_said, "{} {}", answer.status, answer.body);
            let segments = cluster.metric(id, "vixen_ndb_nowhere_segments").await?;
            anyhow::ensure!(segments == 5.0, "{segments}");
            Ok(Some(()))
        })
        .await
        .expect("told");
        let log = cluster.log(id).expect("a log");
        assert_eq!(log.matches("placed segments are at no node of the group").count(), 1, "{log}");
        let verified = cluster.ndb_tool(id, &["verify"]).await.expect("it runs");
        let words = verified.words();
        assert!(
            words.contains("NOT COMPLETE") && words.contains("5 segments are missing"),
            "{words}"
        );
    }
}
