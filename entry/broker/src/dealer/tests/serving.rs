//! The table of the serving entry: one test a cell, named by row and column.
//!
//! Calls come from entry 2, so that a test can see what its origin is told.

use super::*;

const NOBODY: [&str; 0] = [];
const UNREAD: [u64; 2] = [10, 11];

/// Callee 7 at this entry serves registration 10, one call at once, and 11 without a bound.
fn bench_with(limits: CallLimits, features: CallFeatures) -> Bench {
    let mut bench = Bench::new(limits);
    bench.open_with(7, features);
    bench.link(2);
    bench.registry.add("one", 10, Policy::Single, vec![callee(1, 7)]);
    bench.registry.add("all", 11, Policy::First, vec![callee(1, 7)]);
    bench.serve(7, 10, 1);
    bench.serve(7, 11, 0);
    bench
}

fn announced() -> CallFeatures {
    CallFeatures { is_interruptible: true, ..CallFeatures::default() }
}

fn bench() -> Bench {
    bench_with(roomy(), announced())
}

/// Call 1 of entry 2 is with the callee, as its invocation 1.
fn invoked() -> Bench {
    let mut bench = bench();
    assert_eq!(bench.hear(2, invoke(1, 7, 10)), ["7 <- invocation 1 of 10 [1]"]);
    bench
}

/// As `invoked`, and INTERRUPT kill was sent.
fn interrupted() -> Bench {
    let mut bench = invoked();
    assert_eq!(bench.hear(2, cancel(1, Cancellation::Kill)), ["7 <- interrupt 1 Kill"]);
    bench
}

/// The slot is free, and nothing that comes is said to anybody.
fn assert_over(bench: &mut Bench) {
    assert_eq!(bench.dealer.open_invocations(), 0);
    assert_eq!(bench.result(7, 1, "[9]"), NOBODY);
    assert_eq!(bench.progress(7, 1, "[9]"), NOBODY);
    assert_eq!(bench.fail(7, 1, "a.error", ""), NOBODY);
    assert_eq!(bench.hear(2, invoke(2, 7, 10)), ["7 <- invocation 2 of 10 [1]"]);
}

#[test]
fn invoke_of_an_unknown_callee_or_registration_is_refused_left() {
    let mut bench = bench();
    bench.registry.applied = 50;
    assert_eq!(bench.hear(2, invoke(1, 8, 10)), ["E2 <- refuse 1 Left"]);
    assert_eq!(bench.hear(2, invoke(2, 7, 12)), ["E2 <- refuse 2 Left"]);
    let (session, registration) = (SessionId(7), Position(10));
    bench.step(Input::Leaves { session, registration });
    assert_eq!(bench.hear(2, invoke(3, 7, 10)), ["E2 <- refuse 3 Left"]);
    bench.close(7);
    assert_eq!(bench.hear(2, invoke(4, 7, 11)), ["E2 <- refuse 4 Left"]);
}

#[test]
fn invoke_of_an_entry_about_to_stop_is_refused_draining() {
    let mut bench = invoked();
    bench.step(Input::Drain);
    assert_eq!(bench.hear(2, invoke(2, 7, 11)), ["E2 <- refuse 2 Draining"]);
    // What is with the callee goes on.
    assert_eq!(bench.result(7, 1, "[2]"), ["E2 <- result 1 [2]"]);
}

#[test]
fn invoke_beyond_the_slots_is_refused_busy() {
    let mut bench = invoked();
    assert_eq!(bench.hear(2, invoke(2, 7, 10)), ["E2 <- refuse 2 Busy"]);
    assert_eq!(bench.hear(2, invoke(3, 7, 11)), ["7 <- invocation 2 of 11 [1]"]);
}

#[test]
fn invoke_beyond_what_is_answered_or_read_is_refused_queue() {
    let unanswered = CallLimits { invocations_per_session_max: 1, ..roomy() };
    let unread = CallLimits { callee_queue_bytes_max: 150, ..roomy() };
    let full = CallLimits { calls_max: 1, ..roomy() };
    for (limits, reason) in [(unanswered, "Queue"), (unread, "Queue"), (full, "EntryFull")] {
        let mut bench = bench_with(limits, announced());
        bench.hear(2, invoke(1, 7, 11));
        let mut second = invoke(2, 7, 11);
        if let PeerWord::Invoke { invoke, .. } = &mut second {
            invoke.part.payload = json(&"7".repeat(100));
        }
        assert_eq!(bench.hear(2, second), [format!("E2 <- refuse 2 {reason}")]);
    }
}

#[test]
fn invoke_is_an_invocation_with_what_the_callee_may_know() {
    let mut bench = bench_with(roomy(), CallFeatures { keeps_timeouts: true, ..announced() });
    let full = || {
        let mut word = invoke(1, 7, 11);
        if let PeerWord::Invoke { invoke, .. } = &mut word {
            let (session, authid, authrole) = (SessionId(9), "joe".into(), "user".into());
            invoke.procedure = Some("all.x".into());
            invoke.caller = Some(Party { session, authid, authrole });
            invoke.timeout_ms = NonZeroU64::new(400);
            invoke.part.takes_progress = true;
        }
        word
    };
    let told = ["7 <- invocation 1 of 11 all.x for 9 joe user takes-progress [1]"];
    assert_eq!(bench.hear(2, full()), told);
    bench.hear(2, cancel(1, Cancellation::Drop(DropMode::Skip)));
    // A registration whose callee keeps timeouts, under the id that it was told once.
    let terms = Terms { forwards_timeout: true, told: RegistrationId(4), ..terms(11, 0) };
    bench.step(Input::Serves { session: SessionId(7), registration: Position(11), terms });
    let told = ["7 <- invocation 2 of 4 fence 11 all.x for 9 joe user 400 ms takes-progress [1]"];
    assert_eq!(bench.hear(2, full()), told);
}

#[test]
fn invoke_of_a_number_that_is_known_changes_nothing() {
    let mut bench = invoked();
    assert_eq!(bench.hear(2, invoke(1, 7, 11)), NOBODY);
    assert_eq!(bench.dealer.open_invocations(), 1);
}

#[test]
fn invoke_beyond_the_view_waits_for_it() {
    let mut bench = bench();
    let wait = |bench: &mut Bench| {
        bench.registry.applied = 11;
        for number in 1..=5 {
            assert_eq!(bench.hear(2, invoke(number, 7, 12)), NOBODY);
        }
        assert_eq!(bench.step(Input::Applied), NOBODY);
        assert_eq!(bench.hear(2, more(5, true)), NOBODY);
        assert_eq!(bench.hear(2, cancel(1, Cancellation::Drop(DropMode::KillNoWait))), NOBODY);
        let canceled = "E2 <- error 2 wamp.error.canceled ";
        assert_eq!(bench.hear(2, cancel(2, Cancellation::Kill)), [canceled]);
        assert_eq!(bench.dealer.open_invocations(), 3);
        bench.registry.applied = 12;
    };
    wait(&mut bench);
    bench.serve(7, 12, 2);
    let told =
        ["7 <- invocation 1 of 12 [1]", "7 <- invocation 2 of 12 [1]", "E2 <- refuse 5 Busy"];
    assert_eq!(bench.step(Input::Applied), told);
    assert_eq!(bench.step(Input::Applied), NOBODY);

    let mut bench = self::bench();
    wait(&mut bench);
    bench.close(7);
    let left = ["E2 <- refuse 3 Left", "E2 <- refuse 4 Left", "E2 <- refuse 5 Left"];
    assert_eq!(bench.step(Input::Applied), left);

    let mut bench = self::bench();
    wait(&mut bench);
    assert_eq!(bench.step(Input::LinkDown { link: link(2) }), NOBODY);
    assert_eq!(bench.dealer.open_invocations(), 0);
}

/// It was refused as one that has left, and went to another callee, or to none.
#[test]
fn invoke_of_a_callee_that_has_just_joined_waits_until_the_view_has_come_so_far() {
    let mut bench = bench();
    bench.open(8);
    assert_eq!(bench.hear(2, invoke_at(1, 8, 11, 13)), NOBODY);
    // Others of the same registration go on meanwhile; of this callee none overtakes it.
    assert_eq!(bench.hear(2, invoke(2, 7, 11)), ["7 <- invocation 1 of 11 [1]"]);
    assert_eq!(bench.hear(2, invoke_at(4, 8, 11, 12)), NOBODY);
    bench.registry.applied = 12;
    assert_eq!(bench.step(Input::Applied), NOBODY);
    assert_eq!(bench.dealer.open_invocations(), 3);
    bench.registry.applied = 13;
    bench.serve(8, 11, 0);
    let told = ["8 <- invocation 1 of 11 [1]", "8 <- invocation 2 of 11 [1]"];
    assert_eq!(bench.step(Input::Applied), told);
    // For five seconds in all, however often the view comes further.
    assert_eq!(bench.hear(2, invoke_at(3, 8, 11, 14)), NOBODY);
    assert_eq!(bench.pass(4_000), NOBODY);
    assert_eq!(bench.step(Input::Applied), NOBODY);
    assert_eq!(bench.pass(1_000), ["E2 <- refuse 3 NotReady"]);
}

#[test]
fn those_before_one_that_waits_for_a_later_place_do_not_wait_with_it() {
    let mut bench = bench();
    for (number, session, at) in [(1, 7, 12), (2, 7, 12), (3, 8, 13)] {
        assert_eq!(bench.hear(2, invoke_at(number, session, 12, at)), NOBODY);
    }
    bench.open(8);
    bench.serve(7, 12, 0);
    bench.registry.applied = 12;
    let told = ["7 <- invocation 1 of 12 [1]", "7 <- invocation 2 of 12 [1]"];
    assert_eq!(bench.step(Input::Applied), told);
    bench.serve(8, 12, 0);
    bench.registry.applied = 13;
    assert_eq!(bench.step(Input::Applied), ["8 <- invocation 1 of 12 [1]"]);
}

/// Three calls wait for a record that does not come.
fn waiting() -> Bench {
    let mut bench = bench();
    for number in 1..=3 {
        assert_eq!(bench.hear(2, invoke(number, 7, 12)), NOBODY);
    }
    bench
}

fn refusals(reason: &str) -> [String; 3] {
    [1, 2, 3].map(|number| format!("E2 <- refuse {number} {reason}"))
}

#[test]
fn what_waits_for_the_view_is_refused_as_the_entry_is_about_to_stop() {
    let mut bench = waiting();
    assert_eq!(bench.step(Input::Drain), refusals("Draining"));
    assert_eq!(bench.dealer.open_invocations(), 0);
}

#[test]
fn what_waits_for_the_view_is_refused_as_that_cannot_be_gone_by() {
    let mut bench = waiting();
    assert_eq!(bench.step(Input::View { is_ready: false }), refusals("NotReady"));
    assert_eq!(bench.hear(2, invoke(4, 7, 11)), ["E2 <- refuse 4 NotReady"]);
    assert_eq!(bench.step(Input::View { is_ready: true }), NOBODY);
    assert_eq!(bench.hear(2, invoke(5, 7, 11)), ["7 <- invocation 1 of 11 [1]"]);
}

#[test]
fn what_waits_for_the_view_does_so_for_five_seconds() {
    let mut bench = waiting();
    assert_eq!(bench.pass(4999), NOBODY);
    assert_eq!(bench.pass(1), refusals("NotReady"));
    assert_eq!(bench.dealer.timeout_at(), None);
}

/// The view has the registration, and what waited for it is still to be invoked.
#[test]
fn a_call_does_not_overtake_those_that_wait_for_the_same_registration() {
    let mut bench = bench();
    bench.link(3);
    assert_eq!(bench.hear(3, invoke(1, 7, 12)), NOBODY);
    bench.registry.applied = 12;
    bench.serve(7, 12, 0);
    assert_eq!(bench.hear(2, invoke(1, 7, 12)), NOBODY);
    assert_eq!(bench.hear(2, invoke(2, 7, 11)), ["7 <- invocation 1 of 11 [1]"]);
    bench.step(Input::Applied);
    // First came that of entry 3.
    assert_eq!(bench.result(7, 2, "[2]"), ["E3 <- result 1 [2]"]);
    assert_eq!(bench.result(7, 3, "[2]"), ["E2 <- result 1 [2]"]);
}

/// Also one of a caller of this entry, which is counted once.
#[test]
fn an_own_call_does_not_overtake_those_that_wait_for_the_same_registration() {
    let mut bench = bench();
    bench.open(1);
    assert_eq!(bench.hear(2, invoke(1, 7, 12)), NOBODY);
    bench.registry.add("new", 12, Policy::Single, vec![callee(1, 7)]);
    bench.serve(7, 12, 1);
    assert_eq!(bench.call(1, 5, "new"), NOBODY);
    let busy =
        "1 <- failed 5: all callees of procedure new have as many invocations as they take at once";
    assert_eq!(bench.step(Input::Applied), ["7 <- invocation 1 of 12 [1]", busy]);
}

/// A link that is gone, or was before the one that stands, may still have words under way.
#[test]
fn words_of_a_link_that_is_not_the_present_one_leave_nothing() {
    let mut bench = bench();
    let newer = Link { number: 2, ..link(2) };
    bench.step(Input::LinkUp { link: newer, name: "E2".into() });
    assert_eq!(bench.hear(2, invoke(1, 7, 11)), NOBODY);
    assert_eq!(bench.hear(2, invoke(2, 7, 12)), NOBODY);
    assert_eq!(bench.outcomes(), ["late", "late"]);
    assert_eq!(bench.step(Input::LinkDown { link: link(2) }), NOBODY);
    let word = invoke(1, 7, 11);
    let told = ["7 <- invocation 1 of 11 [1]"];
    assert_eq!(bench.step(Input::Heard { link: newer, word }), told);
    // Nor does an older one take the place of a newer.
    assert_eq!(bench.step(Input::LinkUp { link: link(2), name: "E2".into() }), NOBODY);
    assert_eq!(bench.result(7, 1, "[2]"), ["E2 <- result 1 [2]"]);
    bench.step(Input::LinkDown { link: newer });
    let word = invoke(2, 7, 11);
    assert_eq!(bench.step(Input::Heard { link: newer, word }), NOBODY);
    assert_eq!(bench.dealer.open_invocations(), 0);
}

#[test]
fn more_of_what_waits_follows_it() {
    let mut bench = bench();
    assert_eq!(bench.hear(2, invoke(1, 7, 12)), NOBODY);
    bench.hear(2, more(1, true));
    bench.hear(2, more(1, false));
    bench.registry.applied = 12;
    bench.serve(7, 12, 0);
    let told = [
        "7 <- invocation 1 of 12 [1]",
        "7 <- invocation 1 of 12 has-more [2]",
        "7 <- invocation 1 of 12 [2]",
    ];
    assert_eq!(bench.step(Input::Applied), told);
}

#[test]
fn more_not_there_is_dropped() {
    let mut bench = bench();
    assert_eq!(bench.hear(2, more(1, true)), NOBODY);
    assert_eq!(bench.outcomes(), ["late"]);
}

#[test]
fn more_invoked_is_an_invocation_of_the_same_id() {
    let mut bench = invoked();
    assert_eq!(bench.hear(2, more(1, true)), ["7 <- invocation 1 of 10 has-more [2]"]);
    assert_eq!(bench.hear(2, more(1, false)), ["7 <- invocation 1 of 10 [2]"]);
    assert_eq!(bench.dealer.open_invocations(), 1);
}

#[test]
fn more_invoked_beyond_what_the_callee_reads_ends_the_call() {
    let mut bench = bench_with(CallLimits { callee_queue_bytes_max: 99, ..roomy() }, announced());
    bench.hear(2, invoke(1, 7, 10));
    let canceled = r#"E2 <- error 1 wamp.error.canceled ["queue of the callee is full: limits.callee-queue-bytes-max"]"#;
    assert_eq!(bench.hear(2, more(1, true)), ["7 <- interrupt 1 KillNoWait", canceled]);
    bench.step(Input::Written { session: SessionId(7), bytes: 1000 });
    assert_over(&mut bench);
}

#[test]
fn more_interrupted_is_dropped() {
    let mut bench = interrupted();
    assert_eq!(bench.hear(2, more(1, true)), NOBODY);
}

#[test]
fn yield_progress_not_there_is_ignored() {
    let mut bench = bench();
    assert_eq!(bench.progress(7, 1, "[2]"), NOBODY);
    assert_eq!(bench.outcomes(), ["late"]);
}

#[test]
fn yield_progress_invoked_is_progress() {
    let mut bench = invoked();
    assert_eq!(bench.progress(7, 1, "[2]"), ["E2 <- progress 1 [2]"]);
    assert_eq!(bench.progress(7, 1, "[3]"), ["E2 <- progress 1 [3]"]);
    assert_eq!(bench.dealer.open_invocations(), 1);
}

#[test]
fn yield_progress_interrupted_ends_the_call() {
    let mut bench = interrupted();
    assert_eq!(bench.progress(7, 1, "[2]"), ["E2 <- error 1 wamp.error.canceled "]);
    assert_over(&mut bench);
}

#[test]
fn yield_not_there_and_of_another_session_is_ignored() {
    let mut bench = invoked();
    bench.open(8);
    assert_eq!(bench.result(8, 1, "[2]"), NOBODY);
    assert_eq!(bench.result(7, 2, "[2]"), NOBODY);
    assert_eq!(bench.dealer.open_invocations(), 1);
}

#[test]
fn yield_invoked_and_interrupted_is_the_result_and_frees_the_slot() {
    for mut bench in [invoked(), interrupted()] {
        assert_eq!(bench.result(7, 1, "[2]"), ["E2 <- result 1 [2]"]);
        assert_over(&mut bench);
    }
}

#[test]
fn yield_names_the_callee_where_that_is_told() {
    let mut bench = bench();
    let terms = Terms { is_disclosed: true, ..terms(11, 0) };
    bench.step(Input::Serves { session: SessionId(7), registration: Position(11), terms });
    bench.hear(2, invoke(1, 7, 11));
    assert_eq!(bench.progress(7, 1, "[2]"), ["E2 <- progress 1 by 7 id7 role [2]"]);
    assert_eq!(bench.result(7, 1, "[2]"), ["E2 <- result 1 by 7 id7 role [2]"]);
}

#[test]
fn error_not_there_and_of_another_session_is_ignored() {
    let mut bench = invoked();
    bench.open(8);
    assert_eq!(bench.fail(8, 1, "a.error", ""), NOBODY);
    assert_eq!(bench.fail(7, 2, "a.error", ""), NOBODY);
    assert_eq!(bench.dealer.open_invocations(), 1);
}

#[test]
fn error_invoked_and_interrupted_is_the_error_and_frees_the_slot() {
    for mut bench in [invoked(), interrupted()] {
        assert_eq!(bench.fail(7, 1, "a.error", "[2]"), ["E2 <- error 1 a.error [2]"]);
        assert_over(&mut bench);
    }
}

#[test]
fn kill_not_there_is_ignored() {
    assert_eq!(bench().hear(2, cancel(1, Cancellation::Kill)), NOBODY);
}

#[test]
fn kill_invoked_interrupts_and_waits() {
    let bench = interrupted();
    assert_eq!(bench.dealer.open_invocations(), 1);
}

#[test]
fn kill_invoked_of_a_callee_without_the_feature_is_canceled() {
    let mut bench = bench_with(roomy(), CallFeatures::default());
    bench.hear(2, invoke(1, 7, 10));
    assert_eq!(
        bench.hear(2, cancel(1, Cancellation::Kill)),
        ["E2 <- error 1 wamp.error.canceled "]
    );
    assert_over(&mut bench);
}

#[test]
fn kill_interrupted_changes_nothing() {
    let mut bench = interrupted();
    assert_eq!(bench.hear(2, cancel(1, Cancellation::Kill)), NOBODY);
    assert_eq!(bench.dealer.open_invocations(), 1);
}

#[test]
fn drop_not_there_is_ignored() {
    assert_eq!(bench().hear(2, cancel(1, Cancellation::Drop(DropMode::KillNoWait))), NOBODY);
}

#[test]
fn drop_invoked_interrupts_with_its_mode_and_frees_the_slot() {
    for (mode, told) in [
        (DropMode::Skip, None),
        (DropMode::KillNoWait, Some("7 <- interrupt 1 KillNoWait")),
        (DropMode::NoMode, Some("7 <- interrupt 1 Unnamed")),
    ] {
        let mut bench = invoked();
        assert_eq!(bench.hear(2, cancel(1, Cancellation::Drop(mode))), Vec::from_iter(told));
        assert_over(&mut bench);
        let mut plain = bench_with(roomy(), CallFeatures::default());
        plain.hear(2, invoke(1, 7, 10));
        assert_eq!(plain.hear(2, cancel(1, Cancellation::Drop(mode))), NOBODY);
        assert_over(&mut plain);
    }
}

#[test]
fn drop_interrupted_frees_the_slot_without_another_word() {
    let mut bench = interrupted();
    assert_eq!(bench.hear(2, cancel(1, Cancellation::Drop(DropMode::KillNoWait))), NOBODY);
    assert_over(&mut bench);
}

#[test]
fn callees_session_over_invoked_and_interrupted_is_callee_gone() {
    for mut bench in [invoked(), interrupted()] {
        bench.hear(2, invoke(2, 7, 11));
        assert_eq!(bench.close(7), ["E2 <- gone 1", "E2 <- gone 2"]);
        assert_eq!(bench.dealer.open_invocations(), 0);
    }
}

/// Also where it is unseated, and where the own life is gone: all are told as this.
#[test]
fn unregister_invoked_and_interrupted_goes_on() {
    for mut bench in [invoked(), interrupted()] {
        for id in UNREAD {
            let (session, registration) = (SessionId(7), Position(id));
            assert_eq!(bench.step(Input::Leaves { session, registration }), NOBODY);
        }
        assert_eq!(bench.result(7, 1, "[2]"), ["E2 <- result 1 [2]"]);
        assert_eq!(bench.dealer.open_invocations(), 0);
    }
}

/// The same id again, as of a shared registration that has others: what is open still counts.
#[test]
fn a_slot_that_is_taken_is_taken_after_the_callee_has_come_back() {
    let mut bench = invoked();
    let (session, registration) = (SessionId(7), Position(10));
    bench.step(Input::Leaves { session, registration });
    bench.serve(7, 10, 1);
    assert_eq!(bench.hear(2, invoke(2, 7, 10)), ["E2 <- refuse 2 Busy"]);
    bench.result(7, 1, "[2]");
    assert_eq!(bench.hear(2, invoke(3, 7, 10)), ["7 <- invocation 2 of 10 [1]"]);
}

#[test]
fn origins_link_lost_invoked_interrupts_and_frees_the_slot() {
    let mut bench = invoked();
    let told = ["7 <- interrupt 1 KillNoWait"];
    assert_eq!(bench.step(Input::LinkDown { link: link(2) }), told);
    bench.link(2);
    assert_over(&mut bench);
}

#[test]
fn origins_link_lost_interrupted_frees_the_slot() {
    let mut bench = interrupted();
    assert_eq!(bench.step(Input::LinkDown { link: link(2) }), NOBODY);
    bench.link(2);
    assert_over(&mut bench);
}

/// J2: the origin may still hear, and is not left waiting.
#[test]
fn origins_link_silent_invoked_and_interrupted_is_over_for_both() {
    let silent = || Input::LinkSilent { link: link(2), is_silent: true };
    let mut bench = invoked();
    assert_eq!(bench.step(silent()), ["7 <- interrupt 1 KillNoWait", "E2 <- gone 1"]);
    assert_over(&mut bench);
    let mut bench = interrupted();
    assert_eq!(bench.step(silent()), ["E2 <- gone 1"]);
    assert_over(&mut bench);
}

#[test]
fn a_link_with_much_waiting_gets_no_progress_and_small_answers() {
    let mut bench = invoked();
    bench.hear(2, invoke(2, 7, 11));
    let full = r#"["the link to the entry of the caller is full: limits.link-queue-bytes-max"]"#;
    bench.step(Input::LinkWaiting { link: link(2), bytes: (1 << 20) + 1 });
    let told =
        ["7 <- interrupt 1 KillNoWait".into(), format!("E2 <- error 1 wamp.error.canceled {full}")];
    assert_eq!(bench.progress(7, 1, "[2]"), told);
    assert_eq!(bench.result(7, 2, "[2]"), ["E2 <- result 2 [2]"]);
    bench.hear(2, invoke(3, 7, 11));
    bench.step(Input::LinkWaiting { link: link(2), bytes: (2 << 20) + 1 });
    assert_eq!(bench.result(7, 3, "[2]"), [format!("E2 <- error 3 wamp.error.canceled {full}")]);
}

#[test]
fn entry_stops_invoked_is_callee_gone() {
    let mut bench = invoked();
    assert_eq!(bench.step(Input::Stop), ["7 <- interrupt 1 KillNoWait", "E2 <- gone 1"]);
    assert_eq!(bench.dealer.open_invocations(), 0);
    assert_eq!(bench.hear(2, invoke(2, 7, 11)), ["E2 <- refuse 2 Draining"]);
}
