//! Options and details: the dictionaries beside the payload. Unknown keys are ignored and null
//! counts as absent.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{Ending, Refusal, Violation};

/// What a PUBLISH asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PublishOptions {
    /// Answer with PUBLISHED or ERROR.
    pub acknowledge: bool,
    /// Do not send the event back to its publisher.
    pub exclude_me: bool,
    /// `_wait`, an attribute of this implementation: answer with the message's place only, however
    /// long that takes, and never with an error for lack of a quorum.
    pub wait: bool,
}

#[derive(Deserialize)]
struct RawPublishOptions<'a> {
    #[serde(borrow)]
    acknowledge: Option<&'a RawValue>,
    #[serde(borrow)]
    exclude_me: Option<&'a RawValue>,
    #[serde(borrow, rename = "_wait")]
    wait: Option<&'a RawValue>,
}

impl PublishOptions {
    /// Reads the raw dictionary of a PUBLISH.
    ///
    /// # Errors
    /// The refusal, and whether the client is to be told: it is when it asked for an
    /// acknowledgement, or seems to have tried to.
    pub(super) fn parse(raw: &str) -> Result<Self, (Refusal, bool)> {
        let short = |acknowledge| Ok(Self { acknowledge, exclude_me: true, wait: false });
        match raw {
            "{}" => return short(false),
            r#"{"acknowledge":true}"# => return short(true),
            _longer => {}
        }
        let options: RawPublishOptions<'_> =
            serde_json::from_str(raw).map_err(|_twice| (Refusal::InvalidOptions, true))?;
        let acknowledge = parse_bool(options.acknowledge, false)
            .ok_or((Refusal::InvalidOption("acknowledge"), true))?;
        let exclude_me = parse_bool(options.exclude_me, true)
            .ok_or((Refusal::InvalidOption("exclude_me"), acknowledge))?;
        let wait = parse_bool(options.wait, false)
            .ok_or((Refusal::InvalidOption("_wait"), acknowledge))?;
        Ok(Self { acknowledge, exclude_me, wait })
    }
}

fn parse_bool(raw: Option<&RawValue>, absent: bool) -> Option<bool> {
    match raw.map(RawValue::get) {
        None => Some(absent),
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_other) => None,
    }
}

#[derive(Deserialize)]
struct RawSubscribeOptions<'a> {
    #[serde(borrow, rename = "match")]
    matching: Option<&'a RawValue>,
}

/// Checks the raw dictionary of a SUBSCRIBE: exact matching is all there is.
///
/// # Errors
/// Options that ask for more, or that are malformed.
pub(super) fn check_subscribe_options(raw: &str) -> Result<(), Refusal> {
    if raw == "{}" {
        return Ok(());
    }
    let options: RawSubscribeOptions<'_> =
        serde_json::from_str(raw).map_err(|_twice| Refusal::InvalidOptions)?;
    let Some(matching) = options.matching else {
        return Ok(());
    };
    match decode_string(matching.get()).as_deref() {
        Some("exact") => Ok(()),
        Some("prefix" | "wildcard") => Err(Refusal::MatchNotAllowed),
        Some(_) | None => Err(Refusal::InvalidOption("match")),
    }
}

#[derive(Deserialize)]
struct RawHelloDetails<'a> {
    #[serde(borrow)]
    roles: Option<&'a RawValue>,
    #[serde(borrow)]
    authmethods: Option<Vec<Cow<'a, str>>>,
}

#[derive(Deserialize)]
struct RawRoles<'a> {
    #[serde(borrow)]
    publisher: Option<&'a RawValue>,
    #[serde(borrow)]
    subscriber: Option<&'a RawValue>,
    #[serde(borrow)]
    caller: Option<&'a RawValue>,
    #[serde(borrow)]
    callee: Option<&'a RawValue>,
}

/// Checks the raw details of a HELLO: at least one client role, and `anonymous` among the
/// authentication methods if there are any.
///
/// # Errors
/// Why the session is not welcome.
pub(super) fn check_hello_details(raw: &str) -> Result<(), Ending> {
    const MALFORMED: Violation =
        Violation::Type { message: "HELLO", element: "Details", expected: "a dict of its options" };
    let details: RawHelloDetails<'_> = serde_json::from_str(raw).map_err(|_malformed| MALFORMED)?;
    let roles = details.roles.map(RawValue::get).filter(|roles| is_dict(roles));
    let roles: RawRoles<'_> =
        serde_json::from_str(roles.ok_or(Violation::NoRole)?).map_err(|_twice| MALFORMED)?;
    let announced = [roles.publisher, roles.subscriber, roles.caller, roles.callee];
    if announced.iter().all(Option::is_none) {
        return Err(Violation::NoRole.into());
    }
    if announced.iter().flatten().any(|role| !is_dict(role.get())) {
        return Err(MALFORMED.into());
    }
    match details.authmethods.as_deref() {
        None | Some([]) => Ok(()),
        Some(methods) if methods.iter().any(|method| method == "anonymous") => Ok(()),
        Some(_others) => Err(Ending::NoAuthMethod),
    }
}

fn is_dict(raw: &str) -> bool {
    raw.starts_with('{')
}

/// The text of a raw JSON string; `None` for another type, or for a lone surrogate, which no
/// text can hold.
#[must_use]
pub(super) fn decode_string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn publish(
        acknowledge: bool,
        exclude_me: bool,
    ) -> Result<PublishOptions, (Refusal, bool)> {
        Ok(PublishOptions { acknowledge, exclude_me, wait: false })
    }

    const fn patient(acknowledge: bool) -> Result<PublishOptions, (Refusal, bool)> {
        Ok(PublishOptions { acknowledge, exclude_me: true, wait: true })
    }

    #[test]
    fn publish_options_are_read_and_unknown_ones_ignored() {
        let table = [
            ("{}", publish(false, true)),
            ("{ }", publish(false, true)),
            (r#"{"acknowledge":true}"#, publish(true, true)),
            (r#"{ "acknowledge" : true }"#, publish(true, true)),
            (r#"{"acknowledge":false,"exclude_me":false}"#, publish(false, false)),
            (r#"{"exclude_me":false,"acknowledge":true}"#, publish(true, false)),
            (r#"{"acknowledge":null,"exclude_me":null}"#, publish(false, true)),
            (r#"{"retain":[{}],"x":1e400}"#, publish(false, true)),
            (r#"{"acknowledge":1}"#, Err((Refusal::InvalidOption("acknowledge"), true))),
            (r#"{"acknowledge":"true"}"#, Err((Refusal::InvalidOption("acknowledge"), true))),
            (r#"{"exclude_me":0}"#, Err((Refusal::InvalidOption("exclude_me"), false))),
            (
                r#"{"exclude_me":0,"acknowledge":true}"#,
                Err((Refusal::InvalidOption("exclude_me"), true)),
            ),
            (r#"{"acknowledge":true,"acknowledge":false}"#, Err((Refusal::InvalidOptions, true))),
            (r#"{"acknowledge":true,"_wait":true}"#, patient(true)),
            (r#"{"_wait":true,"acknowledge":true}"#, patient(true)),
            (r#"{"_wait":true}"#, patient(false)),
            (r#"{"acknowledge":true,"_wait":false}"#, publish(true, true)),
            (r#"{"acknowledge":true,"_wait":null}"#, publish(true, true)),
            (r#"{"acknowledge":true,"wait":true}"#, publish(true, true)),
            (r#"{"acknowledge":true,"_wait":1}"#, Err((Refusal::InvalidOption("_wait"), true))),
            (r#"{"acknowledge":true,"_wait":"9s"}"#, Err((Refusal::InvalidOption("_wait"), true))),
            (r#"{"_wait":{}}"#, Err((Refusal::InvalidOption("_wait"), false))),
            (r#"{"_wait":true,"_wait":true}"#, Err((Refusal::InvalidOptions, true))),
        ];
        for (raw, wanted) in table {
            assert_eq!(PublishOptions::parse(raw), wanted, "{raw}");
        }
    }

    #[test]
    fn subscriptions_match_exactly() {
        let table = [
            ("{}", Ok(())),
            (r#"{"match":"exact","get_retained":true}"#, Ok(())),
            (r#"{"match":"\u0065xact"}"#, Ok(())),
            (r#"{"match":null}"#, Ok(())),
            (r#"{"match":"prefix"}"#, Err(Refusal::MatchNotAllowed)),
            (r#"{"match":"wildcard"}"#, Err(Refusal::MatchNotAllowed)),
            (r#"{"match":"regex"}"#, Err(Refusal::InvalidOption("match"))),
            (r#"{"match":7}"#, Err(Refusal::InvalidOption("match"))),
        ];
        for (raw, wanted) in table {
            assert_eq!(check_subscribe_options(raw), wanted, "{raw}");
        }
    }

    #[test]
    fn a_hello_needs_a_role_and_an_authentication_method_of_ours() {
        let table = [
            (r#"{"roles":{"publisher":{}}}"#, None),
            (r#"{"roles":{"subscriber":{"features":{"x":true}},"other":7}}"#, None),
            (r#"{"roles":{"caller":{}},"authmethods":null}"#, None),
            (r#"{"roles":{"callee":{}},"authmethods":[]}"#, None),
            (r#"{"roles":{"caller":{}},"authmethods":["ticket","anonymous"]}"#, None),
            (r#"{"roles":{"caller":{}},"authmethods":["ticket"]}"#, Some("no_auth")),
            (r#"{"roles":{"caller":{}},"authmethods":"anonymous"}"#, Some("type")),
            ("{}", Some("no_role")),
            (r#"{"roles":null}"#, Some("no_role")),
            (r#"{"roles":[{}]}"#, Some("no_role")),
            (r#"{"roles":{}}"#, Some("no_role")),
            (r#"{"roles":{"broker":{}}}"#, Some("no_role")),
            (r#"{"roles":{"publisher":null}}"#, Some("no_role")),
            (r#"{"roles":{"publisher":[]}}"#, Some("type")),
            (r#"{"roles":{"publisher":{},"publisher":{}}}"#, Some("type")),
        ];
        for (raw, wanted) in table {
            let label = check_hello_details(raw).err().map(|ending| match ending {
                Ending::Violation(violation) => violation.label(),
                Ending::NoAuthMethod => "no_auth",
                other => panic!("{raw}: {other}"),
            });
            assert_eq!(label, wanted, "{raw}");
        }
    }

    #[test]
    fn strings_are_decoded() {
        assert_eq!(decode_string(r#""a.b""#).as_deref(), Some("a.b"));
        assert_eq!(decode_string(r#""a\u002e\u00e9\ud83d\ude00""#).as_deref(), Some("a.é😀"));
        assert_eq!(decode_string(r#""\ud800""#), None);
        assert_eq!(decode_string("7"), None);
    }
}
