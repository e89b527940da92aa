//! The client port over real sockets, with a core that the test plays itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use vixen_common::id::{Position, Stamp};
use vixen_common::segment::RecordFlags;

use super::*;
use crate::broker::{
    Event, Outbound, Outgoing, Publish, RequestId, SegmentEvents, SessionId, SubscriptionId,
};
use crate::wamp::{EventEncoder, SessionLimits};

const HELLO: &str = r#"[1,"realm1",{"roles":{"publisher":{},"subscriber":{}}}]"#;

/// A client port, and the test's hands on everything behind it.
struct Port {
    address: SocketAddr,
    events: mpsc::Receiver<SessionEvent>,
    room: Arc<Semaphore>,
    stop: watch::Sender<bool>,
}

impl Port {
    async fn open(limits: SessionLimits) -> Self {
        let (sender, events) = mpsc::channel(1024);
        let room = Arc::new(Semaphore::new(limits.entry_unacknowledged_bytes_max));
        let (stop, stopping) = watch::channel(false);
        let context = SessionContext {
            events: sender,
            limits: Arc::new(limits),
            room: Arc::clone(&room),
            stopping,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, client_router(context)).await });
        Self { address, events, room, stop }
    }

    async fn connect(&self) -> Client {
        let mut request = format!("ws://{}/ws", self.address).into_client_request().expect("a URL");
        let protocol = SUBPROTOCOL.parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (socket, response) = connect_async(request).await.expect("an upgrade");
        assert_eq!(response.headers()["sec-websocket-protocol"], SUBPROTOCOL);
        Client(socket)
    }

    /// A client whose session is open.
    async fn join(&mut self) -> (Client, SessionId, Outbound) {
        let mut client = self.connect().await;
        client.say(HELLO).await;
        assert!(client.hear().await.starts_with("[2,"));
        match self.events.recv().await {
            Some(SessionEvent::Opened { session, outbound }) => (client, session, outbound),
            other => panic!("{other:?}"),
        }
    }

    /// Takes messages of a session until it has as many as wanted, or no more come.
    async fn take(&mut self, wanted: usize) -> Vec<Publish> {
        let mut taken = Vec::new();
        while taken.len() < wanted {
            let next = tokio::time::timeout(Duration::from_millis(300), self.events.recv());
            match next.await {
                Ok(Some(SessionEvent::Publish { messages, .. })) => taken.extend(messages),
                Ok(other) => panic!("{other:?}"),
                Err(_nothing_more) => break,
            }
        }
        taken
    }

    /// Resolves messages at positions from 1, and gives back their room.
    fn resolve(&self, outbound: &Outbound, messages: &[Publish]) {
        let bytes = messages.iter().map(Publish::counted_bytes).sum();
        self.room.add_permits(bytes);
        let answers = messages
            .iter()
            .zip(1..)
            .filter_map(|(message, n)| Some((message.acknowledge?, Ok(Position(n)))))
            .collect();
        let resolved = Outgoing::Resolved { messages: messages.len(), bytes, answers };
        assert!(outbound.send(resolved));
    }

    async fn http(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        let request =
            format!("{request} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }
}

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.expect("sent");
    }

    async fn hear(&mut self) -> String {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    async fn hear_close(&mut self) -> u16 {
        match self.0.next().await {
            Some(Ok(Message::Close(Some(frame)))) => frame.code.into(),
            other => panic!("{other:?}"),
        }
    }
}

fn acknowledged(request: usize, payload: &str) -> String {
    format!(r#"[16,{request},{{"acknowledge":true}},"a.b",{payload}]"#)
}

#[tokio::test]
async fn a_message_goes_from_publisher_to_subscriber_byte_for_byte() {
    let mut port = Port::open(SessionLimits::of_tests()).await;
    let (mut client, me, outbound) = port.join().await;
    client.say(r#"[32,1,{},"a.b"]"#).await;
    let Some(SessionEvent::Subscribe { session, request, topic }) = port.events.recv().await else {
        panic!("no subscribe");
    };
    assert_eq!((session, request, &*topic.uri), (me, RequestId(1), "a.b"));
    let subscription = SubscriptionId(77);
    assert!(outbound.send(Outgoing::Subscribed { request, subscription }));
    assert_eq!(client.hear().await, "[33,1,77]");

    let payload = r#"[123456789012345678901234567890,"\u00e9"],{"a":1e400,"a":[]}"#;
    client.say(&acknowledged(2, payload)).await;
    let messages = port.take(1).await;
    assert_eq!(messages[0].payload, payload);
    assert_eq!(messages[0].flags, RecordFlags::EXCLUDE_ME);
    port.resolve(&outbound, &messages);
    assert_eq!(client.hear().await, "[17,2,1]");

    let mut buffer = bytes::BytesMut::new();
    let frame = EventEncoder::new(Stamp(0)).frame(
        &mut buffer,
        subscription,
        Position(1),
        123,
        &messages[0].payload,
    );
    let event = Event { subscription, excluded: None, frame: frame.expect("text") };
    let excluded = Event { excluded: Some(me), ..event.clone() };
    let other = Event { subscription: SubscriptionId(78), ..event.clone() };
    let events = vec![excluded, other, event];
    assert!(outbound.send(Outgoing::Events(Arc::new(SegmentEvents { events, bytes: 100 }))));
    assert_eq!(client.hear().await, format!(r#"[36,77,1,{{"id":"2001010000a0b3f"}},{payload}]"#));
}

#[tokio::test]
async fn what_is_sent_before_goodbye_reaches_the_core() {
    let mut port = Port::open(SessionLimits::of_tests()).await;
    let (mut client, me, _outbound) = port.join().await;
    for n in 1..=1000 {
        client.0.feed(Message::text(acknowledged(n, "[]"))).await.expect("fed");
    }
    client.say(r#"[6,{},"wamp.close.close_realm"]"#).await;
    assert_eq!(client.hear().await, r#"[6,{},"wamp.close.goodbye_and_out"]"#);
    assert_eq!(client.hear_close().await, 1000);
    let requests: Vec<_> = port.take(1000).await.iter().map(|m| m.acknowledge).collect();
    assert_eq!(requests, (1..=1000).map(|n| Some(RequestId(n))).collect::<Vec<_>>());
    let closed = port.events.recv().await;
    assert!(matches!(closed, Some(SessionEvent::Closed { session }) if session == me));
}

#[tokio::test]
async fn a_violation_ends_its_own_session_only() {
    let mut port = Port::open(SessionLimits::of_tests()).await;
    let (mut good, _good_session, _good_outbound) = port.join().await;
    let (mut bad, bad_session, _outbound) = port.join().await;
    bad.say("[48,1,{},\"a.b\"]").await;
    let abort = bad.hear().await;
    assert!(abort.starts_with("[3,{\"message\":\"") && abort.ends_with("protocol_violation\"]"));
    assert_eq!(bad.hear_close().await, 1002);
    let closed = port.events.recv().await;
    assert!(matches!(closed, Some(SessionEvent::Closed { session }) if session == bad_session));
    good.say(&acknowledged(1, "[1]")).await;
    assert_eq!(port.take(1).await.len(), 1);
}

#[tokio::test]
async fn broken_frames_are_told_apart() {
    let limits = SessionLimits { frame_bytes_max: 1024, ..SessionLimits::of_tests() };
    let mut port = Port::open(limits).await;
    let not_text = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    let table = [
        (Message::text("x".repeat(2000)), "wamp.error.payload_size_exceeded", 1009),
        (Message::binary(vec![1]), "wamp.error.protocol_violation", 1002),
        (Message::Frame(not_text), "wamp.error.protocol_violation", 1002),
    ];
    for (message, reason, code) in table {
        let (mut client, _me, _outbound) = port.join().await;
        client.0.send(message).await.expect("sent");
        let abort = client.hear().await;
        assert!(abort.starts_with("[3,") && abort.contains(reason), "{abort}");
        assert_eq!(client.hear_close().await, code);
        assert!(matches!(port.events.recv().await, Some(SessionEvent::Closed { .. })));
    }
}

#[tokio::test]
async fn without_hello_in_time_the_client_is_dropped() {
    let hello_timeout = Duration::from_millis(50);
    let mut port = Port::open(SessionLimits { hello_timeout, ..SessionLimits::of_tests() }).await;
    let mut client = port.connect().await;
    assert!(client.hear().await.starts_with("[3,"));
    assert_eq!(client.hear_close().await, 1008);
    assert!(port.events.try_recv().is_err());
}

#[tokio::test]
async fn nothing_is_read_beyond_the_bound_of_a_session() {
    let limits =
        SessionLimits { session_unacknowledged_messages_max: 10, ..SessionLimits::of_tests() };
    let mut port = Port::open(limits).await;
    let (mut client, _me, outbound) = port.join().await;
    let sending = tokio::spawn(async move {
        for n in 1..=1000 {
            client.0.feed(Message::text(acknowledged(n, "[]"))).await.expect("fed");
        }
        client.0.flush().await.expect("flushed");
        client
    });
    let mut resolved = 0;
    while resolved < 1000 {
        let messages = port.take(1000 - resolved).await;
        assert!((1..10 + 256).contains(&messages.len()), "{} at once", messages.len());
        port.resolve(&outbound, &messages);
        resolved += messages.len();
    }
    let mut client = sending.await.expect("sent");
    for n in 1..=1000 {
        assert!(client.hear().await.starts_with(&format!("[17,{n},")));
    }
}

#[tokio::test]
async fn a_batch_waits_for_room_and_events_go_on_meanwhile() {
    let limits =
        SessionLimits { entry_unacknowledged_bytes_max: 1000, ..SessionLimits::of_tests() };
    let mut port = Port::open(limits).await;
    let (mut client, _me, outbound) = port.join().await;
    for n in 1..=30 {
        client.0.feed(Message::text(acknowledged(n, "[\"0123456789\"]"))).await.expect("fed");
    }
    client.0.flush().await.expect("flushed");
    let first = port.take(30).await;
    assert!((1..=12).contains(&first.len()), "{}", first.len());
    let subscribed =
        Outgoing::Subscribed { request: RequestId(99), subscription: SubscriptionId(1) };
    assert!(outbound.send(subscribed));
    assert_eq!(client.hear().await, "[33,99,1]");
    let mut count = first.len();
    port.resolve(&outbound, &first);
    while count < 30 {
        let more = port.take(30 - count).await;
        assert!(!more.is_empty());
        count += more.len();
        port.resolve(&outbound, &more);
    }
    for n in 1..=30 {
        assert!(client.hear().await.starts_with(&format!("[17,{n},")));
    }
    assert_eq!(port.room.available_permits(), 1000);
}

#[tokio::test]
async fn a_message_that_no_room_can_hold_is_refused() {
    let limits =
        SessionLimits { entry_unacknowledged_bytes_max: 1000, ..SessionLimits::of_tests() };
    let mut port = Port::open(limits).await;
    let (mut client, _me, _outbound) = port.join().await;
    client.say(&acknowledged(1, &format!("[\"{}\"]", "x".repeat(990)))).await;
    assert!(client.hear().await.contains("wamp.error.payload_size_exceeded"));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_at_the_bound() {
    let subscriber_buffer_bytes_max = 1 << 20;
    let limits = SessionLimits { subscriber_buffer_bytes_max, ..SessionLimits::of_tests() };
    let mut port = Port::open(limits).await;
    let (mut client, me, outbound) = port.join().await;
    let subscription = SubscriptionId(1);
    assert!(outbound.send(Outgoing::Subscribed { request: RequestId(1), subscription }));
    assert_eq!(client.hear().await, "[33,1,1]");
    let frame = format!("[36,1,1,{{}},[\"{}\"]]", "x".repeat(1 << 16));
    let event = Event { subscription, excluded: None, frame: frame.as_str().into() };
    let mut sent = 0;
    // What the kernel buffers on both sides goes through first.
    loop {
        let events = SegmentEvents { events: vec![event.clone()], bytes: frame.len() };
        if !outbound.send(Outgoing::Events(Arc::new(events))) {
            break;
        }
        sent += frame.len();
        assert!(sent < 256 << 20, "the bound does not hold");
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    drop(outbound);
    let closed = tokio::time::timeout(Duration::from_secs(5), port.events.recv()).await;
    assert!(matches!(closed, Ok(Some(SessionEvent::Closed { session })) if session == me));
    // Reading now, it finds out why.
    let mut last = String::new();
    while let Some(Ok(message)) = client.0.next().await {
        match message {
            Message::Text(text) => last = text.as_str().to_owned(),
            Message::Close(frame) => {
                assert_eq!(frame.map(|frame| u16::from(frame.code)), Some(1008));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(last.starts_with("[6,") && last.contains("vixen.error.slow_subscriber"));
}

#[tokio::test]
async fn a_stopping_node_answers_what_it_took_and_says_goodbye() {
    let mut port = Port::open(SessionLimits::of_tests()).await;
    let (mut client, _me, outbound) = port.join().await;
    let mut stranger = port.connect().await;
    client.say(&acknowledged(1, "[]")).await;
    let messages = port.take(1).await;
    port.stop.send_replace(true);
    assert!(stranger.hear().await.starts_with("[3,"));
    assert_eq!(stranger.hear_close().await, 1001);
    port.resolve(&outbound, &messages);
    assert_eq!(client.hear().await, "[17,1,1]");
    assert!(client.hear().await.ends_with("\"wamp.close.system_shutdown\"]"));
    assert_eq!(client.hear_close().await, 1001);
    let refused = connect_async(format!("ws://{}/ws", port.address)).await;
    assert!(matches!(refused, Err(Error::Http(answer)) if answer.status() == 503));
}

#[tokio::test]
async fn another_subprotocol_is_refused_with_what_is_supported() {
    let port = Port::open(SessionLimits::of_tests()).await;
    match connect_async(format!("ws://{}/ws", port.address)).await {
        Err(Error::Http(answer)) => {
            assert_eq!(answer.status(), 400);
            let body = answer.body().as_deref().unwrap_or_default();
            assert!(String::from_utf8_lossy(body).contains(SUBPROTOCOL));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_page_is_served_under_a_strict_policy() {
    let port = Port::open(SessionLimits::of_tests()).await;
    let answer = port.http("GET /").await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let headers: BTreeMap<_, _> = head.lines().filter_map(|line| line.split_once(": ")).collect();
    let policy = headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'; script-src 'nonce-"), "{policy}");
    assert!(policy.contains(&format!("connect-src 'self' ws://{} ", port.address)), "{policy}");
    let nonce = policy.split('\'').nth(3).and_then(|nonce| nonce.strip_prefix("nonce-"));
    assert!(body.contains(&format!("<script nonce=\"{}\">", nonce.expect("a nonce"))));
    assert!(port.http("GET /favicon.ico").await.starts_with("HTTP/1.1 204"));
}
