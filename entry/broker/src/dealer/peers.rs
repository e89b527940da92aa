//! Peers: the other entries, and whether calls may go to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use vixen_core::id::OwnerId;

use super::io::Link;
use super::limits::CallLimits;
use super::needs::Needs;

/// An entry with a link.
#[derive(Debug)]
struct Peer {
    /// Of its link.
    number: u64,
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
    NoLink(Arc<str>),
}

/// The entries with a link.
#[derive(Debug, Default)]
pub(super) struct Peers(BTreeMap<OwnerId, Peer>);

impl Peers {
    /// The link to the same entry that this one takes the place of.
    pub(super) fn before(&self, link: Link) -> Option<Link> {
        let number = self.0.get(&link.peer)?.number;
        (number < link.number).then_some(Link { peer: link.peer, number })
    }

    /// A new link; nothing goes to the entry before it has said where it stands. One from before changes nothing.
    pub(super) fn up(&mut self, link: Link, name: Arc<str>) {
        self.0.entry(link.peer).or_insert(Peer {
            number: link.number,
            name,
            is_silent: false,
            is_ready: false,
            is_draining: false,
            waiting_bytes: 0,
        });
    }

    /// The link is gone. Returns the name of the entry, if it was the one to it.
    pub(super) fn down(&mut self, link: Link) -> Option<Arc<str>> {
        if self.is_current(link) { self.0.remove(&link.peer).map(|peer| peer.name) } else { None }
    }

    /// Whether this is the link to its entry, and none that was before.
    pub(super) fn is_current(&self, link: Link) -> bool {
        self.0.get(&link.peer).is_some_and(|peer| peer.number == link.number)
    }

    fn of(&mut self, link: Link) -> Option<&mut Peer> {
        self.0.get_mut(&link.peer).filter(|peer| peer.number == link.number)
    }

    /// Returns whether it has become silent with this.
    pub(super) fn silent(&mut self, link: Link, is_silent: bool) -> bool {
        self.of(link).is_some_and(|peer| {
            let was_silent = std::mem::replace(&mut peer.is_silent, is_silent);
            is_silent && !was_silent
        })
    }

    pub(super) fn standing(&mut self, link: Link, is_ready: bool, is_draining: bool) {
        if let Some(peer) = self.of(link) {
            (peer.is_ready, peer.is_draining) = (is_ready, is_draining);
        }
    }

    /// What waits for the link, as its queue has it.
    pub(super) fn waiting(&mut self, link: Link, bytes: usize) {
        if let Some(peer) = self.of(link) {
            peer.waiting_bytes = bytes;
        }
    }

    /// So much more waits for the link to an entry. Returns the link, if there is one.
    pub(super) fn add_waiting(&mut self, owner: OwnerId, bytes: usize) -> Option<Link> {
        let peer = self.0.get_mut(&owner)?;
        peer.waiting_bytes = peer.waiting_bytes.saturating_add(bytes);
        Some(Link { peer: owner, number: peer.number })
    }

    pub(super) fn waiting_bytes(&self, owner: OwnerId) -> usize {
        self.0.get(&owner).map_or(0, |peer| peer.waiting_bytes)
    }

    /// What people call the entry, if it is linked.
    pub(super) fn name(&self, owner: OwnerId) -> Option<Arc<str>> {
        self.0.get(&owner).map(|peer| Arc::clone(&peer.name))
    }

    /// Why no call of so much may go there, of which the name of the entry is a part; `None`: it may.
    pub(super) fn why_not(
        &self,
        owner: OwnerId,
        load: Load,
        limits: &CallLimits,
    ) -> Option<fn(Arc<str>) -> Unreachable> {
        let Some(peer) = self.0.get(&owner) else { return Some(Unreachable::NoLink) };
        // Others wait for a decision with all that they say: it does not wait behind their calls.
        let busy_bytes =
            if load.is_of_entry { limits.link_full_bytes() } else { limits.link_busy_bytes() };
        let is_busy = peer.waiting_bytes > busy_bytes;
        // One word goes over an empty link however large it is.
        let fits = peer.waiting_bytes.saturating_add(load.bytes) <= limits.link_full_bytes()
            || (peer.waiting_bytes == 0 && load.words == 1);
        if peer.is_silent {
            Some(Unreachable::Silent)
        } else if peer.is_draining {
            Some(Unreachable::Draining)
        } else if !peer.is_ready {
            Some(Unreachable::NotReady)
        } else if is_busy || !fits {
            Some(Unreachable::LinkFull)
        } else {
            None
        }
    }
}

/// What a call has to bring to a callee, over a link or not, and what that has to have announced for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) words: usize,
    pub(super) bytes: usize,
    /// The entry itself calls.
    pub(super) is_of_entry: bool,
    pub(super) needs: Needs,
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
            Self::NoLink(name) => {
                write!(f, "no link to entry {name}: one of both needs a link-address")
            }
        }
    }
}
