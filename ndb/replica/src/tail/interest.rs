//! Interest: the topics an entry wants, as patterns.

use vixen_core::patterns::{PatternIndex, Steps};
use vixen_core::segment::{Topic, TopicPattern};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    patterns: PatternIndex<()>,
    /// How many of them somebody waits for.
    awaited: usize,
}

impl Interest {
    pub(crate) fn add(&mut self, pattern: &TopicPattern) {
        if self.patterns.insert(pattern, ()).is_none() {
            self.awaited += usize::from(pattern.is_awaited());
        }
    }

    pub(crate) fn remove(&mut self, pattern: &TopicPattern) {
        if self.patterns.remove(pattern).is_some() {
            self.awaited -= usize::from(pattern.is_awaited());
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether somebody waits for what it brings.
    pub(crate) const fn is_awaited(&self) -> bool {
        self.awaited > 0
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
    use vixen_core::segment::{CALLS_REALM, Match};

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

    #[test]
    fn what_entries_tell_each_other_is_awaited_where_they_say_so() {
        let mut interest = Interest::default();
        interest.add(&TopicPattern::all(CALLS_REALM));
        assert!(!interest.is_empty() && !interest.is_awaited());
        interest.add(&TopicPattern::waits());
        interest.add(&TopicPattern::waits());
        assert!(interest.is_awaited());
        interest.remove(&TopicPattern::waits());
        interest.remove(&TopicPattern::waits());
        assert!(!interest.is_awaited());
        interest.add(&TopicPattern::all("r"));
        assert!(interest.is_awaited());
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
