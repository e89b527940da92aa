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
    // They may find out of one after the other, and others hear of it later.
    let segments = wait_until("all nodes to know of all that is lost", SOON, || async {
        let mut told = Vec::new();
        for id in ["D1", "D2", "D3", "S1", "E1", "E2"] {
            told.push(cluster.status(id).await?["segments_nowhere"].clone());
        }
        let all = &told[0][0];
        let is_whole = all["first_position"] == 1 && all["last_position"] == json!(last);
        let is_all = is_whole && all["group"] == 0;
        anyhow::ensure!(is_all && told.iter().all(|one| *one == told[0]), "{told:#?}");
        Ok(all["segments"].as_u64())
    })
    .await
    .expect("found out");
    let segments = u32::try_from(segments).expect("few");
    // With those in which entries wrote at the beginning.
    assert!(segments > 5, "{segments}");
    let lost = format!("{segments} segments are at no node of group 0");
    // That nobody is there comes first, until they are; then how many, as soon as it is known of some.
    let told = live.until(" segments are at no node of group 0").await;
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
        let says = |line: &&str| line.contains("placed segments are at no node of the group");
        let of_all = format!("segments={segments}");
        let lines: Vec<_> =
            log.lines().filter(says).filter(|line| line.contains(&of_all)).collect();
        assert_eq!(lines.len(), 1, "{log}");
        let verified = cluster.ndb_tool(id, &["verify"]).await.expect("it runs");
        let words = verified.words();
        assert!(
            words.contains("NOT COMPLETE")
                && words.contains(&format!("{segments} segments are missing")),
            "{words}"
        );
    }
}
