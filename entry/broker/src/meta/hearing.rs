//! Hearing: entries tell each other of their sessions and subscriptions, in realms where somebody hears of them.
//!
//! ```text
//!   listener --HearMeta--> teller --SessionsAre, SubscriptionsAre: First, More …, Last, and then Change …--> listener
//! ```
//! Source: `docs/design/027-calls.md` *Links between entries, dialect `call`*. Each entry makes the events of all for its
//! own subscribers. A list is what a listener had missed: it says nothing of what it finds in the first one, and on a
//! later one, of a new link, it says what has changed. What has come since the question is a change behind the list. Who
//! has no room for a change begins with a list again.
//!
//! An entry that is heard, on a link that is not silent, is believed whatever the order says of it. One that is not, and
//! that the order does not know as living, is gone: its sessions have left. That, and what lists have brought, is told
//! some at a time ([`Hearing::tell`]), as a burst would be lost to those who listen.
//!
//! Invariants:
//! - N1: what is known of an entry is of realms that are heard here.
//! - N2: a session has left that had joined, once: by its entry's word, or when that is gone.
//! - N3: what is known of others, and the realms in which they hear, have bounds.

mod io;
mod known;
mod own;
mod telling;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use vixen_core::id::OwnerId;
use vixen_core::wire::CallMessage;

use crate::api::SubscriptionId;
use crate::dealer::Link;
pub use io::{Effects, Event, Input, Own};
use known::Known;
pub use own::OwnSide;
use telling::Telling;

/// Realms of which an entry hears of all others, at most: those that were heard first. Of further ones, of itself.
const REALMS_MAX: usize = 1024;
/// What is kept of what one entry has told, at most; of what is beyond it nothing is told.
const KNOWN_BYTES_MAX: usize = 128 << 20;
/// Entries without a link that are remembered, at most: those of whom nothing is known are forgotten first, and of them
/// those whose links have ended first.
const UNLINKED_MAX: usize = 256;

/// Another entry.
#[derive(Debug, Default)]
struct Peer {
    /// Number of its present link.
    link: Option<u64>,
    /// Nothing comes on that.
    is_silent: bool,
    /// It was gone while its link was silent: what it says of changes is of what is not known any more.
    is_forgotten: bool,
    /// It had nobody then, or before: what it has in realms that were heard by then has come since.
    empty_at: Option<u64>,
    /// Where it hears, and what it was told.
    hears: BTreeMap<Arc<str>, Telling>,
    /// Of these, that of which it was told last.
    served: Option<Arc<str>>,
    /// What it has, by realm.
    knows: BTreeMap<Arc<str>, Known>,
    /// Of all that is known.
    bytes: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Hearing {
    /// Counts what comes before what.
    moment: u64,
    /// Realms in which somebody here hears, and since when.
    realms: BTreeMap<Arc<str>, u64>,
    /// So many more there are, of which others are not told.
    realms_left_out: usize,
    peers: BTreeMap<OwnerId, Peer>,
    /// Those without a link, in the order in which they have lost it.
    unlinked: VecDeque<OwnerId>,
    /// Those that are not heard, and of which something is known.
    unheard: BTreeSet<OwnerId>,
    /// What lists have brought, and is still to be told.
    untold: BTreeSet<(OwnerId, Arc<str>)>,
    /// Who was told less than there is.
    behind: BTreeSet<(OwnerId, Arc<str>)>,
    /// Realms in which other entries hear, and how many.
    heard: BTreeMap<Arc<str>, usize>,
}

impl Hearing {
    /// Advances by one input. Never blocks and never fails.
    pub fn step(&mut self, own: &impl Own, input: Input, fx: &mut Effects) {
        match input {
            Input::Hears { realms } => self.on_hears(realms, fx),
            Input::Began { owner } => self.on_began(own, owner, fx),
            Input::LinkUp { link } => self.on_up(link, fx),
            Input::LinkDown { link } => self.on_down(own, link, fx),
            Input::LinkSilent { link, is_silent } => self.on_silent(link, is_silent, fx),
            Input::Heard { link, message } => self.on_heard(own, link, message, fx),
            Input::Session { realm, session, is_over } => {
                self.tell_others(&realm, |telling| telling.session(&session, is_over));
            }
            Input::Changed { created, change } => {
                self.tell_others(change.realm(), |telling| telling.changed(created, &change));
            }
        }
    }

    fn tell_others(&mut self, realm: &Arc<str>, change: impl Fn(&mut Telling)) {
        if !self.heard.contains_key(realm) {
            return;
        }
        for (owner, peer) in &mut self.peers {
            let Some(telling) = peer.hears.get_mut(realm) else { continue };
            change(telling);
            if telling.has_changes() {
                self.behind.insert((*owner, Arc::clone(realm)));
            }
        }
    }

    /// Tells others what is to be told, as far as their links have room: so many bytes. No part of a list goes where
    /// there are less than `least`, and none is larger than the room, unless one item is.
    pub fn flush(
        &mut self,
        own: &impl Own,
        least: usize,
        room: impl Fn(Link) -> usize,
        fx: &mut Effects,
    ) {
        let mut behind: BTreeMap<OwnerId, Vec<Arc<str>>> = BTreeMap::new();
        for (owner, realm) in std::mem::take(&mut self.behind) {
            behind.entry(owner).or_default().push(realm);
        }
        for (owner, mut realms) in behind {
            let Some(peer) = self.peers.get_mut(&owner) else { continue };
            let Some(link) = link_of(owner, peer) else { continue };
            let mut left = room(link);
            // Each in its turn: there may be room for a few.
            let served = peer.served.as_ref();
            let next = realms.partition_point(|realm| served.is_some_and(|last| realm <= last));
            realms.rotate_left(next);
            for realm in realms {
                let Some(telling) = peer.hears.get_mut(&realm) else { continue };
                let before = fx.sends.len();
                let room = (&mut left, least);
                telling.flush(own, &realm, room, |message| fx.sends.push((link, message)));
                if fx.sends.len() > before {
                    peer.served = Some(Arc::clone(&realm));
                }
                if telling.is_behind() {
                    self.behind.insert((owner, realm));
                }
            }
        }
    }

    /// Tells those who listen here some of what is still to be told: about `max` events at most. `is_gone`: whether an
    /// entry that is not heard is gone.
    pub fn tell(
        &mut self,
        own: &impl Own,
        max: usize,
        is_gone: impl Fn(OwnerId) -> bool,
        fx: &mut Effects,
    ) {
        let mut left = max;
        let gone = self.unheard.iter().copied().filter(|owner| is_gone(*owner));
        for owner in gone.collect::<Vec<_>>() {
            self.forget(own, owner, &mut left, fx);
        }
        while left > 0
            && let Some((owner, realm)) = self.untold.first().cloned()
        {
            let mut known = self.take(owner, &realm);
            let is_known = |id| self.is_known(own, &realm, id);
            known.tell(&realm, &mut left, is_known, &mut fx.events);
            self.put(owner, realm, known);
        }
    }

    /// Whether [`tell`](Self::tell) has something to tell.
    #[must_use]
    pub fn has_untold(&self, is_gone: impl Fn(OwnerId) -> bool) -> bool {
        !self.untold.is_empty() || self.unheard.iter().copied().any(is_gone)
    }

    /// Whether others have been told less than there is: [`flush`](Self::flush) has more to do.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Realms in which somebody here hears of this entry alone: there are too many.
    #[must_use]
    pub const fn realms_left_out(&self) -> usize {
        self.realms_left_out
    }

    /// Whether other entries hear of a realm.
    #[must_use]
    pub fn tells(&self, realm: &str) -> bool {
        self.heard.contains_key(realm)
    }

    /// Whether somebody at another entry has a subscription, as far as those who listen here were told.
    #[must_use]
    pub fn is_elsewhere(&self, realm: &str, subscription: SubscriptionId) -> bool {
        let mut known = self.peers.values().filter_map(|peer| peer.knows.get(realm));
        known.any(|known| known.has(subscription.0))
    }

    /// Whether anybody has a subscription that another entry has, or has lost.
    fn is_known(&self, own: &impl Own, realm: &str, subscription: u64) -> bool {
        own.has_subscription(realm, subscription)
            || self.is_elsewhere(realm, SubscriptionId(subscription))
    }

    /// N3: those that are heard stay, and of new ones there are as many as there is room for.
    fn on_hears(&mut self, realms: BTreeSet<Arc<str>>, fx: &mut Effects) {
        let gone = self.realms.keys().filter(|realm| !realms.contains(*realm));
        let gone: Vec<_> = gone.cloned().collect();
        let new = realms.into_iter().filter(|realm| !self.realms.contains_key(realm));
        let mut new: Vec<_> = new.collect();
        let room = REALMS_MAX - (self.realms.len() - gone.len());
        self.realms_left_out = new.len().saturating_sub(room);
        new.truncate(room);
        self.moment += 1;
        for realm in &gone {
            self.realms.remove(realm);
            for owner in self.peers.keys().copied().collect::<Vec<_>>() {
                let _forgotten = self.take(owner, realm);
                self.untold.remove(&(owner, Arc::clone(realm)));
            }
        }
        self.realms.extend(new.iter().map(|realm| (Arc::clone(realm), self.moment)));
        let all = gone.iter().map(|realm| (realm, false)).chain(new.iter().map(|new| (new, true)));
        for (realm, is_heard) in all {
            let links = self.peers.iter().filter_map(|(owner, peer)| link_of(*owner, peer));
            fx.sends.extend(links.map(|link| (link, hear(realm, is_heard))));
        }
    }

    fn on_began(&mut self, own: &impl Own, owner: OwnerId, fx: &mut Effects) {
        self.moment += 1;
        let is_new = !self.peers.contains_key(&owner);
        let peer = self.peers.entry(owner).or_default();
        peer.empty_at.get_or_insert(self.moment);
        // Its lists have come by a link, before the order has said that it begins.
        for realm in peer.knows.keys().cloned().collect::<Vec<_>>() {
            let mut known = self.take(owner, &realm);
            known.begun();
            self.put(owner, realm, known);
        }
        if is_new {
            self.unlinked(own, owner, fx);
        }
    }

    fn on_up(&mut self, link: Link, fx: &mut Effects) {
        let peer = self.peers.entry(link.peer).or_default();
        peer.link = Some(link.number);
        (peer.is_silent, peer.is_forgotten) = (false, false);
        let heard = std::mem::take(&mut peer.hears);
        self.unheard.remove(&link.peer);
        self.unlinked.retain(|owner| *owner != link.peer);
        fx.sends.extend(self.realms.keys().map(|realm| (link, hear(realm, true))));
        heard.keys().for_each(|realm| self.unhear(realm, fx));
    }

    fn on_down(&mut self, own: &impl Own, link: Link, fx: &mut Effects) {
        let Some(peer) = self.present(link) else { return };
        peer.link = None;
        let heard = std::mem::take(&mut peer.hears);
        self.unheard.insert(link.peer);
        heard.keys().for_each(|realm| self.unhear(realm, fx));
        self.unlinked(own, link.peer, fx);
    }

    fn on_silent(&mut self, link: Link, is_silent: bool, fx: &mut Effects) {
        let Some(peer) = self.present(link) else { return };
        peer.is_silent = is_silent;
        let is_forgotten = !is_silent && std::mem::take(&mut peer.is_forgotten);
        if is_silent {
            self.unheard.insert(link.peer);
            return;
        }
        self.unheard.remove(&link.peer);
        if is_forgotten {
            // It is there after all, and says who is.
            fx.sends.extend(self.realms.keys().map(|realm| (link, hear(realm, true))));
        }
    }

    /// N3: an entry has no link. One that is forgotten for it is told as gone, if something is known of it.
    fn unlinked(&mut self, own: &impl Own, owner: OwnerId, fx: &mut Effects) {
        self.unlinked.push_back(owner);
        if self.unlinked.len() <= UNLINKED_MAX {
            return;
        }
        let is_blank = |owner: &OwnerId| self.peers.get(owner).is_none_or(|peer| peer.bytes == 0);
        let first = self.unlinked.iter().position(is_blank).unwrap_or(0);
        if let Some(first) = self.unlinked.remove(first) {
            let mut left = usize::MAX;
            self.forget(own, first, &mut left, fx);
            self.peers.remove(&first);
        }
    }

    /// N2: what an entry had is over; as much of it as is left.
    fn forget(&mut self, own: &impl Own, owner: OwnerId, left: &mut usize, fx: &mut Effects) {
        self.moment += 1;
        let Some(peer) = self.peers.get_mut(&owner) else { return };
        peer.empty_at = Some(self.moment);
        peer.is_forgotten = peer.link.is_some();
        for realm in peer.knows.keys().cloned().collect::<Vec<_>>() {
            let mut known = self.take(owner, &realm);
            let is_known = |id| self.is_known(own, &realm, id);
            known.forget(&realm, left, is_known, &mut fx.events);
            if known.bytes() > 0 {
                // The rest is for the next time.
                return self.put(owner, realm, known);
            }
            self.untold.remove(&(owner, realm));
        }
        self.unheard.remove(&owner);
    }

    fn on_heard(&mut self, own: &impl Own, link: Link, message: CallMessage, fx: &mut Effects) {
        let Some(peer) = self.present(link) else { return };
        match message {
            CallMessage::HearMeta { realm, is_heard: false } => {
                if peer.hears.remove(&realm).is_some() {
                    self.unhear(&realm, fx);
                }
            }
            CallMessage::HearMeta { realm, is_heard: true } => {
                // N3.
                if peer.hears.len() >= REALMS_MAX && !peer.hears.contains_key(&realm) {
                    return fx.misfits.push(link);
                }
                // Again: it has forgotten what it was told.
                let before = peer.hears.insert(Arc::clone(&realm), Telling::default());
                self.behind.insert((link.peer, Arc::clone(&realm)));
                if before.is_none() {
                    let heard = self.heard.entry(Arc::clone(&realm)).or_default();
                    *heard += 1;
                    if *heard == 1 {
                        fx.heard.push((realm, true));
                    }
                }
            }
            // Nobody here hears of it any more.
            CallMessage::SessionsAre { realm, .. }
            | CallMessage::SubscriptionsAre { realm, .. }
                if !self.realms.contains_key(&realm) => {}
            CallMessage::SessionsAre { realm, part, are, over } => {
                let mut known = self.take(link.peer, &realm);
                let room = self.room_of(link.peer);
                known.sessions_are(&realm, part, (are, over), room, fx);
                self.put(link.peer, realm, known);
            }
            CallMessage::SubscriptionsAre { realm, part, are, over } => {
                let mut known = self.take(link.peer, &realm);
                let room = self.room_of(link.peer);
                let is_known = |id| self.is_known(own, &realm, id);
                known.subscriptions_are(&realm, part, (are, over), room, is_known, fx);
                self.put(link.peer, realm, known);
            }
            CallMessage::CallStanding { .. }
            | CallMessage::Invoke { .. }
            | CallMessage::InvokeMore { .. }
            | CallMessage::RefuseInvoke { .. }
            | CallMessage::Answer { .. }
            | CallMessage::CancelInvoke { .. }
            | CallMessage::AskMeta { .. }
            | CallMessage::MetaAnswer { .. } => {}
        }
    }

    /// The entry of a link, if that is its present one.
    fn present(&mut self, link: Link) -> Option<&mut Peer> {
        self.peers.get_mut(&link.peer).filter(|peer| peer.link == Some(link.number))
    }

    /// Takes what is known of an entry in a realm, for [`put`](Self::put).
    fn take(&mut self, owner: OwnerId, realm: &Arc<str>) -> Known {
        let Some(peer) = self.peers.get_mut(&owner) else { return Known::default() };
        if let Some(known) = peer.knows.remove(realm) {
            peer.bytes -= known.bytes();
            return known;
        }
        let heard_at = self.realms.get(realm).copied();
        let is_told = heard_at.zip(peer.empty_at).is_some_and(|(heard, empty)| heard < empty);
        Known::new(is_told)
    }

    fn put(&mut self, owner: OwnerId, realm: Arc<str>, known: Known) {
        let of = (owner, Arc::clone(&realm));
        self.untold.remove(&of);
        let Some(peer) = self.peers.get_mut(&owner) else { return };
        if known.has_untold() {
            self.untold.insert(of);
        }
        peer.bytes += known.bytes();
        peer.knows.insert(realm, known);
    }

    /// N3: so many bytes of an entry may be known beside those of what is taken.
    fn room_of(&self, owner: OwnerId) -> usize {
        let bytes = self.peers.get(&owner).map_or(0, |peer| peer.bytes);
        KNOWN_BYTES_MAX.saturating_sub(bytes)
    }

    /// An entry hears of a realm no more.
    fn unhear(&mut self, realm: &Arc<str>, fx: &mut Effects) {
        let Some(heard) = self.heard.get_mut(realm) else { return };
        *heard -= 1;
        if *heard == 0 {
            self.heard.remove(realm);
            fx.heard.push((Arc::clone(realm), false));
        }
    }

    /// Asserts the invariants; walks everything.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn check(&self) {
        let mut heard: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        let mut untold = BTreeSet::new();
        for (owner, peer) in &self.peers {
            assert!(peer.knows.keys().all(|realm| self.realms.contains_key(realm)), "N1");
            assert!(peer.hears.len() <= REALMS_MAX && peer.bytes <= KNOWN_BYTES_MAX, "N3");
            let bytes = peer.knows.values().map(Known::counted).sum::<usize>();
            assert_eq!(peer.bytes, bytes, "N3: what is known is counted");
            assert!(peer.link.is_some() || peer.hears.is_empty(), "who has no link hears nothing");
            assert_eq!(peer.link.is_none(), self.unlinked.contains(owner));
            let is_heard = peer.link.is_some() && !peer.is_silent;
            assert!(!is_heard || !self.unheard.contains(owner));
            assert!(is_heard || peer.bytes == 0 || self.unheard.contains(owner), "N2: it may go");
            peer.hears.keys().for_each(|realm| *heard.entry(realm).or_default() += 1);
            let of_peer = peer.knows.iter().filter(|(_, known)| known.has_untold());
            untold.extend(of_peer.map(|(realm, _)| (*owner, Arc::clone(realm))));
            let behind = peer.hears.iter().filter(|(_, telling)| telling.is_behind());
            for (realm, _) in behind {
                assert!(self.behind.contains(&(*owner, Arc::clone(realm))), "it would wait");
            }
        }
        assert!(self.unlinked.len() <= UNLINKED_MAX && self.realms.len() <= REALMS_MAX, "N3");
        assert_eq!(self.untold, untold);
        assert!(self.heard.iter().eq(heard.iter().map(|(realm, count)| (*realm, count))));
    }
}

fn link_of(owner: OwnerId, peer: &Peer) -> Option<Link> {
    peer.link.map(|number| Link { peer: owner, number })
}

fn hear(realm: &Arc<str>, is_heard: bool) -> CallMessage {
    CallMessage::HearMeta { realm: Arc::clone(realm), is_heard }
}
