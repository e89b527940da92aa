//! A real entry on a real port, its counters, and two sessions that behave.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vixen_entry::Nearcast;
use vixen_runtime::config::{Config, Durability, Limits};

use crate::peer::{PATIENCE, Peer};

/// Counters of what is refused.
const FAMILIES: [(&str, &str); 10] = [
    ("vixen_entry_protocol_violations_total", "violation"),
    ("vixen_entry_publish_errors_total", "publish"),
    ("vixen_entry_subscribe_errors_total", "subscribe"),
    ("vixen_entry_calls_total", "call"),
    ("vixen_entry_registrations_total", "register"),
    ("vixen_entry_login_failures_total", "login"),
    ("vixen_entry_sessions_ended_total", "ended"),
    ("vixen_entry_http_refusals_total", "http"),
    ("vixen_common_malformed_requests_total", "malformed"),
    ("vixen_common_silent_connections_total", "silent"),
];

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    _dir: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub(crate) async fn start(change: impl FnOnce(&mut Limits)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config::nearcast(dir.path().to_owned(), listen);
        // Address space is what a small container has little of.
        config.limits.store_bytes_max = 64 << 20;
        // A thousand rows, and none of them is about power cuts.
        config.cluster.durability = Durability::Memory;
        change(&mut config.limits);
        let nearcast = Nearcast::open(config).await.expect("free");
        let address = nearcast.address().expect("bound");
        let handle = nearcast.handle();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(nearcast.run(async {
            let _dropped = stopped.await;
        }));
        let ready = tokio::time::timeout(PATIENCE, handle.until_ready()).await;
        assert!(ready.is_ok(), "not ready: {:?}", handle.ready());
        Self { address, _dir: dir, stop, running }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).expect("running");
        self.running.await.expect("no panic").expect("a clean end");
    }

    /// The counters of what is refused, such as `violation arity`.
    pub(crate) async fn counters(&self) -> BTreeMap<String, u64> {
        let mut peer = Peer::connect(self.address).await;
        peer.send(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        let page = peer.hear_http().await.expect("the page").body;
        let page = std::str::from_utf8(&page).expect("text");
        let counter = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let (_, short) = FAMILIES.into_iter().find(|(family, _)| *family == name)?;
            let label = labels.split('"').nth(1).unwrap_or_default();
            Some((format!("{short} {label}").trim_end().to_owned(), value.parse().ok()?))
        };
        page.lines().filter_map(counter).collect()
    }
}

/// A publisher and a subscriber that do nothing wrong.
pub(crate) struct Pair {
    publisher: Peer,
    subscriber: Peer,
    sent: u64,
}

impl Pair {
    pub(crate) async fn join(address: SocketAddr) -> Self {
        let publisher = Peer::join(address, "wamp.2.json").await;
        let mut subscriber = Peer::join(address, "wamp.2.json").await;
        subscriber.say(r#"[32,1,{},"good.pair"]"#).await;
        assert_eq!(subscriber.hear_message().await[0], 33, "SUBSCRIBED");
        Self { publisher, subscriber, sent: 0 }
    }

    /// One message goes from one to the other, acknowledged; nothing else comes.
    pub(crate) async fn turn(&mut self) {
        self.sent += 1;
        let sent = self.sent;
        let publish = format!(r#"[16,{sent},{{"acknowledge":true}},"good.pair",[{sent}]]"#);
        self.publisher.say(&publish).await;
        let published = self.publisher.hear_message().await;
        assert_eq!((&published[0], &published[1]), (&json!(17), &json!(sent)), "{published}");
        let event = self.subscriber.hear_message().await;
        assert_eq!((&event[0], &event[4]), (&json!(36), &json!([sent])), "{event}");
    }
}
