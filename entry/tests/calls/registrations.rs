//! Who is callee of what.

use serde_json::json;

use crate::{Entry, Peer};

async fn refused(peer: &mut Peer, options: &str, procedure: &str) -> String {
    refused_with_text(peer, options, procedure).await.0
}

async fn refused_with_text(peer: &mut Peer, options: &str, procedure: &str) -> (String, String) {
    let request = peer.request();
    peer.say(&format!(r#"[64,{request},{options},"{procedure}"]"#)).await;
    let error = peer.hear().await;
    assert_eq!(
        (&error[0], &error[1], &error[2]),
        (&json!(8), &json!(64), &json!(request)),
        "{error}"
    );
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    (text(&error[4]), text(&error[5][0]))
}

const EXISTS: &str = "wamp.error.procedure_already_exists";
const OTHER_POLICY: &str = "wamp.error.procedure_exists_with_different_invocation_policy";

#[tokio::test]
async fn policies_and_their_errors() {
    let entry = Entry::start().await;
    let (mut one, mut two) = (entry.plain().await, entry.plain().await);
    one.register("{}", "single").await;
    assert_eq!(refused(&mut one, "{}", "single").await, EXISTS);
    assert_eq!(refused(&mut two, "{}", "single").await, EXISTS);
    assert_eq!(refused(&mut two, r#"{"invoke":"roundrobin"}"#, "single").await, EXISTS);
    let shared = r#"{"invoke":"roundrobin"}"#;
    let id = one.register(shared, "shared").await;
    assert_eq!(refused(&mut two, r#"{"invoke":"first"}"#, "shared").await, OTHER_POLICY);
    assert_eq!(refused(&mut two, "{}", "shared").await, OTHER_POLICY);
    // Each says how it stands, which the other side has to do likewise.
    let (_, text) = refused_with_text(&mut two, shared, "single").await;
    assert!(
        text.contains("single is registered already, with invoke=single: by one callee"),
        "{text}"
    );
    let (_, text) = refused_with_text(&mut two, r#"{"invoke":"first"}"#, "shared").await;
    assert!(text.ends_with("with another invocation policy, invoke=roundrobin"), "{text}");
    assert_eq!(one.register(shared, "shared").await, id, "once in it");
    assert_eq!(two.register(shared, "shared").await, id);
    // Another match is a registration of its own.
    assert_ne!(two.register(r#"{"match":"prefix"}"#, "single").await, id);
    entry.stop().await;
}

#[tokio::test]
async fn round_robin_begins_with_the_first_and_is_not_reset_when_one_leaves() {
    let entry = Entry::start().await;
    let mut callees = Vec::new();
    for _ in 0..3 {
        let mut callee = entry.plain().await;
        callee.register(r#"{"invoke":"roundrobin"}"#, "a.b").await;
        callees.push(callee);
    }
    let mut caller = entry.plain().await;
    for (request, turn) in [(1, 0), (2, 1)] {
        caller.say(&format!(r#"[48,{request},{{}},"a.b"]"#)).await;
        callees[turn].yields("[]").await;
        assert_eq!(caller.hear().await[1], json!(request));
    }
    // Whose turn it was last, and after whom it goes on all the same.
    callees.remove(1).leave().await;
    for (request, turn) in [(3, 1), (4, 0), (5, 1)] {
        caller.say(&format!(r#"[48,{request},{{}},"a.b"]"#)).await;
        callees[turn].yields("[]").await;
        assert_eq!(caller.hear().await[1], json!(request));
    }
    entry.stop().await;
}

#[tokio::test]
async fn first_and_last_are_by_the_order_of_registering() {
    let entry = Entry::start().await;
    for (policy, wanted) in [("first", 0), ("last", 2)] {
        let mut callees = Vec::new();
        for _ in 0..3 {
            let mut callee = entry.plain().await;
            callee.register(&format!(r#"{{"invoke":"{policy}"}}"#), policy).await;
            callees.push(callee);
        }
        let mut caller = entry.plain().await;
        caller.say(&format!(r#"[48,1,{{}},"{policy}"]"#)).await;
        callees[wanted].yields("[]").await;
        caller.hear().await;
        callees.remove(wanted).leave().await;
        caller.say(&format!(r#"[48,2,{{}},"{policy}"]"#)).await;
        callees[if policy == "first" { 0 } else { 1 }].yields("[]").await;
        caller.hear().await;
    }
    entry.stop().await;
}

#[tokio::test]
async fn match_order_and_the_procedure_in_details() {
    let entry = Entry::start().await;
    let mut caller = entry.plain().await;
    let mut callee = entry.plain().await;
    let mut id = std::collections::BTreeMap::new();
    for (options, uri) in [
        ("{}", "a.b.c"),
        (r#"{"match":"prefix"}"#, "a"),
        (r#"{"match":"prefix"}"#, "a.b"),
        (r#"{"match":"wildcard"}"#, "x..c.d"),
        (r#"{"match":"wildcard"}"#, "x.b..d"),
        (r#"{"match":"wildcard"}"#, "a.b."),
    ] {
        id.insert(uri, callee.register(options, uri).await);
    }
    for (request, called, by) in [
        (1, "a.b.c", "a.b.c"),
        // In characters, and before wildcards.
        (2, "a.bb", "a.b"),
        (3, "a.b.x", "a.b"),
        (4, "a.c", "a"),
        (5, "x.b.c.d", "x.b..d"),
        (6, "x.y.c.d", "x..c.d"),
    ] {
        caller.say(&format!(r#"[48,{request},{{}},"{called}"]"#)).await;
        let details = if called == by { json!({}) } else { json!({"procedure": called}) };
        callee.hears(json!([68, request, id[by], details])).await;
        callee.say(&format!("[70,{request},{{}}]")).await;
        assert_eq!(caller.hear().await[1], json!(request));
    }
    entry.stop().await;
}

#[tokio::test]
async fn unregister_of_what_is_not_ones_own_is_no_such_registration() {
    let entry = Entry::start().await;
    let (mut one, mut two) = (entry.plain().await, entry.plain().await);
    let registration = one.register("{}", "a.b").await;
    for id in [registration, 4711] {
        two.say(&format!("[66,1,{id}]")).await;
        let error = two.hear().await;
        let wanted = (&json!(66), &json!("wamp.error.no_such_registration"));
        assert_eq!((&error[1], &error[4]), wanted, "{error}");
    }
    one.say(&format!("[66,1,{registration}]")).await;
    one.hears(json!([67, 1])).await;
    entry.stop().await;
}

#[tokio::test]
async fn force_reregister_unseats_all_and_tells_those_who_announced_it() {
    let entry = Entry::start().await;
    let (mut told, mut untold) = (entry.full().await, entry.plain().await);
    let shared = r#"{"invoke":"roundrobin"}"#;
    let before = told.register(shared, "a.b").await;
    assert_eq!(untold.register(shared, "a.b").await, before);
    let mut caller = entry.plain().await;
    caller.say(r#"[48,1,{},"a.b"]"#).await;
    let (invocation, _) = told.invoked().await;
    let mut new = entry.plain().await;
    let after = new.register(r#"{"force_reregister":true}"#, "a.b").await;
    assert!(after > before, "ids rise with each new holder");
    let reason = "wamp.error.unregistered";
    told.hears(json!([67, 0, {"registration": before, "reason": reason}])).await;
    untold.hears_nothing().await;
    // What was with it is answered.
    told.say(&format!("[70,{invocation},{{}},[1]]")).await;
    assert_eq!(caller.hear().await[3], json!([1]));
    caller.say(r#"[48,2,{},"a.b"]"#).await;
    new.yields("[2]").await;
    assert_eq!(caller.hear().await[3], json!([2]));
    entry.stop().await;
}

#[tokio::test]
async fn registrations_end_with_their_session() {
    let entry = Entry::start().await;
    let mut caller = entry.plain().await;
    for is_cut in [true, false] {
        let mut callee = entry.plain().await;
        callee.register("{}", "a.b").await;
        if is_cut {
            callee.cut();
        } else {
            // Once it has its GOODBYE it is not called any more.
            callee.leave().await;
            let request = caller.request();
            caller.say(&format!(r#"[48,{request},{{}},"a.b"]"#)).await;
            let error = caller.hear().await[4].clone();
            let is_left = ["wamp.error.no_available_callee", "wamp.error.no_such_procedure"];
            assert!(is_left.iter().any(|left| error == *left), "{error}");
        }
        // Until the entry has seen it, and the end of the session has its place in the order.
        loop {
            let request = caller.request();
            caller.say(&format!(r#"[48,{request},{{"timeout":1}},"a.b"]"#)).await;
            if caller.hear().await[4] == json!("wamp.error.no_such_procedure") {
                break;
            }
        }
    }
    entry.stop().await;
}

#[tokio::test]
async fn registrations_of_a_session_are_bounded() {
    let entry = Entry::with(|config| config.limits.calls.registrations_per_session_max = 2).await;
    let mut callee = entry.plain().await;
    callee.register("{}", "a").await;
    callee.register("{}", "b").await;
    assert_eq!(refused(&mut callee, "{}", "c").await, "vixen.error.too_many_registrations");
    entry.stop().await;
}

#[tokio::test]
async fn calls_of_a_session_are_bounded() {
    let entry = Entry::with(|config| config.limits.calls.per_session_max = 2).await;
    let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
    callee.register("{}", "a.b").await;
    for request in 1..=3 {
        caller.say(&format!(r#"[48,{request},{{}},"a.b"]"#)).await;
    }
    let error = caller.hear().await;
    assert_eq!((&error[2], &error[4]), (&json!(3), &json!("vixen.error.too_many_calls")));
    entry.stop().await;
}

#[tokio::test]
async fn a_procedure_of_one_realm_is_none_of_another() {
    let entry = Entry::start().await;
    let roles = r#"{"roles":{"caller":{},"callee":{}}}"#;
    let (mut here, mut there) =
        (entry.plain().await, entry.join_realm("realm2", "wamp.2.json", roles).await);
    here.register("{}", "a.b").await;
    there.say(r#"[48,1,{},"a.b"]"#).await;
    assert_eq!(there.hear().await[4], json!("wamp.error.no_such_procedure"));
    there.register("{}", "a.b").await;
    for _ in 0..2 {
        here.say(r#"[48,2,{},"a.b",["own"]]"#).await;
        let (invocation, arguments) = here.invoked().await;
        assert_eq!(arguments, json!(["own"]));
        here.say(&format!("[70,{invocation},{{}}]")).await;
        assert_eq!(here.hear().await[1], json!(2));
        there.hears_nothing().await;
        std::mem::swap(&mut here, &mut there);
    }
    entry.stop().await;
}
