//! Reads JSON. Source: RFC 8259.
//!
//! Own code: serde_json's values nest 128 deep at most, its raw values cannot be walked into
//! without reading every level again, and it refuses lone surrogates.

use std::borrow::Cow;

use super::PayloadError;
use super::event::{Event, Item, Source, Text};
use super::levels::{Levels, Shape};
use crate::segment::Encoding;

/// Reads one value, and the white space before it.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    levels: Levels,
    /// Whether the innermost container has no item so far.
    is_fresh: bool,
}

impl<'a> Reader<'a> {
    /// Reads the value that begins at the byte `at`, a boundary of characters.
    pub(super) const fn new(text: &'a str, at: usize) -> Self {
        Self { text, at, levels: Levels::new(), is_fresh: false }
    }

    /// The next byte that is no white space, or 0 at the end.
    fn peek(&mut self) -> u8 {
        self.at = skip_space(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    const fn malformed(&self) -> PayloadError {
        PayloadError::Malformed { encoding: Encoding::Json, at: self.at }
    }

    fn expect(&mut self, wanted: u8) -> Result<(), PayloadError> {
        if self.peek() != wanted {
            return Err(self.malformed());
        }
        self.at += 1;
        Ok(())
    }

    fn item(&mut self) -> Result<Item<'a>, PayloadError> {
        let first = self.peek();
        let at = self.at;
        let is_key = self.levels.begin_item();
        self.is_fresh = false;
        let event = match first {
            b'"' => Event::Str(self.string()?),
            _other if is_key => return Err(self.malformed()),
            b'[' => self.open(Shape::OpenList, Event::List(None)),
            b'{' => self.open(Shape::OpenMap, Event::Map(None)),
            b'-' | b'0'..=b'9' => Event::Number(self.number()?),
            b'n' => self.word("null", Event::Null)?,
            b't' => self.word("true", Event::Bool(true))?,
            b'f' => self.word("false", Event::Bool(false))?,
            _other => return Err(self.malformed()),
        };
        Ok(Item { event, is_key, at })
    }

    fn open(&mut self, shape: Shape, event: Event<'a>) -> Event<'a> {
        self.at += 1;
        self.is_fresh = true;
        self.levels.open(shape, 0);
        event
    }

    fn word(&mut self, word: &str, event: Event<'a>) -> Result<Event<'a>, PayloadError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.malformed());
        }
        self.at += word.len();
        Ok(event)
    }

    fn digits(&mut self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn accept(&mut self, wanted: &[u8]) -> bool {
        let next = self.text.as_bytes().get(self.at);
        let is_next = next.is_some_and(|byte| wanted.contains(byte));
        self.at += usize::from(is_next);
        is_next
    }

    fn number(&mut self) -> Result<&'a str, PayloadError> {
        let start = self.at;
        self.accept(b"-");
        let is_zero = self.accept(b"0");
        if !is_zero && self.digits() == 0 {
            return Err(self.malformed());
        }
        if self.accept(b".") && self.digits() == 0 {
            return Err(self.malformed());
        }
        if self.accept(b"eE") {
            self.accept(b"+-");
            if self.digits() == 0 {
                return Err(self.malformed());
            }
        }
        Ok(&self.text[start..self.at])
    }

    fn string(&mut self) -> Result<Text<'a>, PayloadError> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        self.at = start;
        let mut is_escaped = false;
        loop {
            let rest = &bytes[self.at..];
            let plain = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | ..0x20));
            self.at += plain.count();
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_escaped = true;
                    let escape = &bytes[self.at + 1..];
                    self.at += match escape {
                        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
                        [b'u', a, b, c, d, ..]
                            if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) =>
                        {
                            6
                        }
                        _other => return Err(self.malformed()),
                    };
                }
                Some(_) | None => return Err(self.malformed()),
            }
        }
        let raw = &self.text[start..self.at];
        self.at += 1;
        Ok(if is_escaped { Text::Escaped(raw) } else { Text::Plain(Cow::Borrowed(raw)) })
    }
}

impl<'a> Source<'a> for Reader<'a> {
    fn next(&mut self) -> Result<Option<Item<'a>>, PayloadError> {
        let Some(top) = self.levels.top() else {
            return if self.levels.is_done() { Ok(None) } else { self.item().map(Some) };
        };
        if self.levels.is_after_key() {
            self.expect(b':')?;
            return self.item().map(Some);
        }
        let end = if top.shape == Shape::OpenMap { b'}' } else { b']' };
        if self.peek() == end {
            let at = self.at;
            self.at += 1;
            self.is_fresh = false;
            return Ok(Some(self.levels.close(at)));
        }
        if !self.is_fresh {
            self.expect(b',')?;
        }
        self.item().map(Some)
    }

    fn position(&self) -> usize {
        self.at
    }
}

/// The first byte from `at` that is no white space.
pub(super) fn skip_space(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

/// Resolves the escapes of a string, which are valid. Lone surrogates, which no UTF-8 can hold,
/// become U+FFFD, one each.
pub(super) fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let kind = escape.as_bytes().first().copied().unwrap_or(b'\\');
        rest = escape.get(1..).unwrap_or_default();
        text.push(match kind {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (character, after) = unicode(rest);
                rest = after;
                character
            }
            other => char::from(other),
        });
    }
    text.push_str(rest);
    text
}

/// The character whose four hexadecimal digits `text` begins with, and what comes after it; the
/// second half of a surrogate pair belongs to it.
fn unicode(text: &str) -> (char, &str) {
    let unit = |text: &str| u32::from_str_radix(text.get(..4)?, 16).ok();
    let rest = text.get(4..).unwrap_or_default();
    let first = unit(text).unwrap_or(0xfffd);
    if (0xd800..0xdc00).contains(&first)
        && let Some(second) = rest.strip_prefix("\\u").and_then(unit)
        && (0xdc00..0xe000).contains(&second)
    {
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (char::from_u32(code).unwrap_or('\u{fffd}'), &rest[6..]);
    }
    (char::from_u32(first).unwrap_or('\u{fffd}'), rest)
}
