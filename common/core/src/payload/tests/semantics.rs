//! The table of the module: what becomes of a value.

use super::super::{
    INTEGER_BYTES_MAX, INTEGER_DIGITS_MAX, Parts, as_json, opaque_members, scan::Kind, sole_value,
    split,
};
use super::*;

/// Checks what JSON becomes, and what JSON it becomes again.
fn check_json(json: &str, msgpack: &str, cbor: &str, again: [&str; 2]) {
    let rows = [(Encoding::MsgPack, msgpack, again[0]), (Encoding::Cbor, cbor, again[1])];
    for (to, wanted, again) in rows {
        let found = value(json.as_bytes(), Encoding::Json, to).expect(json);
        assert_eq!(found, hex(wanted), "{json} to {}", to.name());
        assert_eq!(json_of(&found, to).as_deref(), Ok(again), "{json} from {}", to.name());
    }
}

#[test]
fn json_to_binary_and_back() {
    let same = [
        ("null", "c0", "f6"),
        ("true", "c3", "f5"),
        ("false", "c2", "f4"),
        ("0", "00", "00"),
        ("23", "17", "17"),
        ("24", "18", "1818"),
        ("127", "7f", "187f"),
        ("128", "cc80", "1880"),
        ("255", "ccff", "18ff"),
        ("256", "cd0100", "190100"),
        ("65536", "ce00010000", "1a00010000"),
        ("4294967296", "cf0000000100000000", "1b0000000100000000"),
        ("18446744073709551615", "cfffffffffffffffff", "1bffffffffffffffff"),
        ("-1", "ff", "20"),
        ("-24", "e8", "37"),
        ("-25", "e7", "3818"),
        ("-32", "e0", "381f"),
        ("-33", "d0df", "3820"),
        ("-128", "d080", "387f"),
        ("-129", "d1ff7f", "3880"),
        ("-32768", "d18000", "397fff"),
        ("-32769", "d2ffff7fff", "398000"),
        ("-2147483649", "d3ffffffff7fffffff", "3a80000000"),
        ("-9223372036854775808", "d38000000000000000", "3b7fffffffffffffff"),
        ("0.1", "cb3fb999999999999a", "fb3fb999999999999a"),
        ("1.0", "cb3ff0000000000000", "fb3ff0000000000000"),
        ("-0.0", "cb8000000000000000", "fb8000000000000000"),
        ("5e-324", "cb0000000000000001", "fb0000000000000001"),
        ("1.7976931348623157e+308", "cb7fefffffffffffff", "fb7fefffffffffffff"),
        ("\"é😀\"", "a6c3a9f09f9880", "66c3a9f09f9880"),
        (r#""\u0000""#, "c400", "40"),
        (r#""\u0000AQ==""#, "c40101", "4101"),
        // Not base64, so no bytes.
        (r#""\u0000AQ""#, "a3004151", "63004151"),
        (r#""\u0000 ?""#, "a300203f", "6300203f"),
        (r#""a\u0000AQ==""#, "a66100 41513d3d", "666100 41513d3d"),
        ("[]", "90", "80"),
        ("{}", "80", "a0"),
        (r#"[[],{},[{"a":[1]}]]"#, "939080 9181a1619101", "8380a0 81a161618101"),
        // Order and double keys stay; a key is never bytes.
        (r#"{"b":1,"a":2,"b":3}"#, "83a16201a16102a16203", "a3616201616102616203"),
        (r#"{"\u0000AQ==":1}"#, "81a5004151 3d3d01", "a165004151 3d3d01"),
    ];
    for (json, msgpack, cbor) in same {
        check_json(json, msgpack, cbor, [json; 2]);
        let spaced = format!(" \t{json}\r\n");
        for (to, wanted) in [(Encoding::MsgPack, msgpack), (Encoding::Cbor, cbor)] {
            assert_eq!(value(spaced.as_bytes(), Encoding::Json, to), Ok(hex(wanted)), "{json}");
        }
    }
    let others = [
        ("-0", "00", "00", "0"),
        ("1e2", "cb4059000000000000", "fb4059000000000000", "100.0"),
        ("1E+2", "cb4059000000000000", "fb4059000000000000", "100.0"),
        ("1e-400", "cb0000000000000000", "fb0000000000000000", "0.0"),
        ("1e400", "a53165343030", "653165343030", r#""1e400""#),
        ("-1.0e309", "a8 2d312e3065333039", "68 2d312e3065333039", r#""-1.0e309""#),
        (r#""\ud800x""#, "a4efbfbd78", "64efbfbd78", "\"\u{fffd}x\""),
        (r#""\ude00\ud83d""#, "a6efbfbdefbfbd", "66efbfbdefbfbd", "\"\u{fffd}\u{fffd}\""),
        (r#""\ud83d\ud83d\ude00""#, "a7efbfbdf09f9880", "67efbfbdf09f9880", "\"\u{fffd}😀\""),
        (r#""\ud83d\n\ude00""#, "a7efbfbd0aefbfbd", "67efbfbd0aefbfbd", "\"\u{fffd}\\n\u{fffd}\""),
        (
            r#""\"\\\/\b\f\n\r\t\u00E9\ud83D\uDE00""#,
            "ae225c2f080c0a0d09c3a9f09f9880",
            "6e225c2f080c0a0d09c3a9f09f9880",
            r#""\"\\/\b\f\n\r\té😀""#,
        ),
        (r#""\u0000\u0041Q=\u003d""#, "c40101", "4101", r#""\u0000AQ==""#),
        ("[ 1 ,\n2 ]", "920102", "820102", "[1,2]"),
        ("{ \"a\" : 1 }", "81a16101", "a1616101", r#"{"a":1}"#),
    ];
    for (json, msgpack, cbor, again) in others {
        check_json(json, msgpack, cbor, [again; 2]);
    }
}

#[test]
fn integers_beyond_64_bits() {
    let cases = [
        // The first has no place in MessagePack, the second none in a CBOR integer either.
        (
            "-9223372036854775809",
            "b4 2d39323233333732303336383534373735383039",
            "3b8000000000000000",
        ),
        (
            "18446744073709551616",
            "b4 3138343436373434303733373039353531363136",
            "c249010000000000000000",
        ),
        (
            "-18446744073709551616",
            "b5 2d3138343436373434303733373039353531363136",
            "3bffffffffffffffff",
        ),
        (
            "-18446744073709551617",
            "b5 2d3138343436373434303733373039353531363137",
            "c349010000000000000000",
        ),
    ];
    for (json, msgpack, cbor) in cases {
        check_json(json, msgpack, cbor, [&format!("\"{json}\""), json]);
        assert_eq!(value(&hex(cbor), Encoding::Cbor, Encoding::MsgPack), Ok(hex(msgpack)));
    }
    // Small ones may come as bignums, with noughts in front and in chunks.
    for (cbor, json) in [
        ("c240", "0"),
        ("c340", "-1"),
        ("c24101", "1"),
        ("c24a0000ffffffffffffffff", "18446744073709551615"),
        ("c34a0000ffffffffffffffff", "-18446744073709551616"),
        ("c25f4101480000000000000000ff", "18446744073709551616"),
        ("c25f410041004800000000000000ffff", "255"),
        // A tag of something else than bytes, and one with another between.
        ("c26161", r#""a""#),
        ("c2d8184101", r#""\u0000AQ==""#),
        ("d818c24101", "1"),
    ] {
        assert_eq!(json_of(&hex(cbor), Encoding::Cbor).as_deref(), Ok(json), "{cbor}");
    }
}

#[test]
fn the_longest_integer_survives_and_a_longer_one_becomes_a_string() {
    let longest = format!("-{}", "9".repeat(INTEGER_DIGITS_MAX));
    let cbor = value(longest.as_bytes(), Encoding::Json, Encoding::Cbor).expect("JSON");
    // Tag, head of three bytes, magnitude.
    assert_eq!(cbor.len(), 1 + 3 + INTEGER_BYTES_MAX);
    assert_eq!(json_of(&cbor, Encoding::Cbor), Ok(longest.clone()));
    let longer = format!("{longest}9");
    let cbor = value(longer.as_bytes(), Encoding::Json, Encoding::Cbor).expect("JSON");
    assert_eq!(json_of(&cbor, Encoding::Cbor), Ok(format!("\"{longer}\"")));

    let magnitude = vec![0xff; INTEGER_BYTES_MAX + 1];
    let bignum = |tag| [&[tag, 0x59], &hex("103a")[..], &magnitude].concat();
    let text = |sign, digits: String| format!("\"{sign}0x{digits}\"");
    let ones = "ff".repeat(INTEGER_BYTES_MAX + 1);
    let carried = format!("01{}", "00".repeat(INTEGER_BYTES_MAX + 1));
    assert_eq!(json_of(&bignum(0xc2), Encoding::Cbor), Ok(text("", ones)));
    assert_eq!(json_of(&bignum(0xc3), Encoding::Cbor), Ok(text("-", carried.clone())));
    let msgpack = value(&bignum(0xc3), Encoding::Cbor, Encoding::MsgPack).expect("CBOR");
    assert_eq!(json_of(&msgpack, Encoding::MsgPack), Ok(text("-", carried.clone())));
    let key = [&[0xa1], &bignum(0xc3)[..], &[1]].concat();
    assert_eq!(json_of(&key, Encoding::Cbor), Ok(format!("{{\"-0x{carried}\":1}}")));
}

#[test]
fn between_messagepack_and_cbor() {
    // Both ways.
    let same = [
        ("93 c0 c2 c3", "83 f6 f4 f5"),
        ("ca3fc00000", "fa3fc00000"),
        ("cb7ff8000000000000", "fb7ff8000000000000"),
        ("ca7f800000", "fa7f800000"),
        ("c4020102", "420102"),
        ("83 01 02 c403010203 c0 9101 80", "a3 01 02 43010203 f6 8101 a0"),
        ("82 cb3ff8000000000000 01 8101c3 02", "a2 fb3ff8000000000000 01 a101f5 02"),
        ("82 01 01 01 02", "a2 01 01 01 02"),
    ];
    for (msgpack, cbor) in same {
        let (msgpack, cbor) = (hex(msgpack), hex(cbor));
        assert_eq!(value(&msgpack, Encoding::MsgPack, Encoding::Cbor), Ok(cbor.clone()));
        assert_eq!(value(&cbor, Encoding::Cbor, Encoding::MsgPack), Ok(msgpack));
    }
    // An extension is its data.
    assert_eq!(
        value(&hex("d605 01020304"), Encoding::MsgPack, Encoding::Cbor),
        Ok(hex("4401020304"))
    );
    for (cbor, msgpack) in [
        ("f93e00", "ca3fc00000"),
        ("f7", "c0"),
        ("e0", "c0"),
        ("f820", "c0"),
        ("d9d9f7 d818 8101", "9101"),
        ("9f bf 6161 9f ff 6162 bf ff ff 82 9f 01 ff 80 ff", "92 82 a161 90 a162 80 92 9101 90"),
        ("bf 9f01ff 7f6161ff ff", "81 9101 a161"),
        ("5f 40 41 9f ff", "c4019f"),
        ("7fff", "a0"),
    ] {
        let found = value(&hex(cbor), Encoding::Cbor, Encoding::MsgPack);
        assert_eq!(found, Ok(hex(msgpack)), "{cbor}");
    }
}

#[test]
fn floats_of_16_bits_are_those_of_their_definition() {
    for bits in 0..=u16::MAX {
        let found = super::super::number::half(bits);
        let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
        // RFC 8949 appendix D.
        let size = match exponent {
            0 => fraction * 2f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _normal => (fraction + 1024.0) * 2f64.powi(exponent - 25),
        };
        let wanted = if bits >> 15 == 1 { -size } else { size };
        assert!(f64::from(found) == wanted || found.is_nan() && wanted.is_nan(), "{bits:#x}");
        assert_eq!(found.is_sign_negative(), bits >> 15 == 1, "{bits:#x}");
    }
}

#[test]
fn keys_that_are_no_strings_become_strings_in_json() {
    let cases = [
        ("a11863 00", r#"{"99":0}"#),
        ("a120 00", r#"{"-1":0}"#),
        ("a1c249010000000000000000 00", r#"{"18446744073709551616":0}"#),
        ("a3f6 00 f5 01 f93e00 02", r#"{"null":0,"true":1,"1.5":2}"#),
        ("a1f97e00 00", r#"{"null":0}"#),
        ("a14101 00", r#"{"\u0000AQ==":0}"#),
        ("a1820102 00", r#"{"[1,2]":0}"#),
        ("a1a0 a0", r#"{"{}":{}}"#),
        ("a29f6122ff 8101 6161 02", r#"{"[\"\\\"\"]":[1],"a":2}"#),
        (
            "a1a201026161 8161 62 81a1a1f5f400",
            r#"{"{\"1\":2,\"a\":[\"b\"]}":[{"{\"true\":false}":0}]}"#,
        ),
    ];
    for (cbor, json) in cases {
        assert_eq!(json_of(&hex(cbor), Encoding::Cbor).as_deref(), Ok(json), "{cbor}");
        let parsed = serde_json::from_str::<serde_json::Value>(json);
        assert!(parsed.is_ok(), "{json}");
    }
    let inner = json_of(&hex("a1 a1 80 00 00"), Encoding::Cbor);
    assert_eq!(inner, Err(PayloadError::KeyInKey { at: 2 }));
}

#[test]
fn strings_that_are_not_utf8_are_refused() {
    let cases = [
        (Encoding::Cbor, "8161ff", 2),
        (Encoding::Cbor, "62c328", 1),
        // A character in two chunks.
        (Encoding::Cbor, "7f61c361bcff", 2),
        // The surrogate U+D800.
        (Encoding::Cbor, "63eda080", 1),
        (Encoding::Cbor, "a161ff00", 2),
        (Encoding::MsgPack, "91a1ff", 2),
        (Encoding::MsgPack, "d902c328", 2),
        (Encoding::Json, "5b22ff225d", 2),
    ];
    for (from, bytes, at) in cases {
        for to in ALL.into_iter().filter(|to| *to != from) {
            assert_eq!(value(&hex(bytes), from, to), Err(PayloadError::NotUtf8 { at }), "{bytes}");
        }
    }
}

#[test]
fn what_is_no_json_is_refused() {
    let cases = [
        "",
        " ",
        "nul",
        "nulll",
        "tru",
        "True",
        "+1",
        "01",
        "-",
        "-a",
        "1.",
        ".5",
        "1e",
        "1e+",
        "1.e1",
        "0x1",
        "NaN",
        "Infinity",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u123é\"",
        "\"\n\"",
        "\"\u{1}\"",
        "'a'",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "[}",
        "{",
        "}",
        "{]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{1:2}",
        "{\"a\" 1}",
        "{,}",
        "{\"a\":1]",
        "{\"a\":1 \"b\":2}",
        "{null:1}",
        "[\"a\":1]",
        "1 2",
        "[] []",
        "[]]",
        "\u{feff}1",
        "\u{a0}1",
        "[1:2]",
        "{\"a\",1}",
    ];
    for json in cases {
        assert!(serde_json::from_str::<serde_json::Value>(json).is_err(), "{json} is JSON");
        for to in [Encoding::MsgPack, Encoding::Cbor] {
            let found = value(json.as_bytes(), Encoding::Json, to);
            assert!(
                matches!(
                    found,
                    Err(PayloadError::Malformed { encoding: Encoding::Json, .. }
                        | PayloadError::TrailingBytes { .. })
                ),
                "{json}: {found:?}"
            );
        }
    }
}

#[test]
fn whole_payloads_are_no_value_or_args_or_both() {
    let same: [[&[u8]; 3]; 4] = [
        [b"", b"", b""],
        [b"[]", b"\x90", b"\x80"],
        [b"[1]", b"\x91\x01", b"\x81\x01"],
        [b"[1],{\"a\":[]}", b"\x91\x01\x81\xa1a\x90", b"\x81\x01\xa1\x61a\x80"],
    ];
    for row in same {
        for (from, bytes) in ALL.into_iter().zip(row) {
            for (to, wanted) in ALL.into_iter().zip(row) {
                assert_eq!(payload(bytes, from, to).as_deref(), Ok(wanted), "{bytes:?}");
            }
        }
    }
    let spaced = payload(b"[1 ]\n ,\t{ \"a\":[]}", Encoding::Json, Encoding::Cbor);
    assert_eq!(spaced.as_deref(), Ok(same[3][2]));

    let refused: [(Encoding, &[u8], PayloadError); 9] = [
        (Encoding::Json, b"1", PayloadError::NotArguments { at: 0, found: Kind::Int }),
        (Encoding::Json, b"[],[]", PayloadError::NotArguments { at: 3, found: Kind::List }),
        (Encoding::Json, b"[]{}", PayloadError::Malformed { encoding: Encoding::Json, at: 2 }),
        (Encoding::Json, b"[],", PayloadError::Malformed { encoding: Encoding::Json, at: 3 }),
        (Encoding::Json, b"[],{},{}", PayloadError::TrailingBytes { at: 5 }),
        (Encoding::MsgPack, b"\x80", PayloadError::NotArguments { at: 0, found: Kind::Map }),
        (Encoding::MsgPack, b"\x90\xc0", PayloadError::NotArguments { at: 1, found: Kind::Null }),
        (Encoding::MsgPack, b"\x90\x80\x80", PayloadError::TrailingBytes { at: 2 }),
        (Encoding::Cbor, b"\x80\xa0\xa0", PayloadError::TrailingBytes { at: 2 }),
    ];
    for (from, bytes, error) in refused {
        for to in ALL.into_iter().filter(|to| *to != from) {
            assert_eq!(payload(bytes, from, to), Err(error.clone()), "{bytes:?}");
        }
        if from != Encoding::Json {
            assert_eq!(split(bytes, from), Err(error), "{bytes:?}");
        }
    }
}

/// A payload and its parts; empty for none.
type Case = (Encoding, &'static [u8], [&'static [u8]; 2]);

fn parts([args, kwargs]: [&'static [u8]; 2]) -> Parts<'static> {
    let part = |bytes: &'static [u8]| Some(bytes).filter(|bytes| !bytes.is_empty());
    (part(args), part(kwargs))
}

#[test]
fn payloads_are_split_verbatim() {
    let cases: [Case; 12] = [
        (Encoding::Json, b"", [b"", b""]),
        (Encoding::Json, b"[]", [b"[]", b""]),
        (Encoding::Json, b"[1,[2,{\"a\":3}]]", [b"[1,[2,{\"a\":3}]]", b""]),
        (Encoding::Json, b"[1, 2],{\"k\":[1,2]}", [b"[1, 2]", b"{\"k\":[1,2]}"]),
        (Encoding::Json, br#"["],{\"",1],{"k":"\\"}"#, [br#"["],{\"",1]"#, br#"{"k":"\\"}"#]),
        (Encoding::Json, b"[] , {} ", [b"[]", b"{}"]),
        (Encoding::Json, b"[1] ", [b"[1]", b""]),
        (Encoding::MsgPack, b"", [b"", b""]),
        (Encoding::MsgPack, b"\x91\x80", [b"\x91\x80", b""]),
        (
            Encoding::MsgPack,
            b"\xdc\x00\x01\x80\x81\x01\x02",
            [b"\xdc\x00\x01\x80", b"\x81\x01\x02"],
        ),
        (Encoding::Cbor, b"\x9f\x80\xff\xc1\xbf\xff", [b"\x9f\x80\xff", b"\xc1\xbf\xff"]),
        (Encoding::Cbor, b"\xd9\xd9\xf7\x80", [b"\xd9\xd9\xf7\x80", b""]),
    ];
    for (encoding, payload, wanted) in cases {
        assert_eq!(split(payload, encoding), Ok(parts(wanted)), "{payload:?}");
    }
    for bad in ["1", "{}", "[1", "[]{}", "[\"],{}", "[}", "[],[1}", " "] {
        let found = split(bad.as_bytes(), Encoding::Json);
        assert!(matches!(found, Err(PayloadError::Malformed { .. })), "{bad}: {found:?}");
    }
    assert!(split(b"\x90\x81\x01", Encoding::MsgPack).is_err());
}

#[test]
fn one_value_alone_is_told_by_what_it_is() {
    let cases: [(Encoding, &[u8], Option<Kind>); 18] = [
        (Encoding::Json, b"", None),
        (Encoding::Json, b"[]", None),
        (Encoding::Json, b"[\"a\"]", Some(Kind::Str)),
        (Encoding::Json, b"[ {\"a\":[1,2]} ] , { }", Some(Kind::Map)),
        (Encoding::Json, b"[1],{\"k\":2}", None),
        (Encoding::Json, b"[1,2]", None),
        (Encoding::MsgPack, b"", None),
        (Encoding::MsgPack, b"\x90", None),
        (Encoding::MsgPack, b"\x91\xc4\x01\xff", Some(Kind::Bytes)),
        (Encoding::MsgPack, b"\x91\x01\x80", Some(Kind::Int)),
        (Encoding::MsgPack, b"\x91\x01\xde\x00\x00", Some(Kind::Int)),
        (Encoding::MsgPack, b"\x91\x01\x81\xa1k\x01", None),
        (Encoding::MsgPack, b"\x92\x01\x02", None),
        (Encoding::Cbor, b"\x81\x41\xff", Some(Kind::Bytes)),
        (Encoding::Cbor, b"\x9f\x5f\x41\xff\xff\xff\xbf\xff", Some(Kind::Bytes)),
        (Encoding::Cbor, b"\x81\xc1\x41\xff\xa0", Some(Kind::Bytes)),
        (Encoding::Cbor, b"\x80\xa0", None),
        (Encoding::Cbor, b"\x81\x01\xa1\x61k\x01", None),
    ];
    for (encoding, payload, wanted) in cases {
        assert_eq!(sole_value(payload, encoding), Ok(wanted), "{payload:?}");
    }
    assert!(sole_value(b"\x91", Encoding::MsgPack).is_err());
}

#[test]
fn parts_as_json_are_verbatim_or_made() {
    let mut scratch = BytesMut::from(&b"of another payload"[..]);
    let cases: [Case; 6] = [
        (Encoding::Json, b"[ 1e400 ] ,{}", [b"[ 1e400 ]", b"{}"]),
        (Encoding::Json, b"", [b"", b""]),
        (Encoding::Cbor, b"", [b"", b""]),
        (Encoding::Cbor, b"\x81\x01", [b"[1]", b""]),
        (Encoding::Cbor, b"\x81\x01\xa0", [b"[1]", b"{}"]),
        (Encoding::MsgPack, b"\x90\x81\x01\x02", [b"[]", b"{\"1\":2}"]),
    ];
    for (encoding, payload, wanted) in cases {
        assert_eq!(as_json(payload, encoding, &mut scratch), Ok(parts(wanted)), "{payload:?}");
    }
    for (encoding, payload) in [
        (Encoding::Json, &b"[\"\xff\"]"[..]),
        (Encoding::Cbor, b"\x81"),
        (Encoding::MsgPack, b"\xc0"),
    ] {
        assert!(as_json(payload, encoding, &mut scratch).is_err(), "{payload:?}");
    }
    assert_eq!(
        opaque_members(&[0xff, 0xfe], Encoding::Cbor),
        r#""encoding":"cbor","base64":"//4=""#
    );
}
