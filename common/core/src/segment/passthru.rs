//! Payload passthru: what is said of a payload that the router does not look into.
//!
//! Source: WAMP spec *Payload Passthru Mode*. The payload is one value, packed or encrypted by who sends it for
//! who reads it; its options go with it, as they came.

use serde::{Deserialize, Serialize};

/// Options of payload passthru mode, passed on as they came. Stored in postcard, as attribute 2 of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passthru {
    /// `ppt_scheme`.
    pub scheme: String,
    /// `ppt_serializer`.
    pub serializer: Option<String>,
    /// `ppt_cipher`.
    pub cipher: Option<String>,
    /// `ppt_keyid`.
    pub keyid: Option<String>,
}

impl Passthru {
    /// Longest of its texts, in bytes. A key's id of the specification has 42.
    pub const TEXT_BYTES_MAX: usize = 256;

    /// Its options by the names of the specification, as far as they were given.
    pub fn options(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Self { scheme, serializer, cipher, keyid } = self;
        let all = [
            ("ppt_scheme", Some(scheme)),
            ("ppt_serializer", serializer.as_ref()),
            ("ppt_cipher", cipher.as_ref()),
            ("ppt_keyid", keyid.as_ref()),
        ];
        all.into_iter().filter_map(|(name, text)| text.map(|text| (name, text.as_str())))
    }

    /// Whether the specification knows the scheme, or leaves it to applications.
    #[must_use]
    pub fn is_scheme(scheme: &str) -> bool {
        matches!(scheme, "wamp" | "mqtt")
            || scheme.strip_prefix("x_").is_some_and(|own| !own.is_empty())
    }

    /// Whether the one value of the payload is bytes. Where nothing was packed before, with the serializer of the
    /// session alone (`native`), it may be any.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        self.cipher.is_some() || self.serializer.as_deref().is_some_and(|name| name != "native")
    }

    /// What its texts take, in bytes.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.options().map(|(_, text)| text.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_those_of_the_specification_and_of_applications() {
        for scheme in ["wamp", "mqtt", "x_my_ppt", "x_1"] {
            assert!(Passthru::is_scheme(scheme), "{scheme}");
        }
        for scheme in ["", "x_", "X_my", "wamp.eth", "amqp", "my"] {
            assert!(!Passthru::is_scheme(scheme), "{scheme}");
        }
    }

    #[test]
    fn a_payload_is_packed_where_a_serializer_or_a_cipher_was_at_it() {
        let of = |serializer: Option<&str>, cipher: Option<&str>| Passthru {
            scheme: "x_a".to_owned(),
            serializer: serializer.map(str::to_owned),
            cipher: cipher.map(str::to_owned),
            keyid: Some("k".to_owned()),
        };
        assert!(!of(None, None).is_packed() && !of(Some("native"), None).is_packed());
        assert!(of(Some("cbor"), None).is_packed() && of(None, Some("aes256gcm")).is_packed());
        assert!(of(Some("native"), Some("aes256gcm")).is_packed());
        let of_cbor = of(Some("cbor"), None);
        let wanted = [("ppt_scheme", "x_a"), ("ppt_serializer", "cbor"), ("ppt_keyid", "k")];
        assert_eq!(of_cbor.options().collect::<Vec<_>>(), wanted);
        assert_eq!(of_cbor.text_bytes(), 8);
    }
}
