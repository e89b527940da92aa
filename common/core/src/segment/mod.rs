//! Advance segments: what is known of one, and the bytes of its messages.

mod attributes;
mod blob;
mod builder;
mod judged;
mod passthru;
mod pattern;
mod record;
mod state;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Ballot, Digest, GroupId, MapVersion, SegmentId, Shard, Stamp};

pub use attributes::{Attributes, AttributesError, Audience, Eligible, Publisher, Receiver};
pub use blob::{Blob, BlobError};
pub use builder::{Chunk, SegmentBuilder};
pub use judged::{
    Cause, Condition, Head, Judged, JudgedError, Member, Once, OnceName, Put, When, Will,
};
pub use passthru::Passthru;
pub use pattern::{CALLS_REALM, Match, TopicPattern, WAITS_TOPIC};
pub use record::{Content, Encoding, Record, RecordFlags, Records};
pub use state::{STATE_PARTS_REALM, STATE_REALM, StateTopic};

/// A topic in its realm.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Topic {
    /// The WAMP realm (WAMP spec §2.1).
    pub realm: Arc<str>,
    /// The topic URI.
    pub uri: Arc<str>,
}

impl Topic {
    /// Names a topic.
    #[must_use]
    pub fn new(realm: &str, uri: &str) -> Self {
        Self { realm: realm.into(), uri: uri.into() }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.realm, self.uri)
    }
}

/// What the vote and the order need to know of a segment; fixed when its owner closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentMeta {
    /// Which segment.
    pub id: SegmentId,
    /// Where its owner placed it.
    pub shard: Shard,
    /// By which division of the shards.
    pub map: MapVersion,
    /// Number of messages, at least 1.
    pub count: u32,
    /// Size of its blob in bytes.
    pub bytes: u32,
    /// Hash of its blob.
    pub digest: Digest,
}

/// The value a segment's vote decides: when it happened, and who holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Challenger {
    /// The proposed, then elected, stamp.
    pub stamp: Stamp,
    /// A group of which W nodes hold the segment durably.
    pub group: GroupId,
}

/// A value offered to the vote under a ballot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Proposal {
    /// The segment.
    pub meta: SegmentMeta,
    /// The ballot it is proposed under.
    pub ballot: Ballot,
    /// The value.
    pub challenger: Challenger,
}

/// An elected segment: final, the same at every node for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Elected {
    /// The segment.
    pub meta: SegmentMeta,
    /// The elected value.
    pub challenger: Challenger,
}

/// What a sync node has accepted, durably: its vote, as readers are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Acceptance {
    /// The segment.
    pub meta: SegmentMeta,
    /// The ballot; none: the fast round.
    pub ballot: Option<Ballot>,
    /// The value.
    pub challenger: Challenger,
    /// The lowest stamp that this node has drafted or accepted for the segment: while that is not known elected, a
    /// reader takes the node to promise nothing at or above it.
    pub lowest: Stamp,
}

impl Acceptance {
    /// What is elected when enough nodes have accepted it.
    #[must_use]
    pub const fn value(&self) -> Elected {
        Elected { meta: self.meta, challenger: self.challenger }
    }
}

impl Elected {
    /// The elected stamp.
    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        self.challenger.stamp
    }
}
