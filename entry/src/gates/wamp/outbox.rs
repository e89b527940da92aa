//! From the core to the client: turns [`Outgoing`] and what was read into frames, and keeps the
//! books of the session that this changes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use serde_json::Map;

use vixen_broker::access::Permissions;
use vixen_broker::api::{
    Acknowledged, Answer, Outgoing, RequestId, RequestKind, SessionId, SessionInfo, SubscribeError,
    SubscriptionId,
};
use vixen_broker::event::EventBatch;
use vixen_broker::history::{HistoryError, HistoryRequest};
use vixen_broker::replay::{self, ReadPart, Subscriber, Wish};

use super::encode;
use super::error::Ending;
use super::frames::Frames;
use super::metrics::count_subscribe_error;
use crate::gates::limits::SessionLimits;
use crate::gates::metrics::count_publish_error;
use crate::gates::uris;
use crate::metrics::count_unsayable;
use crate::outbound::SessionEvent;

const PUBLISH: u8 = 16;
const SUBSCRIBE: u8 = 32;
const UNSUBSCRIBE: u8 = 34;
/// Of an UNSUBSCRIBE that the session makes itself: clients number theirs from 1.
const OWN_REQUEST: RequestId = RequestId(0);
/// Why the router ends a subscription (WAMP spec *Subscription Revocation*).
const COMPLETE: &str = "vixen.close.complete";
const NOT_ANY_MORE: &str = "the role of this session may not subscribe this topic any more";

/// What the driver owes beside frames.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// For the core, in order.
    pub(super) tell: Vec<SessionEvent>,
    /// The session cannot go on.
    pub(super) ending: Option<Ending>,
    /// Nothing is read for so long.
    pub(super) pause: Option<Duration>,
}

/// The books of one session: what it has subscribed, and what it waits for.
#[derive(Debug)]
pub(super) struct Outbox {
    session: SessionId,
    info: Option<Arc<SessionInfo>>,
    permissions: Option<Permissions>,
    /// Whether the client takes an UNSUBSCRIBED that it has not asked for.
    takes_revocation: bool,
    subscriber: Subscriber,
    /// SUBSCRIBE requests without an answer of the core, oldest first.
    subscribing: Vec<(RequestId, Wish)>,
    /// Those of them that may not stand any more.
    revoked: BTreeSet<RequestId>,
    /// SUBSCRIBE requests that wait for the first read.
    announcing: BTreeMap<SubscriptionId, Vec<RequestId>>,
    /// UNSUBSCRIBE requests without an answer, oldest first.
    unsubscribing: Vec<(RequestId, SubscriptionId)>,
    /// What the session itself has left, without an answer yet, oldest first.
    leaving: VecDeque<SubscriptionId>,
    /// Handed to the core and not resolved.
    messages_in_flight: usize,
    bytes_in_flight: usize,
    events_sent: u64,
    buffer: BytesMut,
}

impl Outbox {
    pub(super) fn new(session: SessionId) -> Self {
        Self {
            session,
            info: None,
            permissions: None,
            takes_revocation: false,
            subscriber: Subscriber::default(),
            subscribing: Vec::new(),
            revoked: BTreeSet::new(),
            announcing: BTreeMap::new(),
            unsubscribing: Vec::new(),
            leaving: VecDeque::new(),
            messages_in_flight: 0,
            bytes_in_flight: 0,
            events_sent: 0,
            buffer: BytesMut::new(),
        }
    }

    /// The session is open.
    pub(super) fn on_opened(
        &mut self,
        info: Arc<SessionInfo>,
        permissions: Permissions,
        takes_revocation: bool,
    ) {
        self.info = Some(info);
        self.permissions = Some(permissions);
        self.takes_revocation = takes_revocation;
    }

    /// A batch was handed to the core.
    pub(super) const fn on_handed_over(&mut self, messages: usize, bytes: usize) {
        self.messages_in_flight += messages;
        self.bytes_in_flight += bytes;
    }

    /// A SUBSCRIBE was handed to the core.
    pub(super) fn on_subscribing(&mut self, request: RequestId, wish: Wish) {
        self.subscribing.push((request, wish));
    }

    /// An UNSUBSCRIBE was handed to the core.
    pub(super) fn on_unsubscribing(&mut self, request: RequestId, subscription: SubscriptionId) {
        self.unsubscribing.push((request, subscription));
    }

    /// Whether the session may have more on its way.
    pub(super) const fn is_below(&self, limits: &SessionLimits) -> bool {
        self.messages_in_flight < limits.session_unacknowledged_messages_max
            && self.bytes_in_flight < limits.session_unacknowledged_bytes_max
    }

    /// Whether all that was handed to the core is resolved.
    pub(super) const fn is_settled(&self) -> bool {
        self.messages_in_flight == 0
    }

    /// Whether nothing of the core may be taken until a read is back.
    pub(super) fn is_blocked(&self) -> bool {
        self.subscriber.is_blocked()
    }

    /// The next read of the store, if one is to be made.
    pub(super) fn next_read(&mut self) -> Option<HistoryRequest> {
        self.subscriber.next_read()
    }

    /// Events since the last call.
    pub(super) const fn take_events_sent(&mut self) -> u64 {
        std::mem::replace(&mut self.events_sent, 0)
    }

    /// Makes frames of what `outgoing` means for this client.
    pub(super) fn on_outgoing(&mut self, outgoing: Outgoing, out: &mut Frames, owed: &mut Owed) {
        match outgoing {
            Outgoing::Events(batch) => self.put_events(&batch, true, out, owed),
            Outgoing::Resolved { messages, bytes, answers } => {
                self.messages_in_flight = self.messages_in_flight.saturating_sub(messages);
                self.bytes_in_flight = self.bytes_in_flight.saturating_sub(bytes);
                self.put_answers(&answers, out);
            }
            Outgoing::Subscribed { request, subscription, live_from, end } => {
                let asked = self.subscribing.iter().position(|(asked, _)| *asked == request);
                let Some(asked) = asked else { return };
                let (_, wish) = self.subscribing.remove(asked);
                if self.revoked.remove(&request) {
                    if !self.leaving.contains(&subscription) && !self.subscriber.has(subscription) {
                        self.tell_unsubscribe(subscription, owed);
                    }
                    self.put_error(SUBSCRIBE, request, uris::NOT_AUTHORIZED, NOT_ANY_MORE, out);
                } else if self.leaving.contains(&subscription) {
                    // The core shares a subscription that it has not heard the end of.
                    self.ask_again(request, wish, owed);
                } else if self.subscriber.subscribed(subscription, &wish, live_from, end) {
                    encode::subscribed(&mut self.buffer, request, subscription);
                    out.json(&mut self.buffer);
                } else {
                    self.announcing.entry(subscription).or_default().push(request);
                }
            }
            Outgoing::Joined { join, from } => self.subscriber.on_joined(join, from),
            Outgoing::Lagging { from, subscriptions } => {
                self.subscriber.on_lagging(from, &subscriptions);
            }
            Outgoing::Unsubscribed { request: OWN_REQUEST } => {
                self.leaving.pop_front();
            }
            Outgoing::Unsubscribed { request } => {
                if let Some(subscription) = self.take_unsubscribing(request) {
                    self.subscriber.remove(subscription);
                }
                encode::unsubscribed(&mut self.buffer, request);
                out.json(&mut self.buffer);
            }
            Outgoing::Refused { request, kind, error } => {
                self.put_refused(request, kind, &error, out);
            }
        }
    }

    /// Makes frames of what a read brought.
    pub(super) fn on_read(
        &mut self,
        outcome: Result<ReadPart, HistoryError>,
        out: &mut Frames,
        owed: &mut Owed,
    ) {
        let fx = self.subscriber.on_read(outcome);
        // Sessions are told nothing while they wait.
        let replay::Effects {
            announce,
            batches,
            join,
            ended,
            refused,
            lost,
            pause,
            failed: _,
            left_out,
        } = fx;
        count_unsayable(left_out);
        for subscription in announce {
            for request in self.announcing.remove(&subscription).unwrap_or_default() {
                encode::subscribed(&mut self.buffer, request, subscription);
                out.json(&mut self.buffer);
            }
        }
        for batch in &batches {
            self.put_events(batch, false, out, owed);
        }
        for subscription in ended {
            self.put_end(subscription, COMPLETE, out, owed);
        }
        for (subscription, error) in refused {
            self.tell_unsubscribe(subscription, owed);
            for request in self.announcing.remove(&subscription).unwrap_or_default() {
                self.put_history_error(request, &error, out);
            }
        }
        if let Some((join, subscriptions)) = join {
            owed.tell.push(SessionEvent::Join { session: self.session, join, subscriptions });
        }
        if let Some(HistoryError::Trimmed { first }) = lost {
            owed.ending = Some(Ending::Trimmed { first });
        } else if lost.is_some() {
            owed.ending = Some(Ending::Shutdown);
        }
        owed.pause = pause;
    }

    fn put_events(&mut self, batch: &EventBatch, is_live: bool, out: &mut Frames, owed: &mut Owed) {
        let Some(receiver) = self.info.as_ref().map(|info| info.receiver()) else { return };
        let is_told = batch.about().is_none_or(|about| {
            self.permissions.as_ref().is_some_and(|permissions| permissions.may_read(about))
        });
        if !is_told {
            return;
        }
        let mut ended = Vec::new();
        let taken = self.subscriber.take(batch, is_live, &receiver, &mut ended);
        if !taken.is_empty() {
            let frames = super::event::frames(batch, out.encoding());
            for frame in taken.into_iter().filter_map(|index| frames[index].as_ref()) {
                self.events_sent += 1;
                out.message(frame);
            }
        }
        for subscription in ended {
            self.put_end(subscription, COMPLETE, out, owed);
        }
    }

    /// Ends subscriptions that the session may not have any more.
    pub(super) fn on_reload(
        &mut self,
        permissions: &Permissions,
        out: &mut Frames,
        owed: &mut Owed,
    ) {
        self.permissions = Some(permissions.clone());
        for subscription in self.subscriber.unlike(|pattern| permissions.may_read(pattern)) {
            self.put_end(subscription, uris::NOT_AUTHORIZED, out, owed);
        }
        // The core may have answered these already, and gets to hear of it then. A later reload may
        // allow them again.
        self.revoked = self
            .subscribing
            .iter()
            .filter(|(_, wish)| !permissions.may_read(&wish.pattern))
            .map(|(request, _)| *request)
            .collect();
    }

    /// A subscription is over.
    fn put_end(
        &mut self,
        subscription: SubscriptionId,
        reason: &'static str,
        out: &mut Frames,
        owed: &mut Owed,
    ) {
        if !self.subscriber.remove(subscription) {
            return;
        }
        self.tell_unsubscribe(subscription, owed);
        // One that was not announced yet is refused.
        if let Some(requests) = self.announcing.remove(&subscription) {
            for request in requests {
                self.put_error(SUBSCRIBE, request, reason, "it ended before it began", out);
            }
            return;
        }
        if self.takes_revocation {
            encode::revoked(&mut self.buffer, subscription, reason);
            out.json(&mut self.buffer);
        }
    }

    fn ask_again(&mut self, request: RequestId, wish: Wish, owed: &mut Owed) {
        let (session, pattern, mode) = (self.session, wish.pattern.clone(), wish.mode());
        owed.tell.push(SessionEvent::Subscribe { session, request, pattern, mode });
        self.subscribing.push((request, wish));
    }

    fn tell_unsubscribe(&mut self, subscription: SubscriptionId, owed: &mut Owed) {
        let (session, request) = (self.session, OWN_REQUEST);
        self.leaving.push_back(subscription);
        owed.tell.push(SessionEvent::Unsubscribe { session, request, subscription });
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

    fn put_refused(
        &mut self,
        request: RequestId,
        kind: RequestKind,
        error: &SubscribeError,
        out: &mut Frames,
    ) {
        if request == OWN_REQUEST {
            self.leaving.pop_front();
            return;
        }
        let code = match kind {
            RequestKind::Unsubscribe => {
                self.take_unsubscribing(request);
                UNSUBSCRIBE
            }
            RequestKind::Subscribe => {
                let asked = self.subscribing.iter().position(|(asked, _)| *asked == request);
                asked.map(|asked| self.subscribing.remove(asked));
                self.revoked.remove(&request);
                SUBSCRIBE
            }
        };
        let uri = uris::of_subscription(error);
        self.put_error(code, request, uri, &error.to_string(), out);
    }

    /// A SUBSCRIBE or UNSUBSCRIBE, by its message code, is refused.
    fn put_error(
        &mut self,
        code: u8,
        request: RequestId,
        uri: &'static str,
        message: &str,
        out: &mut Frames,
    ) {
        count_subscribe_error(uri);
        encode::error(&mut self.buffer, code, request, uri, message);
        out.json(&mut self.buffer);
    }

    /// A SUBSCRIBE cannot begin where it was to.
    fn put_history_error(&mut self, request: RequestId, error: &HistoryError, out: &mut Frames) {
        let uri = uris::of_history(error);
        count_subscribe_error(uri);
        let mut details = Map::new();
        details.extend(error.end().map(|end| ("end".to_owned(), end.0.into())));
        let message = error.to_string();
        encode::error_with(&mut self.buffer, SUBSCRIBE, request, &details, uri, &message);
        out.json(&mut self.buffer);
    }

    fn take_unsubscribing(&mut self, request: RequestId) -> Option<SubscriptionId> {
        let index = self.unsubscribing.iter().position(|(asked, _of)| *asked == request)?;
        Some(self.unsubscribing.remove(index).1)
    }
}

#[cfg(test)]
mod tests;
