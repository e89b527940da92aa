//! Writes MessagePack and CBOR. What each value becomes is told in the module above.

use bytes::BytesMut;

use super::PayloadError;
use super::event::{Event, Item, Source, Text};
use super::number::{self, Number};
use super::write::{Binary, put_bignum};

/// Reads to the end, and appends for each container whose header does not tell how many items (of
/// a list) or pairs (of a map) it has, in the order of their beginnings.
pub(super) fn count<'a>(
    source: &mut impl Source<'a>,
    counts: &mut Vec<u32>,
) -> Result<(), PayloadError> {
    /// A container whose header tells.
    const TOLD: u32 = u32::MAX;
    // Places in `counts` of the containers around.
    let mut around = Vec::new();
    while let Some(Item { event, .. }) = source.next()? {
        let is_end = matches!(event, Event::End { .. });
        let container = if is_end { around.pop() } else { around.last().copied() };
        let place = container.filter(|place| *place != TOLD).map(|place| place as usize);
        if let Some(items) = place.and_then(|place| counts.get_mut(place)) {
            match event {
                Event::End { is_map: true } => *items /= 2,
                Event::End { is_map: false } => {}
                ref _item => *items += 1,
            }
        }
        match event {
            Event::List(None) | Event::Map(None) => {
                // Below the length of the payload, which is below `TOLD`.
                around.push(u32::try_from(counts.len()).unwrap_or(TOLD));
                counts.push(0);
            }
            Event::List(Some(_)) | Event::Map(Some(_)) => around.push(TOLD),
            _other => {}
        }
    }
    Ok(())
}

/// Appends the value that `source` reads; `counts` are those of [`count`].
pub(super) fn write<'a>(
    source: &mut impl Source<'a>,
    counts: &mut impl Iterator<Item = u32>,
    to: Binary,
    out: &mut BytesMut,
) -> Result<(), PayloadError> {
    while let Some(Item { event, is_key, .. }) = source.next()? {
        match event {
            Event::Null => to.write_null(out),
            Event::Bool(is_true) => to.write_bool(out, is_true),
            Event::Uint(number) => to.write_uint(out, number),
            Event::Nint(number) => to.write_negative(out, number),
            Event::Big { negative, magnitude } => put_big(to, out, negative, &magnitude),
            Event::Number(text) => put_number(to, out, text),
            Event::Single(float) => to.write_f32(out, float),
            Event::Float(float) => to.write_f64(out, float),
            Event::Str(text) => put_text(to, out, text, is_key),
            Event::Bytes(bytes) => to.write_bytes(out, &bytes),
            // `count` has seen the same containers.
            Event::List(items) => {
                to.write_array_header(out, items.or_else(|| counts.next()).unwrap_or(0));
            }
            Event::Map(pairs) => {
                to.write_map_header(out, pairs.or_else(|| counts.next()).unwrap_or(0));
            }
            Event::End { .. } => {}
        }
    }
    Ok(())
}

fn put_big(to: Binary, out: &mut BytesMut, negative: bool, magnitude: &[u8]) {
    match to {
        Binary::Cbor => put_bignum(out, negative, magnitude),
        Binary::MsgPack => {
            let digits = number::digits(negative, magnitude);
            to.write_str(out, &digits.unwrap_or_else(|| number::hex(negative, magnitude)));
        }
    }
}

fn put_number(to: Binary, out: &mut BytesMut, text: &str) {
    match number::parse(text) {
        Number::Uint(number) => to.write_uint(out, number),
        Number::Nint(number) => to.write_negative(out, number),
        Number::Float(float) => to.write_f64(out, float),
        Number::Huge(text) => to.write_str(out, text),
        Number::Digits(text) => match to {
            Binary::MsgPack => to.write_str(out, text),
            Binary::Cbor => match number::magnitude(text) {
                Some((negative, magnitude)) => put_bignum(out, negative, &magnitude),
                None => to.write_str(out, text),
            },
        },
    }
}

/// Appends a string, or the bytes that it means.
fn put_text(to: Binary, out: &mut BytesMut, text: Text<'_>, is_key: bool) {
    match text.meaning(is_key) {
        Ok(text) => to.write_str(out, &text),
        Err(bytes) => to.write_bytes(out, &bytes),
    }
}
