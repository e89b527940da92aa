//! What is no JSON (RFC 8259), MessagePack or CBOR (RFC 8949), and batches that lie.

use crate::peer::{BINARY, FIN, TEXT, frame};
use crate::row::{Answer, CBOR, JSON, MSGPACK, On, Row, Sent};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (group, of_group) in
        [("JSON", json()), ("MessagePack", msgpack()), ("CBOR", cbor()), ("Batches", batches())]
    {
        rows.extend(of_group.into_iter().map(|row| Row { group, ..row }));
    }
    rows
}

fn row(
    list: &'static [&'static str],
    name: &str,
    message: impl Into<Vec<u8>>,
    answer: Answer,
) -> Row {
    Row::new(name, On::Session(list), Sent::Message(message.into()), answer)
}

fn json() -> Vec<Row> {
    let bad = |text: &str| {
        row(JSON, &format!("`{text}`"), text.as_bytes(), Answer::violation("not_json"))
    };
    let uri = || Answer::unpublished("wamp.error.invalid_uri", "invalid_uri");
    let deep = "[".repeat(1 << 20);
    vec![
        bad("hello"),
        bad(r#"[16,1,{},"a.b"#),
        bad(r#"[16,1,{},"a.b"]]"#),
        bad(r#"[16,1,{},"a.b"] 7"#),
        bad(r#"[16,1,{},"a.b",[NaN]]"#),
        bad(r#"[16,1,{},"a.b",[Infinity]]"#),
        bad(r#"[16,1,{},"a.b",[01]]"#),
        bad(r#"[16,1,{},"a.b",['x']]"#),
        bad(r#"[16,1,{},"a.b",[1,]]"#),
        bad(r#"[16,1,{},"a.b",["\x"]]"#),
        bad(r#"[+16,1,{},"a.b"]"#),
        row(JSON, "a byte order mark", "\u{feff}[16,1,{},\"a.b\"]", Answer::violation("not_json")),
        row(
            JSON,
            "a line break in a string",
            "[16,1,{},\"a.b\",[\"\n\"]]",
            Answer::violation("not_json"),
        ),
        row(JSON, "2^20 lists that do not end", deep, Answer::violation("not_json")),
        row(
            JSON,
            r#"`[16,1,{"acknowledge":true},"a.\ud800"]`"#,
            r#"[16,1,{"acknowledge":true},"a.\ud800"]"#,
            uri(),
        ),
        row(
            JSON,
            r#"`[16,1,{"acknowledge":true},"a.b",["\ud800"]]`"#,
            r#"[16,1,{"acknowledge":true},"a.b",["\ud800"]]"#,
            Answer::taken("PUBLISHED"),
        ),
        row(
            JSON,
            r#"`[1,"\ud800",{"roles":{"publisher":{}}}]`"#,
            r#"[1,"\ud800",{"roles":{"publisher":{}}}]"#,
            Answer::violation("unexpected"),
        ),
    ]
}

/// `[16,1,{"acknowledge":true}` and what follows, of `count` elements in all.
fn msgpack_publish(count: u8, rest: &[u8]) -> Vec<u8> {
    let head = [0x90 | count, 16, 1, 0x81, 0xab];
    [&head[..], b"acknowledge", &[0xc3], rest].concat()
}

fn msgpack() -> Vec<Row> {
    let bad = |name: &str, message: Vec<u8>| {
        row(MSGPACK, name, message, Answer::violation("not_encoded"))
    };
    let topic = b"\xa3a.b";
    vec![
        bad("nothing", Vec::new()),
        bad("the byte 0xc1, which means nothing", vec![0xc1]),
        bad("a list of 2^32-1 elements, and none of them", vec![0xdd, 0xff, 0xff, 0xff, 0xff]),
        bad("a dictionary of 2^32-1 entries", vec![0xdf, 0xff, 0xff, 0xff, 0xff]),
        bad("a topic of 2^32-1 bytes", msgpack_publish(4, &[0xdb, 0xff, 0xff, 0xff, 0xff, b'a'])),
        bad(
            "a payload of bytes, 2^32-1 of them",
            msgpack_publish(5, &[&topic[..], &[0x91, 0xc6, 0xff, 0xff, 0xff, 0xff]].concat()),
        ),
        bad(
            "an extension of 2^32-1 bytes",
            msgpack_publish(5, &[&topic[..], &[0x91, 0xc9, 0xff, 0xff, 0xff, 0xff, 1]].concat()),
        ),
        bad("2^20 lists that do not end", vec![0x91; 1 << 20]),
        bad("a value cut short", msgpack_publish(4, b"\xa3a.")),
        bad("bytes after the message", msgpack_publish(4, b"\xa3a.b\xc0")),
        bad("a topic that is not UTF-8", msgpack_publish(4, b"\xa3a.\xff")),
        bad(
            "a payload with a string that is not UTF-8",
            msgpack_publish(5, b"\xa3a.b\x91\xa1\xff"),
        ),
        row(MSGPACK, "JSON", &br#"[16,1,{},"a.b"]"#[..], Answer::violation("not_list")),
        row(
            MSGPACK,
            "a topic of bytes",
            msgpack_publish(4, b"\xc4\x03a.b"),
            Answer::violation("type"),
        ),
        row(
            MSGPACK,
            "an id as a float",
            [&[0x94, 16, 0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0x80][..], topic].concat(),
            Answer::violation("id"),
        ),
        row(
            MSGPACK,
            "an id of -1",
            [&[0x94, 16, 0xff, 0x80][..], topic].concat(),
            Answer::violation("id"),
        ),
        row(
            MSGPACK,
            "NaN in the payload",
            msgpack_publish(5, &[&topic[..], &[0x91, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]].concat()),
            Answer::taken("PUBLISHED"),
        ),
        row(
            MSGPACK,
            "20000 lists in each other",
            msgpack_publish(5, &[&topic[..], &[0x91; 20_000], &[0x90]].concat()),
            Answer::taken("PUBLISHED"),
        ),
        row(
            MSGPACK,
            "a key of the options that is a list",
            [&[0x94, 16, 1, 0x81, 0x90, 0xc3][..], topic].concat(),
            Answer::taken("no answer"),
        ),
    ]
}

/// As [`msgpack_publish`].
fn cbor_publish(count: u8, rest: &[u8]) -> Vec<u8> {
    let head = [0x80 | count, 16, 1, 0xa1, 0x6b];
    [&head[..], b"acknowledge", &[0xf5], rest].concat()
}

fn cbor() -> Vec<Row> {
    let bad =
        |name: &str, message: Vec<u8>| row(CBOR, name, message, Answer::violation("not_encoded"));
    let topic = b"\x63a.b";
    let eight = |first: u8| [&[first][..], &[0xff; 8]].concat();
    let in_payload = |value: &[u8]| cbor_publish(5, &[&topic[..], &[0x81], value].concat());
    vec![
        bad("nothing", Vec::new()),
        bad("a list of 2^64-1 elements, and none of them", eight(0x9b)),
        bad("a dictionary of 2^64-1 entries", eight(0xbb)),
        bad("a topic of 2^64-1 bytes", cbor_publish(4, &eight(0x7b))),
        bad("a payload of bytes, 2^64-1 of them", in_payload(&eight(0x5b))),
        bad("additional information 28", in_payload(&[0x1c])),
        bad("additional information 30 of a list", in_payload(&[0x9e])),
        bad("a simple value below 32 in two bytes", in_payload(&[0xf8, 0x18])),
        bad("a break without a beginning", in_payload(&[0xff])),
        bad("an integer of indefinite length", in_payload(&[0x1f])),
        bad("a tag of indefinite length", in_payload(&[0xdf, 0x00])),
        bad("a list of indefinite length that does not end", in_payload(&[0x9f, 1, 2])),
        bad(
            "a dictionary of indefinite length with a key and no value",
            in_payload(&[0xbf, 1, 0xff]),
        ),
        bad(
            "a string of indefinite length with bytes in it",
            in_payload(&[0x7f, 0x41, b'a', 0xff]),
        ),
        bad("a string in pieces within pieces", in_payload(&[0x7f, 0x7f, 0xff, 0xff])),
        bad("2^20 lists that do not end", vec![0x81; 1 << 20]),
        bad("2^20 lists of indefinite length", vec![0x9f; 1 << 20]),
        bad("2^20 tags and nothing in them", vec![0xc1; 1 << 20]),
        bad("a value cut short", cbor_publish(4, b"\x63a.")),
        bad("bytes after the message", cbor_publish(4, b"\x63a.b\xf6")),
        bad("a topic that is not UTF-8", cbor_publish(4, b"\x63a.\xff")),
        bad("a payload with a string that is not UTF-8", in_payload(b"\x61\xff")),
        bad("JSON", br#"[16,1,{},"a.b"]"#.to_vec()),
        row(CBOR, "a topic of bytes", cbor_publish(4, b"\x43a.b"), Answer::violation("type")),
        row(
            CBOR,
            "an id as a bignum of 40 bytes",
            [&[0x84, 16, 0xc2, 0x58, 40][..], &[0xff; 40], &[0xa0], topic].concat(),
            Answer::violation("id"),
        ),
        row(
            CBOR,
            "an id as a float",
            [&[0x84, 16, 0xf9, 0x3c, 0x00, 0xa0][..], topic].concat(),
            Answer::violation("id"),
        ),
        row(
            CBOR,
            "NaN in the payload",
            in_payload(&[0xf9, 0x7e, 0x00]),
            Answer::taken("PUBLISHED"),
        ),
        row(
            CBOR,
            "a bignum of 10000 bytes in the payload",
            in_payload(&[&[0xc2, 0x59, 0x27, 0x10][..], &[0xff; 10_000]].concat()),
            Answer::taken("PUBLISHED"),
        ),
        row(
            CBOR,
            "20000 tags in each other",
            in_payload(&[&[0xc1; 20_000][..], &[0]].concat()),
            Answer::taken("PUBLISHED"),
        ),
        row(
            CBOR,
            "20000 lists of indefinite length in each other",
            in_payload(&[[0x9f; 20_000], [0xff; 20_000]].concat()),
            Answer::taken("PUBLISHED"),
        ),
    ]
}

fn batches() -> Vec<Row> {
    const JSON: &[&str] = &["wamp.2.json.batched"];
    const MSGPACK: &[&str] = &["wamp.2.msgpack.batched"];
    const CBOR: &[&str] = &["wamp.2.cbor.batched"];
    let row = |list, name: &str, first: u8, payload: Vec<u8>, answer| {
        Row::new(name, On::Session(list), Sent::Bytes(frame(FIN | first, &payload)), answer)
    };
    let publish = r#"[16,1,{"acknowledge":true},"a.b"]"#;
    let good = msgpack_publish(4, b"\xa3a.b");
    let length = u8::try_from(good.len()).expect("short");
    let with_length = |length: [u8; 4], message: &[u8]| [&length[..], message].concat();
    let cut = || Answer::violation("batch");
    vec![
        row(
            JSON,
            "a good message, then one that is not JSON",
            TEXT,
            format!("{publish}\u{1e}oops\u{1e}").into_bytes(),
            Answer::violation("not_json"),
        ),
        row(
            JSON,
            "a million messages that are none",
            TEXT,
            b"7\x1e".repeat(1_000_000),
            Answer::violation("not_list"),
        ),
        row(
            MSGPACK,
            "800000 messages that are none",
            BINARY,
            [0, 0, 0, 1, 7].repeat(800_000),
            Answer::violation("not_list"),
        ),
        row(
            JSON,
            "a message cut by a separator within a string",
            TEXT,
            b"[16,1,{},\"a\x1eb\"]\x1e".to_vec(),
            Answer::violation("not_json"),
        ),
        row(JSON, "100000 separators", TEXT, vec![0x1e; 100_000], Answer::taken("no answer")),
        row(
            JSON,
            "no separator at the end",
            TEXT,
            publish.as_bytes().to_vec(),
            Answer::taken("PUBLISHED"),
        ),
        row(MSGPACK, "a length cut short", BINARY, vec![0, 0, 0], cut()),
        row(
            MSGPACK,
            "a length longer than the batch",
            BINARY,
            with_length([0, 0, 0, length + 1], &good),
            cut(),
        ),
        row(MSGPACK, "a length of 2^32-1", BINARY, with_length([0xff; 4], &good), cut()),
        row(
            MSGPACK,
            "a length shorter than the message",
            BINARY,
            with_length([0, 0, 0, length - 1], &good),
            Answer::violation("not_encoded"),
        ),
        row(MSGPACK, "a message of no bytes", BINARY, vec![0; 4], Answer::violation("not_encoded")),
        row(CBOR, "a message of no bytes", BINARY, vec![0; 4], Answer::violation("not_encoded")),
        row(CBOR, "a length of 2^32-1", BINARY, vec![0xff; 4], cut()),
    ]
}
