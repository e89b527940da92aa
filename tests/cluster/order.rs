//! One order at all subscribers, also over a restart of everything.

use vixen_tests::check::check;
use vixen_tests::harness::{Cluster, ClusterOptions};
use vixen_tests::load::{Amount, Load, LoadOptions};

use crate::support::{acknowledged_positions, load_on};

/// What entries tell each other where a day of the order begins: one message each, at most.
const OF_ENTRIES_MAX: u64 = 3;

#[tokio::test]
async fn all_subscribers_get_one_order_which_goes_on_after_a_restart_of_everything() {
    const FIRST: u64 = 50_000;
    const SECOND: u64 = 5_000;
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");

    let before = Load::run(load_on(&cluster, Amount::Messages(FIRST))).await.expect("a load");
    let report = check(&before.history);
    report.assert_ok();
    assert_eq!(before.troubles, Vec::<String>::new());
    assert_eq!((report.acknowledged, report.positions, report.subscribers), (FIRST, FIRST, 3));
    let (first, last) = acknowledged_positions(&before.history).expect("messages");
    assert!(last - first < FIRST + OF_ENTRIES_MAX, "{first} to {last}, and no gaps");
    eprintln!("{:.0} acknowledged messages/s", before.acknowledged_per_second);

    cluster.stop_all().await.expect("clean exits");
    cluster.start_all().await.expect("all nodes ready again");

    let options =
        LoadOptions { first_publisher: 10, ..load_on(&cluster, Amount::Messages(SECOND)) };
    let after = Load::run(options).await.expect("a load");
    let report = check(&after.history);
    report.assert_ok();
    assert_eq!(after.troubles, Vec::<String>::new());
    assert_eq!((report.acknowledged, report.positions, report.subscribers), (SECOND, SECOND, 3));
    let (first_after, last_after) = acknowledged_positions(&after.history).expect("messages");
    assert!(first_after > last, "{first_after} after {last}");
    assert!(last_after - first_after < SECOND + OF_ENTRIES_MAX, "{first_after} to {last_after}");
    let last_id = before.history.subscribers[0].events.last().map(|event| event.id);
    let first_id = after.history.subscribers[0].events.first().map(|event| event.id);
    assert!(last_id < first_id, "{last_id:?} {first_id:?}");
    cluster.stop_all().await.expect("clean exits");
}
