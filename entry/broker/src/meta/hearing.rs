//! Hearing: entries tell each other of their sessions and subscriptions, in realms where somebody hears of them.
//!
//! ```text
//!   listener --HearMeta--> teller --SessionsAre, SubscriptionsAre: First, More …, Last, and then Change …--> listener
//! ```
//! Source: `docs/design/027-calls.md` *Links between entries, dialect `call`*. Each entry makes the events of all for its
//! own subscribers. A list is what a listener had missed: it says nothing of what it finds in the first one, and on a
//! later one, of a new link, it says what has changed. Who has no room for a change begins with a list again.
//!
//! Invariants:
//! - N1: what is known of an entry is of realms that are heard here.
//! - N2: a session has left that had joined, once: by its entry's word, or when its entry is called gone.
//! - N3: what is known of others, and the realms in which they hear, have bounds.

mod known;
mod own;
mod telling;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vixen_core::id::OwnerId;
use vixen_core::time::WallTime;
use vixen_core::wire::{CallMessage, MetaHolders, MetaSession};

use crate::api::{SessionId, SubscriptionId};
use crate::dealer::Link;
use crate::delivery::Change;
use known::Known;
pub use own::OwnSide;
use telling::Telling;

/// Realms of which an entry hears of all others, at most; of further ones, of itself.
const REALMS_MAX: usize = 1024;
/// Sessions, and holders of subscriptions, that are known of one entry at most; of further ones nothing is told.
const KNOWN_MAX: usize = 1 << 20;

/// What this entry has.
pub trait Own {
    /// Sessions of a realm above this one, rising, so many at most.
    fn sessions_after(&self, realm: &str, after: u64, max: usize) -> Vec<MetaSession>;
    /// Who has subscriptions of a realm, above this subscription and session of it, so many at most; and the last one
    /// that was looked at, if there may be more.
    fn holders_after(
        &self,
        realm: &str,
        after: (u64, u64),
        max: usize,
    ) -> (Vec<MetaHolders>, Option<(u64, u64)>);
    /// Whether somebody here has a subscription.
    fn has_subscription(&self, realm: &str, subscription: u64) -> bool;
}

/// Everything that can happen.
#[derive(Debug)]
pub enum Input {
    /// These are the realms in which somebody here hears what the router says.
    Hears {
        /// All of them.
        realms: BTreeSet<Arc<str>>,
    },
    /// A new link to an entry; what was before it is over.
    LinkUp {
        /// The link.
        link: Link,
    },
    /// A link is gone.
    LinkDown {
        /// The link.
        link: Link,
        /// The order does not know the entry as living: nobody will say that it is gone.
        is_gone: bool,
    },
    /// The order says that an entry is gone, or goes on as another life.
    Gone {
        /// Which.
        owner: OwnerId,
    },
    /// An entry has said this on its link: `HearMeta`, `SessionsAre` or `SubscriptionsAre`.
    Heard {
        /// The link.
        link: Link,
        /// What.
        message: CallMessage,
    },
    /// A session of this entry has come, or gone.
    Session {
        /// Its realm.
        realm: Arc<str>,
        /// It.
        session: MetaSession,
        /// It has gone.
        is_over: bool,
    },
    /// A subscription of this entry has come or gone, or somebody who has it.
    Changed {
        /// When it was made.
        created: WallTime,
        /// What has changed.
        change: Change,
    },
}

/// What the driver owes after a step.
#[derive(Debug, Default)]
pub struct Effects {
    /// Words to other entries, in this order.
    pub sends: Vec<(Link, CallMessage)>,
    /// What is told to those who listen here.
    pub events: Vec<Event>,
    /// Realms in which other entries begin to hear of this one's subscriptions, or cease to.
    pub heard: Vec<(Arc<str>, bool)>,
    /// Links on which something came that no entry says. They are to be ended.
    pub misfits: Vec<Link>,
}

/// What has happened at another entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session has come.
    Joined(Arc<str>, MetaSession),
    /// A session has gone.
    Left(Arc<str>, MetaSession),
    /// Of a subscription, which was made then.
    Changed(WallTime, Change),
}

/// Another entry.
#[derive(Debug, Default)]
struct Peer {
    /// Number of its present link.
    link: Option<u64>,
    /// Where it hears, and what it was told.
    hears: BTreeMap<Arc<str>, Telling>,
    /// What it has, by realm.
    knows: BTreeMap<Arc<str>, Known>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Hearing {
    /// Realms in which somebody here hears.
    realms: BTreeSet<Arc<str>>,
    peers: BTreeMap<OwnerId, Peer>,
    /// Realms in which other entries hear, and how many.
    heard: BTreeMap<Arc<str>, usize>,
}

impl Peer {
    fn items(&self) -> usize {
        self.knows.values().map(Known::items).sum()
    }
}

impl Hearing {
    /// Advances by one input. Never blocks and never fails.
    pub fn step(&mut self, own: &impl Own, input: Input, fx: &mut Effects) {
        match input {
            Input::Hears { realms } => self.on_hears(realms, fx),
            Input::LinkUp { link } => self.on_up(link, fx),
            Input::LinkDown { link, is_gone } => self.on_down(own, link, is_gone, fx),
            Input::Gone { owner } => self.on_gone(own, owner, fx),
            Input::Heard { link, message } => self.on_heard(own, link, message, fx),
            Input::Session { realm, session, is_over } => {
                for peer in self.peers.values_mut() {
                    if let Some(telling) = peer.hears.get_mut(&realm) {
                        telling.session(&session, is_over);
                    }
                }
            }
            Input::Changed { created, change } => {
                for peer in self.peers.values_mut() {
                    if let Some(telling) = peer.hears.get_mut(change.realm()) {
                        telling.changed(created, &change);
                    }
                }
            }
        }
    }

    /// Tells others what is to be told, as far as their links have room: so many bytes.
    pub fn flush(&mut self, own: &impl Own, room: impl Fn(Link) -> usize, fx: &mut Effects) {
        for (owner, peer) in &mut self.peers {
            let Some(number) = peer.link else { continue };
            let link = Link { peer: *owner, number };
            let mut room = room(link);
            for (realm, telling) in &mut peer.hears {
                telling.flush(own, realm, &mut room, |message| fx.sends.push((link, message)));
            }
        }
    }

    /// Whether others have been told less than there is: [`flush`](Self::flush) has more to do.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        let mut all = self.peers.values().flat_map(|peer| peer.hears.values());
        all.any(Telling::is_behind)
    }

    /// Whether others are to be told changes.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        let mut all = self.peers.values().flat_map(|peer| peer.hears.values());
        all.any(Telling::has_changes)
    }

    /// Whether other entries hear of a realm.
    #[must_use]
    pub fn tells(&self, realm: &str) -> bool {
        self.heard.contains_key(realm)
    }

    /// Whether somebody at another entry has a subscription, as far as that is known.
    #[must_use]
    pub fn is_elsewhere(&self, realm: &str, subscription: SubscriptionId) -> bool {
        self.is_at_another(None, realm, subscription.0)
    }

    fn is_at_another(&self, than: Option<OwnerId>, realm: &str, subscription: u64) -> bool {
        let others = self.peers.iter().filter(|(owner, _)| Some(**owner) != than);
        let mut known = others.filter_map(|(_, peer)| peer.knows.get(realm));
        known.any(|known| known.has(subscription))
    }

    fn on_hears(&mut self, realms: BTreeSet<Arc<str>>, fx: &mut Effects) {
        let realms: BTreeSet<_> = realms.into_iter().take(REALMS_MAX).collect();
        let before = std::mem::replace(&mut self.realms, realms);
        let gone = before.difference(&self.realms).map(|realm| (realm, false));
        let new = self.realms.difference(&before).map(|realm| (realm, true));
        for (realm, is_heard) in gone.chain(new) {
            for (owner, peer) in &mut self.peers {
                if !is_heard {
                    peer.knows.remove(realm);
                }
                if let Some(number) = peer.link {
                    let link = Link { peer: *owner, number };
                    fx.sends.push((link, hear(realm, is_heard)));
                }
            }
        }
    }

    fn on_up(&mut self, link: Link, fx: &mut Effects) {
        let peer = self.peers.entry(link.peer).or_default();
        peer.link = Some(link.number);
        let heard = std::mem::take(&mut peer.hears);
        fx.sends.extend(self.realms.iter().map(|realm| (link, hear(realm, true))));
        heard.keys().for_each(|realm| self.unhear(realm, fx));
    }

    fn on_down(&mut self, own: &impl Own, link: Link, is_gone: bool, fx: &mut Effects) {
        let Some(peer) = self.peers.get_mut(&link.peer) else { return };
        if peer.link != Some(link.number) {
            return;
        }
        peer.link = None;
        let heard = std::mem::take(&mut peer.hears);
        heard.keys().for_each(|realm| self.unhear(realm, fx));
        if is_gone {
            self.on_gone(own, link.peer, fx);
        }
    }

    /// N2: all that it had is over. If it is there after all, it is asked what there is.
    fn on_gone(&mut self, own: &impl Own, owner: OwnerId, fx: &mut Effects) {
        let Some(peer) = self.peers.get_mut(&owner) else { return };
        let mut knows = std::mem::take(&mut peer.knows);
        match peer.link {
            Some(number) => {
                let link = Link { peer: owner, number };
                fx.sends.extend(knows.keys().map(|realm| (link, hear(realm, true))));
            }
            None => {
                self.peers.remove(&owner);
            }
        }
        for (realm, known) in &mut knows {
            known.clear(realm, |id| self.is_known(own, realm, id), &mut fx.events);
        }
        if let Some(peer) = self.peers.get_mut(&owner) {
            peer.knows = knows;
        }
    }

    /// Whether anybody has a subscription that another entry has lost.
    fn is_known(&self, own: &impl Own, realm: &str, subscription: u64) -> bool {
        own.has_subscription(realm, subscription) || self.is_at_another(None, realm, subscription)
    }

    fn on_heard(&mut self, own: &impl Own, link: Link, message: CallMessage, fx: &mut Effects) {
        let Some(peer) = self.peers.get_mut(&link.peer) else { return };
        if peer.link != Some(link.number) {
            return;
        }
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
                if !self.realms.contains(&realm) => {}
            CallMessage::SessionsAre { realm, part, are, over } => {
                let room = KNOWN_MAX.saturating_sub(peer.items());
                let known = peer.knows.entry(Arc::clone(&realm)).or_default();
                known.sessions_are(&realm, part, (are, over), room, &mut fx.events);
            }
            CallMessage::SubscriptionsAre { realm, part, are, over } => {
                let room = KNOWN_MAX.saturating_sub(peer.items());
                let mut known = peer.knows.remove(&realm).unwrap_or_default();
                let is_known = |id| self.is_known(own, &realm, id);
                known.subscriptions_are(&realm, part, (are, over), room, is_known, &mut fx.events);
                if let Some(peer) = self.peers.get_mut(&link.peer) {
                    peer.knows.insert(realm, known);
                }
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
        for peer in self.peers.values() {
            assert!(peer.knows.keys().all(|realm| self.realms.contains(realm)), "N1");
            assert!(peer.hears.len() <= REALMS_MAX && peer.items() <= KNOWN_MAX, "N3");
            assert!(peer.link.is_some() || peer.hears.is_empty(), "who has no link hears nothing");
            peer.hears.keys().for_each(|realm| *heard.entry(realm).or_default() += 1);
        }
        assert!(self.heard.iter().eq(heard.iter().map(|(realm, count)| (*realm, count))));
    }
}

fn hear(realm: &Arc<str>, is_heard: bool) -> CallMessage {
    CallMessage::HearMeta { realm: Arc::clone(realm), is_heard }
}

const fn session_id(session: u64) -> SessionId {
    SessionId(session)
}
