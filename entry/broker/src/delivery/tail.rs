//! Tail: the stream of canonical messages of one ndb group, and which replica it comes from.
//!
//! ```text
//!                 received            the order at the frontier
//! positions ------------------|----------------------|---------->
//!                            next                 frontier
//! ```
//! One replica is followed at a time. When its link goes down, or it stays behind the frontier
//! without any progress, another is followed from `next` on.

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::{GroupId, NdbId, Position};
use vixen_core::segment::TopicPattern;
use vixen_core::time::WallTime;
use vixen_core::wire::{Message, ReadMessage};

use super::parts::send_parts;

/// A tail that makes no progress, though there is some to make, is moved after eight times as long as progress takes
/// as a rule, within these bounds: whoever waits for a paused replica is not to notice, and one that is slow, as all are
/// on a busy machine, is not to be left for that.
const PATIENCE_MS_MIN: u64 = 25;
/// The same where it is not known yet how long progress takes.
const PATIENCE_MS_FIRST: u64 = 100;
/// Every fruitless move doubles the patience up to here: a cluster in trouble is not helped by
/// entries that keep opening tails.
const PATIENCE_MS_MAX: u64 = 5_000;

/// What to ask for when a tail is opened.
pub(super) struct Interest {
    pub(super) version: u64,
    pub(super) topics: Vec<TopicPattern>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Tail {
    group: GroupId,
    /// All replicas, best first.
    members: Vec<NdbId>,
    /// Linked replicas, with the number of `FollowTail` they have not answered.
    up: BTreeMap<NdbId, usize>,
    /// Of these, those from which nothing comes.
    silent: BTreeSet<NdbId>,
    at: Option<NdbId>,
    next: Option<Position>,
    /// Version of the interest in the last `FollowTail`.
    asked: u64,
    /// First position in the last `FollowTail`.
    asked_from: Option<Position>,
    applied: u64,
    /// Start of the present wait, while there is one.
    waits_since: Option<WallTime>,
    patience_ms: u64,
    /// Smoothed milliseconds that progress took, times eight.
    pace_ms_x8: u64,
    /// What it carries is not taken: too much waits already. Followed anew, it goes on.
    is_paused: bool,
}

impl Tail {
    /// `preference` spreads entries over the replicas.
    pub(super) fn new(group: GroupId, mut members: Vec<NdbId>, preference: u128) -> Self {
        let length = u128::try_from(members.len().max(1)).unwrap_or(1);
        members.rotate_left(usize::try_from(preference % length).unwrap_or_default());
        Self {
            group,
            members,
            up: BTreeMap::new(),
            silent: BTreeSet::new(),
            at: None,
            next: None,
            asked: 0,
            asked_from: None,
            applied: 0,
            waits_since: None,
            patience_ms: PATIENCE_MS_FIRST,
            pace_ms_x8: PATIENCE_MS_FIRST,
            is_paused: false,
        }
    }

    /// Takes no more of what the present replica sends, until the patience ends.
    pub(super) const fn pause(&mut self) {
        self.is_paused = true;
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(super) const fn group(&self) -> GroupId {
        self.group
    }

    pub(super) const fn at(&self) -> Option<NdbId> {
        self.at
    }

    pub(super) const fn next(&self) -> Option<Position> {
        self.next
    }

    pub(super) const fn applied(&self) -> u64 {
        self.applied
    }

    /// Whether any replica is linked, and heard.
    pub(super) fn is_linked(&self) -> bool {
        self.up.len() > self.silent.len()
    }

    /// Whether what `from` says is of the tail that is followed, and not of one before.
    pub(super) fn is_open_at(&self, from: NdbId) -> bool {
        self.at == Some(from) && !self.is_paused && self.up.get(&from) == Some(&0)
    }

    pub(super) fn node_up(&mut self, ndb: NdbId) {
        self.up.insert(ndb, 0);
        self.silent.remove(&ndb);
        // A new link carries no tail, even where the node is the same.
        if self.at == Some(ndb) {
            self.at = None;
        }
    }

    pub(super) fn node_down(&mut self, ndb: NdbId) {
        self.up.remove(&ndb);
        self.silent.remove(&ndb);
        if self.at == Some(ndb) {
            self.at = None;
        }
    }

    /// Nothing comes from a linked replica any more, or something comes again. The tail leaves a
    /// silent one: when that wakes, it finds that it is to send nothing.
    pub(super) fn node_silent(
        &mut self,
        ndb: NdbId,
        is_silent: bool,
        sends: &mut Vec<(NdbId, Message)>,
    ) {
        if !is_silent || !self.up.contains_key(&ndb) {
            self.silent.remove(&ndb);
            return;
        }
        self.silent.insert(ndb);
        if self.at == Some(ndb) {
            self.ask(ndb, None, Vec::new(), sends);
            self.at = None;
        }
    }

    /// The best replica that is linked and heard, other than `not`.
    pub(super) fn choose(&self, not: Option<NdbId>) -> Option<NdbId> {
        let is_heard = |ndb: &NdbId| self.up.contains_key(ndb) && !self.silent.contains(ndb);
        self.members.iter().copied().find(|ndb| Some(*ndb) != not && is_heard(ndb))
    }

    /// Follows `to` from `from` on, and silences the replica it leaves.
    pub(super) fn follow(
        &mut self,
        now: WallTime,
        to: NdbId,
        from: Option<Position>,
        interest: Interest,
        sends: &mut Vec<(NdbId, Message)>,
    ) {
        if let Some(left) = self.at.filter(|left| *left != to) {
            self.ask(left, None, Vec::new(), sends);
        }
        // Without interest nothing is missed, and no replica has to search what lies between.
        let from = from.filter(|_| !interest.topics.is_empty());
        self.asked = interest.version;
        self.asked_from = from;
        self.at = Some(to);
        self.is_paused = false;
        self.waits_since = Some(now);
        self.ask(to, from, interest.topics, sends);
    }

    fn ask(
        &mut self,
        ndb: NdbId,
        from: Option<Position>,
        topics: Vec<TopicPattern>,
        sends: &mut Vec<(NdbId, Message)>,
    ) {
        if let Some(unanswered) = self.up.get_mut(&ndb) {
            *unanswered += 1;
            let (topics, _none) = send_parts(ndb, topics, Vec::new(), sends);
            sends.push((ndb, Message::Read(ReadMessage::FollowTail { from, topics })));
        }
    }

    /// Takes `TailOpened`: the answer to a `FollowTail`, or the word that the replica has lost what comes next.
    /// Returns the number of positions that it cannot give, or `None` when it answers a `FollowTail`
    /// before the last.
    pub(super) fn opened(&mut self, now: WallTime, from: NdbId, next: Position) -> Option<u64> {
        let is_answer = self.up.get_mut(&from).is_some_and(|unanswered| {
            let is_asked = *unanswered > 0;
            *unanswered = unanswered.saturating_sub(1);
            is_asked
        });
        if !self.is_open_at(from) {
            return None;
        }
        let wanted = if is_answer {
            self.applied = self.applied.max(self.asked);
            self.asked_from
        } else {
            self.next
        };
        let missed = wanted.map_or(0, |wanted| next.0.saturating_sub(wanted.0));
        // Where it begins says nothing of how long progress takes.
        self.waits_since = None;
        self.raise(now, from, next);
        self.waits_since = Some(now);
        Some(missed)
    }

    /// The replica applied a change of interest.
    pub(super) fn interest_changed(&mut self, version: u64) {
        self.applied = self.applied.max(version);
    }

    /// Everything before `next` has been received or is of no interest. Whether that is news.
    pub(super) fn raise(&mut self, now: WallTime, from: NdbId, next: Position) -> bool {
        assert!(self.is_open_at(from), "D3: only who is followed moves its tail");
        let is_news = self.next.is_none_or(|before| next > before);
        if is_news {
            self.next = Some(next);
            if let Some(since) = self.waits_since.replace(now) {
                let took_ms = now.millis_since(since).min(PATIENCE_MS_FIRST);
                self.pace_ms_x8 = self.pace_ms_x8 - self.pace_ms_x8 / 8 + took_ms;
            } else {
                self.waits_since = None;
            }
            self.patience_ms = self.pace_ms_x8.clamp(PATIENCE_MS_MIN, PATIENCE_MS_FIRST);
        }
        is_news
    }

    /// Notes whether there is something to wait for: an answer to `FollowTail`, or, where somebody
    /// waits, positions that the frontier has.
    pub(super) fn watch(&mut self, now: WallTime, frontier: Option<Position>, is_awaited: bool) {
        let opens = self.at.is_some_and(|at| !self.is_open_at(at));
        let is_behind = is_awaited && self.next.is_some() && self.next < frontier;
        let waits = self.at.is_some() && (opens || is_behind);
        self.waits_since = waits.then(|| self.waits_since.unwrap_or(now));
    }

    /// When the patience with the present replica ends.
    pub(super) fn timeout_at(&self) -> Option<WallTime> {
        Some(self.waits_since?.plus_millis(self.patience_ms))
    }

    /// Whether the tail is stalled at `now`; asks for more patience from then on.
    pub(super) fn take_stall(&mut self, now: WallTime) -> bool {
        let is_stalled = self.timeout_at().is_some_and(|end| end <= now);
        if is_stalled {
            self.waits_since = Some(now);
            self.patience_ms = (self.patience_ms * 2).min(PATIENCE_MS_MAX);
        }
        is_stalled
    }
}
