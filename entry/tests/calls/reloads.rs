//! What becomes of open calls as the realms are read again: `docs/security.md`, *go on with what one may not any more*.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use vixen_runtime::config::{Access, Config, RealmConfig};

use crate::{Entry, Peer};

const REALM: &str = r#"
cluster = { name = "test", secret = "a-long-secret", data-dir = "data", write-quorum = 1 }
sync = [{ id = "S1", lane = 0, address = "127.0.0.1:9041" }]
ndb-group = [{ member = [{ id = "D1", address = "127.0.0.1:9051" }] }]
[[realm]]
name = "realm1"
anonymous.role = "guest"
[[realm.role]]
name = "guest"
[[realm.role.permission]]
uri = "a.*"
call = true
register = true
"#;

fn realms_of(text: &str) -> Vec<RealmConfig> {
    let config = Config::parse(text, Path::new("vixen.toml"), &BTreeMap::new());
    config.unwrap_or_else(|error| panic!("{error}")).realms
}

/// A caller and a callee, with a call that gives progress as invocation 1, and one that does not as 2.
async fn with_calls() -> (Entry, Peer, Peer, u64) {
    let entry = Entry::with(|config| {
        config.access = Access { open: false };
        config.realms = realms_of(REALM);
    })
    .await;
    let (mut caller, mut callee) = (entry.plain().await, entry.full().await);
    let registration = callee.register("{}", "a.b").await;
    caller.say(r#"[48,1,{"receive_progress":true},"a.b"]"#).await;
    caller.say(r#"[48,2,{},"a.b"]"#).await;
    callee.hears(json!([68, 1, registration, {"receive_progress": true}])).await;
    callee.hears(json!([68, 2, registration, {}])).await;
    callee.say(r#"[70,1,{"progress":true},[1]]"#).await;
    let progress = caller.hear().await;
    assert_eq!((&progress[0], &progress[1]), (&json!(50), &json!(1)), "{progress}");
    (entry, caller, callee, registration)
}

/// What is to bring one answer brings it, and progress comes no more.
async fn the_other_is_answered(caller: &mut Peer, callee: &mut Peer) {
    callee.say(r#"[70,1,{"progress":true},[2]]"#).await;
    callee.say("[70,2,{},[3]]").await;
    let result = caller.hear().await;
    assert_eq!((&result[0], &result[1], &result[3]), (&json!(50), &json!(2), &json!([3])));
}

#[tokio::test]
async fn a_progressive_call_ends_as_its_caller_may_not_call_any_more() {
    let (entry, mut caller, mut callee, _) = with_calls().await;
    entry.reload(|config| config.realms = realms_of(&REALM.replace("call = true\n", "")));
    let text = "the role of this session may not call this procedure any more";
    caller.hears(json!([8, 48, 1, {}, "wamp.error.not_authorized", [text]])).await;
    callee.hears(json!([69, 1, {"mode": "killnowait"}])).await;
    the_other_is_answered(&mut caller, &mut callee).await;
    entry.stop().await;
}

#[tokio::test]
async fn a_progressive_call_ends_as_its_callee_may_not_register_any_more() {
    let (entry, mut caller, mut callee, registration) = with_calls().await;
    entry.reload(|config| config.realms = realms_of(&REALM.replace("register = true\n", "")));
    let text = "the callee may not serve this procedure any more";
    caller.hears(json!([8, 48, 1, {}, "wamp.error.canceled", [text]])).await;
    let revoked = json!({"registration": registration, "reason": "wamp.error.unregistered"});
    callee.hears(json!([67, 0, revoked])).await;
    callee.hears(json!([69, 1, {"mode": "killnowait"}])).await;
    the_other_is_answered(&mut caller, &mut callee).await;
    entry.stop().await;
}

#[tokio::test]
async fn a_progressive_call_goes_on_over_a_reload_that_leaves_its_rights() {
    let (entry, mut caller, mut callee, _) = with_calls().await;
    entry.reload(|config| config.realms = realms_of(&REALM.replace("a.*", "a.b")));
    // Both have heard of it before they hear anything else.
    callee.hears_nothing().await;
    caller.hears_nothing().await;
    callee.say(r#"[70,1,{"progress":true},[2]]"#).await;
    assert_eq!(caller.hear().await[3], json!([2]));
    entry.stop().await;
}
