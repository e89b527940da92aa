//! What callers and callees say, as words for the broker.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use serde_json::json;

use vixen_broker::access::CallMessage;
use vixen_broker::api::calls::{Call, CallWord, Payload, Testament};
use vixen_core::segment::Encoding;

use super::{Action, refused};
use crate::admission::AdmittedSession;
use crate::gates::options::{call_options, cancel_options, register_options, yield_options};
use crate::gates::raw::RawText;
use crate::gates::refusal::{OptionError, Refusal};
use crate::gates::testament::{ADD_TESTAMENT, testament};
use crate::gates::uris;
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
    fn payload(&self, range: Range<usize>) -> Payload {
        Payload { content: self.encoding.into(), bytes: self.bytes.slice(range) }
    }
}

pub(super) fn call(
    admitted: &mut AdmittedSession,
    frame: Frame<'_>,
    call: RawCall<'_>,
) -> Result<Action, Violation> {
    let RawCall { request: RawRequest { request, options }, procedure, payload } = call;
    let options = call_options(&options).map_err(bad_option("CALL"))?;
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
            let (error, payload) = (uri.into(), text_argument(&text));
            CallWord::Spoiled { request, has_more, error, payload }
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
    let is_progress = yield_options(options).map_err(bad_option("YIELD"))?;
    let RawAnswer { invocation, payload } = answer;
    let payload = frame.payload(payload);
    Ok(Action::Call(match admitted.check_bytes(payload.bytes.len()) {
        Ok(()) => CallWord::Yield { invocation, is_progress, payload },
        Err(refusal) => {
            let (error, payload) =
                (uris::PAYLOAD_SIZE_EXCEEDED.into(), text_argument(&refusal.to_string()));
            CallWord::Fail { invocation, error, payload }
        }
    }))
}

pub(super) fn error(
    admitted: &AdmittedSession,
    frame: Frame<'_>,
    answer: RawAnswer,
    error: &RawText<'_>,
) -> Result<Action, Violation> {
    let (message, element, expected) = ("ERROR", "Error", "a URI");
    // It goes to the caller, whose client may hold on to what is none.
    let uri = error.decode().filter(|uri| admitted.is_error(uri));
    let uri = uri.ok_or(Violation::Type { message, element, expected })?;
    let RawAnswer { invocation, payload } = answer;
    let payload = frame.payload(payload);
    let (error, payload) = match admitted.check_bytes(uri.len() + payload.bytes.len()) {
        Ok(()) => (uri.as_ref().into(), payload),
        Err(refusal) => (uris::PAYLOAD_SIZE_EXCEEDED.into(), text_argument(&refusal.to_string())),
    };
    Ok(Action::Call(CallWord::Fail { invocation, error, payload }))
}

fn bad_option(message: &'static str) -> impl Fn(OptionError) -> Violation {
    move |error| Violation::Option { message, error }
}

/// A text as the only argument.
pub(in crate::gates::wamp) fn text_argument(text: &str) -> Payload {
    let bytes = json!([text]).to_string().into();
    Payload { content: Encoding::Json.into(), bytes }
}
