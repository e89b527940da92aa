//! Segments as batches of events.

use vixen_core::segment::{Audience, Record};

use super::*;

const PAYLOAD: &[u8] = b"[1]";

fn target(n: u64) -> Target {
    Target { subscription: SubscriptionId(n), names_topic: false }
}

fn record(topic: u16, attributes: &[u8]) -> Vec<u8> {
    let (content, flags) = (Encoding::Json.into(), RecordFlags::EXCLUDE_ME);
    let record = Record { topic, content, flags, session: 7, attributes, payload: PAYLOAD };
    let mut bytes = Vec::new();
    record.write_to(&mut bytes);
    bytes
}

/// Records of the topics `a` and `b` at positions from 10 on.
fn segment(records: &[Vec<u8>]) -> TailSegment {
    TailSegment {
        first: Position(10),
        count: u32::try_from(records.len()).expect("few"),
        stamp: Stamp(5),
        topics: ["a", "b"].map(|uri| Topic::new("r", uri)).to_vec(),
        offsets: Vec::new(),
        records: records.concat().into(),
    }
}

fn events(built: &Built) -> Vec<(u64, u64)> {
    let each = built.batch.events().iter();
    each.map(|event| (event.subscription.0, event.position.0)).collect()
}

#[test]
fn every_message_is_an_event_of_each_subscription_of_its_topic() {
    let segment = segment(&[record(0, &[]), record(1, &[]), record(0, &[])]);
    /// The subscriptions of each topic, the events, and which topics are hit.
    type Case = ([&'static [u64]; 2], &'static [(u64, u64)], [bool; 2]);
    let table: [Case; 4] = [
        ([&[1, 2], &[3]], &[(1, 10), (2, 10), (3, 11), (1, 12), (2, 12)], [true, true]),
        ([&[1], &[]], &[(1, 10), (1, 12)], [true, false]),
        ([&[], &[1]], &[(1, 11)], [false, true]),
        ([&[], &[]], &[], [false, false]),
    ];
    for (targets, wanted, hit) in table {
        let targets = targets.map(|ids| ids.iter().copied().map(target).collect());
        let built = build(&segment, &targets);
        assert_eq!((events(&built).as_slice(), built.hit.as_slice()), (wanted, hit.as_slice()));
        assert!(!built.is_malformed && built.batch.is_stored());
        assert_eq!(built.batch.first_position().map(|at| at.0), wanted.first().map(|(_, at)| *at));
        let ids = built.batch.events().iter().map(|event| built.batch.id_of(event));
        let stamp = Stamp(5);
        let wanted = wanted.iter().map(|(_, at)| {
            Some(PermanentId { stamp, offset: u32::try_from(at - 10).expect("small") })
        });
        assert!(ids.eq(wanted));
    }
}

#[test]
fn what_is_malformed_ends_the_batch_and_keeps_what_is_before() {
    let good = record(0, &[]);
    let table = [
        ("a topic that is not in the table", segment(&[good.clone(), record(2, &[])])),
        ("attributes that are none", segment(&[good.clone(), record(0, &[0xff; 3])])),
        ("a record cut short", segment(&[good.clone(), good[1..].to_vec()])),
        (
            "an offset beyond",
            TailSegment { offsets: vec![0, 2], ..segment(&[good.clone(), good.clone()]) },
        ),
        (
            "too few offsets",
            TailSegment { offsets: vec![0], ..segment(&[good.clone(), good.clone()]) },
        ),
        ("more records than messages", TailSegment { count: 1, ..segment(&[good.clone(), good]) }),
    ];
    for (what, segment) in table {
        let built = build(&segment, &[vec![target(1)], vec![]]);
        assert_eq!((events(&built), built.is_malformed), (vec![(1, 10)], true), "{what}");
    }
}

#[test]
fn attributes_and_flags_say_whom_an_event_is_for() {
    let exclude = Audience { authids: vec!["joe".to_owned()], ..Audience::default() };
    let attributes = Attributes { exclude, ..Attributes::default() };
    let segment = segment(&[record(0, &[]), record(0, &attributes.to_bytes())]);
    let built = build(&segment, &[vec![target(1)], vec![]]);
    let receivers = [(7, "jane"), (8, "jane"), (8, "joe")];
    let table = [[false, true, true], [false, true, false]];
    for (event, wanted) in built.batch.events().iter().zip(table) {
        let is_for = receivers
            .map(|(session, authid)| event.is_for(&Receiver { session, authid, authrole: "user" }));
        assert_eq!(is_for, wanted, "the publisher never, an excluded one not");
    }
}

#[test]
fn what_a_gate_makes_of_a_batch_is_made_once() {
    const TEXT: Form = Form::new(0);
    const LENGTH: Form = Form::new(3);
    let batch = build(&segment(&[record(0, &[])]), &[vec![target(1)], vec![]]).batch;
    let text = batch.made_once(TEXT, || "made".to_owned());
    assert!(std::ptr::eq(text, batch.made_once(TEXT, || panic!("it is there"))));
    assert_eq!((text.as_str(), *batch.made_once(LENGTH, || 7_usize)), ("made", 7));
}

#[test]
fn events_of_the_router_have_neither_position_nor_id() {
    let targets = [target(1), Target { names_topic: true, ..target(2) }];
    let event = RouterEvent {
        topic: Topic::new("r", "wamp.session.on_join"),
        about: None,
        publication: 42,
        payload: Bytes::from_static(b"[[]]"),
    };
    let batch = EventBatch::of_router(&event, &targets);
    assert_eq!((batch.first_position(), batch.is_stored()), (None, false));
    assert!(batch.events().iter().all(|event| batch.id_of(event).is_none()));
    let [unnamed, named] = batch.events() else { panic!("{batch:?}") };
    assert_eq!((&unnamed.topic, named.topic.as_ref()), (&None, Some(&event.topic)));
    assert!(batch.events().iter().all(|event| event.position == Position(42)));
}

/// What a batch keeps in memory is what it counts, whatever else was in its segment: a subscriber
/// that does not read kept half a MiB for each event that counted as 200 bytes.
#[test]
fn a_small_event_does_not_hold_the_large_segment_it_came_with() {
    let large = vec![b' '; 400 << 10];
    let payloads: [(u16, &[u8]); 3] = [(0, &large), (1, b"[1]"), (0, &large)];
    let mut records = Vec::new();
    for (topic, payload) in payloads {
        let (content, flags) = (Encoding::Json.into(), RecordFlags::default());
        let record = Record { topic, content, flags, session: 0, attributes: &[], payload };
        record.write_to(&mut records);
    }
    let segment = TailSegment {
        first: Position(1),
        count: 3,
        stamp: Stamp(1 << 22),
        topics: vec![Topic::new("r", "large"), Topic::new("r", "small")],
        offsets: Vec::new(),
        records: records.into(),
    };
    let is_within = |batch: &EventBatch| {
        let range = segment.records.as_ptr_range();
        batch.events().iter().any(|event| range.contains(&event.payload.as_ptr()))
    };
    // Two subscriptions of the small one share its copy.
    let small = build(&segment, &[vec![], vec![target(2), target(3)]]).batch;
    assert!(!is_within(&small), "it is copied out");
    let [one, two] = small.events() else { panic!("{small:?}") };
    assert_eq!((&one.payload[..], one.payload.as_ptr()), (&b"[1]"[..], two.payload.as_ptr()));
    assert!(small.bytes() < 1000, "{}", small.bytes());
    // Nearly all of it is shared, and counts.
    let all = build(&segment, &[vec![target(1)], vec![target(2)]]).batch;
    assert!(is_within(&all) && all.bytes() >= segment.records.len());
    let large_ones = build(&segment, &[vec![target(1)], vec![]]).batch;
    assert!(large_ones.events().iter().all(|event| event.payload == large));
    assert!(large_ones.bytes() >= 2 * large.len());
}

/// Lists of receivers are kept with each event.
#[test]
fn attributes_count_as_well() {
    let sessions = (0..1000).map(|session| session << 40).collect();
    let attributes = Attributes {
        exclude: Audience { sessions, ..Audience::default() },
        ..Attributes::default()
    };
    let attributes = attributes.to_bytes();
    let segment = segment(&[record(0, &attributes)]);
    let batch = build(&segment, &[vec![target(1)], vec![]]).batch;
    assert!(batch.bytes() >= attributes.len() && attributes.len() > 5_000);
}

/// What a later version wrote costs its own event, and nobody another.
#[test]
fn messages_of_a_later_version_are_left_out_one_by_one() {
    let of = |content, attributes: &[u8]| {
        let flags = RecordFlags::default();
        let record = Record { topic: 0, content, flags, session: 7, attributes, payload: PAYLOAD };
        let mut bytes = Vec::new();
        record.write_to(&mut bytes);
        bytes
    };
    let json = Content::Arguments(Encoding::Json);
    let segment = segment(&[
        of(json, b"\x82\x01!"),
        of(Content::Later(9), &[]),
        of(Content::Raw, b"\x7f\x01!"),
        of(json, &[]),
    ]);
    let built = build(&segment, &[vec![target(1)], vec![]]);
    assert!(!built.is_malformed);
    // The first might say who may see it.
    assert_eq!(events(&built), [(1, 11), (1, 12), (1, 13)]);
    assert_eq!(built.left_out, 1);
}
