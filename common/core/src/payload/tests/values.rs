//! Values as whoever compares them reads them.

use std::borrow::Cow;

use proptest::prelude::*;

use super::super::values::{Part, Scalar, Value, Values};
use super::*;

fn read(bytes: &[u8], encoding: Encoding) -> Result<Vec<Value<'_>>, PayloadError> {
    let mut values = Values::new(bytes, encoding)?;
    let mut all = Vec::new();
    while let Some(value) = values.next_part()? {
        all.push(value);
    }
    Ok(all)
}

/// Of a value that holds no others.
fn scalar(bytes: &[u8], encoding: Encoding) -> Scalar<'_> {
    match read(bytes, encoding).expect("a value").remove(0) {
        Value { part: Part::Scalar(scalar), is_key: false } => scalar,
        other => panic!("{other:?}"),
    }
}

fn text(text: &str) -> Scalar<'_> {
    Scalar::Str(Cow::Borrowed(text))
}

#[test]
fn a_whole_number_is_an_integer_however_it_is_written() {
    use Encoding::{Cbor, Json, MsgPack};
    let table: [(Encoding, &[u8], i128); 14] = [
        (Json, b"1", 1),
        (Json, b"1.0", 1),
        (Json, b"10e-1", 1),
        (Json, b"-0", 0),
        (Json, b"-0.0", 0),
        (Json, b"18446744073709551615", 18_446_744_073_709_551_615),
        (Json, b"-9223372036854775808", -9_223_372_036_854_775_808),
        (Json, b"9.223372036854775807e18", 9_223_372_036_854_775_808),
        (MsgPack, b"\x01", 1),
        (MsgPack, b"\xca\x3f\x80\0\0", 1),
        (MsgPack, b"\xcb\x3f\xf0\0\0\0\0\0\0", 1),
        (MsgPack, b"\xff", -1),
        (Cbor, b"\xf9\x3c\0", 1),
        (Cbor, b"\xc2\x41\x01", 1),
    ];
    for (encoding, bytes, wanted) in table {
        assert_eq!(scalar(bytes, encoding), Scalar::Int(wanted), "{bytes:?}");
    }
    assert_eq!(scalar(b"1.5", Json), Scalar::Float(1.5));
    assert_eq!(scalar(b"1e300", Json), Scalar::Float(1e300));
    // 2^64 as a float is no integer here, and no string either.
    assert_eq!(
        scalar(b"1.8446744073709551616e19", Json),
        Scalar::Float(18_446_744_073_709_551_616.0)
    );
    assert!(matches!(scalar(b"\xf9\x7e\0", Cbor), Scalar::Float(nan) if nan.is_nan()));
}

#[test]
fn what_messagepack_lacks_is_as_it_would_be_there() {
    use Encoding::{Cbor, Json, MsgPack};
    let below = "-9223372036854775809";
    assert_eq!(scalar(below.as_bytes(), Json), text(below));
    assert_eq!(scalar(b"\x3b\x80\0\0\0\0\0\0\0", Cbor), text(below));
    assert_eq!(scalar(b"18446744073709551616", Json), text("18446744073709551616"));
    assert_eq!(scalar(b"\xc2\x49\x01\0\0\0\0\0\0\0\0", Cbor), text("18446744073709551616"));
    assert_eq!(scalar(b"1e400", Json), text("1e400"));
    assert_eq!(scalar(b"\xf7", Cbor), Scalar::Null);
    assert_eq!(scalar(b"\xd4\0\0", MsgPack), Scalar::Null);
    assert_eq!(scalar(b"\xd4\x05a", MsgPack), Scalar::Bytes(Cow::Borrowed(b"a")));
    assert_eq!(scalar(b"\xc1\x61a", Cbor), text("a"));
    assert_eq!(scalar(br#""\u0000YQ==""#, Json), Scalar::Bytes(Cow::Borrowed(b"a")));
    assert_eq!(scalar(br#""\u0000Y""#, Json), text("\0Y"));
    assert_eq!(scalar(br#""\ud800""#, Json), text("\u{fffd}"));
}

#[test]
fn parts_come_in_their_order_and_keys_say_so() {
    let part = |part, is_key| Value { part, is_key };
    let of = |scalar| part(Part::Scalar(scalar), false);
    let key = |name| part(Part::Scalar(text(name)), true);
    let wanted = [
        part(Part::Map, false),
        key("a"),
        part(Part::List, false),
        of(Scalar::Int(1)),
        of(Scalar::Bool(true)),
        part(Part::End, false),
        key("\0YQ=="),
        part(Part::Map, false),
        part(Part::End, false),
        part(Part::End, false),
    ];
    let json = br#" {"a":[1, true], "\u0000YQ==":{}} "#;
    assert_eq!(read(json, Encoding::Json).as_deref(), Ok(&wanted[..]));
    let container = [
        part(Part::Map, false),
        part(Part::List, true),
        of(Scalar::Null),
        part(Part::End, true),
        of(Scalar::Int(1)),
        part(Part::End, false),
    ];
    assert_eq!(read(b"\x81\x91\xc0\x01", Encoding::MsgPack).as_deref(), Ok(&container[..]));
}

#[test]
fn what_is_not_one_value_is_refused() {
    let table: [(&[u8], Encoding); 8] = [
        (b"", Encoding::Json),
        (b"", Encoding::Cbor),
        (b"1 2", Encoding::Json),
        (b"\x01\x01", Encoding::MsgPack),
        (b"\x91", Encoding::MsgPack),
        (b"\"\xff\"", Encoding::Json),
        (b"\x61\xff", Encoding::Cbor),
        (b"[1", Encoding::Json),
    ];
    for (bytes, encoding) in table {
        assert!(read(bytes, encoding).is_err(), "{bytes:?}");
    }
}

proptest! {
    /// What is read here is what MessagePack of the same value has.
    #[test]
    fn any_bytes_have_the_values_of_their_messagepack(bytes: Vec<u8>, is_cbor: bool) {
        let encoding = if is_cbor { Encoding::Cbor } else { Encoding::Json };
        let packed = value(&bytes, encoding, Encoding::MsgPack);
        let here = read(&bytes, encoding);
        prop_assert_eq!(packed.is_ok(), here.is_ok());
        if let (Ok(packed), Ok(here)) = (packed, here) {
            let there = read(&packed, Encoding::MsgPack).expect("what was made");
            prop_assert_eq!(format!("{here:?}"), format!("{there:?}"));
        }
    }
}
