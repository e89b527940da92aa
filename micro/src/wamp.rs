//! A session that takes frames, up to what the broker would get.

use vixen_entry::gates::wamp::fuzz::{hello, take_frames};

use crate::Case;

/// Of one doing, beside the HELLO.
pub(crate) const MESSAGES: usize = 100;

const SUBPROTOCOL: &str = "wamp.2.json";

/// A HELLO and PUBLISH frames of 128 bytes of payload.
pub(crate) fn publish_json() -> Case {
    let frames = (1..=MESSAGES).map(|request| {
        let text = "x".repeat(124);
        format!(r#"[16,{request},{{"acknowledge":true}},"com.example.topic",["{text}"]]"#)
    });
    let hello = hello(SUBPROTOCOL);
    let frames: Vec<Vec<u8>> =
        std::iter::once(hello).chain(frames.map(String::into_bytes)).collect();
    Box::new(move || {
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        take_frames(SUBPROTOCOL, &frames).len()
    })
}
