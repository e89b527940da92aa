//! Placing: positions by running count along the frontier.

use crate::id::{Position, Stamp, SyncId};
use crate::segment::Elected;

use super::{Frontier, Learned};

/// A segment with its place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The segment.
    pub elected: Elected,
    /// Position of its first message.
    pub first: Position,
}

/// A frontier that counts: the same base and the same feeds give the same positions everywhere.
#[derive(Clone, Debug)]
pub struct Placing {
    frontier: Frontier,
    next: Position,
}

impl Placing {
    /// Starts where all segments up to `after` are placed and `next` is the next position.
    #[must_use]
    pub const fn new(nodes: usize, after: Stamp, next: Position) -> Self {
        Self { frontier: Frontier::new(nodes, after), next }
    }

    /// See [`Frontier::learn`].
    pub fn learn(&mut self, elected: Elected) -> Learned {
        self.frontier.learn(elected)
    }

    /// See [`Frontier::raise`].
    pub fn raise(&mut self, from: SyncId, watermark: Stamp) {
        self.frontier.raise(from, watermark);
    }

    /// Takes the next segment of the order, if it is certain, with its position.
    pub fn take_next(&mut self) -> Option<Placed> {
        let elected = self.frontier.take_next()?;
        let first = self.next;
        self.next = first.plus(elected.meta.count);
        Some(Placed { elected, first })
    }

    /// Takes a row of another node's order, which that node has on disk, if it is the next here.
    pub fn take_row(&mut self, first: Position, elected: Elected) -> Option<Placed> {
        if first != self.next || elected.stamp() <= self.frontier.delivered() {
            return None;
        }
        self.frontier.deliver(elected);
        self.next = first.plus(elected.meta.count);
        Some(Placed { elected, first })
    }

    /// The position after the last segment placed.
    #[must_use]
    pub const fn next_position(&self) -> Position {
        self.next
    }

    /// The frontier beneath.
    #[must_use]
    pub const fn frontier(&self) -> &Frontier {
        &self.frontier
    }
}
