//! Logins from the outside, with configurations and HELLOs as text.

mod decisions;
mod hello;
mod hidden;
mod logins;
mod reload;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use vixen_broker::api::SessionId;
use vixen_core::tier::Tier;
use vixen_core::time::WallTime;
use vixen_runtime::config::{Access, Config, RealmConfig};

use super::stand_in::{Cost, StandIns};
use super::{Identity, Nonce, Pending, Realms, Refusal, Step};
use crate::gates::wamp::login;

const CLUSTER: &str = r#"
cluster = { name = "test", secret = "a-long-secret", data-dir = "data", write-quorum = 1 }
sync = [{ id = "S1", lane = 0, address = "127.0.0.1:9041" }]
ndb-group = [{ member = [{ id = "D1", address = "127.0.0.1:9051" }] }]
"#;

/// Realm `full`: each method, and anonymous.
const FULL: &str = r#"
[[realm]]
name = "full"
anonymous.role = "guest"
[[realm.role]]
name = "guest"
[[realm.role]]
name = "user"
[[realm.role.permission]]
uri = "a.*"
publish = true

[[realm.user]]
authid = "joe"
role = "user"
ticket = "secret-of-joe"

[[realm.user]]
authid = "peter"
role = "user"
wampcra.secret = "secret-of-peter"

[[realm.user]]
authid = "salted"
role = "user"
wampcra = { secret = "ufsU4/cEeiiMPlTM5cdkZA==", salt = "salt123", iterations = 100, keylen = 16 }

[[realm.user]]
authid = "anna@example.com"
role = "user"
[realm.user.scram]
kdf = "argon2id-13"
iterations = 4096
memory = 512
salt = "f7d54c22dda5b1780276601cd005909b"
stored-key = "6ccd6fc58e09e5e6877c652d28d17e93b18e204dd3e10a1912859f77cd131046"
server-key = "ad5a4f3af1979abfdfefea308158561d1d219f05c56785d4bc16b00c9a2dbf33"

[[realm.user]]
authid = "robot"
role = "user"
cryptosign.authorized-keys = [
  "1adfc8bfe1d35616e64dffbd900096f23b066f914c8c2ffbb66f6075b96e116d",
  "6ed32739ff04a6074044ff0b0e3bfc7c856bc9d5f1d25efc57363bda0af3a8b0",
]
"#;

const OPEN: Access = Access { open: true };
const CLOSED: Access = Access { open: false };

const NOW: WallTime = WallTime(1_403_454_985_448);
const SESSION: SessionId = SessionId(3_251_278_072_152_162);

fn configured(realms: &str) -> Vec<RealmConfig> {
    let text = format!("{CLUSTER}{realms}");
    let config = Config::parse(&text, Path::new("vixen.toml"), &BTreeMap::new());
    config.unwrap_or_else(|error| panic!("{error}")).realms
}

fn realms_of(text: &str) -> Realms {
    realms_at(CLUSTER, text)
}

/// The realms of an entry of a cluster.
fn realms_at(cluster: &str, text: &str) -> Realms {
    let config = Config::parse(cluster, Path::new("vixen.toml"), &BTreeMap::new()).expect("good");
    let secret = config.cluster.secrets.of(Tier::Entry).expect("a secret");
    Realms::with(&configured(text), OPEN, StandIns::with_cost(secret, Cost::LOW))
}

/// 0, 1, 2 and so on.
fn nonce() -> Nonce {
    Nonce(std::array::from_fn(|i| u8::try_from(i).expect("below 32")))
}

fn dict(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn hello(realms: &Realms, realm: &str, details: &str) -> Step {
    hello_with(realms, realm, &dict(details), SESSION, &nonce(), NOW)
}

fn hello_with(
    realms: &Realms,
    realm: &str,
    details: &Map<String, Value>,
    session: SessionId,
    nonce: &Nonce,
    now: WallTime,
) -> Step {
    match login::request(realm, details, session) {
        Ok(request) => realms.log_in(&request, nonce, now),
        Err(refusal) => Step::Refused(refusal),
    }
}

/// An AUTHENTICATE.
fn authenticate(
    realms: &Realms,
    pending: Pending,
    signature: &str,
    extra: &Map<String, Value>,
) -> Result<Identity, Refusal> {
    let answer = login::answer(pending.identity.authmethod, signature, extra)?;
    realms.authenticate(pending, &answer)
}

#[track_caller]
fn challenged(step: Step) -> (Map<String, Value>, Pending) {
    match step {
        Step::Challenge { challenge, pending, .. } => (login::extra_of(&challenge), *pending),
        other => panic!("no challenge: {other:?}"),
    }
}

#[track_caller]
fn welcomed(step: Step) -> Identity {
    match step {
        Step::Welcome(identity) => identity,
        other => panic!("not welcome: {other:?}"),
    }
}

/// Logs in to realm `full`.
fn log_in(realms: &Realms, details: &str, signature: &str) -> Result<Identity, Refusal> {
    let (_, pending) = challenged(hello(realms, "full", details));
    authenticate(realms, pending, signature, &Map::new())
}

/// How a HELLO is answered, in words that fit a table.
fn outcome(step: &Step) -> String {
    match step {
        Step::Welcome(identity) => format!("welcome {}", identity.authrole),
        Step::Challenge { method, .. } => format!("challenge {}", method.as_str()),
        Step::Refused(refusal) => refusal.label().to_owned(),
    }
}
