//! EVENT: made once per message and subscription, and shared by all its subscribers.
//!
//! ```text
//! [36, Subscription, Position, {"id":"<permanent id>"}, Arguments?, ArgumentsKw?]
//! ```
//! The messages of a segment differ in the last key of their permanent id only, so everything
//! before it is formatted once a segment.

use axum::extract::ws::Utf8Bytes;
use bytes::{BufMut, BytesMut};
use vixen_common::id::{PermanentId, Position, Stamp};

use super::encode::{put_decimal, write_digits};
use crate::broker::SubscriptionId;

/// Most bytes of an EVENT beside its payload.
pub const EVENT_OVERHEAD_BYTES_MAX: usize = 128;

/// Makes the EVENT frames of one segment.
#[derive(Clone, Debug)]
pub struct EventEncoder {
    /// `,{"id":"` and the permanent id up to the key of the offset.
    before_offset: String,
}

impl EventEncoder {
    /// For the messages of the segment that was elected at `stamp`.
    #[must_use]
    pub fn new(stamp: Stamp) -> Self {
        let id = PermanentId { stamp, offset: 0 }.to_string();
        let stamp_part = id.strip_suffix("a0").unwrap_or(&id);
        Self { before_offset: format!(",{{\"id\":\"{stamp_part}") }
    }

    /// Appends one EVENT to `out`. `payload` is empty, `args` or `args,kwargs`, as it was in the
    /// PUBLISH; it is copied verbatim.
    pub fn append(
        &self,
        out: &mut BytesMut,
        subscription: SubscriptionId,
        position: Position,
        offset: u32,
        payload: &[u8],
    ) {
        out.reserve(EVENT_OVERHEAD_BYTES_MAX + payload.len());
        out.put_slice(b"[36,");
        put_decimal(out, subscription.0);
        out.put_slice(b",");
        put_decimal(out, position.0);
        out.put_slice(self.before_offset.as_bytes());
        put_key(out, offset);
        if payload.is_empty() {
            out.put_slice(b"\"}]");
        } else {
            out.put_slice(b"\"},");
            out.put_slice(payload);
            out.put_slice(b"]");
        }
    }

    /// Like [`append`](Self::append), and cuts it off as a frame that shares the memory of `out`;
    /// whatever was in `out` before becomes part of it. `None` when the payload is not UTF-8,
    /// which no JSON payload is: it must be skipped.
    pub fn frame(
        &self,
        out: &mut BytesMut,
        subscription: SubscriptionId,
        position: Position,
        offset: u32,
        payload: &[u8],
    ) -> Option<Utf8Bytes> {
        self.append(out, subscription, position, offset, payload);
        Utf8Bytes::try_from(out.split().freeze()).ok()
    }
}

/// Appends `key(offset)` of a permanent id: a letter for the number of digits, and the digits.
pub(crate) fn put_key(out: &mut BytesMut, offset: u32) {
    /// `u32::MAX` in base 36.
    const DIGITS_MAX: usize = 7;
    const LETTERS: &[u8; DIGITS_MAX + 1] = b"?abcdefg";
    let mut key = [0; 1 + DIGITS_MAX];
    let start = write_digits::<36>(&mut key, offset.into());
    // With all seven digits `start` is 1, so there is always room for the letter.
    key[start - 1] = LETTERS[key.len() - start];
    out.put_slice(&key[start - 1..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn golden_text() {
        let mut out = BytesMut::new();
        let encoder = EventEncoder::new(Stamp(0));
        let mut event = |payload: &str| {
            encoder.frame(&mut out, SubscriptionId(5), Position(42), 123, payload.as_bytes())
        };
        assert_eq!(event("").as_deref(), Some(r#"[36,5,42,{"id":"2001010000a0b3f"}]"#));
        assert_eq!(event("[1]").as_deref(), Some(r#"[36,5,42,{"id":"2001010000a0b3f"},[1]]"#));
        assert_eq!(
            event(r#"[],{"a":1e400}"#).as_deref(),
            Some(r#"[36,5,42,{"id":"2001010000a0b3f"},[],{"a":1e400}]"#)
        );
    }

    #[test]
    fn a_payload_that_is_not_text_makes_no_frame() {
        let encoder = EventEncoder::new(Stamp(0));
        let mut out = BytesMut::new();
        assert_eq!(encoder.frame(&mut out, SubscriptionId(5), Position(1), 0, b"[\"\xff\"]"), None);
        assert!(encoder.frame(&mut out, SubscriptionId(5), Position(1), 0, b"[]").is_some());
    }

    proptest! {
        #[test]
        fn the_id_is_the_permanent_id_and_the_frame_is_json(
            stamp: u64, offset: u32, shift in 0u32..32, subscription in 1u64..1 << 53,
            position in 1u64..1 << 53, n: i64,
        ) {
            let (stamp, offset) = (Stamp(stamp), offset >> shift);
            let mut out = BytesMut::new();
            let payload = format!("[{n}],{{\"n\":{n}}}");
            EventEncoder::new(stamp).append(
                &mut out, SubscriptionId(subscription), Position(position), offset,
                payload.as_bytes(),
            );
            prop_assert!(out.len() <= EVENT_OVERHEAD_BYTES_MAX + payload.len());
            let parsed: Value = serde_json::from_slice(&out).expect("JSON");
            let id = PermanentId { stamp, offset }.to_string();
            prop_assert_eq!(
                parsed,
                json!([36, subscription, position, {"id": id}, [n], {"n": n}])
            );
        }
    }
}
