//! Sequencer: positions by running count along the frontier.

use crate::id::{Position, Stamp, SyncId};
use crate::membership::Membership;
use crate::segment::{Acceptance, Elected};
use crate::wire::{Marks, OrderBase};

use super::{Frontier, Learned, Reads};

/// A segment with its place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The segment.
    pub elected: Elected,
    /// Position of its first message.
    pub first: Position,
}

/// What [`Sequencer::take_rows`] took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TakenRows {
    /// Segments that got their place by it.
    pub(super) placed: Vec<Placed>,
    /// A row that stands next and cannot: the two orders differ. A person must look.
    pub(super) violation: Option<Elected>,
}

/// A frontier that counts: the same base and the same feeds give the same positions everywhere.
#[derive(Clone, Debug)]
pub(super) struct Sequencer {
    frontier: Frontier,
    next: Position,
}

impl Sequencer {
    /// Starts where all segments up to `after` are placed and `next` is the next position.
    #[must_use]
    pub(super) fn new(
        rules: &'static dyn Reads,
        membership: &Membership,
        after: Stamp,
        next: Position,
    ) -> Self {
        Self { frontier: Frontier::with_rules(rules, membership, after), next }
    }

    /// See [`Frontier::learn`].
    pub(super) fn learn(&mut self, elected: Elected) -> Learned {
        self.frontier.learn(elected)
    }

    /// See [`Frontier::accept`].
    pub(super) fn accept(
        &mut self,
        from: SyncId,
        acceptance: &Acceptance,
    ) -> Option<(Elected, Learned)> {
        self.frontier.accept(from, acceptance)
    }

    /// See [`Frontier::raise`].
    pub(super) fn raise(&mut self, from: SyncId, marks: Marks) {
        self.frontier.raise(from, marks);
    }

    /// See [`Frontier::restart`].
    pub(super) fn restart(&mut self, feed: SyncId) {
        self.frontier.restart(feed);
    }

    /// Takes the next segment of the order, if it is certain, with its position.
    pub(super) fn take_next(&mut self) -> Option<Placed> {
        let elected = self.frontier.take_next()?;
        let first = self.next;
        self.next = first.plus(elected.meta.count);
        Some(Placed { elected, first })
    }

    /// Takes a row of another node's order, which that node has on disk, if it is the next here and
    /// nothing here contradicts it.
    fn take_row(&mut self, first: Position, elected: Elected) -> Option<Placed> {
        if first != self.next || !self.frontier.deliver(elected) {
            return None;
        }
        self.next = first.plus(elected.meta.count);
        Some(Placed { elected, first })
    }

    /// Takes rows of another node's order, which that node has on disk; `first` is the position of
    /// the first of them. Rows that are placed here already are passed over.
    pub(super) fn take_rows(&mut self, first: Position, rows: &[Elected]) -> TakenRows {
        let mut taken = TakenRows::default();
        let mut at = first;
        for elected in rows {
            if at > self.next {
                break;
            }
            if at == self.next {
                let Some(placed) = self.take_row(at, *elected) else {
                    taken.violation = Some(*elected);
                    break;
                };
                taken.placed.push(placed);
            }
            at = at.plus(elected.meta.count);
        }
        taken
    }

    /// Goes on from `base`, if that is further on: what is between is not to be had any more.
    pub(super) fn rebase(&mut self, base: OrderBase) -> bool {
        let is_beyond = base.next > self.next && base.stamp > self.frontier.delivered();
        if is_beyond {
            self.frontier.skip_to(base.stamp);
            self.next = base.next;
        }
        is_beyond
    }

    /// The position after the last segment placed.
    #[must_use]
    pub(super) const fn next_position(&self) -> Position {
        self.next
    }

    /// The frontier beneath.
    #[must_use]
    pub(super) const fn frontier(&self) -> &Frontier {
        &self.frontier
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Digest;
    use crate::order::{Proven, sample};

    /// Two messages.
    fn elected(stamp: u64) -> Elected {
        sample::elected(stamp, 2)
    }

    fn positions(taken: &TakenRows) -> Vec<u64> {
        taken.placed.iter().map(|placed| placed.first.0).collect()
    }

    fn sequencer() -> Sequencer {
        Sequencer::new(&Proven, &Membership::sized(1, [], 1), Stamp::ZERO, Position::FIRST)
    }

    #[test]
    fn rows_get_the_positions_that_feeds_would_give() {
        let (mut by_rows, mut by_feed) = (sequencer(), sequencer());
        let rows = [elected(3), elected(5)];
        rows.iter().for_each(|row| assert_eq!(by_feed.learn(*row), Learned::New));
        by_feed.raise(SyncId(0), Marks::at(Stamp(5)));
        let taken = by_rows.take_rows(Position(1), &rows);
        let fed: Vec<_> = std::iter::from_fn(|| by_feed.take_next()).collect();
        assert_eq!((taken.placed, taken.violation), (fed, None));
        assert_eq!(by_rows.next_position(), Position(5));
        assert_eq!(by_rows.frontier().delivered(), Stamp(5));
    }

    #[test]
    fn rows_placed_meanwhile_are_passed_over_and_a_gap_is_not_jumped() {
        let mut sequencer = sequencer();
        let rows = [elected(3), elected(5), elected(7)];
        sequencer.learn(rows[0]);
        sequencer.raise(SyncId(0), Marks::at(Stamp(3)));
        assert!(sequencer.take_next().is_some());
        assert_eq!(positions(&sequencer.take_rows(Position(1), &rows)), [3, 5]);
        assert_eq!(sequencer.take_rows(Position(1), &rows), TakenRows::default());
        assert_eq!(sequencer.take_rows(Position(9), &rows), TakenRows::default());
        assert_eq!(sequencer.take_rows(Position(u64::MAX), &rows), TakenRows::default());
    }

    #[test]
    fn feeds_and_rows_mix_and_nothing_is_placed_twice() {
        let mut sequencer = sequencer();
        let rows = [elected(3), elected(5), elected(7)];
        sequencer.learn(rows[1]);
        sequencer.learn(rows[2]);
        assert_eq!(positions(&sequencer.take_rows(Position(1), &rows[..2])), [1, 3]);
        assert_eq!(sequencer.learn(rows[1]), Learned::Known);
        sequencer.raise(SyncId(0), Marks::at(Stamp(7)));
        let next = sequencer.take_next().map(|placed| (placed.first, placed.elected));
        assert_eq!(next, Some((Position(5), rows[2])));
        assert_eq!(sequencer.take_next(), None);
    }

    #[test]
    fn a_row_that_contradicts_the_feeds_is_told_and_not_taken() {
        let other = |stamp| {
            let mut other = elected(stamp);
            other.meta.digest = Digest([1; 16]);
            other
        };
        // It jumps over a known segment, is another than the known one, or was never told of.
        for (known, row) in [(4, elected(5)), (5, other(5)), (9, elected(8))] {
            let mut sequencer = sequencer();
            sequencer.learn(elected(known));
            if known == 9 {
                sequencer.raise(SyncId(0), Marks::at(Stamp(8)));
            }
            let taken = sequencer.take_rows(Position(1), &[row]);
            assert_eq!(taken, TakenRows { placed: vec![], violation: Some(row) });
            sequencer.raise(SyncId(0), Marks::at(Stamp(9)));
            assert_eq!(sequencer.take_next().map(|placed| placed.elected), Some(elected(known)));
        }
        let mut sequencer = sequencer();
        sequencer.take_rows(Position(1), &[elected(5)]);
        let taken = sequencer.take_rows(Position(3), &[elected(5)]);
        assert_eq!(taken.violation, Some(elected(5)));
    }

    #[test]
    fn an_order_that_goes_on_further_on_does_not_go_back() {
        let mut sequencer = sequencer();
        sequencer.take_rows(Position(1), &[elected(5)]);
        for (next, stamp) in [(3, 9), (9, 5), (2, 4)] {
            let base = sample::base(next, stamp);
            assert!(!sequencer.rebase(base), "{base:?}");
        }
        assert!(sequencer.rebase(sample::base(9, 20)));
        sequencer.learn(elected(20));
        sequencer.learn(elected(30));
        sequencer.raise(SyncId(0), Marks::at(Stamp(30)));
        let next = sequencer.take_next().map(|placed| (placed.first, placed.elected));
        assert_eq!(next, Some((Position(9), elected(30))));
    }
}
