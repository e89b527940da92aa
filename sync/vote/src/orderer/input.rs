//! Everything that can happen to the votes of a node.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use vixen_core::id::{Ballot, GroupId, NdbId, OwnerId, SegmentId, Seq, Stamp, SyncId};
use vixen_core::segment::{Challenger, Elected, Proposal, SegmentMeta};
use vixen_core::wire::{FeedMessage, Message, VoteMessage};

use crate::owners::OwnerRow;

/// Everything that can happen to the votes of a node. Recorded: the order of the variants is their number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Input {
    /// An ndb node has the segment on disk.
    GenerateDraft {
        /// The ndb node.
        from: NdbId,
        /// The segment.
        meta: SegmentMeta,
    },
    /// Stage one at this coordinator.
    PickChallenger {
        /// Who promises.
        from: SyncId,
        /// The segment.
        meta: SegmentMeta,
        /// The ballot promised.
        ballot: Ballot,
        /// Its draft.
        draft: Stamp,
        /// A group of which it counted W durable votes.
        group: GroupId,
        /// What it accepted before.
        accepted: Option<(Ballot, Challenger)>,
    },
    /// Stage two: a coordinator's proposal, and its own vote.
    ElectSegment {
        /// The coordinator.
        from: SyncId,
        /// The value and its ballot.
        proposal: Proposal,
    },
    /// A node has accepted.
    Vote {
        /// The node.
        from: SyncId,
        /// The value and its ballot.
        proposal: Proposal,
    },
    /// A coordinator begins a ballot.
    Prepare {
        /// The coordinator.
        from: SyncId,
        /// The segment.
        meta: SegmentMeta,
        /// The ballot.
        ballot: Ballot,
    },
    /// A node has promised to a higher ballot than this coordinator's.
    Reject {
        /// The node.
        from: SyncId,
        /// The segment.
        segment: SegmentId,
        /// What it promised.
        promised: Ballot,
    },
    /// A peer knows this segment to be elected.
    Resolved {
        /// The outcome.
        elected: Elected,
    },
    /// A peer tells how far it knows each owner; on a new link.
    Digest {
        /// The peer.
        from: SyncId,
        /// Owner and contiguous elected seq.
        owners: Vec<(OwnerId, Seq)>,
    },
    /// A link to a peer came up.
    PeerUp {
        /// The peer.
        peer: SyncId,
    },
    /// A link to a peer went down.
    PeerDown {
        /// The peer.
        peer: SyncId,
    },
    /// Nothing comes from a linked peer any more, or something comes again. What was sent to it is on
    /// its way.
    PeerSilent {
        /// The peer.
        peer: SyncId,
        /// Nothing comes.
        is_silent: bool,
    },
    /// A peer says whether it can do its part of the vote for now; also of this node itself.
    PeerAside {
        /// The node.
        peer: SyncId,
        /// It cannot.
        is_aside: bool,
    },
    /// A peer has forgotten this owner's segments up to the row, which are all elected.
    OwnerSettled {
        /// The owner.
        owner: OwnerId,
        /// How far its segments are elected without a gap.
        row: OwnerRow,
    },
    /// A peer has forgotten this owner: it takes no part in its votes any more.
    OwnerForgotten {
        /// The peer.
        from: SyncId,
        /// The owner.
        owner: OwnerId,
    },
    /// A peer's clock is ahead of its wall time: it has no lower stamp to give.
    PeerClock {
        /// The peer.
        peer: SyncId,
        /// Where its clock is, durably.
        clock: Stamp,
    },
    /// [`Orderer::overdue`](super::Orderer::overdue) names this segment: a reserve steps in, or this node takes over.
    Overdue {
        /// The segment.
        segment: SegmentId,
    },
    /// Segments have been pending for long: send again what may have been refused or lost.
    Retry,
    /// Time to forget owners that have been idle for [`OWNER_IDLE_MS`](crate::OWNER_IDLE_MS), and those
    /// that so many peers have forgotten that nothing of them is elected any more.
    ExpireOwners {
        /// Owners whose entries are linked: they are kept, with all that these entries made.
        keep: BTreeSet<OwnerId>,
        /// Elections up to here are forgotten; idle owners with one above it are kept.
        trimmed_to: Stamp,
    },
    /// The home's proposal in the fast round.
    ProposeFast {
        /// The home.
        from: SyncId,
        /// The segment.
        meta: SegmentMeta,
        /// The value.
        challenger: Challenger,
    },
    /// A node has accepted in the fast round, and nothing since.
    VoteFast {
        /// The node.
        from: SyncId,
        /// The segment.
        meta: SegmentMeta,
        /// The ballot promised.
        ballot: Ballot,
        /// The value.
        challenger: Challenger,
    },
}

impl Input {
    /// What a sync node says, as the vote takes it; `None` for a message that is not of the vote.
    #[must_use]
    pub fn from_peer(from: SyncId, message: Message) -> Option<Self> {
        Some(match message {
            Message::Vote(VoteMessage::PickChallenger { meta, ballot, draft, group, accepted }) => {
                Self::PickChallenger { from, meta, ballot, draft, group, accepted }
            }
            Message::Vote(VoteMessage::ElectSegment { proposal }) => {
                Self::ElectSegment { from, proposal }
            }
            Message::Vote(VoteMessage::Vote { proposal }) => Self::Vote { from, proposal },
            Message::Vote(VoteMessage::Prepare { meta, ballot }) => {
                Self::Prepare { from, meta, ballot }
            }
            Message::Vote(VoteMessage::Reject { segment, promised }) => {
                Self::Reject { from, segment, promised }
            }
            Message::Vote(VoteMessage::SyncDigest { owners }) => Self::Digest { from, owners },
            Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }) => {
                Self::Resolved { elected }
            }
            Message::Vote(VoteMessage::OwnerSettled { owner, contiguous, stamp, .. }) => {
                Self::OwnerSettled { owner, row: OwnerRow { contiguous, stamp } }
            }
            Message::Vote(VoteMessage::OwnerForgotten { owner, .. }) => {
                Self::OwnerForgotten { from, owner }
            }
            Message::Vote(VoteMessage::SyncClock { stamp }) => {
                Self::PeerClock { peer: from, clock: stamp }
            }
            Message::Vote(VoteMessage::ProposeFast { meta, challenger }) => {
                Self::ProposeFast { from, meta, challenger }
            }
            Message::Vote(VoteMessage::VoteFast { meta, ballot, challenger }) => {
                Self::VoteFast { from, meta, ballot, challenger }
            }
            _ => return None,
        })
    }

    /// The owner that it is about.
    pub(super) const fn owner(&self) -> Option<OwnerId> {
        match self {
            Self::GenerateDraft { meta, .. }
            | Self::PickChallenger { meta, .. }
            | Self::Prepare { meta, .. }
            | Self::ProposeFast { meta, .. }
            | Self::VoteFast { meta, .. } => Some(meta.id.owner),
            Self::ElectSegment { proposal, .. } | Self::Vote { proposal, .. } => {
                Some(proposal.meta.id.owner)
            }
            Self::Reject { segment, .. } | Self::Overdue { segment } => Some(segment.owner),
            Self::Resolved { elected } => Some(elected.meta.id.owner),
            Self::OwnerSettled { owner, .. } => Some(*owner),
            // What it is about is pending here, or it is nothing.
            Self::OwnerForgotten { .. }
            | Self::Digest { .. }
            | Self::PeerUp { .. }
            | Self::PeerDown { .. }
            | Self::PeerSilent { .. }
            | Self::PeerAside { .. }
            | Self::PeerClock { .. }
            | Self::Retry
            | Self::ExpireOwners { .. } => None,
        }
    }

    /// The sync node it came from.
    pub(super) const fn sender(&self) -> Option<SyncId> {
        match self {
            Self::PickChallenger { from, .. }
            | Self::ElectSegment { from, .. }
            | Self::Vote { from, .. }
            | Self::Prepare { from, .. }
            | Self::Reject { from, .. }
            | Self::Digest { from, .. }
            | Self::OwnerForgotten { from, .. }
            | Self::ProposeFast { from, .. }
            | Self::VoteFast { from, .. }
            | Self::PeerClock { peer: from, .. } => Some(*from),
            Self::GenerateDraft { .. }
            | Self::Resolved { .. }
            | Self::PeerUp { .. }
            | Self::PeerDown { .. }
            | Self::PeerSilent { .. }
            | Self::PeerAside { .. }
            | Self::OwnerSettled { .. }
            | Self::Overdue { .. }
            | Self::Retry
            | Self::ExpireOwners { .. } => None,
        }
    }

    /// The highest stamp that it would raise this node's clock to, or make something follow.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::PickChallenger { draft, accepted, .. } => {
                let accepted = accepted.map(|(_, challenger)| challenger.stamp);
                Some(accepted.map_or(*draft, |stamp| stamp.max(*draft)))
            }
            Self::ElectSegment { proposal, .. } | Self::Vote { proposal, .. } => {
                Some(proposal.challenger.stamp)
            }
            Self::ProposeFast { challenger, .. } | Self::VoteFast { challenger, .. } => {
                Some(challenger.stamp)
            }
            Self::Resolved { elected } => Some(elected.stamp()),
            Self::OwnerSettled { row, .. } => Some(row.stamp),
            Self::PeerClock { clock, .. } => Some(*clock),
            Self::GenerateDraft { .. }
            | Self::Prepare { .. }
            | Self::Reject { .. }
            | Self::Digest { .. }
            | Self::PeerUp { .. }
            | Self::PeerDown { .. }
            | Self::PeerSilent { .. }
            | Self::PeerAside { .. }
            | Self::OwnerForgotten { .. }
            | Self::Overdue { .. }
            | Self::Retry
            | Self::ExpireOwners { .. } => None,
        }
    }
}
