//! Calls that end before it is known whether they may be made.

use serde_json::json;

use super::{REALM, asked, guard, guest, start, trusted};

const CANCELED: &str = "wamp.error.canceled";

#[tokio::test]
async fn cancel_ends_a_call_that_waits_for_the_authorizer() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    guard.register("{}", "a.c").await;
    let mut guest = guest(&entry).await;
    for (request, options) in [
        (1, "{}"),
        (2, r#"{"mode":"skip"}"#),
        (3, r#"{"mode":"kill"}"#),
        (4, r#"{"mode":"killnowait"}"#),
    ] {
        // What is not kept is asked each time.
        guest.say(&format!(r#"[48,{request},{{"timeout":{request}0000}},"a.c"]"#)).await;
        let (invocation, _) = guard.invoked().await;
        guest.say(&format!("[49,{request},{options}]")).await;
        guest.hears(json!([8, 48, request, {}, CANCELED])).await;
        guard.say(&format!("[70,{invocation},{{}},[true]]")).await;
        guard.hears_nothing().await;
    }
    guest.say(r#"[48,5,{},"a.c"]"#).await;
    asked(&mut guard, ("call", "a.c", json!({})), "true").await;
    guard.yields("[7]").await;
    assert_eq!(guest.hear().await[3], json!([7]));
    entry.stop().await;
}

#[tokio::test]
async fn cancel_waits_for_nothing_that_was_said_before() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    guard.register("{}", "a.c").await;
    let mut guest = guest(&entry).await;
    guest.say(r#"[48,1,{},"a.c"]"#).await;
    asked(&mut guard, ("call", "a.c", json!({})), "true").await;
    guard.invoked().await;
    guest.say(r#"[16,2,{"acknowledge":true},"a.b"]"#).await;
    let (invocation, _) = guard.invoked().await;
    guest.say("[49,1,{}]").await;
    guest.hears(json!([8, 48, 1, {}, CANCELED])).await;
    guard.say(&format!("[70,{invocation},{{}},[true]]")).await;
    assert_eq!(guest.hear().await[0], 17);
    entry.stop().await;
}

#[tokio::test]
async fn the_time_of_a_call_runs_while_it_waits_for_the_authorizer() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    guard.register("{}", "a.c").await;
    let mut guest = guest(&entry).await;
    guest.say(r#"[16,1,{"acknowledge":true},"a.b"]"#).await;
    guest.say(r#"[48,2,{"timeout":30},"a.c"]"#).await;
    guest.say(r#"[48,3,{},"a.c"]"#).await;
    let mut invocations = Vec::new();
    for _ in 0..3 {
        invocations.push(guard.invoked().await.0);
    }
    let text = "no answer within 30 ms";
    guest.hears(json!([8, 48, 2, {}, "wamp.error.timeout", [text]])).await;
    for invocation in invocations {
        guard.say(&format!("[70,{invocation},{{}},[true]]")).await;
    }
    // The others go on.
    assert_eq!(guest.hear().await[0], 17);
    guard.yields("[7]").await;
    let result = guest.hear().await;
    assert_eq!((&result[1], &result[3]), (&json!(3), &json!([7])));
    guard.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_while_it_waits_for_the_authorizer_is_gone_once_that_has_answered() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    let mut watcher = trusted(&entry).await;
    watcher.say(r#"[32,1,{},"wamp.session.on_leave"]"#).await;
    assert_eq!(watcher.hear().await[0], 33);
    let mut guest = guest(&entry).await;
    guest.say(r#"[16,1,{"acknowledge":true},"a.b"]"#).await;
    let (invocation, _) = guard.invoked().await;
    let session = guest.session;
    guest.cut();
    guard.say(&format!("[70,{invocation},{{}},[true]]")).await;
    let left = watcher.hear().await;
    assert_eq!((&left[0], &left[4][0]), (&json!(36), &json!(session)), "{left}");
    entry.stop().await;
}
