//! A rolling restart of the entries under load: the scenario of `vixen-bench subscribers
//! --scenario drain`.

use vixen_tests::subscribers::{Scenario, SubscriberOptions, run};

#[tokio::test]
async fn entries_that_are_stopped_one_by_one_lose_no_acknowledgement_and_break_no_sequence() {
    let per_second = 1_000.0;
    let options = SubscriberOptions { per_second, ..SubscriberOptions::new(Scenario::Drain, 7) };
    let outcome = Box::pin(run(Scenario::Drain, options)).await.expect("it can be run");
    eprintln!("{outcome}");
    outcome.assert_ok();
    assert_eq!(outcome.count("entries stopped"), 3);
    // A session that began while the entry stopped may be turned away before it is one.
    assert!(outcome.count("sessions told so") > 0);
}
