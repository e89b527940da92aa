//! What goes into the segmenter, and what comes out.

use serde::{Deserialize, Serialize};

use vixen_core::id::{GroupId, NdbId, OwnerId, Position, SegmentId, Stamp};
use vixen_core::segment::SegmentMeta;
use vixen_core::time::WallTime;
use vixen_core::wire::{Message, NdbStanding, RefuseReason};

use crate::api::{Outgoing, Publish, SessionId, Write};

/// Everything that can happen to the segmenter. Recorded: the order of the variants is their number.
#[derive(Debug, Serialize, Deserialize)]
pub enum Input {
    /// A session published, in this order.
    Publish {
        /// The session; it may be gone by now.
        session: SessionId,
        /// Its messages.
        messages: Vec<Publish>,
    },
    /// All that waited has been stepped.
    Flush,
    /// A new link to an ndb node: it may know nothing of what was sent before, and is not willing
    /// until it says so.
    NdbUp {
        /// The node.
        ndb: NdbId,
    },
    /// The link to an ndb node is gone.
    NdbDown {
        /// The node.
        ndb: NdbId,
    },
    /// Nothing comes from a linked ndb node any more, or something comes again. What was sent to it
    /// is on its way.
    NdbSilent {
        /// The node.
        ndb: NdbId,
        /// Nothing comes.
        is_silent: bool,
    },
    /// An ndb node says whether it takes segments.
    Standing {
        /// The node.
        from: NdbId,
        /// What it can do.
        standing: NdbStanding,
    },
    /// An ndb node has the whole segment in memory.
    Trim {
        /// The node.
        from: NdbId,
        /// The segment.
        segment: SegmentId,
    },
    /// An ndb node has the segment on disk.
    Durable {
        /// The node.
        from: NdbId,
        /// The segment.
        segment: SegmentId,
    },
    /// An ndb node did not take a segment.
    Refused {
        /// The node.
        from: NdbId,
        /// The segment.
        segment: SegmentId,
        /// Why.
        reason: RefuseReason,
    },
    /// The frontier gave a segment of this owner its place.
    Placed {
        /// The segment.
        segment: SegmentId,
        /// Position of its first message.
        first: Position,
        /// When it was elected.
        stamp: Stamp,
    },
    /// All that is made from now on is of another owner, and so is what is unresolved: none of it may be
    /// elected, ever, under the owner it had.
    Renew {
        /// The owner.
        owner: OwnerId,
    },
    /// The time of [`Segmenter::timeout_at`](super::Segmenter::timeout_at) came.
    Timeout {
        /// What an acknowledgement waits for, in words.
        missing: String,
    },
    /// A session made a write of several messages, after what it published before. Boxed: it is rare.
    Write {
        /// The session; it may be gone by now.
        session: SessionId,
        /// What is to stand side by side.
        write: Box<Write>,
    },
}

/// What the driver owes after a step, in any order between the fields.
#[derive(Debug, Default)]
pub struct Effects {
    /// Messages to ndb nodes, in this order for each node.
    pub sends: Vec<(NdbId, Message)>,
    /// Answers to sessions, in this order for each session.
    pub outgoing: Vec<(SessionId, Outgoing)>,
    /// Bytes of the entry's room to give back.
    pub permits: usize,
    /// What happened, for metrics and the log.
    pub notes: Vec<Note>,
}

/// Facts for metrics and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A segment closed.
    Closed {
        /// What it became.
        meta: SegmentMeta,
    },
    /// A segment was sent again.
    SentAgain {
        /// The segment.
        segment: SegmentId,
        /// The node.
        to: NdbId,
    },
    /// A node refused a segment, and it was not sent again.
    GaveUp {
        /// The segment.
        segment: SegmentId,
        /// The node.
        to: NdbId,
        /// Its reason.
        reason: RefuseReason,
    },
    /// A node takes no segments at present: it gets this one when it is willing again, unless the
    /// segment has moved or is resolved by then.
    Unwilling {
        /// The segment.
        segment: SegmentId,
        /// The node.
        at: NdbId,
    },
    /// A segment was given to another group, whole.
    Moved {
        /// The segment.
        segment: SegmentId,
        /// The group that could not take it. It may hold a copy, which counts if the vote says so.
        from: GroupId,
        /// The group that is to hold it.
        to: GroupId,
    },
    /// A group has not answered in time.
    Stalled {
        /// The group.
        group: GroupId,
    },
    /// A write that no segment holds was refused.
    TooLarge {
        /// Its parts.
        parts: usize,
        /// Its [`counted_bytes`](Write::counted_bytes).
        bytes: usize,
    },
    /// Publishers were told that there is no quorum.
    NoQuorum {
        /// Number of their messages that wanted an answer.
        messages: usize,
    },
}

/// A closed segment that has no place yet, for the status page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// What it is.
    pub meta: SegmentMeta,
    /// When it opened.
    pub opened_at: WallTime,
    /// The group that is asked to hold it: that of its shard, or a later one of the round that was
    /// willing when it was not.
    pub group: GroupId,
    /// The nodes of that group that have it.
    pub trims: Vec<NdbId>,
}
