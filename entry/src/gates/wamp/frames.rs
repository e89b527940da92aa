//! Frames: WebSocket messages on their way to one client, in its serializer.

use axum::extract::ws::{Message, Utf8Bytes};
use bytes::{BufMut, Bytes, BytesMut};

use vixen_core::payload::transcode_value;
use vixen_core::segment::Encoding;

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

    /// Adds a WAMP message that stands in `buffer` in this serializer; the buffer is empty afterwards.
    pub(super) fn encoded(&mut self, buffer: &mut BytesMut) {
        let bytes = take_text(buffer);
        self.push(match self.serializer.encoding {
            // Arguments of JSON were checked when they came, or are made here.
            Encoding::Json => Message::Text(Utf8Bytes::try_from(bytes).unwrap_or_default()),
            Encoding::MsgPack | Encoding::Cbor => Message::Binary(bytes),
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: Serializer = Serializer { encoding: Encoding::Json, is_batched: false };
    const BATCHED: Serializer = Serializer { is_batched: true, ..JSON };

    fn texts(frames: &mut Frames) -> Vec<String> {
        let text = |message| match message {
            Message::Text(text) => text.as_str().to_owned(),
            other => panic!("{other:?}"),
        };
        frames.take().into_iter().map(text).collect()
    }

    #[test]
    fn without_batches_each_message_is_a_frame_in_order() {
        let mut frames = Frames::new(JSON);
        assert!(frames.is_empty() && frames.take().is_empty());
        let mut buffer = BytesMut::from("[1]");
        frames.json(&mut buffer);
        assert!(buffer.is_empty());
        frames.message(&Message::Text("[\"ü\"]".into()));
        frames.text(Bytes::from_static(b"[3]"));
        assert!(!frames.is_empty());
        assert_eq!(texts(&mut frames), ["[1]", "[\"ü\"]", "[3]"]);
        assert!(frames.is_empty() && frames.take().is_empty());
    }

    #[test]
    fn an_encoded_message_is_shared_and_not_copied() {
        let message = Message::Text("[36]".into());
        let Message::Text(text) = &message else { panic!("a text") };
        let mut frames = Frames::new(JSON);
        frames.message(&message);
        let taken = frames.take();
        let [Message::Text(taken)] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!(taken.as_str().as_ptr(), text.as_str().as_ptr());
    }

    #[test]
    fn a_batch_is_one_frame_in_which_a_separator_ends_each_message() {
        let mut frames = Frames::new(BATCHED);
        assert!(frames.is_empty() && frames.take().is_empty());
        frames.json(&mut BytesMut::from("[1]"));
        frames.message(&Message::Text("[\"ü\"]".into()));
        frames.text(Bytes::from_static(b"[3]"));
        assert!(!frames.is_empty(), "a batch that is being made counts");
        assert_eq!(texts(&mut frames), ["[1]\u{1e}[\"ü\"]\u{1e}[3]\u{1e}"]);
        assert!(frames.is_empty() && frames.take().is_empty());
        frames.text(Bytes::from_static(b"[4]"));
        assert_eq!(texts(&mut frames), ["[4]\u{1e}"], "the next batch begins anew");
    }

    #[test]
    fn a_batch_ends_when_it_is_large_and_loses_nothing() {
        const MESSAGES: usize = 100;
        let message = |n: usize| format!("[\"{n:03}{}\"]", "x".repeat(10_000));
        let mut frames = Frames::new(BATCHED);
        for n in 0..MESSAGES {
            frames.text(message(n).into());
        }
        let batches = texts(&mut frames);
        let one = message(0).len() + 1;
        assert_eq!(batches.len(), (MESSAGES * one).div_ceil(BATCH_BYTES.next_multiple_of(one)));
        assert!(batches.iter().all(|batch| batch.len() < BATCH_BYTES + one));
        let all = batches.concat();
        let each: Vec<_> = all.split_terminator('\u{1e}').map(str::to_owned).collect();
        assert_eq!(each, (0..MESSAGES).map(message).collect::<Vec<_>>());
    }
}
