//! What a client is told, as frames.

use bytes::BytesMut;
use serde_json::Map;

use vixen_broker::api::{Acknowledged, Answer, RequestId, RequestKind};
use vixen_broker::client::{EndReason, RequestError, Told};

use super::encode;
use super::frames::Frames;
use super::metrics::count_subscribe_error;
use crate::gates::metrics::count_publish_error;
use crate::gates::uris;

const PUBLISH: u8 = 16;
const SUBSCRIBE: u8 = 32;
const UNSUBSCRIBE: u8 = 34;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    /// Whether the client takes an UNSUBSCRIBED that it has not asked for.
    takes_revocation: bool,
    events_sent: u64,
    buffer: BytesMut,
}

impl Encoder {
    /// The session is open.
    pub(super) const fn on_opened(&mut self, takes_revocation: bool) {
        self.takes_revocation = takes_revocation;
    }

    /// Events since the last call.
    pub(super) const fn take_events_sent(&mut self) -> u64 {
        std::mem::replace(&mut self.events_sent, 0)
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
            Told::Ended { subscription, reason } => {
                if self.takes_revocation {
                    encode::revoked(&mut self.buffer, subscription, uri_of(reason));
                    out.json(&mut self.buffer);
                }
            }
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
