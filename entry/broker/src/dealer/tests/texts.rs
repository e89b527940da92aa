//! Texts of calls count as their payloads do: beside them, those may be nothing.

use super::*;

/// Callee 7 of registration 11 at this entry, linked with E2 and E3.
fn bench(limits: CallLimits) -> Bench {
    let mut bench = Bench::new(limits);
    bench.open(7);
    bench.link(2);
    bench.link(3);
    bench.registry.add("all", 11, Policy::First, vec![callee(1, 7)]);
    bench.serve(7, 11, 0);
    bench
}

/// An invocation with two texts of so many bytes.
fn wordy(number: u64, registration: u64, bytes: usize) -> PeerWord {
    let PeerWord::Invoke { number, invoke } = invoke(number, 7, registration) else {
        unreachable!()
    };
    let authid = "a".repeat(bytes).into();
    let caller = Some(Party { session: SessionId(1), authid, authrole: "".into() });
    let procedure = Some("p".repeat(bytes).into());
    PeerWord::Invoke { number, invoke: Invoke { procedure, caller, ..invoke } }
}

#[test]
fn texts_of_a_call_that_waits_for_the_view_count_until_it_is_over() {
    let mut bench = bench(CallLimits { calls_bytes_max: 5000, ..roomy() });
    assert_eq!(bench.hear(2, wordy(1, 12, 1000)), [""; 0]);
    assert_eq!(bench.dealer.usage.kept_bytes, 2067);
    assert_eq!(bench.hear(2, wordy(2, 12, 1000)), [""; 0]);
    assert_eq!(bench.hear(2, wordy(3, 12, 1000)), ["E2 <- refuse 3 EntryFull"]);
    assert_eq!(bench.step(Input::Drain).len(), 2);
    assert_eq!(bench.dealer.usage, limits::Usage::default());
}

#[test]
fn an_entry_with_little_that_waits_for_the_view_is_let_in_where_another_has_much() {
    let mut bench = bench(CallLimits { calls_bytes_max: 5000, ..roomy() });
    assert_eq!(bench.hear(2, wordy(1, 12, 2400)), [""; 0]);
    assert_eq!(bench.hear(2, wordy(2, 12, 200)), ["E2 <- refuse 2 EntryFull"]);
    assert_eq!(bench.hear(3, wordy(1, 12, 200)), [""; 0]);
    assert_eq!(bench.hear(3, wordy(2, 12, 2000)), ["E3 <- refuse 2 EntryFull"]);
    // Of what follows a call as well.
    assert_eq!(bench.hear(3, more(1, true)), [""; 0]);
    assert_eq!(bench.hear(2, more(1, true)), ["E2 <- refuse 1 EntryFull"]);
}

#[test]
fn texts_of_an_invocation_count_in_the_queue_of_its_callee() {
    let mut bench = bench(CallLimits { callee_queue_bytes_max: 5000, ..roomy() });
    assert_eq!(bench.hear(2, wordy(1, 11, 1000)).len(), 1);
    assert_eq!(bench.dealer.queued_bytes(), CallTold::OVERHEAD_BYTES + 2003);
    assert_eq!(bench.hear(2, wordy(2, 11, 1000)).len(), 1);
    assert_eq!(bench.hear(2, wordy(3, 11, 1000)), ["E2 <- refuse 3 Queue"]);
}

/// Another entry would end the link that brings it one.
#[test]
fn what_no_entry_can_register_is_called_at_none() {
    let mut bench = bench(roomy());
    bench.open(1);
    bench.registry.add("a.", 12, Policy::Single, vec![callee(2, 20)]);
    let uri = |bytes: usize| format!("a.{}", "b".repeat(bytes - 2));
    let (longest, longer) = (uri(64 << 10), uri((64 << 10) + 1));
    assert!(bench.call(1, 1, &longest)[0].starts_with("E2 <- invoke 1 of 20 in 12 a.b"));
    let none = format!("1 <- failed 2: no callee registered for procedure {longer}");
    assert_eq!(bench.call(1, 2, &longer), [none]);
}
