//! What a step owes, as far as a recording knows it.

use std::fmt::{Debug, Write as _};

use serde::{Deserialize, Serialize};

use crate::id::Digest;

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

/// Sums effects up. Keeps its memory between steps.
#[derive(Debug, Default)]
pub struct Summer {
    text: String,
    count: u32,
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
        let digest = Digest::of(&[self.text.as_bytes()]).0;
        let digest = digest.first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
        let sum = Sum { count: std::mem::take(&mut self.count), digest };
        self.text.clear();
        sum
    }

    /// The sum of a step's effects.
    pub fn of(&mut self, effects: &impl Tell) -> Sum {
        effects.tell(&mut |kind, effect| self.add(kind, effect));
        self.take()
    }
}
