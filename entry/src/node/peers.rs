//! Peers: which nodes of one tier are linked.

use std::collections::BTreeMap;

use vixen_core::wire::{Dialect, Message};
use vixen_runtime::link::{Haste, LinkId, LinkSender};

/// The nodes of the configuration, each with its present link.
#[derive(Debug)]
pub(super) struct Peers<K> {
    all: BTreeMap<K, Peer>,
}

#[derive(Debug, Default)]
pub(super) struct Peer {
    link: Option<(LinkId, LinkSender)>,
    /// Nothing comes on it.
    pub(super) is_silent: bool,
    /// Why the last link ended.
    pub(super) last_down: Option<String>,
}

impl Peer {
    pub(super) const fn is_up(&self) -> bool {
        self.link.is_some()
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.link.as_ref().map_or(0, |(_, sender)| sender.waiting_bytes())
    }
}

impl<K: Ord + Copy> Peers<K> {
    pub(super) fn new(ids: impl IntoIterator<Item = K>) -> Self {
        Self { all: ids.into_iter().map(|id| (id, Peer::default())).collect() }
    }

    /// Takes a new link. `false` when the node is not of the configuration.
    pub(super) fn up(&mut self, id: K, link: LinkId, sender: LinkSender) -> bool {
        let Some(peer) = self.all.get_mut(&id) else {
            sender.close("this node is not in the entry's configuration");
            return false;
        };
        peer.is_silent = false;
        if let Some((_, old)) = peer.link.replace((link, sender)) {
            old.close("replaced by a newer link");
        }
        true
    }

    /// Takes the end of a link. `false` when it was not the present one.
    pub(super) fn down(&mut self, id: K, link: LinkId, reason: String) -> bool {
        let Some(peer) = self.all.get_mut(&id).filter(|peer| peer.is_at(link)) else {
            return false;
        };
        peer.link = None;
        peer.is_silent = false;
        peer.last_down = Some(reason);
        true
    }

    /// Whether `link` is the present link of the node.
    pub(super) fn is_current(&self, id: K, link: LinkId) -> bool {
        self.all.get(&id).is_some_and(|peer| peer.is_at(link))
    }

    /// Nothing comes on a link any more, or something comes again. `false` when it was not the present
    /// one.
    pub(super) fn fall_silent(&mut self, id: K, link: LinkId, is_silent: bool) -> bool {
        let Some(peer) = self.all.get_mut(&id).filter(|peer| peer.is_at(link)) else {
            return false;
        };
        peer.is_silent = is_silent;
        true
    }

    /// Sends, if the node is linked. What a broken link loses is sent again on the next.
    pub(super) fn send(&self, id: K, message: Message) {
        if let Some((_, sender)) = self.all.get(&id).and_then(|peer| peer.link.as_ref()) {
            let _down_follows = sender.send(message);
        }
    }

    /// The same of all messages of a turn, in one frame.
    pub(super) fn send_all(&self, id: K, messages: Vec<Message>) {
        if let Some((_, sender)) = self.all.get(&id).and_then(|peer| peer.link.as_ref()) {
            let messages = messages.into_iter().map(|message| (message, Haste::Now));
            let _down_follows = sender.send_all(messages);
        }
    }

    /// Sends to all linked nodes that understand what a version of a dialect has brought, in one frame.
    pub(super) fn send_to_all(&self, (dialect, version): (Dialect, u16), messages: &[Message]) {
        let senders = self.all.values().filter_map(|peer| peer.link.as_ref());
        for (_, sender) in senders.filter(|(_, sender)| sender.speaks(dialect, version)) {
            let messages = messages.iter().map(|message| (message.clone(), Haste::Now));
            let _down_follows = sender.send_all(messages);
        }
    }

    /// The linked nodes.
    pub(super) fn linked(&self) -> impl Iterator<Item = K> {
        self.all.iter().filter(|(_, peer)| peer.is_up()).map(|(id, _)| *id)
    }

    /// The linked nodes that are heard.
    pub(super) fn heard(&self) -> impl Iterator<Item = K> {
        let heard = self.all.iter().filter(|(_, peer)| peer.is_up() && !peer.is_silent);
        heard.map(|(id, _)| *id)
    }

    /// The linked nodes that are not heard.
    pub(super) fn silent(&self) -> impl Iterator<Item = K> {
        self.all.iter().filter(|(_, peer)| peer.is_up() && peer.is_silent).map(|(id, _)| *id)
    }

    /// All nodes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Peer)> {
        self.all.iter()
    }
}

impl Peer {
    fn is_at(&self, link: LinkId) -> bool {
        self.link.as_ref().is_some_and(|(current, _)| *current == link)
    }
}
