//! Depth and length cost memory and linear time, and no stack.

use super::super::scan::Elements;
use super::super::split;
use super::*;

const LEVELS: usize = 1 << 20;

/// Lists, or dictionaries of one key, within each other.
fn nested(encoding: Encoding, is_map: bool) -> Vec<u8> {
    let (open, leaf, close): (&[u8], &[u8], &[u8]) = match (encoding, is_map) {
        (Encoding::Json, false) => (b"[", b"", b"]"),
        (Encoding::Json, true) => (b"{\"\":", b"0", b"}"),
        (Encoding::MsgPack, false) => (b"\x91", b"\x90", b""),
        (Encoding::MsgPack, true) => (b"\x81\xa0", b"\x00", b""),
        (Encoding::Cbor, false) => (b"\x81", b"\x80", b""),
        (Encoding::Cbor, true) => (b"\xa1\x60", b"\x00", b""),
    };
    // An empty list is a level that the binary ones have as their leaf.
    let levels = if is_map || encoding == Encoding::Json { LEVELS } else { LEVELS - 1 };
    [open.repeat(levels), leaf.to_vec(), close.repeat(levels)].concat()
}

#[test]
fn a_million_levels_become_a_million_levels() {
    for is_map in [false, true] {
        for from in ALL {
            for to in ALL {
                let found = value(&nested(from, is_map), from, to).expect("well-formed");
                assert!(found == nested(to, is_map), "{} to {}", from.name(), to.name());
            }
        }
    }
    let open = [vec![0x9f; LEVELS], vec![0xff; LEVELS]].concat();
    let found = value(&open, Encoding::Cbor, Encoding::MsgPack).expect("well-formed");
    assert!(found == nested(Encoding::MsgPack, false));
    let found = value(&open, Encoding::Cbor, Encoding::Json).expect("well-formed");
    assert!(found == nested(Encoding::Json, false));
}

#[test]
fn a_million_levels_are_scanned_and_split() {
    for encoding in ALL {
        let list = nested(encoding, false);
        let elements = Elements::parse(&list, encoding).expect("a list");
        assert_eq!(elements.count(), 1);
        assert_eq!(split(&list, encoding), Ok((Some(&list[..]), None)));
        let comma: &[u8] = if encoding == Encoding::Json { b"," } else { b"" };
        let map = nested(encoding, true);
        let both = [&list[..], comma, &map[..]].concat();
        assert_eq!(split(&both, encoding), Ok((Some(&list[..]), Some(&map[..]))));
    }
}

#[test]
fn a_million_levels_that_do_not_end_are_refused() {
    for (encoding, open) in [
        (Encoding::Json, &b"["[..]),
        (Encoding::Json, b"{\"\":"),
        (Encoding::MsgPack, b"\x91"),
        (Encoding::MsgPack, b"\x81"),
        (Encoding::Cbor, b"\x81"),
        (Encoding::Cbor, b"\x9f"),
        (Encoding::Cbor, b"\xa1"),
        (Encoding::Cbor, b"\xbf"),
        (Encoding::Cbor, b"\xc1"),
        (Encoding::Cbor, b"\x5f"),
    ] {
        let frame = open.repeat(4 * LEVELS);
        assert!(Elements::parse(&frame, encoding).is_err());
        for to in ALL.into_iter().filter(|to| *to != encoding) {
            assert!(value(&frame, encoding, to).is_err());
        }
    }
}

#[test]
fn counts_that_the_frame_cannot_hold_reserve_nothing() {
    for (encoding, frame) in [
        (Encoding::MsgPack, hex("ddffffffff c0")),
        (Encoding::MsgPack, hex("dfffffffff c0 c0")),
        (Encoding::MsgPack, hex("dbffffffff 61")),
        (Encoding::Cbor, hex("9bffffffffffffffff 00")),
        (Encoding::Cbor, hex("bbffffffffffffffff 00")),
        (Encoding::Cbor, hex("bb8000000000000000 00")),
        (Encoding::Cbor, hex("7bffffffffffffffff 61")),
    ] {
        let found = value(&frame, encoding, Encoding::Json);
        assert!(matches!(found, Err(PayloadError::Malformed { .. })), "{frame:?}: {found:?}");
    }
}

#[test]
fn four_mebibytes_of_one_number_are_no_long_work() {
    // Quadratic work on them would take minutes, not the tests' time.
    let digits = "7".repeat(4 << 20);
    let cbor = value(digits.as_bytes(), Encoding::Json, Encoding::Cbor).expect("a number");
    assert_eq!(json_of(&cbor, Encoding::Cbor), Ok(format!("\"{digits}\"")));
    let bignum = [&hex("c25a00400000")[..], &vec![0x77; 4 << 20]].concat();
    let json = json_of(&bignum, Encoding::Cbor).expect("a number");
    assert_eq!(json.len(), 4 + (8 << 20));
    let float = format!("0.{digits}");
    let found = value(float.as_bytes(), Encoding::Json, Encoding::Cbor);
    assert_eq!(found, Ok([&[0xfb][..], &(7.0f64 / 9.0).to_be_bytes()].concat()));
}
