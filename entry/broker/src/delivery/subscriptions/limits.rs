//! Limits: how much of an entry subscriptions may take.
//!
//! Exact topics cost a look-up whatever their number. Patterns cost more: each is tried by what the
//! index leaves over, at this entry and at every ndb node that it follows.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use vixen_core::segment::TopicPattern;

use super::shares::Taken;
use crate::api::{Holder, SubscribeError};

/// The bounds of subscriptions; see `[limits]` in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionLimits {
    /// Most subscriptions of a session.
    pub per_session_max: usize,
    /// Of these, most that are no exact topics.
    pub patterns_per_session_max: usize,
    /// Most that are no exact topics, of a realm.
    pub patterns_per_realm_max: usize,
    /// Most that are no exact topics, of the entry.
    pub patterns_per_entry_max: usize,
    /// Most that are no exact topics, of an address.
    pub patterns_per_address_max: usize,
    /// Most that are no exact topics, of a site of many addresses.
    pub patterns_per_site_max: usize,
    /// Most steps that the wildcards of a realm may cost a message.
    pub wildcard_steps_max: usize,
    /// Most bytes of all patterns, exact topics included.
    pub interest_bytes_max: usize,
    /// Of these, most of an address.
    pub interest_bytes_per_address_max: usize,
    /// Of these, most of a site of many addresses.
    pub interest_bytes_per_site_max: usize,
    /// Of these, most of a realm.
    pub interest_bytes_per_realm_max: usize,
}

impl SubscriptionLimits {
    /// Without any bound.
    pub const UNBOUNDED: Self = Self {
        per_session_max: usize::MAX,
        patterns_per_session_max: usize::MAX,
        patterns_per_realm_max: usize::MAX,
        patterns_per_entry_max: usize::MAX,
        patterns_per_address_max: usize::MAX,
        patterns_per_site_max: usize::MAX,
        wildcard_steps_max: usize::MAX,
        interest_bytes_max: usize::MAX,
        interest_bytes_per_address_max: usize::MAX,
        interest_bytes_per_site_max: usize::MAX,
        interest_bytes_per_realm_max: usize::MAX,
    };

    /// What an address may have.
    pub(super) const fn of_address(&self) -> Taken {
        Taken {
            patterns: self.patterns_per_address_max,
            bytes: self.interest_bytes_per_address_max,
        }
    }

    /// What a site may have.
    pub(super) const fn of_site(&self) -> Taken {
        Taken { patterns: self.patterns_per_site_max, bytes: self.interest_bytes_per_site_max }
    }
}

/// What entries want of each other is no client's.
fn is_counted(pattern: &TopicPattern) -> bool {
    !pattern.is_exact() && !pattern.is_of_entries()
}

/// How many subscriptions of clients there are that are no exact topics.
#[derive(Debug, Default)]
pub(super) struct PatternCounts {
    all: usize,
    realms: BTreeMap<Arc<str>, usize>,
}

impl PatternCounts {
    pub(super) const fn all(&self) -> usize {
        self.all
    }

    pub(super) fn add(&mut self, pattern: &TopicPattern) {
        if is_counted(pattern) {
            self.all += 1;
            *self.realms.entry(Arc::clone(&pattern.realm)).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, pattern: &TopicPattern) {
        if is_counted(pattern)
            && let Some(count) = self.realms.get_mut(&pattern.realm)
        {
            self.all -= 1;
            *count -= 1;
            if *count == 0 {
                self.realms.remove(&pattern.realm);
            }
        }
    }

    /// Whether one more may come.
    pub(super) fn admit(
        &self,
        pattern: &TopicPattern,
        limits: &SubscriptionLimits,
    ) -> Result<(), SubscribeError> {
        let of_realm = self.realms.get(&pattern.realm).copied().unwrap_or(0);
        let bounds = [
            (Holder::Realm, of_realm, limits.patterns_per_realm_max),
            (Holder::Entry, self.all, limits.patterns_per_entry_max),
        ];
        for (holder, count, max) in bounds {
            if !pattern.is_exact() && count >= max {
                return Err(SubscribeError::TooManyPatterns { holder, max });
            }
        }
        Ok(())
    }

    pub(super) fn check(&self, patterns: impl Iterator<Item = TopicPattern>) {
        let mut counted = Self::default();
        patterns.for_each(|pattern| counted.add(&pattern));
        assert_eq!(
            (self.all, &self.realms),
            (counted.all, &counted.realms),
            "D1: patterns counted"
        );
    }
}
