//! What one client says does not let it in, and keeps nobody else out.

use serde_json::json;

use super::{REALM, asked, denied, guard, guest, realms_of, start, trusted};

#[tokio::test]
async fn options_that_nobody_knows_go_to_no_authorizer() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    let mut guest = guest(&entry).await;
    let (deep, large) = ("[".repeat(10_000) + &"]".repeat(10_000), "x".repeat(500_000));
    guest.say(&format!(r#"[48,1,{{"a":{deep},"timeout":9000,"b":"{large}"}},"a.c"]"#)).await;
    asked(&mut guard, ("call", "a.c", json!({"timeout": 9000})), "false").await;
    guest.hears(denied(48, 1, "call")).await;
    // What is known is bounded: it is answered, and nobody is asked.
    let many = "123456789,".repeat(999) + "1";
    let text = "the options have more than 4096 bytes, as many as the authorizer of a role is told";
    guest.say(&format!(r#"[16,2,{{"acknowledge":true,"eligible":[{many}]}},"a.b"]"#)).await;
    guest.hears(json!([8, 16, 2, {}, "wamp.error.invalid_argument", [text]])).await;
    let rkey = "k".repeat(5_000);
    guest.say(&format!(r#"[48,3,{{"rkey":"{rkey}"}},"a.c"]"#)).await;
    guest.hears(json!([8, 48, 3, {}, "wamp.error.invalid_argument", [text]])).await;
    guard.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn what_a_testament_says_of_its_message_is_told_as_well() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    let mut guest = guest(&entry).await;
    let uri = "wamp.session.add_testament";
    let options = r#"{"publish_options":{"x":1,"eligible":[7]}}"#;
    guest.say(&format!(r#"[48,1,{{}},"{uri}",["a.b"],{options}]"#)).await;
    asked(&mut guard, ("call", uri, json!({})), "true").await;
    asked(&mut guard, ("publish", "a.b", json!({"eligible": [7]})), "false").await;
    guest.hears(denied(48, 1, "publish")).await;
    entry.stop().await;
}

#[tokio::test]
async fn an_authorizer_that_takes_one_question_at_a_time_is_asked_one_after_the_other() {
    let entry = start(REALM).await;
    let mut guard = trusted(&entry).await;
    guard.register(r#"{"concurrency":1}"#, "auth.may").await;
    let mut guests = Vec::new();
    for _ in 0..4 {
        let mut guest = guest(&entry).await;
        guest.say(r#"[48,1,{},"a.b"]"#).await;
        guests.push(guest);
    }
    for _ in 0..4 {
        let (invocation, _) = guard.invoked().await;
        // Whoever else asks waits.
        guard.hears_nothing().await;
        guard.say(&format!("[70,{invocation},{{}},[true]]")).await;
    }
    for mut guest in guests {
        let text = "no callee registered for procedure a.b";
        guest.hears(json!([8, 48, 1, {}, "wamp.error.no_such_procedure", [text]])).await;
    }
    entry.stop().await;
}

#[tokio::test]
async fn a_question_waits_no_longer_for_its_turn_than_for_its_answer() {
    let entry = start(&REALM.replace("\"10s\"", "\"300ms\"")).await;
    let mut guard = trusted(&entry).await;
    guard.register(r#"{"concurrency":1}"#, "auth.may").await;
    let (mut first, mut second) = (guest(&entry).await, guest(&entry).await);
    first.say(r#"[48,1,{},"a.b"]"#).await;
    guard.invoked().await;
    second.say(r#"[48,1,{},"a.b"]"#).await;
    first.hears(denied(48, 1, "call")).await;
    second.hears(denied(48, 1, "call")).await;
    entry.stop().await;
}

#[tokio::test]
async fn a_batch_is_taken_as_its_words_are_judged_and_none_is_lost() {
    let entry = start(&REALM.replace("\"10s\"", "\"300ms\"")).await;
    let mut guard = guard(&entry).await;
    let mut guest = entry.connect("wamp.2.json.batched").await;
    guest.say("[1,\"realm1\",{\"roles\":{\"caller\":{}}}]\u{1e}").await;
    guest.welcomed().await;
    let batch: String =
        (1..=3_000).map(|request| format!("[48,{request},{{}},\"a.b\"]\u{1e}")).collect();
    guest.say(&batch).await;
    // It never answers: whatever waits for the same is denied with the first, and the next ones ask again.
    let mut next = 1;
    while next <= 3_000 {
        for denied_one in guest.hear_all().await {
            assert_eq!(denied_one, denied(48, next, "call"));
            next += 1;
        }
    }
    let questions = guard.invoked_often().await;
    assert!((2..=12).contains(&questions), "256 words at a time: {questions} questions");
    entry.stop().await;
}

#[tokio::test]
async fn what_is_denied_uses_no_quota_up() {
    let with_quota = REALM.replace(
        "authorizer = \"auth.may\"\n",
        "authorizer = \"auth.may\"\nquota.topics-max = 1\n",
    );
    let entry = start(&with_quota.replace("\"10m\"", "\"0s\"")).await;
    let mut guard = guard(&entry).await;
    let mut guest = guest(&entry).await;
    let options = || json!({"acknowledge": true});
    for request in 1..=3 {
        let topic = format!("a.{request}");
        guest.say(&format!(r#"[16,{request},{{"acknowledge":true}},"{topic}"]"#)).await;
        asked(&mut guard, ("publish", &topic, options()), "false").await;
        guest.hears(denied(16, request, "publish")).await;
    }
    guest.say(r#"[16,4,{"acknowledge":true},"a.4"]"#).await;
    guest.say(r#"[16,5,{"acknowledge":true},"a.5"]"#).await;
    asked(&mut guard, ("publish", "a.4", options()), "true").await;
    let published = guest.hear().await;
    assert_eq!((&published[0], &published[1]), (&json!(17), &json!(4)), "{published}");
    asked(&mut guard, ("publish", "a.5", options()), "true").await;
    let refused = guest.hear().await;
    assert_eq!((&refused[2], &refused[4]), (&json!(5), &json!("vixen.error.quota_exceeded")));
    entry.stop().await;
}

#[tokio::test]
async fn what_waits_as_realms_are_read_again_is_asked_of_who_decides_by_then() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    let mut guest = guest(&entry).await;
    let other = REALM.replace(
        "uri = \"auth.may\"\n",
        "uri = \"auth.may\"\nregister = true\n[[realm.role.permission]]\nuri = \"auth.other\"\n",
    );
    let other =
        realms_of(&other.replace("authorizer = \"auth.may\"", "authorizer = \"auth.other\""));
    guest.say(r#"[48,2,{},"a.d"]"#).await;
    let (invocation, _) = guard.invoked().await;
    entry.reload(|config| config.realms = other);
    guard.say(&format!("[70,{invocation},{{}},[true]]")).await;
    // Nobody has registered the other one.
    guest.hears(denied(48, 2, "call")).await;
    entry.stop().await;
}
