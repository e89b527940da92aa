//! What becomes of open calls whose caller or callee has lost the right to them.

use super::*;
use crate::access::{Permission, Permissions, Quotas};
use vixen_core::access::Disclosure;

const NOBODY: [&str; 0] = [];
const NOT_AUTHORIZED: &str = "the role of this session may not call this procedure any more";

fn progressive(request: u64, uri: &str) -> Input {
    word(1, CallWord::Call(Call { takes_progress: true, ..call(request, uri) }))
}

/// Session 1 may call this alone.
fn may_call(uri: &str) -> Input {
    let (uri, call) = (uri.to_owned(), Some(Disclosure::Never));
    let permission = Permission { uri, call, ..Permission::default() };
    let permissions = Box::new(Permissions::new([permission], Quotas::UNLIMITED));
    Input::Rights { session: SessionId(1), permissions }
}

fn right_lost(registration: u64) -> Input {
    let registration = RegistrationId(registration);
    Input::RightLost { session: SessionId(7), registration }
}

/// Caller 1; callee 7 of `p` and `q`.
fn bench() -> Bench {
    let mut bench = Bench::new(roomy());
    bench.open(1);
    bench.open(7);
    for (uri, id) in [("p", 10), ("q", 11)] {
        bench.registry.add(uri, id, Policy::Single, vec![callee(1, 7)]);
        bench.serve(7, id, 0);
    }
    bench
}

#[test]
fn a_progressive_call_ends_with_the_right_of_its_caller_and_one_with_one_answer_does_not() {
    let mut bench = bench();
    bench.step(progressive(1, "p"));
    bench.step(word(1, part(2, "p", true)));
    bench.call(1, 3, "p");
    bench.step(progressive(4, "q"));
    assert_eq!(
        bench.step(may_call("p")),
        ["1 <- failed 4: ".to_owned() + NOT_AUTHORIZED, "7 <- interrupt 4 KillNoWait".to_owned()]
    );
    assert_eq!(bench.progress(7, 1, "[2]"), ["1 <- result 1 progress [2]"]);
    let told = [
        format!("1 <- failed 1: {NOT_AUTHORIZED}"),
        format!("1 <- failed 2: {NOT_AUTHORIZED}"),
        "7 <- interrupt 1 KillNoWait".to_owned(),
        "7 <- interrupt 2 KillNoWait".to_owned(),
    ];
    assert_eq!(bench.step(may_call("q")), told);
    assert_eq!(bench.outcomes(), ["refused", "progress", "refused", "refused"]);
    assert_eq!(bench.progress(7, 1, "[3]"), NOBODY);
    // The gate refuses what is still to come.
    let (request, procedure, error) = (RequestId(2), "p".into(), "a.refusal".into());
    let spoiled =
        CallWord::Spoiled { request, procedure, has_more: false, error, payload: json("") };
    assert_eq!(bench.step(word(1, spoiled)), NOBODY);
    assert_eq!(bench.result(7, 3, "[4]"), ["1 <- result 3 [4]"]);
    assert_eq!((bench.dealer.open_calls(), bench.dealer.open_invocations()), (0, 0));
}

#[test]
fn a_progressive_call_that_waits_for_the_view_ends_with_the_right_of_its_caller() {
    let mut bench = bench();
    bench.registry.may_be_behind = true;
    bench.step(progressive(1, "nobody"));
    assert_eq!(bench.step(may_call("p")), [format!("1 <- failed 1: {NOT_AUTHORIZED}")]);
    assert_eq!(bench.dealer.open_calls(), 0);
}

#[test]
fn a_progressive_invocation_ends_with_the_right_of_its_callee_and_one_with_one_answer_does_not() {
    let mut bench = bench();
    bench.step(progressive(1, "p"));
    bench.step(word(1, part(2, "p", true)));
    bench.call(1, 3, "p");
    bench.step(progressive(4, "q"));
    bench.step(word(1, part(5, "p", true)));
    bench.step(word(1, part(5, "p", false)));
    bench.step(progressive(6, "p"));
    bench.cancel(1, 6, CancelMode::Kill);
    let text = r#"wamp.error.canceled ["the callee may not serve this procedure any more"]"#;
    let told = [
        "7 <- interrupt 1 KillNoWait".to_owned(),
        "7 <- interrupt 2 KillNoWait".to_owned(),
        format!("1 <- failed 1 {text}"),
        format!("1 <- failed 2 {text}"),
        format!("1 <- failed 6 {text}"),
    ];
    assert_eq!(bench.step(right_lost(10)), told);
    assert_eq!(bench.progress(7, 1, "[2]"), NOBODY);
    assert_eq!(bench.result(7, 3, "[4]"), ["1 <- result 3 [4]"]);
    assert_eq!(bench.result(7, 5, "[5]"), ["1 <- result 5 [5]"], "its last part has come");
    assert_eq!(bench.progress(7, 4, "[6]"), ["1 <- result 4 progress [6]"]);
    assert_eq!(bench.step(right_lost(11)).len(), 2);
    assert_eq!((bench.dealer.open_calls(), bench.dealer.open_invocations()), (0, 0));
}

#[test]
fn an_origin_elsewhere_is_told_that_the_callee_has_lost_the_right() {
    let mut bench = bench();
    bench.link(2);
    let PeerWord::Invoke { number, mut invoke } = invoke(1, 7, 10) else { panic!("an INVOKE") };
    invoke.part.takes_progress = true;
    bench.hear(2, PeerWord::Invoke { number, invoke });
    let text = "the callee may not serve this procedure any more";
    let told = [
        "7 <- interrupt 1 KillNoWait".to_owned(),
        format!(r#"E2 <- error 1 wamp.error.canceled ["{text}"]"#),
    ];
    assert_eq!(bench.step(right_lost(10)), told);
}
