//! WebSocket frames (RFC 6455 §5).

use crate::peer::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, TEXT, frame, frame_header, message_frame,
};
use crate::row::{Answer, CBOR, JSON, MSGPACK, On, Row, Sent};

const HELLO: &[u8] = br#"[1,"realm1",{"roles":{"publisher":{}}}]"#;
const PUBLISH: &[u8] = br#"[16,1,{"acknowledge":true},"a.b"]"#;

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = broken();
    rows.extend(odd());
    rows.into_iter().map(|row| Row { group: "WebSocket frames", ..row }).collect()
}

fn row(name: &str, sent: Vec<u8>, answer: Answer) -> Row {
    Row::new(name, On::Session(JSON), Sent::Bytes(sent), answer)
}

fn unmasked(payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("short");
    [&[FIN | TEXT, length], payload].concat()
}

fn framing() -> Answer {
    Answer::violation("framing")
}

fn too_large() -> Answer {
    Answer::ends("ABORT wamp.error.payload_size_exceeded, close 1009", "frame_too_large")
}

/// What ends the session.
fn broken() -> Vec<Row> {
    let fragments = |parts: &[&[u8]]| {
        let mut bytes = frame(TEXT, parts[0]);
        for part in &parts[1..] {
            bytes.extend(frame(CONTINUATION, part));
        }
        bytes
    };
    let whole_too_large = frame(FIN | TEXT, &vec![b' '; (4 << 20) + 1]);
    let mut rows = vec![
        row("a frame without a mask", unmasked(PUBLISH), framing()),
        row("reserved bit 1, as of compression", frame(FIN | 0x40 | TEXT, PUBLISH), framing()),
        row("reserved bit 2", frame(FIN | 0x20 | TEXT, PUBLISH), framing()),
        row("reserved bit 3", frame(FIN | 0x10 | TEXT, PUBLISH), framing()),
        row("reserved opcode 3", frame(FIN | 3, b""), framing()),
        row("reserved opcode 11", frame(FIN | 11, b""), framing()),
        row("a ping in fragments", frame(PING, b"a"), framing()),
        row("a ping of 126 bytes", frame(FIN | PING, &[0; 126]), framing()),
        row("a close frame of 126 bytes", frame(FIN | CLOSE, &[3; 126]), framing()),
        row("a close frame of 1 byte", frame(FIN | CLOSE, &[3]), framing()),
        row("a continuation of nothing", frame(FIN | CONTINUATION, PUBLISH), framing()),
        row(
            "a message begun within another",
            [frame(TEXT, b"[16,"), frame(FIN | TEXT, PUBLISH)].concat(),
            framing(),
        ),
        row("text that is not UTF-8", frame(FIN | TEXT, b"[16,1,{},\"a.\xff\"]"), framing()),
        row(
            "text whose fragments are not UTF-8",
            [frame(TEXT, b"[16,1,{},\"a.\xc3"), frame(FIN | CONTINUATION, b"(\"]")].concat(),
            framing(),
        ),
        row("a length with its highest bit", frame_header(FIN | TEXT, 1 << 63), too_large()),
        row("a length of 2^62", frame_header(FIN | TEXT, 1 << 62), too_large()),
        row(
            "a frame above `frame-bytes-max`, announced",
            frame_header(FIN | TEXT, (4 << 20) + 1),
            too_large(),
        ),
        row("a frame above `frame-bytes-max`, whole", whole_too_large, too_large()),
        row(
            "a message above `frame-bytes-max` in fragments",
            fragments(&[&[b' '; 1 << 20][..]; 5]),
            too_large(),
        ),
        row("a binary frame", frame(FIN | BINARY, PUBLISH), Answer::violation("binary")),
    ];
    for (list, name) in
        [(MSGPACK, "a text frame under MessagePack"), (CBOR, "a text frame under CBOR")]
    {
        let sent = Sent::Bytes(frame(FIN | TEXT, PUBLISH));
        rows.push(Row::new(name, On::Session(list), sent, Answer::violation("text")));
    }
    rows.push(Row::new(
        "a frame without a mask",
        On::Upgraded(JSON),
        Sent::Bytes(unmasked(HELLO)),
        framing(),
    ));
    rows.push(Row::new(
        "text that is not UTF-8",
        On::Upgraded(JSON),
        Sent::Bytes(frame(FIN | TEXT, b"\xff")),
        framing(),
    ));
    rows.push(Row::new(
        "a message above 16 KiB before WELCOME",
        On::Upgraded(JSON),
        Sent::Bytes(frame(FIN | TEXT, &[b' '; 17 << 10])),
        too_large(),
    ));
    rows.push(Row::new(
        "16 KiB and more of a message before WELCOME",
        On::Upgraded(JSON),
        Sent::Bytes([frame_header(FIN | TEXT, 4 << 20), vec![b' '; 17 << 10]].concat()),
        too_large(),
    ));
    let cut = frame(FIN | TEXT, PUBLISH);
    let gone = || Answer::ends("ends", "disconnected");
    rows.extend([
        Row { hangs_up: true, ..row("half of a frame, then the end", cut[..20].to_vec(), gone()) },
        Row { hangs_up: true, ..row("half of a header, then the end", cut[..3].to_vec(), gone()) },
        Row { hangs_up: true, ..row("the end, without GOODBYE", Vec::new(), gone()) },
    ]);
    rows
}

/// What looks odd and is allowed, and how the entry closes.
fn odd() -> Vec<Row> {
    let close =
        |code: u16, reason: &[u8]| frame(FIN | CLOSE, &[&code.to_be_bytes()[..], reason].concat());
    let closed = |text| Answer::ends(text, "disconnected");
    let mut flood = frame(TEXT, b"");
    for _empty in 0..10_000 {
        flood.extend(frame(CONTINUATION, b""));
    }
    flood.extend(frame(FIN | CONTINUATION, PUBLISH));
    let mut long_form = vec![FIN | TEXT, 0x80 | 127];
    let plain = frame(FIN | TEXT, PUBLISH);
    long_form.extend_from_slice(&(PUBLISH.len() as u64).to_be_bytes());
    long_form.extend_from_slice(&plain[2..]);
    vec![
        row("a close frame without a code", frame(FIN | CLOSE, b""), closed("close")),
        row("close code 1000", close(1000, b""), closed("close 1000")),
        row("close code 999", close(999, b""), closed("close 1002")),
        row("close code 1005, which none may send", close(1005, b""), closed("close 1002")),
        row("close code 65535", close(65535, b""), closed("close 1002")),
        row("a close reason that is not UTF-8", close(1000, b"\xff"), framing()),
        row(
            "a PUBLISH after the close frame",
            [close(1000, b""), message_frame("wamp.2.json", r#"[16,1,{},"a.b"]"#)].concat(),
            closed("close 1000"),
        ),
        row("an empty message", frame(FIN | TEXT, b""), Answer::violation("not_json")),
        row("a ping of 125 bytes", frame(FIN | PING, &[0; 125]), Answer::taken("pong")),
        row("a pong nobody asked for", frame(FIN | 10, b"x"), Answer::taken("no answer")),
        row(
            "a PUBLISH in fragments, a ping between them",
            [
                frame(TEXT, &PUBLISH[..9]),
                frame(FIN | PING, b""),
                frame(FIN | CONTINUATION, &PUBLISH[9..]),
            ]
            .concat(),
            Answer::taken("pong, PUBLISHED"),
        ),
        row("a PUBLISH in 10000 empty fragments and one", flood, Answer::taken("PUBLISHED")),
        row("a length in more bytes than needed", long_form, Answer::taken("PUBLISHED")),
    ]
}
