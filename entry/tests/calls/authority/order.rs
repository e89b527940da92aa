//! What a session says keeps its order while some of it waits.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{REALM, asked, denied, guard, guest, start, trusted};

/// All in one frame, so that it is read at once.
fn batch(messages: &[&str]) -> String {
    messages.iter().map(|message| format!("{message}\u{1e}")).collect()
}

#[tokio::test]
async fn what_is_said_behind_a_word_that_waits_waits_too() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    let mut watcher = trusted(&entry).await;
    watcher.say(r#"[32,1,{"match":"prefix"},"a."]"#).await;
    assert_eq!(watcher.hear().await[0], 33);
    let mut guest = entry.connect("wamp.2.json.batched").await;
    guest.say(&batch(&[r#"[1,"realm1",{"roles":{"publisher":{},"caller":{}}}]"#])).await;
    guest.welcomed().await;
    guest.say(&batch(&[r#"[16,1,{},"a.known",[1]]"#])).await;
    asked(&mut guard, ("publish", "a.known", json!({})), "true").await;
    assert_eq!(watcher.hear().await[4], json!([1]));
    guest
        .say(&batch(&[
            r#"[16,2,{},"a.new",[2]]"#,
            r#"[16,3,{},"a.known",[3]]"#,
            r#"[16,4,{},"a.denied",[4]]"#,
            r#"[16,5,{},"a.new",[5]]"#,
            r#"[48,6,{},"nobody"]"#,
        ]))
        .await;
    // What is new is asked about at once, each thing once.
    let mut invocations = BTreeMap::new();
    for _ in 0..3 {
        let (invocation, arguments) = guard.invoked().await;
        invocations.insert(arguments[1].as_str().expect("a URI").to_owned(), invocation);
    }
    assert_eq!(invocations.keys().collect::<Vec<_>>(), ["a.denied", "a.new", "nobody"]);
    // The answers come the other way round, and nothing passes before the first of it.
    for (uri, answer) in [("nobody", "true"), ("a.denied", "false")] {
        guard.say(&format!("[70,{},{{}},[{answer}]]", invocations[uri])).await;
    }
    guard.hears_nothing().await;
    watcher.hears_nothing().await;
    guard.say(&format!("[70,{},{{}},[true]]", invocations["a.new"])).await;
    for wanted in [2, 3, 5] {
        assert_eq!(watcher.hear().await[4], json!([wanted]));
    }
    let text = "no callee registered for procedure nobody";
    guest.hears(json!([8, 48, 6, {}, "wamp.error.no_such_procedure", [text]])).await;
    entry.stop().await;
}

#[tokio::test]
async fn goodbye_comes_after_what_was_said_before() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    let mut guest = guest(&entry).await;
    guest.say(r#"[16,1,{"acknowledge":true},"a.b"]"#).await;
    guest.say(r#"[6,{},"wamp.close.normal"]"#).await;
    asked(&mut guard, ("publish", "a.b", json!({"acknowledge": true})), "false").await;
    guest.hears(denied(16, 1, "publish")).await;
    assert_eq!(guest.hear().await[0], 6);
    entry.stop().await;
}

#[tokio::test]
async fn of_many_words_that_wait_none_is_lost() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    let mut guest = guest(&entry).await;
    for request in 1..=2_000 {
        guest.say(&format!(r#"[48,{request},{{}},"p{request}"]"#)).await;
    }
    let mut asked = BTreeSet::new();
    for _ in 1..=2_000 {
        let (invocation, arguments) = guard.invoked().await;
        assert!(asked.insert(arguments[1].to_string()), "{arguments}");
        guard.say(&format!("[70,{invocation},{{}},[false]]")).await;
    }
    for request in 1..=2_000 {
        guest.hears(denied(48, request, "call")).await;
    }
    entry.stop().await;
}
