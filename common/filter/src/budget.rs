//! The work that a rule may do for one message.

use crate::answer::Failure;

/// Bytes of text that are read or written in one step.
const BYTES_PER_STEP: usize = 32;

/// What is left of it.
#[derive(Debug)]
pub(crate) struct Budget {
    max: u32,
    left: u32,
}

impl Budget {
    pub(crate) const fn new(max: u32) -> Self {
        Self { max, left: max }
    }

    /// Steps that were taken.
    pub(crate) const fn used(&self) -> u32 {
        self.max - self.left
    }

    /// Takes a step.
    pub(crate) fn step(&mut self) -> Result<(), Failure> {
        self.steps(1)
    }

    /// Takes a step for each of so many values: before they are touched.
    pub(crate) fn steps(&mut self, count: usize) -> Result<(), Failure> {
        let left = u32::try_from(count).ok().and_then(|count| self.left.checked_sub(count));
        // What did not suffice is gone as well, so that nothing smaller is tried afterwards.
        self.left = left.unwrap_or(0);
        left.map(|_| ()).ok_or(Failure::Steps { max: self.max })
    }

    /// Takes the steps of reading or writing so many bytes of text.
    pub(crate) fn bytes(&mut self, bytes: usize) -> Result<(), Failure> {
        self.steps(1 + bytes / BYTES_PER_STEP)
    }
}
