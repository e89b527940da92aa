//! Subscribers that are cut off again and again and come back where they were: the scenario of
//! `vixen-bench subscribers --scenario resume`.

use vixen_tests::subscribers::{Outcome, Scenario, SubscriberOptions, run};

/// Printed with what is broken; the same again: `vixen-bench subscribers … --seed 7`.
const SEED: u64 = 7;

async fn held(options: SubscriberOptions) -> Outcome {
    let outcome = Box::pin(run(Scenario::Resume, options)).await.expect("it can be run");
    eprintln!("{outcome}");
    outcome.assert_ok();
    outcome
}

fn small(seed: u64) -> SubscriberOptions {
    let per_second = 1_000.0;
    SubscriberOptions { per_second, cuts: 25, ..SubscriberOptions::new(Scenario::Resume, seed) }
}

#[tokio::test]
async fn subscribers_that_are_cut_off_go_on_after_their_last_event_at_any_entry() {
    let outcome = held(SubscriberOptions { kills: 0, ..small(SEED) }).await;
    assert_eq!(outcome.count("cuts"), 75);
}

#[tokio::test]
async fn they_go_on_while_entries_are_killed_and_started() {
    let outcome = held(SubscriberOptions { kills: 2, ..small(SEED + 1) }).await;
    assert_eq!(outcome.count("cuts"), 75);
    assert!(outcome.count("sessions of publishers lost with an entry") > 0);
}
