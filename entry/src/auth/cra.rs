//! `wampcra`: HMAC-SHA-256 over a text of the router, keyed with a shared secret (WAMP spec,
//! *Challenge Response Authentication*).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use subtle::{Choice, ConstantTimeEq};

use vixen_broker::api::SessionId;
use vixen_core::time::WallTime;

use super::identity::{Identity, Method};
use super::stand_in::hmac_sha256;

/// What the signature must be.
#[derive(Clone)]
pub(super) struct Expected(String);

impl Expected {
    pub(super) fn verify(&self, signature: &str) -> Choice {
        // The length of a right one is public.
        self.0.as_bytes().ct_eq(signature.as_bytes())
    }
}

/// The text of the challenge, and the signature that answers it.
pub(super) fn challenge(
    identity: &Identity,
    session: SessionId,
    nonce: &[u8],
    now: WallTime,
    secret: &[u8],
) -> (String, Expected) {
    let challenge = json!({
        "authid": &*identity.authid,
        "authrole": &*identity.authrole,
        "authmethod": Method::WampCra.as_str(),
        "authprovider": identity.authprovider,
        "session": session.0,
        "nonce": STANDARD.encode(nonce),
        "timestamp": iso8601(now),
    })
    .to_string();
    let expected = Expected(STANDARD.encode(hmac_sha256(secret, &[challenge.as_bytes()])));
    (challenge, expected)
}

/// `2014-06-22T16:51:41.643Z`; a time that no calendar has becomes the start of 1970.
fn iso8601(at: WallTime) -> String {
    let millis = i64::try_from(at.0).unwrap_or_default();
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
