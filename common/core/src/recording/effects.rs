//! What a step owes, as far as a recording knows it.

use std::fmt::{self, Debug, Write as _};

use serde::{Deserialize, Serialize};

/// What a step has led to.
pub trait Tell {
    /// Tells of each effect: what kind it is, and what it says. All of them, always in the same order.
    fn tell(&self, told: &mut dyn FnMut(&'static str, &dyn Debug));
}

/// Effects of a machine that can be recorded.
pub trait Effects: Tell + Default {
    /// Takes what a later step owes. A machine that is given these effects to add to, and one that is given
    /// none and whose effects are then appended, come to the same.
    fn append(&mut self, later: Self);
}

/// Tells of each of several effects of a kind.
pub fn tell_all<T: Debug>(
    kind: &'static str,
    effects: &[T],
    told: &mut dyn FnMut(&'static str, &dyn Debug),
) {
    effects.iter().for_each(|effect| told(kind, effect));
}

/// How many effects a step had, and what they said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// How many.
    pub count: u32,
    /// The first bytes of the hash of what is told of them.
    pub digest: u64,
}

/// So much text is hashed at a time: pieces are as small as a digit, and all of it as large as messages are.
const HASHED_BYTES: usize = 16 << 10;

/// Sums effects up. Keeps its memory between steps.
#[derive(Debug, Default)]
pub struct Summer {
    text: Text,
    count: u32,
}

/// Text on its way into a hash.
#[derive(Debug, Default)]
struct Text {
    waiting: String,
    hasher: blake3::Hasher,
}

impl fmt::Write for Text {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        self.waiting.push_str(more);
        if self.waiting.len() >= HASHED_BYTES {
            self.hash();
        }
        Ok(())
    }
}

impl Text {
    fn hash(&mut self) {
        self.hasher.update(self.waiting.as_bytes());
        self.waiting.clear();
        self.waiting.shrink_to(2 * HASHED_BYTES);
    }
}

impl Summer {
    /// Takes one more.
    pub fn add(&mut self, kind: &'static str, effect: &dyn Debug) {
        // Writing to memory has no failure; what cannot tell of itself says as much as it can.
        let _in_memory = writeln!(self.text, "{kind} {effect:?}");
        self.count = self.count.saturating_add(1);
    }

    /// What was added since the last time.
    pub fn take(&mut self) -> Sum {
        self.text.hash();
        let digest = self.text.hasher.finalize();
        let digest = digest.as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
        self.text.hasher.reset();
        Sum { count: std::mem::take(&mut self.count), digest }
    }

    /// The sum of a step's effects.
    pub fn of(&mut self, effects: &impl Tell) -> Sum {
        effects.tell(&mut |kind, effect| self.add(kind, effect));
        self.take()
    }
}
