//! Lives: for how long an entry is what others take it for.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::OwnerId;

/// A life of an entry: what its registrations, wills and waiters hang on. One that was called gone begins the next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Life {
    /// The entry, as on its links.
    pub owner: OwnerId,
    /// From 1; rises with each life of it.
    pub number: u32,
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.number)
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
