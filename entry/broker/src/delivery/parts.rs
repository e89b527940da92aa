//! An interest in parts: it may be larger than a frame of a link.

use vixen_core::id::NdbId;
use vixen_core::segment::TopicPattern;
use vixen_core::wire::{Message, ReadMessage};

/// Bytes of the texts of one message, about: some fill a frame.
const PART_BYTES: usize = 128 << 10;
/// What a pattern takes on the wire beside its texts, about.
const PATTERN_BYTES: usize = 8;

/// Sends all but the last part of what is added and removed; the last is for the message that makes
/// them hold.
pub(super) fn send_parts(
    to: NdbId,
    add: Vec<TopicPattern>,
    remove: Vec<TopicPattern>,
    sends: &mut Vec<(NdbId, Message)>,
) -> (Vec<TopicPattern>, Vec<TopicPattern>) {
    let (mut part_add, mut part_remove, mut bytes) = (Vec::new(), Vec::new(), 0);
    let changes =
        remove.into_iter().map(|one| (true, one)).chain(add.into_iter().map(|one| (false, one)));
    for (is_removed, pattern) in changes {
        let own = pattern.realm.len() + pattern.uri.len() + PATTERN_BYTES;
        if bytes > 0 && bytes + own > PART_BYTES {
            let (add, remove) = (std::mem::take(&mut part_add), std::mem::take(&mut part_remove));
            sends.push((to, Message::Read(ReadMessage::InterestPart { add, remove })));
            bytes = 0;
        }
        bytes += own;
        if is_removed { part_remove.push(pattern) } else { part_add.push(pattern) }
    }
    (part_add, part_remove)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vixen_core::id::GroupId;
    use vixen_core::segment::Match;
    use vixen_core::wire::FrameWriter;

    const TO: NdbId = NdbId { group: GroupId(0), member: 0 };

    fn patterns(count: usize) -> Vec<TopicPattern> {
        let of = |n| TopicPattern::new("r", &format!("{n:-<500}"), Match::Prefix);
        (0..count).map(of).collect()
    }

    #[test]
    fn few_patterns_are_no_parts() {
        let mut sends = Vec::new();
        let kept = send_parts(TO, patterns(3), patterns(2), &mut sends);
        assert_eq!(kept, (patterns(3), patterns(2)));
        assert_eq!(sends, []);
    }

    /// The whole of it is above what a link takes in one frame, and no part is near that.
    #[test]
    fn many_patterns_come_in_parts_that_are_all_of_them_in_order() {
        let (add, remove) = (patterns(140_000), patterns(1_000));
        let mut sends = Vec::new();
        let (last_add, last_remove) = send_parts(TO, add.clone(), remove.clone(), &mut sends);
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for (to, message) in sends {
            assert_eq!(to, TO);
            let mut frame = FrameWriter::default();
            frame.push(message.clone());
            assert!(frame.bytes() <= PART_BYTES);
            let Message::Read(ReadMessage::InterestPart { add, remove }) = message else {
                panic!("{message:?}")
            };
            assert!(!add.is_empty() || !remove.is_empty());
            added.extend(add);
            removed.extend(remove);
        }
        added.extend(last_add);
        removed.extend(last_remove);
        assert!(added == add && removed == remove);
    }
}
