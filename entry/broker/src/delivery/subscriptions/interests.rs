//! Interests: the patterns that tails carry, or will.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vixen_core::id::Position;
use vixen_core::segment::TopicPattern;

use super::limits::SubscriptionLimits;
use crate::api::{Holder, SubscribeError};

/// What an interest in `pattern` counts against the bounds of an entry and of shares.
pub(super) fn bytes_of(pattern: &TopicPattern) -> usize {
    if pattern.is_of_entries() {
        return 0;
    }
    TopicPattern::INTEREST_BYTES + pattern.realm.len() + pattern.uri.len()
}

/// A pattern that tails carry, or will.
#[derive(Debug, Default)]
pub(super) struct Interest {
    /// Version of the interest that asked for it; `None` until the next flush.
    asked: Option<u64>,
    /// Before this, tails may have gone by without it. `None` until it is applied.
    pub(super) complete_from: Option<Position>,
    /// Subscriptions that need it.
    users: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Interests {
    patterns: BTreeMap<TopicPattern, Interest>,
    /// Number of those asked for.
    asked: usize,
    /// Of these, those that somebody waits for.
    awaited: usize,
    /// Of all.
    bytes: usize,
    /// Of those of each realm.
    realms: BTreeMap<Arc<str>, usize>,
    /// Patterns whose place may change at the next flush.
    touched: BTreeSet<TopicPattern>,
    /// By the change that asked for them: what is to be looked at when that is applied.
    pending: BTreeMap<u64, BTreeSet<TopicPattern>>,
}

impl Interests {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether `pattern` may be among them.
    pub(super) fn admit(
        &self,
        pattern: &TopicPattern,
        limits: &SubscriptionLimits,
    ) -> Result<(), SubscribeError> {
        if self.patterns.contains_key(pattern) {
            return Ok(());
        }
        let of_realm = self.realms.get(&pattern.realm).copied().unwrap_or(0);
        // The only realm may have all of it: when that is full, it is the entry that is.
        let bounds = [
            (Holder::Entry, self.bytes, limits.interest_bytes_max),
            (Holder::Realm, of_realm, limits.interest_bytes_per_realm_max),
        ];
        for (holder, bytes, max) in bounds {
            if bytes + bytes_of(pattern) > max {
                return Err(SubscribeError::InterestFull { holder, max });
            }
        }
        Ok(())
    }

    /// Whether anything is asked for.
    pub(super) const fn is_any_asked(&self) -> bool {
        self.asked > 0
    }

    /// Whether anything is asked for that somebody waits for.
    pub(super) const fn is_any_awaited(&self) -> bool {
        self.awaited > 0
    }

    /// One more subscription needs it.
    pub(super) fn add_user(&mut self, pattern: &TopicPattern) {
        if !self.patterns.contains_key(pattern) {
            self.bytes += bytes_of(pattern);
            *self.realms.entry(Arc::clone(&pattern.realm)).or_default() += bytes_of(pattern);
        }
        self.patterns.entry(pattern.clone()).or_default().users += 1;
        self.touched.insert(pattern.clone());
    }

    /// One needs it no more.
    pub(super) fn remove_user(&mut self, pattern: &TopicPattern) {
        if let Some(interest) = self.patterns.get_mut(pattern) {
            interest.users -= 1;
            self.touched.insert(pattern.clone());
        }
    }

    /// The interest in `pattern`, if every tail carries it.
    pub(super) fn applied(
        &mut self,
        pattern: &TopicPattern,
        applied: u64,
    ) -> Option<&mut Interest> {
        let interest = self.patterns.get_mut(pattern)?;
        interest.asked.is_some_and(|asked| asked <= applied).then_some(interest)
    }

    pub(super) fn get(&self, pattern: &TopicPattern) -> Option<&Interest> {
        self.patterns.get(pattern)
    }

    /// Somebody waits until `pattern` is applied.
    pub(super) fn await_applied(&mut self, pattern: &TopicPattern) {
        if let Some(asked) = self.patterns.get(pattern).and_then(|interest| interest.asked) {
            self.pending.entry(asked).or_default().insert(pattern.clone());
        }
    }

    /// What the change with number `version` adds and removes; `None` when nothing changed, and the
    /// number is not used.
    pub(super) fn change(
        &mut self,
        version: u64,
    ) -> Option<(Vec<TopicPattern>, Vec<TopicPattern>)> {
        let (mut add, mut remove) = (Vec::new(), Vec::new());
        for pattern in std::mem::take(&mut self.touched) {
            let Some(interest) = self.patterns.get_mut(&pattern) else { continue };
            match (interest.users, interest.asked) {
                (0, asked) => {
                    self.patterns.remove(&pattern);
                    self.give_back(&pattern);
                    if asked.is_some() {
                        self.asked -= 1;
                        self.awaited -= usize::from(pattern.is_awaited());
                        remove.push(pattern);
                    }
                }
                (_, None) => {
                    interest.asked = Some(version);
                    self.asked += 1;
                    self.awaited += usize::from(pattern.is_awaited());
                    add.push(pattern);
                }
                (_, Some(_)) => {}
            }
        }
        if add.is_empty() && remove.is_empty() {
            return None;
        }
        if !add.is_empty() {
            self.pending.entry(version).or_default().extend(add.iter().cloned());
        }
        Some((add, remove))
    }

    /// It is there no more.
    fn give_back(&mut self, pattern: &TopicPattern) {
        self.bytes -= bytes_of(pattern);
        if let Some(bytes) = self.realms.get_mut(&pattern.realm) {
            *bytes -= bytes_of(pattern);
            if *bytes == 0 {
                self.realms.remove(&pattern.realm);
            }
        }
    }

    /// Every tail carries the changes up to `applied`, and none is beyond `furthest`: the patterns
    /// for which that is news. Costs what these are, and not what there are.
    pub(super) fn apply(&mut self, applied: u64, furthest: Position) -> BTreeSet<TopicPattern> {
        let mut news = BTreeSet::new();
        while let Some(first) = self.pending.first_entry().filter(|first| *first.key() <= applied) {
            for pattern in first.remove() {
                if let Some(interest) = self.applied(&pattern, applied) {
                    interest.complete_from.get_or_insert(furthest);
                    news.insert(pattern);
                }
            }
        }
        news
    }

    /// All patterns asked for.
    pub(super) fn all_asked(&self) -> Vec<TopicPattern> {
        let asked = self.patterns.iter().filter(|(_, interest)| interest.asked.is_some());
        asked.map(|(pattern, _)| pattern.clone()).collect()
    }

    /// Asserts what the module promises; walks everything. `users` tells how many subscriptions need
    /// a pattern.
    pub(super) fn check(&self, users: &BTreeMap<TopicPattern, usize>) {
        let asked = self.patterns.iter().filter(|(_, interest)| interest.asked.is_some());
        let asked: Vec<_> = asked.map(|(pattern, _)| pattern.is_awaited()).collect();
        assert_eq!(self.asked, asked.len(), "D1: patterns asked for");
        let awaited = asked.into_iter().filter(|is_awaited| *is_awaited).count();
        assert_eq!(self.awaited, awaited, "D1: patterns that somebody waits for");
        let bytes: usize = self.patterns.keys().map(bytes_of).sum();
        assert_eq!(self.bytes, bytes, "D1: bytes of patterns");
        let mut realms = BTreeMap::new();
        for pattern in self.patterns.keys() {
            *realms.entry(Arc::clone(&pattern.realm)).or_default() += bytes_of(pattern);
        }
        assert_eq!(self.realms, realms, "D1: bytes of realms");
        for (pattern, interest) in &self.patterns {
            let needed = users.get(pattern).copied().unwrap_or(0);
            assert_eq!(interest.users, needed, "D1: who needs a pattern");
            assert!(
                needed > 0 || self.touched.contains(pattern),
                "D1: what nobody wants goes at the next flush"
            );
        }
        for pattern in users.keys() {
            assert!(self.patterns.contains_key(pattern), "D1: what is wanted is asked for");
        }
    }
}
