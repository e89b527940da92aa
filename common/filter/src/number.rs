//! Numbers: integers of 64 bits exactly, all others as floats. They are compared by value; arithmetic is in floats.
//!
//! The reference has floats only, so there 2^53 + 1 is 2^53: a filter for one id would let another pass.

use std::cmp::Ordering;

/// A number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Int(i64),
    /// Above `i64::MAX`.
    Uint(u64),
    Float(f64),
}

impl Number {
    /// An integer; beyond 64 bits the float nearest to it.
    pub(crate) fn integer(integer: i128) -> Self {
        match (i64::try_from(integer), u64::try_from(integer)) {
            (Ok(integer), _) => Self::Int(integer),
            (_, Ok(integer)) => Self::Uint(integer),
            (Err(_), Err(_)) => Self::Float(integer as f64),
        }
    }

    pub(crate) const fn float(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Uint(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    fn exact(self) -> Option<i128> {
        match self {
            Self::Int(number) => Some(number.into()),
            Self::Uint(number) => Some(number.into()),
            Self::Float(_) => None,
        }
    }

    /// By value; `None` where one is NaN.
    pub(crate) fn compare(self, other: Self) -> Option<Ordering> {
        match (self.exact(), other.exact()) {
            (Some(one), Some(other)) => Some(one.cmp(&other)),
            (Some(one), None) => integer_and_float(one, other.float()),
            (None, Some(other)) => integer_and_float(other, self.float()).map(Ordering::reverse),
            (None, None) => self.float().partial_cmp(&other.float()),
        }
    }

    /// Neither zero nor NaN.
    pub(crate) fn is_truthy(self) -> bool {
        match self {
            Self::Int(number) => number != 0,
            Self::Uint(_) => true,
            Self::Float(number) => number != 0.0 && !number.is_nan(),
        }
    }

    /// As JavaScript writes it (ECMA-262, *Number::toString*), integers in full.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Int(number) => number.to_string(),
            Self::Uint(number) => number.to_string(),
            Self::Float(number) => float_text(number),
        }
    }
}

/// An integer of 64 bits and a float, without rounding either.
fn integer_and_float(integer: i128, float: f64) -> Option<Ordering> {
    /// 2^65, beyond all integers here.
    const BEYOND: f64 = 36_893_488_147_419_103_232.0;
    if float.is_nan() {
        return None;
    }
    if float.abs() >= BEYOND {
        return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let whole = float.trunc();
    #[expect(clippy::cast_possible_truncation, reason = "whole, and of 66 bits")]
    let ordering = integer.cmp(&(whole as i128));
    Some(ordering.then_with(|| 0.0.partial_cmp(&(float - whole)).unwrap_or(Ordering::Equal)))
}

fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    let sign = if number < 0.0 { "-" } else { "" };
    if number.is_infinite() {
        return format!("{sign}Infinity");
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    // The shortest digits that read back as the number, and where its point is among them.
    let shortest = format!("{:e}", number.abs());
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let digits = digits.replace('.', "");
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    match usize::try_from(point) {
        Ok(point @ 1..=21) if digits.len() <= point => format!("{sign}{digits:0<point$}"),
        Ok(point @ 1..=21) => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
        _other if (-5..=0).contains(&point) => {
            format!("{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize))
        }
        _other => {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            format!("{sign}{first}{dot}{rest}e{:+}", point - 1)
        }
    }
}

/// The number that a whole text is (ECMA-262, *StringToNumber*): NaN if it is none, 0 if it is blank.
pub(crate) fn of_text(text: &str) -> Number {
    let text = text.trim_matches(is_space);
    if text.is_empty() {
        return Number::Int(0);
    }
    match text.parse::<i64>() {
        Ok(0) if text.starts_with('-') => return Number::Float(-0.0),
        Ok(integer) => return Number::Int(integer),
        Err(_) => {}
    }
    if let Ok(integer) = text.parse::<u64>() {
        return Number::Uint(integer);
    }
    let radix = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => Some(16),
        [b'0', b'o' | b'O', ..] => Some(8),
        [b'0', b'b' | b'B', ..] => Some(2),
        _other => None,
    };
    Number::Float(match radix {
        Some(radix) => in_radix(&text[2..], radix),
        None if decimal_prefix(text) == text.len() => text.parse().unwrap_or(f64::NAN),
        None => f64::NAN,
    })
}

fn in_radix(digits: &str, radix: u32) -> f64 {
    if digits.is_empty() {
        return f64::NAN;
    }
    digits.chars().fold(0.0, |number, digit| {
        digit.to_digit(radix).map_or(f64::NAN, |digit| number * f64::from(radix) + f64::from(digit))
    })
}

/// The number that a text begins with, NaN if none (ECMA-262, *parseFloat*).
pub(crate) fn of_prefix(text: &str) -> f64 {
    let text = text.trim_start_matches(is_space);
    text[..decimal_prefix(text)].parse().unwrap_or(f64::NAN)
}

/// How many bytes of a text are a decimal number, or infinity: 0 if none.
fn decimal_prefix(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |at: usize| {
        bytes.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let is_one_of =
        |at: usize, these: &[u8]| bytes.get(at).is_some_and(|byte| these.contains(byte));
    let start = usize::from(is_one_of(0, b"+-"));
    if text[start..].starts_with("Infinity") {
        return start + "Infinity".len();
    }
    let whole = digits(start);
    let mut end = start + whole;
    if is_one_of(end, b".") {
        let fraction = digits(end + 1);
        if whole + fraction == 0 {
            return 0;
        }
        end += 1 + fraction;
    } else if whole == 0 {
        return 0;
    }
    if is_one_of(end, b"eE") {
        let signed = end + 1 + usize::from(is_one_of(end + 1, b"+-"));
        let exponent = digits(signed);
        if exponent > 0 {
            end = signed + exponent;
        }
    }
    end
}

/// White space of ECMA-262: all that Unicode calls so but U+0085, and the byte order mark.
const fn is_space(character: char) -> bool {
    (character.is_whitespace() && character != '\u{85}') || character == '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_in_javascript() {
        for (number, text) in [
            (1.0, "1"),
            (-1.5, "-1.5"),
            (100.0, "100"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (-0.0, "0"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(Number::Float(number).text(), text);
        }
    }

    #[test]
    fn integers_and_floats_are_compared_without_rounding() {
        let big = 1_i64 << 53;
        let float = Number::Float(9_007_199_254_740_992.0);
        assert_eq!(Number::Int(big).compare(float), Some(Ordering::Equal));
        assert_eq!(Number::Int(big + 1).compare(float), Some(Ordering::Greater));
        assert_eq!(float.compare(Number::Int(big + 1)), Some(Ordering::Less));
        assert_eq!(Number::Int(1).compare(Number::Float(1.5)), Some(Ordering::Less));
        assert_eq!(Number::Int(-1).compare(Number::Float(-1.5)), Some(Ordering::Greater));
        assert_eq!(
            Number::Uint(u64::MAX).compare(Number::Float(f64::INFINITY)),
            Some(Ordering::Less)
        );
        assert_eq!(Number::Int(0).compare(Number::Float(f64::NAN)), None);
        assert_eq!(Number::Int(0).compare(Number::Float(-0.0)), Some(Ordering::Equal));
    }

    #[test]
    fn texts_are_numbers_as_in_javascript() {
        for (text, number) in [
            ("", 0.0),
            (" \n\u{feff}", 0.0),
            ("12", 12.0),
            (" -1.5e3 ", -1500.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("0x1F", 31.0),
            ("0b101", 5.0),
            ("+Infinity", f64::INFINITY),
        ] {
            assert_eq!(of_text(text).float(), number, "{text:?}");
        }
        for text in [
            "a", "1a", "inf", "nan", "infinity", "1e", ".", "-", "0x", "0x1g", "1 2", "--1",
            "\u{85}1", "-0x1",
        ] {
            assert!(of_text(text).float().is_nan(), "{text:?}");
        }
        for (text, number) in [
            ("3abc", 3.0),
            (" -.5.5", -0.5),
            ("1e5e", 1e5),
            ("1ex", 1.0),
            ("-Infinityx", f64::NEG_INFINITY),
        ] {
            assert_eq!(of_prefix(text), number, "{text:?}");
        }
        for text in ["", "abc", ".", "-", "e5", "0x1".trim_start_matches("0x1"), "null"] {
            assert!(of_prefix(text).is_nan(), "{text:?}");
        }
        assert!(matches!(of_text("9007199254740993"), Number::Int(9_007_199_254_740_993)));
        assert!(matches!(of_text("18446744073709551615"), Number::Uint(u64::MAX)));
    }
}
