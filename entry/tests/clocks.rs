//! The wall clock of a process that holds all tiers is wrong, and set right while it runs.
//!
//! One test: the clock is that of the whole process.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use vixen_entry::Nearcast;
use vixen_runtime::clock::set_offset;
use vixen_runtime::config::Config;

/// Less than what a publisher waits for its place, and a thousandth of what the clock is off by.
const PATIENCE: Duration = Duration::from_secs(20);
const TOPIC: &str = "com.example.clock";
const HOUR_MS: i64 = 3_600_000;

type Running = (SocketAddr, oneshot::Sender<()>, JoinHandle<anyhow::Result<()>>);
type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn start(dir: &Path) -> Running {
    let mut config = Config::nearcast(dir.to_owned(), SocketAddr::from(([127, 0, 0, 1], 0)));
    config.limits.store_bytes_max = 64 << 20;
    let nearcast = Nearcast::open(config).await.expect("free");
    let (address, handle) = (nearcast.address().expect("bound"), nearcast.handle());
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(nearcast.run(async {
        let _dropped = stopped.await;
    }));
    let ready = tokio::time::timeout(PATIENCE, handle.until_ready()).await;
    assert!(ready.is_ok(), "not ready: {:?}", handle.ready());
    (address, stop, running)
}

async fn say(client: &mut Client, message: Value) {
    client.send(Message::text(message.to_string())).await.expect("sent");
}

async fn hear(client: &mut Client) -> Value {
    let next = tokio::time::timeout(PATIENCE, client.next()).await.expect("in time");
    let text = next.expect("open").expect("whole").into_text().expect("text");
    serde_json::from_str(&text).expect("JSON")
}

async fn join(address: SocketAddr) -> Client {
    let mut request = format!("ws://{address}/ws").into_client_request().expect("a URL");
    request.headers_mut().insert("sec-websocket-protocol", "wamp.2.json".parse().expect("one"));
    let (mut client, _response) = connect_async(request).await.expect("connected");
    let roles = json!({"roles": {"publisher": {}, "subscriber": {}}});
    say(&mut client, json!([1, "realm1", roles])).await;
    assert_eq!(hear(&mut client).await[0], 2, "welcome");
    client
}

/// Publishes, acknowledged, and returns the position.
async fn publish(client: &mut Client) -> u64 {
    say(client, json!([16, 1, {"acknowledge": true}, TOPIC, [1]])).await;
    let published = hear(client).await;
    assert_eq!(published[0], 17, "{published}");
    published[2].as_u64().expect("a position")
}

/// The times of the first `count` messages.
async fn times(address: SocketAddr, count: usize) -> Vec<String> {
    let mut client = join(address).await;
    say(&mut client, json!([32, 1, {"after": 0}, TOPIC])).await;
    assert_eq!(hear(&mut client).await[0], 33, "subscribed");
    let mut times = Vec::new();
    while times.len() < count {
        let event = hear(&mut client).await;
        times.push(event[3]["time"].as_str().expect("a time").to_owned());
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_goes_on_when_a_clock_that_was_an_hour_ahead_is_set_right() {
    let dir = tempfile::tempdir().expect("dir");
    let (address, stop, running) = start(dir.path()).await;
    let mut client = join(address).await;
    let mut positions = vec![publish(&mut client).await];
    set_offset(HOUR_MS);
    positions.push(publish(&mut client).await);
    set_offset(0);
    for _ in 3..=20 {
        positions.push(publish(&mut client).await);
    }
    drop(client);
    stop.send(()).expect("running");
    running.await.expect("no panic").expect("a clean end");

    let (address, stop, running) = start(dir.path()).await;
    let mut client = join(address).await;
    positions.push(publish(&mut client).await);
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    let times = times(address, 21).await;
    assert!(times.is_sorted(), "{times:?}");
    assert!(times[1][..16] == times[20][..16] || times[1] < times[20], "{times:?}");
    drop(client);
    stop.send(()).expect("running");
    running.await.expect("no panic").expect("a clean end");
}
