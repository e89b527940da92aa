//! Index of topic patterns: which of many match a topic, without trying each.
//!
//! ```text
//! realm -> exact       sorted by topic                     one look
//!       -> prefixes    sorted by text                      at most one look a byte of the topic
//!       -> components  tree of components, `*` beside      at most `cost` nodes
//!                      filled ones; `#` continues in a
//!                      tree of what follows, read backward
//! ```
//! What a topic costs does not grow with the number of patterns that do not match it, and not at all
//! with patterns of other realms. In the tree of components a topic takes one branch for each *shape*
//! (which components are filled), so the number of different shapes bounds the work:
//! [`PatternIndex::cost`] tells it, for whoever sets a limit.
//!
//! Pure, and of no protocol: prefix and wildcard are those of WAMP, dotted ones have `*` and `#` (as
//! `+` and `#` of MQTT, with other names). The reference is [`TopicPattern::matches`].

mod components;
mod prefixes;
#[cfg(test)]
mod tests;
mod trie;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::segment::{Match, Topic, TopicPattern};
use components::Components;
use prefixes::Prefixes;

/// What a look-up did: nodes and entries that were looked at. For tests and figures that do not
/// depend on a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Steps(pub usize);

/// See the module. `V` is what a pattern stands for.
#[derive(Clone, Debug)]
pub struct PatternIndex<V> {
    realms: BTreeMap<Arc<str>, RealmIndex<V>>,
    len: usize,
}

#[derive(Clone, Debug)]
struct RealmIndex<V> {
    exact: BTreeMap<Arc<str>, V>,
    prefixes: Prefixes<V>,
    components: Components<V>,
}

impl<V> Default for PatternIndex<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Default for RealmIndex<V> {
    fn default() -> Self {
        Self {
            exact: BTreeMap::new(),
            prefixes: Prefixes::default(),
            components: Components::default(),
        }
    }
}

impl<V> PatternIndex<V> {
    /// Nothing matches.
    #[must_use]
    pub const fn new() -> Self {
        Self { realms: BTreeMap::new(), len: 0 }
    }

    /// Number of patterns.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a realm has any.
    #[must_use]
    pub fn has_realm(&self, realm: &str) -> bool {
        self.realms.contains_key(realm)
    }

    /// What `pattern` stands for.
    #[must_use]
    pub fn get(&self, pattern: &TopicPattern) -> Option<&V> {
        let realm = self.realms.get(&pattern.realm)?;
        match pattern.matching {
            Match::Exact => realm.exact.get(&pattern.uri),
            Match::Prefix => realm.prefixes.get(&pattern.uri),
            Match::Wildcard | Match::Dotted => realm.components.get(pattern),
        }
    }

    /// What `pattern` stands for.
    pub fn get_mut(&mut self, pattern: &TopicPattern) -> Option<&mut V> {
        let realm = self.realms.get_mut(&pattern.realm)?;
        match pattern.matching {
            Match::Exact => realm.exact.get_mut(&pattern.uri),
            Match::Prefix => realm.prefixes.get_mut(&pattern.uri),
            Match::Wildcard | Match::Dotted => realm.components.get_mut(pattern),
        }
    }

    /// Lets `pattern` stand for `value`; what it stood for before.
    pub fn insert(&mut self, pattern: &TopicPattern, value: V) -> Option<V> {
        let realm = self.realms.entry(Arc::clone(&pattern.realm)).or_default();
        let before = match pattern.matching {
            Match::Exact => realm.exact.insert(Arc::clone(&pattern.uri), value),
            Match::Prefix => realm.prefixes.insert(&pattern.uri, value),
            Match::Wildcard | Match::Dotted => realm.components.insert(pattern, value),
        };
        self.len += usize::from(before.is_none());
        before
    }

    /// Forgets `pattern`; what it stood for.
    pub fn remove(&mut self, pattern: &TopicPattern) -> Option<V> {
        let realm = self.realms.get_mut(&pattern.realm)?;
        let before = match pattern.matching {
            Match::Exact => realm.exact.remove(&pattern.uri),
            Match::Prefix => realm.prefixes.remove(&pattern.uri),
            Match::Wildcard | Match::Dotted => realm.components.remove(pattern),
        };
        if realm.is_empty() {
            self.realms.remove(&pattern.realm);
        }
        self.len -= usize::from(before.is_some());
        before
    }

    /// Calls `found` for what each pattern that matches `topic` stands for, in no particular order.
    pub fn for_each<'a>(&'a self, topic: &Topic, mut found: impl FnMut(&'a V)) -> Steps {
        let mut steps = Steps::default();
        let _to_the_end = self.walk(topic, &mut steps, &mut |value| {
            found(value);
            ControlFlow::Continue(())
        });
        steps
    }

    /// Whether any pattern matches `topic`, and what it took to find out.
    #[must_use]
    pub fn contains(&self, topic: &Topic) -> (bool, Steps) {
        let mut steps = Steps::default();
        let found = self.walk(topic, &mut steps, &mut |_| ControlFlow::Break(()));
        (found.is_break(), steps)
    }

    /// What the one pattern stands for that says most of `topic`: the topic itself, else the longest
    /// prefix, else the wildcard that has a filled component at the leftmost place where those that
    /// match differ. Of dotted patterns none is more specific than another: for indexes without them.
    #[must_use]
    pub fn most_specific(&self, topic: &Topic) -> (Option<&V>, Steps) {
        let (mut steps, mut most) = (Steps::default(), None);
        // They come in this order, see the walks.
        let _at_the_first = self.walk(topic, &mut steps, &mut |value| {
            most = Some(value);
            ControlFlow::Break(())
        });
        (most, steps)
    }

    /// The most nodes of the tree of components that a topic of `realm` can take: the sum over the
    /// shapes of its patterns. Exact topics and prefixes cost nothing there.
    #[must_use]
    pub fn cost(&self, realm: &str) -> usize {
        self.realms.get(realm).map_or(0, |realm| realm.components.cost())
    }

    /// [`cost`](Self::cost) of its realm, with `pattern` as well.
    #[must_use]
    pub fn cost_with(&self, pattern: &TopicPattern) -> usize {
        match pattern.matching {
            Match::Exact | Match::Prefix => self.cost(&pattern.realm),
            Match::Wildcard | Match::Dotted => match self.realms.get(&pattern.realm) {
                Some(realm) => realm.components.cost_with(pattern),
                None => Components::<V>::default().cost_with(pattern),
            },
        }
    }

    /// The topic itself, then prefixes, longer ones first, then patterns of components.
    fn walk<'a>(
        &'a self,
        topic: &Topic,
        steps: &mut Steps,
        found: &mut impl FnMut(&'a V) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Some(realm) = self.realms.get(&topic.realm) else { return ControlFlow::Continue(()) };
        steps.0 += 1;
        if let Some(value) = realm.exact.get(&topic.uri) {
            found(value)?;
        }
        realm.prefixes.walk(&topic.uri, steps, found)?;
        realm.components.walk(&topic.uri, steps, found)
    }
}

impl<V> RealmIndex<V> {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty() && self.components.is_empty()
    }
}
