//! Testaments: what sessions want published when they end.
//!
//! Source: WAMP spec *Session Testament*. Sessions are not resumed here, so each ends once: what is left for its
//! being detached is published first, then what is left for its end, each in the order in which it came.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::api::calls::{Scope, Testament};
use crate::api::{Origin, Publish, SessionId};

/// Bounds, by the names of their keys in `[limits]`. Bytes are as [`Publish::counted_bytes`] has them, and the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestamentLimits {
    /// `testaments-per-session-max`
    pub per_session_max: usize,
    /// `testaments-bytes-per-session-max`
    pub bytes_per_session_max: usize,
    /// `testaments-bytes-per-address-max`: of all sessions of an address.
    pub bytes_per_address_max: usize,
    /// Of a site of many addresses.
    pub bytes_per_site_max: usize,
    /// `testaments-bytes-max`: of all sessions of the entry, those that are over and whose messages wait for room too.
    pub bytes_max: usize,
}

/// A key of `[limits]` that is reached, and its value.
pub(super) type Reached = (&'static str, usize);

/// See the module.
#[derive(Debug)]
pub(super) struct Testaments {
    limits: TestamentLimits,
    of: BTreeMap<SessionId, Will>,
    bytes: usize,
    /// Of these, by where clients are.
    addresses: BTreeMap<IpAddr, usize>,
    sites: BTreeMap<IpAddr, usize>,
}

/// That of one session.
#[derive(Debug)]
struct Will {
    origin: Origin,
    last: u64,
    bytes: usize,
    detached: Vec<Publish>,
    destroyed: Vec<Publish>,
}

impl Will {
    const fn new(origin: Origin) -> Self {
        Self { origin, last: 0, bytes: 0, detached: Vec::new(), destroyed: Vec::new() }
    }

    fn len(&self) -> usize {
        self.detached.len() + self.destroyed.len()
    }

    const fn scope(&mut self, scope: Scope) -> &mut Vec<Publish> {
        match scope {
            Scope::Detached => &mut self.detached,
            Scope::Destroyed => &mut self.destroyed,
        }
    }
}

impl Testaments {
    pub(super) const fn new(limits: TestamentLimits) -> Self {
        let addresses = BTreeMap::new();
        let sites = BTreeMap::new();
        Self { limits, of: BTreeMap::new(), bytes: 0, addresses, sites }
    }

    /// Nothing is kept, and nothing counted.
    #[cfg(test)]
    pub(super) fn are_none(&self) -> bool {
        self.bytes == 0 && self.addresses.is_empty() && self.sites.is_empty()
    }

    /// Of all that are kept.
    #[cfg(test)]
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps one more, where `leaving` bytes of those that were left before are published and wait for room; its number
    /// among those of the session.
    pub(super) fn add(
        &mut self,
        (session, origin): (SessionId, Origin),
        Testament { scope, message }: Testament,
        leaving: usize,
    ) -> Result<u64, Reached> {
        let limits = self.limits;
        let more = bytes_of(&message);
        let (count, bytes) = self.of.get(&session).map_or((0, 0), |will| (will.len(), will.bytes));
        if count >= limits.per_session_max {
            return Err(("testaments-per-session-max", limits.per_session_max));
        }
        if bytes.saturating_add(more) > limits.bytes_per_session_max {
            return Err(("testaments-bytes-per-session-max", limits.bytes_per_session_max));
        }
        let of_address = of(&self.addresses, Some(origin.client));
        let of_site = of(&self.sites, origin.site);
        for (has, max) in
            [(of_address, limits.bytes_per_address_max), (of_site, limits.bytes_per_site_max)]
        {
            if has.saturating_add(more) > max {
                return Err(("testaments-bytes-per-address-max", max));
            }
        }
        if self.bytes.saturating_add(leaving).saturating_add(more) > limits.bytes_max {
            return Err(("testaments-bytes-max", limits.bytes_max));
        }
        let will = self.of.entry(session).or_insert_with(|| Will::new(origin));
        will.last += 1;
        will.bytes += more;
        will.scope(scope).push(message);
        let (last, origin) = (will.last, will.origin);
        self.bytes += more;
        *self.addresses.entry(origin.client).or_default() += more;
        if let Some(site) = origin.site {
            *self.sites.entry(site).or_default() += more;
        }
        Ok(last)
    }

    /// So many bytes from there are kept no more.
    fn less(&mut self, origin: Origin, bytes: usize) {
        self.bytes -= bytes;
        less(&mut self.addresses, Some(origin.client), bytes);
        less(&mut self.sites, origin.site, bytes);
    }

    /// Forgets those of a scope; how many there were.
    pub(super) fn flush(&mut self, session: SessionId, scope: Scope) -> usize {
        let Some(will) = self.of.get_mut(&session) else { return 0 };
        let flushed = std::mem::take(will.scope(scope));
        let bytes: usize = flushed.iter().map(bytes_of).sum();
        will.bytes -= bytes;
        let origin = will.origin;
        self.less(origin, bytes);
        flushed.len()
    }

    /// Forgets those of a session that it may not publish any more.
    pub(super) fn retain(&mut self, session: SessionId, may_publish: impl Fn(&Publish) -> bool) {
        let Some(will) = self.of.get_mut(&session) else { return };
        will.detached.retain(&may_publish);
        will.destroyed.retain(&may_publish);
        let bytes: usize = will.detached.iter().chain(&will.destroyed).map(bytes_of).sum();
        let (origin, before) = (will.origin, std::mem::replace(&mut will.bytes, bytes));
        self.less(origin, before - bytes);
    }

    /// The session is over: what is to be published, in order.
    pub(super) fn take(&mut self, session: SessionId) -> Vec<Publish> {
        let Some(will) = self.of.remove(&session) else { return Vec::new() };
        self.less(will.origin, will.bytes);
        let mut all = will.detached;
        all.extend(will.destroyed);
        all
    }
}

/// What there is from somewhere.
fn of(counts: &BTreeMap<IpAddr, usize>, at: Option<IpAddr>) -> usize {
    at.and_then(|at| counts.get(&at)).copied().unwrap_or_default()
}

fn less(counts: &mut BTreeMap<IpAddr, usize>, at: Option<IpAddr>, bytes: usize) {
    let Some(at) = at else { return };
    let Some(count) = counts.get_mut(&at) else { return };
    *count -= bytes;
    if *count == 0 {
        counts.remove(&at);
    }
}

fn bytes_of(message: &Publish) -> usize {
    message.counted_bytes() + message.topic.uri.len()
}
