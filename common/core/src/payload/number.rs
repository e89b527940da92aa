//! Numbers whose encodings differ in what they can hold.

use std::borrow::Cow;

use num_bigint::BigUint;

use super::event::Event;

/// Digits of the longest integer that is converted between decimal and binary. Converting takes
/// time with nearly the square of the digits: a frame of 4 MiB that is one number would keep a node
/// busy for seconds. So all numbers of such a frame take 0.1 s from decimal and 0.3 s to it.
pub const INTEGER_DIGITS_MAX: usize = 10_000;

/// Bytes that hold [`INTEGER_DIGITS_MAX`] nines.
pub const INTEGER_BYTES_MAX: usize = 4_153;

/// A number of a JSON text, by what it fits.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Number<'a> {
    Uint(u64),
    /// -1 - n.
    Nint(u64),
    /// An integer beyond those.
    Digits(&'a str),
    Float(f64),
    /// Beyond the largest float.
    Huge(&'a str),
}

/// Whether a number of JSON is an integer: `-0` is, and is 0 then.
pub(super) fn is_integer(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// Takes a well-formed number of JSON.
pub(super) fn parse(text: &str) -> Number<'_> {
    if !is_integer(text) {
        return match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Number::Float(float),
            Ok(_) | Err(_) => Number::Huge(text),
        };
    }
    match text.strip_prefix('-') {
        None => text.parse().map_or(Number::Digits(text), Number::Uint),
        Some("0") => Number::Uint(0),
        // One more than a u64 is the lowest that fits: -2^64 (RFC 8949 §3.1).
        Some(digits) => match digits.parse::<u128>().map(|n| u64::try_from(n.saturating_sub(1))) {
            Ok(Ok(number)) => Number::Nint(number),
            Ok(Err(_)) | Err(_) => Number::Digits(text),
        },
    }
}

/// The big-endian n, or -1 - n, of decimal digits; `None` beyond [`INTEGER_DIGITS_MAX`].
pub(super) fn magnitude(text: &str) -> Option<(bool, Vec<u8>)> {
    let digits = text.strip_prefix('-');
    let is_negative = digits.is_some();
    let digits = digits.unwrap_or(text);
    if digits.len() > INTEGER_DIGITS_MAX {
        return None;
    }
    let number = BigUint::parse_bytes(digits.as_bytes(), 10)?;
    let magnitude = if is_negative { number - 1u8 } else { number };
    Some((is_negative, magnitude.to_bytes_be()))
}

/// The text of an integer: decimal digits, or beyond [`INTEGER_BYTES_MAX`] `None`.
pub(super) fn digits(negative: bool, magnitude: &[u8]) -> Option<String> {
    if magnitude.len() > INTEGER_BYTES_MAX {
        return None;
    }
    let number = BigUint::from_bytes_be(magnitude);
    Some(if negative { format!("-{}", number + 1u8) } else { number.to_string() })
}

/// The text of an integer of any length: `0x1f`, or `-0x1f`.
pub(super) fn hex(negative: bool, magnitude: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut bytes = magnitude.to_vec();
    if negative {
        // n + 1: nines become noughts up to the first other digit.
        let is_carried = bytes.iter_mut().rev().all(|byte| {
            *byte = byte.wrapping_add(1);
            *byte == 0
        });
        if is_carried {
            bytes.insert(0, 1);
        }
    }
    let mut text = String::with_capacity(3 + 2 * bytes.len());
    text.push_str(if negative { "-0x" } else { "0x" });
    for byte in &bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0xf)]));
    }
    text
}

/// An integer of a CBOR bignum, which may be a small one (RFC 8949 §3.4.3).
pub(super) fn big(negative: bool, bytes: Cow<'_, [u8]>) -> Event<'_> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let significant = bytes.len() - zeros;
    if significant > 8 {
        let magnitude = match bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[zeros..]),
            Cow::Owned(mut bytes) => Cow::Owned(bytes.split_off(zeros)),
        };
        return Event::Big { negative, magnitude };
    }
    let number = bytes[zeros..].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    if negative { Event::Nint(number) } else { Event::Uint(number) }
}

/// A float of 16 bits (IEEE 754 binary16, RFC 8949 appendix D).
pub(super) fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let fraction = u32::from(bits & 0x3ff);
    match exponent {
        // Subnormal: units of 2^-24, which a product with a power of two keeps exact.
        0 => {
            let size = f32::from(bits & 0x3ff) / 16_777_216.0;
            if sign == 0 { size } else { -size }
        }
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _normal => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}
