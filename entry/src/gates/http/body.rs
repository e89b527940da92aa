//! The bodies of `POST /publish` and `POST /call`, and what is wrong with them, in words for who has sent it.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse as _;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::publish::REALM;
use crate::gates::raw::RawText;
use crate::gates::web::Problem;

/// A body as JSON.
pub(super) trait Form<'a>: Deserialize<'a> {
    /// What to send.
    const EXAMPLE: &'static str;
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The members of a publish, each as it was sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    pub(super) realm: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) topic: &'a RawValue,
    #[serde(borrow)]
    pub(super) args: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) kwargs: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) options: Option<&'a RawValue>,
}

impl<'a> Form<'a> for Body<'a> {
    const EXAMPLE: &'static str =
        r#"send a JSON object such as {"topic": "com.example.hello", "args": ["hello"]}"#;
}

/// The members of a call, each as it was sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallBody<'a> {
    #[serde(borrow)]
    pub(super) realm: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) procedure: &'a RawValue,
    #[serde(borrow)]
    pub(super) args: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) kwargs: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) options: Option<&'a RawValue>,
}

impl<'a> Form<'a> for CallBody<'a> {
    const EXAMPLE: &'static str =
        r#"send a JSON object such as {"procedure": "com.example.add", "args": [1, 2]}"#;
}

/// The realm that a body names, or the one of those that name none.
pub(super) fn realm(raw: Option<&RawValue>) -> Result<String, Problem> {
    let raw = raw.map(|raw| RawText::Json(raw.get()));
    let decoded = match &raw {
        None => return Ok(REALM.to_owned()),
        Some(realm) => realm.decode(),
    };
    let realm = decoded.ok_or_else(|| Problem::bad_request("realm is not a text"))?;
    Ok(realm.into_owned())
}

/// The payload of a message with these arguments.
pub(super) fn payload(
    args: Option<&RawValue>,
    kwargs: Option<&RawValue>,
) -> Result<Bytes, Problem> {
    let args = match args.map(RawValue::get) {
        Some(args) if args.starts_with('[') => Some(args),
        None | Some("null") => None,
        Some(_) => return Err(Problem::bad_request("args are not a list")),
    };
    let kwargs = match kwargs.map(RawValue::get) {
        Some(kwargs) if kwargs.starts_with('{') => Some(kwargs),
        None | Some("null") => None,
        Some(_) => return Err(Problem::bad_request("kwargs are not an object")),
    };
    let payload = match (args, kwargs) {
        (None, None) => String::new(),
        (Some(args), None) => args.to_owned(),
        (args, Some(kwargs)) => format!("{},{kwargs}", args.unwrap_or("[]")),
    };
    Ok(payload.into())
}

/// Why the body did not come.
pub(super) fn not_received(rejection: BytesRejection, bytes_max: usize) -> Problem {
    if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
        let message = format!(
            "the body has more than {bytes_max} bytes, as many as limits.frame-bytes-max allows"
        );
        let uri = "wamp.error.payload_size_exceeded";
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, uri, &message);
    }
    Problem::bad_request("the body broke off, or is not sent as HTTP/1.1 wants it")
}

/// Refuses what is coded, before it is read.
///
/// # Errors
/// The body is compressed, or of several parts.
pub(super) fn check_headers(headers: &HeaderMap) -> Result<(), Problem> {
    let coding = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
    if coding.is_some_and(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
    {
        let message = "the body is compressed (Content-Encoding): send it as it is";
        let identity = HeaderValue::from_static("identity");
        return Err(Problem::unsupported(message).with_header(header::ACCEPT_ENCODING, identity));
    }
    if text_of(headers, "content-type").starts_with("multipart/") {
        return Err(Problem::unsupported("the body is of several parts: send one JSON object"));
    }
    Ok(())
}

/// Reads the body.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse<'a, T: Form<'a>>(headers: &HeaderMap, body: &'a [u8]) -> Result<T, Problem> {
    // RFC 8259 §8.1 lets a reader ignore it.
    let body = body.strip_prefix(BOM).unwrap_or(body);
    if let Some(what) = coded(body) {
        return Err(Problem::unsupported(&format!("the body is {what}: send JSON in UTF-8")));
    }
    let content_type = text_of(headers, "content-type");
    let charset = content_type
        .split("charset=")
        .nth(1)
        .map(|rest| rest.split([';', ' ']).next().unwrap_or(rest).trim_matches('"').to_owned());
    if let Some(charset) = charset.filter(|charset| charset != "utf-8" && !body.is_ascii()) {
        return Err(Problem::unsupported(&format!("the body is in {charset}: send JSON in UTF-8")));
    }
    if let Err(error) = std::str::from_utf8(body) {
        let at = error.valid_up_to() + 1;
        let message =
            format!("the body is not UTF-8, which JSON has to be: byte {at} is none of it");
        return Err(Problem::bad_request(&message));
    }
    let is_space = |byte: &&u8| !b" \t\r\n".contains(byte);
    let what = match body.iter().find(is_space) {
        Some(b'{') => return serde_json::from_slice(body).map_err(|error| of_json(&error)),
        None => "empty",
        Some(b'[') => "a list, and not an object",
        Some(b'"') => "a text, and not an object",
        Some(_) => "no JSON object",
    };
    Err(Problem::bad_request(&format!("the body is {what}: {}", T::EXAMPLE)))
}

/// What bytes begin like that are no text in UTF-8.
fn coded(body: &[u8]) -> Option<&'static str> {
    match body {
        [0x1f, 0x8b, ..] => Some("compressed by gzip"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
            Some("in UTF-16 or UTF-32")
        }
        _ => None,
    }
}

fn of_json(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    let message = match error.classify() {
        Category::Data => format!("the body is not as it must be: {what}"),
        Category::Eof => format!("the body ends within its JSON: {what}"),
        Category::Syntax | Category::Io => {
            format!("the body is not JSON at line {line}, column {column}: {what}")
        }
    };
    Problem::bad_request(&message)
}

/// In small letters.
fn text_of(headers: &HeaderMap, name: &str) -> String {
    let text = headers.get(name).and_then(|value| value.to_str().ok());
    text.unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(content_type: &str, body: &[u8]) -> (u16, String) {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().expect("a header"));
        let Err(problem) = parse::<Body<'_>>(&headers, body) else { panic!("{body:?} is taken") };
        let message = problem.object()["message"].as_str().expect("a text").to_owned();
        (problem.status().as_u16(), message)
    }

    #[test]
    fn what_is_wrong_is_told_in_words_of_who_sent_it() {
        let utf16: Vec<_> = "{\"topic\":\"a\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let with_bom = [&[0xff, 0xfe], &utf16[..]].concat();
        let form = "application/x-www-form-urlencoded";
        let json = "application/json";
        let latin = "application/json; charset=ISO-8859-1";
        let table: [(&str, &[u8], u16, &str); 14] = [
            (json, b"", 400, "the body is empty: send a JSON object such as {\"topic\""),
            (json, b" \r\n", 400, "the body is empty"),
            (json, b"[1,2]", 400, "the body is a list, and not an object: send"),
            (json, b"\"x\"", 400, "the body is a text, and not an object"),
            (form, b"topic=a.b&args=1", 400, "the body is no JSON object: send"),
            (json, b"null", 400, "the body is no JSON object"),
            (json, b"{}", 400, "the body is not as it must be: missing field `topic`"),
            (
                json,
                b"{\"topic\":\"a\",\"payload\":1}",
                400,
                "unknown field `payload`, expected one of",
            ),
            (json, b"{\"topic\":\"a\"", 400, "the body ends within its JSON"),
            (json, b"{\"topic\":a}", 400, "the body is not JSON at line 1, column 10: expected"),
            (json, b"{\"topic\":\"\xe9\"}", 400, "not UTF-8, which JSON has to be: byte 11"),
            (latin, b"{\"topic\":\"\xe9\"}", 415, "in iso-8859-1: send JSON in UTF-8"),
            (json, &with_bom, 415, "in UTF-16"),
            (json, b"\x1f\x8b\x08\0", 415, "compressed by gzip"),
        ];
        for (content_type, body, status, words) in table {
            let (told, message) = refused(content_type, body);
            assert_eq!(told, status, "{message}");
            assert!(message.contains(words), "{message}");
        }
        assert_eq!(refused(json, &utf16).0, 415);
    }

    #[test]
    fn what_can_be_read_is_taken() {
        let mut headers = HeaderMap::new();
        let marked: &[u8] = b"\xef\xbb\xbf{\"topic\":\"a\"}";
        for content_type in [
            "application/json",
            "application/json; charset=UTF-8",
            "text/plain;charset=\"utf-8\"",
            "application/json; charset=iso-8859-1",
            "application/x-www-form-urlencoded",
        ] {
            headers.insert(header::CONTENT_TYPE, content_type.parse().expect("a header"));
            for body in [marked, b"\n {\"topic\":\"a\"}\n"] {
                let body: Body<'_> =
                    parse(&headers, body).unwrap_or_else(|problem| panic!("{problem:?}"));
                assert_eq!(body.topic.get(), "\"a\"");
            }
        }
        let accented = "{\"topic\":\"\u{e9}\"}".as_bytes();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("a/b; charset=utf-8"));
        assert!(parse::<Body<'_>>(&headers, accented).is_ok());
    }

    #[test]
    fn coded_bodies_are_refused_by_their_headers() {
        let check = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            check_headers(&headers).map_err(|problem| problem.status().as_u16())
        };
        assert_eq!(check("content-encoding", "gzip"), Err(415));
        assert_eq!(check("content-encoding", "identity"), Ok(()));
        assert_eq!(check("content-type", "Multipart/form-data; boundary=x"), Err(415));
        assert_eq!(check("content-type", "application/json"), Ok(()));
    }
}
