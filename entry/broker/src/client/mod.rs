//! Client: the books of one session, whatever its gate.
//!
//! ```text
//!   gate ──subscribe, unsubscribe──> Client ──Ask──> broker
//!   gate <──────────Told──────────── Client <──Outgoing── broker
//!                                      ^──what was read── store
//! ```
//! A gate reads what its client says and writes what its client is told; the rest is here: which requests wait
//! for an answer, what is subscribed and where each of it stands (`replay`), what is unacknowledged, and what has
//! ended without being asked for. What a gate is told comes in the order in which its client is to get it.
//!
//! Invariants:
//! - C1: each request is answered once: by what it asked for, or refused.
//! - C2: events of a subscription come after it was told that it stands, and none after its end.
//! - C3: what the session leaves by itself is told to the broker once, and asked for anew where the broker
//!   shares it again before it has heard of that.
//! - C4: what is unacknowledged never falls below nothing.
//! - C5: of calls it is told what the broker says, but for answers to what the session itself has asked.

mod callee;
mod io;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use vixen_core::id::Position;

use crate::access::Permissions;
use crate::api::calls::{CallTold, CallWord};
use crate::api::{
    Outgoing, RequestId, RequestKind, SessionInfo, Subscribe, SubscribeError, SubscriptionId,
};
use crate::event::{About, EventBatch};
use crate::history::{HistoryError, HistoryRequest};
use crate::replay::{self, ReadPart, Subscriber};
use callee::Callee;
pub use io::{Ask, Effects, EndReason, RequestError, Told};

/// Of an unsubscribe that the session makes itself: gates number those of their clients from 1.
pub(crate) const OWN_REQUEST: RequestId = RequestId(0);

/// See the module.
#[derive(Debug)]
pub struct Client {
    info: Arc<SessionInfo>,
    permissions: Permissions,
    subscriber: Subscriber,
    /// Subscribes without an answer of the broker, oldest first.
    subscribing: Vec<(RequestId, Subscribe)>,
    /// Subscribes that wait for the first read, and where the order ended when the broker took them.
    announcing: BTreeMap<SubscriptionId, Vec<(RequestId, Position)>>,
    /// Unsubscribes without an answer, oldest first.
    unsubscribing: Vec<(RequestId, SubscriptionId)>,
    /// What the session itself has left, without an answer yet, oldest first.
    leaving: VecDeque<SubscriptionId>,
    /// Handed to the broker and not resolved.
    messages_in_flight: usize,
    bytes_in_flight: usize,
    callee: Callee,
}

impl Client {
    /// Of a session that has just opened.
    #[must_use]
    pub fn new(info: Arc<SessionInfo>, permissions: Permissions) -> Self {
        Self {
            info,
            permissions,
            subscriber: Subscriber::default(),
            subscribing: Vec::new(),
            announcing: BTreeMap::new(),
            unsubscribing: Vec::new(),
            leaving: VecDeque::new(),
            messages_in_flight: 0,
            bytes_in_flight: 0,
            callee: Callee::default(),
        }
    }

    /// Who it is.
    #[must_use]
    pub const fn info(&self) -> &Arc<SessionInfo> {
        &self.info
    }

    /// Whether the session may have more on its way, of so many messages and bytes.
    #[must_use]
    pub const fn is_below(&self, messages_max: usize, bytes_max: usize) -> bool {
        self.messages_in_flight < messages_max && self.bytes_in_flight < bytes_max
    }

    /// Whether all that was handed to the broker is resolved.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.messages_in_flight == 0
    }

    /// Whether nothing of the broker may be taken until a read is back.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.subscriber.is_blocked()
    }

    /// Whether every request has its answer, and nothing is to be read.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.subscribing.is_empty()
            && self.announcing.is_empty()
            && self.unsubscribing.is_empty()
            && self.leaving.is_empty()
            && self.subscriber.is_live()
    }

    /// Whether all that it has subscribed comes live.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.subscribing.is_empty() && self.subscriber.is_live()
    }

    /// The next read of the store, if one is to be made. [`on_read`](Self::on_read) takes what it brings.
    pub fn next_read(&mut self) -> Option<HistoryRequest> {
        self.subscriber.next_read()
    }

    /// Messages were handed to the broker.
    pub const fn on_handed_over(&mut self, messages: usize, bytes: usize) {
        self.messages_in_flight += messages;
        self.bytes_in_flight += bytes;
    }

    /// The client subscribes. Its request's id is of no request that waits, or it is refused: which of two an
    /// answer is for could not be told.
    pub fn subscribe(&mut self, request: RequestId, wanted: Subscribe, fx: &mut Effects) {
        let subscribing = self.subscribing.iter().map(|(waits, _)| *waits);
        let announcing = self.announcing.values().flatten().map(|(waits, _)| *waits);
        if subscribing.chain(announcing).any(|waits| waits == request) {
            return refuse(request, RequestError::Repeated, fx);
        }
        let (pattern, mode) = (wanted.pattern.clone(), wanted.mode());
        fx.ask.push(Ask::Subscribe { request, pattern, mode });
        self.subscribing.push((request, wanted));
    }

    /// What was to be subscribed may not be any more, and is not handed to the broker.
    pub fn refuse_subscribe(&mut self, request: RequestId, fx: &mut Effects) {
        if self.take_subscribing(request).is_some() {
            refuse(request, RequestError::NotAuthorized, fx);
        }
    }

    /// The client unsubscribes, with a request's id as [`subscribe`](Self::subscribe) wants it.
    pub fn unsubscribe(
        &mut self,
        request: RequestId,
        subscription: SubscriptionId,
        fx: &mut Effects,
    ) {
        if self.unsubscribing.iter().any(|(waits, _)| *waits == request) {
            let (kind, error) = (RequestKind::Unsubscribe, RequestError::Repeated);
            return fx.told.push(Told::Refused { request, kind, error });
        }
        fx.ask.push(Ask::Unsubscribe { request, subscription });
        self.unsubscribing.push((request, subscription));
    }

    /// The gate has no use for a subscription any more, of which its client hears nothing.
    pub fn leave(&mut self, subscription: SubscriptionId, fx: &mut Effects) {
        if self.subscriber.remove(subscription) {
            self.tell_unsubscribe(subscription, fx);
        }
    }

    /// Takes what the broker tells.
    pub fn on_outgoing(&mut self, outgoing: Outgoing, fx: &mut Effects) {
        match outgoing {
            Outgoing::Events(batch) => self.put_events(batch, true, fx),
            Outgoing::Resolved { messages, bytes, answers } => {
                self.messages_in_flight = less(self.messages_in_flight, messages);
                self.bytes_in_flight = less(self.bytes_in_flight, bytes);
                if !answers.is_empty() {
                    fx.told.push(Told::Resolved(answers));
                }
            }
            Outgoing::Subscribed { request, subscription, live_from, end } => {
                let Some(wanted) = self.take_subscribing(request) else { return };
                if !self.permissions.may_read(&wanted.pattern) {
                    // The realms were read again meanwhile.
                    if !self.leaving.contains(&subscription) && !self.subscriber.has(subscription) {
                        self.tell_unsubscribe(subscription, fx);
                    }
                    refuse(request, RequestError::NotAuthorized, fx);
                } else if self.leaving.contains(&subscription) {
                    // C3: the broker shares a subscription that it has not heard the end of.
                    self.subscribe(request, wanted, fx);
                } else if self.subscriber.subscribed(subscription, &wanted, live_from, end) {
                    fx.told.push(Told::Subscribed { request, subscription, end });
                } else {
                    self.announcing.entry(subscription).or_default().push((request, end));
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
                    // C1: a client may have named what it was not told of yet.
                    self.refuse_announcing(subscription, EndReason::Complete, fx);
                }
                fx.told.push(Told::Unsubscribed { request });
            }
            Outgoing::Refused { request, kind, error } => self.on_refused(request, kind, error, fx),
        }
        self.check();
    }

    /// These words are to be handed to the broker. Taken out are those that have the id of a request that waits, as
    /// [`subscribe`](Self::subscribe) does not want it.
    pub fn on_words(&mut self, words: &mut Vec<CallWord>, fx: &mut Effects) {
        words.retain(|word| self.callee.on_word(word, fx));
    }

    /// Whether the session answers for this procedure, and may.
    #[must_use]
    pub fn is_callee_of(&self, procedure: &str) -> bool {
        self.callee.is_of(procedure, &self.permissions)
    }

    /// Takes what the broker tells of calls.
    pub fn on_call(&mut self, told: CallTold, fx: &mut Effects) {
        self.callee.on_told(told, &self.permissions, fx);
    }

    /// Takes what a read brought.
    pub fn on_read(&mut self, outcome: Result<ReadPart, HistoryError>, fx: &mut Effects) {
        let replay::Effects {
            announce,
            batches,
            join,
            ended,
            refused,
            lost,
            pause,
            failed,
            left_out,
        } = self.subscriber.on_read(outcome);
        for subscription in announce {
            for (request, end) in self.announcing.remove(&subscription).unwrap_or_default() {
                fx.told.push(Told::Subscribed { request, subscription, end });
            }
        }
        for batch in batches {
            self.put_events(Arc::new(batch), false, fx);
        }
        for subscription in ended {
            self.end(subscription, EndReason::Complete, fx);
        }
        for (subscription, error) in refused {
            self.tell_unsubscribe(subscription, fx);
            for (request, _) in self.announcing.remove(&subscription).unwrap_or_default() {
                refuse(request, RequestError::History(error.clone()), fx);
            }
        }
        fx.ask.extend(join.map(|(join, subscriptions)| Ask::Join { join, subscriptions }));
        fx.lost = lost;
        fx.pause = pause;
        fx.failed = failed;
        fx.left_out += left_out;
        self.check();
    }

    /// The realms were read again: ends subscriptions that the session may not have any more.
    pub fn on_reload(&mut self, permissions: &Permissions, fx: &mut Effects) {
        self.permissions = permissions.clone();
        for subscription in self.subscriber.unlike(|pattern| permissions.may_read(pattern)) {
            self.end(subscription, EndReason::NotAuthorized, fx);
        }
        self.callee.on_reload(&self.permissions, fx);
        // What waits for the broker's answer is judged when that comes.
        self.check();
    }

    fn put_events(&mut self, batch: Arc<EventBatch>, is_live: bool, fx: &mut Effects) {
        if batch.about().is_some_and(|about| !may_hear(&self.permissions, about)) {
            return;
        }
        let mut ended = Vec::new();
        let taken = self.subscriber.take(&batch, is_live, &self.info.receiver(), &mut ended);
        if !taken.is_empty() {
            fx.told.push(Told::Events { batch, taken });
        }
        for subscription in ended {
            self.end(subscription, EndReason::Complete, fx);
        }
    }

    /// A subscription is over.
    fn end(&mut self, subscription: SubscriptionId, reason: EndReason, fx: &mut Effects) {
        if !self.subscriber.remove(subscription) {
            return;
        }
        self.tell_unsubscribe(subscription, fx);
        if !self.refuse_announcing(subscription, reason, fx) {
            fx.told.push(Told::Ended { subscription, reason });
        }
    }

    /// C1: refuses those who wait for what is over; whether somebody does.
    fn refuse_announcing(
        &mut self,
        subscription: SubscriptionId,
        reason: EndReason,
        fx: &mut Effects,
    ) -> bool {
        let Some(requests) = self.announcing.remove(&subscription) else { return false };
        for (request, _) in requests {
            refuse(request, RequestError::Ended(reason), fx);
        }
        true
    }

    fn tell_unsubscribe(&mut self, subscription: SubscriptionId, fx: &mut Effects) {
        assert!(!self.leaving.contains(&subscription), "C3: it is told once that it is left");
        self.leaving.push_back(subscription);
        fx.ask.push(Ask::Unsubscribe { request: OWN_REQUEST, subscription });
    }

    fn on_refused(
        &mut self,
        request: RequestId,
        kind: RequestKind,
        error: SubscribeError,
        fx: &mut Effects,
    ) {
        if request == OWN_REQUEST {
            self.leaving.pop_front();
            return;
        }
        match kind {
            RequestKind::Unsubscribe => {
                self.take_unsubscribing(request);
            }
            RequestKind::Subscribe => {
                self.take_subscribing(request);
            }
        }
        fx.told.push(Told::Refused { request, kind, error: RequestError::Subscribe(error) });
    }

    fn take_subscribing(&mut self, request: RequestId) -> Option<Subscribe> {
        let index = self.subscribing.iter().position(|(asked, _)| *asked == request)?;
        Some(self.subscribing.remove(index).1)
    }

    fn take_unsubscribing(&mut self, request: RequestId) -> Option<SubscriptionId> {
        let index = self.unsubscribing.iter().position(|(asked, _of)| *asked == request)?;
        Some(self.unsubscribing.remove(index).1)
    }

    /// What costs nothing that shows.
    fn check(&self) {
        debug_assert!(
            self.announcing.keys().all(|waits| self.subscriber.has(*waits)),
            "C1: what waits for its first read is read"
        );
        debug_assert!(
            self.leaving.iter().all(|left| !self.subscriber.has(*left)),
            "C2: what was left gets nothing"
        );
    }
}

/// Whether a session may hear of this.
fn may_hear(permissions: &Permissions, about: &About) -> bool {
    match about {
        About::Topics(pattern) => permissions.may_hear_of(pattern),
        About::Procedures(pattern) => permissions.may_hear_of_procedures(pattern),
    }
}

/// C4.
fn less(in_flight: usize, resolved: usize) -> usize {
    debug_assert!(resolved <= in_flight, "C4: {resolved} of {in_flight} resolved");
    in_flight.saturating_sub(resolved)
}

/// A subscribe is refused.
fn refuse(request: RequestId, error: RequestError, fx: &mut Effects) {
    fx.told.push(Told::Refused { request, kind: RequestKind::Subscribe, error });
}
