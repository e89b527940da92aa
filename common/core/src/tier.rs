//! Tiers: the three kinds of nodes, and who of them knows what.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of node. The order is that of exposure, from the inside out: who has a secret of a tier
/// has those of all tiers after it as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tier {
    /// Votes; knows no client.
    Sync,
    /// Stores.
    Ndb,
    /// Faces the clients.
    Entry,
}

impl Tier {
    /// All of them, from the inside out.
    pub const ALL: [Self; 3] = [Self::Sync, Self::Ndb, Self::Entry];

    /// Label of metrics, and a part of names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Ndb => "ndb",
            Self::Entry => "entry",
        }
    }

    /// With its article.
    #[must_use]
    pub const fn one(self) -> &'static str {
        match self {
            Self::Sync => "a sync node",
            Self::Ndb => "an ndb node",
            Self::Entry => "an entry",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
