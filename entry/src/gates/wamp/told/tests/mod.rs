mod replay;

use std::sync::Arc;

use axum::extract::ws::Message;
use bytes::Bytes;
use serde_json::Value;

use vixen_broker::access::{Permission, Permissions, Quotas};
use vixen_broker::api::calls::CallFeatures;
use vixen_broker::api::{
    After, JoinId, Origin, Outgoing, Place, PublishError, SessionId, SessionInfo, Subscribe,
    SubscribeError, SubscriptionId,
};
use vixen_broker::client::{Ask, Client, Effects};
use vixen_broker::event::{About, EventBatch, RouterEvent, Target, build};
use vixen_broker::history::{Bound, HistoryError, RefPoint, Start, Trouble};
use vixen_broker::replay::ReadPart;
use vixen_core::id::{GroupId, PermanentId, Position, Stamp};
use vixen_core::segment::{
    Attributes, Audience, Eligible, Encoding, Match, Record, RecordFlags, Topic, TopicPattern,
};
use vixen_core::wire::{HistoryPlace, TailSegment};

use super::*;
use crate::gates::wamp::serializer::Serializer;

const ME: SessionId = SessionId(1);
const OTHER: SessionId = SessionId(2);
const END: Position = Position(100);

/// The books of a session, the frames that what it is told becomes, and what is owed.
struct Bench {
    client: Client,
    encoder: Encoder,
    frames: Frames,
    fx: Effects,
}

impl Bench {
    fn new(takes_revocation: bool) -> Self {
        let serializer = Serializer { encoding: Encoding::Json, is_batched: false };
        let info = SessionInfo {
            session: ME,
            realm: "r".into(),
            authid: "joe".into(),
            authrole: "user".into(),
            authmethod: "anonymous",
            authprovider: "static",
            origin: Origin { client: [127, 0, 0, 1].into(), site: None },
            is_announced: true,
            calls: CallFeatures::default(),
        };
        let mut encoder = Encoder::default();
        encoder.on_opened(takes_revocation, CallFeatures::default());
        let client = Client::new(Arc::new(info), Permissions::OPEN);
        Self { client, encoder, frames: Frames::new(serializer), fx: Effects::default() }
    }

    /// The frames that `outgoing` becomes; EVENTs in few words.
    fn outgoing(&mut self, outgoing: Outgoing) -> Vec<String> {
        self.client.on_outgoing(outgoing, &mut self.fx);
        self.texts()
    }

    fn read(&mut self, outcome: Result<ReadPart, HistoryError>) -> Vec<String> {
        self.client.on_read(outcome, &mut self.fx);
        self.texts()
    }

    fn texts(&mut self) -> Vec<String> {
        let text = |message| match message {
            Message::Text(text) => in_words(text.as_str()),
            other => panic!("{other:?}"),
        };
        self.taken().into_iter().map(text).collect()
    }

    fn taken(&mut self) -> Vec<Message> {
        for told in self.fx.told.drain(..) {
            self.encoder.put(told, &mut self.frames);
        }
        self.frames.take()
    }

    /// What the broker is asked of its own accord is left out.
    fn on_unsubscribing(&mut self, request: u64, subscription: u64) {
        let (request, subscription) = (RequestId(request), SubscriptionId(subscription));
        self.client.unsubscribe(request, subscription, &mut self.fx);
        self.fx.ask.pop();
    }

    /// A SUBSCRIBE and the answer of the core: live from position 50 on, of an order up to 100.
    fn subscribe(&mut self, request: u64, subscription: u64, wanted: Subscribe) -> Vec<String> {
        let (request, subscription) = (RequestId(request), SubscriptionId(subscription));
        self.client.subscribe(request, wanted, &mut self.fx);
        self.fx.ask.pop();
        let live_from = Position(50);
        self.outgoing(Outgoing::Subscribed { request, subscription, live_from, end: END })
    }

    /// What was told to the core since the last call, in words.
    fn told(&mut self) -> Vec<String> {
        let word = |ask| match ask {
            Ask::Unsubscribe { request, subscription } => {
                format!("unsubscribe {} {}", request.0, subscription.0)
            }
            Ask::Join { join, subscriptions } => {
                let ids: Vec<_> = subscriptions.iter().map(|id| id.0).collect();
                format!("join {} {ids:?}", join.0)
            }
            Ask::LeaveRegistration { registration } => format!("leave {}", registration.0),
            Ask::HideRegistration { registration } => format!("hide {}", registration.0),
            Ask::Subscribe { request, mode, .. } => format!("subscribe {} {mode:?}", request.0),
        };
        std::mem::take(&mut self.fx.ask).into_iter().map(word).collect()
    }
}

/// `event 7 51 [1]` for an EVENT of subscription 7 at position 51; all else as it is.
fn in_words(text: &str) -> String {
    let message: Value = serde_json::from_str(text).expect("JSON");
    if message[0] != 36 {
        return text.to_owned();
    }
    assert_eq!(message[3]["position"], message[2]);
    format!("event {} {} {}", message[1], message[2], message[4])
}

fn live() -> Subscribe {
    let pattern = TopicPattern::new("r", "t", Match::Exact);
    Subscribe { pattern, after: None, limit: None, is_snapshot: false }
}

fn after(position: u64) -> Subscribe {
    let point = RefPoint::Position(Position(position));
    Subscribe { after: Some(After::Point(point)), ..live() }
}

fn snapshot() -> Subscribe {
    Subscribe { is_snapshot: true, ..live() }
}

/// One message of a segment: its publisher, flags and attributes, and `[position]` as payload.
#[derive(Clone, Default)]
struct Sent {
    publisher: u64,
    flags: RecordFlags,
    attributes: Attributes,
}

fn segment_of(first: u64, messages: &[Sent]) -> TailSegment {
    let mut records = Vec::new();
    for (message, position) in messages.iter().zip(first..) {
        let attributes = message.attributes.to_bytes();
        let payload = format!("[{position}]");
        let record = Record {
            topic: 0,
            content: Encoding::Json.into(),
            flags: message.flags,
            session: message.publisher,
            attributes: &attributes,
            payload: payload.as_bytes(),
        };
        record.write_to(&mut records);
    }
    TailSegment {
        first: Position(first),
        count: u32::try_from(messages.len()).expect("few"),
        stamp: Stamp(first),
        topics: vec![Topic::new("r", "t")],
        offsets: vec![],
        records: records.into(),
    }
}

/// Plain messages of somebody else at these positions.
fn segment(positions: std::ops::Range<u64>) -> TailSegment {
    let count = usize::try_from(positions.end - positions.start).expect("few");
    segment_of(positions.start, &vec![Sent::default(); count])
}

/// A segment as live events of these subscriptions.
fn events(segment: &TailSegment, subscriptions: &[u64]) -> Outgoing {
    let target = |id: &u64| Target { subscription: SubscriptionId(*id), names_topic: false };
    let built = build(segment, &[subscriptions.iter().map(target).collect()]);
    assert!(!built.is_malformed);
    Outgoing::Events(Arc::new(built.batch))
}

fn part(positions: std::ops::Range<u64>, next: u64, is_complete: bool) -> ReadPart {
    let segments = if positions.is_empty() { vec![] } else { vec![segment(positions)] };
    ReadPart { segments, next: Position(next), is_complete }
}

fn at(position: u64) -> Start {
    Start::At(HistoryPlace::Position(Position(position)))
}

#[test]
fn events_come_from_subscribed_to_unsubscribed_and_not_to_the_excluded() {
    let mut bench = Bench::new(false);
    let of = |publisher: SessionId, flags| Sent {
        publisher: publisher.0,
        flags,
        attributes: Attributes::default(),
    };
    let (plain, exclude_me) = (RecordFlags::default(), RecordFlags::EXCLUDE_ME);
    // Of four messages one is mine and not for me.
    let some = |first| {
        let messages = [of(ME, plain), of(ME, exclude_me), of(OTHER, exclude_me), of(OTHER, plain)];
        events(&segment_of(first, &messages), &[7, 8])
    };
    let taken = |first: u64| [0, 2, 3].map(|n| format!("event 7 {0} [{0}]", first + n));
    assert_eq!(bench.outgoing(some(50)), [""; 0]);
    assert_eq!(bench.subscribe(1, 7, live()), ["[33,1,7]"]);
    assert_eq!(bench.subscribe(2, 7, live()), ["[33,2,7]"]);
    assert_eq!(bench.outgoing(some(60)), taken(60));
    bench.on_unsubscribing(3, 7);
    assert_eq!(bench.outgoing(some(70)), taken(70));
    let over = Outgoing::Unsubscribed { request: RequestId(3) };
    assert_eq!(bench.outgoing(over), ["[35,3]"]);
    assert_eq!(bench.outgoing(some(80)), [""; 0]);
    assert_eq!((bench.encoder.take_events_sent(), bench.encoder.take_events_sent()), (6, 0));
    assert!(bench.told().is_empty());
}

#[test]
fn a_message_comes_once_for_each_subscription_that_has_it() {
    let mut bench = Bench::new(false);
    bench.subscribe(1, 7, live());
    bench.subscribe(2, 8, live());
    let twice = bench.outgoing(events(&segment(60..61), &[7, 8, 9]));
    assert_eq!(twice, ["event 7 60 [60]", "event 8 60 [60]"]);
    // A replica that tells again what another has told.
    assert_eq!(bench.outgoing(events(&segment(60..62), &[7])), ["event 7 61 [61]"]);
    // What stood before the subscription began.
    assert_eq!(bench.subscribe(3, 9, live()), ["[33,3,9]"]);
    assert_eq!(bench.outgoing(events(&segment(49..51), &[9])), ["event 9 50 [50]"]);
}

#[test]
fn black_and_whitelists_are_kept() {
    let mut bench = Bench::new(false);
    bench.subscribe(1, 7, live());
    let names = |name: &str| vec![name.to_owned()];
    let exclude = |exclude| Attributes { exclude, ..Attributes::default() };
    let only = |eligible| Attributes { eligible, ..Attributes::default() };
    let table = [
        (exclude(Audience { sessions: vec![ME.0], ..Audience::default() }), false),
        (exclude(Audience { sessions: vec![OTHER.0], ..Audience::default() }), true),
        (exclude(Audience { authids: names("joe"), ..Audience::default() }), false),
        (exclude(Audience { authroles: names("user"), ..Audience::default() }), false),
        (exclude(Audience { authroles: names("admin"), ..Audience::default() }), true),
        (only(Eligible { sessions: Some(vec![ME.0]), ..Eligible::default() }), true),
        (only(Eligible { sessions: Some(vec![]), ..Eligible::default() }), false),
        (only(Eligible { authids: Some(names("jane")), ..Eligible::default() }), false),
        (only(Eligible { authroles: Some(names("user")), ..Eligible::default() }), true),
    ];
    let sent = |(attributes, _): &(Attributes, bool)| Sent {
        attributes: attributes.clone(),
        ..Sent::default()
    };
    let messages: Vec<_> = table.iter().map(sent).collect();
    let wanted: Vec<_> = table
        .iter()
        .zip(60..)
        .filter(|((_, is_taken), _)| *is_taken)
        .map(|(_, position)| format!("event 7 {position} [{position}]"))
        .collect();
    assert_eq!(bench.outgoing(events(&segment_of(60, &messages), &[7])), wanted);
}

/// Who listens to `wamp.` is told of topics that it may subscribe, and of no others.
#[test]
fn events_of_the_router_about_topics_come_only_to_those_who_may_subscribe_them() {
    let permission = |uri: &str, subscribe| {
        let (uri, matching) = (uri.to_owned(), Match::Prefix);
        Permission { uri, matching, subscribe, ..Permission::default() }
    };
    let permissions = [
        permission("t", true),
        permission("wamp.", true),
        permission("plant.", true),
        permission("plant.secret.", false),
    ];
    let mut bench = Bench::new(false);
    bench.subscribe(1, 7, live());
    let permissions = Permissions::new(permissions, Quotas::UNLIMITED);
    bench.client.on_reload(&permissions, &mut bench.fx);
    bench.fx = Effects::default();
    let targets = [Target { subscription: SubscriptionId(7), names_topic: false }];
    let mut told = |about: &str, matching| {
        let event = RouterEvent {
            topic: Topic::new("r", "wamp.subscription.on_create"),
            about: Some(About::Topics(TopicPattern::new("r", about, matching))),
            publication: 1 << 52,
            payload: Bytes::from_static(b"[9]"),
        };
        let batch = Arc::new(EventBatch::of_router(&event, &targets));
        bench.client.on_outgoing(Outgoing::Events(batch), &mut bench.fx);
        bench.taken().len()
    };
    assert_eq!(told("plant.open", Match::Exact), 1);
    assert_eq!(told("plant.secret.plans", Match::Exact), 0);
    assert_eq!(told("plant.", Match::Prefix), 0, "it has secret topics as well");
    assert_eq!(told("other", Match::Exact), 0);
}

#[test]
fn events_of_the_router_come_to_those_who_are_live() {
    let mut bench = Bench::new(false);
    bench.subscribe(1, 7, live());
    let targets = [7, 8].map(|id| Target { subscription: SubscriptionId(id), names_topic: false });
    let event = RouterEvent {
        topic: Topic::new("r", "t"),
        about: None,
        publication: 1 << 52,
        payload: Bytes::from_static(b"[9]"),
    };
    let batch = EventBatch::of_router(&event, &targets);
    // They have no place, so the same number may come again.
    let batch = Arc::new(batch);
    for _twice in 0..2 {
        let outgoing = Outgoing::Events(Arc::clone(&batch));
        bench.client.on_outgoing(outgoing, &mut bench.fx);
        let frames = bench.taken();
        let [Message::Text(text)] = &frames[..] else { panic!("{frames:?}") };
        assert_eq!(text.as_str(), "[36,7,4503599627370496,{},[9]]");
    }
    assert_eq!(bench.outgoing(events(&segment(60..61), &[7])), ["event 7 60 [60]"]);
}

/// Of two with one id, an answer would be taken for the other's, and its rights for the other's topic.
#[test]
fn a_request_with_the_id_of_one_that_waits_is_refused() {
    let mut bench = Bench::new(false);
    bench.client.subscribe(RequestId(1), live(), &mut bench.fx);
    assert_eq!(bench.told(), ["subscribe 1 Live"]);
    let other = Subscribe { pattern: TopicPattern::new("r", "u", Match::Exact), ..live() };
    bench.client.subscribe(RequestId(1), other, &mut bench.fx);
    let refusal = |code: u8, id: u64| {
        let text =
            "another request of this id still waits for its answer; number requests from 1 on";
        format!(r#"[8,{code},{id},{{}},"wamp.error.invalid_argument",["{text}"]]"#)
    };
    assert_eq!(bench.texts(), [refusal(32, 1)]);
    assert_eq!(bench.told().len(), 0, "the broker does not hear of it");
    let live_from = Position(50);
    let (request, subscription) = (RequestId(1), SubscriptionId(7));
    let stands = Outgoing::Subscribed { request, subscription, live_from, end: END };
    assert_eq!(bench.outgoing(stands), ["[33,1,7]"]);
    bench.on_unsubscribing(2, 7);
    bench.client.unsubscribe(RequestId(2), SubscriptionId(8), &mut bench.fx);
    assert_eq!(bench.texts(), [refusal(34, 2)]);
    // The broker has answered, and what is stored is to be read first.
    assert_eq!(bench.subscribe(3, 9, after(10)), [""; 0]);
    bench.client.subscribe(RequestId(3), live(), &mut bench.fx);
    assert_eq!(bench.texts(), [refusal(32, 3)]);
    assert_eq!(bench.told().len(), 0);
}

#[test]
fn what_may_not_be_read_when_its_answer_comes_does_not_stand() {
    let mut bench = Bench::new(false);
    bench.client.subscribe(RequestId(1), live(), &mut bench.fx);
    bench.told();
    let none = Permissions::new([], Quotas::UNLIMITED);
    bench.client.on_reload(&none, &mut bench.fx);
    let (request, subscription) = (RequestId(1), SubscriptionId(7));
    let stands = Outgoing::Subscribed { request, subscription, live_from: END, end: END };
    let texts = bench.outgoing(stands);
    assert!(texts[0].contains("wamp.error.not_authorized"), "{texts:?}");
    assert_eq!(bench.told(), ["unsubscribe 0 7"]);
}

#[test]
fn a_refused_request_changes_nothing() {
    let mut bench = Bench::new(false);
    bench.subscribe(1, 7, live());
    bench.on_unsubscribing(2, 9);
    let refused = Outgoing::Refused {
        request: RequestId(2),
        kind: RequestKind::Unsubscribe,
        error: SubscribeError::NoSuchSubscription,
    };
    assert_eq!(
        bench.outgoing(refused),
        [r#"[8,34,2,{},"wamp.error.no_such_subscription",["no such subscription"]]"#]
    );
    assert!(bench.client.is_quiet(), "nothing waits for an answer");
    bench.client.subscribe(RequestId(3), snapshot(), &mut bench.fx);
    let error = SubscribeError::TooMany { max: 9 };
    let refused = Outgoing::Refused { request: RequestId(3), kind: RequestKind::Subscribe, error };
    let answer = bench.outgoing(refused);
    assert!(
        matches!(&answer[..], [one] if one.starts_with(r#"[8,32,3,{},"vixen.error.too_many_sub"#)),
        "{answer:?}"
    );
    assert!(bench.client.is_quiet() && bench.client.next_read().is_none());
    assert_eq!(bench.outgoing(events(&segment(60..61), &[7])), ["event 7 60 [60]"]);
}

#[test]
fn answers_give_back_their_share_of_the_bounds() {
    let mut bench = Bench::new(false);
    bench.client.on_handed_over(4, 300);
    assert!(!bench.client.is_below(4, 1 << 20) && !bench.client.is_settled());
    let missing = "2 of 3 ndb nodes".to_owned();
    let id = PermanentId { stamp: Stamp(3), offset: 1 };
    let place = Place { position: Position(9), id };
    let publication = (1 << 52) + 7;
    let resolved = Outgoing::Resolved {
        messages: 3,
        bytes: 200,
        answers: vec![
            (RequestId(5), Ok(Acknowledged::Canonical(place))),
            (RequestId(6), Err(PublishError::NoQuorum { waited_ms: 7, missing })),
            (RequestId(7), Ok(Acknowledged::Durable { publication })),
        ],
    };
    assert_eq!(
        bench.outgoing(resolved),
        [
            "[17,5,9]",
            r#"[8,16,6,{},"vixen.error.no_quorum",["not acknowledged within 7 ms: 2 of 3 ndb nodes. The outcome is not known: the message may still get its place, once"]]"#,
            "[17,7,4503599627370503]",
        ]
    );
    assert!(bench.client.is_below(4, 1 << 20) && !bench.client.is_settled());
    assert!(!bench.client.is_below(4, 100), "a hundred bytes are on their way");
    let answers = vec![];
    assert!(bench.outgoing(Outgoing::Resolved { messages: 1, bytes: 100, answers }).is_empty());
    assert!(bench.client.is_below(4, 100) && bench.client.is_settled());
}
