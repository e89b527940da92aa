//! The past, and where live events go on.

use super::*;

#[test]
fn a_replay_is_announced_with_its_first_read_and_goes_on_live_without_a_gap() {
    let mut bench = Bench::new(true);
    assert_eq!(bench.subscribe(1, 7, after(10)), [""; 0], "the past may be gone");
    let request = bench.client.next_read().expect("a read");
    assert_eq!((request.start, request.until), (at(11), None));
    assert_eq!(request.topics, [live().pattern]);
    assert!(bench.client.next_read().is_none(), "one at a time");
    // Not live yet.
    assert_eq!(bench.outgoing(events(&segment(60..61), &[7])), [""; 0]);
    let texts = bench.read(Ok(part(11..13, 40, false)));
    assert_eq!(texts, ["[33,1,7]", "event 7 11 [11]", "event 7 12 [12]"]);
    assert_eq!(bench.client.next_read().map(|request| request.start), Some(at(40)));
    assert_eq!(bench.read(Ok(part(60..61, 100, true))), ["event 7 60 [60]"]);
    assert_eq!(bench.told(), ["join 1 [7]"]);
    assert!(bench.client.next_read().is_none() && !bench.client.is_blocked());
    let joined = Outgoing::Joined { join: JoinId(1), from: Position(105) };
    assert_eq!(bench.outgoing(joined), [""; 0]);
    assert!(bench.client.is_blocked(), "what comes live waits for the last part");
    let request = bench.client.next_read().expect("the last part");
    let until = Some(Bound::Position(Position(105)));
    assert_eq!((request.start, request.until), (at(100), until));
    assert_eq!(
        bench.read(Ok(part(103..105, 105, true))),
        ["event 7 103 [103]", "event 7 104 [104]"]
    );
    assert!(!bench.client.is_blocked() && bench.client.next_read().is_none());
    assert_eq!(bench.outgoing(events(&segment(104..106), &[7])), ["event 7 105 [105]"]);
    assert_eq!(bench.encoder.take_events_sent(), 6);
    assert!(bench.told().is_empty() && bench.fx.lost.is_none());
}

#[test]
fn a_snapshot_ends_by_a_revocation_for_clients_that_announced_to_take_it() {
    let revoked = r#"[35,0,{"subscription":7,"reason":"vixen.close.complete"}]"#;
    for takes_revocation in [true, false] {
        let mut bench = Bench::new(takes_revocation);
        assert_eq!(bench.subscribe(1, 7, snapshot()), [""; 0]);
        let request = bench.client.next_read().expect("a read");
        let until = Some(Bound::Position(END));
        assert_eq!((request.start, request.until), (Start::Anywhere, until));
        assert_eq!(bench.read(Ok(part(5..6, 6, false))), ["[33,1,7]", "event 7 5 [5]"]);
        assert!(bench.told().is_empty());
        assert!(bench.client.next_read().is_some());
        let texts = bench.read(Ok(part(99..100, END.0, true)));
        let wanted = ["event 7 99 [99]", revoked];
        assert_eq!(texts, wanted[..if takes_revocation { 2 } else { 1 }]);
        assert_eq!(bench.told(), ["unsubscribe 0 7"], "the core forgets it in any case");
        // The client has asked for nothing, so it hears nothing of the core's answer.
        let over = Outgoing::Unsubscribed { request: RequestId(0) };
        assert_eq!(bench.outgoing(over), [""; 0]);
        let error = SubscribeError::NoSuchSubscription;
        let refused =
            Outgoing::Refused { request: RequestId(0), kind: RequestKind::Unsubscribe, error };
        assert_eq!(bench.outgoing(refused), [""; 0]);
        assert!(bench.client.next_read().is_none());
        assert_eq!(bench.outgoing(events(&segment(100..101), &[7])), [""; 0]);
    }
}

#[test]
fn nothing_stored_is_announced_and_over() {
    let mut bench = Bench::new(true);
    bench.subscribe(1, 7, snapshot());
    assert!(bench.client.next_read().is_some());
    let texts = bench.read(Ok(part(0..0, END.0, true)));
    assert_eq!(texts, ["[33,1,7]", r#"[35,0,{"subscription":7,"reason":"vixen.close.complete"}]"#]);
}

#[test]
fn a_limit_ends_a_subscription_once_read_or_live() {
    let revoked = r#"[35,0,{"subscription":7,"reason":"vixen.close.complete"}]"#;
    // By the last read of a snapshot, which would end it as well.
    let mut bench = Bench::new(true);
    bench.subscribe(1, 7, Subscribe { limit: Some(2), ..snapshot() });
    assert!(bench.client.next_read().is_some());
    let texts = bench.read(Ok(part(5..9, END.0, true)));
    assert_eq!(texts, ["[33,1,7]", "event 7 5 [5]", "event 7 6 [6]", revoked]);
    assert_eq!(bench.told(), ["unsubscribe 0 7"]);
    assert!(bench.client.next_read().is_none());

    // Live; messages that are not for this session do not count.
    let mut bench = Bench::new(true);
    bench.subscribe(1, 7, Subscribe { limit: Some(2), ..after(99) });
    assert_eq!(bench.client.next_read().map(|request| request.start), Some(at(100)));
    assert_eq!(bench.read(Ok(part(0..0, 100, true))), ["[33,1,7]"]);
    assert_eq!(bench.told(), ["join 1 [7]"]);
    bench.outgoing(Outgoing::Joined { join: JoinId(1), from: Position(100) });
    assert!(!bench.client.is_blocked(), "it is there already");
    let flags = RecordFlags::EXCLUDE_ME;
    let own = Sent { publisher: ME.0, flags, ..Sent::default() };
    let messages = [Sent::default(), own, Sent::default(), Sent::default()];
    let texts = bench.outgoing(events(&segment_of(100, &messages), &[7]));
    assert_eq!(texts, ["event 7 100 [100]", "event 7 102 [102]", revoked]);
    assert_eq!(bench.told(), ["unsubscribe 0 7"]);
    assert_eq!(bench.outgoing(events(&segment(104..105), &[7])), [""; 0]);
}

#[test]
fn an_end_concerns_its_own_subscription_only() {
    let mut bench = Bench::new(false);
    bench.subscribe(1, 7, live());
    bench.subscribe(2, 8, snapshot());
    assert!(bench.client.next_read().is_some());
    assert_eq!(bench.read(Ok(part(5..6, END.0, true))), ["[33,2,8]", "event 8 5 [5]"]);
    assert_eq!(bench.told(), ["unsubscribe 0 8"]);
    assert_eq!(bench.outgoing(events(&segment(60..61), &[7, 8])), ["event 7 60 [60]"]);
}

#[test]
fn a_past_that_cannot_be_read_refuses_the_subscription_and_nothing_else() {
    let (group, waited_ms, trouble) = (GroupId(0), 10_000, Trouble::NotLinked);
    let nodes = "D1, D2, D3".to_owned();
    let table = [
        (HistoryError::Trimmed { first: Position(17) }, "vixen.error.trimmed"),
        (HistoryError::Unavailable { group, nodes, waited_ms, trouble }, "vixen.error.unavailable"),
        (HistoryError::Busy { max: 64 }, "vixen.error.too_many_reads"),
        (HistoryError::NotReady, "vixen.error.not_ready"),
        (HistoryError::Stopped, "vixen.error.shutting_down"),
        (HistoryError::EndUnknown { waited_ms }, "vixen.error.unavailable"),
        (HistoryError::Beyond { end: Position(5) }, "vixen.error.beyond_end"),
        (HistoryError::NotOfThisOrder { end: Position(5) }, "vixen.error.not_of_this_order"),
    ];
    for (error, uri) in table {
        let details = error.end().map_or("{}".to_owned(), |end| format!("{{\"end\":{end}}}"));
        let mut bench = Bench::new(true);
        bench.subscribe(1, 7, live());
        bench.subscribe(2, 8, after(3));
        assert!(bench.client.next_read().is_some());
        let texts = bench.read(Err(error.clone()));
        assert_eq!(texts, [format!("[8,32,2,{details},\"{uri}\",[\"{error}\"]]")]);
        assert_eq!(bench.told(), ["unsubscribe 0 8"]);
        assert_eq!((bench.fx.lost.take(), bench.fx.pause), (None, None));
        assert!(bench.client.next_read().is_none());
        assert_eq!(bench.outgoing(events(&segment(60..61), &[7, 8])), ["event 7 60 [60]"]);
    }
}

/// A session that is live and was left out from position 60 on.
fn lagging() -> Bench {
    let mut bench = Bench::new(true);
    bench.subscribe(1, 7, live());
    assert_eq!(bench.outgoing(events(&segment(59..60), &[7])), ["event 7 59 [59]"]);
    let subscriptions = vec![SubscriptionId(7)];
    let lagging = Outgoing::Lagging { from: Position(60), subscriptions };
    assert_eq!(bench.outgoing(lagging), [""; 0]);
    bench
}

#[test]
fn a_session_that_was_left_out_gets_the_rest_from_the_store_and_joins_again() {
    let mut bench = lagging();
    assert_eq!(bench.outgoing(events(&segment(70..71), &[7])), [""; 0], "it is live no more");
    let request = bench.client.next_read().expect("a read");
    assert_eq!((request.start, request.until), (at(60), None));
    assert_eq!(bench.read(Ok(part(60..62, 90, true))), ["event 7 60 [60]", "event 7 61 [61]"]);
    assert_eq!(bench.told(), ["join 1 [7]"]);
    bench.outgoing(Outgoing::Joined { join: JoinId(1), from: Position(90) });
    assert_eq!(bench.outgoing(events(&segment(90..91), &[7])), ["event 7 90 [90]"]);
}

#[test]
fn what_retention_has_taken_from_a_session_ends_it() {
    let mut bench = lagging();
    assert!(bench.client.next_read().is_some());
    assert_eq!(bench.read(Err(HistoryError::Trimmed { first: Position(80) })), [""; 0]);
    assert_eq!(bench.fx.lost, Some(HistoryError::Trimmed { first: Position(80) }));
    assert!(bench.told().is_empty());
}

#[test]
fn a_store_that_stops_ends_the_session_and_one_that_cannot_answer_is_asked_again() {
    let mut bench = lagging();
    assert!(bench.client.next_read().is_some());
    assert_eq!(bench.read(Err(HistoryError::Stopped)), [""; 0]);
    assert_eq!(bench.fx.lost, Some(HistoryError::Stopped));

    let mut bench = lagging();
    assert!(bench.client.next_read().is_some());
    assert_eq!(bench.read(Err(HistoryError::Busy { max: 64 })), [""; 0]);
    assert!(bench.fx.pause.is_some() && bench.fx.lost.is_none());
    assert_eq!(bench.client.next_read().map(|request| request.start), Some(at(60)));
    assert_eq!(bench.read(Ok(part(60..61, 61, false))), ["event 7 60 [60]"]);
    assert_eq!(bench.fx.pause, None);
}

#[test]
fn two_requests_that_share_a_replay_are_both_answered() {
    for (outcome, code) in [(Ok(part(0..0, 50, false)), 33), (Err(HistoryError::NotReady), 8)] {
        let mut bench = Bench::new(false);
        assert_eq!(bench.subscribe(1, 7, after(10)), [""; 0]);
        assert_eq!(bench.subscribe(2, 7, live()), [""; 0], "the same, and not sure yet");
        bench.client.next_read().expect("a read");
        let answers = bench.read(outcome);
        assert_eq!(answers.len(), 2, "{answers:?}");
        assert!(answers.iter().all(|text| text.starts_with(&format!("[{code},"))), "{answers:?}");
    }
}

/// The core had not heard yet that the session left it when it shared the subscription once more.
#[test]
fn an_answer_that_names_what_the_session_has_left_is_asked_for_again() {
    let mut bench = Bench::new(false);
    bench.subscribe(1, 7, after(10));
    bench.client.next_read().expect("a read");
    bench.read(Err(HistoryError::NotReady));
    assert_eq!(bench.told(), ["unsubscribe 0 7"]);
    assert_eq!(bench.subscribe(2, 7, live()), [""; 0]);
    assert_eq!(bench.told(), ["subscribe 2 Live"]);
    bench.outgoing(Outgoing::Unsubscribed { request: RequestId(0) });
    let (request, subscription) = (RequestId(2), SubscriptionId(8));
    let live_from = Position(50);
    let told = Outgoing::Subscribed { request, subscription, live_from, end: END };
    assert_eq!(bench.outgoing(told), ["[33,2,8]"]);
    assert_eq!(bench.outgoing(events(&segment(60..61), &[7, 8])), ["event 8 60 [60]"]);
}

/// Ids of subscriptions are told by meta events, so others may name one before its session has heard of it.
#[test]
fn what_is_unsubscribed_before_it_was_told_is_refused() {
    let mut bench = Bench::new(true);
    assert_eq!(bench.subscribe(1, 7, after(10)), [""; 0], "it waits for its first read");
    bench.on_unsubscribing(2, 7);
    let texts = bench.outgoing(Outgoing::Unsubscribed { request: RequestId(2) });
    let refused = r#"[8,32,1,{},"vixen.close.complete",["it ended before it began"]]"#;
    assert_eq!(texts, [refused, "[35,2]"]);
    assert!(bench.client.is_quiet());
}
