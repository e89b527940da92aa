//! The containers around the place where a reader stands, innermost last.
//!
//! A level takes eight bytes, and the first [`INLINE`] need no allocation: a frame of one byte a
//! level (`0x91`, a list of one) costs eight times its size, and no stack of calls.

use super::event::{Event, Item};

/// Levels without an allocation: more than flat messages have.
const INLINE: usize = 16;

/// What kind of container, and how its end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// So many items.
    List,
    /// So many keys and values.
    Map,
    /// Until its closing byte.
    OpenList,
    /// Until its closing byte.
    OpenMap,
}

/// One container.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) shape: Shape,
    /// Items that are to come, keys and values both; in an open container those that came. A map's
    /// is odd between a key and its value.
    items: u32,
}

impl Level {
    /// Whether the end is here, and has no byte of its own.
    pub(super) const fn is_over(self) -> bool {
        matches!(self.shape, Shape::List | Shape::Map) && self.items == 0
    }

    const fn is_map(self) -> bool {
        matches!(self.shape, Shape::Map | Shape::OpenMap)
    }
}

/// A stack of containers.
#[derive(Debug)]
pub(super) struct Levels {
    inline: [Level; INLINE],
    spilled: Vec<Level>,
    depth: usize,
    has_begun: bool,
}

impl Levels {
    pub(super) const fn new() -> Self {
        const NONE: Level = Level { shape: Shape::List, items: 0 };
        Self { inline: [NONE; INLINE], spilled: Vec::new(), depth: 0, has_begun: false }
    }

    /// Whether the one value outside all containers was read to its end.
    pub(super) const fn is_done(&self) -> bool {
        self.depth == 0 && self.has_begun
    }

    /// The innermost container.
    pub(super) fn top(&self) -> Option<Level> {
        match self.depth {
            0 => None,
            depth if depth <= INLINE => Some(self.inline[depth - 1]),
            _deep => self.spilled.last().copied(),
        }
    }

    /// Notes that an item of the innermost container begins, and tells whether it is a key.
    pub(super) fn begin_item(&mut self) -> bool {
        self.has_begun = true;
        let top = match self.depth {
            0 => return false,
            depth if depth <= INLINE => &mut self.inline[depth - 1],
            _deep => match self.spilled.last_mut() {
                Some(top) => top,
                None => return false,
            },
        };
        top.items = match top.shape {
            Shape::List | Shape::Map => top.items.wrapping_sub(1),
            Shape::OpenList | Shape::OpenMap => top.items.wrapping_add(1),
        };
        top.is_map() && !top.items.is_multiple_of(2)
    }

    /// Whether the last item was a key.
    pub(super) fn is_after_key(&self) -> bool {
        self.top().is_some_and(|top| top.is_map() && !top.items.is_multiple_of(2))
    }

    /// Goes into a container of so many items, 0 for an open one.
    pub(super) fn open(&mut self, shape: Shape, items: u32) {
        let level = Level { shape, items };
        match self.inline.get_mut(self.depth) {
            Some(place) => *place = level,
            None => self.spilled.push(level),
        }
        self.depth += 1;
    }

    /// Leaves the innermost container; its end is at the byte `at`.
    pub(super) fn close<'a>(&mut self, at: usize) -> Item<'a> {
        let is_map = self.top().is_some_and(Level::is_map);
        if self.depth > INLINE {
            self.spilled.pop();
        }
        self.depth = self.depth.saturating_sub(1);
        Item { event: Event::End { is_map }, is_key: self.is_after_key(), at }
    }
}
