//! Single nodes are killed and paused under load.

use vixen_tests::check::check;
use vixen_tests::harness::{Cluster, ClusterOptions, Tier};
use vixen_tests::load::{Amount, Load};

use crate::support::{
    acknowledged, acknowledged_positions, all_settled, all_stored, assert_no_long_silence,
    caught_up, load_on, next_position,
};

/// Messages that must be acknowledged while a node is dead.
const WHILE_DEAD: u64 = 5_000;
/// Where the load publishes.
const LOADED: [&str; 2] = ["E1", "E2"];

#[tokio::test]
async fn any_one_ndb_node_may_be_killed_and_catches_up() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let options = load_on(&cluster, Amount::UntilStopped);
    let topic = options.topic.clone();
    let load = Load::start(options).await.expect("a load");
    let progress = load.progress();
    for victim in cluster.ids_of(Tier::Ndb) {
        acknowledged(&progress, WHILE_DEAD).await.expect("traffic before the kill");
        cluster.kill(&victim).await.expect("killed");
        acknowledged(&progress, WHILE_DEAD).await.expect("traffic with one ndb node dead");
        cluster.restart(&victim).await.expect("ready again");
        let other = if victim == "D1" { "D2" } else { "D1" };
        let next = next_position(&cluster, other).await.expect("a position");
        caught_up(&cluster, &victim, next).await.expect("the restarted node catches up");
    }
    load.stop();
    let result = load.finish().await.expect("the load ends");
    assert_eq!(result.troubles, Vec::<String>::new());
    assert_no_long_silence(&result);
    check(&result.history).assert_ok();
    // All three hold the same, and it is what the clients saw. A message that was given up on a slow
    // machine may stand after the last that was acknowledged.
    all_stored(&cluster, &topic, &result.history).await.expect("stored messages");
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn a_sync_node_that_is_no_home_may_be_killed_and_catches_up() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let load = Load::start(load_on(&cluster, Amount::UntilStopped)).await.expect("a load");
    let progress = load.progress();
    acknowledged(&progress, WHILE_DEAD).await.expect("traffic before the kill");
    let victim = cluster.sync_that_is_no_home(&LOADED).await.expect("a sync node that is no home");
    cluster.kill(&victim).await.expect("killed");
    acknowledged(&progress, WHILE_DEAD).await.expect("traffic with one sync node dead");
    cluster.restart(&victim).await.expect("ready again");
    acknowledged(&progress, WHILE_DEAD).await.expect("traffic after the restart");
    load.stop();
    let result = load.finish().await.expect("the load ends");
    assert_eq!(result.troubles, Vec::<String>::new());
    assert_no_long_silence(&result);
    check(&result.history).assert_ok();
    all_settled(&cluster).await.expect("nothing is left over from the time when it was dead");
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn a_paused_ndb_node_and_a_paused_sync_node_that_is_no_home_hold_nobody_up() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let load = Load::start(load_on(&cluster, Amount::UntilStopped)).await.expect("a load");
    let progress = load.progress();
    acknowledged(&progress, WHILE_DEAD).await.expect("traffic before the pause");
    let sync = cluster.sync_that_is_no_home(&LOADED).await.expect("a sync node that is no home");
    for paused in ["D2", &sync] {
        cluster.pause(paused).expect("paused");
        acknowledged(&progress, WHILE_DEAD).await.expect("traffic with one node paused");
        cluster.resume(paused).expect("resumed");
        acknowledged(&progress, WHILE_DEAD).await.expect("traffic after the pause");
    }
    load.stop();
    let result = load.finish().await.expect("the load ends");
    assert_eq!(result.troubles, Vec::<String>::new());
    assert_no_long_silence(&result);
    check(&result.history).assert_ok();
    let (_first, last) = acknowledged_positions(&result.history).expect("acknowledged messages");
    for id in cluster.ids_of(Tier::Ndb) {
        caught_up(&cluster, &id, last + 1).await.expect("everything placed");
    }
    cluster.stop_all().await.expect("clean exits");
}
