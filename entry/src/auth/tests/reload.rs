//! Another configuration while sessions are open.

use super::*;
use crate::auth::Method;

const TICKET: &str = r#"{"authmethods":["ticket"],"authid":"joe"}"#;

/// Whether sessions of joe (ticket) and of a guest stay, after a piece of `FULL` was replaced.
fn stay_after(from: &str, to: &str) -> (bool, bool) {
    let realms = realms_of(FULL);
    let joe = log_in(&realms, TICKET, "secret-of-joe").expect("right");
    let guest = welcomed(hello(&realms, "full", "{}"));
    assert!(realms.is_still_valid(&joe) && realms.is_still_valid(&guest));
    assert!(FULL.contains(from), "{from}");
    realms.replace(&configured(&FULL.replacen(from, to, 1)), CLOSED);
    (realms.is_still_valid(&joe), realms.is_still_valid(&guest))
}

#[test]
fn sessions_end_with_what_they_came_by() {
    let joe = "authid = \"joe\"\nrole = \"user\"";
    let table = [
        ("uri = \"a.*\"", "uri = \"b.*\"", (true, true)),
        ("secret-of-peter", "another-of-peter", (true, true)),
        ("secret-of-joe", "another-of-joe", (false, true)),
        (joe, "authid = \"jack\"\nrole = \"user\"", (false, true)),
        (joe, "authid = \"joe\"\nrole = \"guest\"", (false, true)),
        ("ticket = \"", "wampcra.secret = \"", (false, true)),
        ("anonymous.role = \"guest\"", "", (true, false)),
        ("anonymous.role = \"guest\"", "anonymous.role = \"user\"", (true, false)),
        ("name = \"full\"", "name = \"other\"", (false, false)),
    ];
    for (from, to, wanted) in table {
        assert_eq!(stay_after(from, to), wanted, "{from} -> {to}");
    }
}

#[test]
fn a_key_that_is_taken_out_ends_its_sessions_and_no_others() {
    let realms = realms_of(FULL);
    let keys = [
        "1adfc8bfe1d35616e64dffbd900096f23b066f914c8c2ffbb66f6075b96e116d",
        "6ed32739ff04a6074044ff0b0e3bfc7c856bc9d5f1d25efc57363bda0af3a8b0",
    ];
    // Pending logins have the identity that they would have.
    let sessions = keys.map(|key| {
        let details =
            format!(r#"{{"authmethods":["cryptosign"],"authextra":{{"pubkey":"{key}"}}}}"#);
        challenged(hello(&realms, "full", &details)).1.identity
    });
    assert!(sessions.iter().all(|session| session.authmethod == Method::Cryptosign));
    assert!(sessions.iter().all(|session| realms.is_still_valid(session)));
    realms.replace(&configured(&FULL.replace(&format!("\"{}\",", keys[0]), "")), CLOSED);
    assert_eq!(sessions.map(|session| realms.is_still_valid(&session)), [false, true]);
}

#[test]
fn permissions_are_those_of_the_newest_configuration() {
    let realms = realms_of(FULL);
    let joe = log_in(&realms, TICKET, "secret-of-joe").expect("right");
    let (before, version) = (realms.permissions(&joe).expect("valid"), realms.version());
    realms.clone().replace(&configured(&FULL.replace("a.*", "b.*")), CLOSED);
    let after = realms.permissions(&joe).expect("valid");
    assert!(before.publish("a.x").is_some() && before.publish("b.x").is_none());
    assert!(after.publish("a.x").is_none() && after.publish("b.x").is_some());
    assert_ne!(realms.version(), version);
}

#[test]
fn a_login_under_way_must_hold_in_the_new_configuration() {
    let realms = realms_of(FULL);
    let (_, pending) = challenged(hello(&realms, "full", TICKET));
    let same = pending.clone();
    realms.replace(&configured(&FULL.replace("a.*", "b.*")), CLOSED);
    assert!(authenticate(&realms, same, "secret-of-joe", &Map::new()).is_ok());
    realms.replace(&configured(&FULL.replace("secret-of-joe", "another-of-joe")), CLOSED);
    let late = authenticate(&realms, pending, "secret-of-joe", &Map::new());
    assert_eq!(late, Err(Refusal::Denied));
}

#[test]
fn sessions_of_open_realms_end_when_realms_are_configured() {
    let realms = realms_of("");
    let open = welcomed(hello(&realms, "full", "{}"));
    realms.replace(&configured(FULL), CLOSED);
    assert!(!realms.is_still_valid(&open), "the role is another one");
    let guest = welcomed(hello(&realms, "full", "{}"));
    realms.replace(&[], OPEN);
    assert!(!realms.is_still_valid(&guest));
    assert!(realms.is_still_valid(&open));
}

#[test]
fn without_realms_nobody_gets_in_unless_the_configuration_says_so() {
    let realms = realms_of("");
    assert!(realms.is_open() && realms.is_empty());
    realms.replace(&[], CLOSED);
    assert!(!realms.is_open());
    for details in ["{}", r#"{"authmethods":["anonymous"]}"#, TICKET] {
        assert_eq!(outcome(&hello(&realms, "full", details)), "no_such_realm", "{details}");
    }
}
