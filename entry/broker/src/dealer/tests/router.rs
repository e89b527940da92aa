//! Calls of procedures that the router itself serves.

use super::*;
use crate::api::calls::MetaError;
use crate::meta::{Missing, Procedure};

const COUNT: &str = "wamp.session.count";

/// Session 1 has called, and nobody has answered.
fn asked(bench: &mut Bench, word: CallWord) -> MetaCall {
    let mut fx = bench.effects(super::word(1, word));
    assert!(fx.told.is_empty() && fx.sends.is_empty(), "{fx:?}");
    fx.meta.pop().expect("it is the router's to answer")
}

fn answered(bench: &mut Bench, call: &MetaCall, text: &str) -> Vec<String> {
    bench.step(Input::Answered { number: call.number, answer: result(text) })
}

fn result(text: &str) -> Result<MetaResult, MetaError> {
    Ok(MetaResult { payload: json(text), about: None, missing: Vec::new() })
}

fn bench() -> Bench {
    let mut bench = Bench::new(roomy());
    bench.open(1);
    bench
}

#[test]
fn it_is_asked_in_the_realm_of_the_caller_and_answered_once() {
    let mut bench = bench();
    let call = asked(&mut bench, CallWord::Call(call(1, COUNT)));
    assert_eq!((&*call.asker.realm, call.asker.session), ("r", SessionId(1)));
    assert_eq!((call.procedure, text_of(&call.payload)), (Procedure::CountSessions, "[1]"));
    assert_eq!(bench.dealer.open_calls(), 1);
    assert_eq!(answered(&mut bench, &call, "[7]"), ["1 <- result 1 [7]"]);
    let none: [&str; 0] = [];
    assert_eq!(answered(&mut bench, &call, "[8]"), none, "J1");
    assert_eq!((bench.dealer.open_calls(), bench.outcomes()), (0, vec!["result"]));
}

#[test]
fn it_says_no_as_a_callee_does() {
    let mut bench = bench();
    let call = asked(&mut bench, CallWord::Call(call(1, COUNT)));
    let answer = Err(MetaError::NoSuch(Missing::Session(5)));
    let fx = bench.effects(Input::Answered { number: call.number, answer });
    let [(SessionId(1), CallTold::Failed { request: RequestId(1), error })] = &fx.told[..] else {
        panic!("{fx:?}");
    };
    assert_eq!(error.to_string(), "no session with ID 5 exists on this router");
}

#[test]
fn what_it_does_not_serve_is_no_procedure_whoever_has_a_pattern() {
    let mut bench = bench();
    bench.registry.add("wamp.", 5, Policy::Single, vec![callee(1, 1)]);
    let fx = bench.effects(word(1, CallWord::Call(call(1, "wamp.session.nothing"))));
    let failed =
        matches!(fx.told[..], [(_, CallTold::Failed { error: CallError::NoSuchProcedure(_), .. })]);
    assert!(failed && fx.meta.is_empty(), "{fx:?}");
}

#[test]
fn cancel_timeout_and_the_end_of_the_session_end_it() {
    let mut bench = bench();
    for (request, mode) in (1..).zip([CancelMode::Kill, CancelMode::Skip, CancelMode::Unnamed]) {
        let call = asked(&mut bench, CallWord::Call(call(request, COUNT)));
        // Nobody is interrupted, so nobody is waited for.
        assert_eq!(bench.cancel(1, request, mode).len(), 1);
        assert!(answered(&mut bench, &call, "[]").is_empty());
    }
    let call = asked(&mut bench, timed(5, COUNT, 100));
    assert_eq!(bench.pass(100).len(), 1);
    assert!(answered(&mut bench, &call, "[]").is_empty());
    let call = asked(&mut bench, CallWord::Call(super::call(6, COUNT)));
    assert!(bench.close(1).is_empty());
    assert!(answered(&mut bench, &call, "[]").is_empty());
    assert_eq!(bench.dealer.open_calls(), 0);
    let wanted = ["canceled", "canceled", "canceled", "timeout", "canceled"];
    assert_eq!(bench.outcomes(), wanted);
}

/// What was read for such a call was read to its end, and took the turns of others.
#[test]
fn whoever_works_for_a_call_is_told_that_it_is_over() {
    let mut bench = bench();
    let over = |fx: Effects, call: &MetaCall| fx.meta_over.into_iter().eq([call.number]);
    let call = asked(&mut bench, CallWord::Call(super::call(1, COUNT)));
    let answer = result("[7]");
    assert!(over(bench.effects(Input::Answered { number: call.number, answer }), &call));
    let call = asked(&mut bench, CallWord::Call(super::call(2, COUNT)));
    let (request, mode) = (RequestId(2), CancelMode::Skip);
    assert!(over(bench.effects(word(1, CallWord::Cancel { request, mode })), &call));
    let call = asked(&mut bench, timed(3, COUNT, 100));
    bench.now += Duration::from_millis(100);
    assert!(over(bench.effects(Input::Timeout), &call));
    let call = asked(&mut bench, CallWord::Call(super::call(5, COUNT)));
    assert!(over(bench.effects(Input::Closed { session: SessionId(1) }), &call));
    bench.open(2);
    let mut fx = bench.effects(word(2, CallWord::Call(super::call(1, COUNT))));
    let call = fx.meta.pop().expect("it is the router's to answer");
    assert!(over(bench.effects(Input::Stop), &call));
}

#[test]
fn a_number_of_a_call_that_is_with_a_callee_is_not_its() {
    let mut bench = bench();
    bench.registry.add("a", 5, Policy::Single, vec![callee(1, 1)]);
    bench.serve(1, 5, 1);
    bench.call(1, 1, "a");
    let fx = bench.effects(Input::Answered { number: CallNumber(1), answer: result("[]") });
    assert!(fx.told.is_empty(), "{fx:?}");
    assert_eq!(bench.dealer.open_calls(), 1);
}
