//! A port over real sockets on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::*;
use crate::config::{TrustedProxies, Web};

/// Bound on anything that loopback does at once.
const SOON: Duration = Duration::from_secs(20);
/// Of the port; those who behave need less even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(3);
const HOUR: Duration = Duration::from_secs(3600);
const NEVER: Timeouts = Timeouts { first_head: HOUR, next_head: HOUR, silence: HOUR, stall: HOUR };
const REQUEST: &str = "GET /ip HTTP/1.1\r\nhost: test\r\n\r\n";

/// `/ip` tells where the client is, `/held` answers once the test lets it.
struct OpenPort {
    address: SocketAddr,
    held: Arc<Notify>,
    is_held: Arc<Notify>,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<()>,
}

impl OpenPort {
    async fn open(timeouts: impl Into<PortBounds> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (held, is_held) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (wait, arrived) = (Arc::clone(&held), Arc::clone(&is_held));
        let hold = || async move {
            arrived.notify_one();
            wait.notified().await;
            "let go\n"
        };
        let ip =
            |ConnectInfo(client): ConnectInfo<ClientAddress>| async move { client.ip.to_string() };
        let router = Router::new().route("/ip", get(ip)).route("/held", get(hold));
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listener, None, router, timeouts, async move {
            let _or_dropped = stopped.await;
        }));
        Self { address, held, is_held, stop, server }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.expect("sent");
}

/// All that comes until the port closes.
async fn hear_all(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    let all = stream.read_to_string(&mut answer);
    timeout(SOON, all).await.expect("closed in time").expect("received");
    answer
}

async fn hear_until(stream: &mut TcpStream, end: &str) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(end.as_bytes()) {
        let byte = timeout(SOON, stream.read_u8()).await.expect("in time").expect("more");
        heard.push(byte);
    }
    String::from_utf8(heard).expect("text")
}

#[tokio::test]
async fn who_does_not_ask_in_time_is_sent_away_and_others_are_served() {
    let port = OpenPort::open(Timeouts { first_head: PATIENCE, ..NEVER }).await;
    let silent = port.connect().await;
    let mut slow = port.connect().await;
    send(&mut slow, "GET /ip HTTP/1.1\r\nhost: te").await;
    let mut held = port.connect().await;
    send(&mut held, "GET /held HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await;
    port.is_held.notified().await;
    assert_eq!(hear_all(silent).await, "");
    assert_eq!(hear_all(slow).await, "");
    // Asked in time, however long the answer takes.
    tokio::time::sleep(PATIENCE).await;
    port.held.notify_one();
    assert!(hear_all(held).await.ends_with("\r\n\r\nlet go\n"));
}

#[tokio::test]
async fn a_trusted_proxy_says_whose_request_it_is_and_nobody_else_does() {
    let web = |proxies: &str| Web {
        trusted_proxies: TrustedProxies(vec![proxies.parse().expect("a network")]),
        ..Web::default()
    };
    for (proxies, wanted) in [("127.0.0.0/8", "192.0.2.7"), ("10.0.0.0/8", "127.0.0.1")] {
        let bounds = PortBounds { proxies: Proxies::of(&web(proxies)), ..NEVER.into() };
        let port = OpenPort::open(bounds).await;
        let mut stream = port.connect().await;
        let head = REQUEST.trim_end().to_owned();
        send(&mut stream, &(head + "\r\nx-forwarded-for: 198.51.100.1, 192.0.2.7\r\n\r\n")).await;
        let answer = hear_until(&mut stream, wanted).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn a_further_request_has_a_time_of_its_own() {
    let port = OpenPort::open(Timeouts { next_head: PATIENCE, ..NEVER }).await;
    let mut stream = port.connect().await;
    for _ in 0..2 {
        send(&mut stream, REQUEST).await;
        assert!(hear_until(&mut stream, "127.0.0.1").await.starts_with("HTTP/1.1 200"));
    }
    send(&mut stream, &REQUEST[..20]).await;
    assert_eq!(hear_all(stream).await, "");
}

#[tokio::test]
async fn a_port_that_stops_finishes_what_was_asked_and_takes_nothing_new() {
    let port = OpenPort::open(NEVER).await;
    let mut idle = port.connect().await;
    send(&mut idle, REQUEST).await;
    hear_until(&mut idle, "127.0.0.1").await;
    let mut held = port.connect().await;
    send(&mut held, "GET /held HTTP/1.1\r\nhost: test\r\n\r\n").await;
    port.is_held.notified().await;
    let silent = port.connect().await;
    // Accepted, as one that came after it is answered.
    send(&mut idle, REQUEST).await;
    hear_until(&mut idle, "127.0.0.1").await;
    port.stop.send(()).expect("it runs");
    assert_eq!(hear_all(silent).await, "", "nor for a question");
    assert_eq!(hear_all(idle).await, "", "nobody waits for an answer there");
    assert!(TcpStream::connect(port.address).await.is_err(), "the port is closed");
    port.held.notify_one();
    assert!(hear_all(held).await.ends_with("\r\n\r\nlet go\n"));
    timeout(SOON, port.server).await.expect("in time").expect("an end");
}
