//! Messages that no node has any more.

use serde_json::json;

use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, Tier, wait_until};

use crate::gone::Stream;
use crate::support::{SOON, begun, caught_up, logged};

/// The order is known yet, from the sync nodes, and the messages are nowhere.
#[tokio::test]
async fn a_group_that_lost_all_its_stores_says_what_is_at_no_node() {
    let options = ClusterOptions { entries: 2, ..ClusterOptions::default() };
    let mut cluster = Cluster::start(options).await.expect("a cluster");
    begun(&cluster).await.expect("the beginning");
    let mut live = Stream::open_at(&cluster, "E2", "plant.1", "").await;
    live.until("retry: 1000\n\n").await;
    // What it hears of these is their places alone: without a link no tail sends it anything.
    cluster.pause("E2").expect("paused");
    for id in cluster.ids_of(Tier::Ndb) {
        logged(&cluster, &id, &["link down", "peer=E2"]).await;
    }
    let url = cluster.url("E1").expect("a URL");
    let mut publisher = Connection::open(&url, "realm1").await.expect("a session");
    let mut last = 0;
    for request in 1..=5 {
        last = publisher.publish(request, "plant.1", "[1]").await.expect("acknowledged");
    }
    publisher.close().await.expect("closed");
    let ids = cluster.ids_of(Tier::Ndb);
    caught_up(&cluster, "D1", last + 1).await.expect("all of it");
    cluster.kill_together(&ids).await.expect("killed");
    for id in &ids {
        std::fs::remove_dir_all(cluster.store_dir(id)).expect("removed");
    }
    for id in &ids {
        cluster.spawn(id).expect("started");
    }
    cluster.resume("E2").expect("it goes on");
    // That nobody is there comes first, until they are.
    const AT_NO_NODE: &str = " segments are at no node of group 0";
    let told = live.until(AT_NO_NODE).await;
    let before = told.split(AT_NO_NODE).next().unwrap_or_default();
    let segments = before.rsplit("what comes next waits: ").next().unwrap_or_default();
    // With those in which entries wrote at the beginning.
    let segments: u32 = segments.parse().expect(&told);
    assert!(segments > 5, "{told}");
    let lost = format!("{segments}{AT_NO_NODE}");
    assert!(told.contains("event: waiting\n") && !told.contains("\"position\":"), "{told}");
    for id in ["S1", "E1", "E2"] {
        wait_until(&format!("{id} to say what is lost"), SOON, || async {
            let answer = cluster.get(id, "/readyz").await?;
            let is_said = answer.status == 200 && answer.body.contains(&lost);
            anyhow::ensure!(is_said, "{} {}", answer.status, answer.body);
            Ok(Some(()))
        })
        .await
        .expect("told");
        let status = cluster.status(id).await.expect("a status");
        let nowhere = json!({
            "group": 0, "segments": segments, "first_position": 1, "last_position": last,
        });
        assert_eq!(status["segments_nowhere"], json!([nowhere]), "{id}");
    }
    for id in &ids {
        wait_until(&format!("{id} to say what is lost"), SOON, || async {
            let answer = cluster.get(id, "/readyz").await?;
            let is_said = answer.body.contains(&lost);
            anyhow::ensure!(answer.status == 200 && is_said, "{} {}", answer.status, answer.body);
            let counted = cluster.metric(id, "vixen_ndb_nowhere_segments").await?;
            anyhow::ensure!(counted == f64::from(segments), "{counted}");
            Ok(Some(()))
        })
        .await
        .expect("told");
        let log = cluster.log(id).expect("a log");
        assert_eq!(log.matches("placed segments are at no node of the group").count(), 1, "{log}");
        let verified = cluster.ndb_tool(id, &["verify"]).await.expect("it runs");
        let words = verified.words();
        assert!(
            words.contains("NOT COMPLETE")
                && words.contains(&format!("{segments} segments are missing")),
            "{words}"
        );
    }
}
