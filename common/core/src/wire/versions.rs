//! Versions of the messages: a node speaks the newest and the one before, so that the nodes of a cluster can
//! be updated one after the other.
//!
//! The listener offers all versions that it speaks; the dialler says HELLO in the newest that both do, and the
//! link has that one. Golden bytes of each version that is spoken are in `golden/`: what was once written
//! there is read for as long.

use serde::{Deserialize, Serialize};

/// The versions that a node speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The one that it would rather speak.
    pub newest: u16,
    /// The last one that it still does.
    pub oldest: u16,
}

/// What this node speaks.
pub const SPOKEN: Versions = Versions::new(10, 10);

impl Versions {
    /// The newest, and the one before, unless that is older than `kept_since`.
    ///
    /// # Panics
    /// `kept_since` is beyond the newest: in a constant, which does not compile then.
    #[must_use]
    pub const fn new(newest: u16, kept_since: u16) -> Self {
        assert!(kept_since <= newest, "the newest is spoken");
        Self { newest, oldest: if kept_since < newest { newest - 1 } else { newest } }
    }

    /// Whether it is one of them.
    #[must_use]
    pub const fn has(self, version: u16) -> bool {
        self.oldest <= version && version <= self.newest
    }

    /// The newest that both speak.
    #[must_use]
    pub const fn common(self, other: Self) -> Option<u16> {
        let version = if self.newest < other.newest { self.newest } else { other.newest };
        if self.has(version) && other.has(version) { Some(version) } else { None }
    }
}

impl std::fmt::Display for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.oldest == self.newest {
            write!(f, "{}", self.newest)
        } else {
            write!(f, "{} and {}", self.oldest, self.newest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the first version that is kept on, each is spoken with the next.
    #[test]
    fn neighbours_speak_the_older_of_their_newest_versions() {
        let [first, second, third, fourth] = [9, 10, 11, 12].map(|n| Versions::new(n, 9));
        assert_eq!((first.oldest, second.oldest, fourth.oldest), (9, 9, 11));
        for (one, other, common) in [
            (first, first, Some(9)),
            (first, second, Some(9)),
            (second, third, Some(10)),
            (third, fourth, Some(11)),
            (first, third, None),
            (second, fourth, None),
        ] {
            assert_eq!(
                (one.common(other), other.common(one)),
                (common, common),
                "{one:?} {other:?}"
            );
        }
        // What a node offers that has forgotten more than it need.
        assert_eq!(first.common(Versions::new(10, 10)), None);
        assert_eq!(
            (first.to_string(), second.to_string()),
            ("9".to_owned(), "9 and 10".to_owned())
        );
    }

    /// Whatever somebody offers who is no node.
    #[test]
    fn offers_that_make_no_sense_have_nothing_in_common() {
        for (newest, oldest) in [(0, 0), (0, 9), (u16::MAX, u16::MAX), (8, 10)] {
            assert_eq!(SPOKEN.common(Versions { newest, oldest }), None, "{newest} {oldest}");
        }
    }
}
