//! What is known of another entry's sessions and subscriptions in one realm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vixen_core::segment::TopicPattern;
use vixen_core::wire::{MetaHolders, MetaPart, MetaSession, MetaSubscription};

use super::{Event, session_id};
use crate::api::SubscriptionId;
use crate::delivery::Change;

/// What was named by a list that is not whole yet.
#[derive(Debug)]
struct Listing<T> {
    /// There was a whole one before: what has changed since is told.
    is_again: bool,
    /// `None`: no list is under way.
    named: Option<BTreeSet<T>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known {
    sessions: BTreeMap<u64, MetaSession>,
    subscriptions: BTreeMap<u64, Held>,
    /// Of all subscriptions.
    holders: usize,
    of_sessions: Listing<u64>,
    of_subscriptions: Listing<(u64, u64)>,
}

#[derive(Debug)]
struct Held {
    of: MetaSubscription,
    sessions: BTreeSet<u64>,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { is_again: false, named: None }
    }
}

impl<T: Ord + Copy> Listing<T> {
    /// A part comes. Returns whether what is new in it is told.
    fn begin(&mut self, part: MetaPart) -> bool {
        match part {
            MetaPart::First => self.named = Some(BTreeSet::new()),
            MetaPart::More | MetaPart::Last | MetaPart::Change => {}
        }
        self.is_again || part == MetaPart::Change
    }

    fn is(&mut self, item: T) {
        if let Some(named) = &mut self.named {
            named.insert(item);
        }
    }

    fn is_over(&mut self, item: T) {
        if let Some(named) = &mut self.named {
            named.remove(&item);
        }
    }

    /// A part has come. What a whole list has named, where this was its end.
    fn end(&mut self, part: MetaPart) -> Option<BTreeSet<T>> {
        match part {
            MetaPart::Last => {
                let named = self.named.take();
                self.is_again |= named.is_some();
                named
            }
            MetaPart::First | MetaPart::More | MetaPart::Change => None,
        }
    }
}

impl Known {
    pub(super) fn items(&self) -> usize {
        self.sessions.len() + self.holders
    }

    pub(super) fn has(&self, subscription: u64) -> bool {
        self.subscriptions.contains_key(&subscription)
    }

    /// `room`: so many more may be kept.
    pub(super) fn sessions_are(
        &mut self,
        realm: &Arc<str>,
        part: MetaPart,
        (are, over): (Vec<MetaSession>, Vec<u64>),
        mut room: usize,
        events: &mut Vec<Event>,
    ) {
        let is_told = self.of_sessions.begin(part);
        for session in are {
            self.of_sessions.is(session.session);
            if self.sessions.contains_key(&session.session) || room == 0 {
                continue;
            }
            room -= 1;
            if is_told {
                events.push(Event::Joined(Arc::clone(realm), session.clone()));
            }
            self.sessions.insert(session.session, session);
        }
        for session in over {
            self.of_sessions.is_over(session);
            self.left(realm, session, events);
        }
        if let Some(named) = self.of_sessions.end(part) {
            let gone = self.sessions.keys().filter(|session| !named.contains(session));
            for session in gone.copied().collect::<Vec<_>>() {
                self.left(realm, session, events);
            }
        }
    }

    fn left(&mut self, realm: &Arc<str>, session: u64, events: &mut Vec<Event>) {
        if let Some(session) = self.sessions.remove(&session) {
            events.push(Event::Left(Arc::clone(realm), session));
        }
    }

    /// `is_known`: whether others have a subscription.
    pub(super) fn subscriptions_are(
        &mut self,
        realm: &Arc<str>,
        part: MetaPart,
        (are, over): (Vec<MetaHolders>, Vec<(u64, u64)>),
        mut room: usize,
        is_known: impl Fn(u64) -> bool,
        events: &mut Vec<Event>,
    ) {
        let is_told = self.of_subscriptions.begin(part);
        for MetaHolders { of, sessions } in are {
            let id = of.subscription;
            for session in sessions {
                self.of_subscriptions.is((id, session));
                if room == 0 {
                    continue;
                }
                let is_first = !self.subscriptions.contains_key(&id);
                let held = self.subscriptions.entry(id);
                let held =
                    held.or_insert_with(|| Held { of: of.clone(), sessions: BTreeSet::new() });
                if !held.sessions.insert(session) {
                    continue;
                }
                (room, self.holders) = (room - 1, self.holders + 1);
                if !is_told {
                    continue;
                }
                let (subscription, pattern) = named(realm, &of);
                let session = session_id(session);
                if is_first && !is_known(id) {
                    let pattern = pattern.clone();
                    let change = Change::Created { session, subscription, pattern };
                    events.push(Event::Changed(of.created, change));
                }
                let change = Change::Subscribed { session, subscription, pattern };
                events.push(Event::Changed(of.created, change));
            }
        }
        for (id, session) in over {
            self.of_subscriptions.is_over((id, session));
            self.unsubscribed(realm, (id, session), &is_known, events);
        }
        if let Some(named) = self.of_subscriptions.end(part) {
            let all = self.subscriptions.iter();
            let all = all.flat_map(|(id, held)| held.sessions.iter().map(|by| (*id, *by)));
            let gone: Vec<_> = all.filter(|held| !named.contains(held)).collect();
            for held in gone {
                self.unsubscribed(realm, held, &is_known, events);
            }
        }
    }

    fn unsubscribed(
        &mut self,
        realm: &Arc<str>,
        (id, session): (u64, u64),
        is_known: &impl Fn(u64) -> bool,
        events: &mut Vec<Event>,
    ) {
        let Some(held) = self.subscriptions.get_mut(&id) else { return };
        if !held.sessions.remove(&session) {
            return;
        }
        self.holders -= 1;
        let created = held.of.created;
        let (subscription, pattern) = named(realm, &held.of);
        let is_last = held.sessions.is_empty();
        if is_last {
            self.subscriptions.remove(&id);
        }
        let session = session_id(session);
        let left = Change::Unsubscribed { session, subscription, pattern: pattern.clone() };
        events.push(Event::Changed(created, left));
        if is_last && !is_known(id) {
            let change = Change::Deleted { session, subscription, pattern };
            events.push(Event::Changed(created, change));
        }
    }

    /// All of it is over. What comes then is told.
    pub(super) fn clear(
        &mut self,
        realm: &Arc<str>,
        is_known: impl Fn(u64) -> bool,
        events: &mut Vec<Event>,
    ) {
        let all = self.subscriptions.iter();
        let all = all.flat_map(|(id, held)| held.sessions.iter().map(|by| (*id, *by)));
        for held in all.collect::<Vec<_>>() {
            self.unsubscribed(realm, held, &is_known, events);
        }
        for session in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.left(realm, session, events);
        }
        self.of_sessions = Listing { is_again: true, named: None };
        self.of_subscriptions = Listing { is_again: true, named: None };
    }
}

fn named(realm: &Arc<str>, of: &MetaSubscription) -> (SubscriptionId, TopicPattern) {
    let pattern =
        TopicPattern { realm: Arc::clone(realm), uri: Arc::clone(&of.uri), matching: of.matching };
    (SubscriptionId(of.subscription), pattern)
}
