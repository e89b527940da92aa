//! Texts as they stand in what a client sends.

use std::borrow::Cow;

use vixen_broker::access::TopicText;

/// A topic or another text of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawText<'a> {
    /// A JSON string, with its quotes.
    Json(&'a str),
    /// Itself.
    Text(Cow<'a, str>),
}

impl RawText<'_> {
    /// The text; `None` when a JSON string has a lone surrogate.
    pub(crate) fn decode(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Json(raw) => decode_string(raw),
            Self::Text(text) => Some(Cow::Borrowed(text)),
        }
    }
}

impl TopicText for RawText<'_> {
    fn raw(&self) -> &str {
        match self {
            Self::Json(raw) => raw,
            Self::Text(text) => text,
        }
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        self.decode()
    }
}

/// The text of a raw JSON string; `None` for another type, or for a lone surrogate, which no
/// text can hold.
#[must_use]
pub(crate) fn decode_string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_decoded() {
        assert_eq!(decode_string(r#""a.b""#).as_deref(), Some("a.b"));
        assert_eq!(decode_string(r#""a\u002e\u00e9\ud83d\ude00""#).as_deref(), Some("a.é😀"));
        assert_eq!(decode_string(r#""\ud800""#), None);
        assert_eq!(decode_string("7"), None);
    }
}
