//! Everything is killed at once.

use vixen_tests::check::{History, check};
use vixen_tests::harness::{Cluster, ClusterOptions};
use vixen_tests::load::{Amount, Load, LoadOptions};

use crate::link::stored;
use crate::support::{acknowledged, caught_up, load_on};

/// What the three ndb nodes hold, once each has placed all that the first has.
async fn all_stored(
    cluster: &Cluster,
    topic: &str,
    next: u64,
) -> anyhow::Result<Vec<vixen_tests::check::Subscriber>> {
    let mut all = Vec::new();
    for number in 1..=3 {
        caught_up(cluster, &format!("D{number}"), next).await?;
        all.push(stored(cluster, number, topic).await?);
    }
    Ok(all)
}

fn last_acknowledged(history: &History) -> u64 {
    crate::support::acknowledged_positions(history).map_or(0, |(_first, last)| last)
}

#[tokio::test]
async fn what_was_acknowledged_is_there_once_and_in_place_after_all_were_killed_at_once() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let options = load_on(&cluster, Amount::UntilStopped);
    let topic = options.topic.clone();
    let load = Load::start(options).await.expect("a load");
    acknowledged(&load.progress(), 20_000).await.expect("traffic");
    cluster.kill_all().await.expect("all killed");
    let before = load.finish().await.expect("the load ends with its connections").history;
    let report = check(&before);
    report.assert_ok();
    assert!(report.acknowledged >= 20_000);

    cluster.start_all().await.expect("all nodes ready again");
    // What clients were told and saw, against what is stored now.
    let mut judged = before.clone();
    let next = last_acknowledged(&before) + 1;
    judged.subscribers.extend(all_stored(&cluster, &topic, next).await.expect("stored messages"));
    let report = check(&judged);
    report.assert_ok();
    eprintln!("after the kill: {report}");

    // New messages take their places behind, and move nothing.
    let options = LoadOptions { first_publisher: 10, ..load_on(&cluster, Amount::Messages(1_000)) };
    let after = Load::run(options).await.expect("a load");
    check(&after.history).assert_ok();
    assert_eq!(after.troubles, Vec::<String>::new());
    let next = last_acknowledged(&after.history) + 1;
    let mut judged = before;
    judged.publishers.extend(after.history.publishers);
    judged.subscribers.extend(all_stored(&cluster, &topic, next).await.expect("stored messages"));
    check(&judged).assert_ok();
    cluster.stop_all().await.expect("clean exits");
}
