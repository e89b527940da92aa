//! Stored messages as `wamp.subscription.get_events` tells them: what an EVENT of the subscription says of each.

use axum::extract::ws::Message;
use serde_json::value::RawValue;

use vixen_broker::api::SubscriptionId;
use vixen_broker::event::{Target, build};
use vixen_core::segment::{Encoding, Receiver, TopicPattern};
use vixen_core::wire::TailSegment;

use super::frames;
use crate::text::time_text;

/// The messages of a segment that are of the subscription and for this receiver, rising, as objects of JSON:
/// `{"timestamp", "subscription", "publication", "details", "args", "kwargs"}`, the last two where there are any.
pub(crate) fn stored_events(
    segment: &TailSegment,
    pattern: &TopicPattern,
    (subscription, names_topic): (SubscriptionId, bool),
    receiver: &Receiver<'_>,
) -> Vec<String> {
    let target = Target { subscription, names_topic };
    let targets = segment.topics.iter().map(|topic| {
        let is_of_it = pattern.matches(topic);
        is_of_it.then_some(target).into_iter().collect()
    });
    let batch = build(segment, &targets.collect::<Vec<_>>()).batch;
    let time = time_text(segment.stamp);
    let with_frames = batch.events().iter().zip(frames(&batch, Encoding::Json));
    let mine = with_frames.filter(|(event, _)| event.is_for(receiver));
    mine.filter_map(|(_, frame)| object_of(frame.as_ref()?, &time)).collect()
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
