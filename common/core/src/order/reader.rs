//! Reader: the order, from the feeds of the sync nodes, and from ndb nodes for as far as those have
//! forgotten it.
//!
//! Source: DESIGN §4, *Frontier* and *Retention*; `docs/protocol.md`.
//!
//! ```text
//!  feeds of sync nodes --RESOLVED, WATERMARK--> frontier --> sequencer --> placed
//!        ^     |                                               ^
//!        |     FEED_TRIMMED --> catch-up --FETCH_ORDER--> ndb node: rows, or
//!        |                         |                          ORDER_TRIMMED --> left behind?
//!        +-------FOLLOW_FEED-------+
//! ```
//! Entries and ndb nodes read alike. What they do about it when all ndb nodes have dropped what comes
//! next is theirs: an ndb node goes on from where the others begin, an entry ends.
//!
//! Invariants, with those of the frontier (F1 to F3) and of catch-up (K1, K2):
//! - P1: what is placed is dense: each segment begins where the one before it ends.
//! - P2: no feed waits for what is delivered.
//! - P3: the order is left behind only when some linked ndb node has dropped what comes next, and each other one has
//!   as well, or has said twice that it has not come so far.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::id::{NdbId, Position, Stamp, SyncId};
use crate::membership::Membership;
use crate::segment::{Acceptance, Elected};
use crate::wire::OrderBase;

use super::catch_up::CatchUp;
use super::sequencer::Sequencer;
use super::{Effects, Frontier, Input, Learned, Note, Placed, Proven, Reads, Teller};

/// One node's reading of the order. See the module doc.
#[derive(Clone, Debug)]
pub struct Reader {
    sequencer: Sequencer,
    catch_up: CatchUp<NdbId>,
    /// The sync nodes that are linked.
    feeds: BTreeSet<SyncId>,
    /// They know that all their feeds are here.
    counts: bool,
    /// The ndb nodes that are linked, silent ones as well.
    peers: BTreeSet<NdbId>,
    /// Linked ndb nodes that have dropped what was asked of them, and where their orders begin.
    trimmed: BTreeMap<NdbId, OrderBase>,
    /// Linked ndb nodes that have not come to what was asked of them, and how often they said so.
    behind: BTreeMap<NdbId, (Position, u32)>,
}

/// Who says so often that it has not come to what is next here waits as this reader does, and is not
/// on its way there.
const BEHIND_ANSWERS_MIN: u32 = 2;

impl Reader {
    /// Starts where all segments up to `after` are placed and `next` is the next position, without a
    /// link.
    #[must_use]
    pub fn new(membership: &Membership, after: Stamp, next: Position) -> Self {
        Self::with_rules(&Proven, membership, after, next)
    }

    /// The same by other rules: for tests, which break one and look who notices.
    #[must_use]
    pub fn with_rules(
        rules: &'static dyn Reads,
        membership: &Membership,
        after: Stamp,
        next: Position,
    ) -> Self {
        Self {
            sequencer: Sequencer::new(rules, membership, after, next),
            catch_up: CatchUp::default(),
            feeds: BTreeSet::new(),
            counts: false,
            peers: BTreeSet::new(),
            trimmed: BTreeMap::new(),
            behind: BTreeMap::new(),
        }
    }

    /// Advances by one input. Never blocks and never fails.
    pub fn step(&mut self, input: Input, now: Instant, fx: &mut Effects) {
        let (sigma, placed) = (self.frontier().sigma(), fx.placed.len());
        let mut begin = self.next_position();
        match input {
            Input::FeedUp { feed } => self.on_feed_up(feed, fx),
            Input::FeedDown { feed } => {
                self.feeds.remove(&feed);
                self.catch_up.feed_gone(feed);
            }
            Input::Resolved { from, elected } => self.on_resolved(from, elected, fx),
            Input::Watermark { from, marks } => self.sequencer.raise(from, marks),
            Input::Accepted { from, acceptance } => self.on_accepted(from, &acceptance, fx),
            Input::FeedTrimmed { from, to } => self.on_feed_trimmed(from, to, now, fx),
            Input::PeerUp { peer } => {
                self.peers.insert(peer);
                self.catch_up.peer_up(peer, now);
            }
            Input::PeerSilent { peer, is_silent: true } => self.catch_up.peer_down(peer, now),
            Input::PeerSilent { peer, is_silent: false } => {
                if self.peers.contains(&peer) {
                    self.catch_up.peer_up(peer, now);
                }
            }
            Input::PeerDown { peer } => {
                self.peers.remove(&peer);
                self.trimmed.remove(&peer);
                self.behind.remove(&peer);
                self.catch_up.peer_down(peer, now);
            }
            Input::Rows { from, first, rows } => self.on_rows(from, first, &rows, now, fx),
            Input::OrderTrimmed { from, asked, base } => {
                self.on_order_trimmed(from, asked, base, now, fx);
            }
            Input::Rebase { base } => {
                self.sequencer.rebase(base);
                begin = self.next_position();
            }
            Input::Tick { takes_rows } => self.on_tick(takes_rows, now, fx),
        }
        fx.placed.extend(std::iter::from_fn(|| self.sequencer.take_next()));
        self.follow_on(fx);
        self.tell_count(fx);
        self.check(sigma, begin, &fx.placed[placed..]);
    }

    /// A new link has a new feed.
    fn on_feed_up(&mut self, feed: SyncId, fx: &mut Effects) {
        self.feeds.insert(feed);
        self.catch_up.feed_gone(feed);
        self.follow(feed, fx);
    }

    /// A feed is followed from here on: it tells anew what its node has accepted.
    fn follow(&mut self, feed: SyncId, fx: &mut Effects) {
        self.sequencer.restart(feed);
        fx.follows.push((feed, self.delivered()));
    }

    fn on_resolved(&mut self, from: SyncId, elected: Elected, fx: &mut Effects) {
        let learned = self.sequencer.learn(elected);
        Self::on_learned(from, elected, learned, fx);
    }

    /// Enough feeds together may have told a segment elected.
    fn on_accepted(&mut self, from: SyncId, acceptance: &Acceptance, fx: &mut Effects) {
        if let Some((elected, learned)) = self.sequencer.accept(from, acceptance) {
            Self::on_learned(from, elected, learned, fx);
        }
    }

    fn on_learned(from: SyncId, elected: Elected, learned: Learned, fx: &mut Effects) {
        match learned {
            Learned::New => fx.learned.push(elected),
            Learned::Known => {}
            Learned::Violation => {
                fx.notes.push(Note::Contradicts { from: Teller::Feed(from), elected });
            }
        }
    }

    fn on_feed_trimmed(&mut self, from: SyncId, to: Stamp, now: Instant, fx: &mut Effects) {
        // On its next link it is asked for anew.
        if self.feeds.contains(&from) {
            fx.notes.push(Note::FeedTrimmed { feed: from, to, delivered: self.delivered() });
            // Some of what its node had accepted may be settled and never told.
            self.sequencer.restart(from);
            self.catch_up.trimmed(from, to, now);
        }
    }

    fn on_rows(
        &mut self,
        from: NdbId,
        first: Position,
        rows: &[Elected],
        now: Instant,
        fx: &mut Effects,
    ) {
        let taken = self.sequencer.take_rows(first, rows);
        if let Some(elected) = taken.violation {
            fx.notes.push(Note::Contradicts { from: Teller::Order(from), elected });
        }
        let segments = taken.placed.len();
        if segments > 0 {
            fx.notes.push(Note::RowsTaken { from, segments });
        } else if rows.is_empty() && first == self.next_position() && self.asked() == Some(from) {
            self.on_behind(from, first, fx);
        }
        self.catch_up.answered(from, segments > 0, now);
        fx.placed.extend(taken.placed);
    }

    /// A node that was asked has not come to what is next here.
    fn on_behind(&mut self, from: NdbId, asked: Position, fx: &mut Effects) {
        let (at, answers) = self.behind.entry(from).or_default();
        *answers = if *at == asked { answers.saturating_add(1) } else { 1 };
        *at = asked;
        fx.left_behind = self.left_behind().or(fx.left_behind);
    }

    fn on_order_trimmed(
        &mut self,
        from: NdbId,
        asked: Position,
        base: OrderBase,
        now: Instant,
        fx: &mut Effects,
    ) {
        self.catch_up.answered(from, false, now);
        // Asked before more was placed here, or of no use.
        if asked != self.next_position() || base.next <= asked || !self.peers.contains(&from) {
            return;
        }
        if base.stamp <= self.delivered() {
            fx.notes.push(Note::BaseContradicts { from, base });
            return;
        }
        self.trimmed.insert(from, base);
        fx.left_behind = self.left_behind().or(fx.left_behind);
    }

    /// Asks for what feeds wait for, when it is time.
    fn on_tick(&mut self, takes_rows: bool, now: Instant, fx: &mut Effects) {
        let due = if takes_rows { self.catch_up.take_due(now) } else { None };
        fx.fetches.extend(due.map(|peer| (peer, self.next_position())));
    }

    /// Follows the feeds that can go on.
    fn follow_on(&mut self, fx: &mut Effects) {
        let after = self.delivered();
        for feed in self.catch_up.take_caught_up(after) {
            fx.notes.push(Note::FeedResumed { feed, after });
            self.follow(feed, fx);
        }
    }

    /// Tells sync nodes when all their feeds are here, or are no more.
    fn tell_count(&mut self, fx: &mut Effects) {
        let counts = self.frontier().is_whole(&self.feeds);
        if std::mem::replace(&mut self.counts, counts) != counts {
            fx.counts.extend(self.feeds.iter().map(|feed| (*feed, counts)));
        }
    }

    /// Where the linked ndb node begins that has dropped least, when some have dropped what comes next, and
    /// none has it: the others have not come so far, and wait as this reader does.
    fn left_behind(&self) -> Option<OrderBase> {
        let next = self.next_position();
        let has_dropped = |peer| self.trimmed.get(peer).is_some_and(|base| base.next > next);
        let is_behind = |peer| {
            let said = self.behind.get(peer);
            said.is_some_and(|(at, answers)| *at == next && *answers >= BEHIND_ANSWERS_MIN)
        };
        let none_has_it = self.peers.iter().all(|peer| has_dropped(peer) || is_behind(peer));
        let bases = self.trimmed.values().filter(|base| base.next > next);
        bases.min_by_key(|base| base.next).filter(|_| none_has_it).copied()
    }

    fn check(&self, sigma: Stamp, begin: Position, placed: &[Placed]) {
        assert!(self.frontier().sigma() >= sigma, "F1: sigma never falls");
        let end = placed.iter().fold(begin, |at, placed| {
            assert_eq!(placed.first, at, "P1: each segment begins where the one before it ends");
            at.plus(placed.elected.meta.count)
        });
        assert_eq!(end, self.next_position(), "P1: what is counted is placed");
        let delivered = self.delivered();
        let mut waiting = self.catch_up.waiting().iter();
        assert!(waiting.all(|(_, to)| *to > delivered), "P2: no feed waits for what is delivered");
        let mut who_count = self.trimmed.keys().chain(self.behind.keys());
        let are_linked = who_count.all(|peer| self.peers.contains(peer));
        assert!(are_linked, "P3: only linked ndb nodes count");
    }

    /// The position after the last segment placed.
    #[must_use]
    pub const fn next_position(&self) -> Position {
        self.sequencer.next_position()
    }

    /// Stamp of the last segment placed.
    #[must_use]
    pub const fn delivered(&self) -> Stamp {
        self.frontier().delivered()
    }

    /// What the feeds have told; all that is certain is placed, so its sigma is what is passed here.
    #[must_use]
    pub const fn frontier(&self) -> &Frontier {
        self.sequencer.frontier()
    }

    /// The feeds that are trimmed, each with the stamp that has to be delivered before it goes on.
    #[must_use]
    pub const fn waiting_feeds(&self) -> &BTreeMap<SyncId, Stamp> {
        self.catch_up.waiting()
    }

    /// Whose rows are waited for.
    #[must_use]
    pub const fn asked(&self) -> Option<NdbId> {
        self.catch_up.asked()
    }

    /// When [`Input::Tick`] has something to do, where there is room for rows.
    #[must_use]
    pub fn due_at(&self) -> Option<Instant> {
        self.catch_up.due_at()
    }
}
