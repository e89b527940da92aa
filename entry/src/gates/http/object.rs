//! An event as a JSON object, for clients that are none of WAMP.

use bytes::{BufMut, BytesMut};

use vixen_broker::event::EventBatch;
use vixen_core::id::PermanentId;
use vixen_core::payload::as_json;
use vixen_core::segment::Passthru;

use crate::text::{put_decimal, put_string, time_text};

/// Appends the event at `index`:
///
/// ```text
/// {"position":n,"id":"…","time":"…","topic":"…","publisher":…,"ppt_scheme":…,"args":[…],"kwargs":{…}}
/// ```
/// `false`: its payload cannot be said in JSON, or there is no such event; nothing is appended.
pub(super) fn put_object(out: &mut BytesMut, batch: &EventBatch, index: usize) -> bool {
    let Some(event) = batch.events().get(index) else { return false };
    let mut scratch = BytesMut::new();
    let parts = as_json(&event.payload, event.content, &mut scratch);
    let Ok((args, kwargs)) = parts else { return false };
    out.put_slice(b"{\"position\":");
    put_decimal(out, event.position.0);
    if let Some(stamp) = batch.stamp() {
        out.put_slice(b",\"id\":\"");
        out.put_slice(PermanentId { stamp, offset: event.offset }.to_string().as_bytes());
        out.put_slice(b"\",\"time\":\"");
        out.put_slice(time_text(stamp).as_bytes());
        out.put_slice(b"\"");
    }
    if let Some(topic) = &event.topic {
        out.put_slice(b",\"topic\":");
        put_string(out, &topic.uri);
    }
    if event.disclosed().is_some() {
        out.put_slice(b",\"publisher\":");
        put_decimal(out, event.publisher.0);
    }
    put_passthru(out, event.passthru());
    for (key, value) in [(&b",\"args\":"[..], args), (b",\"kwargs\":", kwargs)] {
        if let Some(value) = value {
            out.put_slice(key);
            // A line break within would end the line of a stream.
            out.extend(value.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
        }
    }
    out.put_slice(b"}");
    true
}

/// Appends the members that say how a payload is packed, each after a comma: `,"ppt_scheme":"…"` and so on.
pub(super) fn put_passthru(out: &mut BytesMut, passthru: Option<&Passthru>) {
    for (key, text) in passthru.into_iter().flat_map(Passthru::options) {
        out.put_slice(b",");
        put_string(out, key);
        out.put_slice(b":");
        put_string(out, text);
    }
}
