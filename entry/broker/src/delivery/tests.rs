//! One step, exact effects; then a scenario of moves between replicas.

pub(crate) mod cluster;
mod order;
mod patterns;
mod recorded;
mod shares;
mod subscriptions;

use bytes::Bytes;
use vixen_core::id::Stamp;
use vixen_core::membership::Membership;
use vixen_core::segment::{
    CALLS_REALM, Encoding, Match, Receiver, Record, RecordFlags, Topic, TopicPattern,
};
use vixen_core::wire::ReadMessage;

use super::*;
use crate::api::{
    JoinId, Origin, RequestId, RequestKind, SubscribeError, SubscribeMode, SubscriptionId,
};
use crate::event::Event;

fn ndb(member: u8) -> NdbId {
    NdbId { group: GroupId(0), member }
}

fn at(ms: u64) -> WallTime {
    WallTime(1_000_000 + ms)
}

/// A hundred sessions have one.
pub(crate) fn address_of(session: u64) -> Origin {
    let last = u8::try_from(session / 100).expect("few addresses");
    Origin { client: [10, 0, 0, last].into(), site: None }
}

fn topic(uri: &str) -> TopicPattern {
    TopicPattern::new("r", uri, Match::Exact)
}

/// Delivery over one group of three, and its clock.
struct Bench {
    delivery: Delivery,
    now: WallTime,
}

impl Bench {
    fn new() -> Self {
        let options = DeliveryOptions {
            owner: OwnerId(uuid::Uuid::from_u128(0)),
            membership: Membership::sized(3, [3], 2),
            subscriptions: SubscriptionLimits {
                per_session_max: 2,
                ..SubscriptionLimits::UNBOUNDED
            },
            numbering: Numbering::Counted,
            waiting_bytes_max: 64 << 20,
        };
        Self { delivery: Delivery::new(&options), now: at(0) }
    }

    /// All three replicas linked, the tail open at the first, from position 10 on.
    fn open() -> Self {
        let mut bench = Self::new();
        for member in 0..3 {
            bench.step(Input::NdbUp { ndb: ndb(member) });
        }
        bench.opened(0, 10);
        bench
    }

    /// As `open`, with session 7 subscribed to `t`.
    fn subscribed() -> Self {
        let mut bench = Self::open();
        bench.subscribe(7, 1, "t");
        bench.step(Input::Flush);
        let fx = bench.opened(0, 10);
        assert_eq!(words(&fx), [(7, Word::Subscribed(1, 1))]);
        bench
    }

    fn step(&mut self, input: Input) -> Effects {
        let mut fx = Effects::default();
        self.delivery.step(self.now, input, &mut fx);
        self.delivery.check();
        fx
    }

    fn opened(&mut self, member: u8, next: u64) -> Effects {
        self.step(Input::TailOpened { from: ndb(member), next: Position(next) })
    }

    fn subscribe(&mut self, session: u64, request: u64, uri: &str) -> Effects {
        self.subscribe_as(session, request, topic(uri), SubscribeMode::Live)
    }

    fn subscribe_as(
        &mut self,
        session: u64,
        request: u64,
        pattern: TopicPattern,
        mode: SubscribeMode,
    ) -> Effects {
        let (session, origin) = (SessionId(session), address_of(session));
        let request = RequestId(request);
        self.step(Input::Subscribe { session, origin, request, pattern, mode })
    }

    fn unsubscribe(&mut self, session: u64, request: u64, subscription: u64) -> Effects {
        let (session, request) = (SessionId(session), RequestId(request));
        let subscription = SubscriptionId(subscription);
        self.step(Input::Unsubscribe { session, request, subscription })
    }

    /// The replica has applied a change, and its tail stands where the last word left it.
    fn changed(&mut self, member: u8, version: u64) -> Effects {
        let from = ndb(member);
        let tail = self.delivery.tails().find(|tail| tail.group == from.group);
        let next = tail.and_then(|tail| tail.next).expect("an open tail");
        self.step(Input::InterestChanged { from, version, next })
    }

    /// The frontier places one segment.
    fn placed(&mut self, first: u64, count: u32, group: u16) -> Effects {
        let slot = Slot { first: Position(first), count, group: GroupId(group) };
        self.step(Input::Placed { slots: vec![slot] })
    }

    fn segment(&mut self, member: u8, first: u64, messages: &[(&str, u64, &[u8])]) -> Effects {
        let segment = segment(first, messages);
        self.step(Input::Segment { from: ndb(member), segment })
    }
}

fn segment(first: u64, messages: &[(&str, u64, &[u8])]) -> TailSegment {
    let mut topics = Vec::new();
    let mut records = Vec::new();
    for (uri, session, payload) in messages {
        let wanted = Topic::new("r", uri);
        let index = topics.iter().position(|known| *known == wanted).unwrap_or_else(|| {
            topics.push(wanted);
            topics.len() - 1
        });
        let record = Record {
            topic: u16::try_from(index).expect("few topics"),
            content: Encoding::Json.into(),
            flags: RecordFlags(u8::from(*session > 0)),
            session: *session,
            attributes: &[],
            payload,
        };
        record.write_to(&mut records);
    }
    TailSegment {
        first: Position(first),
        count: u32::try_from(messages.len()).expect("few messages"),
        stamp: Stamp(77 << 22),
        topics,
        offsets: Vec::new(),
        records: records.into(),
    }
}

/// `Outgoing` in a form that compares.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Subscribed(u64, u64),
    Unsubscribed(u64),
    Refused(u64, RequestKind, SubscribeError),
    /// Join, from.
    Joined(u64, u64),
    /// From, subscriptions.
    Lagging(u64, Vec<u64>),
    /// Subscription, and which of the sessions below 10 does not get it.
    Events(Vec<(u64, Option<u64>)>),
}

/// The session that an event is not for, among those of these tests.
fn excluded(event: &Event) -> Option<u64> {
    let receiver = |session| Receiver { session, authid: "a", authrole: "anonymous" };
    (1..10).find(|session| !event.is_for(&receiver(*session)))
}

fn words(fx: &Effects) -> Vec<(u64, Word)> {
    let each = fx.outgoing.iter().map(|(session, outgoing)| {
        let word = match outgoing {
            Outgoing::Subscribed { request, subscription, .. } => {
                Word::Subscribed(request.0, subscription.0)
            }
            Outgoing::Joined { join, from } => Word::Joined(join.0, from.0),
            Outgoing::Lagging { from, subscriptions } => {
                Word::Lagging(from.0, subscriptions.iter().map(|id| id.0).collect())
            }
            Outgoing::Unsubscribed { request } => Word::Unsubscribed(request.0),
            Outgoing::Refused { request, kind, error } => Word::Refused(request.0, *kind, *error),
            Outgoing::Events(batch) => {
                let each = batch.events().iter();
                Word::Events(each.map(|e| (e.subscription.0, excluded(e))).collect())
            }
            Outgoing::Resolved { .. } => panic!("not of delivery"),
        };
        (session.0, word)
    });
    each.collect()
}

/// The events of the first batch in `fx`.
fn events(fx: &Effects) -> &[Event] {
    let [(_, Outgoing::Events(batch)), ..] = fx.outgoing.as_slice() else { panic!("events") };
    batch.events()
}

fn follow(member: u8, from: Option<u64>, uris: &[&str]) -> (NdbId, Message) {
    let topics = uris.iter().map(|uri| topic(uri)).collect();
    (ndb(member), Message::Read(ReadMessage::FollowTail { from: from.map(Position), topics }))
}

fn change(member: u8, version: u64, add: &[&str], remove: &[&str]) -> (NdbId, Message) {
    let add = add.iter().map(|uri| topic(uri)).collect();
    let remove = remove.iter().map(|uri| topic(uri)).collect();
    (ndb(member), Message::Read(ReadMessage::ChangeInterest { version, add, remove }))
}

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

#[test]
fn a_lost_replica_is_replaced_from_the_next_position() {
    let mut bench = Bench::subscribed();
    bench.segment(0, 10, &[("t", 0, b"[1]")]);
    let fx = bench.step(Input::NdbDown { ndb: ndb(0) });
    assert_eq!(fx.sends, [follow(1, Some(11), &["t"])]);
    assert!(bench.segment(1, 11, &[("t", 0, b"[1]")]).outgoing.is_empty(), "not open yet");
    assert_eq!(bench.opened(1, 11).notes, []);
    assert_eq!(bench.segment(1, 11, &[("t", 0, b"[1]")]).outgoing.len(), 1);
}

#[test]
fn a_replica_that_loses_what_comes_next_leaves_no_gap_unsaid() {
    let mut bench = Bench::subscribed();
    bench.segment(0, 10, &[("t", 0, b"[1]")]);
    // Nobody asked: its only copy of 11 to 14 is gone, and it goes on behind them.
    let fx = bench.opened(0, 15);
    assert_eq!(fx.notes, [Note::PositionsMissed { from: ndb(0), count: 4 }]);
    assert_eq!(words(&fx), [(7, Word::Lagging(11, vec![1]))]);
    assert_eq!(bench.opened(0, 15).notes, [], "said once");
}

#[test]
fn a_silent_replica_is_left_and_what_it_says_later_is_not_taken() {
    let mut bench = Bench::subscribed();
    bench.segment(0, 10, &[("t", 0, b"[1]")]);
    let fx = bench.step(Input::NdbSilent { ndb: ndb(0), is_silent: true });
    let none = (ndb(0), Message::Read(ReadMessage::FollowTail { from: None, topics: vec![] }));
    assert_eq!(fx.sends, [none, follow(1, Some(11), &["t"])]);
    bench.opened(1, 11);
    bench.step(Input::NdbSilent { ndb: ndb(0), is_silent: false });
    assert!(bench.segment(0, 11, &[("t", 0, b"[1]")]).outgoing.is_empty(), "left is left");
    assert_eq!(bench.segment(1, 11, &[("t", 0, b"[1]")]).outgoing.len(), 1);
    // The answer to the word that told it to send nothing is no answer to a later one.
    let fx = bench.step(Input::NdbDown { ndb: ndb(1) });
    assert_eq!(fx.sends, [follow(0, Some(12), &["t"])]);
    bench.opened(0, 12);
    assert!(bench.segment(0, 12, &[("t", 0, b"[1]")]).outgoing.is_empty(), "the first answer");
    bench.opened(0, 12);
    assert_eq!(bench.segment(0, 12, &[("t", 0, b"[1]")]).outgoing.len(), 1, "the second");
}

#[test]
fn a_group_of_which_nobody_is_heard_keeps_no_subscriber_waiting() {
    let mut bench = Bench::subscribed();
    for member in 0..3 {
        bench.step(Input::NdbSilent { ndb: ndb(member), is_silent: true });
    }
    bench.subscribe(8, 1, "t");
    let fx = bench.step(Input::Flush);
    assert!(fx.sends.is_empty(), "nobody is followed: {:?}", fx.sends);
    let fx = bench.step(Input::NdbSilent { ndb: ndb(0), is_silent: false });
    assert_eq!(fx.sends, [follow(0, Some(10), &["t"])], "followed anew with all that is wanted");
}

#[test]
fn a_replica_that_cannot_give_everything_is_reported() {
    let mut bench = Bench::subscribed();
    bench.step(Input::NdbDown { ndb: ndb(0) });
    let fx = bench.opened(1, 15);
    assert_eq!(fx.notes, [Note::PositionsMissed { from: ndb(1), count: 5 }]);
}

/// Found by the World: another replica may have it, as when this one alone has gone on where the orders
/// of its peers began.
#[test]
fn what_a_replica_has_dropped_is_read_from_the_store_by_all_who_are_live() {
    let mut bench = Bench::subscribed();
    bench.subscribe_as(8, 1, topic("t"), SubscribeMode::Replay);
    bench.step(Input::Flush);
    bench.step(Input::NdbDown { ndb: ndb(0) });
    let fx = bench.opened(1, 15);
    assert_eq!(words(&fx), [(7, Word::Lagging(10, vec![1]))], "who replays reads it anyhow");
    let input = Input::Join {
        session: SessionId(7),
        join: JoinId(1),
        subscriptions: vec![SubscriptionId(1)],
    };
    assert_eq!(words(&bench.step(input)), [(7, Word::Joined(1, 15))]);
}

#[test]
fn interest_that_was_on_its_way_holds_at_the_new_replica() {
    let mut bench = Bench::subscribed();
    bench.subscribe(8, 1, "u");
    bench.step(Input::Flush);
    let fx = bench.step(Input::NdbDown { ndb: ndb(0) });
    assert_eq!(fx.sends, [follow(1, Some(10), &["t", "u"])]);
    assert_eq!(words(&bench.opened(1, 10)), [(8, Word::Subscribed(1, 2))]);
}

#[test]
fn a_tail_that_is_behind_and_does_not_move_is_moved() {
    let mut bench = Bench::subscribed();
    assert_eq!(bench.delivery.timeout_at(), None);
    bench.placed(10, 2, 0);
    assert_eq!(bench.delivery.timeout_at(), Some(at(100)));
    bench.now = at(60);
    bench.segment(0, 10, &[("t", 0, b"[1]")]);
    assert_eq!(bench.delivery.timeout_at(), Some(at(160)), "progress is patience");
    bench.now = at(160);
    let fx = bench.step(Input::Timeout);
    assert_eq!(fx.sends, [follow(0, None, &[]), follow(1, Some(11), &["t"])]);
    let moved = Note::TailMoved { group: GroupId(0), from: Some(ndb(0)), to: ndb(1) };
    assert_eq!(fx.notes, [moved]);
    // The one left behind goes on for a while; nobody listens.
    assert!(bench.segment(0, 11, &[("t", 0, b"[1]")]).outgoing.is_empty());
    bench.opened(0, 12);
    bench.opened(1, 11);
    assert_eq!(bench.segment(1, 11, &[("t", 0, b"[1]")]).outgoing.len(), 1);
    assert_eq!(bench.delivery.timeout_at(), None);
}

#[test]
fn patience_is_eight_times_what_progress_takes() {
    let mut bench = Bench::subscribed();
    let mut patience = Vec::new();
    let mut place = |bench: &mut Bench, position, took_ms| {
        bench.placed(position, 1, 0);
        let due = bench.delivery.timeout_at().expect("behind");
        patience.push(due.millis_since(bench.now));
        bench.now = bench.now.plus_millis(took_ms);
        bench.segment(0, position, &[("t", 0, b"[1]")]);
    };
    for position in 10..40 {
        place(&mut bench, position, 2);
    }
    for position in 40..70 {
        place(&mut bench, position, 30);
    }
    assert_eq!((patience[0], patience[29], patience[59]), (100, 25, 100), "{patience:?}");
    assert!(patience[32] > 25 && patience[32] < 100, "{patience:?}");
}

#[test]
fn patience_doubles_with_each_fruitless_move() {
    let mut bench = Bench::subscribed();
    bench.placed(10, 2, 0);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let due = bench.delivery.timeout_at().expect("behind");
        waits.push(due.millis_since(bench.now));
        bench.now = due;
        bench.step(Input::Timeout);
    }
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
}

#[test]
fn nobody_waits_without_interest() {
    let mut bench = Bench::open();
    bench.placed(10, 990, 0);
    assert_eq!(bench.delivery.timeout_at(), None);
}

#[test]
fn a_position_passes_over_what_is_of_no_interest() {
    let mut bench = Bench::subscribed();
    bench.placed(10, 2, 0);
    let input = Input::TailPosition { from: ndb(0), next: Position(12) };
    bench.step(input);
    assert_eq!(bench.delivery.timeout_at(), None);
    assert_eq!(bench.step(Input::NdbDown { ndb: ndb(0) }).sends, [follow(1, Some(12), &["t"])]);
}

#[test]
fn tails_of_two_groups_are_merged_by_position() {
    let of = |group| NdbId { group: GroupId(group), member: 0 };
    let options = DeliveryOptions {
        owner: OwnerId(uuid::Uuid::from_u128(0)),
        membership: Membership::sized(3, [1, 1], 1),
        subscriptions: SubscriptionLimits { per_session_max: 2, ..SubscriptionLimits::UNBOUNDED },
        numbering: Numbering::Counted,
        waiting_bytes_max: 64 << 20,
    };
    let mut bench = Bench { delivery: Delivery::new(&options), now: at(0) };
    bench.subscribe(7, 1, "t");
    bench.step(Input::Flush);
    for ndb in [of(0), of(1)] {
        bench.step(Input::NdbUp { ndb });
        bench.step(Input::TailOpened { from: ndb, next: Position(10) });
    }
    let message: &[_] = &[("t", 0, &b"[1]"[..])];
    let late = Input::Segment { from: of(0), segment: segment(11, message) };
    assert!(bench.step(late).outgoing.is_empty(), "the other group may have 10");
    let early = Input::Segment { from: of(1), segment: segment(10, message) };
    assert_eq!(bench.step(early).outgoing.len(), 2, "the next, and the one after it");
    let late = Input::Segment { from: of(0), segment: segment(14, message) };
    assert!(bench.step(late).outgoing.is_empty(), "the other group may have 12 and 13");
    let passed = Input::TailPosition { from: of(1), next: Position(14) };
    assert_eq!(bench.step(passed).outgoing.len(), 1);
}

#[test]
fn a_scenario_of_moves_delivers_each_position_once_in_order() {
    let mut bench = Bench::subscribed();
    let mut received = Vec::new();
    let mut follower = 0;
    for (round, next) in (10..310).enumerate() {
        bench.now = at(next * 10);
        bench.placed(next, 1, 0);
        if round % 7 == 3 {
            // A replica is lost, comes back, and the new one overlaps by two positions.
            let lost = ndb(follower);
            let fx = bench.step(Input::NdbDown { ndb: lost });
            let Some((to, Message::Read(ReadMessage::FollowTail { .. }))) = fx.sends.first() else {
                panic!("moved")
            };
            follower = to.member;
            bench.step(Input::NdbUp { ndb: lost });
            bench.opened(follower, next - 2);
            for repeated in [next - 2, next - 1] {
                let fx = bench.segment(follower, repeated, &[("t", 0, b"[1]")]);
                assert!(fx.outgoing.is_empty());
            }
        }
        let fx = bench.segment(follower, next, &[("t", 0, b"[1]")]);
        received.extend(fx.outgoing.iter().map(|_| next));
    }
    assert!(received.into_iter().eq(10..310));
}
