//! Disks that are full at the wrong moment.

use std::cell::RefCell;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, Disk, Tier, get, wait_until};

use crate::support::SOON;

const DISK_MIB: u32 = 40;
/// Of it, what the journal of a sync node takes.
const JOURNAL_MIB: u32 = 8;
const WAITS: &str = "the disk has no room for what is to be written";

/// Takes all the room there is.
fn fill(disk: &Disk) {
    let mut ballast = std::fs::File::create(disk.store().join("ballast")).expect("a file");
    for block in [256 << 10, 4 << 10, 1] {
        let bytes = vec![1; block];
        while ballast.write_all(&bytes).is_ok() {}
    }
}

/// Publishes to these, each once, and waits for as long as it takes: entries of these clusters are impatient.
async fn publish(cluster: &Cluster, topics: impl IntoIterator<Item = u64>) {
    let url = cluster.url("E1").expect("a URL");
    let mut publisher = Connection::open(&url, "realm1").await.expect("a session");
    for n in topics {
        let options = json!({"acknowledge": true, "_wait": true});
        let publish = json!([16, n + 1, options, format!("plant.{n}"), [1]]);
        publisher.send(publish.to_string().as_bytes());
        let answered = async {
            loop {
                if let Some(text) = publisher.next_text().expect("a session") {
                    return serde_json::from_slice::<Value>(text).expect("JSON");
                }
                publisher.exchange().await.expect("a session");
            }
        };
        let answer = tokio::time::timeout(SOON, answered).await.expect("an answer in time");
        assert_eq!((&answer[0], &answer[1]), (&json!(17), &json!(n + 1)), "{answer}");
    }
    publisher.close().await.expect("closed");
}

/// Every sync node has a disk of its own.
async fn cluster_with_sync_disks(reserve: &str) -> (Cluster, Vec<Disk>) {
    let options = ClusterOptions {
        entries: 1,
        extra: format!("[storage]\ndisk-reserve = \"{reserve}\"\n"),
        publish_timeout: Duration::from_secs(1),
        ..ClusterOptions::default()
    };
    let disks = RefCell::new(Vec::new());
    let setup = |id: &str, store: &Path| {
        if !id.starts_with('S') {
            return Default::default();
        }
        let disk = Disk::mount(store, DISK_MIB).expect("a disk");
        let setup = disk.setup();
        disks.borrow_mut().push(disk);
        setup
    };
    let cluster = Cluster::start_with(options, setup).await.expect("a cluster");
    (cluster, disks.into_inner())
}

fn make_room(disk: &Disk) {
    std::fs::remove_file(disk.store().join("ballast")).expect("removed");
}

/// Publishes, acknowledged or not, until the log of each of `ids` has `text`.
async fn publish_until_logged(cluster: &Cluster, ids: &[String], text: &str) {
    let url = cluster.url("E1").expect("a URL");
    let publishing = tokio::spawn(async move {
        loop {
            let Ok(mut publisher) = Connection::open(&url, "realm1").await else { continue };
            while publisher.publish(1, "plant.x", "[1]").await.is_ok() {}
        }
    });
    wait_until(&format!("{text:?} at {ids:?}"), SOON, || async {
        for id in ids {
            anyhow::ensure!(cluster.log(id)?.contains(text), "{id} does not say so");
        }
        Ok(Some(()))
    })
    .await
    .expect("said");
    publishing.abort();
}

/// Waits until `/readyz` of a node says `status` and has all of `words`.
async fn says(cluster: &Cluster, id: &str, status: u16, words: &[&str]) {
    let what = format!("{id} to answer {status} with {words:?}");
    wait_until(&what, SOON, || async {
        let answer = cluster.get(id, "/readyz").await?;
        let all = words.iter().all(|word| answer.body.contains(word));
        anyhow::ensure!(answer.status == status && all, "{} {}", answer.status, answer.body);
        Ok(Some(()))
    })
    .await
    .expect("it says so");
}

/// How many messages a read gives out, whole or not.
async fn messages(cluster: &Cluster, query: &str) -> usize {
    let entry = cluster.address("E1").expect("an address");
    let answer = get(&entry, &format!("/history?limit=all{query}")).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body.lines().count()
}

/// Whether ndb nodes have something to write, and find no room for it; all of them, if they come to it soon.
async fn find_no_room(cluster: &Cluster) -> bool {
    let ids = cluster.ids_of(Tier::Ndb);
    let mut waits = false;
    let all = wait_until("all to find no room", Duration::from_secs(20), || {
        let is_full = |id: &String| cluster.log(id).is_ok_and(|log| log.contains(WAITS));
        let found = ids.iter().filter(|id| is_full(id)).count();
        waits = found > 0;
        let is_all = (found == ids.len()).then_some(());
        async move { Ok(is_all) }
    });
    all.await.is_ok() || waits
}

/// The places of acknowledged messages, of topics that are new, are written while no disk has room:
/// the transaction is repeated until there is some.
#[tokio::test]
async fn acknowledged_messages_of_new_topics_are_found_after_all_disks_were_full() {
    let options = ClusterOptions {
        entries: 1,
        extra: "[storage]\ndisk-reserve = \"4MiB\"\n".to_owned(),
        ..ClusterOptions::default()
    };
    let disks = RefCell::new(Vec::new());
    let setup = |id: &str, store: &Path| {
        if !id.starts_with('D') {
            return Default::default();
        }
        let disk = Disk::mount(store, DISK_MIB).expect("a disk");
        let setup = disk.setup();
        disks.borrow_mut().push(disk);
        setup
    };
    let mut cluster = Cluster::start_with(options, setup).await.expect("a cluster");
    let disks = disks.into_inner();
    let mut first = 0;
    loop {
        publish(&cluster, first..first + 6).await;
        cluster.kill_all().await.expect("killed");
        disks.iter().for_each(fill);
        for id in cluster.ids() {
            cluster.spawn(&id).expect("started");
        }
        let waits = find_no_room(&cluster).await;
        for disk in &disks {
            std::fs::remove_file(disk.store().join("ballast")).expect("removed");
        }
        cluster.wait_ready().await.expect("ready");
        wait_until("the disks to be said to have room", SOON, || async {
            for id in cluster.ids_of(Tier::Ndb) {
                let status = cluster.status(&id).await?;
                anyhow::ensure!(status["disk"]["is_full"] == false, "{id}: {:#}", status["disk"]);
            }
            Ok(Some(()))
        })
        .await
        .expect("room");
        if waits {
            break;
        }
        // All places that the sync nodes had written were on the disks already.
        first += 6;
        assert!(first < 60, "no store has found no room");
    }
    publish(&cluster, [first]).await;
    let (all, new, last) = (first + 7, format!("&topic=plant.{first}"), first + 5);
    for _each_replica in 0..3 {
        assert_eq!(messages(&cluster, "").await as u64, all);
        assert_eq!(messages(&cluster, "&topic=plant.&match=prefix").await as u64, all);
        assert_eq!(messages(&cluster, &new).await, 2);
        let last = format!("&topic=plant.{last}&direction=backward");
        assert_eq!(messages(&cluster, &last).await, 1);
    }
    for id in cluster.ids_of(Tier::Ndb) {
        let verified = cluster.ndb_tool(&id, &["verify"]).await.expect("it runs");
        assert!(verified.status.success(), "{}", verified.words());
    }
    cluster.stop_all().await.expect("clean exits");
}

const FULL: &str = "the disk is full: this node does not vote until there is room";

/// No reserve, so the disk says itself that it is full: when LMDB has no room for what the journal has, and when the
/// node starts.
#[tokio::test]
async fn sync_nodes_whose_disks_are_full_wait_and_go_on_when_there_is_room() {
    let (mut cluster, disks) = cluster_with_sync_disks("1B").await;
    publish(&cluster, 0..3).await;
    let (ids, pid) = (cluster.ids_of(Tier::Sync), cluster.pid("S1").expect("it runs"));
    disks.iter().for_each(fill);
    publish_until_logged(&cluster, &ids, FULL).await;
    for id in ["S1", "S2", "S3", "E1"] {
        says(&cluster, id, 503, &["S1, S2, S3 (disk full)"]).await;
    }
    cluster.kill("S3").await.expect("killed");
    cluster.spawn("S3").expect("started again");
    // What it writes at its start may find room within its file.
    for id in ["S3", "D1"] {
        says(&cluster, id, 503, &["S1, S2", "(disk full)"]).await;
    }
    disks.iter().for_each(make_room);
    cluster.wait_ready().await.expect("ready");
    wait_until("the disks to be said to have room", SOON, || async {
        for id in &ids {
            let status = cluster.status(id).await?;
            anyhow::ensure!(status["disk"]["is_full"] == false, "{id}: {:#}", status["disk"]);
        }
        Ok(Some(()))
    })
    .await
    .expect("room");
    assert_eq!(cluster.pid("S1").expect("it runs"), pid);
    publish(&cluster, 0..3).await;
    assert_eq!(messages(&cluster, "&topic=plant.1").await, 2);
    cluster.stop_all().await.expect("clean exits");
}

/// Two thirds vote on; all nodes tell who does not, and it has room left to start in.
#[tokio::test]
async fn a_sync_node_down_to_its_reserve_does_not_vote_and_all_nodes_say_so() {
    let (mut cluster, disks) = cluster_with_sync_disks("64MiB").await;
    let ballast = std::fs::File::create(disks[0].store().join("ballast")).expect("a file");
    let bytes = vec![1; 1 << 20];
    for _mib in 0..DISK_MIB - JOURNAL_MIB - 2 {
        (&ballast).write_all(&bytes).expect("room");
    }
    drop(ballast);
    let degraded = "S1 disk full (no further sync node may be lost)";
    for id in cluster.ids() {
        says(&cluster, &id, 200, &[degraded]).await;
        let spare = cluster.metric_with(&id, "vixen_quorum_spare", "tier=\"sync\"").await;
        assert_eq!(spare.expect("a gauge"), 0.0, "{id}");
    }
    publish(&cluster, 0..3).await;
    cluster.kill("S1").await.expect("killed");
    cluster.spawn("S1").expect("started again");
    says(&cluster, "S1", 200, &[degraded]).await;
    says(&cluster, "D1", 200, &[degraded]).await;
    make_room(&disks[0]);
    wait_until("S1 to vote again", SOON, || async {
        for id in cluster.ids() {
            let answer = cluster.get(&id, "/readyz").await?;
            anyhow::ensure!(answer.status == 200 && !answer.body.contains("degraded"), "{id}");
        }
        Ok(Some(()))
    })
    .await
    .expect("room");
    cluster.kill("S2").await.expect("killed");
    publish(&cluster, 0..3).await;
    assert_eq!(messages(&cluster, "&topic=plant.1").await, 2);
    let log = cluster.log("S1").expect("a log");
    assert!(log.contains(FULL) && log.contains("free_bytes"), "{log}");
}

/// What an ndb node says of itself, sync nodes and other ndb nodes count as entries do.
#[tokio::test]
async fn an_ndb_node_whose_disk_is_full_is_told_alike_by_all_nodes() {
    let options = ClusterOptions {
        extra: "[storage]\ndisk-reserve = \"64MiB\"\n".to_owned(),
        ..ClusterOptions::default()
    };
    let disk = RefCell::new(None);
    let setup = |id: &str, store: &Path| {
        if id != "D1" {
            return Default::default();
        }
        let mounted = Disk::mount(store, DISK_MIB).expect("a disk");
        let setup = mounted.setup();
        disk.replace(Some(mounted));
        setup
    };
    let mut cluster = Cluster::start_with(options, setup).await.expect("a cluster");
    let degraded = "D1 disk full (no further node of group 0 may be lost)";
    for id in cluster.ids() {
        says(&cluster, &id, 200, &[degraded]).await;
        let spare = cluster.metric_with(&id, "vixen_quorum_spare", "group=\"0\"").await;
        assert_eq!(spare.expect("a gauge"), 0.0, "{id}");
    }
    publish(&cluster, 0..3).await;
    cluster.kill("D2").await.expect("killed");
    for id in ["S1", "D1", "D3"] {
        says(&cluster, id, 200, &["D1 disk full, D2", "(group 0 takes no messages)"]).await;
    }
    says(&cluster, "E1", 503, &["disk full at D1"]).await;
}
