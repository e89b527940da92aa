//! Delivery over replicas that a test plays.

pub(crate) mod cluster;
mod moves;
mod order;
mod patterns;
mod recorded;
mod shares;
mod steps;
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
