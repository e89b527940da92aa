//! What a client leaves to be published when its session ends: the arguments of `wamp.session.add_testament`, checked
//! as a PUBLISH of it is, by the permissions and quotas of the moment.
//!
//! `[topic, args, kwargs]` with `publish_options` and `scope` by name, or behind them by place. Of the options
//! `acknowledge` and what belongs to it means nothing: nobody is there to be told.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use vixen_broker::access::{Act, Message, PublishOptions};
use vixen_broker::api::calls::{MetaError, Payload, Scope, Testament};
use vixen_broker::api::{AckLevel, RequestId};
use vixen_core::payload::as_json;
use vixen_core::segment::Encoding;

use super::options::publish_options;
use super::raw::{RawText, decode_string};
use super::refusal::{OptionError, Refusal};
use super::uris;
use crate::admission::AdmittedSession;
use crate::authority::options::told;

/// The procedure.
pub(super) const ADD_TESTAMENT: &str = "wamp.session.add_testament";

/// Why none is left: a URI, and a text.
pub(super) type Refused = (&'static str, String);

#[derive(Default, Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    publish_options: Option<&'a RawValue>,
    #[serde(borrow)]
    scope: Option<&'a RawValue>,
}

/// The options of the message that these arguments leave, as an authorizer is told them; of what is none, none.
///
/// # Errors
/// They are more than it is told.
pub(super) fn publish_options_of(payload: &Payload) -> Result<Arc<str>, OptionError> {
    let mut scratch = BytesMut::new();
    let Ok((args, kwargs)) = as_json(&payload.bytes, payload.content, &mut scratch) else {
        return Ok("{}".into());
    };
    let Ok((args, named)) = read(args, kwargs) else { return Ok("{}".into()) };
    let placed = args.get(3).map(|raw| raw.get());
    let options = named.publish_options.map(RawValue::get).or(placed);
    told(Act::Publish, options.filter(|options| options.starts_with('{')).unwrap_or("{}"))
}

/// Arguments by their places, and those by name that mean something.
fn read<'a>(
    args: Option<&'a [u8]>,
    kwargs: Option<&'a [u8]>,
) -> serde_json::Result<(Vec<&'a RawValue>, Named<'a>)> {
    let args = args.map_or(Ok(Vec::new()), serde_json::from_slice)?;
    let named = kwargs.map_or(Ok(Named::default()), serde_json::from_slice)?;
    Ok((args, named))
}

/// The testament that these arguments are.
///
/// # Errors
/// They are none, or it may not be published.
pub(super) fn testament(
    admitted: &mut AdmittedSession,
    payload: &Payload,
) -> Result<Testament, Refused> {
    let mut scratch = BytesMut::new();
    let (args, kwargs) = as_json(&payload.bytes, payload.content, &mut scratch)
        .map_err(|error| bad(&format!("the arguments cannot be read: {error}")))?;
    let (args, named) = read(args, kwargs).map_err(|_| bad("the arguments cannot be read"))?;
    let at = |index: usize| args.get(index).map(|raw| raw.get()).filter(|raw| *raw != "null");
    let begins = |raw: &str, with: char| raw.starts_with(with);
    let topic = at(0).filter(|raw| begins(raw, '"')).ok_or_else(|| bad("topic is not a text"))?;
    let list = at(1).unwrap_or("[]");
    let dict = at(2).unwrap_or("{}");
    if !begins(list, '[') || !begins(dict, '{') {
        return Err(bad("args is not a list, or kwargs no dictionary"));
    }
    let scope = match named.scope.map(RawValue::get).or_else(|| at(4)) {
        None => Scope::Destroyed,
        Some(raw) => match decode_string(raw).as_deref() {
            Some("detached") => Scope::Detached,
            Some("destroyed") => Scope::Destroyed,
            Some(_) | None => {
                return Err((uris::of_meta(&MetaError::Scope), MetaError::Scope.to_string()));
            }
        },
    };
    let options = named.publish_options.map(RawValue::get).or_else(|| at(3)).unwrap_or("{}");
    if !begins(options, '{') {
        return Err(bad("publish_options is not a dictionary"));
    }
    let options = publish_options(options).map_err(|(error, _)| said(error.into()))?;
    let options =
        PublishOptions { acknowledge: false, level: AckLevel::Canonical, wait: true, ..options };
    let bytes = if dict == "{}" { list.to_owned() } else { format!("{list},{dict}") };
    let message = Message {
        request: RequestId(0),
        topic: &RawText::Json(topic),
        content: Encoding::Json.into(),
        payload: Bytes::from(bytes),
        options,
    };
    let message = admitted.publish(message).map_err(|refusal| said(refusal.into()))?;
    Ok(Testament { scope, message })
}

fn bad(text: &str) -> Refused {
    (uris::INVALID_ARGUMENT, text.to_owned())
}

fn said(refusal: Refusal) -> Refused {
    (refusal.uri(), refusal.to_string())
}
