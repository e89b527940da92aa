//! Frontier: merges the feeds of the sync nodes into *the* sequence of segments.
//!
//! Source: DESIGN §4, *Frontier*; `docs/protocol.md`, which proves both ways to pass a stamp.
//!
//! ```text
//!            delivered            ready to deliver      not yet
//! stamps ----------------------|---------------------|------------------>
//!                       delivered()               sigma()
//! ```
//! Everything elected at or below sigma, now or ever, is known here. Sigma is the higher of
//! - with any majority: the lowest of their *floors*, each held below what its feed has told accepted;
//! - with all: the lowest of their *clocks*, held below what any feed has told accepted.
//!
//! What is known elected holds nothing: one feed has told it, or enough have told that their nodes accepted it.
//!
//! Invariants:
//! - F1: `sigma` never falls, and nothing is delivered twice.
//! - F2: delivered stamps rise strictly.
//! - F3: nothing is ever learned at or below `sigma` that was not known when sigma passed it; such
//!   a message from a feed is counted as a violation and dropped, never delivered out of order.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::id::{SegmentId, Stamp, SyncId};
use crate::membership::Membership;
use crate::segment::{Acceptance, Elected};
use crate::tally::Tallies;
use crate::wire::Marks;

use super::feed::Feed;
use super::reads::{Proven, Reads};

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
    rules: &'static dyn Reads,
    quorum: usize,
    members: usize,
    feeds: BTreeMap<SyncId, Feed>,
    /// Acceptances of what is not known elected.
    tallies: Tallies,
    known: BTreeMap<Stamp, Elected>,
    /// The segments of these.
    known_ids: BTreeSet<SegmentId>,
    sigma: Stamp,
    delivered: Stamp,
}

impl Frontier {
    /// Reads the feeds of the sync nodes; everything up to `after` has been delivered before.
    #[must_use]
    pub fn new(membership: &Membership, after: Stamp) -> Self {
        Self::with_rules(&Proven, membership, after)
    }

    /// The same by other rules: for tests, which break one and look who notices.
    #[must_use]
    pub fn with_rules(rules: &'static dyn Reads, membership: &Membership, after: Stamp) -> Self {
        Self {
            rules,
            quorum: membership.quorum(),
            members: membership.sync().len(),
            feeds: BTreeMap::new(),
            tallies: Tallies::default(),
            known: BTreeMap::new(),
            known_ids: BTreeSet::new(),
            sigma: after,
            delivered: after,
        }
    }

    /// Takes a RESOLVED of any feed.
    pub fn learn(&mut self, elected: Elected) -> Learned {
        let learned = self.take(elected);
        if learned != Learned::Violation {
            self.settle(elected.meta.id);
        }
        learned
    }

    fn take(&mut self, elected: Elected) -> Learned {
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
        self.known_ids.insert(elected.meta.id);
        Learned::New
    }

    /// Takes what the feed of `from` tells accepted. What is elected by that.
    pub fn accept(&mut self, from: SyncId, acceptance: &Acceptance) -> Option<(Elected, Learned)> {
        let value = acceptance.value();
        if self.known_ids.contains(&value.meta.id) {
            return None;
        }
        let feed = self.feeds.entry(from).or_default();
        feed.accept(value.meta.id, acceptance.lowest);
        let is_elected = match acceptance.ballot {
            None => {
                let voters = self.tallies.count_fast(from, value);
                self.rules.elects_fast(voters.len(), self.members)
            }
            // Where others have accepted another value at the ballot, somebody is broken; the feeds will tell.
            Some(ballot) => {
                let voters = self.tallies.count(from, ballot, value).unwrap_or_default();
                self.rules.elects(voters.len(), self.quorum)
            }
        };
        is_elected.then(|| (value, self.learn(value)))
    }

    /// Takes a watermark of the feed of `from`. Lower ones than before say nothing new.
    pub fn raise(&mut self, from: SyncId, marks: Marks) {
        self.feeds.entry(from).or_default().raise(marks);
        self.advance();
    }

    /// A feed begins anew: what it has told is told again, as far as it still holds, before its next watermark.
    pub fn restart(&mut self, feed: SyncId) {
        let Some(gone) = self.feeds.remove(&feed) else { return };
        for segment in gone.accepted() {
            // It may be nobody's any more.
            if !self.feeds.values().any(|feed| feed.has_accepted(segment)) {
                self.tallies.settle(segment);
            }
        }
    }

    /// The segment is known elected: nothing is held by it any more.
    fn settle(&mut self, segment: SegmentId) {
        self.feeds.values_mut().for_each(|feed| feed.settle(segment));
        self.tallies.settle(segment);
        self.advance();
    }

    fn advance(&mut self) {
        self.sigma = self.sigma.max(self.passed_by_majority());
        self.sigma = self.sigma.max(self.passed_by_all());
        self.check();
    }

    /// Takes the next segment of the order, if it is certain.
    pub fn take_next(&mut self) -> Option<Elected> {
        let first = self.known.first_entry().filter(|first| *first.key() <= self.sigma)?;
        let elected = first.remove();
        self.known_ids.remove(&elected.meta.id);
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
        self.known_ids.remove(&elected.meta.id);
        self.delivered = stamp;
        self.sigma = self.sigma.max(stamp);
        self.settle(elected.meta.id);
        true
    }

    /// Goes on after `stamp`, which is above what is delivered: what is before is not to be had any
    /// more. What the feeds said of the rest stays true, and is kept: they do not say it again.
    pub(super) fn skip_to(&mut self, stamp: Stamp) {
        assert!(stamp > self.delivered, "F2: delivered stamps rise");
        let beyond = (Bound::Excluded(stamp), Bound::Unbounded);
        self.known = self.known.range(beyond).map(|(at, elected)| (*at, *elected)).collect();
        self.known_ids = self.known.values().map(|elected| elected.meta.id).collect();
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
    pub fn watermarks(&self) -> impl Iterator<Item = (SyncId, Marks)> {
        self.feeds.iter().filter_map(|(feed, told)| Some((*feed, told.marks()?)))
    }

    /// Whether these feeds are those of all sync nodes, and what they tell reaches from sigma on: then what all accept is
    /// known elected here as soon as anywhere.
    #[must_use]
    pub fn is_whole(&self, feeds: &BTreeSet<SyncId>) -> bool {
        let covers = |feed: &Feed| {
            feed.marks().is_some_and(|marks| self.rules.covers(marks.since, self.sigma))
        };
        feeds.len() == self.members
            && feeds.iter().all(|feed| self.feeds.get(feed).is_some_and(covers))
    }

    /// The highest stamp up to which a majority has told all that is elected with its drafts.
    fn passed_by_majority(&self) -> Stamp {
        let passed = |feed: &Feed| Some(self.rules.held(feed.marks()?.floor, feed.lowest()));
        let mut passed: Vec<_> = self.feeds.values().filter_map(passed).collect();
        if passed.len() < self.quorum {
            return Stamp::ZERO;
        }
        passed.sort_unstable_by(|a, b| b.cmp(a));
        passed[self.quorum - 1]
    }

    /// The highest stamp up to which each stamp above sigma was told by the node that made it.
    fn passed_by_all(&self) -> Stamp {
        let covers = |marks: &Marks| self.rules.covers(marks.since, self.sigma);
        let passed = |feed: &Feed| {
            let marks = feed.marks().filter(covers)?;
            Some(self.rules.held(marks.clock, feed.lowest()))
        };
        let passed: Vec<_> = self.feeds.values().filter_map(passed).collect();
        let is_all = passed.len() == self.members;
        passed.into_iter().min().filter(|_| is_all).unwrap_or_default()
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
    use crate::id::Ballot;
    use crate::order::sample::elected;

    fn drain(frontier: &mut Frontier) -> Vec<u64> {
        std::iter::from_fn(|| frontier.take_next()).map(|e| e.stamp().0).collect()
    }

    #[test]
    fn nothing_is_delivered_without_a_majority_of_watermarks() {
        let mut frontier = Frontier::new(&Membership::sized(3, [], 1), Stamp::ZERO);
        assert_eq!(frontier.learn(elected(5, 1)), Learned::New);
        frontier.raise(SyncId(0), Marks::at(Stamp(9)));
        assert!(drain(&mut frontier).is_empty());
        frontier.raise(SyncId(1), Marks::at(Stamp(5)));
        assert_eq!(drain(&mut frontier), [5]);
    }

    #[test]
    fn the_best_majority_counts_and_order_is_by_stamp() {
        let mut frontier = Frontier::new(&Membership::sized(3, [], 1), Stamp::ZERO);
        for stamp in [7, 3, 5] {
            frontier.learn(elected(stamp, 1));
        }
        frontier.raise(SyncId(0), Marks::at(Stamp(1)));
        frontier.raise(SyncId(1), Marks::at(Stamp(6)));
        frontier.raise(SyncId(2), Marks::at(Stamp(6)));
        assert_eq!(drain(&mut frontier), [3, 5]);
        assert_eq!(frontier.waiting(), 1);
    }

    #[test]
    fn a_watermark_that_falls_says_nothing() {
        let mut frontier = Frontier::new(&Membership::sized(1, [], 1), Stamp::ZERO);
        frontier.raise(SyncId(0), Marks::at(Stamp(8)));
        frontier.raise(SyncId(0), Marks::at(Stamp(2)));
        assert_eq!(frontier.sigma(), Stamp(8));
    }

    #[test]
    fn a_repeat_is_known_and_a_late_stranger_is_a_violation() {
        let mut frontier = Frontier::new(&Membership::sized(1, [], 1), Stamp::ZERO);
        frontier.learn(elected(4, 1));
        frontier.raise(SyncId(0), Marks::at(Stamp(9)));
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
        frontier.raise(SyncId(0), Marks::at(Stamp(9)));
        frontier.skip_to(Stamp(6));
        assert_eq!((frontier.delivered(), frontier.sigma()), (Stamp(6), Stamp(6)));
        assert_eq!(frontier.learn(elected(4, 1)), Learned::Known);
        // The feed that said 9 says neither 7 nor 9 again.
        frontier.raise(SyncId(1), Marks::at(Stamp(9)));
        assert_eq!(drain(&mut frontier), [7, 9]);
    }

    fn accepted(stamp: u64, ballot: Option<u32>, lowest: u64) -> Acceptance {
        let Elected { meta, challenger } = elected(stamp, 1);
        Acceptance { meta, ballot: ballot.map(Ballot), challenger, lowest: Stamp(lowest) }
    }

    fn marks(floor: u64, clock: u64, since: u64) -> Marks {
        Marks { floor: Stamp(floor), clock: Stamp(clock), since: Stamp(since) }
    }

    #[test]
    fn what_all_have_accepted_is_delivered_by_their_clocks() {
        let mut frontier = Frontier::new(&Membership::sized(3, [], 1), Stamp::ZERO);
        for node in 0..3 {
            let counted = frontier.accept(SyncId(node), &accepted(5, None, 5));
            assert_eq!(counted, (node == 2).then(|| (elected(5, 1), Learned::New)));
            assert!(drain(&mut frontier).is_empty(), "no watermark");
            frontier.raise(SyncId(node), marks(1, 7, 0));
        }
        assert_eq!(drain(&mut frontier), [5]);
        assert_eq!(frontier.sigma(), Stamp(7));
        assert_eq!(frontier.learn(elected(5, 1)), Learned::Known, "its election comes later");
    }

    #[test]
    fn what_a_quorum_has_accepted_at_a_ballot_is_delivered_by_their_floors() {
        let mut frontier = Frontier::new(&Membership::sized(3, [], 1), Stamp::ZERO);
        assert_eq!(frontier.accept(SyncId(0), &accepted(5, None, 5)), None);
        assert_eq!(frontier.accept(SyncId(0), &accepted(5, Some(0), 5)), None);
        frontier.raise(SyncId(0), marks(5, 5, 0));
        frontier.raise(SyncId(1), marks(5, 5, 0));
        assert_eq!(frontier.sigma(), Stamp(4), "the first holds it");
        assert!(frontier.accept(SyncId(1), &accepted(5, Some(0), 4)).is_some());
        assert_eq!(drain(&mut frontier), [5]);
    }

    #[test]
    fn what_is_told_accepted_holds_until_it_is_known_elected() {
        let mut frontier = Frontier::new(&Membership::sized(3, [], 1), Stamp::ZERO);
        frontier.accept(SyncId(0), &accepted(6, Some(1), 3));
        for node in 0..3 {
            frontier.raise(SyncId(node), marks(2, 9, 0));
        }
        assert_eq!(frontier.sigma(), Stamp(2), "by clocks");
        frontier.raise(SyncId(1), marks(9, 9, 0));
        frontier.raise(SyncId(2), marks(5, 9, 0));
        assert_eq!(frontier.sigma(), Stamp(5), "by the floors of two that have told nothing");
        frontier.learn(elected(6, 1));
        assert_eq!(drain(&mut frontier), [6]);
        assert_eq!(frontier.sigma(), Stamp(9));
    }

    /// Or a node that lost its store's last row, and others that it has told of it, would be passed.
    #[test]
    fn a_clock_counts_from_where_its_node_began() {
        let mut frontier = Frontier::new(&Membership::sized(3, [], 1), Stamp::ZERO);
        frontier.raise(SyncId(0), marks(0, 9, 4));
        frontier.raise(SyncId(1), marks(3, 9, 0));
        frontier.raise(SyncId(2), marks(3, 9, 0));
        let feeds = [0, 1, 2].map(SyncId).into();
        assert_eq!((frontier.sigma(), frontier.is_whole(&feeds)), (Stamp(3), false));
        frontier.raise(SyncId(2), marks(4, 9, 0));
        frontier.raise(SyncId(1), marks(4, 9, 0));
        assert_eq!((frontier.sigma(), frontier.is_whole(&feeds)), (Stamp(9), true));
    }

    #[test]
    fn a_feed_that_begins_anew_holds_what_it_tells_and_promises_nothing_before() {
        let mut frontier = Frontier::new(&Membership::sized(3, [], 1), Stamp::ZERO);
        frontier.accept(SyncId(0), &accepted(6, None, 6));
        frontier.raise(SyncId(0), marks(9, 9, 0));
        frontier.restart(SyncId(0));
        frontier.raise(SyncId(1), marks(8, 8, 0));
        assert_eq!(frontier.sigma(), Stamp::ZERO, "one floor");
        frontier.raise(SyncId(0), marks(9, 9, 0));
        assert_eq!(frontier.sigma(), Stamp(8), "it is nobody's any more");
    }
}
