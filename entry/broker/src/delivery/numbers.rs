//! Numbers that clients see, and that must not tell them how much others do.

use std::fmt;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// The largest number of WAMP ids (WAMP spec §2.1.2).
const ID_MAX: u64 = 1 << 53;

/// How numbers are given out.
#[derive(Clone, Serialize, Deserialize)]
pub enum Numbering {
    /// At random, by a secret of 32 bytes: a number tells nothing of the one before.
    Random([u8; 32]),
    /// 1, 2, 3 …: for tests, and for nobody who shares the entry.
    Counted,
}

/// Gives out numbers of `1..=2^53`.
#[derive(Debug)]
pub(super) enum Numbers {
    Random(Box<StdRng>),
    Counted(u64),
}

/// The secret is nobody's to read.
impl fmt::Debug for Numbering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Random(_) => "Random(..)",
            Self::Counted => "Counted",
        })
    }
}

impl Numbers {
    pub(super) fn new(numbering: &Numbering) -> Self {
        match numbering {
            Numbering::Random(seed) => Self::Random(Box::new(StdRng::from_seed(*seed))),
            Numbering::Counted => Self::Counted(0),
        }
    }

    /// The next one for which `is_free`.
    pub(super) fn next(&mut self, is_free: impl Fn(u64) -> bool) -> u64 {
        loop {
            let number = match self {
                Self::Random(random) => random.random_range(1..=ID_MAX),
                Self::Counted(last) => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

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
    }
}
