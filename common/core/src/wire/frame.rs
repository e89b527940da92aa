//! Frames: as many messages as were waiting, one after the other, and the large bytes of theirs beside them.
//!
//! ```text
//!   head                                            bodies
//! +----------+---------+----------+---------+     +------+  +------+
//! | varint n | message | varint n | message | …   | n B  |  | n B  | …
//! +----------+---------+----------+---------+     +------+  +------+
//! ```
//! Messages are postcard, self-delimiting. One that carries at least [`BODY_BYTES_MIN`] bytes of records or of a
//! blob has them taken out: its n says how many, and they follow the head as a body, a WebSocket message of their
//! own, in the order of their messages. All others have n = 0. So what is large is neither copied into a
//! head nor out of one.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Message;

/// Largest frame a node accepts, its bodies included, in bytes. A frame is sent when it passes a quarter of
/// a MiB, and the largest message (a segment's blob) is far below the rest. What grows with what clients do goes
/// in parts ([`ReadMessage::InterestPart`](super::ReadMessage)), or has a bound of its own.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// Most messages of a frame. Those of a sender are a quarter of a MiB of heads, and none has less than three
/// bytes; a head of [`FRAME_BYTES_MAX`] could have millions, each a hundred times its bytes once it is read.
pub const FRAME_MESSAGES_MAX: usize = 128 << 10;

/// Less is carried in the head: it costs little to be copied, and a body keeps all of the buffer that it was read
/// into, which may be some 16 KiB more than itself.
pub const BODY_BYTES_MIN: usize = 64 << 10;

/// A frame that is not a run of messages with their bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The head cannot be read.
    #[error("frame is malformed at byte {at} of {length}")]
    Head {
        /// Where the unreadable message begins.
        at: usize,
        /// Size of the head.
        length: usize,
    },
    /// It has more messages than any sender puts in.
    #[error("frame has more than {max} messages")]
    Messages {
        /// So many may it have.
        max: usize,
    },
    /// A body is not what the head has announced.
    #[error("frame has a body of {found} bytes where {announced} were announced")]
    Body {
        /// By the head.
        announced: usize,
        /// What came.
        found: usize,
    },
}

/// A frame under construction.
#[derive(Debug, Default)]
pub struct FrameWriter {
    head: Vec<u8>,
    bodies: Vec<Bytes>,
    body_bytes: usize,
}

impl FrameWriter {
    /// Appends a message.
    pub fn push(&mut self, mut message: Message) {
        let body = message.body_mut().filter(|body| body.len() >= BODY_BYTES_MIN);
        let body = body.map(std::mem::take);
        let head = std::mem::take(&mut self.head);
        let announced = body.as_ref().map_or(0, Bytes::len);
        // Encoding into memory has no failure; an empty frame would be dropped by the reader.
        self.head = postcard::to_extend(&(announced, &message), head).unwrap_or_default();
        self.body_bytes += announced;
        self.bodies.extend(body);
    }

    /// Its size so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.head.len() + self.body_bytes
    }

    /// What is to be sent, in this order: the head, then the bodies. The next frame begins.
    pub fn take(&mut self) -> impl Iterator<Item = Bytes> + use<> {
        let Self { head, bodies, .. } = std::mem::take(self);
        std::iter::once(Bytes::from(head)).chain(bodies)
    }
}

/// Reads frames, head by head and body by body.
#[derive(Debug, Default)]
pub struct FrameReader {
    /// Of the head that was read.
    messages: Vec<Message>,
    /// Which of them wait for a body, and of what size.
    awaited: VecDeque<(usize, usize)>,
}

impl FrameReader {
    /// Takes the next head or body. All messages of a frame, once it is whole.
    ///
    /// # Errors
    /// When any part of it cannot be read; the link is then closed, for what follows is unknowable.
    pub fn take(&mut self, part: Bytes) -> Result<Option<Vec<Message>>, FrameError> {
        match self.awaited.pop_front() {
            None => self.read_head(&part)?,
            Some((at, announced)) => {
                if part.len() != announced {
                    return Err(FrameError::Body { announced, found: part.len() });
                }
                // Only messages that carry one are waiting.
                if let Some(body) = self.messages.get_mut(at).and_then(Message::body_mut) {
                    *body = part;
                }
            }
        }
        Ok(self.awaited.is_empty().then(|| std::mem::take(&mut self.messages)))
    }

    fn read_head(&mut self, head: &[u8]) -> Result<(), FrameError> {
        let (length, mut rest, mut frame_bytes) = (head.len(), head, head.len());
        while !rest.is_empty() {
            if self.messages.len() == FRAME_MESSAGES_MAX {
                return Err(FrameError::Messages { max: FRAME_MESSAGES_MAX });
            }
            let error = FrameError::Head { at: length - rest.len(), length };
            let ((announced, mut message), after) =
                postcard::take_from_bytes::<(usize, Message)>(rest).map_err(|_malformed| error)?;
            if announced > 0 {
                frame_bytes = frame_bytes.saturating_add(announced);
                let is_bare = message.body_mut().is_some_and(|body| body.is_empty());
                if !is_bare || announced < BODY_BYTES_MIN || frame_bytes > FRAME_BYTES_MAX {
                    return Err(error);
                }
                self.awaited.push_back((self.messages.len(), announced));
            }
            self.messages.push(message);
            rest = after;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Digest, GroupId, MapVersion, OwnerId, Position, SegmentId, Seq, Shard, Stamp};
    use crate::segment::{Challenger, Elected, SegmentMeta, Topic};
    use crate::wire::golden::samples;
    use crate::wire::{
        FeedMessage, Marks, NodeMessage, PublishMessage, ReplicaMessage, TailSegment,
    };
    use crate::wire::{ReadMessage, VoteMessage};
    use proptest::prelude::*;

    fn meta() -> SegmentMeta {
        SegmentMeta {
            id: SegmentId { owner: OwnerId(uuid::Uuid::from_u128(1)), seq: Seq(2) },
            shard: Shard(3),
            map: MapVersion(1),
            count: 4,
            bytes: 5,
            digest: Digest([6; 16]),
        }
    }

    fn parts_of(messages: impl IntoIterator<Item = Message>) -> Vec<Bytes> {
        let mut writer = FrameWriter::default();
        messages.into_iter().for_each(|message| writer.push(message));
        let parts: Vec<_> = writer.take().collect();
        assert_eq!(writer.bytes(), 0, "the next frame is a new one");
        parts
    }

    /// All frames that the parts are.
    fn read(parts: impl IntoIterator<Item = Bytes>) -> Result<Vec<Vec<Message>>, FrameError> {
        let mut reader = FrameReader::default();
        let mut frames = Vec::new();
        for part in parts {
            frames.extend(reader.take(part)?);
        }
        Ok(frames)
    }

    fn blob(bytes: usize) -> Message {
        let blob = vec![7; bytes].into();
        Message::Replica(ReplicaMessage::SegmentBlob { segment: meta().id, blob })
    }

    fn messages() -> Vec<Message> {
        let records = Bytes::from(vec![1; BODY_BYTES_MIN]);
        let tail = TailSegment {
            first: Position(1),
            count: 1,
            stamp: Stamp(1),
            topics: vec![],
            offsets: vec![],
            records: records.clone(),
        };
        let history = ReadMessage::HistorySegment { request: 1, segment: tail.clone() };
        vec![
            Message::Publish(PublishMessage::KeepAdvanceHistory {
                segment: meta().id,
                offset: 0,
                topics: vec![Topic::new("r", "t")],
                count: 1,
                records,
            }),
            Message::Feed(FeedMessage::AdvanceSegmentResolved {
                elected: Elected {
                    meta: meta(),
                    challenger: Challenger { stamp: Stamp(9), group: GroupId(0) },
                },
            }),
            blob(BODY_BYTES_MIN - 1),
            blob(3 * BODY_BYTES_MIN),
            Message::Read(ReadMessage::TailSegment(tail)),
            Message::Read(history),
            Message::Node(NodeMessage::Heartbeat),
        ]
    }

    #[test]
    fn messages_of_frames_come_in_order_with_their_bodies() {
        let parts = parts_of(messages());
        assert_eq!(parts.len(), 1 + 4, "a head, and what is large");
        let beats = parts_of([Message::Node(NodeMessage::Heartbeat)]);
        let frames = read([parts, beats].concat()).expect("whole");
        assert_eq!(frames, [messages(), vec![Message::Node(NodeMessage::Heartbeat)]]);
    }

    /// Votes and tails are told from what publishers send by bytes alone: a body is the memory it came in.
    #[test]
    fn a_body_is_not_copied() {
        let parts = parts_of([blob(BODY_BYTES_MIN)]);
        let frames = read(parts.clone()).expect("whole");
        let Message::Replica(ReplicaMessage::SegmentBlob { blob, .. }) = &frames[0][0] else {
            panic!("{frames:?}")
        };
        assert_eq!(blob.as_ptr(), parts[1].as_ptr());
    }

    #[test]
    fn a_body_of_another_size_or_for_a_message_that_has_none_ends_the_link() {
        let parts = parts_of([blob(BODY_BYTES_MIN)]);
        let (announced, found) = (BODY_BYTES_MIN, BODY_BYTES_MIN - 1);
        let short = read([parts[0].clone(), parts[1].slice(1..)]);
        assert_eq!(short, Err(FrameError::Body { announced, found }));
        let beat = Message::Node(NodeMessage::Heartbeat);
        let least = BODY_BYTES_MIN;
        for (announced, message) in
            [(least, beat), (least, blob(1)), (least - 1, blob(0)), (FRAME_BYTES_MAX, blob(0))]
        {
            let head = postcard::to_stdvec(&(announced, &message)).expect("encodes");
            let length = head.len();
            assert_eq!(read([head.into()]), Err(FrameError::Head { at: 0, length }), "{message:?}");
        }
        // Nor may several be as large together as none may be alone.
        let half = FRAME_BYTES_MAX / 2 + 1;
        let head = postcard::to_stdvec(&((half, blob(0)), (half, blob(0)))).expect("encodes");
        assert!(matches!(read([head.into()]), Err(FrameError::Head { at: 1.., .. })));
    }

    /// A head of 64 MiB had 22 million of the smallest, and took gigabytes once it was read.
    #[test]
    fn very_many_small_messages_end_the_link() {
        let beats = |count: usize| read([Bytes::from([0, 0, 0].repeat(count))]);
        let frames = beats(FRAME_MESSAGES_MAX).expect("as many as may be");
        assert_eq!(frames[0].len(), FRAME_MESSAGES_MAX);
        let max = FRAME_MESSAGES_MAX;
        assert_eq!(beats(FRAME_MESSAGES_MAX + 1), Err(FrameError::Messages { max }));
    }

    #[test]
    fn wire_numbers_never_change() {
        let head = |message| parts_of([message])[0].to_vec();
        let vote = |message| head(Message::Vote(message));
        assert_eq!(head(Message::Node(NodeMessage::Heartbeat)), [0, 0, 0]);
        assert_eq!(vote(VoteMessage::SyncStanding { run: 7, commits: 9 }), [0, 3, 6, 7, 9]);
        let watermark = FeedMessage::Watermark { marks: Marks::at(Stamp(5)) };
        assert_eq!(head(Message::Feed(watermark)), [0, 4, 2, 5, 5, 0]);
        let body = parts_of([blob(BODY_BYTES_MIN)]);
        let announced = [0x80, 0x80, 0x04];
        assert_eq!(body[0][..5], [announced[0], announced[1], announced[2], 6, 1]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(parts: Vec<Vec<u8>>) {
            let _either = read(parts.into_iter().map(Bytes::from));
        }

        #[test]
        fn any_messages_round_trip(
            which in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20),
            bytes in proptest::collection::vec(0..2 * BODY_BYTES_MIN, 0..4),
        ) {
                        let blobs = bytes.into_iter().map(blob);
            let all: Vec<_> =
                which.iter().map(|index| index.get(samples()).clone()).chain(blobs).collect();
            prop_assert_eq!(read(parts_of(all.clone())).expect("whole").concat(), all);
        }
    }
}
