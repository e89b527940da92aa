//! Options and details: the dictionaries beside the payload. Unknown keys are ignored and null
//! counts as absent.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use vixen_broker::api::AckLevel;
use vixen_broker::history::RefPoint;
use vixen_broker::replay::After;
use vixen_core::id::Position;
use vixen_core::segment::{Audience, Eligible, Match};
use vixen_core::time::WallTime;

use super::error::{Ending, Refusal, Violation};

/// Elements of a black- or whitelist at most.
const LIST_MAX: usize = 1_000;

/// What a PUBLISH asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PublishOptions {
    /// Answer with PUBLISHED or ERROR.
    pub acknowledge: bool,
    /// When to answer with PUBLISHED.
    pub level: AckLevel,
    /// Send the event back to its publisher as well.
    pub include_me: bool,
    /// Tell subscribers who published.
    pub disclose_me: bool,
    /// Who else does not get it, or who alone does; boxed, for hardly anybody asks.
    pub lists: Option<Box<Lists>>,
    /// `_wait`, an attribute of this implementation: answer with the message's place only, however
    /// long that takes, and never with an error for lack of a quorum.
    pub wait: bool,
}

/// Subscriber black- and whitelists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lists {
    pub exclude: Audience,
    pub eligible: Eligible,
}

#[derive(Deserialize)]
struct RawPublishOptions<'a> {
    #[serde(borrow)]
    acknowledge: Option<&'a RawValue>,
    #[serde(borrow)]
    ack: Option<&'a RawValue>,
    #[serde(borrow)]
    exclude_me: Option<&'a RawValue>,
    #[serde(borrow)]
    disclose_me: Option<&'a RawValue>,
    #[serde(borrow)]
    exclude: Option<&'a RawValue>,
    #[serde(borrow)]
    exclude_authid: Option<&'a RawValue>,
    #[serde(borrow)]
    exclude_authrole: Option<&'a RawValue>,
    #[serde(borrow)]
    eligible: Option<&'a RawValue>,
    #[serde(borrow)]
    eligible_authid: Option<&'a RawValue>,
    #[serde(borrow)]
    eligible_authrole: Option<&'a RawValue>,
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
        match raw {
            "{}" => return Ok(Self::default()),
            r#"{"acknowledge":true}"# => {
                return Ok(Self { acknowledge: true, ..Self::default() });
            }
            _longer => {}
        }
        let options: RawPublishOptions<'_> =
            serde_json::from_str(raw).map_err(|_twice| (Refusal::InvalidOptions, true))?;
        let acknowledge = parse_bool(options.acknowledge, false)
            .ok_or((Refusal::InvalidOption("acknowledge"), true))?;
        options.rest(acknowledge).map_err(|refusal| (refusal, acknowledge))
    }
}

impl RawPublishOptions<'_> {
    fn rest(&self, acknowledge: bool) -> Result<PublishOptions, Refusal> {
        let bool_of =
            |name, raw, absent| parse_bool(raw, absent).ok_or(Refusal::InvalidOption(name));
        let level = match self.ack.map(|raw| decode_string(raw.get())) {
            None => AckLevel::Canonical,
            Some(level) => match level.as_deref() {
                Some("canonical") => AckLevel::Canonical,
                Some("durable") => AckLevel::Durable,
                Some(_) | None => return Err(Refusal::InvalidOption("ack")),
            },
        };
        Ok(PublishOptions {
            acknowledge,
            level,
            include_me: !bool_of("exclude_me", self.exclude_me, true)?,
            disclose_me: bool_of("disclose_me", self.disclose_me, false)?,
            lists: self.lists()?,
            wait: bool_of("_wait", self.wait, false)?,
        })
    }

    fn lists(&self) -> Result<Option<Box<Lists>>, Refusal> {
        let given = [
            self.exclude,
            self.exclude_authid,
            self.exclude_authrole,
            self.eligible,
            self.eligible_authid,
            self.eligible_authrole,
        ];
        if given.iter().all(Option::is_none) {
            return Ok(None);
        }
        let exclude = Audience {
            sessions: sessions("exclude", self.exclude)?.unwrap_or_default(),
            authids: list("exclude_authid", self.exclude_authid)?.unwrap_or_default(),
            authroles: list("exclude_authrole", self.exclude_authrole)?.unwrap_or_default(),
        };
        let eligible = Eligible {
            sessions: sessions("eligible", self.eligible)?,
            authids: list("eligible_authid", self.eligible_authid)?,
            authroles: list("eligible_authrole", self.eligible_authrole)?,
        };
        Ok(Some(Box::new(Lists { exclude, eligible })))
    }
}

/// A list of at most [`LIST_MAX`] elements.
fn list<'a, T: Deserialize<'a>>(
    name: &'static str,
    raw: Option<&'a RawValue>,
) -> Result<Option<Vec<T>>, Refusal> {
    let Some(raw) = raw else { return Ok(None) };
    let list: Vec<T> =
        serde_json::from_str(raw.get()).map_err(|_type| Refusal::InvalidOption(name))?;
    if list.len() > LIST_MAX { Err(Refusal::ListTooLong(name)) } else { Ok(Some(list)) }
}

/// Session ids. Whole floats are taken as well: some encoders write larger numbers so.
fn sessions(name: &'static str, raw: Option<&RawValue>) -> Result<Option<Vec<u64>>, Refusal> {
    const ID_MAX: f64 = 9_007_199_254_740_992.0;
    let id = |number: serde_json::Number| {
        let float = || {
            let whole = number.as_f64().filter(|float| float.fract() == 0.0);
            let id = whole.filter(|id| (0.0..=ID_MAX).contains(id))?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole, and within 0..=2^53"
            )]
            Some(id as u64)
        };
        number.as_u64().or_else(float).ok_or(Refusal::InvalidOption(name))
    };
    let numbers = list::<serde_json::Number>(name, raw)?;
    numbers.map(|numbers| numbers.into_iter().map(id).collect()).transpose()
}

fn parse_bool(raw: Option<&RawValue>, absent: bool) -> Option<bool> {
    match raw.map(RawValue::get) {
        None => Some(absent),
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_other) => None,
    }
}

/// What a SUBSCRIBE asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SubscribeOptions {
    /// How the topic is compared.
    pub matching: Match,
    /// Where in the past to begin.
    pub after: Option<After>,
    /// No more events than these.
    pub limit: Option<u64>,
    /// Only what is stored.
    pub is_snapshot: bool,
}

#[derive(Deserialize)]
struct RawSubscribeOptions<'a> {
    #[serde(borrow, rename = "match")]
    matching: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(borrow)]
    limit: Option<&'a RawValue>,
    #[serde(borrow)]
    snapshot: Option<&'a RawValue>,
}

impl SubscribeOptions {
    /// Reads the raw dictionary of a SUBSCRIBE.
    ///
    /// # Errors
    /// The option that is malformed.
    pub(super) fn parse(raw: &str, now: WallTime) -> Result<Self, Refusal> {
        if raw == "{}" {
            return Ok(Self::default());
        }
        let options: RawSubscribeOptions<'_> =
            serde_json::from_str(raw).map_err(|_twice| Refusal::InvalidOptions)?;
        let matching = match options.matching.map(|raw| decode_string(raw.get())) {
            None => Match::Exact,
            Some(matching) => match matching.as_deref() {
                Some("exact") => Match::Exact,
                Some("prefix") => Match::Prefix,
                Some("wildcard") => Match::Wildcard,
                Some(_) | None => return Err(Refusal::InvalidOption("match")),
            },
        };
        let limit = options.limit.map(|raw| raw.get().parse::<u64>());
        let limit = limit.transpose().ok().filter(|limit| *limit != Some(0));
        Ok(Self {
            matching,
            after: options.after.map(|raw| after(raw.get(), now)).transpose()?,
            limit: limit.ok_or(Refusal::InvalidOption("limit"))?,
            is_snapshot: parse_bool(options.snapshot, false)
                .ok_or(Refusal::InvalidOption("snapshot"))?,
        })
    }
}

/// A position, or a text that says where.
fn after(raw: &str, now: WallTime) -> Result<After, Refusal> {
    let text = match raw.as_bytes().first() {
        Some(b'"') => decode_string(raw).ok_or(Refusal::InvalidAfter)?,
        _number => Cow::Borrowed(raw),
    };
    match RefPoint::parse(&text, now) {
        Ok(RefPoint::Position(Position(0))) => Ok(After::Beginning),
        Ok(point) => Ok(After::Point(point)),
        Err(_nothing) => Err(Refusal::InvalidAfter),
    }
}

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
mod tests;
