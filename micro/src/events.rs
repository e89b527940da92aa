//! Events: the records of a segment become the frames that all sessions of a serializer share.

use std::hint::black_box;

use vixen_broker::api::SubscriptionId;
use vixen_broker::event::{Target, build};
use vixen_core::id::{Position, Stamp};
use vixen_core::wire::TailSegment;
use vixen_entry::gates::wamp::fuzz::encode_events;

use crate::Case;
use crate::segments;

/// Of one segment.
pub(crate) const MESSAGES: usize = segments::MESSAGES;

/// Everything is subscribed, by exact topics.
fn encode(subprotocol: &'static str) -> Case {
    let chunk = segments::packed();
    let topics: Vec<_> = chunk.topics.clone();
    let targets: Vec<_> = (1..)
        .map(|id| vec![Target { subscription: SubscriptionId(id), names_topic: false }])
        .take(topics.len())
        .collect();
    let segment = TailSegment {
        first: Position(1_000_000),
        count: chunk.meta.count,
        stamp: Stamp(1 << 60),
        topics,
        offsets: Vec::new(),
        records: chunk.records,
    };
    Box::new(move || {
        let built = build(black_box(&segment), &targets);
        encode_events(subprotocol, &built.batch)
    })
}

/// As JSON, which the payloads are.
pub(crate) fn encode_json() -> Case {
    encode("wamp.2.json")
}

/// As MessagePack: each payload is read and written anew.
pub(crate) fn encode_msgpack() -> Case {
    encode("wamp.2.msgpack")
}
