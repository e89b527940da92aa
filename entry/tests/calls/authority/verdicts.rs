//! What an authorizer is asked, and what its answers mean.

use serde_json::json;

use super::{REALM, asked, denied, guard, guest, realms_of, start, trusted};

#[tokio::test]
async fn an_authorizer_is_asked_about_each_of_the_four_and_yes_lets_it_pass() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    let mut guest = guest(&entry).await;
    guest.say(r#"[16,1,{"acknowledge":true},"a.b",[7]]"#).await;
    let options = json!({"acknowledge": true});
    let details = asked(&mut guard, ("publish", "a.b", options), "true").await;
    let wanted = json!({
        "session": guest.session, "realm": "realm1", "authid": details["authid"],
        "authrole": "guest", "authmethod": "anonymous", "authprovider": "static",
        "authextra": null, "transport": {"type": "websocket"},
    });
    assert_eq!(details, wanted);
    let published = guest.hear().await;
    assert_eq!((&published[0], &published[1]), (&json!(17), &json!(1)), "{published}");
    guest.say(r#"[32,2,{"match":"prefix"},"a."]"#).await;
    asked(&mut guard, ("subscribe", "a.", json!({"match": "prefix"})), "true").await;
    let subscribed = guest.hear().await;
    assert_eq!((&subscribed[0], &subscribed[1]), (&json!(33), &json!(2)), "{subscribed}");
    guest.say(r#"[64,3,{},"a.c"]"#).await;
    asked(&mut guard, ("register", "a.c", json!({})), r#"{"allow":true}"#).await;
    let registered = guest.hear().await;
    assert_eq!((&registered[0], &registered[1]), (&json!(65), &json!(3)), "{registered}");
    guest.say(r#"[48,4,{},"a.c",[7]]"#).await;
    asked(&mut guard, ("call", "a.c", json!({})), "true").await;
    let (invocation, arguments) = guest.invoked().await;
    assert_eq!(arguments, json!([7]));
    guest.say(&format!("[70,{invocation},{{}},[8]]")).await;
    let result = guest.hear().await;
    assert_eq!((&result[0], &result[1], &result[3]), (&json!(50), &json!(4), &json!([8])));
    entry.stop().await;
}

#[tokio::test]
async fn no_is_answered_as_a_role_that_may_not() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    let mut guest = guest(&entry).await;
    for (message, act, answer) in [
        (r#"[16,1,{"acknowledge":true},"a.b"]"#, ("publish", "a.b"), "false"),
        (r#"[32,2,{},"a.b"]"#, ("subscribe", "a.b"), "false"),
        (r#"[48,3,{},"a.b"]"#, ("call", "a.b"), r#"{"allow":false}"#),
        (r#"[64,4,{},"a.b"]"#, ("register", "a.b"), r#"{"allow":false,"cache":true}"#),
    ] {
        guest.say(message).await;
        let parsed: serde_json::Value = serde_json::from_str(message).expect("JSON");
        asked(&mut guard, (act.0, act.1, parsed[2].clone()), answer).await;
        let (kind, request) = (parsed[0].as_u64(), parsed[1].as_u64());
        let said = denied(kind.expect("a code"), request.expect("an id"), act.0);
        guest.hears(said).await;
    }
    // Without an acknowledgement nobody is told, and the session goes on.
    guest.say(r#"[16,5,{},"a.c"]"#).await;
    asked(&mut guard, ("publish", "a.c", json!({})), "false").await;
    guest.say(r#"[48,6,{},"a.b"]"#).await;
    guest.hears(denied(48, 6, "call")).await;
    entry.stop().await;
}

#[tokio::test]
async fn silence_denies_and_is_not_kept() {
    let entry = start(&REALM.replace("\"10s\"", "\"200ms\"")).await;
    let mut guard = guard(&entry).await;
    let mut guest = guest(&entry).await;
    guest.say(r#"[48,1,{},"a.b"]"#).await;
    guard.invoked().await;
    guest.hears(denied(48, 1, "call")).await;
    guest.say(r#"[48,2,{},"a.b"]"#).await;
    guard.invoked().await;
    guest.hears(denied(48, 2, "call")).await;
    entry.stop().await;
}

#[tokio::test]
async fn an_error_denies_and_so_does_what_is_no_answer_and_nobody_who_answers() {
    let entry = start(REALM).await;
    let mut guest = guest(&entry).await;
    guest.say(r#"[16,1,{"acknowledge":true},"a.b"]"#).await;
    guest.hears(denied(16, 1, "publish")).await;
    let mut guard = guard(&entry).await;
    for (request, answer) in [(2, "7"), (3, r#"{"allow":"yes"}"#), (4, "null")] {
        guest.say(&format!(r#"[48,{request},{{}},"a.b"]"#)).await;
        asked(&mut guard, ("call", "a.b", json!({})), answer).await;
        guest.hears(denied(48, request, "call")).await;
    }
    guest.say(r#"[48,5,{},"a.b"]"#).await;
    let (invocation, _) = guard.invoked().await;
    guard.say(&format!(r#"[8,68,{invocation},{{}},"my.error",[true]]"#)).await;
    guest.hears(denied(48, 5, "call")).await;
    // It leaves as it is asked.
    guest.say(r#"[48,6,{},"a.b"]"#).await;
    guard.invoked().await;
    guard.cut();
    guest.hears(denied(48, 6, "call")).await;
    entry.stop().await;
}

#[tokio::test]
async fn answers_are_kept_until_a_reload() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    let mut guest = guest(&entry).await;
    guest.say(r#"[48,1,{},"no"]"#).await;
    asked(&mut guard, ("call", "no", json!({})), "false").await;
    guest.hears(denied(48, 1, "call")).await;
    // The guard is asked once: the next thing that it hears is another question.
    guest.say(r#"[48,2,{},"no"]"#).await;
    guest.hears(denied(48, 2, "call")).await;
    guest.say(r#"[48,3,{},"other"]"#).await;
    asked(&mut guard, ("call", "other", json!({})), r#"{"allow":false,"cache":false}"#).await;
    guest.hears(denied(48, 3, "call")).await;
    guest.say(r#"[48,4,{},"other"]"#).await;
    asked(&mut guard, ("call", "other", json!({})), "false").await;
    guest.hears(denied(48, 4, "call")).await;
    entry.reload(|_| {});
    for (request, uri) in [(5, "no"), (6, "other")] {
        guest.say(&format!(r#"[48,{request},{{}},"{uri}"]"#)).await;
        asked(&mut guard, ("call", uri, json!({})), "false").await;
        guest.hears(denied(48, request, "call")).await;
    }
    // Answers are of one session.
    let mut second = super::guest(&entry).await;
    second.say(r#"[48,1,{},"no"]"#).await;
    asked(&mut guard, ("call", "no", json!({})), "false").await;
    second.hears(denied(48, 1, "call")).await;
    entry.stop().await;
}

#[tokio::test]
async fn answers_are_kept_until_the_registration_changes() {
    let entry = start(REALM).await;
    let mut first = guard(&entry).await;
    let mut guest = guest(&entry).await;
    guest.say(r#"[48,1,{},"no"]"#).await;
    asked(&mut first, ("call", "no", json!({})), "false").await;
    guest.hears(denied(48, 1, "call")).await;
    let mut second = trusted(&entry).await;
    second.register(r#"{"force_reregister":true}"#, "auth.may").await;
    guest.say(r#"[48,2,{},"no"]"#).await;
    asked(&mut second, ("call", "no", json!({})), "false").await;
    guest.hears(denied(48, 2, "call")).await;
    // What others register changes nothing.
    second.register("{}", "another.procedure").await;
    guest.say(r#"[48,3,{},"no"]"#).await;
    guest.hears(denied(48, 3, "call")).await;
    second.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn permissions_come_first_and_nobody_is_asked_about_what_they_deny() {
    let with_rules = REALM.replace(
        "authorizer = \"auth.may\"\n",
        "authorizer = \"auth.may\"\n[[realm.role.permission]]\nuri = \"a.*\"\ncall = true\n",
    );
    let entry = start(&with_rules).await;
    let mut guard = guard(&entry).await;
    let mut guest = guest(&entry).await;
    guest.say(r#"[48,1,{},"b.c"]"#).await;
    guest.hears(denied(48, 1, "call")).await;
    guest.say(r#"[48,2,{},"a.c"]"#).await;
    asked(&mut guard, ("call", "a.c", json!({})), "true").await;
    let text = "no callee registered for procedure a.c";
    guest.hears(json!([8, 48, 2, {}, "wamp.error.no_such_procedure", [text]])).await;
    entry.stop().await;
}

#[tokio::test]
async fn an_authorizer_is_not_asked_about_itself() {
    // It has an authorizer as well: itself.
    let own = REALM.replace("name = \"guard\"\n", "name = \"guard\"\nauthorizer = \"auth.may\"\n");
    let entry = start(&own).await;
    let mut guard = guard(&entry).await;
    guard.say(r#"[16,1,{"acknowledge":true},"a.b"]"#).await;
    assert_eq!(guard.hear().await[0], 17);
    // Others may not take its place, whatever it would say.
    let mut guest = guest(&entry).await;
    guest.say(r#"[64,1,{"force_reregister":true},"auth.may"]"#).await;
    guest.hears(denied(64, 1, "register")).await;
    guest.say(r#"[48,2,{},"auth.may"]"#).await;
    guest.hears(denied(48, 2, "call")).await;
    guard.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn an_authorizer_may_have_sessions_named_to_others() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    guard.register("{}", "a.c").await;
    guard.say(r#"[32,1,{},"a.b"]"#).await;
    assert_eq!(guard.hear().await[0], 33);
    let mut guest = guest(&entry).await;
    guest.say(r#"[48,1,{},"a.c"]"#).await;
    asked(&mut guard, ("call", "a.c", json!({})), r#"{"allow":true,"disclose":true}"#).await;
    let invocation = guard.hear().await;
    assert_eq!(invocation[3]["caller"], guest.session, "{invocation}");
    guest.say(r#"[16,2,{},"a.b"]"#).await;
    asked(&mut guard, ("publish", "a.b", json!({})), r#"{"allow":true,"disclose":true}"#).await;
    let event = guard.hear().await;
    assert_eq!((&event[0], &event[3]["publisher"]), (&json!(36), &json!(guest.session)));
    entry.stop().await;
}

#[tokio::test]
async fn a_testament_is_asked_about_as_a_call_and_as_a_publish() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    let mut guest = guest(&entry).await;
    let uri = "wamp.session.add_testament";
    guest.say(&format!(r#"[48,1,{{}},"{uri}",["a.b",[],{{}}]]"#)).await;
    asked(&mut guard, ("call", uri, json!({})), "true").await;
    asked(&mut guard, ("publish", "a.b", json!({})), "false").await;
    guest.hears(denied(48, 1, "publish")).await;
    entry.stop().await;
}

#[tokio::test]
async fn a_reload_that_takes_the_authorizer_away_goes_by_the_permissions() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    let mut guest = guest(&entry).await;
    guest.say(r#"[48,1,{},"a.c"]"#).await;
    // It does not answer: what waits is judged anew.
    guard.invoked().await;
    let without = REALM.replace("authorizer = \"auth.may\"\n", "");
    let without = without.replace("auth-timeout = \"10s\"\nauth-cache = \"10m\"\n", "");
    entry.reload(|config| config.realms = realms_of(&without));
    guest.hears(denied(48, 1, "call")).await;
    entry.stop().await;
}

#[tokio::test]
async fn an_authorizer_is_told_that_a_pattern_is_wanted_however_that_is_said() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    let mut guest = guest(&entry).await;
    for (request, options, uri, matching) in [
        (1, "{}", "#", "dotted"),
        (2, r#"{"match":"exact"}"#, "a.*.c", "dotted"),
        (3, r#"{"match":"wildcard"}"#, "a..c", "wildcard"),
    ] {
        guest.say(&format!(r#"[32,{request},{options},"{uri}"]"#)).await;
        asked(&mut guard, ("subscribe", uri, json!({"match": matching})), "false").await;
        guest.hears(denied(32, request, "subscribe")).await;
    }
    guest.say(r#"[64,4,{"match":"prefix","invoke":"first"},"a."]"#).await;
    let options = json!({"match": "prefix", "invoke": "first"});
    asked(&mut guard, ("register", "a.", options), "false").await;
    guest.hears(denied(64, 4, "register")).await;
    entry.stop().await;
}
