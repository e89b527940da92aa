//! Random values and random bytes.

use proptest::prelude::*;

use super::super::scan::Elements;
use super::super::write::Binary;
use super::super::{as_json, split};
use super::*;

/// A value that all encodings have.
#[derive(Clone, Debug)]
enum Tree {
    Null,
    Bool(bool),
    /// Decimal digits.
    Int(String),
    Float(f64),
    Str(String),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// JSON as it is written here: no spaces, shortest floats.
fn to_json(tree: &Tree, out: &mut String) {
    match tree {
        Tree::Null => out.push_str("null"),
        Tree::Bool(is_true) => out.push_str(&is_true.to_string()),
        Tree::Int(digits) => out.push_str(digits),
        Tree::Float(float) => out.push_str(&serde_json::to_string(float).expect("a float")),
        Tree::Str(text) => out.push_str(&json_text(text)),
        Tree::Bytes(bytes) => {
            let members = super::super::opaque_members(bytes, Encoding::Cbor);
            let base64 = members.rsplit('"').nth(1).expect("base64");
            out.push_str(&format!("\"\\u0000{base64}\""));
        }
        Tree::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                to_json(item, out);
            }
            out.push(']');
        }
        Tree::Map(pairs) => {
            out.push('{');
            for (index, (key, item)) in pairs.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(&json_text(key));
                out.push(':');
                to_json(item, out);
            }
            out.push('}');
        }
    }
}

fn trees(ints: &'static str) -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        ints.prop_map(Tree::Int),
        any::<i64>().prop_map(|number| Tree::Int(number.to_string())),
        any::<f64>().prop_filter("JSON has it", |float| float.is_finite()).prop_map(Tree::Float),
        "[\\PC\\n\"\\\\\u{1}]{0,40}".prop_map(Tree::Str),
        any::<Vec<u8>>().prop_map(Tree::Bytes),
    ];
    leaf.prop_recursive(6, 60, 20, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..20).prop_map(Tree::List),
            proptest::collection::vec(("[a-c\"]{0,2}", inner), 0..20).prop_map(Tree::Map),
        ]
    })
}

/// The same value, with the containers and strings of CBOR in pieces of indefinite length.
fn to_open_cbor(tree: &Tree, out: &mut Vec<u8>) {
    fn chunks(out: &mut Vec<u8>, major: u8, chunks: &[&[u8]]) {
        out.push(major | 0x1f);
        for chunk in chunks {
            out.push(major | 0x19);
            out.extend_from_slice(&u16::try_from(chunk.len()).expect("short").to_be_bytes());
            out.extend_from_slice(chunk);
        }
        out.push(0xff);
    }
    match tree {
        Tree::Null | Tree::Bool(_) | Tree::Int(_) | Tree::Float(_) => {
            let mut json = String::new();
            to_json(tree, &mut json);
            out.extend(value(json.as_bytes(), Encoding::Json, Encoding::Cbor).expect("JSON"));
        }
        Tree::Str(text) => {
            let middle = text.char_indices().nth(1).map_or(0, |(at, _)| at);
            let (first, rest) = text.split_at(middle);
            chunks(out, 0x60, &[first.as_bytes(), b"", rest.as_bytes()]);
        }
        Tree::Bytes(bytes) => chunks(out, 0x40, &bytes.chunks(3).collect::<Vec<_>>()),
        Tree::List(items) => {
            out.extend_from_slice(&[0xc1, 0x9f]);
            items.iter().for_each(|item| to_open_cbor(item, out));
            out.push(0xff);
        }
        Tree::Map(pairs) => {
            out.push(0xbf);
            for (key, item) in pairs {
                to_open_cbor(&Tree::Str(key.clone()), out);
                to_open_cbor(item, out);
            }
            out.push(0xff);
        }
    }
}

/// Bytes that are often well-formed.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        any::<u8>(),
        prop_oneof![
            Just(0x80u8),
            Just(0x81),
            Just(0x82),
            Just(0x90),
            Just(0x91),
            Just(0x92),
            Just(0xa1),
            Just(0xa2),
            Just(0x9f),
            Just(0xbf),
            Just(0xff),
            Just(0x5f),
            Just(0x7f),
            Just(0x41),
            Just(0x61),
            Just(0xc0),
            Just(0xc2),
            Just(0xc4),
            Just(0xd9),
            Just(0xf9),
            Just(0x00),
        ],
    ];
    proptest::collection::vec(byte, 0..40)
}

/// Pieces of JSON in any order.
fn json_pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just(","),
        Just(":"),
        Just(" "),
        Just("\n"),
        Just("\"a\""),
        Just("\"\\u0000AQ==\""),
        Just("\"\\ud800\""),
        Just("\""),
        Just("\\"),
        Just("null"),
        Just("true"),
        Just("1"),
        Just("-"),
        Just("0"),
        Just(".5"),
        Just("e9"),
        Just("\"k\":"),
        Just("é"),
        Just("[[1]]"),
        Just("{\"a\":{}}"),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn check_any_bytes(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut scratch = BytesMut::new();
    for from in ALL {
        let _parts = split(bytes, from);
        let as_json = as_json(bytes, from, &mut scratch);
        let shown =
            as_json.map(|(args, kwargs)| [args, kwargs].map(|part| part.map(<[u8]>::to_vec)));
        let scanned = Elements::parse(bytes, from);
        for to in ALL.into_iter().filter(|to| *to != from) {
            let whole = payload(bytes, from, to);
            let single = value(bytes, from, to);
            if let Ok(written) = &single {
                // What is written is well-formed, and is again what it was.
                let again = value(written, to, from);
                prop_assert!(again.is_ok(), "{again:?}");
                if to == Encoding::Json {
                    let parsed: Result<serde_json::Value, _> = serde_json::from_slice(written);
                    prop_assert!(parsed.is_ok(), "{parsed:?}");
                }
            }
            // A list is scanned where it can be written, and the other way round.
            match (&scanned, &single) {
                (Ok(_), Ok(_) | Err(PayloadError::KeyInKey { .. })) | (Err(_), Err(_)) => {}
                (Err(error), Ok(_)) => prop_assert!(
                    matches!(error, super::super::scan::ScanError::NotList),
                    "{error:?}"
                ),
                (Ok(_), Err(error)) => prop_assert!(false, "{error:?}"),
            }
            if let (Ok(whole), Encoding::Json) = (&whole, to) {
                let [args, kwargs] = shown.clone().expect("it can be written");
                let parts: Vec<_> = args.into_iter().chain(kwargs).collect();
                prop_assert_eq!(&parts.join(&b","[..]), whole);
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn json_through_cbor_is_itself(tree in trees("-?[1-9][0-9]{0,60}")) {
        let mut json = String::new();
        to_json(&tree, &mut json);
        let cbor = value(json.as_bytes(), Encoding::Json, Encoding::Cbor).expect("JSON");
        prop_assert_eq!(json_of(&cbor, Encoding::Cbor), Ok(json.clone()));
        let mut open = Vec::new();
        to_open_cbor(&tree, &mut open);
        prop_assert_eq!(json_of(&open, Encoding::Cbor), Ok(json.clone()));
        let msgpack = value(json.as_bytes(), Encoding::Json, Encoding::MsgPack).expect("JSON");
        prop_assert_eq!(value(&cbor, Encoding::Cbor, Encoding::MsgPack), Ok(msgpack.clone()));
        prop_assert_eq!(value(&open, Encoding::Cbor, Encoding::MsgPack), Ok(msgpack));
    }

    #[test]
    fn json_through_all_is_itself(tree in trees("0")) {
        let mut json = String::new();
        to_json(&tree, &mut json);
        let msgpack = value(json.as_bytes(), Encoding::Json, Encoding::MsgPack).expect("JSON");
        let cbor = value(&msgpack, Encoding::MsgPack, Encoding::Cbor).expect("MessagePack");
        prop_assert_eq!(value(json.as_bytes(), Encoding::Json, Encoding::Cbor), Ok(cbor.clone()));
        prop_assert_eq!(value(&cbor, Encoding::Cbor, Encoding::MsgPack), Ok(msgpack.clone()));
        prop_assert_eq!(json_of(&msgpack, Encoding::MsgPack), Ok(json));
    }

    #[test]
    fn numbers_of_json_are_those_of_serde(text in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?") {
        let cbor = value(text.as_bytes(), Encoding::Json, Encoding::Cbor).expect("a number");
        let float: f64 = text.parse().expect("a number");
        if !text.contains(['.', 'e', 'E']) {
            let wanted = if text == "-0" { "0" } else { &text };
            prop_assert_eq!(json_of(&cbor, Encoding::Cbor), Ok(wanted.to_owned()));
        } else if float.is_finite() {
            prop_assert_eq!(cbor, [&[0xfb][..], &float.to_be_bytes()].concat());
        } else {
            prop_assert_eq!(json_of(&cbor, Encoding::Cbor), Ok(format!("\"{text}\"")));
        }
    }

    #[test]
    fn any_text_is_json_here_as_for_serde(text in prop_oneof![json_pieces(), "\\PC*"]) {
        let found = value(text.as_bytes(), Encoding::Json, Encoding::Cbor);
        let wanted = serde_json::from_str::<&serde_json::value::RawValue>(&text);
        prop_assert_eq!(found.is_ok(), wanted.is_ok(), "{:?}, {:?}", found, wanted);
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop_oneof![
            any::<Vec<u8>>(), plausible(), json_pieces().prop_map(String::into_bytes),
        ],
    ) {
        check_any_bytes(&bytes)?;
    }

    #[test]
    fn damaged_payloads_are_read_or_refused(
        tree in trees("-?[1-9][0-9]{0,30}"), at: prop::sample::Index, byte: u8, length: prop::sample::Index,
    ) {
        let mut json = String::new();
        to_json(&tree, &mut json);
        for encoding in ALL {
            let mut bytes = value(json.as_bytes(), Encoding::Json, encoding).expect("JSON");
            let at = at.index(bytes.len());
            bytes[at] = byte;
            check_any_bytes(&bytes)?;
            bytes.truncate(length.index(bytes.len() + 1));
            check_any_bytes(&bytes)?;
        }
    }

    #[test]
    fn elements_are_where_they_were_written(
        trees in proptest::collection::vec(trees("-?[1-9][0-9]{0,30}"), 0..10),
    ) {
        for to in [Binary::MsgPack, Binary::Cbor] {
            let mut frame = BytesMut::new();
            to.write_array_header(&mut frame, u32::try_from(trees.len()).expect("few"));
            let mut ranges = Vec::new();
            for tree in &trees {
                let mut json = String::new();
                to_json(tree, &mut json);
                let start = frame.len();
                transcode_value(json.as_bytes(), Encoding::Json, to.encoding(), &mut frame)
                    .expect("JSON");
                ranges.push(start..frame.len());
            }
            let elements = Elements::parse(&frame, to.encoding()).expect("a list");
            prop_assert_eq!(elements.count(), trees.len());
            let found: Vec<_> = (0..10).map_while(|index| elements.range(index)).collect();
            prop_assert_eq!(&found[..], &ranges[..trees.len().min(7)]);
        }
    }
}

#[test]
#[ignore = "prints how fast payloads are transcoded; for --release"]
fn megabytes_a_second() {
    let json = format!(
        "[{}1]",
        r#"{"price":101.25,"symbol":"ACME","size":300,"note":"a \"typical\" one"},"#.repeat(20_000)
    );
    for from in ALL {
        let bytes = value(json.as_bytes(), Encoding::Json, from).expect("JSON");
        for to in ALL.into_iter().filter(|to| *to != from) {
            let start = std::time::Instant::now();
            let written = value(&bytes, from, to).expect("well-formed");
            let rate = bytes.len() as f64 / 1e6 / start.elapsed().as_secs_f64();
            println!("{} to {}: {rate:.0} MB/s, {} bytes", from.name(), to.name(), written.len());
        }
    }
}
