//! Reads CBOR. Source: RFC 8949.
//!
//! Own code, as the well-kept crates read no frame with the position of each value and without
//! recursion, or have a licence that `deny.toml` does not list.

use std::borrow::Cow;

use super::PayloadError;
use super::event::{Cursor, Event, Item, Source, Text};
use super::levels::{Level, Levels, Shape};
use super::number;
use crate::segment::Encoding;

/// Ends a string, list or map of indefinite length (RFC 8949 §3.2.1).
const BREAK: u8 = 0xff;

/// Additional information that says: the length is indefinite (RFC 8949 §3.2).
const INDEFINITE: u8 = 31;

/// Reads one value. Tags are passed over, but for the two of bignums (RFC 8949 §3.4.3).
pub(super) struct Reader<'a> {
    cursor: Cursor<'a>,
    levels: Levels,
}

impl<'a> Reader<'a> {
    /// Reads the value that begins at the byte `at`.
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        let cursor = Cursor { bytes, at, encoding: Encoding::Cbor };
        Self { cursor, levels: Levels::new() }
    }

    /// The value behind tags.
    fn event(&mut self) -> Result<Event<'a>, PayloadError> {
        let mut tag = None;
        loop {
            let at = self.cursor.at;
            let first = self.cursor.byte()?;
            let (major, info) = (first >> 5, first & 0x1f);
            return Ok(match major {
                0 => Event::Uint(self.argument(info)?),
                1 => Event::Nint(self.argument(info)?),
                2 => {
                    let bytes = self.bytes(info)?;
                    match tag {
                        Some(2) => number::big(false, bytes),
                        Some(3) => number::big(true, bytes),
                        Some(_) | None => Event::Bytes(bytes),
                    }
                }
                3 => Event::Str(Text::Plain(self.text(info)?)),
                4 if info == INDEFINITE => {
                    self.levels.open(Shape::OpenList, 0);
                    Event::List(None)
                }
                4 => {
                    let count = self.argument(info)?;
                    let items = self.cursor.items(count)?;
                    self.levels.open(Shape::List, items);
                    Event::List(Some(items))
                }
                5 if info == INDEFINITE => {
                    self.levels.open(Shape::OpenMap, 0);
                    Event::Map(None)
                }
                5 => {
                    let pairs = self.argument(info)?;
                    let items = self.cursor.items(pairs.saturating_mul(2))?;
                    self.levels.open(Shape::Map, items);
                    Event::Map(Some(items / 2))
                }
                6 => {
                    tag = Some(self.argument(info)?);
                    continue;
                }
                _seven => match info {
                    20 => Event::Bool(false),
                    21 => Event::Bool(true),
                    // 22 and 23 are null and undefined; nothing else has values that are only
                    // numbered (RFC 8949 §6.1).
                    0..=19 | 22 | 23 => Event::Null,
                    24 if self.cursor.byte()? >= 32 => Event::Null,
                    25 => Event::Single(number::half(u16::from_be_bytes(self.cursor.fixed()?))),
                    26 => Event::Single(f32::from_be_bytes(self.cursor.fixed()?)),
                    27 => Event::Float(f64::from_be_bytes(self.cursor.fixed()?)),
                    _reserved_or_break => return Err(self.cursor.malformed(at)),
                },
            });
        }
    }

    /// The number that belongs to a first byte (RFC 8949 §3).
    fn argument(&mut self, info: u8) -> Result<u64, PayloadError> {
        let cursor = &mut self.cursor;
        Ok(match info {
            0..=23 => info.into(),
            24 => cursor.byte()?.into(),
            25 => u16::from_be_bytes(cursor.fixed()?).into(),
            26 => u32::from_be_bytes(cursor.fixed()?).into(),
            27 => u64::from_be_bytes(cursor.fixed()?),
            _reserved => return Err(cursor.malformed(cursor.at - 1)),
        })
    }

    fn bytes(&mut self, info: u8) -> Result<Cow<'a, [u8]>, PayloadError> {
        if info != INDEFINITE {
            let count = self.argument(info)?;
            return Ok(Cow::Borrowed(self.cursor.take(count)?));
        }
        let mut joined = Vec::new();
        while let Some(info) = self.chunk(2)? {
            let count = self.argument(info)?;
            joined.extend_from_slice(self.cursor.take(count)?);
        }
        Ok(Cow::Owned(joined))
    }

    fn text(&mut self, info: u8) -> Result<Cow<'a, str>, PayloadError> {
        if info != INDEFINITE {
            let count = self.argument(info)?;
            return Ok(Cow::Borrowed(self.cursor.text(count)?));
        }
        let mut joined = String::new();
        // Each chunk is to be valid by itself (RFC 8949 §3.2.3).
        while let Some(info) = self.chunk(3)? {
            let count = self.argument(info)?;
            joined.push_str(self.cursor.text(count)?);
        }
        Ok(Cow::Owned(joined))
    }

    /// Begins a chunk of an indefinite string; `None` at its end. A chunk has a definite length:
    /// `argument` refuses the other.
    fn chunk(&mut self, major: u8) -> Result<Option<u8>, PayloadError> {
        let at = self.cursor.at;
        match self.cursor.byte()? {
            BREAK => Ok(None),
            first if first >> 5 == major => Ok(Some(first & 0x1f)),
            _other => Err(self.cursor.malformed(at)),
        }
    }
}

impl<'a> Source<'a> for Reader<'a> {
    fn next(&mut self) -> Result<Option<Item<'a>>, PayloadError> {
        let at = self.cursor.at;
        if self.levels.is_done() {
            return Ok(None);
        }
        let top = self.levels.top();
        if top.is_some_and(Level::is_over) {
            return Ok(Some(self.levels.close(at)));
        }
        let is_open = top.is_some_and(|top| matches!(top.shape, Shape::OpenList | Shape::OpenMap));
        if is_open && self.cursor.peek() == Some(BREAK) && !self.levels.is_after_key() {
            self.cursor.at += 1;
            return Ok(Some(self.levels.close(at)));
        }
        let is_key = self.levels.begin_item();
        let event = self.event()?;
        Ok(Some(Item { event, is_key, at }))
    }

    fn position(&self) -> usize {
        self.cursor.at
    }
}
