//! One WAMP session as a state machine: frames in, actions out.
//!
//! Source: WAMP specification, Basic Profile, broker role.
//!
//! ```text
//! Establishing --HELLO--> Challenged --AUTHENTICATE--> Open --GOODBYE--> Closed
//!      \        \              |                        / \
//!       \        +------------------------------------>+   |
//!        +---------- violation +---------------------------+-- ABORT --> Closed
//! ```
//! Invariants:
//! - S1: nothing but HELLO, the answer to a CHALLENGE, and ABORT is taken before the session is
//!   open, and no second HELLO.
//! - S2: a closed session takes nothing and does nothing.
//! - S3: a request that cannot be served is answered by its own ERROR; only a broken protocol ends
//!   the session.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};

use vixen_broker::api::{Publish, RequestId, SessionId, SessionInfo, SubscriptionId};
use vixen_broker::replay::Wish;
use vixen_core::name::NodeName;
use vixen_core::segment::{Attributes, Match, Publisher, RecordFlags, TopicPattern};
use vixen_core::time::WallTime;
use vixen_runtime::config::{Disclosure, Goodbye};

use super::encode::{self, take_text};
use super::error::{Ending, Refusal, Violation};
use super::limits::SessionLimits;
use super::message::{ClientMessage, RawPublish, parse};
use super::options::{HelloDetails, PublishOptions, SubscribeOptions, check_hello_details};
use super::serializer::{RECORD_SEPARATOR, Serializer};
use super::topics::{RawUri, TopicCache};
use super::uri::is_realm;
use crate::auth::{Hello, Identity, Nonce, Pending, Permissions, Step};
use crate::door::{Door, origin_of};
use crate::rights::Rights;

const PUBLISH: u8 = 16;
const SUBSCRIBE: u8 = 32;

/// What the driver owes after a message. Texts are WAMP messages as JSON.
#[derive(Debug)]
pub(super) enum Action {
    /// The session is open: tell the core, then send this WELCOME.
    Open {
        /// Who it is.
        info: Arc<SessionInfo>,
        /// What it may do, for now.
        permissions: Permissions,
        /// Whether the client takes an UNSUBSCRIBED that it has not asked for.
        takes_revocation: bool,
        /// The WELCOME.
        welcome: Bytes,
    },
    /// Send this CHALLENGE, whose answer has a time of its own.
    Challenge(Bytes),
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
    /// A SUBSCRIBE that the core does not hear of.
    SubscribeRefused {
        /// Why.
        refusal: Refusal,
        /// The ERROR.
        answer: Bytes,
    },
    /// The session is over: send [`Session::farewell`], and close.
    End(Ending),
}

#[derive(Debug)]
enum State {
    Establishing,
    /// A CHALLENGE was sent.
    Challenged(Box<Challenged>),
    Open(Box<Edge>),
    Closed,
}

/// A session that has to prove who it is.
#[derive(Debug)]
struct Challenged {
    pending: Pending,
    takes_revocation: bool,
}

/// Where what a welcome session publishes and subscribes is checked.
#[derive(Debug)]
pub(crate) struct Edge {
    info: Arc<SessionInfo>,
    rights: Rights,
    topics: TopicCache,
    limits: Arc<SessionLimits>,
}

/// Who is at the other end, and who lets it in.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// Where it comes from.
    pub(crate) address: IpAddr,
    /// Of this session alone.
    pub(crate) nonce: Nonce,
    /// Who lets it in.
    pub(crate) door: Arc<Door>,
    /// What this entry is called.
    pub(crate) node: NodeName,
}

/// Protocol state of one connection.
#[derive(Debug)]
pub(super) struct Session {
    id: SessionId,
    guest: Guest,
    serializer: Serializer,
    limits: Arc<SessionLimits>,
    state: State,
    buffer: BytesMut,
}

impl Session {
    /// A session that waits for its HELLO. Its id is random, in `1..=2^53`.
    #[must_use]
    pub(super) fn new(
        id: SessionId,
        guest: Guest,
        serializer: Serializer,
        limits: Arc<SessionLimits>,
    ) -> Self {
        let state = State::Establishing;
        Self { id, guest, serializer, limits, state, buffer: BytesMut::new() }
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
            if is_over(actions) {
                return;
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
            if is_over(actions) {
                return;
            }
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
                parsed.map_err(Ending::from).and_then(|parsed| self.on_first(now, &parsed))
            }
            State::Challenged(_) => {
                let parsed = parse(message, encoding);
                parsed.map_err(Ending::from).and_then(|parsed| self.on_answer(&parsed))
            }
            State::Open(edge) => parse(message, encoding)
                .map_err(Ending::from)
                .and_then(|parsed| edge.on_message(now, &mut self.buffer, message, parsed)),
        };
        Some(taken.unwrap_or_else(Action::End))
    }

    fn on_first(&mut self, now: WallTime, message: &ClientMessage<'_>) -> Result<Action, Ending> {
        let ClientMessage::Hello { realm, details } = message else {
            return Err(unexpected(message));
        };
        let realm = realm.decode().filter(|realm| is_realm(realm, &self.limits));
        let realm = realm.ok_or(Ending::InvalidRealm)?;
        let HelloDetails { takes_revocation } = check_hello_details(details)?;
        let details = dict_of(details, "HELLO", "Details")?;
        let hello = Hello { realm: &realm, details: &details, session: self.id };
        let Guest { address, nonce, door, .. } = &self.guest;
        match door.hello(*address, &hello, nonce, now) {
            Step::Welcome(identity) => self.open(identity, takes_revocation),
            Step::Challenge { method, extra, pending } => {
                encode::challenge(&mut self.buffer, method.as_str(), &extra);
                let challenged = Challenged { pending, takes_revocation };
                self.state = State::Challenged(Box::new(challenged));
                Ok(Action::Challenge(take_text(&mut self.buffer)))
            }
            Step::Refused(refusal) => Err(Ending::LoginRefused(refusal)),
        }
    }

    /// Takes what comes after a CHALLENGE.
    fn on_answer(&mut self, message: &ClientMessage<'_>) -> Result<Action, Ending> {
        let ClientMessage::Authenticate { signature, extra } = message else {
            return Err(unexpected(message));
        };
        let extra = dict_of(extra, "AUTHENTICATE", "Extra")?;
        let signature = signature.decode().ok_or(Violation::Type {
            message: "AUTHENTICATE",
            element: "Signature",
            expected: "a string",
        })?;
        // Until it is welcome again, it is as before its HELLO.
        let State::Challenged(challenged) = std::mem::replace(&mut self.state, State::Establishing)
        else {
            return Err(unexpected(message));
        };
        let Challenged { pending, takes_revocation } = *challenged;
        let Guest { address, door, .. } = &self.guest;
        let identity = door.authenticate(*address, pending, &signature, &extra);
        self.open(identity.map_err(Ending::LoginRefused)?, takes_revocation)
    }

    fn open(&mut self, identity: Identity, takes_revocation: bool) -> Result<Action, Ending> {
        let Guest { address, door, node, .. } = &self.guest;
        let info = Arc::new(info_of(self.id, &identity, *address, true));
        encode::welcome(&mut self.buffer, &info, node, &identity.authextra);
        let edge = Edge::new(door, identity, *address, Arc::clone(&info), &self.limits)?;
        let permissions = edge.rights.permissions().clone();
        self.state = State::Open(Box::new(edge));
        let welcome = take_text(&mut self.buffer);
        Ok(Action::Open { info, permissions, takes_revocation, welcome })
    }

    /// The realms were read again: what the session may subscribe now.
    ///
    /// # Errors
    /// The configuration does not know it any more.
    pub(super) fn on_reload(&mut self) -> Result<Option<&Permissions>, Ending> {
        match &mut self.state {
            State::Open(edge) => Ok(Some(edge.rights.judge().map_err(|_lost| Ending::RoleGone)?)),
            State::Establishing | State::Challenged(_) | State::Closed => Ok(None),
        }
    }

    /// Resolves when a reload has ended the session, which [`on_reload`](Self::on_reload) tells as
    /// well. Cancel safe.
    pub(super) async fn gone(&mut self) {
        match &mut self.state {
            State::Open(edge) => edge.rights.gone().await,
            State::Establishing | State::Challenged(_) | State::Closed => {
                std::future::pending().await
            }
        }
    }

    /// The ERROR of a PUBLISH that is refused after all.
    pub(super) fn refuse_publish(&mut self, request: RequestId, refusal: Refusal) -> Bytes {
        refused(&mut self.buffer, PUBLISH, request, refusal)
    }

    /// Closes the session and returns its last message, if there is one to send: one that may come
    /// back gets none, unless the configuration wants it.
    pub(super) fn farewell(&mut self, ending: Ending) -> Option<Bytes> {
        let before = std::mem::replace(&mut self.state, State::Closed);
        let is_open = match before {
            State::Establishing | State::Challenged(_) => false,
            State::Open(_) => true,
            State::Closed => return None,
        };
        let is_told = ending.is_final() || self.limits.goodbye == Goodbye::Always;
        let uri = ending.uri().filter(|_| is_told)?;
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
    /// # Errors
    /// The configuration does not know the identity, just now.
    pub(crate) fn new(
        door: &Arc<Door>,
        identity: Identity,
        address: IpAddr,
        info: Arc<SessionInfo>,
        limits: &Arc<SessionLimits>,
    ) -> Result<Self, Ending> {
        let rights = Rights::new(door, identity, address).map_err(|_lost| Ending::RoleGone)?;
        let topics = TopicCache::new(Arc::clone(&info.realm), limits);
        Ok(Self { info, rights, topics, limits: Arc::clone(limits) })
    }

    /// What is left to hold on to, once everything that comes in is checked.
    pub(crate) fn into_rights(self) -> Rights {
        self.rights
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
                    Err(refusal) => {
                        let answer = refused(buffer, SUBSCRIBE, request, refusal);
                        Action::SubscribeRefused { refusal, answer }
                    }
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
        let pattern = self.pattern(topic, matching)?;
        Ok(Wish { pattern, after, limit, is_snapshot })
    }

    /// The topics that the session may read by this pattern.
    pub(crate) fn pattern(
        &self,
        topic: &RawUri<'_>,
        matching: Match,
    ) -> Result<TopicPattern, Refusal> {
        let pattern = self.topics.subscribed(topic, matching)?;
        if !self.rights.permissions().subscribe(&pattern.uri, pattern.matching) {
            return Err(Refusal::NotAuthorized("subscribe"));
        }
        Ok(pattern)
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
        let refuse = |refusal| (refusal, is_wanted);
        let disclosure = self.rights.permissions().publish(&topic.uri);
        let disclosure = disclosure.ok_or(refuse(Refusal::NotAuthorized("publish to")))?;
        let is_disclosed = match disclosure {
            Disclosure::Never if options.disclose_me => {
                return Err(refuse(Refusal::DisclosureNotAllowed));
            }
            Disclosure::Never => false,
            Disclosure::OnRequest => options.disclose_me,
            Disclosure::Always => true,
        };
        let attributes = self.attributes(&options, is_disclosed);
        let max = self.limits.publish_bytes_max();
        let bytes = topic.uri.len() + publish.payload.len() + attributes.len();
        if bytes > max {
            return Err((Refusal::TooLarge { max }, is_wanted));
        }
        // Last: what is refused otherwise uses nothing up.
        self.rights.spend(&topic.uri, bytes).map_err(|exceeded| refuse(exceeded.into()))?;
        Ok(Publish {
            topic,
            content: publish.encoding.into(),
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

    fn attributes(&self, options: &PublishOptions, is_disclosed: bool) -> Bytes {
        if !is_disclosed && options.lists.is_none() {
            return Bytes::new();
        }
        let (exclude, eligible) = match &options.lists {
            Some(lists) => (lists.exclude.clone(), lists.eligible.clone()),
            None => Default::default(),
        };
        let publisher = is_disclosed.then(|| Publisher {
            authid: self.info.authid.to_string(),
            authrole: self.info.authrole.to_string(),
        });
        Attributes { publisher, exclude, eligible, ..Attributes::default() }.to_bytes().into()
    }
}

/// Who a session is, for the core and for others.
pub(crate) fn info_of(
    session: SessionId,
    identity: &Identity,
    address: IpAddr,
    is_announced: bool,
) -> SessionInfo {
    SessionInfo {
        session,
        realm: Arc::clone(&identity.realm),
        authid: Arc::clone(&identity.authid),
        authrole: Arc::clone(&identity.authrole),
        authmethod: identity.authmethod.as_str(),
        authprovider: identity.authprovider,
        origin: origin_of(address),
        is_announced,
    }
}

/// Why a message that comes before the session is open is not taken.
fn unexpected(message: &ClientMessage<'_>) -> Ending {
    match message {
        ClientMessage::Abort => Ending::ClientAborted,
        other => Violation::Unexpected(other.name()).into(),
    }
}

/// A dictionary, which stands as JSON.
fn dict_of(
    json: &str,
    message: &'static str,
    element: &'static str,
) -> Result<Map<String, Value>, Violation> {
    let expected = "a dict that is not too deep";
    serde_json::from_str(json).map_err(|_deep| Violation::Type { message, element, expected })
}

/// Whether nothing that follows is looked at: a frame full of mistakes is one mistake.
fn is_over(actions: &[Action]) -> bool {
    matches!(actions.last(), Some(Action::End(_)))
}

fn refused(buffer: &mut BytesMut, kind: u8, request: RequestId, refusal: Refusal) -> Bytes {
    encode::error(buffer, kind, request, refusal.uri(), &refusal.to_string());
    take_text(buffer)
}

#[cfg(test)]
mod tests;
