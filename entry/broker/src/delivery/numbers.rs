//! Numbers that clients see, and that must not tell them how much others do.

use std::fmt;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use vixen_core::segment::{Match, TopicPattern};

/// The largest number of WAMP ids (WAMP spec §2.1.2).
const ID_MAX: u64 = 1 << 53;

/// How numbers are given out. Recorded: the order of the variants is their number.
#[derive(Clone, Serialize, Deserialize)]
pub enum Numbering {
    /// At random, by a secret of 32 bytes: a number tells nothing of the one before.
    Random([u8; 32]),
    /// 1, 2, 3 …: for tests, and for nobody who shares the entry.
    Counted,
    /// What many have has the number that a hash by a key of 32 bytes gives: whoever has that key gives it the same.
    /// What one has is numbered at random.
    Keyed {
        /// The key.
        key: [u8; 32],
        /// As of [`Self::Random`].
        seed: [u8; 32],
    },
}

/// Gives out numbers of `1..=2^53`.
#[derive(Debug)]
pub(super) struct Numbers {
    /// For what many have.
    key: Option<Key>,
    source: Source,
}

struct Key([u8; 32]);

#[derive(Debug)]
enum Source {
    Random(Box<StdRng>),
    Counted(u64),
}

/// The secret is nobody's to read.
impl fmt::Debug for Numbering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Random(_) => "Random(..)",
            Self::Counted => "Counted",
            Self::Keyed { .. } => "Keyed(..)",
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Numbers {
    pub(super) fn new(numbering: &Numbering) -> Self {
        let random = |seed| Source::Random(Box::new(StdRng::from_seed(seed)));
        let (key, source) = match numbering {
            Numbering::Random(seed) => (None, random(*seed)),
            Numbering::Counted => (None, Source::Counted(0)),
            Numbering::Keyed { key, seed } => (Some(Key(*key)), random(*seed)),
        };
        Self { key, source }
    }

    /// That of what all have of a pattern; another one only if that is not free.
    pub(super) fn of(&mut self, pattern: &TopicPattern, is_free: impl Fn(u64) -> bool) -> u64 {
        const TRIES: u32 = 16;
        let of_key = self.key.as_ref().and_then(|key| {
            let mut tries = (0..TRIES).map(|again| key.number(pattern, again));
            tries.find(|number| is_free(*number))
        });
        of_key.unwrap_or_else(|| self.next(is_free))
    }

    /// The next one for which `is_free`.
    pub(super) fn next(&mut self, is_free: impl Fn(u64) -> bool) -> u64 {
        loop {
            let number = match &mut self.source {
                Source::Random(random) => random.random_range(1..=ID_MAX),
                Source::Counted(last) => {
                    *last += 1;
                    *last
                }
            };
            if is_free(number) {
                return number;
            }
        }
    }
}

impl Key {
    /// Entries, also of other versions, have to find the same.
    fn number(&self, pattern: &TopicPattern, again: u32) -> u64 {
        let matching: u8 = match pattern.matching {
            Match::Exact => 0,
            Match::Prefix => 1,
            Match::Wildcard => 2,
            Match::Dotted => 3,
        };
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&again.to_le_bytes());
        hasher.update(&[matching]);
        hasher.update(&(pattern.realm.len() as u64).to_le_bytes());
        hasher.update(pattern.realm.as_bytes());
        hasher.update(pattern.uri.as_bytes());
        let mut number = [0; 8];
        hasher.finalize_xof().fill(&mut number);
        u64::from_le_bytes(number) % ID_MAX + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn keyed(key: u8, seed: u8) -> Numbers {
        Numbers::new(&Numbering::Keyed { key: [key; 32], seed: [seed; 32] })
    }

    #[test]
    fn who_has_the_key_gives_a_pattern_the_same_number_and_no_other_the_same() {
        let (mut one, mut two, mut other) = (keyed(1, 1), keyed(1, 2), keyed(2, 1));
        let mut all = BTreeSet::new();
        for (realm, uri) in [("r", "a.b"), ("ra", ".b"), ("", "ra.b"), ("r", "a.c")] {
            for matching in [Match::Exact, Match::Prefix, Match::Wildcard, Match::Dotted] {
                let pattern = TopicPattern::new(realm, uri, matching);
                let number = one.of(&pattern, |_| true);
                assert_eq!(two.of(&pattern, |_| true), number);
                assert_ne!(other.of(&pattern, |_| true), number);
                assert!((1..=ID_MAX).contains(&number) && all.insert(number));
                // One that has it already has another one.
                let next = one.of(&pattern, |taken| taken != number);
                assert_eq!(
                    (next == number, two.of(&pattern, |taken| taken != number)),
                    (false, next)
                );
            }
        }
        assert_ne!(one.next(|_| true), two.next(|_| true), "what one has is its own");
    }

    /// Entries of other versions give out the same.
    #[test]
    fn numbers_by_a_key_are_golden() {
        let pattern = TopicPattern::new("realm1", "com.topic", Match::Exact);
        assert_eq!(keyed(7, 1).of(&pattern, |_| true), 111_811_871_984_218);
    }

    #[test]
    fn random_numbers_do_not_count_and_never_meet() {
        let mut numbers = Numbers::new(&Numbering::Random([7; 32]));
        let mut taken = BTreeSet::new();
        for _ in 0..1000 {
            let number = numbers.next(|number| !taken.contains(&number));
            assert!((1..=ID_MAX).contains(&number) && taken.insert(number));
        }
        let gaps: BTreeSet<_> =
            taken.iter().zip(taken.iter().skip(1)).map(|(a, b)| b - a).collect();
        assert!(gaps.len() > 990, "the distances differ: {}", gaps.len());
    }

    #[test]
    fn a_number_in_use_is_passed_over() {
        let mut numbers = Numbers::new(&Numbering::Counted);
        assert_eq!(numbers.next(|number| number > 3), 4);
        assert_eq!(numbers.next(|_| true), 5);
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Numbering::Random([42; 32])), "Random(..)");
        let (key, seed) = ([42; 32], [42; 32]);
        assert_eq!(format!("{:?}", Numbering::Keyed { key, seed }), "Keyed(..)");
        let numbers = format!("{:?}", keyed(42, 42));
        assert!(numbers.contains("Key(..)") && !numbers.contains("42"), "{numbers}");
    }
}
