mod deep;
mod random;
mod scan;
mod semantics;
mod vectors;
mod write;

use bytes::BytesMut;

use super::{PayloadError, transcode, transcode_value};
use crate::segment::Encoding;

const ALL: [Encoding; 3] = [Encoding::Json, Encoding::MsgPack, Encoding::Cbor];

/// Bytes of hexadecimal digits, with spaces for the eye.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("digits");
        u8::from_str_radix(pair, 16).expect("two digits")
    };
    digits.chunks(2).map(byte).collect()
}

fn value(bytes: &[u8], from: Encoding, to: Encoding) -> Result<Vec<u8>, PayloadError> {
    let mut out = BytesMut::from(&b"before"[..]);
    let result = transcode_value(bytes, from, to, &mut out);
    assert!(out.starts_with(b"before") && (result.is_ok() || out.len() == 6));
    result.map(|()| out[6..].to_vec())
}

fn payload(bytes: &[u8], from: Encoding, to: Encoding) -> Result<Vec<u8>, PayloadError> {
    let mut out = BytesMut::new();
    let result = transcode(bytes, from, to, &mut out);
    assert!(result.is_ok() || out.is_empty());
    result.map(|()| out.to_vec())
}

fn json_of(bytes: &[u8], from: Encoding) -> Result<String, PayloadError> {
    let json = value(bytes, from, Encoding::Json)?;
    Ok(String::from_utf8(json).expect("JSON is text"))
}
