//! Keys of a set, by their places in it.

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct KeySet {
    words: Vec<u64>,
}

impl KeySet {
    /// None of so many.
    pub(super) fn none(keys: usize) -> Self {
        Self { words: vec![0; keys.div_ceil(64)] }
    }

    /// This one of so many.
    pub(super) fn one(keys: usize, index: usize) -> Self {
        let mut one = Self::none(keys);
        one.insert(index);
        one
    }

    pub(super) fn insert(&mut self, index: usize) {
        self.words[index / 64] |= 1 << (index % 64);
    }

    pub(super) fn contains(&self, index: usize) -> bool {
        self.words[index / 64] & (1 << (index % 64)) != 0
    }

    /// Takes all of another.
    pub(super) fn add(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Whether they have one in common.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(word, other)| word & other != 0)
    }

    /// Whether all of it is in the other.
    pub(super) fn is_in(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).all(|(word, other)| word & !other == 0)
    }

    /// Sets of one, for each of its keys.
    pub(super) fn each(&self) -> impl Iterator<Item = Self> + '_ {
        let keys = 64 * self.words.len();
        (0..keys).filter(|index| self.contains(*index)).map(move |index| Self::one(keys, index))
    }
}
