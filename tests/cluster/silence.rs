//! Nodes that are there and say nothing: absent by name everywhere within two seconds, and back when
//! they wake; and what is lost of the cluster's redundancy.

use std::time::Instant;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use vixen_tests::client::{Connection, ServerMessage};
use vixen_tests::harness::{Cluster, ClusterOptions, Tier, wait_until};
use vixen_tests::power_cut::{Disk, PowerSupply};

use crate::support::{SOON, logged};

const TOPIC: &str = "vixen.silence";

fn all_but(cluster: &Cluster, paused: &[&str]) -> Vec<String> {
    let tiers = [Tier::Sync, Tier::Ndb, Tier::Entry];
    let ids = tiers.into_iter().flat_map(|tier| cluster.ids_of(tier));
    ids.filter(|id| !paused.contains(&id.as_str())).collect()
}

/// Waits until `/readyz` of each of `ids` has all of `words`, and answers with `status`.
pub(crate) async fn readyz(cluster: &Cluster, ids: &[String], status: u16, words: &[&str]) {
    for id in ids {
        wait_until(&format!("/readyz of {id} to say {words:?}"), SOON, || async {
            let answer = cluster.get(id, "/readyz").await?;
            let is_said = words.iter().all(|word| answer.body.contains(word));
            anyhow::ensure!(answer.status == status && is_said, "{answer:?}");
            Ok(Some(()))
        })
        .await
        .expect("told");
    }
}

async fn all_ready(cluster: &Cluster) {
    readyz(cluster, &all_but(cluster, &[]), 200, &["ready\n"]).await;
}

fn address_of(cluster: &Cluster, id: &str) -> String {
    cluster.address(id).expect("a node")
}

/// What one acknowledged publish at E1 is answered.
pub(crate) async fn publish(cluster: &Cluster) -> Result<u64, String> {
    let url = cluster.url("E1").expect("an entry");
    let mut publisher = Connection::open(&url, "realm1").await.expect("a session");
    publisher.send(json!([16, 1, {"acknowledge": true}, TOPIC, [1]]).to_string().as_bytes());
    let hear = async {
        loop {
            if let Some(text) = publisher.next_text().expect("a session") {
                return match ServerMessage::parse(text) {
                    Some(ServerMessage::Published { publication, .. }) => Ok(publication),
                    Some(ServerMessage::Error { .. }) => {
                        Err(String::from_utf8_lossy(text).into_owned())
                    }
                    other => panic!("{other:?}"),
                };
            }
            publisher.exchange().await.expect("a session");
        }
    };
    tokio::time::timeout(SOON, hear).await.expect("an answer in time")
}

#[tokio::test]
async fn two_stopped_sync_nodes_are_missed_by_name_everywhere_and_back_when_they_wake() {
    let cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    all_ready(&cluster).await;
    publish(&cluster).await.expect("a place");
    let begun = Instant::now();
    for id in ["S2", "S3"] {
        cluster.pause(id).expect("paused");
    }
    let others = all_but(&cluster, &["S2", "S3"]);
    // Those that have said their last word in the same second are named together.
    readyz(&cluster, &others, 503, &["waiting for S2", "S3 (silent for "]).await;
    eprintln!("all nodes told within {:?}", begun.elapsed());
    let error = publish(&cluster).await.expect_err("no quorum");
    for word in ["vixen.error.no_quorum", "waiting for S2", "S3 (silent for "] {
        assert!(error.contains(word), "no {word} in {error}");
    }
    logged(&cluster, "E1", &["WARN", "peer is silent", "peer=S2"]).await;
    for (label, wanted) in [("peer=\"S2\"", 0.0), ("peer=\"S1\"", 1.0)] {
        let up = cluster.metric_with("E1", "vixen_link_up", label).await.expect("metrics");
        assert_eq!(up.total_cmp(&wanted), std::cmp::Ordering::Equal, "{label}: {up}");
    }
    for id in &others {
        let spare = cluster.metric_with(id, "vixen_quorum_spare", "tier=\"sync\"").await;
        let spare = spare.expect("metrics");
        assert!(spare < -0.5 && spare > -1.5, "{id} has {spare} to spare");
    }
    // For so long that their links are given up: they are silent all the same.
    wait_until("links to be given up", SOON, || async {
        let status = cluster.status("E1").await?;
        let reason = status["links"][1]["last_down"].as_str().unwrap_or_default();
        anyhow::ensure!(reason.starts_with("silent for"), "{:#}", status["links"]);
        Ok(Some(()))
    })
    .await
    .expect("given up");
    for id in &others {
        wait_until(&format!("{id} to say that S3 is silent, and has no link"), SOON, || async {
            let answer = cluster.get(id, "/readyz").await?;
            let seconds = answer.body.split("S3 (silent for ").nth(1);
            let seconds = seconds.and_then(|rest| rest.split_once(" s")?.0.parse::<u64>().ok());
            let is_said = answer.status == 503 && answer.body.contains("waiting for S2");
            anyhow::ensure!(is_said && seconds >= Some(10), "{answer:?}");
            Ok(Some(()))
        })
        .await
        .expect("told");
    }
    for id in ["S2", "S3"] {
        cluster.resume(id).expect("resumed");
    }
    all_ready(&cluster).await;
    publish(&cluster).await.expect("a place again");
    logged(&cluster, "S2", &["WARN", "this node was stalled", "stalled_s="]).await;
    logged(&cluster, "E1", &["INFO", "peer is heard again", "peer=S3"]).await;
    let stalls = cluster.metric("S2", "vixen_sync_stalls_total").await.expect("metrics");
    assert!(stalls >= 1.0, "{stalls}");
}

#[tokio::test]
async fn stopped_ndb_nodes_and_entries_are_missed_by_name_and_say_that_they_were_stalled() {
    let cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    all_ready(&cluster).await;
    publish(&cluster).await.expect("a place");
    for id in ["D2", "D3", "E3"] {
        cluster.pause(id).expect("paused");
    }
    let entries = ["E1", "E2"].map(str::to_owned);
    let wanted = ["1 of 2 ndb nodes of group 0 live, waiting for D2", "D3 (silent for "];
    readyz(&cluster, &entries, 503, &wanted).await;
    // They can do their own work, and say what is missed.
    let others = ["S1", "S2", "S3", "D1"].map(str::to_owned);
    let wanted = ["ready, degraded: D2", "D3 silent for ", "(group 0 takes no messages)"];
    readyz(&cluster, &others, 200, &wanted).await;
    logged(&cluster, "S1", &["WARN", "peer is silent", "peer=E3"]).await;
    // The one whose link stands: those of who is silent for as long as a publish waits are cut.
    cluster.resume("E3").expect("resumed");
    logged(&cluster, "S1", &["INFO", "peer is heard again", "peer=E3"]).await;
    let error = publish(&cluster).await.expect_err("no quorum");
    for word in ["vixen.error.no_quorum", "waiting for D2", "D3 (silent for "] {
        assert!(error.contains(word), "no {word} in {error}");
    }
    for id in ["D2", "D3"] {
        cluster.resume(id).expect("resumed");
    }
    all_ready(&cluster).await;
    publish(&cluster).await.expect("a place again");
    for (id, metric) in [("D2", "vixen_ndb_stalls_total"), ("E3", "vixen_entry_stalls_total")] {
        logged(&cluster, id, &["WARN", "this node was stalled", "stalled_s="]).await;
        let stalls = cluster.metric(id, metric).await.expect("metrics");
        assert!(stalls >= 1.0, "{id}: {stalls}");
    }
}

#[tokio::test]
async fn a_disk_that_stands_still_is_told_by_name_and_holds_nobody_up() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let supply = PowerSupply::new(&cluster.dir().join("power")).expect("a library");
    for id in ["S2", "D2"] {
        let setup = supply.setup(id, &cluster.store_dir(id), Disk::default()).expect("a setup");
        cluster.set_up(id, setup).expect("a node");
        cluster.stop(id).await.expect("a clean exit");
        cluster.restart(id).await.expect("ready");
    }
    all_ready(&cluster).await;
    let disk_of = |id: &str| supply.stands(id);
    std::fs::write(disk_of("D2"), "").expect("its disk stands still");
    publish(&cluster).await.expect("a place by the others");
    let itself = ["D2".to_owned()];
    readyz(&cluster, &itself, 200, &["ready, degraded: ", "D2 disk does not answer"]).await;
    let entries = cluster.ids_of(Tier::Entry);
    readyz(&cluster, &entries, 200, &["ready, degraded: ", "D2 disk does not answer"]).await;
    logged(&cluster, "D2", &["WARN", "the disk does not answer"]).await;
    let status = cluster.status("D2").await.expect("a status");
    let owed_ms = status["disk"]["stalled_ms"].as_u64();
    assert!(owed_ms.is_some_and(|ms| ms >= 2_000), "{:#}", status["disk"]);
    std::fs::write(disk_of("S2"), "").expect("its disk stands still");
    publish(&cluster).await.expect("a place by the others");
    let others = all_but(&cluster, &["S2"]);
    readyz(&cluster, &others, 200, &["ready, degraded: ", "S2 silent for "]).await;
    for id in ["S2", "D2"] {
        std::fs::remove_file(disk_of(id)).expect("its disk goes on");
    }
    all_ready(&cluster).await;
    publish(&cluster).await.expect("a place");
    logged(&cluster, "D2", &["INFO", "the disk answers again", "stalled_s="]).await;
    let stalls = cluster.metric("D2", "vixen_ndb_disk_stalls_total").await.expect("metrics");
    assert!(stalls >= 1.0, "{stalls}");
}

#[tokio::test]
async fn a_group_that_is_gone_is_told_by_every_entry() {
    let options =
        ClusterOptions { groups: 2, ndb: 1, write_quorum: 1, ..ClusterOptions::default() };
    let mut cluster = Cluster::start(options).await.expect("a cluster");
    all_ready(&cluster).await;
    cluster.stop("D2").await.expect("a clean exit");
    let others = all_but(&cluster, &["D2"]);
    let wanted = "ready, degraded: D2 down (group 1 cannot be read)";
    readyz(&cluster, &others, 200, &[wanted]).await;
    for id in cluster.ids_of(Tier::Entry) {
        let spare = cluster.metric_with(&id, "vixen_quorum_spare", "group=\"1\"").await;
        let spare = spare.expect("metrics");
        assert!(spare < -0.5, "{id} has {spare} to spare");
    }
    publish(&cluster).await.expect("the other group takes it");
    // A reader of what it holds hears why nothing comes.
    let mut stream = TcpStream::connect(address_of(&cluster, "E1")).await.expect("connected");
    let request = format!("GET /events?topic={TOPIC}&after=0 HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut told = String::new();
    let hear = async {
        while !told.contains("group 1 cannot be read: D2 down") {
            let mut part = [0; 1024];
            let bytes = stream.read(&mut part).await.expect("a stream");
            assert!(bytes > 0, "it has ended: {told}");
            told.push_str(&String::from_utf8_lossy(&part[..bytes]));
        }
    };
    tokio::time::timeout(SOON, hear).await.expect("told in time");
    assert!(told.contains("event: waiting\ndata: {\"message\":"), "{told}");
    // That it has ended is all there is to say of its links.
    for id in ["S1", "D1", "E1"] {
        logged(&cluster, id, &["link down", "peer=D2", "reason=\"closed by the peer\""]).await;
    }
    cluster.restart("D2").await.expect("ready again");
    all_ready(&cluster).await;
}
