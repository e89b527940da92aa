//! What the store of a node is asked to write, what it reports, and what its readers find.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use vixen_core::id::{Position, SegmentId, Stamp};
use vixen_core::segment::{Elected, SegmentMeta};
use vixen_core::time::UtcDay;
use vixen_core::wire::OrderBase;

use crate::replica::{Place, Store};
use crate::rows::{BEGINNING, Lost, Mark};

/// Something to write. Jobs are written in the order in which they were handed over, but for [arrivals](Self::is_arrival).
#[derive(Clone, Debug)]
pub enum Job {
    /// A segment's bytes.
    Store(Store),
    /// Its place.
    Place(Place),
    /// The bytes of a placed segment are damaged: they are missing from now on.
    Lose(Lost),
    /// A segment that never gets a place.
    Drop(SegmentId),
    /// The topics of a placed segment are not in the index.
    Index {
        /// Position of its first message.
        first: Position,
        /// What it is, and when.
        elected: Elected,
    },
    /// Rows of a peer's order for where this one is damaged.
    Repair {
        /// Position of the first.
        first: Position,
        /// The rows, without a gap.
        rows: Vec<Elected>,
    },
    /// Days before this one go.
    Trim {
        /// The first that stays.
        keep_from: UtcDay,
    },
    /// The order here is too old to go on: it begins anew.
    Rebase(OrderBase),
    /// Rows of a peer from before the order begins here.
    Extend {
        /// Where they begin.
        base: OrderBase,
        /// The rows, without a gap, up to where the order begins here.
        rows: Vec<Elected>,
    },
    /// Peers of the group have the order from here on, and this node does not.
    KeptByGroup(Position),
    /// The segments of a day are indexed anew from here on, or have been.
    IndexAnew {
        /// The day.
        day: UtcDay,
        /// Whether it begins.
        begins: bool,
    },
}

impl Job {
    /// Whether it brings what was found missing or damaged nearer to being whole.
    #[must_use]
    pub const fn is_mending(&self) -> bool {
        match self {
            Self::Store(store) => matches!(store.mark, Mark::Permanent { .. }),
            Self::Lose(_) | Self::Index { .. } | Self::Repair { .. } => true,
            Self::Place(_)
            | Self::Drop(_)
            | Self::Trim { .. }
            | Self::Rebase(_)
            | Self::Extend { .. }
            | Self::IndexAnew { .. }
            | Self::KeptByGroup(_) => false,
        }
    }

    /// Whether it brings a segment that waits for its place: such may be on disk before any other job that was handed over
    /// earlier, but for one [about](Self::segment) the same segment.
    #[must_use]
    pub const fn is_arrival(&self) -> bool {
        matches!(self, Self::Store(store) if matches!(store.mark, Mark::Temporary))
    }

    /// The one segment that it is about.
    #[must_use]
    pub const fn segment(&self) -> Option<SegmentId> {
        match self {
            Self::Store(store) => Some(store.meta.id),
            Self::Place(place) => Some(place.row.elected.meta.id),
            Self::Lose(lost) => Some(lost.meta.id),
            Self::Drop(segment) => Some(*segment),
            Self::Index { .. }
            | Self::Repair { .. }
            | Self::Trim { .. }
            | Self::Rebase(_)
            | Self::Extend { .. }
            | Self::IndexAnew { .. }
            | Self::KeptByGroup(_) => None,
        }
    }
}

/// One commit, durable (unless the store was opened without fsync).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Committed {
    /// Where the order on disk begins now.
    pub base: OrderBase,
    /// Where it ends.
    pub head: OrderBase,
    /// Jobs that it took.
    pub jobs: usize,
    /// Segments stored.
    pub stored: Vec<SegmentId>,
    /// Bytes of their blobs.
    pub bytes: usize,
    /// Whether bytes of segments that had their place already were among them.
    pub filled: bool,
    /// Rows of the order written.
    pub rows: usize,
    /// The stamp of the last of them, and the position after it.
    pub placed_to: Option<(Stamp, Position)>,
    /// Jobs that mend were among them, so many.
    pub mending: usize,
    /// Rows of the order that were damaged and are not any more.
    pub repaired: usize,
    /// The order begins here now.
    pub trimmed_to: Option<Position>,
    /// It begins earlier than it did.
    pub extended: Vec<Extended>,
    /// Days whose segments are indexed anew from here on.
    pub index_begun: Vec<UtcDay>,
    /// Days whose segments have been, or that are gone.
    pub index_ended: Vec<UtcDay>,
    /// Days of which it turned out that their topic index is at odds with the order.
    pub index_at_odds: Vec<UtcDay>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Default for Committed {
    /// A commit of nothing, in an empty store.
    fn default() -> Self {
        Self {
            base: BEGINNING,
            head: BEGINNING,
            jobs: 0,
            stored: Vec::new(),
            bytes: 0,
            filled: false,
            rows: 0,
            placed_to: None,
            mending: 0,
            repaired: 0,
            trimmed_to: None,
            extended: Vec::new(),
            index_begun: Vec::new(),
            index_ended: Vec::new(),
            index_at_odds: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }
}

/// The order begins earlier than it did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Extended {
    /// Where.
    pub base: OrderBase,
    /// Rows that came.
    pub rows: usize,
    /// Segments of this group among them, whose bytes are to be fetched.
    pub lost: Vec<Lost>,
}

/// Something stored that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finding {
    /// The row that should begin here is damaged, gone, or not chained to the one before.
    Row {
        /// Where it should begin.
        at: Position,
    },
    /// The bytes of a placed segment are damaged, and not noted as missing.
    Blob(Lost),
    /// The bytes of a placed segment are not here, and not noted as missing.
    NoBlob(Lost),
    /// The topic index lacks the segment.
    NotIndexed {
        /// Position of its first message.
        first: Position,
        /// The segment.
        elected: Elected,
    },
    /// The bytes of a segment without a place are damaged.
    Temporary(SegmentMeta),
    /// The topic index of a day and the order are at odds.
    AtOdds(UtcDay),
    /// The segments of such a day were all looked up in its index.
    LookedUp(UtcDay),
    /// Not all of them could be: a row of the order is damaged.
    NotLookedUp(UtcDay),
}
