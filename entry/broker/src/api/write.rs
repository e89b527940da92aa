//! Writes: several messages that stand side by side in the order, or not at all.

use serde::{Deserialize, Serialize};

use super::Publish;

/// One or several messages that take consecutive positions in this order, all in one segment, or none:
/// so whoever reads the first knows what comes with it.
///
/// ```text
///   position   p      p + 1    p + 2
///            [ head ][ part ][ part ]     one answer: the head's place
/// ```
/// For all bounds it is one message. Its answer is what the head asks for: `acknowledge`, `level` and `wait`
/// of the other parts are not looked at.
///
/// Source: `docs/design/028-state.md`, *One write, one or several messages*.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    head: Publish,
    rest: Vec<Publish>,
}

impl Write {
    /// Most parts: what a head says of their number has 16 bits.
    pub const PARTS_MAX: usize = u16::MAX as usize;

    /// A head, and what follows it.
    #[must_use]
    pub const fn new(head: Publish, rest: Vec<Publish>) -> Self {
        Self { head, rest }
    }

    /// The first part.
    #[must_use]
    pub const fn head(&self) -> &Publish {
        &self.head
    }

    /// All parts in their order, the head first.
    pub fn parts(&self) -> impl Iterator<Item = &Publish> {
        [&self.head].into_iter().chain(&self.rest)
    }

    /// Number of parts, the head among them.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.rest.len() + 1
    }

    /// What it counts against the bounds on unacknowledged bytes.
    #[must_use]
    pub fn counted_bytes(&self) -> usize {
        self.parts().map(Publish::counted_bytes).sum()
    }
}
