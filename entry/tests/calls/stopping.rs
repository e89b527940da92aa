//! What becomes of calls when their entry stops.

use serde_json::json;

use crate::Entry;

const GOING_AWAY: u16 = 1001;

#[tokio::test]
async fn a_callee_answers_while_its_entry_stops() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
    // It has nothing to do with calls, and goes at once.
    let idle = entry.plain().await;
    callee.register("{}", "a.b").await;
    caller.say(r#"[48,1,{"receive_progress":true},"a.b"]"#).await;
    let (invocation, _) = callee.invoked().await;
    let stopping = entry.begin_stop();
    assert_eq!(idle.closed().await, GOING_AWAY);
    callee.say(&format!(r#"[70,{invocation},{{"progress":true}},["part"]]"#)).await;
    let part = caller.hear().await;
    assert_eq!((&part[2]["progress"], &part[3]), (&json!(true), &json!(["part"])));
    callee.say(&format!(r#"[70,{invocation},{{}},["whole"]]"#)).await;
    assert_eq!(caller.hear().await[3], json!(["whole"]));
    assert_eq!(caller.closed().await, GOING_AWAY);
    assert_eq!(callee.closed().await, GOING_AWAY);
    stopping.until_stopped().await;
}

#[tokio::test]
async fn a_call_that_is_not_answered_while_its_entry_stops_fails_before_the_close() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
    callee.register("{}", "a.b").await;
    caller.say(r#"[48,1,{},"a.b"]"#).await;
    callee.invoked().await;
    let stopping = entry.begin_stop();
    let error = caller.hear().await;
    assert_eq!((&error[2], &error[4]), (&json!(1), &json!("wamp.error.unavailable")), "{error}");
    assert_eq!(caller.closed().await, GOING_AWAY);
    assert_eq!(callee.closed().await, GOING_AWAY);
    stopping.until_stopped().await;
}
