//! Records of realm `#calls`: what entries tell each other by the order of their lives and callees.
//!
//! Each is one message: [`Content::Raw`](vixen_core::segment::Content::Raw), no flags, no attributes, session 0.
//! Its payload, little-endian:
//!
//! ```text
//! +--------------+---------+----------------+----------+----------------+
//! | version u8 1 | kind u8 | owner 16 bytes | life u32 | body, postcard |
//! +--------------+---------+----------------+----------+----------------+
//! ```
//! A record has one form: other bytes that would say the same are malformed. What is malformed, of another
//! version, in a topic that is not known, or of a kind below 128 that is not known, is passed over by all. A kind
//! from 128 on that is not known stops the view ([`RecordError::stops`]): 128, FORMAT, is kept free for it.
//!
//! A version is *in force* from the first FORMAT on that says so, which an entry writes when its operator asks,
//! and only if all lives read it; before that, its records are passed over by those as well that know them. So
//! a record of a later version alone, written by mistake, stops nobody.
//!
//! Source: `docs/design/027-calls.md`.

mod bytes;
mod error;
mod pattern;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use ::bytes::Bytes;
use serde::{Deserialize, Serialize};

use vixen_core::id::{Digest, Position};
use vixen_core::name::NodeName;
use vixen_core::segment::TopicPattern;
use vixen_core::time::WallTime;

pub use error::RecordError;
pub use pattern::{NotRegistrable, check_pattern};
pub use vixen_core::id::Life;

/// The realm of records. No client can name it.
pub const REALM: &str = vixen_core::segment::CALLS_REALM;

/// Of what records are written, and what is read here.
pub const VERSION: u8 = 1;

/// The longest URI of a procedure or pattern, and the longest name of a realm.
pub const URI_BYTES_MAX: usize = 64 << 10;

/// Most components of a wildcard: each costs some 200 bytes at every entry, however short it is.
pub const COMPONENTS_MAX: usize = 64;

/// Positions are below.
pub const POSITION_END: Position = Position(1 << 53);

/// The longest address of an entry's links.
pub const ADDRESS_BYTES_MAX: usize = 512;

/// The largest state in one part of a checkpoint.
pub const STATE_BYTES_MAX: usize = 256 << 10;

/// The highest session id (WAMP spec §2.1.2 *IDs*).
pub const SESSION_MAX: u64 = 1 << 53;

/// A registration: the position of the record that made it. So it is the same at all entries, and rises with
/// each new holder of a procedure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RegistrationId(pub u64);

impl From<Position> for RegistrationId {
    fn from(made_at: Position) -> Self {
        Self(made_at.0)
    }
}

impl fmt::Display for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "registration {self}")
    }
}

/// A record, and who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// A life of the entry that wrote it.
    pub writer: Life,
    /// What it says.
    pub said: Said,
}

/// What a record says, by its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// 1, LIFE: the writer is alive from here on.
    Life(Facts),
    /// 2, REGISTER: a session of the writer wants to be callee.
    Register(Register),
    /// 3, UNREGISTER: a callee leaves a registration.
    Unregister(Unregister),
    /// 4, `SESSION_OVER`: a session of the writer leaves all its registrations.
    SessionOver(SessionOver),
    /// 5, GONE: a life is over, and so are earlier ones of its owner.
    Gone(Gone),
    /// 6, CHECKPOINT: a part of a whole view, for those who begin.
    Checkpoint(CheckpointPart),
}

/// What others need to know of a life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Of its entry.
    pub name: NodeName,
    /// Where other entries dial it; `None`: they do not.
    pub link_address: Option<Arc<str>>,
    /// Versions of records that it reads.
    pub reads: Reads,
}

/// Versions of records that an entry reads: these two, and all between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reads {
    /// The first.
    pub oldest: u8,
    /// The last.
    pub newest: u8,
}

impl Reads {
    /// What this version reads.
    pub const HERE: Self = Self { oldest: VERSION, newest: VERSION };

    /// Whether it is one of them.
    #[must_use]
    pub const fn has(self, version: u8) -> bool {
        self.oldest <= version && version <= self.newest
    }
}

/// Who is called, of the callees of a registration (WAMP spec *Shared Registration*). Numbers are stored; never
/// reuse one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Invoke {
    /// There is one callee.
    #[default]
    Single = 0,
    /// One after the other.
    RoundRobin = 1,
    /// Any, alike.
    Random = 2,
    /// Who registered first.
    First = 3,
    /// Who registered last.
    Last = 4,
}

impl Invoke {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::Single, Self::RoundRobin, Self::Random, Self::First, Self::Last];
}

/// A session wants to be callee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// The writer's own, by which it knows it again.
    pub number: u64,
    /// The session: 1 to [`SESSION_MAX`].
    pub session: u64,
    /// Of what: exact, prefix or wildcard. Its realm is in the topic.
    pub pattern: TopicPattern,
    /// Who is called, if there are several.
    pub invoke: Invoke,
    /// Those who hold it lose it.
    pub is_forced: bool,
    /// The callee gives up calls itself when their time is over: entries of callers wait for what it says a little
    /// longer. As it was when the callee joined.
    pub keeps_timeouts: bool,
}

/// A callee leaves a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unregister {
    /// Of the registration; in the topic.
    pub realm: Arc<str>,
    /// The callee's: 1 to [`SESSION_MAX`].
    pub session: u64,
    /// The registration.
    pub registration: RegistrationId,
    /// Why.
    pub why: UnregisterWhy,
}

/// Why a callee leaves a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum UnregisterWhy {
    /// 0: it asked to.
    Asked,
    /// 1: a meta procedure took it out. It may be of any entry, and sessions of two may have one number: this
    /// is the life of its own.
    Removed(Life),
    /// 2: it was told before that it could not be registered.
    Refused,
}

/// A session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOver {
    /// Of the session; in the topic.
    pub realm: Arc<str>,
    /// The session: 1 to [`SESSION_MAX`].
    pub session: u64,
}

/// A life is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// It, and all lives of its owner before it.
    pub life: Life,
    /// Why.
    pub why: GoneWhy,
}

/// Why a life is over. Numbers are stored; never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GoneWhy {
    /// It stops, and says so itself.
    Stops = 0,
    /// Nobody hears it.
    NotHeard = 1,
    /// Its name is another's now.
    Renamed = 2,
}

impl GoneWhy {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Stops, Self::NotHeard, Self::Renamed];
}

/// A part of a whole view. All parts of a checkpoint have everything alike but their number and their state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointPart {
    /// The highest version of records that the view rests on: who does not read it cannot go on from here.
    pub version: u8,
    /// Everything up to here is in it, itself included: below the place of each part, and below
    /// [`POSITION_END`].
    pub as_of: Position,
    /// The view's time there, not above that of each part's stamp.
    pub time: WallTime,
    /// How many records the view has applied.
    pub records: u64,
    /// The view's chain there.
    pub chain: Digest,
    /// Which part, from 0.
    pub part: u32,
    /// How many there are.
    pub parts: u32,
    /// At most [`STATE_BYTES_MAX`].
    pub state: Bytes,
}
