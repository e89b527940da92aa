//! Logs at `trace`, the most that a filter can ask for: no ticket, payload or secret is in them.

use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use vixen_tests::harness::{
    Binaries, Cluster, ClusterOptions, NodeSetup, Tier, free_ports, get, wait_until,
};

use crate::support::SOON;

/// All that can be asked for, the dependencies by name as well.
const FILTER: &str = "trace,tungstenite=trace,tungstenite::protocol=trace,tokio_tungstenite=trace,\
                      hyper=trace,hyper::proto::h1=trace,axum=trace,rustls=trace,mio=trace";
const CLUSTER_SECRET: &str = "test-secret-123";
const TICKET: &str = "ticket-KQzV7pYwfj";
const WRONG_TICKET: &str = "ticket-wrong-W3mZ0c";
const CRA_SECRET: &str = "cra-secret-8RtYQm1x";
const SCRAM_PASSWORD: &str = "scram-password-pL4xNq";
const PAYLOAD: &str = "payload-Zt91vGhcRu";
const TOPIC: &str = "com.example.trace";

fn hmac_of(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// SCRAM's salted password, with one round.
fn salted(salt: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(SCRAM_PASSWORD.as_bytes(), salt, 1, &mut key);
    key
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A realm with a user of each method.
fn realm() -> String {
    let salt = [7; 16];
    let client_key = hmac_of(&salted(&salt), b"Client Key");
    let server_key = hmac_of(&salted(&salt), b"Server Key");
    format!(
        r#"
[[realm]]
name = "realm1"
[[realm.role]]
name = "user"
[[realm.role.permission]]
uri = "*"
publish = true
subscribe = true
[[realm.user]]
authid = "joe"
role = "user"
ticket = "{TICKET}"
[[realm.user]]
authid = "peter"
role = "user"
wampcra.secret = "{CRA_SECRET}"
[[realm.user]]
authid = "anna"
role = "user"
[realm.user.scram]
kdf = "pbkdf2"
iterations = 1
salt = "{}"
stored-key = "{}"
server-key = "{}"
"#,
        hex(&salt),
        hex(&Sha256::digest(client_key)),
        hex(&server_key)
    )
}

/// A WAMP session, or the way to one.
struct Session(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Session {
    async fn open(address: &str) -> anyhow::Result<Self> {
        let mut request = format!("ws://{address}/ws").into_client_request()?;
        let protocol = HeaderValue::from_static("wamp.2.json");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        Ok(Self(connect_async(request).await?.0))
    }

    async fn ask(&mut self, message: Value) -> anyhow::Result<Value> {
        self.0.send(message.to_string().into()).await?;
        let answer = tokio::time::timeout(SOON, self.0.next()).await?;
        let answer = answer.ok_or_else(|| anyhow::anyhow!("closed"))??;
        Ok(serde_json::from_str(answer.to_text()?)?)
    }

    /// Says HELLO; returns the `Extra` of CHALLENGE.
    async fn hello(&mut self, method: &str, authid: &str, extra: Value) -> anyhow::Result<Value> {
        let details = json!({"roles": {"publisher": {}, "subscriber": {}}, "authid": authid,
                             "authmethods": [method], "authextra": extra});
        let challenge = self.ask(json!([1, "realm1", details])).await?;
        anyhow::ensure!(challenge[0] == 4 && challenge[1] == method, "no CHALLENGE: {challenge}");
        Ok(challenge[2].clone())
    }

    async fn authenticate(&mut self, signature: &str) -> anyhow::Result<()> {
        let welcome = self.ask(json!([5, signature, {}])).await?;
        anyhow::ensure!(welcome[0] == 2, "no WELCOME: {welcome}");
        Ok(())
    }

    /// Subscribes and publishes, and gets what it has published.
    async fn publish(&mut self) -> anyhow::Result<()> {
        let subscribed = self.ask(json!([32, 1, {}, TOPIC])).await?;
        anyhow::ensure!(subscribed[0] == 33, "no SUBSCRIBED: {subscribed}");
        let options = json!({"acknowledge": true, "exclude_me": false});
        let mut seen = vec![self.ask(json!([16, 2, options, TOPIC, [PAYLOAD]])).await?];
        while seen.len() < 2 {
            let next = tokio::time::timeout(SOON, self.0.next()).await?;
            let next = next.ok_or_else(|| anyhow::anyhow!("closed"))??;
            seen.push(serde_json::from_str(next.to_text()?)?);
        }
        let has = |code: u64| seen.iter().any(|message| message[0] == code);
        anyhow::ensure!(has(17) && has(36), "not PUBLISHED and EVENT: {seen:?}");
        Ok(())
    }
}

/// Logs in by each method, right and wrong, and publishes; returns what must be in no log.
async fn log_in_and_publish(address: &str) -> anyhow::Result<Vec<String>> {
    let mut secrets = Vec::new();
    let mut session = Session::open(address).await?;
    session.hello("ticket", "joe", json!({})).await?;
    session.authenticate(TICKET).await?;
    session.publish().await?;

    let mut session = Session::open(address).await?;
    session.hello("ticket", "joe", json!({})).await?;
    let refused = session.authenticate(WRONG_TICKET).await;
    anyhow::ensure!(refused.is_err(), "the wrong ticket is taken");

    let mut session = Session::open(address).await?;
    let extra = session.hello("wampcra", "peter", json!({})).await?;
    let challenge = extra["challenge"].as_str().expect("a challenge");
    let signature = STANDARD.encode(hmac_of(CRA_SECRET.as_bytes(), challenge.as_bytes()));
    session.authenticate(&signature).await?;
    session.publish().await?;
    secrets.push(signature);

    let mut session = Session::open(address).await?;
    let nonce = "cm9zZWJ1ZA==";
    let extra = session.hello("wamp-scram", "anna", json!({"nonce": nonce})).await?;
    let proof = scram_proof(nonce, &extra);
    session.authenticate(&proof).await?;
    session.publish().await?;
    secrets.push(proof);

    let basic = STANDARD.encode(format!("joe:{TICKET}"));
    let body = json!({"topic": TOPIC, "args": [PAYLOAD]}).to_string();
    post(address, Some(&basic), &body).await?;
    secrets.push(basic);
    let texts = [TICKET, WRONG_TICKET, CRA_SECRET, SCRAM_PASSWORD, PAYLOAD, CLUSTER_SECRET];
    secrets.extend(texts.map(str::to_owned));
    Ok(secrets)
}

fn scram_proof(nonce: &str, extra: &Value) -> String {
    let (both, salt) = (extra["nonce"].as_str(), extra["salt"].as_str());
    let (both, salt) = (both.expect("a nonce"), salt.expect("a salt"));
    let key = hmac_of(&salted(&STANDARD.decode(salt).expect("base64")), b"Client Key");
    let message = format!("n=anna,r={nonce},r={both},s={salt},i=1,c=biws,r={both}");
    let signature = hmac_of(&Sha256::digest(key), message.as_bytes());
    let proof: Vec<u8> = key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    STANDARD.encode(proof)
}

async fn post(address: &str, basic: Option<&str>, body: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let login = basic.map(|basic| format!("authorization: Basic {basic}\r\n")).unwrap_or_default();
    let request = format!(
        "POST /publish HTTP/1.1\r\nhost: {address}\r\n{login}connection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(())
}

/// In the ways in which bytes are printed: as text, in hex, and as lists of numbers.
fn assert_none_of(node: &str, log: &str, secrets: &[String]) {
    assert!(log.contains("stopp"), "{node} has not logged to its end: {log}");
    for secret in secrets {
        let numbers: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
        for form in [secret.clone(), hex(secret.as_bytes()), numbers.join(", ")] {
            let line = log.lines().find(|line| line.contains(&form));
            assert!(line.is_none(), "{node} has logged {form:?}: {line:?}");
        }
    }
}

#[tokio::test]
async fn no_log_of_a_cluster_at_trace_has_a_ticket_a_payload_or_a_secret() -> anyhow::Result<()> {
    let options = ClusterOptions {
        sync: 1,
        ndb: 1,
        entries: 1,
        write_quorum: 1,
        extra: realm(),
        ..ClusterOptions::default()
    };
    let mut cluster = Cluster::start_with(options, |_id, _store| NodeSetup {
        env: vec![("RUST_LOG".to_owned(), FILTER.to_owned())],
        ..NodeSetup::default()
    })
    .await?;
    let secrets = log_in_and_publish(&cluster.address("E1")?).await?;
    // What a node has said is whole in its log when it has ended.
    cluster.stop_all().await?;
    for id in ["S1", "D1", "E1"] {
        assert_none_of(id, &cluster.log(id)?, &secrets);
    }
    // The filter was heard.
    anyhow::ensure!(cluster.log("E1")?.contains("DEBUG vixen_entry"), "{}", cluster.log("E1")?);
    Ok(())
}

#[tokio::test]
async fn no_log_of_nearcast_at_trace_has_a_payload() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let port = free_ports(1)?;
    let address = format!("127.0.0.1:{}", port[0]);
    let binaries = tokio::task::spawn_blocking(Binaries::find).await??;
    let log = dir.path().join("log");
    let mut node = Command::new(binaries.program(Tier::Entry))
        .args(["--listen", &address, "--data-dir"])
        .arg(dir.path().join("data"))
        .env("RUST_LOG", FILTER)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log)?)
        .kill_on_drop(true)
        .spawn()?;
    wait_until("nearcast to be ready", SOON, || async {
        let answer = get(&address, "/readyz").await?;
        Ok((answer.status == 200).then_some(()))
    })
    .await?;
    let body = json!({"topic": TOPIC, "args": [PAYLOAD]}).to_string();
    post(&address, None, &body).await?;
    let mut session = Session::open(&address).await?;
    let welcome = session.ask(json!([1, "realm1", {"roles": {"publisher": {}}}])).await?;
    anyhow::ensure!(welcome[0] == 2, "no WELCOME: {welcome}");
    session.publish().await?;
    drop(session);
    let pid = node.id().and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.ok_or_else(|| anyhow::anyhow!("nearcast has ended"))?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM)?;
    tokio::time::timeout(SOON + Duration::from_secs(10), node.wait()).await??;
    assert_none_of("nearcast", &std::fs::read_to_string(&log)?, &[PAYLOAD.to_owned()]);
    Ok(())
}
