//! Answers that outlast a configuration: who has lost the right to one gets no more of it.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;
use vixen_broker::meta::Goodbye;
use vixen_runtime::config::Config;

use super::*;

const CLUSTER: &str = r#"
cluster = { name = "test", secret = "a-long-secret", data-dir = "data", write-quorum = 1 }
sync = [{ id = "S1", lane = 0, address = "127.0.0.1:9041" }]
ndb-group = [{ member = [{ id = "D1", address = "127.0.0.1:9051" }] }]
[[realm]]
name = "realm1"
[[realm.role]]
name = "user"
[[realm.role.permission]]
uri = "a.*"
publish = true
subscribe = true
[[realm.user]]
authid = "joe"
role = "user"
ticket = "secret-of-joe"
"#;

/// What becomes of joe, and what he is told: the status of HTTP, and the URI.
const LOSSES: [(&str, &str, u16, &str); 4] = [
    ("authid = \"joe\"", "authid = \"jack\"", 401, "wamp.close.killed"),
    ("secret-of-joe", "another-of-joe", 401, "wamp.close.killed"),
    ("name = \"realm1\"", "name = \"realm2\"", 401, "wamp.close.killed"),
    ("uri = \"a.*\"", "uri = \"b.*\"", 403, "wamp.error.not_authorized"),
];

fn configured(text: &str) -> Config {
    let config = Config::parse(text, Path::new("vixen.toml"), &BTreeMap::new());
    config.unwrap_or_else(|error| panic!("{error}"))
}

/// A port whose realm knows joe, and its admission.
async fn port() -> (Port, Arc<Admission>) {
    let admission = Arc::new(Admission::new(&configured(CLUSTER)));
    (Port::open_with(SessionLimits::of_tests(), Arc::clone(&admission)).await, admission)
}

fn reload(admission: &Admission, from: &str, to: &str) {
    assert!(CLUSTER.contains(from), "{from}");
    admission.reload(&configured(&CLUSTER.replacen(from, to, 1))).expect("taken");
}

/// Asks as joe.
async fn ask(port: &Port, path: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(port.address).await.expect("a connection");
    let basic = STANDARD.encode("joe:secret-of-joe");
    let request = format!(
        "GET {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Basic {basic}\r\n\r\n",
        port.address
    );
    stream.write_all(request.as_bytes()).await.expect("a request");
    BufReader::new(stream)
}

/// Everything up to and with the line that has this part.
async fn hear(stream: &mut BufReader<TcpStream>, part: &str) -> String {
    let mut heard = String::new();
    while !heard.lines().last().is_some_and(|line| line.contains(part)) {
        let length = stream.read_line(&mut heard).await.expect("a line");
        assert!(length > 0, "no {part}: {heard}");
    }
    heard
}

/// What is left.
async fn rest(mut stream: BufReader<TcpStream>) -> String {
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.expect("the rest");
    rest
}

/// The core's part of a subscription without a past.
async fn take_stream(port: &mut Port) -> Outbound {
    let Some(SessionEvent::Opened { info, outbound }) = port.event().await else {
        panic!("not opened")
    };
    match port.event().await {
        Some(SessionEvent::Subscribe { session, .. }) => assert_eq!(session, info.session),
        other => panic!("{other:?}"),
    }
    outbound.send(subscribed(1, 1));
    outbound
}

#[tokio::test]
async fn a_stream_of_events_ends_with_the_rights_of_its_user() {
    for (from, to, status, uri) in LOSSES {
        let (mut port, admission) = port().await;
        let mut stream = ask(&port, "/events?topic=a.b").await;
        let outbound = take_stream(&mut port).await;
        outbound.send_events(&events(&large(1), &[1]));
        hear(&mut stream, "\"position\":1,").await;
        reload(&admission, from, to);
        outbound.send_events(&events(&large(2), &[1]));
        let told = rest(stream).await;
        assert!(!told.contains("\"position\":2"), "{from}: the message came all the same");
        assert!(told.contains("event: error\ndata: {"), "{from}: {told}");
        assert!(told.contains(uri) && told.contains(&format!("\"status\":{status}")), "{told}");
        // The core hears of the end.
        assert!(matches!(port.event().await, Some(SessionEvent::Closed { .. })), "{from}");
    }
}

#[tokio::test]
async fn a_stream_goes_on_over_a_reload_that_leaves_its_rights() {
    let (mut port, admission) = port().await;
    let mut stream = ask(&port, "/events?topic=a.b").await;
    let outbound = take_stream(&mut port).await;
    reload(&admission, "uri = \"a.*\"", "uri = \"a.b\"");
    outbound.send_events(&events(&large(1), &[1]));
    hear(&mut stream, "\"position\":1,").await;
}

#[tokio::test]
async fn a_subscription_under_way_ends_with_the_rights_of_its_user() {
    let (mut port, admission) = port().await;
    let stream = ask(&port, "/events?topic=a.b").await;
    // The core has not answered yet.
    assert!(matches!(port.event().await, Some(SessionEvent::Opened { .. })));
    reload(&admission, "secret-of-joe", "another-of-joe");
    let told = rest(stream).await;
    assert!(told.starts_with("HTTP/1.0 401") && told.contains("wamp.close.killed"), "{told}");
}

#[tokio::test]
async fn a_request_that_waits_for_room_is_judged_again() {
    let limits =
        SessionLimits { entry_unacknowledged_bytes_max: 1000, ..SessionLimits::of_tests() };
    for (from, to, status, uri) in LOSSES {
        let admission = Arc::new(Admission::new(&configured(CLUSTER)));
        let mut port = Port::open_with(limits.clone(), Arc::clone(&admission)).await;
        let room = Arc::clone(&port.room).acquire_many_owned(1000).await.expect("open");
        let mut stream = TcpStream::connect(port.address).await.expect("a connection");
        let basic = STANDARD.encode("joe:secret-of-joe");
        let body = r#"{"topic":"a.b","args":[1]}"#;
        let request = format!(
            "POST /publish HTTP/1.0\r\nHost: {}\r\nAuthorization: Basic {basic}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            port.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("a request");
        assert!(matches!(port.event().await, Some(SessionEvent::Opened { .. })));
        reload(&admission, from, to);
        let told = rest(BufReader::new(stream)).await;
        assert!(told.starts_with(&format!("HTTP/1.0 {status}")) && told.contains(uri), "{told}");
        drop(room);
        assert!(matches!(port.event().await, Some(SessionEvent::Closed { .. })), "{from}");
    }
}

#[tokio::test]
async fn an_answer_of_history_ends_with_the_rights_of_its_user() {
    for (from, to, status, uri) in LOSSES {
        let (mut port, admission) = port().await;
        let mut stream = ask(&port, "/history?topic=a.b&limit=all").await;
        let (_, items) = port.take_read().await;
        items.send(HistoryItem::Segments(vec![large(1)])).await.expect("taken");
        // The page ends there, and the next one is read.
        drop(items);
        let (_, items) = port.take_read().await;
        hear(&mut stream, "\"position\":1,").await;
        reload(&admission, from, to);
        items.closed().await;
        let told = rest(stream).await;
        assert!(told.contains(uri) && told.contains(&format!("\"status\":{status}")), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[tokio::test]
async fn what_is_read_and_not_given_out_ends_with_the_rights_as_well() {
    let (mut port, admission) = port().await;
    let mut stream = ask(&port, "/history?topic=a.b&limit=all").await;
    let mut position = 0;
    // Until the client, who reads nothing, has enough.
    loop {
        let items = tokio::select! {
            (_, items) = port.take_read() => items,
            () = quiet() => break,
        };
        position += 1;
        while items.send(HistoryItem::Segments(vec![large(position)])).await.is_ok() {
            position += 1;
        }
    }
    reload(&admission, LOSSES[0].0, LOSSES[0].1);
    let mut told = String::new();
    stream.read_to_string(&mut told).await.expect("an answer");
    let lines: Vec<_> = told.lines().collect();
    let last = lines.last().expect("a line");
    assert!(last.contains("wamp.close.killed"), "{}", &last[..last.len().min(200)]);
    assert!(!told.contains(&format!("{{\"position\":{},", position - 1)), "all came all the same");
}

/// Joe's session.
async fn join(port: &mut Port) -> (Client, SessionId, Outbound) {
    let mut client = port.connect().await;
    let roles = r#""roles":{"publisher":{},"subscriber":{}}"#;
    let hello = format!(r#"[1,"realm1",{{"authmethods":["ticket"],"authid":"joe",{roles}}}]"#);
    client.say(&hello).await;
    assert!(client.hear().await.starts_with("[4,"), "a CHALLENGE");
    client.say(r#"[5,"secret-of-joe",{}]"#).await;
    assert!(client.hear().await.starts_with("[2,"), "a WELCOME");
    match port.event().await {
        Some(SessionEvent::Opened { info, outbound }) => (client, info.session, outbound),
        other => panic!("{other:?}"),
    }
}

/// Joe's session, which stands still in the middle of writing: there is more than sockets hold.
async fn join_and_read_nothing(port: &mut Port) -> (Client, SessionId, Outbound) {
    let (mut client, me, outbound) = join(port).await;
    client.say(r#"[32,1,{},"a.b"]"#).await;
    port.take_subscribe(me, 1).await;
    outbound.send(subscribed(1, 1));
    assert_eq!(client.hear().await, "[33,1,1]");
    let mut position = 1;
    while outbound.send_events(&events(&large(position), &[1])) == Sent::Queued || position < 400 {
        position += 1;
        tokio::task::yield_now().await;
    }
    (client, me, outbound)
}

#[tokio::test]
async fn a_session_ends_with_the_rights_of_its_user() {
    for (from, to, _, uri) in LOSSES.into_iter().filter(|(.., uri)| uri.ends_with("killed")) {
        let (mut port, admission) = port().await;
        let (mut client, _me, _outbound) = join(&mut port).await;
        reload(&admission, from, to);
        let goodbye = client.hear().await;
        assert!(goodbye.starts_with("[6,") && goodbye.contains(uri), "{goodbye}");
    }
}

#[tokio::test]
async fn a_session_whose_client_does_not_read_ends_with_the_rights_of_its_user() {
    let (mut port, admission) = port().await;
    let (_client, me, _outbound) = join_and_read_nothing(&mut port).await;
    reload(&admission, LOSSES[0].0, LOSSES[0].1);
    assert!(matches!(port.event().await, Some(SessionEvent::Closed { session }) if session == me));
}

#[tokio::test]
async fn a_session_whose_client_does_not_read_ends_when_it_is_killed() {
    let (mut port, _admission) = port().await;
    let (_client, me, outbound) = join_and_read_nothing(&mut port).await;
    let goodbye = Goodbye { reason: "a.b".to_owned(), message: None };
    outbound.send_killed(Arc::new(goodbye));
    assert!(matches!(port.event().await, Some(SessionEvent::Closed { session }) if session == me));
}

#[tokio::test]
async fn testaments_are_judged_again_at_a_reload_and_at_the_end_of_a_user() {
    let may_leave =
        "[[realm.role.permission]]\nuri = \"wamp.session.*\"\ncall = true\n[[realm.user]]";
    let cluster = CLUSTER.replace("[[realm.user]]", may_leave);
    let (narrowed, gone) = (LOSSES[3], LOSSES[0]);
    for (from, to, is_gone) in [(narrowed.0, narrowed.1, false), (gone.0, gone.1, true)] {
        let admission = Arc::new(Admission::new(&configured(&cluster)));
        let mut port = Port::open_with(SessionLimits::of_tests(), Arc::clone(&admission)).await;
        let (mut client, me, _outbound) = join(&mut port).await;
        client.say(r#"[48,1,{},"wamp.session.add_testament",["a.b",["bye"],{}]]"#).await;
        assert!(matches!(port.event().await, Some(SessionEvent::Calls { .. })), "{from}");
        admission.reload(&configured(&cluster.replacen(from, to, 1))).expect("taken");
        match port.event().await {
            Some(SessionEvent::Rights { session, permissions }) if session == me => {
                assert_eq!(permissions.is_none(), is_gone, "{from}");
                let may = permissions.and_then(|permissions| permissions.publish("a.b"));
                assert_eq!(may, None, "{from}");
            }
            other => panic!("{from}: {other:?}"),
        }
        if is_gone {
            assert!(matches!(port.event().await, Some(SessionEvent::Closed { .. })), "{from}");
        }
    }
}

/// How often something is tried that goes wrong by chance.
const TRIES: usize = 8;
/// More than sockets hold, and than a session takes at once.
const WAITING: u64 = 300;

#[tokio::test]
async fn a_client_that_reads_late_gets_nothing_that_came_after_its_rights() {
    let limits =
        SessionLimits { subscriber_buffer_bytes_max: usize::MAX >> 1, ..SessionLimits::of_tests() };
    for _try in 0..TRIES {
        let admission = Arc::new(Admission::new(&configured(CLUSTER)));
        let mut port = Port::open_with(limits.clone(), Arc::clone(&admission)).await;
        let (mut client, me, outbound) = join(&mut port).await;
        client.say(r#"[32,1,{},"a.b"]"#).await;
        port.take_subscribe(me, 1).await;
        outbound.send(subscribed(1, 1));
        assert_eq!(client.hear().await, "[33,1,1]");
        // The session stands still in the middle of writing.
        for position in 1..=WAITING {
            outbound.send_events(&events(&large(position), &[1]));
            tokio::task::yield_now().await;
        }
        reload(&admission, "uri = \"a.*\"", "uri = \"b.*\"");
        outbound.send_events(&events(&large(WAITING + 1), &[1]));
        drop(outbound);
        let after = format!("\"position\":{},", WAITING + 1);
        // Its end is that of the core.
        while let Some(Ok(Message::Text(text))) = client.0.next().await {
            assert!(!text.contains(&after), "the message came all the same");
        }
    }
}

#[tokio::test]
async fn a_subscribe_that_the_core_answers_after_the_reload_is_refused() {
    let (mut port, admission) = port().await;
    let (mut client, me, outbound) = join(&mut port).await;
    client.say(r#"[32,7,{},"a.b"]"#).await;
    port.take_subscribe(me, 7).await;
    reload(&admission, "uri = \"a.*\"", "uri = \"b.*\"");
    // The client's next request is refused: the reload has come.
    loop {
        client.say(r#"[16,8,{"acknowledge":true},"a.b"]"#).await;
        match port.take_or_hear(&mut client).await {
            Ok(taken) => {
                port.resolve(&outbound, &taken);
                let told = client.hear().await;
                assert!(told.starts_with("[17,8,"), "{told}");
            }
            Err(told) => {
                assert!(told.contains("wamp.error.not_authorized"), "{told}");
                break;
            }
        }
    }
    outbound.send(subscribed(7, 1));
    let answer = client.hear().await;
    assert!(answer.starts_with("[8,32,7,"), "{answer}");
    assert!(answer.contains("wamp.error.not_authorized"), "{answer}");
    let told = port.event().await;
    assert!(matches!(told, Some(SessionEvent::Unsubscribe { .. })), "{told:?}");
}

#[tokio::test]
async fn publishes_that_wait_for_room_are_judged_again() {
    let limits =
        SessionLimits { entry_unacknowledged_bytes_max: 1000, ..SessionLimits::of_tests() };
    let admission = Arc::new(Admission::new(&configured(CLUSTER)));
    let mut port = Port::open_with(limits, Arc::clone(&admission)).await;
    let (mut client, _me, outbound) = join(&mut port).await;
    let room = Arc::clone(&port.room).acquire_many_owned(1000).await.expect("open");
    // In one write: with the first one the others are read, and wait.
    for text in [
        r#"[32,1,{},"a.b"]"#,
        r#"[16,2,{"acknowledge":true},"a.b",[1]]"#,
        r#"[16,3,{"acknowledge":true},"a.c",[1]]"#,
    ] {
        client.0.feed(Message::text(text)).await.expect("fed");
    }
    client.0.flush().await.expect("flushed");
    assert!(matches!(port.event().await, Some(SessionEvent::Subscribe { .. })));
    outbound.send(subscribed(1, 1));
    assert_eq!(client.hear().await, "[33,1,1]");
    reload(&admission, "uri = \"a.*\"", "uri = \"a.c\"");
    let answer = client.hear().await;
    assert!(answer.starts_with("[8,16,2,"), "{answer}");
    assert!(answer.contains("wamp.error.not_authorized"), "{answer}");
    drop(room);
    let taken = port.take_publishes().await;
    assert_eq!(taken.iter().map(|one| &*one.topic.uri).collect::<Vec<_>>(), ["a.c"]);
}

#[tokio::test]
async fn what_waits_for_room_is_refused_where_another_is_to_be_asked_about_it() {
    let limits =
        SessionLimits { entry_unacknowledged_bytes_max: 1000, ..SessionLimits::of_tests() };
    let admission = Arc::new(Admission::new(&configured(CLUSTER)));
    let mut port = Port::open_with(limits, Arc::clone(&admission)).await;
    let (mut client, _me, outbound) = join(&mut port).await;
    let room = Arc::clone(&port.room).acquire_many_owned(1000).await.expect("open");
    for text in
        [r#"[32,1,{},"a.b"]"#, r#"[16,2,{"acknowledge":true},"a.b",[1]]"#, r#"[32,3,{},"a.c"]"#]
    {
        client.0.feed(Message::text(text)).await.expect("fed");
    }
    client.0.flush().await.expect("flushed");
    assert!(matches!(port.event().await, Some(SessionEvent::Subscribe { .. })));
    outbound.send(subscribed(1, 1));
    assert_eq!(client.hear().await, "[33,1,1]");
    let asked = "name = \"user\"\nauthorizer = \"auth.may\"\n[[realm.role.permission]]\n\
                 uri = \"auth.may\"\nregister = true\n";
    reload(&admission, "name = \"user\"\n", asked);
    let mut refused = [client.hear().await, client.hear().await];
    refused.sort_unstable();
    for (answer, wanted) in refused.iter().zip(["[8,16,2,", "[8,32,3,"]) {
        assert!(answer.starts_with(wanted), "{answer}");
        assert!(answer.contains("wamp.error.not_authorized"), "{answer}");
    }
    // Its number is free again, and it is asked about; nothing of it has come to the core.
    drop(room);
    client.say(r#"[32,3,{},"a.c"]"#).await;
    let next = port.events.recv().await;
    assert!(matches!(next, Some(EntryEvent::Authority(_))), "{next:?}");
}
