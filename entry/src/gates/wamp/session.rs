//! One WAMP session as a state machine: frames in, actions out.
//!
//! Source: WAMP specification, Basic Profile, broker role.
//!
//! ```text
//! Establishing --HELLO--> Challenged --AUTHENTICATE--> Open --GOODBYE--> Closed
//!      \        \              |        \--> Deciding -^ / \
//!       \        +------------------------------------>+   |
//!        +---------- violation +---------------------------+-- ABORT --> Closed
//! ```
//! Invariants:
//! - S1: nothing but HELLO, the answer to a CHALLENGE, and ABORT is taken before the session is
//!   open, and no second HELLO.
//! - S2: a closed session takes nothing and does nothing.
//! - S3: a request that cannot be served is answered by its own ERROR; only a broken protocol ends
//!   the session.

mod asked;
mod calls;
mod frames;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};

use vixen_broker::access::{Message, Permissions, PublishOptions, is_realm};
use vixen_broker::api::calls::CallWord;
use vixen_broker::api::{Publish, RequestId, SessionId, SessionInfo, Subscribe, SubscriptionId};
use vixen_broker::meta;
use vixen_core::name::NodeName;
use vixen_core::time::WallTime;
use vixen_runtime::config::Goodbye;

use super::encode::{self, take_text};
use super::error::{Ending, Violation};
use super::hello::{HelloDetails, check_hello_details};
use super::login;
use super::message::{ClientMessage, RawPublish, parse};
use super::serializer::Serializer;
use crate::admission::{Admission, AdmittedSession};
use crate::auth::{Identity, Method, Nonce, Pending, Step};
use crate::authority::words::Told;
use crate::authority::{Decided, LoginQuestion};
use crate::gates::limits::SessionLimits;
use crate::gates::options::{publish_options, subscribe_options};
use crate::gates::raw::RawText;
use crate::gates::refusal::{OptionError, Refusal};
use asked::asked;
pub(super) use asked::{ToldOptions, questions, spoiled};
use calls::Frame;
pub(super) use calls::text_argument;

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
    /// Ask who this is: [`Session::on_decision`] takes what is said, and nothing is read before.
    AskLogin {
        /// The question.
        question: LoginQuestion,
        /// How long that may take.
        timeout: Duration,
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
        wanted: Box<Subscribe>,
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
    /// Something of a caller or callee.
    Call(CallWord),
    /// A REGISTER that the core does not hear of.
    RegisterRefused {
        /// The ERROR.
        answer: Bytes,
    },
    /// Something that the authorizer of the role is asked about before it is done, unless it is about itself. Quotas
    /// are spent then.
    Asked {
        /// The options, as the authorizer is told them.
        options: ToldOptions,
        /// What is done then.
        then: Box<Self>,
    },
    /// The session is over: send [`Session::farewell`], and close.
    End(Ending),
}

#[derive(Debug)]
enum State {
    Establishing,
    /// A CHALLENGE was sent.
    Challenged(Box<Challenged>),
    /// A procedure decides who it is.
    Deciding(Box<Challenged>),
    Open(Box<AdmittedSession>),
    Closed,
}

/// A session that has to prove who it is.
#[derive(Debug)]
struct Challenged {
    method: Method,
    pending: Pending,
    details: HelloDetails,
    /// Of HELLO, where a procedure decides.
    authextra: Value,
}

/// Who is at the other end, and what lets it in.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    /// Where it comes from.
    pub(crate) address: IpAddr,
    /// Of this session alone.
    pub(crate) nonce: Nonce,
    /// Who lets it in.
    pub(crate) admission: Arc<Admission>,
    /// What this entry is called.
    pub(crate) node: NodeName,
}

/// Protocol state of one connection.
#[derive(Debug)]
pub(super) struct Session {
    id: SessionId,
    remote: Remote,
    serializer: Serializer,
    limits: Arc<SessionLimits>,
    state: State,
    /// It announced that it packs what it publishes.
    publishes_packed: bool,
    buffer: BytesMut,
    /// What is left of the last frame.
    rest: Bytes,
}

impl Session {
    /// A session that waits for its HELLO. Its id is random, in `1..=2^53`.
    #[must_use]
    pub(super) fn new(
        id: SessionId,
        remote: Remote,
        serializer: Serializer,
        limits: Arc<SessionLimits>,
    ) -> Self {
        let (state, buffer, rest) = (State::Establishing, BytesMut::new(), Bytes::new());
        Self { id, remote, serializer, limits, state, publishes_packed: false, buffer, rest }
    }

    /// The session's id.
    #[must_use]
    pub(super) const fn id(&self) -> SessionId {
        self.id
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
            State::Deciding(_) => {
                let parsed = parse(message, encoding);
                parsed.map_err(Ending::from).and_then(|parsed| Err(unexpected(&parsed)))
            }
            State::Open(admitted) => {
                parse(message, encoding).map_err(Ending::from).and_then(|parsed| {
                    let frame = Frame { bytes: message, encoding };
                    let is_asked = admitted.permissions().authorizer().is_some();
                    let options = is_asked.then(|| ToldOptions::of(frame, &parsed)).flatten();
                    let client = Client { admitted, publishes_packed: self.publishes_packed };
                    let action = on_request(client, now, &mut self.buffer, frame, parsed)?;
                    Ok(match options {
                        Some(options) => asked(&mut self.buffer, options, action),
                        None => action,
                    })
                })
            }
        };
        Some(taken.unwrap_or_else(Action::End))
    }

    fn on_first(&mut self, now: WallTime, message: &ClientMessage<'_>) -> Result<Action, Ending> {
        let ClientMessage::Hello { realm, details } = message else {
            return Err(unexpected(message));
        };
        let realm = realm.decode().filter(|realm| is_realm(realm, &self.limits.ingress()));
        let realm = realm.ok_or(Ending::InvalidRealm)?;
        let hello = check_hello_details(details)?;
        let details = dict_of(details, "HELLO", "Details")?;
        let request = login::request(&realm, &details, self.id);
        let Remote { address, nonce, admission, .. } = &self.remote;
        match admission.log_in(*address, request, nonce, now) {
            Step::Welcome(identity) => self.open(identity, hello),
            Step::Challenge { method, challenge, pending } => {
                let extra = login::extra_of(&challenge);
                encode::challenge(&mut self.buffer, method.as_str(), &extra);
                let authextra = pending.authenticator().and_then(|_| details.get("authextra"));
                let authextra = authextra.cloned().unwrap_or_default();
                let challenged =
                    Challenged { method, pending: *pending, details: hello, authextra };
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
        if let Some(authenticator) = challenged.pending.authenticator() {
            let told = Told {
                session: self.id,
                ticket: &signature,
                authextra: &challenged.authextra,
                transport: "websocket",
            };
            let (pending, address) = (&challenged.pending, self.remote.address);
            let question = LoginQuestion::of_ticket(authenticator, pending, address, &told);
            let timeout = authenticator.timeout;
            self.state = State::Deciding(challenged);
            return Ok(Action::AskLogin { question, timeout });
        }
        let Challenged { method, pending, details, .. } = *challenged;
        let Remote { address, admission, .. } = &self.remote;
        let answer = login::answer(method, &signature, &extra);
        let identity = admission.authenticate(*address, pending, answer);
        self.open(identity.map_err(Ending::LoginRefused)?, details)
    }

    /// A procedure has decided who it is, or does not.
    pub(super) fn on_decision(&mut self, decided: Decided) -> Action {
        let state = std::mem::replace(&mut self.state, State::Establishing);
        let State::Deciding(challenged) = state else {
            self.state = state;
            return Action::End(Violation::Unexpected("a decision").into());
        };
        let Challenged { pending, details, .. } = *challenged;
        let Remote { address, admission, .. } = &self.remote;
        let identity = decided.identity(admission, *address, pending);
        // It is counted: others may try.
        drop(decided);
        let opened = identity.map_err(Ending::LoginRefused);
        opened.and_then(|identity| self.open(identity, details)).unwrap_or_else(Action::End)
    }

    fn open(&mut self, identity: Identity, hello: HelloDetails) -> Result<Action, Ending> {
        let HelloDetails { takes_revocation, publishes_packed, calls } = hello;
        let Remote { address, admission, node, .. } = &self.remote;
        let (authextra, limits) = (login::authextra(&identity), self.limits.ingress());
        let admitted =
            AdmittedSession::new(admission, self.id, identity, *address, true, calls, limits);
        let admitted = admitted.map_err(|_lost| Ending::RoleGone)?;
        let (info, permissions) = (Arc::clone(admitted.info()), admitted.permissions().clone());
        encode::welcome(&mut self.buffer, &info, node, &authextra);
        self.state = State::Open(Box::new(admitted));
        self.publishes_packed = publishes_packed;
        let welcome = take_text(&mut self.buffer);
        Ok(Action::Open { info, permissions, takes_revocation, welcome })
    }

    /// The realms were read again: what the session may subscribe now.
    ///
    /// # Errors
    /// The configuration does not know it any more.
    pub(super) fn on_reload(&mut self) -> Result<Option<&Permissions>, Ending> {
        match &mut self.state {
            State::Open(admitted) => {
                Ok(Some(admitted.rights().judge().map_err(|_lost| Ending::RoleGone)?))
            }
            State::Establishing | State::Challenged(_) | State::Deciding(_) | State::Closed => {
                Ok(None)
            }
        }
    }

    /// Resolves when a reload has ended the session, which [`on_reload`](Self::on_reload) tells as
    /// well. Cancel safe.
    pub(super) async fn gone(&mut self) {
        match &mut self.state {
            State::Open(admitted) => admitted.rights().gone().await,
            State::Establishing | State::Challenged(_) | State::Deciding(_) | State::Closed => {
                std::future::pending().await
            }
        }
    }

    /// Who was let in, while it is open.
    pub(super) fn admitted(&self) -> Option<&AdmittedSession> {
        match &self.state {
            State::Open(admitted) => Some(admitted),
            State::Establishing | State::Challenged(_) | State::Deciding(_) | State::Closed => None,
        }
    }

    /// The ERROR of a PUBLISH that is refused after all.
    pub(super) fn refuse_publish(&mut self, request: RequestId, refusal: Refusal) -> Bytes {
        refused(&mut self.buffer, PUBLISH, request, refusal)
    }

    /// The ERROR of a REGISTER that is refused after all.
    pub(super) fn refuse_register(&mut self, request: RequestId, refusal: Refusal) -> Bytes {
        refused(&mut self.buffer, calls::REGISTER, request, refusal)
    }

    /// Closes the session, as somebody wants it who has ended it, and returns its GOODBYE.
    pub(super) fn killed(&mut self, goodbye: &meta::Goodbye) -> Option<Bytes> {
        if !matches!(std::mem::replace(&mut self.state, State::Closed), State::Open(_)) {
            return None;
        }
        let message = goodbye.message.as_deref().unwrap_or_default();
        encode::goodbye(&mut self.buffer, &goodbye.reason, message);
        Some(take_text(&mut self.buffer))
    }

    /// Closes the session and returns its last message, if there is one to send: one that may come
    /// back gets none, unless the configuration wants it.
    pub(super) fn farewell(&mut self, ending: Ending) -> Option<Bytes> {
        let before = std::mem::replace(&mut self.state, State::Closed);
        let is_open = match before {
            State::Establishing | State::Challenged(_) | State::Deciding(_) => false,
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

/// Somebody who was let in, and what it announced beside what the broker hears of.
struct Client<'a> {
    admitted: &'a mut AdmittedSession,
    publishes_packed: bool,
}

/// Takes one message of somebody who was let in, which came as `frame`.
fn on_request(
    Client { admitted, publishes_packed }: Client<'_>,
    now: WallTime,
    buffer: &mut BytesMut,
    frame: Frame<'_>,
    message: ClientMessage<'_>,
) -> Result<Action, Ending> {
    match message {
        ClientMessage::Call(call) => Ok(calls::call(admitted, frame, call)?),
        ClientMessage::Yield { answer, options } => {
            Ok(calls::result(admitted, frame, answer, &options)?)
        }
        ClientMessage::Publish(publish) => {
            let (request, options) = (publish.request, publish_options(&publish.options));
            let is_packed = options.as_ref().is_ok_and(|options| options.passthru.is_some());
            if is_packed && !publishes_packed {
                return Err(Violation::NotAnnounced("PUBLISH").into());
            }
            Ok(match publish_of(admitted, frame.bytes, publish, options) {
                Ok(publish) => Action::Publish(publish),
                Err((refusal, is_wanted)) => {
                    let answer = is_wanted.then(|| refused(buffer, PUBLISH, request, refusal));
                    Action::PublishRefused { refusal, answer }
                }
            })
        }
        ClientMessage::Subscribe { request, options, topic } => {
            Ok(match wanted_of(admitted, now, &options, &topic) {
                Ok(wanted) => Action::Subscribe { request, wanted: Box::new(wanted) },
                Err(refusal) => {
                    let answer = refused(buffer, SUBSCRIBE, request, refusal);
                    Action::SubscribeRefused { refusal, answer }
                }
            })
        }
        ClientMessage::Unsubscribe { request, subscription } => {
            Ok(Action::Unsubscribe { request, subscription })
        }
        ClientMessage::InvocationError { answer, details, error } => {
            Ok(calls::error(admitted, frame, answer, (&details, &error))?)
        }
        ClientMessage::Cancel(cancel) => Ok(calls::cancel(&cancel)?),
        ClientMessage::Register { request, procedure } => {
            Ok(calls::register(admitted, buffer, &request, &procedure)?)
        }
        ClientMessage::Unregister { request, registration } => {
            Ok(Action::Call(CallWord::Unregister { request, registration }))
        }
        ClientMessage::Goodbye => Err(Ending::Goodbye),
        ClientMessage::Abort => Err(Ending::ClientAborted),
        ClientMessage::Hello { .. } => Err(Violation::Unexpected("a second HELLO").into()),
        ClientMessage::Authenticate { .. } => Err(Violation::Unexpected("AUTHENTICATE").into()),
    }
}

/// The message to publish, or why it is refused and whether the client is to be told.
fn publish_of(
    admitted: &mut AdmittedSession,
    frame: &Bytes,
    publish: RawPublish<'_>,
    options: Result<PublishOptions, (OptionError, bool)>,
) -> Result<Publish, (Refusal, bool)> {
    let options = options.map_err(|(error, is_wanted)| (error.into(), is_wanted))?;
    let is_wanted = options.acknowledge;
    let message = Message {
        request: publish.request,
        topic: &publish.topic,
        content: publish.encoding.into(),
        payload: frame.slice(publish.payload),
        options,
    };
    admitted.publish(message).map_err(|refusal| (refusal.into(), is_wanted))
}

/// What a SUBSCRIBE with these options, a JSON object, wants.
fn wanted_of(
    admitted: &AdmittedSession,
    now: WallTime,
    options: &str,
    topic: &RawText<'_>,
) -> Result<Subscribe, Refusal> {
    let options = subscribe_options(options, now)?;
    Ok(admitted.subscribe(topic, &options)?)
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

fn refused(buffer: &mut BytesMut, kind: u8, request: RequestId, refusal: Refusal) -> Bytes {
    encode::error(buffer, kind, request, refusal.uri(), &refusal.to_string());
    take_text(buffer)
}

#[cfg(test)]
mod tests;
