//! The vote among sync nodes (`docs/protocol.md`).

use serde::{Deserialize, Serialize};

use crate::id::{Ballot, GroupId, OwnerId, SegmentId, Seq, Stamp, StoreId};
use crate::segment::{Challenger, Proposal, SegmentMeta};

/// What an owner and its seq take in a list.
const OWNER_BYTES: usize = 24;

/// What sync nodes say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VoteMessage {
    /// sync → coordinator: stage one, a promise and what was accepted before it.
    PickChallenger {
        /// The segment.
        meta: SegmentMeta,
        /// The ballot promised.
        ballot: Ballot,
        /// The stamp this node promises for the segment.
        draft: Stamp,
        /// A group of which this node counted W durable votes.
        group: GroupId,
        /// What it accepted at the highest ballot, if anything.
        accepted: Option<(Ballot, Challenger)>,
    },
    /// coordinator → sync: stage two, accept this. It may leave before the coordinator's own acceptance is
    /// durable, so it is no vote.
    ElectSegment {
        /// The value and its ballot.
        proposal: Proposal,
    },
    /// sync → sync: this node has accepted the proposal, durably.
    Vote {
        /// The value and its ballot.
        proposal: Proposal,
    },
    /// coordinator → sync: a ballot begins; promise it and say what you accepted.
    Prepare {
        /// The segment.
        meta: SegmentMeta,
        /// The ballot.
        ballot: Ballot,
    },
    /// sync → coordinator: promised to a higher ballot already.
    Reject {
        /// The segment.
        segment: SegmentId,
        /// The ballot promised.
        promised: Ballot,
    },
    /// sync → sync, on a new link: how far this node knows each owner's elected segments without
    /// a gap. The peer answers with everything it knows beyond.
    SyncDigest {
        /// Owner and the highest seq up to which all are known elected.
        owners: Vec<(OwnerId, Seq)>,
    },
    /// sync → sync, first on each link: how far the sender's store is, so that a peer that remembers
    /// better notices a store that was wiped, copied or rolled back. Said again before whatever
    /// depends on a commit.
    SyncStanding {
        /// Random number of this process, for telling two copies of one store apart.
        run: u64,
        /// Commits of the store so far; each start of a node makes one.
        commits: u64,
    },
    /// sync → sync: the standing contradicts what this node remembers; it takes no further message.
    SyncRefused {
        /// What contradicts.
        reason: StandingRefusal,
    },
    /// sync → sync: whether the sender lacks links to W ndb nodes of a group, or was stalled, and so
    /// cannot do its part of the vote for now: others do not wait for it.
    SyncAside {
        /// It cannot.
        is_aside: bool,
    },
    /// sync → sync: all segments of this owner up to `contiguous` are elected, and forgotten here
    /// because W ndb nodes of their groups have applied them.
    OwnerSettled {
        /// The owner.
        owner: OwnerId,
        /// The last of them.
        contiguous: Seq,
        /// Its stamp, or one above it and below that of the next.
        stamp: Stamp,
        /// Elections up to here are forgotten: feeds from before it cannot be served.
        trimmed_to: Stamp,
    },
    /// sync → sync: this owner is forgotten here, and the sender takes no part in its votes any more.
    OwnerForgotten {
        /// The owner.
        owner: OwnerId,
        /// Elections up to here are forgotten, and with them all of the owner that were known here.
        trimmed_to: Stamp,
    },
    /// sync → sync, on a new link and while something waits: the sender's clock is far ahead of its
    /// wall time, so it has no lower stamp to give.
    SyncClock {
        /// Where its clock is, durably.
        stamp: Stamp,
    },
    /// home → sync: the fast round. Accept this if nothing else is known of the segment and the stamp is above your
    /// floor (what it promised readers to draft nothing at or below); in any case it is the PREPARE of ballot 0. It leaves before anything of it is durable.
    ProposeFast {
        /// The segment.
        meta: SegmentMeta,
        /// The value.
        challenger: Challenger,
    },
    /// sync → sync: this node has accepted the value in the fast round, durably, and nothing since: its vote there,
    /// and its answer to the coordinator of `ballot`.
    VoteFast {
        /// The segment.
        meta: SegmentMeta,
        /// The ballot promised.
        ballot: Ballot,
        /// The value; its stamp is the node's draft.
        challenger: Challenger,
    },
}

impl VoteMessage {
    /// A short constant name for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::PickChallenger { .. } => "pick_challenger",
            Self::ElectSegment { .. } => "elect_segment",
            Self::Vote { .. } => "vote",
            Self::Prepare { .. } => "prepare",
            Self::Reject { .. } => "reject",
            Self::SyncDigest { .. } => "sync_digest",
            Self::SyncStanding { .. } => "sync_standing",
            Self::SyncRefused { .. } => "sync_refused",
            Self::SyncAside { .. } => "sync_aside",
            Self::OwnerSettled { .. } => "owner_settled",
            Self::OwnerForgotten { .. } => "owner_forgotten",
            Self::SyncClock { .. } => "sync_clock",
            Self::ProposeFast { .. } => "propose_fast",
            Self::VoteFast { .. } => "vote_fast",
        }
    }

    /// What it owns on the heap, roughly, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::SyncDigest { owners } => owners.len() * OWNER_BYTES,
            Self::PickChallenger { .. }
            | Self::ElectSegment { .. }
            | Self::Vote { .. }
            | Self::Prepare { .. }
            | Self::Reject { .. }
            | Self::SyncStanding { .. }
            | Self::SyncRefused { .. }
            | Self::SyncAside { .. }
            | Self::OwnerSettled { .. }
            | Self::OwnerForgotten { .. }
            | Self::SyncClock { .. }
            | Self::ProposeFast { .. }
            | Self::VoteFast { .. } => 0,
        }
    }
}

/// Why a sync node takes no messages from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StandingRefusal {
    /// It had another store before.
    OtherStore {
        /// The store that is remembered.
        remembered: StoreId,
    },
    /// Its store is older than it was.
    OlderStore {
        /// Commits that are remembered.
        remembered: u64,
    },
}
