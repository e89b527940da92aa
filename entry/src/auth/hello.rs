//! What HELLO says about logging in. Null counts as absent.

use serde_json::{Map, Value};

use vixen_broker::api::SessionId;
use vixen_runtime::config::AUTH_NAME_BYTES_MAX;

use super::refusal::Refusal;

/// A HELLO.
#[derive(Clone, Copy, Debug)]
pub struct Hello<'a> {
    /// The realm; whether it is a URI is for the caller to check.
    pub realm: &'a str,
    /// `HELLO.Details`. `authmethods`, `authid` and `authextra` are looked at; `authrole` is not,
    /// since a user has one role.
    pub details: &'a Map<String, Value>,
    /// The id that the session will have.
    pub session: SessionId,
}

/// The details of a HELLO that logins are about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Details<'a> {
    methods: &'a [Value],
    authid: Option<&'a str>,
    extra: Option<&'a Map<String, Value>>,
}

impl<'a> Details<'a> {
    pub(super) fn parse(details: &'a Map<String, Value>) -> Result<Self, Refusal> {
        const METHODS: Refusal = Refusal::Malformed {
            field: "HELLO.Details.authmethods",
            expected: "a list of strings",
        };
        let methods = match present(details, "authmethods") {
            None => &[],
            Some(Value::Array(methods)) => methods.as_slice(),
            Some(_other) => return Err(METHODS),
        };
        if !methods.iter().all(Value::is_string) {
            return Err(METHODS);
        }
        let authid = text(details, "authid", "HELLO.Details.authid")?;
        if authid.is_some_and(|authid| authid.len() > AUTH_NAME_BYTES_MAX) {
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
        Ok(Self { methods, authid, extra })
    }

    /// The offered methods, in the client's order of preference; none means anonymous.
    pub(super) fn methods(&self) -> impl Iterator<Item = &'a str> {
        const ANONYMOUS: &str = "anonymous";
        let none_offered = self.methods.is_empty().then_some(ANONYMOUS);
        none_offered.into_iter().chain(self.methods.iter().filter_map(Value::as_str))
    }

    /// The name that the client goes by. An empty one is none.
    pub(super) fn authid(&self) -> Option<&'a str> {
        self.authid.filter(|authid| !authid.is_empty())
    }

    /// A text of `authextra`; `field` is its name in an error.
    pub(super) fn extra_text(
        &self,
        key: &str,
        field: &'static str,
    ) -> Result<Option<&'a str>, Refusal> {
        self.extra.map_or(Ok(None), |extra| text(extra, key, field))
    }

    /// Refuses a client that wants its proof bound to the channel.
    pub(super) fn refuse_channel_binding(&self) -> Result<(), Refusal> {
        let field = "HELLO.Details.authextra.channel_binding";
        match self.extra_text("channel_binding", field)? {
            None => Ok(()),
            Some(_binding) => Err(Refusal::ChannelBinding),
        }
    }
}

/// The value of a key; null counts as absent.
pub(super) fn present<'a>(dict: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    dict.get(key).filter(|value| !value.is_null())
}

/// The text at a key, if it is there.
pub(super) fn text<'a>(
    dict: &'a Map<String, Value>,
    key: &str,
    field: &'static str,
) -> Result<Option<&'a str>, Refusal> {
    match present(dict, key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_other) => Err(Refusal::Malformed { field, expected: "a string" }),
    }
}
