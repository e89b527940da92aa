//! What callers and callees say, as words for the broker.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_json::json;

use vixen_broker::access::{self, CallMessage};
use vixen_broker::api::calls::{Call, CallWord, Payload, Testament};
use vixen_core::segment::{Encoding, Passthru};

use super::{Action, refused};
use crate::admission::AdmittedSession;
use crate::gates::options::{
    YieldOptions, call_options, cancel_options, error_details, register_options, yield_options,
};
use crate::gates::raw::RawText;
use crate::gates::refusal::{OptionError, Refusal};
use crate::gates::testament::{ADD_TESTAMENT, testament};
use crate::gates::wamp::error::Violation;
use crate::gates::wamp::message::{RawAnswer, RawCall, RawRequest};

/// The message code of REGISTER.
pub(super) const REGISTER: u8 = 64;

/// A message as it came.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) bytes: &'a Bytes,
    pub(super) encoding: Encoding,
}

impl Frame<'_> {
    pub(super) fn payload(&self, range: Range<usize>) -> Payload {
        Payload::new(self.encoding, self.bytes.slice(range))
    }
}

pub(super) fn call(
    admitted: &mut AdmittedSession,
    frame: Frame<'_>,
    call: RawCall<'_>,
) -> Result<Action, Violation> {
    let RawCall { request: RawRequest { request, options }, procedure, payload } = call;
    let options = call_options(&options).map_err(bad_option("CALL"))?;
    if options.passthru.is_some() && !admitted.info().calls.calls_packed {
        return Err(Violation::NotAnnounced("CALL"));
    }
    let (payload, has_more) = (frame.payload(payload), options.has_more);
    let message = CallMessage { request, procedure: &procedure, payload, options };
    let made = match admitted.call(message) {
        Ok(call) if &*call.procedure == ADD_TESTAMENT => {
            testament(admitted, &call.payload).map(|left| leaving(call, left))
        }
        Ok(call) => Ok(call),
        Err(refusal) => {
            let refusal = Refusal::from(refusal);
            Err((refusal.uri(), refusal.to_string()))
        }
    };
    Ok(Action::Call(match made {
        Ok(call) => CallWord::Call(call),
        Err((uri, text)) => {
            // It may be a part of a call that is open: whose answer this is, the broker knows.
            let procedure = procedure.decode().unwrap_or_default().into();
            let (error, payload) = (uri.into(), text_argument(&text));
            CallWord::Spoiled { request, procedure, has_more, error, payload }
        }
    }))
}

/// A call to leave a testament. Its arguments are in that.
fn leaving(call: Call, left: Testament) -> Call {
    let payload = Payload { bytes: Bytes::new(), ..call.payload };
    Call { payload, testament: Some(Box::new(left)), ..call }
}

pub(super) fn cancel(cancel: &RawRequest<'_>) -> Result<Action, Violation> {
    let mode = cancel_options(&cancel.options).map_err(bad_option("CANCEL"))?;
    Ok(Action::Call(CallWord::Cancel { request: cancel.request, mode }))
}

pub(super) fn register(
    admitted: &AdmittedSession,
    buffer: &mut BytesMut,
    register: &RawRequest<'_>,
    procedure: &RawText<'_>,
) -> Result<Action, Violation> {
    let request = register.request;
    let options = register_options(&register.options).map_err(bad_option("REGISTER"))?;
    Ok(match admitted.register(request, procedure, &options) {
        Ok(register) => Action::Call(CallWord::Register(register)),
        Err(refusal) => {
            let answer = refused(buffer, REGISTER, request, refusal.into());
            Action::RegisterRefused { answer }
        }
    })
}

pub(super) fn result(
    admitted: &AdmittedSession,
    frame: Frame<'_>,
    answer: RawAnswer,
    options: &str,
) -> Result<Action, Violation> {
    let options = yield_options(options).map_err(bad_option("YIELD"))?;
    let YieldOptions { is_progress, passthru } = options;
    let RawAnswer { invocation, payload } = answer;
    let payload = packed(admitted, frame.payload(payload), passthru, "YIELD")?;
    Ok(Action::Call(match admitted.check_answer(0, &payload) {
        Ok(()) => CallWord::Yield { invocation, is_progress, payload },
        Err(refusal) => {
            let (error, payload) = refused_answer(refusal);
            CallWord::Fail { invocation, error, payload }
        }
    }))
}

/// A payload of a callee, packed as it says.
fn packed(
    admitted: &AdmittedSession,
    payload: Payload,
    passthru: Option<Box<Passthru>>,
    message: &'static str,
) -> Result<Payload, Violation> {
    if passthru.is_some() && !admitted.info().calls.answers_packed {
        return Err(Violation::NotAnnounced(message));
    }
    Ok(Payload { passthru, ..payload })
}

/// The error that takes the place of an answer which is not let in.
fn refused_answer(refusal: access::Refusal) -> (Arc<str>, Payload) {
    let refusal = Refusal::from(refusal);
    (refusal.uri().into(), text_argument(&refusal.to_string()))
}

pub(super) fn error(
    admitted: &AdmittedSession,
    frame: Frame<'_>,
    answer: RawAnswer,
    (details, error): (&str, &RawText<'_>),
) -> Result<Action, Violation> {
    let (message, element, expected) = ("ERROR", "Error", "a URI");
    // It goes to the caller, whose client may hold on to what is none.
    let uri = error.decode().filter(|uri| admitted.is_error(uri));
    let uri = uri.ok_or(Violation::Type { message, element, expected })?;
    let RawAnswer { invocation, payload } = answer;
    let passthru = error_details(details).map_err(bad_option(message))?;
    let payload = packed(admitted, frame.payload(payload), passthru, message)?;
    let (error, payload) = match admitted.check_answer(uri.len(), &payload) {
        Ok(()) => (uri.as_ref().into(), payload),
        Err(refusal) => refused_answer(refusal),
    };
    Ok(Action::Call(CallWord::Fail { invocation, error, payload }))
}

fn bad_option(message: &'static str) -> impl Fn(OptionError) -> Violation {
    move |error| Violation::Option { message, error }
}

/// A text as the only argument.
pub(in crate::gates::wamp) fn text_argument(text: &str) -> Payload {
    Payload::new(Encoding::Json, json!([text]).to_string())
}
