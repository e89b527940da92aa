//! What readers of all encodings tell, and writers of all encodings take: a value as a flat row of
//! events, so that nothing here calls itself.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::PayloadError;
use super::json;
use crate::segment::Encoding;

/// A value, or the begin or end of a container.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event<'a> {
    Null,
    Bool(bool),
    Uint(u64),
    /// -1 - n.
    Nint(u64),
    /// An integer beyond 64 bits: the big-endian n, or -1 - n.
    Big {
        negative: bool,
        magnitude: Cow<'a, [u8]>,
    },
    /// A number of JSON, as it stands there.
    Number(&'a str),
    Single(f32),
    Float(f64),
    Str(Text<'a>),
    Bytes(Cow<'a, [u8]>),
    /// How many items, where the header tells.
    List(Option<u32>),
    /// How many pairs, where the header tells.
    Map(Option<u32>),
    End {
        is_map: bool,
    },
}

/// A string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Text<'a> {
    Plain(Cow<'a, str>),
    /// What is between the quotes of a JSON string that has escapes, all of them valid.
    Escaped(&'a str),
}

impl<'a> Text<'a> {
    pub(super) fn decode(self) -> Cow<'a, str> {
        match self {
            Self::Plain(text) => text,
            Self::Escaped(raw) => Cow::Owned(json::unescape(raw)),
        }
    }

    /// The string, or the bytes that it means by the convention of JSON. No key means bytes.
    pub(super) fn meaning(self, is_key: bool) -> Result<Cow<'a, str>, Vec<u8>> {
        let may_be_bytes =
            matches!(self, Self::Escaped(raw) if !is_key && raw.starts_with("\\u0000"));
        let text = self.decode();
        let base64 = text.strip_prefix('\0').filter(|_| may_be_bytes);
        match base64.map(|base64| STANDARD.decode(base64)) {
            Some(Ok(bytes)) => Err(bytes),
            // Not the convention, so nothing but a string.
            Some(Err(_)) | None => Ok(text),
        }
    }
}

/// An event, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item<'a> {
    pub(super) event: Event<'a>,
    /// Whether it is, or with `End`: was, the key of a map.
    pub(super) is_key: bool,
    /// Its first byte, tags included.
    pub(super) at: usize,
}

/// Reads one value.
pub(super) trait Source<'a> {
    /// The next event; `None` after the last one of the value.
    fn next(&mut self) -> Result<Option<Item<'a>>, PayloadError>;

    /// The byte after what was read.
    fn position(&self) -> usize;
}

/// Reads to the end of the value, which proves it well-formed, and tells where that is.
pub(super) fn skip<'a>(mut source: impl Source<'a>) -> Result<usize, PayloadError> {
    while source.next()?.is_some() {}
    Ok(source.position())
}

/// The bytes of a binary encoding, from front to back.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) encoding: Encoding,
}

impl<'a> Cursor<'a> {
    pub(super) const fn malformed(&self, at: usize) -> PayloadError {
        PayloadError::Malformed { encoding: self.encoding, at }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn byte(&mut self) -> Result<u8, PayloadError> {
        let byte = self.peek().ok_or_else(|| self.malformed(self.at))?;
        self.at += 1;
        Ok(byte)
    }

    /// A big-endian number.
    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], PayloadError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let fixed = rest.first_chunk::<N>().ok_or_else(|| self.malformed(self.at))?;
        self.at += N;
        Ok(*fixed)
    }

    pub(super) fn take(&mut self, count: u64) -> Result<&'a [u8], PayloadError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = usize::try_from(count).ok();
        let taken =
            count.and_then(|count| rest.get(..count)).ok_or_else(|| self.malformed(self.at))?;
        self.at += taken.len();
        Ok(taken)
    }

    pub(super) fn text(&mut self, count: u64) -> Result<&'a str, PayloadError> {
        let at = self.at;
        let bytes = self.take(count)?;
        std::str::from_utf8(bytes).map_err(|_| PayloadError::NotUtf8 { at })
    }

    /// Checks a count of items against the bytes that are left, at least one an item.
    pub(super) fn items(&self, count: u64) -> Result<u32, PayloadError> {
        let left = self.bytes.len().saturating_sub(self.at);
        let is_possible = usize::try_from(count).is_ok_and(|count| count <= left);
        let count = u32::try_from(count).ok().filter(|_| is_possible);
        count.ok_or_else(|| self.malformed(self.at))
    }
}
