//! Calls that need something of their callee: in parts, or packed.

use super::*;

const NOBODY: [&str; 0] = [];
const COUNT: &str = "wamp.session.count";

fn announced() -> CallFeatures {
    CallFeatures { is_interruptible: true, ..CallFeatures::default() }
}

/// Caller 1; callee 7 of `p`, which has announced all that a call in parts needs.
fn beside_a_callee() -> Bench {
    let mut bench = Bench::new(roomy());
    bench.open(1);
    bench.open(7);
    bench.registry.add("p", 10, Policy::Single, vec![callee(1, 7)]);
    bench.serve(7, 10, 1);
    bench
}

/// Caller 1; `one` is single, at 2; `all` is shared by 2 and 3; `first` likewise.
fn beside_two() -> Bench {
    let mut bench = Bench::new(roomy());
    bench.open(1);
    bench.link(2);
    bench.link(3);
    bench.registry.add("one", 10, Policy::Single, vec![callee(2, 20)]);
    bench.registry.add("all", 11, Policy::RoundRobin, vec![callee(2, 20), callee(3, 30)]);
    bench.registry.add("first", 12, Policy::First, vec![callee(2, 20), callee(3, 30)]);
    bench
}

/// Callee 7 at this entry serves registration 10, one call at once.
fn serving(features: CallFeatures) -> Bench {
    let mut bench = Bench::new(roomy());
    bench.open_with(7, features);
    bench.link(2);
    bench.registry.add("one", 10, Policy::Single, vec![callee(1, 7)]);
    bench.serve(7, 10, 1);
    bench
}

/// A callee cannot be unaware of parts (WAMP spec *Ignoring Progressive Call Invocations*): one took each for a call,
/// another ended its session.
#[test]
fn a_call_in_parts_goes_to_who_has_announced_that_or_to_nobody() {
    let mut bench = beside_a_callee();
    bench.open_with(8, CallFeatures { is_interruptible: true, ..CallFeatures::default() });
    for (uri, id, policy) in [
        ("first", 11, Policy::First),
        ("turns", 12, Policy::RoundRobin),
        ("any", 13, Policy::Random),
    ] {
        bench.registry.add(uri, id, policy, vec![callee(1, 8), callee(1, 7)]);
        bench.serve(8, id, 0);
        bench.serve(7, id, 1);
        let told = bench.step(word(1, part(id, uri, true)));
        assert!(told.len() == 1 && told[0].starts_with("7 <- invocation "), "{uri}: {told:?}");
        // Nor where that one is busy.
        let told = bench.step(word(1, part(id + 10, uri, true)));
        let why = if policy == Policy::First {
            format!("all callees of procedure {uri} have as many invocations as they take at once")
        } else {
            format!(
                "no callee of procedure {uri} can be called: a callee has as many invocations as it \
                 takes at once; a callee has not announced what the call needs"
            )
        };
        assert_eq!(told, [format!("1 <- failed {}: {why}", id + 10)]);
    }
    bench.registry.add("plain", 14, Policy::Single, vec![callee(1, 8)]);
    bench.serve(8, 14, 0);
    let told = "1 <- failed 5: no callee of procedure plain has announced \
                progressive_call_invocations and call_canceling, which the call needs";
    assert_eq!(bench.step(word(1, part(5, "plain", true))), [told]);
    assert_eq!(bench.step(word(1, part(5, "plain", false))), NOBODY, "the rest goes nowhere");
    assert_eq!(bench.call(1, 6, "plain"), ["8 <- invocation 1 of 14 [1]"]);
}

/// What it needs, who serves it knows alone.
#[test]
fn refuse_not_announced_of_a_shared_one_goes_to_the_next_and_else_the_feature_is_not_supported() {
    for uri in ["all", "first"] {
        let id = beside_two().registry.of[uri].0.registration.0;
        let mut bench = beside_two();
        bench.step(word(1, part(5, uri, true)));
        bench.step(word(1, part(5, uri, false)));
        let told =
            [format!("E3 <- invoke 2 of 30 in {id} has-more [1]"), "E3 <- more 2 [1]".to_owned()];
        assert_eq!(bench.hear(2, refuse(1, InvokeRefusal::NotAnnounced)), told);
        let told = format!(
            "1 <- failed 5: no callee of procedure {uri} has announced progressive_call_invocations \
             and call_canceling, which the call needs"
        );
        assert_eq!(bench.hear(3, refuse(2, InvokeRefusal::NotAnnounced)), [told]);
        assert_eq!(bench.outcomes(), ["not_announced", "no_available_callee"]);
        assert_eq!(bench.dealer.open_calls(), 0);
    }
    let mut bench = beside_two();
    bench.step(word(1, CallWord::Call(Call { payload: packed("[1]"), ..call(5, "one") })));
    let told = "1 <- failed 5: no callee of procedure one has announced payload_passthru_mode, \
                which the call needs";
    assert_eq!(bench.hear(2, refuse(1, InvokeRefusal::NotAnnounced)), [told]);
}

/// One of them may take it another time.
#[test]
fn refuse_not_announced_beside_others_is_no_available_callee() {
    let mut bench = beside_two();
    bench.step(word(1, part(5, "all", true)));
    bench.hear(2, refuse(1, InvokeRefusal::NotAnnounced));
    let told = "1 <- failed 5: no callee of procedure all can be called: a callee has as many \
                invocations as it takes at once; a callee has not announced what the call needs";
    assert_eq!(bench.hear(3, refuse(2, InvokeRefusal::Busy)), [told]);
}

/// What is refused for now is said after what will not change: another callee may take the call.
#[test]
fn invoke_with_what_the_callee_has_not_announced_is_refused_not_announced() {
    let in_parts = |number| match invoke(number, 7, 10) {
        PeerWord::Invoke { number, mut invoke } => {
            invoke.part.has_more = true;
            PeerWord::Invoke { number, invoke }
        }
        other => panic!("{other:?}"),
    };
    let with_packed = |number| match invoke(number, 7, 10) {
        PeerWord::Invoke { number, mut invoke } => {
            invoke.part.payload = packed("[1]");
            PeerWord::Invoke { number, invoke }
        }
        other => panic!("{other:?}"),
    };
    let mut bench = serving(announced());
    assert_eq!(bench.hear(2, in_parts(1)), ["E2 <- refuse 1 NotAnnounced"]);
    assert_eq!(bench.hear(2, with_packed(2)), ["E2 <- refuse 2 NotAnnounced"]);
    assert_eq!(bench.hear(2, invoke(3, 7, 10)), ["7 <- invocation 1 of 10 [1]"]);
    assert_eq!(bench.hear(2, in_parts(4)), ["E2 <- refuse 4 NotAnnounced"]);
    assert_eq!(bench.dealer.open_invocations(), 1, "J2, J3: nothing is left of the others");
    let mut bench = serving(CallFeatures { takes_parts: true, ..announced() });
    assert_eq!(bench.hear(2, in_parts(1)), ["7 <- invocation 1 of 10 has-more [1]"]);
    let mut bench = serving(CallFeatures { answers_packed: true, ..announced() });
    assert_eq!(bench.hear(2, with_packed(1)), ["7 <- invocation 1 of 10 [1]"]);
}

/// It takes a call whole, and looks into it.
#[test]
fn calls_in_parts_and_packed_ones_are_none_that_the_router_serves() {
    let mut bench = Bench::new(roomy());
    bench.open(1);
    let none = |what: &str| {
        format!(
            "1 <- failed 1: no callee of procedure {COUNT} has announced {what}, which the call needs"
        )
    };
    let in_parts = "progressive_call_invocations and call_canceling";
    assert_eq!(bench.step(word(1, part(1, COUNT, true))), [none(in_parts)]);
    assert!(bench.step(word(1, part(1, COUNT, false))).is_empty(), "the rest goes nowhere");
    let call = Call { payload: packed("[1]"), ..call(1, COUNT) };
    let told = bench.step(word(1, CallWord::Call(call)));
    assert_eq!(told, [none("payload_passthru_mode")]);
    assert_eq!(bench.dealer.open_calls(), 0);
}
