//! One step, exact effects: what interest asks of replicas, and what comes of their segments.

use super::*;

#[test]
fn one_replica_is_followed_from_the_present_end() {
    let mut bench = Bench::new();
    let fx = bench.step(Input::NdbUp { ndb: ndb(1) });
    assert_eq!(fx.sends, [follow(1, None, &[])]);
    assert_eq!(fx.notes, [Note::TailMoved { group: GroupId(0), from: None, to: ndb(1) }]);
    assert_eq!(bench.step(Input::NdbUp { ndb: ndb(0) }).sends, []);
}

#[test]
fn what_a_turn_has_for_a_link_is_not_sent_on_the_next_link() {
    let mut bench = Bench::subscribed();
    let mut fx = Effects::default();
    for input in [Input::NdbUp { ndb: ndb(0) }, Input::NdbUp { ndb: ndb(0) }] {
        bench.delivery.step(bench.now, input, &mut fx);
    }
    assert_eq!(fx.sends, [follow(0, Some(10), &["t"])], "one answer will come, and opens the tail");
    bench.opened(0, 10);
    assert_eq!(bench.segment(0, 10, &[("t", 0, b"[1]")]).outgoing.len(), 1);
}

#[test]
fn the_first_interest_opens_the_tail_anew_and_the_next_changes_it() {
    let mut bench = Bench::open();
    assert!(bench.subscribe(7, 1, "t").outgoing.is_empty());
    assert_eq!(bench.step(Input::Flush).sends, [follow(0, None, &["t"])]);
    assert_eq!(words(&bench.opened(0, 50)), [(7, Word::Subscribed(1, 1))]);
    bench.subscribe(7, 2, "u");
    bench.subscribe(8, 1, "u");
    assert_eq!(bench.step(Input::Flush).sends, [change(0, 2, &["u"], &[])]);
    assert!(bench.changed(0, 1).outgoing.is_empty(), "an older change says nothing new");
    let fx = bench.changed(0, 2);
    assert_eq!(words(&fx), [(7, Word::Subscribed(2, 2)), (8, Word::Subscribed(1, 2))]);
    assert_eq!(bench.step(Input::Flush).sends, []);
}

#[test]
fn a_topic_that_the_tail_carries_is_answered_at_once() {
    let mut bench = Bench::subscribed();
    assert_eq!(words(&bench.subscribe(8, 5, "t")), [(8, Word::Subscribed(5, 1))]);
    assert_eq!(words(&bench.subscribe(8, 6, "t")), [(8, Word::Subscribed(6, 1))]);
    assert_eq!(bench.step(Input::Flush).sends, []);
}

#[test]
fn no_event_comes_before_subscribed() {
    let mut bench = Bench::subscribed();
    bench.subscribe(8, 1, "u");
    bench.step(Input::Flush);
    let fx = bench.segment(0, 10, &[("t", 0, b"[1]"), ("u", 0, b"[2]")]);
    assert_eq!(words(&fx), [(7, Word::Events(vec![(1, None)]))]);
    bench.changed(0, 2);
    let fx = bench.segment(0, 12, &[("t", 0, b"[1]"), ("u", 9, b"[2]")]);
    let events = || Word::Events(vec![(1, None), (2, Some(9))]);
    assert_eq!(words(&fx), [(7, events()), (8, events())]);
}

#[test]
fn the_last_unsubscribe_takes_the_topic_out_of_the_interest() {
    let mut bench = Bench::subscribed();
    bench.subscribe(8, 1, "t");
    assert_eq!(words(&bench.unsubscribe(7, 2, 1)), [(7, Word::Unsubscribed(2))]);
    assert_eq!(bench.step(Input::Flush).sends, []);
    bench.unsubscribe(8, 2, 1);
    assert_eq!(bench.step(Input::Flush).sends, [change(0, 2, &[], &["t"])]);
    assert_eq!(bench.delivery.subscriptions(), 0);
    // The id is gone with the topic.
    bench.subscribe(8, 3, "t");
    bench.step(Input::Flush);
    assert_eq!(words(&bench.opened(0, 10)), [(8, Word::Subscribed(3, 2))]);
}

#[test]
fn what_is_wanted_again_before_the_flush_stays() {
    let mut bench = Bench::subscribed();
    bench.unsubscribe(7, 2, 1);
    let fx = bench.subscribe(7, 3, "t");
    assert_eq!(words(&fx), [(7, Word::Subscribed(3, 2))], "the subscription is a new one");
    assert_eq!(bench.step(Input::Flush).sends, []);
}

#[test]
fn what_is_not_subscribed_cannot_be_unsubscribed() {
    let mut bench = Bench::subscribed();
    let refused = |request| {
        Word::Refused(request, RequestKind::Unsubscribe, SubscribeError::NoSuchSubscription)
    };
    assert_eq!(words(&bench.unsubscribe(8, 4, 1)), [(8, refused(4))]);
    assert_eq!(words(&bench.unsubscribe(7, 5, 99)), [(7, refused(5))]);
}

#[test]
fn a_session_has_a_bound_that_repeats_do_not_count_for() {
    let mut bench = Bench::subscribed();
    bench.subscribe(7, 2, "u");
    let fx = bench.subscribe(7, 3, "v");
    let refused = Word::Refused(3, RequestKind::Subscribe, SubscribeError::TooMany { max: 2 });
    assert_eq!(words(&fx), [(7, refused)]);
    assert_eq!(words(&bench.subscribe(7, 4, "t")), [(7, Word::Subscribed(4, 1))]);
}

#[test]
fn a_closed_session_leaves_nothing_behind() {
    let mut bench = Bench::subscribed();
    bench.subscribe(7, 2, "u");
    bench.step(Input::SessionClosed { session: SessionId(7) });
    assert_eq!(bench.step(Input::Flush).sends, [change(0, 2, &[], &["t"])]);
    assert!(bench.changed(0, 2).outgoing.is_empty());
    assert!(bench.segment(0, 10, &[("t", 0, b"[1]")]).outgoing.is_empty());
}

#[test]
fn events_carry_the_payload_as_it_was_published_and_what_it_is() {
    let mut bench = Bench::subscribed();
    let whole = segment(10, &[("t", 0, b"")]);
    let payloads: [(Encoding, &[u8]); 4] = [
        (Encoding::Json, b"[\"one\"]"),
        (Encoding::Json, b"\xff\xfe"),
        (Encoding::MsgPack, b"\x91\xa1a"),
        (Encoding::Cbor, b"\x80\xa1\x61k\xf6"),
    ];
    let mut records = Vec::new();
    for (encoding, payload) in payloads {
        let content = encoding.into();
        let (topic, flags, session) = (0, RecordFlags::default(), 0);
        let record = Record { topic, content, flags, session, attributes: &[], payload };
        record.write_to(&mut records);
    }
    let segment = TailSegment { count: 4, records: records.into(), ..whole };
    let fx = bench.step(Input::Segment { from: ndb(0), segment });
    assert_eq!(fx.notes, [Note::Delivered { events: 4 }]);
    let got = events(&fx).iter().map(|event| (event.content, &event.payload[..]));
    assert!(got.eq(payloads.map(|(encoding, payload)| (encoding.into(), payload))));
}

/// They were counted as events that clients get.
#[test]
fn records_of_calls_are_no_events_of_clients() {
    let mut bench = Bench::subscribed();
    let of_calls = TopicPattern::all(CALLS_REALM);
    bench.subscribe_as(0, 1, of_calls, SubscribeMode::Live);
    bench.step(Input::Flush);
    bench.changed(0, 2);
    let message = |topic: u16| {
        let (content, flags) = (Encoding::Json.into(), RecordFlags::default());
        Record { topic, content, flags, session: 0, attributes: &[], payload: b"[1]" }
    };
    let of = |first, messages: &[u16]| {
        let mut records = Vec::new();
        messages.iter().for_each(|topic| message(*topic).write_to(&mut records));
        let count = u32::try_from(messages.len()).expect("few");
        let topics = vec![Topic::new("r", "t"), Topic::new(CALLS_REALM, "lives")];
        let whole = segment(first, &[]);
        TailSegment { count, topics, records: records.into(), ..whole }
    };
    let mut told = |segment| bench.step(Input::Segment { from: ndb(0), segment });
    let fx = told(of(10, &[0, 1, 1, 0, 1]));
    assert_eq!((events(&fx).len(), fx.notes), (5, vec![Note::Delivered { events: 2 }]));
    let fx = told(of(15, &[1]));
    assert_eq!((fx.outgoing.len(), fx.notes), (1, vec![]));
}

#[test]
fn a_filtered_segment_has_its_offsets() {
    let mut bench = Bench::subscribed();
    let whole = segment(10, &[("t", 0, b"[1]")]);
    let filtered = TailSegment { count: 9, offsets: vec![8], ..whole.clone() };
    let fx = bench.step(Input::Segment { from: ndb(0), segment: filtered });
    assert_eq!((events(&fx)[0].position, events(&fx)[0].offset), (Position(18), 8));
    // An offset outside of the segment is malformed, and so is a record cut short.
    let wrong = TailSegment { first: Position(19), offsets: vec![8], ..whole.clone() };
    let fx = bench.step(Input::Segment { from: ndb(0), segment: wrong });
    assert_eq!(fx.notes, [Note::Malformed { first: Position(19) }]);
    let records: Bytes = whole.records.slice(1..);
    let cut = TailSegment { first: Position(20), records, ..whole };
    let fx = bench.step(Input::Segment { from: ndb(0), segment: cut });
    assert_eq!(fx.notes, [Note::Malformed { first: Position(20) }]);
}

#[test]
fn a_repeated_segment_is_dropped() {
    let mut bench = Bench::subscribed();
    bench.segment(0, 10, &[("t", 0, b"[1]")]);
    let fx = bench.segment(0, 10, &[("t", 0, b"[1]")]);
    assert!(fx.outgoing.is_empty());
    assert_eq!(fx.notes, [Note::Repeated]);
}
