//! One secret.

use std::fmt;

/// A secret of the cluster or of a user. It has no `Display`, and `Debug` does not show it, so that it does not end
/// up in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The shortest secret, in characters.
    pub const CHARS_MIN: usize = 8;

    pub(super) fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (text.chars().count() >= Self::CHARS_MIN).then_some(Self(text))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// The bytes to key a proof with.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
