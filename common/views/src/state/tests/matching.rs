//! What is a part of what.

use proptest::prelude::*;

use super::super::matching::is_part_of;
use super::naive::Tree;
use super::*;

const MSGPACK: Content = Content::Arguments(Encoding::MsgPack);
const CBOR: Content = Content::Arguments(Encoding::Cbor);

fn matches(condition: &str, payload: &str) -> bool {
    is_part_of((JSON, condition.as_bytes()), (JSON, payload.as_bytes()))
}

#[test]
fn parts_are_those_of_the_table() {
    // Condition, payloads that have it as a part, payloads that have not.
    let table: [(&str, &[&str], &[&str]); 19] = [
        ("null", &["[null]"], &["[false]", "[0]", "[]", "[\"\"]", "[\"null\"]"]),
        ("true", &["[true]"], &["[false]", "[1]"]),
        ("1", &["[1]", "[1.0]", "[10e-1]", "[1],{}"], &["[2]", "[\"1\"]", "[true]", "[[1]]"]),
        ("0", &["[0]", "[-0.0]", "[-0]"], &["[null]", "[\"\"]", "[false]"]),
        ("1.5", &["[1.5]", "[15e-1]"], &["[1]", "[2]"]),
        ("18446744073709551615", &["[18446744073709551615]"], &["[18446744073709551614]"]),
        // Beyond 64 bits they are strings, as in MessagePack.
        ("18446744073709551616", &["[18446744073709551616]"], &["[18446744073709551617]"]),
        ("\"1\"", &["[\"1\"]", "[\"\\u0031\"]"], &["[1]"]),
        ("\"\\u0000YQ==\"", &["[\"\\u0000YQ==\"]"], &["[\"a\"]", "[\"\\u0000YQ\"]"]),
        ("[]", &["[[]]"], &["[]", "[{}]", "[[1]]", "[null]"]),
        ("[1,{}]", &["[[1,{\"a\":2}]]"], &["[[1]]", "[[1,{},3]]", "[1,{}]", "[[2,{}]]"]),
        ("{}", &["[{}]", "[{\"a\":1}]", "[]", "[1,2]", "[1],{\"a\":1}"], &["[[]]", "[null]"]),
        ("{\"a\":1}", &["[{\"a\":1}]", "[{\"b\":2,\"a\":1}]"], &["[{}]", "[{\"a\":2}]", "[1]"]),
        ("{\"a\":{\"b\":[1]}}", &["[{\"a\":{\"c\":0,\"b\":[1]}}]"], &["[{\"a\":{\"b\":[1,2]}}]"]),
        // Of double keys the last one counts.
        ("{\"a\":1}", &["[{\"a\":2,\"a\":1}]"], &["[{\"a\":1,\"a\":2}]", "[{\"a\":1,\"a\":[1]}]"]),
        ("{\"a\":1,\"a\":2}", &["[{\"a\":2}]"], &["[{\"a\":1}]"]),
        ("{\"args\":[1,2]}", &["[1,2]", "[1,2],{\"a\":1}"], &["[1]", "[[1,2]]", "[2,1]"]),
        ("{\"kwargs\":{\"a\":1}}", &["[],{\"a\":1}", "[1],{\"a\":1,\"b\":2}"], &["[]", "[1]"]),
        ("{\"args\":[],\"kwargs\":{}}", &["", "[]", "[],{}", "[],{\"a\":1}"], &["[1]", "[null]"]),
    ];
    for (condition, parts, others) in table {
        for payload in parts {
            assert!(matches(condition, payload), "{condition} of {payload}");
        }
        for payload in others {
            assert!(!matches(condition, payload), "{condition} of {payload}");
        }
    }
}

#[test]
fn what_cannot_be_read_matches_nothing() {
    let malformed = ["", "[", "{\"a\"}", "1 2", "[1]]", "nul"];
    for text in malformed {
        assert!(!matches(text, "[1]"), "{text}");
    }
    for payload in ["{}", "[1", "[1]]", "[1 2]", "[{\"a\":1,}]", "[{\"b\":\u{1}}]", "[1],[2]"] {
        assert!(!matches("1", payload) && !matches("{}", payload), "{payload}");
    }
    assert!(!matches("{\"a\":1}", "[{\"a\":1,\"b\":tru}]"), "read to its end");
    assert!(!is_part_of((JSON, b"1"), (MSGPACK, b"\x91")));
    assert!(!is_part_of((JSON, b"1"), (Content::Later(9), b"[1]")));
    assert!(!is_part_of((Content::Later(9), b"1"), (JSON, b"[1]")));
}

#[test]
fn raw_bytes_are_the_one_argument() {
    assert!(is_part_of((Content::Raw, b"a"), (Content::Raw, b"a")));
    assert!(is_part_of((Content::Raw, b"a"), (JSON, br#"["\u0000YQ=="]"#)));
    assert!(is_part_of((JSON, br#""\u0000YQ==""#), (Content::Raw, b"a")));
    assert!(!is_part_of((Content::Raw, b"a"), (Content::Raw, b"b")));
    assert!(!is_part_of((JSON, b"\"a\""), (Content::Raw, b"a")));
    assert!(is_part_of((Content::Raw, b""), (Content::Raw, b"")));
    assert!(!is_part_of((JSON, b"{}"), (Content::Raw, b"")));
}

#[test]
fn keys_of_other_types_are_their_values_and_containers_are_nobodys() {
    let of =
        |condition: &[u8], payload: &[u8]| is_part_of((MSGPACK, condition), (MSGPACK, payload));
    assert!(of(b"\x81\x01\x02", b"\x91\x81\x01\x02"), "an integer");
    assert!(of(b"\x81\x01\x02", b"\x91\x81\xca\x3f\x80\0\0\x02"), "1.0");
    assert!(!of(b"\x81\x01\x02", b"\x91\x81\xa1\x31\x02"), "no string");
    assert!(!of(b"\x81\xa1\x31\x02", b"\x91\x81\x01\x02"));
    // {[1]: 2} is a part of nothing, and nothing else is the less a part.
    assert!(!of(b"\x81\x91\x01\x02", b"\x91\x81\x91\x01\x02"));
    assert!(of(b"\x81\x01\x02", b"\x91\x82\x91\x01\x03\x01\x02"));
    assert!(of(b"\x81\x01\x02", b"\x91\x82\x01\x02\x91\x91\x01\x01"));
    // NaN, as a value and as a key.
    let nan = b"\xcb\x7f\xf8\0\0\0\0\0\0";
    assert!(!of(nan, &[b"\x91", &nan[..]].concat()));
    let pair = [b"\x81", &nan[..], b"\x01"].concat();
    assert!(!of(&pair, &[b"\x91", &pair[..]].concat()));
    assert!(of(b"\x80", &[b"\x91", &pair[..]].concat()));
}

#[test]
fn bounds_are_inclusive() {
    let list = |items: usize| format!("[{}]", vec!["0"; items].join(","));
    let nested = |text: String| format!("[{text}]");
    assert!(matches(&list(255), &nested(list(255))), "256 values");
    assert!(!matches(&list(256), &nested(list(256))));
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(matches(&deep(32), &nested(deep(32))));
    assert!(!matches(&deep(33), &nested(deep(33))));
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    assert!(matches(&text(4_096), &nested(text(4_096))));
    assert!(!matches(&text(4_097), &nested(text(4_097))));
    let padded = |bytes: usize| format!("[{{\"a\":1,\"b\":{}}}]", text(bytes - 14));
    assert_eq!(padded(VALUE_BYTES_MAX).len(), VALUE_BYTES_MAX);
    assert!(matches("{\"a\":1}", &padded(VALUE_BYTES_MAX)));
    assert!(!matches("{\"a\":1}", &padded(VALUE_BYTES_MAX + 1)));
}

#[test]
fn a_value_may_be_deep_where_the_condition_is_not() {
    let deep = "[".repeat(8_000) + &"]".repeat(8_000);
    assert!(matches("{\"a\":1}", &format!("[{{\"b\":{deep},\"a\":1}}]")));
    assert!(!matches("{\"b\":1}", &format!("[{{\"b\":{deep},\"a\":1}}]")));
    assert!(!matches("[[]]", &format!("[{deep}]")));
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        (-2_i64..3).prop_map(Tree::Int),
        prop::sample::select(vec![-1.0, 0.0, 0.5, 1.0, 1e30]).prop_map(Tree::Float),
        "[01a]{0,1}".prop_map(Tree::Str),
        "[ab]".prop_map(|text| Tree::Bytes(text.into_bytes())),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::List),
            prop::collection::vec(("[a-c]", inner), 0..4).prop_map(Tree::Map),
        ]
    })
}

fn any_encoding() -> impl Strategy<Value = Encoding> {
    prop::sample::select(vec![Encoding::Json, Encoding::MsgPack, Encoding::Cbor])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Any condition, and one that is left of the value.
    #[test]
    fn parts_are_what_a_plain_comparison_says_in_any_encoding(
        args in prop::collection::vec(any_tree(), 0..3),
        kwargs in prop::collection::vec(("[a-c]", any_tree()), 0..3),
        other in any_tree(),
        keep in prop::collection::vec(prop::bool::weighted(0.7), 16),
        encodings in (any_encoding(), any_encoding()),
    ) {
        let payload = Tree::payload(&args, &kwargs, encodings.0);
        let whole = match &args[..] {
            [one] if kwargs.is_empty() => one.clone(),
            _ => Tree::Map(vec![
                ("args".to_owned(), Tree::List(args.clone())),
                ("kwargs".to_owned(), Tree::Map(kwargs.clone())),
            ]),
        };
        let left = whole.left(&mut keep.into_iter().cycle());
        prop_assert!(left.is_part_of(&whole));
        for condition in [&other, &left, &whole] {
            let bytes = condition.to_bytes(encodings.1);
            let found = is_part_of(
                (encodings.1.into(), &bytes),
                (encodings.0.into(), &payload),
            );
            prop_assert_eq!(found, condition.is_part_of(&whole), "{:?} of {:?}", condition, whole);
        }
    }

    #[test]
    fn any_bytes_match_or_do_not(
        condition: Vec<u8>,
        payload: Vec<u8>,
        contents in (0_u8..6, 0_u8..6),
    ) {
        let (one, other) = (Content::from_number(contents.0), Content::from_number(contents.1));
        let _either = is_part_of((one, &condition), (other, &payload));
    }
}

#[test]
fn encodings_meet() {
    let args = [Tree::Map(vec![("a".to_owned(), Tree::Bytes(b"a".to_vec()))])];
    for from in [JSON, MSGPACK, CBOR] {
        let Content::Arguments(encoding) = from else { panic!("are arguments") };
        let payload = Tree::payload(&args, &[], encoding);
        assert!(is_part_of((JSON, br#"{"a":"\u0000YQ=="}"#), (from, &payload)));
    }
}
