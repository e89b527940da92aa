//! Frontier: merges the feeds of the sync nodes into *the* sequence of segments.
//!
//! Source: DESIGN §4, *Frontier*; `docs/protocol.md`.
//!
//! ```text
//!            delivered            ready to deliver      not yet
//! stamps ----------------------|---------------------|------------------>
//!                       delivered()               sigma()
//! ```
//! With the watermarks of any majority, sigma is the lowest of them; the best majority is the one
//! with the highest watermarks. Everything elected at or below sigma, now or ever, is known here.
//!
//! Invariants:
//! - F1: `sigma` never falls, and nothing is delivered twice.
//! - F2: delivered stamps rise strictly.
//! - F3: nothing is ever learned at or below `sigma` that was not known when sigma passed it; such
//!   a message from a feed is counted as a violation and dropped, never delivered out of order.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::id::{Stamp, SyncId};
use crate::membership::Membership;
use crate::segment::Elected;

/// What became of a message from a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// A segment not known before.
    New,
    /// Known, or delivered already: feeds overlap.
    Known,
    /// It contradicts what is known (F3): a sync node broke the protocol. A person must look.
    Violation,
}

/// The reader's side of the vote. See the module's drawing.
#[derive(Clone, Debug)]
pub struct Frontier {
    quorum: usize,
    watermarks: BTreeMap<SyncId, Stamp>,
    known: BTreeMap<Stamp, Elected>,
    sigma: Stamp,
    delivered: Stamp,
}

impl Frontier {
    /// Reads the feeds of the sync nodes; everything up to `after` has been delivered before.
    #[must_use]
    pub fn new(membership: &Membership, after: Stamp) -> Self {
        Self {
            quorum: membership.quorum(),
            watermarks: BTreeMap::new(),
            known: BTreeMap::new(),
            sigma: after,
            delivered: after,
        }
    }

    /// Takes a RESOLVED of any feed.
    pub fn learn(&mut self, elected: Elected) -> Learned {
        let stamp = elected.stamp();
        if let Some(known) = self.known.get(&stamp) {
            return if *known == elected { Learned::Known } else { Learned::Violation };
        }
        if stamp <= self.delivered {
            return Learned::Known;
        }
        if stamp <= self.sigma {
            return Learned::Violation;
        }
        self.known.insert(stamp, elected);
        Learned::New
    }

    /// Takes a watermark of the feed of `from`. Lower ones than before say nothing new.
    pub fn raise(&mut self, from: SyncId, watermark: Stamp) {
        let mark = self.watermarks.entry(from).or_insert(watermark);
        *mark = (*mark).max(watermark);
        self.sigma = self.sigma.max(self.majority_watermark());
        self.check();
    }

    /// Takes the next segment of the order, if it is certain.
    pub fn take_next(&mut self) -> Option<Elected> {
        let first = self.known.first_entry().filter(|first| *first.key() <= self.sigma)?;
        let elected = first.remove();
        assert!(elected.stamp() > self.delivered, "F2: delivered stamps rise");
        self.delivered = elected.stamp();
        self.check();
        Some(elected)
    }

    /// Takes the next segment of the order from somebody who has placed it durably, and whose order
    /// this is: then everything before it is delivered here as well. `false`, and nothing is taken,
    /// when that contradicts what is delivered or known here.
    pub(super) fn deliver(&mut self, elected: Elected) -> bool {
        let stamp = elected.stamp();
        let agrees = match self.known.first_key_value() {
            Some((first, known)) if *first <= stamp => *known == elected,
            // Unknown here: then no feed may have promised that it is known (F3).
            Some(_) | None => stamp > self.sigma,
        };
        if !agrees || stamp <= self.delivered {
            return false;
        }
        self.known.remove(&stamp);
        self.delivered = stamp;
        self.sigma = self.sigma.max(stamp);
        self.check();
        true
    }

    /// Goes on after `stamp`, which is above what is delivered: what is before is not to be had any
    /// more. What the feeds said of the rest stays true, and is kept: they do not say it again.
    pub(super) fn skip_to(&mut self, stamp: Stamp) {
        assert!(stamp > self.delivered, "F2: delivered stamps rise");
        let beyond = (Bound::Excluded(stamp), Bound::Unbounded);
        self.known = self.known.range(beyond).map(|(at, elected)| (*at, *elected)).collect();
        self.delivered = stamp;
        self.sigma = self.sigma.max(stamp);
        self.check();
    }

    /// All segments up to here, now or ever, are known or delivered.
    #[must_use]
    pub const fn sigma(&self) -> Stamp {
        self.sigma
    }

    /// Stamp of the last segment delivered; a new feed may start after it.
    #[must_use]
    pub const fn delivered(&self) -> Stamp {
        self.delivered
    }

    /// Segments known elected and not yet certain in their place.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.known.len()
    }

    /// The watermarks at hand.
    #[must_use]
    pub const fn watermarks(&self) -> &BTreeMap<SyncId, Stamp> {
        &self.watermarks
    }

    fn majority_watermark(&self) -> Stamp {
        if self.watermarks.len() < self.quorum {
            return Stamp::ZERO;
        }
        let mut marks: Vec<_> = self.watermarks.values().copied().collect();
        marks.sort_unstable_by(|a, b| b.cmp(a));
        marks[self.quorum - 1]
    }

    fn check(&self) {
        assert!(self.delivered <= self.sigma, "F1: sigma never falls below what is delivered");
        let waits = self.known.first_key_value().is_none_or(|(stamp, _)| *stamp > self.delivered);
        assert!(waits, "F1: nothing is delivered twice");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::sample::elected;

    fn drain(frontier: &mut Frontier) -> Vec<u64> {
        std::iter::from_fn(|| frontier.take_next()).map(|e| e.stamp().0).collect()
    }

    #[test]
    fn nothing_is_delivered_without_a_majority_of_watermarks() {
        let mut frontier = Frontier::new(&Membership::sized(3, [], 1), Stamp::ZERO);
        assert_eq!(frontier.learn(elected(5, 1)), Learned::New);
        frontier.raise(SyncId(0), Stamp(9));
        assert!(drain(&mut frontier).is_empty());
        frontier.raise(SyncId(1), Stamp(5));
        assert_eq!(drain(&mut frontier), [5]);
    }

    #[test]
    fn the_best_majority_counts_and_order_is_by_stamp() {
        let mut frontier = Frontier::new(&Membership::sized(3, [], 1), Stamp::ZERO);
        for stamp in [7, 3, 5] {
            frontier.learn(elected(stamp, 1));
        }
        frontier.raise(SyncId(0), Stamp(1));
        frontier.raise(SyncId(1), Stamp(6));
        frontier.raise(SyncId(2), Stamp(6));
        assert_eq!(drain(&mut frontier), [3, 5]);
        assert_eq!(frontier.waiting(), 1);
    }

    #[test]
    fn a_watermark_that_falls_says_nothing() {
        let mut frontier = Frontier::new(&Membership::sized(1, [], 1), Stamp::ZERO);
        frontier.raise(SyncId(0), Stamp(8));
        frontier.raise(SyncId(0), Stamp(2));
        assert_eq!(frontier.sigma(), Stamp(8));
    }

    #[test]
    fn a_repeat_is_known_and_a_late_stranger_is_a_violation() {
        let mut frontier = Frontier::new(&Membership::sized(1, [], 1), Stamp::ZERO);
        frontier.learn(elected(4, 1));
        frontier.raise(SyncId(0), Stamp(9));
        assert_eq!(drain(&mut frontier), [4]);
        assert_eq!(frontier.learn(elected(4, 1)), Learned::Known);
        assert_eq!(frontier.learn(elected(6, 1)), Learned::Violation);
    }

    #[test]
    fn what_feeds_said_beyond_a_skipped_part_stays_true() {
        let mut frontier = Frontier::new(&Membership::sized(3, [], 1), Stamp::ZERO);
        for stamp in [4, 7, 9] {
            frontier.learn(elected(stamp, 1));
        }
        frontier.raise(SyncId(0), Stamp(9));
        frontier.skip_to(Stamp(6));
        assert_eq!((frontier.delivered(), frontier.sigma()), (Stamp(6), Stamp(6)));
        assert_eq!(frontier.learn(elected(4, 1)), Learned::Known);
        // The feed that said 9 says neither 7 nor 9 again.
        frontier.raise(SyncId(1), Stamp(9));
        assert_eq!(drain(&mut frontier), [7, 9]);
    }
}
