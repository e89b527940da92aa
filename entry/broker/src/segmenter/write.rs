//! Writes of several messages: whole in one segment, or refused whole.
//!
//! ```text
//!   open:  | a | b |          + write of 3, messages_max 4    closed: | a | b |    open: | w0 | w1 | w2 |
//!   open:  | a |              + write of 3, messages_max 4    closed: | a | w0 | w1 | w2 |
//!   open:  | a |              + write of 5, messages_max 4    refused, and | a | stays open
//! ```
//! What goes on with a segment (a renewal, another group, sending again) goes on with all of it, so that parts
//! are together in the open one is enough (S7).

use vixen_core::segment::SegmentBuilder;
use vixen_core::time::WallTime;

use super::io::{Effects, Note};
use super::open::{BLOB_PREFIX_BYTES, added_bytes};
use super::{Segmenter, SegmenterOptions, record_of};
use crate::api::{Outgoing, PublishError, SessionId, Write};

/// A write alone in its segment may be larger than `bytes_max`, as a message may, for what parts take
/// beside their content is not what publishers count. But ndb nodes take no segment beyond so many times that
/// (`ndb/replica/src/replica/incoming.rs`).
const ALONE_FACTOR: usize = 2;

// A topic for each part: so one that has not too many parts never fills the topic table of a segment.
const _: () = assert!(Write::PARTS_MAX <= SegmentBuilder::TOPICS_MAX);

/// What a write takes of a segment.
struct Size {
    parts: u32,
    /// Upper bound of what they add to the open segment.
    bytes: usize,
}

impl Segmenter {
    pub(super) fn on_write(
        &mut self,
        now: WallTime,
        session: SessionId,
        write: &Write,
        fx: &mut Effects,
    ) {
        let counted = write.counted_bytes();
        let size = match self.size_of(session, write) {
            Ok(size) => size,
            Err(error) => return refuse(session, write, (error, counted), fx),
        };
        if !self.open_has_room_for(&size) {
            self.close(now, fx);
        }
        let first = self.open.builder.count();
        for part in write.parts() {
            self.open.put(now, &part.topic, record_of(session, part));
        }
        assert_eq!(self.open.builder.count() - first, size.parts, "S7: parts are never parted");
        self.open.pending.push_write(now, session, first, write.head(), (size.parts, counted));
        self.unacknowledged_bytes += counted;
        if self.open.builder.count() >= self.options.messages_max {
            self.close(now, fx);
        }
    }

    /// What the write takes of a segment.
    ///
    /// # Errors
    /// No segment holds it.
    fn size_of(&self, session: SessionId, write: &Write) -> Result<Size, PublishError> {
        let SegmenterOptions { messages_max, bytes_max, .. } = self.options;
        let bytes_after = |mut last| {
            let mut bytes = 0;
            for part in write.parts() {
                bytes += added_bytes(last, &part.topic, &record_of(session, part));
                last = Some(&part.topic);
            }
            bytes
        };
        let bytes_alone = BLOB_PREFIX_BYTES + bytes_after(None);
        let parts = u32::try_from(write.count()).ok().filter(|_| write.count() <= Write::PARTS_MAX);
        match parts.filter(|parts| *parts <= messages_max) {
            Some(parts) if bytes_alone <= bytes_max.saturating_mul(ALONE_FACTOR) => {
                Ok(Size { parts, bytes: bytes_after(self.open.last_topic.as_ref()) })
            }
            Some(_) | None => Err(PublishError::TooLarge {
                messages: write.count(),
                bytes: bytes_alone,
                messages_max,
                bytes_max,
            }),
        }
    }

    /// Whether the open segment takes it; an empty one takes all that some segment holds.
    fn open_has_room_for(&self, size: &Size) -> bool {
        let builder = &self.open.builder;
        let topics = builder.topics() + size.parts as usize;
        builder.count() == 0
            || (builder.count() + size.parts <= self.options.messages_max
                && self.open.bytes + size.bytes <= self.options.bytes_max
                && topics <= SegmentBuilder::TOPICS_MAX)
    }
}

/// Nothing of it is taken: its publisher is told, and its room is given back.
fn refuse(
    session: SessionId,
    write: &Write,
    (error, bytes): (PublishError, usize),
    fx: &mut Effects,
) {
    let request = write.head().acknowledge;
    let answers = request.map(|request| (request, Err(error))).into_iter().collect();
    fx.outgoing.push((session, Outgoing::Resolved { messages: 1, bytes, answers }));
    fx.permits += bytes;
    fx.notes.push(Note::TooLarge { parts: write.count(), bytes });
}
