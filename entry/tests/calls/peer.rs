//! An entry in this process, and clients that say what they are told to.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use vixen_core::payload::transcode_value;
use vixen_core::segment::Encoding;
use vixen_entry::Nearcast;
use vixen_runtime::config::{Config, Durability};

/// Nothing here takes long: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of every HELLO here that wants all that a callee can have.
pub(crate) const ALL_FEATURES: &str = r#"{"roles":{"caller":{},"callee":{"features":
    {"call_canceling":true,"call_timeout":true,"registration_revocation":true,"progressive_call_invocations":true}}}}"#;

pub(crate) struct Entry {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<anyhow::Result<()>>,
    config: Config,
    reload: Box<dyn Fn(&Config) + Send + Sync>,
    _dir: tempfile::TempDir,
}

impl Entry {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config::nearcast(dir.path().to_owned(), listen);
        // Address space is what a small container has little of.
        config.limits.store_bytes_max = 64 << 20;
        config.cluster.durability = Durability::Memory;
        change(&mut config);
        let nearcast = Nearcast::open(config.clone()).await.expect("free");
        let reload = Box::new(nearcast.reloader());
        let address = nearcast.address().expect("bound");
        let handle = nearcast.handle();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(nearcast.run(async {
            let _dropped = stopped.await;
        }));
        let ready = tokio::time::timeout(PATIENCE, handle.until_ready()).await;
        assert!(ready.is_ok(), "not ready: {:?}", handle.ready());
        Self { address, stop, running, config, reload, _dir: dir }
    }

    /// The configuration is read again, with this changed. Sessions take nothing more before they know.
    pub(crate) fn reload(&self, change: impl FnOnce(&mut Config)) {
        let mut config = self.config.clone();
        change(&mut config);
        (self.reload)(&config);
    }

    /// Where clients connect.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A session without features.
    pub(crate) async fn plain(&self) -> Peer {
        self.join("wamp.2.json", r#"{"roles":{"caller":{},"callee":{}}}"#).await
    }

    /// A session with all features of a callee.
    pub(crate) async fn full(&self) -> Peer {
        self.join("wamp.2.json", ALL_FEATURES).await
    }

    pub(crate) async fn join(&self, subprotocol: &str, details: &str) -> Peer {
        self.join_realm("realm1", subprotocol, details).await
    }

    pub(crate) async fn join_realm(&self, realm: &str, subprotocol: &str, details: &str) -> Peer {
        let mut peer = self.connect(subprotocol).await;
        peer.say(&format!(r#"[1,"{realm}",{details}]"#)).await;
        peer.welcomed().await;
        peer
    }

    /// A connection on which nothing was said.
    pub(crate) async fn connect(&self, subprotocol: &str) -> Peer {
        let url = format!("ws://{}/ws", self.address);
        let mut request = url.into_client_request().expect("a URL");
        let header = subprotocol.parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", header);
        let (socket, _response) = connect_async(request).await.expect("connected");
        let encoding = match subprotocol {
            "wamp.2.json" | "wamp.2.json.batched" => Encoding::Json,
            "wamp.2.msgpack" => Encoding::MsgPack,
            "wamp.2.cbor" => Encoding::Cbor,
            other => panic!("{other}"),
        };
        Peer { socket, encoding, session: 0, requests: 0 }
    }

    pub(crate) async fn stop(self) {
        self.begin_stop().until_stopped().await;
    }

    /// It stops, and sessions see that in their own time.
    pub(crate) fn begin_stop(self) -> Stopping {
        self.stop.send(()).expect("running");
        Stopping { running: self.running, _dir: self._dir }
    }
}

pub(crate) struct Stopping {
    running: JoinHandle<anyhow::Result<()>>,
    _dir: tempfile::TempDir,
}

impl Stopping {
    pub(crate) async fn until_stopped(self) {
        self.running.await.expect("no panic").expect("a clean end");
    }
}

pub(crate) struct Peer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    encoding: Encoding,
    pub(crate) session: u64,
    requests: u64,
}

impl Peer {
    /// WELCOME comes next; its details.
    pub(crate) async fn welcomed(&mut self) -> Value {
        let welcome = self.hear().await;
        assert_eq!(welcome[0], 2, "{welcome}");
        self.session = welcome[1].as_u64().expect("an id");
        welcome[2].clone()
    }

    /// A new request id, above those that tests write out.
    pub(crate) const fn request(&mut self) -> u64 {
        self.requests += 1;
        1000 + self.requests
    }

    /// Says this JSON in its own serializer.
    pub(crate) async fn say(&mut self, message: &str) {
        let message = match self.encoding {
            Encoding::Json => Message::text(message),
            binary => {
                let mut out = BytesMut::new();
                transcode_value(message.as_bytes(), Encoding::Json, binary, &mut out)
                    .expect("it has a form there");
                Message::binary(out)
            }
        };
        self.socket.send(message).await.expect("sent");
    }

    /// Says all of this in one go: the entry has read all of it before it answers.
    pub(crate) async fn say_together(&mut self, messages: &[&str]) {
        assert_eq!(self.encoding, Encoding::Json, "no other is needed");
        for message in messages {
            self.socket.feed(Message::text(*message)).await.expect("taken");
        }
        self.socket.flush().await.expect("sent");
    }

    /// Says these bytes.
    pub(crate) async fn say_bytes(&mut self, message: &[u8]) {
        self.socket.send(Message::binary(message.to_owned())).await.expect("sent");
    }

    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("in time");
            match next.expect("open").expect("whole") {
                // Of a batch of one.
                Message::Text(text) => {
                    return serde_json::from_str(text.trim_end_matches('\u{1e}')).expect("JSON");
                }
                Message::Binary(bytes) => {
                    let mut out = BytesMut::new();
                    transcode_value(&bytes, self.encoding, Encoding::Json, &mut out)
                        .expect("it has a form in JSON");
                    return serde_json::from_slice(&out).expect("JSON");
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// All messages of the next batch.
    pub(crate) async fn hear_all(&mut self) -> Vec<Value> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("in time");
            match next.expect("open").expect("whole") {
                Message::Text(text) => {
                    let messages = text.split('\u{1e}').filter(|message| !message.is_empty());
                    let parsed =
                        messages.map(|message| serde_json::from_str(message).expect("JSON"));
                    return parsed.collect();
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// How many INVOCATIONs come before the answer to a call that nobody serves.
    pub(crate) async fn invoked_often(&mut self) -> usize {
        let request = self.request();
        self.say(&format!(r#"[48,{request},{{}},"nobody.serves.this"]"#)).await;
        let mut invocations = 0;
        loop {
            let heard = self.hear().await;
            match heard[0].as_u64() {
                Some(68) => invocations += 1,
                _answer => {
                    assert_eq!((&heard[0], &heard[2]), (&json!(8), &json!(request)), "{heard}");
                    return invocations;
                }
            }
        }
    }

    /// What comes next, or the code with which the connection closes.
    pub(crate) async fn hear_or_close(&mut self) -> Result<Value, u16> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("in time");
            match next.expect("a close frame").expect("whole") {
                Message::Text(text) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Message::Close(Some(frame)) => return Err(frame.code.into()),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Hears exactly this next.
    #[track_caller]
    pub(crate) fn hears(&mut self, wanted: Value) -> impl Future<Output = ()> {
        let from = std::panic::Location::caller();
        async move {
            let heard = self.hear().await;
            assert_eq!(heard, wanted, "at {from}");
        }
    }

    /// Hears nothing before the answer to a call that nobody serves.
    #[track_caller]
    pub(crate) fn hears_nothing(&mut self) -> impl Future<Output = ()> {
        let from = std::panic::Location::caller();
        async move {
            let request = self.request();
            self.say(&format!(r#"[48,{request},{{}},"nobody.serves.this"]"#)).await;
            let heard = self.hear().await;
            assert_eq!((&heard[0], &heard[2]), (&json!(8), &json!(request)), "{heard} at {from}");
        }
    }

    /// Registers, and returns the id.
    pub(crate) async fn register(&mut self, options: &str, procedure: &str) -> u64 {
        let request = self.request();
        self.say(&format!(r#"[64,{request},{options},"{procedure}"]"#)).await;
        let registered = self.hear().await;
        assert_eq!((&registered[0], &registered[1]), (&json!(65), &json!(request)), "{registered}");
        registered[2].as_u64().expect("an id")
    }

    /// The next INVOCATION: its id, and its arguments.
    pub(crate) async fn invoked(&mut self) -> (u64, Value) {
        let invocation = self.hear().await;
        assert_eq!(invocation[0], 68, "{invocation}");
        (invocation[1].as_u64().expect("an id"), invocation[4].clone())
    }

    /// Answers the next INVOCATION with this.
    pub(crate) async fn yields(&mut self, arguments: &str) {
        let (invocation, _) = self.invoked().await;
        self.say(&format!("[70,{invocation},{{}},{arguments}]")).await;
    }

    /// The socket is cut without a word.
    pub(crate) fn cut(self) {
        drop(self.socket);
    }

    /// GOODBYE, and its answer.
    pub(crate) async fn leave(mut self) {
        self.say(r#"[6,{},"wamp.close.normal"]"#).await;
        let goodbye = self.hear().await;
        assert_eq!(goodbye[0], 6, "{goodbye}");
    }

    /// ABORT with this URI, and the code of the close frame.
    pub(crate) async fn aborted(mut self, uri: &str) -> u16 {
        let abort = self.hear().await;
        assert_eq!((&abort[0], &abort[2]), (&json!(3), &json!(uri)), "{abort}");
        self.closed().await
    }

    /// The close frame comes next, with this code.
    pub(crate) async fn closed(mut self) -> u16 {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("in time");
            match next.expect("a close frame").expect("whole") {
                Message::Close(Some(frame)) => return frame.code.into(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
