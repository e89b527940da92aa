//! Home coordinators are killed and paused under load: others take over what they had to do.

use vixen_tests::check::check;
use vixen_tests::harness::{Cluster, ClusterOptions, Tier};
use vixen_tests::load::{Amount, Load, LoadOptions, LoadResult};

use crate::support::{
    SOON, acknowledged, all_joined, all_settled, all_stored, assert_no_long_silence, home_of,
    load_on,
};

/// Messages that must be acknowledged before, during and after each fault.
const MESSAGES: u64 = 5_000;

/// Ends the load; all it did is as it should be, and nothing is left over.
async fn assert_good(cluster: &Cluster, load: Load, topic: &str) -> LoadResult {
    load.stop();
    let result = load.finish().await.expect("the load ends");
    assert_eq!((&result.troubles, &result.first_error), (&Vec::new(), &None));
    check(&result.history).assert_ok();
    all_settled(cluster).await.expect("nothing is left over from the time of the fault");
    all_stored(cluster, topic, &result.history).await.expect("all ndb nodes have one order");
    result
}

#[tokio::test]
async fn the_home_may_be_killed_and_others_elect_at_once() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let options = load_on(&cluster, Amount::UntilStopped);
    let topic = options.topic.clone();
    let load = Load::start(options).await.expect("a load");
    let progress = load.progress();
    for entry in ["E1", "E2"] {
        acknowledged(&progress, MESSAGES).await.expect("traffic before the kill");
        let home = home_of(&cluster, entry).await.expect("a home");
        cluster.kill(&home).await.expect("killed");
        acknowledged(&progress, MESSAGES).await.expect("traffic with a home dead");
        cluster.restart(&home).await.expect("ready again");
        acknowledged(&progress, MESSAGES).await.expect("traffic after the restart");
        all_joined(&cluster).await.expect("three of three again");
    }
    let result = assert_good(&cluster, load, &topic).await;
    assert_no_long_silence(&result);
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn a_paused_home_is_overtaken_and_takes_its_part_again() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let options = load_on(&cluster, Amount::UntilStopped);
    let topic = options.topic.clone();
    let load = Load::start(options).await.expect("a load");
    let progress = load.progress();
    for entry in ["E1", "E2"] {
        acknowledged(&progress, MESSAGES).await.expect("traffic before the pause");
        let home = home_of(&cluster, entry).await.expect("a home");
        cluster.pause(&home).expect("paused");
        acknowledged(&progress, MESSAGES).await.expect("traffic with a home paused");
        cluster.resume(&home).expect("resumed");
        acknowledged(&progress, MESSAGES).await.expect("traffic after the pause");
        all_joined(&cluster).await.expect("three of three again");
    }
    let result = assert_good(&cluster, load, &topic).await;
    assert_no_long_silence(&result);
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn two_of_five_sync_nodes_may_be_killed_at_once() {
    let options = ClusterOptions { sync: 5, ..ClusterOptions::default() };
    let mut cluster = Cluster::start(options).await.expect("a cluster");
    let options = load_on(&cluster, Amount::UntilStopped);
    let topic = options.topic.clone();
    let load = Load::start(options).await.expect("a load");
    let progress = load.progress();
    acknowledged(&progress, MESSAGES).await.expect("traffic before the kill");
    let home = home_of(&cluster, "E1").await.expect("a home");
    let other = home_of(&cluster, "E2").await.expect("a home");
    let others = cluster.ids_of(Tier::Sync).into_iter().filter(|id| *id != home);
    // Both homes, if they are two.
    let other = others.min_by_key(|id| *id != other).expect("five");
    let victims = [home, other];
    eprintln!("killed: {victims:?}");
    cluster.kill_together(&victims).await.expect("killed");
    acknowledged(&progress, MESSAGES).await.expect("traffic with two sync nodes dead");
    cluster.restart_together(&victims).await.expect("ready again");
    acknowledged(&progress, MESSAGES).await.expect("traffic after the restart");
    let result = assert_good(&cluster, load, &topic).await;
    assert_no_long_silence(&result);
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn a_single_sync_node_goes_on_where_it_was_killed() {
    let options =
        ClusterOptions { sync: 1, entries: 1, publish_timeout: SOON, ..ClusterOptions::default() };
    let mut cluster = Cluster::start(options).await.expect("a cluster");
    let options = LoadOptions { patience: 2 * SOON, ..load_on(&cluster, Amount::UntilStopped) };
    let topic = options.topic.clone();
    let load = Load::start(options).await.expect("a load");
    let progress = load.progress();
    for _ in 0..3 {
        acknowledged(&progress, MESSAGES).await.expect("traffic before the kill");
        cluster.kill("S1").await.expect("killed");
        cluster.restart("S1").await.expect("ready again");
    }
    acknowledged(&progress, MESSAGES).await.expect("traffic after the restart");
    assert_good(&cluster, load, &topic).await;
    cluster.stop_all().await.expect("clean exits");
}
