//! Stores that are killed, wiped, damaged, full and cut off from power: the scenarios of
//! `vixen-bench storage`, each once or twice.

use vixen_tests::storage::{Outcome, Scenario, StorageOptions, run};

/// Printed with what is broken; the same again: `vixen-bench storage --scenario … --seed 7`.
const SEED: u64 = 7;

async fn held(scenario: Scenario, options: StorageOptions) -> Outcome {
    let outcome = Box::pin(run(scenario, options)).await.expect("it can be run");
    eprintln!("{outcome}");
    outcome.assert_ok();
    outcome
}

#[tokio::test]
async fn each_ndb_node_of_two_groups_may_be_killed_and_becomes_complete_again() {
    let outcome = held(Scenario::Kill, StorageOptions::new(1, SEED)).await;
    assert_eq!(outcome.count("faults"), 6);
}

#[tokio::test]
async fn each_ndb_node_of_two_groups_may_stand_still_and_becomes_complete_again() {
    held(Scenario::Pause, StorageOptions::new(1, SEED)).await;
}

#[tokio::test]
async fn a_wiped_ndb_node_gets_everything_back_under_load() {
    let outcome = held(Scenario::Wipe, StorageOptions::new(1, SEED)).await;
    assert!(outcome.count("segments fetched") > 0);
}

#[tokio::test]
async fn damage_in_the_files_of_a_node_is_never_served_and_is_mended() {
    let options = StorageOptions { damages: 60, ..StorageOptions::new(1, SEED) };
    held(Scenario::Damage, options).await;
}

#[tokio::test]
async fn full_disks_of_a_group_hold_nobody_up_and_of_all_groups_are_told_to_publishers() {
    let outcome = held(Scenario::Full, StorageOptions::new(2, SEED)).await;
    assert!(outcome.count("publishes refused meanwhile") > 0);
}

#[tokio::test]
async fn what_was_acknowledged_before_each_of_twelve_power_cuts_is_stored_once() {
    let outcome = held(Scenario::Power, StorageOptions::new(12, SEED)).await;
    assert!(outcome.count("power cuts") >= 12);
    // Whether a cut meets a name that is not durable yet is chance: `power_cut` sees to those.
    assert!(outcome.count("of them lost") > 0);
}
