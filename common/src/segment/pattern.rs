//! Topic patterns: which topics a reader wants.
//!
//! Source: WAMP spec, *Pattern-based Subscriptions* (Advanced Profile).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Topic;

/// How a pattern is compared with a topic URI.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Match {
    /// The topic is the pattern.
    #[default]
    Exact,
    /// The topic begins with the pattern; an empty one is every topic.
    Prefix,
    /// As many components between dots, each equal or empty in the pattern.
    Wildcard,
}

/// A set of topics in one realm.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPattern {
    /// The realm.
    pub realm: Arc<str>,
    /// The pattern.
    pub uri: Arc<str>,
    /// How it is compared.
    pub matching: Match,
}

impl TopicPattern {
    /// A pattern in a realm.
    #[must_use]
    pub fn new(realm: &str, uri: &str, matching: Match) -> Self {
        Self { realm: realm.into(), uri: uri.into(), matching }
    }

    /// Every topic of a realm.
    #[must_use]
    pub fn all(realm: &str) -> Self {
        Self::new(realm, "", Match::Prefix)
    }

    /// Whether the topic is of the set.
    #[must_use]
    pub fn matches(&self, topic: &Topic) -> bool {
        topic.realm == self.realm && self.matches_uri(&topic.uri)
    }

    fn matches_uri(&self, uri: &str) -> bool {
        match self.matching {
            Match::Exact => *uri == *self.uri,
            Match::Prefix => uri.starts_with(&*self.uri),
            Match::Wildcard => {
                let (mut wanted, mut parts) = (self.uri.split('.'), uri.split('.'));
                loop {
                    match (wanted.next(), parts.next()) {
                        (None, None) => return true,
                        (Some(wanted), Some(part)) if wanted.is_empty() || wanted == part => {}
                        _ => return false,
                    }
                }
            }
        }
    }

    /// What every topic of the set begins with.
    #[must_use]
    pub fn fixed_prefix(&self) -> &str {
        match self.matching {
            Match::Exact | Match::Prefix => &self.uri,
            Match::Wildcard => {
                // Up to the first empty component.
                let mut end = 0;
                for part in self.uri.split('.') {
                    if part.is_empty() {
                        return &self.uri[..end];
                    }
                    end = (end + part.len() + 1).min(self.uri.len());
                }
                &self.uri
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, matching: Match, uri: &str) -> bool {
        TopicPattern::new("r", pattern, matching).matches(&Topic::new("r", uri))
    }

    #[test]
    fn exact_prefix_and_wildcard_are_those_of_wamp() {
        assert!(matches("a.b", Match::Exact, "a.b") && !matches("a.b", Match::Exact, "a.b.c"));
        assert!(matches("a.b", Match::Prefix, "a.bc") && !matches("a.b", Match::Prefix, "a"));
        assert!(matches("", Match::Prefix, "anything"));
        assert!(matches("a..c", Match::Wildcard, "a.b.c"));
        assert!(matches(".b", Match::Wildcard, "a.b"));
        for other in ["a.b", "a.b.d", "a.b.c.d", "x.b.c"] {
            assert!(!matches("a..c", Match::Wildcard, other), "{other}");
        }
        let elsewhere = Topic::new("other", "a.b");
        assert!(!TopicPattern::new("r", "a.b", Match::Exact).matches(&elsewhere));
    }

    #[test]
    fn a_fixed_prefix_begins_every_topic_that_matches() {
        let prefix =
            |uri, matching| TopicPattern::new("r", uri, matching).fixed_prefix().to_owned();
        assert_eq!(prefix("a.b", Match::Exact), "a.b");
        assert_eq!(prefix("a..c", Match::Wildcard), "a.");
        assert_eq!(prefix("..c", Match::Wildcard), "");
        assert_eq!(prefix("a.b", Match::Wildcard), "a.b");
        assert_eq!(prefix("a.b.", Match::Wildcard), "a.b.");
    }
}
