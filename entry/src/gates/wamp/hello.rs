//! What the details of a HELLO say of the client. Null counts as absent.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{Ending, Violation};

/// What a HELLO tells of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HelloDetails {
    /// It takes an UNSUBSCRIBED that it has not asked for.
    pub takes_revocation: bool,
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
    let takes_revocation = roles.subscriber.is_some_and(has_revocation);
    Ok(HelloDetails { takes_revocation })
}

/// Whether a role announces the feature; what is malformed does not.
fn has_revocation(role: &RawValue) -> bool {
    let role: Option<serde_json::Value> = serde_json::from_str(role.get()).ok();
    role.is_some_and(|role| role["features"]["subscription_revocation"] == true)
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
