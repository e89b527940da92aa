//! The route over a real socket, with a core that the test plays itself.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use vixen_broker::history::{HistoryItem, HistoryRequest, ReadId, Start, Trouble};
use vixen_core::id::{GroupId, Position, Stamp};
use vixen_core::segment::{Encoding, Record, RecordFlags, Topic};
use vixen_core::time::WallTime;
use vixen_core::wire::HistoryPlace;

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use vixen_runtime::config::Limits;
use vixen_runtime::server::{self, Timeouts};
use vixen_runtime::telemetry::Readiness;

use super::*;
use crate::admission::{Admission, Answers};
use crate::gates::limits::SessionLimits;
use crate::node::{EntryEvent, EntryHandle, HistoryEvent};
use crate::reads::ReadContext;

const READ: ReadId = ReadId(3);
const ORDER_END: Position = Position(1 << 53);

/// So long that nothing more comes: it is not that those who would bring it have had no turn.
async fn quiet() {
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    for _turn in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

struct Port {
    address: SocketAddr,
    handle: EntryHandle,
    events: mpsc::Receiver<EntryEvent>,
    stop: watch::Sender<bool>,
}

impl Port {
    async fn open() -> Self {
        Self::open_with(&Limits::default()).await
    }

    async fn open_with(limits: &Limits) -> Self {
        let answers = Answers::new(limits);
        let (handle, events) = EntryHandle::new();
        handle.tell(Readiness::Ready);
        let (stop, stopping) = watch::channel(false);
        let limits = SessionLimits::of_tests();
        let context = SessionContext {
            // No session is opened.
            events: mpsc::channel(1).0,
            room: Arc::new(Semaphore::new(limits.entry_unacknowledged_bytes_max)),
            limits: Arc::new(limits),
            stopping,
            reads: ReadContext::new(handle.clone()),
            admission: Admission::of_tests(),
            answers,
            node: "E1".parse().expect("a name"),
        };
        let router = Router::new().route("/history", get(history)).with_state(context);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (timeouts, never) = (Timeouts::default(), std::future::pending());
        tokio::spawn(server::serve(listener, None, router, timeouts, never));
        Self { address, handle, events, stop }
    }

    async fn ask(&self, query: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        let request = format!(
            "GET /history{query} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).await.expect("a request");
        stream
    }

    /// What the core is asked for, and the way back to the consumer.
    async fn take(&mut self) -> (HistoryRequest, mpsc::Sender<HistoryItem>) {
        loop {
            match self.events.recv().await {
                Some(EntryEvent::History(HistoryEvent::Open { request, answer })) => {
                    let (items, stream) = self.handle.history_stream(READ, ORDER_END);
                    answer.send(stream).expect("waited for");
                    return (request, items);
                }
                Some(EntryEvent::History(_of_the_page_before)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Whole answer to a query whose read gives out these items.
    async fn answer(&mut self, query: &str, items: Vec<HistoryItem>) -> (String, String) {
        let stream = self.ask(query).await;
        let (_, sender) = self.take().await;
        for item in items {
            sender.send(item).await.expect("taken");
        }
        read(stream).await
    }
}

/// Head and body.
async fn read(mut stream: TcpStream) -> (String, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

fn segments(positions: std::ops::Range<u64>) -> HistoryItem {
    let each = positions.map(|position| {
        let mut records = Vec::new();
        let (content, flags) = (Encoding::Json.into(), RecordFlags::default());
        let payload = format!("[{position}]");
        let payload = payload.as_bytes();
        Record { topic: 0, content, flags, session: 1, attributes: &[], payload }
            .write_to(&mut records);
        TailSegment {
            first: Position(position),
            count: 1,
            stamp: Stamp(position),
            topics: vec![Topic::new("realm1", "t")],
            offsets: vec![],
            records: records.into(),
        }
    });
    HistoryItem::Segments(each.collect())
}

fn positions(body: &str) -> Vec<u64> {
    let position = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["position"].as_u64().expect("a position")
    };
    body.lines().map(position).collect()
}

#[tokio::test]
async fn what_reads_give_out_comes_a_line_each() {
    let mut port = Port::open().await;
    let stream = port.ask("?topic=a.b&after=4&limit=all").await;
    let parsed = [("topic", "a.b"), ("after", "4"), ("limit", "all")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let wanted = params::parse(&parsed, WallTime(0)).expect("good");
    let client = tokio::spawn(read(stream));
    let (mut next, mut pages) = (5, 0);
    while next < 50_005 {
        let (request, items) = port.take().await;
        let start = Start::At(HistoryPlace::Position(Position(next)));
        assert_eq!((request.start, &request.topics), (start, &wanted.topics));
        let named = wanted.named.filter(|_| pages == 0);
        assert_eq!((request.limit, request.named), (Some(PAGE_MESSAGES_MAX), named));
        pages += 1;
        let end = 50_005.min(next + PAGE_MESSAGES_MAX);
        // It takes as much as a page holds.
        while next < end {
            let upto = end.min(next + 100);
            if items.send(segments(next..upto)).await.is_err() {
                break;
            }
            match port.events.recv().await {
                Some(EntryEvent::History(HistoryEvent::Took { read: READ })) => next = upto,
                Some(EntryEvent::History(HistoryEvent::Dropped { read: READ })) => break,
                other => panic!("{other:?}"),
            }
        }
        let _left = items.send(HistoryItem::End { next: Position(next) }).await;
    }
    let (head, body) = client.await.expect("read");
    assert!(head.starts_with("HTTP/1.0 200") && head.contains("application/x-ndjson"), "{head}");
    assert_eq!(positions(&body), (5..50_005).collect::<Vec<_>>());
    assert!(pages > 6, "{pages}");
}

#[tokio::test]
async fn nothing_stored_is_an_empty_answer() {
    let mut port = Port::open().await;
    let (head, body) = port.answer("", vec![HistoryItem::End { next: Position(1) }]).await;
    assert!(head.starts_with("HTTP/1.0 200") && body.is_empty(), "{head}");
}

#[tokio::test]
async fn bad_parameters_never_reach_the_core() {
    let mut port = Port::open().await;
    for query in ["?limit=0", "?after=never", "?limit=%ff"] {
        let (head, body) = read(port.ask(query).await).await;
        assert!(head.starts_with("HTTP/1.0 400"), "{query}: {head}");
        let error: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(error["error"], "wamp.error.invalid_argument");
        assert!(error["message"].is_string());
    }
    assert!(port.events.try_recv().is_err());
}

#[tokio::test]
async fn a_failure_before_the_first_line_is_a_status() {
    let group = GroupId(2);
    let (nodes, trouble) = ("D7, D8, D9".to_owned(), Trouble::NotLinked);
    let unavailable = HistoryError::Unavailable { group, nodes, waited_ms: 10_000, trouble };
    let table = [
        (HistoryError::Busy { max: 64 }, "429", "vixen.error.too_many_reads"),
        (HistoryError::NotReady, "503", "vixen.error.not_ready"),
        (HistoryError::Trimmed { first: Position(17) }, "410", "vixen.error.trimmed"),
        (unavailable, "503", "vixen.error.unavailable"),
        (HistoryError::Stopped, "503", "vixen.error.shutting_down"),
        (HistoryError::EndUnknown { waited_ms: 10_000 }, "503", "vixen.error.unavailable"),
        (HistoryError::Beyond { end: Position(5) }, "409", "vixen.error.beyond_end"),
        (HistoryError::NotOfThisOrder { end: Position(5) }, "409", "vixen.error.not_of_this_order"),
    ];
    let mut port = Port::open().await;
    for (error, status, uri) in table {
        let (head, body) = port.answer("", vec![HistoryItem::Failed(error.clone())]).await;
        assert!(head.starts_with(&format!("HTTP/1.0 {status}")), "{head}");
        let object: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(
            (&object["error"], &object["message"]),
            (&uri.into(), &error.to_string().into())
        );
        let first = if status == "410" { Value::from(17) } else { Value::Null };
        assert_eq!(object["first_position"], first);
        let end = if status == "409" { Value::from(5) } else { Value::Null };
        assert_eq!(object["end"], end);
        assert_eq!(head.contains("retry-after: 1"), ["429", "503"].contains(&status));
    }
}

#[tokio::test]
async fn a_failure_after_the_first_line_is_the_last_line() {
    let mut port = Port::open().await;
    let stream = port.ask("").await;
    // The page ends with what there is before the failure, and the next one begins there.
    for items in [vec![segments(1..4)], vec![]] {
        let (_, sender) = port.take().await;
        for item in items {
            sender.send(item).await.expect("taken");
        }
        let failed = HistoryItem::Failed(HistoryError::Trimmed { first: Position(17) });
        sender.send(failed).await.expect("taken");
    }
    let (head, body) = read(stream).await;
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    let (lines, last) = body.trim_end().rsplit_once('\n').expect("lines");
    assert_eq!(positions(lines), [1, 2, 3]);
    let last: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(
        last,
        json!({
            "title": "Gone",
            "status": 410,
            "detail": "trimmed, first position is 17",
            "error": "vixen.error.trimmed",
            "message": "trimmed, first position is 17",
            "first_position": 17,
        })
    );
}

#[tokio::test]
async fn a_node_that_stops_ends_the_answer_and_says_so() {
    let mut port = Port::open().await;
    let stream = port.ask("").await;
    let (request, items) = port.take().await;
    assert_eq!(request.start, Start::Anywhere);
    items.send(segments(1..3)).await.expect("taken");
    // Of the next page nothing comes.
    drop(items);
    let (_, items) = port.take().await;
    port.stop.send_replace(true);
    let (_, body) = read(stream).await;
    let last = body.lines().last().expect("a line");
    assert!(last.contains("vixen.error.shutting_down"), "{body}");
    items.closed().await;
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_read() {
    let mut port = Port::open().await;
    let stream = port.ask("?limit=all").await;
    let (_, items) = port.take().await;
    drop(stream);
    let mut sent = 0;
    while items.send(segments(1..1_000)).await.is_ok() {
        sent += 1;
        assert!(sent < 10_000, "nobody reads");
    }
    let dropped = async {
        loop {
            match port.events.recv().await {
                Some(EntryEvent::History(HistoryEvent::Took { .. })) => {}
                other => return other,
            }
        }
    };
    let dropped = dropped.await;
    assert!(
        matches!(dropped, Some(EntryEvent::History(HistoryEvent::Dropped { read: READ }))),
        "{dropped:?}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_read_for() {
    let mut port = Port::open().await;
    let _stream = port.ask("?limit=all").await;
    // Sockets take some; then no page is read any more.
    let mut pages = 0;
    loop {
        let items = tokio::select! {
            (_, items) = port.take() => items,
            () = quiet() => break,
        };
        // Until it has enough.
        while items.send(segments(1..1_000)).await.is_ok() {}
        pages += 1;
        assert!(pages < 1_000, "it is read for without end");
    }
    assert!(pages > 1, "{pages}");
}

#[tokio::test]
async fn so_many_clients_that_do_not_read_hold_no_read_and_leave_places() {
    let limits = Limits { history_answers_per_address_max: 3, ..Limits::default() };
    let mut port = Port::open_with(&limits).await;
    let mut stalled = Vec::new();
    for _ in 0..3 {
        stalled.push(port.ask("?limit=all").await);
        let (_, items) = port.take().await;
        while items.send(segments(1..1_000)).await.is_ok() {}
        // The next page is asked for, and is not read by the core.
    }
    let (head, body) = read(port.ask("").await).await;
    assert!(head.starts_with("HTTP/1.0 429"), "{head}");
    assert!(body.contains("vixen.error.too_many_reads"), "{body}");
    assert!(body.contains("limits.history-answers-per-address-max"), "{body}");
}
