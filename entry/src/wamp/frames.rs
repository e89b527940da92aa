//! Frames: WebSocket messages on their way to one client, in its serializer.

use axum::extract::ws::{Message, Utf8Bytes};
use bytes::{BufMut, Bytes, BytesMut};

use vixen_common::payload::transcode_value;
use vixen_common::segment::Encoding;

use super::encode::take_text;
use super::serializer::{RECORD_SEPARATOR, Serializer};

/// WAMP messages in one batched WebSocket message: about so many bytes.
const BATCH_BYTES: usize = 256 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Frames {
    serializer: Serializer,
    list: Vec<Message>,
    /// WAMP messages of the batch that is being made.
    batch: BytesMut,
}

impl Frames {
    pub(super) fn new(serializer: Serializer) -> Self {
        Self { serializer, list: Vec::new(), batch: BytesMut::new() }
    }

    /// How payloads are encoded.
    pub(super) const fn encoding(&self) -> Encoding {
        self.serializer.encoding
    }

    /// Adds a WAMP message that stands as JSON in `buffer`, which is empty afterwards.
    pub(super) fn json(&mut self, buffer: &mut BytesMut) {
        self.text(take_text(buffer));
    }

    /// Adds a WAMP message that stands as JSON in `text`.
    pub(super) fn text(&mut self, text: Bytes) {
        // `encode` makes only JSON, so neither the checks nor the way to another encoding fail.
        let message = match self.serializer.encoding {
            Encoding::Json => Message::Text(Utf8Bytes::try_from(text).unwrap_or_default()),
            other @ (Encoding::MsgPack | Encoding::Cbor) => {
                let mut out = BytesMut::with_capacity(text.len());
                let _infallible = transcode_value(&text, Encoding::Json, other, &mut out);
                Message::Binary(out.freeze())
            }
        };
        self.push(message);
    }

    /// Adds a WAMP message that is encoded already.
    pub(super) fn message(&mut self, message: &Message) {
        self.push(message.clone());
    }

    fn push(&mut self, message: Message) {
        if !self.serializer.is_batched {
            self.list.push(message);
            return;
        }
        match &message {
            Message::Text(text) => {
                self.batch.reserve(text.len() + 1);
                self.batch.put_slice(text.as_bytes());
                self.batch.put_u8(RECORD_SEPARATOR);
            }
            Message::Binary(bytes) => {
                self.batch.reserve(4 + bytes.len());
                self.batch.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                self.batch.put_slice(bytes);
            }
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {}
        }
        if self.batch.len() >= BATCH_BYTES {
            self.end_batch();
        }
    }

    fn end_batch(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch: Bytes = self.batch.split().freeze();
        self.list.push(match self.serializer.encoding {
            Encoding::Json => Message::Text(Utf8Bytes::try_from(batch).unwrap_or_default()),
            Encoding::MsgPack | Encoding::Cbor => Message::Binary(batch),
        });
    }

    /// Takes all there are.
    pub(super) fn take(&mut self) -> Vec<Message> {
        self.end_batch();
        std::mem::take(&mut self.list)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty() && self.batch.is_empty()
    }
}
