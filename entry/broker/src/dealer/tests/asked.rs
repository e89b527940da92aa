//! Calls of which the view knows nobody, where it may be behind.

use super::*;

const NOBODY: [&str; 0] = [];
const UNKNOWN: &str = "1 <- failed 5: no callee registered for procedure late";

/// Caller 1 at this entry, callee 7 as well; entry 2 is linked. The view may be behind.
fn bench() -> Bench {
    let mut bench = Bench::new(roomy());
    bench.open(1);
    bench.open(7);
    bench.link(2);
    bench.registry.may_be_behind = true;
    bench
}

/// What the step owes, and whether it asks.
fn asks(bench: &mut Bench, input: Input) -> (Vec<String>, bool) {
    let fx = bench.effects(input);
    bench.notes.extend(&fx.notes);
    (lines(&fx), fx.is_asking)
}

/// Of a question that was asked when there were so many calls.
const fn complete_of(calls: u64) -> Input {
    Input::Complete { at: None, misses: Some(CallNumber(calls)), is_of_lease: false }
}

const fn complete() -> Input {
    complete_of(1)
}

fn calls(request: u64) -> Input {
    word(1, CallWord::Call(call(request, "late")))
}

fn asked() -> Bench {
    let mut bench = bench();
    assert_eq!(asks(&mut bench, calls(5)), (vec![], true));
    assert_eq!((bench.dealer.open_calls(), bench.dealer.asked_calls()), (1, 1));
    bench
}

fn registered(bench: &mut Bench) {
    bench.registry.add("late", 10, Policy::Single, vec![callee(1, 7)]);
    bench.serve(7, 10, 0);
}

fn assert_over(bench: &mut Bench) {
    assert_eq!((bench.dealer.open_calls(), bench.dealer.timeout_at()), (0, None));
    assert_eq!(asks(bench, complete()), (vec![], false));
}

#[test]
fn what_a_complete_view_does_not_know_nobody_has_registered() {
    let mut bench = asked();
    assert_eq!(asks(&mut bench, complete()), (vec![UNKNOWN.to_owned()], false));
    assert_eq!(bench.outcomes(), ["no_such_procedure"]);
    assert_over(&mut bench);
    bench.registry.may_be_behind = false;
    assert_eq!(asks(&mut bench, calls(5)), (vec![UNKNOWN.to_owned()], false));
}

#[test]
fn what_was_registered_before_is_found_with_all_that_the_call_had() {
    let mut bench = bench();
    assert_eq!(asks(&mut bench, word(1, part(5, "late", true))), (vec![], true));
    assert_eq!(asks(&mut bench, word(1, part(5, "late", false))), (vec![], false));
    registered(&mut bench);
    let (told, is_asking) = asks(&mut bench, complete());
    assert_eq!((told.len(), is_asking), (2, false), "{told:?}");
    assert_eq!(bench.dealer.asked_calls(), 0);
    assert_eq!(bench.result(7, 1, "[2]"), ["1 <- result 5 [2]"]);
    assert_over(&mut bench);
}

#[test]
fn whoever_comes_while_a_question_is_asked_waits_for_the_next() {
    let mut bench = asked();
    assert_eq!(asks(&mut bench, calls(6)), (vec![], false));
    assert_eq!(asks(&mut bench, complete()), (vec![UNKNOWN.to_owned()], true));
    registered(&mut bench);
    let (told, is_asking) = asks(&mut bench, complete_of(2));
    assert!(matches!(&told[..], [told] if told.starts_with("7 <- invocation")), "{told:?}");
    assert!(!is_asking);
}

#[test]
fn whoever_comes_before_the_question_is_asked_is_of_it() {
    let mut bench = asked();
    assert_eq!(asks(&mut bench, calls(6)), (vec![], false));
    let unknown = UNKNOWN.replace('5', "6");
    assert_eq!(asks(&mut bench, complete_of(2)), (vec![UNKNOWN.to_owned(), unknown], false));
    assert_over(&mut bench);
}

#[test]
fn whatever_ends_a_call_ends_one_that_waits_and_nobody_else_hears_of_it() {
    let cancelled = "1 <- failed 5: the call was cancelled";
    for mode in [CancelMode::Skip, CancelMode::Kill, CancelMode::KillNoWait, CancelMode::Unnamed] {
        let mut bench = asked();
        assert_eq!(bench.cancel(1, 5, mode), [cancelled]);
        assert_over(&mut bench);
    }
    let mut bench = bench();
    assert_eq!(asks(&mut bench, word(1, timed(5, "late", 100))), (vec![], true));
    assert_eq!(bench.pass(99), NOBODY);
    assert_eq!(bench.pass(1), ["1 <- failed 5: no answer within 100 ms"]);
    assert_over(&mut bench);
    let mut bench = asked();
    assert_eq!(bench.close(1), NOBODY);
    assert_over(&mut bench);
    let mut bench = asked();
    assert_eq!(bench.step(Input::Stop), ["1 <- failed 5: entry E1 stops"]);
    assert_over(&mut bench);
}

#[test]
fn a_request_that_waits_is_used_once() {
    let mut bench = asked();
    let fx = bench.effects(calls(5));
    let breach = Breach::RepeatedRequest(RequestId(5));
    assert_eq!(fx.breaches, [(SessionId(1), breach)]);
}

#[test]
fn a_part_of_another_procedure_is_no_part_of_a_call_that_waits() {
    let mut bench = bench();
    assert_eq!(asks(&mut bench, word(1, part(5, "late", true))), (vec![], true));
    let fx = bench.effects(word(1, part(5, "later", false)));
    let breach = Breach::RepeatedRequest(RequestId(5));
    assert_eq!(fx.breaches, [(SessionId(1), breach)]);
}

#[test]
fn what_is_too_much_to_keep_ends_the_call() {
    let mut limits = roomy();
    limits.calls_bytes_per_session_max = 600;
    let mut bench = Bench::new(limits);
    bench.open(1);
    bench.registry.may_be_behind = true;
    let large = |has_more| {
        let payload = json(&format!("[\"{}\"]", "x".repeat(200)));
        word(1, CallWord::Call(Call { payload, has_more, ..call(5, "late") }))
    };
    let mut told = Vec::new();
    for _ in 0..5 {
        told = bench.step(large(true));
        if !told.is_empty() {
            break;
        }
    }
    assert!(
        matches!(&told[..], [told] if told.contains("calls-bytes-per-session-max")),
        "{told:?}"
    );
    assert_eq!(bench.step(large(false)), NOBODY, "the rest goes nowhere");
    assert_over(&mut bench);
}
