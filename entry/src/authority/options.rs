//! Options as authorizers are told them: made anew from those that are known here, so that what a client says beside
//! them goes to nobody, and bounded.

use std::fmt;
use std::sync::Arc;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use vixen_broker::access::Act;

use crate::gates::refusal::OptionError;

/// Options of more bytes are refused: no list of sessions is to fill the queue of who decides about all others.
/// [`OptionError::TooLong`] says how many.
const OPTIONS_BYTES_MAX: usize = 4096;

/// Those that mean something, by what they are for.
const fn known(act: Act) -> &'static [&'static str] {
    match act {
        Act::Publish => &[
            "acknowledge",
            "ack",
            "exclude_me",
            "disclose_me",
            "exclude",
            "exclude_authid",
            "exclude_authrole",
            "eligible",
            "eligible_authid",
            "eligible_authrole",
            "_wait",
            "ppt_scheme",
            "ppt_serializer",
            "ppt_cipher",
            "ppt_keyid",
        ],
        // Without `match`, which is told as it is done (`words`).
        Act::Subscribe => &["after", "limit", "snapshot"],
        Act::Call => &[
            "timeout",
            "receive_progress",
            "progress",
            "disclose_me",
            "rkey",
            "ppt_scheme",
            "ppt_serializer",
            "ppt_cipher",
            "ppt_keyid",
        ],
        Act::Register => &["invoke", "concurrency", "force_reregister", "forward_timeout"],
    }
}

/// What an authorizer is told of options, a JSON object that was read before. What is null is left out, as it means
/// nothing.
///
/// # Errors
/// What is known of them is longer than an authorizer is told.
pub(crate) fn told(act: Act, raw: &str) -> Result<Arc<str>, OptionError> {
    if raw == "{}" {
        return Ok("{}".into());
    }
    let known = known(act);
    let mut values = vec![None; known.len()];
    let mut reader = serde_json::Deserializer::from_str(raw);
    // What cannot be read was refused before; nobody is let by because of it.
    reader
        .deserialize_map(Values { known, values: &mut values })
        .map_err(|_unreadable| OptionError::TooLong)?;
    let mut told = String::from("{");
    for (key, value) in known.iter().zip(values) {
        let Some(value) = value.filter(|value| *value != "null") else { continue };
        if told.len() + key.len() + value.len() > OPTIONS_BYTES_MAX {
            return Err(OptionError::TooLong);
        }
        let comma = if told.len() > 1 { "," } else { "" };
        told.extend([comma, "\"", key, "\":", value]);
    }
    told.push('}');
    Ok(told.into())
}

/// Options that were made here, unless they are more than an authorizer is told.
///
/// # Errors
/// They are.
pub(crate) fn bounded(options: String) -> Result<Arc<str>, OptionError> {
    if options.len() > OPTIONS_BYTES_MAX { Err(OptionError::TooLong) } else { Ok(options.into()) }
}

/// Takes the values of known keys, as they stand.
struct Values<'v, 'de> {
    known: &'static [&'static str],
    values: &'v mut [Option<&'de str>],
}

impl<'de> Visitor<'de> for Values<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a dictionary")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(place)) = map.next_key_seed(KeyOf(self.known))? {
            let slot = match place {
                Some(place) => self.values.get_mut(place),
                None => None,
            };
            match slot {
                Some(slot) => *slot = Some(map.next_value::<&'de RawValue>()?.get()),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Which of the known keys one is.
struct Key(Option<usize>);

struct KeyOf(&'static [&'static str]);

impl<'de> serde::de::DeserializeSeed<'de> for KeyOf {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyOf {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        Ok(Key(self.0.iter().position(|known| *known == key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(act: Act, raw: &str) -> String {
        told(act, raw).expect("short").to_string()
    }

    #[test]
    fn an_authorizer_is_told_what_is_known_and_nothing_beside() {
        let deep = format!(r#"{{"x":{}{},"limit":7}}"#, "[".repeat(50_000), "]".repeat(50_000));
        let large = format!(r#"{{"x":"{}","\u006cimit":7}}"#, "y".repeat(1 << 20));
        let table = [
            (Act::Subscribe, "{}", "{}"),
            (Act::Subscribe, r#"{"limit":7, "match" : "prefix","y":{}}"#, r#"{"limit":7}"#),
            (Act::Subscribe, r#"{"limit":null,"after":null}"#, "{}"),
            (Act::Subscribe, &deep, r#"{"limit":7}"#),
            (Act::Subscribe, &large, r#"{"limit":7}"#),
            (Act::Publish, r#"{"match":"prefix","acknowledge":true}"#, r#"{"acknowledge":true}"#),
            (Act::Publish, r#"{"eligible":[1,2]}"#, r#"{"eligible":[1,2]}"#),
            (Act::Call, r#"{"rkey":"\u0061","timeout":5}"#, r#"{"timeout":5,"rkey":"\u0061"}"#),
            (
                Act::Register,
                r#"{"force_reregister":true,"invoke":"first"}"#,
                r#"{"invoke":"first","force_reregister":true}"#,
            ),
        ];
        for (act, raw, wanted) in table {
            assert_eq!(said(act, raw), wanted);
        }
    }

    #[test]
    fn what_is_known_is_bounded() {
        let list = |sessions: usize| format!(r#"{{"exclude":[{}1]}}"#, "1,".repeat(sessions));
        assert_eq!(said(Act::Publish, &list(1_000)), list(1_000));
        assert_eq!(told(Act::Publish, &list(OPTIONS_BYTES_MAX)), Err(OptionError::TooLong));
    }

    /// Each option that is read is told: one that is added later is to be added here.
    #[test]
    fn options_that_are_read_are_known() {
        use crate::gates::options::{
            call_options, publish_options, register_options, subscribe_options,
        };
        use vixen_core::time::WallTime;
        // One that is read is refused with another type.
        for act in [Act::Publish, Act::Subscribe, Act::Call, Act::Register] {
            for key in known(act) {
                let raw = format!(r#"{{"{key}":[{{}}],"ppt_scheme":"x_a"}}"#);
                let raw = if *key == "ppt_scheme" {
                    raw.replace(r#","ppt_scheme":"x_a""#, "")
                } else {
                    raw
                };
                let is_read = match act {
                    Act::Publish => publish_options(&raw).is_err(),
                    Act::Subscribe => subscribe_options(&raw, WallTime(0)).is_err(),
                    Act::Call => call_options(&raw).is_err(),
                    Act::Register => register_options(&raw).is_err(),
                };
                assert!(is_read, "{key} of {act:?}");
            }
        }
    }
}
