//! Days of the store: crossing midnight under load, and retention.

use std::time::Duration;

use serde_json::Value;

use vixen_runtime::clock::wall_time;
use vixen_tests::check::check;
use vixen_tests::harness::{Cluster, ClusterOptions, NodeSetup, Tier, get, wait_until};
use vixen_tests::load::{Amount, Load, LoadOptions, Pace};

use crate::support::{SOON, acknowledged, load_on};

const MESSAGES: u64 = 1_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// What entries tell each other where a day begins: one message each, at most.
const OF_ENTRIES_MAX: u64 = 2;

/// Moves all clocks to this long before midnight.
fn offset_to_before_midnight(left: Duration) -> u64 {
    DAY_MS - wall_time().0 % DAY_MS - u64::try_from(left.as_millis()).expect("short")
}

/// The days of a node's store.
fn days(cluster: &Cluster, id: &str) -> Vec<String> {
    let entries = std::fs::read_dir(cluster.store_dir(id)).expect("a directory");
    let names =
        entries.map(|entry| entry.expect("read").file_name().to_string_lossy().into_owned());
    let mut days: Vec<_> = names.filter(|name| name.starts_with("20")).collect();
    days.sort();
    days
}

#[tokio::test]
async fn midnight_under_load_begins_a_day_and_retention_drops_the_one_before() {
    let extra = "[storage]\nretention-age = \"1ms\"\n".to_owned();
    let options = ClusterOptions { entries: 2, extra, ..ClusterOptions::default() };
    // Long enough for a slow machine to store something before.
    let offset_ms = offset_to_before_midnight(Duration::from_secs(40));
    let setup = |_id: &str, _store: &std::path::Path| NodeSetup {
        env: vec![("VIXEN_CLOCK_OFFSET_MS".to_owned(), offset_ms.to_string())],
        ..NodeSetup::default()
    };
    let mut cluster = Cluster::start_with(options, setup).await.expect("a cluster");
    let pace = Pace::Open { per_second: 500.0 };
    let load = LoadOptions { pace, ..load_on(&cluster, Amount::UntilStopped) };
    let load = Load::start(load).await.expect("a load");
    acknowledged(&load.progress(), MESSAGES).await.expect("traffic before midnight");
    let before = days(&cluster, "D1");
    assert_eq!(before.len(), 1, "{before:?}");
    let ids = cluster.ids_of(Tier::Ndb);
    wait_until("the day before to be dropped by all", 2 * SOON, || async {
        for id in &ids {
            let now = days(&cluster, id);
            anyhow::ensure!(now.len() == 1 && now != before, "{id} has {now:?}");
        }
        Ok(Some(()))
    })
    .await
    .expect("midnight passes");
    acknowledged(&load.progress(), MESSAGES).await.expect("traffic after midnight");
    load.stop();
    let result = load.finish().await.expect("the load ends");
    assert_eq!((&result.troubles, &result.first_error), (&Vec::new(), &None));
    check(&result.history).assert_ok();
    let first = cluster.status_number("D1", "/first_position").await.expect("a status");
    assert!(first > 1, "the order begins at {first}");
    let entry = cluster.address("E1").expect("an address");
    let answer = get(&entry, "/history?after=0").await.expect("an answer");
    assert_eq!(answer.status, 410, "{}", answer.body);
    assert!(answer.body.contains(&format!("first position is {first}")), "{}", answer.body);
    let today = get(&entry, "/history?after=today&limit=1").await.expect("an answer");
    assert_eq!(today.status, 200, "{}", today.body);
    let of_today: Value = serde_json::from_str(today.body.trim_end()).expect("a line");
    let begins_with = of_today["position"].as_u64().expect("a position");
    assert!((first..=first + OF_ENTRIES_MAX).contains(&begins_with), "{first}: {of_today}");

    // An emptied node goes on where the others begin.
    let reached = cluster.status_number("D1", "/next_position").await.expect("a status");
    cluster.kill("D3").await.expect("killed");
    std::fs::remove_dir_all(cluster.store_dir("D3")).expect("removed");
    cluster.restart("D3").await.expect("ready again");
    wait_until("the emptied node to have everything that is left", SOON, || async {
        let status = cluster.status("D3").await?;
        let has_reached = status["next_position"].as_u64() >= Some(reached);
        let is_there = has_reached && status["missing_segments"] == 0;
        Ok((is_there && status["first_position"] == first).then_some(()))
    })
    .await
    .expect("caught up");
    cluster.stop_all().await.expect("clean exits");
}
