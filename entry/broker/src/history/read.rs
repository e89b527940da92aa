//! Read: one consumer's way through the order, over all groups.

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::{GroupId, NdbId, PermanentId, Position};
use vixen_core::segment::TopicPattern;
use vixen_core::time::WallTime;
use vixen_core::wire::{HistoryEnd, HistoryPlace, Message, ReadMessage, TailSegment};

use super::merge::{Piece, Window};
use super::source::{Due, Source, Verdict, Wanted};
use super::{
    Bound, Direction, Effects, HistoryError, HistoryItem, HistoryOptions, HistoryRequest,
    ITEM_BYTES, ITEMS_WAITING_MAX, Note, ReadId, Start, request_of,
};

/// See the module.
#[derive(Debug)]
pub(super) struct Read {
    id: ReadId,
    direction: Direction,
    topics: Vec<TopicPattern>,
    /// Positions that may be given out. It shrinks: what is given out leaves it.
    window: Window,
    /// The end of the window, while its position is unknown.
    id_bound: Option<PermanentId>,
    /// Whether it begins wherever retention has left something.
    is_anywhere: bool,
    /// Messages that may still be given out.
    left: u64,
    sources: BTreeMap<GroupId, Source>,
    asks: u32,
    /// Items the consumer has room for.
    room: usize,
    failed: Option<HistoryError>,
}

impl Read {
    pub(super) fn new(
        options: &HistoryOptions,
        id: ReadId,
        request: HistoryRequest,
        next: Position,
    ) -> Self {
        let HistoryRequest { start, direction, until, topics, limit, named: _ } = request;
        let mut window = Window { start: Position::FIRST, end: next };
        let place = match (start, direction) {
            (Start::At(place @ HistoryPlace::Id { .. }), _) => place,
            (Start::At(HistoryPlace::Position(position)), Direction::Forward) => {
                window.raise(position);
                HistoryPlace::Position(window.start)
            }
            (Start::At(HistoryPlace::Position(position)), Direction::Backward) => {
                window.lower(position.plus(1));
                newest_of(window)
            }
            (Start::At(HistoryPlace::End), Direction::Forward) => {
                window.raise(next);
                HistoryPlace::Position(next)
            }
            (Start::Anywhere, Direction::Forward) => HistoryPlace::Position(window.start),
            (Start::Anywhere | Start::At(HistoryPlace::End), Direction::Backward) => {
                newest_of(window)
            }
        };
        let mut id_bound = None;
        match (until, direction) {
            (None, _) => {}
            (Some(Bound::Id(bound)), _) => id_bound = Some(bound),
            (Some(Bound::Position(position)), Direction::Forward) => window.lower(position),
            (Some(Bound::Position(position)), Direction::Backward) => window.raise(position),
        }
        let preference = options.owner.0.as_u128().wrapping_add(id.0.into());
        let sources = options.membership.groups().map(|(group, members)| {
            let (members, roster) = ((group, members.to_vec()), options.roster.clone());
            (group, Source::new(members, roster, preference, direction, place))
        });
        let mut read = Self {
            id,
            direction,
            topics,
            window,
            id_bound,
            is_anywhere: start == Start::Anywhere,
            left: limit.unwrap_or(u64::MAX),
            sources: sources.collect(),
            asks: 0,
            room: ITEMS_WAITING_MAX,
            failed: None,
        };
        read.fit();
        read
    }

    pub(super) fn took(&mut self) {
        self.room = (self.room + 1).min(ITEMS_WAITING_MAX);
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.sources.values().map(Source::ready_bytes).sum()
    }

    /// When [`flush`](Self::flush) has something to do without another input.
    pub(super) fn timeout_at(&self) -> Option<WallTime> {
        self.sources.values().filter_map(Source::timeout_at).min()
    }

    pub(super) fn on_link_changed(&mut self, ndb: NdbId, fx: &mut Effects) {
        if let Some(source) = self.sources.get_mut(&ndb.group)
            && source.on_link_changed(ndb)
        {
            let trouble = super::Trouble::LinkLost;
            fx.notes.push(Note::Trouble { read: self.id, from: ndb, trouble });
        }
    }

    pub(super) fn on_segment(
        &mut self,
        now: WallTime,
        from: NdbId,
        request: u64,
        segment: TailSegment,
        fx: &mut Effects,
    ) {
        let Some(source) = self.sources.get_mut(&from.group) else { return };
        let verdict = source.on_segment(now, from, request, segment);
        if let Some(bound) = self.id_bound
            && let Some(piece) = source.newest()
        {
            tighten(&mut self.window, self.direction, bound, piece);
        }
        self.judge(from, verdict, fx);
    }

    pub(super) fn on_end(
        &mut self,
        now: WallTime,
        from: NdbId,
        request: u64,
        end: HistoryEnd,
        fx: &mut Effects,
    ) {
        let Some(source) = self.sources.get_mut(&from.group) else { return };
        let verdict = source.on_end(now, from, request, end, self.window);
        self.judge(from, verdict, fx);
    }

    fn judge(&mut self, from: NdbId, verdict: Verdict, fx: &mut Effects) {
        if let Verdict::Trouble(trouble) = verdict {
            fx.notes.push(Note::Trouble { read: self.id, from, trouble });
        }
        self.take_verdict(from.group, verdict);
    }

    fn take_verdict(&mut self, group: GroupId, verdict: Verdict) {
        match verdict {
            Verdict::GoOn | Verdict::Trouble(_) => {}
            Verdict::Bottom(bottom) => self.window.raise(bottom),
            Verdict::Trimmed(first) => self.on_trimmed(group, first),
        }
        self.fit();
    }

    /// A source cannot begin where it was to. Nothing has been given out, if it never began: H2.
    fn on_trimmed(&mut self, group: GroupId, first: Position) {
        let has_begun = self.sources.get(&group).is_some_and(Source::has_begun);
        let may_skip = self.is_anywhere && !has_begun && first > self.window.start;
        match self.direction {
            // Groups do not drop a day at one moment: all begin where the last of them does.
            Direction::Forward if may_skip => {
                self.window.raise(first);
                self.sources.values_mut().for_each(|source| source.skip_to(first));
            }
            // There is nothing at all.
            Direction::Backward if self.is_anywhere => self.window.raise(first),
            Direction::Forward | Direction::Backward => {
                self.failed = Some(HistoryError::Trimmed { first });
            }
        }
    }

    fn fit(&mut self) {
        let window = self.window;
        self.sources.values_mut().for_each(|source| source.fit(window));
    }

    /// Gives out what is certain and asks for what comes after. Whether the read is over.
    pub(super) fn flush(
        &mut self,
        now: WallTime,
        linked: &BTreeSet<NdbId>,
        fx: &mut Effects,
    ) -> bool {
        let is_over = loop {
            self.give_out(fx);
            self.fit();
            let is_over = self.left == 0 || self.sources.values().all(Source::is_over);
            // What a group has dropped may move all of them.
            if is_over || self.failed.is_some() || !self.ask(now, linked, fx) {
                break is_over;
            }
        };
        let last = match &self.failed {
            None if is_over => HistoryItem::End { next: self.next() },
            None => return false,
            Some(error) => HistoryItem::Failed(error.clone()),
        };
        fx.items.push((self.id, last));
        true
    }

    /// The first position that was not given out, when all that is wanted was.
    const fn next(&self) -> Position {
        if self.left == 0 { self.window.start } else { self.window.end }
    }

    fn give_out(&mut self, fx: &mut Effects) {
        let mut messages = 0;
        while self.room > 0 {
            let segments = self.next_item();
            if segments.is_empty() {
                break;
            }
            self.room -= 1;
            messages += segments.iter().map(|piece| piece.len() as u64).sum::<u64>();
            let segments = segments.into_iter().map(Piece::into_segment).collect();
            fx.items.push((self.id, HistoryItem::Segments(segments)));
        }
        if messages > 0 {
            fx.notes.push(Note::GaveOut { messages });
        }
    }

    /// Pieces that nothing can precede, about an item of them; empty when there are none.
    fn next_item(&mut self) -> Vec<Piece> {
        let (mut pieces, mut bytes) = (Vec::new(), 0);
        while bytes < ITEM_BYTES
            && self.left > 0
            && let Some(piece) = self.take_next()
        {
            // H1: what has been given out has left the window, whoever sends it again.
            let Some(piece) = piece.cut(self.direction, self.window, self.left) else { continue };
            assert!(
                self.window.start <= piece.lowest() && piece.highest() < self.window.end,
                "H1: positions rise, or fall, strictly"
            );
            self.left -= piece.len() as u64;
            let after = piece.after(self.direction);
            match self.direction {
                Direction::Forward => self.window.raise(after),
                Direction::Backward => self.window.lower(after.plus(1)),
            }
            bytes += piece.bytes();
            pieces.push(piece);
        }
        pieces
    }

    /// The piece that comes first in the direction, if it is at hand (H2).
    fn take_next(&mut self) -> Option<Piece> {
        // Of equal ranks the one at hand: the other source has nothing before it.
        let first = |source: &&mut Source| (source.rank(), !source.is_ready());
        let source = self.sources.values_mut().min_by_key(first)?;
        let rank = source.rank();
        let piece = source.take();
        debug_assert!(
            self.sources.values().all(|other| other.is_ready() || other.rank() >= rank),
            "H2: every group has sent all it has before what is given out"
        );
        piece
    }

    /// Asks for what is due. Whether a group turned out to have nothing of it any more.
    fn ask(&mut self, now: WallTime, linked: &BTreeSet<NdbId>, fx: &mut Effects) -> bool {
        let wanted = Wanted { window: self.window, topics: &self.topics, limit: self.left };
        let mut judged = None;
        for (group, source) in &mut self.sources {
            let request = request_of(self.id, self.asks.wrapping_add(1));
            match source.poll(now, linked, request, &wanted) {
                Ok(None) => {}
                Ok(Some(Due::Ask(to, query))) => {
                    self.asks = self.asks.wrapping_add(1);
                    fx.sends.push((to, Message::Read(ReadMessage::ReadHistory { request, query })));
                }
                Ok(Some(Due::Judge(verdict))) => {
                    judged = Some((*group, verdict));
                    break;
                }
                Err(error) => {
                    self.failed = Some(error);
                    return false;
                }
            }
        }
        match judged {
            None => false,
            Some((group, verdict)) => {
                self.take_verdict(group, verdict);
                true
            }
        }
    }
}

const fn newest_of(window: Window) -> HistoryPlace {
    HistoryPlace::Position(Position(window.end.0.saturating_sub(1)))
}

/// Finds the position of the bound, as soon as a message at or beyond it has come.
fn tighten(window: &mut Window, direction: Direction, bound: PermanentId, piece: &Piece) {
    let segment = piece.segment();
    let at_bound = match segment.stamp.cmp(&bound.stamp) {
        std::cmp::Ordering::Equal => segment.first.plus(bound.offset.min(segment.count)),
        std::cmp::Ordering::Less => segment.first.plus(segment.count),
        std::cmp::Ordering::Greater => segment.first,
    };
    match direction {
        Direction::Forward if segment.stamp >= bound.stamp => window.lower(at_bound),
        Direction::Backward if segment.stamp <= bound.stamp => window.raise(at_bound),
        Direction::Forward | Direction::Backward => {}
    }
}
