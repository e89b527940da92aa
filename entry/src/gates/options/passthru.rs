//! Options of payload passthru mode, which are the same for messages, calls and their answers (WAMP spec *Payload
//! Passthru Mode*).

use serde::Deserialize;
use serde_json::value::RawValue;

use vixen_core::segment::Passthru;

use crate::gates::raw::decode_string;
use crate::gates::refusal::OptionError;

#[derive(Deserialize)]
struct RawPassthru<'a> {
    #[serde(borrow)]
    ppt_scheme: Option<&'a RawValue>,
    #[serde(borrow)]
    ppt_serializer: Option<&'a RawValue>,
    #[serde(borrow)]
    ppt_cipher: Option<&'a RawValue>,
    #[serde(borrow)]
    ppt_keyid: Option<&'a RawValue>,
}

/// Reads them from the raw dictionary that has all options. An empty scheme is none, as the specification has it.
///
/// # Errors
/// One of them is malformed, or there is no scheme where others are.
pub(super) fn passthru_of(raw: &str) -> Result<Option<Box<Passthru>>, OptionError> {
    // Hardly anybody has them; a key may be written with escapes.
    if !raw.contains("ppt_") && !raw.contains('\\') {
        return Ok(None);
    }
    let options: RawPassthru<'_> =
        serde_json::from_str(raw).map_err(|_twice| OptionError::Twice)?;
    let scheme = text("ppt_scheme", options.ppt_scheme)?.filter(|scheme| !scheme.is_empty());
    let serializer = text("ppt_serializer", options.ppt_serializer)?;
    let cipher = text("ppt_cipher", options.ppt_cipher)?;
    let keyid = text("ppt_keyid", options.ppt_keyid)?;
    match scheme {
        Some(scheme) if Passthru::is_scheme(&scheme) => {
            Ok(Some(Box::new(Passthru { scheme, serializer, cipher, keyid })))
        }
        None if serializer.is_none() && cipher.is_none() && keyid.is_none() => Ok(None),
        Some(_) | None => Err(OptionError::Invalid("ppt_scheme")),
    }
}

fn text(name: &'static str, raw: Option<&RawValue>) -> Result<Option<String>, OptionError> {
    let Some(raw) = raw else { return Ok(None) };
    let text = decode_string(raw.get()).filter(|text| text.len() <= Passthru::TEXT_BYTES_MAX);
    text.map(|text| Some(text.into_owned())).ok_or(OptionError::Invalid(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_and_go_on_as_they_came() {
        for raw in [
            "{}",
            r#"{"x":1}"#,
            r#"{"ppt_scheme":null}"#,
            r#"{"ppt_scheme":""}"#,
            r#"{"\u0061":1}"#,
        ] {
            assert_eq!(passthru_of(raw), Ok(None), "{raw}");
        }
        let all = r#"{"progress":true,"ppt_scheme":"wamp","ppt_serializer":"cbor","ppt_cipher":"aes256gcm","ppt_keyid":"0xé"}"#;
        let some = |text: &str| Some(text.to_owned());
        let wanted = Passthru {
            scheme: "wamp".to_owned(),
            serializer: some("cbor"),
            cipher: some("aes256gcm"),
            keyid: some("0xé"),
        };
        assert_eq!(passthru_of(all), Ok(Some(Box::new(wanted))));
        let escaped = passthru_of(r#"{"\u0070pt_scheme":"x_a"}"#).expect("good").expect("some");
        assert_eq!((&*escaped.scheme, escaped.serializer), ("x_a", None));
    }

    #[test]
    fn a_bad_one_is_named() {
        let long = format!(r#"{{"ppt_scheme":"wamp","ppt_keyid":"{}"}}"#, "k".repeat(257));
        for (raw, name) in [
            (r#"{"ppt_scheme":"wamp.eth"}"#, "ppt_scheme"),
            (r#"{"ppt_scheme":7}"#, "ppt_scheme"),
            (r#"{"ppt_serializer":"cbor"}"#, "ppt_scheme"),
            (r#"{"ppt_scheme":"","ppt_keyid":"k"}"#, "ppt_scheme"),
            (r#"{"ppt_scheme":"wamp","ppt_serializer":[]}"#, "ppt_serializer"),
            (r#"{"ppt_scheme":"wamp","ppt_cipher":true}"#, "ppt_cipher"),
            (&long, "ppt_keyid"),
        ] {
            assert_eq!(passthru_of(raw), Err(OptionError::Invalid(name)), "{raw}");
        }
        let twice = r#"{"ppt_scheme":"wamp","ppt_scheme":"wamp"}"#;
        assert_eq!(passthru_of(twice), Err(OptionError::Twice));
    }
}
