//! Shares: how much of an entry the sessions of one address have.
//!
//! What sessions share is counted once for the entry, and once for each address that has a part in it.
//! So nobody has less because others want the same, and nothing can be had at the cost of others.
//!
//! What a session leaves, its address has again at once; the entry and the realm have it after the next
//! flush, when the tails are told. Until then an address may have taken as much again as comes in one
//! turn.

use std::collections::BTreeMap;
use std::net::IpAddr;

use vixen_core::segment::TopicPattern;

use super::interests::bytes_of;
use super::limits::SubscriptionLimits;
use crate::api::{Holder, Origin, SubscribeError, SubscriptionId};

/// What somebody has, or may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Subscriptions that are no exact topics.
    pub(super) patterns: usize,
    /// Of topics and patterns that tails carry.
    pub(super) bytes: usize,
}

/// What one session has, as shares count it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    /// Where the client is.
    pub(super) origin: Origin,
    pub(super) pattern: &'a TopicPattern,
    /// Tails need not carry it.
    pub(super) is_snapshot: bool,
}

/// What the sessions of an address have.
#[derive(Debug, Default, PartialEq, Eq)]
struct Share {
    /// Those that are no exact topics, and how many sessions have each.
    patterns: BTreeMap<SubscriptionId, usize>,
    /// What tails carry for them, and how many subscriptions of sessions need each.
    interests: BTreeMap<TopicPattern, usize>,
    bytes: usize,
}

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shares {
    addresses: BTreeMap<IpAddr, Share>,
    /// The sums of their addresses.
    sites: BTreeMap<IpAddr, Taken>,
}

impl Share {
    fn taken(&self) -> Taken {
        Taken { patterns: self.patterns.len(), bytes: self.bytes }
    }

    fn add(&mut self, id: SubscriptionId, part: Part<'_>) {
        if !part.pattern.is_exact() {
            *self.patterns.entry(id).or_default() += 1;
        }
        if !part.is_snapshot {
            let users = self.interests.entry(part.pattern.clone()).or_default();
            *users += 1;
            self.bytes += if *users == 1 { bytes_of(part.pattern) } else { 0 };
        }
    }

    fn remove(&mut self, id: SubscriptionId, part: Part<'_>) {
        one_less(&mut self.patterns, &id);
        if !part.is_snapshot && one_less(&mut self.interests, part.pattern) {
            self.bytes -= bytes_of(part.pattern);
        }
    }
}

impl Shares {
    /// Whether the address may have a part in a subscription, which nobody has yet where `known` is
    /// `None`.
    pub(super) fn admit(
        &self,
        known: Option<SubscriptionId>,
        part: Part<'_>,
        limits: &SubscriptionLimits,
    ) -> Result<(), SubscribeError> {
        let Part { origin, pattern, is_snapshot } = part;
        let share = self.addresses.get(&origin.client);
        let has = known.is_some_and(|id| share.is_some_and(|of| of.patterns.contains_key(&id)));
        let is_carried = share.is_some_and(|of| of.interests.contains_key(pattern));
        let more = Taken {
            patterns: usize::from(!pattern.is_exact() && !has),
            bytes: if is_snapshot || is_carried { 0 } else { bytes_of(pattern) },
        };
        fits(
            Holder::Address,
            share.map_or(Taken::default(), Share::taken),
            more,
            limits.of_address(),
        )?;
        let Some(site) = origin.site else { return Ok(()) };
        let of_site = self.sites.get(&site).copied().unwrap_or_default();
        fits(Holder::Site, of_site, more, limits.of_site())
    }

    /// A session has a subscription that it had not.
    pub(super) fn add(&mut self, id: SubscriptionId, part: Part<'_>) {
        self.change(part.origin, |share| share.add(id, part));
    }

    /// A session has it no more.
    pub(super) fn remove(&mut self, id: SubscriptionId, part: Part<'_>) {
        self.change(part.origin, |share| share.remove(id, part));
    }

    fn change(&mut self, origin: Origin, change: impl FnOnce(&mut Share)) {
        let share = self.addresses.entry(origin.client).or_default();
        let before = share.taken();
        change(share);
        let after = share.taken();
        if share.patterns.is_empty() && share.interests.is_empty() {
            self.addresses.remove(&origin.client);
        }
        let Some(site) = origin.site else { return };
        let of_site = self.sites.entry(site).or_default();
        of_site.patterns = of_site.patterns + after.patterns - before.patterns;
        of_site.bytes = of_site.bytes + after.bytes - before.bytes;
        if *of_site == Taken::default() {
            self.sites.remove(&site);
        }
    }

    /// Asserts that they are those of `parts`, what each session has.
    pub(super) fn check<'a>(&self, parts: impl Iterator<Item = (SubscriptionId, Part<'a>)>) {
        let mut counted = Self::default();
        parts.for_each(|(id, part)| counted.add(id, part));
        assert_eq!(*self, counted, "D1: shares of addresses");
    }
}

fn fits(holder: Holder, taken: Taken, more: Taken, max: Taken) -> Result<(), SubscribeError> {
    if more.patterns > 0 && taken.patterns >= max.patterns {
        return Err(SubscribeError::TooManyPatterns { holder, max: max.patterns });
    }
    if more.bytes > 0 && taken.bytes + more.bytes > max.bytes {
        return Err(SubscribeError::InterestFull { holder, max: max.bytes });
    }
    Ok(())
}

/// Whether it was the last.
fn one_less<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) -> bool {
    let Some(count) = counts.get_mut(key) else { return false };
    *count -= 1;
    let is_last = *count == 0;
    if is_last {
        counts.remove(key);
    }
    is_last
}
