//! Events of registrations.

use serde_json::{Value, json};

use crate::{Entry, Peer};

/// The topic of the next EVENT, without what all have, and its arguments.
async fn event(peer: &mut Peer) -> (String, Value) {
    let event = peer.hear().await;
    assert_eq!(event[0], 36, "{event}");
    let topic = event[3]["topic"].as_str().expect("of a pattern");
    let name = topic.strip_prefix("wamp.registration.").expect("of registrations");
    (name.to_owned(), event[4].clone())
}

async fn watcher(entry: &Entry) -> Peer {
    let mut watcher = entry.client().await;
    watcher.subscribe(r#"{"match":"prefix"}"#, "wamp.registration.").await;
    watcher
}

#[tokio::test]
async fn registrations_are_told_as_they_come_and_go() {
    let entry = Entry::start().await;
    let mut watcher = watcher(&entry).await;
    let (mut one, mut two) = (entry.plain().await, entry.plain().await);
    let shared = r#"{"invoke":"last"}"#;
    let id = one.register(shared, "a.b").await;
    let (name, arguments) = event(&mut watcher).await;
    let created = arguments[1]["created"].clone();
    let details =
        json!({"id": id, "created": created, "uri": "a.b", "match": "exact", "invoke": "last"});
    assert_eq!((name.as_str(), &arguments), ("on_create", &json!([one.session, details])));
    let of = |session: u64, id: u64| json!([session, id]);
    assert_eq!(event(&mut watcher).await, ("on_register".to_owned(), of(one.session, id)));
    two.register(shared, "a.b").await;
    assert_eq!(event(&mut watcher).await, ("on_register".to_owned(), of(two.session, id)));
    one.say(&format!("[66,1,{id}]")).await;
    one.hears(json!([67, 1])).await;
    assert_eq!(event(&mut watcher).await, ("on_unregister".to_owned(), of(one.session, id)));
    // The session is named after a cut as well.
    let gone = two.session;
    two.cut();
    assert_eq!(event(&mut watcher).await, ("on_unregister".to_owned(), of(gone, id)));
    assert_eq!(event(&mut watcher).await, ("on_delete".to_owned(), of(gone, id)));
    // By force, and by somebody else.
    let before = one.register("{}", "c").await;
    for name in ["on_create", "on_register"] {
        assert_eq!(event(&mut watcher).await.0, name);
    }
    let after = watcher.register(r#"{"force_reregister":true}"#, "c").await;
    for (name, wanted) in [
        ("on_unregister", of(one.session, before)),
        ("on_delete", of(one.session, before)),
        ("on_create", of(watcher.session, after)),
        ("on_register", of(watcher.session, after)),
    ] {
        let (heard, arguments) = event(&mut watcher).await;
        let arguments =
            if name == "on_create" { json!([arguments[0], arguments[1]["id"]]) } else { arguments };
        assert_eq!((heard.as_str(), arguments), (name, wanted));
    }
    let removed = format!("[{after},{}]", watcher.session);
    one.asks("wamp.registration.remove_callee", &removed).await;
    assert_eq!(event(&mut watcher).await, ("on_unregister".to_owned(), of(watcher.session, after)));
    assert_eq!(event(&mut watcher).await, ("on_delete".to_owned(), of(watcher.session, after)));
    entry.stop().await;
}

#[tokio::test]
async fn of_another_realm_nothing_is_told() {
    let entry = Entry::start().await;
    let mut watcher = watcher(&entry).await;
    let roles = r#"{"roles":{"callee":{}}}"#;
    let mut other = entry.join_realm("realm2", "wamp.2.json", roles).await;
    other.register("{}", "a.b").await;
    other.leave().await;
    watcher.hears_nothing().await;
    entry.stop().await;
}
