//! Subscribers that do not read, very many that do nothing, and publishers that are too fast: the
//! scenarios of `vixen-bench subscribers`, in small.

use std::time::Duration;

use vixen_tests::subscribers::{Outcome, Scenario, SubscriberOptions, run};

const SEED: u64 = 7;

async fn held(scenario: Scenario, options: SubscriberOptions) -> Outcome {
    let outcome = Box::pin(run(scenario, options)).await.expect("it can be run");
    eprintln!("{outcome}");
    outcome.assert_ok();
    outcome
}

#[tokio::test]
async fn subscribers_that_stop_reading_cost_the_others_nothing_and_get_everything_later() {
    let options = SubscriberOptions {
        // A hundred times what an entry keeps for one of them, were it kept.
        payload_bytes: 64 << 10,
        missed_bytes: 100 << 20,
        per_second: 200.0,
        sessions: 12,
        stalled: 3,
        time: Duration::ZERO,
        ..SubscriberOptions::new(Scenario::Stalled, SEED)
    };
    let outcome = held(Scenario::Stalled, options).await;
    assert_eq!(outcome.count("subscribers that stood still"), 3);
    assert!(outcome.count("events of each subscriber") > 1_600);
}

#[tokio::test]
async fn a_message_reaches_hundreds_of_idle_sessions_once_each() {
    let options = SubscriberOptions {
        sessions: 500,
        rounds: 5,
        ..SubscriberOptions::new(Scenario::Sessions, SEED)
    };
    let outcome = held(Scenario::Sessions, options).await;
    assert_eq!(outcome.count("sessions that got everything"), 500);
}

#[tokio::test]
async fn a_publisher_without_acknowledgements_is_slowed_and_not_buffered() {
    let time = Duration::from_secs(3);
    let options = SubscriberOptions { time, ..SubscriberOptions::new(Scenario::Flood, SEED) };
    let outcome = held(Scenario::Flood, options).await;
    assert!(outcome.count("messages taken") > 1_000);
}
