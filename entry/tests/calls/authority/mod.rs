//! Procedures that decide, `docs/design/027-calls.md`, *Dynamic*: what sessions of a role with an authorizer may, and
//! who comes in by an authenticator.

mod bounds;
mod deciders;
mod http;
mod logins;
mod order;
mod time;
mod verdicts;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use vixen_runtime::config::{Access, Config, RealmConfig};

use crate::{Entry, Peer};

const CLUSTER: &str = r#"
cluster = { name = "test", secret = "a-long-secret", data-dir = "data", write-quorum = 1 }
sync = [{ id = "S1", lane = 0, address = "127.0.0.1:9041" }]
ndb-group = [{ member = [{ id = "D1", address = "127.0.0.1:9051" }] }]
"#;

/// Whoever comes is asked about, and `guard` is who answers. It is not asked about itself.
const REALM: &str = r#"
[[realm]]
name = "realm1"
auth-timeout = "10s"
auth-cache = "10m"
anonymous.role = "guest"
[[realm.role]]
name = "guest"
authorizer = "auth.may"
[[realm.role]]
name = "guard"
[[realm.role.permission]]
uri = "*"
call = true
register = true
publish = true
subscribe = true
[[realm.role.permission]]
uri = "auth.may"
register = true
[[realm.user]]
authid = "guard"
role = "guard"
ticket = "secret-of-guard"
"#;

fn realms_of(text: &str) -> Vec<RealmConfig> {
    let text = format!("{CLUSTER}{text}");
    let config = Config::parse(&text, Path::new("vixen.toml"), &BTreeMap::new());
    config.unwrap_or_else(|error| panic!("{error}")).realms
}

async fn start(text: &str) -> Entry {
    let realms = realms_of(text);
    Entry::with(|config| {
        config.access = Access { open: false };
        config.realms = realms;
    })
    .await
}

/// A session of `guest`.
async fn guest(entry: &Entry) -> Peer {
    let roles = r#"{"roles":{"caller":{},"callee":{},"publisher":{},"subscriber":{}}}"#;
    entry.join("wamp.2.json", roles).await
}

/// Says HELLO as somebody with a ticket, and sends it.
async fn log_in(entry: &Entry, authid: &str, ticket: &str) -> Peer {
    let mut peer = entry.connect("wamp.2.json").await;
    let details = json!({
        "roles": {"caller": {}, "callee": {}, "publisher": {}, "subscriber": {}},
        "authmethods": ["ticket"], "authid": authid, "authextra": {"k": 1},
    });
    peer.say(&format!(r#"[1,"realm1",{details}]"#)).await;
    peer.hears(json!([4, "ticket", {}])).await;
    peer.say(&json!([5, ticket, {}]).to_string()).await;
    peer
}

/// Who is trusted.
async fn trusted(entry: &Entry) -> Peer {
    let mut guard = log_in(entry, "guard", "secret-of-guard").await;
    guard.welcomed().await;
    guard
}

/// The authorizer.
async fn guard(entry: &Entry) -> Peer {
    let mut guard = trusted(entry).await;
    guard.register("{}", "auth.may").await;
    guard
}

/// The guard is asked exactly this about the options, and answers so.
#[track_caller]
fn asked<'a>(
    guard: &'a mut Peer,
    (act, uri, options): (&'a str, &'a str, Value),
    answer: &'a str,
) -> impl Future<Output = Value> {
    let from = std::panic::Location::caller();
    async move {
        let (invocation, arguments) = guard.invoked().await;
        assert_eq!(arguments[1], uri, "{arguments} at {from}");
        assert_eq!((&arguments[2], &arguments[3]), (&json!(act), &options), "at {from}");
        guard.say(&format!("[70,{invocation},{{}},[{answer}]]")).await;
        arguments[0].clone()
    }
}

/// What is said of what may not be.
fn denied(kind: u64, request: u64, act: &str) -> Value {
    let text = match act {
        "publish" => "publish to this topic",
        "subscribe" => "subscribe this topic",
        "call" => "call this procedure",
        _ => "register this procedure",
    };
    let text = format!("the role of this session may not {text}");
    json!([8, kind, request, {}, "wamp.error.not_authorized", [text]])
}
