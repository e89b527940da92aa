//! What the router itself answers: one test a procedure of `wamp.`, and one for each of its rows of the table.

mod events;
mod registrations;
mod sessions;
mod subscriptions;
mod testaments;

use serde_json::{Value, json};

use crate::{Entry, Peer};

impl Peer {
    /// Calls, and returns the arguments of the RESULT.
    #[track_caller]
    fn asks(&mut self, procedure: &str, arguments: &str) -> impl Future<Output = Value> {
        let from = std::panic::Location::caller();
        async move {
            let result = self.ask(procedure, arguments).await;
            assert_eq!((&result[0], &result[2]), (&json!(50), &json!({})), "{result} at {from}");
            assert_eq!(result[3].as_array().map(Vec::len), Some(1), "{result} at {from}");
            result[3][0].clone()
        }
    }

    /// Calls, and returns the URI of the ERROR.
    #[track_caller]
    fn is_refused(&mut self, procedure: &str, arguments: &str) -> impl Future<Output = String> {
        let from = std::panic::Location::caller();
        async move {
            let error = self.ask(procedure, arguments).await;
            assert_eq!(error[0], 8, "{error} at {from}");
            error[4].as_str().expect("a URI").to_owned()
        }
    }

    async fn ask(&mut self, procedure: &str, arguments: &str) -> Value {
        let request = self.request();
        let comma = if arguments.is_empty() { "" } else { "," };
        self.say(&format!(r#"[48,{request},{{}},"{procedure}"{comma}{arguments}]"#)).await;
        let answer = self.hear().await;
        let of = if answer[0] == 8 { &answer[2] } else { &answer[1] };
        assert_eq!(of, &json!(request), "{answer}");
        answer
    }

    /// Subscribes, and returns the id.
    async fn subscribe(&mut self, options: &str, topic: &str) -> u64 {
        let request = self.request();
        self.say(&format!(r#"[32,{request},{options},"{topic}"]"#)).await;
        let subscribed = self.hear().await;
        assert_eq!((&subscribed[0], &subscribed[1]), (&json!(33), &json!(request)));
        subscribed[2].as_u64().expect("an id")
    }
}

const ALL_ROLES: &str = r#"{"roles":{"caller":{},"callee":{},"subscriber":{},"publisher":{}}}"#;

impl Entry {
    /// A session with all roles.
    async fn client(&self) -> Peer {
        self.join("wamp.2.json", ALL_ROLES).await
    }
}

#[tokio::test]
async fn a_procedure_of_wamp_that_is_none_has_the_same_error_as_any() {
    let entry = Entry::start().await;
    let mut caller = entry.plain().await;
    for procedure in ["wamp.session.nothing", "wamp.nothing", "wamp"] {
        let error = caller.ask(procedure, "").await;
        let text = format!("no callee registered for procedure {procedure}");
        assert_eq!(
            (&error[4], &error[5]),
            (&json!("wamp.error.no_such_procedure"), &json!([text]))
        );
    }
    entry.stop().await;
}

#[tokio::test]
async fn arguments_that_are_not_those_of_a_procedure_are_named() {
    let entry = Entry::start().await;
    let mut caller = entry.plain().await;
    for (procedure, arguments) in [
        ("wamp.session.get", ""),
        ("wamp.session.get", r#"["1"]"#),
        ("wamp.session.count", "[7]"),
        ("wamp.session.list", r#"[[7]]"#),
        ("wamp.session.kill_by_authid", "[]"),
        ("wamp.session.kill_all", r#"[],{"message":7}"#),
        ("wamp.session.modify_details", "[1]"),
        ("wamp.registration.get", "[1.5]"),
        ("wamp.registration.lookup", r#"["a",{"match":"bogus"}]"#),
        ("wamp.registration.match", "[null]"),
        ("wamp.subscription.lookup", r#"["a",7]"#),
        ("wamp.subscription.get", "[-1]"),
    ] {
        let error = caller.ask(procedure, arguments).await;
        assert_eq!(error[4], "wamp.error.invalid_argument", "{procedure}: {error}");
    }
    // So deep that nobody reads it.
    let deep = format!("[{}{}]", "[".repeat(500), "]".repeat(500));
    assert_eq!(caller.is_refused("wamp.session.count", &deep).await, "wamp.error.invalid_argument");
    let long = format!(r#"["{}"]"#, "a.".repeat(300));
    for procedure in ["wamp.registration.match", "wamp.subscription.match"] {
        assert_eq!(caller.is_refused(procedure, &long).await, "wamp.error.invalid_uri");
    }
    entry.stop().await;
}

#[tokio::test]
async fn all_serializers_ask_and_are_answered() {
    let entry = Entry::start().await;
    for subprotocol in ["wamp.2.json", "wamp.2.msgpack", "wamp.2.cbor"] {
        let mut caller = entry.join(subprotocol, r#"{"roles":{"caller":{}}}"#).await;
        let own = caller.session;
        assert_eq!(caller.asks("wamp.session.get", &format!("[{own}]")).await["session"], own);
        caller.leave().await;
    }
    entry.stop().await;
}
