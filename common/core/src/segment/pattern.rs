//! Topic patterns: which topics a reader wants.
//!
//! Source: WAMP spec, *Pattern-based Subscriptions* (Advanced Profile).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{STATE_REALM, Topic};

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
    /// Components between dots: `*` is any one, `#` any number of them, none included.
    Dotted,
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

/// The realm in which entries tell each other who is callee of what. No client can name it.
pub const CALLS_REALM: &str = "#calls";

/// A topic of [`CALLS_REALM`], and one of [`STATE_REALM`], that nobody publishes: who wants it waits for what comes in
/// that realm.
pub const WAITS_TOPIC: &str = "waits";

impl TopicPattern {
    /// What an interest in it counts beside its realm and text: in queues, and in the messages that
    /// carry it.
    pub const INTEREST_BYTES: usize = 64;

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

    /// What says that somebody waits for what comes in [`CALLS_REALM`].
    #[must_use]
    pub fn waits() -> Self {
        Self::new(CALLS_REALM, WAITS_TOPIC, Match::Exact)
    }

    /// What says that somebody waits for what comes in [`STATE_REALM`].
    #[must_use]
    pub fn waits_for_state() -> Self {
        Self::new(STATE_REALM, WAITS_TOPIC, Match::Exact)
    }

    /// Whether it is of entries alone, and of no client.
    #[must_use]
    pub fn is_of_entries(&self) -> bool {
        matches!(&*self.realm, CALLS_REALM | STATE_REALM)
    }

    /// Whether who wants it waits for the order: what entries tell each other has time, but where somebody says that
    /// it has not (`docs/design/027-calls.md`).
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !self.is_of_entries() || (self.is_exact() && *self.uri == *WAITS_TOPIC)
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
            Match::Dotted => matches_dotted(&self.uri, uri),
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
            Match::Dotted => {
                // Up to the dot before the first placeholder: `a.#` is `a` as well.
                let mut end = 0;
                for part in self.uri.split('.') {
                    if matches!(part, "*" | "#") {
                        return &self.uri[..end];
                    }
                    end += part.len() + usize::from(end > 0);
                }
                &self.uri
            }
        }
    }

    /// Whether it is one topic and no set.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        matches!(self.matching, Match::Exact)
    }
}

impl From<Topic> for TopicPattern {
    fn from(topic: Topic) -> Self {
        Self { realm: topic.realm, uri: topic.uri, matching: Match::Exact }
    }
}

/// Greedy, with one way back: to the last `#`, which then takes one component more. Time is the
/// product of the lengths at worst.
fn matches_dotted(pattern: &str, uri: &str) -> bool {
    let (mut wanted, mut parts) = (pattern.split('.'), uri.split('.'));
    // After the last `#`, and what it has not taken.
    let mut retry = None;
    loop {
        let at_part = parts.clone();
        let is_match = match (wanted.next(), parts.next()) {
            (Some("#"), _) => {
                parts = at_part.clone();
                retry = Some((wanted.clone(), at_part));
                continue;
            }
            (None, None) => return true,
            (Some(wanted), Some(part)) => wanted == "*" || wanted == part,
            (None, Some(_)) | (Some(_), None) => false,
        };
        if is_match {
            continue;
        }
        let Some((after, mut rest)) = retry.take() else { return false };
        if rest.next().is_none() {
            return false;
        }
        (wanted, parts) = (after.clone(), rest.clone());
        retry = Some((after, rest));
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
    fn what_entries_tell_each_other_is_awaited_by_one_topic_of_each_realm() {
        for (realm, waits) in
            [(CALLS_REALM, TopicPattern::waits()), (STATE_REALM, TopicPattern::waits_for_state())]
        {
            let all = TopicPattern::all(realm);
            assert!(all.is_of_entries() && !all.is_awaited(), "{realm}");
            assert!(waits.is_of_entries() && waits.is_awaited(), "{realm}");
            assert!(!TopicPattern::new(realm, "waits", Match::Prefix).is_awaited(), "{realm}");
            assert!(all.matches(&Topic::new(realm, "waits")));
        }
        for realm in ["r", "calls", "state", "#stat", "#state.parts", ""] {
            let pattern = TopicPattern::new(realm, "waits", Match::Exact);
            assert!(!pattern.is_of_entries() && pattern.is_awaited(), "{realm}");
        }
    }

    #[test]
    fn dotted_patterns_have_one_and_any_number_of_components() {
        let table = [
            ("a.*", &["a.b"][..], &["a", "a.b.c", "b.b"][..]),
            ("*", &["a"], &["a.b"]),
            ("#", &["a", "a.b", "a.b.c"], &[]),
            ("a.#", &["a", "a.b", "a.b.c"], &["ab", "b.a"]),
            ("#.c", &["c", "a.c", "a.c.c", "c.c"], &["a", "c.a"]),
            ("a.#.c", &["a.c", "a.b.c", "a.c.b.c"], &["a", "c", "a.c.b"]),
            ("a.#.b.#.c", &["a.b.c", "a.x.b.y.z.c", "a.b.b.c.c"], &["a.c.b", "a.x.c"]),
            ("#.*", &["a", "a.b"], &[]),
            ("*.#.*", &["a.b", "a.b.c"], &["a"]),
            ("a.b", &["a.b"], &["a", "a.b.c"]),
        ];
        for (pattern, good, bad) in table {
            for uri in good {
                assert!(matches(pattern, Match::Dotted, uri), "{pattern} has {uri}");
            }
            for uri in bad {
                assert!(!matches(pattern, Match::Dotted, uri), "{pattern} has not {uri}");
            }
        }
    }

    #[test]
    fn many_hashes_take_no_exponential_time() {
        let pattern = "#.a.".repeat(60) + "b";
        assert!(!matches(&pattern, Match::Dotted, &["a"; 200].join(".")));
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
        assert_eq!(prefix("a.b.#", Match::Dotted), "a.b");
        assert_eq!(prefix("a.b.*.c", Match::Dotted), "a.b");
        assert_eq!(prefix("#", Match::Dotted), "");
        assert_eq!(prefix("*.a", Match::Dotted), "");
    }
}
