//! The chain: a hash over all that was applied. Views with the same chain at a position are equal there.

use std::collections::VecDeque;

use vixen_core::id::{Digest, Position};

use super::outcome::Applied;

/// As many places are kept at which the chain of a checkpoint can be compared.
pub(super) const KEPT: usize = 4_096;

/// See the module; never empty.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// Where it changed, in rising order, and to what.
    links: VecDeque<(Position, Digest)>,
}

impl Chain {
    /// As it is at a position, with nothing known of before.
    pub(super) fn new(at: Position, chain: Digest) -> Self {
        Self { links: VecDeque::from([(at, chain)]) }
    }

    /// As it is now.
    pub(super) fn now(&self) -> Digest {
        self.links.back().map_or_else(Digest::default, |(_, chain)| *chain)
    }

    pub(super) fn push(&mut self, position: Position, applied: &Applied) {
        // Writing to a growing buffer has no way to fail.
        let outcome = postcard::to_stdvec(applied).unwrap_or_default();
        let chain = Digest::of(&[&self.now().0, &position.0.to_le_bytes(), &outcome]);
        if self.links.len() == KEPT {
            self.links.pop_front();
        }
        self.links.push_back((position, chain));
    }

    /// As it was when everything up to `position` was applied; `None` where that is not known any more.
    pub(super) fn at(&self, position: Position) -> Option<Digest> {
        let after = self.links.partition_point(|(at, _)| *at <= position);
        Some(self.links.get(after.checked_sub(1)?)?.1)
    }
}
