//! The forms of the values in `[[realm]]`.

use vixen_core::segment::Match;

use super::super::value::Value;
use super::pattern::is_uri;
use super::{AUTH_NAME_BYTES_MAX, Disclosure, SecretKey};

/// A realm.
pub(super) struct Realm(pub(super) String);

impl Value for Realm {
    const FORM: &'static str = "a URI such as \"realm1\" or \"com.example.plant\"";

    fn from_text(text: &str) -> Option<Self> {
        (text.len() <= AUTH_NAME_BYTES_MAX && is_uri(text)).then(|| Self(text.to_owned()))
    }
}

/// A procedure that somebody can register.
pub(super) struct Procedure(pub(super) String);

impl Value for Procedure {
    const FORM: &'static str =
        "a procedure such as \"com.example.authorize\", which does not begin with \"wamp.\"";

    fn from_text(text: &str) -> Option<Self> {
        let is_good = text.len() <= AUTH_NAME_BYTES_MAX && is_uri(text);
        (is_good && !text.starts_with("wamp.")).then(|| Self(text.to_owned()))
    }
}

/// An authid or a role.
pub(super) struct AuthName(pub(super) String);

impl Value for AuthName {
    const FORM: &'static str = "a text of 1 to 256 bytes without control characters";

    fn from_text(text: &str) -> Option<Self> {
        let is_good = (1..=AUTH_NAME_BYTES_MAX).contains(&text.len());
        (is_good && !text.chars().any(char::is_control)).then(|| Self(text.to_owned()))
    }
}

/// A pattern, checked together with `match`.
pub(super) struct PatternText(pub(super) String);

impl Value for PatternText {
    const FORM: &'static str = "a topic or a pattern in quotes, such as \"com.example.*\"";

    fn from_text(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }
}

impl Value for Match {
    const FORM: &'static str = "\"exact\", \"prefix\" or \"wildcard\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "exact" => Some(Self::Exact),
            "prefix" => Some(Self::Prefix),
            "wildcard" => Some(Self::Wildcard),
            _ => None,
        }
    }
}

impl Value for Disclosure {
    const FORM: &'static str = "\"never\", \"on-request\" or \"always\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "never" => Some(Self::Never),
            "on-request" => Some(Self::OnRequest),
            "always" => Some(Self::Always),
            _ => None,
        }
    }
}

/// Which function makes SCRAM's keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum KdfName {
    Pbkdf2,
    Argon2id13,
    Argon2id13Text,
}

impl Value for KdfName {
    const FORM: &'static str = "\"argon2id13\", \"argon2id-13\" (Crossbar's) or \"pbkdf2\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "pbkdf2" => Some(Self::Pbkdf2),
            "argon2id13" => Some(Self::Argon2id13),
            "argon2id-13" => Some(Self::Argon2id13Text),
            _ => None,
        }
    }
}

/// SCRAM's salt.
pub(super) struct Salt(pub(super) Vec<u8>);

impl Value for Salt {
    const FORM: &'static str = "8 to 64 bytes in hex";

    fn from_text(text: &str) -> Option<Self> {
        hex::decode(text).ok().filter(|salt| (8..=64).contains(&salt.len())).map(Self)
    }
}

impl Value for SecretKey {
    const FORM: &'static str = "32 bytes in hex, as `vixen-entry passwd` prints them";
    const IS_SECRET: bool = true;

    fn from_text(text: &str) -> Option<Self> {
        let mut key = [0; 32];
        hex::decode_to_slice(text, &mut key).ok()?;
        Some(Self(key))
    }
}

/// Ed25519 public keys that a signature can be checked with.
pub(super) struct PublicKeys(pub(super) Vec<[u8; 32]>);

impl Value for PublicKeys {
    const FORM: &'static str = "a list of Ed25519 public keys, each 32 bytes in hex";

    fn from_text(_text: &str) -> Option<Self> {
        None
    }

    fn from_file(value: &toml::Value) -> Option<Self> {
        let keys = value.as_array()?.iter().map(|key| public_key(key.as_str()?));
        keys.collect::<Option<Vec<_>>>().filter(|keys| !keys.is_empty()).map(Self)
    }
}

fn public_key(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).ok()?;
    // A weak key has signatures that anyone can make.
    let point = ed25519_dalek::VerifyingKey::from_bytes(&key).ok()?;
    (!point.is_weak()).then_some(key)
}
