//! Clients that resume where the order has never been, or not this one.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Client, PATIENCE, Running};

const TOPIC: &str = "com.example.resumed";

/// An HTTP answer as it comes.
struct Answer {
    stream: TcpStream,
    text: String,
}

impl Answer {
    async fn to(address: SocketAddr, target: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let request = format!("GET {target} HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        Self { stream, text: String::new() }
    }

    /// Reads until this has come; what came before it.
    async fn until(&mut self, wanted: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            if let Some((before, after)) = self.text.split_once(wanted) {
                let (before, after) = (before.to_owned(), after.to_owned());
                self.text = after;
                return before;
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await;
            let read = read.expect("in time").expect("read");
            assert!(read > 0, "no {wanted:?} in {:?}", self.text);
            self.text += std::str::from_utf8(&buffer[..read]).expect("text");
        }
    }

    /// All of it.
    async fn whole(mut self) -> String {
        self.stream.read_to_string(&mut self.text).await.expect("an end");
        self.text
    }

    /// Status and object of an answer that is one.
    async fn object(mut self) -> (String, Value) {
        let status = self.until("\r\n\r\n").await[9..12].to_owned();
        self.stream.read_to_string(&mut self.text).await.expect("an end");
        (status, serde_json::from_str(&self.text).unwrap_or_default())
    }
}

/// Publishes so many; their positions and permanent ids.
async fn publish(address: SocketAddr, count: u64) -> Vec<(u64, String)> {
    let mut client = Client::join(address).await;
    let mut watcher = Client::join(address).await;
    let _subscription = watcher.subscribe(TOPIC).await;
    let mut published = Vec::new();
    for n in 1..=count {
        let position = client.publish(n, TOPIC, &json!([n])).await;
        let id = watcher.receive().await[3]["id"].as_str().expect("an id").to_owned();
        published.push((position, id));
    }
    published
}

/// Publishes some; the position of the last, where the order ends.
async fn publish_to_end(address: SocketAddr) -> u64 {
    publish(address, 5).await.last().expect("some").0
}

/// The ERROR to a SUBSCRIBE after this: URI and end.
async fn refused(address: SocketAddr, after: &Value) -> (String, Value) {
    let mut client = Client::join(address).await;
    client.send(&json!([32, 1, {"after": after}, TOPIC])).await;
    let error = client.receive().await;
    assert_eq!((&error[0], &error[1], &error[2]), (&json!(8), &json!(32), &json!(1)), "{error}");
    (error[4].as_str().expect("a URI").to_owned(), error[3]["end"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_beyond_the_end_is_told_at_once_with_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let nearcast = Running::start(dir.path()).await;
    let end = publish_to_end(nearcast.address).await;
    let beyond = ("vixen.error.beyond_end".to_owned(), json!(end));
    // Unix times in seconds and milliseconds, an id and a time of the next century.
    for after in [
        json!(end + 1),
        json!(5000),
        json!("5000"),
        json!(1_795_891_341),
        json!(1_795_891_341_015_u64),
        json!("9911210516h30pperk2a0"),
        json!("2099-11-21T00:00:00Z"),
    ] {
        assert_eq!(refused(nearcast.address, &after).await, beyond, "{after}");
    }
    let (next, after_next) = (format!("after={}", end + 1), format!("from={}", end + 2));
    for query in [next.as_str(), "after=5000", &after_next, "after=2099-11-21T00:00:00Z"] {
        let answer = Answer::to(nearcast.address, &format!("/history?{query}"), "").await;
        let (status, object) = answer.object().await;
        assert_eq!(status, "409", "{query}: {object}");
        assert_eq!((&object["error"], &object["end"]), (&json!(beyond.0), &json!(end)), "{query}");
    }
    let events = format!("/events?topic={TOPIC}&after=5000");
    let (status, object) = Answer::to(nearcast.address, &events, "").await.object().await;
    assert_eq!((status.as_str(), &object["end"]), ("409", &json!(end)), "{object}");
    // The end itself, the next position, and now are good.
    let (last, next) = (format!("after={end}"), format!("from={}", end + 1));
    for query in [last.as_str(), &next, "before=5000&limit=1", "after=today&limit=1"] {
        let answer = Answer::to(nearcast.address, &format!("/history?{query}"), "").await;
        assert_eq!(answer.object().await.0, "200", "{query}");
    }
    let mut client = Client::join(nearcast.address).await;
    let subscription = client.subscribe_with(&json!({"after": end}), TOPIC).await;
    client.send(&json!([16, 2, {"exclude_me": false}, TOPIC, [7]])).await;
    let (position, said) = client.event(subscription).await;
    assert!(position > end && said == 7, "{said} at {position}");
    drop(client);
    nearcast.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_comes_back_to_less_than_it_saw_is_reset_and_goes_on_live() {
    let dir = tempfile::tempdir().expect("a directory");
    let nearcast = Running::start(dir.path()).await;
    let end = publish_to_end(nearcast.address).await;
    let events = format!("/events?topic={TOPIC}");
    let mut reset = Answer::to(nearcast.address, &events, "Last-Event-ID: 5000\r\n").await;
    reset.until(&format!("event: reset\nid: {end}\ndata: ")).await;
    let told: Value = serde_json::from_str(&reset.until("\n\n").await).expect("JSON");
    assert_eq!((&told["error"], &told["end"]), (&json!("vixen.error.beyond_end"), &json!(end)));
    // As it comes back after that, and as one that has seen nothing yet.
    let last = format!("Last-Event-ID: {end}\r\n");
    let mut again = Answer::to(nearcast.address, &events, &last).await;
    again.until("retry: 1000\n\n").await;
    let mut first = Answer::to(nearcast.address, &events, "Last-Event-ID: \r\n").await;
    first.until("retry: 1000\n\n").await;
    let mut client = Client::join(nearcast.address).await;
    let live = format!("\"position\":{},", client.publish(1, TOPIC, &json!([6])).await);
    for answer in [&mut reset, &mut again, &mut first] {
        let before = answer.until(&live).await;
        let object = answer.until("\n\n").await;
        assert!(!before.contains("event:"), "{before}");
        let id = before.split("id: ").nth(1).and_then(|rest| rest.lines().next()).expect("an id");
        assert!(object.contains(&format!("\"id\":\"{id}\"")), "{id}: {object}");
    }
    drop((reset, again, first, client));
    nearcast.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_event_id_that_no_entry_has_sent_is_reset_and_does_not_end_an_event_source() {
    let dir = tempfile::tempdir().expect("a directory");
    let nearcast = Running::start(dir.path()).await;
    let end = publish_to_end(nearcast.address).await;
    let events = format!("/events?topic={TOPIC}");
    let mut streams = Vec::new();
    for (last, query) in
        [("x", ""), ("-1", ""), ("today", "&after=0"), ("2026-11-21T10:00:00Z", "&limit=1")]
    {
        let header = format!("Accept: text/event-stream\r\nLast-Event-ID: {last}\r\n");
        let mut answer = Answer::to(nearcast.address, &format!("{events}{query}"), &header).await;
        let before = answer.until(&format!("event: reset\nid: {end}\ndata: ")).await;
        assert!(before.starts_with("HTTP/1.0 200 "), "{before}");
        let told: Value = serde_json::from_str(&answer.until("\n\n").await).expect("JSON");
        let error = (&told["error"], &told["end"], &told["status"]);
        assert_eq!(error, (&json!("wamp.error.invalid_argument"), &json!(end), &json!(400)));
        assert!(told["message"].as_str().is_some_and(|text| text.contains("Last-Event-ID")));
        streams.push(answer);
    }
    // What is stored, of what comes after the end: nothing.
    let snapshot = format!("{events}&snapshot=true");
    let mut snapshot = Answer::to(nearcast.address, &snapshot, "Last-Event-ID: x\r\n").await;
    snapshot.until(&format!("event: reset\nid: {end}\n")).await;
    assert!(!snapshot.until("event: complete\n").await.contains("\"position\":"));
    let mut client = Client::join(nearcast.address).await;
    let live = format!("\"position\":{},", client.publish(1, TOPIC, &json!([6])).await);
    for answer in &mut streams {
        let before = answer.until(&live).await;
        assert!(!before.contains("event:"), "{before}");
    }
    let metrics = Answer::to(nearcast.address, "/metrics", "").await.whole().await;
    assert!(metrics.contains("vixen_entry_http_refusals_total{status=\"400\"} 5"), "{metrics}");
    // In the query it is the word of whoever wrote the page.
    let events = format!("{events}&after=x");
    let (status, _) = Answer::to(nearcast.address, &events, "").await.object().await;
    assert_eq!(status, "400");
    drop((streams, snapshot, client));
    nearcast.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_resumes_by_permanent_id_notices_that_the_store_was_replaced() {
    let old = tempfile::tempdir().expect("a directory");
    let nearcast = Running::start(old.path()).await;
    let of_old = publish(nearcast.address, 3).await;
    nearcast.stop().await;
    let new = tempfile::tempdir().expect("a directory");
    let nearcast = Running::start(new.path()).await;
    let of_new = publish(nearcast.address, 5).await;
    let (end, id_of_last) = &of_new[4];

    // By position it would go on in the middle of another order.
    let other = ("vixen.error.not_of_this_order".to_owned(), json!(end));
    let (_position, id_of_old) = &of_old[2];
    assert_eq!(refused(nearcast.address, &json!(id_of_old)).await, other);
    let mut client = Client::join(nearcast.address).await;
    let subscription = client.subscribe_with(&json!({"after": of_new[2].1}), TOPIC).await;
    assert_eq!(client.event(subscription).await, (of_new[3].0, 4));
    assert_eq!(client.event(subscription).await, (*end, 5));

    let history = format!("/history?after={id_of_old}");
    let (status, object) = Answer::to(nearcast.address, &history, "").await.object().await;
    assert_eq!((status.as_str(), &object["error"]), ("409", &json!(other.0)), "{object}");

    let events = format!("/events?topic={TOPIC}");
    let last = format!("Last-Event-ID: {id_of_old}\r\n");
    let mut reset = Answer::to(nearcast.address, &events, &last).await;
    reset.until(&format!("event: reset\nid: {end}\ndata: ")).await;
    assert!(reset.until("\n\n").await.contains(&other.0));
    let last = format!("Last-Event-ID: {}\r\n", of_new[3].1);
    let mut resumed = Answer::to(nearcast.address, &events, &last).await;
    let before = resumed.until(&format!("\"position\":{end},")).await;
    assert!(before.contains(&format!("id: {id_of_last}\n")), "{before}");
    assert!(!before.contains("event:"), "{before}");
    drop((client, reset, resumed));
    nearcast.stop().await;
}
