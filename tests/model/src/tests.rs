//! The model checker on instances that take no time, and what it finds when a rule is broken.
//!
//! The larger instances: `cargo run --release -p vixen-model -- check --set small`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::fault::Fault;
use crate::instance::Instance;
use crate::run::{Report, Search, check};
use crate::sets;

fn run(name: &str, fault: Option<Fault>, search: Search) -> Report {
    let instance: Instance = name.parse().expect("an instance");
    check(instance, fault, search, None)
}

/// Checks all states, and that there were some worth checking.
fn holds(name: &str) -> Report {
    let report = without_fault(name);
    assert!(report.is_exhaustive(), "{report}");
    let complete = report.findings.iter().find(|f| f.name == "everything is delivered");
    assert!(complete.is_some_and(|finding| finding.path.is_some()), "{report}");
    report
}

/// What is found in this instance as it ships: looked for once, however many faults it tells apart.
fn without_fault(name: &str) -> Report {
    static FOUND: Mutex<BTreeMap<String, Arc<OnceLock<Report>>>> = Mutex::new(BTreeMap::new());
    let found = {
        let mut all = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(name.to_owned()).or_default())
    };
    found.get_or_init(|| run(name, None, Search::Breadth)).clone()
}

/// The fault breaks this property in this instance, which holds without it, up to its depth if it has one.
fn breaks(name: &str, fault: Fault, property: &str) {
    let report = run(name, Some(fault), Search::Breadth);
    let broken: Vec<_> = report.findings.iter().filter(|finding| finding.is_violated()).collect();
    println!("{fault:?}: {report}");
    assert!(broken.iter().any(|finding| finding.name == property), "{fault:?}: {report}");
    let clean = without_fault(name);
    assert!(!clean.is_violated() && !clean.is_cut_short, "clean without the fault: {clean}");
}

#[test]
fn instances_have_their_parameters_for_names() {
    for set in ["small", "large"] {
        for instance in sets::named(set).expect("a set") {
            assert_eq!(instance.to_string().parse::<Instance>().ok(), Some(instance));
        }
    }
    let full = "mixed-b2-c1-o3-cut02-ahead1-late01-order-wild2-j3-lag-d40";
    assert_eq!(full.parse::<Instance>().expect("an instance").to_string(), full);
    for wrong in [
        "chains",
        "chain-x1",
        "chain-cut10",
        "chain-cut03",
        "chain-ahead3",
        "chain-late3",
        "chain-wild",
        "",
    ] {
        assert!(sets::named(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn faults_go_by_different_names() {
    let faults = Fault::all();
    let names: BTreeSet<_> = faults.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), faults.len());
}

#[test]
fn one_segment_is_elected_once_whatever_is_lost_and_crashes() {
    holds("one-b0-c1-o0");
    let report = holds("one-b1-c0-o1");
    assert!(report.findings.iter().all(|finding| finding.is_always != finding.path.is_some()));
}

#[test]
fn a_chain_keeps_its_order() {
    holds("chain-b0-c0-o0");
    holds("chain-b0-c0-o0-order");
}

#[test]
fn two_owners_keep_real_time_order() {
    holds("apart-b0-c0-o0");
    holds("together-b0-c0-o0");
}

#[test]
fn a_cut_link_is_passed_over() {
    let report = holds("one-b1-c0-o1-cut01");
    assert!(report.findings.iter().all(|finding| finding.is_always != finding.path.is_some()));
}

#[test]
fn one_wrong_clock_is_not_followed_and_stops_nobody() {
    holds("one-b0-c0-o1-wild1");
    holds("one-b0-c0-o1-late1");
    holds("one-b0-c0-o0-j1");
}

#[test]
fn clocks_that_were_ahead_stop_nobody() {
    holds("one-b0-c0-o1-late01");
    holds("one-b0-c0-o1-late012");
    holds("chain-b0-c0-o0-order");
    holds("one-b0-c0-o1-order-wild1");
}

/// Each feed is read up to any moment, or followed from there on.
#[test]
fn readers_that_are_behind_have_what_is_elected_up_to_where_they_are() {
    holds("one-b0-c0-o1-lag");
    holds("one-b1-c0-o1-cut01-lag");
}

#[test]
fn a_bound_of_depth_is_said() {
    let report = run("chain-b0-c0-o0-d5", None, Search::Depth);
    assert!(!report.is_exhaustive());
    assert!(report.to_string().contains("bounded at depth 5"), "{report}");
}

#[test]
fn drafts_forgotten_at_a_restart_are_noticed() {
    breaks("one-b0-c1-o0-lag-d11", Fault::DraftsForgottenAtRestart, "the frontier is certain");
}

#[test]
fn a_clock_that_is_not_restored_is_noticed() {
    breaks("one-b0-c1-o0", Fault::ClockNotRestored, "watermarks never fall");
}

/// FAST leaves before the row of its home is durable, and the home's vote does not.
#[test]
fn a_fast_vote_before_its_commit_is_noticed() {
    breaks("one-b0-c1-o0", Fault::FastVoteBeforeCommit, "the frontier is certain");
}

/// Found while this was built: ELECT_SEGMENT leaves before its coordinator's acceptance is durable; who starts again with
/// the promise alone may have proposed.
#[test]
fn a_ballot_that_is_used_again_after_a_restart_is_noticed() {
    let fault = Fault::Vote(vixen_kit::mutations::Mutation::BallotUsedAgain);
    breaks("one-b0-c1-o0-ahead1-d10", fault, "one value a ballot");
}

/// Found by reading: picks that nobody asked for are no promise.
#[test]
fn a_proposal_that_leaves_without_a_promise_of_its_ballot_is_noticed() {
    let fault = Fault::Vote(vixen_kit::mutations::Mutation::ElectBeforePromise);
    breaks("one-b0-c1-o0-cut12-d10", fault, "one value a ballot");
}

#[test]
fn a_reply_before_its_commit_is_noticed() {
    breaks("one-b0-c1-o0", Fault::ReplyBeforeCommit, "the frontier is certain");
}

mod mutations {
    use super::*;
    use vixen_kit::mutations::Mutation;

    fn is_noticed(name: &str, mutation: Mutation, property: &str) {
        breaks(name, Fault::Vote(mutation), property);
    }

    #[test]
    fn the_minimum_of_drafts_is_noticed() {
        is_noticed(
            "apart-b0-c0-o0-cut12-ahead0-lag-d10",
            Mutation::MinimumOfDrafts,
            "the frontier is certain",
        );
    }

    #[test]
    fn a_recovery_that_ignores_what_was_accepted_is_noticed() {
        is_noticed(
            "one-b1-c0-o1-ahead1-d13",
            Mutation::RecoveryIgnoresAccepted,
            "the frontier is certain",
        );
    }

    #[test]
    fn two_values_at_one_ballot_are_noticed() {
        is_noticed("one-b0-c0-o0-ahead1", Mutation::TwoValuesOneBallot, "one value a ballot");
    }

    #[test]
    fn a_missing_floor_is_noticed() {
        is_noticed("chain-b0-c0-o0-cut12-ahead0-d13", Mutation::NoFloor, "one owner's order");
    }

    #[test]
    fn accepting_without_raising_the_clock_is_noticed() {
        is_noticed(
            "apart-b0-c0-o0-cut12-ahead0-d14",
            Mutation::AcceptLeavesClock,
            "real-time order",
        );
    }

    #[test]
    fn an_election_by_too_few_is_noticed() {
        is_noticed("one-b1-c0-o1-ahead1-d10", Mutation::FewerElect, "one value a segment");
    }

    #[test]
    fn a_watermark_that_ignores_drafts_is_noticed() {
        is_noticed(
            "apart-b0-c0-o1-lag-d10",
            Mutation::WatermarkIgnoresDrafts,
            "the frontier is certain",
        );
    }

    #[test]
    fn stamps_without_a_bound_are_noticed() {
        is_noticed("one-b0-c0-o0-cut12-wild1", Mutation::NoBound, "no wrong clock is followed");
    }

    #[test]
    fn an_order_that_leaps_is_noticed() {
        is_noticed(
            "one-b0-c0-o0-cut12-order-wild1",
            Mutation::ReachLeaps,
            "no wrong clock is followed",
        );
    }

    #[test]
    fn a_fast_value_below_a_watermark_is_noticed() {
        is_noticed("apart-b0-c0-o0-lag-d12", Mutation::FastBelowFloor, "the frontier is certain");
    }

    #[test]
    fn a_fast_value_over_a_promise_is_noticed() {
        is_noticed("one-b1-c0-o1", Mutation::FastOverRow, "the frontier is certain");
    }

    #[test]
    fn a_fast_election_by_a_quorum_is_noticed() {
        is_noticed("one-b1-c0-o1", Mutation::FastByQuorum, "one value a segment");
    }

    #[test]
    fn a_fast_election_by_all_but_one_is_noticed() {
        is_noticed("one-b1-c0-o1", Mutation::FastByAllButOne, "one value a segment");
    }

    #[test]
    fn a_fast_value_that_not_all_of_a_quorum_have_is_not_to_be_adopted() {
        is_noticed(
            "apart-b0-c0-o0-ahead1-lag-d11",
            Mutation::FastAdoptedFromOne,
            "the frontier is certain",
        );
    }
}

/// Rules of those who read the order.
mod readers {
    use super::*;
    use vixen_kit::mutations::Misreading;

    #[test]
    fn an_election_by_too_few_is_noticed() {
        let fault = Fault::Reader(Misreading::FewerElect);
        breaks("one-b1-c0-o1-ahead1-d10", fault, "the frontier is certain");
    }

    #[test]
    fn a_fast_election_by_a_quorum_is_noticed() {
        breaks("one-b1-c0-o1", Fault::Reader(Misreading::FastByQuorum), "one value a segment");
    }

    #[test]
    fn acceptances_of_different_rounds_that_are_added_up_are_noticed() {
        breaks("one-b1-c0-o1", Fault::BallotsAddUp, "the frontier is certain");
    }

    #[test]
    fn what_was_told_accepted_and_holds_nothing_is_noticed() {
        let fault = Fault::Reader(Misreading::ToldHoldsNothing);
        breaks("apart-b0-c0-o0", fault, "the frontier is certain");
    }

    #[test]
    fn a_new_feed_that_does_not_tell_what_is_pending_is_noticed() {
        breaks("one-b0-c0-o1-lag", Fault::NewFeedForgets, "the frontier is certain");
    }

    #[test]
    fn what_is_told_before_its_commit_is_noticed() {
        breaks("one-b0-c1-o0", Fault::ToldBeforeCommit, "the frontier is certain");
    }
}
