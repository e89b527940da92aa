//! What goes into a replica, and what comes out.

use bytes::Bytes;

use vixen_core::id::{OwnerId, Position, SegmentId};
use vixen_core::order::Placed;
use vixen_core::segment::{Blob, Elected, SegmentMeta, Topic};
use vixen_core::wire::{Message, OrderBase};

use crate::durable::Durable;
use crate::rows::{Mark, OrderRow};

/// Everything that can happen to a replica.
#[derive(Clone, Debug)]
pub enum Input {
    /// An owner opens a segment.
    Begin {
        /// Whose link it came by.
        from: OwnerId,
        /// The segment.
        segment: SegmentId,
    },
    /// The next messages of an open segment.
    Keep {
        /// Whose link it came by.
        from: OwnerId,
        /// The segment.
        segment: SegmentId,
        /// Offset of the first.
        offset: u32,
        /// Topics it adds.
        topics: Vec<Topic>,
        /// How many.
        count: u32,
        /// Their records.
        records: Bytes,
    },
    /// The segment is complete.
    Over {
        /// Whose link it came by.
        from: OwnerId,
        /// What it became.
        meta: SegmentMeta,
    },
    /// The owner's link is gone: what is incomplete will come again from its start.
    OwnerDown {
        /// The owner.
        owner: OwnerId,
    },
    /// The store has committed the segment.
    Committed {
        /// The segment.
        segment: SegmentId,
    },
    /// A peer has these on disk, without a place.
    Offered {
        /// What they are.
        segments: Vec<SegmentMeta>,
    },
    /// No sync node of a majority will ever draft it: its owner was away for too long.
    Expired {
        /// The segment.
        segment: SegmentId,
    },
    /// The order goes on from here, and what is before is not to be had any more: this node was
    /// away for longer than its peers keep messages.
    Rebase {
        /// Where it goes on.
        base: OrderBase,
    },
    /// A peer sent a segment that was asked for.
    Fetched {
        /// The segment.
        segment: SegmentId,
        /// Its bytes, unverified.
        blob: Blob,
    },
    /// A segment is elected; its place follows. Said once.
    Elected {
        /// The outcome.
        elected: Elected,
    },
    /// The next segment of the order has its place.
    Placed {
        /// The segment, and where.
        placed: Placed,
    },
}

/// What a step asks for.
#[derive(Debug, Default)]
pub struct Effects {
    /// To the owners' links, at once.
    pub answers: Vec<(OwnerId, Message)>,
    /// For the writer, in order with `placed`; answered by `Input::Committed`.
    pub stores: Vec<Store>,
    /// GENERATE_DRAFT to all sync nodes.
    pub drafts: Vec<Durable<SegmentMeta>>,
    /// Rows of the order, for the writer and the tails.
    pub placed: Vec<Place>,
    /// Segments to ask peers for.
    pub wanted: Vec<SegmentId>,
    /// Segments that are not to be asked for any more: their owner's order has passed them.
    pub unwanted: Vec<SegmentId>,
    /// Bytes that were asked for, or placed without them, and are here now.
    pub arrived: Vec<SegmentId>,
    /// Segments that never get a place: their bytes go.
    pub dropped: Vec<SegmentId>,
    /// Inputs that were refused, by reason, for the metrics.
    pub refused: Vec<Refused>,
}

/// Why an input was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// A segment of another entry than the link's.
    WrongOwner,
    /// Messages before these are not here.
    Gap,
    /// Bytes and meta disagree.
    Mismatch,
    /// Beyond a bound.
    TooLarge,
    /// The node takes no new segments at present.
    Unwilling,
    /// A blob nobody asked for, or a wrong one.
    Unwanted,
}

impl Refused {
    /// Label of the metric.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WrongOwner => "wrong_owner",
            Self::Gap => "gap",
            Self::Mismatch => "mismatch",
            Self::TooLarge => "too_large",
            Self::Unwilling => "unwilling",
            Self::Unwanted => "unwanted",
        }
    }
}

/// A segment to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The segment.
    pub meta: SegmentMeta,
    /// Its bytes.
    pub blob: Blob,
    /// Whether it still waits for its place.
    pub mark: Mark,
}

/// A row of the order to write, and where the segment's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Position of its first message.
    pub first: Position,
    /// The row.
    pub row: OrderRow,
    /// The bytes.
    pub body: Body,
}

/// Where the bytes of a placed segment are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// At hand.
    Memory(Blob),
    /// In this node's store.
    Stored,
    /// Of this group, and not here yet.
    Missing,
    /// In another group.
    Elsewhere,
}
