//! Answers that say what is wrong: problem objects, and streams that end so that a browser's
//! `EventSource` comes back.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use vixen_core::words::Words;
use vixen_runtime::config::Config;

use super::*;

const STREAM: &str = "Accept: text/event-stream";
const REASON: &str = "1 of 2 sync nodes connected";

/// Not ready, for this reason.
fn waiting_for(reason: &str) -> Readiness {
    Readiness::NotReady { waits_for: Words::new(reason) }
}

/// A port of an entry that was never ready.
async fn not_ready() -> Port {
    Port::open_as(SessionLimits::of_tests(), Admission::of_tests(), waiting_for(REASON)).await
}

/// Status, head and body.
async fn ask(address: SocketAddr, request: &str, headers: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let close = if headers.contains("Connection") { "" } else { "Connection: close\r\n" };
    let headers = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
    let request = format!("{request} HTTP/1.1\r\nHost: localhost\r\n{close}{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_owned(), body.to_owned())
}

/// The object of an answer that is a problem.
fn problem(status: u16, (told, head, body): &(u16, String, String)) -> Value {
    assert_eq!(*told, status, "{head}\n{body}");
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    let object: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(object["status"], status);
    assert_eq!(object["detail"], object["message"]);
    assert!(object["title"].is_string() && object["error"].is_string(), "{object}");
    object
}

/// The object of the event `error`, of a whole stream that has no other event.
fn last_word(retry_ms: u32, (status, head, body): &(u16, String, String)) -> Value {
    assert_eq!(*status, 200, "{head}\n{body}");
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    // Chunked or not: the lines are what counts.
    assert!(body.contains(&format!("retry: {retry_ms}\n\nevent: error\ndata: ")), "{body}");
    assert_eq!(body.matches("data: ").count(), 1, "{body}");
    let data = body.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    serde_json::from_str(data).expect("JSON")
}

#[tokio::test]
async fn an_entry_that_is_not_ready_says_so_as_a_problem_wherever_it_is_asked() {
    let port = not_ready().await;
    let upgrade = "Connection: close, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Protocol: wamp.2.json";
    let asked = [
        ("GET /ws", upgrade),
        ("GET /events?topic=a.b", ""),
        ("POST /publish", "Content-Length: 0"),
        ("OPTIONS /", ""),
    ];
    for (request, headers) in asked {
        let answer = ask(port.address, request, headers).await;
        let object = problem(503, &answer);
        assert_eq!(object["error"], "vixen.error.not_ready", "{request}");
        let message = object["message"].as_str().expect("a text");
        assert_eq!(message, format!("this entry is not ready: {REASON}"));
        assert!(answer.1.contains("retry-after: 1"), "{}", answer.1);
    }
}

#[tokio::test]
async fn an_event_source_is_sent_away_to_come_back_while_the_entry_is_not_ready() {
    let port = not_ready().await;
    let object = last_word(1_000, &ask(port.address, "GET /events?topic=a.b", STREAM).await);
    assert_eq!(object["error"], "vixen.error.not_ready");
}

#[tokio::test]
async fn an_event_source_is_sent_away_to_come_back_when_there_is_no_place() {
    let admission = Admission::for_sessions(0);
    let port = Port::open_with(SessionLimits::of_tests(), admission).await;
    let object = last_word(5_000, &ask(port.address, "GET /events?topic=a.b", STREAM).await);
    assert_eq!(object["error"], "vixen.error.too_many_sessions");
    // What is no browser gets a status.
    problem(429, &ask(port.address, "GET /events?topic=a.b", "Accept: */*").await);
}

#[tokio::test]
async fn an_event_source_is_sent_away_to_come_back_when_the_entry_stops() {
    let port = Port::open(SessionLimits::of_tests()).await;
    port.stop.send_replace(true);
    let object = last_word(1_000, &ask(port.address, "GET /events?topic=a.b", STREAM).await);
    assert_eq!(object["error"], "wamp.close.system_shutdown");
}

#[tokio::test]
async fn an_event_source_that_asks_for_what_cannot_be_gets_its_status() {
    let port = Port::open(SessionLimits::of_tests()).await;
    problem(400, &ask(port.address, "GET /events?topic=a..b", STREAM).await);
}

#[tokio::test]
async fn a_load_balancer_that_asks_options_of_the_root_learns_of_readiness() {
    let port = Port::open(SessionLimits::of_tests()).await;
    let (status, head, body) = ask(port.address, "OPTIONS /", "").await;
    assert_eq!((status, body.as_str()), (204, ""), "{head}");
    // Lost again: clients are better served elsewhere.
    port.handle.tell(waiting_for(REASON));
    problem(503, &ask(port.address, "OPTIONS /", "").await);
    port.handle.tell(Readiness::Ready);
    port.stop.send_replace(true);
    problem(503, &ask(port.address, "OPTIONS /", "").await);
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_problems() {
    let port = Port::open(SessionLimits::of_tests()).await;
    let answer = ask(port.address, "GET /nowhere", "").await;
    assert_eq!(problem(404, &answer)["error"], "vixen.error.not_found");
    let table =
        [("GET /publish", "POST"), ("DELETE /history", "GET,HEAD"), ("POST /ws", "GET,HEAD")];
    for (request, allowed) in table {
        let answer = ask(port.address, request, "").await;
        let object = problem(405, &answer);
        assert!(answer.1.contains(&format!("allow: {allowed}\r\n")), "{}", answer.1);
        let allowed = allowed.replace(',', ", ");
        assert_eq!(object["message"], format!("this path takes {allowed}"));
    }
}

/// Two realms of logged in users: `realm1` has tickets, `signed` has none.
const REALMS: &str = r#"
cluster = { name = "test", secret = "a-long-secret", data-dir = "data", write-quorum = 1 }
sync = [{ id = "S1", lane = 0, address = "127.0.0.1:9041" }]
ndb-group = [{ member = [{ id = "D1", address = "127.0.0.1:9051" }] }]
[[realm]]
name = "realm1"
[[realm.role]]
name = "reader"
[[realm.role.permission]]
uri = "a.*"
subscribe = true
[[realm.user]]
authid = "joe"
role = "reader"
ticket = "secret-of-joe"
[[realm.user]]
authid = "anna"
role = "reader"
wampcra.secret = "secret-of-anna"
[[realm]]
name = "signed"
[[realm.role]]
name = "reader"
[[realm.user]]
authid = "joe"
role = "reader"
wampcra.secret = "secret-of-joe"
"#;

/// joe:secret-of-joe.
const JOE: &str = "Authorization: Basic am9lOnNlY3JldC1vZi1qb2U=";

/// anna:secret-of-anna, who has no ticket.
const ANNA: &str = "Authorization: Basic YW5uYTpzZWNyZXQtb2YtYW5uYQ==";

async fn port_with_users() -> Port {
    let config = Config::parse(REALMS, Path::new("vixen.toml"), &BTreeMap::new());
    let admission = Admission::new(&config.expect("a good configuration"));
    Port::open_with(SessionLimits::of_tests(), Arc::new(admission)).await
}

#[tokio::test]
async fn a_login_that_is_refused_is_told_in_the_words_of_http() {
    let port = port_with_users().await;
    for path in ["/history?topic=a.b", "/events?topic=a.b"] {
        let object = problem(401, &ask(port.address, &format!("GET {path}"), "").await);
        let text = object["message"].as_str().expect("a text");
        assert!(text.contains("Authorization: Basic"), "{text}");
        let request = format!("GET {path}&realm=signed");
        for (headers, part) in [(JOE, "no user with a ticket"), ("", "Authorization: Basic")] {
            let object = problem(401, &ask(port.address, &request, headers).await);
            let text = object["message"].as_str().expect("a text");
            assert!(text.contains(part), "{text}");
            assert!(!text.contains("HELLO") && !text.contains("authmethods"), "{text}");
        }
        // As of somebody who is not there.
        let nobody = "Authorization: Basic bm9ib2R5OnNlY3JldA==";
        let [anna, nobody] = [ANNA, nobody].map(|login| async move {
            problem(401, &ask(port.address, &format!("GET {path}"), login).await)
        });
        let (anna, nobody) = (anna.await, nobody.await);
        assert_eq!((&anna["error"], &anna["message"]), (&nobody["error"], &nobody["message"]));
        let text = anna["message"].as_str().expect("a text");
        assert!(
            text.ends_with("log in with the ticket of a user, and with no other credential"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn who_may_not_read_all_topics_is_told_to_name_one_and_which_permission_is_missing() {
    let port = port_with_users().await;
    let object = problem(403, &ask(port.address, "GET /history", JOE).await);
    assert_eq!(object["error"], "wamp.error.not_authorized");
    let text = object["message"].as_str().expect("a text");
    for part in ["topic=", "match=prefix", "role reader", "uri \"\"", "subscribe"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let object = problem(403, &ask(port.address, "GET /history?topic=b.c", JOE).await);
    assert_eq!(object["message"], "the role of this session may not subscribe this topic");
}

#[tokio::test]
async fn history_does_not_wait_for_a_tier_that_is_away() {
    let mut port = Port::open(SessionLimits::of_tests()).await;
    port.handle.tell(waiting_for("0 of 2 ndb nodes of group 0 live"));
    // The core has the read, and waits for the tier.
    let address = port.address;
    let asked = tokio::spawn(async move { ask(address, "GET /history", "").await });
    let (_request, _items) = port.take_read().await;
    let answer = asked.await.expect("an answer");
    assert_eq!(problem(503, &answer)["error"], "vixen.error.not_ready");
    assert!(answer.2.contains("0 of 2 ndb nodes of group 0 live"), "{}", answer.2);
}
