//! Segments whose entry died before a quorum had them.

use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, Tier, get, wait_until};

use crate::support::{SOON, begun};

/// Only one ndb node has the message when its entry dies for good. Nobody acknowledged it: it may
/// become canonical or not, but at all nodes alike, and nothing may wait for it for ever.
#[tokio::test]
async fn a_segment_of_a_dead_entry_on_one_disk_is_offered_and_becomes_canonical() {
    let options = ClusterOptions { entries: 2, ..ClusterOptions::default() };
    let mut cluster = Cluster::start(options).await.expect("a cluster");
    // What entries write themselves is not to be left behind as well.
    let next = begun(&cluster).await.expect("the beginning");
    let url = cluster.url("E1").expect("a URL");
    let mut publisher = Connection::open(&url, "realm1").await.expect("a session");
    cluster.kill_together(&["D2".to_owned(), "D3".to_owned()]).await.expect("killed");
    let publishing = tokio::spawn(async move {
        // Never answered: there is no quorum.
        publisher.publish(1, "com.example.orphan", "[\"left behind\"]").await
    });
    wait_until("the message on the disk of D1", SOON, || async {
        let status = cluster.status("D1").await?;
        let waits_for = status["pending"][0]["waits_for"].as_str().unwrap_or_default();
        Ok(waits_for.starts_with("its place").then_some(()))
    })
    .await
    .expect("stored");
    cluster.kill("E1").await.expect("killed");
    assert!(publishing.await.expect("no panic").is_err(), "nobody acknowledged it");
    cluster.restart_together(&["D2".to_owned(), "D3".to_owned()]).await.expect("ready again");
    for id in cluster.ids_of(Tier::Ndb) {
        wait_until(&format!("the message at its place at {id}"), SOON, || async {
            let status = cluster.status(&id).await?;
            let is_placed = status["next_position"].as_u64() > Some(next);
            let is_there = is_placed && status["pending_total"] == 0;
            anyhow::ensure!(is_there, "{status:#}");
            Ok((status["missing_segments"] == 0).then_some(()))
        })
        .await
        .expect("canonical");
    }
    let offered = cluster.metric("D1", "vixen_ndb_segments_offered_total").await.expect("metrics");
    assert!(offered > 0.0, "D1 offered it");
    let entry = cluster.address("E2").expect("an address");
    // A read asks how far the order is, and on a busy machine does not wait for the answer.
    wait_until("E2 to read it", SOON, || async {
        let answer = get(&entry, "/history?topic=com.example.orphan").await?;
        anyhow::ensure!(answer.body.contains("left behind"), "{}", answer.body);
        Ok(Some(()))
    })
    .await
    .expect("read");
    cluster.restart("E1").await.expect("ready again");
    cluster.stop_all().await.expect("clean exits");
}
