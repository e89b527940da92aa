//! What a role may do.

use std::collections::BTreeSet;
use std::sync::Arc;

use vixen_core::access::Disclosure;
use vixen_core::segment::{Match, TopicPattern};

use super::pattern::Pattern;
use super::quota::Quotas;
use crate::authority::Authorizer;

/// What holds for the topics and procedures that match it, unless a more specific one of the role matches
/// them too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    /// The topics.
    pub uri: String,
    /// How they are compared.
    pub matching: Match,
    /// Whether the role may publish there, and who is then told who it is.
    pub publish: Option<Disclosure>,
    /// Whether the role may subscribe there.
    pub subscribe: bool,
    /// Whether the role may call there, and who is then told who it is.
    pub call: Option<Disclosure>,
    /// Whether the role may register there, and whether callers are then told who answers.
    pub register: Option<CalleeDisclosure>,
}

/// Whether callers are told who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalleeDisclosure {
    /// They are not.
    Hidden,
    /// They are.
    Told,
}

/// What a session may do, as of one configuration. Cheap to clone.
///
/// A topic or procedure is governed by the most specific permission of the role that matches it: the exact one,
/// else the one with the longer start that has no gap (`a.b.*` before `a.*`), else a wildcard
/// before a prefix, else the wildcard that is filled in further to the left. That one allows or
/// denies; without any, everything is denied.
///
/// Procedures that decide (`asked`) are called and registered by a permission alone that names them, and by no
/// pattern: who has a wide one would else decide about itself, or keep others from being decided about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    pub(super) rules: Rules,
    pub(super) quotas: Quotas,
    /// Who is asked about what the rules allow.
    pub(super) authorizer: Option<Arc<Authorizer>>,
    /// Procedures of the realm that decide, beside the authorizer.
    pub(super) deciders: Option<Arc<BTreeSet<Box<str>>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// An open realm, or a role of which an authorizer alone decides: everything is allowed.
    Open,
    /// The most specific first.
    Listed(Arc<[Rule]>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pattern: Pattern,
    publish: Option<Disclosure>,
    subscribe: bool,
    call: Option<Disclosure>,
    register: Option<CalleeDisclosure>,
}

impl Permissions {
    /// Everything is allowed; publishers are disclosed when they ask for it.
    pub const OPEN: Self =
        Self { rules: Rules::Open, quotas: Quotas::UNLIMITED, authorizer: None, deciders: None };

    /// Those of a role. The order of its permissions means nothing.
    #[must_use]
    pub fn new(permissions: impl IntoIterator<Item = Permission>, quotas: Quotas) -> Self {
        let rules = permissions.into_iter().map(|permission| Rule {
            pattern: Pattern::new(&permission.uri, permission.matching),
            publish: permission.publish,
            subscribe: permission.subscribe,
            call: permission.call,
            register: permission.register,
        });
        let mut rules: Vec<_> = rules.collect();
        rules.sort_by_cached_key(|rule| std::cmp::Reverse(rule.pattern.rank()));
        Self { rules: Rules::Listed(rules.into()), quotas, authorizer: None, deciders: None }
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
    #[must_use]
    pub fn may_read(&self, pattern: &TopicPattern) -> bool {
        self.subscribe(&pattern.uri, pattern.matching)
    }

    /// Whether the session may call `procedure`, and who is then told who it is.
    #[must_use]
    pub fn call(&self, procedure: &str) -> Option<Disclosure> {
        if self.decides(procedure) {
            return self.rule_of(procedure)?.call;
        }
        match &self.rules {
            Rules::Open => Some(Disclosure::OnRequest),
            Rules::Listed(rules) => rules.iter().find(|rule| rule.pattern.matches(procedure))?.call,
        }
    }

    /// Whether the session may call all procedures of a pattern, by the rule of [`subscribe`](Self::subscribe).
    #[must_use]
    pub fn may_call(&self, pattern: &TopicPattern) -> bool {
        match &self.rules {
            Rules::Open => true,
            Rules::Listed(rules) => {
                all_of(rules, &pattern.uri, pattern.matching, |rule| rule.call.is_some())
            }
        }
    }

    /// Whether the session may register the procedures of a pattern, by the rule of
    /// [`subscribe`](Self::subscribe), and whether callers are then told who answers: not, where they are not for
    /// a part of it.
    #[must_use]
    pub fn register(&self, uri: &str, matching: Match) -> Option<CalleeDisclosure> {
        // A pattern of that name is never asked.
        if matching == Match::Exact && self.decides(uri) {
            return self.rule_of(uri)?.register;
        }
        let rules = match &self.rules {
            Rules::Open => return Some(CalleeDisclosure::Told),
            Rules::Listed(rules) => rules,
        };
        let mut disclosure = CalleeDisclosure::Told;
        let is_allowed = all_of(rules, uri, matching, |rule| match rule.register {
            Some(CalleeDisclosure::Told) => true,
            Some(CalleeDisclosure::Hidden) => {
                disclosure = CalleeDisclosure::Hidden;
                true
            }
            None => false,
        });
        is_allowed.then_some(disclosure)
    }

    /// Whether the session may subscribe to the topics of a pattern.
    ///
    /// A pattern is allowed when the most specific permission that covers all of it allows it, and
    /// no more specific one, which governs a part of it, denies. So nobody gets by a pattern what
    /// would be denied topic by topic.
    #[must_use]
    pub fn subscribe(&self, uri: &str, matching: Match) -> bool {
        match &self.rules {
            Rules::Open => true,
            Rules::Listed(rules) => all_of(rules, uri, matching, |rule| rule.subscribe),
        }
    }

    /// What the role has of this procedure by its name.
    fn rule_of(&self, procedure: &str) -> Option<&Rule> {
        let Rules::Listed(rules) = &self.rules else { return None };
        let is_it =
            |rule: &&Rule| matches!(&rule.pattern, Pattern::Exact(uri) if **uri == *procedure);
        rules.iter().find(is_it)
    }
}

/// Whether all that governs a part of a pattern allows it, and all of it is governed.
fn all_of(
    rules: &[Rule],
    uri: &str,
    matching: Match,
    mut is_allowed: impl FnMut(&Rule) -> bool,
) -> bool {
    let wanted = Pattern::new(uri, matching);
    for rule in rules.iter().filter(|rule| rule.pattern.overlaps(&wanted)) {
        if !is_allowed(rule) {
            return false;
        }
        if rule.pattern.covers(&wanted) {
            // What is less specific governs no topic of it.
            return true;
        }
    }
    false
}
