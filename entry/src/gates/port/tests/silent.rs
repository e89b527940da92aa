//! Clients that do not read, do not answer, or are gone.

use bytes::Bytes;
use socket2::{SockFilter, SockRef};

use vixen_broker::api::calls::{CallTold, Payload};
use vixen_broker::dealer::Breach;

use super::*;

/// Sends events from position 1 on to a client that does not read, up to the bound; the first
/// position that had no room, from which on the session is left out.
async fn overwhelm(port: &mut Port, outbound: &Outbound) -> u64 {
    let mut position = 1;
    while outbound.send_events(&events(&large(position), &[1])) == Sent::Queued {
        position += 1;
        assert!(position < 4_096, "the bound does not hold");
        tokio::task::yield_now().await;
    }
    let subscriptions = vec![SubscriptionId(1)];
    outbound.send(Outgoing::Lagging { from: Position(position), subscriptions });
    assert!(port.reads.try_recv().is_err(), "the store is not read for who does not read");
    position
}

/// The client reads what was queued before it was left out at `from`.
async fn hear_events(client: &mut Client, positions: std::ops::Range<u64>) {
    for position in positions {
        let event = client.hear().await;
        assert!(event.starts_with(&format!("[36,1,{position},")), "{:.40}", event);
    }
}

#[tokio::test]
async fn a_client_that_did_not_read_gets_the_rest_from_the_store_and_then_live() {
    let mut port = Port::open(SessionLimits::of_tests()).await;
    let (mut client, me, outbound) = port.join_subscribed().await;
    let from = overwhelm(&mut port, &outbound).await;
    assert!(from > 200, "{from} messages are not 16 MiB");
    hear_events(&mut client, 1..from).await;

    let (request, items) = port.take_read().await;
    assert_eq!(request.start, Start::At(HistoryPlace::Position(Position(from))));
    assert_eq!(request.topics, [TopicPattern::new("realm1", "a.b", Match::Exact)]);
    for position in [from, from + 1] {
        items.send(HistoryItem::Segments(vec![large(position)])).await.expect("read");
    }
    items.send(HistoryItem::End { next: Position(from + 2) }).await.expect("read");
    hear_events(&mut client, from..from + 2).await;

    let joining = port.event().await;
    let Some(SessionEvent::Join { session, join, subscriptions }) = joining else {
        panic!("{joining:?}");
    };
    assert_eq!((session, subscriptions), (me, vec![SubscriptionId(1)]));
    outbound.send(Outgoing::Joined { join, from: Position(from + 2) });
    // There is room again, and what was read already does not come twice.
    for position in [from + 1, from + 2] {
        assert_eq!(outbound.send_events(&events(&large(position), &[1])), Sent::Queued);
    }
    hear_events(&mut client, from + 2..from + 3).await;
    client.say(&acknowledged(1, "[]")).await;
    assert_eq!(port.take(1).await.len(), 1, "the session goes on");
}

#[tokio::test]
async fn a_client_that_stood_still_for_longer_than_the_keep_alive_timeout_goes_on() {
    let limits = SessionLimits {
        keep_alive_interval: Duration::from_millis(250),
        keep_alive_timeout: Duration::from_secs(1),
        ..SessionLimits::of_tests()
    };
    let mut port = Port::open(limits).await;
    let (mut client, _me, outbound) = port.join_subscribed().await;
    let from = overwhelm(&mut port, &outbound).await;
    // One that came later, could answer and does not is gone by now: so much time went by.
    let (_mute, mute, _outbound) = port.join().await;
    let closed = port.event().await;
    assert!(matches!(closed, Some(SessionEvent::Closed { session }) if session == mute));
    // No ping could reach the other, so that it has not answered is no sign.
    hear_events(&mut client, 1..from).await;
    let (_, items) = port.take_read().await;
    items.send(HistoryItem::Segments(vec![large(from)])).await.expect("read");
    items.send(HistoryItem::End { next: Position(from + 1) }).await.expect("read");
    hear_events(&mut client, from..from + 1).await;
}

#[tokio::test]
async fn a_client_that_retention_has_overtaken_finds_out_why_it_is_dropped() {
    let mut port = Port::open(SessionLimits::of_tests()).await;
    let (mut client, me, outbound) = port.join_subscribed().await;
    let from = overwhelm(&mut port, &outbound).await;
    hear_events(&mut client, 1..from).await;
    let (_, items) = port.take_read().await;
    let first = Position(from + 100);
    items.send(HistoryItem::Failed(HistoryError::Trimmed { first })).await.expect("read");
    assert_eq!(client.hear_close_frame().await, (1013, "vixen.error.trimmed".to_owned()));
    let closed = port.event().await;
    assert!(matches!(closed, Some(SessionEvent::Closed { session }) if session == me));
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_gone_and_finds_out_why() {
    let limits = SessionLimits {
        keep_alive_interval: Duration::from_millis(50),
        keep_alive_timeout: Duration::from_millis(200),
        ..SessionLimits::of_tests()
    };
    let mut port = Port::open(limits).await;
    let (mut client, me, _outbound) = port.join().await;
    // It does not read, so it does not answer.
    let closed = port.event().await;
    assert!(matches!(closed, Some(SessionEvent::Closed { session }) if session == me));
    let mut pings = 0;
    // No GOODBYE: it is to come back by itself.
    let frame = loop {
        match client.0.next().await {
            Some(Ok(Message::Ping(_))) => pings += 1,
            Some(Ok(Message::Close(Some(frame)))) => break frame,
            other => panic!("{other:?}"),
        }
    };
    assert!(pings > 0, "it was asked");
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1013, "wamp.close.timeout"));
}

#[tokio::test]
async fn a_client_that_says_nothing_but_pongs_stays() {
    let limits = SessionLimits {
        keep_alive_interval: Duration::from_millis(50),
        unfinished_timeout: Duration::from_millis(300),
        ..SessionLimits::of_tests()
    };
    let mut port = Port::open(limits).await;
    let (mut client, _me, _outbound) = port.join().await;
    for _ in 0..20 {
        match client.0.next().await {
            // The client's library answers.
            Some(Ok(Message::Ping(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_message_that_does_not_become_whole_ends_however_many_pongs_come() {
    let limits = SessionLimits {
        unfinished_timeout: Duration::from_millis(500),
        ..SessionLimits::of_tests()
    };
    let mut port = Port::open(limits).await;
    let (mut client, me, _outbound) = port.join().await;
    let fragment = Frame::message("[16,1,{},", OpCode::Data(Data::Text), false);
    client.0.send(Message::Frame(fragment)).await.expect("sent");
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let frame = loop {
        tokio::select! {
            // Gone already, when it fails.
            _now = pace.tick() => drop(client.0.send(Message::Pong(Bytes::new())).await),
            heard = client.0.next() => match heard {
                Some(Ok(Message::Close(Some(frame)))) => break frame,
                other => panic!("{other:?}"),
            },
        }
    };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1013, "wamp.close.timeout"));
    let closed = port.event().await;
    assert!(matches!(closed, Some(SessionEvent::Closed { session }) if session == me));
}

#[tokio::test]
async fn a_subscriber_whose_network_vanished_is_gone_though_much_waits_for_it() {
    let mut port = Port::open(SessionLimits::of_tests()).await;
    let (client, me, outbound) = port.join_subscribed().await;
    let MaybeTlsStream::Plain(stream) = client.0.get_ref() else { panic!("it has no TLS") };
    // From now on its kernel drops all that arrives.
    let drop_all = [SockFilter::new(6, 0, 0, 0)];
    SockRef::from(stream).attach_filter(&drop_all).expect("a filter");
    overwhelm(&mut port, &outbound).await;
    let closed = port.event().await;
    assert!(matches!(closed, Some(SessionEvent::Closed { session }) if session == me));
}

/// Progressive results of so many bytes each, of the call with request 1.
fn results(count: usize, bytes: usize) -> Vec<CallTold> {
    let payload = || {
        let text = format!("[\"{}\"]", "7".repeat(bytes));
        Payload::new(Encoding::Json, text)
    };
    let result = || CallTold::Result {
        request: RequestId(1),
        is_progress: true,
        callee: None,
        about: None,
        missing: Vec::new(),
        payload: payload(),
    };
    (0..count).map(|_| result()).collect()
}

/// Joins, and calls: from now on others may wait for what it does not read.
async fn join_calling(port: &mut Port) -> (Client, SessionId, Outbound) {
    let (mut client, me, outbound) = port.join().await;
    client.say(r#"[48,1,{"receive_progress":true},"a.b"]"#).await;
    let called = port.event().await;
    assert!(matches!(called, Some(SessionEvent::Calls { .. })), "{called:?}");
    (client, me, outbound)
}

#[tokio::test]
async fn a_session_that_leaves_calls_unread_is_over_while_a_write_still_waits_for_it() {
    let mut port = Port::open(SessionLimits::of_tests()).await;
    let (mut client, me, outbound) = join_calling(&mut port).await;
    outbound.send_calls(results(16, 1 << 20));
    client.hear().await;
    outbound.send_breach(Breach::Unread);
    let closed = tokio::time::timeout(Duration::from_secs(20), port.event()).await;
    let closed = closed.expect("it reads nothing, and is over");
    assert!(matches!(closed, Some(SessionEvent::Closed { session }) if session == me));
}

#[tokio::test]
async fn a_session_that_takes_each_message_in_time_stays_however_long_all_of_them_take() {
    let keep_alive_timeout = Duration::from_secs(5);
    let limits = SessionLimits { keep_alive_timeout, ..SessionLimits::of_tests() };
    let mut port = Port::open(limits).await;
    let (mut client, _me, outbound) = join_calling(&mut port).await;
    let begun = std::time::Instant::now();
    outbound.send_calls(results(9, 5 << 20));
    for _ in 0..9 {
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(client.hear().await.starts_with("[50,1,"));
    }
    assert!(begun.elapsed() > keep_alive_timeout);
    client.say(&acknowledged(1, "[]")).await;
    assert_eq!(port.take(1).await.len(), 1, "the session goes on");
}

/// What else it is told comes first; then its library comes back, and registers.
#[tokio::test]
async fn a_session_that_has_lost_a_registration_unheard_is_closed_to_come_back() {
    let mut port = Port::open(SessionLimits::of_tests()).await;
    let (mut client, me, outbound) = join_calling(&mut port).await;
    outbound.send_calls(results(1, 1));
    outbound.send_breach(Breach::RegistrationLost);
    assert!(client.hear().await.starts_with("[50,1,"));
    let told = client.hear_close_frame().await;
    assert_eq!(told, (1013, "vixen.error.registration_lost".to_owned()));
    let closed = port.event().await;
    assert!(matches!(closed, Some(SessionEvent::Closed { session }) if session == me));
}
