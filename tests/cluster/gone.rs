//! Every ndb node is gone, and the entry was ready before: clients are answered and told what they wait
//! for, and go on when the nodes are back.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, wait_until};

use crate::support::{SOON, begun};

const TOPIC: &str = "vixen.gone";

/// A stream of `/events` as it comes.
pub(crate) struct Stream {
    stream: TcpStream,
    text: String,
}

impl Stream {
    async fn open(cluster: &Cluster, query: &str, headers: &str) -> Self {
        Self::open_at(cluster, "E1", &format!("{TOPIC}{query}"), headers).await
    }

    /// At this entry, for this topic and further parameters.
    pub(crate) async fn open_at(
        cluster: &Cluster,
        entry: &str,
        topic: &str,
        headers: &str,
    ) -> Self {
        let address = cluster.address(entry).expect("an entry");
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let request =
            format!("GET /events?topic={topic} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        Self { stream, text: String::new() }
    }

    /// Reads until this has come; what came before it.
    pub(crate) async fn until(&mut self, wanted: &str) -> String {
        let hear = async {
            let mut buffer = [0; 4096];
            loop {
                if let Some((before, after)) = self.text.split_once(wanted) {
                    let (before, after) = (before.to_owned(), after.to_owned());
                    self.text = after;
                    return before;
                }
                let read = self.stream.read(&mut buffer).await.expect("a stream");
                assert!(read > 0, "no {wanted:?} in {:?}", self.text);
                self.text += std::str::from_utf8(&buffer[..read]).expect("text");
            }
        };
        tokio::time::timeout(SOON, hear).await.unwrap_or_else(|_| panic!("no {wanted:?} in time"))
    }

    /// The head, and that it waits for these nodes.
    async fn is_told_to_wait(&mut self) {
        let before = self.until("event: waiting\ndata: ").await;
        assert!(before.starts_with("HTTP/1.1 200 OK\r\n"), "{before}");
        assert!(before.contains("retry: 1000\n\n"), "{before}");
        self.names_who_is_missed().await;
    }

    async fn names_who_is_missed(&mut self) {
        let told = self.until("\n\n").await;
        let names = told.split("group 0 cannot be read: ").nth(1).unwrap_or_default();
        assert!(names.contains("D1") && names.contains("D2"), "{told}");
    }
}

async fn session(cluster: &Cluster) -> Connection {
    let url = cluster.url("E1").expect("an entry");
    Connection::open(&url, "realm1").await.expect("a session")
}

/// The next message of one of these codes.
async fn hear(client: &mut Connection, codes: &[u64]) -> Value {
    let hear = async {
        loop {
            while let Some(text) = client.next_text().expect("a session") {
                let message: Value = serde_json::from_slice(text).expect("JSON");
                if message[0].as_u64().is_some_and(|code| codes.contains(&code)) {
                    return message;
                }
            }
            client.exchange().await.expect("a session");
        }
    };
    tokio::time::timeout(SOON, hear).await.unwrap_or_else(|_| panic!("none of {codes:?} in time"))
}

/// What a request is answered.
async fn ask(client: &mut Connection, request: Value) -> Value {
    client.send(request.to_string().as_bytes());
    hear(client, &[8, 17, 33, 35]).await
}

async fn subscribe(client: &mut Connection, options: Value) -> Value {
    ask(client, json!([32, 1, options, TOPIC])).await
}

async fn publish(client: &mut Connection) -> Value {
    ask(client, json!([16, 2, {"acknowledge": true}, TOPIC, ["said"]])).await
}

/// Of an answer to PUBLISH.
fn position_of(published: &Value) -> u64 {
    assert_eq!(published[0], 17, "{published}");
    published[2].as_u64().expect("a position")
}

/// The positions of the topic from then on.
async fn stored_after(cluster: &Cluster, position: u64) -> Vec<u64> {
    let path = format!("/history?topic={TOPIC}&after={position}");
    let answer = cluster.get("E1", &path).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let lines = answer.body.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.map(|line| line["position"].as_u64().expect("a position")).collect()
}

async fn next_position(client: &mut Connection) -> Value {
    hear(client, &[36]).await[2].clone()
}

fn names_error(answer: &Value, uri: &str, part: &str) {
    assert_eq!((&answer[0], &answer[4]), (&json!(8), &json!(uri)), "{answer}");
    assert!(answer.to_string().contains(part), "no {part} in {answer}");
}

async fn told(cluster: &Cluster, status: u16) {
    wait_until("E1 to notice", SOON, || async {
        let answer = cluster.get("E1", "/readyz").await?;
        anyhow::ensure!(answer.status == status, "{answer:?}");
        Ok(Some(()))
    })
    .await
    .expect("noticed");
}

#[tokio::test]
async fn while_every_ndb_node_is_gone_clients_are_answered_and_nothing_is_lost() {
    let publish_timeout = Duration::from_secs(1);
    let options = ClusterOptions {
        ndb: 2,
        write_quorum: 2,
        sync: 1,
        entries: 1,
        publish_timeout,
        ..ClusterOptions::default()
    };
    let mut cluster = Cluster::start(options).await.expect("a cluster");
    begun(&cluster).await.expect("the beginning");
    let mut publisher = session(&cluster).await;
    let mut end = 0;
    for _ in 0..5 {
        end = position_of(&publish(&mut publisher).await);
    }
    let mut before = session(&cluster).await;
    assert_eq!(subscribe(&mut before, json!({})).await[0], 33);
    let mut live = Stream::open(&cluster, "", "").await;
    live.until("retry: 1000\n\n").await;
    let nodes = ["D1", "D2"].map(str::to_owned);
    cluster.kill_together(&nodes).await.expect("killed");
    told(&cluster, 503).await;

    live.until("event: waiting\ndata: ").await;
    live.names_who_is_missed().await;
    let mut plain = Stream::open(&cluster, "", "").await;
    plain.is_told_to_wait().await;
    let mut source = Stream::open(&cluster, "", "Accept: text/event-stream\r\n").await;
    source.is_told_to_wait().await;
    Stream::open(&cluster, "&after=0", "").await.is_told_to_wait().await;
    let mut reset = Stream::open(&cluster, "", "Last-Event-ID: 5000\r\n").await;
    reset.is_told_to_wait().await;
    reset.until(&format!("event: reset\nid: {end}\n")).await;

    let mut during = session(&cluster).await;
    let subscribed = subscribe(&mut during, json!({})).await;
    assert_eq!(subscribed[0], 33, "{subscribed}");
    let mut other = session(&cluster).await;
    let answer = ask(&mut other, json!([32, 1, {}, "vixen.other"])).await;
    assert_eq!(answer[0], 33, "{answer}");
    assert_eq!(ask(&mut other, json!([34, 3, answer[2]])).await, json!([35, 3]));
    let answer = subscribe(&mut other, json!({"after": 5000})).await;
    names_error(&answer, "vixen.error.beyond_end", &format!("position {end}"));
    let (after, snapshot) = (json!({"after": 0}), json!({"snapshot": true}));
    let mut third = session(&cluster).await;
    let (after, snapshot) =
        tokio::join!(subscribe(&mut other, after), subscribe(&mut third, snapshot));
    for answer in [after, snapshot] {
        names_error(&answer, "vixen.error.unavailable", "D1, D2");
    }
    names_error(&publish(&mut publisher).await, "vixen.error.no_quorum", "waiting for D1");

    cluster.restart_together(&nodes).await.expect("ready again");
    told(&cluster, 200).await;
    // The one that was not acknowledged has its place by now, or will not have one before the next.
    let last = position_of(&publish(&mut publisher).await);
    let stored = stored_after(&cluster, end).await;
    assert_eq!(stored.last(), Some(&last), "{stored:?}");
    for client in [&mut before, &mut during] {
        for position in &stored {
            assert_eq!(next_position(client).await, json!(position));
        }
    }
    for stream in [&mut live, &mut plain, &mut source, &mut reset] {
        for position in &stored {
            let between = stream.until(&format!("\"position\":{position},")).await;
            assert!(!between.contains("\"position\":"), "{between}");
        }
    }
    cluster.stop_all().await.expect("clean exits");
}
