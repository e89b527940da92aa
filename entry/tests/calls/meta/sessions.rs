//! `wamp.session.`

use serde_json::json;

use crate::Entry;

const NO_SUCH_SESSION: &str = "wamp.error.no_such_session";
/// Of who is not to come back as it is.
const KILLED: u16 = 1008;

#[tokio::test]
async fn sessions_are_counted_listed_and_told_of() {
    let entry = Entry::start().await;
    let (mut one, two) = (entry.plain().await, entry.plain().await);
    let mut all = vec![one.session, two.session];
    all.sort_unstable();
    assert_eq!(one.asks("wamp.session.count", "").await, 2);
    assert_eq!(one.asks("wamp.session.list", "[]").await, json!(all));
    // By their roles.
    assert_eq!(one.asks("wamp.session.count", r#"[["anonymous","x"]]"#).await, 2);
    assert_eq!(one.asks("wamp.session.count", r#"[["x"]]"#).await, 0);
    assert_eq!(one.asks("wamp.session.list", r#"[],{"filter_authroles":["x"]}"#).await, json!([]));
    let roles = format!("[{}]", json!(vec!["x"; 65]));
    assert_eq!(one.is_refused("wamp.session.count", &roles).await, "wamp.error.invalid_argument");
    let details = one.asks("wamp.session.get", &format!("[{}]", two.session)).await;
    for (key, wanted) in [
        ("session", json!(two.session)),
        ("realm", json!("realm1")),
        ("authrole", json!("anonymous")),
        ("authmethod", json!("anonymous")),
        ("authprovider", json!("static")),
        ("transport", json!({"type": "websocket"})),
    ] {
        assert_eq!(details[key], wanted, "{key} of {details}");
    }
    assert!(details["authid"].is_string());
    assert_eq!(one.is_refused("wamp.session.get", "[4711]").await, NO_SUCH_SESSION);
    entry.stop().await;
}

#[tokio::test]
async fn sessions_of_another_realm_are_none() {
    let entry = Entry::start().await;
    let roles = r#"{"roles":{"caller":{}}}"#;
    let (mut here, mut there) =
        (entry.plain().await, entry.join_realm("realm2", "wamp.2.json", roles).await);
    let other = format!("[{}]", there.session);
    assert_eq!(here.asks("wamp.session.count", "").await, 1);
    for procedure in ["wamp.session.get", "wamp.session.kill"] {
        assert_eq!(here.is_refused(procedure, &other).await, NO_SUCH_SESSION);
    }
    assert_eq!(here.asks("wamp.session.kill_all", "").await, 0);
    there.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn a_killed_session_is_over_at_once_and_told_why() {
    let entry = Entry::start().await;
    let (mut killer, mut victim) = (entry.plain().await, entry.plain().await);
    victim.register("{}", "a.b").await;
    let whom = format!("[{}]", victim.session);
    assert_eq!(killer.asks("wamp.session.kill", &whom).await, json!(null));
    // Whatever its client does: nothing of it is left.
    assert_eq!(killer.asks("wamp.session.count", "").await, 1);
    assert_eq!(killer.is_refused("wamp.session.kill", &whom).await, NO_SUCH_SESSION);
    // It is called no more, and unknown as soon as that has its place in the order.
    let mut no_callee = killer.is_refused("a.b", "").await;
    while no_callee == "wamp.error.no_available_callee" {
        no_callee = killer.is_refused("a.b", "").await;
    }
    assert_eq!(no_callee, "wamp.error.no_such_procedure");
    victim.hears(json!([6, {}, "wamp.close.killed"])).await;
    assert_eq!(victim.closed().await, KILLED);
    entry.stop().await;
}

#[tokio::test]
async fn a_kill_has_a_reason_and_a_message() {
    let entry = Entry::start().await;
    let mut killer = entry.plain().await;
    for arguments in
        [r#"],{"reason":"my.reason","message":"so it \"is\""}"#, r#","my.reason","so it \"is\""]"#]
    {
        let mut victim = entry.plain().await;
        let arguments = format!("[{}{arguments}", victim.session);
        assert_eq!(killer.asks("wamp.session.kill", &arguments).await, json!(null));
        victim.hears(json!([6, {"message": "so it \"is\""}, "my.reason"])).await;
        assert_eq!(victim.closed().await, KILLED);
    }
    let victim = entry.plain().await;
    for reason in [r#""""#, r#""a b""#, r#""a..b""#] {
        let arguments = format!(r#"[{}],{{"reason":{reason}}}"#, victim.session);
        let error = killer.is_refused("wamp.session.kill", &arguments).await;
        assert_eq!(error, "wamp.error.invalid_uri");
    }
    entry.stop().await;
}

#[tokio::test]
async fn nobody_kills_itself() {
    let entry = Entry::start().await;
    let mut one = entry.plain().await;
    let own = format!("[{}]", one.session);
    assert_eq!(one.is_refused("wamp.session.kill", &own).await, NO_SUCH_SESSION);
    let error = one.ask("wamp.session.kill", &own).await;
    let text = format!(
        "session {} is the caller's own, which it does not end in this way: it says GOODBYE",
        one.session
    );
    assert_eq!(error[5], json!([text]));
    let details = one.asks("wamp.session.get", &own).await;
    let authid = format!("[{}]", details["authid"]);
    assert_eq!(one.asks("wamp.session.kill_by_authid", &authid).await, json!([]));
    assert_eq!(one.asks("wamp.session.kill_by_authrole", r#"["anonymous"]"#).await, json!([]));
    assert_eq!(one.asks("wamp.session.kill_all", "").await, 0);
    entry.stop().await;
}

#[tokio::test]
async fn sessions_are_killed_by_who_they_are() {
    let entry = Entry::start().await;
    let mut killer = entry.plain().await;
    for by in ["authid", "authrole", "all"] {
        let (mut one, mut two) = (entry.plain().await, entry.plain().await);
        let details = killer.asks("wamp.session.get", &format!("[{}]", one.session)).await;
        let mut both = vec![one.session, two.session];
        both.sort_unstable();
        match by {
            // Of anonymous sessions each has its own.
            "authid" => {
                let authid = format!("[{}]", details["authid"]);
                let killed = killer.asks("wamp.session.kill_by_authid", &authid).await;
                assert_eq!(killed, json!([one.session]));
                let whom = format!("[{}]", two.session);
                killer.asks("wamp.session.kill", &whom).await;
            }
            "authrole" => {
                let killed = killer.asks("wamp.session.kill_by_authrole", r#"["anonymous"]"#);
                assert_eq!(killed.await, json!(both));
            }
            _all => {
                let killed = killer.asks("wamp.session.kill_all", r#"[],{"reason":"x.y"}"#).await;
                assert_eq!(killed, 2);
            }
        }
        let reason = if by == "all" { "x.y" } else { "wamp.close.killed" };
        one.hears(json!([6, {}, reason])).await;
        two.hears(json!([6, {}, reason])).await;
        assert_eq!(killer.asks("wamp.session.list", "").await, json!([killer.session]));
    }
    entry.stop().await;
}

#[tokio::test]
async fn what_a_killed_session_has_open_ends() {
    let entry = Entry::start().await;
    let (mut killer, mut caller, mut callee) =
        (entry.client().await, entry.plain().await, entry.full().await);
    callee.register("{}", "a.b").await;
    caller.say(r#"[48,1,{},"a.b"]"#).await;
    let (invocation, _) = callee.invoked().await;
    killer.subscribe("{}", "wamp.session.on_leave").await;
    let details = killer.asks("wamp.session.get", &format!("[{}]", caller.session)).await;
    let whom = format!("[{}]", caller.session);
    assert_eq!(killer.asks("wamp.session.kill", &whom).await, json!(null));
    callee.hears(json!([69, invocation, {"mode": "killnowait"}])).await;
    let left = killer.hear().await;
    assert_eq!(left[4], json!([caller.session, details["authid"], "anonymous"]), "{left}");
    // And the other way round.
    let mut caller = entry.plain().await;
    caller.say(r#"[48,1,{},"a.b"]"#).await;
    callee.invoked().await;
    killer.asks("wamp.session.kill", &format!("[{}]", callee.session)).await;
    let failed = caller.hear().await;
    assert_eq!(failed[4], "wamp.error.canceled");
    assert_eq!(failed[5], json!(["callee disconnected from in-flight request"]));
    entry.stop().await;
}

#[tokio::test]
async fn details_are_added_changed_and_taken_away() {
    let entry = Entry::start().await;
    let (mut one, two) = (entry.plain().await, entry.plain().await);
    let change = |delta: &str| format!("[{},{delta}]", two.session);
    let get = format!("[{}]", two.session);
    let modify = "wamp.session.modify_details";
    assert_eq!(one.asks(modify, &change(r#"{"x":[1],"y":"z"}"#)).await, json!(null));
    let details = one.asks("wamp.session.get", &get).await;
    assert_eq!((&details["x"], &details["y"]), (&json!([1]), &json!("z")));
    one.asks(modify, &change(r#"{"x":2,"y":null}"#)).await;
    let details = one.asks("wamp.session.get", &get).await;
    assert_eq!((&details["x"], details.get("y")), (&json!(2), None));
    // Who it is stays what it is, and there is not room for everything.
    let long = format!(r#"{{"x":"{}"}}"#, "x".repeat(5000));
    for delta in [r#"{"authrole":"admin"}"#, long.as_str()] {
        assert_eq!(one.is_refused(modify, &change(delta)).await, "wamp.error.invalid_argument");
    }
    assert_eq!(one.is_refused(modify, "[4711,{}]").await, NO_SUCH_SESSION);
    entry.stop().await;
}
