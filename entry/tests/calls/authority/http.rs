//! Requests of HTTP are asked about as sessions are.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{REALM, asked, guard, realms_of, start};
use crate::Entry;

async fn begin(entry: &Entry, request: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(entry.address()).await.expect("connected");
    let head = format!(
        "{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).await.expect("sent");
    stream
}

/// Status and body of the answer.
async fn end(mut stream: TcpStream) -> (u16, String) {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    let answer = String::from_utf8(answer).expect("text");
    let status = answer[9..12].parse().expect("a status");
    (status, answer.split_once("\r\n\r\n").expect("a head").1.to_owned())
}

#[tokio::test]
async fn requests_wait_for_the_authorizer_and_are_refused_as_the_role_would() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    guard.register("{}", "a.c").await;
    let publish =
        json!({"topic": "a.b", "args": [1], "options": {"exclude_me": false}}).to_string();
    let call = json!({"procedure": "a.c", "args": [2]}).to_string();
    let options = json!({"exclude_me": false});
    let table = [
        ("POST /publish", publish.as_str(), ("publish", "a.b", options)),
        ("POST /call", call.as_str(), ("call", "a.c", json!({}))),
        (
            "GET /events?topic=a.b&after=0&limit=1&snapshot=false",
            "",
            ("subscribe", "a.b", json!({"after": "0", "limit": 1, "snapshot": false})),
        ),
        (
            "GET /history?topic=a.&match=prefix&before=today&limit=all",
            "",
            ("subscribe", "a.", json!({"match": "prefix", "before": "today", "limit": "all"})),
        ),
        // What is not said is told as well: it is all topics that begin with a, or all of the realm.
        (
            "GET /events?topic=a.%23&limit=1",
            "",
            ("subscribe", "a.#", json!({"match": "dotted", "limit": 1})),
        ),
        (
            "GET /history?limit=all",
            "",
            ("subscribe", "", json!({"match": "prefix", "limit": "all"})),
        ),
    ];
    for (request, body, wanted) in table {
        let refused = begin(&entry, request, body).await;
        let details = asked(&mut guard, wanted.clone(), "false").await;
        assert_eq!(details["transport"], json!({"type": "http"}));
        let (status, problem) = end(refused).await;
        let problem: Value = serde_json::from_str(&problem).expect("JSON");
        let said = (status, &problem["error"]);
        assert_eq!(said, (403, &json!("wamp.error.not_authorized")), "{request}: {problem}");
        if request.starts_with("GET /events") {
            continue;
        }
        // Each request is asked about.
        let passed = begin(&entry, request, body).await;
        asked(&mut guard, wanted, "true").await;
        if request == "POST /call" {
            guard.yields("[3]").await;
        }
        let (status, answer) = end(passed).await;
        assert_eq!(status, 200, "{request}: {answer}");
    }
    entry.stop().await;
}

#[tokio::test]
async fn a_request_that_waits_as_realms_are_read_again_is_judged_anew() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    guard.register("{}", "a.c").await;
    let call = json!({"procedure": "a.c", "args": [2]}).to_string();
    let publish = json!({"topic": "a.b", "args": [1]}).to_string();
    // What was asked before is for nothing: it is asked again, and may say no by now.
    let waits = begin(&entry, "POST /call", &call).await;
    let (invocation, _) = guard.invoked().await;
    entry.reload(|_| {});
    guard.say(&format!("[70,{invocation},{{}},[true]]")).await;
    asked(&mut guard, ("call", "a.c", json!({})), "false").await;
    assert_eq!(end(waits).await.0, 403);
    // And who has lost the right meanwhile is not let pass by a yes.
    for (request, body) in [("POST /call", &call), ("POST /publish", &publish)] {
        let waits = begin(&entry, request, body).await;
        let (invocation, _) = guard.invoked().await;
        let without = REALM.replace("authorizer = \"auth.may\"\n", "");
        let without = without.replace("auth-timeout = \"10s\"\nauth-cache = \"10m\"\n", "");
        let other = realms_of(&without);
        entry.reload(|config| config.realms = other);
        guard.say(&format!("[70,{invocation},{{}},[true]]")).await;
        assert_eq!(end(waits).await.0, 403, "{request}");
        entry.reload(|_| {});
    }
    guard.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn the_time_of_a_call_by_http_runs_while_it_waits_for_the_authorizer() {
    let entry = start(REALM).await;
    let mut guard = guard(&entry).await;
    guard.register("{}", "a.c").await;
    let call = json!({"procedure": "a.c", "options": {"timeout": 30}}).to_string();
    let waits = begin(&entry, "POST /call", &call).await;
    let (invocation, _) = guard.invoked().await;
    let (status, problem) = end(waits).await;
    assert_eq!(status, 504, "{problem}");
    assert!(problem.contains("no answer within 30 ms"), "{problem}");
    guard.say(&format!("[70,{invocation},{{}},[true]]")).await;
    guard.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn reads_that_wait_for_the_authorizer_have_their_places() {
    for request in ["GET /events?topic=a.b", "GET /history?topic=a.b"] {
        let entry = Entry::with(|config| {
            config.access.open = false;
            config.realms = realms_of(REALM);
            config.limits.sessions_per_address_max = 2;
        })
        .await;
        let mut guard = guard(&entry).await;
        let waits = begin(&entry, request, "").await;
        let (invocation, _) = guard.invoked().await;
        // There is no other: who decides is not asked about more than may be here.
        let (status, problem) = end(begin(&entry, request, "").await).await;
        assert_eq!(status, 429, "{problem}");
        assert!(problem.contains("limits.sessions-per-address-max"), "{problem}");
        guard.hears_nothing().await;
        guard.say(&format!("[70,{invocation},{{}},[false]]")).await;
        assert_eq!(end(waits).await.0, 403, "{request}");
        entry.stop().await;
    }
}
