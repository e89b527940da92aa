//! The marks of one who.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use vixen_core::id::Position;
use vixen_core::segment::{Once, OnceName};
use vixen_core::time::WallTime;

use super::item::{Book, NameRef};
use super::{Marked, Was};

/// What is known of a message. Its bytes are part of the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Where the message is.
    pub(super) of: Position,
    /// The head by which the mark entered its window, or what decided it if it waited; then the time of that.
    pub(super) by: Position,
    pub(super) at: WallTime,
    pub(super) digest: [u8; 8],
    pub(super) was: Was,
}

impl Mark {
    /// Unique, and rises with each that enters a window.
    pub(super) const fn place(&self) -> Place {
        (self.by, self.of)
    }

    pub(super) fn again(&self, digest: &[u8; 8]) -> Marked {
        let Self { of, was, .. } = *self;
        if self.digest == *digest { Marked::Duplicate { of, was } } else { Marked::Reused { of } }
    }
}

pub(super) type Place = (Position, Position);

/// By which a mark is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Id(Arc<str>),
    Number(Arc<str>, u64),
}

/// How long marks are known, as a head says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Keep {
    pub(super) ms: u64,
    pub(super) count: u32,
    pub(super) producer_ms: u64,
}

impl Keep {
    pub(super) const fn of(once: &Once) -> Self {
        let Once { keep_ms: ms, keep_count: count, producer_keep_ms: producer_ms, .. } = *once;
        Self { ms, count, producer_ms }
    }

    pub(super) fn has_left(self, at: WallTime, now: WallTime) -> bool {
        at.plus_millis(self.ms) < now
    }

    pub(super) fn has_rested(self, at: WallTime, now: WallTime) -> bool {
        at.plus_millis(self.producer_ms) < now
    }

    fn is_more(self, marks: usize) -> bool {
        usize::try_from(self.count).is_ok_and(|most| marks > most)
    }
}

/// How marks enter: the place of the first message, the message by which, and the time of that.
#[derive(Clone, Copy, Debug)]
pub(in crate::state) struct Entered {
    pub(in crate::state) of: Position,
    pub(in crate::state) by: Position,
    pub(in crate::state) at: WallTime,
}

/// A row of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Producer {
    /// The number of the first of `marks`.
    pub(super) from: u64,
    /// Never none: of the numbers from `from` on, one after the other.
    pub(super) marks: VecDeque<Mark>,
    /// The window has left it: it has just its last mark.
    pub(super) is_resting: bool,
}

impl Producer {
    /// The number that is to come.
    pub(super) fn next(&self) -> u64 {
        let known = u64::try_from(self.marks.len()).unwrap_or(u64::MAX);
        self.from.saturating_add(known)
    }

    pub(super) fn get(&self, number: u64) -> Option<&Mark> {
        self.marks.get(usize::try_from(number.checked_sub(self.from)?).ok()?)
    }

    fn seen(&self, first: u64, digests: &[[u8; 8]]) -> Option<Marked> {
        let (next, from) = (self.next(), self.from);
        let count = u64::try_from(digests.len()).unwrap_or(u64::MAX);
        if first == next {
            return None;
        }
        if first > next {
            return Some(Marked::Gap { expected: next });
        }
        if first.saturating_add(count) > next {
            return Some(Marked::Overlaps { next });
        }
        if first < from {
            return Some(Marked::Forgotten { from });
        }
        let there = (first..).map_while(|number| self.get(number));
        let mut again = there.zip(digests).map(|(mark, digest)| mark.again(digest));
        let first = again.next()?;
        let is_other = |marked: &Marked| matches!(marked, Marked::Reused { .. });
        Some(if is_other(&first) { first } else { again.find(is_other).unwrap_or(first) })
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) ids: BTreeMap<Arc<str>, Mark>,
    pub(super) producers: BTreeMap<Arc<str>, Producer>,
    /// All marks but those that rest or wait.
    pub(super) window: BTreeMap<Place, Name>,
    /// Producers of which the last mark rests, by the place of that.
    pub(super) resting: BTreeMap<Place, Arc<str>>,
    /// As the last head said it.
    pub(super) keep: Keep,
}

impl Who {
    pub(super) const fn new(keep: Keep) -> Self {
        Self {
            ids: BTreeMap::new(),
            producers: BTreeMap::new(),
            window: BTreeMap::new(),
            resting: BTreeMap::new(),
            keep,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.producers.is_empty()
    }

    /// The time behind which the next of its marks leaves or has rested for its age.
    pub(super) fn due(&self) -> Option<WallTime> {
        let name = self.window.first_key_value().map(|(_, name)| name);
        let leaves = name.and_then(|name| self.mark(name));
        let leaves = leaves.map(|mark| mark.at.plus_millis(self.keep.ms));
        let producer = self.resting.first_key_value().map(|(_, producer)| producer);
        let rests = producer.and_then(|producer| self.producers.get(producer)?.marks.front());
        let rests = rests.map(|mark| mark.at.plus_millis(self.keep.producer_ms));
        leaves.into_iter().chain(rests).min()
    }

    /// Marks that go for their age: those that leave and do not rest, and those that have rested.
    pub(super) fn leaving(&self, now: WallTime) -> impl Iterator<Item = &Mark> {
        let window = self.window.values().filter_map(|name| Some((name, self.mark(name)?)));
        let leave = window.take_while(move |(_, mark)| self.keep.has_left(mark.at, now));
        let leave = leave.filter(|(name, _)| !self.is_last(name)).map(|(_, mark)| mark);
        let resting = self.resting.values();
        let resting = resting.filter_map(|name| self.producers.get(name)?.marks.front());
        leave.chain(resting.take_while(move |mark| self.keep.has_rested(mark.at, now)))
    }

    fn is_last(&self, name: &Name) -> bool {
        match name {
            Name::Id(_) => false,
            Name::Number(producer, number) => {
                let producer = self.producers.get(producer);
                producer.is_some_and(|producer| number.checked_add(1) == Some(producer.next()))
            }
        }
    }

    pub(super) fn mark(&self, name: &Name) -> Option<&Mark> {
        match name {
            Name::Id(id) => self.ids.get(id),
            Name::Number(producer, number) => self.producers.get(producer)?.get(*number),
        }
    }

    /// What is to be said of a head by its mark alone.
    pub(super) fn seen(&self, once: &Once) -> Option<Marked> {
        match &once.name {
            OnceName::Id(id) => {
                let there = self.ids.get(id.as_str()).zip(once.digests.first());
                there.map(|(mark, digest)| mark.again(digest))
            }
            OnceName::Numbers { producer, first } => match self.producers.get(producer.as_str()) {
                Some(producer) => producer.seen(*first, &once.digests),
                None => (*first != 1).then_some(Marked::UnknownProducer),
            },
        }
    }

    /// From here on marks are known as long as this says.
    pub(super) fn keep(&mut self, keep: Keep, book: &mut Book<'_>) {
        if keep != self.keep {
            book.who_goes(self.keep);
            book.who_comes(keep);
            self.keep = keep;
        }
    }

    /// Takes out what is to leave or has rested: at most so many, which are told.
    pub(super) fn prune(&mut self, now: WallTime, most: usize, book: &mut Book<'_>) -> usize {
        let (keep, mut gone) = (self.keep, 0);
        while gone < most
            && let Some((place, name)) = self.window.first_key_value()
            && let Some(mark) = self.mark(name)
            && (keep.has_left(mark.at, now) || keep.is_more(self.window.len()))
        {
            self.leave(*place, book);
            gone += 1;
        }
        while gone < most
            && let Some((place, producer)) = self.resting.first_key_value()
            && let Some(mark) = self.producers.get(producer).and_then(|there| there.marks.front())
            && (keep.has_rested(mark.at, now) || keep.is_more(self.resting.len()))
        {
            self.forget(*place, book);
            gone += 1;
        }
        gone
    }

    /// The mark at the front of the window.
    fn leave(&mut self, place: Place, book: &mut Book<'_>) {
        match self.window.remove(&place) {
            Some(Name::Id(id)) => {
                if let Some(mark) = self.ids.remove(&id) {
                    book.mark_goes(NameRef::Id(&id), false, &mark);
                }
            }
            Some(Name::Number(name, number)) => {
                let Some(producer) = self.producers.get_mut(&name) else { return };
                let named = NameRef::Number(&name, number);
                if let [last] = producer.marks.make_contiguous() {
                    book.mark_goes(named, false, last);
                    book.mark_comes(named, true, last);
                    producer.is_resting = true;
                    self.resting.insert(place, name);
                } else if let Some(mark) = producer.marks.pop_front() {
                    book.mark_goes(named, false, &mark);
                    producer.from = producer.from.saturating_add(1);
                }
            }
            None => {}
        }
    }

    /// A producer that rests.
    fn forget(&mut self, place: Place, book: &mut Book<'_>) {
        let Some(name) = self.resting.remove(&place) else { return };
        let Some(Producer { from, marks, .. }) = self.producers.remove(&name) else { return };
        for (number, mark) in (from..).zip(&marks) {
            book.mark_goes(NameRef::Number(&name, number), true, mark);
        }
        book.producer_goes(&name);
    }

    /// Marks of which nothing was [seen](Self::seen). Those that wait have no place in the window yet.
    pub(super) fn enter(&mut self, once: &Once, entered: Entered, was: Was, book: &mut Book<'_>) {
        let Entered { of, by, at } = entered;
        let marks = (0..).zip(&once.digests).map(|(nth, digest)| {
            let of = Position(of.0.saturating_add(nth));
            Mark { of, by, at, digest: *digest, was }
        });
        match &once.name {
            OnceName::Id(id) => {
                let id: Arc<str> = Arc::from(id.as_str());
                for mark in marks.take(1) {
                    book.mark_comes(NameRef::Id(&id), false, &mark);
                    if was.is_decided() {
                        self.window.insert(mark.place(), Name::Id(Arc::clone(&id)));
                    }
                    self.ids.insert(Arc::clone(&id), mark);
                }
            }
            OnceName::Numbers { producer, first } => {
                let name = self.producer(producer, *first, book);
                let Some(producer) = self.producers.get_mut(&name) else { return };
                for (nth, mark) in (0..).zip(marks) {
                    let number = first.saturating_add(nth);
                    book.mark_comes(NameRef::Number(&name, number), false, &mark);
                    producer.marks.push_back(mark);
                    self.window.insert(mark.place(), Name::Number(Arc::clone(&name), number));
                }
            }
        }
    }

    /// Makes a producer that goes on with a number; what rests of it is gone. Its name, as it is kept.
    fn producer(&mut self, name: &str, first: u64, book: &mut Book<'_>) -> Arc<str> {
        let Some((name, _)) = self.producers.get_key_value(name) else {
            let name: Arc<str> = Arc::from(name);
            book.producer_comes(&name);
            let marks = VecDeque::new();
            let producer = Producer { from: first, marks, is_resting: false };
            self.producers.insert(Arc::clone(&name), producer);
            return name;
        };
        let name = Arc::clone(name);
        if let Some(producer) = self.producers.get_mut(&name)
            && producer.is_resting
            && let Some(mark) = producer.marks.pop_front()
        {
            book.mark_goes(NameRef::Number(&name, producer.from), true, &mark);
            self.resting.remove(&mark.place());
            (producer.from, producer.is_resting) = (first, false);
        }
        name
    }

    /// What waited is decided: its window begins.
    pub(super) fn settle(&mut self, id: &str, entered: Entered, was: Was, book: &mut Book<'_>) {
        let Some((id, mark)) = self.ids.get_key_value(id) else { return };
        let (id, before) = (Arc::clone(id), *mark);
        let Entered { of, by, at } = entered;
        let mark = Mark { of, by, at, was, ..before };
        book.mark_goes(NameRef::Id(&id), false, &before);
        book.mark_comes(NameRef::Id(&id), false, &mark);
        self.ids.insert(Arc::clone(&id), mark);
        self.window.insert(mark.place(), Name::Id(id));
    }
}
