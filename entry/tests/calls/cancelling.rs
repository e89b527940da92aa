//! CANCEL, and ends of callers and callees.

use serde_json::{Value, json};

use crate::{Entry, Peer};

const CANCELED: &str = "wamp.error.canceled";

/// A call of `a.b` that is with its callee; the callee's invocation.
async fn open_call(caller: &mut Peer, callee: &mut Peer) -> u64 {
    callee.register("{}", "a.b").await;
    caller.say(r#"[48,1,{},"a.b"]"#).await;
    callee.invoked().await.0
}

fn bare() -> Value {
    json!([8, 48, 1, {}, CANCELED])
}

#[tokio::test]
async fn callee_gone_any_way_is_canceled_and_never_rerouted() {
    let entry = Entry::start().await;
    for is_cut in [true, false] {
        let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
        let mut other = entry.plain().await;
        let shared = r#"{"invoke":"first"}"#;
        callee.register(shared, "shared").await;
        other.register(shared, "shared").await;
        caller.say(r#"[48,1,{},"shared"]"#).await;
        callee.invoked().await;
        if is_cut {
            callee.cut();
        } else {
            callee.leave().await;
        }
        let text = "callee disconnected from in-flight request";
        caller.hears(json!([8, 48, 1, {}, CANCELED, [text]])).await;
        other.hears_nothing().await;
        other.leave().await;
    }
    entry.stop().await;
}

#[tokio::test]
async fn caller_gone_interrupts_only_callees_that_announced_it() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.full().await);
    let invocation = open_call(&mut caller, &mut callee).await;
    caller.cut();
    callee.hears(json!([69, invocation, {"mode": "killnowait"}])).await;
    callee.say(&format!("[70,{invocation},{{}},[1]]")).await;
    callee.hears_nothing().await;
    callee.leave().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
    let invocation = open_call(&mut caller, &mut callee).await;
    caller.leave().await;
    callee.say(&format!("[70,{invocation},{{}},[1]]")).await;
    callee.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn cancel_skip_is_answered_at_once_and_the_callee_hears_nothing() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.full().await);
    let invocation = open_call(&mut caller, &mut callee).await;
    caller.say(r#"[49,1,{"mode":"skip"}]"#).await;
    caller.hears(bare()).await;
    callee.hears_nothing().await;
    callee.say(&format!("[70,{invocation},{{}},[1]]")).await;
    caller.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn cancel_of_a_callee_without_the_feature_is_answered_at_once_in_every_mode() {
    let entry = Entry::start().await;
    for options in ["{}", r#"{"mode":"skip"}"#, r#"{"mode":"kill"}"#, r#"{"mode":"killnowait"}"#] {
        let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
        let invocation = open_call(&mut caller, &mut callee).await;
        caller.say(&format!("[49,1,{options}]")).await;
        caller.hears(bare()).await;
        callee.say(&format!("[70,{invocation},{{}},[1]]")).await;
        callee.hears_nothing().await;
        caller.hears_nothing().await;
        callee.leave().await;
    }
    entry.stop().await;
}

#[tokio::test]
async fn cancel_killnowait_and_without_a_mode_interrupt_with_what_was_said() {
    let entry = Entry::start().await;
    for (options, interrupt) in
        [(r#"{"mode":"killnowait"}"#, json!({"mode": "killnowait"})), ("{}", json!({}))]
    {
        let (mut caller, mut callee) = (entry.plain().await, entry.full().await);
        let invocation = open_call(&mut caller, &mut callee).await;
        caller.say(&format!("[49,1,{options}]")).await;
        caller.hears(bare()).await;
        callee.hears(json!([69, invocation, interrupt])).await;
        callee.say(&format!(r#"[8,68,{invocation},{{}},"late"]"#)).await;
        caller.hears_nothing().await;
        // And none when it leaves.
        callee.leave().await;
        caller.hears_nothing().await;
    }
    entry.stop().await;
}

#[tokio::test]
async fn cancel_kill_passes_on_what_the_callee_answers() {
    let entry = Entry::start().await;
    for (answer, wanted) in [
        ("result", None),
        ("error", Some(json!([8, 48, 1, {}, "my.error", [7]]))),
        ("progress", Some(bare())),
    ] {
        let (mut caller, mut callee) = (entry.plain().await, entry.full().await);
        let invocation = open_call(&mut caller, &mut callee).await;
        caller.say(r#"[49,1,{"mode":"kill"}]"#).await;
        callee.hears(json!([69, invocation, {"mode": "kill"}])).await;
        callee
            .say(&match answer {
                "result" => format!("[70,{invocation},{{}},[5]]"),
                "error" => format!(r#"[8,68,{invocation},{{}},"my.error",[7]]"#),
                _progress => format!(r#"[70,{invocation},{{"progress":true}},[5]]"#),
            })
            .await;
        match wanted {
            Some(wanted) => caller.hears(wanted).await,
            None => assert_eq!(caller.hear().await[3], json!([5])),
        }
        caller.hears_nothing().await;
        callee.leave().await;
    }
    entry.stop().await;
}

#[tokio::test]
async fn cancel_kill_and_the_callee_leaves_is_canceled_once() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.full().await);
    open_call(&mut caller, &mut callee).await;
    caller.say(r#"[49,1,{"mode":"kill"}]"#).await;
    callee.hear().await;
    callee.cut();
    let text = "callee disconnected from in-flight request";
    caller.hears(json!([8, 48, 1, {}, CANCELED, [text]])).await;
    caller.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn cancel_of_what_is_unknown_answered_or_cancelled_is_ignored() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.full().await);
    caller.say("[49,7,{}]").await;
    caller.hears_nothing().await;
    let invocation = open_call(&mut caller, &mut callee).await;
    caller.say(r#"[49,1,{"mode":"kill"}]"#).await;
    caller.say(r#"[49,1,{"mode":"killnowait"}]"#).await;
    callee.hears(json!([69, invocation, {"mode": "kill"}])).await;
    callee.hears_nothing().await;
    callee.say(&format!("[70,{invocation},{{}}]")).await;
    assert_eq!(caller.hear().await[0], 50);
    caller.say("[49,1,{}]").await;
    caller.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn cancel_answer_announced_leaves_clients_alone_that_forget() {
    use vixen_runtime::config::CancelAnswers;
    let entry = Entry::with(|config| config.wamp.cancel_answer = CancelAnswers::Announced).await;
    let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
    let invocation = open_call(&mut caller, &mut callee).await;
    caller.say("[49,1,{}]").await;
    caller.hears_nothing().await;
    callee.say(&format!("[70,{invocation},{{}}]")).await;
    caller.hears_nothing().await;
    entry.stop().await;
}
