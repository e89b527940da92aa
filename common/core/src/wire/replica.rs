//! Between the ndb nodes of a group, and to readers that take the order from one.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{Digest, Position, SegmentId, Stamp};
use crate::segment::{Elected, SegmentMeta};
use crate::time::UtcDay;

/// What the id of a segment takes in a list.
const SEGMENT_BYTES: usize = 24;

/// What ndb nodes say to each other of blobs and of the order; readers that lag ask for the order as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaMessage {
    /// ndb → ndb: send the blobs of these segments.
    FetchSegments {
        /// The segments.
        segments: Vec<SegmentId>,
    },
    /// ndb → ndb: a blob that was asked for.
    SegmentBlob {
        /// The segment.
        segment: SegmentId,
        /// Its bytes; the receiver knows its meta from the order and verifies them.
        blob: Bytes,
    },
    /// ndb → ndb: not held here (yet).
    SegmentsMissing {
        /// The segments asked for and not held.
        segments: Vec<SegmentId>,
    },
    /// ndb → ndb of its group, on a new link and while they stay unresolved: the digest of what the
    /// sender has on disk without a place.
    OfferSegments {
        /// What they are. The receiver fetches those it lacks.
        segments: Vec<SegmentMeta>,
    },
    /// ndb → ndb: hash of the sender's order up to a position, to be compared.
    ChainAt {
        /// The position after the last row hashed.
        next: Position,
        /// Its chain.
        chain: Digest,
    },
    /// ndb → ndb of its group, on a new link and when it changes: what the sender keeps.
    Retaining {
        /// What it says.
        retained: Retained,
    },
    /// reader → ndb: send rows of the order, from the segment that begins at `from` on.
    FetchOrder {
        /// The next position of the reader.
        from: Position,
    },
    /// ndb → reader: rows of the order that are on disk here; none if it ends before `first`.
    OrderRows {
        /// Position of the first message of the first row: what was asked for.
        first: Position,
        /// Segments in the order, without a gap.
        rows: Vec<Elected>,
    },
    /// ndb → reader: the order that was asked for begins later here; what is before was dropped by
    /// retention.
    OrderTrimmed {
        /// What was asked for.
        asked: Position,
        /// Where the order goes on from.
        base: OrderBase,
    },
    /// ndb → ndb of its group: send rows of the order that end where the receiver's order begins.
    FetchOrderBefore {
        /// The first position that the sender of this has.
        before: Position,
    },
    /// ndb → ndb: rows of the order up to a position; none if the order here does not reach below it.
    OrderBefore {
        /// What was asked for: the position after the last row.
        before: Position,
        /// Where the first row begins, and what it is chained to.
        base: OrderBase,
        /// Segments in the order, without a gap.
        rows: Vec<Elected>,
    },
}

impl ReplicaMessage {
    /// A short constant name for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::FetchSegments { .. } => "fetch_segments",
            Self::SegmentBlob { .. } => "segment_blob",
            Self::SegmentsMissing { .. } => "segments_missing",
            Self::OfferSegments { .. } => "offer_segments",
            Self::ChainAt { .. } => "chain_at",
            Self::Retaining { .. } => "retaining",
            Self::FetchOrder { .. } => "fetch_order",
            Self::OrderRows { .. } => "order_rows",
            Self::OrderTrimmed { .. } => "order_trimmed",
            Self::FetchOrderBefore { .. } => "fetch_order_before",
            Self::OrderBefore { .. } => "order_before",
        }
    }

    /// What it owns on the heap, roughly, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::FetchSegments { segments } | Self::SegmentsMissing { segments } => {
                segments.len() * SEGMENT_BYTES
            }
            Self::SegmentBlob { blob, .. } => blob.len(),
            Self::OrderRows { rows, .. } | Self::OrderBefore { rows, .. } => {
                size_of_val(rows.as_slice())
            }
            Self::OfferSegments { segments } => size_of_val(segments.as_slice()),
            Self::ChainAt { .. }
            | Self::Retaining { .. }
            | Self::FetchOrder { .. }
            | Self::OrderTrimmed { .. }
            | Self::FetchOrderBefore { .. } => 0,
        }
    }

    /// Bytes that are carried beside the head of a frame.
    pub(super) const fn body_mut(&mut self) -> Option<&mut Bytes> {
        match self {
            Self::SegmentBlob { blob, .. } => Some(blob),
            _ => None,
        }
    }
}

/// What an ndb node keeps of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retained {
    /// The first position that it has.
    pub first: Position,
    /// By its settings and its time, days before this one may go.
    pub keep_from: UtcDay,
}

/// Where an order begins whose rows before are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderBase {
    /// Position of the first message that is left, or will be.
    pub next: Position,
    /// Stamp of the last segment before it.
    pub stamp: Stamp,
    /// The chain up to it.
    pub chain: Digest,
}
