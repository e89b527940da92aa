//! Permanent ids and their text form.
//!
//! `YYMMDDHHmm` of the stamp's minute, then `key(rest of the stamp)`, then `key(offset)`, where
//! `key(n)` is a letter for the number of digits (`a` = 1) and the digits in base 36. Texts sort
//! like the ids, so a plain string comparison tells which message came first.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::stamp::Stamp;
use crate::time::WallTime;

const MINUTE_MS: u64 = 60_000;
const BELOW_MS_BITS: u32 = 22;
/// Two-digit years from here on are 20YY, below it 21YY; stamps end in 2159.
const CENTURY_PIVOT: i16 = 20;

/// The elected, final name of a message: its segment's stamp and its offset in the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PermanentId {
    /// The elected stamp of the segment.
    pub stamp: Stamp,
    /// The message's place in the segment, from 0.
    pub offset: u32,
}

/// The text is not a permanent id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a permanent id: expected ten digits YYMMDDHHmm and two keys, as in 2611210830e1a2b3a0"
)]
pub struct ParsePermanentIdError;

impl fmt::Display for PermanentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.stamp.wall_time();
        let civil = civil_minute(at);
        write!(
            f,
            "{:02}{:02}{:02}{:02}{:02}",
            civil.year().rem_euclid(100),
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute()
        )?;
        write_key(f, (at.0 % MINUTE_MS) << BELOW_MS_BITS | self.stamp.below_ms())?;
        write_key(f, u64::from(self.offset))
    }
}

impl FromStr for PermanentId {
    type Err = ParsePermanentIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or(ParsePermanentIdError)
    }
}

fn civil_minute(at: WallTime) -> DateTime {
    // Stamps hold 42 bits of milliseconds: always within the calendar's range.
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX).to_zoned(TimeZone::UTC).datetime()
}

fn write_key(f: &mut fmt::Formatter<'_>, n: u64) -> fmt::Result {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut digits = [0u8; 13];
    let mut at = digits.len();
    let mut rest = n;
    loop {
        at -= 1;
        digits[at] = DIGITS[usize::try_from(rest % 36).unwrap_or(0)];
        rest /= 36;
        if rest == 0 {
            break;
        }
    }
    let length = u8::try_from(digits.len() - at).unwrap_or(0);
    write!(f, "{}", char::from(b'a' + length - 1))?;
    digits[at..].iter().try_for_each(|d| write!(f, "{}", char::from(*d)))
}

fn parse(text: &str) -> Option<PermanentId> {
    let (date, keys) = text.split_at_checked(10)?;
    if !date.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let two = |i: usize| date[i..i + 2].parse::<i8>().ok();
    let year = i16::from(two(0)?);
    let century = if year >= CENTURY_PIVOT { 2000 } else { 2100 };
    let minute = DateTime::new(century + year, two(2)?, two(4)?, two(6)?, two(8)?, 0, 0)
        .ok()?
        .to_zoned(TimeZone::UTC)
        .ok()?
        .timestamp()
        .as_millisecond();
    let (rest, keys) = parse_key(keys)?;
    let (offset, keys) = parse_key(keys)?;
    let ms = rest >> BELOW_MS_BITS;
    if !keys.is_empty() || ms >= MINUTE_MS {
        return None;
    }
    let at = WallTime(u64::try_from(minute).ok()? + ms);
    let stamp = Stamp::from_parts(at, rest & ((1 << BELOW_MS_BITS) - 1))?;
    Some(PermanentId { stamp, offset: u32::try_from(offset).ok()? })
}

/// Takes one canonical key off the front.
fn parse_key(text: &str) -> Option<(u64, &str)> {
    let length = usize::from(text.bytes().next()?.checked_sub(b'a')? + 1);
    let (digits, rest) = text.get(1..)?.split_at_checked(length)?;
    let lower = digits.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
    if !lower || (length > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((u64::from_str_radix(digits, 36).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Until the end of 2099, where two-digit years wrap.
    const LAST_MS: u64 = 4_102_444_799_999 - super::super::stamp::EPOCH_MS;

    fn id() -> impl Strategy<Value = PermanentId> {
        (0..LAST_MS, 0u64..1 << 22, any::<u32>())
            .prop_map(|(ms, below, offset)| PermanentId { stamp: Stamp(ms << 22 | below), offset })
    }

    proptest! {
        #[test]
        fn texts_round_trip_and_sort_like_the_ids(a in id(), b in id()) {
            prop_assert_eq!(a.to_string().parse(), Ok(a));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC*") {
            if let Ok(id) = text.parse::<PermanentId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn a_key_is_its_length_and_base_36() {
        let id = PermanentId { stamp: Stamp(0), offset: 123 };
        assert_eq!(id.to_string(), "2001010000a0b3f");
    }
}
