//! Peers: the other entries, and whether calls may go to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use vixen_core::id::OwnerId;

use super::limits::CallLimits;

/// An entry with a link.
#[derive(Debug)]
struct Peer {
    name: Arc<str>,
    is_silent: bool,
    is_ready: bool,
    is_draining: bool,
    waiting_bytes: usize,
}

/// Why calls do not go to an entry. The order is that of what a caller is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unreachable {
    /// This entry is about to stop, and so are its callees.
    Draining(Arc<str>),
    NotReady(Arc<str>),
    Silent(Arc<str>),
    LinkFull(Arc<str>),
    NoLink,
}

/// The entries with a link.
#[derive(Debug, Default)]
pub(super) struct Peers(BTreeMap<OwnerId, Peer>);

impl Peers {
    /// A new link; nothing goes to the entry before it has said where it stands.
    pub(super) fn up(&mut self, owner: OwnerId, name: Arc<str>) {
        let peer =
            Peer { name, is_silent: false, is_ready: false, is_draining: false, waiting_bytes: 0 };
        self.0.insert(owner, peer);
    }

    /// The link is gone. Returns the name of the entry, if there was one.
    pub(super) fn down(&mut self, owner: OwnerId) -> Option<Arc<str>> {
        self.0.remove(&owner).map(|peer| peer.name)
    }

    /// Returns whether it has become silent with this.
    pub(super) fn silent(&mut self, owner: OwnerId, is_silent: bool) -> bool {
        self.0.get_mut(&owner).is_some_and(|peer| {
            let was_silent = std::mem::replace(&mut peer.is_silent, is_silent);
            is_silent && !was_silent
        })
    }

    pub(super) fn standing(&mut self, owner: OwnerId, is_ready: bool, is_draining: bool) {
        if let Some(peer) = self.0.get_mut(&owner) {
            (peer.is_ready, peer.is_draining) = (is_ready, is_draining);
        }
    }

    /// What waits for the link, as its queue has it.
    pub(super) fn waiting(&mut self, owner: OwnerId, bytes: usize) {
        if let Some(peer) = self.0.get_mut(&owner) {
            peer.waiting_bytes = bytes;
        }
    }

    /// So much more waits for the link. Returns whether there is one.
    pub(super) fn add_waiting(&mut self, owner: OwnerId, bytes: usize) -> bool {
        self.0.get_mut(&owner).is_some_and(|peer| {
            peer.waiting_bytes = peer.waiting_bytes.saturating_add(bytes);
            true
        })
    }

    pub(super) fn waiting_bytes(&self, owner: OwnerId) -> usize {
        self.0.get(&owner).map_or(0, |peer| peer.waiting_bytes)
    }

    /// What people call the entry.
    pub(super) fn name(&self, owner: OwnerId) -> Arc<str> {
        self.0.get(&owner).map_or_else(|| "without a link".into(), |peer| Arc::clone(&peer.name))
    }

    /// Whether a call may go there.
    pub(super) fn is_reachable(&self, owner: OwnerId, limits: &CallLimits) -> bool {
        self.0.get(&owner).is_some_and(|peer| {
            let is_free = peer.waiting_bytes <= limits.link_busy_bytes();
            peer.is_ready && !peer.is_draining && !peer.is_silent && is_free
        })
    }

    /// Why no call may go there, where none may.
    pub(super) fn why_not(&self, owner: OwnerId, limits: &CallLimits) -> Option<Unreachable> {
        if self.is_reachable(owner, limits) {
            return None;
        }
        let Some(peer) = self.0.get(&owner) else { return Some(Unreachable::NoLink) };
        let name = Arc::clone(&peer.name);
        Some(if peer.is_silent {
            Unreachable::Silent(name)
        } else if peer.is_draining {
            Unreachable::Draining(name)
        } else if peer.is_ready {
            Unreachable::LinkFull(name)
        } else {
            Unreachable::NotReady(name)
        })
    }
}

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Draining(name) => write!(f, "entry {name} is about to stop"),
            Self::NotReady(name) => write!(f, "entry {name} is not ready for calls"),
            Self::Silent(name) => write!(f, "no word of entry {name} for 1.8 s"),
            Self::LinkFull(name) => {
                write!(f, "the link to entry {name} is full: limits.link-queue-bytes-max")
            }
            Self::NoLink => f.write_str("no link to the entry of the callee: link-address"),
        }
    }
}
