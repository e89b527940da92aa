//! Feeds: what is elected, from each sync node to all who read the order.

use serde::{Deserialize, Serialize};

use crate::id::{OwnerId, Stamp};
use crate::segment::{Acceptance, Elected};

/// An entry whose link is silent for so long is gone, if a quorum of sync nodes has it so: about what makes a link
/// silent.
pub const GONE_SILENT_MS: u64 = 1_800;
/// So long without a link does the same.
pub const GONE_UNLINKED_MS: u64 = 500;

/// What a sync node and a reader of the order say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeedMessage {
    /// reader → sync: send the feed, from the elected segments above `after` on.
    FollowFeed {
        /// The reader knows everything elected up to here.
        after: Stamp,
    },
    /// sync → reader or sync: this segment is elected.
    AdvanceSegmentResolved {
        /// The outcome.
        elected: Elected,
    },
    /// sync → reader: what this feed has told all of. What was told accepted on it, and is not known elected, holds a
    /// reader back itself.
    Watermark {
        /// The promises.
        marks: Marks,
    },
    /// sync → reader: the feed cannot go on from the stamp asked for; elections up to `to` are
    /// forgotten. Take the order from an ndb node, then follow again from there.
    FeedTrimmed {
        /// Everything elected up to here is placed at W ndb nodes of its group.
        to: Stamp,
    },
    /// entry → sync: how far can the order go that anybody may have been told of by now?
    AskReached {
        /// Names the answer; rising.
        request: u64,
    },
    /// sync → entry: the highest stamp accepted or known elected here. Of the answers of a quorum,
    /// the highest is at or above all that was placed anywhere before the first of them was asked.
    Reached {
        /// Of the `AskReached`.
        request: u64,
        /// The stamp.
        stamp: Stamp,
    },
    /// reader → sync: whether somebody waits for what it reads, or has begun to: what it was not told
    /// yet goes at once. Until the first of these on a link, somebody does.
    AwaitFeed {
        /// Somebody does; else only what is of the reader's own segments is waited for.
        is_awaited: bool,
    },
    /// sync → reader: this node has accepted a value for the segment, durably. It comes before any election of the
    /// segment.
    SegmentAccepted {
        /// Its vote.
        acceptance: Acceptance,
    },
    /// reader → sync, on each change: whether it has the feeds of all sync nodes, so that it counts what they accept, and
    /// elections may come later. Until the first of these on a link, it has not.
    CountElections {
        /// It has.
        is_able: bool,
    },
    /// entry → sync, from version 3 on: since when is nothing heard of another entry?
    AskHeard {
        /// Names the answer; rising.
        request: u64,
        /// The entry, as on its links.
        owner: OwnerId,
    },
    /// sync → entry, from version 3 on. A node that cannot know does not answer: one that was not heard of, of a node
    /// that has not listened for as long as makes an entry gone ([`GONE_SILENT_MS`], [`GONE_UNLINKED_MS`]).
    Heard {
        /// Of the `AskHeard`.
        request: u64,
        /// Whether it has a link.
        is_linked: bool,
        /// Nothing has come for so long at least, or there was no link.
        silent_ms: u64,
    },
}

impl FeedMessage {
    /// The version of the dialect that has `AskHeard` and `Heard`.
    pub const HEARD_SINCE: u16 = 3;
}

/// What a sync node promises to a reader, of segments that were not told on its feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Marks {
    /// None of them is elected at or below it with this node's draft: for readers of any quorum.
    pub floor: Stamp,
    /// None of them is elected at a stamp of this node's lane that is at or below it and above `since`: for readers of
    /// all nodes. Never below `floor`.
    pub clock: Stamp,
    /// Where the clock stood when the process began: what was proposed before may have been lost with its row.
    pub since: Stamp,
}

impl Marks {
    /// All of what is at or below a stamp was told.
    #[must_use]
    pub const fn at(stamp: Stamp) -> Self {
        Self { floor: stamp, clock: stamp, since: Stamp::ZERO }
    }
}

impl FeedMessage {
    /// A short constant name for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::FollowFeed { .. } => "follow_feed",
            Self::AdvanceSegmentResolved { .. } => "advance_segment_resolved",
            Self::Watermark { .. } => "watermark",
            Self::FeedTrimmed { .. } => "feed_trimmed",
            Self::AskReached { .. } => "ask_reached",
            Self::Reached { .. } => "reached",
            Self::AwaitFeed { .. } => "await_feed",
            Self::SegmentAccepted { .. } => "segment_accepted",
            Self::CountElections { .. } => "count_elections",
            Self::AskHeard { .. } => "ask_heard",
            Self::Heard { .. } => "heard",
        }
    }
}
