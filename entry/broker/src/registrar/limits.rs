//! Limits: how much registrations may take, asked before a REGISTER is written.
//!
//! Exact procedures cost a call one look-up whatever their number. Patterns cost more, and so they have the bounds
//! that patterns of subscriptions have, counted apart: of a session, of an address and its site, of the realm, of the
//! entry, and of the steps of a look-up. An address and the entry are charged once for each session that has a place
//! in a registration, the realm once for each registration.

use std::collections::BTreeMap;
use std::net::IpAddr;

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
    /// Of these, most that are no exact procedures.
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
    /// Whether the view has room for a registration of this pattern; one that is there needs none.
    pub(super) fn admit(
        &self,
        view: &Registrations,
        pattern: &TopicPattern,
    ) -> Result<(), RegisterError> {
        check_pattern(pattern).map_err(RegisterError::Invalid)?;
        let limits = RealmLimits {
            registrations_max: usize::MAX,
            patterns_max: self.patterns_per_realm_max,
            wildcard_steps_max: self.wildcard_steps_max,
        };
        view.admit(pattern, &limits).map_err(|error| match error {
            NoRoom::Registrations { max } => RegisterError::TooMany { max },
            NoRoom::Patterns { max } => {
                RegisterError::TooManyPatterns { holder: Holder::Realm, max }
            }
            NoRoom::Shapes { max } => RegisterError::TooManyShapes { max },
        })
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

fn one_less(counts: &mut BTreeMap<IpAddr, usize>, key: IpAddr) {
    let Some(count) = counts.get_mut(&key) else { return };
    *count = count.saturating_sub(1);
    if *count == 0 {
        counts.remove(&key);
    }
}
