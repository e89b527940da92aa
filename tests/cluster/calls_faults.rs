//! Calls while callees and entries die and stand still: a few rounds of `vixen-bench calls-faults`, without cuts,
//! which take a network of one's own.

use std::time::Duration;

use vixen_tests::call_faults::{Blow, CallFaultOptions, Victim, run};

/// Printed with what is broken; the same again: `vixen-bench calls-faults … --seed 7`.
const SEED: u64 = 7;

#[tokio::test]
async fn every_call_is_answered_once_while_callees_and_entries_die_and_stand_still()
-> anyhow::Result<()> {
    let outcome = Box::pin(run(CallFaultOptions {
        callers: 30,
        callees: 8,
        per_second: 200.0,
        // A debug build on a busy machine.
        grace: Duration::from_secs(30),
        away_max: Duration::from_secs(3),
        victims: vec![Victim::Callee, Victim::CalleesEntry],
        blows: vec![Blow::Kill, Blow::Pause],
        ..CallFaultOptions::new(4, SEED)
    }))
    .await?;
    eprintln!("{outcome}");
    outcome.assert_ok();
    assert_eq!(outcome.faults(), 4);
    assert!(outcome.results() > 100);
    Ok(())
}
