//! Payloads, the arguments of messages, in the three encodings of WAMP's serializers, and the way
//! from one to another.
//!
//! A payload is stored as its publisher sent it, and becomes something else only for a reader of
//! another encoding:
//!
//! ```text
//! JSON:              nothing | args | args,kwargs    the text of the PUBLISH after its topic
//! MessagePack, CBOR: nothing | args | args kwargs    values end by themselves
//! ```
//! What becomes of a value:
//!
//! | value | JSON | MessagePack | CBOR |
//! |---|---|---|---|
//! | integer of 64 bits | digits | integer | integer |
//! | longer integer, up to [`INTEGER_DIGITS_MAX`] | digits | string of its digits | bignum |
//! | still longer, from JSON | digits | string of its digits | string of its digits |
//! | still longer, from CBOR | string `0x1f…` | string `0x1f…` | bignum |
//! | JSON number with point or exponent | as it is | float of 64 bits | float of 64 bits |
//! | JSON number beyond all floats, `1e400` | as it is | string of its text | string of its text |
//! | JSON's `-0` (an integer), `-0.0` (a float) | as it is | 0, -0.0 | 0, -0.0 |
//! | float | shortest text with its value in 64 bits | its bits, CBOR's of 16 as 32 | as MessagePack |
//! | NaN, infinities | `null` | float | float |
//! | string | string | string | string |
//! | JSON's lone surrogates | as they are | U+FFFD | U+FFFD |
//! | bytes | string: U+0000 and base64 | bytes | bytes |
//! | MessagePack extension | as bytes | as it is | bytes: its data |
//! | … of type 0 with a byte 0: JavaScript's `undefined` | `null` | as it is | null |
//! | CBOR tag | the value in it | the value in it | as it is |
//! | undefined, other simple values of CBOR | `null` | nil | as it is |
//! | list, dictionary | order and double keys stay | the same | the same |
//! | key that is no string | a string: of its text, of bytes as for bytes | as it is | as it is |
//!
//! The strings of JSON that mean bytes are the WAMP spec's (§"Binary conversion of JSON Strings");
//! one whose rest is not base64, and every key, stays a string. A list or dictionary as the key of
//! a dictionary within another such key has no JSON here: its escapes would double on each level.
//!
//! Of what is no arguments, raw bytes are a list of the one value `bytes`; what a later version wrote
//! has no form here.
//!
//! Nothing calls itself, so depth costs memory only: eight bytes a level to read it.

mod as_json;
mod cbor;
mod event;
mod json;
mod levels;
mod msgpack;
mod number;
pub mod scan;
mod split;
#[cfg(test)]
mod tests;
mod to_binary;
mod to_json;
mod tokens;
pub mod values;
pub mod write;

use bytes::{BufMut, BytesMut};

use self::event::Source;
use self::scan::{Kind, json_text};
use self::write::Binary;
use crate::segment::{Content, Encoding};

pub use as_json::{as_json, opaque_members};
pub use number::{INTEGER_BYTES_MAX, INTEGER_DIGITS_MAX};
pub use split::{Parts, sole_value, split};
pub use tokens::{Token, Tokens};

/// Longest payload that is read: numbers and counts within are of 32 bits, with room to grow.
const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// Why a payload cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not of its encoding, or cut short.
    #[error("not well-formed {} at byte {at}", encoding.name())]
    Malformed {
        /// What it should be.
        encoding: Encoding,
        /// The first byte that does not fit.
        at: usize,
    },
    /// A string, or text of JSON, is not UTF-8.
    #[error("not UTF-8 at byte {at}")]
    NotUtf8 {
        /// Where the string begins, or what is not UTF-8.
        at: usize,
    },
    /// Something follows the last value.
    #[error("unexpected bytes after the value that ends at byte {at}")]
    TrailingBytes {
        /// The first byte too many.
        at: usize,
    },
    /// `Arguments` is to be a list, `ArgumentsKw` a dictionary (WAMP spec §"Publishing").
    #[error("neither arguments nor keyword arguments at byte {at}: {found:?}")]
    NotArguments {
        /// Where the value begins.
        at: usize,
        /// What it is.
        found: Kind,
    },
    /// No JSON is made of a key that holds a list or dictionary as the key of a dictionary.
    #[error("a key within a key at byte {at} is a list or dictionary")]
    KeyInKey {
        /// Where the inner key begins.
        at: usize,
    },
    /// What a later version wrote.
    #[error("content {number} is of a later version")]
    Later {
        /// As it is stored.
        number: u8,
    },
    /// Longer than any frame may be.
    #[error("a payload of {bytes} bytes is too long")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// Appends a whole payload as arguments to `out`: no value, `args`, or `args` and `kwargs`. In the
/// encoding that they have they are copied without a look.
///
/// # Errors
/// The payload is not what it should be, or has no form in the other encoding
/// ([`PayloadError::KeyInKey`], [`PayloadError::Later`]). `out` is then as it was.
pub fn transcode(
    payload: &[u8],
    from: impl Into<Content>,
    to: Encoding,
    out: &mut BytesMut,
) -> Result<(), PayloadError> {
    let from = match from.into() {
        Content::Arguments(encoding) => encoding,
        Content::Raw => {
            write_raw(payload, to, out);
            return Ok(());
        }
        Content::Later(number) => return Err(PayloadError::Later { number }),
    };
    undone_on_error(out, |out| {
        if from == to {
            out.put_slice(payload);
            return Ok(());
        }
        if payload.is_empty() {
            return Ok(());
        }
        let after_args = argument(payload, 0, from, to, Kind::List, out)?;
        let Some(at) = kwargs_at(payload, after_args, from)? else { return Ok(()) };
        if to == Encoding::Json {
            out.put_u8(b',');
        }
        let end = argument(payload, at, from, to, Kind::Map, out)?;
        check_end(payload, end, from)
    })
}

/// Appends exactly one value to `out` in another encoding. With the same one it is copied without
/// a look.
///
/// # Errors
/// As for [`transcode`]; and something follows the value.
pub fn transcode_value(
    value: &[u8],
    from: Encoding,
    to: Encoding,
    out: &mut BytesMut,
) -> Result<(), PayloadError> {
    undone_on_error(out, |out| {
        if from == to {
            out.put_slice(value);
            return Ok(());
        }
        let end = value_at(value, 0, from, to, out)?;
        check_end(value, end, from)
    })
}

/// Appends a list of the one value `bytes`.
fn write_raw(bytes: &[u8], to: Encoding, out: &mut BytesMut) {
    match Binary::of(to) {
        Some(binary) => {
            binary.write_array_header(out, 1);
            binary.write_bytes(out, bytes);
        }
        None => {
            out.put_slice(b"[\"\\u0000");
            to_json::put_base64(out, bytes);
            out.put_slice(b"\"]");
        }
    }
}

/// Whether a payload has arguments.
#[must_use]
pub const fn has_arguments(payload: &[u8], content: Content) -> bool {
    matches!(content, Content::Raw) || !payload.is_empty()
}

fn undone_on_error(
    out: &mut BytesMut,
    append: impl FnOnce(&mut BytesMut) -> Result<(), PayloadError>,
) -> Result<(), PayloadError> {
    let start = out.len();
    append(out).inspect_err(|_| out.truncate(start))
}

/// Appends the value at `at`, which is to be of a kind, and tells where it ends.
fn argument(
    payload: &[u8],
    at: usize,
    from: Encoding,
    to: Encoding,
    kind: Kind,
    out: &mut BytesMut,
) -> Result<usize, PayloadError> {
    split::check_kind(payload, at, from, kind)?;
    value_at(payload, at, from, to, out)
}

/// Where keyword arguments begin; `None` if there are none.
fn kwargs_at(
    payload: &[u8],
    after_args: usize,
    encoding: Encoding,
) -> Result<Option<usize>, PayloadError> {
    let at = match encoding {
        Encoding::Json => json::skip_space(payload, after_args),
        Encoding::MsgPack | Encoding::Cbor => after_args,
    };
    match (encoding, payload.get(at)) {
        (_, None) => Ok(None),
        (Encoding::Json, Some(b',')) => Ok(Some(at + 1)),
        (Encoding::Json, Some(_)) => Err(PayloadError::Malformed { encoding, at }),
        (Encoding::MsgPack | Encoding::Cbor, Some(_)) => Ok(Some(at)),
    }
}

fn check_end(payload: &[u8], end: usize, encoding: Encoding) -> Result<(), PayloadError> {
    let at = match encoding {
        Encoding::Json => json::skip_space(payload, end),
        Encoding::MsgPack | Encoding::Cbor => end,
    };
    if at < payload.len() { Err(PayloadError::TrailingBytes { at }) } else { Ok(()) }
}

/// Appends the value at `at`, and tells where it ends. `from` and `to` differ.
fn value_at(
    bytes: &[u8],
    at: usize,
    from: Encoding,
    to: Encoding,
    out: &mut BytesMut,
) -> Result<usize, PayloadError> {
    if bytes.len() > PAYLOAD_BYTES_MAX {
        return Err(PayloadError::TooLong { bytes: bytes.len() });
    }
    match from {
        Encoding::Json => {
            let text = json_text(bytes)?;
            write_value(|| json::Reader::new(text, at), true, to, out)
        }
        Encoding::MsgPack => write_value(|| msgpack::Reader::new(bytes, at), false, to, out),
        Encoding::Cbor => {
            // Beginnings of lists and maps of indefinite length, or bytes that look like them.
            let is_open = bytes.iter().any(|byte| matches!(byte, 0x9f | 0xbf));
            write_value(|| cbor::Reader::new(bytes, at), is_open, to, out)
        }
    }
}

/// `is_open`: there may be containers whose header does not tell their length.
fn write_value<'a, S: Source<'a>>(
    reader: impl Fn() -> S,
    is_open: bool,
    to: Encoding,
    out: &mut BytesMut,
) -> Result<usize, PayloadError> {
    let mut source = reader();
    match Binary::of(to) {
        None => to_json::write(&mut source, out)?,
        Some(to) => {
            let mut counts = Vec::new();
            if is_open {
                to_binary::count(&mut reader(), &mut counts)?;
            }
            to_binary::write(&mut source, &mut counts.into_iter(), to, out)?;
        }
    }
    Ok(source.position())
}
