//! Frames whose top level is a list.

use super::super::scan::{ELEMENTS_KEPT, Elements, Kind, ScanError};
use super::*;

#[test]
fn elements_of_a_publish() {
    let frames = [
        (
            Encoding::Json,
            br#" [ 16 , 7, {"acknowledge":true},"a.b" ,[1,[2]] , {"k":null} ] "#.to_vec(),
        ),
        (
            Encoding::MsgPack,
            hex("96 10 07 81ab61636b6e6f776c65646765c3 a3612e62 92019102 81a16bc0"),
        ),
        (Encoding::Cbor, hex("86 10 07 a16b61636b6e6f776c65646765f5 63612e62 82018102 a1616bf6")),
        (
            Encoding::Cbor,
            hex(
                "9f 10 07 bf6b61636b6e6f776c65646765f5ff 7f6261 2e 6162ff 9f019f02ffff bf616bf6ff ff",
            ),
        ),
        (
            Encoding::Cbor,
            hex("d9d9f7 86 10 c24107 a16b61636b6e6f776c65646765f5 c063612e62 82018102 a1616bf6"),
        ),
    ];
    for (encoding, frame) in frames {
        let elements = Elements::parse(&frame, encoding).expect("a list");
        assert_eq!(elements.count(), 6);
        let kinds: Vec<_> = (0..7).map_while(|index| elements.kind(index)).collect();
        let wanted = [Kind::Int, Kind::Int, Kind::Map, Kind::Str, Kind::List, Kind::Map];
        assert_eq!(kinds, wanted);
        assert_eq!(
            (elements.as_u64(0), elements.as_u64(1), elements.as_u64(3)),
            (Some(16), Some(7), None)
        );
        assert_eq!(elements.as_str(3).as_deref(), Some("a.b"));
        assert_eq!((elements.as_str(0), elements.as_bool(0)), (None, None));
        let args = elements.raw(4).expect("arguments");
        assert_eq!(json_of(args, encoding).as_deref().map(str::trim), Ok("[1,[2]]"));
        let options = elements.raw(2).expect("options");
        assert_eq!(json_of(options, encoding).as_deref(), Ok(r#"{"acknowledge":true}"#));
        assert_eq!(&frame[elements.range(4).expect("a range")], args);
        assert_eq!((elements.raw(6), elements.range(6), elements.kind(6)), (None, None, None));
    }
}

#[test]
fn kinds_and_values_of_elements() {
    let cases = [
        (Encoding::Cbor, "f6", Kind::Null, None),
        (Encoding::Cbor, "f7", Kind::Null, None),
        (Encoding::Cbor, "f4", Kind::Bool, None),
        (Encoding::Cbor, "1bffffffffffffffff", Kind::Int, Some(u64::MAX)),
        (Encoding::Cbor, "20", Kind::Int, None),
        (Encoding::Cbor, "c249010000000000000000", Kind::Int, None),
        (Encoding::Cbor, "f93c00", Kind::Float, None),
        (Encoding::Cbor, "40", Kind::Bytes, None),
        (Encoding::MsgPack, "d37fffffffffffffff", Kind::Int, Some(u64::MAX >> 1)),
        (Encoding::MsgPack, "d005", Kind::Int, Some(5)),
        (Encoding::MsgPack, "d40001", Kind::Bytes, None),
        (Encoding::MsgPack, "ca00000000", Kind::Float, None),
        (Encoding::Json, "31", Kind::Int, Some(1)),
        (Encoding::Json, "2d31", Kind::Int, None),
        (Encoding::Json, "312e30", Kind::Float, None),
    ];
    for (encoding, element, kind, number) in cases {
        let (before, after): (&[u8], &[u8]) = match encoding {
            Encoding::Json => (b"[", b"]"),
            Encoding::MsgPack => (b"\x91", b""),
            Encoding::Cbor => (b"\x81", b""),
        };
        let frame = [before, &hex(element), after].concat();
        let elements = Elements::parse(&frame, encoding).expect("a list");
        assert_eq!((elements.kind(0), elements.as_u64(0)), (Some(kind), number), "{element}");
        assert_eq!(elements.raw(0), Some(&hex(element)[..]));
    }
    // Encoders without integers of that size write floats: 2^33, 2^53, 2^33 + 0.5, 1, 2^54.
    let large = hex(concat!(
        "85fb4200000000000000fb4340000000000000fb4200000000001000",
        "fb3ff0000000000000fb4350000000000000"
    ));
    let elements = Elements::parse(&large, Encoding::Cbor).expect("a list");
    let floats: Vec<_> = (0..5).map(|at| elements.as_large_float(at)).collect();
    assert_eq!(floats, [Some(1 << 33), Some(1 << 53), None, None, None]);
    let elements = Elements::parse(b"\x92\xc3\xc2", Encoding::MsgPack).expect("a list");
    assert_eq!((elements.as_bool(0), elements.as_bool(1)), (Some(true), Some(false)));
}

#[test]
fn elements_beyond_those_kept_are_counted() {
    let frame = [&[0x98, 0x1e][..], &[0; 29], &[0x80]].concat();
    let elements = Elements::parse(&frame, Encoding::Cbor).expect("a list");
    assert_eq!(elements.count(), 30);
    assert_eq!(elements.range(ELEMENTS_KEPT - 1), Some(8..9));
    assert_eq!(elements.kind(ELEMENTS_KEPT), None);
    let empty = Elements::parse(b"\x90", Encoding::MsgPack).expect("a list");
    assert_eq!((empty.count(), empty.kind(0)), (0, None));
}

#[test]
fn the_whole_frame_is_checked() {
    use PayloadError::{Malformed, NotUtf8, TrailingBytes};
    let (msgpack, cbor, json) = (Encoding::MsgPack, Encoding::Cbor, Encoding::Json);
    let cases: [(Encoding, &[u8], ScanError); 15] = [
        (msgpack, b"", Malformed { encoding: msgpack, at: 0 }.into()),
        (msgpack, b"\x80", ScanError::NotList),
        (msgpack, b"\x01", ScanError::NotList),
        (msgpack, b"\x91", Malformed { encoding: msgpack, at: 1 }.into()),
        (msgpack, b"\x91\xc1", Malformed { encoding: msgpack, at: 1 }.into()),
        (msgpack, b"\x91\x01\x00", TrailingBytes { at: 2 }.into()),
        (msgpack, b"\x98\0\0\0\0\0\0\0\xa1\xff", NotUtf8 { at: 9 }.into()),
        (cbor, b"\xa0", ScanError::NotList),
        (cbor, b"\x9f\x01", Malformed { encoding: cbor, at: 2 }.into()),
        (cbor, b"\x9f\xff\xff", TrailingBytes { at: 2 }.into()),
        (cbor, b"\x81\x1c", Malformed { encoding: cbor, at: 1 }.into()),
        (cbor, b"\x81\xa1\x01\x61\xff", NotUtf8 { at: 4 }.into()),
        (json, b"{}", ScanError::NotList),
        (json, b"[1] 2", TrailingBytes { at: 4 }.into()),
        (json, b"[\"\xff\"]", NotUtf8 { at: 2 }.into()),
    ];
    for (encoding, frame, error) in cases {
        let found = Elements::parse(frame, encoding).map(|elements| elements.count());
        assert_eq!(found, Err(error), "{frame:?}");
    }
}
