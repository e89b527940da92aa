//! Who holds a procedure alone is invoked under a lease, and after the hand-over.

use super::*;

const NOBODY: [&str; 0] = [];

/// Caller 1 and callee 7 at this entry; entry 2 is linked, and calls as well.
fn bench(hold: Hold) -> Bench {
    let mut bench = Bench::new(roomy());
    bench.open(1);
    bench.open(7);
    bench.link(2);
    bench.registry.add("a", 10, Policy::Single, vec![callee(1, 7)]);
    bench.serve(7, 10, 0);
    bench.registry.hold = Some(hold);
    bench
}

fn asks(bench: &mut Bench, input: Input) -> (Vec<String>, bool) {
    let fx = bench.effects(input);
    bench.notes.extend(&fx.notes);
    (lines(&fx), fx.is_asking_lease)
}

fn calls(request: u64) -> Input {
    word(1, CallWord::Call(call(request, "a")))
}

fn complete(at: Option<Instant>) -> Input {
    Input::Complete { at, misses: None, is_of_lease: true }
}

fn is_invocation(told: &[String]) -> bool {
    matches!(told, [told] if told.starts_with("7 <- invocation"))
}

#[test]
fn the_first_call_waits_until_the_view_is_known_to_be_complete_and_the_next_do_not() {
    let mut bench = bench(Hold::Lease);
    assert_eq!(asks(&mut bench, calls(1)), (vec![], true));
    assert_eq!(asks(&mut bench, calls(2)), (vec![], false), "it is asked already");
    let now = bench.now;
    let (told, is_asking) = asks(&mut bench, complete(Some(now)));
    assert_eq!((told.len(), is_asking), (2, false), "{told:?}");
    bench.now += Duration::from_millis(999);
    let (told, is_asking) = asks(&mut bench, calls(3));
    assert!(is_invocation(&told) && !is_asking, "{told:?}");
    // Asked again in time, and nobody waits for it.
    bench.now += Duration::from_millis(1);
    let (told, is_asking) = asks(&mut bench, calls(4));
    assert!(is_invocation(&told) && is_asking, "{told:?}");
    bench.now += Duration::from_secs(1);
    let (told, _) = asks(&mut bench, calls(5));
    assert!(is_invocation(&told), "{told:?}");
    bench.now += Duration::from_millis(1);
    assert_eq!(asks(&mut bench, calls(6)), (vec![], false), "the lease is over");
}

#[test]
fn where_nobody_can_tell_who_holds_it_the_caller_is_told_so() {
    let mut bench = bench(Hold::Lease);
    asks(&mut bench, calls(1));
    let (told, _) = asks(&mut bench, complete(None));
    let unavailable = "1 <- failed 1: entry E1 has not heard from a majority of sync nodes: it cannot tell who holds a";
    assert_eq!(told, [unavailable]);
    assert_eq!((bench.dealer.open_calls(), bench.dealer.open_invocations()), (0, 0));
    // The next one asks again.
    assert_eq!(asks(&mut bench, calls(2)), (vec![], true));
}

/// It was refused after 350 ms, wherever a commit takes that long.
#[test]
fn an_answer_may_come_late_and_is_worth_what_is_left_of_two_seconds_then() {
    let mut bench = bench(Hold::Lease);
    let asked = bench.now;
    assert_eq!(asks(&mut bench, calls(1)), (vec![], true));
    bench.now += LEASE_ASKED;
    let (told, is_asking) = asks(&mut bench, complete(Some(asked)));
    assert!(is_invocation(&told), "{told:?}");
    assert!(is_asking, "it is to be renewed already");
    bench.now += Duration::from_millis(500);
    let (told, _) = asks(&mut bench, calls(2));
    assert!(is_invocation(&told), "{told:?}");
    // Counted from when it was asked: those who come wait, and nobody refuses them.
    bench.now += Duration::from_millis(1);
    assert_eq!(asks(&mut bench, calls(3)), (vec![], false));
    let asked = asked + LEASE_ASKED;
    let (told, _) = asks(&mut bench, complete(Some(asked)));
    assert!(is_invocation(&told), "{told:?}");
}

#[test]
fn an_answer_to_who_has_missed_is_good_for_a_lease_and_a_missing_one_refuses_nobody() {
    let mut bench = bench(Hold::Lease);
    assert_eq!(asks(&mut bench, calls(1)), (vec![], true));
    let of_misses = |at| Input::Complete { at, misses: Some(CallNumber(1)), is_of_lease: false };
    assert_eq!(asks(&mut bench, of_misses(None)), (vec![], false), "its own is open");
    let now = bench.now;
    let (told, is_asking) = asks(&mut bench, of_misses(Some(now)));
    assert!(is_invocation(&told) && !is_asking, "{told:?}");
    bench.now += Duration::from_secs(1);
    assert!(!asks(&mut bench, calls(2)).1, "it is still asked for");
    assert_eq!(asks(&mut bench, complete(None)), (vec![], false), "the lease holds all the same");
    assert!(asks(&mut bench, calls(3)).1, "and is asked for anew");
}

/// The process stood still as it waited.
#[test]
fn an_answer_that_is_too_old_is_asked_for_again() {
    let mut bench = bench(Hold::Lease);
    let asked = bench.now;
    asks(&mut bench, calls(1));
    bench.now += Duration::from_millis(2_001);
    assert_eq!(asks(&mut bench, complete(Some(asked))), (vec![], true));
    let now = bench.now;
    let (told, _) = asks(&mut bench, complete(Some(now)));
    assert!(is_invocation(&told), "{told:?}");
}

#[test]
fn an_answer_of_before_the_view_was_lost_is_no_lease() {
    let mut bench = bench(Hold::Lease);
    asks(&mut bench, calls(1));
    let now = bench.now;
    asks(&mut bench, Input::View { is_ready: false });
    asks(&mut bench, complete(Some(now)));
    asks(&mut bench, Input::View { is_ready: true });
    assert_eq!(asks(&mut bench, calls(2)), (vec![], true));
}

#[test]
fn calls_wait_for_the_hand_over_in_their_order() {
    let mut bench = bench(Hold::HandOver);
    assert_eq!(asks(&mut bench, calls(1)), (vec![], false));
    assert_eq!(asks(&mut bench, calls(2)), (vec![], false));
    assert_eq!(bench.step(Input::Applied), NOBODY);
    bench.registry.hold = None;
    let told = bench.step(Input::Applied);
    assert!(told.len() == 2 && told[0].starts_with("7 <- invocation 1"), "{told:?}");
}
