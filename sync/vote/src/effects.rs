//! What a step owes to the disk, to others, and to the feeds.

use serde::{Deserialize, Serialize};

use vixen_core::id::{NdbId, OwnerId, SegmentId, Seq, Stamp, SyncId};
use vixen_core::segment::{Acceptance, Elected};
use vixen_core::time::WallTime;
use vixen_core::wire::{DraftAnswer, Message};

use super::acceptor::VoteState;
use super::owners::OwnerRow;

/// What must be durable at this node before something leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum After {
    /// Nothing.
    Nothing,
    /// The row of this segment's vote, as it was left last.
    Vote(SegmentId),
    /// The same row, as it was before it was written last.
    Promise(SegmentId),
    /// The clock's ceiling.
    Clock,
    /// Everything that was written so far.
    All,
}

/// A message to another sync node. One that has no link is not sent: the next link brings a resend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Whom it is for.
    pub to: SyncId,
    /// What it says.
    pub message: Message,
    /// What it depends on.
    pub after: After,
}

/// A segment that this node has learned elected: for all feeds and, at leisure, the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Election {
    /// The outcome.
    pub elected: Elected,
    /// How far its owner's segments are elected now.
    pub owner: OwnerRow,
    /// The row of this node's own vote, if that is one of those that elected.
    pub after: After,
}

impl Election {
    /// Its row.
    #[must_use]
    pub const fn write(&self) -> Write {
        Write::Elected(self.elected, self.owner)
    }
}

/// What steps owe. First `writes`, as [`After`] says of what depends on them; then `sends` and the
/// rest, then `accepted` and `elected` on the feeds, then [`Orderer::watermark`](super::Orderer::watermark), which
/// depends on the ceiling, if it has risen. Elected rows may be written later than that: they follow
/// from votes that are durable at a quorum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Rows of the vote.
    pub writes: Vec<Write>,
    /// To other sync nodes, in this order.
    pub sends: Vec<Envelope>,
    /// What this node has accepted, for all feeds, before what became elected; each with the row that it depends on.
    pub accepted: Vec<(Acceptance, After)>,
    /// What became elected.
    pub elected: Vec<Election>,
    /// For the store, in one transaction with the elections so far or after them, never before: a
    /// longer prefix must not be on disk without the elections it covers. [`Write::DropOwner`] must
    /// be durable before anything else leaves: what follows refuses its owner for good.
    pub later: Vec<Write>,
    /// Send the peer all elected segments of the owner beyond this seq, from the store.
    pub catch_ups: Vec<(SyncId, OwnerId, Seq)>,
    /// Tell the peer that the owner is forgotten, and up to where elections are.
    pub forgotten: Vec<(SyncId, OwnerId)>,
    /// Answers to ndb nodes that ask for drafts nobody needs any more.
    pub answers: Vec<(NdbId, SegmentId, DraftAnswer)>,
    /// Segments became settled whose election this node cannot tell: all feeds must end before the
    /// next watermark, and readers follow again from where elections are remembered (rule 7).
    pub ends_feeds: bool,
    /// Elected segments, and the milliseconds since this node knew them eligible.
    pub waited: Vec<(SegmentId, u64)>,
    /// Ballots above 0 that this node began.
    pub ballots_started: u64,
    /// Inputs that were dropped, by reason, for the metrics.
    pub dropped: Vec<Drop>,
}

/// Why an input changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drop {
    /// The segment is elected; normal for what comes after a quorum.
    Late,
    /// A stamp too far ahead of wall time (rule 8).
    WildClock,
    /// A ballot of a coordinator from somebody else.
    NotCoordinator,
    /// The ballot is below what was promised.
    StaleBallot,
    /// The segment is known with another content: its owner or a peer is broken.
    Conflict,
    /// The owner is unknown, and older than one that was forgotten.
    OwnerExpired,
}

impl Drop {
    /// Label of the metric.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::WildClock => "wild_clock",
            Self::NotCoordinator => "not_coordinator",
            Self::StaleBallot => "stale_ballot",
            Self::Conflict => "conflict",
            Self::OwnerExpired => "owner_expired",
        }
    }
}

/// What the store gives back at a start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Recovered {
    /// The clock's ceiling.
    pub ceiling: Stamp,
    /// Rows of the database `owners`.
    pub owners: Vec<(OwnerId, OwnerRow)>,
    /// Elected segments beyond their owner's contiguous prefix.
    pub beyond: Vec<(SegmentId, Stamp)>,
    /// Rows of the database `votes`: segments not known elected.
    pub votes: Vec<VoteState>,
    /// When the newest of the owners was made that were ever forgotten.
    pub forgotten_to: WallTime,
}

/// A change to the store. Order within a step is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Put the row of a segment's vote.
    Vote(VoteState),
    /// Put the clock's ceiling.
    Ceiling(Stamp),
    /// Move a segment from `votes` to the elected, with its owner's row.
    Elected(Elected, OwnerRow),
    /// All segments of the owner up to the row are elected; their votes go.
    OwnerSettled(OwnerId, OwnerRow),
    /// Forget the owner and votes of it, but not that one made then was forgotten.
    DropOwner(OwnerId),
}
