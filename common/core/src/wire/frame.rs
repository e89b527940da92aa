//! Frames: as many messages as were waiting, one after the other, each self-delimiting.

use super::Message;

/// Largest frame a node accepts, in bytes. A frame is sent when it passes a quarter of a MiB, and
/// the largest message (a segment's blob) is far below the rest. What grows with what clients do goes
/// in parts ([`Message::InterestPart`]), or has a bound of its own.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// A frame that is not a run of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("frame is malformed at byte {at} of {length}")]
pub struct FrameError {
    /// Where the unreadable message begins.
    pub at: usize,
    /// Size of the frame.
    pub length: usize,
}

/// Appends `message` to a frame under construction.
pub fn encode_message(message: &Message, frame: Vec<u8>) -> Vec<u8> {
    // Encoding into memory has no failure; an empty frame would be dropped by the reader.
    postcard::to_extend(message, frame).unwrap_or_default()
}

/// Reads all messages of a frame.
///
/// # Errors
/// When any part of it cannot be read; the link is then closed, for what follows is unknowable.
pub fn decode_frame(frame: &[u8]) -> Result<Vec<Message>, FrameError> {
    let mut messages = Vec::new();
    let mut rest = frame;
    while !rest.is_empty() {
        let at = frame.len() - rest.len();
        let (message, after) = postcard::take_from_bytes(rest)
            .map_err(|_malformed| FrameError { at, length: frame.len() })?;
        messages.push(message);
        rest = after;
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Digest, GroupId, MapVersion, OwnerId, Position, SegmentId, Seq, Shard, Stamp};
    use crate::segment::{Challenger, Elected, SegmentMeta, Topic};
    use crate::wire::{HistoryEnd, Nowhere};
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

    #[test]
    fn messages_of_a_frame_round_trip_in_order() {
        let messages = vec![
            Message::KeepAdvanceHistory {
                segment: meta().id,
                offset: 0,
                topics: vec![Topic::new("r", "t")],
                count: 1,
                records: vec![1, 2, 3].into(),
            },
            Message::AdvanceSegmentResolved {
                elected: Elected {
                    meta: meta(),
                    challenger: Challenger { stamp: Stamp(9), group: GroupId(0) },
                },
            },
        ];
        let frame = messages.iter().fold(Vec::new(), |frame, m| encode_message(m, frame));
        assert_eq!(decode_frame(&frame), Ok(messages));
    }

    #[test]
    fn wire_numbers_never_change() {
        let frame = encode_message(&Message::Watermark { stamp: Stamp(5) }, Vec::new());
        assert_eq!(frame, [14, 5]);
        let missing = Message::SegmentsMissing { segments: vec![] };
        assert_eq!(encode_message(&missing, Vec::new()), [23, 0]);
        let standing = Message::SyncStanding { run: 7, commits: 9 };
        assert_eq!(encode_message(&standing, Vec::new()), [24, 7, 9]);
        let rows = Message::OrderRows { first: Position(5), rows: vec![] };
        assert_eq!(encode_message(&rows, Vec::new()), [32, 5, 0]);
        let end = HistoryEnd::Trimmed { first: Position(9) };
        let end = Message::HistoryEnd { request: 1, end };
        assert_eq!(encode_message(&end, Vec::new()), [39, 1, 1, 9]);
        assert_eq!(encode_message(&Message::Heartbeat, Vec::new()), [46]);
        let ask = Message::AskReached { request: 3 };
        assert_eq!(encode_message(&ask, Vec::new()), [47, 3]);
        let part = Message::InterestPart { add: vec![], remove: vec![] };
        assert_eq!(encode_message(&part, Vec::new()), [50, 0, 0]);
        let nowhere = Message::NdbNowhere { nowhere: Nowhere::of([Position(3), Position(9)]) };
        assert_eq!(encode_message(&nowhere, Vec::new()), [54, 2, 3, 9]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            let _either = decode_frame(&bytes);
        }
    }
}
