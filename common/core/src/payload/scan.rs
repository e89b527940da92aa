//! Messages whose top level is a list, checked whole and looked into no further than framing needs.

use std::borrow::Cow;
use std::ops::Range;

use super::event::{Event, Source};
use super::number::{self, Number};
use super::{PayloadError, cbor, json, msgpack};
use crate::segment::Encoding;

/// Elements that are kept: those of a PUBLISH, and one more than any message has.
pub const ELEMENTS_KEPT: usize = 7;

/// What a value is; with CBOR that which its tags are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Null, and CBOR's undefined.
    Null,
    /// A truth value.
    Bool,
    /// An integer of any size, CBOR's bignums included.
    Int,
    /// A number of JSON with point or exponent, and all floats.
    Float,
    /// A string; in JSON also one that means bytes.
    Str,
    /// A byte string, and MessagePack's extensions.
    Bytes,
    /// A list.
    List,
    /// A dictionary.
    Map,
}

impl Kind {
    /// `None` for the end of a container, which is no value.
    fn of(event: &Event<'_>) -> Option<Self> {
        Some(match event {
            Event::Null => Self::Null,
            Event::Bool(_) => Self::Bool,
            Event::Uint(_) | Event::Nint(_) | Event::Big { .. } => Self::Int,
            Event::Number(text) if number::is_integer(text) => Self::Int,
            Event::Number(_) | Event::Single(_) | Event::Float(_) => Self::Float,
            Event::Str(_) => Self::Str,
            Event::Bytes(_) => Self::Bytes,
            Event::List(_) => Self::List,
            Event::Map(_) => Self::Map,
            Event::End { .. } => return None,
        })
    }
}

/// Why a frame is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The frame is not of its encoding.
    #[error(transparent)]
    Malformed(#[from] PayloadError),
    /// The frame is well-formed as far as it was read, and something else than a list.
    #[error("not a list")]
    NotList,
}

/// The elements of one frame. The first [`ELEMENTS_KEPT`] can be asked for.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    frame: &'a [u8],
    encoding: Encoding,
    kept: [Element; ELEMENTS_KEPT],
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Element {
    start: usize,
    end: usize,
    kind: Kind,
}

impl<'a> Elements<'a> {
    /// Checks the whole frame: well-formed, its strings UTF-8, no reserved codes, nothing behind
    /// its end but white space in JSON. Allocates nothing up to 16 levels, but for CBOR strings in
    /// several chunks.
    ///
    /// # Errors
    /// What is wrong with the frame.
    pub fn parse(frame: &'a [u8], encoding: Encoding) -> Result<Self, ScanError> {
        let mut elements = Self {
            frame,
            encoding,
            kept: [Element { start: 0, end: 0, kind: Kind::Null }; ELEMENTS_KEPT],
            count: 0,
        };
        let end = match encoding {
            Encoding::Json => {
                let text = json_text(frame)?;
                let end = elements.read(json::Reader::new(text, 0))?;
                json::skip_space(frame, end)
            }
            Encoding::MsgPack => elements.read(msgpack::Reader::new(frame, 0))?,
            Encoding::Cbor => elements.read(cbor::Reader::new(frame, 0))?,
        };
        if end < frame.len() {
            return Err(PayloadError::TrailingBytes { at: end }.into());
        }
        Ok(elements)
    }

    fn read(&mut self, mut source: impl Source<'a>) -> Result<usize, ScanError> {
        if !matches!(source.next()?.map(|item| item.event), Some(Event::List(_))) {
            return Err(ScanError::NotList);
        }
        // Of the containers within the list.
        let mut depth = 0usize;
        while let Some(item) = source.next()? {
            if depth == 0 {
                let Some(kind) = Kind::of(&item.event) else { continue };
                let element = Element { start: item.at, end: item.at, kind };
                if let Some(kept) = self.kept.get_mut(self.count) {
                    *kept = element;
                }
                self.count += 1;
            }
            match item.event {
                Event::List(_) | Event::Map(_) => depth += 1,
                Event::End { .. } => depth -= 1,
                _scalar => {}
            }
            if depth == 0
                && let Some(kept) = self.kept.get_mut(self.count - 1)
            {
                kept.end = source.position();
            }
        }
        Ok(source.position())
    }

    /// How many there are, those that were not kept included.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    fn element(&self, index: usize) -> Option<Element> {
        self.kept.get(index).copied().filter(|_| index < self.count)
    }

    /// What an element is; `None` if there is none or it was not kept.
    #[must_use]
    pub fn kind(&self, index: usize) -> Option<Kind> {
        self.element(index).map(|element| element.kind)
    }

    /// Where an element is in the frame, its CBOR tags included.
    #[must_use]
    pub fn range(&self, index: usize) -> Option<Range<usize>> {
        self.element(index).map(|element| element.start..element.end)
    }

    /// The bytes of an element, its CBOR tags included.
    #[must_use]
    pub fn raw(&self, index: usize) -> Option<&'a [u8]> {
        self.range(index).and_then(|range| self.frame.get(range))
    }

    /// The value of an element that is an integer below 2^64 and not negative.
    #[must_use]
    pub fn as_u64(&self, index: usize) -> Option<u64> {
        match self.event(index)? {
            Event::Uint(number) => Some(number),
            Event::Number(text) => match number::parse(text) {
                Number::Uint(number) => Some(number),
                Number::Nint(_) | Number::Digits(_) | Number::Float(_) | Number::Huge(_) => None,
            },
            _other => None,
        }
    }

    /// The value of an element that is a float of MessagePack or CBOR without a fraction, from 2^32 to
    /// 2^53: below, encoders that write so have integers; above, whole numbers share floats.
    #[must_use]
    pub fn as_large_float(&self, index: usize) -> Option<u64> {
        let Event::Float(float) = self.event(index)? else { return None };
        let is_large = (4_294_967_296.0..=9_007_199_254_740_992.0).contains(&float);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, and within 2^32..=2^53"
        )]
        (is_large && float.fract() == 0.0).then_some(float as u64)
    }

    /// The value of an element that is a string. It is borrowed but for escapes of JSON and CBOR
    /// strings in several chunks.
    #[must_use]
    pub fn as_str(&self, index: usize) -> Option<Cow<'a, str>> {
        match self.event(index)? {
            Event::Str(text) => Some(text.decode()),
            _other => None,
        }
    }

    /// The value of an element that is true or false.
    #[must_use]
    pub fn as_bool(&self, index: usize) -> Option<bool> {
        match self.event(index)? {
            Event::Bool(is_true) => Some(is_true),
            _other => None,
        }
    }

    fn event(&self, index: usize) -> Option<Event<'a>> {
        first_event(self.raw(index)?, 0, self.encoding).ok()
    }
}

/// What the value at `at` is; no more of it is checked than tells that.
pub(super) fn kind_at(bytes: &[u8], at: usize, encoding: Encoding) -> Result<Kind, PayloadError> {
    let event = first_event(bytes, at, encoding)?;
    Kind::of(&event).ok_or(PayloadError::Malformed { encoding, at })
}

fn first_event(bytes: &[u8], at: usize, encoding: Encoding) -> Result<Event<'_>, PayloadError> {
    let item = match encoding {
        Encoding::Json => json::Reader::new(json_text(bytes)?, at).next()?,
        Encoding::MsgPack => msgpack::Reader::new(bytes, at).next()?,
        Encoding::Cbor => cbor::Reader::new(bytes, at).next()?,
    };
    item.map(|item| item.event).ok_or(PayloadError::Malformed { encoding, at })
}

/// The text of a payload that is JSON.
pub(super) fn json_text(bytes: &[u8]) -> Result<&str, PayloadError> {
    std::str::from_utf8(bytes).map_err(|error| PayloadError::NotUtf8 { at: error.valid_up_to() })
}
