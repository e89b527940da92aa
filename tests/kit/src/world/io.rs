//! What goes into a node of the World at a turn, and what comes out.

use std::fmt;
use std::time::Instant;

use vixen_broker::api::{AckLevel, Publish, SessionId};
use vixen_core::id::{NdbId, OwnerId, PermanentId, Position, SegmentId, Stamp, SyncId};
use vixen_core::order::Placed;
use vixen_core::segment::{Elected, Records, SegmentMeta, Topic};
use vixen_core::time::WallTime;
use vixen_core::wire::{Message, PeerId};

/// A process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Name {
    Sync(SyncId),
    Ndb(NdbId),
    Entry(u8),
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sync(id) => write!(f, "S{}", id.0),
            Self::Ndb(id) => write!(f, "D{}.{}", id.group, id.member),
            Self::Entry(number) => write!(f, "E{number}"),
        }
    }
}

/// What a node sees of the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Of its wall clock, which may be wrong.
    pub(super) wall: WallTime,
    /// Of its monotonic clock.
    pub(super) instant: Instant,
    /// The same as a number, of microseconds since the World began.
    pub(super) us: u64,
}

impl Now {
    /// When it will be that time, by the same number.
    pub(super) fn us_of(self, at: Instant) -> u64 {
        let wait = at.saturating_duration_since(self.instant).as_micros();
        self.us.saturating_add(u64::try_from(wait).unwrap_or(u64::MAX))
    }
}

/// How much room a disk has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Room {
    #[default]
    Enough,
    /// Less than its reserve.
    Low,
    /// So little that storage nodes fetch nothing.
    Little,
    /// None: what is to be written waits.
    Nothing,
}

/// What has come to a node since its last turn.
#[derive(Debug)]
pub(super) enum Arrived {
    /// A new link, which has lost what was said on the one before; and whose.
    Up { name: Name, peer: PeerId },
    /// The link is gone.
    Down { name: Name },
    /// Nothing comes on the link any more, or something comes again.
    Silent { name: Name, is_silent: bool },
    /// Said on the present link.
    Message { from: Name, message: Message },
    /// Of a storage node: so many of its oldest jobs are on disk; or, before these, all segments that wait, by the journal.
    Written { jobs: usize, by_journal: bool },
    /// Of a sync node: a look for owners that are idle; those of linked entries are kept, or not.
    ExpireOwners { keeps: bool },
    /// Of an entry: what one of its sessions asks.
    Asked { session: SessionId, ask: Ask },
}

/// What a session asks of its entry.
#[derive(Debug)]
pub(super) enum Ask {
    Publish(Vec<Publish>),
    Close,
    /// The session is a subscriber, and has words for the core.
    Turn,
}

/// Something that the judge must know.
#[derive(Debug)]
pub(super) enum Fact {
    /// A sync node knows a segment elected.
    Elected(Elected),
    /// A reader of the order has placed a segment.
    Placed(Placed),
    /// A reader of the order was told what contradicts it.
    Contradiction(String),
    /// What a closed segment says.
    Closed { meta: SegmentMeta, messages: Vec<(Topic, Mark)> },
    /// All segments of an owner that have no place are given up: their messages go on under another.
    GivenUp { owner: OwnerId },
    /// A publisher is answered.
    Answered { mark: Mark, level: AckLevel, place: Option<(Position, PermanentId)> },
    /// A publisher is told that it will not be answered.
    NotAnswered { mark: Mark },
    /// A subscriber gets a message.
    Event { plant: usize, position: Position, mark: Mark },
    /// A subscriber's subscription stands: whatever is at this position or beyond it comes.
    Begins { plant: usize, from: Position },
    /// What a subscriber was to get next is dropped: it goes on from here.
    Dropped { plant: usize, first: Position },
    /// A storage node has these on disk.
    Held(Vec<SegmentMeta>),
    /// A reader is told that a sync node has forgotten elections up to here.
    Forgotten { to: Stamp },
    /// A storage node gives up a segment, since so many sync nodes have forgotten its owner that none is left to
    /// elect it.
    Expired { segment: SegmentId },
    /// The order of a storage node begins here.
    Trimmed { first: Position },
    /// For the sum at the end.
    Count(Counted),
}

/// What is worth counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Counted {
    Ballot,
    ByRows,
    Fetched,
    Damaged,
    Moved,
    TailMoved,
    Lagged,
    Joined,
    Rebased,
    LeftBehind,
    Trimmed,
    Extended,
    DiskStalled,
    Offered,
    SyncStalled,
    SyncFull,
    FeedTrimmed,
    Ended,
    Lied,
    Astray,
    Renewed,
    SentAgain,
    Refused,
    OwnerExpired,
}

impl Counted {
    pub(super) const ALL: [Self; 24] = [
        Self::Ballot,
        Self::ByRows,
        Self::Fetched,
        Self::Damaged,
        Self::Moved,
        Self::TailMoved,
        Self::Lagged,
        Self::Joined,
        Self::Rebased,
        Self::LeftBehind,
        Self::Trimmed,
        Self::Extended,
        Self::DiskStalled,
        Self::Offered,
        Self::SyncStalled,
        Self::SyncFull,
        Self::FeedTrimmed,
        Self::Ended,
        Self::Lied,
        Self::Astray,
        Self::Renewed,
        Self::SentAgain,
        Self::Refused,
        Self::OwnerExpired,
    ];
}

/// Names a message: its publisher, and its number among that one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Mark {
    pub(super) publisher: u32,
    pub(super) number: u32,
}

impl Mark {
    /// What the records of a segment say.
    pub(super) fn all_of(topics: &[Topic], records: &[u8]) -> Vec<(Topic, Self)> {
        let each = Records::new(records);
        each.map(|record| (topics[usize::from(record.topic)].clone(), Self::of(record.payload)))
            .collect()
    }

    /// As a payload.
    pub(super) fn payload(self) -> bytes::Bytes {
        let mut bytes = Vec::with_capacity(8);
        bytes.extend_from_slice(&self.publisher.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.into()
    }

    /// # Panics
    /// Nobody has published that.
    pub(super) fn of(payload: &[u8]) -> Self {
        let part = |at: usize| {
            let bytes = payload.get(at..at + 4).and_then(|part| part.try_into().ok());
            u32::from_le_bytes(bytes.expect("nobody has published this payload"))
        };
        assert_eq!(payload.len(), 8, "nobody has published this payload");
        Self { publisher: part(0), number: part(4) }
    }
}

/// What a turn lets out.
#[derive(Debug, Default)]
pub(super) struct Out {
    /// In this order for each peer; what has no link is lost.
    pub(super) sends: Vec<(Name, Message)>,
    pub(super) facts: Vec<Fact>,
    /// Jobs that were handed to the disk.
    pub(super) jobs: usize,
    /// All links of the process are to be made anew.
    pub(super) unlinks: bool,
    /// The process ends by itself.
    pub(super) ends: bool,
}

impl Out {
    pub(super) fn send(&mut self, to: Name, message: Message) {
        self.sends.push((to, message));
    }

    pub(super) fn count(&mut self, counted: Counted) {
        self.facts.push(Fact::Count(counted));
    }
}
