//! Clients that keep the entry waiting.

use std::time::Duration;

use vixen_runtime::config::Limits;

use crate::peer::{FIN, TEXT, frame};
use crate::row::{Answer, JSON, MSGPACK, On, Row, Sent};

/// Short, for the test waits for the entry to give up; and no shorter, for on a busy machine those who
/// behave are slow as well.
pub(crate) fn limits(limits: &mut Limits) {
    limits.hello_timeout = Duration::from_secs(3);
    limits.keep_alive_interval = Duration::from_millis(500);
    limits.keep_alive_timeout = Duration::from_secs(6);
    limits.unfinished_timeout = Duration::from_secs(8);
}

pub(crate) fn rows() -> Vec<Row> {
    let hello = frame(FIN | TEXT, br#"[1,"realm1",{"roles":{"publisher":{}}}]"#);
    let publish = frame(FIN | TEXT, br#"[16,1,{},"a.b",["something long enough to cut"]]"#);
    let late = || Answer::ends("close 1013", "hello_timeout");
    let gone = || Answer::ends("close 1013", "keep_alive_timeout");
    let silence = || Sent::Bytes(Vec::new());
    let head = b"GET /ws HTTP/1.1\r\nhost: localhost\r\nupgrade: webso".to_vec();
    let mut rows = vec![
        Row::new("silence", On::Port, silence(), Answer::silent()),
        Row::new(
            "half of a handshake, then silence",
            On::Port,
            Sent::Bytes(head),
            Answer::silent(),
        ),
        Row::new("silence", On::Upgraded(JSON), silence(), late()),
        Row::new("silence", On::Upgraded(MSGPACK), silence(), late()),
        Row::new(
            "half of a HELLO, then silence",
            On::Upgraded(JSON),
            Sent::Bytes(hello[..20].to_vec()),
            late(),
        ),
        Row::new(
            "a thousand pongs and no HELLO",
            On::Upgraded(JSON),
            Sent::Bytes(frame(FIN | 10, b"").repeat(1000)),
            late(),
        ),
        Row::new("silence, pings not answered", On::Session(JSON), silence(), gone()),
        Row::new(
            "half of a PUBLISH, then silence",
            On::Session(JSON),
            Sent::Bytes(publish[..20].to_vec()),
            gone(),
        ),
        Row::new(
            "the header of a long frame, then silence",
            On::Session(JSON),
            Sent::Bytes(crate::peer::frame_header(FIN | TEXT, 1 << 20)),
            gone(),
        ),
        Row::new(
            "half of a body for `/publish`, then silence",
            On::Port,
            Sent::Bytes(
                b"POST /publish HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"
                    .to_vec(),
            ),
            Answer::http("408 wamp.close.timeout", "closes"),
        ),
    ];
    for row in &mut rows {
        row.group = "Waiting";
    }
    rows
}
