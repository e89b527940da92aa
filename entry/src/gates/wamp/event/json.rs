//! EVENT as JSON text.
//!
//! ```text
//! [36, Subscription, Position, {"id":"…","position":n,"time":"…","topic":…,"publisher":…,"ppt_scheme":…},
//!     Arguments?, ArgumentsKw?]
//! ```
//! The messages of a segment differ in the last key of their permanent id only, so everything
//! before it is formatted once a segment.

use bytes::{BufMut, BytesMut};

use vixen_broker::event::{EVENT_OVERHEAD_BYTES, Event};
use vixen_core::id::Stamp;
use vixen_core::payload::{PayloadError, has_arguments, transcode};
use vixen_core::segment::{Encoding, Passthru};

use crate::text::{put_decimal, put_key, put_string, stamp_part, time_text};

/// Makes the EVENTs of one segment.
#[derive(Clone, Debug)]
pub(super) struct JsonEncoder {
    /// What all details say; `None` for events that are not stored.
    stored: Option<Stored>,
}

#[derive(Clone, Debug)]
struct Stored {
    /// `,{"id":"` and the permanent id up to the key of the offset.
    before_offset: String,
    /// `,"time":"…"`
    time: String,
}

impl JsonEncoder {
    /// For the messages of the segment that was elected at `stamp`.
    pub(super) fn new(stamp: Option<Stamp>) -> Self {
        let stored = stamp.map(|stamp| Stored {
            before_offset: format!(",{{\"id\":\"{}", stamp_part(stamp)),
            time: format!(",\"time\":\"{}\"", time_text(stamp)),
        });
        Self { stored }
    }

    /// Appends one EVENT; a payload of JSON is copied verbatim.
    ///
    /// # Errors
    /// The payload has no form in JSON. A part of the event stands in `out` then.
    pub(super) fn append(&self, out: &mut BytesMut, event: &Event) -> Result<(), PayloadError> {
        out.reserve(EVENT_OVERHEAD_BYTES + event.payload.len());
        out.put_slice(b"[36,");
        put_decimal(out, event.subscription.0);
        out.put_slice(b",");
        put_decimal(out, event.position.0);
        self.put_details(out, event);
        if has_arguments(&event.payload, event.content) {
            out.put_slice(b",");
            transcode(&event.payload, event.content, Encoding::Json, out)?;
        }
        out.put_slice(b"]");
        Ok(())
    }

    fn put_details(&self, out: &mut BytesMut, event: &Event) {
        let mut comma: &[u8] = b",";
        if let Some(Stored { before_offset, time }) = &self.stored {
            out.put_slice(before_offset.as_bytes());
            put_key(out, event.offset);
            out.put_slice(b"\",\"position\":");
            put_decimal(out, event.position.0);
            out.put_slice(time.as_bytes());
        } else {
            out.put_slice(b",{");
            comma = b"";
        }
        if let Some(topic) = &event.topic {
            out.put_slice(comma);
            out.put_slice(b"\"topic\":");
            put_string(out, &topic.uri);
            comma = b",";
        }
        if let Some(publisher) = event.disclosed() {
            out.put_slice(comma);
            out.put_slice(b"\"publisher\":");
            put_decimal(out, event.publisher.0);
            out.put_slice(b",\"publisher_authid\":");
            put_string(out, &publisher.authid);
            out.put_slice(b",\"publisher_authrole\":");
            put_string(out, &publisher.authrole);
            comma = b",";
        }
        for (key, text) in event.passthru().into_iter().flat_map(Passthru::options) {
            out.put_slice(comma);
            put_string(out, key);
            out.put_slice(b":");
            put_string(out, text);
            comma = b",";
        }
        out.put_slice(b"}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use vixen_broker::api::{SessionId, SubscriptionId};
    use vixen_core::id::{PermanentId, Position};
    use vixen_core::segment::{Attributes, Publisher, Topic};

    fn event(position: u64, offset: u32, payload: &str) -> Event {
        Event {
            subscription: SubscriptionId(5),
            position: Position(position),
            offset,
            publisher: SessionId(7),
            excludes_publisher: true,
            attributes: None,
            attributes_bytes: 0,
            topic: None,
            content: Encoding::Json.into(),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
        }
    }

    fn text(stamp: Option<Stamp>, event: &Event) -> String {
        let mut out = BytesMut::new();
        JsonEncoder::new(stamp).append(&mut out, event).expect("JSON");
        String::from_utf8(out.to_vec()).expect("text")
    }

    const DETAILS: &str =
        r#"{"id":"2001010000a0b3f","position":42,"time":"2020-01-01T00:00:00.000Z"}"#;

    #[test]
    fn golden_text() {
        for (payload, wanted) in [
            ("", format!("[36,5,42,{DETAILS}]")),
            ("[1]", format!("[36,5,42,{DETAILS},[1]]")),
            (r#"[],{"a":1e400}"#, format!(r#"[36,5,42,{DETAILS},[],{{"a":1e400}}]"#)),
        ] {
            assert_eq!(text(Some(Stamp(0)), &event(42, 123, payload)), wanted);
        }
    }

    #[test]
    fn topic_and_publisher_are_named_where_they_may_be() {
        let publisher = Publisher { authid: "jo\"e".to_owned(), authrole: "user".to_owned() };
        let attributes = Attributes { publisher: Some(publisher), ..Attributes::default() };
        let mut event = event(9, 0, "[]");
        event.topic = Some(Topic::new("r", "a.b"));
        assert_eq!(text(None, &event), r#"[36,5,9,{"topic":"a.b"},[]]"#);
        event.attributes = Some(Arc::new(attributes));
        assert_eq!(
            text(None, &event),
            r#"[36,5,9,{"topic":"a.b","publisher":7,"publisher_authid":"jo\"e","publisher_authrole":"user"},[]]"#
        );
        let passthru = Passthru {
            scheme: "x_\"a".to_owned(),
            serializer: None,
            cipher: Some("c".to_owned()),
            keyid: None,
        };
        let passthru = Some(Box::new(passthru));
        let packed = Attributes { passthru, ..Attributes::default() };
        let packed = Event { attributes: Some(Arc::new(packed)), topic: None, ..event.clone() };
        let wanted = r#"[36,5,9,{"ppt_scheme":"x_\"a","ppt_cipher":"c"},[]]"#;
        assert_eq!(text(None, &packed), wanted);
        event.topic = None;
        let parsed: Value = serde_json::from_str(&text(Some(Stamp(0)), &event)).expect("JSON");
        assert_eq!(parsed[3]["publisher"], 7);
    }

    proptest! {
        #[test]
        fn the_id_is_the_permanent_id_and_the_frame_is_json(
            stamp: u64, offset: u32, shift in 0u32..32, position in 1u64..1 << 53, n: i64,
        ) {
            let (stamp, offset) = (Stamp(stamp), offset >> shift);
            let event = event(position, offset, &format!("[{n}],{{\"n\":{n}}}"));
            let parsed: Value = serde_json::from_str(&text(Some(stamp), &event)).expect("JSON");
            let id = PermanentId { stamp, offset }.to_string();
            prop_assert_eq!(&parsed[3]["id"], &json!(id));
            prop_assert_eq!(&parsed[2], &json!(position));
            prop_assert_eq!((&parsed[4], &parsed[5]), (&json!([n]), &json!({"n": n})));
        }
    }
}
