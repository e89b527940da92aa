//! What another entry is told of one realm: a list from the beginning, in parts as its link has room, and changes of
//! what it was told.
//!
//! It takes what the first list has for what was there when it asked, and tells nobody of it: what has come since then is
//! left out there, and told as a change when the list is whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use vixen_core::segment::TopicPattern;
use vixen_core::time::WallTime;
use vixen_core::wire::{
    CALL_URI_BYTES_MAX, CallMessage, MetaHolders, MetaPart, MetaSession, MetaSubscription,
};

use super::Own;
use crate::delivery::Change;

/// Items of one part of a list, and of one message of changes: with the longest texts it fits a frame of a link.
const PART_ITEMS: usize = 256;
/// What a message takes in a queue beside what it owns, about.
const MESSAGE_BYTES: usize = 128;
/// Of topics of the router itself nothing is told.
const META: &str = "wamp.";

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Telling {
    sessions: List<MetaSession, u64>,
    subscriptions: List<MetaHolders, (u64, u64)>,
}

/// How far it was told, by rising keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At<K> {
    Begin,
    After(K),
    /// It has the whole list, and gets changes.
    All,
}

/// What is told of: a session, or sessions that have a subscription.
trait Item {
    type Key: Copy + Ord;

    /// Its place in the list.
    fn key(&self) -> Self::Key;

    /// What it takes in a queue.
    fn bytes(&self) -> usize;

    /// Whether others take it: a name or topic may be longer here.
    fn is_told(&self) -> bool;

    /// Without what has one of these keys; `None`: nothing is left.
    fn without(self, keys: &BTreeSet<Self::Key>) -> Option<Self>
    where
        Self: Sized;

    /// What comes behind that begins with what has this key.
    fn before(key: Self::Key) -> Self::Key;
}

impl Item for MetaSession {
    type Key = u64;

    fn key(&self) -> u64 {
        self.session
    }

    fn bytes(&self) -> usize {
        Self::bytes(self)
    }

    fn is_told(&self) -> bool {
        self.is_sayable()
    }

    fn without(self, keys: &BTreeSet<u64>) -> Option<Self> {
        (!keys.contains(&self.session)).then_some(self)
    }

    fn before(session: u64) -> u64 {
        session.saturating_sub(1)
    }
}

impl Item for MetaHolders {
    type Key = (u64, u64);

    /// Of the last of its sessions.
    fn key(&self) -> (u64, u64) {
        (self.of.subscription, self.sessions.last().copied().unwrap_or(0))
    }

    fn bytes(&self) -> usize {
        Self::bytes(self)
    }

    fn is_told(&self) -> bool {
        self.is_sayable()
    }

    fn without(mut self, keys: &BTreeSet<(u64, u64)>) -> Option<Self> {
        let id = self.of.subscription;
        self.sessions.retain(|session| !keys.contains(&(id, *session)));
        (!self.sessions.is_empty()).then_some(self)
    }

    fn before((id, session): (u64, u64)) -> (u64, u64) {
        (id, session.saturating_sub(1))
    }
}

#[derive(Debug)]
enum Op<T, K> {
    Is(T),
    Over(K),
}

#[derive(Debug)]
struct List<T, K> {
    at: At<K>,
    /// Changes of what it was told, in order.
    changes: Vec<Op<T, K>>,
    /// It has had a whole list: what the next one has more is news to it.
    was_all: bool,
    /// Else, what has come since it asked, and that it was not told of.
    later: BTreeSet<K>,
}

impl<T, K> Default for List<T, K> {
    fn default() -> Self {
        Self { at: At::Begin, changes: Vec::new(), was_all: false, later: BTreeSet::new() }
    }
}

impl<T: Item<Key = K>, K: Copy + Ord> List<T, K> {
    /// What is not told yet will be there when it is, or not.
    fn change(&mut self, key: K, op: Op<T, K>) {
        if matches!(&op, Op::Is(item) if !item.is_told()) {
            return;
        }
        let is_told = match self.at {
            At::Begin => false,
            At::After(last) => key <= last,
            At::All => true,
        };
        let is_over = matches!(op, Op::Over(_));
        if is_over && self.later.remove(&key) {
            return;
        }
        if is_told {
            self.changes.push(op);
        } else if !is_over && !self.was_all {
            self.later.insert(key);
        }
    }

    /// `next`: what comes behind a key, so much at most, and the last key of it where there may be more. Less room than
    /// `least` is none for a part.
    fn flush(
        &mut self,
        (room, least): (&mut usize, usize),
        next: impl Fn(Option<K>, usize) -> (Vec<T>, Option<K>),
        message_of: impl Fn(MetaPart, Vec<T>, Vec<K>) -> CallMessage,
        mut send: impl FnMut(CallMessage),
    ) {
        loop {
            self.flush_changes(room, &message_of, &mut send);
            let (part, after) = match self.at {
                At::Begin => (MetaPart::First, None),
                At::After(last) => (MetaPart::More, Some(last)),
                At::All => return,
            };
            if *room < least {
                return;
            }
            let none = bytes_of(&message_of(part, Vec::new(), Vec::new()));
            let found = next(after, PART_ITEMS);
            let (items, more) = cut(found, &self.later, room.saturating_sub(none));
            let mut say = |part, items| {
                let message = message_of(part, items, Vec::new());
                *room = room.saturating_sub(bytes_of(&message));
                send(message);
            };
            say(part, items);
            self.at = match more {
                Some(last) => At::After(last),
                None => {
                    say(MetaPart::Last, Vec::new());
                    self.was_all = true;
                    let find = |key| next(Some(T::before(key)), 1).0.pop();
                    let later = std::mem::take(&mut self.later).into_iter();
                    let later = later.filter_map(|key| find(key).filter(|item| item.key() == key));
                    self.changes.extend(later.map(Op::Is));
                    At::All
                }
            };
        }
    }

    /// Where there is no room for all of it, the list begins again.
    fn flush_changes(
        &mut self,
        room: &mut usize,
        message_of: &impl Fn(MetaPart, Vec<T>, Vec<K>) -> CallMessage,
        send: &mut impl FnMut(CallMessage),
    ) {
        let keys = self.changes.iter().map(|op| match op {
            Op::Is(item) => (item.key(), true),
            Op::Over(key) => (*key, false),
        });
        let keys: Vec<_> = keys.collect();
        let messages = self.take_changes(message_of);
        let bytes: usize = messages.iter().map(bytes_of).sum();
        if bytes <= *room {
            *room -= bytes;
            return messages.into_iter().for_each(send);
        }
        self.at = At::Begin;
        for (key, is_there) in keys.into_iter().filter(|_| !self.was_all) {
            if is_there {
                self.later.insert(key);
            } else {
                self.later.remove(&key);
            }
        }
    }

    /// In one message are those that are there before those that are over.
    fn take_changes(
        &mut self,
        message_of: &impl Fn(MetaPart, Vec<T>, Vec<K>) -> CallMessage,
    ) -> Vec<CallMessage> {
        let mut messages = Vec::new();
        let (mut are, mut over) = (Vec::new(), Vec::new());
        for op in std::mem::take(&mut self.changes) {
            let is_full = are.len() + over.len() == PART_ITEMS;
            if is_full || (matches!(op, Op::Is(_)) && !over.is_empty()) {
                let (are, over) = (std::mem::take(&mut are), std::mem::take(&mut over));
                messages.push(message_of(MetaPart::Change, are, over));
            }
            match op {
                Op::Is(item) => are.push(item),
                Op::Over(key) => over.push(key),
            }
        }
        if !are.is_empty() || !over.is_empty() {
            messages.push(message_of(MetaPart::Change, are, over));
        }
        messages
    }
}

/// As many of them as there is room for, so many bytes, but one at least, without these keys; and the last key where
/// there may be more.
fn cut<T: Item>(
    (items, more): (Vec<T>, Option<T::Key>),
    later: &BTreeSet<T::Key>,
    room: usize,
) -> (Vec<T>, Option<T::Key>) {
    let (mut part, mut bytes, mut last) = (Vec::new(), 0, None);
    for item in items {
        let key = item.key();
        if let Some(item) = item.without(later).filter(T::is_told) {
            bytes += item.bytes();
            if bytes > room && !part.is_empty() {
                return (part, last);
            }
            part.push(item);
        }
        last = Some(key);
    }
    (part, more)
}

impl Telling {
    pub(super) fn session(&mut self, session: &MetaSession, is_over: bool) {
        let key = session.session;
        let op = if is_over { Op::Over(key) } else { Op::Is(session.clone()) };
        self.sessions.change(key, op);
    }

    /// Who is the first and who the last is for those who hear of it to find.
    pub(super) fn changed(&mut self, created: WallTime, change: &Change) {
        match change {
            Change::Subscribed { session, subscription, pattern } if is_told(pattern) => {
                let (uri, matching) = (Arc::clone(&pattern.uri), pattern.matching);
                let of = MetaSubscription { subscription: subscription.0, created, uri, matching };
                let holders = MetaHolders { of, sessions: vec![session.0] };
                self.subscriptions.change((subscription.0, session.0), Op::Is(holders));
            }
            Change::Unsubscribed { session, subscription, pattern } if is_told(pattern) => {
                let key = (subscription.0, session.0);
                self.subscriptions.change(key, Op::Over(key));
            }
            Change::Created { .. }
            | Change::Subscribed { .. }
            | Change::Unsubscribed { .. }
            | Change::Deleted { .. } => {}
        }
    }

    pub(super) fn flush(
        &mut self,
        own: &impl Own,
        realm: &Arc<str>,
        (room, least): (&mut usize, usize),
        mut send: impl FnMut(CallMessage),
    ) {
        let mut say = |message: CallMessage| {
            // A realm may have a longer name here than others take it.
            if message.is_sayable() {
                send(message);
            }
        };
        let next = |after: Option<u64>, max| {
            let all = own.sessions_after(realm, after.unwrap_or(0), max);
            let last = all.last().map(|session| session.session);
            let more = last.filter(|_| all.len() == max);
            (all, more)
        };
        let message = |part, are, over| {
            let realm = Arc::clone(realm);
            CallMessage::SessionsAre { realm, part, are, over }
        };
        self.sessions.flush((room, least), next, message, &mut say);
        let next =
            |after: Option<(u64, u64)>, max| own.holders_after(realm, after.unwrap_or((0, 0)), max);
        let message = |part, are, over| {
            let realm = Arc::clone(realm);
            CallMessage::SubscriptionsAre { realm, part, are, over }
        };
        self.subscriptions.flush((room, least), next, message, &mut say);
    }

    pub(super) const fn has_changes(&self) -> bool {
        !self.sessions.changes.is_empty() || !self.subscriptions.changes.is_empty()
    }

    pub(super) fn is_behind(&self) -> bool {
        self.sessions.at != At::All || self.subscriptions.at != At::All
    }
}

/// Whether others are told of subscriptions of these topics: nobody takes longer ones, nor all that is said with them.
fn is_told(pattern: &TopicPattern) -> bool {
    !pattern.uri.starts_with(META) && pattern.uri.len() <= CALL_URI_BYTES_MAX
}

fn bytes_of(message: &CallMessage) -> usize {
    MESSAGE_BYTES + message.heap_bytes()
}
