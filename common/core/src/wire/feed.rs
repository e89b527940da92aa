//! Feeds: what is elected, from each sync node to all who read the order.

use serde::{Deserialize, Serialize};

use crate::id::Stamp;
use crate::segment::Elected;

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
    /// sync → reader: no segment unknown to this feed will be elected at or below `stamp` with
    /// this node's draft.
    Watermark {
        /// The promise.
        stamp: Stamp,
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
        }
    }
}
