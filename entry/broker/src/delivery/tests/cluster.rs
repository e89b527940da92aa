//! The rest of a cluster as an entry sees it: the order, the replicas that know it, and what they
//! have under way. They do what ndb nodes do (`ndb/src/tail`), whenever a test lets them.

use std::collections::VecDeque;
use std::ops::Range;

use rand::RngExt;
use rand::rngs::StdRng;

use vixen_core::segment::Records;

use super::*;

/// A message: its topic, and its publisher, who does not get it. 0 is a stranger.
pub(crate) type Said = (&'static str, u64);

/// One segment of the order.
pub(crate) struct Row {
    pub(crate) slot: Slot,
    pub(crate) said: Vec<Said>,
    /// All of it. Stamps rise with positions.
    pub(crate) whole: TailSegment,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Cluster {
    pub(crate) order: Vec<Row>,
    /// Rows of the order that the entry's frontier has placed.
    placed: usize,
    links: BTreeMap<NdbId, Link>,
}

/// The link of one replica, from the entry's side.
#[derive(Default)]
struct Link {
    /// What the entry asked, and the replica has not looked at.
    asked: VecDeque<Message>,
    tail: Option<FollowedTail>,
    /// Of the next word about the interest.
    parts: (Vec<TopicPattern>, Vec<TopicPattern>),
    /// On their way to the entry.
    answers: VecDeque<Input>,
}

struct FollowedTail {
    cursor: Position,
    /// The entry knows of everything before this.
    told: Position,
    interest: Vec<TopicPattern>,
}

impl Row {
    /// What readers of `patterns` get of it within `range`.
    pub(crate) fn part(
        &self,
        patterns: &[TopicPattern],
        range: &Range<Position>,
    ) -> Option<TailSegment> {
        let is_wanted = |topic| patterns.iter().any(|pattern| pattern.matches(topic));
        let wanted: Vec<bool> = self.whole.topics.iter().map(is_wanted).collect();
        let is_within = range.start <= self.slot.first && self.slot.end() <= range.end;
        if is_within && !wanted.contains(&false) {
            return Some(self.whole.clone());
        }
        let (mut offsets, mut kept) = (Vec::new(), Vec::new());
        for (offset, record) in (0..).zip(Records::new(&self.whole.records)) {
            let is_wanted = wanted[usize::from(record.topic)];
            if is_wanted && range.contains(&self.slot.first.plus(offset)) {
                offsets.push(offset);
                record.write_to(&mut kept);
            }
        }
        let is_empty = offsets.is_empty();
        let part = TailSegment { offsets, records: kept.into(), ..self.whole.clone() };
        (!is_empty).then_some(part)
    }

    /// Its messages, and where they stand.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (Position, Said)> {
        (0..).zip(&self.said).map(|(offset, said)| (self.slot.first.plus(offset), *said))
    }
}

impl Cluster {
    /// After the last message of the order.
    pub(crate) fn end(&self) -> Position {
        self.order.last().map_or(Position::FIRST, |row| row.slot.end())
    }

    /// One more segment in the order, at least one message.
    pub(crate) fn elect(&mut self, group: GroupId, said: Vec<Said>) {
        let first = self.end();
        let messages: Vec<_> =
            said.iter().map(|(uri, publisher)| (*uri, *publisher, &b"[1]"[..])).collect();
        let mut whole = segment(first.0, &messages);
        whole.stamp = Stamp(first.0 << 22);
        let slot = Slot { first, count: whole.count, group };
        self.order.push(Row { slot, said, whole });
    }

    /// The frontier goes on by up to `rows`; what is before `begin` it has never heard of.
    pub(crate) fn place(&mut self, rows: usize, begin: Position) -> Vec<Slot> {
        let end = self.order.len().min(self.placed + rows);
        let slots = self.order[self.placed..end].iter().map(|row| row.slot);
        let slots = slots.filter(|slot| slot.first >= begin).collect();
        self.placed = end;
        slots
    }

    pub(crate) const fn unplaced(&self) -> usize {
        self.order.len() - self.placed
    }

    pub(crate) fn link_up(&mut self, ndb: NdbId) {
        self.links.insert(ndb, Link::default());
    }

    /// Whether there was one.
    pub(crate) fn link_down(&mut self, ndb: NdbId) -> bool {
        self.links.remove(&ndb).is_some()
    }

    pub(crate) fn linked(&self) -> Vec<NdbId> {
        self.links.keys().copied().collect()
    }

    /// What the entry sends. It is lost without a link.
    pub(crate) fn send(&mut self, to: NdbId, message: Message) {
        if let Some(link) = self.links.get_mut(&to) {
            link.asked.push_back(message);
        }
    }

    /// One step of a replica or of its link; `None` when there is nothing to do. Maybe a word
    /// arrives at the entry.
    pub(crate) fn step(&mut self, rng: &mut StdRng, ndb: NdbId) -> Option<Option<Input>> {
        let order = &self.order;
        let link = self.links.get_mut(&ndb)?;
        if let Some(message) = link.asked.pop_front() {
            // Its own order may be a little behind.
            let known = order.len() - rng.random_range(0..4).min(order.len());
            link.take(&order[..known], ndb, message);
            return Some(None);
        }
        if link.answers.is_empty() || rng.random_bool(0.5) {
            link.advance(order, ndb);
        }
        link.answers.pop_front().map(Some)
    }
}

impl Link {
    fn take(&mut self, known: &[Row], ndb: NdbId, message: Message) {
        match message {
            Message::Read(ReadMessage::InterestPart { add, remove }) => {
                self.parts.0.extend(add);
                self.parts.1.extend(remove);
            }
            Message::Read(ReadMessage::FollowTail { from, topics }) => {
                let (mut interest, _) = std::mem::take(&mut self.parts);
                interest.extend(topics);
                let end = known.last().map_or(Position::FIRST, |row| row.slot.end());
                let next = from.unwrap_or(end);
                self.tail = Some(FollowedTail { cursor: next, told: next, interest });
                self.answers.push_back(Input::TailOpened { from: ndb, next });
            }
            Message::Read(ReadMessage::ChangeInterest { version, add, remove }) => {
                let (parts_add, parts_remove) = std::mem::take(&mut self.parts);
                // Without a tail there is nobody to answer.
                let Some(tail) = &mut self.tail else { return };
                let is_removed =
                    |pattern: &_| remove.contains(pattern) || parts_remove.contains(pattern);
                tail.interest.retain(|pattern| !is_removed(pattern));
                tail.interest.extend(parts_add.into_iter().chain(add));
                tail.told = tail.cursor;
                let next = tail.cursor;
                self.answers.push_back(Input::InterestChanged { from: ndb, version, next });
            }
            other => panic!("unexpected {}", other.name()),
        }
    }

    /// The tail goes on to the next segment that is wanted, or to the end.
    fn advance(&mut self, order: &[Row], ndb: NdbId) {
        let Some(tail) = &mut self.tail else { return };
        let at = order.partition_point(|row| row.slot.end() <= tail.cursor);
        for row in &order[at..] {
            let range = tail.cursor..row.slot.end();
            tail.cursor = row.slot.end();
            let is_here = row.slot.group == ndb.group;
            if let Some(segment) = row.part(&tail.interest, &range).filter(|_| is_here) {
                tail.told = tail.cursor;
                self.answers.push_back(Input::Segment { from: ndb, segment });
                return;
            }
        }
        if tail.told < tail.cursor && !tail.interest.is_empty() {
            tail.told = tail.cursor;
            self.answers.push_back(Input::TailPosition { from: ndb, next: tail.cursor });
        }
    }
}
