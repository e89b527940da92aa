//! `wamp.subscription.`

use serde_json::json;

use crate::Entry;

const NO_SUCH_SUBSCRIPTION: &str = "wamp.error.no_such_subscription";

#[tokio::test]
async fn subscriptions_are_listed_looked_up_and_matched() {
    let entry = Entry::start().await;
    let (mut one, mut two) = (entry.client().await, entry.client().await);
    let none = json!({"exact": [], "prefix": [], "wildcard": []});
    assert_eq!(one.asks("wamp.subscription.list", "").await, none);
    let exact = one.subscribe("{}", "a.b").await;
    assert_eq!(two.subscribe("{}", "a.b").await, exact, "one that is shared");
    let prefix = one.subscribe(r#"{"match":"prefix"}"#, "a").await;
    let wildcard = one.subscribe(r#"{"match":"wildcard"}"#, "x..z").await;
    let dotted = one.subscribe("{}", "q.*").await;
    // Of the router's own topics nothing is told.
    let meta = one.subscribe("{}", "wamp.session.on_join").await;
    let mut exacts = vec![exact, dotted];
    exacts.sort_unstable();
    let all = json!({"exact": exacts, "prefix": [prefix], "wildcard": [wildcard]});
    assert_eq!(two.asks("wamp.subscription.list", "").await, all);
    for (arguments, wanted) in [
        (r#"["a.b"]"#, json!(exact)),
        (r#"["a",{"match":"prefix"}]"#, json!(prefix)),
        (r#"["x..z",{"match":"wildcard"}]"#, json!(wildcard)),
        (r#"["q.*"]"#, json!(dotted)),
        (r#"["a"]"#, json!(null)),
        (r#"["wamp.session.on_join"]"#, json!(null)),
    ] {
        assert_eq!(two.asks("wamp.subscription.lookup", arguments).await, wanted, "{arguments}");
    }
    let mut both = vec![exact, prefix];
    both.sort_unstable();
    for (arguments, wanted) in [
        (r#"["a.b"]"#, json!(both)),
        (r#"["x.y.z"]"#, json!([wildcard])),
        (r#"["q.r"]"#, json!([dotted])),
        (r#"["n"]"#, json!(null)),
    ] {
        assert_eq!(two.asks("wamp.subscription.match", arguments).await, wanted, "{arguments}");
    }
    let error = two.is_refused("wamp.subscription.get", &format!("[{meta}]")).await;
    assert_eq!(error, NO_SUCH_SUBSCRIPTION);
    entry.stop().await;
}

#[tokio::test]
async fn a_subscription_has_details_and_subscribers() {
    let entry = Entry::start().await;
    let (mut one, mut two) = (entry.client().await, entry.client().await);
    let id = one.subscribe(r#"{"match":"prefix"}"#, "a.b").await;
    two.subscribe(r#"{"match":"prefix"}"#, "a.b").await;
    let of = format!("[{id}]");
    let details = one.asks("wamp.subscription.get", &of).await;
    let created = details["created"].as_str().expect("a time");
    assert!(created.starts_with("20") && created.ends_with('Z'), "{created}");
    let wanted = json!({"id": id, "created": created, "uri": "a.b", "match": "prefix"});
    assert_eq!(details, wanted);
    let mut both = vec![one.session, two.session];
    both.sort_unstable();
    assert_eq!(one.asks("wamp.subscription.list_subscribers", &of).await, json!(both));
    assert_eq!(one.asks("wamp.subscription.count_subscribers", &of).await, 2);
    two.say(&format!("[34,7,{id}]")).await;
    two.hears(json!([35, 7])).await;
    assert_eq!(one.asks("wamp.subscription.list_subscribers", &of).await, json!([one.session]));
    one.say(&format!("[34,7,{id}]")).await;
    one.hears(json!([35, 7])).await;
    for procedure in ["get", "list_subscribers", "count_subscribers"] {
        let error = one.is_refused(&format!("wamp.subscription.{procedure}"), &of).await;
        assert_eq!(error, NO_SUCH_SUBSCRIPTION, "{procedure}");
    }
    entry.stop().await;
}
