//! Reading messages: live tails with their interest, and what is stored.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::TOPIC_BYTES;
use crate::id::{Position, Stamp};
use crate::segment::{Topic, TopicPattern};

/// What an entry and an ndb node say to each other of messages that are to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadMessage {
    /// entry → ndb: open this link's tail, replacing any before. With what came of INTEREST_PART since
    /// the last FOLLOW_TAIL or CHANGE_INTEREST of the link.
    FollowTail {
        /// First position wanted; `None`: from the present end of the order.
        from: Option<Position>,
        /// Topics wanted: those of any of the patterns.
        topics: Vec<TopicPattern>,
    },
    /// entry → ndb: change the topics of the tail, with what came of INTEREST_PART before it; answered
    /// when all of it holds.
    ChangeInterest {
        /// Rising number of the change, echoed.
        version: u64,
        /// Patterns wanted from now on.
        add: Vec<TopicPattern>,
        /// Patterns no longer wanted.
        remove: Vec<TopicPattern>,
    },
    /// entry → ndb: patterns of the FOLLOW_TAIL or CHANGE_INTEREST that comes after it on this link, in
    /// any number of parts. Nothing holds until that has come: an interest may be larger than a frame.
    InterestPart {
        /// Patterns wanted.
        add: Vec<TopicPattern>,
        /// Patterns no longer wanted.
        remove: Vec<TopicPattern>,
    },
    /// ndb → entry: the tail is open. Positions from `next` on will follow.
    TailOpened {
        /// The first position this tail will carry.
        next: Position,
        /// Head of the order at this node: all segments up to this stamp are placed…
        head_stamp: Stamp,
        /// …and this is the position after them.
        head_next: Position,
    },
    /// ndb → entry: every segment from here on is filtered by the changed interest.
    InterestChanged {
        /// Of the `ChangeInterest`.
        version: u64,
        /// The next position of the tail: what stands before it was judged by the interest before.
        next: Position,
    },
    /// ndb → entry: canonical messages of one segment, in order.
    TailSegment(TailSegment),
    /// ndb → entry: nothing of interest stood before this position.
    TailPosition {
        /// The next position of the tail.
        next: Position,
    },
    /// entry → ndb: send one batch of stored messages.
    ReadHistory {
        /// Names the answer; the reader's choice.
        request: u64,
        /// What to send.
        query: HistoryQuery,
    },
    /// ndb → entry: messages of one segment, in the direction of the query.
    HistorySegment {
        /// Of the `ReadHistory`.
        request: u64,
        /// The messages, in ascending order within the segment whatever the direction.
        segment: TailSegment,
    },
    /// ndb → entry: the batch is complete.
    HistoryEnd {
        /// Of the `ReadHistory`.
        request: u64,
        /// How it ended.
        end: HistoryEnd,
    },
}

impl ReadMessage {
    /// A short constant name for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::FollowTail { .. } => "follow_tail",
            Self::ChangeInterest { .. } => "change_interest",
            Self::InterestPart { .. } => "interest_part",
            Self::TailOpened { .. } => "tail_opened",
            Self::InterestChanged { .. } => "interest_changed",
            Self::TailSegment(_) => "tail_segment",
            Self::TailPosition { .. } => "tail_position",
            Self::ReadHistory { .. } => "read_history",
            Self::HistorySegment { .. } => "history_segment",
            Self::HistoryEnd { .. } => "history_end",
        }
    }

    /// What it owns on the heap, roughly, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::FollowTail { topics, .. } => topics.len() * TOPIC_BYTES,
            Self::ChangeInterest { add, remove, .. } | Self::InterestPart { add, remove } => {
                (add.len() + remove.len()) * TOPIC_BYTES
            }
            Self::TailSegment(tail) | Self::HistorySegment { segment: tail, .. } => {
                tail.topics.len() * TOPIC_BYTES + tail.offsets.len() * 4 + tail.records.len()
            }
            Self::ReadHistory { query, .. } => query.topics.len() * TOPIC_BYTES,
            Self::TailOpened { .. }
            | Self::InterestChanged { .. }
            | Self::TailPosition { .. }
            | Self::HistoryEnd { .. } => 0,
        }
    }

    /// Bytes that are carried beside the head of a frame.
    pub(super) const fn body_mut(&mut self) -> Option<&mut Bytes> {
        match self {
            Self::TailSegment(segment) | Self::HistorySegment { segment, .. } => {
                Some(&mut segment.records)
            }
            _ => None,
        }
    }
}

/// A place in the order to read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HistoryPlace {
    /// A position.
    Position(Position),
    /// A permanent id, or the first that a time can have: the nearest message in the direction of
    /// reading, itself included.
    Id {
        /// Its stamp.
        stamp: Stamp,
        /// Its offset in the segment.
        offset: u32,
    },
    /// The end of the order, for reading backward.
    End,
}

/// One batch of stored messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryQuery {
    /// Where to begin, inclusive.
    pub from: HistoryPlace,
    /// Whether to read towards the past.
    pub is_backward: bool,
    /// Where to end: forward, the position after the last wanted; backward, the lowest wanted.
    pub until: Option<Position>,
    /// Topics wanted: those of any of the patterns.
    pub topics: Vec<TopicPattern>,
    /// No more messages than this are sent; the last segment is cut to it.
    pub messages_max: u32,
    /// Segments are sent until they have about so many bytes.
    pub bytes_max: u32,
}

/// How a batch of history ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HistoryEnd {
    /// Everything of this node's group from the beginning up to here was sent: forward, positions
    /// below `next`; backward, positions above it. `next` is where the following batch begins.
    Next {
        /// See above.
        next: Position,
        /// The order of this node ends here, or its `until` was reached: there is no more for now.
        is_end: bool,
    },
    /// Where it was to begin, retention has dropped the order. Nothing was sent.
    Trimmed {
        /// The first position that is left.
        first: Position,
    },
    /// A segment cannot be given at present: it is on its way from a peer. Everything before it was
    /// sent. Another node of the group may have it.
    Unavailable {
        /// Where the following batch begins.
        next: Position,
    },
    /// The node cannot read its store, or does not trust its order from here on.
    Failed,
}

/// Canonical messages of one segment, whole or filtered by interest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailSegment {
    /// Position of the segment's offset 0.
    pub first: Position,
    /// Messages in the whole segment; the next segment begins `count` positions on.
    pub count: u32,
    /// The elected stamp.
    pub stamp: Stamp,
    /// The segment's topic table; records index into it.
    pub topics: Vec<Topic>,
    /// Offsets of the records below; empty when they are all of the segment.
    pub offsets: Vec<u32>,
    /// Packed records.
    pub records: Bytes,
}
