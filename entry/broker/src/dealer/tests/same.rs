//! Caller and callee at the same entry: what both are told.

use super::*;

const NOBODY: [&str; 0] = [];

/// Caller 1; callee 7 of `p`, one call at once.
fn bench() -> Bench {
    let mut bench = Bench::new(roomy());
    bench.open(1);
    bench.open(7);
    bench.registry.add("p", 10, Policy::Single, vec![callee(1, 7)]);
    bench.serve(7, 10, 1);
    bench
}

fn open() -> Bench {
    let mut bench = bench();
    assert_eq!(bench.call(1, 5, "p"), ["7 <- invocation 1 of 10 [1]"]);
    bench
}

fn assert_empty(bench: &Bench) {
    assert_eq!((bench.dealer.open_calls(), bench.dealer.open_invocations()), (0, 0));
    assert_eq!((bench.dealer.usage.calls, bench.dealer.usage.kept_bytes), (0, 0));
    assert_eq!((bench.dealer.timeout_at(), bench.dealer.oldest()), (None, None));
}

#[test]
fn a_call_is_answered_in_the_steps_in_which_it_is_said() {
    let mut bench = open();
    assert_eq!(bench.progress(7, 1, "[2]"), ["1 <- result 5 progress [2]"]);
    assert_eq!(bench.result(7, 1, "[3]"), ["1 <- result 5 [3]"]);
    assert_eq!(bench.result(7, 1, "[4]"), NOBODY);
    assert_eq!(bench.outcomes(), ["progress", "result", "late"]);
    assert_empty(&bench);
}

#[test]
fn a_session_calls_itself() {
    let mut bench = bench();
    assert_eq!(bench.call(7, 5, "p"), ["7 <- invocation 1 of 10 [1]"]);
    assert_eq!(bench.result(7, 1, "[2]"), ["7 <- result 5 [2]"]);
    bench.call(7, 6, "p");
    assert_eq!(bench.close(7), NOBODY);
    assert_empty(&bench);
}

#[test]
fn progressive_calls_reach_the_callee_in_parts() {
    let mut bench = bench();
    assert_eq!(bench.step(word(1, part(5, "p", true))), ["7 <- invocation 1 of 10 has-more [1]"]);
    assert_eq!(bench.progress(7, 1, "[2]"), ["1 <- result 5 progress [2]"]);
    assert_eq!(bench.step(word(1, part(5, "p", false))), ["7 <- invocation 1 of 10 [1]"]);
    assert_eq!(bench.result(7, 1, "[3]"), ["1 <- result 5 [3]"]);
    assert_empty(&bench);
}

#[test]
fn a_pattern_tells_what_was_called_and_disclosure_who_calls() {
    let mut bench = bench();
    bench.registry.add("q.", 11, Policy::Single, vec![callee(1, 7)]);
    bench.serve(7, 11, 0);
    let call = Call { is_disclosed: true, ..call(5, "q.x") };
    let told = ["7 <- invocation 1 of 11 q.x for 1 id1 role [1]"];
    assert_eq!(bench.step(word(1, CallWord::Call(call))), told);
}

/// The slot ends with its call, whichever way: the next call always finds it free.
#[test]
fn slots_end_with_their_calls() {
    type End = fn(&mut Bench) -> Vec<String>;
    let ends: [(&str, End); 9] = [
        ("result", |bench| bench.result(7, 1, "[2]")),
        ("error", |bench| bench.fail(7, 1, "a.error", "")),
        ("skip", |bench| bench.cancel(1, 5, CancelMode::Skip)),
        ("killnowait", |bench| bench.cancel(1, 5, CancelMode::KillNoWait)),
        ("no mode", |bench| bench.cancel(1, 5, CancelMode::Unnamed)),
        ("kill, and an answer", |bench| {
            bench.cancel(1, 5, CancelMode::Kill);
            bench.fail(7, 1, "wamp.error.canceled", "")
        }),
        ("kill, and the caller leaves", |bench| {
            bench.cancel(1, 5, CancelMode::Kill);
            bench.close(1)
        }),
        ("the caller leaves", |bench| bench.close(1)),
        ("timeout", |bench| bench.pass(300)),
    ];
    for (name, end) in ends {
        let mut bench = bench();
        bench.open(2);
        bench.step(word(1, timed(5, "p", 300)));
        let busy = "2 <- failed 1: all callees of procedure p have as many invocations as they take at once";
        assert_eq!(bench.call(2, 1, "p"), [busy], "{name}");
        end(&mut bench);
        assert_empty(&bench);
        assert_eq!(bench.call(2, 2, "p"), ["7 <- invocation 2 of 10 [1]"], "{name}");
        assert_eq!(bench.result(7, 1, "[late]"), NOBODY, "{name}");
    }
}

#[test]
fn cancel_in_each_mode_tells_both() {
    let canceled = "1 <- failed 5: the call was cancelled";
    assert_eq!(open().cancel(1, 5, CancelMode::Skip), [canceled]);
    let told = [canceled, "7 <- interrupt 1 KillNoWait"];
    assert_eq!(open().cancel(1, 5, CancelMode::KillNoWait), told);
    assert_eq!(open().cancel(1, 5, CancelMode::Unnamed), [canceled, "7 <- interrupt 1 Unnamed"]);
    let mut bench = open();
    assert_eq!(bench.cancel(1, 5, CancelMode::Kill), ["7 <- interrupt 1 Kill"]);
    assert_eq!(bench.result(7, 1, "[2]"), ["1 <- result 5 [2]"]);
    let mut bench = open();
    bench.cancel(1, 5, CancelMode::Kill);
    assert_eq!(bench.progress(7, 1, "[2]"), ["1 <- failed 5 wamp.error.canceled "]);
    assert_empty(&bench);
}

#[test]
fn whoever_leaves_the_other_hears_of_it() {
    assert_eq!(open().close(1), ["7 <- interrupt 1 KillNoWait"]);
    let gone = "1 <- failed 5: callee disconnected from in-flight request";
    assert_eq!(open().close(7), [gone]);
    let mut bench = open();
    bench.cancel(1, 5, CancelMode::Kill);
    assert_eq!(bench.close(7), [gone]);
    assert_empty(&bench);
}

/// One that passes the call on, one that has left, one that serves: the caller hears of the last alone.
#[test]
fn a_call_of_a_shared_one_goes_on_to_the_next_within_the_step() {
    let mut bench = bench();
    bench.open(8);
    bench.open(9);
    let all = [7, 8, 9].map(|session| callee(1, session)).to_vec();
    bench.registry.add("all", 11, Policy::First, all);
    bench.serve(7, 11, 0);
    bench.serve(9, 11, 0);
    assert_eq!(bench.call(1, 5, "all"), ["7 <- invocation 1 of 11 [1]"]);
    let next = ["9 <- invocation 1 of 11 [1]"];
    assert_eq!(bench.fail(7, 1, "wamp.error.unavailable", ""), next);
    assert_eq!(bench.outcomes(), ["unavailable"]);
    assert_eq!(bench.result(9, 1, "[2]"), ["1 <- result 5 [2]"]);
    assert_empty(&bench);
}

#[test]
fn a_callee_that_keeps_timeouts_has_500_ms_more() {
    let mut bench = bench();
    bench.registry.add("t", 11, Policy::Single, vec![callee(1, 7)]);
    let terms = Terms { forwards_timeout: true, ..terms(11, 0) };
    bench.step(Input::Serves { session: SessionId(7), registration: Position(11), terms });
    assert_eq!(bench.step(word(1, timed(5, "t", 200))), ["7 <- invocation 1 of 11 200 ms [1]"]);
    assert_eq!(bench.pass(699), NOBODY);
    let told = ["1 <- failed 5: no answer within 200 ms", "7 <- interrupt 1 KillNoWait"];
    assert_eq!(bench.pass(1), told);
    assert_empty(&bench);
}

/// It was called in another registration then.
#[test]
fn a_callee_that_is_not_available_gets_the_call_once_whatever_it_registers() {
    let mut bench = bench();
    bench.registry.add("all", 11, Policy::First, vec![callee(1, 7)]);
    bench.serve(7, 11, 0);
    bench.call(1, 5, "all");
    bench.registry.add("all", 12, Policy::First, vec![callee(1, 7)]);
    bench.serve(7, 12, 0);
    let told = "1 <- failed 5: no callee of procedure all can be called: a callee answered wamp.error.unavailable";
    assert_eq!(bench.fail(7, 1, "wamp.error.unavailable", ""), [told]);
    assert_empty(&bench);
}

#[test]
fn a_callee_says_itself_that_the_time_is_over() {
    let mut bench = open();
    bench.fail(7, 1, "wamp.error.timeout", "");
    assert_eq!(bench.outcomes(), ["timeout"]);
}

/// To the millisecond that the caller asked for, and not a part of one before it.
#[test]
fn a_second_try_in_the_last_millisecond_is_made() {
    let mut bench = bench();
    bench.open(8);
    bench.registry.add("all", 11, Policy::RoundRobin, vec![callee(1, 7), callee(1, 8)]);
    for session in [7, 8] {
        let terms = Terms { forwards_timeout: true, ..terms(11, 0) };
        let (session, registration) = (SessionId(session), Position(11));
        bench.step(Input::Serves { session, registration, terms });
    }
    bench.step(word(1, timed(5, "all", 200)));
    bench.now += Duration::from_micros(199_500);
    let told = ["8 <- invocation 1 of 11 1 ms [1]"];
    assert_eq!(bench.fail(7, 1, "wamp.error.unavailable", ""), told);
    // Nobody's turn is taken by a call whose time is over.
    bench.step(word(1, timed(6, "all", 200)));
    bench.now += Duration::from_millis(200);
    let late = bench.fail(7, 2, "wamp.error.unavailable", "");
    assert_eq!(late, ["1 <- failed 6: no answer within 200 ms"]);
    assert_eq!(bench.call(1, 7, "all"), ["8 <- invocation 2 of 11 [1]"]);
}

/// What an open session has is not forgotten by a second word of its beginning.
#[test]
fn a_session_that_is_open_is_not_opened_again() {
    let mut bench = open();
    bench.open(1);
    bench.open(7);
    assert_eq!(bench.result(7, 1, "[2]"), ["1 <- result 5 [2]"]);
    assert_empty(&bench);
}

fn spoiled(request: u64, has_more: bool) -> Input {
    spoiled_of(request, "p", has_more)
}

fn spoiled_of(request: u64, uri: &str, has_more: bool) -> Input {
    let (request, procedure) = (RequestId(request), uri.into());
    let (error, payload) = ("a.refusal".into(), json("[\"why\"]"));
    word(1, CallWord::Spoiled { request, procedure, has_more, error, payload })
}

/// J1: the gate refuses a part of a call that is open.
#[test]
fn a_spoiled_part_ends_the_open_call() {
    for (has_more, what) in [(true, "more to come"), (false, "the last one")] {
        let mut bench = bench();
        bench.step(word(1, part(5, "p", true)));
        let told = [r#"1 <- failed 5 a.refusal ["why"]"#, "7 <- interrupt 1 KillNoWait"];
        assert_eq!(bench.step(spoiled(5, has_more)), told, "{what}");
        assert_eq!(bench.outcomes(), ["refused"]);
        assert_empty(&bench);
        assert_eq!(bench.result(7, 1, "[2]"), NOBODY);
        if has_more {
            assert_eq!(bench.step(word(1, part(5, "p", true))), NOBODY);
            assert_eq!(bench.step(word(1, part(5, "p", false))), NOBODY);
        }
        assert_eq!(bench.call(1, 5, "p"), ["7 <- invocation 2 of 10 [1]"], "{what}");
    }
}

/// J1: the first part is refused, and the others are no calls of their own.
#[test]
fn a_spoiled_first_part_is_answered_once_and_the_rest_dropped() {
    let mut bench = bench();
    let told = [r#"1 <- failed 5 a.refusal ["why"]"#];
    assert_eq!(bench.step(spoiled(5, true)), told);
    assert_eq!(bench.outcomes(), ["refused"]);
    assert_eq!(bench.step(word(1, part(5, "p", true))), NOBODY);
    assert_eq!(bench.step(spoiled(5, true)), NOBODY);
    assert_eq!(bench.step(spoiled(5, false)), NOBODY);
    // A call of one part.
    assert_eq!(bench.step(spoiled(5, false)), told);
    assert_eq!(bench.call(1, 5, "p"), ["7 <- invocation 1 of 10 [1]"]);
    // One that is open and complete.
    let breach = "1 ends: CALL 5 has the request id of an open call; number requests from 1 on";
    assert_eq!(bench.step(spoiled(5, false)), [breach]);
}

/// J1: of what comes with its request id, only a part of the answered call goes without an answer.
#[test]
fn a_call_of_another_procedure_is_none_that_is_left_of_an_answered_one() {
    let answered = || {
        let mut bench = bench();
        bench.registry.add("q", 11, Policy::Single, vec![callee(1, 7)]);
        bench.serve(7, 11, 0);
        bench.step(word(1, part(5, "p", true)));
        assert_eq!(bench.result(7, 1, "[2]"), ["1 <- result 5 [2]"]);
        bench
    };
    let mut bench = answered();
    assert_eq!(bench.call(1, 5, "q"), ["7 <- invocation 2 of 11 [1]"], "a whole one");
    assert_eq!(bench.result(7, 2, "[3]"), ["1 <- result 5 [3]"]);
    assert_eq!(bench.step(word(1, part(5, "p", true))), NOBODY, "that of before has more parts");
    assert_eq!(bench.step(word(1, part(5, "p", false))), NOBODY, "and its last one");
    assert_eq!(bench.call(1, 5, "p"), ["7 <- invocation 3 of 10 [1]"], "there is nothing left");

    let mut bench = answered();
    let in_parts = ["7 <- invocation 2 of 11 has-more [1]"];
    assert_eq!(bench.step(word(1, part(5, "q", true))), in_parts, "the first of several");
    assert_eq!(bench.result(7, 2, "[3]"), ["1 <- result 5 [3]"]);
    assert_eq!(bench.step(word(1, part(5, "q", false))), NOBODY, "its last one");

    let mut bench = answered();
    let told = [r#"1 <- failed 5 a.refusal ["why"]"#];
    assert_eq!(bench.step(spoiled_of(5, "no uri", false)), told, "one that its gate refuses");
    assert_eq!(bench.step(spoiled(5, false)), NOBODY, "a part that its gate refuses");
    assert_empty(&bench);
}

fn withdrawn(request: u64, uri: &str, has_more: bool, why: Withdrawal) -> Input {
    let (request, procedure) = (RequestId(request), uri.into());
    word(1, CallWord::Withdrawn { request, procedure, has_more, why })
}

/// J1: a call that its gate has kept until it was over.
#[test]
fn a_withdrawn_call_is_answered_once() {
    let mut bench = bench();
    let canceled = Withdrawal::Canceled(CancelMode::Kill);
    let told = ["1 <- failed 5: the call was cancelled"];
    assert_eq!(bench.step(withdrawn(5, "p", false, canceled)), told);
    assert_eq!(bench.call(1, 5, "p"), ["7 <- invocation 1 of 10 [1]"], "its gate has forgotten it");
    bench.result(7, 1, "[2]");
    assert_eq!(bench.step(withdrawn(6, "p", true, canceled)).len(), 1);
    assert_eq!(bench.step(word(1, part(6, "p", false))), NOBODY, "its last part");
    assert_eq!(bench.outcomes(), ["canceled", "result", "canceled"]);
    assert_empty(&bench);
}

/// J1: its gate still has it, and hands over whatever the authorizer lets pass.
#[test]
fn what_comes_of_a_call_whose_time_was_over_before_is_dropped() {
    let mut bench = bench();
    let timeout = Withdrawal::Timeout { timeout_ms: 30 };
    for (request, has_more) in [(5, false), (6, true)] {
        let told = [format!("1 <- failed {request}: no answer within 30 ms")];
        assert_eq!(bench.step(withdrawn(request, "p", has_more, timeout)), told);
        assert_eq!(
            bench.step(withdrawn(request, "p", false, timeout)),
            NOBODY,
            "it has its answer"
        );
        if has_more {
            assert_eq!(bench.step(word(1, part(request, "p", true))), NOBODY);
        }
        assert_eq!(bench.step(word(1, part(request, "p", false))), NOBODY);
        let told = bench.call(1, request, "p");
        assert!(told[0].starts_with("7 <- invocation"), "nothing is left of it: {told:?}");
        bench.result(7, request - 4, "[2]");
    }
    assert_eq!(bench.step(withdrawn(7, "p", false, timeout)).len(), 1);
    assert_eq!(bench.step(spoiled(7, false)), NOBODY, "what it does not let pass as well");
    assert_eq!(bench.outcomes(), ["timeout", "result", "timeout", "result", "timeout"]);
    assert_empty(&bench);
}

/// The first part of it was let pass before.
#[test]
fn a_withdrawn_part_ends_the_open_call_as_it_was_cancelled_and_not_by_its_own_time() {
    let open = || {
        let mut bench = bench();
        bench.step(word(1, part(5, "p", true)));
        bench
    };
    let canceled = |mode| withdrawn(5, "p", false, Withdrawal::Canceled(mode));
    let mut bench = open();
    assert_eq!(bench.step(canceled(CancelMode::Kill)), ["7 <- interrupt 1 Kill"]);
    assert_eq!(bench.result(7, 1, "[2]"), ["1 <- result 5 [2]"]);
    assert_eq!(bench.call(1, 5, "p"), ["7 <- invocation 2 of 10 [1]"], "that was its last part");
    let mut bench = open();
    let told = ["1 <- failed 5: the call was cancelled", "7 <- interrupt 1 KillNoWait"];
    assert_eq!(bench.step(canceled(CancelMode::KillNoWait)), told);
    let mut bench = open();
    let timeout = Withdrawal::Timeout { timeout_ms: 30 };
    assert_eq!(bench.step(withdrawn(5, "p", false, timeout)), NOBODY);
    assert_eq!(bench.step(word(1, part(5, "p", false))), ["7 <- invocation 1 of 10 [1]"]);
    bench.result(7, 1, "[2]");
    assert_empty(&bench);
}

/// J5: what its gate has kept a call for is of its time.
#[test]
fn the_time_of_a_call_runs_from_when_it_came() {
    let mut bench = bench();
    let came = Some(bench.now);
    let call = |request| Call { came, timeout_ms: NonZeroU64::new(100), ..call(request, "p") };
    bench.now += Duration::from_millis(60);
    let told = ["7 <- invocation 1 of 10 [1]"];
    assert_eq!(bench.step(word(1, CallWord::Call(call(5)))), told);
    assert_eq!(bench.pass(39), NOBODY);
    let told = ["1 <- failed 5: no answer within 100 ms", "7 <- interrupt 1 KillNoWait"];
    assert_eq!(bench.pass(1), told);
    let told = ["1 <- failed 6: no answer within 100 ms"];
    assert_eq!(bench.step(word(1, CallWord::Call(call(6)))), told, "nobody is invoked");
    assert_empty(&bench);
}

#[test]
fn a_spoiled_part_ends_a_call_that_is_killed() {
    let mut bench = bench();
    bench.step(word(1, part(5, "p", true)));
    bench.cancel(1, 5, CancelMode::Kill);
    assert_eq!(bench.step(spoiled(5, false)), [r#"1 <- failed 5 a.refusal ["why"]"#]);
    assert_empty(&bench);
    assert_eq!(bench.call(1, 5, "p"), ["7 <- invocation 2 of 10 [1]"]);
}

/// The last part came while the call was killed: nothing more is to come of it.
#[test]
fn a_request_whose_last_part_came_while_it_was_killed_is_free_again() {
    let mut bench = bench();
    bench.step(word(1, part(5, "p", true)));
    bench.cancel(1, 5, CancelMode::Kill);
    assert_eq!(bench.step(word(1, part(5, "p", false))), NOBODY);
    bench.result(7, 1, "[2]");
    assert_eq!(bench.call(1, 5, "p"), ["7 <- invocation 2 of 10 [1]"]);
}

#[test]
fn timeouts_are_those_of_the_configuration_where_none_or_more_is_asked() {
    let (longest, default) = (Some(Duration::from_millis(900)), Some(Duration::from_millis(300)));
    let limits = CallLimits { call_timeout_max: longest, call_timeout: default, ..roomy() };
    assert_eq!(limits.timeouts().ms(None), Some(300));
    assert_eq!(limits.timeouts().ms(NonZeroU64::new(600)), Some(600));
    assert_eq!(limits.timeouts().ms(NonZeroU64::new(901)), Some(900));
    let limits = CallLimits { call_timeout: None, ..limits };
    assert_eq!(limits.timeouts().ms(None), Some(900));
    assert_eq!(roomy().timeouts().ms(None), None);
    // One beyond what the clock has is none.
    let mut bench = bench();
    assert_eq!(bench.step(word(1, timed(5, "p", u64::MAX))), ["7 <- invocation 1 of 10 [1]"]);
}

#[test]
fn calls_to_an_entry_that_drains_or_stops_are_refused() {
    let mut bench = open();
    bench.step(Input::Drain);
    bench.open(2);
    let told = "2 <- failed 1: no callee of procedure p can be called: the entry of a callee is about to stop";
    assert_eq!(bench.call(2, 1, "p"), [told]);
    assert_eq!(
        bench.step(Input::Stop),
        ["1 <- failed 5: entry E1 stops", "7 <- interrupt 1 KillNoWait"]
    );
    assert_empty(&bench);
}

/// Nothing of it is late: nobody has said anything that came too late.
#[test]
fn a_stop_counts_each_call_once_and_nothing_as_late() {
    let mut bench = open();
    bench.outcomes();
    bench.step(Input::Stop);
    assert_eq!(bench.outcomes(), ["unavailable"]);
    assert_empty(&bench);
}

#[test]
fn words_of_sessions_that_are_not_there_change_nothing() {
    let mut bench = bench();
    assert_eq!(bench.call(3, 5, "p"), NOBODY);
    assert_eq!(bench.result(3, 1, "[1]"), NOBODY);
    bench.serve(3, 10, 0);
    assert_eq!(bench.close(3), NOBODY);
    assert_empty(&bench);
}
