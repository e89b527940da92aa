//! What calls have taken is listed with their registration, and forgotten with it.

use serde_json::{Value, json};

use vixen_broker::api::calls::{CancelMode, InvocationId, RegistrationId};

use super::*;

/// The callee is invoked next.
async fn invoked(bench: &mut Bench) -> (InvocationId, RegistrationId) {
    let told = bench.hear(CALLEE).await;
    bench.wrote(CALLEE, &told);
    match &told[..] {
        [CallTold::Invocation { invocation, registration, .. }] => (*invocation, *registration),
        _ => panic!("{told:?}"),
    }
}

fn answer(bench: &mut Bench, invocation: InvocationId, is_progress: bool) {
    let payload = Payload::new(Encoding::Json, "[7]");
    bench.say(CALLEE, CallWord::Yield { invocation, is_progress, payload });
}

/// Of the only registration: how many calls, and how many of them in spans of latency.
fn counted(bench: &Bench) -> (Value, u64) {
    let listed = bench.node.calls.registrations()["listed"][0].clone();
    let spans = listed["latency"]["below_us"].as_array().cloned().unwrap_or_default();
    let calls = spans.iter().filter_map(|span| span[1].as_u64()).sum();
    assert_eq!(listed["latency"].is_null(), calls == 0, "{listed}");
    (listed["calls"].clone(), calls)
}

#[tokio::test]
async fn a_call_counts_when_it_has_ended_and_as_long_as_its_registration_is_there() {
    let mut bench = Bench::new(|_| {}).await;
    assert_eq!(counted(&bench), (json!(0), 0));
    bench.say(CALLER, call(1, 3));
    let (invocation, registration) = invoked(&mut bench).await;
    answer(&mut bench, invocation, true);
    assert_eq!(counted(&bench), (json!(0), 0), "it is open");
    answer(&mut bench, invocation, false);
    assert_eq!(counted(&bench), (json!(1), 1));

    // One that is given up has ended as well.
    bench.say(CALLER, call(2, 3));
    let _ = invoked(&mut bench).await;
    bench.say(CALLER, CallWord::Cancel { request: RequestId(2), mode: CancelMode::Skip });
    assert_eq!(counted(&bench), (json!(2), 2));

    // A call that is still with the callee as the registration ends counts nowhere.
    bench.say(CALLER, call(3, 3));
    let (invocation, _) = invoked(&mut bench).await;
    bench.say(CALLEE, CallWord::Unregister { request: RequestId(2), registration });
    assert_eq!(bench.node.calls.procedures.counted(), 0);
    answer(&mut bench, invocation, false);
    let told = bench.hear(CALLER).await;
    assert!(told.iter().any(|told| matches!(told, CallTold::Result { .. })), "{told:?}");
    assert_eq!(bench.node.calls.procedures.counted(), 0);

    // What is registered again begins anew.
    bench.say(CALLEE, register());
    assert_eq!(counted(&bench), (json!(0), 0));
}
