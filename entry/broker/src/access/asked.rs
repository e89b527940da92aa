//! Asked: what the authorizer of a role is asked about, and which procedures decide.

use std::collections::BTreeSet;
use std::sync::Arc;

use vixen_core::segment::{Match, TopicPattern};

use super::permission::{Permission, Permissions, Rules};
use super::quota::Quotas;
use super::refusal::Act;
use crate::authority::{Authorizer, Question};

impl Permissions {
    /// Those of a role with an authorizer, which is asked about what is allowed: without any permissions, about
    /// everything.
    #[must_use]
    pub fn asking(
        permissions: impl IntoIterator<Item = Permission>,
        quotas: Quotas,
        authorizer: Authorizer,
    ) -> Self {
        let own = Self::new(permissions, quotas);
        let rules = match own.rules {
            Rules::Listed(rules) if rules.is_empty() => Rules::Open,
            rules => rules,
        };
        Self { rules, authorizer: Some(Arc::new(authorizer)), ..own }
    }

    /// The same in a realm in which these procedures decide about others.
    #[must_use]
    pub fn beside(self, deciders: &Arc<BTreeSet<Box<str>>>) -> Self {
        Self { deciders: Some(Arc::clone(deciders)), ..self }
    }

    /// Who is asked about what the rules allow.
    #[must_use]
    pub fn authorizer(&self) -> Option<&Authorizer> {
        self.authorizer.as_deref()
    }

    /// Whether a procedure decides about somebody in the realm.
    #[must_use]
    pub fn decides(&self, procedure: &str) -> bool {
        self.is_authorizer(procedure)
            || self.deciders.as_ref().is_some_and(|deciders| deciders.contains(procedure))
    }

    fn is_authorizer(&self, procedure: &str) -> bool {
        self.authorizer().is_some_and(|authorizer| *authorizer.procedure == *procedure)
    }

    /// What the authorizer is to be asked before a session does this with these options, a JSON object. Of who may
    /// call or register the authorizer itself the rules alone decide.
    #[must_use]
    pub fn question(
        &self,
        act: Act,
        uri: &Arc<str>,
        matching: Match,
        options: &Arc<str>,
    ) -> Option<Question> {
        self.authorizer()?;
        let is_itself = match act {
            Act::Call | Act::Register => matching == Match::Exact && self.is_authorizer(uri),
            Act::Publish | Act::Subscribe => false,
        };
        let question =
            || Question { act, uri: Arc::clone(uri), matching, options: Arc::clone(options) };
        (!is_itself).then(question)
    }

    /// Whether the session may hear what others do with topics of a pattern, which it has not asked for itself: an
    /// authorizer was not asked about these.
    #[must_use]
    pub fn may_hear_of(&self, pattern: &TopicPattern) -> bool {
        self.authorizer.is_none() && self.may_read(pattern)
    }

    /// The same of procedures.
    #[must_use]
    pub fn may_hear_of_procedures(&self, pattern: &TopicPattern) -> bool {
        self.authorizer.is_none() && self.may_call(pattern)
    }

    /// Whether the session may be told what is stored of a subscription, by its number: an authorizer was asked about
    /// the call, and not about these topics.
    #[must_use]
    pub fn may_read_stored(&self, pattern: &TopicPattern) -> bool {
        self.authorizer.is_none() && self.may_read(pattern)
    }
}
