//! Links: ordered, lossy-at-the-seams channels of messages between two nodes.
//!
//! A node reads one inbox. Every link of it, over WebSocket or memory, dialled or accepted, puts
//! [`LinkEvent`]s there: `Up`, then messages in order, then `Down`. What was sent on a link that
//! went down may or may not have arrived: on `Up` each side sends again what is unresolved.
//!
//! ```text
//!   node --LinkSender--> queue --writer task--> carrier --reader task--> inbox of the peer
//! ```
//! Queues are bounded in bytes. A link whose queue passes its bound is closed, not waited for: the
//! peer is dead or too slow, and comes back with a resend.

mod awaited;
mod dial;
mod links;
mod liveness;
mod memory;
mod misconduct;
mod owners;
mod queue;
mod refusals;
mod secrets;
mod socket;
mod unproven;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use vixen_core::id::{NdbId, SyncId};
use vixen_core::name::NodeName;
use vixen_core::roster::{Roster, unknown};
use vixen_core::tier::Tier;
use vixen_core::wire::{Message, PeerId, Refusal, Terms};

use crate::tls::Tls;

pub use awaited::Awaited;
pub use dial::{DialTarget, Dialling, dial, dial_while};
pub use links::{Change, Links};
pub use liveness::{BEAT_EVERY, CLOSE_AFTER, Due, Liveness, SILENT_AFTER};
pub use memory::{End, join};
pub use owners::Owners;
pub use queue::{Haste, LinkSender, SendError};
pub(crate) use refusals::RefusalLog;
pub use secrets::LinkSecrets;
pub use socket::link_router;
pub use vixen_core::wire::{Misconduct, judge};

/// One link of this process, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(u64);

impl LinkId {
    /// A number no other link of this process has.
    #[must_use]
    pub(crate) fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl std::fmt::Display for LinkId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "link{}", self.0)
    }
}

/// What a link tells its node.
#[derive(Debug)]
pub enum LinkEvent {
    /// HELLO succeeded both ways; `sender` works until `Down`.
    Up {
        /// The link.
        link: LinkId,
        /// Who is at the other end.
        peer: PeerId,
        /// What it is called.
        name: NodeName,
        /// The way to it.
        sender: LinkSender,
        /// Whether this node has dialled it.
        is_dialled: bool,
    },
    /// Messages of one frame, in order.
    Messages {
        /// The link.
        link: LinkId,
        /// Who sent them.
        peer: PeerId,
        /// At least one.
        messages: Vec<Message>,
    },
    /// A node cannot be dialled, or now for another reason than before.
    Failed {
        /// What it is called.
        name: NodeName,
        /// Why, where somebody answers there; `None`: nobody does.
        refusal: Option<String>,
    },
    /// The link is gone; nothing more comes from it.
    Down {
        /// The link.
        link: LinkId,
        /// Who was there.
        peer: PeerId,
        /// What it is called.
        name: NodeName,
        /// Why, for the log and the status page.
        reason: String,
    },
}

/// A link that is up, as its node remembers it.
#[derive(Clone, Debug)]
pub struct Linked {
    /// Who is at the other end.
    pub peer: PeerId,
    /// What it is called.
    pub name: NodeName,
    /// The way to it.
    pub sender: LinkSender,
}

/// The inbox of a node whose event type wraps link events.
pub type Inbox<E> = mpsc::Sender<E>;

/// Frames an inbox holds before readers stop reading their sockets.
pub const INBOX_FRAMES_MAX: usize = 256;

/// How this node presents itself, and whom it lets in.
#[derive(Clone)]
pub struct Identity {
    /// Cluster name.
    pub cluster: Arc<str>,
    /// What proves links.
    pub secrets: LinkSecrets,
    /// This node.
    pub peer: PeerId,
    /// What it is called.
    pub name: NodeName,
    /// What the others are called.
    pub roster: Roster,
    /// What it must have in common with them.
    pub terms: Terms,
    /// Most bytes waiting on one link.
    pub queue_bytes_max: usize,
    /// What links show and trust; `None`: they are not encrypted.
    pub tls: Option<Arc<Tls>>,
    /// Says whether a peer that proved the secret belongs here.
    pub admit: Arc<dyn Fn(&PeerId) -> bool + Send + Sync>,
    /// Which entry an owner id belongs to, on all links of this node.
    pub owners: Owners,
}

impl Identity {
    fn check_admission(&self, peer: &PeerId, name: &NodeName) -> Result<(), Refusal> {
        if matches!(self.peer, PeerId::Entry { .. }) && !matches!(peer, PeerId::Entry { .. }) {
            return Err(Refusal::EntriesAlone { by: self.name.clone() });
        }
        if !(self.admit)(peer) {
            return Err(unknown(&self.name, peer, name));
        }
        self.roster.check(&self.name, peer, name)
    }

    /// Whether a peer may have the owner id that it has, if it has one: from now on no other entry may.
    fn check_owner(&self, peer: &PeerId, name: &NodeName) -> Result<(), Refusal> {
        match (peer, &self.peer) {
            (PeerId::Entry { owner }, PeerId::Entry { owner: own }) if owner == own => {
                Err(Refusal::OwnerTaken { by: self.name.clone(), name: name.clone() })
            }
            (PeerId::Entry { owner }, _) if !self.owners.claim(*owner, name) => {
                Err(Refusal::OwnerTaken { by: self.name.clone(), name: name.clone() })
            }
            (PeerId::Entry { .. } | PeerId::Sync { .. } | PeerId::Ndb { .. }, _) => Ok(()),
        }
    }
}

/// Whom a dialler expects to find; the store id, or the owner id, is learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A sync node.
    Sync(SyncId),
    /// An ndb node.
    Ndb(NdbId),
    /// An entry, by what it is called.
    Entry(NodeName),
}

impl Expected {
    /// Whether `peer`, which is called `name`, is the one.
    #[must_use]
    pub fn is(&self, peer: &PeerId, name: &NodeName) -> bool {
        match (self, peer) {
            (Self::Sync(wanted), PeerId::Sync { id, .. }) => wanted == id,
            (Self::Ndb(wanted), PeerId::Ndb { id, .. }) => wanted == id,
            (Self::Entry(wanted), PeerId::Entry { .. }) => wanted == name,
            (Self::Sync(_) | Self::Ndb(_) | Self::Entry(_), _) => false,
        }
    }

    /// Its tier.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        match self {
            Self::Sync(_) => Tier::Sync,
            Self::Ndb(_) => Tier::Ndb,
            Self::Entry(_) => Tier::Entry,
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self, roster: &Roster) -> NodeName {
        match self {
            Self::Sync(id) => roster.sync(*id),
            Self::Ndb(id) => roster.ndb(*id),
            Self::Entry(name) => name.clone(),
        }
    }
}
