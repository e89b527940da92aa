use vixen_broker::api::{RequestKind, SubscribeMode};
use vixen_core::segment::{Record as Stored, Topic};
use vixen_views::record::{Facts, Life, Reads, Said};

use super::*;

fn follow() -> Follow {
    Follow::new(&EntryHandle::new().0)
}

fn asked(follow: &mut Follow) -> Vec<Ask> {
    std::mem::take(&mut follow.asks)
}

/// What comes of it.
fn told(follow: &mut Follow, outgoing: Outgoing) -> Vec<Input> {
    let (mut fx, mut inputs) = (ClientEffects::default(), Vec::new());
    follow.client.on_outgoing(outgoing, &mut fx);
    follow.take(fx, &mut inputs);
    inputs
}

fn stands(follow: &mut Follow, subscription: u64) {
    let outgoing = Outgoing::Subscribed {
        request: RequestId(follow.last_request),
        subscription: SubscriptionId(subscription),
        live_from: Position(10),
        end: Position(10),
    };
    assert_eq!(told(follow, outgoing), []);
}

/// Records of three topics, the first at this position.
fn segment(first: u64) -> TailSegment {
    let topics: Vec<_> =
        ["lives", "checkpoint", "realm.r"].map(|uri| Topic::new(CALLS_REALM, uri)).into();
    let mut records = Vec::new();
    for (topic, payload) in [(0, b"a"), (1, b"b"), (2, b"c")] {
        let (content, flags, payload) = (Content::Raw, RecordFlags::default(), &payload[..]);
        Stored { topic, content, flags, session: 0, attributes: &[], payload }
            .write_to(&mut records);
    }
    let stamp = Stamp(1 << 40);
    let (first, records) = (Position(first), records.into());
    TailSegment { first, count: 3, stamp, topics, offsets: vec![], records }
}

fn places(inputs: &[Input]) -> Vec<(u64, String)> {
    let place = |input: &Input| match input {
        Input::Message { position, topic, .. } => (position.0, topic.to_string()),
        Input::Earlier { position, payload, .. } => {
            (position.0, String::from_utf8_lossy(payload).into_owned())
        }
        other => panic!("{other:?}"),
    };
    inputs.iter().map(place).collect()
}

fn events(subscription: u64, first: u64) -> Outgoing {
    let target = Target { subscription: SubscriptionId(subscription), names_topic: true };
    let segment = segment(first);
    let built = build(&segment, &vec![vec![target]; 3]);
    Outgoing::Events(Arc::new(built.batch))
}

#[test]
fn what_comes_live_is_given_in_its_order_and_nothing_of_what_was_followed_before() {
    let mut follow = follow();
    follow.read(Read::Follow(From::Now));
    assert!(matches!(asked(&mut follow)[..], [Ask::Subscribe { mode: SubscribeMode::Live, .. }]));
    stands(&mut follow, 5);
    let given = told(&mut follow, events(5, 10));
    let names = ["lives", "checkpoint", "realm.r"].map(str::to_owned);
    assert_eq!(places(&given), (10..).zip(names).collect::<Vec<_>>());
    follow.read(Read::Follow(From::After(Position(3))));
    let asks = asked(&mut follow);
    assert!(
        matches!(
            asks[..],
            [
                Ask::Unsubscribe { subscription: SubscriptionId(5), .. },
                Ask::Subscribe { mode: SubscribeMode::Replay, .. }
            ]
        ),
        "{asks:?}"
    );
    assert_eq!(told(&mut follow, events(5, 13)), []);
    assert!(!follow.is_live());
}

#[test]
fn what_is_dropped_is_told_and_what_fails_otherwise_is_tried_again() {
    let mut follow = follow();
    follow.read(Read::Follow(From::First));
    let refused = |request, error| {
        let mut fx = ClientEffects::default();
        let (request, kind) = (RequestId(request), RequestKind::Subscribe);
        fx.told.push(Told::Refused { request, kind, error });
        fx
    };
    let mut inputs = Vec::new();
    let error = RequestError::History(HistoryError::NotReady);
    follow.take(refused(1, error.clone()), &mut inputs);
    assert!(inputs.is_empty());
    let at = follow.due_at().expect("later");
    asked(&mut follow);
    follow.begin_reads(at);
    assert!(matches!(asked(&mut follow)[..], [Ask::Subscribe { .. }]));
    follow.take(refused(1, error), &mut inputs);
    assert_eq!(follow.due_at(), None, "of a request before");
    let first = Position(9);
    let error = RequestError::History(HistoryError::Trimmed { first });
    follow.take(refused(2, error), &mut inputs);
    assert_eq!(inputs, [Input::Dropped]);
}

#[test]
fn checkpoints_are_given_backward() {
    let given = earlier(&segment(7));
    let backward = [(9, "c"), (8, "b"), (7, "a")];
    assert_eq!(places(&given), backward.map(|(at, text)| (at, text.to_owned())));
}

#[test]
fn a_record_is_published_as_one_of_entries() {
    let mut follow = follow();
    let name = "E1".parse().expect("a name");
    let facts = Facts { name, link_address: None, reads: Reads::HERE };
    let owner = vixen_core::id::OwnerId(uuid::Uuid::from_u128(7));
    let record = Record { writer: Life { owner, number: 1 }, said: Said::Life(facts) };
    follow.write(&record);
    let publish = &follow.take_unsent()[0];
    assert_eq!(publish.topic, Topic::new(CALLS_REALM, "lives"));
    assert_eq!((publish.content, publish.wait), (Content::Raw, true));
    assert_eq!(Record::read("lives", &publish.payload), Ok(record));
}
