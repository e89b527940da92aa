//! What goes into the reader of the order, and what comes out.

use serde::{Deserialize, Serialize};

use crate::id::{NdbId, Position, Stamp, SyncId};
use crate::segment::{Acceptance, Elected};
use crate::wire::{Marks, OrderBase};

use super::Placed;

/// Everything that can happen to a reader. Recorded: the order of the variants is their number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Input {
    /// A new link to a sync node: it follows nothing yet.
    FeedUp {
        /// The node.
        feed: SyncId,
    },
    /// The link to a sync node is gone.
    FeedDown {
        /// The node.
        feed: SyncId,
    },
    /// A feed tells of an election.
    Resolved {
        /// Whose feed.
        from: SyncId,
        /// The outcome.
        elected: Elected,
    },
    /// A feed tells its watermark.
    Watermark {
        /// Whose feed.
        from: SyncId,
        /// What its node promises.
        marks: Marks,
    },
    /// A sync node has forgotten what comes next here; its feed has ended.
    FeedTrimmed {
        /// Whose feed.
        from: SyncId,
        /// It begins after this stamp.
        to: Stamp,
    },
    /// A new link to an ndb node: it has lost what it was asked before.
    PeerUp {
        /// The node.
        peer: NdbId,
    },
    /// Nothing comes from a linked ndb node any more, or something comes again. Nothing is asked of
    /// who is silent, and it may still have what comes next.
    PeerSilent {
        /// The node.
        peer: NdbId,
        /// Nothing comes.
        is_silent: bool,
    },
    /// The link to an ndb node is gone.
    PeerDown {
        /// The node.
        peer: NdbId,
    },
    /// Rows of an ndb node's order, which it has on disk.
    Rows {
        /// The node.
        from: NdbId,
        /// Position of the first row.
        first: Position,
        /// Its segments, without a gap; none when it is no further.
        rows: Vec<Elected>,
    },
    /// An ndb node has dropped what it was asked for.
    OrderTrimmed {
        /// The node.
        from: NdbId,
        /// What that was.
        asked: Position,
        /// Where its order begins.
        base: OrderBase,
    },
    /// The order goes on from here, if that is further on: what is before is given up.
    Rebase {
        /// Where it goes on.
        base: OrderBase,
    },
    /// All that waited has been stepped, or time has come.
    Tick {
        /// Whether there is room for rows of an ndb node's order: without it none are asked for.
        takes_rows: bool,
    },
    /// A feed tells what its node has accepted.
    Accepted {
        /// Whose feed.
        from: SyncId,
        /// Its vote.
        acceptance: Acceptance,
    },
}

/// What the driver owes after a step.
#[derive(Debug, Default)]
pub struct Effects {
    /// Elections not heard of before; their places follow.
    pub learned: Vec<Elected>,
    /// The next segments of the order, without a gap.
    pub placed: Vec<Placed>,
    /// FOLLOW_FEED to sync nodes: each with the stamp that its feed is to begin after.
    pub follows: Vec<(SyncId, Stamp)>,
    /// COUNT_ELECTIONS to sync nodes: whether their feeds are all here.
    pub counts: Vec<(SyncId, bool)>,
    /// FETCH_ORDER to ndb nodes: each with the position that is asked for.
    pub fetches: Vec<(NdbId, Position)>,
    /// All linked ndb nodes have dropped what comes next here, and the one that has dropped least
    /// begins there: the order goes on with [`Input::Rebase`] only, or by a feed that has it still.
    /// Only [`Input::OrderTrimmed`] has this effect.
    pub left_behind: Option<OrderBase>,
    /// For the log and the metrics.
    pub notes: Vec<Note>,
}

/// Something worth telling people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A feed has forgotten what comes next here.
    FeedTrimmed {
        /// Whose.
        feed: SyncId,
        /// It begins after this stamp.
        to: Stamp,
        /// Stamp of the last segment that has its place here.
        delivered: Stamp,
    },
    /// A feed that was trimmed is followed again.
    FeedResumed {
        /// Whose.
        feed: SyncId,
        /// After this stamp.
        after: Stamp,
    },
    /// Segments have their places by rows of an ndb node.
    RowsTaken {
        /// The node.
        from: NdbId,
        /// How many.
        segments: usize,
    },
    /// What a node says contradicts the order here, and was not taken. A person must look.
    Contradicts {
        /// The node.
        from: Teller,
        /// What it said.
        elected: Elected,
    },
    /// Where an ndb node's order begins contradicts the order here. A person must look.
    BaseContradicts {
        /// The node.
        from: NdbId,
        /// What it said.
        base: OrderBase,
    },
}

/// Who tells of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teller {
    /// The feed of a sync node.
    Feed(SyncId),
    /// The order of an ndb node.
    Order(NdbId),
}
