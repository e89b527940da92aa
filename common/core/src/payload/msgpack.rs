//! Reads MessagePack. Source: the MessagePack specification, `spec.md` of msgpack/msgpack.
//!
//! The first byte says everything, so reading is one `match`; a crate would save its table only,
//! and none reads without recursion while it tells where each value begins.

use std::borrow::Cow;

use super::PayloadError;
use super::event::{Cursor, Event, Item, Source, Text};
use super::levels::{Level, Levels, Shape};
use crate::segment::Encoding;

/// Reads one value.
pub(super) struct Reader<'a> {
    cursor: Cursor<'a>,
    levels: Levels,
}

impl<'a> Reader<'a> {
    /// Reads the value that begins at the byte `at`.
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        let cursor = Cursor { bytes, at, encoding: Encoding::MsgPack };
        Self { cursor, levels: Levels::new() }
    }

    fn event(&mut self, first: u8) -> Result<Event<'a>, PayloadError> {
        let cursor = &mut self.cursor;
        Ok(match first {
            0x00..=0x7f => Event::Uint(first.into()),
            0x80..=0x8f => self.map((first & 0xf).into())?,
            0x90..=0x9f => self.list((first & 0xf).into())?,
            0xa0..=0xbf => Self::text(cursor, (first & 0x1f).into())?,
            0xc0 => Event::Null,
            0xc1 => return Err(cursor.malformed(cursor.at - 1)),
            0xc2 => Event::Bool(false),
            0xc3 => Event::Bool(true),
            0xc4..=0xc6 => {
                let count = Self::length(cursor, first - 0xc4)?;
                Event::Bytes(Cow::Borrowed(cursor.take(count)?))
            }
            0xc7..=0xc9 => {
                let count = Self::length(cursor, first - 0xc7)?;
                Self::ext(cursor, count)?
            }
            0xca => Event::Single(f32::from_be_bytes(cursor.fixed()?)),
            0xcb => Event::Float(f64::from_be_bytes(cursor.fixed()?)),
            0xcc => Event::Uint(cursor.byte()?.into()),
            0xcd => Event::Uint(u16::from_be_bytes(cursor.fixed()?).into()),
            0xce => Event::Uint(u32::from_be_bytes(cursor.fixed()?).into()),
            0xcf => Event::Uint(u64::from_be_bytes(cursor.fixed()?)),
            0xd0 => signed(i8::from_be_bytes(cursor.fixed()?).into()),
            0xd1 => signed(i16::from_be_bytes(cursor.fixed()?).into()),
            0xd2 => signed(i32::from_be_bytes(cursor.fixed()?).into()),
            0xd3 => signed(i64::from_be_bytes(cursor.fixed()?)),
            0xd4..=0xd8 => Self::ext(cursor, 1 << (first - 0xd4))?,
            0xd9..=0xdb => {
                let count = Self::length(cursor, first - 0xd9)?;
                Self::text(cursor, count)?
            }
            0xdc | 0xdd => {
                let count = Self::length(cursor, first - 0xdc + 1)?;
                self.list(count)?
            }
            0xde | 0xdf => {
                let count = Self::length(cursor, first - 0xde + 1)?;
                self.map(count)?
            }
            0xe0..=0xff => signed(i8::from_be_bytes([first]).into()),
        })
    }

    /// A count of 1, 2 or 4 bytes.
    fn length(cursor: &mut Cursor<'a>, size: u8) -> Result<u64, PayloadError> {
        Ok(match size {
            0 => cursor.byte()?.into(),
            1 => u16::from_be_bytes(cursor.fixed()?).into(),
            _four => u32::from_be_bytes(cursor.fixed()?).into(),
        })
    }

    fn text(cursor: &mut Cursor<'a>, count: u64) -> Result<Event<'a>, PayloadError> {
        Ok(Event::Str(Text::Plain(Cow::Borrowed(cursor.text(count)?))))
    }

    /// The type of an extension is left out: no other encoding has it. JavaScript's `undefined` is
    /// type 0 with a byte 0, as msgpackr and msgpack-lite write it.
    fn ext(cursor: &mut Cursor<'a>, count: u64) -> Result<Event<'a>, PayloadError> {
        let kind = cursor.byte()?;
        let data = cursor.take(count)?;
        Ok(match (kind, data) {
            (0, [0]) => Event::Null,
            _ => Event::Bytes(Cow::Borrowed(data)),
        })
    }

    fn list(&mut self, count: u64) -> Result<Event<'a>, PayloadError> {
        let items = self.cursor.items(count)?;
        self.levels.open(Shape::List, items);
        Ok(Event::List(Some(items)))
    }

    fn map(&mut self, pairs: u64) -> Result<Event<'a>, PayloadError> {
        let items = self.cursor.items(pairs.saturating_mul(2))?;
        self.levels.open(Shape::Map, items);
        Ok(Event::Map(Some(items / 2)))
    }
}

fn signed(number: i64) -> Event<'static> {
    match u64::try_from(number) {
        Ok(number) => Event::Uint(number),
        // -1 - n of a negative n is its complement.
        Err(_negative) => Event::Nint(!number.cast_unsigned()),
    }
}

impl<'a> Source<'a> for Reader<'a> {
    fn next(&mut self) -> Result<Option<Item<'a>>, PayloadError> {
        let at = self.cursor.at;
        if self.levels.is_done() {
            return Ok(None);
        }
        if self.levels.top().is_some_and(Level::is_over) {
            return Ok(Some(self.levels.close(at)));
        }
        let is_key = self.levels.begin_item();
        let first = self.cursor.byte()?;
        let event = self.event(first)?;
        Ok(Some(Item { event, is_key, at }))
    }

    fn position(&self) -> usize {
        self.cursor.at
    }
}
