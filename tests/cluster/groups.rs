//! More than one group of ndb nodes.

use vixen_tests::check::check;
use vixen_tests::harness::{Cluster, ClusterOptions, Tier, wait_until};
use vixen_tests::load::{Amount, Load, LoadOptions, Pace};

use crate::support::{SOON, acknowledged, all_joined, assert_no_long_silence, load_on};

const MESSAGES: u64 = 1_000;

fn steady_load(cluster: &Cluster) -> LoadOptions {
    let pace = Pace::Open { per_second: 800.0 };
    LoadOptions { pace, ..load_on(cluster, Amount::UntilStopped) }
}

/// Waits until all ndb nodes have the same order, and all bytes of their group.
async fn all_agree(cluster: &Cluster) {
    let ids = cluster.ids_of(Tier::Ndb);
    wait_until("all ndb nodes to have one order and all bytes", SOON, || async {
        let mut orders = Vec::new();
        for id in &ids {
            let status = cluster.status(id).await?;
            anyhow::ensure!(status["missing_segments"] == 0, "{id} {:#}", status["pending"]);
            anyhow::ensure!(status["audit"]["alarm"] == false, "{id} {:#}", status["audit"]);
            orders.push((status["next_position"].clone(), status["chain"].clone()));
        }
        anyhow::ensure!(orders.iter().all(|order| *order == orders[0]), "{orders:?}");
        Ok(Some(()))
    })
    .await
    .expect("they agree");
}

async fn stored(cluster: &Cluster, ids: &[String]) -> Vec<f64> {
    let mut stored = Vec::new();
    for id in ids {
        let metric = cluster.metric(id, "vixen_ndb_segments_stored_total").await;
        stored.push(metric.expect("metrics"));
    }
    stored
}

#[tokio::test]
async fn segments_are_spread_over_the_groups_in_one_order() {
    let options = ClusterOptions {
        groups: 3,
        ndb: 1,
        write_quorum: 1,
        entries: 2,
        ..ClusterOptions::default()
    };
    let mut cluster = Cluster::start(options).await.expect("a cluster");
    let load = Load::start(steady_load(&cluster)).await.expect("a load");
    acknowledged(&load.progress(), MESSAGES).await.expect("traffic");
    load.stop();
    let result = load.finish().await.expect("the load ends");
    assert_eq!((&result.troubles, &result.first_error), (&Vec::new(), &None));
    check(&result.history).assert_ok();
    all_agree(&cluster).await;
    let stored = stored(&cluster, &cluster.ids_of(Tier::Ndb)).await;
    let total: f64 = stored.iter().sum();
    for each in &stored {
        assert!(*each > total / 6.0, "each holds about a third: {stored:?}");
    }
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn a_group_without_a_quorum_is_passed_over_and_its_segments_move() {
    let options = ClusterOptions { groups: 2, entries: 2, ..ClusterOptions::default() };
    let mut cluster = Cluster::start(options).await.expect("a cluster");
    let load = Load::start(steady_load(&cluster)).await.expect("a load");
    let progress = load.progress();
    acknowledged(&progress, MESSAGES).await.expect("traffic");
    // Two of three of the first group: W is 2.
    let victims = ["D1".to_owned(), "D2".to_owned()];
    cluster.kill_together(&victims).await.expect("killed");
    acknowledged(&progress, MESSAGES).await.expect("traffic by the other group");
    let moved: f64 = {
        let mut moved = 0.0;
        for id in cluster.ids_of(Tier::Entry) {
            let metric = cluster.metric(&id, "vixen_entry_segments_moved_total").await;
            moved += metric.expect("metrics");
        }
        moved
    };
    eprintln!("{moved} unresolved segments moved");
    cluster.restart_together(&victims).await.expect("ready again");
    acknowledged(&progress, MESSAGES).await.expect("traffic with both");
    // The whole other group at once, paused: its links stay up.
    let others = ["D4".to_owned(), "D5".to_owned(), "D6".to_owned()];
    others.iter().for_each(|id| cluster.pause(id).expect("paused"));
    wait_until("messages of the first group while the other is paused", SOON, || async {
        let before = progress.acknowledged();
        acknowledged(&progress, MESSAGES / 2).await?;
        Ok((progress.acknowledged() > before).then_some(()))
    })
    .await
    .expect("traffic by the first group");
    others.iter().for_each(|id| cluster.resume(id).expect("resumed"));
    acknowledged(&progress, MESSAGES).await.expect("traffic with both again");
    load.stop();
    let result = load.finish().await.expect("the load ends");
    assert_eq!((&result.troubles, &result.first_error), (&Vec::new(), &None));
    assert_no_long_silence(&result);
    check(&result.history).assert_ok();
    all_agree(&cluster).await;
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn a_group_is_added_while_messages_come_and_nothing_moves() {
    let options =
        ClusterOptions { groups: 2, late_groups: 1, entries: 2, ..ClusterOptions::default() };
    let mut cluster = Cluster::start(options).await.expect("a cluster");
    let load = Load::start(steady_load(&cluster)).await.expect("a load");
    acknowledged(&load.progress(), MESSAGES).await.expect("traffic");
    let new = cluster.add_groups().expect("written");
    let (sync, ndb) = (cluster.ids_of(Tier::Sync), cluster.ids_of(Tier::Ndb));
    let old: Vec<_> = ndb.iter().filter(|id| !new.contains(id)).cloned().collect();
    for id in &sync {
        cluster.stop(id).await.expect("a clean exit");
        cluster.restart(id).await.expect("ready again");
        all_joined(&cluster).await.expect("three of three again");
    }
    new.iter().for_each(|id| cluster.spawn(id).expect("started"));
    cluster.wait_ready().await.expect("the new nodes are ready");
    for id in &old {
        cluster.stop(id).await.expect("a clean exit");
        cluster.restart(id).await.expect("ready again");
    }
    acknowledged(&load.progress(), MESSAGES).await.expect("nothing stopped");
    let before = stored(&cluster, &new).await;
    assert!(before.iter().all(|segments| *segments == 0.0), "no old data moves: {before:?}");
    // With their restart the entries use it. Their clients come again, as clients do.
    load.stop();
    let first = load.finish().await.expect("the load ends");
    assert_eq!((&first.troubles, &first.first_error), (&Vec::new(), &None));
    for id in cluster.ids_of(Tier::Entry) {
        cluster.stop(&id).await.expect("a clean exit");
        cluster.restart(&id).await.expect("ready again");
    }
    let options = LoadOptions {
        first_publisher: 10,
        topic: "vixen.test.second".to_owned(),
        ..steady_load(&cluster)
    };
    let load = Load::start(options).await.expect("a load");
    acknowledged(&load.progress(), 2 * MESSAGES).await.expect("traffic over both groups");
    load.stop();
    let second = load.finish().await.expect("the load ends");
    assert_eq!((&second.troubles, &second.first_error), (&Vec::new(), &None));
    check(&first.history).assert_ok();
    check(&second.history).assert_ok();
    all_agree(&cluster).await;
    let after = stored(&cluster, &new).await;
    assert!(after.iter().all(|segments| *segments > 0.0), "it takes its share: {after:?}");
    cluster.stop_all().await.expect("clean exits");
}
