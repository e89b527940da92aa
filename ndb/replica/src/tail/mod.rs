//! Tail: the stream of canonical messages to one entry, from any position, then live.
//!
//! ```text
//!            Find               entries at hand         look up topics
//! cursor ----------> recent  ------------------> entry ---------------> SEND, cursor moves
//!    ^   ReadStore   or store      ReadBody                                |
//!    +---------------------------------------------------------------------+   Wait at the head
//! ```
//! A machine that its driver pulls: [`Tail::step`] says what to do next, and is not called again before
//! that is done. So a slow link costs a cursor, not memory.
//!
//! Invariants:
//! - T1: the recent order has no gap.
//! - T2: a tail goes on from where it is: nothing is sent twice, and nothing of interest left out.
//! - T3: nothing is sent of what is not trusted.

mod filter;
mod interest;
mod recent;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::VecDeque;
use std::sync::Arc;

use vixen_core::id::{Position, SegmentId, Stamp};
use vixen_core::segment::{Blob, TopicPattern};
use vixen_core::wire::{Message, ReadMessage};

use crate::rows::{Lost, OrderRow};
use crate::storage::Finding;
use filter::filter;
use interest::Interest;
pub use recent::{Change, Entry, EntryBody, Found, RecentOrder};
use turn::{PATTERN_WORK, SEGMENT_WORK, Turn};

/// Segments taken from the recent order at a time.
const ENTRIES_BATCH: usize = 64;

/// Patterns that are wanted, and that are no longer.
#[derive(Clone, Debug, Default)]
pub struct InterestChange {
    /// Wanted.
    pub add: Vec<TopicPattern>,
    /// No longer.
    pub remove: Vec<TopicPattern>,
}

impl InterestChange {
    /// Takes more of it.
    pub fn extend(&mut self, add: Vec<TopicPattern>, remove: Vec<TopicPattern>) {
        self.add.extend(add);
        self.remove.extend(remove);
    }
}

/// What the store has of a segment's bytes.
#[derive(Clone, Debug)]
pub enum StoredBody {
    /// They are here, and what they should be.
    Blob(Blob),
    /// They are not here.
    Absent,
    /// They are not what they should be.
    Damaged,
}

/// A row of the store with its bytes; `None` for those of another group.
pub type StoredRow = (Position, OrderRow, Option<StoredBody>);

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send this, and go on when the link has little before it.
    Send(Message),
    /// Others have their turn; then go on.
    Rest,
    /// Tell [`found`](Tail::found) what the recent order has there, at most so many segments. Changes
    /// from now on end the next wait.
    Find {
        /// Where.
        from: Position,
        /// So many.
        limit: usize,
    },
    /// Tell [`body`](Tail::body) what the store has of the bytes of this segment.
    ReadBody {
        /// Position of its first message.
        first: Position,
        /// Its row.
        row: OrderRow,
    },
    /// Tell [`rows`](Tail::rows), [`trimmed`](Tail::trimmed) or [`damaged`](Tail::damaged) what the store
    /// has from there on.
    ReadStore {
        /// Where.
        from: Position,
    },
    /// Something stored is not as it was written.
    Report(Finding),
    /// There is nothing to do before the recent order or the interest changes.
    Wait,
}

/// A change of the interest that is not done yet.
#[derive(Debug)]
struct Changing {
    version: Option<u64>,
    remove: std::vec::IntoIter<TopicPattern>,
    add: std::vec::IntoIter<TopicPattern>,
}

/// A segment whose topics are looked up.
#[derive(Debug)]
struct Looking {
    entry: Arc<Entry>,
    /// For each topic so far.
    wanted: Vec<bool>,
}

/// Where to go on when nothing is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Find,
    Store,
    /// There is nothing there.
    Stalled,
}

/// See the module doc.
#[derive(Debug)]
pub struct Tail {
    /// The next position to look at.
    cursor: Position,
    /// The entry knows that nothing of interest to it is unsent before this.
    told: Position,
    interest: Interest,
    /// Changes of it, the first of which may be under way.
    changes: VecDeque<Changing>,
    /// Segments at hand, from the cursor on.
    entries: VecDeque<Arc<Entry>>,
    looking: Option<Looking>,
    next: Next,
    /// What to do before anything else.
    due: VecDeque<Step>,
    /// The unreadable segment that was reported last: a tail that waits for it says so once.
    damaged: Option<SegmentId>,
    turn: Turn,
}

impl Tail {
    /// From `from`, or from the head of the order: the next position, and the last stamp before it. And
    /// the answer, which is to be sent in any case.
    #[must_use]
    pub fn open(
        from: Option<Position>,
        head: (Position, Stamp),
        topics: Vec<TopicPattern>,
    ) -> (Self, Message) {
        let cursor = from.unwrap_or(head.0);
        let mut tail = Self {
            cursor,
            told: cursor,
            interest: Interest::default(),
            changes: VecDeque::new(),
            entries: VecDeque::new(),
            looking: None,
            next: Next::Find,
            due: VecDeque::new(),
            damaged: None,
            turn: Turn::default(),
        };
        tail.change(None, InterestChange { add: topics, remove: Vec::new() });
        (tail, opened(cursor, head))
    }

    /// The next position to look at.
    #[must_use]
    pub const fn cursor(&self) -> Position {
        self.cursor
    }

    /// Changes the interest, and answers with the version. All of it holds at once: nothing is sent
    /// before the end.
    pub fn change(&mut self, version: Option<u64>, change: InterestChange) {
        let (remove, add) = (change.remove.into_iter(), change.add.into_iter());
        self.changes.push_back(Changing { version, remove, add });
    }

    /// What to do next; nothing from `trusted_to` on is given out.
    pub fn step(&mut self, trusted_to: Position) -> Step {
        loop {
            if let Some(step) = self.due.pop_front() {
                return step;
            }
            if self.turn.take_over() {
                return Step::Rest;
            }
            if let Some(step) = self.advance(trusted_to) {
                return step;
            }
        }
    }

    fn advance(&mut self, trusted_to: Position) -> Option<Step> {
        assert!(self.told <= self.cursor, "T2: nothing is told of before it is looked at");
        if let Some(looking) = self.looking.take() {
            self.look_up(looking, trusted_to);
            return None;
        }
        if let Some(changing) = self.changes.pop_front() {
            self.change_interest(changing);
            return None;
        }
        if let Some(entry) = self.entries.pop_front() {
            return self.deliver(entry, trusted_to);
        }
        match self.next {
            Next::Find => {
                let limit = if self.interest.is_empty() { 0 } else { ENTRIES_BATCH };
                Some(Step::Find { from: self.cursor, limit })
            }
            Next::Store => Some(Step::ReadStore { from: self.cursor }),
            Next::Stalled if self.has_news() && self.interest.is_awaited() => {
                Some(self.tell_position())
            }
            Next::Stalled => {
                self.next = Next::Find;
                Some(Step::Wait)
            }
        }
    }

    fn has_news(&self) -> bool {
        self.told < self.cursor && !self.interest.is_empty()
    }

    fn tell_position(&mut self) -> Step {
        self.told = self.cursor;
        Step::Send(Message::Read(ReadMessage::TailPosition { next: self.cursor }))
    }

    /// Whether it has gone by something that nobody waits to hear of: that is told with
    /// [`tell_kept_back`](Self::tell_kept_back), in a while.
    #[must_use]
    pub fn keeps_back(&self) -> bool {
        self.has_news() && !self.interest.is_awaited()
    }

    /// Tells what it [`keeps_back`](Self::keeps_back) next.
    pub fn tell_kept_back(&mut self) {
        if self.has_news() {
            let told = self.tell_position();
            self.due.push_back(told);
        }
    }

    /// Nothing at the cursor can be sent now.
    fn stall(&mut self) {
        self.entries.clear();
        self.next = Next::Stalled;
    }

    fn change_interest(&mut self, mut changing: Changing) {
        while !self.turn.is_over() {
            if let Some(pattern) = changing.remove.next() {
                self.interest.remove(&pattern);
            } else if let Some(pattern) = changing.add.next() {
                self.interest.add(&pattern);
            } else {
                if let Some(version) = changing.version {
                    self.told = self.cursor;
                    let next = self.cursor;
                    self.due.push_back(Step::Send(Message::Read(ReadMessage::InterestChanged {
                        version,
                        next,
                    })));
                }
                return;
            }
            self.turn.work(PATTERN_WORK);
        }
        self.changes.push_front(changing);
    }

    /// Begins with a segment at the cursor.
    fn deliver(&mut self, entry: Arc<Entry>, trusted_to: Position) -> Option<Step> {
        self.turn.work(SEGMENT_WORK);
        if entry.end() > trusted_to {
            self.stall();
            return None;
        }
        match &entry.body {
            EntryBody::Open(..) => {
                self.looking = Some(Looking { entry, wanted: Vec::new() });
                None
            }
            EntryBody::Missing => {
                self.stall();
                None
            }
            EntryBody::Elsewhere => {
                self.pass(&entry);
                None
            }
            EntryBody::Stored => Some(Step::ReadBody { first: entry.first, row: entry.row }),
        }
    }

    fn pass(&mut self, entry: &Entry) {
        assert!(entry.end() > self.cursor, "T2: a tail goes on, and not back");
        self.cursor = entry.end();
    }

    /// Looks up topics of a segment, and when all are looked up, sends what is wanted of it.
    fn look_up(&mut self, looking: Looking, trusted_to: Position) {
        let Looking { entry, mut wanted } = looking;
        let EntryBody::Open(topics, records) = &entry.body else { return };
        for topic in &topics[wanted.len()..] {
            if self.turn.is_over() {
                self.looking = Some(Looking { entry, wanted });
                return;
            }
            let (is_wanted, steps) = self.interest.contains(topic);
            self.turn.work(steps.0);
            wanted.push(is_wanted);
        }
        if let Some(part) = filter(&entry, topics, records, self.cursor, &wanted) {
            if entry.end() > trusted_to {
                // Since it was begun.
                return self.stall();
            }
            assert!(part.first.plus(part.count) <= trusted_to, "T3: what is sent is trusted");
            self.due.push_back(Step::Send(Message::Read(ReadMessage::TailSegment(part))));
            self.told = entry.end();
        }
        self.pass(&entry);
    }

    /// What the recent order, which ends at `head`, has at the cursor.
    pub fn found(&mut self, found: Found, head: Position) {
        if self.interest.is_empty() {
            self.cursor = self.cursor.max(head);
            return self.stall();
        }
        match found {
            Found::AtHead => self.stall(),
            Found::Older => self.next = Next::Store,
            Found::Entries(entries) => self.entries = entries.into(),
        }
    }

    /// What the store has of the bytes of the segment that was asked for.
    pub fn body(&mut self, first: Position, row: OrderRow, read: StoredBody) {
        match self.opened(first, row, read) {
            Some(body) => self.entries.push_front(Arc::new(Entry { first, row, body })),
            None => self.stall(),
        }
    }

    /// What the store has from the cursor on: rows without a gap, and none after the first one whose
    /// bytes are not to be had.
    pub fn rows(&mut self, rows: Vec<StoredRow>) {
        self.next = if rows.is_empty() { Next::Stalled } else { Next::Find };
        for (first, row, read) in rows {
            let body = match read {
                None => EntryBody::Elsewhere,
                Some(read) => self.opened(first, row, read).unwrap_or(EntryBody::Missing),
            };
            self.entries.push_back(Arc::new(Entry { first, row, body }));
        }
    }

    /// The store has dropped what is at the cursor: the entry is told what it misses.
    pub fn trimmed(&mut self, first: Position, head: (Position, Stamp)) {
        self.due.push_back(Step::Send(opened(first, head)));
        (self.cursor, self.told) = (first, first);
        self.next = Next::Find;
    }

    /// The row at this position is damaged.
    pub fn damaged(&mut self, at: Position) {
        self.due.push_back(Step::Report(Finding::Row { at }));
        self.stall();
    }

    fn opened(&mut self, first: Position, row: OrderRow, read: StoredBody) -> Option<EntryBody> {
        match read {
            StoredBody::Blob(blob) => {
                let body = EntryBody::of(&blob);
                matches!(body, EntryBody::Open(..)).then_some(body)
            }
            StoredBody::Absent => None,
            StoredBody::Damaged => {
                let meta = row.elected.meta;
                if self.damaged.replace(meta.id) != Some(meta.id) {
                    let lost = Lost { meta, first, stamp: row.elected.stamp() };
                    self.due.push_back(Step::Report(Finding::Blob(lost)));
                }
                None
            }
        }
    }
}

const fn opened(next: Position, (head_next, head_stamp): (Position, Stamp)) -> Message {
    Message::Read(ReadMessage::TailOpened { next, head_stamp, head_next })
}
