//! Drafts: an ndb node asks sync nodes for the election of what it has on disk.

use serde::{Deserialize, Serialize};

use crate::id::{SegmentId, Stamp};
use crate::segment::SegmentMeta;

/// What an ndb node and a sync node say to each other of what is to be elected; entries are told of answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DraftMessage {
    /// ndb → sync: the segment is on this node's disk.
    GenerateDraft {
        /// The segment.
        meta: SegmentMeta,
    },
    /// ndb → sync: this node has the order durably up to here.
    OrderApplied {
        /// Stamp of the last segment whose row of the order is on disk.
        stamp: Stamp,
    },
    /// sync → ndb: no draft is needed for this segment.
    DraftAnswered {
        /// The segment.
        segment: SegmentId,
        /// Why not.
        answer: DraftAnswer,
    },
}

impl DraftMessage {
    /// A short constant name for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::GenerateDraft { .. } => "generate_draft",
            Self::OrderApplied { .. } => "order_applied",
            Self::DraftAnswered { .. } => "draft_answered",
        }
    }
}

/// Why an ndb node gets no draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DraftAnswer {
    /// The segment is elected: the feed tells, or a peer's order if the feed has forgotten.
    Elected,
    /// The owner is unknown, and older than one that was forgotten: this node takes no part in its vote
    /// any more. From an ndb node to an entry: so many say this that the segment is never elected now.
    OwnerExpired,
}
