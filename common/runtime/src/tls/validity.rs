//! From when to when a certificate is valid: the one field of X.509 that rustls does not give out.
//!
//! Source: RFC 5280 §4.1; ITU-T X.690 (DER) §8.1.
//!
//! ```text
//! Certificate  ::= SEQUENCE { tbsCertificate, … }
//! tbsCertificate = SEQUENCE { [0] version?, serialNumber, signature, issuer, validity, … }
//! validity       = SEQUENCE { notBefore, notAfter }
//! ```

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The first and the last second of a certificate, as Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

/// The validity of a certificate in DER; `None` when it is not a certificate.
pub(super) fn validity(certificate: &[u8]) -> Option<Validity> {
    let (certificate, _) = expect(SEQUENCE, certificate)?;
    let (mut fields, _) = expect(SEQUENCE, certificate)?;
    if let Some((_version, rest)) = expect(VERSION, fields) {
        fields = rest;
    }
    for _serial_signature_issuer in 0..3 {
        (_, _, fields) = element(fields)?;
    }
    let (validity, _) = expect(SEQUENCE, fields)?;
    let (tag, not_before, validity) = element(validity)?;
    let not_before = seconds(tag, std::str::from_utf8(not_before).ok()?)?;
    let (tag, not_after, _) = element(validity)?;
    let not_after = seconds(tag, std::str::from_utf8(not_after).ok()?)?;
    Some(Validity { not_before, not_after })
}

fn expect(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(input)?;
    (found == tag).then_some((content, rest))
}

/// The first element: its tag, its content, and what follows it.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = input.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // The number of bytes that give the length; a certificate has not 2^32 bytes.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, always UTC (RFC 5280 §4.1.2.5).
fn seconds(tag: u8, text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z').filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let year: i16 = digits[..2].parse().ok()?;
            (if year >= 50 { 1900 + year } else { 2000 + year }, &digits[2..])
        }
        (GENERALIZED_TIME, 14) => (digits[..4].parse().ok()?, &digits[4..]),
        _ => return None,
    };
    let pair = |at: usize| rest[at..at + 2].parse::<i8>().ok();
    let (month, day) = (pair(0)?, pair(2)?);
    let (hour, minute, second) = (pair(4)?, pair(6)?, pair(8)?);
    let time = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(year: i32, month: u8, day: u8) -> Vec<u8> {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, month, day);
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms_of_time() {
        // `date -ud 2030-02-28 +%s`, and so on. From 2050 on it is a GeneralizedTime.
        for (date, seconds) in [
            ((2030, 2, 28), 1_898_467_200),
            ((2049, 12, 31), 2_524_521_600),
            ((2105, 1, 1), 4_260_211_200),
        ] {
            let (year, month, day) = date;
            assert_eq!(
                validity(&certificate(year, month, day)).map(|validity| validity.not_after),
                Some(seconds),
                "{date:?}"
            );
        }
        assert_eq!(seconds(UTC_TIME, "500101000000Z"), Some(-631_152_000));
        let not_before = validity(&certificate(2030, 2, 28)).map(|validity| validity.not_before);
        assert_eq!(not_before, Some(1_577_836_800));
    }

    #[test]
    fn times_of_another_form_are_not_guessed() {
        for (tag, text) in [
            (UTC_TIME, "20300228000000Z"),
            (GENERALIZED_TIME, "300228000000Z"),
            (UTC_TIME, "300228000000"),
            (UTC_TIME, "300231000000Z"),
            (UTC_TIME, "3002280000é0Z"),
            (SEQUENCE, "300228000000Z"),
        ] {
            assert_eq!(seconds(tag, text), None, "{text}");
        }
    }

    #[test]
    fn a_certificate_that_is_cut_short_has_no_end() {
        let whole = certificate(2030, 2, 28);
        assert!(validity(&whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(validity(&whole[..length]), None, "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn a_broken_certificate_is_read_without_a_panic(at: prop::sample::Index, byte: u8) {
            static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| certificate(2030, 2, 28));
            let mut broken = WHOLE.clone();
            broken[at.index(WHOLE.len())] = byte;
            let read = validity(&broken).map(|validity| validity.not_after);
            prop_assert!(broken != *WHOLE || read == Some(1_898_467_200));
        }
    }
}
