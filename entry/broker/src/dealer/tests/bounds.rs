//! J4: what calls may take, and that nothing is left of them.

use super::*;

/// Caller 1, callee 7 of `p`.
fn bench(limits: CallLimits) -> Bench {
    let mut bench = Bench::new(limits);
    bench.open(1);
    bench.open(7);
    bench.registry.add("p", 10, Policy::Single, vec![callee(1, 7)]);
    bench.serve(7, 10, 0);
    bench
}

fn sized(request: u64, bytes: usize) -> Input {
    word(1, CallWord::Call(Call { payload: json(&"7".repeat(bytes)), ..call(request, "p") }))
}

fn refused(key: &str, max: usize) -> String {
    format!(
        "1 <- failed 9: there are {max} open calls or bytes of them, as many as limits.{key} allows"
    )
}

#[test]
fn calls_of_a_session_are_bounded_by_number_and_bytes() {
    let mut bench = bench(CallLimits { calls_per_session_max: 2, ..roomy() });
    bench.call(1, 1, "p");
    bench.call(1, 2, "p");
    assert_eq!(bench.call(1, 9, "p"), [refused("calls-per-session-max", 2)]);
    bench.result(7, 1, "[2]");
    assert_eq!(bench.call(1, 9, "p"), ["7 <- invocation 3 of 10 [1]"]);

    let mut bench = self::bench(CallLimits { calls_bytes_per_session_max: 400, ..roomy() });
    assert_eq!(bench.step(sized(1, 300)).len(), 1);
    assert_eq!(bench.step(sized(9, 300)), [refused("calls-bytes-per-session-max", 400)]);
    // What is answered is kept no longer.
    bench.progress(7, 1, "[2]");
    assert_eq!(bench.step(sized(9, 300)).len(), 1);
}

#[test]
fn calls_of_an_entry_are_bounded_by_number_and_bytes() {
    let mut bench = bench(CallLimits { calls_max: 1, ..roomy() });
    bench.call(1, 1, "p");
    assert_eq!(bench.call(1, 9, "p"), [refused("calls-max", 1)]);

    let mut bench = self::bench(CallLimits { calls_bytes_max: 900, ..roomy() });
    assert_eq!(bench.step(sized(1, 300)).len(), 1);
    assert_eq!(bench.step(sized(9, 300)), [refused("calls-bytes-max", 900)]);
    bench.step(Input::Written { session: SessionId(7), bytes: 10_000 });
    assert_eq!(bench.step(sized(9, 300)).len(), 1);
}

/// The parts of a progressive call are kept for a second try, as long as there is room for them.
#[test]
fn parts_without_room_are_passed_on_and_not_kept() {
    let mut bench = bench(CallLimits { calls_bytes_per_session_max: 200, ..roomy() });
    bench.step(word(1, part(1, "p", true)));
    assert_eq!(bench.dealer.usage.kept_bytes, 68);
    bench.step(word(1, part(1, "p", true)));
    assert_eq!(bench.dealer.usage.kept_bytes, 135);
    assert_eq!(bench.step(word(1, part(1, "p", true))), ["7 <- invocation 1 of 10 has-more [1]"]);
    bench.step(word(1, part(1, "p", true)));
    // The name of the procedure is held to its end.
    assert_eq!(bench.dealer.usage.kept_bytes, 1);
    // It cannot go to another any more.
    bench.registry.add("p", 11, Policy::First, vec![callee(1, 7), callee(2, 20)]);
    bench.link(2);
    let told = ["1 <- failed 1 wamp.error.unavailable "];
    assert_eq!(bench.fail(7, 1, "wamp.error.unavailable", ""), told);
}

#[test]
fn parts_that_were_kept_go_to_the_next_callee_in_order() {
    let mut bench = bench(roomy());
    bench.link(2);
    bench.link(3);
    bench.registry.add("all", 11, Policy::RoundRobin, vec![callee(2, 20), callee(3, 30)]);
    bench.step(word(1, part(1, "all", true)));
    bench.step(word(1, part(1, "all", true)));
    bench.step(word(1, part(1, "all", false)));
    let told = [
        "E3 <- invoke 2 of 30 in 11 has-more [1]",
        "E3 <- more 2 has-more [1]",
        "E3 <- more 2 [1]",
    ];
    assert_eq!(bench.hear(2, refuse(1, InvokeRefusal::Busy)), told);
}

/// All that is kept of a call goes over at once, as its second callee is asked.
#[test]
fn a_second_try_goes_where_the_link_has_room_for_all_parts() {
    let mut bench = Bench::new(CallLimits { link_queue_bytes_max: 4000, ..roomy() });
    bench.open(1);
    for entry in [2, 3, 4] {
        bench.link(entry);
    }
    let all = vec![callee(2, 20), callee(3, 30), callee(4, 40)];
    bench.registry.add("all", 11, Policy::RoundRobin, all);
    bench.step(word(1, part(5, "all", true)));
    for has_more in [true, false] {
        let payload = json(&"7".repeat(600));
        let part = Call { payload, has_more, ..call(5, "all") };
        assert_eq!(bench.step(word(1, CallWord::Call(part))).len(), 1);
        bench.step(Input::LinkWaiting { link: link(2), bytes: 0 });
    }
    // Not busy, but with room for the half of it.
    bench.step(Input::LinkWaiting { link: link(3), bytes: 900 });
    let told = bench.hear(2, refuse(1, InvokeRefusal::Busy));
    assert!(told.iter().all(|line| line.starts_with("E4 <- ")) && told.len() == 3, "{told:?}");
}

/// A callee that does not read costs its bound, and nobody else a wait.
#[test]
fn a_callee_that_does_not_read_is_passed_over_once_its_queue_is_full() {
    let mut bench = bench(CallLimits { callee_queue_bytes_max: 1000, ..roomy() });
    bench.open(8);
    bench.registry.add("all", 11, Policy::First, vec![callee(1, 7), callee(1, 8)]);
    bench.serve(7, 11, 0);
    bench.serve(8, 11, 0);
    let mut asked = Vec::new();
    for request in 1..=30 {
        let fx = bench.effects(word(1, CallWord::Call(call(request, "all"))));
        asked.extend(fx.told.iter().map(|(session, _)| session.0));
        // The other one reads.
        if let Some((session, told)) = fx.told.first().filter(|(session, _)| session.0 == 8) {
            let (session, bytes) = (*session, told.queued_bytes());
            bench.step(Input::Written { session, bytes });
        }
        assert!(bench.dealer.queued_bytes() <= 1000);
    }
    let first = asked.iter().take_while(|session| **session == 7).count();
    assert_eq!(first, 10);
    assert!(asked[first..].iter().all(|session| *session == 8), "{asked:?}");
    bench.step(Input::Written { session: SessionId(7), bytes: 1000 });
    assert_eq!(bench.call(1, 99, "all"), ["7 <- invocation 11 of 11 [1]"]);
}

/// What one caller leaves unread takes nothing from those who read.
#[test]
fn a_full_entry_still_answers_who_reads() {
    let mut bench = bench(CallLimits { calls_bytes_max: 2000, ..roomy() });
    bench.open(2);
    bench.call(1, 1, "p");
    bench.call(1, 2, "p");
    bench.call(2, 1, "p");
    bench.step(Input::Written { session: SessionId(7), bytes: 10_000 });
    let large = "7".repeat(1500);
    assert_eq!(bench.result(7, 1, &large).len(), 1);
    let slow =
        "1 <- failed 2: the caller takes its results too slowly: limits.caller-queue-bytes-max";
    assert_eq!(bench.result(7, 2, &large), [slow]);
    assert_eq!(bench.result(7, 3, &large), [format!("2 <- result 1 {large}")]);
}

/// Endings of every kind, again and again: the books are as empty as before.
#[test]
fn a_hundred_thousand_calls_leave_nothing_behind() {
    let mut bench = bench(roomy());
    let mut fx = Effects::default();
    let mut step = |bench: &mut Bench, input| {
        fx.told.clear();
        fx.notes.clear();
        bench.dealer.step(bench.now, &bench.registry, input, &mut fx);
        let queued: Vec<_> =
            fx.told.iter().map(|(session, told)| (*session, told.queued_bytes())).collect();
        for (session, bytes) in queued {
            let written = Input::Written { session, bytes };
            bench.dealer.step(bench.now, &bench.registry, written, &mut Effects::default());
        }
    };
    for number in 1..=100_000_u64 {
        step(&mut bench, word(1, timed(number, "p", 50)));
        let request = RequestId(number);
        match number % 4 {
            0 => step(&mut bench, word(7, result(number, false, "[2]"))),
            1 => {
                let mode = CancelMode::KillNoWait;
                step(&mut bench, word(1, CallWord::Cancel { request, mode }));
            }
            2 => {
                bench.now += Duration::from_millis(50);
                step(&mut bench, Input::Timeout);
            }
            _ => {
                step(&mut bench, word(7, result(number, true, "[2]")));
                step(&mut bench, word(7, result(number, false, "[2]")));
            }
        }
        if number % 10_000 == 0 {
            bench.dealer.check();
        }
    }
    bench.dealer.check();
    assert_eq!((bench.dealer.open_calls(), bench.dealer.open_invocations()), (0, 0));
    assert_eq!(bench.dealer.usage, limits::Usage::default());
    assert_eq!(bench.dealer.timeout_at(), None);
}

/// What is small is copied: else a few bytes would hold all that came with them.
#[test]
fn payloads_that_are_kept_hold_nothing_of_what_they_came_in() {
    let frame = Bytes::from(vec![b'7'; 1 << 20]);
    let sliced = || Payload { bytes: frame.slice(10..20), ..json("") };
    let mut bench = bench(roomy());
    let words = [
        (1, CallWord::Call(Call { payload: sliced(), ..part_of(1, true) })),
        (1, CallWord::Call(Call { payload: sliced(), ..part_of(1, false) })),
        (7, CallWord::Yield { invocation: InvocationId(1), is_progress: true, payload: sliced() }),
        (7, CallWord::Fail { invocation: InvocationId(1), error: "e".into(), payload: sliced() }),
    ];
    for (session, said) in words {
        let fx = bench.effects(word(session, said));
        let [(_, told)] = &fx.told[..] else { panic!("{:?}", lines(&fx)) };
        let (CallTold::Invocation { payload, .. }
        | CallTold::Result { payload, .. }
        | CallTold::Failed { error: CallError::Callee { payload, .. }, .. }) = told
        else {
            panic!("{told:?}")
        };
        assert!(!frame.as_ptr_range().contains(&payload.bytes.as_ptr()), "{told:?}");
    }
    let large = Payload { bytes: frame.slice(..64 << 10), ..json("") };
    assert_eq!(large.clone().detached().bytes.as_ptr(), large.bytes.as_ptr());
}

fn part_of(request: u64, has_more: bool) -> Call {
    Call { has_more, ..call(request, "p") }
}

/// Names are held by open calls for as long as those are, whatever is answered.
#[test]
fn long_names_count_until_the_call_is_answered() {
    let mut bench = bench(CallLimits { calls_bytes_per_session_max: 2000, ..roomy() });
    let uri = "p".repeat(900);
    bench.registry.add(&uri, 11, Policy::Single, vec![callee(1, 7)]);
    bench.serve(7, 11, 0);
    bench.call(1, 1, &uri);
    bench.call(1, 2, &uri);
    bench.progress(7, 1, "[2]");
    bench.progress(7, 2, "[2]");
    assert_eq!(bench.call(1, 9, &uri), [refused("calls-bytes-per-session-max", 2000)]);
    bench.result(7, 1, "[2]");
    assert_eq!(bench.call(1, 9, &uri), ["7 <- invocation 3 of 11 [1]"]);
    // A routing key is held as a hash.
    let routing_key = Some("k".repeat(1 << 16).into());
    let keyed = CallWord::Call(Call { routing_key, ..call(10, "p") });
    assert_eq!(bench.step(word(1, keyed)), ["7 <- invocation 4 of 10 [1]"]);
}

/// Errors come without a look at the room that there is for them.
#[test]
fn a_session_that_reads_no_errors_is_ended_at_twice_its_bound() {
    let mut bench =
        bench(CallLimits { caller_queue_bytes_max: 1000, callee_queue_bytes_max: 500, ..roomy() });
    let mut told = Vec::new();
    for request in 1..100 {
        told = bench.call(1, request, "none");
        if told.iter().any(|line| line.contains("ends")) {
            break;
        }
        assert!(bench.dealer.queued_bytes() <= 2000);
    }
    let ends = "1 ends: the session does not read what it is told of calls: \
                limits.caller-queue-bytes-max, limits.callee-queue-bytes-max";
    assert_eq!(told, [ends]);
    // Whatever comes of it until it is gone, it is told no more.
    let before = bench.dealer.queued_bytes();
    assert_eq!(bench.call(1, 500, "none"), [""; 0]);
    assert_eq!(bench.dealer.queued_bytes(), before);
    bench.close(1);
    assert_eq!(bench.dealer.queued_bytes(), 0);
}

/// One large result is not held against who reads slowly.
#[test]
fn one_large_answer_ends_no_session() {
    let mut bench = bench(CallLimits { caller_queue_bytes_max: 1000, ..roomy() });
    bench.call(1, 1, "p");
    assert_eq!(bench.result(7, 1, &"7".repeat(5000)).len(), 1);
    let none = "1 <- failed 2: no callee registered for procedure none";
    assert_eq!(bench.call(1, 2, "none"), [none]);
}

/// Words of others in the same queue count as the dealer's own do.
#[test]
fn what_others_tell_a_session_counts_until_it_is_written() {
    let mut bench = bench(roomy());
    let told = CallTold::Unregistered { request: RequestId(1) };
    let bytes = told.queued_bytes();
    let session = SessionId(1);
    assert_eq!(bench.step(Input::Tell { session, told }).len(), 1);
    assert_eq!(bench.dealer.queued_bytes(), bytes);
    bench.step(Input::Written { session, bytes });
    assert_eq!(bench.dealer.queued_bytes(), 0);
}

/// Whoever has all of an entry leaves the others their share.
#[test]
fn a_full_entry_refuses_those_alone_who_have_more_than_their_share() {
    let mut bench = bench(CallLimits { calls_max: 4, ..roomy() });
    bench.open(2);
    for request in 1..=4 {
        bench.call(1, request, "p");
    }
    assert_eq!(bench.call(1, 9, "p"), [refused("calls-max", 4)]);
    assert_eq!(bench.call(2, 1, "p"), ["7 <- invocation 5 of 10 [1]"]);
    let none: [&str; 0] = [];
    assert_ne!(bench.call(1, 9, "p"), none);
    assert_eq!(bench.dealer.open_calls(), 5);
    // Another entry has a share as well, and no more than that.
    bench.link(2);
    assert_eq!(bench.hear(2, invoke(1, 7, 10)), ["7 <- invocation 6 of 10 [1]"]);
    assert_eq!(bench.hear(2, invoke(2, 7, 10)), ["E2 <- refuse 2 EntryFull"]);

    let mut bench = self::bench(CallLimits { calls_bytes_max: 2000, ..roomy() });
    bench.open(2);
    let sized = |request, bytes: usize| {
        CallWord::Call(Call { payload: json(&"7".repeat(bytes)), ..call(request, "p") })
    };
    bench.step(word(1, sized(1, 800)));
    assert_eq!(bench.step(word(1, sized(9, 800))), [refused("calls-bytes-max", 2000)]);
    assert_eq!(bench.step(word(2, sized(1, 300))).len(), 1);
}

/// As many as a session may have open at once are remembered, and the oldest are forgotten first.
#[test]
fn calls_that_ended_early_are_remembered_by_age() {
    let mut bench = Bench::new(CallLimits { calls_per_session_max: 3000, ..roomy() });
    bench.open(1);
    // Ids that fall: by id, the newest would be forgotten first.
    let requests = || (1..=3000).rev();
    for request in requests() {
        bench.effects(word(1, part(request, "none", true)));
        bench.effects(Input::Written { session: SessionId(1), bytes: 1000 });
    }
    for request in requests() {
        assert_eq!(bench.step(word(1, part(request, "none", true))), [""; 0], "{request}");
    }
    bench.step(word(1, part(5000, "none", true)));
    assert_eq!(bench.step(word(1, part(1, "none", true))), [""; 0]);
    assert_eq!(bench.step(word(1, part(3000, "none", true))).len(), 1);
}
