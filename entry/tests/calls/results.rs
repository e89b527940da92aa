//! What a caller gets.

use serde_json::json;

use crate::{Entry, Peer};

#[tokio::test]
async fn self_call_is_delivered() {
    let entry = Entry::start().await;
    let mut both = entry.plain().await;
    let registration = both.register("{}", "own.procedure").await;
    both.say(r#"[48,1,{},"own.procedure",[1],{"k":2}]"#).await;
    both.hears(json!([68, 1, registration, {}, [1], {"k": 2}])).await;
    both.say("[70,1,{},[3]]").await;
    let result = both.hear().await;
    assert_eq!((&result[0], &result[1], &result[3]), (&json!(50), &json!(1), &json!([3])));
    entry.stop().await;
}

#[tokio::test]
async fn no_such_procedure_has_the_text_of_other_routers_also_below_wamp() {
    let entry = Entry::start().await;
    let mut caller = entry.plain().await;
    for uri in ["nobody.is.here", "wamp.no.such"] {
        caller.say(&format!(r#"[48,1,{{}},"{uri}"]"#)).await;
        let text = format!("no callee registered for procedure {uri}");
        let error = "wamp.error.no_such_procedure";
        caller.hears(json!([8, 48, 1, {}, error, [text]])).await;
    }
    entry.stop().await;
}

#[tokio::test]
async fn bad_uri_is_invalid_uri_and_the_session_goes_on() {
    let entry = Entry::start().await;
    let mut caller = entry.plain().await;
    for (message, code) in [
        (r#"[48,1,{},"a b"]"#, 48),
        (r#"[48,1,{},""]"#, 48),
        (r#"[64,1,{},"a..b"]"#, 64),
        (r#"[64,1,{},"wamp.x"]"#, 64),
    ] {
        caller.say(message).await;
        let error = caller.hear().await;
        let wanted = (&json!(8), &json!(code), &json!("wamp.error.invalid_uri"));
        assert_eq!((&error[0], &error[1], &error[4]), wanted, "{error}");
    }
    caller.register("{}", "crossbar.is.free").await;
    entry.stop().await;
}

#[tokio::test]
async fn bad_option_value_aborts_with_protocol_violation_and_1002() {
    let entry = Entry::start().await;
    for message in [
        r#"[49,1,{"mode":"bogus"}]"#,
        r#"[64,1,{"invoke":"bogus"},"a.b"]"#,
        r#"[64,1,{"match":"bogus"},"a.b"]"#,
        r#"[64,1,{"concurrency":0},"a.b"]"#,
        r#"[64,1,{"concurrency":-1},"a.b"]"#,
        r#"[64,1,{"concurrency":"1"},"a.b"]"#,
        r#"[48,1,{"timeout":-1},"a.b"]"#,
        r#"[48,1,{"timeout":0.5},"a.b"]"#,
    ] {
        let mut peer = entry.plain().await;
        peer.say(message).await;
        assert_eq!(peer.aborted("wamp.error.protocol_violation").await, 1002, "{message}");
    }
    entry.stop().await;
}

#[tokio::test]
async fn a_request_id_that_is_open_is_not_used_again() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
    callee.register("{}", "a.b").await;
    caller.say(r#"[48,1,{},"a.b"]"#).await;
    callee.invoked().await;
    caller.say(r#"[48,1,{},"a.b"]"#).await;
    assert_eq!(caller.aborted("wamp.error.protocol_violation").await, 1002);
    entry.stop().await;
}

#[tokio::test]
async fn callee_error_goes_through_with_uri_and_arguments_and_empty_ones_left_off() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
    callee.register("{}", "a.b").await;
    for (sent, heard) in [
        (
            r#","my.error",[1,"x"],{"k":null}"#,
            json!([8, 48, 1, {}, "my.error", [1, "x"], {"k": null}]),
        ),
        (r#","my.error",[],{"k":1}"#, json!([8, 48, 1, {}, "my.error", [], {"k": 1}])),
        (r#","my.error",[1],{}"#, json!([8, 48, 1, {}, "my.error", [1]])),
        (r#","my.error",[],{}"#, json!([8, 48, 1, {}, "my.error"])),
        (r#","my.error""#, json!([8, 48, 1, {}, "my.error"])),
    ] {
        caller.say(r#"[48,1,{},"a.b"]"#).await;
        let (invocation, _) = callee.invoked().await;
        callee.say(&format!(r#"[8,68,{invocation},{{"x":1}}{sent}]"#)).await;
        caller.hears(heard).await;
    }
    entry.stop().await;
}

#[tokio::test]
async fn receive_progress_is_passed_on_and_progress_comes_asked_for_or_not() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
    let registration = callee.register("{}", "a.b").await;
    caller.say(r#"[48,1,{"receive_progress":true},"a.b"]"#).await;
    callee.hears(json!([68, 1, registration, {"receive_progress": true}])).await;
    callee.say("[70,1,{},[0]]").await;
    assert_eq!(caller.hear().await[3], json!([0]));
    caller.say(r#"[48,2,{},"a.b"]"#).await;
    callee.hears(json!([68, 2, registration, {}])).await;
    callee.say(r#"[70,2,{"progress":true},[1]]"#).await;
    callee.say("[70,2,{},[2]]").await;
    callee.say(r#"[70,2,{"progress":true},[3]]"#).await;
    let progress = caller.hear().await;
    assert_eq!(
        (&progress[1], &progress[2]["progress"], &progress[3]),
        (&json!(2), &json!(true), &json!([1]))
    );
    let last = caller.hear().await;
    assert_eq!((&last[1], last[2].get("progress"), &last[3]), (&json!(2), None, &json!([2])));
    caller.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn progressive_invocations_are_one_call() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.full().await);
    let registration = callee.register("{}", "a.b").await;
    caller.say(r#"[48,1,{"progress":true},"a.b",[1]]"#).await;
    callee.hears(json!([68, 1, registration, {"progress": true}, [1]])).await;
    caller.say(r#"[48,1,{},"a.b",[2]]"#).await;
    callee.hears(json!([68, 1, registration, {}, [2]])).await;
    callee.say("[70,1,{},[3]]").await;
    assert_eq!(caller.hear().await[3], json!([3]));
    entry.stop().await;
}

/// Who calls need not announce it: of the libraries, the one that can do it does not.
#[tokio::test]
async fn progressive_invocations_are_for_callees_that_announced_them() {
    let entry = Entry::start().await;
    let mut caller = entry.plain().await;
    let without = r#"{"roles":{"caller":{},
        "callee":{"features":{"progressive_call_invocations":true}}}}"#;
    let mut unable = entry.join("wamp.2.json", without).await;
    let mut plain = entry.plain().await;
    let mut able = entry.full().await;
    unable.register("{}", "unable").await;
    plain.register("{}", "plain").await;
    for callee in [&mut plain, &mut able] {
        callee.register(r#"{"invoke":"first"}"#, "shared").await;
    }
    for (request, procedure) in [(1, "unable"), (2, "plain"), (3, "wamp.session.count")] {
        caller.say(&format!(r#"[48,{request},{{"progress":true}},"{procedure}",[1]]"#)).await;
        let error = caller.hear().await;
        assert_eq!([&error[0], &error[2]], [&json!(8), &json!(request)], "{error}");
        assert_eq!(error[4], "wamp.error.feature_not_supported", "{error}");
        // The rest goes nowhere.
        caller.say(&format!(r#"[48,{request},{{}},"{procedure}",[2]]"#)).await;
    }
    caller.say(r#"[48,4,{"progress":true},"shared",[1]]"#).await;
    assert_eq!(able.invoked().await.1, json!([1]));
    caller.say(r#"[48,4,{},"shared",[2]]"#).await;
    able.yields("[3]").await;
    assert_eq!(caller.hear().await[3], json!([3]));
    for callee in [&mut plain, &mut unable] {
        callee.hears_nothing().await;
    }
    entry.stop().await;
}

/// It was given to the callee, without its arguments.
#[tokio::test]
async fn a_part_of_another_procedure_ends_the_session() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.full().await);
    callee.register("{}", "a.b").await;
    caller.say(r#"[48,1,{"progress":true},"a.b",[1]]"#).await;
    let (invocation, _) = callee.invoked().await;
    caller.say(r#"[48,1,{},"wamp.session.add_testament",["a.topic"]]"#).await;
    assert_eq!(caller.aborted("wamp.error.protocol_violation").await, 1002);
    callee.hears(json!([69, invocation, {"mode": "killnowait"}])).await;
    entry.stop().await;
}

#[tokio::test]
async fn timeout_is_in_ms_and_for_every_caller_and_nothing_comes_after() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.full().await);
    let registration = callee.register("{}", "a.b").await;
    let begun = std::time::Instant::now();
    caller.say(r#"[48,1,{"timeout":50},"a.b"]"#).await;
    callee.hears(json!([68, 1, registration, {}])).await;
    caller.hears(json!([8, 48, 1, {}, "wamp.error.timeout", ["no answer within 50 ms"]])).await;
    assert!(begun.elapsed().as_millis() >= 50);
    callee.hears(json!([69, 1, {"mode": "killnowait"}])).await;
    callee.say("[70,1,{},[1]]").await;
    caller.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn timeout_goes_to_the_callee_only_where_it_announced_and_asked_for_that() {
    let entry = Entry::start().await;
    let mut caller = entry.plain().await;
    let (mut full, mut plain) = (entry.full().await, entry.plain().await);
    let forwarded = full.register(r#"{"forward_timeout":true}"#, "forwarded").await;
    let kept = full.register("{}", "kept").await;
    let unable = plain.register(r#"{"forward_timeout":true}"#, "unable").await;
    caller.say(r#"[48,1,{"timeout":60000},"forwarded"]"#).await;
    full.hears(json!([68, 1, forwarded, {"timeout": 60000}])).await;
    caller.say(r#"[48,2,{"timeout":60000},"kept"]"#).await;
    full.hears(json!([68, 2, kept, {}])).await;
    caller.say(r#"[48,3,{"timeout":60000},"unable"]"#).await;
    plain.hears(json!([68, 1, unable, {}])).await;
    entry.stop().await;
}

#[tokio::test]
async fn results_name_the_callee_and_callers_are_named_when_they_ask() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
    let registration = callee.register("{}", "a.b").await;
    caller.say(r#"[48,1,{},"a.b"]"#).await;
    callee.hears(json!([68, 1, registration, {}])).await;
    callee.say("[70,1,{}]").await;
    let result = caller.hear().await;
    assert_eq!(
        (result.as_array().map(Vec::len), &result[2]["callee"]),
        (Some(3), &json!(callee.session))
    );
    let keys: Vec<_> = result[2].as_object().expect("a dict").keys().cloned().collect();
    assert_eq!(keys, ["callee", "callee_authid", "callee_authrole"]);
    caller.say(r#"[48,2,{"disclose_me":true},"a.b"]"#).await;
    let invocation = callee.hear().await;
    let details = invocation[3].as_object().expect("a dict");
    assert_eq!(details["caller"], json!(caller.session));
    assert_eq!(details.len(), 3);
    assert!(details.contains_key("caller_authid") && details.contains_key("caller_authrole"));
    entry.stop().await;
}

async fn one_call(caller: &mut Peer, callee: &mut Peer, request: u64) {
    caller.say(&format!(r#"[48,{request},{{}},"a.b",[{request}]]"#)).await;
    callee.yields(&format!("[{request}]")).await;
    let result = caller.hear().await;
    assert_eq!(
        (&result[0], &result[1], &result[3]),
        (&json!(50), &json!(request), &json!([request]))
    );
}

#[tokio::test]
async fn calls_of_a_session_that_come_together_are_answered_each_once() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
    callee.register("{}", "a.b").await;
    for request in 1..=20 {
        one_call(&mut caller, &mut callee, request).await;
    }
    for request in 101..=600 {
        caller.say(&format!(r#"[48,{request},{{}},"a.b",[{request}]]"#)).await;
    }
    for _ in 0..500 {
        let (invocation, arguments) = callee.invoked().await;
        callee.say(&format!("[70,{invocation},{{}},{arguments}]")).await;
    }
    for request in 101..=600 {
        let result = caller.hear().await;
        assert_eq!((&result[1], &result[3]), (&json!(request), &json!([request])));
    }
    caller.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn calls_of_a_session_keep_their_order_with_what_it_publishes_and_subscribes() {
    let entry = Entry::start().await;
    let mut one = entry.plain().await;
    let mut heard = entry.plain().await;
    heard.say(r#"[32,1,{},"a.topic"]"#).await;
    assert_eq!(heard.hear().await[0], json!(33));
    heard.register("{}", "a.b").await;
    // In one go: the subscription is younger than the first event and older than the second.
    one.say(r#"[16,1,{},"a.topic",["first"]]"#).await;
    one.say(r#"[48,2,{},"a.b"]"#).await;
    one.say(r#"[32,3,{},"a.topic"]"#).await;
    one.say(r#"[16,4,{"exclude_me":false},"a.topic",["second"]]"#).await;
    one.say(r#"[48,5,{},"nobody.is.here"]"#).await;
    let mut events = Vec::new();
    let mut was_called = false;
    while events.len() < 2 || !was_called {
        let next = heard.hear().await;
        match next[0].as_u64() {
            Some(36) => events.push(next[4][0].clone()),
            Some(68) => {
                was_called = true;
                heard.say(&format!("[70,{},{{}}]", next[1])).await;
            }
            _other => panic!("{next}"),
        }
    }
    assert_eq!(events, [json!("first"), json!("second")]);
    let (mut own, mut answers) = (Vec::new(), Vec::new());
    while own.is_empty() || answers.len() < 3 {
        let next = one.hear().await;
        match next[0].as_u64() {
            Some(36) => own.push(next[4][0].clone()),
            Some(8) => answers.push(next[2].clone()),
            _answer => answers.push(next[1].clone()),
        }
    }
    assert_eq!(own, [json!("second")]);
    answers.sort_by_key(serde_json::Value::as_u64);
    assert_eq!(answers, [json!(2), json!(3), json!(5)]);
    entry.stop().await;
}
