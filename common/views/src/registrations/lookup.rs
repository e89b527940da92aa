//! Which registration serves a procedure, and which there are.

use vixen_core::segment::{Match, Topic, TopicPattern};

use super::{Registration, Registrations};
use crate::record::RegistrationId;

/// Registrations of a realm, as `wamp.registration.list` tells them; each list rises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Of one procedure each.
    pub exact: Vec<RegistrationId>,
    /// Of all that begins with a text.
    pub prefix: Vec<RegistrationId>,
    /// Of all with these components.
    pub wildcard: Vec<RegistrationId>,
}

impl Registrations {
    /// Who serves a procedure: the exact registration, else the longest prefix in characters, else the
    /// wildcard with a filled component at the leftmost place where those that match differ.
    #[must_use]
    pub fn lookup(&self, procedure: &Topic) -> Option<&Registration> {
        let (id, _steps) = self.table.index.most_specific(procedure);
        self.get(*id?)
    }

    /// The most nodes that a lookup in the realm of `pattern` can take for its wildcards, with `pattern` as
    /// well: for whoever sets a limit.
    #[must_use]
    pub fn cost_with(&self, pattern: &TopicPattern) -> usize {
        self.table.index.cost_with(pattern)
    }

    /// All registrations of a realm.
    #[must_use]
    pub fn list(&self, realm: &str) -> Listed {
        let mut listed = Listed::default();
        let from = TopicPattern::new(realm, "", Match::Exact);
        let of_realm = self.table.by_pattern.range(from..);
        for (pattern, id) in of_realm.take_while(|(pattern, _)| *pattern.realm == *realm) {
            match pattern.matching {
                Match::Exact => listed.exact.push(*id),
                Match::Prefix => listed.prefix.push(*id),
                Match::Wildcard => listed.wildcard.push(*id),
                // Never registered.
                Match::Dotted => {}
            }
        }
        for list in [&mut listed.exact, &mut listed.prefix, &mut listed.wildcard] {
            list.sort_unstable();
        }
        listed
    }
}
