//! The client port over real sockets, with a core that the test plays itself.

mod problems;
mod quotas;
mod requests;
mod rights;
mod silent;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};
use vixen_broker::api::{
    Acknowledged, Outgoing, Place, Publish, RequestId, Sent, SessionId, SubscribeMode,
    SubscriptionId,
};
use vixen_broker::event::{EventBatch, Target, build};
use vixen_broker::history::{HistoryError, HistoryItem, HistoryRequest, ReadId, Start};
use vixen_core::id::{PermanentId, Position, Stamp};
use vixen_core::segment::{Encoding, Match, Record, RecordFlags, Topic, TopicPattern};
use vixen_core::wire::{HistoryPlace, TailSegment};

use vixen_runtime::server::{self, Timeouts};
use vixen_runtime::telemetry::Readiness;

use super::*;
use crate::admission::{Admission, Answers};
use crate::gates::limits::SessionLimits;
use crate::node::{EntryEvent, EntryHandle, HistoryEvent};
use crate::outbound::{Outbound, SessionEvent};
use crate::reads::ReadContext;

/// Nothing here takes long: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// So long that nothing more comes: it is not that those who would bring it have had no turn.
async fn quiet() {
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _turn in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Lets one strange origin in.
fn web() -> Arc<Web> {
    let allowed_origins = "https://app.example".parse().expect("an origin");
    Arc::new(Web { allowed_origins, ..Web::default() })
}

/// Of TCP: the shortest that tells a client that is gone from one that does not read.
const SILENCE: Duration = Duration::from_secs(2);

const HELLO: &str = r#"[1,"realm1",{"roles":{"publisher":{},"subscriber":{}}}]"#;

/// A client port, and the test's hands on everything behind it.
struct Port {
    address: SocketAddr,
    events: mpsc::Receiver<EntryEvent>,
    handle: EntryHandle,
    /// What sessions ask the store.
    reads: mpsc::Receiver<EntryEvent>,
    room: Arc<Semaphore>,
    stop: watch::Sender<bool>,
}

impl Port {
    async fn open(limits: SessionLimits) -> Self {
        Self::open_with(limits, Admission::of_tests()).await
    }

    async fn open_with(limits: SessionLimits, admission: Arc<Admission>) -> Self {
        Self::open_as(limits, admission, Readiness::Ready).await
    }

    async fn open_as(limits: SessionLimits, admission: Arc<Admission>, ready: Readiness) -> Self {
        let (sender, events) = mpsc::channel(1024);
        let room = Arc::new(Semaphore::new(limits.entry_unacknowledged_bytes_max));
        let (stop, stopping) = watch::channel(false);
        let (handle, reads) = EntryHandle::new();
        handle.tell(ready);
        let context = SessionContext {
            events: sender,
            limits: Arc::new(limits),
            room: Arc::clone(&room),
            stopping,
            reads: ReadContext::new(handle.clone()),
            admission,
            answers: Answers::new(&vixen_runtime::config::Limits::default()),
            node: "E1".parse().expect("a name"),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = client_router(context, &web());
        let timeouts = Timeouts { silence: SILENCE, ..Timeouts::default() };
        let never = std::future::pending();
        tokio::spawn(server::serve(listener, None, router, timeouts, never));
        Self { address, events, handle, reads, room, stop }
    }

    async fn connect(&self) -> Client {
        self.connect_as("wamp.2.json").await
    }

    /// A client that takes little before it reads: the kernel holds some MiB for it at most.
    async fn connect_as(&self, subprotocol: &str) -> Client {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(64 << 10).expect("a size");
        let stream = socket.connect(self.address).await.expect("a connection");
        let mut request = format!("ws://{}/ws", self.address).into_client_request().expect("a URL");
        let protocol = subprotocol.parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let stream = MaybeTlsStream::Plain(stream);
        let (socket, response) = client_async(request, stream).await.expect("an upgrade");
        assert_eq!(response.headers()["sec-websocket-protocol"], subprotocol);
        Client(socket)
    }

    /// A client whose session is open.
    async fn join(&mut self) -> (Client, SessionId, Outbound) {
        let mut client = self.connect().await;
        client.say(HELLO).await;
        assert!(client.hear().await.starts_with("[2,"));
        match self.event().await {
            Some(SessionEvent::Opened { info, outbound }) => (client, info.session, outbound),
            other => panic!("{other:?}"),
        }
    }

    /// A client with subscription 1, live from position 1 on.
    async fn join_subscribed(&mut self) -> (Client, SessionId, Outbound) {
        let (mut client, me, outbound) = self.join().await;
        client.say(r#"[32,99,{},"a.b"]"#).await;
        self.take_subscribe(me, 99).await;
        outbound.send(subscribed(99, 1));
        assert_eq!(client.hear().await, "[33,99,1]");
        (client, me, outbound)
    }

    /// The next word of a session.
    async fn event(&mut self) -> Option<SessionEvent> {
        match self.events.recv().await {
            Some(EntryEvent::Session(event)) => Some(event),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    /// Takes a plain SUBSCRIBE of `a.b`.
    async fn take_subscribe(&mut self, of: SessionId, wanted: u64) {
        match self.event().await {
            Some(SessionEvent::Subscribe { session, request, pattern, mode }) => {
                assert_eq!((session, request, mode), (of, RequestId(wanted), SubscribeMode::Live));
                assert_eq!(pattern, TopicPattern::new("realm1", "a.b", Match::Exact));
            }
            other => panic!("{other:?}"),
        }
    }

    /// Takes a read of the store, and the way back to who reads.
    async fn take_read(&mut self) -> (HistoryRequest, mpsc::Sender<HistoryItem>) {
        loop {
            match self.reads.recv().await {
                Some(EntryEvent::History(HistoryEvent::Open { request, answer })) => {
                    let (items, stream) = self.handle.history_stream(ReadId(1), Position(1 << 53));
                    answer.send(stream).expect("waited for");
                    return (request, items);
                }
                Some(EntryEvent::History(
                    HistoryEvent::Took { .. } | HistoryEvent::Dropped { .. },
                )) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Takes messages of a session until it has as many as wanted.
    async fn take(&mut self, wanted: usize) -> Vec<Publish> {
        let mut taken = Vec::new();
        while taken.len() < wanted {
            let next = tokio::time::timeout(PATIENCE, self.event());
            match next.await.unwrap_or_else(|_| panic!("{} of {wanted} in time", taken.len())) {
                Some(SessionEvent::Publish { messages, .. }) => taken.extend(messages),
                other => panic!("{other:?}"),
            }
        }
        taken
    }

    /// Takes messages of a session, as many as come without more being done for it, but no more than `most`.
    async fn take_what_comes(&mut self, most: usize) -> Vec<Publish> {
        let mut taken = self.take(1).await;
        while taken.len() < most {
            tokio::select! {
                next = self.event() => match next {
                    Some(SessionEvent::Publish { messages, .. }) => taken.extend(messages),
                    other => panic!("{other:?}"),
                },
                () = quiet() => break,
            }
        }
        taken
    }

    /// The next messages of a session, or else what its client is told.
    async fn take_or_hear(&mut self, client: &mut Client) -> Result<Vec<Publish>, String> {
        tokio::select! {
            messages = self.take_publishes() => Ok(messages),
            told = client.hear() => Err(told),
        }
    }

    /// Takes the next messages of a session, past what else it says.
    async fn take_publishes(&mut self) -> Vec<Publish> {
        loop {
            match self.event().await {
                Some(SessionEvent::Publish { messages, .. }) => return messages,
                Some(_other) => {}
                None => panic!("no session"),
            }
        }
    }

    /// Resolves messages at positions from 1, and gives back their room.
    fn resolve(&self, outbound: &Outbound, messages: &[Publish]) {
        let bytes = messages.iter().map(Publish::counted_bytes).sum();
        self.room.add_permits(bytes);
        let answers = messages
            .iter()
            .zip(1..)
            .filter_map(|(message, n)| {
                let (position, id) = (Position(n), PermanentId { stamp: Stamp(0), offset: 0 });
                Some((message.acknowledge?, Ok(Acknowledged::Canonical(Place { position, id }))))
            })
            .collect();
        outbound.send(Outgoing::Resolved { messages: messages.len(), bytes, answers });
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

    /// What comes next; that it was asked whether it lives, its library answers.
    async fn next(&mut self) -> Option<Result<Message, Error>> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Ping(_))) => {}
                other => return other,
            }
        }
    }

    async fn hear(&mut self) -> String {
        match self.next().await {
            Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    async fn hear_close(&mut self) -> u16 {
        self.hear_close_frame().await.0
    }

    /// Code and reason.
    async fn hear_close_frame(&mut self) -> (u16, String) {
        match self.next().await {
            Some(Ok(Message::Close(Some(frame)))) => {
                (frame.code.into(), frame.reason.as_str().to_owned())
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The core's answer to a SUBSCRIBE, while the order begins.
fn subscribed(request: u64, subscription: u64) -> Outgoing {
    let (request, subscription) = (RequestId(request), SubscriptionId(subscription));
    let start = Position::FIRST;
    Outgoing::Subscribed { request, subscription, live_from: start, end: start }
}

/// A large message at this position.
fn large(position: u64) -> TailSegment {
    let mut records = Vec::new();
    let payload = format!("[\"{}\"]", "x".repeat(1 << 16));
    let record = Record {
        topic: 0,
        content: Encoding::Json.into(),
        flags: RecordFlags::default(),
        session: 0,
        attributes: &[],
        payload: payload.as_bytes(),
    };
    record.write_to(&mut records);
    TailSegment {
        first: Position(position),
        count: 1,
        stamp: Stamp(position),
        topics: vec![Topic::new("realm1", "a.b")],
        offsets: vec![],
        records: records.into(),
    }
}

/// A segment as events of these subscriptions.
fn events(segment: &TailSegment, subscriptions: &[u64]) -> Arc<EventBatch> {
    let target = |id: &u64| Target { subscription: SubscriptionId(*id), names_topic: false };
    Arc::new(build(segment, &[subscriptions.iter().map(target).collect()]).batch)
}

fn acknowledged(request: usize, payload: &str) -> String {
    format!(r#"[16,{request},{{"acknowledge":true}},"a.b",{payload}]"#)
}

#[tokio::test]
async fn a_message_goes_from_publisher_to_subscriber_byte_for_byte() {
    let mut port = Port::open(SessionLimits::of_tests()).await;
    let (mut client, me, outbound) = port.join().await;
    client.say(r#"[32,1,{},"a.b"]"#).await;
    port.take_subscribe(me, 1).await;
    outbound.send(subscribed(1, 77));
    assert_eq!(client.hear().await, "[33,1,77]");

    let payload = r#"[123456789012345678901234567890,"\u00e9"],{"a":1e400,"a":[]}"#;
    client.say(&acknowledged(2, payload)).await;
    let messages = port.take(1).await;
    assert_eq!(messages[0].payload, payload);
    assert_eq!(messages[0].flags, RecordFlags::EXCLUDE_ME);
    port.resolve(&outbound, &messages);
    assert_eq!(client.hear().await, "[17,2,1]");

    // The first of two is its own and not for it, and both are of somebody else's subscription too.
    let mut records = Vec::new();
    for session in [me.0, 0] {
        let flags = RecordFlags::EXCLUDE_ME;
        let (content, payload) = (Encoding::Json.into(), &messages[0].payload);
        Record { topic: 0, content, flags, session, attributes: &[], payload }
            .write_to(&mut records);
    }
    let segment = TailSegment {
        first: Position(1),
        count: 124,
        stamp: Stamp(0),
        topics: vec![Topic::new("realm1", "a.b")],
        offsets: vec![122, 123],
        records: records.into(),
    };
    assert_eq!(outbound.send_events(&events(&segment, &[78, 77])), Sent::Queued);
    let details = r#"{"id":"2001010000a0b3f","position":124,"time":"2020-01-01T00:00:00.000Z"}"#;
    assert_eq!(client.hear().await, format!("[36,77,124,{details},{payload}]"));
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
    let closed = port.event().await;
    assert!(matches!(closed, Some(SessionEvent::Closed { session }) if session == me));
}

#[tokio::test]
async fn a_violation_ends_its_own_session_only() {
    let mut port = Port::open(SessionLimits::of_tests()).await;
    let (mut good, _good_session, _good_outbound) = port.join().await;
    let (mut bad, bad_session, _outbound) = port.join().await;
    bad.say("[68,1,1,{}]").await;
    let abort = bad.hear().await;
    assert!(abort.starts_with("[3,{\"message\":\"") && abort.ends_with("protocol_violation\"]"));
    assert_eq!(bad.hear_close().await, 1002);
    let closed = port.event().await;
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
        assert!(matches!(port.event().await, Some(SessionEvent::Closed { .. })));
    }
}

#[tokio::test]
async fn without_hello_in_time_the_client_is_dropped() {
    let hello_timeout = Duration::from_millis(50);
    let mut port = Port::open(SessionLimits { hello_timeout, ..SessionLimits::of_tests() }).await;
    let mut client = port.connect().await;
    assert_eq!(client.hear_close().await, 1013);
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
        let messages = port.take_what_comes(1000 - resolved).await;
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
    let (mut client, me, outbound) = port.join().await;
    client.say(r#"[32,99,{},"a.b"]"#).await;
    port.take_subscribe(me, 99).await;
    for n in 1..=30 {
        client.0.feed(Message::text(acknowledged(n, "[\"0123456789\"]"))).await.expect("fed");
    }
    client.0.flush().await.expect("flushed");
    let first = port.take_what_comes(30).await;
    assert!((1..=12).contains(&first.len()), "{}", first.len());
    outbound.send(subscribed(99, 1));
    assert_eq!(client.hear().await, "[33,99,1]");
    assert_eq!(outbound.send_events(&events(&large(1), &[1])), Sent::Queued);
    assert!(client.hear().await.starts_with("[36,1,1,"));
    let mut count = first.len();
    port.resolve(&outbound, &first);
    while count < 30 {
        let more = port.take_what_comes(30 - count).await;
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
async fn a_batched_client_sends_and_gets_batches() {
    let mut port = Port::open(SessionLimits::of_tests()).await;
    let mut client = port.connect_as("wamp.2.json.batched").await;
    let publish = |n| acknowledged(n, "[]");
    client.say(&format!("{HELLO}\u{1e}{}\u{1e}{}\u{1e}", publish(1), publish(2))).await;
    let welcome = client.hear().await;
    assert!(welcome.starts_with("[2,") && welcome.ends_with("]\u{1e}"), "{welcome}");
    let opened = port.event().await;
    let Some(SessionEvent::Opened { outbound, .. }) = opened else { panic!("{opened:?}") };
    let messages = port.take(2).await;
    port.resolve(&outbound, &messages);
    assert_eq!(client.hear().await, "[17,1,1]\u{1e}[17,2,2]\u{1e}");
    client.say("[6,{},\"wamp.close.close_realm\"]\u{1e}").await;
    assert_eq!(client.hear().await, "[6,{},\"wamp.close.goodbye_and_out\"]\u{1e}");
    assert_eq!(client.hear_close().await, 1000);
}

#[tokio::test]
async fn a_stopping_node_answers_what_it_took_and_closes_without_goodbye() {
    let mut port = Port::open(SessionLimits::of_tests()).await;
    let (mut client, _me, outbound) = port.join().await;
    let mut stranger = port.connect().await;
    client.say(&acknowledged(1, "[]")).await;
    let messages = port.take(1).await;
    port.stop.send_replace(true);
    assert_eq!(stranger.hear_close().await, 1001);
    port.resolve(&outbound, &messages);
    assert_eq!(client.hear().await, "[17,1,1]");
    assert_eq!(client.hear_close().await, 1001);
    let refused = connect_async(format!("ws://{}/ws", port.address)).await;
    assert!(matches!(refused, Err(Error::Http(answer)) if answer.status() == 503));
}
