//! Values one after the other, as they would be in MessagePack, whatever they are encoded in: for those who compare.
//!
//! ```text
//! {"a": [1, 2.5]}   -->   Map, "a" (a key), List, 1, 2.5, End, End
//! ```
//! A number that is whole and fits in 64 bits, with a sign or without, is [`Scalar::Int`] however it was written:
//! 1.0 is 1, -0.0 is 0. Integers beyond, which MessagePack lacks, are strings of their digits. An extension of
//! MessagePack is its data. All else is as the table of [`payload`](super) says.

use std::borrow::Cow;

use super::event::{Event, Item, Source};
use super::number::{self, Number};
use super::scan::json_text;
use super::{PAYLOAD_BYTES_MAX, PayloadError, cbor, check_end, json, msgpack};
use crate::segment::Encoding;

/// A value that holds no others.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Null, and undefined.
    Null,
    /// A truth value.
    Bool(bool),
    /// From -2^63 to 2^64 - 1.
    Int(i128),
    /// Any other number; may be NaN, which equals nothing.
    Float(f64),
    /// A string.
    Str(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Part<'a> {
    /// A value that holds no others.
    Scalar(Scalar<'a>),
    /// A list begins.
    List,
    /// A dictionary begins: keys and values by turns.
    Map,
    /// The innermost list or dictionary ends.
    End,
}

/// A part, and whether it is the key of a dictionary, or the begin or end of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Value<'a> {
    /// It.
    pub part: Part<'a>,
    /// Its value follows.
    pub is_key: bool,
}

/// Reads bytes that are just one value. Nothing calls itself, so depth costs memory only: eight bytes a level.
pub struct Values<'a> {
    bytes: &'a [u8],
    encoding: Encoding,
    reader: Reader<'a>,
}

enum Reader<'a> {
    Json(json::Reader<'a>),
    MsgPack(msgpack::Reader<'a>),
    Cbor(cbor::Reader<'a>),
}

impl<'a> Values<'a> {
    /// Reads from the front.
    ///
    /// # Errors
    /// JSON that is not UTF-8, and more bytes than any frame may have.
    pub fn new(bytes: &'a [u8], encoding: Encoding) -> Result<Self, PayloadError> {
        if bytes.len() > PAYLOAD_BYTES_MAX {
            return Err(PayloadError::TooLong { bytes: bytes.len() });
        }
        let reader = match encoding {
            Encoding::Json => Reader::Json(json::Reader::new(json_text(bytes)?, 0)),
            Encoding::MsgPack => Reader::MsgPack(msgpack::Reader::new(bytes, 0)),
            Encoding::Cbor => Reader::Cbor(cbor::Reader::new(bytes, 0)),
        };
        Ok(Self { bytes, encoding, reader })
    }

    /// The next part; `None` after the last one: then the bytes were well-formed to their end.
    ///
    /// # Errors
    /// The bytes are not of their encoding, or something follows the value.
    pub fn next_part(&mut self) -> Result<Option<Value<'a>>, PayloadError> {
        let (item, at) = match &mut self.reader {
            Reader::Json(reader) => (reader.next()?, reader.position()),
            Reader::MsgPack(reader) => (reader.next()?, reader.position()),
            Reader::Cbor(reader) => (reader.next()?, reader.position()),
        };
        let Some(Item { event, is_key, at: _ }) = item else {
            return check_end(self.bytes, at, self.encoding).map(|()| None);
        };
        Ok(Some(Value { part: part(event, is_key), is_key }))
    }
}

fn part(event: Event<'_>, is_key: bool) -> Part<'_> {
    Part::Scalar(match event {
        Event::List(_) => return Part::List,
        Event::Map(_) => return Part::Map,
        Event::End { .. } => return Part::End,
        Event::Null => Scalar::Null,
        Event::Bool(is_true) => Scalar::Bool(is_true),
        Event::Uint(number) => Scalar::Int(number.into()),
        Event::Nint(number) => negative(number),
        Event::Big { negative, magnitude } => {
            let digits = number::digits(negative, &magnitude);
            let digits = digits.unwrap_or_else(|| number::hex(negative, &magnitude));
            Scalar::Str(Cow::Owned(digits))
        }
        Event::Number(text) => match number::parse(text) {
            Number::Uint(number) => Scalar::Int(number.into()),
            Number::Nint(number) => negative(number),
            Number::Float(number) => float(number),
            Number::Digits(text) | Number::Huge(text) => Scalar::Str(Cow::Borrowed(text)),
        },
        Event::Single(number) => float(number.into()),
        Event::Float(number) => float(number),
        Event::Str(text) => match text.meaning(is_key) {
            Ok(text) => Scalar::Str(text),
            Err(bytes) => Scalar::Bytes(Cow::Owned(bytes)),
        },
        Event::Bytes(bytes) => Scalar::Bytes(bytes),
    })
}

/// The integer -1 - `number`.
fn negative(number: u64) -> Scalar<'static> {
    let integer = -1 - i128::from(number);
    if i64::try_from(integer).is_ok() {
        Scalar::Int(integer)
    } else {
        Scalar::Str(Cow::Owned(integer.to_string()))
    }
}

fn float(number: f64) -> Scalar<'static> {
    /// 2^64 and -2^63, exactly: the ends of what 64 bits hold.
    const ENDS: (f64, f64) = (-9_223_372_036_854_775_808.0, 18_446_744_073_709_551_616.0);
    if number.fract() == 0.0 && ENDS.0 <= number && number < ENDS.1 {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within 64 bits")]
        return Scalar::Int(number as i128);
    }
    Scalar::Float(number)
}
