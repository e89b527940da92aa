mod deep;
mod random;
mod scan;
mod semantics;
mod tokens;
mod values;
mod vectors;
mod write;

use bytes::BytesMut;

use super::{PayloadError, as_json, has_arguments, transcode, transcode_value};
use crate::segment::{Content, Encoding};

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

#[test]
fn raw_bytes_are_the_one_argument_of_whoever_reads_arguments() {
    let said = |bytes: &[u8], to| {
        let mut out = BytesMut::new();
        transcode(bytes, Content::Raw, to, &mut out).expect("always");
        out.to_vec()
    };
    assert_eq!(said(b"\x01", Encoding::Json), br#"["\u0000AQ=="]"#);
    assert_eq!(said(b"\x01", Encoding::MsgPack), b"\x91\xc4\x01\x01");
    assert_eq!(said(b"\x01", Encoding::Cbor), b"\x81\x41\x01");
    assert_eq!(said(b"", Encoding::Json), br#"["\u0000"]"#);
    let mut scratch = BytesMut::from(&b"before"[..]);
    let parts = as_json(b"\x01", Content::Raw, &mut scratch);
    assert_eq!(parts, Ok((Some(&br#"["\u0000AQ=="]"#[..]), None)));
    assert!(has_arguments(b"", Content::Raw) && !has_arguments(b"", Encoding::Cbor.into()));
}

#[test]
fn what_a_later_version_wrote_has_no_form() {
    let later = Err(PayloadError::Later { number: 9 });
    let mut out = BytesMut::from(&b"before"[..]);
    assert_eq!(transcode(b"x", Content::Later(9), Encoding::Cbor, &mut out), later);
    assert_eq!(&out[..], b"before");
    assert_eq!(as_json(b"x", Content::Later(9), &mut out).map(|_| ()), later);
}
