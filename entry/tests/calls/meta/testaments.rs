//! Testaments: `wamp.session.add_testament` and `flush_testaments`.

use serde_json::json;

use crate::{Entry, Peer};

const ADD: &str = "wamp.session.add_testament";
const FLUSH: &str = "wamp.session.flush_testaments";

/// The arguments of the next EVENT.
async fn event(peer: &mut Peer) -> (serde_json::Value, serde_json::Value) {
    let event = peer.hear().await;
    assert_eq!(event[0], 36, "{event}");
    (event[4].clone(), event[5].clone())
}

async fn left(entry: &Entry) -> Peer {
    let mut peer = entry.client().await;
    for (arguments, number) in [
        (r#"["last.words",["destroyed 1"],{"k":[1]}]"#, 1),
        (r#"["last.words",["detached 1"],{}],{"scope":"detached"}"#, 2),
        (r#"["last.words",["destroyed 2"],{},null,"destroyed"]"#, 3),
        (r#"["last.words"],{"scope":"detached","publish_options":{"acknowledge":true}}"#, 4),
    ] {
        assert_eq!(peer.asks(ADD, arguments).await, number, "{arguments}");
    }
    peer
}

async fn hears_last_words(heir: &mut Peer) {
    for (args, kwargs) in [
        (json!(["detached 1"]), json!(null)),
        (json!([]), json!(null)),
        (json!(["destroyed 1"]), json!({"k": [1]})),
        (json!(["destroyed 2"]), json!(null)),
    ] {
        let (of_args, of_kwargs) = event(heir).await;
        let of_args = if of_args.is_null() { json!([]) } else { of_args };
        assert_eq!((of_args, of_kwargs), (args, kwargs));
    }
}

#[tokio::test]
async fn testaments_are_published_at_every_end_detached_first() {
    let entry = Entry::start().await;
    let mut heir = entry.client().await;
    heir.subscribe("{}", "last.words").await;
    left(&entry).await.cut();
    hears_last_words(&mut heir).await;
    left(&entry).await.leave().await;
    hears_last_words(&mut heir).await;
    let victim = left(&entry).await;
    let mut killer = entry.plain().await;
    killer.asks("wamp.session.kill", &format!("[{}]", victim.session)).await;
    hears_last_words(&mut heir).await;
    // Once each.
    heir.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn what_is_left_when_the_entry_stops_is_stored() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = |config: &mut vixen_runtime::config::Config| {
        config.cluster.data_dir = dir.path().to_owned();
    };
    let entry = Entry::with(config).await;
    let _open = left(&entry).await;
    entry.stop().await;
    let entry = Entry::with(config).await;
    let mut heir = entry.client().await;
    heir.subscribe(r#"{"after":0}"#, "last.words").await;
    hears_last_words(&mut heir).await;
    entry.stop().await;
}

#[tokio::test]
async fn testaments_are_flushed_by_scope_with_their_number_as_result() {
    let entry = Entry::start().await;
    let mut heir = entry.client().await;
    heir.subscribe("{}", "last.words").await;
    let mut peer = left(&entry).await;
    assert_eq!(peer.asks(FLUSH, "").await, 2, "destroyed ones");
    assert_eq!(peer.asks(FLUSH, "").await, 0);
    assert_eq!(peer.asks(FLUSH, r#"[],{"scope":"detached"}"#).await, 2);
    peer.asks(ADD, r#"["last.words",["after"],{}]"#).await;
    peer.leave().await;
    assert_eq!(event(&mut heir).await.0, json!(["after"]));
    entry.stop().await;
}

#[tokio::test]
async fn what_is_no_testament_is_refused() {
    let entry = Entry::with(|config| {
        config.limits.calls.testaments_per_session_max = 1;
        config.limits.calls.testaments_bytes_per_session_max = 200;
    })
    .await;
    let mut peer = entry.plain().await;
    for (arguments, error) in [
        (r#"["a.b",[],{}],{"scope":"bogus"}"#, "wamp.error.testament_error"),
        (r#"["a.b",[],{}],{"scope":7}"#, "wamp.error.testament_error"),
        ("[]", "wamp.error.invalid_argument"),
        (r#"["a.b",{},[]]"#, "wamp.error.invalid_argument"),
        (r#"["a.b",[],{}],{"publish_options":{"exclude":7}}"#, "wamp.error.invalid_argument"),
        (r#"["a..b",[],{}]"#, "wamp.error.invalid_uri"),
        (r#"["wamp.a",[],{}]"#, "wamp.error.invalid_uri"),
    ] {
        assert_eq!(peer.is_refused(ADD, arguments).await, error, "{arguments}");
    }
    let error = peer.is_refused(FLUSH, r#"["bogus"]"#).await;
    assert_eq!(error, "wamp.error.testament_error");
    let too_many = "vixen.error.too_many_testaments";
    let long = format!(r#"["a.b",["{}"]]"#, "7".repeat(200));
    assert_eq!(peer.is_refused(ADD, &long).await, too_many);
    assert_eq!(peer.asks(ADD, r#"["a.b"]"#).await, 1);
    assert_eq!(peer.is_refused(ADD, r#"["a.b"]"#).await, too_many);
    entry.stop().await;
}

#[tokio::test]
async fn all_serializers_leave_testaments() {
    let entry = Entry::start().await;
    let mut heir = entry.client().await;
    heir.subscribe("{}", "last.words").await;
    for subprotocol in ["wamp.2.json", "wamp.2.msgpack", "wamp.2.cbor"] {
        let mut peer = entry.join(subprotocol, r#"{"roles":{"caller":{}}}"#).await;
        let arguments = format!(r#"["last.words",["{subprotocol}"],{{"k":1}}]"#);
        peer.asks(ADD, &arguments).await;
        peer.leave().await;
        assert_eq!(event(&mut heir).await, (json!([subprotocol]), json!({"k": 1})));
    }
    entry.stop().await;
}
