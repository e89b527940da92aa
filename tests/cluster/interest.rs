//! What subscribers want, and what they leave lying, is bounded: in messages between nodes, and in the
//! memory of an entry.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use vixen_tests::client::{Connection, SocketOptions};
use vixen_tests::harness::{Cluster, ClusterOptions, Durability, anonymous_mib};

use crate::support::SOON;

fn one_of_each(limits: &str) -> ClusterOptions {
    ClusterOptions {
        sync: 1,
        ndb: 1,
        entries: 1,
        write_quorum: 1,
        durability: Durability::Memory,
        extra: format!("[limits]\n{limits}"),
        ..ClusterOptions::default()
    }
}

async fn session(cluster: &Cluster) -> Connection {
    let url = cluster.url("E1").expect("an entry");
    Connection::open(&url, "realm1").await.expect("a session")
}

/// The next messages of these codes, as many as `count`.
async fn hear(client: &mut Connection, codes: &[u64], count: usize) -> Vec<Value> {
    let mut heard = Vec::new();
    let hear = async {
        while heard.len() < count {
            client.exchange().await.expect("a session");
            while let Some(text) = client.next_text().expect("a session") {
                let message: Value = serde_json::from_slice(text).expect("JSON");
                if message[0].as_u64().is_some_and(|code| codes.contains(&code)) {
                    heard.push(message);
                }
            }
        }
    };
    let in_time = tokio::time::timeout(SOON, hear).await;
    assert!(in_time.is_ok(), "{} of {count} of {codes:?} in time", heard.len());
    heard
}

/// Topics of 64,000 bytes.
fn topic(n: usize) -> String {
    format!("vixen.interest.{n}.{}", "y".repeat(63_980))
}

/// Subscribes these; the answers.
async fn subscribe(client: &mut Connection, topics: std::ops::Range<usize>) -> Vec<Value> {
    let count = topics.len();
    for n in topics {
        client.send(json!([32, n + 1, {}, topic(n)]).to_string().as_bytes());
    }
    hear(client, &[8, 33], count).await
}

/// The interest of the entry is more than a frame between nodes takes. Told whole, it ended each new
/// link: the entry was not ready, and no publisher acknowledged, for as long as the subscribers stayed.
#[tokio::test]
async fn an_interest_larger_than_a_frame_is_told_on_a_new_link_and_has_a_bound() {
    let limits = "topic-bytes-max = 65536\nlink-queue-bytes-max = \"256MiB\"\n\
                  interest-bytes-max = \"80MiB\"\ninterest-bytes-per-address-max = \"80MiB\"\n";
    let mut cluster = Cluster::start(one_of_each(limits)).await.expect("a cluster");
    let mut subscribers = [session(&cluster).await, session(&cluster).await];
    for (subscriber, topics) in subscribers.iter_mut().zip([0..600, 600..1_200]) {
        let answers = subscribe(subscriber, topics).await;
        assert!(answers.iter().all(|answer| answer[0] == 33), "1,200 topics are within the bound");
    }
    let mut third = session_from(&cluster, 2).await;
    let answers = subscribe(&mut third, 1_200..1_400).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer[0] == 8).collect();
    assert!((50..150).contains(&refused.len()), "{} of 200 are above it", refused.len());
    for answer in refused {
        assert_eq!(answer[4], "vixen.error.interest_full", "{answer}");
        assert!(answer.to_string().contains("interest-bytes-max"), "it names the limit: {answer}");
    }

    cluster.kill("D1").await.expect("killed");
    cluster.restart("D1").await.expect("ready again");
    let mut publisher = session(&cluster).await;
    for n in 0..20 {
        let position = publisher.publish(n + 1, &topic(7), "[7]").await;
        position.expect("acknowledged: the link to D1 stays");
    }
    let events = hear(&mut subscribers[0], &[36], 20).await;
    assert!(events.iter().all(|event| event[4] == json!([7])), "the tail carries the interest");
    cluster.stop_all().await.expect("clean exits");
}

/// A session whose client is at 127.0.0.`last`.
async fn session_from(cluster: &Cluster, last: u8) -> Connection {
    let url = cluster.url("E1").expect("an entry");
    let from = Some([127, 0, 0, last].into());
    let options = SocketOptions { from, ..SocketOptions::default() };
    Connection::open_with(&url, "realm1", options).await.expect("a session")
}

/// Subscribes these; how many were taken, and the answers to the others.
async fn ask(client: &mut Connection, topics: &[(&str, Value)]) -> (usize, Vec<Value>) {
    for (n, (topic, options)) in (1..).zip(topics) {
        client.send(json!([32, n, options, topic]).to_string().as_bytes());
    }
    let answers = hear(client, &[8, 33], topics.len()).await;
    let refused: Vec<_> = answers.into_iter().filter(|answer| answer[0] == 8).collect();
    (topics.len() - refused.len(), refused)
}

/// What `/events` says to a client at 127.0.0.`last`: the head of a stream, or all of a refusal.
async fn events_from(cluster: &Cluster, last: u8, topic: &str) -> String {
    let address = cluster.address("E1").expect("an entry").parse().expect("an address");
    let ask = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, last], 0).into())?;
        let mut stream = socket.connect(address).await?;
        let line = format!("GET /events?realm=realm1&topic={topic} HTTP/1.1");
        let request = format!("{line}\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut heard = Vec::new();
        while stream.read_buf(&mut heard).await? > 0 {
            if heard.starts_with(b"HTTP/1.1 200") {
                break;
            }
        }
        std::io::Result::Ok(String::from_utf8_lossy(&heard).into_owned())
    };
    tokio::time::timeout(SOON, ask).await.expect("in time").expect("an answer")
}

/// One address had all topics and patterns that an entry takes, and nobody else could subscribe anything
/// that was not there yet, for as long as its sessions stayed.
#[tokio::test]
async fn an_address_that_has_its_share_of_subscriptions_keeps_nobody_else_from_subscribing() {
    let limits = "interest-bytes-max = \"256KiB\"\npatterns-per-session-max = 50\n\
                  patterns-per-entry-max = 400\n";
    let mut cluster = Cluster::start(one_of_each(limits)).await.expect("a cluster");
    let mut greedy = Vec::new();
    for _ in 0..6 {
        greedy.push(session_from(&cluster, 1).await);
    }
    let (mut taken, mut refused) = ([0, 0], [Vec::new(), Vec::new()]);
    let kinds = [(50, 0, json!({"match": "prefix"})), (200, 400, json!({}))];
    for (kind, (count, length, options)) in kinds.iter().enumerate() {
        for (n, one) in greedy.iter_mut().enumerate() {
            let names = (0..*count).map(|i| format!("vixen.{n}.{i}.{}", "y".repeat(*length)));
            let names: Vec<_> = names.collect();
            let wanted: Vec<_> =
                names.iter().map(|name| (name.as_str(), options.clone())).collect();
            let (some, others) = ask(one, &wanted).await;
            taken[kind] += some;
            refused[kind].extend(others);
        }
    }
    let [patterns, topics] = taken;
    assert_eq!(patterns, 100, "a quarter of the entry's");
    assert!((100..130).contains(&topics), "64 KiB beside the patterns: {topics}");
    let told = [
        ("vixen.error.too_many_patterns", "limits.patterns-per-address-max"),
        ("vixen.error.interest_full", "limits.interest-bytes-per-address-max"),
    ];
    for (refused, (uri, limit)) in refused.iter().zip(told) {
        assert!(!refused.is_empty());
        for answer in refused {
            assert_eq!(answer[4], uri, "{answer}");
            let text = answer.to_string();
            assert!(text.contains(limit) && text.contains("this client's address"), "{text}");
        }
    }
    let long = format!("vixen.stream.{}", "y".repeat(400));
    let told = events_from(&cluster, 1, &long).await;
    assert!(
        told.starts_with("HTTP/1.1 429") && told.contains("vixen.error.interest_full"),
        "{told}"
    );
    assert!(told.contains("limits.interest-bytes-per-address-max"), "{told}");
    let counted = "vixen_entry_subscriptions_refused_total";
    let counted = cluster.metric("E1", counted).await.expect("a metric");
    let expected = u32::try_from(refused[0].len() + refused[1].len() + 1).expect("few");
    assert!((counted - f64::from(expected)).abs() < 0.5, "{counted} of {expected}");

    let mut other = session_from(&cluster, 2).await;
    let wanted = [("vixen.other", json!({})), ("vixen.many.", json!({"match": "prefix"}))];
    let (taken, refused) = ask(&mut other, &wanted).await;
    assert_eq!((taken, refused), (2, vec![]), "another address has a share of its own");
    let told = events_from(&cluster, 2, &long).await;
    assert!(told.starts_with("HTTP/1.1 200"), "so have its streams: {told}");
    let mut publisher = session_from(&cluster, 3).await;
    publish(&mut publisher, &[("vixen.other", "."), ("vixen.many.1", ".")]).await;
    hear(&mut other, &[36], 2).await;
    drop(greedy);
    let free = async {
        while ask(&mut session_from(&cluster, 1).await, &[(&long, json!({}))]).await.0 == 0 {}
    };
    tokio::time::timeout(SOON, free).await.expect("it has its share again when its sessions end");
    cluster.stop_all().await.expect("clean exits");
}

/// Publishes these at once, and waits for their acknowledgements.
async fn publish(client: &mut Connection, messages: &[(&str, &str)]) {
    for (n, (topic, payload)) in (1..).zip(messages) {
        let publish = json!([16, n, {"acknowledge": true}, topic, [payload]]);
        client.send(publish.to_string().as_bytes());
    }
    hear(client, &[17], messages.len()).await;
}

async fn stalled(cluster: &Cluster) -> Connection {
    let url = cluster.url("E1").expect("an entry");
    let options = SocketOptions { kernel_receive_bytes: Some(4096), ..SocketOptions::default() };
    Connection::open_with(&url, "realm1", options).await.expect("a session")
}

async fn slow_sessions(cluster: &Cluster) -> f64 {
    cluster.metric("E1", "vixen_entry_slow_sessions_total").await.expect("a metric")
}

/// Each small event kept the segment that it came with, half a MiB, and counted as 230 bytes.
#[tokio::test]
async fn a_stalled_subscriber_of_small_events_keeps_no_large_segments() {
    const ROUNDS: usize = 120;
    const MIB_MAX: f64 = 25.0;
    let limits = "subscriber-buffer-bytes-max = \"16MiB\"\n";
    let mut cluster = Cluster::start(one_of_each(limits)).await.expect("a cluster");
    let mut of_large = stalled(&cluster).await;
    of_large.subscribe(1, "vixen.large").await.expect("subscribed");
    let mut publisher = session(&cluster).await;
    let large = "x".repeat(450_000);
    let round: [(&str, &str); 3] =
        [("vixen.large", &large), ("vixen.small", "."), ("vixen.large", &large)];
    let lag = async {
        while slow_sessions(&cluster).await < 1.0 {
            publish(&mut publisher, &round).await;
        }
    };
    tokio::time::timeout(SOON, lag).await.expect("it lags: its interest is what is left of it");
    let mut of_small = stalled(&cluster).await;
    of_small.subscribe(1, "vixen.small").await.expect("subscribed");
    // More than its socket takes: from here on its events wait at the entry.
    for _ in 0..20 {
        publish(&mut publisher, &[("vixen.small", &large)]).await;
    }
    let pid = cluster.pid("E1").expect("a process");
    let before = anonymous_mib(pid).expect("it runs");
    for _ in 0..ROUNDS {
        publish(&mut publisher, &round).await;
    }
    let grown = anonymous_mib(pid).expect("it runs") - before;
    assert!(slow_sessions(&cluster).await < 2.0, "the other one does not: its events wait for it");
    eprintln!("{grown:.1} MiB for {ROUNDS} small events");
    assert!(grown < MIB_MAX, "{grown:.1} MiB for {ROUNDS} small events");
    drop((of_large, of_small));
    cluster.stop_all().await.expect("clean exits");
}
