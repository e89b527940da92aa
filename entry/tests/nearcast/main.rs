//! All three tiers in one process, with real stores and real clients.

mod another_order;
mod realms;

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use vixen_core::recording::{EndReason, Ending, Recording, Replay, Verdict};
use vixen_entry::{Nearcast, recorded_machines};
use vixen_runtime::config::Config;
use vixen_runtime::recording::RecordArgs;

/// Nothing here takes long: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn start(dir: &Path) -> Self {
        Self::start_recorded(dir, &RecordArgs::default()).await
    }

    async fn start_recorded(dir: &Path, recording: &RecordArgs) -> Self {
        Self::open(config(dir), recording).await
    }

    async fn start_with(config: Config) -> Self {
        Self::open(config, &RecordArgs::default()).await
    }

    async fn open(config: Config, recording: &RecordArgs) -> Self {
        let opened = Nearcast::open_recorded(config, recording).await;
        let nearcast = opened.expect("free");
        let address = nearcast.address().expect("bound");
        let handle = nearcast.handle();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(nearcast.run(async {
            let _dropped = stopped.await;
        }));
        let ready = tokio::time::timeout(PATIENCE, handle.until_ready()).await;
        assert!(ready.is_ok(), "not ready: {:?}", handle.ready());
        Self { address, stop, running }
    }

    async fn stop(self) {
        self.stop.send(()).expect("running");
        self.running.await.expect("no panic").expect("a clean end");
    }
}

fn config(dir: &Path) -> Config {
    let mut config = Config::nearcast(dir.to_owned(), SocketAddr::from(([127, 0, 0, 1], 0)));
    // Address space is what a small container has little of.
    config.limits.store_bytes_max = 64 << 20;
    config
}

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let mut request = format!("ws://{address}/ws").into_client_request().expect("a URL");
        let subprotocol = "wamp.2.json".parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", subprotocol);
        let (socket, _response) = connect_async(request).await.expect("connected");
        Self(socket)
    }

    async fn join(address: SocketAddr) -> Self {
        let mut client = Self::connect(address).await;
        let subscriber = json!({"features": {"subscription_revocation": true}});
        let details = json!({"roles": {"publisher": {}, "subscriber": subscriber}});
        client.send(&json!([1, "realm1", details])).await;
        assert_eq!(client.receive().await[0], 2, "welcome");
        client
    }

    async fn send(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.expect("sent");
    }

    async fn receive(&mut self) -> Value {
        let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("in time");
        let text = next.expect("open").expect("whole").into_text().expect("text");
        serde_json::from_str(&text).expect("JSON")
    }

    async fn subscribe(&mut self, topic: &str) -> u64 {
        self.subscribe_with(&json!({}), topic).await
    }

    async fn subscribe_with(&mut self, options: &Value, topic: &str) -> u64 {
        self.send(&json!([32, 1, options, topic])).await;
        let subscribed = self.receive().await;
        assert_eq!(subscribed[0], 33, "{subscribed}");
        subscribed[2].as_u64().expect("an id")
    }

    /// The position and the first argument of the next event, which is of this subscription.
    async fn event(&mut self, subscription: u64) -> (u64, u64) {
        let event = self.receive().await;
        assert_eq!((&event[0], &event[1]), (&json!(36), &json!(subscription)), "{event}");
        let number = |value: &Value| value.as_u64().expect("a number");
        (number(&event[2]), number(&event[4][0]))
    }

    /// Publishes, acknowledged, and returns the position.
    async fn publish(&mut self, request: u64, topic: &str, payload: &Value) -> u64 {
        self.send(&json!([16, request, {"acknowledge": true}, topic, payload])).await;
        let published = self.receive().await;
        assert_eq!((&published[0], &published[1]), (&json!(17), &json!(request)), "{published}");
        published[2].as_u64().expect("a position")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_acknowledged_delivered_and_kept_in_one_order_over_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let nearcast = Running::start(dir.path()).await;
    let mut publisher = Client::join(nearcast.address).await;
    let mut subscribers = Vec::new();
    let mut subscriptions = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let mut subscriber = Client::join(nearcast.address).await;
        subscriptions.insert(subscriber.subscribe("com.example.news").await);
        subscribers.push(subscriber);
    }
    // Subscribers of one topic share a subscription, whose number tells nothing.
    let [subscription] = subscriptions.into_iter().collect::<Vec<_>>()[..] else {
        panic!("more than one subscription of a topic");
    };
    let mut positions = Vec::new();
    for n in 1..=20_u64 {
        positions.push(publisher.publish(n, "com.example.news", &json!([n])).await);
    }
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    for subscriber in &mut subscribers {
        let mut ids = Vec::new();
        for (n, position) in (1..=20_u64).zip(&positions) {
            let event = subscriber.receive().await;
            assert_eq!(
                event.as_array().map(|fields| &fields[..3]),
                Some(&[36.into(), subscription.into(), (*position).into()][..])
            );
            assert_eq!(event[4], json!([n]));
            ids.push(event[3]["id"].as_str().expect("a permanent id").to_owned());
        }
        assert!(ids.is_sorted_by(|a, b| a < b), "permanent ids sort like the order: {ids:?}");
    }
    // A stopping node waits a while for clients that do not say goodbye.
    drop((publisher, subscribers));
    nearcast.stop().await;

    let nearcast = Running::start(dir.path()).await;
    let mut subscriber = Client::join(nearcast.address).await;
    subscriber.subscribe("com.example.news").await;
    let mut publisher = Client::join(nearcast.address).await;
    positions.push(publisher.publish(1, "com.example.other", &json!([])).await);
    let again = publisher.publish(2, "com.example.news", &json!(["again"])).await;
    positions.push(again);
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    let event = subscriber.receive().await;
    assert_eq!((&event[2], &event[4]), (&json!(again), &json!(["again"])), "{event}");
    drop((publisher, subscriber));
    nearcast.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unacknowledged_messages_of_many_publishers_all_arrive_in_their_own_order() {
    const PUBLISHERS: u64 = 4;
    const MESSAGES: u64 = 500;
    let dir = tempfile::tempdir().expect("a directory");
    let nearcast = Running::start(dir.path()).await;
    let mut subscriber = Client::join(nearcast.address).await;
    subscriber.subscribe("t").await;
    let address = nearcast.address;
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            tokio::spawn(async move {
                let mut client = Client::join(address).await;
                for n in 0..MESSAGES {
                    client.send(&json!([16, n + 1, {}, "t", [publisher, n]])).await;
                }
                client
            })
        })
        .collect();
    let mut next = vec![0; usize::try_from(PUBLISHERS).expect("few")];
    let (mut first, mut last) = (None, 0);
    for _ in 0..PUBLISHERS * MESSAGES {
        let event = subscriber.receive().await;
        let position = event[2].as_u64().expect("a position");
        assert!(position > last, "positions rise: {position} after {last}");
        first.get_or_insert(position);
        last = position;
        let publisher = event[4][0].as_u64().and_then(|n| usize::try_from(n).ok()).expect("ours");
        assert_eq!(event[4][1], json!(next[publisher]));
        next[publisher] += 1;
    }
    // One between may be the entry's own, where a day begins.
    let first = first.expect("events");
    assert!(last - first <= PUBLISHERS * MESSAGES, "{first} to {last}");
    for publisher in publishers {
        drop(publisher.await.expect("no panic"));
    }
    drop(subscriber);
    nearcast.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_begin_in_the_past_and_go_on_live_or_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let nearcast = Running::start(dir.path()).await;
    let mut publisher = Client::join(nearcast.address).await;
    // Every second one is of another topic.
    let mut places = std::collections::BTreeMap::new();
    for n in 1..=10_u64 {
        let topic = if n % 2 == 0 { "a.b.even" } else { "a.c.odd" };
        places.insert(n, publisher.publish(n, topic, &json!([n])).await);
    }
    let message = |n| (places[&n], n);

    let mut whole = Client::join(nearcast.address).await;
    let options = json!({"after": 0, "match": "prefix"});
    let id_of_whole = whole.subscribe_with(&options, "a.").await;
    for n in 1..=10 {
        assert_eq!(whole.event(id_of_whole).await, message(n));
    }
    let mut late = Client::join(nearcast.address).await;
    let id_of_late = late.subscribe_with(&json!({"after": places[&6]}), "a.b.even").await;
    for n in [8, 10] {
        assert_eq!(late.event(id_of_late).await, message(n));
    }

    let mut snapshot = Client::join(nearcast.address).await;
    let options = json!({"snapshot": true, "match": "wildcard"});
    let id = snapshot.subscribe_with(&options, "a..odd").await;
    for n in [1, 3, 5, 7, 9] {
        assert_eq!(snapshot.event(id).await, message(n));
    }
    let over = json!([35, 0, {"subscription": id, "reason": "vixen.close.complete"}]);
    assert_eq!(snapshot.receive().await, over);
    let mut limited = Client::join(nearcast.address).await;
    let id = limited.subscribe_with(&json!({"after": 0, "limit": 2}), "a.*.odd").await;
    for n in [1, 3] {
        assert_eq!(limited.event(id).await, message(n));
    }
    let over = json!([35, 0, {"subscription": id, "reason": "vixen.close.complete"}]);
    assert_eq!(limited.receive().await, over);

    let live = publisher.publish(11, "a.b.even", &json!([11])).await;
    assert_eq!(whole.event(id_of_whole).await, (live, 11));
    assert_eq!(late.event(id_of_late).await, (live, 11));
    // The others are over: what comes next is the answer to something else.
    for mut client in [snapshot, limited] {
        assert!(client.publish(1, "b", &json!([])).await > live);
    }
    drop((publisher, whole, late));
    nearcast.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_and_a_port_are_for_one_nearcast() {
    let dir = tempfile::tempdir().expect("a directory");
    let nearcast = Running::start(dir.path()).await;
    let error = Nearcast::open(config(dir.path())).await.err().expect("taken").to_string();
    assert!(error.contains("in use") && error.contains("--data-dir"), "{error}");
    let other = tempfile::tempdir().expect("a directory");
    let mut config = config(other.path());
    config.entries[0].listen = nearcast.address;
    let error = Nearcast::open(config).await.err().expect("taken").to_string();
    assert!(error.contains("cannot listen") && error.contains("--listen"), "{error}");
    nearcast.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_three_nodes_are_recorded_into_a_directory() {
    let (dir, recordings) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let args = RecordArgs { record: Some(recordings.path().to_owned()), ..RecordArgs::default() };
    let nearcast = Running::start_recorded(dir.path(), &args).await;
    let mut client = Client::join(nearcast.address).await;
    client.publish(1, "a", &json!([1])).await;
    drop(client);
    nearcast.stop().await;
    let files = std::fs::read_dir(recordings.path()).expect("there");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let first = |path: &std::path::PathBuf| {
        path.file_name().expect("a name").to_string_lossy()[..3].to_owned()
    };
    assert_eq!(files.iter().map(first).collect::<Vec<_>>(), ["D1-", "E1-", "S1-"]);
    let recording = Recording::open(File::open(&files[1]).expect("there")).expect("a recording");
    let mut machines = recorded_machines();
    let summary = Replay::new(recording, &mut machines, Instant::now()).run(None, &mut ());
    assert_eq!(summary.verdict, Verdict::Agrees);
    assert!(matches!(summary.ending, Ending::Said(EndReason::Stopped)), "{summary:?}");
    assert!(summary.inputs > 0);

    let file = RecordArgs { record: Some(files[1].clone()), ..args };
    let other = tempfile::tempdir().expect("dir");
    let error = Nearcast::open_recorded(config(other.path()), &file).await.err().expect("refused");
    assert!(error.to_string().contains("is not a directory that exists"), "{error:#}");
}
