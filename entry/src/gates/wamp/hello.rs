//! What the details of a HELLO say of the client. Null counts as absent.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use vixen_broker::api::calls::CallFeatures;

use super::error::{Ending, Violation};

/// What a HELLO tells of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HelloDetails {
    /// It takes an UNSUBSCRIBED that it has not asked for.
    pub takes_revocation: bool,
    /// As publisher, it packs what the router does not look into.
    pub publishes_packed: bool,
    /// What it announces of calls.
    pub calls: CallFeatures,
}

#[derive(Deserialize)]
struct RawHelloDetails<'a> {
    #[serde(borrow)]
    roles: Option<&'a RawValue>,
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

/// Checks the raw details of a HELLO: at least one client role.
///
/// # Errors
/// Why the session is not welcome.
pub(super) fn check_hello_details(raw: &str) -> Result<HelloDetails, Ending> {
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
    let takes_revocation = has(&features_of(roles.subscriber), "subscription_revocation");
    let packs = |role| has(&features_of(role), "payload_passthru_mode");
    let callee = features_of(roles.callee);
    // The specification has it with two l as well, in *Progressive Call Invocations*.
    let is_interruptible = has(&callee, "call_canceling") || has(&callee, "call_cancelling");
    let calls = CallFeatures {
        is_interruptible,
        keeps_timeouts: has(&callee, "call_timeout"),
        hears_revocation: has(&callee, "registration_revocation"),
        answers_packed: packs(roles.callee),
        calls_packed: packs(roles.caller),
        takes_parts: is_interruptible && has(&callee, "progressive_call_invocations"),
    };
    let publishes_packed = packs(roles.publisher);
    Ok(HelloDetails { takes_revocation, publishes_packed, calls })
}

/// What a role announces; nothing, where it is malformed.
fn features_of(role: Option<&RawValue>) -> Value {
    let role = role.and_then(|role| serde_json::from_str::<Value>(role.get()).ok());
    role.map(|mut role| role["features"].take()).unwrap_or_default()
}

fn has(features: &Value, name: &str) -> bool {
    features[name] == true
}

fn is_dict(raw: &str) -> bool {
    raw.starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revocations_are_taken_by_those_that_announce_it_and_nothing_else() {
        let subscriber = |role: &str| {
            let raw = format!(r#"{{"roles":{{"subscriber":{role}}}}}"#);
            check_hello_details(&raw).map(|details| details.takes_revocation)
        };
        assert_eq!(subscriber(r#"{"features":{"subscription_revocation":true}}"#), Ok(true));
        for role in [
            "{}",
            r#"{"features":{}}"#,
            r#"{"features":null}"#,
            r#"{"features":[]}"#,
            r#"{"features":{"subscription_revocation":false}}"#,
            r#"{"features":{"subscription_revocation":1}}"#,
            r#"{"subscription_revocation":true}"#,
        ] {
            assert_eq!(subscriber(role), Ok(false), "{role}");
        }
        let publisher = r#"{"roles":{"publisher":{"features":{"subscription_revocation":true}}}}"#;
        assert_eq!(check_hello_details(publisher).map(|of| of.takes_revocation), Ok(false));
    }

    #[test]
    fn callees_have_the_features_that_they_announce_as_callees() {
        let features = |role: &str| {
            let raw = format!(r#"{{"roles":{role}}}"#);
            check_hello_details(&raw).expect("welcome").calls
        };
        let all = r#"{"features":{"call_canceling":true,"call_timeout":true,"registration_revocation":true}}"#;
        let wanted = CallFeatures {
            is_interruptible: true,
            keeps_timeouts: true,
            hears_revocation: true,
            ..CallFeatures::default()
        };
        assert_eq!(features(&format!(r#"{{"callee":{all}}}"#)), wanted);
        assert_eq!(features(&format!(r#"{{"caller":{all}}}"#)), CallFeatures::default());
        let callee = |announced: &str| {
            let all = announced.split(' ').map(|name| format!(r#""{name}":true"#));
            let all = all.collect::<Vec<_>>().join(",");
            features(&format!(r#"{{"callee":{{"features":{{{all}}}}}}}"#))
        };
        let in_parts =
            CallFeatures { is_interruptible: true, takes_parts: true, ..CallFeatures::default() };
        assert_eq!(callee("progressive_call_invocations call_canceling"), in_parts);
        assert_eq!(callee("progressive_call_invocations call_cancelling"), in_parts);
        assert_eq!(callee("progressive_call_invocations"), CallFeatures::default());
        let one = features(r#"{"callee":{"features":{"call_canceling":true,"call_timeout":1}}}"#);
        assert_eq!(one, CallFeatures { is_interruptible: true, ..CallFeatures::default() });
        assert_eq!(features(r#"{"callee":{"features":7}}"#), CallFeatures::default());
    }

    #[test]
    fn payloads_are_packed_in_the_roles_that_announce_it() {
        let of = |role: &str| {
            let features = r#"{"features":{"payload_passthru_mode":true}}"#;
            let raw = format!(r#"{{"roles":{{"subscriber":{{}},"{role}":{features}}}}}"#);
            let HelloDetails { publishes_packed, calls, .. } =
                check_hello_details(&raw).expect("welcome");
            (publishes_packed, calls.calls_packed, calls.answers_packed)
        };
        assert_eq!(of("publisher"), (true, false, false));
        assert_eq!(of("caller"), (false, true, false));
        assert_eq!(of("callee"), (false, false, true));
        assert_eq!(of("x"), (false, false, false));
    }

    #[test]
    fn a_hello_needs_a_role_and_an_authentication_method_of_ours() {
        let table = [
            (r#"{"roles":{"publisher":{}}}"#, None),
            (r#"{"roles":{"subscriber":{"features":{"x":true}},"other":7}}"#, None),
            (r#"{"roles":{"caller":{}},"authmethods":null}"#, None),
            (r#"{"roles":{"callee":{}},"authmethods":[]}"#, None),
            (r#"{"roles":{"caller":{}},"authmethods":["ticket","anonymous"]}"#, None),
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
                other => panic!("{raw}: {other}"),
            });
            assert_eq!(label, wanted, "{raw}");
        }
    }
}
