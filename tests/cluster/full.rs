//! Disks that are full at the wrong moment.

use std::cell::RefCell;
use std::io::Write as _;
use std::path::Path;

use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, Disk, Tier, get, wait_until};

use crate::support::SOON;

const DISK_MIB: u32 = 40;
const WAITS: &str = "the disk has no room for what is to be written";

/// Takes all the room there is.
fn fill(disk: &Disk) {
    let mut ballast = std::fs::File::create(disk.store().join("ballast")).expect("a file");
    for block in [256 << 10, 4 << 10, 1] {
        let bytes = vec![1; block];
        while ballast.write_all(&bytes).is_ok() {}
    }
}

async fn publish(cluster: &Cluster, topics: impl IntoIterator<Item = u64>) {
    let url = cluster.url("E1").expect("a URL");
    let mut publisher = Connection::open(&url, "realm1").await.expect("a session");
    for n in topics {
        let topic = format!("plant.{n}");
        publisher.publish(n + 1, &topic, "[1]").await.expect("acknowledged");
    }
    publisher.close().await.expect("closed");
}

/// How many messages a read gives out, whole or not.
async fn messages(cluster: &Cluster, query: &str) -> usize {
    let entry = cluster.address("E1").expect("an address");
    let answer = get(&entry, &format!("/history?limit=all{query}")).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body.lines().count()
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
    publish(&cluster, 0..6).await;
    cluster.kill_all().await.expect("killed");
    disks.iter().for_each(fill);
    for id in cluster.ids() {
        cluster.spawn(&id).expect("started");
    }
    for id in cluster.ids_of(Tier::Ndb) {
        wait_until(&format!("{id} to find no room"), SOON, || async {
            Ok(cluster.log(&id)?.contains(WAITS).then_some(()))
        })
        .await
        .expect("its disk is full");
    }
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
    publish(&cluster, [0]).await;
    for _each_replica in 0..3 {
        assert_eq!(messages(&cluster, "").await, 7);
        assert_eq!(messages(&cluster, "&topic=plant.&match=prefix").await, 7);
        assert_eq!(messages(&cluster, "&topic=plant.0").await, 2);
        assert_eq!(messages(&cluster, "&topic=plant.5&direction=backward").await, 1);
    }
    for id in cluster.ids_of(Tier::Ndb) {
        let verified = cluster.ndb_tool(&id, &["verify"]).await.expect("it runs");
        assert!(verified.status.success(), "{}", verified.words());
    }
    cluster.stop_all().await.expect("clean exits");
}
