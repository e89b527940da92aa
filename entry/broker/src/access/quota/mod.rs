//! Quotas: how much a user may publish through this entry, and all users of a realm together. What else a client has
//! stored counts as well: who registers, or ends that, has a record written.
//!
//! Pure: time comes with each call, and topics as digests that the caller makes.
//!
//! What is bounded by the second may be had all at once, and is then waited for; a message that is
//! larger than what is left passes, and the next ones wait the longer. New topics are those that this
//! entry has not seen published for one to two days: it asks no ndb node, and forgets them when it
//! stops. So the bounds are of an entry: a cluster lets through as many times as much as it has entries.
//!
//! Invariants:
//! - Q1: what is refused counts for nobody: not for the user when the realm has no more.
//! - Q2: memory is bounded: by users, and by topics of each.

mod bucket;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vixen_core::access::{Quota, SITE_SHARES};

use crate::api::Origin;
use bucket::Bucket;
use topics::KnownTopics;

/// How often it is noted that a user is there.
const SEEN_EVERY: Duration = Duration::from_secs(1);

/// What a role and its realm allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Each user.
    pub user: Quota,
    /// All users of the realm together.
    pub realm: Quota,
}

impl Quotas {
    /// Without bound.
    pub const UNLIMITED: Self = Self { user: Quota::UNLIMITED, realm: Quota::UNLIMITED };

    /// Whether nothing is bounded.
    #[must_use]
    pub fn are_unlimited(&self) -> bool {
        self.user.is_unlimited() && self.realm.is_unlimited()
    }
}

/// Whom a quota is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One user.
    User,
    /// A realm.
    Realm,
}

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `messages-per-second`.
    Messages,
    /// `bytes-per-second`.
    Bytes,
    /// `topics-per-second`.
    NewTopics,
    /// `topics-max`.
    Topics,
}

impl Kind {
    /// Its key.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Messages => "messages-per-second",
            Self::Bytes => "bytes-per-second",
            Self::NewTopics => "topics-per-second",
            Self::Topics => "topics-max",
        }
    }
}

impl Scope {
    /// Its table, which ends with a dot.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::User => "realm.role.quota.",
            Self::Realm => "realm.quota.",
        }
    }

    /// Value of a metric label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Realm => "realm",
        }
    }
}

/// A message is more than a quota allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{table}{key} is {max}, and this message is more: try again in {wait}",
    table = .scope.table(), key = .kind.key(), wait = in_words(*.retry_ms)
)]
pub struct Exceeded {
    /// Whose quota.
    pub scope: Scope,
    /// Which one.
    pub kind: Kind,
    /// What it allows.
    pub max: u64,
    /// When the same message may pass, if nothing else is published.
    pub retry_ms: u64,
}

/// A time as people say it, rounded up.
fn in_words(ms: u64) -> String {
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    if ms <= SECOND {
        format!("{ms} ms")
    } else if ms <= 2 * MINUTE {
        format!("{} s", ms.div_ceil(SECOND))
    } else if ms <= 2 * HOUR {
        format!("{} min", ms.div_ceil(MINUTE))
    } else {
        format!("{} h", ms.div_ceil(HOUR))
    }
}

/// Who publishes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Publisher {
    /// A user, by its authid.
    Named(Arc<str>),
    /// Whoever has no name comes from somewhere: a new session is not somebody else.
    Anonymous(Origin),
    /// All of those of one site together.
    Site(IpAddr),
}

impl Publisher {
    /// Who else it counts for, with how many times as much.
    fn others(&self) -> Option<(Self, u64)> {
        match self {
            Self::Anonymous(Origin { site: Some(site), .. }) => {
                Some((Self::Site(*site), SITE_SHARES as u64))
            }
            Self::Named(_) | Self::Anonymous(Origin { site: None, .. }) | Self::Site(_) => None,
        }
    }
}

/// So many times as much.
fn times(quota: &Quota, shares: u64) -> Quota {
    let times = |max: Option<u64>| max.map(|max| max.saturating_mul(shares));
    Quota {
        messages_per_second: times(quota.messages_per_second),
        bytes_per_second: times(quota.bytes_per_second),
        topics_per_second: times(quota.topics_per_second),
        topics_max: times(quota.topics_max),
    }
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Of topic and payload.
    pub bytes: u64,
    /// Of the topic, within its realm; `None` for what is stored and has none of the realm's, as a registration.
    pub topic: Option<u64>,
}

/// All users and realms of an entry that have quotas. See the module.
#[derive(Debug, Default)]
pub struct Meters {
    realms: BTreeMap<Arc<str>, Meter>,
    users: BTreeMap<UserKey, Seen>,
    /// The same, by when they were seen.
    by_time: BTreeSet<(Instant, UserKey)>,
}

type UserKey = (Arc<str>, Publisher);

#[derive(Debug)]
struct Seen {
    at: Instant,
    meter: Meter,
}

/// What one user, or one realm, has published of late.
#[derive(Debug, Default)]
struct Meter {
    messages: Bucket,
    bytes: Bucket,
    new_topics: Bucket,
    topics: KnownTopics,
}

impl Meters {
    /// Counts a message, if it may pass.
    ///
    /// # Errors
    /// It may not, and nothing is counted.
    pub fn spend(
        &mut self,
        now: Instant,
        realm: &Arc<str>,
        publisher: &Publisher,
        quotas: &Quotas,
        cost: Cost,
    ) -> Result<(), Exceeded> {
        let mut users = Vec::new();
        if !quotas.user.is_unlimited() {
            let others = publisher.others();
            for (publisher, shares) in others.into_iter().chain([(publisher.clone(), 1)]) {
                let user = self.user(now, (Arc::clone(realm), publisher));
                users.push((user, shares, times(&quotas.user, shares)));
            }
        }
        for (user, shares, quota) in &users {
            let Some(Seen { meter, .. }) = self.users.get_mut(user) else { continue };
            meter
                .check(now, Scope::User, quota, cost)
                .map_err(|exceeded| Exceeded { max: exceeded.max / shares, ..exceeded })?;
        }
        if !quotas.realm.is_unlimited() {
            let meter = self.realms.entry(Arc::clone(realm)).or_default();
            meter.check(now, Scope::Realm, &quotas.realm, cost)?;
            meter.take(now, &quotas.realm, cost);
        }
        for (user, _, quota) in &users {
            if let Some(seen) = self.users.get_mut(user) {
                seen.meter.take(now, quota, cost);
            }
        }
        Ok(())
    }

    /// Notes that a user is there.
    fn user(&mut self, now: Instant, key: UserKey) -> UserKey {
        let seen = self.users.get(&key).map(|seen| seen.at);
        match seen {
            Some(at) if now.saturating_duration_since(at) < SEEN_EVERY => return key,
            Some(at) => {
                self.by_time.remove(&(at, key.clone()));
            }
            None => self.make_room(),
        }
        self.by_time.insert((now, key.clone()));
        let seen = self.users.entry(key.clone());
        seen.or_insert_with(|| Seen { at: now, meter: Meter::default() }).at = now;
        debug_assert_eq!(self.users.len(), self.by_time.len());
        key
    }

    /// The one that has published nothing for the longest is forgotten first.
    fn make_room(&mut self) {
        while self.users.len() >= Quota::USERS_MAX
            && let Some((_, first)) = self.by_time.pop_first()
        {
            self.users.remove(&first);
        }
    }
}

impl Meter {
    /// Whether a message may pass.
    fn check(
        &mut self,
        now: Instant,
        scope: Scope,
        quota: &Quota,
        cost: Cost,
    ) -> Result<(), Exceeded> {
        let exceeded = |kind, max, wait: Duration| Exceeded {
            scope,
            kind,
            max,
            retry_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1),
        };
        let by_second = [
            (Kind::Messages, quota.messages_per_second, &self.messages),
            (Kind::Bytes, quota.bytes_per_second, &self.bytes),
        ];
        for (kind, max, bucket) in by_second {
            if let (Some(max), Some(wait)) = (max, bucket.wait(now)) {
                return Err(exceeded(kind, max, wait));
            }
        }
        let Some(topic) = cost.topic.filter(|_| quota.topics_kept().is_some()) else {
            return Ok(());
        };
        if self.topics.knows(now, topic) {
            return Ok(());
        }
        if let Some(max) = quota.topics_max
            && self.topics.len() as u64 >= max
        {
            return Err(exceeded(Kind::Topics, max, self.topics.until_less(now)));
        }
        if let (Some(max), Some(wait)) = (quota.topics_per_second, self.new_topics.wait(now)) {
            return Err(exceeded(Kind::NewTopics, max, wait));
        }
        Ok(())
    }

    /// Counts one that does.
    fn take(&mut self, now: Instant, quota: &Quota, cost: Cost) {
        if let Some(rate) = quota.messages_per_second {
            self.messages.take(now, 1, rate);
        }
        if let Some(rate) = quota.bytes_per_second {
            self.bytes.take(now, cost.bytes, rate);
        }
        let (Some(max), Some(topic)) = (quota.topics_kept(), cost.topic) else { return };
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let is_new = self.topics.add(now, topic, max);
        if let Some(rate) = quota.topics_per_second.filter(|_| is_new) {
            self.new_topics.take(now, 1, rate);
        }
    }
}

#[cfg(test)]
mod tests;
