//! Sets of topics, compared with each other: which holds another, which have topics in common, and
//! which is more specific.
//!
//! Topics have no empty components, so that an empty component of a wildcard stands for any one.

use vixen_core::segment::{Match, TopicPattern};

/// A set of topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// This topic.
    Exact(Box<str>),
    /// Topics that begin with it.
    Prefix(Box<str>),
    /// Topics of as many components, each equal or `None`.
    Wildcard(Vec<Option<Box<str>>>),
}

/// How specific a pattern is: of two that match one topic, the greater holds.
///
/// First comes what is exact; then the longer start without a gap; then a wildcard before a prefix;
/// then, of two wildcards, the one that has its components filled in further to the left. A set
/// that lies within another one is always the more specific of the two, and two different patterns
/// that match one topic are never equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    is_exact: bool,
    start_bytes: usize,
    filled: Option<Vec<bool>>,
}

impl Pattern {
    pub(super) fn new(uri: &str, matching: Match) -> Self {
        match matching {
            Match::Exact => Self::Exact(uri.into()),
            Match::Prefix => Self::Prefix(uri.into()),
            Match::Wildcard => {
                let filled = |part: &str| (!part.is_empty()).then(|| part.into());
                let parts: Vec<_> = uri.split('.').map(filled).collect();
                // Without a gap, it is its one topic.
                if parts.iter().all(Option::is_some) {
                    return Self::Exact(uri.into());
                }
                Self::Wildcard(parts)
            }
            Match::Dotted if uri.split('.').all(|part| part != "#") => {
                let parts: Vec<_> =
                    uri.split('.').map(|part| if part == "*" { "" } else { part }).collect();
                Self::new(&parts.join("."), Match::Wildcard)
            }
            // More than it matches: what is granted for that is granted for it.
            Match::Dotted => {
                Self::Prefix(TopicPattern::new("", uri, Match::Dotted).fixed_prefix().into())
            }
        }
    }

    pub(super) fn rank(&self) -> Rank {
        let (is_exact, start_bytes, filled) = match self {
            Self::Exact(topic) => (true, topic.len(), None),
            Self::Prefix(prefix) => (false, prefix.len(), None),
            Self::Wildcard(parts) => {
                let filled = parts.iter().map(Option::is_some).collect();
                (false, start_of(parts).len(), Some(filled))
            }
        };
        Rank { is_exact, start_bytes, filled }
    }

    /// Whether a topic is of the set.
    pub(super) fn matches(&self, topic: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *topic,
            Self::Prefix(prefix) => topic.starts_with(&**prefix),
            Self::Wildcard(parts) => {
                let mut components = topic.split('.');
                let all = parts.iter().all(|part| {
                    let component = components.next();
                    component.is_some_and(|c| part.as_deref().is_none_or(|part| part == c))
                });
                all && components.next().is_none()
            }
        }
    }

    /// Whether every topic of `other` is of this set.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(topic)) => self.matches(topic),
            (Self::Prefix(prefix), Self::Prefix(longer)) => longer.starts_with(&**prefix),
            (Self::Prefix(prefix), Self::Wildcard(parts)) => start_of(parts).starts_with(&**prefix),
            (Self::Wildcard(mine), Self::Wildcard(theirs)) => {
                mine.len() == theirs.len()
                    && mine.iter().zip(theirs).all(|(mine, its)| mine.is_none() || mine == its)
            }
            // A prefix has topics of any number of components, and an exact one has one topic.
            (Self::Exact(_), Self::Prefix(_) | Self::Wildcard(_))
            | (Self::Wildcard(_), Self::Prefix(_)) => false,
        }
    }

    /// Whether some topic may be of both sets.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(topic), pattern) | (pattern, Self::Exact(topic)) => pattern.matches(topic),
            (Self::Prefix(a), Self::Prefix(b)) => a.starts_with(&**b) || b.starts_with(&**a),
            (Self::Prefix(prefix), Self::Wildcard(parts))
            | (Self::Wildcard(parts), Self::Prefix(prefix)) => may_begin(parts, prefix),
            (Self::Wildcard(a), Self::Wildcard(b)) => {
                let is_same = |(a, b): (&Option<Box<str>>, &Option<Box<str>>)| {
                    a.is_none() || b.is_none() || a == b
                };
                a.len() == b.len() && a.iter().zip(b).all(is_same)
            }
        }
    }
}

/// What every topic of a wildcard begins with, up to the first gap.
fn start_of(parts: &[Option<Box<str>>]) -> String {
    parts.iter().map_while(Option::as_deref).fold(String::new(), |start, part| start + part + ".")
}

/// Whether some topic of a wildcard begins with `prefix`.
fn may_begin(parts: &[Option<Box<str>>], prefix: &str) -> bool {
    let mut rest = parts.iter();
    let mut components = prefix.split('.').peekable();
    while let Some(component) = components.next() {
        let Some(part) = rest.next() else { return false };
        // The prefix may end within its last component.
        let is_last = components.peek().is_none();
        let fits = match part.as_deref() {
            None => is_last || !component.is_empty(),
            Some(part) if is_last => part.starts_with(component),
            Some(part) => part == component,
        };
        if !fits {
            return false;
        }
    }
    true
}
