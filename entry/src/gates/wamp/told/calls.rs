//! What callers and callees are told, as frames.
//!
//! Arguments go as they came, or transcoded as those of events are; what is empty is left off, and no slot is
//! ever null.

use std::sync::Arc;

use bytes::BytesMut;
use vixen_broker::api::calls::{
    CallError, CallTold, CalleeRequest, CancelMode, InvocationId, Party, Payload, RegisterError,
};
use vixen_broker::api::{RequestId, SessionId};
use vixen_core::payload::{PayloadError, split};
use vixen_core::segment::{Content, Encoding};

use crate::gates::uris;
use crate::gates::wamp::writer::Writer;

const ERROR: u64 = 8;
const CALL: u64 = 48;
const RESULT: u64 = 50;
const REGISTER: u64 = 64;
const REGISTERED: u64 = 65;
const UNREGISTER: u64 = 66;
const UNREGISTERED: u64 = 67;
const INVOCATION: u64 = 68;
const INTERRUPT: u64 = 69;

/// Why a callee has lost a registration.
const UNREGISTERED_REASON: &str = "wamp.error.unregistered";

/// Appends one message in an encoding.
///
/// # Errors
/// Its payload has no form there. `out` is then as it was.
pub(super) fn put(
    out: &mut BytesMut,
    encoding: Encoding,
    told: &CallTold,
) -> Result<(), PayloadError> {
    let start = out.len();
    let outcome = put_message(out, encoding, told);
    if outcome.is_err() {
        out.truncate(start);
    }
    outcome
}

fn put_message(
    out: &mut BytesMut,
    encoding: Encoding,
    told: &CallTold,
) -> Result<(), PayloadError> {
    match told {
        CallTold::Result { request, is_progress, callee, about: _, missing, payload } => {
            let arguments = Arguments::of(payload)?;
            let mut message = Writer::begin(out, encoding, 3 + arguments.elements);
            message.uint(RESULT);
            message.uint(request.0);
            let pairs = u32::from(*is_progress)
                + party_pairs(callee.as_ref())
                + u32::from(!missing.is_empty())
                + passthru_pairs(payload);
            message.dict(pairs, |details| {
                put_flag(details, "progress", *is_progress);
                put_party(details, CALLEE_KEYS, callee.as_ref());
                put_missing(details, missing);
                put_passthru(details, payload);
            });
            arguments.end(message)
        }
        CallTold::Failed { request, error } => put_failed(out, encoding, *request, error),
        CallTold::Registered { request, registration } => {
            numbers(out, encoding, &[REGISTERED, request.0, registration.0]);
            Ok(())
        }
        CallTold::Unregistered { request } => {
            numbers(out, encoding, &[UNREGISTERED, request.0]);
            Ok(())
        }
        CallTold::Refused { request, kind, error } => {
            put_refused(out, encoding, *request, *kind, error);
            Ok(())
        }
        CallTold::Invocation { payload, .. } => {
            let arguments = Arguments::of(payload)?;
            let mut message = Writer::begin(out, encoding, 4 + arguments.elements);
            put_invocation(&mut message, told);
            arguments.end(message)
        }
        CallTold::Interrupt { invocation, mode } => {
            put_interrupt(out, encoding, *invocation, *mode);
            Ok(())
        }
        CallTold::Revoked { registration } => {
            let mut message = Writer::begin(out, encoding, 3);
            message.uint(UNREGISTERED);
            message.uint(0);
            message.dict(2, |details| {
                details.key("registration");
                details.uint(registration.0);
                details.key("reason");
                details.text(UNREGISTERED_REASON);
            });
            message.end();
            Ok(())
        }
    }
}

/// Appends the ERROR of a CALL.
///
/// # Errors
/// The arguments of its callee have no form in the encoding.
fn put_failed(
    out: &mut BytesMut,
    encoding: Encoding,
    request: RequestId,
    error: &CallError,
) -> Result<(), PayloadError> {
    let uri = uris::of_call(error);
    if let CallError::Callee { payload, .. } = error {
        let arguments = Arguments::of(payload)?;
        let elements = arguments.elements;
        let message = begin_error(out, encoding, (CALL, request, uri), Some(payload), elements);
        return arguments.end(message);
    }
    let text = error.to_string();
    let named = match error {
        CallError::CalleeGone { entry } => entry.as_deref(),
        _ => None,
    };
    let texts: Vec<&str> = match error {
        // Bare, as other routers have it.
        CallError::Canceled => Vec::new(),
        _ => std::iter::once(text.as_str()).chain(named).collect(),
    };
    let elements = u32::from(!texts.is_empty());
    let mut message = begin_error(out, encoding, (CALL, request, uri), None, elements);
    if !texts.is_empty() {
        message.texts(&texts);
    }
    message.end();
    Ok(())
}

fn put_refused(
    out: &mut BytesMut,
    encoding: Encoding,
    request: RequestId,
    kind: CalleeRequest,
    error: &RegisterError,
) {
    let code = match kind {
        CalleeRequest::Register => REGISTER,
        CalleeRequest::Unregister => UNREGISTER,
    };
    let named = (code, request, uris::of_register(error));
    let mut message = begin_error(out, encoding, named, None, 1);
    message.texts(&[&error.to_string()]);
    message.end();
}

fn put_invocation(message: &mut Writer<'_>, told: &CallTold) {
    let CallTold::Invocation {
        invocation,
        registration,
        fence,
        procedure,
        caller,
        timeout_ms,
        takes_progress,
        has_more,
        payload,
    } = told
    else {
        return;
    };
    message.uint(INVOCATION);
    message.uint(invocation.0);
    message.uint(registration.0);
    let pairs = u32::from(procedure.is_some())
        + party_pairs(caller.as_ref())
        + u32::from(fence.is_some())
        + u32::from(timeout_ms.is_some())
        + u32::from(*takes_progress)
        + u32::from(*has_more)
        + passthru_pairs(payload);
    message.dict(pairs, |details| {
        if let Some(procedure) = procedure {
            details.key("procedure");
            details.text(procedure);
        }
        put_party(details, CALLER_KEYS, caller.as_ref());
        if let Some(timeout) = timeout_ms {
            details.key("timeout");
            details.uint(timeout.get());
        }
        if let Some(fence) = fence {
            details.key("x_vixen_fence");
            details.uint(fence.0);
        }
        put_flag(details, "receive_progress", *takes_progress);
        put_flag(details, "progress", *has_more);
        put_passthru(details, payload);
    });
}

fn put_interrupt(
    out: &mut BytesMut,
    encoding: Encoding,
    invocation: InvocationId,
    mode: CancelMode,
) {
    let mode = match mode {
        CancelMode::Skip => Some("skip"),
        CancelMode::Kill => Some("kill"),
        CancelMode::KillNoWait => Some("killnowait"),
        CancelMode::Unnamed => None,
    };
    let mut message = Writer::begin(out, encoding, 3);
    message.uint(INTERRUPT);
    message.uint(invocation.0);
    message.dict(u32::from(mode.is_some()), |options| {
        if let Some(mode) = mode {
            options.key("mode");
            options.text(mode);
        }
    });
    message.end();
}

/// `[8, code, request, {}, uri` and so many more elements; the details say how its arguments are packed.
fn begin_error<'a>(
    out: &'a mut BytesMut,
    encoding: Encoding,
    (code, request, uri): (u64, RequestId, &str),
    payload: Option<&Payload>,
    elements: u32,
) -> Writer<'a> {
    let mut message = Writer::begin(out, encoding, 5 + elements);
    message.uint(ERROR);
    message.uint(code);
    message.uint(request.0);
    message.dict(payload.map_or(0, passthru_pairs), |details| {
        if let Some(payload) = payload {
            put_passthru(details, payload);
        }
    });
    message.text(uri);
    message
}

fn numbers(out: &mut BytesMut, encoding: Encoding, numbers: &[u64]) {
    let elements = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    let mut message = Writer::begin(out, encoding, elements);
    for number in numbers {
        message.uint(*number);
    }
    message.end();
}

fn put_flag(details: &mut Writer<'_>, key: &str, is_set: bool) {
    if is_set {
        details.key(key);
        details.flag(true);
    }
}

/// Entries that have not answered.
fn put_missing(details: &mut Writer<'_>, missing: &[Arc<str>]) {
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|name| &**name).collect();
        details.key("x_vixen_missing");
        details.texts(&names);
    }
}

/// Whether something has a payload that is packed.
pub(super) const fn is_packed(told: &CallTold) -> bool {
    match told {
        CallTold::Result { payload, .. }
        | CallTold::Invocation { payload, .. }
        | CallTold::Failed { error: CallError::Callee { payload, .. }, .. } => {
            payload.passthru.is_some()
        }
        CallTold::Failed { .. }
        | CallTold::Registered { .. }
        | CallTold::Unregistered { .. }
        | CallTold::Refused { .. }
        | CallTold::Interrupt { .. }
        | CallTold::Revoked { .. } => false,
    }
}

fn passthru_pairs(payload: &Payload) -> u32 {
    let options = payload.passthru.iter().flat_map(|passthru| passthru.options());
    options.map(|_pair| 1).sum()
}

fn put_passthru(details: &mut Writer<'_>, payload: &Payload) {
    for (key, text) in payload.passthru.iter().flat_map(|passthru| passthru.options()) {
        details.key(key);
        details.text(text);
    }
}

/// Session, authid and authrole.
type PartyKeys = [&'static str; 3];
const CALLER_KEYS: PartyKeys = ["caller", "caller_authid", "caller_authrole"];
const CALLEE_KEYS: PartyKeys = ["callee", "callee_authid", "callee_authrole"];

fn party_pairs(party: Option<&Party>) -> u32 {
    u32::from(party.is_some()) * 3
}

fn put_party(details: &mut Writer<'_>, keys: PartyKeys, party: Option<&Party>) {
    let Some(Party { session: SessionId(session), authid, authrole }) = party else { return };
    let [of_session, of_authid, of_authrole] = keys;
    details.key(of_session);
    details.uint(*session);
    details.key(of_authid);
    details.text(authid);
    details.key(of_authrole);
    details.text(authrole);
}

/// What is left of a payload once empty arguments are left off.
struct Arguments<'a> {
    bytes: &'a [u8],
    content: Content,
    /// None, `args`, or `args` and `kwargs`.
    elements: u32,
}

impl<'a> Arguments<'a> {
    fn of(payload: &'a Payload) -> Result<Self, PayloadError> {
        let content = payload.content;
        let (bytes, elements) = match content {
            Content::Arguments(Encoding::Json) => of_json(&payload.bytes),
            Content::Arguments(encoding) => of_binary(&payload.bytes, encoding)?,
            Content::Raw => (&payload.bytes[..], 1),
            Content::Later(number) => return Err(PayloadError::Later { number }),
        };
        Ok(Self { bytes, content, elements })
    }

    /// Appends them, and ends the message.
    fn end(self, mut message: Writer<'_>) -> Result<(), PayloadError> {
        if self.elements > 0 {
            message.arguments(self.bytes, self.content)?;
        }
        message.end();
        Ok(())
    }
}

/// Without a look at what is within: arguments end with `]`, keyword arguments with `}`, and only empty ones
/// have no other character before it but white space.
fn of_json(payload: &[u8]) -> (&[u8], u32) {
    let Some(before) = payload.strip_suffix(b"{}") else {
        return match payload {
            b"" | b"[]" => (b"", 0),
            [.., b'}'] => (payload, 2),
            _ => (payload, 1),
        };
    };
    let before = before.trim_ascii_end();
    of_json(before.strip_suffix(b",").unwrap_or(before).trim_ascii_end())
}

fn of_binary(payload: &[u8], encoding: Encoding) -> Result<(&[u8], u32), PayloadError> {
    const NIL: &[u8] = &[];
    let (no_list, no_dict): (u8, u8) =
        if encoding == Encoding::MsgPack { (0x90, 0x80) } else { (0x80, 0xa0) };
    Ok(match split(payload, encoding)? {
        (None, _) => (NIL, 0),
        (Some(args), kwargs) => match kwargs.filter(|kwargs| *kwargs != [no_dict]) {
            Some(_) => (payload, 2),
            None if args == [no_list] => (NIL, 0),
            None => (args, 1),
        },
    })
}

#[cfg(test)]
mod tests;
