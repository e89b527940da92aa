//! Which method a HELLO leads to, and which HELLO is refused.

use proptest::prelude::*;

use super::*;
use crate::auth::Method;

const KEY: &str = "1adfc8bfe1d35616e64dffbd900096f23b066f914c8c2ffbb66f6075b96e116d";

#[test]
fn the_first_method_of_the_client_that_the_realm_has_is_taken() {
    let table = [
        ("{}", "welcome guest"),
        (r#"{"authmethods":null,"authid":null,"authextra":null}"#, "welcome guest"),
        (r#"{"authmethods":[]}"#, "welcome guest"),
        (r#"{"authmethods":["anonymous"]}"#, "welcome guest"),
        (r#"{"authmethods":["anonymous","ticket"],"authid":"joe"}"#, "welcome guest"),
        (r#"{"authmethods":["ticket","anonymous"],"authid":"joe"}"#, "challenge ticket"),
        (r#"{"authmethods":["cookie","tls","ticket"],"authid":"joe"}"#, "challenge ticket"),
        (r#"{"authmethods":["wampcra","ticket"],"authid":"joe"}"#, "challenge wampcra"),
        (r#"{"authmethods":["wampcra"],"authid":"peter","authrole":7}"#, "challenge wampcra"),
        (
            r#"{"authmethods":["scram"],"authid":"joe","authextra":{"nonce":"AAAA"}}"#,
            "challenge scram",
        ),
        (
            r#"{"authmethods":["wamp-scram"],"authid":"joe","authextra":
                {"nonce":"AAAA","channel_binding":null,"x":[{}]}}"#,
            "challenge wamp-scram",
        ),
        // Methods that are not there.
        (r#"{"authmethods":["cookie"]}"#, "no_matching_method"),
        (r#"{"authmethods":["Ticket","TICKET","ticket "]}"#, "no_matching_method"),
        (r#"{"authmethods":[""]}"#, "no_matching_method"),
        // Wrong types.
        (r#"{"authmethods":"anonymous"}"#, "malformed"),
        (r#"{"authmethods":{"0":"anonymous"}}"#, "malformed"),
        (r#"{"authmethods":[null]}"#, "malformed"),
        (r#"{"authmethods":["anonymous",7]}"#, "malformed"),
        (r#"{"authid":7}"#, "malformed"),
        (r#"{"authid":["joe"]}"#, "malformed"),
        (r#"{"authextra":"nonce"}"#, "malformed"),
        (r#"{"authextra":[]}"#, "malformed"),
        // What the method needs.
        (r#"{"authmethods":["ticket"]}"#, "incomplete"),
        (r#"{"authmethods":["ticket"],"authid":""}"#, "incomplete"),
        (r#"{"authmethods":["wampcra"],"authid":null}"#, "incomplete"),
        (r#"{"authmethods":["scram"],"authid":"joe"}"#, "incomplete"),
        (r#"{"authmethods":["scram"],"authid":"joe","authextra":{"nonce":""}}"#, "incomplete"),
        (r#"{"authmethods":["scram"],"authid":"joe","authextra":{"nonce":"a,b="}}"#, "incomplete"),
        (r#"{"authmethods":["scram"],"authid":"joe","authextra":{"nonce":"ä"}}"#, "incomplete"),
        (r#"{"authmethods":["scram"],"authid":"joe","authextra":{"nonce":7}}"#, "malformed"),
        (r#"{"authmethods":["cryptosign"]}"#, "incomplete"),
        (r#"{"authmethods":["cryptosign"],"authextra":{"pubkey":"00"}}"#, "incomplete"),
        (r#"{"authmethods":["cryptosign"],"authextra":{"pubkey":"äöü"}}"#, "incomplete"),
        (r#"{"authmethods":["cryptosign"],"authextra":{"pubkey":[1]}}"#, "malformed"),
        (
            r#"{"authmethods":["scram"],"authid":"joe","authextra":
                {"nonce":"AAAA","channel_binding":"tls-unique"}}"#,
            "channel_binding",
        ),
        (
            r#"{"authmethods":["cryptosign"],"authextra":{"channel_binding":"tls-unique"}}"#,
            "channel_binding",
        ),
        (r#"{"authmethods":["cryptosign"],"authextra":{"channel_binding":false}}"#, "malformed"),
    ];
    let realms = realms_of(FULL);
    for (details, wanted) in table {
        assert_eq!(outcome(&hello(&realms, "full", details)), wanted, "{details}");
    }
    for pubkey in [KEY.to_owned(), KEY.to_uppercase()] {
        let details =
            format!(r#"{{"authmethods":["cryptosign"],"authextra":{{"pubkey":"{pubkey}"}}}}"#);
        assert_eq!(outcome(&hello(&realms, "full", &details)), "challenge cryptosign");
    }
}

#[test]
fn long_names_and_nonces_are_refused() {
    let realms = realms_of(FULL);
    let ticket = |len: usize| {
        let authid = "x".repeat(len);
        outcome(&hello(
            &realms,
            "full",
            &format!(r#"{{"authmethods":["ticket"],"authid":"{authid}"}}"#),
        ))
    };
    assert_eq!(ticket(256), "challenge ticket");
    assert_eq!(ticket(257), "malformed");
    assert_eq!(ticket(1 << 22), "malformed");
    let scram = |len: usize| {
        let nonce = "A".repeat(len);
        let details = format!(
            r#"{{"authmethods":["scram"],"authid":"joe","authextra":{{"nonce":"{nonce}"}}}}"#
        );
        outcome(&hello(&realms, "full", &details))
    };
    assert_eq!(scram(256), "challenge scram");
    assert_eq!(scram(260), "incomplete");
}

#[test]
fn realms_that_are_not_there_are_refused() {
    let realms = realms_of(FULL);
    for realm in ["", "Full", "full.", "other", "ful", "füll"] {
        assert_eq!(outcome(&hello(&realms, realm, "{}")), "no_such_realm", "{realm}");
    }
}

#[test]
fn a_realm_without_anonymous_sessions_says_so() {
    let realms = realms_of(&FULL.replace("anonymous.role = \"guest\"", ""));
    let table = [
        ("{}", "authentication_required"),
        (r#"{"authmethods":["anonymous"]}"#, "authentication_required"),
        (r#"{"authmethods":["anonymous","cookie"]}"#, "no_matching_method"),
        (r#"{"authmethods":["anonymous","ticket"],"authid":"joe"}"#, "challenge ticket"),
    ];
    for (details, wanted) in table {
        assert_eq!(outcome(&hello(&realms, "full", details)), wanted, "{details}");
    }
}

#[test]
fn without_a_configuration_every_realm_is_open_to_everyone() {
    let realms = realms_of("");
    for realm in ["realm1", "com.example", "ünï"] {
        let identity = welcomed(hello(&realms, realm, r#"{"authid":"joe"}"#));
        assert_eq!(&*identity.realm, realm);
        assert_eq!(&*identity.authid, "0001020304050607");
        assert_eq!((&*identity.authrole, identity.authmethod), ("anonymous", Method::Anonymous));
        assert_eq!(identity.authprovider, "static");
        let permissions = realms.permissions(&identity).expect("valid");
        assert!(permissions.publish("a.b").is_some());
        assert!(permissions.subscribe("", vixen_core::segment::Match::Prefix));
    }
    let offers = r#"{"authmethods":["ticket","anonymous"],"authid":"joe"}"#;
    assert_eq!(outcome(&hello(&realms, "realm1", offers)), "welcome anonymous");
    let offers = r#"{"authmethods":["ticket"],"authid":"joe"}"#;
    assert_eq!(outcome(&hello(&realms, "realm1", offers)), "no_matching_method");
}

/// JSON values of all types, with keys and texts that logins look at.
fn json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just("anonymous"),
        Just("ticket"),
        Just("wampcra"),
        Just("scram"),
        Just("cryptosign"),
        Just("joe"),
        Just("peter"),
        Just("AAAA"),
        Just(KEY),
        Just(""),
        Just("\u{0}\u{ad}=,"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("nonce"),
        Just("pubkey"),
        Just("channel_binding"),
        Just("cbind_data"),
        Just("x"),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner, 0..4)
                .prop_map(|dict| dict.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_details_and_any_answer_get_an_answer_and_no_name(
        details in proptest::collection::btree_map(
            prop_oneof![Just("authmethods"), Just("authid"), Just("authextra"), Just("authrole")],
            json(),
            0..5,
        ),
        signature in "\\PC{0,200}",
        extra in proptest::collection::btree_map("nonce|channel_binding|cbind_data", json(), 0..3),
    ) {
        let realms = realms_of(FULL);
        let details = details.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        match hello_with(&realms, "full", &details, SESSION, &nonce(), NOW) {
            Step::Welcome(identity) => prop_assert_eq!(identity.authmethod, Method::Anonymous),
            Step::Refused(_) => {}
            Step::Challenge { pending, .. } => {
                let extra = extra.into_iter().collect();
                prop_assert!(authenticate(&realms, *pending, &signature, &extra).is_err());
            }
        }
    }
}
