//! The table of the origin: one test a cell, named by row and column.
//!
//! The callees are at entries 2 and 3, so that a test can say what they do.

use super::*;

const NOBODY: [&str; 0] = [];

/// Caller 1 at this entry; `one` is single, at 2; `all` is shared by 2 and 3; `first` likewise.
fn bench() -> Bench {
    let mut bench = Bench::new(roomy());
    bench.open(1);
    bench.link(2);
    bench.link(3);
    bench.registry.add("one", 10, Policy::Single, vec![callee(2, 20)]);
    bench.registry.add("all", 11, Policy::RoundRobin, vec![callee(2, 20), callee(3, 30)]);
    bench.registry.add("first", 12, Policy::First, vec![callee(2, 20), callee(3, 30)]);
    bench
}

/// A call of `uri` is with entry 2, as its number 1.
fn open(uri: &str) -> Bench {
    let mut bench = bench();
    let id = bench.registry.of[uri].0.registration.0;
    assert_eq!(bench.call(1, 5, uri), [format!("E2 <- invoke 1 of 20 in {id} [1]")]);
    bench
}

/// As `open`, and CANCEL kill was passed on.
fn killing(uri: &str) -> Bench {
    let mut bench = open(uri);
    assert_eq!(bench.cancel(1, 5, CancelMode::Kill), ["E2 <- kill 1"]);
    bench
}

/// Nothing that comes is said to anybody, and nothing is left.
fn assert_over(bench: &mut Bench) {
    assert_eq!(bench.dealer.open_calls(), 0);
    bench.notes.clear();
    assert_eq!(bench.hear(2, answer(1, result_of("[9]"))), NOBODY);
    assert_eq!(bench.hear(2, refuse(1, InvokeRefusal::Busy)), NOBODY);
    assert_eq!(bench.outcomes(), ["late", "late"]);
    assert_eq!(bench.cancel(1, 5, CancelMode::Kill), NOBODY);
}

#[test]
fn call_unknown_without_a_registration_is_no_such_procedure() {
    let mut bench = bench();
    let told = "1 <- failed 5: no callee registered for procedure none";
    assert_eq!(bench.call(1, 5, "none"), [told]);
    assert_eq!(bench.outcomes(), ["no_such_procedure"]);
    assert_over(&mut bench);
}

#[test]
fn call_unknown_without_a_candidate_is_no_available_callee() {
    let mut bench = bench();
    bench.step(Input::LinkSilent { link: link(2), is_silent: true });
    bench.step(Input::LinkDown { link: link(3) });
    let told = "1 <- failed 5: no callee of procedure all can be called: \
                no word of entry E2 for 1.8 s; no link to entry E3: one of both needs a link-address";
    assert_eq!(bench.call(1, 5, "all"), [told]);
    assert_eq!(bench.outcomes(), ["no_available_callee"]);
    bench.step(Input::LinkSilent { link: link(2), is_silent: false });
    bench.step(Input::Standing { link: link(2), is_ready: true, is_draining: true });
    let told = "1 <- failed 6: no callee of procedure one can be called: entry E2 is about to stop";
    assert_eq!(bench.call(1, 6, "one"), [told]);
    bench.step(Input::Standing { link: link(2), is_ready: false, is_draining: false });
    let told =
        "1 <- failed 7: no callee of procedure one can be called: entry E2 is not ready for calls";
    assert_eq!(bench.call(1, 7, "one"), [told]);
}

#[test]
fn call_unknown_without_a_view_is_unavailable() {
    let mut bench = bench();
    bench.registry.not_ready = Some("the view is at 7 of 9".into());
    assert_eq!(bench.call(1, 5, "one"), ["1 <- failed 5: the view is at 7 of 9"]);
    assert_eq!(bench.outcomes(), ["unavailable"]);
}

#[test]
fn call_unknown_beyond_a_bound_is_refused() {
    let mut bench = Bench::new(CallLimits { calls_per_session_max: 1, ..roomy() });
    bench.open(1);
    bench.link(2);
    bench.registry.add("one", 10, Policy::Single, vec![callee(2, 20)]);
    bench.call(1, 5, "one");
    let told = "1 <- failed 6: there are 1 open calls or bytes of them, as many as \
                limits.calls-per-session-max allows";
    assert_eq!(bench.call(1, 6, "one"), [told]);
    assert_eq!(bench.outcomes(), ["refused"]);
}

#[test]
fn call_unknown_is_passed_on() {
    let mut bench = open("one");
    assert_eq!(bench.hear(2, answer(1, result_of("[2]"))), ["1 <- result 5 [2]"]);
    assert_over(&mut bench);
    // Its request may be used again, as clients do that count from 1 anew.
    assert_eq!(bench.call(1, 5, "one"), ["E2 <- invoke 2 of 20 in 10 [1]"]);
}

#[test]
fn call_open_continues_a_progressive_call() {
    let mut bench = bench();
    let first = bench.step(word(1, part(5, "one", true)));
    assert_eq!(first, ["E2 <- invoke 1 of 20 in 10 has-more [1]"]);
    assert_eq!(bench.step(word(1, part(5, "one", true))), ["E2 <- more 1 has-more [1]"]);
    assert_eq!(bench.step(word(1, part(5, "one", false))), ["E2 <- more 1 [1]"]);
}

/// Its gate has made something else of the arguments of some: the callee was given what was left of them.
#[test]
fn call_open_of_another_procedure_is_no_part_of_it() {
    let mut bench = bench();
    bench.step(word(1, part(5, "one", true)));
    let ends = "1 ends: CALL 5 has the request id of an open call; number requests from 1 on";
    assert_eq!(bench.step(word(1, part(5, "all", true))), [ends]);
    assert_eq!(bench.step(word(1, part(5, "wamp.session.add_testament", false))), [ends]);
}

/// A link over its bound is closed, and with it all that is on it.
#[test]
fn call_open_whose_link_has_no_room_for_more_is_given_up() {
    let mut bench = bench();
    bench.step(word(1, part(5, "one", true)));
    bench.step(Input::LinkWaiting { link: link(2), bytes: (1 << 20) + 1 });
    let told = [
        r#"1 <- failed 5 wamp.error.canceled ["the link to entry E2 is full: limits.link-queue-bytes-max"]"#,
        "E2 <- drop 1 KillNoWait",
    ];
    assert_eq!(bench.step(word(1, part(5, "one", true))), told);
    assert_eq!(bench.outcomes(), ["canceled"]);
    assert_over(&mut bench);
}

#[test]
fn a_busy_registration_is_tried_at_eight_entries() {
    let mut bench = Bench::new(roomy());
    bench.open(1);
    let entries = 2..=40;
    for entry in entries.clone() {
        bench.link(entry);
    }
    let all = entries.map(|entry| callee(entry, entry.into())).collect();
    bench.registry.add("all", 11, Policy::RoundRobin, all);
    bench.call(1, 5, "all");
    for number in 1..8_u8 {
        let told = bench.hear(number + 1, refuse(number.into(), InvokeRefusal::Busy));
        assert_eq!(told, [format!("E{0} <- invoke {1} of {0} in 11 [1]", number + 2, number + 1)]);
    }
    let told =
        "1 <- failed 5: all callees of procedure all have as many invocations as they take at once";
    assert_eq!(bench.hear(9, refuse(8, InvokeRefusal::Busy)), [told]);
    assert_over(&mut bench);
}

#[test]
fn a_call_that_is_not_kept_says_so_where_it_cannot_go_on() {
    let mut bench = Bench::new(CallLimits { calls_bytes_per_session_max: 150, ..roomy() });
    bench.open(1);
    bench.link(2);
    bench.link(3);
    bench.registry.add("all", 11, Policy::First, vec![callee(2, 20), callee(3, 30)]);
    for _ in 0..3 {
        bench.step(word(1, part(5, "all", true)));
    }
    let told = "1 <- failed 5: no callee of procedure all can be called: its arguments are more than is kept for a second try: \
                limits.calls-bytes-per-session-max, limits.calls-bytes-max; a callee left as it was to be called";
    assert_eq!(bench.hear(2, refuse(1, InvokeRefusal::Left)), [told]);
}

/// The last reason is told, not that of the callee with the highest number.
#[test]
fn a_call_that_goes_on_notes_why_it_does() {
    let mut bench = bench();
    bench.link(4);
    let all = vec![callee(3, 30), callee(2, 20), callee(4, 40)];
    bench.registry.add("three", 13, Policy::RoundRobin, all);
    bench.call(1, 5, "three");
    bench.hear(3, refuse(1, InvokeRefusal::Busy));
    bench.hear(2, refuse(2, InvokeRefusal::Left));
    assert_eq!(bench.outcomes(), ["busy", "left"]);
}

#[test]
fn call_open_of_a_call_that_is_complete_ends_the_session() {
    let mut bench = open("one");
    let breach = "1 ends: CALL 5 has the request id of an open call; number requests from 1 on";
    assert_eq!(bench.call(1, 5, "one"), [breach]);
}

#[test]
fn call_killing_is_ignored() {
    let mut bench = bench();
    bench.step(word(1, part(5, "one", true)));
    bench.cancel(1, 5, CancelMode::Kill);
    assert_eq!(bench.step(word(1, part(5, "one", true))), NOBODY);
    assert_eq!(bench.call(1, 5, "one"), NOBODY);
}

#[test]
fn call_answered_before_it_was_complete_is_dropped_to_its_end() {
    let mut bench = bench();
    bench.step(word(1, part(5, "one", true)));
    bench.hear(2, answer(1, error_of("a.error", "")));
    assert_eq!(bench.step(word(1, part(5, "one", true))), NOBODY);
    assert_eq!(bench.step(word(1, part(5, "one", false))), NOBODY);
    assert_eq!(bench.call(1, 5, "one"), ["E2 <- invoke 2 of 20 in 10 [1]"]);
}

#[test]
fn refuse_busy_open_goes_to_the_next_callee_of_a_shared_one() {
    let mut bench = open("all");
    assert_eq!(bench.hear(2, refuse(1, InvokeRefusal::Busy)), ["E3 <- invoke 2 of 30 in 11 [1]"]);
    let told =
        "1 <- failed 5: all callees of procedure all have as many invocations as they take at once";
    assert_eq!(bench.hear(3, refuse(2, InvokeRefusal::Busy)), [told]);
    assert_eq!(bench.outcomes(), ["busy", "max_concurrency"]);
    assert_over(&mut bench);
}

#[test]
fn refuse_busy_open_of_single_and_first_goes_to_no_other() {
    for uri in ["one", "first"] {
        let mut bench = open(uri);
        let told = format!(
            "1 <- failed 5: all callees of procedure {uri} have as many invocations as they take at once"
        );
        assert_eq!(bench.hear(2, refuse(1, InvokeRefusal::Busy)), [told]);
        assert_over(&mut bench);
    }
}

#[test]
fn refuse_busy_killing_is_canceled() {
    let mut bench = killing("all");
    assert_eq!(
        bench.hear(2, refuse(1, InvokeRefusal::Busy)),
        ["1 <- failed 5: the call was cancelled"]
    );
    assert_over(&mut bench);
}

#[test]
fn refuse_queue_draining_left_open_goes_to_the_next_callee() {
    for (reason, why) in [
        (
            InvokeRefusal::Queue,
            "queue of the callee is full: limits.callee-queue-bytes-max, \
                          limits.invocations-per-session-max",
        ),
        (InvokeRefusal::Draining, "the entry of a callee is about to stop"),
        (InvokeRefusal::Left, "a callee left as it was to be called"),
    ] {
        for uri in ["all", "first"] {
            let mut bench = open(uri);
            let id = bench.registry.of[uri].0.registration.0;
            let next = format!("E3 <- invoke 2 of 30 in {id} [1]");
            assert_eq!(bench.hear(2, refuse(1, reason)), [next]);
            let told = format!("1 <- failed 5: no callee of procedure {uri} can be called: {why}");
            assert_eq!(bench.hear(3, refuse(2, reason)), [told]);
            assert_over(&mut bench);
        }
        let mut bench = open("one");
        let told = format!("1 <- failed 5: no callee of procedure one can be called: {why}");
        assert_eq!(bench.hear(2, refuse(1, reason)), [told]);
        assert_over(&mut bench);
    }
}

#[test]
fn refuse_left_open_looks_at_the_view_of_now() {
    let mut bench = open("one");
    bench.registry.remove(2, 20);
    let told = "1 <- failed 5: no callee registered for procedure one";
    assert_eq!(bench.hear(2, refuse(1, InvokeRefusal::Left)), [told]);
    assert_over(&mut bench);

    let mut bench = open("one");
    bench.registry.add("one", 15, Policy::Single, vec![callee(3, 30)]);
    assert_eq!(bench.hear(2, refuse(1, InvokeRefusal::Left)), ["E3 <- invoke 2 of 30 in 15 [1]"]);
    assert_eq!(bench.hear(3, answer(2, result_of("[2]"))), ["1 <- result 5 [2]"]);
}

#[test]
fn refusals_of_several_kinds_are_all_named() {
    let mut bench = open("all");
    bench.hear(2, refuse(1, InvokeRefusal::Busy));
    let told = "1 <- failed 5: no callee of procedure all can be called: a callee left as it was to be called; \
                a callee has as many invocations as it takes at once";
    assert_eq!(bench.hear(3, refuse(2, InvokeRefusal::Left)), [told]);
}

#[test]
fn refuse_queue_draining_left_killing_is_canceled() {
    for reason in [InvokeRefusal::Queue, InvokeRefusal::Draining, InvokeRefusal::Left] {
        let mut bench = killing("all");
        assert_eq!(bench.hear(2, refuse(1, reason)), ["1 <- failed 5: the call was cancelled"]);
        assert_over(&mut bench);
    }
}

#[test]
fn refuse_lease_and_not_ready_open_is_unavailable() {
    let lease =
        "entry E2 has not heard from a majority of sync nodes: it cannot tell who holds all";
    for (reason, why) in [
        (InvokeRefusal::Lease, lease),
        (InvokeRefusal::NotReady, "entry E2 is not ready for calls"),
    ] {
        let mut bench = open("all");
        assert_eq!(bench.hear(2, refuse(1, reason)), [format!("1 <- failed 5: {why}")]);
        assert_eq!(bench.outcomes(), ["unavailable"]);
        assert_over(&mut bench);
    }
}

#[test]
fn refuse_lease_and_not_ready_killing_is_canceled() {
    for reason in [InvokeRefusal::Lease, InvokeRefusal::NotReady] {
        let mut bench = killing("all");
        assert_eq!(bench.hear(2, refuse(1, reason)), ["1 <- failed 5: the call was cancelled"]);
        assert_over(&mut bench);
    }
}

#[test]
fn answer_progress_open_is_a_result_with_progress_asked_for_or_not() {
    let mut bench = open("one");
    assert_eq!(bench.hear(2, answer(1, progress_of("[1]"))), ["1 <- result 5 progress [1]"]);
    assert_eq!(bench.hear(2, answer(1, progress_of("[2]"))), ["1 <- result 5 progress [2]"]);
    assert_eq!(bench.hear(2, answer(1, result_of("[3]"))), ["1 <- result 5 [3]"]);
    assert_eq!(bench.outcomes(), ["progress", "progress", "result"]);
    assert_over(&mut bench);
}

#[test]
fn answer_progress_killing_is_dropped() {
    let mut bench = killing("one");
    assert_eq!(bench.hear(2, answer(1, progress_of("[1]"))), NOBODY);
    assert_eq!(bench.dealer.open_calls(), 1);
}

#[test]
fn answer_result_open_and_killing_is_the_result() {
    for mut bench in [open("one"), killing("one")] {
        assert_eq!(bench.hear(2, answer(1, result_of("[2]"))), ["1 <- result 5 [2]"]);
        assert_eq!(bench.outcomes(), ["result"]);
        assert_over(&mut bench);
    }
}

#[test]
fn answer_of_an_entry_that_was_not_asked_is_dropped() {
    let mut bench = open("one");
    assert_eq!(bench.hear(3, answer(1, result_of("[2]"))), NOBODY);
    assert_eq!(bench.hear(3, refuse(1, InvokeRefusal::Left)), NOBODY);
    assert_eq!(bench.outcomes(), ["late", "late"]);
    assert_eq!(bench.dealer.open_calls(), 1);
}

#[test]
fn answer_error_open_and_killing_is_passed_on() {
    for mut bench in [open("all"), killing("all")] {
        let told = r#"1 <- failed 5 a.error ["why"]"#;
        assert_eq!(bench.hear(2, answer(1, error_of("a.error", r#"["why"]"#))), [told]);
        assert_eq!(bench.outcomes(), ["callee_error"]);
        assert_over(&mut bench);
    }
}

#[test]
fn answer_unavailable_open_of_a_shared_one_goes_to_the_next_callee() {
    let mut bench = open("all");
    let unavailable = || error_of("wamp.error.unavailable", "[7]");
    assert_eq!(bench.hear(2, answer(1, unavailable())), ["E3 <- invoke 2 of 30 in 11 [1]"]);
    let told = "1 <- failed 5: no callee of procedure all can be called: a callee answered \
                wamp.error.unavailable";
    assert_eq!(bench.hear(3, answer(2, unavailable())), [told]);
    assert_eq!(bench.outcomes(), ["unavailable", "no_available_callee"]);
    assert_over(&mut bench);
}

#[test]
fn answer_unavailable_of_single_after_progress_and_killing_is_passed_on() {
    let mut progressed = open("all");
    progressed.hear(2, answer(1, progress_of("[1]")));
    for mut bench in [open("one"), killing("all"), progressed] {
        let told = "1 <- failed 5 wamp.error.unavailable [7]";
        assert_eq!(bench.hear(2, answer(1, error_of("wamp.error.unavailable", "[7]"))), [told]);
        assert_over(&mut bench);
    }
}

#[test]
fn answer_callee_gone_open_and_killing_is_canceled() {
    for mut bench in [open("all"), killing("all")] {
        let told = "1 <- failed 5: callee disconnected from in-flight request";
        assert_eq!(bench.hear(2, answer(1, Answer::CalleeGone)), [told]);
        assert_eq!(bench.outcomes(), ["canceled"]);
        assert_over(&mut bench);
    }
}

#[test]
fn cancel_unknown_is_ignored() {
    let mut bench = bench();
    for mode in [CancelMode::Skip, CancelMode::Kill, CancelMode::KillNoWait, CancelMode::Unnamed] {
        assert_eq!(bench.cancel(1, 5, mode), NOBODY);
    }
}

#[test]
fn cancel_skip_killnowait_none_open_is_canceled_at_once() {
    for (mode, dropped) in [
        (CancelMode::Skip, "Skip"),
        (CancelMode::KillNoWait, "KillNoWait"),
        (CancelMode::Unnamed, "NoMode"),
    ] {
        let mut bench = open("one");
        let told =
            ["1 <- failed 5: the call was cancelled".into(), format!("E2 <- drop 1 {dropped}")];
        assert_eq!(bench.cancel(1, 5, mode), told);
        assert_eq!(bench.outcomes(), ["canceled"]);
        assert_over(&mut bench);
    }
}

#[test]
fn cancel_killing_is_ignored_in_every_mode() {
    for mode in [CancelMode::Skip, CancelMode::Kill, CancelMode::KillNoWait, CancelMode::Unnamed] {
        let mut bench = killing("one");
        assert_eq!(bench.cancel(1, 5, mode), NOBODY);
        assert_eq!(bench.dealer.open_calls(), 1);
    }
}

#[test]
fn cancel_kill_open_is_passed_on_and_nobody_is_answered() {
    let bench = killing("one");
    assert_eq!(bench.dealer.open_calls(), 1);
}

/// For clients that forget a request as they cancel it: the one exception to J1.
#[test]
fn cancel_is_not_answered_where_the_callee_has_not_announced_it_if_so_chosen() {
    for mode in [CancelMode::Skip, CancelMode::Kill, CancelMode::KillNoWait, CancelMode::Unnamed] {
        let cancel_answer = CancelAnswer::Announced;
        let mut bench = Bench::with(DealerOptions { cancel_answer, ..options(1, roomy()) });
        bench.open(1);
        bench.open_with(7, CallFeatures::default());
        bench.open(8);
        for (uri, id, session) in [("plain", 10, 7), ("able", 11, 8)] {
            bench.registry.add(uri, id, Policy::Single, vec![callee(1, session)]);
            bench.serve(session, id, 0);
        }
        bench.call(1, 5, "plain");
        assert_eq!(bench.cancel(1, 5, mode), NOBODY);
        assert_over(&mut bench);
        bench.call(1, 6, "able");
        assert_eq!(
            bench.cancel(1, 6, mode).len(),
            if mode == CancelMode::KillNoWait || mode == CancelMode::Unnamed { 2 } else { 1 }
        );
    }
}

/// What is due ends in bounded steps; the next is due at once.
#[test]
fn many_timeouts_end_over_several_steps() {
    let mut bench = bench();
    for request in 1..=1500 {
        bench.effects(word(1, timed(request, "one", 200)));
    }
    assert_eq!(bench.pass(200).len(), 2 * 1024);
    assert_eq!(bench.pass(0).len(), 2 * (1500 - 1024));
    assert_eq!(bench.dealer.timeout_at(), None);
}

#[test]
fn timeout_open_and_killing_is_answered_in_ms() {
    for is_killing in [false, true] {
        let mut bench = bench();
        assert_eq!(
            bench.step(word(1, timed(5, "one", 200))),
            ["E2 <- invoke 1 of 20 in 10 200 ms [1]"]
        );
        if is_killing {
            bench.cancel(1, 5, CancelMode::Kill);
        }
        assert_eq!(bench.pass(199), NOBODY);
        let told = ["1 <- failed 5: no answer within 200 ms", "E2 <- drop 1 KillNoWait"];
        assert_eq!(bench.pass(1), told);
        assert_eq!(bench.outcomes(), ["timeout"]);
        assert_over(&mut bench);
        assert_eq!(bench.pass(10_000), NOBODY);
    }
}

#[test]
fn link_lost_open_and_killing_is_canceled() {
    for mut bench in [open("all"), killing("all")] {
        let told = "1 <- failed 5: gone, the link to entry E2 is lost";
        assert_eq!(bench.step(Input::LinkDown { link: link(2) }), [told]);
        assert_eq!(bench.outcomes(), ["canceled"]);
        assert_over(&mut bench);
    }
}

/// It may still hear: so it is told.
#[test]
fn link_silent_open_and_killing_is_canceled() {
    for mut bench in [open("all"), killing("all")] {
        let told =
            ["1 <- failed 5: gone, no word of entry E2 for 1.8 s", "E2 <- drop 1 KillNoWait"];
        assert_eq!(bench.step(Input::LinkSilent { link: link(2), is_silent: true }), told);
        assert_over(&mut bench);
        assert_eq!(bench.step(Input::LinkSilent { link: link(2), is_silent: true }), NOBODY);
    }
}

#[test]
fn caller_too_slow_open_is_canceled_and_killing_gets_the_small_error() {
    for is_killing in [false, true] {
        let mut bench = Bench::new(CallLimits { caller_queue_bytes_max: 300, ..roomy() });
        bench.open(1);
        bench.link(2);
        bench.registry.add("one", 10, Policy::Single, vec![callee(2, 20)]);
        bench.call(1, 5, "one");
        let large = "7".repeat(150);
        assert_eq!(bench.hear(2, answer(1, progress_of(&large))).len(), 1);
        let slow =
            "1 <- failed 5: the caller takes its results too slowly: limits.caller-queue-bytes-max";
        if is_killing {
            bench.cancel(1, 5, CancelMode::Kill);
            assert_eq!(bench.hear(2, answer(1, result_of(&large))), [slow]);
        } else {
            let told = [slow, "E2 <- drop 1 KillNoWait"];
            assert_eq!(bench.hear(2, answer(1, progress_of(&large))), told);
        }
        assert_over(&mut bench);
    }
}

#[test]
fn callers_session_over_open_and_killing_is_dropped() {
    for mut bench in [open("one"), killing("one")] {
        assert_eq!(bench.close(1), ["E2 <- drop 1 KillNoWait"]);
        assert_eq!(bench.outcomes(), ["canceled"]);
        assert_over(&mut bench);
    }
}

#[test]
fn entry_stops_open_and_killing_is_unavailable() {
    for mut bench in [open("one"), killing("one")] {
        let told = ["1 <- failed 5: entry E1 stops", "E2 <- drop 1 KillNoWait"];
        assert_eq!(bench.step(Input::Stop), told);
        assert_over(&mut bench);
        assert_eq!(bench.call(1, 6, "one"), ["1 <- failed 6: entry E1 stops"]);
    }
}

/// It was given up at once, before what its callee said of its time could come.
#[test]
fn a_callee_of_another_entry_that_keeps_timeouts_has_500_ms_more() {
    let mut bench = Bench::new(roomy());
    bench.open(1);
    bench.link(2);
    bench.registry.add("p", 10, Policy::RoundRobin, vec![callee(2, 20), callee(2, 21)]);
    bench.registry.keeping = vec![11];
    let told = bench.step(word(1, timed(1, "p", 100)));
    assert_eq!(told, ["E2 <- invoke 1 of 20 in 10 100 ms [1]"]);
    let told = bench.step(word(1, timed(2, "p", 100)));
    assert_eq!(told, ["E2 <- invoke 2 of 21 in 10 100 ms [1]"]);
    let told = bench.pass(100);
    assert!(told.len() == 2 && told[0].starts_with("1 <- failed 1:"), "{told:?}");
    assert_eq!(bench.pass(499), [""; 0]);
    let timeout = error_of("wamp.error.timeout", "[]");
    let told = bench.hear(2, answer(2, timeout));
    assert!(told.len() == 1 && told[0].starts_with("1 <- failed 2"), "{told:?}");
    assert_eq!(bench.outcomes(), ["timeout", "timeout"]);
}
