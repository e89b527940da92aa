//! Catch-up: the order from an ndb node, for as far as the sync nodes have forgotten it.
//!
//! Source: DESIGN §4, *Retention*; `docs/protocol.md`.
//!
//! ```text
//!         FeedTrimmed { to }          delivered >= to
//!  live ----------------------> waits ----------------> FollowFeed { after: delivered }
//!                               |   ^
//!         FetchOrder { next }   v   |   OrderRows
//!                           one ndb node
//! ```
//! Feeds that are not trimmed go on meanwhile: they may bring what a feed waits for as well.
//!
//! Invariants:
//! - K1: one ndb node is asked at a time, and none while no feed waits.
//! - K2: a node that brings news is asked on; one that has none, is silent or goes away yields to
//!   the next, after a pause.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::{Duration, Instant};

use crate::id::{Stamp, SyncId};

/// Pause before the next node is asked; doubles up to the longest while none brings news.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A node that is silent for longer is not waited for.
const ANSWER_MAX: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug)]
enum State<P> {
    /// No feed waits.
    Idle,
    /// Nobody is asked before this.
    Pausing { until: Instant },
    /// The answer of this node is waited for, at most so long.
    Asked { peer: P, until: Instant },
}

/// Which feeds wait for the order up to where, and which ndb node `P` is asked for it. See the
/// module doc.
#[derive(Clone, Debug)]
pub(super) struct CatchUp<P> {
    feeds: BTreeMap<SyncId, Stamp>,
    peers: BTreeSet<P>,
    /// Where in the round of peers the next one to ask is looked for.
    turn: Bound<P>,
    /// Tries in a row that brought nothing.
    failures: u32,
    state: State<P>,
}

impl<P> Default for CatchUp<P> {
    fn default() -> Self {
        Self {
            feeds: BTreeMap::new(),
            peers: BTreeSet::new(),
            turn: Bound::Unbounded,
            failures: 0,
            state: State::Idle,
        }
    }
}

impl<P: Ord + Copy> CatchUp<P> {
    /// A feed does not go on before everything up to `to` is delivered here.
    pub(super) fn trimmed(&mut self, feed: SyncId, to: Stamp, now: Instant) {
        let wanted = self.feeds.entry(feed).or_insert(to);
        *wanted = (*wanted).max(to);
        if matches!(self.state, State::Idle) {
            self.failures = 0;
            self.state = State::Pausing { until: now };
        }
        self.check();
    }

    /// The feed's link is gone; on the next it is asked for anew.
    pub(super) fn feed_gone(&mut self, feed: SyncId) {
        self.feeds.remove(&feed);
        self.rest();
    }

    /// Takes the feeds that can be followed again now, after `delivered`.
    pub(super) fn take_caught_up(&mut self, delivered: Stamp) -> Vec<SyncId> {
        let ready = self.feeds.iter().filter(|(_, to)| **to <= delivered).map(|(feed, _)| *feed);
        let ready: Vec<_> = ready.collect();
        for feed in &ready {
            self.feeds.remove(feed);
        }
        self.rest();
        ready
    }

    /// A node is linked, or linked anew: it may have what others lacked, and it has lost what it
    /// was asked before.
    pub(super) fn peer_up(&mut self, peer: P, now: Instant) {
        self.peers.insert(peer);
        let (waits, was_asked) = match self.state {
            State::Idle => (false, false),
            State::Pausing { .. } => (true, false),
            State::Asked { peer: asked, .. } => (false, asked == peer),
        };
        if waits || was_asked {
            self.turn = Bound::Included(peer);
            self.state = State::Pausing { until: now };
        }
    }

    /// A node's link is gone.
    pub(super) fn peer_down(&mut self, peer: P, now: Instant) {
        self.peers.remove(&peer);
        if self.asked() == Some(peer) {
            self.fail(peer, now);
        }
        self.check();
    }

    /// A node has answered; `is_news` when that brought the order on. An answer that is not waited
    /// for any more changes nothing.
    pub(super) fn answered(&mut self, peer: P, is_news: bool, now: Instant) {
        if self.asked() != Some(peer) {
            return;
        }
        if is_news {
            self.failures = 0;
            self.turn = Bound::Included(peer);
            self.state = State::Pausing { until: now };
        } else {
            self.fail(peer, now);
        }
    }

    /// When to call [`take_due`](Self::take_due); `None` while there is nothing to do.
    #[must_use]
    pub(super) fn due_at(&self) -> Option<Instant> {
        match self.state {
            State::Idle => None,
            State::Pausing { until } => (!self.peers.is_empty()).then_some(until),
            State::Asked { until, .. } => Some(until),
        }
    }

    /// Whom to ask now for the order from its next position on.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<P> {
        if let State::Asked { peer, until } = self.state
            && until <= now
        {
            self.fail(peer, now);
        }
        match self.state {
            State::Pausing { until } if until <= now => {}
            State::Idle | State::Pausing { .. } | State::Asked { .. } => return None,
        }
        let after = self.peers.range((self.turn, Bound::Unbounded)).next();
        let peer = after.or_else(|| self.peers.first()).copied()?;
        self.state = State::Asked { peer, until: now + ANSWER_MAX };
        self.check();
        Some(peer)
    }

    /// The feeds that wait, each with the stamp that has to be delivered first.
    #[must_use]
    pub(super) const fn waiting(&self) -> &BTreeMap<SyncId, Stamp> {
        &self.feeds
    }

    /// Whose answer is waited for.
    #[must_use]
    pub(super) const fn asked(&self) -> Option<P> {
        match self.state {
            State::Idle | State::Pausing { .. } => None,
            State::Asked { peer, .. } => Some(peer),
        }
    }

    fn rest(&mut self) {
        if self.feeds.is_empty() {
            self.state = State::Idle;
        }
        self.check();
    }

    fn fail(&mut self, peer: P, now: Instant) {
        let pause = PAUSE_MIN * 2u32.saturating_pow(self.failures.min(8));
        self.failures = self.failures.saturating_add(1);
        self.turn = Bound::Excluded(peer);
        self.state = State::Pausing { until: now + pause.min(PAUSE_MAX) };
    }

    fn check(&self) {
        let rests = matches!(self.state, State::Idle);
        assert_eq!(rests, self.feeds.is_empty(), "K1: nobody is asked while no feed waits");
        let is_there = self.asked().is_none_or(|peer| self.peers.contains(&peer));
        assert!(is_there, "K2: who is gone yields to the next");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEED: SyncId = SyncId(0);

    /// One feed trimmed to 9, and peers 1, 2 and 3.
    fn trimmed(now: Instant) -> CatchUp<u8> {
        let mut catch_up = CatchUp::default();
        (1..=3).for_each(|peer| catch_up.peer_up(peer, now));
        catch_up.trimmed(FEED, Stamp(9), now);
        catch_up
    }

    #[test]
    fn a_node_that_brings_news_is_asked_on_until_the_feed_can_be_followed() {
        let now = Instant::now();
        let mut catch_up = trimmed(now);
        assert_eq!(catch_up.due_at(), Some(now));
        assert_eq!(catch_up.take_due(now), Some(1));
        assert_eq!((catch_up.take_due(now), catch_up.asked()), (None, Some(1)));
        catch_up.answered(1, true, now);
        assert_eq!(catch_up.take_caught_up(Stamp(8)), []);
        assert_eq!(catch_up.take_due(now), Some(1));
        catch_up.answered(1, true, now);
        assert_eq!(catch_up.take_caught_up(Stamp(9)), [FEED]);
        assert_eq!((catch_up.due_at(), catch_up.take_due(now)), (None, None));
        assert!(catch_up.waiting().is_empty());
    }

    #[test]
    fn a_feed_that_is_behind_the_reader_waits_for_nobody() {
        let now = Instant::now();
        let mut catch_up = trimmed(now);
        assert_eq!(catch_up.take_caught_up(Stamp(9)), [FEED]);
        assert_eq!((catch_up.due_at(), catch_up.take_due(now)), (None, None));
    }

    #[test]
    fn nodes_without_news_take_turns_with_longer_and_longer_pauses() {
        let mut now = Instant::now();
        let mut catch_up = trimmed(now);
        let mut asked = Vec::new();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let peer = catch_up.take_due(now).expect("due");
            asked.push(peer);
            catch_up.answered(peer, false, now);
            let due = catch_up.due_at().expect("a pause ends");
            assert_eq!(catch_up.take_due(now), None);
            pauses.push((due - now).as_millis());
            now = due;
        }
        assert_eq!(asked, [1, 2, 3, 1, 2, 3, 1]);
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(catch_up.take_due(now), Some(2));
        catch_up.answered(2, true, now);
        assert_eq!(catch_up.take_due(now), Some(2));
        catch_up.answered(2, false, now);
        assert_eq!(catch_up.due_at(), Some(now + PAUSE_MIN), "news ended the row of failures");
    }

    #[test]
    fn a_silent_node_and_one_that_is_gone_are_not_waited_for() {
        let now = Instant::now();
        let mut catch_up = trimmed(now);
        assert_eq!(catch_up.take_due(now), Some(1));
        assert_eq!(catch_up.due_at(), Some(now + ANSWER_MAX));
        let now = now + ANSWER_MAX;
        assert_eq!(catch_up.take_due(now), None);
        let now = now + PAUSE_MIN;
        assert_eq!(catch_up.take_due(now), Some(2));
        catch_up.answered(1, false, now);
        assert_eq!(catch_up.asked(), Some(2), "the late answer is not node 2's");
        catch_up.peer_down(2, now);
        assert_eq!((catch_up.asked(), catch_up.take_due(now)), (None, None));
        assert_eq!(catch_up.take_due(now + 2 * PAUSE_MIN), Some(3));
    }

    #[test]
    fn a_node_that_comes_up_is_asked_at_once() {
        let now = Instant::now();
        let mut catch_up = CatchUp::default();
        catch_up.trimmed(FEED, Stamp(9), now);
        assert_eq!((catch_up.due_at(), catch_up.take_due(now)), (None, None), "nobody to ask");
        catch_up.peer_up(2, now);
        assert_eq!(catch_up.take_due(now), Some(2));
        catch_up.answered(2, false, now);
        catch_up.peer_up(1, now);
        assert_eq!(catch_up.take_due(now), Some(1));
        // A new link has lost the request.
        catch_up.peer_up(1, now);
        assert_eq!(catch_up.take_due(now), Some(1));
        catch_up.peer_up(3, now);
        assert_eq!((catch_up.asked(), catch_up.take_due(now)), (Some(1), None));
    }

    #[test]
    fn each_feed_waits_for_its_own_stamp_and_a_feed_that_is_gone_for_none() {
        let now = Instant::now();
        let mut catch_up = trimmed(now);
        catch_up.trimmed(SyncId(1), Stamp(20), now);
        catch_up.trimmed(SyncId(1), Stamp(15), now);
        assert_eq!(catch_up.take_caught_up(Stamp(15)), [FEED]);
        assert_eq!(catch_up.take_due(now), Some(1));
        catch_up.feed_gone(SyncId(1));
        assert_eq!((catch_up.asked(), catch_up.due_at()), (None, None));
    }
}
