//! From the core to the client: turns [`Outgoing`] into frames, and keeps the books of the session
//! that this changes.

use axum::extract::ws::{Message, Utf8Bytes};
use bytes::BytesMut;
use futures_util::{Sink, SinkExt};
use vixen_common::id::Position;

use super::encode;
use super::error::{publish_error_uri, subscribe_error_uri};
use super::limits::SessionLimits;
use super::metrics::count_publish_error;
use crate::broker::{
    Event, Outgoing, PublishError, RequestId, SegmentEvents, SessionId, SubscribeError,
    SubscriptionId,
};

const PUBLISH: u8 = 16;
const UNSUBSCRIBE: u8 = 34;

/// The books of one session: what it has subscribed, and what it waits for.
#[derive(Debug)]
pub(super) struct Outbox {
    session: SessionId,
    /// Sorted; each event is looked up here.
    subscriptions: Vec<SubscriptionId>,
    /// UNSUBSCRIBE requests without an answer, oldest first.
    unsubscribing: Vec<(RequestId, SubscriptionId)>,
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
            subscriptions: Vec::new(),
            unsubscribing: Vec::new(),
            messages_in_flight: 0,
            bytes_in_flight: 0,
            events_sent: 0,
            buffer: BytesMut::new(),
        }
    }

    /// A batch was handed to the core.
    pub(super) const fn on_handed_over(&mut self, messages: usize, bytes: usize) {
        self.messages_in_flight += messages;
        self.bytes_in_flight += bytes;
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

    /// Events since the last call.
    pub(super) const fn take_events_sent(&mut self) -> u64 {
        std::mem::replace(&mut self.events_sent, 0)
    }

    /// Feeds what `outgoing` means for this client to `sink`, unflushed.
    pub(super) async fn feed<S>(
        &mut self,
        sink: &mut S,
        outgoing: &Outgoing,
    ) -> Result<(), S::Error>
    where
        S: Sink<Message> + Unpin,
    {
        match outgoing {
            Outgoing::Events(events) => self.feed_events(sink, events).await,
            Outgoing::Resolved { messages, bytes, answers } => {
                self.messages_in_flight = self.messages_in_flight.saturating_sub(*messages);
                self.bytes_in_flight = self.bytes_in_flight.saturating_sub(*bytes);
                self.feed_answers(sink, answers).await
            }
            Outgoing::Subscribed { request, subscription } => {
                if let Err(index) = self.subscriptions.binary_search(subscription) {
                    self.subscriptions.insert(index, *subscription);
                }
                encode::subscribed(&mut self.buffer, *request, *subscription);
                self.feed_buffer(sink).await
            }
            Outgoing::Unsubscribed { request } => {
                if let Some(subscription) = self.take_unsubscribing(*request)
                    && let Ok(index) = self.subscriptions.binary_search(&subscription)
                {
                    self.subscriptions.remove(index);
                }
                encode::unsubscribed(&mut self.buffer, *request);
                self.feed_buffer(sink).await
            }
            Outgoing::Refused { request, kind, error } => {
                self.feed_refused(sink, *request, *kind, error).await
            }
        }
    }

    async fn feed_events<S>(&mut self, sink: &mut S, events: &SegmentEvents) -> Result<(), S::Error>
    where
        S: Sink<Message> + Unpin,
    {
        for event in &events.events {
            if self.takes(event) {
                self.events_sent += 1;
                sink.feed(Message::Text(event.frame.clone())).await?;
            }
        }
        Ok(())
    }

    fn takes(&self, event: &Event) -> bool {
        event.excluded != Some(self.session)
            && self.subscriptions.binary_search(&event.subscription).is_ok()
    }

    async fn feed_answers<S>(
        &mut self,
        sink: &mut S,
        answers: &[(RequestId, Result<Position, PublishError>)],
    ) -> Result<(), S::Error>
    where
        S: Sink<Message> + Unpin,
    {
        self.buffer.reserve(answers.len() * encode::PUBLISHED_BYTES_MAX);
        for (request, outcome) in answers {
            match outcome {
                Ok(position) => encode::published(&mut self.buffer, *request, *position),
                Err(error) => {
                    count_publish_error(error);
                    let uri = publish_error_uri(error);
                    encode::error(&mut self.buffer, PUBLISH, *request, uri, &error.to_string());
                }
            }
            self.feed_buffer(sink).await?;
        }
        Ok(())
    }

    async fn feed_refused<S>(
        &mut self,
        sink: &mut S,
        request: RequestId,
        kind: u8,
        error: &SubscribeError,
    ) -> Result<(), S::Error>
    where
        S: Sink<Message> + Unpin,
    {
        if kind == UNSUBSCRIBE {
            self.take_unsubscribing(request);
        }
        let uri = subscribe_error_uri(error);
        encode::error(&mut self.buffer, kind, request, uri, &error.to_string());
        self.feed_buffer(sink).await
    }

    async fn feed_buffer<S>(&mut self, sink: &mut S) -> Result<(), S::Error>
    where
        S: Sink<Message> + Unpin,
    {
        let frame: Utf8Bytes = encode::take_frame(&mut self.buffer);
        sink.feed(Message::Text(frame)).await
    }

    fn take_unsubscribing(&mut self, request: RequestId) -> Option<SubscriptionId> {
        let index = self.unsubscribing.iter().position(|(asked, _of)| *asked == request)?;
        Some(self.unsubscribing.remove(index).1)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use futures_util::FutureExt;

    use super::*;

    const ME: SessionId = SessionId(1);
    const OTHER: SessionId = SessionId(2);

    /// The texts that `outgoing` becomes.
    fn texts(outbox: &mut Outbox, outgoing: &Outgoing) -> Vec<String> {
        let mut texts = Vec::new();
        let sink = futures_util::sink::unfold(&mut texts, |texts, message: Message| {
            if let Message::Text(text) = message {
                texts.push(text.as_str().to_owned());
            }
            std::future::ready(Ok::<_, Infallible>(texts))
        });
        let mut sink = Box::pin(sink);
        let feeding = async {
            outbox.feed(&mut sink, outgoing).await?;
            sink.flush().await
        };
        assert_eq!(feeding.now_or_never(), Some(Ok(())));
        drop(sink);
        texts
    }

    fn subscribed(request: u64, subscription: u64) -> Outgoing {
        Outgoing::Subscribed {
            request: RequestId(request),
            subscription: SubscriptionId(subscription),
        }
    }

    fn events(of: &[(u64, Option<SessionId>, &str)]) -> Outgoing {
        let events = of
            .iter()
            .map(|(subscription, excluded, frame)| Event {
                subscription: SubscriptionId(*subscription),
                excluded: *excluded,
                frame: (*frame).into(),
            })
            .collect();
        Outgoing::Events(Arc::new(SegmentEvents { events, bytes: 0 }))
    }

    #[test]
    fn events_come_from_subscribed_to_unsubscribed_and_not_to_the_excluded() {
        let mut outbox = Outbox::new(ME);
        let some =
            events(&[(7, None, "a"), (7, Some(ME), "b"), (7, Some(OTHER), "c"), (8, None, "d")]);
        assert_eq!(texts(&mut outbox, &some), [""; 0]);
        assert_eq!(texts(&mut outbox, &subscribed(1, 7)), ["[33,1,7]"]);
        assert_eq!(texts(&mut outbox, &subscribed(2, 7)), ["[33,2,7]"]);
        assert_eq!(texts(&mut outbox, &some), ["a", "c"]);
        outbox.on_unsubscribing(RequestId(3), SubscriptionId(7));
        assert_eq!(texts(&mut outbox, &some), ["a", "c"]);
        let over = Outgoing::Unsubscribed { request: RequestId(3) };
        assert_eq!(texts(&mut outbox, &over), ["[35,3]"]);
        assert_eq!(texts(&mut outbox, &some), [""; 0]);
        assert_eq!(outbox.take_events_sent(), 4);
    }

    #[test]
    fn a_refused_unsubscribe_changes_nothing() {
        let mut outbox = Outbox::new(ME);
        texts(&mut outbox, &subscribed(1, 7));
        outbox.on_unsubscribing(RequestId(2), SubscriptionId(9));
        let refused = Outgoing::Refused {
            request: RequestId(2),
            kind: UNSUBSCRIBE,
            error: SubscribeError::NoSuchSubscription,
        };
        assert_eq!(
            texts(&mut outbox, &refused),
            [r#"[8,34,2,{},"wamp.error.no_such_subscription",["no such subscription"]]"#]
        );
        assert!(outbox.unsubscribing.is_empty());
        assert_eq!(texts(&mut outbox, &events(&[(7, None, "a")])), ["a"]);
    }

    #[test]
    fn answers_give_back_their_share_of_the_bounds() {
        let mut outbox = Outbox::new(ME);
        let limits =
            SessionLimits { session_unacknowledged_messages_max: 3, ..SessionLimits::of_tests() };
        outbox.on_handed_over(3, 300);
        assert!(!outbox.is_below(&limits) && !outbox.is_settled());
        let missing = "2 of 3 ndb nodes".to_owned();
        let resolved = Outgoing::Resolved {
            messages: 3,
            bytes: 300,
            answers: vec![
                (RequestId(5), Ok(Position(9))),
                (RequestId(6), Err(PublishError::NoQuorum { waited_ms: 7, missing })),
            ],
        };
        assert_eq!(
            texts(&mut outbox, &resolved),
            [
                "[17,5,9]",
                r#"[8,16,6,{},"vixen.error.no_quorum",["not acknowledged within 7 ms: 2 of 3 ndb nodes"]]"#,
            ]
        );
        assert!(outbox.is_below(&limits) && outbox.is_settled());
    }
}
