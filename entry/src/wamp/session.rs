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
use vixen_common::segment::{RecordFlags, Topic};

use super::encode;
use super::error::{Ending, Refusal, Violation};
use super::limits::SessionLimits;
use super::message::{ClientMessage, parse};
use super::options::{PublishOptions, check_hello_details, check_subscribe_options, decode_string};
use super::topics::TopicCache;
use super::uri::is_loose_uri;
use crate::broker::{Publish, RequestId, SessionId, SubscriptionId};

const PUBLISH: u8 = 16;
const SUBSCRIBE: u8 = 32;

/// What the driver owes after a frame.
#[derive(Debug)]
pub(super) enum Action {
    /// The session is open: tell the core, then send this WELCOME.
    Open(Utf8Bytes),
    /// Hand this message to the core.
    Publish(Publish),
    /// A message that will not be published.
    PublishRefused {
        /// Why.
        refusal: Refusal,
        /// The ERROR, if the client wants to know.
        answer: Option<Utf8Bytes>,
    },
    /// Ask the core for this subscription.
    Subscribe {
        /// Echoed in the answer.
        request: RequestId,
        /// Exact topic.
        topic: Topic,
    },
    /// Ask the core to end this subscription.
    Unsubscribe {
        /// Echoed in the answer.
        request: RequestId,
        /// Of a SUBSCRIBED before.
        subscription: SubscriptionId,
    },
    /// Send this answer.
    Answer(Utf8Bytes),
    /// The session is over: send [`Session::farewell`], and close.
    End(Ending),
}

#[derive(Debug)]
enum State {
    Establishing,
    Open(Box<TopicCache>),
    Closed,
}

/// Protocol state of one connection.
#[derive(Debug)]
pub(super) struct Session {
    id: SessionId,
    authid: u64,
    limits: Arc<SessionLimits>,
    state: State,
    buffer: BytesMut,
}

impl Session {
    /// A session that waits for its HELLO. Both ids are random, `id` in `1..=2^53`.
    #[must_use]
    pub(super) fn new(id: SessionId, authid: u64, limits: Arc<SessionLimits>) -> Self {
        Self { id, authid, limits, state: State::Establishing, buffer: BytesMut::new() }
    }

    /// The session's id.
    #[must_use]
    pub(super) const fn id(&self) -> SessionId {
        self.id
    }

    /// Takes one text frame.
    pub(super) fn on_text(&mut self, frame: Utf8Bytes) -> Option<Action> {
        match &mut self.state {
            State::Establishing => self.on_first(&frame),
            State::Open(topics) => {
                let taken = on_open(&self.limits, topics, &mut self.buffer, frame);
                taken.unwrap_or_else(|ending| Some(Action::End(ending)))
            }
            State::Closed => None,
        }
    }

    /// Takes one binary frame, which `wamp.2.json` does not have.
    pub(super) fn on_binary(&mut self) -> Option<Action> {
        match self.state {
            State::Establishing | State::Open(_) => Some(Action::End(Violation::Binary.into())),
            State::Closed => None,
        }
    }

    fn on_first(&mut self, frame: &str) -> Option<Action> {
        let realm = match self.check_hello(frame) {
            Ok(realm) => realm,
            Err(ending) => return Some(Action::End(ending)),
        };
        encode::welcome(&mut self.buffer, self.id, &realm, self.authid);
        let topics = TopicCache::new(realm, self.limits.topic_bytes_max);
        self.state = State::Open(Box::new(topics));
        Some(Action::Open(encode::take_frame(&mut self.buffer)))
    }

    fn check_hello(&self, frame: &str) -> Result<Arc<str>, Ending> {
        let (realm, details) = match parse(frame)? {
            ClientMessage::Hello { realm, details } => (realm, details),
            ClientMessage::Abort => return Err(Ending::ClientAborted),
            ClientMessage::Goodbye => return Err(Violation::Unexpected("GOODBYE").into()),
            ClientMessage::Publish { .. } => return Err(Violation::Unexpected("PUBLISH").into()),
            ClientMessage::Subscribe { .. } => {
                return Err(Violation::Unexpected("SUBSCRIBE").into());
            }
            ClientMessage::Unsubscribe { .. } => {
                return Err(Violation::Unexpected("UNSUBSCRIBE").into());
            }
        };
        let realm = decode_string(realm)
            .filter(|realm| realm.len() <= self.limits.topic_bytes_max && is_loose_uri(realm))
            .ok_or(Ending::InvalidRealm)?;
        check_hello_details(details)?;
        Ok(realm.as_ref().into())
    }

    /// Closes the session and returns its last message, if there is one to send.
    pub(super) fn farewell(&mut self, ending: Ending) -> Option<Utf8Bytes> {
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
        Some(encode::take_frame(&mut self.buffer))
    }
}

/// Takes one frame of an open session.
fn on_open(
    limits: &SessionLimits,
    topics: &mut TopicCache,
    buffer: &mut BytesMut,
    frame: Utf8Bytes,
) -> Result<Option<Action>, Ending> {
    match parse(&frame)? {
        ClientMessage::Publish { request, options, topic, payload } => {
            let checked = check_publish(limits, topics, options, topic, payload.len());
            let (topic, options) = match checked {
                Ok(checked) => checked,
                Err((refusal, is_wanted)) => {
                    let answer = is_wanted.then(|| refused(buffer, PUBLISH, request, refusal));
                    return Ok(Some(Action::PublishRefused { refusal, answer }));
                }
            };
            let exclude_me = options.exclude_me;
            Ok(Some(Action::Publish(Publish {
                topic,
                payload: Bytes::from(frame).slice(payload),
                flags: if exclude_me { RecordFlags::EXCLUDE_ME } else { RecordFlags::default() },
                acknowledge: options.acknowledge.then_some(request),
                wait: options.wait,
            })))
        }
        ClientMessage::Subscribe { request, options, topic } => {
            let topic = check_subscribe_options(options).and_then(|()| topics.subscribed(topic));
            Ok(Some(match topic {
                Ok(topic) => Action::Subscribe { request, topic },
                Err(refusal) => Action::Answer(refused(buffer, SUBSCRIBE, request, refusal)),
            }))
        }
        ClientMessage::Unsubscribe { request, subscription } => {
            Ok(Some(Action::Unsubscribe { request, subscription }))
        }
        ClientMessage::Goodbye => Err(Ending::Goodbye),
        ClientMessage::Abort => Err(Ending::ClientAborted),
        ClientMessage::Hello { .. } => Err(Violation::Unexpected("a second HELLO").into()),
    }
}

/// The topic and options of a PUBLISH, or why it is refused and whether the client is to be told.
fn check_publish(
    limits: &SessionLimits,
    topics: &mut TopicCache,
    options: &str,
    topic: &str,
    payload_bytes: usize,
) -> Result<(Topic, PublishOptions), (Refusal, bool)> {
    let options = PublishOptions::parse(options)?;
    let topic = topics.published(topic).map_err(|refusal| (refusal, options.acknowledge))?;
    let max = limits.publish_bytes_max();
    if topic.uri.len() + payload_bytes > max {
        return Err((Refusal::TooLarge { max }, options.acknowledge));
    }
    Ok((topic, options))
}

fn refused(buffer: &mut BytesMut, kind: u8, request: RequestId, refusal: Refusal) -> Utf8Bytes {
    encode::error(buffer, kind, request, refusal.uri(), &refusal.to_string());
    encode::take_frame(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = r#"[1,"realm1",{"roles":{"publisher":{},"subscriber":{}}}]"#;

    fn establishing() -> Session {
        let limits = SessionLimits { message_bytes_max: 64, ..SessionLimits::of_tests() };
        Session::new(SessionId(4711), 1, Arc::new(limits))
    }

    fn open() -> Session {
        let mut session = establishing();
        assert!(matches!(session.on_text(HELLO.into()), Some(Action::Open(_))));
        session
    }

    /// What comes of a frame, in words that fit a table.
    fn outcome(session: &mut Session, frame: &str) -> String {
        match session.on_text(frame.into()) {
            None => "nothing".to_owned(),
            Some(Action::Open(welcome)) => welcome[..8].to_owned(),
            Some(Action::Publish(publish)) => format!(
                "publish {} {} flags={} ack={:?}{}",
                publish.topic,
                std::str::from_utf8(&publish.payload).expect("text"),
                publish.flags.0,
                publish.acknowledge.map(|request| request.0),
                if publish.wait { " wait" } else { "" }
            ),
            Some(Action::PublishRefused { refusal, answer: None }) => {
                format!("dropped {}", refusal.label())
            }
            Some(Action::PublishRefused { answer: Some(answer), .. } | Action::Answer(answer)) => {
                let end = answer.find(",[").expect("an ERROR with arguments");
                answer[..end].to_owned()
            }
            Some(Action::Subscribe { request, topic }) => {
                format!("subscribe {} {topic}", request.0)
            }
            Some(Action::Unsubscribe { request, subscription }) => {
                format!("unsubscribe {} {}", request.0, subscription.0)
            }
            Some(Action::End(Ending::Violation(violation))) => {
                format!("violation {}", violation.label())
            }
            Some(Action::End(ending)) => format!("{ending:?}"),
        }
    }

    #[test]
    fn before_the_session_is_open_only_a_good_hello_is_taken() {
        let table = [
            (HELLO, "[2,4711,"),
            (r#"[1,"re\u0061lm1",{"roles":{"caller":{}}}]"#, "[2,4711,"),
            (r#"[1,"a b",{"roles":{"caller":{}}}]"#, "InvalidRealm"),
            (r#"[1,"",{"roles":{"caller":{}}}]"#, "InvalidRealm"),
            (r#"[1,"\ud800",{"roles":{"caller":{}}}]"#, "InvalidRealm"),
            (r#"[1,null,{"roles":{"caller":{}}}]"#, "violation type"),
            (r#"[1,"realm1",{}]"#, "violation no_role"),
            (r#"[1,"realm1",{"roles":{}}]"#, "violation no_role"),
            (r#"[1,"realm1",[]]"#, "violation type"),
            (r#"[1,"realm1"]"#, "violation arity"),
            (r#"[1,"realm1",{"roles":{"caller":{}},"authmethods":["ticket"]}]"#, "NoAuthMethod"),
            (r#"[3,{},"wamp.close.normal"]"#, "ClientAborted"),
            (r#"[6,{},"wamp.close.normal"]"#, "violation unexpected"),
            (r#"[16,1,{},"a.b"]"#, "violation unexpected"),
            (r#"[32,1,{},"a.b"]"#, "violation unexpected"),
            ("[34,1,1]", "violation unexpected"),
            (r#"[5,"signature",{}]"#, "violation unexpected"),
            ("hello", "violation not_json"),
        ];
        for (frame, wanted) in table {
            assert_eq!(outcome(&mut establishing(), frame), wanted, "{frame}");
        }
    }

    #[test]
    fn good_requests_of_an_open_session_are_taken() {
        let table = [
            (r#"[16,1,{},"a.b"]"#, "publish realm1 a.b  flags=1 ack=None"),
            (
                r#"[16,2,{"acknowledge":true},"a.b",[1,"x"]]"#,
                r#"publish realm1 a.b [1,"x"] flags=1 ack=Some(2)"#,
            ),
            (
                r#"[16,3,{"acknowledge":true,"exclude_me":false},"a\u002eb",[],{"k":{}}]"#,
                r#"publish realm1 a.b [],{"k":{}} flags=0 ack=Some(3)"#,
            ),
            (
                r#"[16,4,{"acknowledge":true,"_wait":true},"a.b"]"#,
                "publish realm1 a.b  flags=1 ack=Some(4) wait",
            ),
            (r#"[32,4,{"match":"exact"},"a.b"]"#, "subscribe 4 realm1 a.b"),
            (r#"[32,4,{},"wamp.session.on_join"]"#, "subscribe 4 realm1 wamp.session.on_join"),
            ("[34,5,6]", "unsubscribe 5 6"),
            (r#"[6,{},"wamp.close.close_realm"]"#, "Goodbye"),
            (r#"[3,{"message":"no"},"wamp.error.x"]"#, "ClientAborted"),
        ];
        for (frame, wanted) in table {
            assert_eq!(outcome(&mut open(), frame), wanted, "{frame}");
        }
    }

    #[test]
    fn hostile_frames_get_the_answer_of_the_specification() {
        let table = [
            // Broken frames end the session.
            ("", "violation not_json"),
            (" ", "violation not_json"),
            ("[", "violation not_json"),
            ("[16,1,{},\"a.b\"", "violation not_json"),
            ("[16,1,{},\"a.b\"]]", "violation not_json"),
            ("[16,1,{},\"a.b\"] x", "violation not_json"),
            ("[16,1,{},\"a.b\",]", "violation not_json"),
            ("[16,01,{},\"a.b\"]", "violation not_json"),
            ("[16,+1,{},\"a.b\"]", "violation not_json"),
            ("[16,1,{},'a.b']", "violation not_json"),
            ("[16,1,{},\"a\\x\"]", "violation not_json"),
            ("[16,1,{},\"a\nb\"]", "violation not_json"),
            ("[16,1,{},\"a.b\",[NaN]]", "violation not_json"),
            ("[16,1,{},\"a.b\",[1,]]", "violation not_json"),
            ("[16,1,{},\"a.b\",[1}]", "violation not_json"),
            ("[16,1,{},\"a.b\",[],{1:2}]", "violation not_json"),
            ("\u{feff}[16,1,{},\"a.b\"]", "violation not_json"),
            // JSON, and no message.
            ("[]", "violation not_list"),
            ("{}", "violation not_list"),
            ("null", "violation not_list"),
            ("16", "violation not_list"),
            ("\"[16]\"", "violation not_list"),
            ("[[16]]", "violation not_list"),
            ("[\"16\",1,{},\"a.b\"]", "violation not_list"),
            ("[16.0,1,{},\"a.b\"]", "violation not_list"),
            ("[-16,1,{},\"a.b\"]", "violation not_list"),
            ("[7,1]", "violation unknown_code"),
            ("[0]", "violation unknown_code"),
            ("[1023,{}]", "violation unknown_code"),
            ("[99999999999999999999999,{}]", "violation unknown_code"),
            // Messages of other roles, or at the wrong time.
            (HELLO, "violation unexpected"),
            ("[2,1,{}]", "violation unexpected"),
            ("[4,\"ticket\",{}]", "violation unexpected"),
            ("[8,68,1,{},\"a.b\"]", "violation unexpected"),
            ("[17,1,1]", "violation unexpected"),
            ("[33,1,1]", "violation unexpected"),
            ("[36,1,1,{}]", "violation unexpected"),
            ("[48,1,{},\"a.b\"]", "violation no_dealer"),
            ("[64,1,{},\"a.b\"]", "violation no_dealer"),
            ("[70,1,{}]", "violation no_dealer"),
            // Wrong numbers of elements.
            ("[16]", "violation arity"),
            ("[16,1,{}]", "violation arity"),
            ("[16,1,{},\"a.b\",[],{},[]]", "violation arity"),
            ("[16,1,{},\"a.b\",[],{},[],[],[]]", "violation arity"),
            ("[32,1,{},\"a.b\",[]]", "violation arity"),
            ("[34,1]", "violation arity"),
            ("[6,{}]", "violation arity"),
            ("[3]", "violation arity"),
            // Wrong types of elements.
            ("[16,1,[],\"a.b\"]", "violation type"),
            ("[16,1,null,\"a.b\"]", "violation type"),
            ("[16,1,{},7]", "violation type"),
            ("[16,1,{},\"a.b\",{}]", "violation type"),
            ("[16,1,{},\"a.b\",null]", "violation type"),
            ("[16,1,{},\"a.b\",[],[]]", "violation type"),
            ("[16,1,{},\"a.b\",\"[]\"]", "violation type"),
            ("[32,1,\"{}\",\"a.b\"]", "violation type"),
            ("[6,[],\"a.b\"]", "violation type"),
            ("[6,{},7]", "violation type"),
            // Ids out of range.
            ("[16,0,{},\"a.b\"]", "violation id"),
            ("[16,-1,{},\"a.b\"]", "violation id"),
            ("[16,1.0,{},\"a.b\"]", "violation id"),
            ("[16,1e3,{},\"a.b\"]", "violation id"),
            ("[16,\"1\",{},\"a.b\"]", "violation id"),
            ("[16,9007199254740993,{},\"a.b\"]", "violation id"),
            ("[16,99999999999999999999999,{},\"a.b\"]", "violation id"),
            ("[32,null,{},\"a.b\"]", "violation id"),
            ("[34,1,0]", "violation id"),
            // Requests that cannot be served: an ERROR if the client asked for an answer.
            ("[16,1,{},\"a b\"]", "dropped invalid_uri"),
            ("[16,1,{},\"\"]", "dropped invalid_uri"),
            ("[16,1,{},\"a..b\"]", "dropped invalid_uri"),
            ("[16,1,{},\"wamp.x\"]", "dropped reserved_uri"),
            ("[16,1,{\"exclude_me\":7},\"a.b\"]", "dropped invalid_option"),
            ("[16,1,{\"acknowledge\":true},\"a#b\"]", "[8,16,1,{},\"wamp.error.invalid_uri\""),
            ("[16,1,{\"acknowledge\":true},\"\\ud800\"]", "[8,16,1,{},\"wamp.error.invalid_uri\""),
            ("[16,1,{\"acknowledge\":true},\"wamp.x\"]", "[8,16,1,{},\"wamp.error.invalid_uri\""),
            (
                "[16,1,{\"acknowledge\":\"yes\"},\"a.b\"]",
                "[8,16,1,{},\"wamp.error.invalid_argument\"",
            ),
            ("[32,1,{},\"a b\"]", "[8,32,1,{},\"wamp.error.invalid_uri\""),
            ("[32,1,{},\"a..b\"]", "[8,32,1,{},\"wamp.error.invalid_uri\""),
            ("[32,1,{\"match\":\"prefix\"},\"a\"]", "[8,32,1,{},\"wamp.error.option_not_allowed\""),
            ("[32,1,{\"match\":1},\"a\"]", "[8,32,1,{},\"wamp.error.invalid_argument\""),
        ];
        for (frame, wanted) in table {
            assert_eq!(outcome(&mut open(), frame), wanted, "{frame}");
        }
    }

    #[test]
    fn a_message_too_large_is_refused_and_one_at_the_bound_is_not() {
        let publish = |options: &str, payload: usize| {
            format!(r#"[16,1,{options},"a.b",["{}"]]"#, "x".repeat(payload - 4))
        };
        let ack = r#"{"acknowledge":true}"#;
        let refused = r#"[8,16,1,{},"wamp.error.payload_size_exceeded""#;
        let mut session = open();
        assert!(outcome(&mut session, &publish(ack, 61)).starts_with("publish"));
        assert_eq!(outcome(&mut session, &publish(ack, 62)), refused);
        assert_eq!(outcome(&mut session, &publish("{}", 62)), "dropped too_large");
    }

    #[test]
    fn the_payload_is_a_slice_of_the_frame() {
        let frame = Utf8Bytes::from(r#"[16,1,{},"a.b",["x"],{"k":1e400}]"#);
        let text = frame.as_str().as_ptr().addr();
        let Some(Action::Publish(publish)) = open().on_text(frame) else {
            panic!("no publish");
        };
        assert_eq!(&publish.payload[..], br#"["x"],{"k":1e400}"#);
        assert_eq!(publish.payload.as_ptr().addr() - text, 15);
    }

    #[test]
    fn a_closed_session_takes_nothing() {
        let mut session = open();
        assert!(session.on_binary().is_some());
        let abort = session.farewell(Violation::Binary.into()).expect("a last message");
        assert_eq!(
            abort.as_str(),
            r#"[3,{"message":"binary frame, but wamp.2.json is text"},"wamp.error.protocol_violation"]"#
        );
        assert!(session.on_text(HELLO.into()).is_none() && session.on_binary().is_none());
        assert_eq!(session.farewell(Ending::Shutdown), None);
    }

    #[test]
    fn farewells_fit_the_state() {
        let text = |session: &mut Session, ending| {
            session.farewell(ending).map(|text| text.as_str().to_owned())
        };
        let bye = r#"[6,{},"wamp.close.goodbye_and_out"]"#;
        assert_eq!(text(&mut open(), Ending::Goodbye).as_deref(), Some(bye));
        let stopping = r#"{"message":"this node is shutting down"},"wamp.close.system_shutdown"]"#;
        assert_eq!(text(&mut open(), Ending::Shutdown), Some(format!("[6,{stopping}")));
        assert_eq!(text(&mut establishing(), Ending::Shutdown), Some(format!("[3,{stopping}")));
        assert_eq!(text(&mut open(), Ending::ClientAborted), None);
        assert_eq!(text(&mut open(), Ending::Disconnected), None);
    }
}
