//! Messages that no node has any more.

use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, Tier, wait_until};

use crate::support::SOON;

/// The order is known yet, from the sync nodes, and the messages are nowhere.
#[tokio::test]
async fn a_group_that_lost_all_its_stores_says_what_is_at_no_node() {
    let options = ClusterOptions { entries: 1, ..ClusterOptions::default() };
    let mut cluster = Cluster::start(options).await.expect("a cluster");
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
    cluster.restart_together(&ids).await.expect("ready");
    for id in &ids {
        wait_until(&format!("{id} to say what is lost"), SOON, || async {
            let answer = cluster.get(id, "/readyz").await?;
            let is_said = answer.body.contains("5 segments are at no node of group 0");
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
