//! Arguments and keyword arguments of a payload.

use super::event::{Event, Source, skip};
use super::scan::{Elements, Kind, ScanError};
use super::{PayloadError, cbor, json, msgpack, scan};
use crate::segment::Encoding;

/// `Arguments` and `ArgumentsKw`, where the publisher gave them.
pub type Parts<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// Cuts a payload into `Arguments` (a list) and `ArgumentsKw` (a dictionary), each as it stands,
/// without the white space around it.
///
/// # Errors
/// The payload is not empty, a list, or a list and a dictionary. MessagePack and CBOR are checked
/// whole; JSON, of which the entry that took the message has checked all, only as far as the cut
/// needs.
pub fn split(payload: &[u8], encoding: Encoding) -> Result<Parts<'_>, PayloadError> {
    if payload.is_empty() {
        return Ok((None, None));
    }
    let (args, kwargs) = match encoding {
        Encoding::Json => split_json(payload)?,
        Encoding::MsgPack | Encoding::Cbor => {
            let end = end_of(payload, 0, encoding, Kind::List)?;
            let (args, kwargs) = payload.split_at(end);
            if !kwargs.is_empty() {
                let end = end_of(payload, end, encoding, Kind::Map)?;
                if end < payload.len() {
                    return Err(PayloadError::TrailingBytes { at: end });
                }
            }
            (args, kwargs)
        }
    };
    Ok((Some(args), Some(kwargs).filter(|kwargs| !kwargs.is_empty())))
}

/// The one value of a payload that has no other, and no keyword arguments but an empty dictionary: what it is.
///
/// # Errors
/// As for [`split`].
pub fn sole_value(payload: &[u8], encoding: Encoding) -> Result<Option<Kind>, PayloadError> {
    let (Some(args), kwargs) = split(payload, encoding)? else { return Ok(None) };
    if let Some(kwargs) = kwargs
        && !is_empty(kwargs, encoding)?
    {
        return Ok(None);
    }
    match Elements::parse(args, encoding) {
        Ok(elements) if elements.count() == 1 => Ok(elements.kind(0)),
        Ok(_) | Err(ScanError::NotList) => Ok(None),
        Err(ScanError::Malformed(error)) => Err(error),
    }
}

/// Whether nothing is in a dictionary.
fn is_empty(dict: &[u8], encoding: Encoding) -> Result<bool, PayloadError> {
    fn second<'a>(mut source: impl Source<'a>) -> Result<bool, PayloadError> {
        source.next()?;
        Ok(matches!(source.next()?.map(|item| item.event), Some(Event::End { .. })))
    }
    match encoding {
        Encoding::Json => second(json::Reader::new(scan::json_text(dict)?, 0)),
        Encoding::MsgPack => second(msgpack::Reader::new(dict, 0)),
        Encoding::Cbor => second(cbor::Reader::new(dict, 0)),
    }
}

/// Where the binary value at `at` ends.
fn end_of(
    payload: &[u8],
    at: usize,
    encoding: Encoding,
    wanted: Kind,
) -> Result<usize, PayloadError> {
    check_kind(payload, at, encoding, wanted)?;
    match encoding {
        // Not asked for: text has a way of its own.
        Encoding::Json => Ok(payload.len()),
        Encoding::MsgPack => skip(msgpack::Reader::new(payload, at)),
        Encoding::Cbor => skip(cbor::Reader::new(payload, at)),
    }
}

/// Checks that the value at `at` is what its place in a PUBLISH asks for.
pub(super) fn check_kind(
    payload: &[u8],
    at: usize,
    encoding: Encoding,
    wanted: Kind,
) -> Result<(), PayloadError> {
    match scan::kind_at(payload, at, encoding)? {
        kind if kind == wanted => Ok(()),
        found => Err(PayloadError::NotArguments { at, found }),
    }
}

/// `kwargs` is empty where there are none.
fn split_json(payload: &[u8]) -> Result<(&[u8], &[u8]), PayloadError> {
    let payload = payload.trim_ascii();
    let malformed = |at| PayloadError::Malformed { encoding: Encoding::Json, at };
    match (payload.first(), payload.last()) {
        // Keyword arguments are an object: nothing is searched for where the end is not one.
        (Some(b'['), Some(b']')) => Ok((payload, &[])),
        (Some(b'['), Some(b'}')) => {
            let end = list_end(payload).ok_or_else(|| malformed(payload.len()))?;
            let comma = json::skip_space(payload, end);
            let (args, rest) = payload.split_at(end);
            let kwargs = rest.trim_ascii_start().strip_prefix(b",").map(<[u8]>::trim_ascii_start);
            let kwargs = kwargs.filter(|kwargs| kwargs.starts_with(b"{"));
            Ok((args, kwargs.ok_or_else(|| malformed(comma))?))
        }
        _other => Err(malformed(0)),
    }
}

/// The byte after the list at the front.
fn list_end(text: &[u8]) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'"' => at = string_end(text, at + 1)?,
            _other => {}
        }
        at += 1;
    }
}

/// Where the string that goes on at `at` has its closing quote.
fn string_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _other => at += 1,
        }
    }
}
