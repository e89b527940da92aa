//! Who says which message to whom. A receiver holds every peer to it: see `conduct.rs`.

use super::{
    CallMessage, DraftMessage, FeedMessage, Message, NodeMessage, PublishMessage, ReadMessage,
    ReplicaMessage, VoteMessage,
};
use crate::tier::Tier;
use Tier::{Entry, Ndb, Sync};

impl Message {
    /// Whether a node of tier `from` says this to one of tier `to`.
    #[must_use]
    pub const fn is_said(&self, from: Tier, to: Tier) -> bool {
        match self {
            Self::Node(message) => message.is_said(from),
            Self::Publish(message) => message.is_said(from, to),
            Self::Draft(message) => message.is_said(from, to),
            Self::Vote(message) => message.is_said(from, to),
            Self::Feed(message) => message.is_said(from, to),
            Self::Read(message) => message.is_said(from, to),
            Self::Replica(message) => message.is_said(from, to),
            Self::Call(message) => message.is_said(from, to),
        }
    }
}

impl NodeMessage {
    const fn is_said(&self, from: Tier) -> bool {
        match self {
            Self::Heartbeat | Self::LinkRefused { .. } => true,
            Self::SyncDiskFull | Self::SyncTime { .. } => matches!(from, Sync),
            Self::NdbStanding { .. } | Self::NdbNowhere { .. } => matches!(from, Ndb),
        }
    }
}

impl PublishMessage {
    const fn is_said(&self, from: Tier, to: Tier) -> bool {
        match self {
            Self::BeginAdvanceSegment { .. }
            | Self::KeepAdvanceHistory { .. }
            | Self::AdvanceSegmentOver { .. }
            | Self::AwaitDurable { .. } => matches!((from, to), (Entry, Ndb)),
            Self::TrimAdvanceSegment { .. }
            | Self::RefuseAdvanceSegment { .. }
            | Self::SegmentDurable { .. } => matches!((from, to), (Ndb, Entry)),
        }
    }
}

impl DraftMessage {
    const fn is_said(&self, from: Tier, to: Tier) -> bool {
        match self {
            Self::GenerateDraft { .. } | Self::OrderApplied { .. } => {
                matches!((from, to), (Ndb, Sync))
            }
            Self::DraftAnswered { .. } => matches!((from, to), (Sync, Ndb) | (Ndb, Entry)),
        }
    }
}

impl VoteMessage {
    const fn is_said(&self, from: Tier, to: Tier) -> bool {
        // All of it: whatever is added is for sync nodes as well.
        matches!((from, to), (Sync, Sync))
    }
}

impl FeedMessage {
    const fn is_said(&self, from: Tier, to: Tier) -> bool {
        match self {
            Self::FollowFeed { .. } | Self::AwaitFeed { .. } | Self::CountElections { .. } => {
                matches!((from, to), (Ndb | Entry, Sync))
            }
            Self::AskReached { .. } | Self::AskHeard { .. } => matches!((from, to), (Entry, Sync)),
            Self::Reached { .. } | Self::Heard { .. } => matches!((from, to), (Sync, Entry)),
            Self::AdvanceSegmentResolved { .. } => matches!(from, Sync),
            Self::Watermark { .. } | Self::FeedTrimmed { .. } | Self::SegmentAccepted { .. } => {
                matches!((from, to), (Sync, Ndb | Entry))
            }
        }
    }
}

impl ReadMessage {
    const fn is_said(&self, from: Tier, to: Tier) -> bool {
        match self {
            Self::FollowTail { .. }
            | Self::ChangeInterest { .. }
            | Self::InterestPart { .. }
            | Self::ReadHistory { .. } => matches!((from, to), (Entry, Ndb)),
            Self::TailOpened { .. }
            | Self::InterestChanged { .. }
            | Self::TailSegment(_)
            | Self::TailPosition { .. }
            | Self::HistorySegment { .. }
            | Self::HistoryEnd { .. } => matches!((from, to), (Ndb, Entry)),
        }
    }
}

impl ReplicaMessage {
    const fn is_said(&self, from: Tier, to: Tier) -> bool {
        match self {
            Self::FetchSegments { .. }
            | Self::SegmentBlob { .. }
            | Self::SegmentsMissing { .. }
            | Self::OfferSegments { .. }
            | Self::ChainAt { .. }
            | Self::Retaining { .. }
            | Self::FetchOrderBefore { .. }
            | Self::OrderBefore { .. } => matches!((from, to), (Ndb, Ndb)),
            Self::FetchOrder { .. } => matches!((from, to), (Ndb | Entry, Ndb)),
            Self::OrderRows { .. } | Self::OrderTrimmed { .. } => {
                matches!((from, to), (Ndb, Ndb | Entry))
            }
        }
    }
}

impl CallMessage {
    const fn is_said(&self, from: Tier, to: Tier) -> bool {
        // All of it: both of two entries may have callers and callees.
        matches!((from, to), (Entry, Entry))
    }
}
