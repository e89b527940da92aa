//! Who may read, for how long, and at whose cost: real entries, their files and their clients.

use std::net::Ipv4Addr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async};

use vixen_tests::harness::{Cluster, ClusterOptions, HttpAnswer, wait_until};

use crate::support::{SOON, logged};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// joe in realm r1; whoever comes in realm r2.
const REALMS: &str = r#"
[[realm]]
name = "r1"
[[realm.role]]
name = "user"
[[realm.role.permission]]
uri = "a.*"
publish = true
subscribe = true
[[realm.user]]
authid = "joe"
role = "user"
ticket = "secret-of-joe"
[[realm]]
name = "r2"
anonymous.role = "guest"
[[realm.role]]
name = "guest"
[[realm.role.permission]]
uri = "*"
publish = true
subscribe = true
"#;

fn options(extra: &str) -> ClusterOptions {
    ClusterOptions {
        sync: 1,
        ndb: 1,
        entries: 1,
        write_quorum: 1,
        extra: extra.to_owned(),
        ..ClusterOptions::default()
    }
}

/// Says a request from an address of this machine; the answer is not read.
async fn say(entry: &str, from: Ipv4Addr, request: &str, body: &str) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let mut stream = socket.connect(entry.parse()?).await?;
    let head = format!("{request} HTTP/1.0\r\nHost: {entry}\r\nContent-Length: {}\r\n", body.len());
    let basic = STANDARD.encode("joe:secret-of-joe");
    let login = match request.contains("realm=r2") || body.contains("\"r2\"") {
        true => String::new(),
        false => format!("Authorization: Basic {basic}\r\n"),
    };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    stream.write_all(format!("{head}{login}{kind}\r\n{body}").as_bytes()).await?;
    Ok(stream)
}

async fn ask(entry: &str, from: Ipv4Addr, request: &str, body: &str) -> anyhow::Result<HttpAnswer> {
    let mut stream = say(entry, from, request, body).await?;
    let mut answer = String::new();
    tokio::time::timeout(SOON, stream.read_to_string(&mut answer)).await??;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default().parse()?;
    Ok(HttpAnswer { status, body: body.to_owned() })
}

async fn publish(entry: &str, realm: &str, args: &str) -> anyhow::Result<()> {
    let body = format!(r#"{{"realm":"{realm}","topic":"a.b","args":["{args}"]}}"#);
    let answer = ask(entry, HERE, "POST /publish", &body).await?;
    anyhow::ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

/// Reads until this was said.
async fn hear(stream: &mut TcpStream, part: &str) -> anyhow::Result<String> {
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains(part) {
        let length = tokio::time::timeout(SOON, stream.read_buf(&mut heard)).await??;
        anyhow::ensure!(length > 0, "no {part}: {}", String::from_utf8_lossy(&heard));
    }
    Ok(String::from_utf8_lossy(&heard).into_owned())
}

/// Changes the file and has the entry read it again, until its metric says what came of it.
async fn reload(
    cluster: &Cluster,
    change: impl Fn(&str) -> String,
    told: &str,
) -> anyhow::Result<()> {
    let metric = "vixen_entry_realm_reloads_total";
    let label = format!("outcome=\"{told}\"");
    let before = cluster.metric_with("E1", metric, &label).await.unwrap_or(0.0);
    let file = cluster.config_file();
    std::fs::write(file, change(&std::fs::read_to_string(file)?))?;
    kill(Pid::from_raw(i32::try_from(cluster.pid("E1")?)?), Signal::SIGHUP)?;
    wait_until(&format!("a reload that is {told}"), SOON, || async {
        let count = cluster.metric_with("E1", metric, &label).await?;
        Ok((count > before).then_some(()))
    })
    .await
}

/// joe's session of WAMP.
async fn join(entry: &str) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://{entry}/ws").into_client_request()?;
    let protocol = HeaderValue::from_static("wamp.2.json");
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    let (mut socket, _response) = client_async(request, TcpStream::connect(entry).await?).await?;
    let details = json!({"authmethods": ["ticket"], "authid": "joe", "roles": {"subscriber": {}}});
    socket.send(json!([1, "r1", details]).to_string().into()).await?;
    anyhow::ensure!(next(&mut socket).await?[0] == 4, "no CHALLENGE");
    socket.send(json!([5, "secret-of-joe", {}]).to_string().into()).await?;
    anyhow::ensure!(next(&mut socket).await?[0] == 2, "no WELCOME");
    Ok(socket)
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> anyhow::Result<Value> {
    let message = tokio::time::timeout(SOON, socket.next()).await?;
    let message = message.ok_or_else(|| anyhow::anyhow!("closed"))??;
    Ok(serde_json::from_str(message.to_text()?)?)
}

#[tokio::test]
async fn a_user_who_is_taken_out_of_the_file_gets_nothing_more_at_any_gate() -> anyhow::Result<()> {
    let cluster = Cluster::start(options(REALMS)).await?;
    let entry = cluster.address("E1")?;
    let mut session = join(&entry).await?;
    let mut stream = say(&entry, HERE, "GET /events?realm=r1&topic=a.b", "").await?;
    hear(&mut stream, "retry:").await?;
    publish(&entry, "r1", "first").await?;
    hear(&mut stream, "first").await?;
    // An answer that is under way: more than its client takes before it reads.
    for _ in 0..60 {
        publish(&entry, "r1", &"x".repeat(200 << 10)).await?;
    }
    let mut answer = say(&entry, HERE, "GET /history?realm=r1&topic=a.b&limit=all", "").await?;
    hear(&mut answer, "first").await?;

    reload(&cluster, |text| text.replace("\"joe\"", "\"jack\""), "ok").await?;
    let goodbye = next(&mut session).await?;
    assert_eq!((&goodbye[0], &goodbye[2]), (&json!(6), &json!("wamp.close.killed")));
    let last = hear(&mut stream, "event: error").await?;
    assert!(last.contains("wamp.close.killed"), "{last}");
    let mut rest = String::new();
    tokio::time::timeout(SOON, stream.read_to_string(&mut rest)).await??;
    rest.clear();
    tokio::time::timeout(SOON, answer.read_to_string(&mut rest)).await??;
    let last = rest.lines().last().unwrap_or_default();
    assert!(last.contains("wamp.close.killed"), "{} bytes, then {last:.200}", rest.len());
    let refused = ask(&entry, HERE, "GET /history?realm=r1&topic=a.b", "").await?;
    assert_eq!(refused.status, 401);
    Ok(())
}

/// Anonymous memory of a process, in MiB.
fn anonymous_mib(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).unwrap_or_default();
    Ok(kib.trim().parse::<u64>()? >> 10)
}

#[tokio::test]
async fn clients_that_do_not_read_their_answers_hold_up_nobody() -> anyhow::Result<()> {
    // Longer than a busy machine takes to begin all answers.
    const LIMITS: &str = "[limits]\nanswer-stall-timeout = \"40s\"\nkeep-alive-interval = \"1s\"\n\
                          keep-alive-timeout = \"4s\"\n";
    const STALLED: usize = 84;
    const MIB_MAX: u64 = 160;
    let cluster = Cluster::start(options(&format!("{REALMS}{LIMITS}"))).await?;
    let (entry, pid) = (cluster.address("E1")?, cluster.pid("E1")?);
    for _ in 0..150 {
        publish(&entry, "r1", &"x".repeat(200 << 10)).await?;
    }
    publish(&entry, "r2", "of another realm").await?;
    let before = anonymous_mib(pid)?;
    let mut stalled = Vec::new();
    for n in 0..STALLED {
        let from = Ipv4Addr::new(127, 0, 1, u8::try_from(n / 28)? + 1);
        let request = "GET /history?realm=r1&topic=a.b&limit=all";
        let mut stream = say(&entry, from, request, "").await?;
        // Its head: it is under way, or refused.
        hear(&mut stream, "\r\n\r\n").await?;
        stalled.push(stream);
    }
    for _ in 0..5 {
        let other = ask(&entry, HERE, "GET /history?realm=r2&limit=all", "").await?;
        assert_eq!(other.status, 200, "another realm: {:.300}", other.body);
        assert!(other.body.contains("of another realm"), "{:.300}", other.body);
    }
    // Whoever catches up does so, in the same realm as well.
    let request = "GET /events?realm=r1&topic=a.b&after=0&limit=1";
    let mut stream = say(&entry, HERE, request, "").await?;
    hear(&mut stream, "event: complete").await?;
    let held = anonymous_mib(pid)?.saturating_sub(before);
    assert!(held < MIB_MAX, "{held} MiB for {STALLED} answers that nobody reads");
    let refused = cluster
        .metric_with(
            "E1",
            "vixen_entry_history_answers_refused_total",
            "limit=\"history-answers-per-realm-max\"",
        )
        .await?;
    assert!(refused >= 1.0, "more than the places of a realm");

    // They end, though their clients are there, and their places are free.
    wait_until("answers that nobody reads to end", 2 * SOON, || async {
        let under_way = cluster.metric("E1", "vixen_entry_history_answers").await?;
        let ended = cluster.metric("E1", "vixen_common_stalled_connections_total").await?;
        anyhow::ensure!(under_way < 1.0 && ended >= 1.0, "{under_way} under way, {ended} ended");
        Ok(Some(()))
    })
    .await?;
    drop(stalled);
    Ok(())
}

#[tokio::test]
async fn a_reload_opens_nothing() -> anyhow::Result<()> {
    let cluster = Cluster::start(options(REALMS)).await?;
    let entry = cluster.address("E1")?;
    let cut = |text: &str| text.split("[[realm]]").next().unwrap_or_default().to_owned();
    let whole = std::fs::read_to_string(cluster.config_file())?;
    let opened = |text: &str| format!("{}[access]\nopen = true\n", cut(text));
    for change in [&cut as &dyn Fn(&str) -> String, &opened] {
        reload(&cluster, change, "refused").await?;
        let stranger = vixen_tests::harness::get(&entry, "/history?realm=r1").await?;
        assert_eq!(stranger.status, 401, "{}", stranger.body);
        let known = ask(&entry, HERE, "GET /history?realm=r1&topic=a.b", "").await?;
        assert_eq!(known.status, 200, "{}", known.body);
        let status = cluster.status("E1").await?;
        assert_eq!(status["access"]["open"], false);
        assert_eq!(status["access"]["realms"], 2);
        let told = status["access"]["last_reload"].as_str().unwrap_or_default();
        assert!(told.starts_with("refused: "), "{told}");
        logged(&cluster, "E1", &["ERROR", "realms", "what was before holds"]).await;
    }
    reload(&cluster, |_cut| whole.clone(), "ok").await?;
    let status = cluster.status("E1").await?;
    assert_eq!(status["access"]["last_reload"], "ok");
    Ok(())
}
