//! Pieces of text that all gates write: numbers, strings, ids and times in JSON.

use bytes::{BufMut, BytesMut};
use jiff::Timestamp;

use vixen_core::id::{PermanentId, Stamp};

/// Appends the digits of `n`, without the machinery of `core::fmt`: it is on the path of every
/// acknowledgement and every event.
pub(crate) fn put_decimal(out: &mut BytesMut, n: u64) {
    let mut digits = [0; 20];
    put_digits::<10>(out, &mut digits, n);
}

/// Appends `n` in base `BASE`, with `digits` as room.
fn put_digits<const BASE: u64>(out: &mut BytesMut, digits: &mut [u8], n: u64) {
    let start = write_digits::<BASE>(digits, n);
    out.put_slice(&digits[start..]);
}

/// Writes `n` to the end of `digits`, which must be long enough, and returns where it starts.
pub(crate) fn write_digits<const BASE: u64>(digits: &mut [u8], n: u64) -> usize {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut start = digits.len();
    let mut rest = n;
    loop {
        start -= 1;
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is below 36")]
        let digit = (rest % BASE) as usize;
        digits[start] = DIGITS[digit];
        rest /= BASE;
        if rest == 0 {
            return start;
        }
    }
}

/// Appends a string as JSON.
pub(crate) fn put_string(out: &mut BytesMut, text: &str) {
    // Writing a string to a growing buffer has no way to fail.
    let _infallible = serde_json::to_writer(out.writer(), text);
}

/// A permanent id up to the key of its offset.
pub(crate) fn stamp_part(stamp: Stamp) -> String {
    let mut id = PermanentId { stamp, offset: 0 }.to_string();
    id.truncate(id.len() - "a0".len());
    id
}

/// When a segment was elected: RFC 3339 in UTC, with milliseconds.
pub(crate) fn time_text(stamp: Stamp) -> String {
    // Stamps hold 42 bits of milliseconds: always within the calendar's range.
    let ms = i64::try_from(stamp.wall_time().0).unwrap_or(i64::MAX);
    format!("{:.3}", Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX))
}

/// Appends `key(offset)` of a permanent id: a letter for the number of digits, and the digits.
pub(crate) fn put_key(out: &mut BytesMut, offset: u32) {
    /// `u32::MAX` in base 36.
    const DIGITS_MAX: usize = 7;
    const LETTERS: &[u8; DIGITS_MAX + 1] = b"?abcdefg";
    let mut key = [0; 1 + DIGITS_MAX];
    let start = write_digits::<36>(&mut key, offset.into());
    // With all seven digits `start` is 1, so there is always room for the letter.
    key[start - 1] = LETTERS[key.len() - start];
    out.put_slice(&key[start - 1..]);
}
