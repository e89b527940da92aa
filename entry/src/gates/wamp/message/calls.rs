//! Messages of callers and callees (WAMP spec §9 *Remote Procedure Calls*, §11 *Advanced RPC*).

use std::borrow::Cow;
use std::ops::Range;

use vixen_broker::api::RequestId;
use vixen_broker::api::calls::{InvocationId, RegistrationId};

use super::{ClientMessage, Elements, JsonType};
use crate::gates::raw::RawText;
use crate::gates::wamp::error::Violation;

pub(super) const CALL: &str = "CALL";
pub(super) const CANCEL: &str = "CANCEL";
pub(super) const REGISTER: &str = "REGISTER";
pub(super) const UNREGISTER: &str = "UNREGISTER";
pub(super) const YIELD: &str = "YIELD";
pub(super) const ERROR: &str = "ERROR";
/// The code of INVOCATION: ERROR of anything else comes from routers.
pub(super) const INVOCATION: u64 = 68;

/// A request with options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gates::wamp) struct RawRequest<'a> {
    /// Session scope.
    pub(in crate::gates::wamp) request: RequestId,
    /// JSON object.
    pub(in crate::gates::wamp) options: Cow<'a, str>,
}

/// A CALL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gates::wamp) struct RawCall<'a> {
    /// Session scope; JSON object.
    pub(in crate::gates::wamp) request: RawRequest<'a>,
    /// What is called.
    pub(in crate::gates::wamp) procedure: RawText<'a>,
    /// Where the arguments stand in the frame; empty without them.
    pub(in crate::gates::wamp) payload: Range<usize>,
}

/// What a callee answers to an invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gates::wamp) struct RawAnswer {
    /// Session scope.
    pub(in crate::gates::wamp) invocation: InvocationId,
    /// Where the arguments stand in the frame; empty without them.
    pub(in crate::gates::wamp) payload: Range<usize>,
}

fn request<'a>(name: &'static str, elements: &Elements<'a>) -> Result<RawRequest<'a>, Violation> {
    Ok(RawRequest {
        request: RequestId(elements.id(name, 1)?),
        options: elements.typed(name, 2, "Options", JsonType::Dict)?.into(),
    })
}

fn procedure<'a>(name: &'static str, elements: &Elements<'a>) -> Result<RawText<'a>, Violation> {
    Ok(RawText::Json(elements.typed(name, 3, "Procedure", JsonType::String)?))
}

pub(super) fn call<'a>(
    frame: &str,
    elements: &Elements<'a>,
) -> Result<ClientMessage<'a>, Violation> {
    elements.check_count(CALL, 4, 6)?;
    Ok(ClientMessage::Call(RawCall {
        request: request(CALL, elements)?,
        procedure: procedure(CALL, elements)?,
        payload: elements.payload(frame, CALL, 4)?,
    }))
}

pub(super) fn cancel<'a>(elements: &Elements<'a>) -> Result<ClientMessage<'a>, Violation> {
    elements.check_count(CANCEL, 3, 3)?;
    Ok(ClientMessage::Cancel(request(CANCEL, elements)?))
}

pub(super) fn register<'a>(elements: &Elements<'a>) -> Result<ClientMessage<'a>, Violation> {
    elements.check_count(REGISTER, 4, 4)?;
    let request = request(REGISTER, elements)?;
    Ok(ClientMessage::Register { request, procedure: procedure(REGISTER, elements)? })
}

pub(super) fn unregister<'a>(elements: &Elements<'a>) -> Result<ClientMessage<'a>, Violation> {
    elements.check_count(UNREGISTER, 3, 3)?;
    Ok(ClientMessage::Unregister {
        request: RequestId(elements.id(UNREGISTER, 1)?),
        registration: RegistrationId(elements.id(UNREGISTER, 2)?),
    })
}

pub(super) fn answer<'a>(
    frame: &str,
    elements: &Elements<'a>,
) -> Result<ClientMessage<'a>, Violation> {
    elements.check_count(YIELD, 3, 5)?;
    let invocation = InvocationId(elements.id(YIELD, 1)?);
    let options = elements.typed(YIELD, 2, "Options", JsonType::Dict)?.into();
    let answer = RawAnswer { invocation, payload: elements.payload(frame, YIELD, 3)? };
    Ok(ClientMessage::Yield { answer, options })
}

pub(super) fn invocation_error<'a>(
    frame: &str,
    elements: &Elements<'a>,
) -> Result<ClientMessage<'a>, Violation> {
    elements.check_count(ERROR, 5, 7)?;
    if elements.id(ERROR, 1)? != INVOCATION {
        return Err(Violation::Unexpected(ERROR));
    }
    let invocation = InvocationId(elements.id(ERROR, 2)?);
    let details = elements.typed(ERROR, 3, "Details", JsonType::Dict)?.into();
    let error = RawText::Json(elements.typed(ERROR, 4, "Error", JsonType::String)?);
    let answer = RawAnswer { invocation, payload: elements.payload(frame, ERROR, 5)? };
    Ok(ClientMessage::InvocationError { answer, details, error })
}
