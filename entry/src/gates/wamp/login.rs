//! Logins as HELLO, CHALLENGE, AUTHENTICATE and WELCOME say them. Null counts as absent.
//!
//! Source: WAMP specification, Advanced Profile, *Authentication*.

use serde_json::{Map, Value};

use vixen_broker::api::SessionId;
use vixen_runtime::config::AUTH_NAME_BYTES_MAX;

use crate::auth::{
    Answer, Challenge, Identity, LoginRequest, Method, Needed, Offer, Refusal, checked_nonce,
    public_key_of,
};

type Dict = Map<String, Value>;

/// What the details of a HELLO say about logging in: `authmethods`, `authid` and `authextra`. Not
/// `authrole`, since a user has one role.
pub(crate) fn request<'a>(
    realm: &'a str,
    details: &'a Dict,
    session: SessionId,
) -> Result<LoginRequest<'a>, Refusal> {
    const METHODS: Refusal =
        Refusal::Malformed { field: "HELLO.Details.authmethods", expected: "a list of strings" };
    let methods = match present(details, "authmethods") {
        None => &[],
        Some(Value::Array(methods)) => methods.as_slice(),
        Some(_other) => return Err(METHODS),
    };
    let methods: Option<Vec<&str>> = methods.iter().map(Value::as_str).collect();
    let mut methods = methods.ok_or(METHODS)?;
    if methods.is_empty() {
        methods.push(Method::Anonymous.as_str());
    }
    let name = text(details, "authid", "HELLO.Details.authid")?;
    if name.is_some_and(|name| name.len() > AUTH_NAME_BYTES_MAX) {
        let expected = "a string of at most 256 bytes";
        return Err(Refusal::Malformed { field: "HELLO.Details.authid", expected });
    }
    let extra = match present(details, "authextra") {
        None => None,
        Some(Value::Object(extra)) => Some(extra),
        Some(_other) => {
            let (field, expected) = ("HELLO.Details.authextra", "a dict");
            return Err(Refusal::Malformed { field, expected });
        }
    };
    let mut request =
        LoginRequest { realm, session, name, offers: Vec::new(), offers_others: false };
    for method in methods {
        match Method::parse(method) {
            None => request.offers_others = true,
            // A second time it is never the first that is taken.
            Some(method) if request.offers.iter().any(|offer| offer.method() == method) => {}
            Some(method) => request.offers.push(offer(method, extra)),
        }
    }
    Ok(request)
}

fn offer(method: Method, extra: Option<&Dict>) -> Offer<'_> {
    match method {
        Method::Anonymous => Offer::Anonymous,
        Method::Ticket => Offer::Ticket,
        Method::WampCra => Offer::WampCra,
        Method::Scram | Method::WampScram => {
            let nonce = unbound_text(extra, "nonce", "HELLO.Details.authextra.nonce");
            Offer::Scram { method, nonce: nonce.and_then(checked_nonce) }
        }
        Method::Cryptosign => {
            let key = unbound_text(extra, "pubkey", "HELLO.Details.authextra.pubkey");
            Offer::Cryptosign { public_key: key.and_then(public_key_of) }
        }
    }
}

/// A text of `authextra`, of a client that does not want its proof bound to the channel.
fn unbound_text<'a>(
    extra: Option<&'a Dict>,
    key: &str,
    field: &'static str,
) -> Result<Option<&'a str>, Refusal> {
    const BINDING: &str = "HELLO.Details.authextra.channel_binding";
    let Some(extra) = extra else { return Ok(None) };
    match text(extra, "channel_binding", BINDING)? {
        None => text(extra, key, field),
        Some(_binding) => Err(Refusal::ChannelBinding),
    }
}

/// The `Extra` of a CHALLENGE.
pub(crate) fn extra_of(challenge: &Challenge) -> Dict {
    let mut extra = Map::new();
    let mut put = |key: &str, value: Value| extra.insert(key.to_owned(), value);
    match challenge {
        Challenge::Ticket => {}
        Challenge::WampCra { text, salting } => {
            put("challenge", text.as_str().into());
            if let Some(salting) = salting {
                put("salt", salting.salt.as_str().into());
                put("iterations", salting.iterations.into());
                put("keylen", salting.key_bytes.into());
            }
        }
        Challenge::Scram { nonce, salt, kdf } => {
            put("nonce", nonce.as_str().into());
            put("salt", salt.as_str().into());
            put("kdf", kdf.name().into());
            put("iterations", kdf.iterations().into());
            // Absent, not null, without one: Autobahn takes it for a number when it is there.
            if let Some(memory_kib) = kdf.memory_kib() {
                put("memory", memory_kib.into());
            }
        }
        Challenge::Cryptosign { bytes } => {
            put("challenge", hex::encode(bytes).into());
            put("channel_binding", Value::Null);
        }
    }
    extra
}

/// What an AUTHENTICATE says, which answers a challenge of this method.
pub(crate) fn answer<'a>(
    method: Method,
    signature: &'a str,
    extra: &'a Dict,
) -> Result<Answer<'a>, Refusal> {
    match method {
        Method::Scram | Method::WampScram => {}
        Method::Anonymous | Method::Ticket | Method::WampCra | Method::Cryptosign => {
            return Ok(Answer::of(signature));
        }
    }
    let binding = text(extra, "channel_binding", "AUTHENTICATE.Extra.channel_binding")?;
    let data = text(extra, "cbind_data", "AUTHENTICATE.Extra.cbind_data")?;
    let is_bound = binding.or(data).is_some();
    let nonce = match is_bound {
        true => None,
        false => text(extra, "nonce", "AUTHENTICATE.Extra.nonce")?,
    };
    Ok(Answer { proof: signature, nonce, is_bound })
}

/// `authextra` of WELCOME: what a procedure has for the client, or the server's proof, by the names of the
/// specification and of Autobahn.
pub(crate) fn authextra(identity: &Identity) -> Dict {
    let extra = identity.extra.as_deref().and_then(|extra| serde_json::from_str(extra).ok());
    if let Some(extra) = extra {
        return extra;
    }
    let proof = identity.server_proof.as_deref();
    let named = |name: &str| proof.map(|proof| (name.to_owned(), Value::from(proof)));
    ["verifier", "scram_server_signature"].into_iter().filter_map(named).collect()
}

/// A refusal in the words of the protocol.
pub(super) fn words(refusal: Refusal) -> String {
    let needs = |what: &str| format!("this method of authentication needs {what}");
    match refusal {
        Refusal::AuthenticationRequired => {
            format!("{refusal}: offer a method in HELLO.Details.authmethods")
        }
        Refusal::Incomplete(Needed::Name) => needs("HELLO.Details.authid"),
        Refusal::Incomplete(needed @ Needed::PublicKey) => {
            needs(&format!("authextra.pubkey: {needed}"))
        }
        Refusal::Incomplete(needed @ Needed::Nonce) => needs(&format!("authextra.nonce: {needed}")),
        Refusal::NoMatchingMethod => {
            "this realm has none of the methods in HELLO.Details.authmethods".to_owned()
        }
        Refusal::ChannelBinding => {
            format!("{refusal}: leave authextra.channel_binding out, or null")
        }
        Refusal::Malformed { .. }
        | Refusal::NoSuchRealm
        | Refusal::Denied
        | Refusal::NoDecision
        | Refusal::Throttled => refusal.to_string(),
    }
}

/// The value of a key; null counts as absent.
fn present<'a>(dict: &'a Dict, key: &str) -> Option<&'a Value> {
    dict.get(key).filter(|value| !value.is_null())
}

/// The text at a key, if it is there.
fn text<'a>(dict: &'a Dict, key: &str, field: &'static str) -> Result<Option<&'a str>, Refusal> {
    match present(dict, key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_other) => Err(Refusal::Malformed { field, expected: "a string" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_of_hello_they_mean() {
        let needs = "this method of authentication needs";
        let table = [
            (
                Refusal::AuthenticationRequired,
                "this realm has no anonymous sessions: offer a method in HELLO.Details.authmethods"
                    .to_owned(),
            ),
            (Refusal::Incomplete(Needed::Name), format!("{needs} HELLO.Details.authid")),
            (
                Refusal::Incomplete(Needed::PublicKey),
                format!("{needs} authextra.pubkey: an Ed25519 public key, 32 bytes in hex"),
            ),
            (
                Refusal::Incomplete(Needed::Nonce),
                format!("{needs} authextra.nonce: random bytes in base64, 256 characters at most"),
            ),
            (
                Refusal::NoMatchingMethod,
                "this realm has none of the methods in HELLO.Details.authmethods".to_owned(),
            ),
            (
                Refusal::ChannelBinding,
                "channel binding is not supported: leave authextra.channel_binding out, or null"
                    .to_owned(),
            ),
            (
                Refusal::Malformed { field: "HELLO.Details.authextra", expected: "a dict" },
                "HELLO.Details.authextra is not a dict".to_owned(),
            ),
            (Refusal::NoSuchRealm, "no such realm here".to_owned()),
            (Refusal::Denied, "authentication denied".to_owned()),
        ];
        for (refusal, wanted) in table {
            assert_eq!(words(refusal), wanted);
        }
    }
}
