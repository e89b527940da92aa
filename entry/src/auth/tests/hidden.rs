//! What a stranger cannot find out (invariants A2 and A3).

use std::collections::BTreeSet;

use super::*;

/// A realm whose users have costs, salts and roles of their own.
const MIXED: &str = r#"
[[realm]]
name = "full"
[[realm.role]]
name = "user"
[[realm.role]]
name = "admin"
[[realm.user]]
authid = "joe"
role = "user"
ticket = "secret-of-joe"
[[realm.user]]
authid = "peter"
role = "admin"
wampcra = { secret = "ufsU4/cEeiiMPlTM5cdkZA==", salt = "00ff00ff00ff00ff", iterations = 100, keylen = 16 }
[[realm.user]]
authid = "paul"
role = "user"
wampcra = { secret = "ufsU4/cEeiiMPlTM5cdkZA==", salt = "Salt-123", iterations = 200, keylen = 16 }
[[realm.user]]
authid = "anna"
role = "user"
[realm.user.scram]
kdf = "pbkdf2"
iterations = 4096
salt = "f7d54c22dda5b178"
stored-key = "6ccd6fc58e09e5e6877c652d28d17e93b18e204dd3e10a1912859f77cd131046"
server-key = "ad5a4f3af1979abfdfefea308158561d1d219f05c56785d4bc16b00c9a2dbf33"
"#;

fn details(method: &str, authid: &str) -> String {
    format!(r#"{{"authmethods":["{method}"],"authid":"{authid}","authextra":{{"nonce":"AAAA"}}}}"#)
}

/// The fields of a challenge, without the values that differ between users.
fn form(extra: &Map<String, Value>) -> String {
    let fields = extra.iter().map(|(key, value)| match (key.as_str(), value) {
        ("challenge", Value::String(text)) => {
            format!("challenge{:?}", dict(text).keys().collect::<Vec<_>>())
        }
        ("salt", Value::String(text)) => format!("salt of {}", text.len()),
        (_, value) => format!("{key}={value}"),
    });
    fields.collect::<Vec<_>>().join(" ")
}

#[test]
fn unknown_users_are_challenged_like_known_ones_each_time_the_same_and_denied() {
    let realms = realms_of(MIXED);
    for (method, known) in
        [("ticket", "joe"), ("wampcra", "peter"), ("scram", "anna"), ("wamp-scram", "anna")]
    {
        // Nobody is like a user whom there is not: of WAMP-CRA there are two.
        let users = if method == "wampcra" { vec!["peter", "paul"] } else { vec![known] };
        let known_forms: BTreeSet<_> = users
            .iter()
            .map(|name| form(&challenged(hello(&realms, "full", &details(method, name))).0))
            .collect();
        let mut forms = BTreeSet::new();
        // `robin` and the like are nobody; the others have another method.
        for name in ["robin", "Joe", "joe ", "päule", "joe", "peter", "anna"] {
            if name == known {
                continue;
            }
            let (extra, pending) = challenged(hello(&realms, "full", &details(method, name)));
            let (again, _) = challenged(hello(&realms_of(MIXED), "full", &details(method, name)));
            assert_eq!(extra, again, "{method} {name}: the same each time and at each entry");
            forms.insert(form(&extra));
            let answer = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            let denied = authenticate(&realms, pending, answer, &Map::new());
            assert_eq!(denied, Err(Refusal::Denied), "{method} {name}");
        }
        assert!(forms.is_subset(&known_forms), "{method}: {forms:?} {known_forms:?}");
    }
}

#[test]
fn unknown_users_have_salts_of_their_own_and_costs_of_others() {
    let realms = realms_of(MIXED);
    let of = |method, name: &str| challenged(hello(&realms, "full", &details(method, name))).0;
    let names: Vec<_> = (0..64).map(|n| format!("nobody{n}")).collect();
    let salts: BTreeSet<_> =
        names.iter().map(|name| of("scram", name)["salt"].to_string()).collect();
    assert_eq!(salts.len(), names.len());
    let mut seen = BTreeSet::new();
    for name in &names {
        let extra = of("wampcra", name);
        let salt = extra["salt"].as_str().expect("a salt");
        let role = dict(extra["challenge"].as_str().expect("a text"))["authrole"].clone();
        // Like one of the two users in all that they differ in.
        if extra["iterations"] == 100 {
            assert!(salt.len() == 16 && salt.bytes().all(|b| b.is_ascii_hexdigit()), "{salt}");
            assert_eq!(role, "admin");
        } else {
            let [first, rest @ .., _, _, _] = salt.as_bytes() else { panic!("{salt}") };
            assert!(first.is_ascii_uppercase() && rest.ends_with(b"-"), "{salt}");
            assert_eq!(role, "user");
        }
        seen.insert(extra["iterations"].to_string());
    }
    assert_eq!(seen.len(), 2, "both users are looked like");
}

#[test]
fn the_method_does_not_tell_who_has_it() {
    let realms = realms_of(MIXED);
    for name in ["joe", "peter", "anna", "robin"] {
        let both = format!(r#"{{"authmethods":["wampcra","ticket"],"authid":"{name}"}}"#);
        assert_eq!(outcome(&hello(&realms, "full", &both)), "challenge wampcra", "{name}");
    }
}

#[test]
fn another_cluster_makes_up_other_salts() {
    let other = realms_at(&CLUSTER.replace("a-long-secret", "another-secret"), MIXED);
    let salt = |realms: &Realms, name| {
        challenged(hello(realms, "full", &details("scram", name))).0["salt"].clone()
    };
    let realms = realms_of(MIXED);
    assert_eq!(salt(&realms, "anna"), salt(&other, "anna"));
    assert_ne!(salt(&realms, "robin"), salt(&other, "robin"));
}

#[test]
fn nothing_shows_a_secret() {
    let realms = realms_of(FULL);
    let mut shown = format!("{realms:?}");
    for (method, name) in [("ticket", "joe"), ("wampcra", "salted"), ("scram", "anna@example.com")]
    {
        let step = hello(&realms, "full", &details(method, name));
        shown += &format!("{step:?}");
    }
    let identity = log_in(&realms, &details("ticket", "joe"), "secret-of-joe").expect("right");
    shown += &format!("{identity:?}");
    for secret in ["secret-of", "ufsU4", "6ccd6f", "ad5a4f", "[108, 205", "a-long-secret"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
