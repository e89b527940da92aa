//! Interest: the topics an entry wants, as patterns.

use vixen_core::patterns::{PatternIndex, Steps};
use vixen_core::segment::{Topic, TopicPattern};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    patterns: PatternIndex<()>,
}

impl Interest {
    pub(crate) fn add(&mut self, pattern: &TopicPattern) {
        self.patterns.insert(pattern, ());
    }

    pub(crate) fn remove(&mut self, pattern: &TopicPattern) {
        self.patterns.remove(pattern);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// And what it took to find out.
    pub(crate) fn contains(&self, topic: &Topic) -> (bool, Steps) {
        self.patterns.contains(topic)
    }
}

#[cfg(test)]
impl FromIterator<TopicPattern> for Interest {
    fn from_iter<I: IntoIterator<Item = TopicPattern>>(patterns: I) -> Self {
        let mut interest = Self::default();
        patterns.into_iter().for_each(|pattern| interest.add(&pattern));
        interest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vixen_core::segment::Match;

    #[test]
    fn patterns_come_and_go() {
        let mut interest = Interest::default();
        let [exact, prefix] =
            [Match::Exact, Match::Prefix].map(|matching| TopicPattern::new("r", "a.b", matching));
        assert!(interest.is_empty());
        interest.add(&prefix);
        interest.add(&exact);
        interest.add(&exact);
        let has = |interest: &Interest, uri| interest.contains(&Topic::new("r", uri)).0;
        assert!(has(&interest, "a.b") && has(&interest, "a.bc") && !has(&interest, "a"));
        interest.remove(&prefix);
        assert!(has(&interest, "a.b") && !has(&interest, "a.bc"));
        interest.remove(&exact);
        assert!(interest.is_empty() && !has(&interest, "a.b"));
    }

    /// The same look-up as at the entry; only what this adds to it is counted here.
    #[test]
    fn a_topic_takes_the_same_steps_past_ten_and_past_fifty_thousand_patterns() {
        let steps = |count| {
            let of = |n| TopicPattern::new("r", &format!("com.sub{n}..value"), Match::Wildcard);
            let interest: Interest = (0..count).map(of).collect();
            interest.contains(&Topic::new("r", "com.none7.x.y"))
        };
        assert_eq!(steps(10), steps(50_000));
    }
}
