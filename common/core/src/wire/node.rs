//! What nodes of all tiers say of themselves.

use serde::{Deserialize, Serialize};

use super::{Misconduct, Nowhere};
use crate::time::WallTime;

/// What a node says of itself, whatever its tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeMessage {
    /// any → any, again and again, from the main loop of the sender: it lives, and has nothing else to
    /// say.
    Heartbeat,
    /// any → any, and nothing after it: the peer has said what was not its to say.
    LinkRefused {
        /// What it was.
        misconduct: Misconduct,
    },
    /// sync → any: the sender's disk has no room for votes, and it takes none of what it is sent. When
    /// there is room it ends the link: what is unresolved is said again on the next.
    SyncDiskFull,
    /// sync → any, every second: the time that the sender would stamp with now.
    SyncTime {
        /// Its wall time, or that of its clock, if it is later.
        time: WallTime,
        /// Stamps further ahead of its wall time it does not use.
        ahead_ms_max: u64,
    },
    /// ndb → any: whether the sender takes new segments; first on each link, and on each change.
    NdbStanding {
        /// What it can do.
        standing: NdbStanding,
    },
    /// ndb → any, on each change, and on a new link where there are any: what is at no node of the
    /// sender's group.
    NdbNowhere {
        /// What it says.
        nowhere: Nowhere,
    },
}

impl NodeMessage {
    /// A short constant name for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::LinkRefused { .. } => "link_refused",
            Self::SyncDiskFull => "sync_disk_full",
            Self::SyncTime { .. } => "sync_time",
            Self::NdbStanding { .. } => "ndb_standing",
            Self::NdbNowhere { .. } => "ndb_nowhere",
        }
    }
}

/// What is said of a node whose disk is full, whatever its tier.
pub const DISK_FULL: &str = "disk full";

/// Whether an ndb node takes new segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NdbStanding {
    /// It does.
    Willing,
    /// Its disk has no more than the reserve left. It serves what it has.
    DiskFull,
    /// It follows too few sync nodes to take part.
    NoFeeds,
    /// Its disk does not answer: what it is sent waits in memory.
    DiskStalled,
}

impl NdbStanding {
    /// Why it takes none; `None`: it does.
    #[must_use]
    pub const fn unable(self) -> Option<&'static str> {
        match self {
            Self::Willing => None,
            Self::DiskFull | Self::NoFeeds | Self::DiskStalled => Some(self.name()),
        }
    }

    /// Label of metrics, and a word for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Willing => "willing",
            Self::DiskFull => DISK_FULL,
            Self::NoFeeds => "too few sync nodes connected",
            Self::DiskStalled => "disk does not answer",
        }
    }
}
