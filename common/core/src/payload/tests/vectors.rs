//! Vectors of the specifications.

use super::*;

/// RFC 8949 appendix A: all examples, in its order. The second column is the value as JSON.
#[test]
fn examples_of_rfc_8949_appendix_a() {
    let cases = [
        ("00", "0"),
        ("01", "1"),
        ("0a", "10"),
        ("17", "23"),
        ("1818", "24"),
        ("1819", "25"),
        ("1864", "100"),
        ("1903e8", "1000"),
        ("1a000f4240", "1000000"),
        ("1b000000e8d4a51000", "1000000000000"),
        ("1bffffffffffffffff", "18446744073709551615"),
        ("c249010000000000000000", "18446744073709551616"),
        ("3bffffffffffffffff", "-18446744073709551616"),
        ("c349010000000000000000", "-18446744073709551617"),
        ("20", "-1"),
        ("29", "-10"),
        ("3863", "-100"),
        ("3903e7", "-1000"),
        ("f90000", "0.0"),
        ("f98000", "-0.0"),
        ("f93c00", "1.0"),
        ("fb3ff199999999999a", "1.1"),
        ("f93e00", "1.5"),
        ("f97bff", "65504.0"),
        ("fa47c35000", "100000.0"),
        ("fa7f7fffff", "3.4028234663852886e38"),
        ("fb7e37e43c8800759c", "1e300"),
        ("f90001", "5.960464477539063e-8"),
        ("f90400", "0.00006103515625"),
        ("f9c400", "-4.0"),
        ("fbc010666666666666", "-4.1"),
        ("f97c00", "null"),
        ("f97e00", "null"),
        ("f9fc00", "null"),
        ("fa7f800000", "null"),
        ("fa7fc00000", "null"),
        ("faff800000", "null"),
        ("fb7ff0000000000000", "null"),
        ("fb7ff8000000000000", "null"),
        ("fbfff0000000000000", "null"),
        ("f4", "false"),
        ("f5", "true"),
        ("f6", "null"),
        ("f7", "null"),
        ("f0", "null"),
        ("f8ff", "null"),
        ("c074323031332d30332d32315432303a30343a30305a", r#""2013-03-21T20:04:00Z""#),
        ("c11a514b67b0", "1363896240"),
        ("c1fb41d452d9ec200000", "1363896240.5"),
        ("d74401020304", r#""\u0000AQIDBA==""#),
        ("d818456449455446", r#""\u0000ZElFVEY=""#),
        ("d82076687474703a2f2f7777772e6578616d706c652e636f6d", r#""http://www.example.com""#),
        ("40", r#""\u0000""#),
        ("4401020304", r#""\u0000AQIDBA==""#),
        ("60", r#""""#),
        ("6161", r#""a""#),
        ("6449455446", r#""IETF""#),
        ("62225c", r#""\"\\""#),
        ("62c3bc", r#""ü""#),
        ("63e6b0b4", r#""水""#),
        ("64f0908591", "\"\u{10151}\""),
        ("80", "[]"),
        ("83010203", "[1,2,3]"),
        ("8301820203820405", "[1,[2,3],[4,5]]"),
        (
            "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
            "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25]",
        ),
        ("a0", "{}"),
        ("a201020304", r#"{"1":2,"3":4}"#),
        ("a26161016162820203", r#"{"a":1,"b":[2,3]}"#),
        ("826161a161626163", r#"["a",{"b":"c"}]"#),
        (
            "a56161614161626142616361436164614461656145",
            r#"{"a":"A","b":"B","c":"C","d":"D","e":"E"}"#,
        ),
        ("5f42010243030405ff", r#""\u0000AQIDBAU=""#),
        ("7f657374726561646d696e67ff", r#""streaming""#),
        ("9fff", "[]"),
        ("9f018202039f0405ffff", "[1,[2,3],[4,5]]"),
        ("9f01820203820405ff", "[1,[2,3],[4,5]]"),
        ("83018202039f0405ff", "[1,[2,3],[4,5]]"),
        ("83019f0203ff820405", "[1,[2,3],[4,5]]"),
        (
            "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff",
            "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25]",
        ),
        ("bf61610161629f0203ffff", r#"{"a":1,"b":[2,3]}"#),
        ("826161bf61626163ff", r#"["a",{"b":"c"}]"#),
        ("bf6346756ef563416d7421ff", r#"{"Fun":true,"Amt":-2}"#),
    ];
    for (cbor, json) in cases {
        let found = json_of(&hex(cbor), Encoding::Cbor);
        // Both write exponents, one with a sign.
        let found = found.map(|json| json.replace("e+", "e"));
        let same_number = || -> Option<bool> {
            let [found, json] = [found.as_ref().ok()?, json].map(|text| text.parse::<f64>().ok());
            Some(found? == json?)
        };
        let is_same = found.as_deref() == Ok(json)
            || json.contains(['.', 'e']) && same_number() == Some(true);
        assert!(is_same, "{cbor}: {found:?} is not {json}");
    }
}

/// What RFC 8949 appendix F lists as not well-formed.
#[test]
fn what_rfc_8949_appendix_f_lists_is_refused() {
    let cases = [
        // Too little data: heads, strings, containers, tags, indefinite ones.
        "18 19 1a 1b 1901 1a0102 1b01020304050607 38 58 78 98 9a01ff00 b8 d8 f8 f900 fa0000 fb000000",
        "41 61 5affffffff00 5bffffffffffffffff010203 7affffffff00 7b7fffffffffffffff010203",
        "81 818181818181818181 8200 a1 a20102 a100 a2000000 c0",
        "5f4100 7f6100 9f 9f0102 bf bf01020102 819f 9f8000 9f9f9f9f9fffffffff 9f819f819f9fffffff",
        // Reserved additional information.
        "1c 1d 1e 3c 3d 3e 5c 5d 5e 7c 7d 7e 9c 9d 9e bc bd be dc dd de fc fd fe",
        // Reserved two-byte simple values.
        "f800 f801 f818 f81f",
        // Indefinite chunks of a wrong type, or not definite.
        "5f00ff 5f21ff 5f6100ff 5f80ff 5fa0ff 5fc000ff 5fe0ff 7f4100ff 5f5f4100ffff 7f7f6100ffff",
        // Break outside of what it ends.
        "ff 81ff 8200ff a1ff a1ff00 a100ff a20000ff 9f81ff 9f829f819f9fffffffff bf00ff bf000000ff",
        // Indefinite where there is none.
        "1f 3f df",
        // Break after a tag.
        "c0ff 9fc0ffff",
    ];
    for case in cases.iter().flat_map(|row| row.split(' ')) {
        for to in [Encoding::Json, Encoding::MsgPack] {
            let found = value(&hex(case), Encoding::Cbor, to);
            assert!(
                matches!(found, Err(PayloadError::Malformed { encoding: Encoding::Cbor, .. })),
                "{case}: {found:?}"
            );
        }
    }
}

/// The formats of the MessagePack specification, each at the ends of its range.
#[test]
fn formats_of_the_messagepack_specification() {
    let cases = [
        ("c0", "null"),
        ("c2", "false"),
        ("c3", "true"),
        ("00", "0"),
        ("7f", "127"),
        ("e0", "-32"),
        ("ff", "-1"),
        ("cc00", "0"),
        ("ccff", "255"),
        ("cdffff", "65535"),
        ("ceffffffff", "4294967295"),
        ("cfffffffffffffffff", "18446744073709551615"),
        ("d07f", "127"),
        ("d080", "-128"),
        ("d18000", "-32768"),
        ("d17fff", "32767"),
        ("d280000000", "-2147483648"),
        ("d38000000000000000", "-9223372036854775808"),
        ("d37fffffffffffffff", "9223372036854775807"),
        ("ca3fc00000", "1.5"),
        ("ca3dcccccd", "0.10000000149011612"),
        ("cb3fb999999999999a", "0.1"),
        ("cb7ff0000000000000", "null"),
        ("a0", r#""""#),
        ("a3 616263", r#""abc""#),
        ("d901 61", r#""a""#),
        ("da0001 61", r#""a""#),
        ("db00000001 61", r#""a""#),
        ("c400", r#""\u0000""#),
        ("c402 0102", r#""\u0000AQI=""#),
        ("c50002 0102", r#""\u0000AQI=""#),
        ("c600000002 0102", r#""\u0000AQI=""#),
        ("90", "[]"),
        ("93 01 02 03", "[1,2,3]"),
        ("dc0002 01 02", "[1,2]"),
        ("dd00000002 01 02", "[1,2]"),
        ("80", "{}"),
        ("82 a161 01 a162 02", r#"{"a":1,"b":2}"#),
        ("de0001 a161 01", r#"{"a":1}"#),
        ("df00000001 a161 01", r#"{"a":1}"#),
        ("d405 01", r#""\u0000AQ==""#),
        ("d505 0102", r#""\u0000AQI=""#),
        ("d605 01020304", r#""\u0000AQIDBA==""#),
        ("d705 0102030405060708", r#""\u0000AQIDBAUGBwg=""#),
        ("d805 01020304050607080102030405060708", r#""\u0000AQIDBAUGBwgBAgMEBQYHCA==""#),
        ("c70005", r#""\u0000""#),
        ("c70305 010203", r#""\u0000AQID""#),
        ("c8000305 010203", r#""\u0000AQID""#),
        ("c90000000305 010203", r#""\u0000AQID""#),
    ];
    for (msgpack, json) in cases {
        assert_eq!(json_of(&hex(msgpack), Encoding::MsgPack).as_deref(), Ok(json), "{msgpack}");
        // Less, by one byte, is not enough; more is too much.
        let bytes = hex(msgpack);
        for to in [Encoding::Json, Encoding::Cbor] {
            let short = value(&bytes[..bytes.len() - 1], Encoding::MsgPack, to);
            assert!(matches!(short, Err(PayloadError::Malformed { .. })), "{msgpack}: {short:?}");
            let long = value(&[&bytes[..], &[0]].concat(), Encoding::MsgPack, to);
            assert_eq!(long, Err(PayloadError::TrailingBytes { at: bytes.len() }), "{msgpack}");
        }
    }
    let reserved = value(&hex("91c1"), Encoding::MsgPack, Encoding::Json);
    assert_eq!(reserved, Err(PayloadError::Malformed { encoding: Encoding::MsgPack, at: 1 }));
}

/// WAMP spec §"Binary conversion of JSON Strings", its example.
#[test]
fn example_of_the_wamp_specification() {
    let bytes = hex("10e3ff9053075c526f5fc06d4fe37cdb");
    let json = r#""\u0000EOP/kFMHXFJvX8BtT+N82w==""#;
    let cbor = [&[0x50], &bytes[..]].concat();
    let msgpack = [&[0xc4, 16], &bytes[..]].concat();
    for (encoding, binary) in [(Encoding::Cbor, cbor), (Encoding::MsgPack, msgpack)] {
        assert_eq!(json_of(&binary, encoding).as_deref(), Ok(json));
        assert_eq!(value(json.as_bytes(), Encoding::Json, encoding), Ok(binary));
    }
}
