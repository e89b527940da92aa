//! EVENTs: the events of a batch as frames, made once for all sessions of one serializer.

mod binary;
mod json;
mod stored;
#[cfg(test)]
mod tests;

use axum::extract::ws::{Message, Utf8Bytes};
use bytes::{Bytes, BytesMut};

use vixen_broker::event::{Event, EventBatch, Form};
use vixen_core::payload::PayloadError;
use vixen_core::payload::write::Binary;
use vixen_core::segment::Encoding;

use crate::metrics::count_unsayable;
use binary::BinaryEncoder;
use json::JsonEncoder;
pub(crate) use stored::stored_events;

/// The frames of all events for one serializer, in their order; `None` where the payload cannot be
/// said in it.
type Frames = Vec<Option<Message>>;

const JSON: Form = Form::new(0);
const MSGPACK: Form = Form::new(1);
const CBOR: Form = Form::new(2);

/// The frames of all events for a serializer; made by the first call.
pub(super) fn frames(batch: &EventBatch, encoding: Encoding) -> &[Option<Message>] {
    match encoding {
        Encoding::Json => batch.made_once(JSON, || encode_json(batch)),
        Encoding::MsgPack => batch.made_once(MSGPACK, || encode_binary(batch, Binary::MsgPack)),
        Encoding::Cbor => batch.made_once(CBOR, || encode_binary(batch, Binary::Cbor)),
    }
}

fn encode_json(batch: &EventBatch) -> Frames {
    let encoder = JsonEncoder::new(batch.stamp());
    let frames = encode(batch, |out, event| encoder.append(out, event));
    let text = |frame| Utf8Bytes::try_from(frame).ok().map(Message::Text);
    frames.into_iter().map(|frame| frame.and_then(text)).collect()
}

fn encode_binary(batch: &EventBatch, binary: Binary) -> Frames {
    let encoder = BinaryEncoder::new(binary, batch.stamp());
    let frames = encode(batch, |out, event| encoder.append(out, event));
    frames.into_iter().map(|frame| frame.map(Message::Binary)).collect()
}

/// All events in one buffer, which their frames share.
fn encode(
    batch: &EventBatch,
    append: impl Fn(&mut BytesMut, &Event) -> Result<(), PayloadError>,
) -> Vec<Option<Bytes>> {
    let mut out = BytesMut::with_capacity(batch.bytes());
    let ranges: Vec<_> = batch
        .events()
        .iter()
        .map(|event| {
            let start = out.len();
            match append(&mut out, event) {
                Ok(()) => Some(start..out.len()),
                Err(error) => {
                    out.truncate(start);
                    count_unsayable(1);
                    tracing::warn!(
                        position = %event.position, %error,
                        "payload cannot be said in a serializer"
                    );
                    None
                }
            }
        })
        .collect();
    let all = out.freeze();
    ranges.into_iter().map(|range| range.map(|range| all.slice(range))).collect()
}
