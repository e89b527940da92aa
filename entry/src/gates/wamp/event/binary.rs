//! EVENT as MessagePack or CBOR; the elements are those of `json`.

use bytes::BytesMut;

use vixen_broker::event::Event;
use vixen_core::id::{PermanentId, Stamp};
use vixen_core::payload::write::Binary;
use vixen_core::payload::{PayloadError, split, transcode};
use vixen_core::segment::{Content, Passthru};

use crate::text::time_text;

/// EVENT (WAMP spec §"Message Codes").
const EVENT: u64 = 36;
/// Code, subscription, publication and details.
const ELEMENTS_BEFORE_PAYLOAD: u32 = 4;

/// Makes the EVENTs of one segment.
#[derive(Clone, Debug)]
pub(super) struct BinaryEncoder {
    binary: Binary,
    /// When the segment was elected, and as a text; `None` for events that are not stored.
    stored: Option<(Stamp, String)>,
}

impl BinaryEncoder {
    /// For the messages of the segment that was elected at `stamp`.
    pub(super) fn new(binary: Binary, stamp: Option<Stamp>) -> Self {
        Self { binary, stored: stamp.map(|stamp| (stamp, time_text(stamp))) }
    }

    /// Appends one EVENT.
    ///
    /// # Errors
    /// The payload is not what it should be. A part of the event stands in `out` then.
    pub(super) fn append(&self, out: &mut BytesMut, event: &Event) -> Result<(), PayloadError> {
        let binary = self.binary;
        let parts = match event.content {
            Content::Arguments(encoding) => match split(&event.payload, encoding)? {
                (None, _) => 0,
                (Some(_), None) => 1,
                (Some(_), Some(_)) => 2,
            },
            Content::Raw => 1,
            Content::Later(number) => return Err(PayloadError::Later { number }),
        };
        binary.write_array_header(out, ELEMENTS_BEFORE_PAYLOAD + parts);
        binary.write_uint(out, EVENT);
        binary.write_uint(out, event.subscription.0);
        binary.write_uint(out, event.position.0);
        self.put_details(out, event);
        transcode(&event.payload, event.content, binary.encoding(), out)
    }

    fn put_details(&self, out: &mut BytesMut, event: &Event) {
        let binary = self.binary;
        let disclosed = event.disclosed();
        let packed = || event.passthru().into_iter().flat_map(Passthru::options);
        let members = u32::from(self.stored.is_some()) * 3
            + u32::from(event.topic.is_some())
            + u32::from(disclosed.is_some()) * 3
            + packed().map(|_pair| 1).sum::<u32>();
        binary.write_map_header(out, members);
        if let Some((stamp, time)) = &self.stored {
            let id = PermanentId { stamp: *stamp, offset: event.offset };
            binary.write_str(out, "id");
            binary.write_str(out, &id.to_string());
            binary.write_str(out, "position");
            binary.write_uint(out, event.position.0);
            binary.write_str(out, "time");
            binary.write_str(out, time);
        }
        if let Some(topic) = &event.topic {
            binary.write_str(out, "topic");
            binary.write_str(out, &topic.uri);
        }
        if let Some(publisher) = disclosed {
            binary.write_str(out, "publisher");
            binary.write_uint(out, event.publisher.0);
            binary.write_str(out, "publisher_authid");
            binary.write_str(out, &publisher.authid);
            binary.write_str(out, "publisher_authrole");
            binary.write_str(out, &publisher.authrole);
        }
        for (key, text) in packed() {
            binary.write_str(out, key);
            binary.write_str(out, text);
        }
    }
}
