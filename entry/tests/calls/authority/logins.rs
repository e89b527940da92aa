//! Who comes in by an authenticator.

use serde_json::json;

use super::{asked, denied, log_in, realms_of, start};
use crate::{Entry, Peer};

/// Users with tickets are those that `auth.login` knows, who has a secret of another kind.
const REALM: &str = r#"
[[realm]]
name = "realm1"
auth-timeout = "10s"
authenticator = "auth.login"
anonymous.role = "guard"
[[realm.role]]
name = "guard"
[[realm.role.permission]]
uri = "*"
call = true
register = true
[[realm.role.permission]]
uri = "auth.login"
register = true
[[realm.role.permission]]
uri = "auth.may"
register = true
[[realm.role]]
name = "user"
[[realm.role.permission]]
uri = "a.*"
call = true
"#;

/// Who answers.
async fn authenticator(entry: &Entry) -> Peer {
    let mut peer = entry.plain().await;
    peer.register("{}", "auth.login").await;
    peer
}

/// Answers the next question with this; its arguments.
async fn answers(authenticator: &mut Peer, answer: &str) -> serde_json::Value {
    let (invocation, arguments) = authenticator.invoked().await;
    authenticator.say(&format!("[70,{invocation},{{}},[{answer}]]")).await;
    arguments
}

#[tokio::test]
async fn a_ticket_is_judged_by_the_procedure_that_gives_the_role() {
    let entry = start(REALM).await;
    let mut authenticator = authenticator(&entry).await;
    let mut joe = log_in(&entry, "joe", "a ticket").await;
    let arguments = answers(&mut authenticator, r#""user""#).await;
    let details = joe.welcomed().await;
    let said = json!({
        "session": joe.session, "authmethod": "ticket", "authextra": {"k": 1},
        "transport": {"type": "websocket"}, "ticket": "a ticket",
    });
    assert_eq!(arguments, json!(["realm1", "joe", said]));
    assert_eq!((&details["authid"], &details["authrole"]), (&json!("joe"), &json!("user")));
    assert_eq!(details["authprovider"], "dynamic");
    joe.say(r#"[48,1,{},"b.c"]"#).await;
    joe.hears(denied(48, 1, "call")).await;

    let mut other = log_in(&entry, "joe", "a ticket").await;
    let answer = r#"{"role":"user","authid":"joseph","extra":{"x":[1]}}"#;
    answers(&mut authenticator, answer).await;
    let details = other.welcomed().await;
    assert_eq!((&details["authid"], &details["authextra"]), (&json!("joseph"), &json!({"x": [1]})));
    entry.stop().await;
}

#[tokio::test]
async fn a_no_is_a_failed_login_and_counts_as_one() {
    let realms = realms_of(REALM);
    let entry = Entry::with(|config| {
        config.access.open = false;
        config.realms = realms;
        config.limits.login_failures_max = 2;
    })
    .await;
    let mut authenticator = authenticator(&entry).await;
    let joe = log_in(&entry, "joe", "a ticket").await;
    answers(&mut authenticator, "false").await;
    assert_eq!(joe.aborted("wamp.error.authentication_denied").await, 1000);
    let joe = log_in(&entry, "joe", "a ticket").await;
    let (invocation, _) = authenticator.invoked().await;
    authenticator
        .say(&format!(r#"[8,68,{invocation},{{}},"com.example.no_such_user",["joe"]]"#))
        .await;
    assert_eq!(joe.aborted("wamp.error.authentication_denied").await, 1000);
    // Now he has to wait, each time twice as long, and nobody is asked.
    let details = json!({"roles": {"caller": {}}, "authmethods": ["ticket"], "authid": "joe"});
    loop {
        let mut joe = entry.connect("wamp.2.json").await;
        joe.say(&format!(r#"[1,"realm1",{details}]"#)).await;
        match joe.hear_or_close().await {
            Ok(challenge) => assert_eq!(challenge[0], 4, "{challenge}"),
            Err(code) => {
                assert_eq!(code, 1013);
                break;
            }
        }
        joe.say(r#"[5,"a ticket",{}]"#).await;
        answers(&mut authenticator, "false").await;
        assert_eq!(joe.aborted("wamp.error.authentication_denied").await, 1000);
    }
    authenticator.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn without_an_answer_that_may_be_nobody_comes_in() {
    let entry = start(&REALM.replace("\"10s\"", "\"200ms\"")).await;
    // Nobody has registered it. It may be there later: 1013, by which libraries come back.
    assert_eq!(log_in(&entry, "joe", "a ticket").await.closed().await, 1013);
    let mut authenticator = authenticator(&entry).await;
    for answer in [
        r#""no such role""#,
        "7",
        r#"{"role":"user","realm":"realm2"}"#,
        r#"{"role":"user","authid":""}"#,
    ] {
        let joe = log_in(&entry, "joe", "a ticket").await;
        answers(&mut authenticator, answer).await;
        assert_eq!(joe.closed().await, 1013, "{answer}");
    }
    let joe = log_in(&entry, "joe", "a ticket").await;
    authenticator.invoked().await;
    assert_eq!(joe.closed().await, 1013, "silence");
    // None of this is a failed login.
    let mut joe = log_in(&entry, "joe", "a ticket").await;
    answers(&mut authenticator, r#""user""#).await;
    joe.welcomed().await;
    entry.stop().await;
}

#[tokio::test]
async fn guesses_at_once_are_no_more_than_may_fail() {
    let realms = realms_of(REALM);
    let entry = Entry::with(|config| {
        config.access.open = false;
        config.realms = realms;
        config.limits.login_failures_max = 2;
    })
    .await;
    let mut authenticator = authenticator(&entry).await;
    let mut guesses = Vec::new();
    for ticket in 0..6 {
        guesses.push(log_in(&entry, "joe", &format!("ticket {ticket}")).await);
    }
    // Two come to a guess, and the others wait for what becomes of them.
    let (first, _) = authenticator.invoked().await;
    let (second, _) = authenticator.invoked().await;
    authenticator.hears_nothing().await;
    for invocation in [first, second] {
        authenticator.say(&format!("[70,{invocation},{{}},[false]]")).await;
    }
    let (mut denied, mut refused) = (0, 0);
    for mut guess in guesses {
        match guess.hear_or_close().await {
            Ok(abort) => {
                assert_eq!(abort[2], "wamp.error.authentication_denied", "{abort}");
                denied += 1;
            }
            Err(code) => {
                assert_eq!(code, 1013);
                refused += 1;
            }
        }
    }
    assert_eq!((denied, refused), (2, 4));
    authenticator.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn logins_at_once_that_are_good_wait_for_each_other_and_all_come_in() {
    let realms = realms_of(REALM);
    let entry = Entry::with(|config| {
        config.access.open = false;
        config.realms = realms;
        config.limits.login_failures_max = 2;
    })
    .await;
    let mut authenticator = authenticator(&entry).await;
    let mut users = Vec::new();
    for user in 0..6 {
        users.push(log_in(&entry, &format!("user{user}"), "a ticket").await);
    }
    for _ in 0..6 {
        answers(&mut authenticator, r#""user""#).await;
    }
    for mut user in users {
        user.welcomed().await;
    }
    entry.stop().await;
}

#[tokio::test]
async fn a_session_ends_with_the_authenticator_that_let_it_in() {
    let entry = start(REALM).await;
    let mut authenticator = authenticator(&entry).await;
    let mut joe = log_in(&entry, "joe", "a ticket").await;
    answers(&mut authenticator, r#""user""#).await;
    joe.welcomed().await;
    entry.reload(|_| {});
    joe.say(r#"[48,1,{},"b.c"]"#).await;
    joe.hears(denied(48, 1, "call")).await;
    let other = realms_of(&REALM.replace("auth.login", "auth.other"));
    entry.reload(|config| config.realms = other);
    let goodbye = joe.hear().await;
    assert_eq!((&goodbye[0], &goodbye[2]), (&json!(6), &json!("wamp.close.killed")));
    entry.stop().await;
}

#[tokio::test]
async fn who_has_come_in_so_is_asked_about_as_others_are() {
    let with_both =
        REALM.replace("name = \"user\"\n", "name = \"user\"\nauthorizer = \"auth.may\"\n");
    let entry = start(&with_both).await;
    let mut authenticator = authenticator(&entry).await;
    authenticator.register("{}", "auth.may").await;
    let mut joe = log_in(&entry, "joe", "a ticket").await;
    answers(&mut authenticator, r#""user""#).await;
    joe.welcomed().await;
    joe.say(r#"[48,1,{},"a.b"]"#).await;
    let details = asked(&mut authenticator, ("call", "a.b", json!({})), "false").await;
    assert_eq!((&details["authid"], &details["authprovider"]), (&json!("joe"), &json!("dynamic")));
    joe.hears(denied(48, 1, "call")).await;
    entry.stop().await;
}

#[tokio::test]
async fn who_may_not_decide_any_more_decides_nothing_with_what_is_open() {
    let entry = start(REALM).await;
    let mut authenticator = authenticator(&entry).await;
    let joe = log_in(&entry, "joe", "a ticket").await;
    let (invocation, _) = authenticator.invoked().await;
    // Another role is to decide now. What was asked is answered all the same, and that is for nothing.
    let named = "uri = \"auth.login\"\nregister = true\n";
    let without = REALM.replace(named, "uri = \"auth.login\"\ncall = true\n");
    let other =
        format!("{without}\n[[realm.role]]\nname = \"other\"\n[[realm.role.permission]]\n{named}");
    entry.reload(|config| config.realms = realms_of(&other));
    authenticator.say(&format!("[70,{invocation},{{}},[\"user\"]]")).await;
    assert_eq!(joe.closed().await, 1013);
    authenticator.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn what_one_says_that_has_left_meanwhile_is_asked_of_another() {
    let entry = start(REALM).await;
    let (mut first, mut second) = (entry.plain().await, entry.plain().await);
    let registration = first.register(r#"{"invoke":"first"}"#, "auth.login").await;
    second.register(r#"{"invoke":"first"}"#, "auth.login").await;
    let mut joe = log_in(&entry, "joe", "a ticket").await;
    let (invocation, _) = first.invoked().await;
    first.say(&format!("[66,1,{registration}]")).await;
    first.hears(json!([67, 1])).await;
    first.say(&format!("[70,{invocation},{{}},[\"guard\"]]")).await;
    answers(&mut second, r#""user""#).await;
    assert_eq!(joe.welcomed().await["authrole"], "user");
    entry.stop().await;
}

#[tokio::test]
async fn another_roles_yes_makes_nobody_who_decides() {
    // `user` is asked about at `auth.may`, and about everything; `auth.login` lets people in.
    let rules = "name = \"user\"\n[[realm.role.permission]]\nuri = \"a.*\"\ncall = true\n";
    assert!(REALM.contains(rules));
    let entry = start(&REALM.replace(rules, "name = \"user\"\nauthorizer = \"auth.may\"\n")).await;
    let mut authenticator = authenticator(&entry).await;
    authenticator.register("{}", "auth.may").await;
    let mut joe = log_in(&entry, "joe", "a ticket").await;
    answers(&mut authenticator, r#""user""#).await;
    joe.welcomed().await;
    for (request, procedure) in [(1, "auth.login"), (2, "auth.may")] {
        joe.say(&format!(r#"[64,{request},{{"force_reregister":true}},"{procedure}"]"#)).await;
        joe.hears(denied(64, request, "register")).await;
    }
    // Nobody is asked about that.
    authenticator.hears_nothing().await;
    entry.stop().await;
}
