//! Wall clocks that were wrong, and are set right.

use vixen_runtime::clock::wall_time;
use vixen_tests::check::check;
use vixen_tests::harness::{Cluster, ClusterOptions, NodeSetup, Tier, wait_until};
use vixen_tests::load::{Amount, Load, LoadOptions};

use crate::silence::{self, readyz};
use crate::support::{SOON, home_of, load_on, logged};

const HOUR_MS: u64 = 3_600_000;
const MESSAGES: u64 = 500;

const DAY_MS: i64 = 24 * 3_600_000;

fn off_by(ms: u64) -> NodeSetup {
    let env = vec![("VIXEN_CLOCK_OFFSET_MS".to_owned(), ms.to_string())];
    NodeSetup { env, ..NodeSetup::default() }
}

/// The load has got its places, and who it was.
async fn publish(cluster: &Cluster, first_publisher: u32) {
    let options = LoadOptions { first_publisher, ..load_on(cluster, Amount::Messages(MESSAGES)) };
    let result = Load::run(options).await.expect("a load");
    assert_eq!((&result.troubles, &result.first_error), (&Vec::new(), &None));
    let report = check(&result.history);
    report.assert_ok();
    assert_eq!(report.acknowledged, MESSAGES);
}

#[tokio::test]
async fn publishing_goes_on_when_clocks_that_were_an_hour_ahead_are_right_again() {
    let setup = |_id: &str, _store: &std::path::Path| off_by(HOUR_MS);
    let mut cluster =
        Cluster::start_with(ClusterOptions::default(), setup).await.expect("a cluster");
    publish(&cluster, 0).await;
    // Killed, so that elections which are written lazily are lost at some nodes.
    cluster.kill_all().await.expect("killed");
    for id in cluster.ids() {
        cluster.set_up(&id, NodeSetup::default()).expect("a node");
    }
    cluster.start_all().await.expect("all ready");
    publish(&cluster, 10).await;

    for id in cluster.ids_of(Tier::Sync) {
        let status = wait_until(&format!("{id} to tell of its clock"), SOON, || async {
            let status = cluster.status(&id).await?;
            let line = status["clocks"].as_str().unwrap_or_default();
            Ok(line.starts_with("the order's stamps are").then_some(status.clone()))
        })
        .await
        .expect("told");
        let lead_ms = status["order_ahead_ms"].as_u64().expect("a number");
        // A start begins at the ceiling, up to half a second ahead of what was stamped.
        assert!(lead_ms > HOUR_MS / 2 && lead_ms <= HOUR_MS + 500, "{lead_ms}");
        assert!(cluster.is_ready(&id).await.expect("an answer"));
        let lead_s = cluster.metric(&id, "vixen_sync_order_ahead_seconds").await.expect("one");
        assert!(lead_s > 1_800.0, "{lead_s}");
        logged(&cluster, &id, &["the order's stamps are ahead"]).await;
        let log = cluster.log(&id).expect("a log");
        let warnings = log.matches("the order's stamps are ahead").count();
        assert_eq!(warnings, 1, "{log}");
    }
    // The order's clock, as the ndb nodes and their days see it.
    assert!(cluster.status_number("D1", "/next_position").await.expect("one") > 2 * MESSAGES);
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn one_sync_node_whose_clock_is_ahead_is_not_followed() {
    let setup = |id: &str, _store: &std::path::Path| match id {
        "S2" => off_by(24 * HOUR_MS),
        _ => NodeSetup::default(),
    };
    let mut cluster =
        Cluster::start_with(ClusterOptions::default(), setup).await.expect("a cluster");
    publish(&cluster, 0).await;
    // Right again, with the stamps of a day ahead on its disk.
    cluster.stop("S2").await.expect("a clean exit");
    cluster.set_up("S2", NodeSetup::default()).expect("a node");
    cluster.restart("S2").await.expect("ready");
    publish(&cluster, 10).await;
    for id in ["S1", "S3"] {
        let newest = cluster.status_number(id, "/newest_elected").await.expect("a stamp");
        let lead_ms = vixen_core::id::Stamp(newest).wall_time().millis_since(wall_time());
        assert!(lead_ms <= 10_000, "{id} has followed by {lead_ms} ms");
        assert!(cluster.status(id).await.expect("a status")["clocks"].is_null());
    }
    // As a reserve of both entries it may have made no stamp.
    if cluster.status_number("S2", "/clock_ahead_ms").await.expect("one") > 10_000 {
        wait_until("S2 to tell of its clock", SOON, || async {
            let log = cluster.log("S2")?;
            let is_told = log.contains("this node's own stamps are ahead of its wall clock");
            Ok(is_told.then_some(()))
        })
        .await
        .expect("told");
    }
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn entries_publish_whatever_their_clocks_when_the_order_was_more_than_a_week_ahead() {
    let off = |ms: i64| NodeSetup {
        env: vec![("VIXEN_CLOCK_OFFSET_MS".to_owned(), ms.to_string())],
        ..NodeSetup::default()
    };
    // One entry starts without a clock, in 2006.
    let setup = |id: &str, _store: &std::path::Path| match id {
        "E2" => off(-20 * 365 * DAY_MS),
        "S1" | "S2" | "S3" => off(8 * DAY_MS),
        _ => NodeSetup::default(),
    };
    let mut cluster =
        Cluster::start_with(ClusterOptions::default(), setup).await.expect("a cluster");
    publish(&cluster, 0).await;
    for id in cluster.ids_of(Tier::Sync) {
        cluster.stop(&id).await.expect("a clean exit");
        cluster.set_up(&id, NodeSetup::default()).expect("a node");
        cluster.restart(&id).await.expect("ready");
    }
    publish(&cluster, 10).await;
    // New owners, made by right clocks, and again without one.
    for id in cluster.ids_of(Tier::Entry) {
        cluster.stop(&id).await.expect("a clean exit");
        cluster.restart(&id).await.expect("ready");
    }
    publish(&cluster, 20).await;
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn a_sync_node_whose_clock_is_ahead_is_told_and_counts_as_lost() {
    let setup = |id: &str, _store: &std::path::Path| match id {
        "S1" => off_by(2 * HOUR_MS),
        _ => NodeSetup::default(),
    };
    let mut cluster =
        Cluster::start_with(ClusterOptions::default(), setup).await.expect("a cluster");
    let all = cluster.ids();
    let words = ["degraded: S1 clock 2 h ahead (no further sync node may be lost)"];
    readyz(&cluster, &all, 200, &words).await;
    for id in &all {
        let spare = cluster.metric_with(id, "vixen_quorum_spare", "tier=\"sync\"").await;
        assert!(spare.expect("a metric").abs() < 0.5, "{id}");
    }
    for id in cluster.ids_of(Tier::Sync) {
        logged(&cluster, &id, &["the stamps of this sync node are ahead", "node=S1"]).await;
    }
    let before = silence::publish(&cluster).await.expect("goes on without it");
    // With another one lost nothing is elected with a stamp of S1's, and who publishes is told why. S1 may accept
    // what S2 proposes before it has made a stamp of its own for it, where S2 is the home.
    let home = home_of(&cluster, "E1").await.expect("a home");
    cluster.kill("S3").await.expect("killed");
    let others: Vec<String> = all.iter().filter(|id| *id != "S3").cloned().collect();
    readyz(&cluster, &others, 503, &["S1 (clock 2 h ahead)", "S3 (no link"]).await;
    match silence::publish(&cluster).await {
        Ok(position) => {
            assert_eq!(home, "S2");
            assert!(position > before, "{position} after {before}");
        }
        Err(error) => assert!(error.contains("S1 (clock 2 h ahead)"), "{error}"),
    }
    cluster.restart("S3").await.expect("ready");
    readyz(&cluster, &all, 200, &words).await;
    silence::publish(&cluster).await.expect("goes on");
    cluster.stop_all().await.expect("clean exits");
}
