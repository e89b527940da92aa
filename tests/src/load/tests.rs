//! The generator against a broker that keeps its promises, and against ones that do not: what is
//! broken must be found by generator and checker together.

use std::time::Duration;

use super::fake::{Fault, broker};
use super::*;
use crate::check::{Report, Violation, check};

/// For what comes.
const PATIENCE: Duration = Duration::from_secs(20);
/// For what does not come: it is waited for in vain, and all else has come long before.
const IN_VAIN: Duration = Duration::from_secs(2);

async fn options(fault: Fault) -> LoadOptions {
    let url = broker(fault).await;
    LoadOptions {
        publishers: 3,
        pace: Pace::Closed { window: 5 },
        amount: Amount::Messages(300),
        payload_bytes: 64,
        patience: PATIENCE,
        ..LoadOptions::new(vec![url.clone()], vec![url.clone(), url])
    }
}

/// Runs the small workload against a broker with `fault`.
async fn run(fault: Fault) -> (LoadResult, Report) {
    run_with(options(fault).await).await
}

/// The same, with a broker that does not say all that is waited for.
async fn run_in_vain(fault: Fault) -> (LoadResult, Report) {
    run_with(LoadOptions { patience: IN_VAIN, ..options(fault).await }).await
}

async fn run_with(options: LoadOptions) -> (LoadResult, Report) {
    let result = Load::run(options).await.expect("the workload runs");
    let report = check(&result.history);
    (result, report)
}

#[tokio::test]
async fn a_good_broker_passes_and_everything_is_measured() {
    let (result, report) = run(Fault::None).await;
    report.assert_ok();
    assert_eq!((report.sent, report.acknowledged, report.positions), (300, 300, 300));
    assert_eq!((result.acknowledge.count(), result.deliver.count()), (300, 600));
    assert_eq!(result.troubles, Vec::<String>::new());
    assert!(result.acknowledged_per_second > 0.0 && result.delivered_per_second > 0.0);
    assert!(result.acknowledge.percentile_ms(50.0) <= result.acknowledge.max_ms());
}

#[tokio::test]
async fn a_lost_event_is_found() {
    let (_result, report) = run(Fault::Lose(100)).await;
    let [Violation::Gap { position: 100, subscriber, .. }] = &report.violations[..] else {
        panic!("{report}");
    };
    assert!(subscriber.starts_with("subscriber 0"));
}

#[tokio::test]
async fn a_lost_last_event_is_found_and_waited_for_only_so_long() {
    let (result, report) = run_in_vain(Fault::Lose(300)).await;
    assert!(matches!(report.violations[..], [Violation::Gap { position: 300, .. }]), "{report}");
    assert!(result.troubles[0].contains("1 did not come in time"), "{:?}", result.troubles);
}

#[tokio::test]
async fn events_out_of_order_are_found() {
    let (_result, report) = run(Fault::Delay(100)).await;
    let found = |v: &Violation| matches!(v, Violation::NotRising { position: 100, .. });
    assert!(report.violations.iter().any(found), "{report}");
}

#[tokio::test]
async fn a_repeated_event_is_found() {
    let (_result, report) = run(Fault::Repeat(100)).await;
    let found = matches!(report.violations[..], [Violation::NotRising { position: 100, .. }]);
    assert!(found, "{report}");
}

#[tokio::test]
async fn an_acknowledgement_with_another_position_is_found() {
    let (_result, report) = run(Fault::Misplace(100)).await;
    let found =
        |v: &Violation| matches!(v, Violation::Elsewhere { acknowledged: 101, received: 100, .. });
    assert!(report.violations.iter().any(found), "{report}");
}

#[tokio::test]
async fn a_damaged_payload_is_found() {
    let (_result, report) = run(Fault::Damage(100)).await;
    let found = |v: &Violation| matches!(v, Violation::Damaged { count: 1, .. });
    assert!(report.violations.iter().any(found), "{report}");
}

#[tokio::test]
async fn silence_ends_a_run_and_is_no_violation() {
    let (result, report) = run_in_vain(Fault::FallSilent(100)).await;
    report.assert_ok();
    assert_eq!((report.acknowledged, report.sent), (99, 114));
    assert_eq!(result.troubles.len(), 3, "{:?}", result.troubles);
}

#[tokio::test]
async fn refused_messages_are_counted_and_quoted() {
    let (result, report) = run(Fault::Refuse).await;
    report.assert_ok();
    assert_eq!((report.refused, report.acknowledged), (300, 0));
    assert!(result.first_error.expect("an error").contains("invalid_uri"));
}

#[tokio::test]
async fn without_acknowledgements_the_last_message_tells_when_all_is_there() {
    let options = LoadOptions { acknowledge: false, ..options(Fault::None).await };
    let result = Load::run(options).await.expect("the workload runs");
    let report = check(&result.history);
    report.assert_ok();
    assert_eq!((report.sent, report.acknowledged, report.positions), (300, 3, 300));
}

#[tokio::test]
async fn an_open_loop_keeps_its_rate_and_ends_in_time() {
    let options = LoadOptions {
        pace: Pace::Open { per_second: 1000.0 },
        amount: Amount::Time(Duration::from_millis(400)),
        warmup: Duration::from_millis(100),
        ..options(Fault::None).await
    };
    let result = Load::run(options).await.expect("the workload runs");
    let report = check(&result.history);
    report.assert_ok();
    // Due at exact times: 500 in all, but for the last one of each publisher.
    assert!((490..=503).contains(&report.acknowledged), "{report}");
    assert!((390..=403).contains(&result.acknowledge.count()), "{}", result.acknowledge.count());
}

#[tokio::test]
async fn a_load_runs_until_it_is_stopped() {
    let options = LoadOptions { amount: Amount::UntilStopped, ..options(Fault::None).await };
    let load = Load::start(options).await.expect("started");
    let progress = load.progress();
    let enough = || async { Ok((progress.acknowledged() > 500).then_some(())) };
    crate::harness::wait_until("500 messages", PATIENCE, enough).await.expect("progress");
    load.stop();
    let report = check(&load.finish().await.expect("finished").history);
    report.assert_ok();
    assert_eq!(report.sent, report.acknowledged);
}

#[tokio::test]
async fn workloads_that_make_no_sense_are_refused() {
    let good = LoadOptions::new(vec!["ws://x/ws".into()], Vec::new());
    assert!(good.check().is_ok());
    let bad = [
        LoadOptions { payload_bytes: 47, ..good.clone() },
        LoadOptions { publishers: 0, ..good.clone() },
        LoadOptions { publish: Vec::new(), ..good.clone() },
        LoadOptions { subscribers: 1, ..good.clone() },
        LoadOptions { topic: "a\"b".into(), ..good.clone() },
        LoadOptions { pace: Pace::Closed { window: 0 }, ..good.clone() },
        LoadOptions { pace: Pace::Open { per_second: 0.0 }, ..good },
    ];
    assert!(bad.iter().all(|options| options.check().is_err()));
}
