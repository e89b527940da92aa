//! One WAMP session as a state machine: frames in, actions out.
//!
//! Source: WAMP specification, Basic Profile, broker role.
//!
//! ```text
//! Establishing --HELLO--> Open --GOODBYE--> Closed
//!      \                    \
//!       +---- violation -----+-- ABORT --> Closed
//! ```
//! Invariants:
//! - S1: nothing but HELLO and ABORT is taken before the session is open, and no second HELLO.
//! - S2: a closed session takes nothing and does nothing.
//! - S3: a request that cannot be served is answered by its own ERROR; only a broken protocol ends
//!   the session.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use bytes::{Bytes, BytesMut};

use vixen_common::segment::{Attributes, Publisher, RecordFlags};
use vixen_common::time::WallTime;

use super::encode::{self, take_text};
use super::error::{Ending, Refusal, Violation};
use super::limits::SessionLimits;
use super::message::{ClientMessage, RawPublish, parse};
use super::options::{HelloDetails, PublishOptions, SubscribeOptions, check_hello_details};
use super::serializer::{RECORD_SEPARATOR, Serializer};
use super::topics::{RawUri, TopicCache};
use super::uri::is_uri;
use crate::broker::{Publish, RequestId, SessionId, SessionInfo, SubscriptionId};
use crate::feed::Wish;

const PUBLISH: u8 = 16;
const SUBSCRIBE: u8 = 32;

/// What the driver owes after a message. Texts are WAMP messages as JSON.
#[derive(Debug)]
pub(super) enum Action {
    /// The session is open: tell the core, then send this WELCOME.
    Open {
        /// Who it is.
        info: Arc<SessionInfo>,
        /// Whether the client takes an UNSUBSCRIBED that it has not asked for.
        takes_revocation: bool,
        /// The WELCOME.
        welcome: Bytes,
    },
    /// Hand this message to the core.
    Publish(Publish),
    /// A message that will not be published.
    PublishRefused {
        /// Why.
        refusal: Refusal,
        /// The ERROR, if the client wants to know.
        answer: Option<Bytes>,
    },
    /// Ask the core for this subscription.
    Subscribe {
        /// Echoed in the answer.
        request: RequestId,
        /// What is wanted.
        wish: Box<Wish>,
    },
    /// Ask the core to end this subscription.
    Unsubscribe {
        /// Echoed in the answer.
        request: RequestId,
        /// Of a SUBSCRIBED before.
        subscription: SubscriptionId,
    },
    /// Send this answer.
    Answer(Bytes),
    /// The session is over: send [`Session::farewell`], and close.
    End(Ending),
}

#[derive(Debug)]
enum State {
    Establishing,
    Open(Box<Edge>),
    Closed,
}

/// Where what a welcome session publishes and subscribes is checked.
#[derive(Debug)]
pub(crate) struct Edge {
    info: Arc<SessionInfo>,
    topics: TopicCache,
    limits: Arc<SessionLimits>,
}

/// Protocol state of one connection.
#[derive(Debug)]
pub(super) struct Session {
    id: SessionId,
    authid: u64,
    serializer: Serializer,
    limits: Arc<SessionLimits>,
    state: State,
    buffer: BytesMut,
}

impl Session {
    /// A session that waits for its HELLO. Both ids are random, `id` in `1..=2^53`.
    #[must_use]
    pub(super) fn new(
        id: SessionId,
        authid: u64,
        serializer: Serializer,
        limits: Arc<SessionLimits>,
    ) -> Self {
        let state = State::Establishing;
        Self { id, authid, serializer, limits, state, buffer: BytesMut::new() }
    }

    /// The session's id.
    #[must_use]
    pub(super) const fn id(&self) -> SessionId {
        self.id
    }

    /// Takes one text frame, which has one message or a batch.
    pub(super) fn on_text(&mut self, now: WallTime, frame: &Utf8Bytes, actions: &mut Vec<Action>) {
        if !self.serializer.is_text() {
            self.on_violation(Violation::Text, actions);
            return;
        }
        let frame = Bytes::from(frame.clone());
        if !self.serializer.is_batched {
            actions.extend(self.on_message(now, &frame));
            return;
        }
        for part in frame.split(|byte| *byte == RECORD_SEPARATOR) {
            // The last message of a batch is ended like all others.
            if !part.is_empty() {
                actions.extend(self.on_message(now, &frame.slice_ref(part)));
            }
        }
    }

    /// Takes one binary frame.
    pub(super) fn on_binary(&mut self, now: WallTime, frame: &Bytes, actions: &mut Vec<Action>) {
        if self.serializer.is_text() {
            self.on_violation(Violation::Binary, actions);
            return;
        }
        if !self.serializer.is_batched {
            actions.extend(self.on_message(now, frame));
            return;
        }
        let mut rest = frame.clone();
        while let Some((length, _)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            let end = length.saturating_add(4);
            if rest.len() < end {
                break;
            }
            let message = rest.split_to(end).slice(4..);
            actions.extend(self.on_message(now, &message));
        }
        if !rest.is_empty() {
            self.on_violation(Violation::Batch, actions);
        }
    }

    fn on_violation(&mut self, violation: Violation, actions: &mut Vec<Action>) {
        match self.state {
            State::Closed => {}
            _ => actions.push(Action::End(violation.into())),
        }
    }

    fn on_message(&mut self, now: WallTime, message: &Bytes) -> Option<Action> {
        let encoding = self.serializer.encoding;
        let taken = match &mut self.state {
            State::Closed => return None,
            State::Establishing => {
                let parsed = parse(message, encoding);
                parsed.map_err(Ending::from).and_then(|parsed| self.on_first(&parsed))
            }
            State::Open(edge) => parse(message, encoding)
                .map_err(Ending::from)
                .and_then(|parsed| edge.on_message(now, &mut self.buffer, message, parsed)),
        };
        Some(taken.unwrap_or_else(Action::End))
    }

    fn on_first(&mut self, message: &ClientMessage<'_>) -> Result<Action, Ending> {
        let ClientMessage::Hello { realm, details } = message else {
            return Err(match message {
                ClientMessage::Abort => Ending::ClientAborted,
                other => Violation::Unexpected(other.name()).into(),
            });
        };
        let realm = realm.decode().filter(|realm| {
            realm.len() <= self.limits.topic_bytes_max && is_uri(realm, self.limits.uri_check)
        });
        let realm: Arc<str> = realm.ok_or(Ending::InvalidRealm)?.as_ref().into();
        let HelloDetails { takes_revocation } = check_hello_details(details)?;
        let info = Arc::new(SessionInfo {
            session: self.id,
            realm,
            authid: format!("{:016x}", self.authid).into(),
            authrole: "anonymous".into(),
            authmethod: "anonymous",
            authprovider: "static",
            is_announced: true,
        });
        encode::welcome(&mut self.buffer, &info);
        let edge = Edge::new(Arc::clone(&info), Arc::clone(&self.limits));
        self.state = State::Open(Box::new(edge));
        Ok(Action::Open { info, takes_revocation, welcome: take_text(&mut self.buffer) })
    }

    /// Closes the session and returns its last message, if there is one to send.
    pub(super) fn farewell(&mut self, ending: Ending) -> Option<Bytes> {
        let before = std::mem::replace(&mut self.state, State::Closed);
        let is_open = match before {
            State::Establishing => false,
            State::Open(_) => true,
            State::Closed => return None,
        };
        let uri = ending.uri()?;
        let message = if ending == Ending::Goodbye { String::new() } else { ending.to_string() };
        if is_open && ending.is_orderly() {
            encode::goodbye(&mut self.buffer, uri, &message);
        } else {
            encode::abort(&mut self.buffer, uri, &message);
        }
        Some(take_text(&mut self.buffer))
    }
}

impl Edge {
    pub(crate) fn new(info: Arc<SessionInfo>, limits: Arc<SessionLimits>) -> Self {
        let topics = TopicCache::new(Arc::clone(&info.realm), &limits);
        Self { info, topics, limits }
    }

    /// Takes one message, which stands in `frame`.
    fn on_message(
        &mut self,
        now: WallTime,
        buffer: &mut BytesMut,
        frame: &Bytes,
        message: ClientMessage<'_>,
    ) -> Result<Action, Ending> {
        match message {
            ClientMessage::Publish(publish) => {
                let request = publish.request;
                Ok(match self.publish(frame, &publish) {
                    Ok(publish) => Action::Publish(publish),
                    Err((refusal, is_wanted)) => {
                        let answer = is_wanted.then(|| refused(buffer, PUBLISH, request, refusal));
                        Action::PublishRefused { refusal, answer }
                    }
                })
            }
            ClientMessage::Subscribe { request, options, topic } => {
                Ok(match self.wish(now, &options, &topic) {
                    Ok(wish) => Action::Subscribe { request, wish: Box::new(wish) },
                    Err(refusal) => Action::Answer(refused(buffer, SUBSCRIBE, request, refusal)),
                })
            }
            ClientMessage::Unsubscribe { request, subscription } => {
                Ok(Action::Unsubscribe { request, subscription })
            }
            ClientMessage::Goodbye => Err(Ending::Goodbye),
            ClientMessage::Abort => Err(Ending::ClientAborted),
            ClientMessage::Hello { .. } => Err(Violation::Unexpected("a second HELLO").into()),
            ClientMessage::Authenticate { .. } => Err(Violation::Unexpected("AUTHENTICATE").into()),
        }
    }

    /// What a SUBSCRIBE with these options, a JSON object, wants.
    pub(crate) fn wish(
        &self,
        now: WallTime,
        options: &str,
        topic: &RawUri<'_>,
    ) -> Result<Wish, Refusal> {
        let SubscribeOptions { matching, after, limit, is_snapshot } =
            SubscribeOptions::parse(options, now)?;
        let pattern = self.topics.subscribed(topic, matching)?;
        Ok(Wish { pattern, after, limit, is_snapshot })
    }

    /// The message to publish, or why it is refused and whether the client is to be told.
    pub(crate) fn publish(
        &mut self,
        frame: &Bytes,
        publish: &RawPublish<'_>,
    ) -> Result<Publish, (Refusal, bool)> {
        let options = PublishOptions::parse(&publish.options)?;
        let is_wanted = options.acknowledge;
        let topic =
            self.topics.published(&publish.topic).map_err(|refusal| (refusal, is_wanted))?;
        let attributes = self.attributes(&options);
        let max = self.limits.publish_bytes_max();
        if topic.uri.len() + publish.payload.len() + attributes.len() > max {
            return Err((Refusal::TooLarge { max }, is_wanted));
        }
        Ok(Publish {
            topic,
            encoding: publish.encoding,
            payload: frame.slice(publish.payload.clone()),
            attributes,
            flags: match options.include_me {
                true => RecordFlags::default(),
                false => RecordFlags::EXCLUDE_ME,
            },
            acknowledge: is_wanted.then_some(publish.request),
            level: options.level,
            wait: options.wait,
        })
    }

    fn attributes(&self, options: &PublishOptions) -> Bytes {
        if !options.disclose_me && options.lists.is_none() {
            return Bytes::new();
        }
        let (exclude, eligible) = match &options.lists {
            Some(lists) => (lists.exclude.clone(), lists.eligible.clone()),
            None => Default::default(),
        };
        let publisher = options.disclose_me.then(|| Publisher {
            authid: self.info.authid.to_string(),
            authrole: self.info.authrole.to_string(),
        });
        Attributes { publisher, exclude, eligible }.to_bytes().into()
    }
}

fn refused(buffer: &mut BytesMut, kind: u8, request: RequestId, refusal: Refusal) -> Bytes {
    encode::error(buffer, kind, request, refusal.uri(), &refusal.to_string());
    take_text(buffer)
}

#[cfg(test)]
mod tests;
