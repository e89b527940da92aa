//! Payloads for people and programs that read JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;

use super::scan::json_text;
use super::split::{Parts, split};
use super::{PayloadError, transcode, transcode_value};
use crate::segment::{Content, Encoding};

/// The parts of a payload as JSON text, UTF-8: verbatim where it is, else written to `scratch`, which loses
/// what it had.
///
/// # Errors
/// The payload is not what it should be, or has no form in JSON. JSON itself is looked into as far
/// as [`split`] does, and is UTF-8.
pub fn as_json<'a>(
    payload: &'a [u8],
    content: impl Into<Content>,
    scratch: &'a mut BytesMut,
) -> Result<Parts<'a>, PayloadError> {
    let encoding = match content.into() {
        Content::Arguments(encoding) => encoding,
        Content::Raw => {
            scratch.clear();
            transcode(payload, Content::Raw, Encoding::Json, scratch)?;
            return Ok((Some(scratch), None));
        }
        Content::Later(number) => return Err(PayloadError::Later { number }),
    };
    let (args, kwargs) = split(payload, encoding)?;
    if encoding == Encoding::Json {
        json_text(payload)?;
        return Ok((args, kwargs));
    }
    scratch.clear();
    let Some(args) = args else { return Ok((None, None)) };
    transcode_value(args, encoding, Encoding::Json, scratch)?;
    let args_bytes = scratch.len();
    if let Some(kwargs) = kwargs {
        transcode_value(kwargs, encoding, Encoding::Json, scratch)?;
    }
    let (args, written) = scratch.split_at(args_bytes);
    Ok((Some(args), kwargs.map(|_| written)))
}

/// Members of a JSON object that show a payload of which no JSON can be made:
/// `"encoding":"cbor","base64":"…"`.
#[must_use]
pub fn opaque_members(payload: &[u8], content: impl Into<Content>) -> String {
    let base64 = STANDARD.encode(payload);
    format!("\"encoding\":\"{}\",\"base64\":\"{base64}\"", content.into())
}
