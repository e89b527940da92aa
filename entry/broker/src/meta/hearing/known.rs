//! What is known of another entry's sessions and subscriptions in one realm.
//!
//! What a list brings and leaves out is known at once, and told later, some at a time: of a session that has come and
//! gone before that, nothing is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vixen_core::segment::TopicPattern;
use vixen_core::wire::{MetaHolders, MetaPart, MetaSession, MetaSubscription};

use super::{Effects, Event};
use crate::api::{SessionId, SubscriptionId};
use crate::delivery::Change;

/// What an item takes beside its texts, about: its places in maps.
const ITEM_BYTES: usize = 64;

/// How far lists have come, and what of them is still to be told.
#[derive(Debug)]
struct Listing<K> {
    /// It had nobody once, or there was a whole list before: what has come since is told.
    is_told: bool,
    /// What a list that is not whole yet has named, of what is known. `None`: no list is under way.
    named: Option<BTreeSet<K>>,
    /// Known, and to be told.
    new: BTreeSet<K>,
    /// Known still, and over.
    over: BTreeSet<K>,
    /// Known by a first list: nobody was told.
    quiet: BTreeSet<K>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known {
    sessions: BTreeMap<u64, MetaSession>,
    subscriptions: BTreeMap<u64, Held>,
    bytes: usize,
    of_sessions: Listing<u64>,
    of_subscriptions: Listing<(u64, u64)>,
}

#[derive(Debug)]
struct Held {
    of: MetaSubscription,
    sessions: BTreeSet<u64>,
    /// So many of them nobody was told of.
    untold: usize,
}

impl<K> Default for Listing<K> {
    fn default() -> Self {
        let none = BTreeSet::new;
        Self { is_told: false, named: None, new: none(), over: none(), quiet: none() }
    }
}

impl<K: Ord + Copy> Listing<K> {
    fn begin(&mut self, part: MetaPart) {
        match part {
            MetaPart::First => self.named = Some(BTreeSet::new()),
            MetaPart::More | MetaPart::Last | MetaPart::Change => {}
        }
    }

    /// A list has brought it.
    fn listed(&mut self, key: K) {
        let known = if self.is_told { &mut self.new } else { &mut self.quiet };
        known.insert(key);
    }

    /// It had nobody before: what it has is told, and what it had already said. Returns the latter.
    fn begun(&mut self) -> BTreeSet<K> {
        self.is_told = true;
        std::mem::take(&mut self.quiet)
    }

    /// It is there, and known.
    fn is(&mut self, key: K) {
        self.over.remove(&key);
        if let Some(named) = &mut self.named {
            named.insert(key);
        }
    }

    /// It is not there any more. Returns whether nobody was told that it was.
    fn is_over(&mut self, key: K) -> bool {
        if let Some(named) = &mut self.named {
            named.remove(&key);
        }
        self.over.remove(&key);
        self.quiet.remove(&key);
        self.new.remove(&key)
    }

    /// A part has come. What a whole list has not named is over.
    fn end(&mut self, part: MetaPart, known: impl Iterator<Item = K>) {
        match part {
            MetaPart::Last => {
                let Some(named) = self.named.take() else { return };
                self.is_told = true;
                self.over = known.filter(|key| !named.contains(key)).collect();
            }
            MetaPart::First | MetaPart::More | MetaPart::Change => {}
        }
    }

    /// All of it is over.
    fn forget(&mut self) {
        (self.is_told, self.named) = (true, None);
        self.quiet.clear();
    }

    fn has_untold(&self) -> bool {
        !self.new.is_empty() || !self.over.is_empty()
    }
}

impl Held {
    fn is_told(&self) -> bool {
        self.sessions.len() > self.untold
    }

    fn bytes(of: &MetaSubscription) -> usize {
        ITEM_BYTES + size_of::<Self>() + of.uri.len()
    }
}

impl Known {
    /// Of an entry that had nobody, if what it has is told.
    pub(super) fn new(is_told: bool) -> Self {
        let mut known = Self::default();
        known.of_sessions.is_told = is_told;
        known.of_subscriptions.is_told = is_told;
        known
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same, counted.
    pub(super) fn counted(&self) -> usize {
        let sessions = self.sessions.values().map(session_bytes).sum::<usize>();
        let holders = self.subscriptions.values();
        let holders = holders.map(|held| Held::bytes(&held.of) + ITEM_BYTES * held.sessions.len());
        sessions + holders.sum::<usize>()
    }

    /// Sessions that a list has named which is under way.
    #[cfg(test)]
    pub(super) fn named_by_lists(&self) -> usize {
        self.of_sessions.named.as_ref().map_or(0, BTreeSet::len)
    }

    #[cfg(test)]
    pub(super) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn has_untold(&self) -> bool {
        self.of_sessions.has_untold() || self.of_subscriptions.has_untold()
    }

    /// Whether somebody has a subscription, of those of whom was told.
    pub(super) fn has(&self, subscription: u64) -> bool {
        self.subscriptions.get(&subscription).is_some_and(Held::is_told)
    }

    /// The entry has begun since somebody here listens: what its first lists have brought is news.
    pub(super) fn begun(&mut self) {
        let sessions = self.of_sessions.begun();
        self.of_sessions.new.extend(sessions);
        for (id, session) in self.of_subscriptions.begun() {
            if let Some(held) = self.subscriptions.get_mut(&id) {
                held.untold += 1;
                self.of_subscriptions.new.insert((id, session));
            }
        }
    }

    /// `room`: so many bytes may be kept.
    pub(super) fn sessions_are(
        &mut self,
        realm: &Arc<str>,
        part: MetaPart,
        (are, over): (Vec<MetaSession>, Vec<u64>),
        room: usize,
        fx: &mut Effects,
    ) {
        self.of_sessions.begin(part);
        for session in are {
            let id = session.session;
            if !self.sessions.contains_key(&id) {
                let bytes = session_bytes(&session);
                if self.bytes + bytes > room {
                    fx.left_out += 1;
                    continue;
                }
                self.bytes += bytes;
                if part == MetaPart::Change {
                    fx.events.push(Event::Joined(Arc::clone(realm), session.clone()));
                } else {
                    self.of_sessions.listed(id);
                }
                self.sessions.insert(id, session);
            }
            self.of_sessions.is(id);
        }
        for session in over {
            self.left(realm, session, &mut fx.events);
        }
        self.of_sessions.end(part, self.sessions.keys().copied());
    }

    fn left(&mut self, realm: &Arc<str>, session: u64, events: &mut Vec<Event>) {
        let is_untold = self.of_sessions.is_over(session);
        let Some(session) = self.sessions.remove(&session) else { return };
        self.bytes -= session_bytes(&session);
        if !is_untold {
            events.push(Event::Left(Arc::clone(realm), session));
        }
    }

    /// `is_known`: whether others have a subscription.
    pub(super) fn subscriptions_are(
        &mut self,
        realm: &Arc<str>,
        part: MetaPart,
        (are, over): (Vec<MetaHolders>, Vec<(u64, u64)>),
        room: usize,
        is_known: impl Fn(u64) -> bool,
        fx: &mut Effects,
    ) {
        self.of_subscriptions.begin(part);
        for MetaHolders { of, sessions } in are {
            for session in sessions {
                self.subscribed(realm, part, (&of, session), room, &is_known, fx);
            }
        }
        for key in over {
            self.unsubscribed(realm, key, &is_known, &mut fx.events);
        }
        let all = self.subscriptions.iter();
        let all = all.flat_map(|(id, held)| held.sessions.iter().map(|by| (*id, *by)));
        self.of_subscriptions.end(part, all);
    }

    fn subscribed(
        &mut self,
        realm: &Arc<str>,
        part: MetaPart,
        (of, session): (&MetaSubscription, u64),
        room: usize,
        is_known: &impl Fn(u64) -> bool,
        fx: &mut Effects,
    ) {
        let id = of.subscription;
        let held = self.subscriptions.get(&id);
        if held.is_none_or(|held| !held.sessions.contains(&session)) {
            let bytes = ITEM_BYTES + if held.is_none() { Held::bytes(of) } else { 0 };
            if self.bytes + bytes > room {
                fx.left_out += 1;
                return;
            }
            self.bytes += bytes;
            let none = || Held { of: of.clone(), sessions: BTreeSet::new(), untold: 0 };
            let held = self.subscriptions.entry(id).or_insert_with(none);
            let is_first = !held.is_told();
            held.sessions.insert(session);
            if part == MetaPart::Change {
                told(realm, &held.of, session, is_first && !is_known(id), &mut fx.events);
            } else {
                held.untold += usize::from(self.of_subscriptions.is_told);
                self.of_subscriptions.listed((id, session));
            }
        }
        self.of_subscriptions.is((id, session));
    }

    fn unsubscribed(
        &mut self,
        realm: &Arc<str>,
        (id, session): (u64, u64),
        is_known: &impl Fn(u64) -> bool,
        events: &mut Vec<Event>,
    ) {
        let is_untold = self.of_subscriptions.is_over((id, session));
        let Some(held) = self.subscriptions.get_mut(&id) else { return };
        if !held.sessions.remove(&session) {
            return;
        }
        self.bytes -= ITEM_BYTES;
        if is_untold {
            held.untold -= 1;
        } else {
            let created = held.of.created;
            let (subscription, pattern) = named(realm, &held.of);
            let session = SessionId(session);
            let left = Change::Unsubscribed { session, subscription, pattern: pattern.clone() };
            events.push(Event::Changed(created, left));
            if !held.is_told() && !is_known(id) {
                let change = Change::Deleted { session, subscription, pattern };
                events.push(Event::Changed(created, change));
            }
        }
        if held.sessions.is_empty() {
            self.bytes -= Held::bytes(&held.of);
            self.subscriptions.remove(&id);
        }
    }

    /// Tells of some that have come or gone with lists, as many as `left`.
    pub(super) fn tell(
        &mut self,
        realm: &Arc<str>,
        left: &mut usize,
        is_known: impl Fn(u64) -> bool,
        events: &mut Vec<Event>,
    ) {
        while *left > 0 {
            if let Some(key) = self.of_subscriptions.over.first().copied() {
                self.unsubscribed(realm, key, &is_known, events);
            } else if let Some(session) = self.of_sessions.over.first().copied() {
                self.left(realm, session, events);
            } else if let Some(session) = self.of_sessions.new.pop_first() {
                let joined = self.sessions.get(&session).cloned();
                events.extend(joined.map(|session| Event::Joined(Arc::clone(realm), session)));
            } else if let Some((id, session)) = self.of_subscriptions.new.pop_first() {
                let Some(held) = self.subscriptions.get_mut(&id) else { continue };
                let is_first = !held.is_told();
                held.untold -= 1;
                told(realm, &held.of, session, is_first && !is_known(id), events);
            } else {
                return;
            }
            *left -= 1;
        }
    }

    /// All of it is over: as much as `left`. What comes then is told.
    pub(super) fn forget(
        &mut self,
        realm: &Arc<str>,
        left: &mut usize,
        is_known: impl Fn(u64) -> bool,
        events: &mut Vec<Event>,
    ) {
        self.of_sessions.forget();
        self.of_subscriptions.forget();
        while *left > 0 {
            let holder = self.subscriptions.first_key_value();
            let holder = holder.and_then(|(id, held)| held.sessions.first().map(|by| (*id, *by)));
            if let Some(key) = holder {
                self.unsubscribed(realm, key, &is_known, events);
            } else if let Some(session) = self.sessions.keys().next().copied() {
                self.left(realm, session, events);
            } else {
                return;
            }
            *left -= 1;
        }
    }
}

fn session_bytes(session: &MetaSession) -> usize {
    ITEM_BYTES + session.bytes()
}

/// A session has a subscription, as the first of all or not.
fn told(
    realm: &Arc<str>,
    of: &MetaSubscription,
    session: u64,
    is_first: bool,
    events: &mut Vec<Event>,
) {
    let (subscription, pattern) = named(realm, of);
    let session = SessionId(session);
    if is_first {
        let pattern = pattern.clone();
        let change = Change::Created { session, subscription, pattern };
        events.push(Event::Changed(of.created, change));
    }
    let change = Change::Subscribed { session, subscription, pattern };
    events.push(Event::Changed(of.created, change));
}

fn named(realm: &Arc<str>, of: &MetaSubscription) -> (SubscriptionId, TopicPattern) {
    let pattern =
        TopicPattern { realm: Arc::clone(realm), uri: Arc::clone(&of.uri), matching: of.matching };
    (SubscriptionId(of.subscription), pattern)
}
