//! Stored messages as `wamp.subscription.get_events` tells them: what an EVENT of the subscription says of each.
//!
//! Source: WAMP spec *Event History*. Lists of sessions are of the moment of publishing: what was published with one
//! is no history, for nobody. Lists of `authid`s and `authrole`s hold as they do live, and `exclude_me` as well.

use axum::extract::ws::Message;
use serde_json::value::RawValue;

use vixen_broker::api::SubscriptionId;
use vixen_broker::event::{Event, Target, build};
use vixen_core::id::{PermanentId, Position};
use vixen_core::segment::{Encoding, Receiver, TopicPattern};
use vixen_core::wire::TailSegment;

use super::frames;
use crate::text::time_text;

/// The messages of a segment that are of the subscription, for this receiver and `within` what is wanted, rising, as
/// objects of JSON: `{"timestamp", "subscription", "publication", "details", "args", "kwargs"}`, the last two where
/// there are any.
pub(crate) fn stored_events(
    segment: &TailSegment,
    pattern: &TopicPattern,
    (subscription, names_topic): (SubscriptionId, bool),
    receiver: &Receiver<'_>,
    within: impl Fn(Position, PermanentId) -> bool,
) -> Vec<String> {
    let target = Target { subscription, names_topic };
    let targets = segment.topics.iter().map(|topic| {
        let is_of_it = pattern.matches(topic);
        is_of_it.then_some(target).into_iter().collect()
    });
    let batch = build(segment, &targets.collect::<Vec<_>>()).batch;
    let time = time_text(segment.stamp);
    let with_frames = batch.events().iter().zip(frames(&batch, Encoding::Json));
    let mine = with_frames.filter(|(event, _)| {
        let is_within = batch.id_of(event).is_some_and(|id| within(event.position, id));
        is_within && event.is_for(receiver) && !names_sessions(event)
    });
    mine.filter_map(|(_, frame)| object_of(frame.as_ref()?, &time)).collect()
}

/// Whether it was published for, or not for, certain sessions.
fn names_sessions(event: &Event) -> bool {
    event.attributes.as_ref().is_some_and(|attributes| {
        attributes.eligible.sessions.is_some() || !attributes.exclude.sessions.is_empty()
    })
}

fn object_of(frame: &Message, time: &str) -> Option<String> {
    let Message::Text(text) = frame else { return None };
    // `[36, subscription, publication, details, args?, kwargs?]`
    let event: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let [_code, subscription, publication, details, arguments @ ..] = &event[..] else {
        return None;
    };
    let mut object = format!(
        "{{\"timestamp\":\"{time}\",\"subscription\":{subscription},\"publication\":{publication},\"details\":{details}"
    );
    for (name, value) in ["args", "kwargs"].into_iter().zip(arguments) {
        object.push_str(&format!(",\"{name}\":{value}"));
    }
    object.push('}');
    Some(object)
}
