//! Who says which message to whom. A receiver holds every peer to it: see `link/conduct.rs`.

use super::Message;
use crate::tier::Tier;

impl Message {
    /// Whether a node of tier `from` says this to one of tier `to`.
    #[must_use]
    pub const fn is_said(&self, from: Tier, to: Tier) -> bool {
        use Tier::{Entry, Ndb, Sync};
        match self {
            Self::BeginAdvanceSegment { .. }
            | Self::KeepAdvanceHistory { .. }
            | Self::AdvanceSegmentOver { .. }
            | Self::FollowTail { .. }
            | Self::ChangeInterest { .. }
            | Self::InterestPart { .. }
            | Self::ReadHistory { .. }
            | Self::AwaitDurable { .. } => matches!((from, to), (Entry, Ndb)),
            Self::TrimAdvanceSegment { .. }
            | Self::RefuseAdvanceSegment { .. }
            | Self::TailOpened { .. }
            | Self::InterestChanged { .. }
            | Self::TailSegment(_)
            | Self::TailPosition { .. }
            | Self::HistorySegment { .. }
            | Self::HistoryEnd { .. }
            | Self::SegmentDurable { .. } => matches!((from, to), (Ndb, Entry)),
            Self::GenerateDraft { .. } | Self::OrderApplied { .. } => {
                matches!((from, to), (Ndb, Sync))
            }
            Self::PickChallenger { .. }
            | Self::ElectSegment { .. }
            | Self::Vote { .. }
            | Self::Prepare { .. }
            | Self::Reject { .. }
            | Self::SyncDigest { .. }
            | Self::SyncStanding { .. }
            | Self::SyncRefused { .. }
            | Self::SyncAside { .. }
            | Self::OwnerSettled { .. }
            | Self::OwnerForgotten { .. }
            | Self::SyncClock { .. } => matches!((from, to), (Sync, Sync)),
            Self::FollowFeed { .. } => matches!((from, to), (Ndb | Entry, Sync)),
            Self::AskReached { .. } => matches!((from, to), (Entry, Sync)),
            Self::Reached { .. } => matches!((from, to), (Sync, Entry)),
            Self::AdvanceSegmentResolved { .. } | Self::SyncTime { .. } => matches!(from, Sync),
            Self::Watermark { .. } | Self::FeedTrimmed { .. } => {
                matches!((from, to), (Sync, Ndb | Entry))
            }
            Self::DraftAnswered { .. } => matches!((from, to), (Sync, Ndb) | (Ndb, Entry)),
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
            Self::NdbStanding { .. } | Self::NdbNowhere { .. } => matches!(from, Ndb),
            Self::SyncDiskFull => matches!(from, Sync),
            Self::Heartbeat | Self::LinkRefused { .. } => true,
        }
    }
}
