//! Limits: how much registrations may take, asked before a REGISTER is written.
//!
//! Exact procedures cost a call one look-up whatever their number. Patterns cost more, and so they have the bounds
//! that patterns of subscriptions have, counted apart: of a session, of an address and its site, of the realm, of the
//! entry, and of the steps of a look-up. An address and the entry are charged once for each session that has a place
//! in a registration, the realm once for each registration.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use vixen_core::patterns::PatternIndex;
use vixen_core::segment::TopicPattern;
use vixen_views::record::check_pattern;
use vixen_views::registrations::{NoRoom, RealmLimits, Registrations};

use crate::api::calls::RegisterError;
use crate::api::{Holder, Origin};

/// The bounds of registrations; see `[limits]` in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrationLimits {
    /// Most registrations of a session.
    pub per_session_max: usize,
    /// Most registrations of a realm, over all entries. Where several entries ask at once, they may be a few more.
    pub per_realm_max: usize,
    /// Of those of a session, most that are no exact procedures.
    pub patterns_per_session_max: usize,
    /// Most that are no exact procedures, of an address.
    pub patterns_per_address_max: usize,
    /// Most that are no exact procedures, of a site of many addresses.
    pub patterns_per_site_max: usize,
    /// Most that are no exact procedures, of a realm.
    pub patterns_per_realm_max: usize,
    /// Most that are no exact procedures, of the entry.
    pub patterns_per_entry_max: usize,
    /// Most steps that the wildcards of a realm may cost a call.
    pub wildcard_steps_max: usize,
}

impl RegistrationLimits {
    /// Whether the view has room for a registration of this pattern, besides those that are coming; one that is
    /// there needs none.
    pub(super) fn admit(
        &self,
        view: &Registrations,
        coming: &Coming,
        pattern: &TopicPattern,
    ) -> Result<(), RegisterError> {
        check_pattern(pattern).map_err(RegisterError::Invalid)?;
        let Self { per_realm_max, patterns_per_realm_max, wildcard_steps_max, .. } = *self;
        let realm = &pattern.realm;
        let limits = RealmLimits {
            registrations_max: per_realm_max.saturating_sub(coming.all_of_realm(realm)),
            patterns_max: patterns_per_realm_max.saturating_sub(coming.of_realm(realm)),
            wildcard_steps_max: wildcard_steps_max.saturating_sub(coming.steps(realm)),
        };
        view.admit(pattern, &limits).map_err(|error| match error {
            NoRoom::Registrations { .. } => RegisterError::TooManyOfRealm { max: per_realm_max },
            NoRoom::Patterns { .. } => RegisterError::TooManyPatterns {
                holder: Holder::Realm,
                max: patterns_per_realm_max,
            },
            NoRoom::Shapes { .. } => RegisterError::TooManyShapes { max: wildcard_steps_max },
        })
    }
}

/// Patterns that are written and not in the view yet. Look-ups may take as many steps more as these alone would
/// take, and not more.
#[derive(Debug, Default)]
pub(super) struct Coming {
    /// With how many have written each.
    index: PatternIndex<usize>,
    realms: BTreeMap<Arc<str>, usize>,
    /// Exact procedures that are written, whether or not the view has them.
    exact: BTreeMap<Arc<str>, usize>,
}

impl Coming {
    pub(super) fn add_exact(&mut self, realm: &Arc<str>) {
        *self.exact.entry(Arc::clone(realm)).or_default() += 1;
    }

    pub(super) fn remove_exact(&mut self, realm: &Arc<str>) {
        one_less(&mut self.exact, Arc::clone(realm));
    }

    fn all_of_realm(&self, realm: &str) -> usize {
        self.of_realm(realm) + self.exact.get(realm).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, pattern: &TopicPattern) {
        match self.index.get_mut(pattern) {
            Some(count) => *count += 1,
            None => {
                self.index.insert(pattern, 1);
                *self.realms.entry(Arc::clone(&pattern.realm)).or_default() += 1;
            }
        }
    }

    pub(super) fn remove(&mut self, pattern: &TopicPattern) {
        let Some(count) = self.index.get_mut(pattern) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.index.remove(pattern);
            one_less(&mut self.realms, Arc::clone(&pattern.realm));
        }
    }

    fn of_realm(&self, realm: &str) -> usize {
        self.realms.get(realm).copied().unwrap_or_default()
    }

    fn steps(&self, realm: &str) -> usize {
        if self.realms.contains_key(realm) { self.index.cost(realm) } else { 0 }
    }

    /// Whether nothing is.
    pub(super) fn is_empty(&self) -> bool {
        self.realms.is_empty() && self.exact.is_empty()
    }
}

/// Places in registrations that are no exact procedures, by who has them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Patterns {
    all: usize,
    addresses: BTreeMap<IpAddr, usize>,
    sites: BTreeMap<IpAddr, usize>,
}

impl Patterns {
    /// Whether one more may come from there, to a session that has so many.
    pub(super) fn admit(
        &self,
        of_session: usize,
        origin: Origin,
        limits: &RegistrationLimits,
    ) -> Result<(), RegisterError> {
        let max = limits.patterns_per_session_max;
        if of_session >= max {
            return Err(RegisterError::TooManyPatternsOfSession { max });
        }
        let count = |of: &BTreeMap<_, usize>, key| of.get(&key).copied().unwrap_or_default();
        let of_address = count(&self.addresses, origin.client);
        let of_site = origin.site.map_or(0, |site| count(&self.sites, site));
        for (holder, count, max) in [
            (Holder::Address, of_address, limits.patterns_per_address_max),
            (Holder::Site, of_site, limits.patterns_per_site_max),
            (Holder::Entry, self.all, limits.patterns_per_entry_max),
        ] {
            if count >= max {
                return Err(RegisterError::TooManyPatterns { holder, max });
            }
        }
        Ok(())
    }

    /// A session from there has one more place.
    pub(super) fn add(&mut self, origin: Origin) {
        self.all += 1;
        *self.addresses.entry(origin.client).or_default() += 1;
        if let Some(site) = origin.site {
            *self.sites.entry(site).or_default() += 1;
        }
    }

    /// A session from there has one less.
    pub(super) fn remove(&mut self, origin: Origin) {
        self.all = self.all.saturating_sub(1);
        one_less(&mut self.addresses, origin.client);
        if let Some(site) = origin.site {
            one_less(&mut self.sites, site);
        }
    }
}

fn one_less<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    let Some(count) = counts.get_mut(&key) else { return };
    *count = count.saturating_sub(1);
    if *count == 0 {
        counts.remove(&key);
    }
}
