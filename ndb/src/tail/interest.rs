//! Interest: the topics an entry wants, as patterns.

use std::collections::BTreeSet;

use vixen_common::segment::{Topic, TopicPattern};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Interest {
    /// Looked up.
    exact: BTreeSet<Topic>,
    /// Tried one by one: there are few, and the topics of a segment are few.
    patterns: BTreeSet<TopicPattern>,
}

impl Interest {
    pub(super) fn add(&mut self, pattern: TopicPattern) {
        if pattern.is_exact() {
            self.exact.insert(topic_of(pattern));
        } else {
            self.patterns.insert(pattern);
        }
    }

    pub(super) fn remove(&mut self, pattern: &TopicPattern) {
        if pattern.is_exact() {
            self.exact.remove(&topic_of(pattern.clone()));
        } else {
            self.patterns.remove(pattern);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.patterns.is_empty()
    }

    pub(super) fn contains(&self, topic: &Topic) -> bool {
        self.exact.contains(topic) || self.patterns.iter().any(|pattern| pattern.matches(topic))
    }
}

impl FromIterator<TopicPattern> for Interest {
    fn from_iter<I: IntoIterator<Item = TopicPattern>>(patterns: I) -> Self {
        let mut interest = Self::default();
        patterns.into_iter().for_each(|pattern| interest.add(pattern));
        interest
    }
}

fn topic_of(pattern: TopicPattern) -> Topic {
    Topic { realm: pattern.realm, uri: pattern.uri }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vixen_common::segment::Match;

    #[test]
    fn patterns_come_and_go() {
        let mut interest = Interest::default();
        let [exact, prefix] =
            [Match::Exact, Match::Prefix].map(|matching| TopicPattern::new("r", "a.b", matching));
        assert!(interest.is_empty());
        interest.add(prefix.clone());
        interest.add(exact.clone());
        let has = |interest: &Interest, uri| interest.contains(&Topic::new("r", uri));
        assert!(has(&interest, "a.b") && has(&interest, "a.bc") && !has(&interest, "a"));
        interest.remove(&prefix);
        assert!(has(&interest, "a.b") && !has(&interest, "a.bc"));
        interest.remove(&exact);
        assert!(interest.is_empty() && !has(&interest, "a.b"));
    }
}
