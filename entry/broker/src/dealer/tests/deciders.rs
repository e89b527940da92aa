//! Calls of the entry itself, to procedures that decide about others.

use super::*;

/// The entry, as a caller of its dealer.
const ENTRY: u64 = 1 << 60;

fn bench() -> Bench {
    let mut bench = Bench::new(roomy());
    let Input::Opened { info } = opened(ENTRY, CallFeatures::default()) else {
        panic!("as sessions are")
    };
    bench.effects(Input::OpenedByEntry { info });
    bench.open(1);
    bench.open(7);
    bench.registry.add("auth.", 10, Policy::Single, vec![callee(1, 7)]);
    bench.serve(7, 10, 0);
    bench
}

fn calls(bench: &mut Bench, session: u64, request: u64) -> Vec<String> {
    lines(&bench.effects(word(session, CallWord::Call(call(request, "auth.may")))))
}

#[test]
fn a_pattern_of_somebody_does_not_decide_about_others() {
    let mut bench = bench();
    let nobody = "1152921504606846976 <- failed 5: no callee registered for procedure auth.may";
    assert_eq!(calls(&mut bench, ENTRY, 5), [nobody]);
    // Whoever else calls it is served.
    assert_eq!(calls(&mut bench, 1, 5).len(), 1);
    bench.registry.add("auth.may", 20, Policy::Single, vec![callee(1, 7)]);
    bench.serve(7, 20, 0);
    assert_eq!(calls(&mut bench, ENTRY, 6), ["7 <- invocation 2 of 20 [1]"]);
    // Its last callee is gone: the pattern does not take its place.
    bench.registry.of.remove("auth.may");
    assert_eq!(calls(&mut bench, ENTRY, 7), [nobody.replace("failed 5", "failed 7")]);
}

#[test]
fn a_decision_goes_over_a_link_that_takes_no_other_calls() {
    let mut bench = bench();
    bench.link(2);
    bench.registry.add("auth.may", 30, Policy::Single, vec![callee(2, 9)]);
    let is_asked = |bench: &mut Bench, session, request| {
        let told = calls(bench, session, request);
        told.iter().any(|line| line.starts_with("E2 <- invoke "))
    };
    for (bytes, others, entry) in [
        (1 << 20, true, true),
        // A quarter of what may wait for it is there, and half of it.
        ((1 << 20) + 1, false, true),
        ((2 << 20) - 4096, false, true),
        ((2 << 20) + 1, false, false),
    ] {
        bench.step(Input::LinkWaiting { link: link(2), bytes });
        let (request, at) = (bytes as u64, Input::LinkWaiting { link: link(2), bytes });
        assert_eq!(is_asked(&mut bench, 1, request), others, "{bytes}");
        bench.step(at);
        assert_eq!(is_asked(&mut bench, ENTRY, request), entry, "{bytes}");
    }
}
