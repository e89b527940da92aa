//! Events: the canonical messages of one segment as the frames of its subscribers.

use std::collections::BTreeSet;
use std::ops::Range;

use axum::extract::ws::Utf8Bytes;
use bytes::{Bytes, BytesMut};

use vixen_common::payload::transcode;
use vixen_common::segment::{Encoding, RecordFlags, Records};
use vixen_common::wire::TailSegment;

use super::subscriptions::Subscriptions;
use crate::broker::{Event, SegmentEvents, SessionId, SubscriptionId};
use crate::wamp::{EVENT_OVERHEAD_BYTES_MAX, EventEncoder};

/// What became of a segment.
#[derive(Debug, Default)]
pub(super) struct Built {
    pub(super) events: Vec<Event>,
    /// Size of all frames.
    pub(super) bytes: usize,
    /// Sessions with a subscription of one of the events.
    pub(super) sessions: BTreeSet<SessionId>,
    /// Messages left out because their payload is not text.
    pub(super) not_text: u64,
    /// Whether the segment could not be read to its end.
    pub(super) is_malformed: bool,
}

impl Built {
    pub(super) fn into_events(self) -> SegmentEvents {
        SegmentEvents { events: self.events, bytes: self.bytes }
    }
}

/// A frame under construction: where it ends in the buffer comes with the next one.
struct Draft {
    subscription: SubscriptionId,
    excluded: Option<SessionId>,
    frame: Range<usize>,
}

/// Encodes every message of `segment` that has subscribers: all frames in one buffer, which they
/// share.
pub(super) fn build(segment: &TailSegment, subscriptions: &Subscriptions) -> Built {
    let mut built = Built::default();
    let of_topics: Vec<_> = segment.topics.iter().map(|topic| subscriptions.of(topic)).collect();
    if of_topics.iter().all(Option::is_none) {
        return built;
    }
    let mut hit = vec![false; of_topics.len()];
    let encoder = EventEncoder::new(segment.stamp);
    let mut buffer = BytesMut::with_capacity(segment.records.len() + EVENT_OVERHEAD_BYTES_MAX);
    let mut scratch = BytesMut::new();
    let mut drafts = Vec::new();
    let mut records = Records::new(&segment.records);
    for (index, record) in records.by_ref().enumerate() {
        let topic = usize::from(record.topic);
        let (Some(offset), Some(of_topic)) = (offset_of(segment, index), of_topics.get(topic))
        else {
            built.is_malformed = true;
            break;
        };
        let Some((subscription, _)) = of_topic else { continue };
        hit[topic] = true;
        let start = buffer.len();
        let payload = match record.encoding {
            Encoding::Json => record.payload,
            other @ (Encoding::MsgPack | Encoding::Cbor) => {
                scratch.clear();
                if transcode(record.payload, other, Encoding::Json, &mut scratch).is_err() {
                    built.not_text += 1;
                    continue;
                }
                &scratch[..]
            }
        };
        let position = segment.first.plus(offset);
        encoder.append(&mut buffer, *subscription, position, offset, payload);
        let excludes = record.flags.contains(RecordFlags::EXCLUDE_ME);
        drafts.push(Draft {
            subscription: *subscription,
            excluded: excludes.then_some(SessionId(record.session)),
            frame: start..buffer.len(),
        });
    }
    built.is_malformed |= !records.is_complete();
    built.finish(buffer.freeze(), drafts);
    for (of_topic, hit) in of_topics.into_iter().zip(hit) {
        if let Some((_, sessions)) = of_topic.filter(|_| hit) {
            built.sessions.extend(sessions);
        }
    }
    built
}

/// The offset of the record at `index`; `None` when the segment does not say.
fn offset_of(segment: &TailSegment, index: usize) -> Option<u32> {
    let offset = if segment.offsets.is_empty() {
        u32::try_from(index).ok()?
    } else {
        *segment.offsets.get(index)?
    };
    (offset < segment.count).then_some(offset)
}

impl Built {
    /// Cuts the frames out of the shared buffer.
    fn finish(&mut self, buffer: Bytes, drafts: Vec<Draft>) {
        self.events.reserve(drafts.len());
        for draft in drafts {
            let Ok(frame) = Utf8Bytes::try_from(buffer.slice(draft.frame)) else {
                self.not_text += 1;
                continue;
            };
            self.bytes += frame.len();
            let Draft { subscription, excluded, .. } = draft;
            self.events.push(Event { subscription, excluded, frame });
        }
    }
}
