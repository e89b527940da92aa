//! Publishing: an entry gives its segments to ndb nodes, and hears what became of them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::TOPIC_BYTES;
use crate::id::{SegmentId, Shard};
use crate::segment::{SegmentMeta, Topic};

/// What an entry and an ndb node say to each other of a segment that is being published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PublishMessage {
    /// entry → ndb: a segment is open and its messages will follow.
    BeginAdvanceSegment {
        /// The new segment.
        segment: SegmentId,
        /// Where its owner placed it.
        shard: Shard,
    },
    /// entry → ndb: the next messages of an open segment.
    KeepAdvanceHistory {
        /// The open segment.
        segment: SegmentId,
        /// Offset of the first record in it: 0 for the first KEEP, then what came before.
        offset: u32,
        /// Topics that this KEEP adds to the segment's table.
        topics: Vec<Topic>,
        /// Number of records.
        count: u32,
        /// Packed records.
        records: Bytes,
    },
    /// entry → ndb: the segment is complete; store it and ask for its draft.
    AdvanceSegmentOver {
        /// What it became.
        meta: SegmentMeta,
    },
    /// ndb → entry: the segment arrived whole in memory; the next may close.
    TrimAdvanceSegment {
        /// The segment.
        segment: SegmentId,
    },
    /// ndb → entry: the segment was not taken, for good reason.
    RefuseAdvanceSegment {
        /// The segment.
        segment: SegmentId,
        /// Why.
        reason: RefuseReason,
    },
    /// entry → ndb: say when this segment, which was sent just before, is on disk.
    AwaitDurable {
        /// The segment.
        segment: SegmentId,
    },
    /// ndb → entry: a segment that was asked for is on this node's disk.
    SegmentDurable {
        /// The segment.
        segment: SegmentId,
    },
}

impl PublishMessage {
    /// A short constant name for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::BeginAdvanceSegment { .. } => "begin_advance_segment",
            Self::KeepAdvanceHistory { .. } => "keep_advance_history",
            Self::AdvanceSegmentOver { .. } => "advance_segment_over",
            Self::TrimAdvanceSegment { .. } => "trim_advance_segment",
            Self::RefuseAdvanceSegment { .. } => "refuse_advance_segment",
            Self::AwaitDurable { .. } => "await_durable",
            Self::SegmentDurable { .. } => "segment_durable",
        }
    }

    /// What it owns on the heap, roughly, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::KeepAdvanceHistory { topics, records, .. } => {
                topics.len() * TOPIC_BYTES + records.len()
            }
            Self::BeginAdvanceSegment { .. }
            | Self::AdvanceSegmentOver { .. }
            | Self::TrimAdvanceSegment { .. }
            | Self::RefuseAdvanceSegment { .. }
            | Self::AwaitDurable { .. }
            | Self::SegmentDurable { .. } => 0,
        }
    }

    /// Bytes that are carried beside the head of a frame.
    pub(super) const fn body_mut(&mut self) -> Option<&mut Bytes> {
        match self {
            Self::KeepAdvanceHistory { records, .. } => Some(records),
            _ => None,
        }
    }
}

/// Why an ndb node did not take a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefuseReason {
    /// Messages before these did not arrive here: send the whole segment again.
    Gap,
    /// Bytes and meta disagree: send the whole segment again.
    Mismatch,
    /// The segment is larger than this node's limits; sending again will not help.
    TooLarge,
    /// The node takes no new segments at present, as its standing says: place it elsewhere.
    Unwilling,
}
