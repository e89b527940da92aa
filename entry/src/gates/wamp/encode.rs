//! Messages of the router as JSON text.
//!
//! Each function appends one message to a buffer; [`take_text`] cuts it off as a text that
//! shares the buffer's memory, so that a run of answers costs one allocation.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value};

use vixen_broker::api::{RequestId, SessionInfo, SubscriptionId};
use vixen_core::name::NodeName;

use crate::text::{put_decimal, put_string};

/// Most bytes of a PUBLISHED: code, two ids of 16 digits, and punctuation.
pub(super) const PUBLISHED_BYTES_MAX: usize = 38;

/// What this dealer does of the Advanced Profile (WAMP spec *Feature Announcement*).
const DEALER_FEATURES: [&str; 13] = [
    "progressive_call_results",
    "progressive_call_invocations",
    "call_timeout",
    "call_canceling",
    "caller_identification",
    "pattern_based_registration",
    "shared_registration",
    "call_reroute",
    "registration_revocation",
    "session_meta_api",
    "registration_meta_api",
    "testament_meta_api",
    "payload_passthru_mode",
];

/// What this broker does of it.
const BROKER_FEATURES: [&str; 9] = [
    "publisher_exclusion",
    "publisher_identification",
    "subscriber_blackwhite_listing",
    "pattern_based_subscription",
    "session_meta_api",
    "subscription_meta_api",
    "subscription_revocation",
    "payload_passthru_mode",
    "event_history",
];

/// `[2, Session, Details]`: announces what works, and no more.
pub(super) fn welcome(
    out: &mut BytesMut,
    info: &SessionInfo,
    node: &NodeName,
    authextra: &Map<String, Value>,
) {
    out.put_slice(b"[2,");
    put_decimal(out, info.session.0);
    out.put_slice(b",{\"roles\":{\"broker\":{\"features\":{");
    put_features(out, &BROKER_FEATURES);
    out.put_slice(b"}},\"dealer\":{\"features\":{");
    put_features(out, &DEALER_FEATURES);
    out.put_slice(b"}}}");
    out.put_slice(concat!(",\"agent\":\"vixen-", env!("CARGO_PKG_VERSION"), "\"").as_bytes());
    for (key, value) in [
        (&b",\"realm\":"[..], &*info.realm),
        (b",\"authid\":", &info.authid),
        (b",\"authrole\":", &info.authrole),
        (b",\"authmethod\":", info.authmethod),
        (b",\"authprovider\":", info.authprovider),
        // The specification leaves names that begin with `x_` to implementations.
        (b",\"x_vixen_node\":", node.as_str()),
    ] {
        out.put_slice(key);
        put_string(out, value);
    }
    if !authextra.is_empty() {
        out.put_slice(b",\"authextra\":");
        put_dict(out, authextra);
    }
    out.put_slice(b"}]");
}

fn put_features(out: &mut BytesMut, features: &[&str]) {
    for (index, feature) in features.iter().enumerate() {
        out.put_slice(if index == 0 { b"\"" } else { b",\"" });
        out.put_slice(feature.as_bytes());
        out.put_slice(b"\":true");
    }
}

/// `[4, AuthMethod, Extra]`
pub(super) fn challenge(out: &mut BytesMut, method: &str, extra: &Map<String, Value>) {
    out.put_slice(b"[4,");
    put_string(out, method);
    out.put_slice(b",");
    put_dict(out, extra);
    out.put_slice(b"]");
}

/// `[3, {"message": …}, Reason]`
pub(super) fn abort(out: &mut BytesMut, reason: &str, message: &str) {
    farewell(out, b"[3,", reason, message);
}

/// `[6, {"message": …}, Reason]`; without the message if it is empty.
pub(super) fn goodbye(out: &mut BytesMut, reason: &str, message: &str) {
    farewell(out, b"[6,", reason, message);
}

fn farewell(out: &mut BytesMut, start: &[u8], reason: &str, message: &str) {
    out.put_slice(start);
    if message.is_empty() {
        out.put_slice(b"{}");
    } else {
        out.put_slice(b"{\"message\":");
        put_string(out, message);
        out.put_slice(b"}");
    }
    out.put_slice(b",");
    put_string(out, reason);
    out.put_slice(b"]");
}

/// `[8, Kind, Request, {}, Error, [message]]`, where `kind` is the code of the request.
pub(super) fn error(out: &mut BytesMut, kind: u8, request: RequestId, uri: &str, message: &str) {
    error_with(out, kind, request, &Map::new(), uri, message);
}

/// As [`error`], with details.
pub(super) fn error_with(
    out: &mut BytesMut,
    kind: u8,
    request: RequestId,
    details: &Map<String, Value>,
    uri: &str,
    message: &str,
) {
    out.put_slice(b"[8,");
    put_decimal(out, kind.into());
    out.put_slice(b",");
    put_decimal(out, request.0);
    out.put_slice(b",");
    out.put_slice(Value::Object(details.clone()).to_string().as_bytes());
    out.put_slice(b",");
    put_string(out, uri);
    out.put_slice(b",[");
    put_string(out, message);
    out.put_slice(b"]]");
}

/// `[17, Request, Publication]`: the position is the publication id.
pub(super) fn published(out: &mut BytesMut, request: RequestId, publication: u64) {
    put_pair(out, b"[17,", request.0, publication);
}

/// `[33, Request, Subscription]`
pub(super) fn subscribed(out: &mut BytesMut, request: RequestId, subscription: SubscriptionId) {
    put_pair(out, b"[33,", request.0, subscription.0);
}

/// `[35, Request]`
pub(super) fn unsubscribed(out: &mut BytesMut, request: RequestId) {
    out.put_slice(b"[35,");
    put_decimal(out, request.0);
    out.put_slice(b"]");
}

/// `[35, 0, {"subscription": Subscription, "reason": Reason}]`: the router ends a subscription
/// (WAMP spec *Subscription Revocation*).
pub(super) fn revoked(out: &mut BytesMut, subscription: SubscriptionId, reason: &str) {
    out.put_slice(b"[35,0,{\"subscription\":");
    put_decimal(out, subscription.0);
    out.put_slice(b",\"reason\":");
    put_string(out, reason);
    out.put_slice(b"}]");
}

/// Cuts off what was appended, as the text of one message.
pub(super) fn take_text(out: &mut BytesMut) -> Bytes {
    out.split().freeze()
}

fn put_pair(out: &mut BytesMut, start: &[u8], first: u64, second: u64) {
    out.put_slice(start);
    put_decimal(out, first);
    out.put_slice(b",");
    put_decimal(out, second);
    out.put_slice(b"]");
}

fn put_dict(out: &mut BytesMut, dict: &Map<String, Value>) {
    // As for texts.
    let _infallible = serde_json::to_writer(out.writer(), dict);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use vixen_broker::api::calls::CallFeatures;
    use vixen_broker::api::{Origin, SessionId};

    fn frame(encode: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        encode(&mut out);
        String::from_utf8(take_text(&mut out).to_vec()).expect("text")
    }

    #[test]
    fn golden_texts() {
        let request = RequestId(7);
        assert_eq!(frame(|out| published(out, request, 12)), "[17,7,12]");
        assert_eq!(frame(|out| subscribed(out, request, SubscriptionId(3))), "[33,7,3]");
        assert_eq!(frame(|out| unsubscribed(out, request)), "[35,7]");
        assert_eq!(
            frame(|out| revoked(out, SubscriptionId(3), "a.b")),
            r#"[35,0,{"subscription":3,"reason":"a.b"}]"#
        );
        assert_eq!(frame(|out| goodbye(out, "a.b", "")), r#"[6,{},"a.b"]"#);
        assert_eq!(frame(|out| abort(out, "a.b", "x\"y")), r#"[3,{"message":"x\"y"},"a.b"]"#);
        assert_eq!(
            frame(|out| error(out, 16, request, "a.b", "why")),
            r#"[8,16,7,{},"a.b",["why"]]"#
        );
    }

    #[test]
    fn welcome_announces_what_works() {
        let info = SessionInfo {
            session: SessionId(9),
            realm: "re\"alm".into(),
            authid: "jo\"e".into(),
            authrole: "us\\er".into(),
            authmethod: "anonymous",
            authprovider: "static",
            origin: Origin { client: [127, 0, 0, 1].into(), site: None },
            is_announced: true,
            calls: CallFeatures::default(),
        };
        let text = frame(|out| welcome(out, &info, &"E1".parse().expect("a name"), &Map::new()));
        let parsed: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            parsed,
            json!([2, 9, {
                "roles": {"broker": {"features": {
                    "publisher_exclusion": true,
                    "publisher_identification": true,
                    "subscriber_blackwhite_listing": true,
                    "pattern_based_subscription": true,
                    "session_meta_api": true,
                    "subscription_meta_api": true,
                    "subscription_revocation": true,
                    "payload_passthru_mode": true,
                    "event_history": true,
                }}, "dealer": {"features": {
                    "progressive_call_results": true,
                    "progressive_call_invocations": true,
                    "call_timeout": true,
                    "call_canceling": true,
                    "caller_identification": true,
                    "pattern_based_registration": true,
                    "shared_registration": true,
                    "call_reroute": true,
                    "registration_revocation": true,
                    "session_meta_api": true,
                    "registration_meta_api": true,
                    "testament_meta_api": true,
                    "payload_passthru_mode": true,
                }}},
                "agent": concat!("vixen-", env!("CARGO_PKG_VERSION")),
                "realm": "re\"alm",
                "authid": "jo\"e",
                "authrole": "us\\er",
                "x_vixen_node": "E1",
                "authmethod": "anonymous",
                "authprovider": "static",
            }])
        );
    }

    #[test]
    fn frames_share_one_buffer() {
        let mut out = BytesMut::with_capacity(2 * PUBLISHED_BYTES_MAX);
        let id = crate::gates::ids::ID_MAX;
        for _twice in 0..2 {
            published(&mut out, RequestId(id), id);
            assert_eq!(take_text(&mut out).len(), PUBLISHED_BYTES_MAX);
        }
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_the_standard_library(n: u64, shift in 0u32..64) {
            let n = n >> shift;
            prop_assert_eq!(frame(|out| put_decimal(out, n)), n.to_string());
        }

        #[test]
        fn any_reason_is_valid_json(message in "\\PC*") {
            let text = frame(|out| abort(out, "a.b", &message));
            let parsed: Value = serde_json::from_str(&text).expect("JSON");
            let details = if message.is_empty() { json!({}) } else { json!({"message": message}) };
            prop_assert_eq!(parsed, json!([3, details, "a.b"]));
        }
    }
}
