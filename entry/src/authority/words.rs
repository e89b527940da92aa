//! Questions as arguments, and results as answers: JSON on both sides, as Crossbar's authorizers know it.
//!
//! `(session details, uri, action, options)` gives `true`, `false`, or
//! `{"allow": bool, "cache": bool, "disclose": bool}`, of which `allow` has to be there. Without `cache` an answer is
//! kept. Other keys mean nothing. What is longer than any answer need be is none.
//!
//! `(realm, authid, details)` of an authenticator gives a role, or `{"role": text, "authid": text, "realm": text,
//! "extra": dict}`, of which `role` has to be there; `false` and null are a no, as an error is.

use bytes::BytesMut;
use serde_json::{Map, Value, json};

use vixen_broker::api::calls::Payload;
use vixen_broker::api::{SessionId, SessionInfo};
use vixen_broker::authority::{Question, Verdict};
use vixen_core::payload::as_json;

use crate::auth::{Decision, Identity, Principal};

/// A longer result is no answer: the core of the entry reads it.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The arguments of an authorizer.
pub(super) fn question(info: &SessionInfo, question: &Question) -> String {
    let Question { act, uri, options, .. } = question;
    let (details, uri) = (details(info), Value::from(&**uri));
    // Made anew (`options`): what stands there is known, and short. How the URI is compared is as it is done, and not
    // as it was said: `#` is all topics of the realm, and a request may name none at all.
    let options = match question.match_option() {
        None => options.to_string(),
        Some(matching) => {
            let rest = options.strip_prefix('{').filter(|rest| *rest != "}");
            let rest = rest.map_or_else(|| "}".to_owned(), |rest| format!(",{rest}"));
            format!("{{\"match\":\"{matching}\"{rest}")
        }
    };
    format!("[{details},{uri},\"{}\",{options}]", act.name())
}

/// Of a session.
fn details(info: &SessionInfo) -> Value {
    let transport = if info.is_announced { "websocket" } else { "http" };
    json!({
        "session": info.session.0,
        "realm": *info.realm,
        "authid": *info.authid,
        "authrole": *info.authrole,
        "authmethod": info.authmethod,
        "authprovider": info.authprovider,
        "authextra": null,
        "transport": {"type": transport},
    })
}

/// What an authorizer says; `None` where that is no answer.
pub(crate) fn verdict(payload: &Payload) -> Option<Verdict> {
    match only_argument(payload)? {
        Value::Bool(is_allowed) => {
            Some(Verdict { is_allowed, may_be_kept: true, discloses: false })
        }
        Value::Object(said) => Some(Verdict {
            is_allowed: flag(&said, "allow")??,
            may_be_kept: flag(&said, "cache")?.unwrap_or(true),
            discloses: flag(&said, "disclose")?.unwrap_or(false),
        }),
        _other => None,
    }
}

/// What an authenticator is told beside who somebody wants to be.
pub(crate) struct Told<'a> {
    pub(crate) session: SessionId,
    pub(crate) ticket: &'a str,
    /// Of HELLO, as it was said.
    pub(crate) authextra: &'a Value,
    /// How the client is connected.
    pub(crate) transport: &'static str,
}

/// The arguments of an authenticator, for somebody who sends a ticket.
pub(super) fn login(identity: &Identity, told: &Told<'_>) -> String {
    let Told { session, ticket, authextra, transport } = told;
    let details = json!({
        "session": session.0,
        "authmethod": identity.authmethod.as_str(),
        "authextra": authextra,
        "transport": {"type": transport},
        "ticket": ticket,
    });
    json!([*identity.realm, *identity.authid, details]).to_string()
}

/// What an authenticator says.
pub(crate) fn decision(payload: &Payload) -> Decision {
    let Some(said) = only_argument(payload) else { return Decision::None };
    match said {
        Value::Bool(false) | Value::Null => Decision::Denied,
        Value::String(role) => {
            Decision::Welcome(Box::new(Principal { role, ..Principal::default() }))
        }
        Value::Object(said) => principal(&said)
            .map_or(Decision::None, |principal| Decision::Welcome(Box::new(principal))),
        _other => Decision::None,
    }
}

fn principal(said: &Map<String, Value>) -> Option<Principal> {
    let text = |key| match said.get(key) {
        None | Some(Value::Null) => Some(None),
        Some(value) => value.as_str().map(|text| Some(text.to_owned())),
    };
    let extra = match said.get("extra") {
        None | Some(Value::Null) => None,
        Some(extra) => Some(extra.as_object().map(|_| extra.to_string())?),
    };
    Some(Principal { role: text("role")??, authid: text("authid")?, realm: text("realm")?, extra })
}

/// What is at a key, null as nothing; `None` where it is neither true nor false.
fn flag(said: &Map<String, Value>, key: &str) -> Option<Option<bool>> {
    match said.get(key) {
        None | Some(Value::Null) => Some(None),
        Some(value) => value.as_bool().map(Some),
    }
}

/// The first argument. What comes behind it means nothing.
fn only_argument(payload: &Payload) -> Option<Value> {
    if payload.passthru.is_some() || payload.bytes.len() > ANSWER_BYTES_MAX {
        return None;
    }
    let mut scratch = BytesMut::new();
    let (args, _kwargs) = as_json(&payload.bytes, payload.content, &mut scratch).ok()?;
    let args: Vec<Value> = serde_json::from_slice(args?).ok()?;
    args.into_iter().next()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use vixen_broker::access::Act;
    use vixen_broker::api::Origin;
    use vixen_broker::api::calls::CallFeatures;
    use vixen_core::segment::{Encoding, Match};

    use super::*;

    fn said(arguments: &str) -> Option<Verdict> {
        verdict(&Payload::new(Encoding::Json, arguments.to_owned()))
    }

    const fn is(is_allowed: bool, may_be_kept: bool, discloses: bool) -> Option<Verdict> {
        Some(Verdict { is_allowed, may_be_kept, discloses })
    }

    #[test]
    fn answers_are_those_of_crossbar() {
        let table = [
            ("[true]", is(true, true, false)),
            ("[false]", is(false, true, false)),
            (r#"[{"allow":true}]"#, is(true, true, false)),
            (r#"[{"allow":true,"cache":false}]"#, is(true, false, false)),
            (r#"[{"allow":true,"cache":true,"disclose":true}]"#, is(true, true, true)),
            (r#"[{"allow":false,"disclose":null,"validate":7}]"#, is(false, true, false)),
            (r#"[true,7],{"k":1}"#, is(true, true, false)),
            // Whatever else it may mean, it does not say yes.
            (r#"[{"allow":"yes"}]"#, None),
            (r#"[{"allow":null}]"#, None),
            (r#"[{"cache":true}]"#, None),
            (r#"[{"allow":true,"cache":1}]"#, None),
            ("[1]", None),
            (r#"["true"]"#, None),
            ("[null]", None),
            ("[]", None),
            ("", None),
            (r#"[],{"allow":true}"#, None),
        ];
        for (arguments, wanted) in table {
            assert_eq!(said(arguments), wanted, "{arguments}");
        }
    }

    #[test]
    fn a_result_that_is_longer_than_an_answer_is_none() {
        let long = |bytes: usize| format!(r#"[{{"allow":true,"x":"{}"}}]"#, "x".repeat(bytes));
        assert_eq!(said(&long(1_000)), is(true, true, false));
        assert_eq!(said(&long(ANSWER_BYTES_MAX)), None);
    }

    #[test]
    fn who_logs_in_is_said_as_crossbar_wants_it() {
        let said = |arguments: &str| decision(&Payload::new(Encoding::Json, arguments.to_owned()));
        let welcome = |role: &str| {
            let principal = Principal { role: role.to_owned(), ..Principal::default() };
            Decision::Welcome(Box::new(principal))
        };
        let all = Principal {
            role: "user".to_owned(),
            authid: Some("j".to_owned()),
            realm: Some("realm1".to_owned()),
            extra: Some(r#"{"k":[1]}"#.to_owned()),
        };
        let table = [
            (r#"["user"]"#, welcome("user")),
            (r#"["user",7],{"role":"guard"}"#, welcome("user")),
            (r#"[{"role":"user","authid":null,"extra":null}]"#, welcome("user")),
            (
                r#"[{"role":"user","authid":"j","realm":"realm1","extra":{"k":[1]}}]"#,
                Decision::Welcome(Box::new(all)),
            ),
            ("[false]", Decision::Denied),
            ("[null]", Decision::Denied),
            ("[true]", Decision::None),
            ("[]", Decision::None),
            ("[7]", Decision::None),
            (r#"[{"authid":"j"}]"#, Decision::None),
            (r#"[{"role":7}]"#, Decision::None),
            (r#"[{"role":"user","authid":7}]"#, Decision::None),
            (r#"[{"role":"user","extra":[]}]"#, Decision::None),
        ];
        for (arguments, wanted) in table {
            assert_eq!(said(arguments), wanted, "{arguments}");
        }
    }

    #[test]
    fn an_authorizer_is_told_who_wants_to_do_what_and_how() {
        let info = SessionInfo {
            session: SessionId(7),
            realm: "realm1".into(),
            authid: "jo\"e".into(),
            authrole: "user".into(),
            authmethod: "ticket",
            authprovider: "static",
            origin: Origin { client: IpAddr::from([127, 0, 0, 1]), site: None },
            is_announced: true,
            calls: CallFeatures::default(),
        };
        let asked = |uri: &str, matching, options: &str| {
            let (act, uri, options) = (Act::Subscribe, uri.into(), options.into());
            let asked = Question { act, uri, matching, options };
            serde_json::from_str::<Value>(&question(&info, &asked)).expect("JSON")
        };
        let details = json!({
            "session": 7, "realm": "realm1", "authid": "jo\"e", "authrole": "user",
            "authmethod": "ticket", "authprovider": "static", "authextra": null,
            "transport": {"type": "websocket"},
        });
        let table = [
            ("a.b", Match::Exact, "{}", json!({})),
            ("a.b", Match::Exact, r#"{"limit":7}"#, json!({"limit": 7})),
            ("a.", Match::Prefix, "{}", json!({"match": "prefix"})),
            ("a..b", Match::Wildcard, r#"{"limit":7}"#, json!({"match": "wildcard", "limit": 7})),
            ("#", Match::Dotted, "{}", json!({"match": "dotted"})),
        ];
        for (uri, matching, options, told) in table {
            let wanted = json!([details, uri, "subscribe", told]);
            assert_eq!(asked(uri, matching, options), wanted);
        }
    }
}
