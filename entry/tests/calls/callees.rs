//! What callees may say, and how many invocations they get.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::Entry;

#[tokio::test]
async fn unknown_yield_and_invocation_error_are_ignored() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
    let mut stranger = entry.plain().await;
    callee.register("{}", "a.b").await;
    caller.say(r#"[48,1,{},"a.b"]"#).await;
    let (invocation, _) = callee.invoked().await;
    for answer in [format!("[70,{invocation},{{}},[666]]"), "[70,4711,{}]".to_owned()] {
        stranger.say(&answer).await;
        stranger.hears_nothing().await;
    }
    stranger.say(&format!(r#"[8,68,{invocation},{{}},"not.yours"]"#)).await;
    stranger.hears_nothing().await;
    callee.say(&format!("[70,{invocation},{{}},[1]]")).await;
    assert_eq!(caller.hear().await[3], json!([1]));
    entry.stop().await;
}

#[tokio::test]
async fn concurrency_is_refused_and_the_slot_is_free_at_every_end() {
    let entry = Entry::start().await;
    let mut callee = entry.full().await;
    callee.register(r#"{"concurrency":1}"#, "a.b").await;
    let busy = "crossbar.error.max_concurrency_reached";
    let mut other = entry.plain().await;
    let ends = ["answer", "cancel", "timeout", "cut"];
    for (request, end) in (1..).zip(ends) {
        let mut caller = entry.plain().await;
        let options = if end == "timeout" { r#"{"timeout":50}"# } else { "{}" };
        caller.say(&format!(r#"[48,1,{options},"a.b"]"#)).await;
        let (invocation, _) = callee.invoked().await;
        // The time may be over before this call comes.
        if end != "timeout" {
            other.say(&format!(r#"[48,{request},{{}},"a.b"]"#)).await;
            assert_eq!(other.hear().await[4], json!(busy), "{end}");
        }
        match end {
            "answer" => callee.say(&format!("[70,{invocation},{{}}]")).await,
            "cancel" => caller.say(r#"[49,1,{"mode":"killnowait"}]"#).await,
            "timeout" => {}
            _cut => {
                caller.cut();
                assert_eq!(callee.hear().await[0], 69, "INTERRUPT");
                continue;
            }
        }
        caller.hear().await;
        if end != "answer" {
            assert_eq!(callee.hear().await[0], 69, "INTERRUPT");
        }
    }
    other.say(r#"[48,99,{},"a.b"]"#).await;
    callee.invoked().await;
    entry.stop().await;
}

#[tokio::test]
async fn concurrency_holds_for_every_policy_and_shared_ones_go_to_the_next() {
    let entry = Entry::start().await;
    let busy = json!("crossbar.error.max_concurrency_reached");
    for policy in ["roundrobin", "random", "first", "last"] {
        let (mut one, mut two) = (entry.plain().await, entry.plain().await);
        let options = format!(r#"{{"invoke":"{policy}","concurrency":1}}"#);
        one.register(&options, policy).await;
        two.register(&options, policy).await;
        let mut caller = entry.plain().await;
        for request in 1..=3 {
            caller.say(&format!(r#"[48,{request},{{}},"{policy}"]"#)).await;
        }
        let goes_on = !matches!(policy, "first" | "last");
        let error = caller.hear().await;
        assert_eq!(error[4], busy, "{policy}");
        assert_eq!(error[2], json!(if goes_on { 3 } else { 2 }), "{policy}");
        if !goes_on {
            assert_eq!(caller.hear().await[4], busy, "{policy}");
        }
        if policy != "last" {
            one.invoked().await;
        }
        if policy != "first" {
            two.invoked().await;
        }
        one.leave().await;
        two.leave().await;
    }
    entry.stop().await;
}

/// It is stopped, or hangs: nothing comes from it, and its window is closed.
#[tokio::test]
async fn a_callee_that_does_not_read_is_given_up_and_its_callers_are_told() {
    let entry = Entry::with(|config| {
        config.limits.keep_alive_interval = Duration::from_millis(500);
        // The caller, who reads, has to answer within this on a busy machine.
        config.limits.keep_alive_timeout = Duration::from_secs(6);
        config.limits.calls.callee_queue_bytes_max = 1 << 20;
        config.limits.calls.bytes_per_session_max = 128 << 20;
    })
    .await;
    let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
    callee.register("{}", "a.b").await;
    let large = "x".repeat(512 << 10);
    // Until its socket and its queue are full.
    let (mut calls, mut answers) = (0, BTreeMap::new());
    while answers.is_empty() {
        calls += 1;
        caller.say(&format!(r#"[48,{calls},{{}},"a.b",["{large}"]]"#)).await;
        caller.say(r#"[48,1000,{},"nobody.is.here"]"#).await;
        loop {
            let error = caller.hear().await;
            if error[2] == json!(1000) {
                break;
            }
            answers.insert(error[2].as_u64(), error[4].clone());
        }
    }
    while answers.len() < calls {
        let error = caller.hear().await;
        answers.insert(error[2].as_u64(), error[4].clone());
    }
    assert_eq!(answers[&Some(1)], json!("wamp.error.canceled"), "{answers:?}");
    entry.stop().await;
}

#[tokio::test]
async fn unregister_with_calls_pending_lets_them_finish() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
    let registration = callee.register("{}", "a.b").await;
    caller.say(r#"[48,1,{},"a.b"]"#).await;
    let (invocation, _) = callee.invoked().await;
    callee.say(&format!("[66,5,{registration}]")).await;
    callee.hears(json!([67, 5])).await;
    caller.say(r#"[48,2,{},"a.b"]"#).await;
    assert_eq!(caller.hear().await[4], json!("wamp.error.no_such_procedure"));
    callee.say(&format!("[70,{invocation},{{}},[1]]")).await;
    assert_eq!(caller.hear().await[3], json!([1]));
    entry.stop().await;
}

#[tokio::test]
async fn a_shared_callee_that_is_unavailable_is_passed_over() {
    let entry = Entry::start().await;
    let (mut one, mut two) = (entry.plain().await, entry.plain().await);
    let shared = r#"{"invoke":"roundrobin"}"#;
    one.register(shared, "a.b").await;
    two.register(shared, "a.b").await;
    let mut caller = entry.plain().await;
    caller.say(r#"[48,1,{},"a.b",[7]]"#).await;
    let (invocation, arguments) = one.invoked().await;
    assert_eq!(arguments, json!([7]));
    one.say(&format!(r#"[8,68,{invocation},{{}},"wamp.error.unavailable"]"#)).await;
    let (invocation, arguments) = two.invoked().await;
    assert_eq!(arguments, json!([7]));
    two.say(&format!("[70,{invocation},{{}},[8]]")).await;
    assert_eq!(caller.hear().await[3], json!([8]));
    entry.stop().await;
}
