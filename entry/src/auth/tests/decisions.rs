//! Logins that a procedure decides.

use vixen_core::segment::Match;

use super::*;
use crate::auth::{Decision, Principal};

/// Realm `r`: tickets are the procedure's.
const ASKED: &str = r#"
[[realm]]
name = "r"
authenticator = "auth.login"
[[realm.role]]
name = "user"
[[realm.role.permission]]
uri = "*"
register = true
[[realm.role]]
name = "guard"
[[realm.role.permission]]
uri = "auth.login"
register = true
[[realm.user]]
authid = "guard"
role = "user"
wampcra.secret = "secret-of-guard"
"#;

const TICKET: &str = r#"{"authmethods":["ticket"],"authid":"joe"}"#;

fn pending(realms: &Realms) -> Pending {
    challenged(hello(realms, "r", TICKET)).1
}

fn is(role: &str) -> Principal {
    Principal { role: role.to_owned(), ..Principal::default() }
}

fn decided(realms: &Realms, principal: Principal) -> Result<Identity, Refusal> {
    realms.decide(pending(realms), Decision::Welcome(Box::new(principal)))
}

#[test]
fn a_method_that_no_user_has_is_the_procedures() {
    let realms = realms_of(ASKED);
    let asked = pending(&realms);
    let authenticator = asked.authenticator().expect("a procedure");
    assert_eq!(&*authenticator.procedure, "auth.login");
    assert_eq!(&*asked.name(), "joe");
    let (_, known) =
        challenged(hello(&realms, "r", r#"{"authmethods":["wampcra"],"authid":"joe"}"#));
    assert!(known.authenticator().is_none(), "users of the realm have it");
    let table = [
        (r#"{"authmethods":["ticket"]}"#, "incomplete"),
        (r#"{"authmethods":["cryptosign"]}"#, "no_matching_method"),
        ("{}", "authentication_required"),
        (r#"{"authmethods":["ticket","wampcra"],"authid":"guard"}"#, "challenge ticket"),
    ];
    for (details, wanted) in table {
        assert_eq!(outcome(&hello(&realms, "r", details)), wanted, "{details}");
    }
    // Nobody is let in by a ticket alone.
    let answer = crate::auth::Answer::of("any");
    assert_eq!(realms.authenticate(pending(&realms), &answer), Err(Refusal::NoDecision));
}

#[test]
fn who_it_is_has_a_role_of_the_realm_and_a_name() {
    let realms = realms_of(ASKED);
    let joe = decided(&realms, is("user")).expect("welcome");
    assert_eq!((&*joe.authid, &*joe.authrole, joe.authprovider), ("joe", "user", "dynamic"));
    let named = Principal { authid: Some("j".to_owned()), ..is("user") };
    assert_eq!(&*decided(&realms, named).expect("welcome").authid, "j");
    let here = Principal { realm: Some("r".to_owned()), ..is("user") };
    decided(&realms, here).expect("welcome");
    for bad in [
        is("nobody"),
        is(""),
        Principal { realm: Some("q".to_owned()), ..is("user") },
        Principal { authid: Some(String::new()), ..is("user") },
        Principal { authid: Some("a\nb".to_owned()), ..is("user") },
        Principal { authid: Some("x".repeat(257)), ..is("user") },
    ] {
        assert_eq!(decided(&realms, bad.clone()), Err(Refusal::NoDecision), "{bad:?}");
    }
    assert_eq!(realms.decide(pending(&realms), Decision::Denied), Err(Refusal::Denied));
    assert_eq!(realms.decide(pending(&realms), Decision::None), Err(Refusal::NoDecision));
}

#[test]
fn who_may_register_all_may_not_register_what_lets_others_in() {
    let realms = realms_of(ASKED);
    let may = |role| {
        let identity = decided(&realms, is(role)).expect("welcome");
        let permissions = realms.permissions(&identity).expect("a session of the realm");
        ["auth.login", "auth.other"].map(|uri| permissions.register(uri, Match::Exact).is_some())
    };
    assert_eq!((may("user"), may("guard")), ([false, true], [true, false]));
}

#[test]
fn sessions_end_with_the_procedure_that_let_them_in() {
    let after = |from: &str, to: &str| {
        let realms = realms_of(ASKED);
        let joe = decided(&realms, is("user")).expect("welcome");
        assert!(realms.is_still_valid(&joe));
        assert!(ASKED.contains(from), "{from}");
        realms.replace(&configured(&ASKED.replace(from, to)), CLOSED);
        realms.is_still_valid(&joe)
    };
    assert!(after("secret-of-guard", "another-of-guard"));
    assert!(!after("auth.login", "auth.other"));
    assert!(!after("authenticator = \"auth.login\"\n", ""));
    let renamed = "authenticator = \"auth.login\"\n[[realm.role]]\nname = \"x\"\n";
    assert!(after("authenticator = \"auth.login\"\n", renamed));
    let tickets = "secret-of-guard\"\n[[realm.user]]\nauthid = \"joe\"\nrole = \"user\"\nticket = \"ticket-of-joe";
    let of_users = ASKED.replace("authenticator = \"auth.login\"\n", "");
    let realms = realms_of(ASKED);
    let joe = decided(&realms, is("user")).expect("welcome");
    realms.replace(&configured(&of_users.replace("secret-of-guard", tickets)), CLOSED);
    assert!(!realms.is_still_valid(&joe), "tickets are of users now");
}
