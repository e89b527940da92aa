//! What a role may do.

use std::sync::Arc;

use vixen_core::segment::{Match, TopicPattern};
use vixen_runtime::config::{Disclosure, QuotaConfig, RoleConfig};

use super::pattern::Pattern;
use crate::quota::Quotas;

/// What a session may do, as of one configuration. Cheap to clone.
///
/// A topic is governed by the most specific permission of the role that matches it: the exact one,
/// else the one with the longer start that has no gap (`a.b.*` before `a.*`), else a wildcard
/// before a prefix, else the wildcard that is filled in further to the left. That one allows or
/// denies; without any, everything is denied.
#[derive(Clone, Debug)]
pub struct Permissions {
    rules: Rules,
    quotas: Quotas,
}

#[derive(Clone, Debug)]
enum Rules {
    /// An open realm: everything is allowed.
    Open,
    /// The most specific first.
    Listed(Arc<[Rule]>),
}

#[derive(Clone, Debug)]
struct Rule {
    pattern: Pattern,
    publish: Option<Disclosure>,
    subscribe: bool,
}

impl Permissions {
    /// Everything is allowed; publishers are disclosed when they ask for it.
    pub(crate) const OPEN: Self = Self { rules: Rules::Open, quotas: Quotas::UNLIMITED };

    pub(crate) fn new(role: &RoleConfig, realm_quota: QuotaConfig) -> Self {
        let mut rules: Vec<_> = role
            .permissions
            .iter()
            .map(|permission| Rule {
                pattern: Pattern::new(&permission.uri, permission.matching),
                publish: permission.publish.then_some(permission.disclose_publisher),
                subscribe: permission.subscribe,
            })
            .collect();
        rules.sort_by_cached_key(|rule| std::cmp::Reverse(rule.pattern.rank()));
        let quotas = Quotas { user: role.quota, realm: realm_quota };
        Self { rules: Rules::Listed(rules.into()), quotas }
    }

    /// How much the session may publish.
    #[must_use]
    pub const fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Whether the session may publish to `topic`, and who is then told who it is. Topics under
    /// `wamp.` are like any other here: that nobody publishes there is for the caller to see to.
    #[must_use]
    pub fn publish(&self, topic: &str) -> Option<Disclosure> {
        match &self.rules {
            Rules::Open => Some(Disclosure::OnRequest),
            Rules::Listed(rules) => rules.iter().find(|rule| rule.pattern.matches(topic))?.publish,
        }
    }

    /// [`subscribe`](Self::subscribe) of a pattern of its realm.
    pub(crate) fn may_read(&self, pattern: &TopicPattern) -> bool {
        self.subscribe(&pattern.uri, pattern.matching)
    }

    /// Whether the session may subscribe to the topics of a pattern.
    ///
    /// A pattern is allowed when the most specific permission that covers all of it allows it, and
    /// no more specific one, which governs a part of it, denies. So nobody gets by a pattern what
    /// would be denied topic by topic.
    #[must_use]
    pub fn subscribe(&self, uri: &str, matching: Match) -> bool {
        let rules = match &self.rules {
            Rules::Open => return true,
            Rules::Listed(rules) => rules,
        };
        let wanted = Pattern::new(uri, matching);
        for rule in rules.iter().filter(|rule| rule.pattern.overlaps(&wanted)) {
            if !rule.subscribe {
                return false;
            }
            if rule.pattern.covers(&wanted) {
                // What is less specific governs no topic of it.
                return true;
            }
        }
        false
    }
}
