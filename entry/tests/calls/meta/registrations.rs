//! `wamp.registration.`

use serde_json::json;

use crate::Entry;

const NO_SUCH_REGISTRATION: &str = "wamp.error.no_such_registration";

#[tokio::test]
async fn registrations_are_listed_looked_up_and_matched() {
    let entry = Entry::start().await;
    let (mut caller, mut callee) = (entry.plain().await, entry.plain().await);
    let none = json!({"exact": [], "prefix": [], "wildcard": []});
    assert_eq!(caller.asks("wamp.registration.list", "").await, none);
    let exact = callee.register("{}", "a.b").await;
    let prefix = callee.register(r#"{"match":"prefix"}"#, "a").await;
    let wildcard = callee.register(r#"{"match":"wildcard"}"#, "x..z").await;
    let all = json!({"exact": [exact], "prefix": [prefix], "wildcard": [wildcard]});
    assert_eq!(caller.asks("wamp.registration.list", "").await, all);
    for (arguments, wanted) in [
        (r#"["a.b"]"#, json!(exact)),
        (r#"["a.b",{"match":"exact"}]"#, json!(exact)),
        (r#"["a",{"match":"prefix"}]"#, json!(prefix)),
        (r#"["x..z",{"match":"wildcard"}]"#, json!(wildcard)),
        (r#"["a"]"#, json!(null)),
        (r#"["a.b",{"match":"prefix"}]"#, json!(null)),
    ] {
        assert_eq!(caller.asks("wamp.registration.lookup", arguments).await, wanted, "{arguments}");
    }
    for (arguments, wanted) in [
        (r#"["a.b"]"#, json!(exact)),
        (r#"["a.c"]"#, json!(prefix)),
        (r#"["x.y.z"]"#, json!(wildcard)),
        (r#"["n"]"#, json!(null)),
    ] {
        assert_eq!(caller.asks("wamp.registration.match", arguments).await, wanted, "{arguments}");
    }
    // What the router serves itself is nobody's.
    callee.register(r#"{"match":"prefix"}"#, "w").await;
    let own = caller.asks("wamp.registration.match", r#"["wamp.session.count"]"#).await;
    assert_eq!(own, json!(null));
    entry.stop().await;
}

#[tokio::test]
async fn a_registration_has_details_and_callees() {
    let entry = Entry::start().await;
    let (mut caller, mut one, mut two) =
        (entry.plain().await, entry.plain().await, entry.plain().await);
    let options = r#"{"invoke":"roundrobin","match":"prefix"}"#;
    let id = one.register(options, "a.b").await;
    two.register(options, "a.b").await;
    let of = format!("[{id}]");
    let details = caller.asks("wamp.registration.get", &of).await;
    let created = details["created"].as_str().expect("a time");
    assert_eq!((created.len(), &created[23..]), (24, "Z"), "to the millisecond");
    let wanted = json!({
        "id": id, "created": created, "uri": "a.b", "match": "prefix", "invoke": "roundrobin"
    });
    assert_eq!(details, wanted);
    let callees = caller.asks("wamp.registration.list_callees", &of).await;
    assert_eq!(callees, json!([one.session, two.session]), "in the order of registering");
    assert_eq!(caller.asks("wamp.registration.count_callees", &of).await, 2);
    for procedure in ["get", "list_callees", "count_callees"] {
        let error = caller.is_refused(&format!("wamp.registration.{procedure}"), "[4711]").await;
        assert_eq!(error, NO_SUCH_REGISTRATION, "{procedure}");
    }
    // Nor has another realm any of it.
    let roles = r#"{"roles":{"caller":{}}}"#;
    let mut other = entry.join_realm("realm2", "wamp.2.json", roles).await;
    assert_eq!(other.is_refused("wamp.registration.get", &of).await, NO_SUCH_REGISTRATION);
    let none = json!({"exact": [], "prefix": [], "wildcard": []});
    assert_eq!(other.asks("wamp.registration.list", "").await, none);
    entry.stop().await;
}

#[tokio::test]
async fn remove_callee_answers_null_and_tells_the_callee() {
    let entry = Entry::start().await;
    let (mut caller, mut told, mut untold) =
        (entry.plain().await, entry.full().await, entry.plain().await);
    let shared = r#"{"invoke":"roundrobin"}"#;
    let id = told.register(shared, "a.b").await;
    untold.register(shared, "a.b").await;
    let remove = "wamp.registration.remove_callee";
    let callee = |session: u64| format!("[{id},{session}]");
    assert_eq!(caller.asks(remove, &callee(told.session)).await, json!(null));
    told.hears(json!([67, 0, {"registration": id, "reason": "wamp.error.unregistered"}])).await;
    let left = caller.asks("wamp.registration.list_callees", &format!("[{id}]")).await;
    assert_eq!(left, json!([untold.session]));
    // It is in it no more.
    let error = caller.is_refused(remove, &callee(told.session)).await;
    assert_eq!(error, "wamp.error.no_such_session");
    assert_eq!(caller.asks(remove, &callee(untold.session)).await, json!(null));
    untold.hears_nothing().await;
    assert_eq!(caller.is_refused(remove, &callee(untold.session)).await, NO_SUCH_REGISTRATION);
    assert_eq!(caller.is_refused("a.b", "").await, "wamp.error.no_such_procedure");
    entry.stop().await;
}
