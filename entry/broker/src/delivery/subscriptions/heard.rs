//! Who hears of what becomes of subscriptions: sessions that may have subscribed the router's own topics, and other
//! entries. Where nobody does, nothing is noted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vixen_core::segment::{Match, TopicPattern};

use crate::api::{SessionId, SubscriptionId};

/// What happened to subscriptions that others may hear of (WAMP spec *Subscription Meta API*).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The first session has subscribed.
    Created {
        /// The session.
        session: SessionId,
        /// The new subscription.
        subscription: SubscriptionId,
        /// Its topics.
        pattern: TopicPattern,
    },
    /// A session has subscribed.
    Subscribed {
        /// The session.
        session: SessionId,
        /// The subscription.
        subscription: SubscriptionId,
        /// Its topics.
        pattern: TopicPattern,
    },
    /// A session has a subscription no more.
    Unsubscribed {
        /// The session.
        session: SessionId,
        /// The subscription.
        subscription: SubscriptionId,
        /// Its topics.
        pattern: TopicPattern,
    },
    /// The last session is gone.
    Deleted {
        /// The session.
        session: SessionId,
        /// The subscription that was.
        subscription: SubscriptionId,
        /// Its topics.
        pattern: TopicPattern,
    },
}

impl Change {
    /// The realm of its topics.
    #[must_use]
    pub const fn realm(&self) -> &Arc<str> {
        let (Self::Created { pattern, .. }
        | Self::Subscribed { pattern, .. }
        | Self::Unsubscribed { pattern, .. }
        | Self::Deleted { pattern, .. }) = self;
        &pattern.realm
    }

    /// Which subscription it is of.
    #[must_use]
    pub const fn subscription(&self) -> SubscriptionId {
        let (Self::Created { subscription, .. }
        | Self::Subscribed { subscription, .. }
        | Self::Unsubscribed { subscription, .. }
        | Self::Deleted { subscription, .. }) = self;
        *subscription
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Hearers {
    /// Number of subscriptions of each realm that may have meta topics.
    here: BTreeMap<Arc<str>, usize>,
    /// How often the realms of these have changed.
    version: u64,
    /// Realms in which other entries hear of changes.
    elsewhere: BTreeSet<Arc<str>>,
}

impl Hearers {
    /// Somebody has subscribed these topics.
    pub(super) fn add(&mut self, pattern: &TopicPattern) {
        if may_be_meta(pattern) {
            let count = self.here.entry(Arc::clone(&pattern.realm)).or_default();
            *count += 1;
            self.version += u64::from(*count == 1);
        }
    }

    /// Nobody has a subscription of these topics any more.
    pub(super) fn remove(&mut self, pattern: &TopicPattern) {
        if may_be_meta(pattern)
            && let Some(count) = self.here.get_mut(&pattern.realm)
        {
            *count -= 1;
            if *count == 0 {
                self.here.remove(&pattern.realm);
                self.version += 1;
            }
        }
    }

    /// Other entries hear of changes in a realm, or cease to.
    pub(super) fn elsewhere(&mut self, realm: Arc<str>, is_heard: bool) {
        if is_heard {
            self.elsewhere.insert(realm);
        } else {
            self.elsewhere.remove(&realm);
        }
    }

    /// Whether somebody hears of changes in a realm, here or at another entry.
    pub(super) fn hear(&self, realm: &str) -> bool {
        self.are_here(realm) || self.elsewhere.contains(realm)
    }

    /// Whether anybody in a realm may have subscribed what the router says of itself.
    pub(super) fn are_here(&self, realm: &str) -> bool {
        self.here.contains_key(realm)
    }

    /// These realms, and how often they have changed.
    pub(super) fn realms(&self) -> (u64, impl Iterator<Item = &Arc<str>>) {
        (self.version, self.here.keys())
    }

    /// Asserts that it counts those of these topics that may be meta topics.
    pub(super) fn check<'a>(&self, patterns: impl Iterator<Item = &'a TopicPattern>) {
        let mut here: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for pattern in patterns.filter(|pattern| may_be_meta(pattern)) {
            *here.entry(&pattern.realm).or_default() += 1;
        }
        let counted = self.here.iter().map(|(realm, count)| (realm, *count));
        assert!(counted.eq(here), "D1: who may hear of meta events");
    }
}

/// Whether a topic of the router itself may match.
fn may_be_meta(pattern: &TopicPattern) -> bool {
    const META: &str = "wamp.";
    if pattern.is_of_entries() {
        return false;
    }
    let begins = |uri: &str| uri.starts_with(META) || META.starts_with(uri);
    match pattern.matching {
        Match::Exact => pattern.uri.starts_with(META),
        Match::Prefix => begins(&pattern.uri),
        Match::Wildcard => begins(pattern.fixed_prefix()),
        Match::Dotted => {
            let first = pattern.uri.split('.').next();
            matches!(first, Some("*" | "#" | "wamp"))
        }
    }
}
