//! What goes into the core of an ndb node, and what comes out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use vixen_core::id::{Digest, GroupId, NdbId, OwnerId, Position, SegmentId, SyncId};
use vixen_core::order;
use vixen_core::segment::Blob;
use vixen_core::time::{UtcDay, WallTime};
use vixen_core::wire::{DraftAnswer, Message, Nowhere, PeerId};

use crate::disk::{DiskNews, DiskRoom};
use crate::replica::Refused;
use crate::rows::Lost;
use crate::storage::{Committed, Finding, Job};
use crate::tail::Change;
use crate::upkeep::CatchUpReport;

/// Everything that can happen to an ndb node. Recorded: the order of the variants is their number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Input {
    /// A new link to a peer; there may be another one.
    Up {
        /// The peer.
        peer: PeerId,
    },
    /// The last link to a peer is gone.
    Down {
        /// The peer.
        peer: PeerId,
    },
    /// Nothing comes from a linked peer any more, or something comes again.
    Silent {
        /// The peer.
        peer: PeerId,
        /// Nothing comes.
        is_silent: bool,
    },
    /// A linked peer has said something.
    Said {
        /// The peer.
        from: PeerId,
        /// What.
        message: Message,
    },
    /// The store has committed what it was handed.
    Committed(Committed),
    /// A reader of the store came across something.
    Found(Finding),
    /// The answer to [`Look::Chain`].
    Compared {
        /// Whose chain it was.
        peer: NdbId,
        /// Where.
        next: Position,
        /// Whether it is that of the order here.
        agrees: bool,
    },
    /// The answer to [`Look::Room`].
    Room(DiskRoom),
    /// The answer to [`Look::Days`].
    Days {
        /// The days of the store with their bytes, oldest first.
        days: Vec<(UtcDay, u64)>,
        /// The time by this machine's clock.
        now: WallTime,
    },
    /// All that waited has been stepped, or time has come.
    Tick,
    /// The node ends: everything that waits is to be written.
    Stop,
}

/// What the driver owes after a step, in this order.
///
/// Nothing here waits for a commit: what does, leaves with the input that reports it (see
/// [`Durable`](crate::Durable)).
#[derive(Debug, Default)]
pub struct Effects {
    /// For the writer, in one batch. First, so that nothing is unwritten for longer than it must.
    pub jobs: Vec<Job>,
    /// For those who read the order here.
    pub changes: Vec<Change>,
    /// To peers.
    pub sends: Vec<(To, Message)>,
    /// What a peer asks for: to be answered on the link that the input came by.
    pub reads: Vec<Read>,
    /// Questions about the disk; their answers are inputs, within the same turn.
    pub looks: Vec<Look>,
    /// For the log and the metrics.
    pub notes: Vec<Note>,
}

/// Whom a message is for: those of them that are linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// Everybody.
    All,
    /// All sync nodes.
    AllSync,
    /// All other ndb nodes.
    AllNdb,
    /// The other nodes of this node's group.
    Group(GroupId),
    /// A sync node.
    Sync(SyncId),
    /// An ndb node, by one of its links: it is asked for something.
    Ndb(NdbId),
    /// The entry that an owner is of.
    Entry(OwnerId),
    /// The newest link to a peer, alone.
    Newest(PeerId),
}

impl To {
    /// Whether the peer is meant.
    #[must_use]
    pub fn is_meant(self, peer: &PeerId) -> bool {
        match (self, *peer) {
            (Self::All, _)
            | (Self::AllSync, PeerId::Sync { .. })
            | (Self::AllNdb, PeerId::Ndb { .. }) => true,
            (Self::Group(group), PeerId::Ndb { id, .. }) => id.group == group,
            (Self::Sync(sync), PeerId::Sync { id, .. }) => id == sync,
            (Self::Ndb(ndb), PeerId::Ndb { id, .. }) => id == ndb,
            (Self::Entry(of), PeerId::Entry { owner }) => of.is_of_entry(owner),
            (Self::Newest(newest), peer) => newest == peer,
            (
                Self::AllSync
                | Self::AllNdb
                | Self::Group(_)
                | Self::Sync(_)
                | Self::Ndb(_)
                | Self::Entry(_),
                PeerId::Sync { .. } | PeerId::Ndb { .. } | PeerId::Entry { .. },
            ) => false,
        }
    }

    /// Whether one of its links is enough.
    #[must_use]
    pub const fn is_one_link(self) -> bool {
        match self {
            Self::Ndb(_) | Self::Newest(_) => true,
            Self::All
            | Self::AllSync
            | Self::AllNdb
            | Self::Group(_)
            | Self::Sync(_)
            | Self::Entry(_) => false,
        }
    }
}

/// What a peer asks for, from the store and beside the loop.
#[derive(Clone, Debug)]
pub enum Read {
    /// Bytes of segments, those in memory with them: SEGMENT_BLOB for each, and SEGMENTS_MISSING.
    Segments(Vec<(SegmentId, Option<Blob>)>),
    /// Rows of the order: ORDER_ROWS, or ORDER_TRIMMED.
    Order {
        /// The first.
        from: Position,
        /// So many at most.
        rows_max: usize,
    },
    /// Rows of the order up to a position: ORDER_BEFORE.
    OrderBefore {
        /// The position after the last.
        before: Position,
        /// So many at most.
        rows_max: usize,
    },
}

/// A question about the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// How much room it has; [`Input::Room`].
    Room,
    /// Which days the store has; [`Input::Days`].
    Days,
    /// Whether the chain up to a row is this one; [`Input::Compared`], or nothing where there is no such
    /// row.
    Chain {
        /// Whose it is.
        peer: NdbId,
        /// The position after the row.
        next: Position,
        /// Its chain there.
        chain: Digest,
    },
    /// What the topic index of a day lacks, beside the loop; findings, the last of which is
    /// [`Finding::LookedUp`].
    Index {
        /// The day.
        day: UtcDay,
    },
}

/// Something worth telling people.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// From the reader of the order.
    Order(order::Note),
    /// A segment or a part of one was refused.
    Refused(Refused),
    /// A peer has said what is not for an ndb node.
    NotForNdb {
        /// The peer.
        from: PeerId,
        /// The name of the message.
        message: &'static str,
    },
    /// A commit is on disk.
    Committed {
        /// Segments stored.
        segments: usize,
        /// Their bytes.
        bytes: usize,
        /// Rows of the order that were damaged and are not any more.
        repaired: usize,
        /// How long it took.
        elapsed: Duration,
    },
    /// Messages have their places.
    Placed {
        /// How many.
        messages: u64,
    },
    /// Segments that were missing are here.
    Fetched {
        /// How many.
        segments: u64,
    },
    /// Segments never get a place.
    Dropped {
        /// How many.
        segments: usize,
    },
    /// Unresolved segments were offered to the group.
    Offered {
        /// How many.
        segments: usize,
    },
    /// A sync node gives a segment that is held here no draft.
    DraftAnswered {
        /// The node.
        from: SyncId,
        /// The segment.
        segment: SegmentId,
        /// Why.
        answer: DraftAnswer,
    },
    /// A segment is dropped since its owner is forgotten.
    Expired {
        /// The segment.
        segment: SegmentId,
    },
    /// A peer is asked for the order.
    AskingForOrder {
        /// The peer.
        peer: NdbId,
        /// From where on.
        from: Position,
    },
    /// A peer is asked for segments.
    AskingForSegments {
        /// The peer.
        peer: NdbId,
        /// How many.
        segments: usize,
    },
    /// All peers have dropped what comes next: the order goes on later.
    LeftBehind {
        /// Where it was.
        next: Position,
        /// Where it goes on.
        first: Position,
    },
    /// The order begins here now; days before were dropped.
    TrimmedTo {
        /// Its first position.
        first: Position,
    },
    /// It begins here now, earlier than before.
    Extended {
        /// Its first position.
        first: Position,
        /// Rows that came.
        rows: usize,
    },
    /// The group has kept what is dropped here.
    KeptByGroup {
        /// Where the order begins here.
        base: Position,
        /// Where it begins at peers.
        first: Position,
    },
    /// Days before this one wait for a majority of the group.
    WaitsToDrop {
        /// The day.
        keep_from: UtcDay,
    },
    /// The disk is full up to its reserve, or has room again.
    DiskRoom(DiskRoom),
    /// The disk does not answer, or does again.
    Disk(DiskNews),
    /// The order of a peer is another.
    ChainDiffers {
        /// The peer.
        peer: NdbId,
        /// Where.
        next: Position,
    },
    /// So many peers have another order.
    ChainsDiffering {
        /// How many.
        peers: usize,
    },
    /// Most ndb nodes have another order from here on; `Position(u64::MAX)`: not any more.
    Trusted {
        /// Nothing from here on is given out.
        to: Position,
    },
    /// Stored bytes are damaged, or gone.
    Damaged {
        /// The segment.
        lost: Lost,
        /// They are not there.
        are_gone: bool,
    },
    /// Stored bytes of a segment without a place are damaged.
    DamagedPending {
        /// The segment.
        segment: SegmentId,
    },
    /// A row of the order is damaged.
    DamagedRow {
        /// Where.
        at: Position,
    },
    /// The topic index lacked a segment.
    Reindexed,
    /// The topic index of a day and its order are at odds; and whether that is news.
    IndexAtOdds {
        /// The day.
        day: UtcDay,
        /// It is not being mended.
        is_new: bool,
    },
    /// The topic index of a day is mended.
    IndexMended {
        /// The day.
        day: UtcDay,
    },
    /// What is at no node of the group has changed.
    Nowhere {
        /// What was.
        before: Nowhere,
        /// What is.
        now: Nowhere,
    },
    /// How catching up goes; and whether that is worth a line of the log.
    CatchUp {
        /// How it goes.
        report: CatchUpReport,
        /// It is.
        is_said: bool,
    },
}
