//! Writes JSON. What each value becomes is told in the module above.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};
use serde::Serialize;

use super::PayloadError;
use super::event::{Event, Item, Source};
use super::number;

/// Appends the value that `source` reads.
pub(super) fn write<'a>(
    source: &mut impl Source<'a>,
    out: &mut BytesMut,
) -> Result<(), PayloadError> {
    let mut needs_comma = false;
    // Where the text of a key begins that is a list or map.
    let mut key_start = None;
    while let Some(Item { event, is_key, at }) = source.next()? {
        let is_open = matches!(event, Event::List(_) | Event::Map(_));
        if let Event::End { is_map } = event {
            out.put_u8(if is_map { b'}' } else { b']' });
            if let Some(start) = key_start.take_if(|_| is_key) {
                let text = out[start..].to_vec();
                out.truncate(start);
                put(out, &*String::from_utf8_lossy(&text));
            }
        } else {
            if needs_comma {
                out.put_u8(b',');
            }
            // The text of a key in a key would double its escapes on each level.
            if is_open && is_key && key_start.replace(out.len()).is_some() {
                return Err(PayloadError::KeyInKey { at });
            }
            put_event(out, event, is_key);
        }
        if is_key && !is_open {
            out.put_u8(b':');
        }
        needs_comma = !is_key && !is_open;
    }
    Ok(())
}

/// Appends a value, or the begin of a container. Keys get quotes where values have none.
fn put_event(out: &mut BytesMut, event: Event<'_>, is_key: bool) {
    let quote: &[u8] = if is_key { b"\"" } else { b"" };
    match event {
        Event::List(_) => out.put_u8(b'['),
        Event::Map(_) => out.put_u8(b'{'),
        Event::End { .. } => {}
        Event::Str(text) => put(out, &*text.decode()),
        Event::Bytes(bytes) => {
            out.put_slice(b"\"\\u0000");
            put_base64(out, &bytes);
            out.put_u8(b'"');
        }
        Event::Big { negative, magnitude } => match number::digits(negative, &magnitude) {
            Some(digits) => put_quoted(out, quote, |out| out.put_slice(digits.as_bytes())),
            None => put(out, &*number::hex(negative, &magnitude)),
        },
        Event::Null => put_quoted(out, quote, |out| out.put_slice(b"null")),
        Event::Bool(is_true) => put_quoted(out, quote, |out| put(out, &is_true)),
        Event::Uint(number) => put_quoted(out, quote, |out| put(out, &number)),
        Event::Nint(number) => {
            put_quoted(out, quote, |out| put(out, &(-1 - i128::from(number))));
        }
        Event::Number(text) => put_quoted(out, quote, |out| out.put_slice(text.as_bytes())),
        // As 64 bits: other digits would be another number to a reader that has but those.
        Event::Single(float) => put_quoted(out, quote, |out| put(out, &f64::from(float))),
        Event::Float(float) => put_quoted(out, quote, |out| put(out, &float)),
    }
}

fn put_quoted(out: &mut BytesMut, quote: &[u8], put: impl FnOnce(&mut BytesMut)) {
    out.put_slice(quote);
    put(out);
    out.put_slice(quote);
}

/// Appends what serde makes of it: shortest floats, `null` for those that JSON lacks.
fn put<T: Serialize + ?Sized>(out: &mut BytesMut, value: &T) {
    // Writing a scalar to a growing buffer has no way to fail.
    let _infallible = serde_json::to_writer(out.writer(), value);
}

/// Appends the text of RFC 4648 §4.
pub(super) fn put_base64(out: &mut BytesMut, bytes: &[u8]) {
    /// Three bytes are four characters: a chunk of whole threes has no padding within.
    const CHUNK: usize = 3 << 8;
    let mut text = [0; CHUNK / 3 * 4];
    out.reserve(bytes.len().div_ceil(3) * 4 + 1);
    for chunk in bytes.chunks(CHUNK) {
        // The buffer is as long as the text of the longest chunk.
        if let Ok(length) = STANDARD.encode_slice(chunk, &mut text) {
            out.put_slice(&text[..length]);
        }
    }
}
