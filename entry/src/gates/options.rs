//! Options as JSON dictionaries: beside the payload of a WAMP PUBLISH or SUBSCRIBE, of calls, and in the body of
//! `POST /publish`. Unknown keys are ignored and null counts as absent.

mod calls;
mod passthru;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use vixen_broker::access::{Lists, PublishOptions, SubscribeOptions};
use vixen_broker::api::{AckLevel, After};
use vixen_broker::history::RefPoint;
use vixen_core::id::Position;
use vixen_core::segment::{Audience, Eligible, Match};
use vixen_core::time::WallTime;

use super::raw::decode_string;
use super::refusal::OptionError;
pub(crate) use calls::{
    YieldOptions, call_options, cancel_options, error_details, register_options, yield_options,
};
use passthru::passthru_of;

/// Elements of a black- or whitelist at most.
const LIST_MAX: usize = 1_000;

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

/// Reads the raw dictionary of a publish. `_wait` is an attribute of this implementation.
///
/// # Errors
/// What is wrong, and whether the client is to be told: it is when it asked for an acknowledgement, or
/// seems to have tried to.
pub(crate) fn publish_options(raw: &str) -> Result<PublishOptions, (OptionError, bool)> {
    match raw {
        "{}" => return Ok(PublishOptions::default()),
        r#"{"acknowledge":true}"# => {
            return Ok(PublishOptions { acknowledge: true, ..PublishOptions::default() });
        }
        _longer => {}
    }
    let options: RawPublishOptions<'_> =
        serde_json::from_str(raw).map_err(|_twice| (OptionError::Twice, true))?;
    let acknowledge = parse_bool(options.acknowledge, false)
        .ok_or((OptionError::Invalid("acknowledge"), true))?;
    let rest = options
        .rest(acknowledge)
        .and_then(|rest| Ok(PublishOptions { passthru: passthru_of(raw)?, ..rest }));
    rest.map_err(|error| (error, acknowledge))
}

impl RawPublishOptions<'_> {
    fn rest(&self, acknowledge: bool) -> Result<PublishOptions, OptionError> {
        let bool_of = |name, raw, absent| parse_bool(raw, absent).ok_or(OptionError::Invalid(name));
        let level = match self.ack.map(|raw| decode_string(raw.get())) {
            None => AckLevel::Canonical,
            Some(level) => match level.as_deref() {
                Some("canonical") => AckLevel::Canonical,
                Some("durable") => AckLevel::Durable,
                Some(_) | None => return Err(OptionError::Invalid("ack")),
            },
        };
        Ok(PublishOptions {
            acknowledge,
            level,
            include_me: !bool_of("exclude_me", self.exclude_me, true)?,
            disclose_me: bool_of("disclose_me", self.disclose_me, false)?,
            lists: self.lists()?,
            wait: bool_of("_wait", self.wait, false)?,
            passthru: None,
        })
    }

    fn lists(&self) -> Result<Option<Box<Lists>>, OptionError> {
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
) -> Result<Option<Vec<T>>, OptionError> {
    let Some(raw) = raw else { return Ok(None) };
    let list: Vec<T> =
        serde_json::from_str(raw.get()).map_err(|_type| OptionError::Invalid(name))?;
    if list.len() > LIST_MAX { Err(OptionError::ListTooLong(name)) } else { Ok(Some(list)) }
}

/// Session ids. Whole floats are taken as well: some encoders write larger numbers so.
fn sessions(name: &'static str, raw: Option<&RawValue>) -> Result<Option<Vec<u64>>, OptionError> {
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
        number.as_u64().or_else(float).ok_or(OptionError::Invalid(name))
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

/// Reads the raw dictionary of a subscribe.
///
/// # Errors
/// The option that is malformed.
pub(crate) fn subscribe_options(raw: &str, now: WallTime) -> Result<SubscribeOptions, OptionError> {
    if raw == "{}" {
        return Ok(SubscribeOptions::default());
    }
    let options: RawSubscribeOptions<'_> =
        serde_json::from_str(raw).map_err(|_twice| OptionError::Twice)?;
    let matching = match options.matching.map(|raw| decode_string(raw.get())) {
        None => Match::Exact,
        Some(matching) => {
            matching.and_then(|name| matching_of(&name)).ok_or(OptionError::Invalid("match"))?
        }
    };
    let limit = options.limit.map(|raw| raw.get().parse::<u64>());
    let limit = limit.transpose().ok().filter(|limit| *limit != Some(0));
    Ok(SubscribeOptions {
        matching,
        after: options.after.map(|raw| after_raw(raw.get(), now)).transpose()?,
        limit: limit.ok_or(OptionError::Invalid("limit"))?,
        is_snapshot: parse_bool(options.snapshot, false).ok_or(OptionError::Invalid("snapshot"))?,
    })
}

/// The kind of matching of that name.
pub(crate) fn matching_of(name: &str) -> Option<Match> {
    match name {
        "exact" => Some(Match::Exact),
        "prefix" => Some(Match::Prefix),
        "wildcard" => Some(Match::Wildcard),
        _ => None,
    }
}

/// A position, or a text that says where.
fn after_raw(raw: &str, now: WallTime) -> Result<After, OptionError> {
    let text = match raw.as_bytes().first() {
        Some(b'"') => decode_string(raw).ok_or(OptionError::InvalidAfter)?,
        _number => Cow::Borrowed(raw),
    };
    after(&text, now)
}

/// Where a text says to begin.
///
/// # Errors
/// It says no place.
pub(crate) fn after(text: &str, now: WallTime) -> Result<After, OptionError> {
    match RefPoint::parse(text, now) {
        Ok(RefPoint::Position(Position(0))) => Ok(After::Beginning),
        Ok(point) => Ok(After::Point(point)),
        Err(_nothing) => Err(OptionError::InvalidAfter),
    }
}

#[cfg(test)]
mod tests;
