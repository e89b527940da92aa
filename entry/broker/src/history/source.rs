//! Source: one group of a read, and which of its nodes is asked.
//!
//! ```text
//!              ready: received, not given out        on its way, or to be asked for
//! --given out--|-----------------------------|-------------------------------------->
//!                                         reached          (in the direction of reading)
//! ```
//! Each segment that arrives moves `reached` over exactly what it carries. So whatever a node or a
//! link loses in the middle of a batch, another node is asked from there on: nothing is missed and
//! nothing comes twice.
//!
//! A node that has dropped what comes next may have less than its group keeps: only when all nodes that
//! are linked say so, it is gone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use vixen_core::id::{GroupId, NdbId, Position};
use vixen_core::roster::Roster;
use vixen_core::segment::TopicPattern;
use vixen_core::time::WallTime;
use vixen_core::wire::{HistoryEnd, HistoryPlace, HistoryQuery, TailSegment};

use super::merge::{Piece, Window};
use super::{Direction, HistoryError, Trouble};

/// One batch: long enough that asking does not show.
pub(super) const BATCH_BYTES: u32 = 1 << 20;
/// Of the smallest messages, so many are about a batch.
const BATCH_MESSAGES: u32 = 1 << 16;
/// Before a node is asked again that had nothing: about what it needs to learn the order.
const PAUSE_MS: u64 = 20;
/// A node that sends nothing for so long is given up.
const ANSWER_MS_MAX: u64 = 2_000;
/// A group that gives nothing for so long ends the read.
pub(super) const PATIENCE_MS: u64 = 10_000;
/// A node may be behind so often before another is asked.
const BEHIND_TRIES: u32 = 3;

/// What was asked and not answered.
#[derive(Debug)]
struct Asked {
    request: u64,
    to: NdbId,
    /// Not for messages, but whether the node has the order with this position.
    probe: Option<Position>,
    deadline: WallTime,
}

/// What the answers of one group mean to the whole read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing more than that this source goes on.
    GoOn,
    /// The node gave nothing.
    Trouble(Trouble),
    /// There is nothing before this position.
    Bottom(Position),
    /// Where this source was to begin, the order is dropped up to here.
    Trimmed(Position),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Source {
    group: GroupId,
    direction: Direction,
    /// All nodes of the group; `at` is the one to ask.
    members: Vec<NdbId>,
    roster: Roster,
    at: usize,
    /// Where the next batch begins.
    place: HistoryPlace,
    /// Everything before it, in the direction, has been received; unknown while no node has said
    /// where `place` is.
    reached: Option<Position>,
    /// Whether a node has given anything of what is wanted, were it only that there is nothing.
    has_begun: bool,
    is_done: bool,
    ready: VecDeque<Piece>,
    ready_bytes: usize,
    asked: Option<Asked>,
    again_at: Option<WallTime>,
    /// Since when nothing has come that was wanted.
    waits_since: Option<WallTime>,
    trouble: Trouble,
    behind: u32,
    /// Reading backward, a node is asked first whether it has the order up to where it begins: one
    /// that is behind would leave out the newest.
    probed: Option<NdbId>,
    /// Nodes that have dropped what comes next, and where their orders begin.
    trimmed: BTreeMap<NdbId, Position>,
}

/// What is due.
pub(super) enum Due {
    /// This query goes to this node.
    Ask(NdbId, HistoryQuery),
    /// No linked node has what comes next.
    Judge(Verdict),
}

impl Source {
    /// `preference` spreads reads over the replicas.
    pub(super) fn new(
        (group, members): (GroupId, Vec<NdbId>),
        roster: Roster,
        preference: u128,
        direction: Direction,
        place: HistoryPlace,
    ) -> Self {
        let length = u128::try_from(members.len().max(1)).unwrap_or(1);
        let reached = match place {
            HistoryPlace::Position(position) => Some(position),
            HistoryPlace::Id { .. } | HistoryPlace::End => None,
        };
        Self {
            group,
            direction,
            members,
            roster,
            at: usize::try_from(preference % length).unwrap_or_default(),
            place,
            reached,
            has_begun: false,
            is_done: false,
            ready: VecDeque::new(),
            ready_bytes: 0,
            asked: None,
            again_at: None,
            waits_since: None,
            trouble: Trouble::NotLinked,
            behind: 0,
            probed: None,
            trimmed: BTreeMap::new(),
        }
    }

    /// Rank of what this source gives next: nothing of it comes before.
    pub(super) fn rank(&self) -> u64 {
        match (self.ready.front(), self.reached) {
            (Some(piece), _) => self.direction.rank(piece.near(self.direction)),
            (None, _) if self.is_done => u64::MAX,
            (None, Some(reached)) => self.direction.rank(reached),
            (None, None) => 0,
        }
    }

    /// Whether [`rank`](Self::rank) is that of a message at hand.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether there is nothing more of it.
    pub(super) fn is_over(&self) -> bool {
        self.is_done && self.ready.is_empty()
    }

    pub(super) const fn ready_bytes(&self) -> usize {
        self.ready_bytes
    }

    pub(super) fn take(&mut self) -> Option<Piece> {
        let piece = self.ready.pop_front()?;
        self.ready_bytes -= piece.bytes();
        Some(piece)
    }

    /// Whether any of it has come.
    pub(super) const fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Begins at a later position, because the one before is dropped.
    pub(super) fn skip_to(&mut self, position: Position) {
        if self.reached.is_none_or(|reached| reached < position) {
            self.place = HistoryPlace::Position(position);
            self.reached = Some(position);
            self.asked = None;
        }
    }

    /// Sees whether the window ends before what comes next.
    pub(super) fn fit(&mut self, window: Window) {
        let is_beyond = |reached| match self.direction {
            Direction::Forward => reached >= window.end,
            Direction::Backward => reached < window.start,
        };
        if window.is_empty() || self.reached.is_some_and(is_beyond) {
            self.is_done = true;
            self.asked = None;
        }
    }

    fn wants(&self) -> bool {
        !self.is_done && self.asked.is_none() && self.ready_bytes <= BATCH_BYTES as usize
    }

    /// When [`poll`](Self::poll) has something to do; right after it only.
    pub(super) fn timeout_at(&self) -> Option<WallTime> {
        if let Some(asked) = &self.asked {
            return Some(asked.deadline);
        }
        if !self.wants() {
            return None;
        }
        let patience = self.waits_since.map(|since| since.plus_millis(PATIENCE_MS));
        self.again_at.into_iter().chain(patience).min()
    }

    /// The link to a node came anew or went: what was asked on it is lost. Whether something was.
    pub(super) fn on_link_changed(&mut self, ndb: NdbId) -> bool {
        if self.probed == Some(ndb) {
            self.probed = None;
        }
        self.trimmed.remove(&ndb);
        let is_lost = self.asked.as_ref().is_some_and(|asked| asked.to == ndb);
        if is_lost {
            self.asked = None;
            self.trouble = Trouble::LinkLost;
            self.move_on();
        }
        is_lost
    }

    /// Takes a segment of the batch asked for.
    pub(super) fn on_segment(
        &mut self,
        now: WallTime,
        from: NdbId,
        request: u64,
        segment: TailSegment,
    ) -> Verdict {
        let Some(asked) = &mut self.asked else { return Verdict::GoOn };
        if (asked.request, asked.to) != (request, from) || asked.probe.is_some() {
            return Verdict::GoOn;
        }
        asked.deadline = now.plus_millis(ANSWER_MS_MAX);
        let reached = self.reached.map_or(0, |reached| self.direction.rank(reached));
        let fits = |piece: &Piece| self.direction.rank(piece.near(self.direction)) >= reached;
        let Some(piece) = Piece::new(segment).filter(fits) else {
            return self.fruitless(now, Trouble::Failed);
        };
        let after = piece.after(self.direction);
        self.reached = Some(after);
        self.place = HistoryPlace::Position(after);
        self.ready_bytes += piece.bytes();
        self.ready.push_back(piece);
        self.progress();
        Verdict::GoOn
    }

    /// The newest piece at hand.
    pub(super) fn newest(&self) -> Option<&Piece> {
        self.ready.back()
    }

    /// Takes the end of the batch asked for.
    pub(super) fn on_end(
        &mut self,
        now: WallTime,
        from: NdbId,
        request: u64,
        end: HistoryEnd,
        window: Window,
    ) -> Verdict {
        if self.asked.as_ref().is_none_or(|asked| (asked.request, asked.to) != (request, from)) {
            return Verdict::GoOn;
        }
        if let Some(position) = self.asked.take().and_then(|asked| asked.probe) {
            return self.on_probed(now, from, end, position);
        }
        match (end, self.direction) {
            (HistoryEnd::Next { next, is_end }, Direction::Forward) => {
                self.on_next(now, next, is_end, window)
            }
            (HistoryEnd::Next { next, is_end: false }, Direction::Backward) => {
                if self.advance(next) { Verdict::GoOn } else { self.stuck(now) }
            }
            (HistoryEnd::Next { next, is_end: true }, Direction::Backward) => {
                self.advance(next);
                // At `until` it says nothing of what is below.
                if next >= window.start { self.dropped(from, next.plus(1)) } else { self.done() }
            }
            (HistoryEnd::Trimmed { first }, Direction::Forward | Direction::Backward) => {
                self.dropped(from, first)
            }
            (HistoryEnd::Unavailable { next }, Direction::Forward | Direction::Backward) => {
                self.advance(next);
                self.fruitless(now, Trouble::Missing)
            }
            (HistoryEnd::Failed, Direction::Forward | Direction::Backward) => {
                self.fruitless(now, Trouble::Failed)
            }
        }
    }

    const fn done(&mut self) -> Verdict {
        self.is_done = true;
        Verdict::GoOn
    }

    /// A node has dropped what comes next: the others are asked at once.
    fn dropped(&mut self, from: NdbId, first: Position) -> Verdict {
        self.trimmed.insert(from, first);
        self.move_on();
        Verdict::GoOn
    }

    /// Whether the node may have what comes next.
    fn may_have_next(&self, ndb: &NdbId) -> bool {
        let Some(first) = self.trimmed.get(ndb) else { return true };
        self.reached.is_some_and(|reached| reached >= *first)
    }

    /// What it means that all linked nodes have dropped what comes next; `None` when they have not.
    fn judge(&mut self, linked: &BTreeSet<NdbId>) -> Option<Verdict> {
        let is_linked = |ndb: &&NdbId| linked.contains(ndb);
        if self.members.iter().filter(is_linked).any(|ndb| self.may_have_next(ndb)) {
            return None;
        }
        let told = self.trimmed.iter().filter(|(ndb, _)| linked.contains(ndb));
        let first = told.map(|(_, first)| *first).min()?;
        match self.direction {
            Direction::Backward if self.has_begun => {
                // It ends with what there is.
                self.is_done = true;
                Some(Verdict::Bottom(first))
            }
            Direction::Forward | Direction::Backward => Some(Verdict::Trimmed(first)),
        }
    }

    /// A forward batch ended.
    fn on_next(&mut self, now: WallTime, next: Position, is_end: bool, window: Window) -> Verdict {
        let place = self.place;
        let has_advanced = self.advance(next);
        if self.reached.is_some_and(|reached| reached >= window.end) {
            self.is_done = true;
            return Verdict::GoOn;
        }
        if !is_end {
            return if has_advanced { Verdict::GoOn } else { self.stuck(now) };
        }
        if let HistoryPlace::Id { .. } = place {
            // The id may be of a message that this node does not know yet: not all from its end on
            // are wanted.
            self.place = place;
        }
        self.behind(now)
    }

    /// A node said how far it has the order.
    fn on_probed(
        &mut self,
        now: WallTime,
        from: NdbId,
        end: HistoryEnd,
        position: Position,
    ) -> Verdict {
        match end {
            HistoryEnd::Next { next, .. } if next <= position => self.behind(now),
            // What it misses, or has dropped, it will say of the batch.
            HistoryEnd::Next { .. }
            | HistoryEnd::Trimmed { .. }
            | HistoryEnd::Unavailable { .. } => {
                self.probed = Some(from);
                Verdict::GoOn
            }
            HistoryEnd::Failed => self.fruitless(now, Trouble::Failed),
        }
    }

    /// The newest position that a node must have to read backward.
    fn probe_position(&self, window: Window) -> Position {
        let newest = Position(window.end.0.saturating_sub(1));
        self.reached.map_or(newest, |reached| reached.min(newest))
    }

    /// Everything before `next` has come. Whether that is news.
    fn advance(&mut self, next: Position) -> bool {
        let rank = |position| self.direction.rank(position);
        if self.reached.is_some_and(|reached| rank(next) <= rank(reached)) {
            return false;
        }
        self.reached = Some(next);
        self.place = HistoryPlace::Position(next);
        self.progress();
        true
    }

    fn progress(&mut self) {
        self.has_begun = true;
        self.waits_since = None;
        self.behind = 0;
    }

    /// The batch ended where it began, or with its last segment.
    fn stuck(&mut self, now: WallTime) -> Verdict {
        // After segments, `next` says nothing new; without any the node does not get on.
        if self.waits_since.is_none() {
            Verdict::GoOn
        } else {
            self.fruitless(now, Trouble::Failed)
        }
    }

    /// This node is behind: ask it again, and another after some tries.
    fn behind(&mut self, now: WallTime) -> Verdict {
        self.behind += 1;
        if self.behind >= BEHIND_TRIES {
            self.behind = 0;
            self.move_on();
        }
        self.pause(now, Trouble::Behind)
    }

    /// This node gives nothing: ask another.
    fn fruitless(&mut self, now: WallTime, trouble: Trouble) -> Verdict {
        self.move_on();
        self.pause(now, trouble)
    }

    fn pause(&mut self, now: WallTime, trouble: Trouble) -> Verdict {
        self.asked = None;
        self.again_at = Some(now.plus_millis(PAUSE_MS));
        self.trouble = trouble;
        Verdict::Trouble(trouble)
    }

    fn move_on(&mut self) {
        self.at = (self.at + 1) % self.members.len().max(1);
    }

    /// Does what is due: the query to send, or the end of the read's patience. `request` numbers
    /// it.
    pub(super) fn poll(
        &mut self,
        now: WallTime,
        linked: &BTreeSet<NdbId>,
        request: u64,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Due>, HistoryError> {
        if self.asked.as_ref().is_some_and(|asked| asked.deadline <= now) {
            self.asked = None;
            self.trouble = Trouble::Silent;
            self.move_on();
        }
        if !self.wants() {
            // What is not asked for is not waited for.
            if self.asked.is_none() {
                self.waits_since = None;
            }
            return Ok(None);
        }
        if let Some(verdict) = self.judge(linked) {
            return Ok(Some(Due::Judge(verdict)));
        }
        let since = *self.waits_since.get_or_insert(now);
        let waited_ms = now.millis_since(since);
        let to = self.choose(linked);
        if waited_ms >= PATIENCE_MS {
            let trouble = if to.is_none() { Trouble::NotLinked } else { self.trouble };
            let (group, nodes) = (self.group, self.roster.ndb_list(&self.members));
            return Err(HistoryError::Unavailable { group, nodes, waited_ms, trouble });
        }
        if self.again_at.is_some_and(|at| at > now) {
            return Ok(None);
        }
        self.again_at = None;
        let Some(to) = to else { return Ok(None) };
        Ok(Some(Due::Ask(to, self.ask(now, to, request, wanted))))
    }

    fn ask(&mut self, now: WallTime, to: NdbId, request: u64, wanted: &Wanted<'_>) -> HistoryQuery {
        let is_backward = self.direction == Direction::Backward;
        let is_probed = !is_backward || self.probed == Some(to);
        let probe = (!is_probed).then(|| self.probe_position(wanted.window));
        let deadline = now.plus_millis(ANSWER_MS_MAX);
        self.asked = Some(Asked { request, to, probe, deadline });
        if let Some(from) = probe {
            return HistoryQuery {
                from: HistoryPlace::Position(from),
                is_backward: false,
                until: Some(from.plus(1)),
                topics: Vec::new(),
                messages_max: 1,
                bytes_max: 1,
            };
        }
        HistoryQuery {
            from: self.place,
            is_backward,
            until: Some(if is_backward { wanted.window.start } else { wanted.window.end }),
            topics: wanted.topics.to_vec(),
            messages_max: u32::try_from(wanted.limit).unwrap_or(u32::MAX).min(BATCH_MESSAGES),
            bytes_max: BATCH_BYTES,
        }
    }

    /// The next linked node from `at` on that may have what comes next.
    fn choose(&mut self, linked: &BTreeSet<NdbId>) -> Option<NdbId> {
        let length = self.members.len();
        let mut ring = (0..length).map(|step| (self.at + step) % length);
        let may_have = |at: &usize| {
            let ndb = self.members[*at];
            linked.contains(&ndb) && self.may_have_next(&ndb)
        };
        self.at = ring.find(may_have)?;
        Some(self.members[self.at])
    }
}

/// What the whole read still wants.
pub(super) struct Wanted<'a> {
    pub(super) window: Window,
    pub(super) topics: &'a [TopicPattern],
    pub(super) limit: u64,
}
