//! What a client is told, as frames.

mod calls;

use bytes::BytesMut;
use serde_json::Map;

use vixen_broker::api::calls::{CallFeatures, CallTold, CallWord};
use vixen_broker::api::{Acknowledged, Answer, RequestId, RequestKind};
use vixen_broker::client::{EndReason, RequestError, Told};
use vixen_core::payload::PayloadError;

use super::encode;
use super::frames::Frames;
use super::metrics::count_subscribe_error;
use super::session::text_argument;
use crate::gates::metrics::count_publish_error;
use crate::gates::uris;
use crate::metrics::count_unsayable;

const PUBLISH: u8 = 16;
const SUBSCRIBE: u8 = 32;
const UNSUBSCRIBE: u8 = 34;
const CALL: u8 = 48;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    /// Whether the client takes an UNSUBSCRIBED that it has not asked for.
    takes_revocation: bool,
    /// What it announced of calls.
    calls: CallFeatures,
    events_sent: u64,
    /// What its invocations are answered with that cannot be said to it.
    unsaid: Vec<CallWord>,
    buffer: BytesMut,
}

/// Why a client cannot be told something of a call.
#[derive(Clone, Debug, thiserror::Error)]
enum Unsayable {
    /// It has no form in the client's serializer.
    #[error(transparent)]
    Payload(PayloadError),
    /// It is packed (WAMP spec *Payload Passthru Mode*).
    #[error("its payload is packed, and the client has not announced payload_passthru_mode")]
    Packed,
}

impl Unsayable {
    const fn uri(&self) -> &'static str {
        match self {
            Self::Payload(_) => uris::INVALID_ARGUMENT,
            Self::Packed => uris::FEATURE_NOT_SUPPORTED,
        }
    }
}

impl Encoder {
    /// The session is open.
    pub(super) const fn on_opened(&mut self, takes_revocation: bool, calls: CallFeatures) {
        self.takes_revocation = takes_revocation;
        self.calls = calls;
    }

    /// Events since the last call.
    pub(super) const fn take_events_sent(&mut self) -> u64 {
        std::mem::replace(&mut self.events_sent, 0)
    }

    /// Answers to invocations that could not be said to the client.
    pub(super) fn take_unsaid(&mut self) -> Vec<CallWord> {
        std::mem::take(&mut self.unsaid)
    }

    /// Makes frames of what the client is told.
    pub(super) fn put(&mut self, told: Told, out: &mut Frames) {
        match told {
            Told::Events { batch, taken } => {
                let frames = super::event::frames(&batch, out.encoding());
                for frame in taken.into_iter().filter_map(|index| frames[index].as_ref()) {
                    self.events_sent += 1;
                    out.message(frame);
                }
            }
            Told::Resolved(answers) => self.put_answers(&answers, out),
            Told::Subscribed { request, subscription, end: _ } => {
                encode::subscribed(&mut self.buffer, request, subscription);
                out.json(&mut self.buffer);
            }
            Told::Unsubscribed { request } => {
                encode::unsubscribed(&mut self.buffer, request);
                out.json(&mut self.buffer);
            }
            Told::Refused { request, kind, error } => self.put_refused(request, kind, &error, out),
            Told::Call(told) => self.put_call(&told, out),
            Told::Ended { subscription, reason } => {
                if self.takes_revocation {
                    encode::revoked(&mut self.buffer, subscription, uri_of(reason));
                    out.json(&mut self.buffer);
                }
            }
        }
    }

    fn put_call(&mut self, told: &CallTold, out: &mut Frames) {
        if matches!(told, CallTold::Revoked { .. }) && !self.calls.hears_revocation {
            return;
        }
        if calls::is_packed(told) && !self.takes_packed(told) {
            return self.put_unsayable(told, &Unsayable::Packed, out);
        }
        match calls::put(&mut self.buffer, out.encoding(), told) {
            Ok(()) => out.encoded(&mut self.buffer),
            Err(error) => self.put_unsayable(told, &Unsayable::Payload(error), out),
        }
    }

    /// Whether the client has announced that it takes payloads that nobody looks into, in this role.
    const fn takes_packed(&self, told: &CallTold) -> bool {
        match told {
            CallTold::Invocation { .. } => self.calls.answers_packed,
            _of_a_caller => self.calls.calls_packed,
        }
    }

    /// Somebody waits for it all the same.
    fn put_unsayable(&mut self, told: &CallTold, error: &Unsayable, out: &mut Frames) {
        count_unsayable(1);
        match told {
            CallTold::Invocation { invocation, .. } => {
                let text = format!("the arguments cannot be said to the callee: {error}");
                self.unsaid.push(CallWord::Fail {
                    invocation: *invocation,
                    error: error.uri().into(),
                    payload: text_argument(&text),
                });
            }
            CallTold::Result { request, is_progress: false, .. }
            | CallTold::Failed { request, .. } => {
                let text = format!("the answer cannot be said to the caller: {error}");
                encode::error(&mut self.buffer, CALL, *request, error.uri(), &text);
                out.json(&mut self.buffer);
            }
            // More will come. The others have no payload.
            CallTold::Result { is_progress: true, .. }
            | CallTold::Registered { .. }
            | CallTold::Unregistered { .. }
            | CallTold::Refused { .. }
            | CallTold::Interrupt { .. }
            | CallTold::Revoked { .. } => {}
        }
    }

    fn put_answers(&mut self, answers: &[Answer], out: &mut Frames) {
        self.buffer.reserve(answers.len() * encode::PUBLISHED_BYTES_MAX);
        for (request, outcome) in answers {
            match outcome {
                Ok(Acknowledged::Canonical(place)) => {
                    encode::published(&mut self.buffer, *request, place.position.0);
                }
                Ok(Acknowledged::Durable { publication }) => {
                    encode::published(&mut self.buffer, *request, *publication);
                }
                Err(error) => {
                    count_publish_error(error);
                    let uri = uris::of_publish(error);
                    encode::error(&mut self.buffer, PUBLISH, *request, uri, &error.to_string());
                }
            }
            out.json(&mut self.buffer);
        }
    }

    /// A SUBSCRIBE or UNSUBSCRIBE is refused.
    fn put_refused(
        &mut self,
        request: RequestId,
        kind: RequestKind,
        error: &RequestError,
        out: &mut Frames,
    ) {
        let code = match kind {
            RequestKind::Subscribe => SUBSCRIBE,
            RequestKind::Unsubscribe => UNSUBSCRIBE,
        };
        let mut details = Map::new();
        let uri = match error {
            RequestError::Subscribe(error) => uris::of_subscription(error),
            RequestError::History(error) => {
                details.extend(error.end().map(|end| ("end".to_owned(), end.0.into())));
                uris::of_history(error)
            }
            RequestError::Ended(reason) => uri_of(*reason),
            RequestError::NotAuthorized => uris::NOT_AUTHORIZED,
            RequestError::Repeated => uris::INVALID_ARGUMENT,
        };
        count_subscribe_error(uri);
        let message = error.to_string();
        encode::error_with(&mut self.buffer, code, request, &details, uri, &message);
        out.json(&mut self.buffer);
    }
}

/// Why the router ends a subscription (WAMP spec *Subscription Revocation*).
const fn uri_of(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Complete => "vixen.close.complete",
        EndReason::NotAuthorized => uris::NOT_AUTHORIZED,
    }
}

#[cfg(test)]
mod tests;
