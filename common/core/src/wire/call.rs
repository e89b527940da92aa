//! Calls: what two entries say to each other of calls whose caller is at the one and whose callee at the other.
//!
//! The *origin* is the caller's entry, *serving* the callee's. An incarnation of an origin counts its calls from 1 on,
//! over all its links: on one of them the numbers rise, with gaps, and on another they mean nothing. All calls of a
//! link end with it: nothing is resumed (`docs/design/027-calls.md`). Nothing here is stored.

use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::meta::{
    META_ITEMS_MAX, MetaHolders, MetaPart, MetaQuestion, MetaReply, MetaSession, holders_len,
};
use crate::id::Position;
use crate::segment::{Content, Passthru};

/// The highest session id (WAMP spec §2.1.2 *IDs*).
const SESSION_MAX: u64 = 1 << 53;

/// The longest URI that entries tell each other of calls: that of a procedure that can be registered, or of an error.
pub const CALL_URI_BYTES_MAX: usize = 64 << 10;

/// The longest name of a session or role that they do: no longer than the HELLO that it comes from.
pub(super) const NAME_BYTES_MAX: usize = 16 << 10;

/// Whether a session, or a subscription, can have this number.
pub(super) const fn is_session(number: u64) -> bool {
    1 <= number && number <= SESSION_MAX
}

/// What entries say to each other of calls, and of what the router itself is asked and publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallMessage {
    /// any → any, first on a link and on each change: what the sender can do for calls.
    CallStanding {
        /// Number of the sender's life, from 1: what the registrations of its sessions hang on.
        life: u32,
        /// Whether it takes invocations.
        is_ready: bool,
        /// Whether it is about to stop: it takes no new invocations.
        is_draining: bool,
        /// Its view of the registrations has applied all records below this position, and not the one at it.
        applied_below: Position,
    },
    /// origin → serving: give this call to one of your sessions.
    Invoke {
        /// Names the call on this link; above all before.
        number: u64,
        /// The registration: the position of the record that made it.
        registration: Position,
        /// The callee's place in it: the position of the record by which it joined. The call waits until the view has
        /// come so far.
        place: Position,
        /// Session of the callee.
        session: u64,
        /// The procedure that was called, where the registration is of a pattern.
        procedure: Option<Arc<str>>,
        /// Who calls, where the callee may know that.
        caller: Option<Box<Disclosed>>,
        /// How long the caller will still wait, in ms; `None`: without bound. A call whose time is over is not sent.
        timeout_ms: Option<NonZeroU64>,
        /// What the caller asks for.
        flags: InvokeFlags,
        /// How the payload is packed, in payload passthru mode.
        passthru: Option<Box<Passthru>>,
        /// What the payload is.
        content: Content,
        /// The arguments of the call, as the caller sent them.
        payload: Bytes,
    },
    /// origin → serving: the next arguments of a progressive call.
    InvokeMore {
        /// Of the `Invoke`.
        number: u64,
        /// Whether more follow.
        flags: InvokeFlags,
        /// How the payload is packed, in payload passthru mode.
        passthru: Option<Box<Passthru>>,
        /// What the payload is.
        content: Content,
        /// The arguments.
        payload: Bytes,
    },
    /// serving → origin: the call has not come to the callee, and will not. Nothing more follows.
    RefuseInvoke {
        /// Of the `Invoke`.
        number: u64,
        /// Why.
        reason: InvokeRefusal,
    },
    /// serving → origin: what the callee says. Nothing follows what is not progress.
    Answer {
        /// Of the `Invoke`.
        number: u64,
        /// What kind of answer it is.
        kind: AnswerKind,
        /// Who answers, where the caller may know that.
        callee: Option<Box<Disclosed>>,
        /// How the payload is packed, in payload passthru mode.
        passthru: Option<Box<Passthru>>,
        /// What the payload is.
        content: Content,
        /// The arguments of the answer, as the callee sent them.
        payload: Bytes,
    },
    /// origin → serving: the call is cancelled, or nobody waits for it any more.
    CancelInvoke {
        /// Of the `Invoke`.
        number: u64,
        /// What is to become of it.
        what: Cancellation,
    },
    /// any → any, on each change, and on a new link where it is so: whether somebody here hears what the router says
    /// of sessions and subscriptions of a realm. Who is told so says what there are, and then what changes.
    HearMeta {
        /// The realm.
        realm: Arc<str>,
        /// Somebody does.
        is_heard: bool,
    },
    /// any → any: sessions of a realm that the sender has.
    SessionsAre {
        /// The realm.
        realm: Arc<str>,
        /// What this says of all of them.
        part: MetaPart,
        /// These are there.
        are: Vec<MetaSession>,
        /// These are not any more.
        over: Vec<u64>,
    },
    /// any → any: who has subscriptions of a realm at the sender.
    SubscriptionsAre {
        /// The realm.
        realm: Arc<str>,
        /// What this says of all of them.
        part: MetaPart,
        /// These have them.
        are: Vec<MetaHolders>,
        /// A subscription, and a session that has it no more.
        over: Vec<(u64, u64)>,
    },
    /// any → any: answer this, of your own sessions and subscriptions.
    AskMeta {
        /// Names the question; the asking entry counts from 1 on, over all its links.
        request: u64,
        /// Whose sessions and subscriptions it is about.
        realm: Arc<str>,
        /// The session that asks.
        asker: u64,
        /// What it asks.
        question: MetaQuestion,
    },
    /// any → any: a part of the answer to a question.
    MetaAnswer {
        /// Of the question.
        request: u64,
        /// What it is.
        reply: MetaReply,
        /// Nothing more follows.
        is_last: bool,
    },
}

/// A session that the other side of a call may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disclosed {
    /// WAMP session id.
    pub session: u64,
    /// As in the WELCOME of the session.
    pub authid: String,
    /// As in the WELCOME of the session.
    pub authrole: String,
}

/// What the caller of an invocation asks for. Bits are on the wire, and unknown ones mean nothing; never reuse one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvokeFlags(pub u8);

impl InvokeFlags {
    /// The caller takes progressive results.
    pub const RECEIVE_PROGRESS: Self = Self(1);
    /// More arguments follow: the call is progressive itself.
    pub const HAS_MORE: Self = Self(2);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Why a call did not come to its callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum InvokeRefusal {
    /// The callee is not in that registration, or its session is over.
    Left,
    /// It has as many calls as its registration lets it have.
    Busy,
    /// What waits for its socket has reached its bound.
    Queue,
    /// The callee's session ends, or its entry is about to stop.
    Draining,
    /// The entry has not heard from a quorum of sync nodes lately: it cannot tell who holds the registration.
    Lease,
    /// The entry's view of the registrations is not there yet.
    NotReady,
    /// The entry has as many calls, or bytes of them, as it may have, and who asks has its share.
    EntryFull,
    /// The callee has not announced what the call needs, as one in parts does.
    NotAnnounced,
}

/// What kind of answer one is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnswerKind {
    /// A progressive result: others follow.
    Progress,
    /// The result.
    Result,
    /// The callee answers with an error.
    Error {
        /// Its URI.
        uri: Arc<str>,
    },
    /// The callee's session is over; whether it has done what was asked is not known.
    CalleeGone,
}

/// What becomes of an invocation whose caller does not want it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cancellation {
    /// The callee is interrupted, and what it says then is passed on.
    Kill,
    /// It is forgotten: whatever the callee says goes nowhere.
    Drop(DropMode),
}

/// What the callee of a forgotten invocation is told, where it takes interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DropMode {
    /// Nothing.
    Skip,
    /// An INTERRUPT with the mode `killnowait`.
    KillNoWait,
    /// An INTERRUPT without a mode.
    NoMode,
}

impl CallMessage {
    /// A short constant name for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CallStanding { .. } => "call_standing",
            Self::Invoke { .. } => "invoke",
            Self::InvokeMore { .. } => "invoke_more",
            Self::RefuseInvoke { .. } => "refuse_invoke",
            Self::Answer { .. } => "answer",
            Self::CancelInvoke { .. } => "cancel_invoke",
            Self::HearMeta { .. } => "hear_meta",
            Self::SessionsAre { .. } => "sessions_are",
            Self::SubscriptionsAre { .. } => "subscriptions_are",
            Self::AskMeta { .. } => "ask_meta",
            Self::MetaAnswer { .. } => "meta_answer",
        }
    }

    /// What it owns on the heap, roughly, in bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let disclosed = |who: &Option<Box<Disclosed>>| who.as_deref().map_or(0, Disclosed::bytes);
        let passthru = |how: &Option<Box<Passthru>>| how.as_deref().map_or(0, bytes_of);
        match self {
            Self::Invoke { procedure, caller, passthru: how, payload, .. } => {
                let procedure_bytes = procedure.as_ref().map_or(0, |uri| uri.len());
                procedure_bytes + disclosed(caller) + passthru(how) + payload.len()
            }
            Self::InvokeMore { passthru: how, payload, .. } => passthru(how) + payload.len(),
            Self::Answer { kind, callee, passthru: how, payload, .. } => {
                kind.heap_bytes() + disclosed(callee) + passthru(how) + payload.len()
            }
            Self::HearMeta { realm, .. } => realm.len(),
            Self::SessionsAre { realm, are, over, .. } => {
                let are = are.iter().map(MetaSession::bytes).sum::<usize>();
                realm.len() + are + size_of_val(over.as_slice())
            }
            Self::SubscriptionsAre { realm, are, over, .. } => {
                let are = are.iter().map(MetaHolders::bytes).sum::<usize>();
                realm.len() + are + size_of_val(over.as_slice())
            }
            Self::AskMeta { realm, question, .. } => realm.len() + question.heap_bytes(),
            Self::MetaAnswer { reply, .. } => reply.heap_bytes(),
            Self::CallStanding { .. } | Self::RefuseInvoke { .. } | Self::CancelInvoke { .. } => 0,
        }
    }

    /// Bytes that are carried beside the head of a frame.
    pub(super) const fn body_mut(&mut self) -> Option<&mut Bytes> {
        match self {
            Self::Invoke { payload, .. }
            | Self::InvokeMore { payload, .. }
            | Self::Answer { payload, .. } => Some(payload),
            Self::CallStanding { .. }
            | Self::RefuseInvoke { .. }
            | Self::CancelInvoke { .. }
            | Self::HearMeta { .. }
            | Self::SessionsAre { .. }
            | Self::SubscriptionsAre { .. }
            | Self::AskMeta { .. }
            | Self::MetaAnswer { .. } => None,
        }
    }

    /// Whether it names a life, call, registration, place, subscription or session that there cannot be: all of them
    /// count from 1, nobody joins a registration before it is there, and sessions, subscriptions and places end at
    /// [`SESSION_MAX`].
    pub(super) fn has_no_number(&self) -> bool {
        match self {
            Self::CallStanding { life, .. } => *life == 0,
            Self::Invoke { number, registration, place, session, .. } => {
                let is_place =
                    1 <= registration.0 && registration.0 <= place.0 && place.0 <= SESSION_MAX;
                *number == 0 || !is_place || !is_session(*session)
            }
            Self::HearMeta { .. } => false,
            Self::SessionsAre { are, over, .. } => {
                let are = are.iter().map(|member| member.session);
                are.chain(over.iter().copied()).any(|session| !is_session(session))
            }
            Self::SubscriptionsAre { are, over, .. } => {
                let is_none =
                    |(id, session): &(u64, u64)| !is_session(*id) || !is_session(*session);
                are.iter().any(MetaHolders::has_no_number) || over.iter().any(is_none)
            }
            Self::AskMeta { request, asker, question, .. } => {
                *request == 0 || !is_session(*asker) || question.has_no_number()
            }
            Self::MetaAnswer { request, reply, .. } => *request == 0 || reply.has_no_number(),
            Self::InvokeMore { number, .. }
            | Self::RefuseInvoke { number, .. }
            | Self::Answer { number, .. }
            | Self::CancelInvoke { number, .. } => *number == 0,
        }
    }
}

impl CallMessage {
    /// Whether a peer takes it: what it names can be, and no text or list is too long.
    #[must_use]
    pub fn is_sayable(&self) -> bool {
        !self.has_no_number() && !self.is_too_long()
    }

    /// Whether a text or a list is longer than any that an entry says: who gets it would keep it.
    pub(super) fn is_too_long(&self) -> bool {
        let is_name = |name: &str| name.len() <= NAME_BYTES_MAX;
        let who = |who: &Option<Box<Disclosed>>| who.as_deref().is_some_and(Disclosed::is_too_long);
        let how = |how: &Option<Box<Passthru>>| {
            how.as_deref().is_some_and(|how| how.text_bytes() > CALL_URI_BYTES_MAX)
        };
        match self {
            Self::Invoke { procedure, caller, passthru, .. } => {
                let is_long = procedure.as_ref().is_some_and(|uri| uri.len() > CALL_URI_BYTES_MAX);
                is_long || who(caller) || how(passthru)
            }
            Self::InvokeMore { passthru, .. } => how(passthru),
            Self::Answer { kind, callee, passthru, .. } => {
                kind.heap_bytes() > CALL_URI_BYTES_MAX || who(callee) || how(passthru)
            }
            Self::HearMeta { realm, .. } => !is_name(realm),
            Self::SessionsAre { realm, are, over, .. } => {
                !is_name(realm)
                    || are.len() + over.len() > META_ITEMS_MAX
                    || are.iter().any(MetaSession::is_too_long)
            }
            Self::SubscriptionsAre { realm, are, over, .. } => {
                !is_name(realm)
                    || holders_len(are) + over.len() > META_ITEMS_MAX
                    || are.iter().any(|holders| holders.of.is_too_long())
            }
            Self::AskMeta { realm, question, .. } => !is_name(realm) || question.is_too_long(),
            Self::MetaAnswer { reply, .. } => reply.is_too_long(),
            Self::CallStanding { .. } | Self::RefuseInvoke { .. } | Self::CancelInvoke { .. } => {
                false
            }
        }
    }
}

impl AnswerKind {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Error { uri } => uri.len(),
            Self::Progress | Self::Result | Self::CalleeGone => 0,
        }
    }
}

impl Disclosed {
    const fn is_too_long(&self) -> bool {
        self.authid.len() > NAME_BYTES_MAX || self.authrole.len() > NAME_BYTES_MAX
    }

    const fn bytes(&self) -> usize {
        size_of::<Self>() + self.authid.len() + self.authrole.len()
    }
}

fn bytes_of(passthru: &Passthru) -> usize {
    size_of::<Passthru>() + passthru.text_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Encoding;
    use crate::wire::{BODY_BYTES_MIN, FrameError, FrameReader, FrameWriter, Message};

    fn disclosed() -> Option<Box<Disclosed>> {
        let (authid, authrole) = ("joe".to_owned(), "user".to_owned());
        Some(Box::new(Disclosed { session: 7, authid, authrole }))
    }

    fn passthru() -> Option<Box<Passthru>> {
        let (scheme, keyid) = ("x_mine".to_owned(), Some("k1".to_owned()));
        Some(Box::new(Passthru { scheme, serializer: None, cipher: None, keyid }))
    }

    fn invoke(payload: Bytes) -> CallMessage {
        CallMessage::Invoke {
            number: 1,
            registration: Position(2),
            place: Position(2),
            session: 3,
            procedure: Some("a.b".into()),
            caller: disclosed(),
            timeout_ms: NonZeroU64::new(4),
            flags: InvokeFlags(1),
            passthru: passthru(),
            content: Encoding::Json.into(),
            payload,
        }
    }

    fn answer(payload: Bytes) -> CallMessage {
        let kind = AnswerKind::Error { uri: "a.error".into() };
        let (callee, passthru) = (disclosed(), passthru());
        CallMessage::Answer { number: 1, kind, callee, passthru, content: Content::Raw, payload }
    }

    fn more(number: u64, flags: InvokeFlags, content: Content, payload: Bytes) -> CallMessage {
        CallMessage::InvokeMore { number, flags, passthru: passthru(), content, payload }
    }

    fn parts_of(message: CallMessage) -> Vec<Bytes> {
        let mut writer = FrameWriter::default();
        writer.push(message.into());
        writer.take().collect()
    }

    fn read(head: &[u8]) -> Result<Option<Vec<Message>>, FrameError> {
        FrameReader::default().take(Bytes::copy_from_slice(head))
    }

    #[test]
    fn large_payloads_are_bodies_and_not_copied() {
        let payload = Bytes::from(vec![b'7'; BODY_BYTES_MIN]);
        let (number, flags) = (1, InvokeFlags::HAS_MORE);
        let content = Encoding::Json.into();
        let more = more(number, flags, content, payload.clone());
        for message in [invoke(payload.clone()), more, answer(payload.clone())] {
            let parts = parts_of(message.clone());
            assert_eq!(parts.len(), 2, "{message:?}");
            assert_eq!(parts[1].as_ptr(), payload.as_ptr());
            let mut reader = FrameReader::default();
            assert_eq!(reader.take(parts[0].clone()), Ok(None));
            assert_eq!(reader.take(parts[1].clone()), Ok(Some(vec![message.into()])));
        }
        let less = Bytes::from(vec![b'7'; BODY_BYTES_MIN - 1]);
        assert_eq!(parts_of(invoke(less)).len(), 1);
    }

    #[test]
    fn what_waits_in_a_queue_counts_with_all_that_it_owns() {
        let bytes = |message: CallMessage| Message::from(message).queued_bytes();
        let (none, some) = (Bytes::new(), Bytes::from_static(&[0; 100]));
        assert_eq!(bytes(invoke(some.clone())), bytes(invoke(none.clone())) + 100);
        assert_eq!(bytes(answer(some)), bytes(answer(none.clone())) + 100);
        let CallMessage::Invoke { number, .. } = invoke(none.clone()) else { unreachable!() };
        let bare = CallMessage::RefuseInvoke { number, reason: InvokeRefusal::Busy };
        let texts = "a.b".len() + "joeuser".len() + "x_minek1".len();
        let owned = texts + size_of::<Disclosed>() + size_of::<Passthru>();
        assert_eq!(bytes(invoke(none.clone())), bytes(bare.clone()) + owned);
        let owned = "x_minek1".len() + size_of::<Passthru>();
        assert_eq!(bytes(more(1, InvokeFlags(0), Content::Raw, none)), bytes(bare) + owned);
    }

    /// 0 was "without bound": a call of which no time was left would have had no end.
    #[test]
    fn no_time_left_cannot_be_said_and_is_not_endless() {
        let with = |timeout_ms| {
            let CallMessage::Invoke { number, registration, place, session, payload, .. } =
                invoke(Bytes::new())
            else {
                unreachable!()
            };
            let (procedure, caller, passthru) = (None, None, None);
            let (flags, content) = (InvokeFlags(0), Content::Raw);
            CallMessage::Invoke {
                number,
                registration,
                place,
                session,
                procedure,
                caller,
                timeout_ms,
                flags,
                passthru,
                content,
                payload,
            }
        };
        let mut bytes = parts_of(with(NonZeroU64::new(1)))[0].to_vec();
        assert_eq!(bytes[9..11], [1, 1], "some, and how much: {bytes:?}");
        bytes[10] = 0;
        assert_eq!(read(&bytes), Err(FrameError::Head { at: 0, length: bytes.len() }));
        let endless = with(None);
        let bytes = parts_of(endless.clone());
        assert_eq!(read(&bytes[0]), Ok(Some(vec![endless.into()])));
    }

    /// Kinds and numbers that this version has not, texts that are none, lengths without their bytes.
    #[test]
    fn bytes_that_no_entry_writes_end_the_link() {
        let good = parts_of(invoke(Bytes::from_static(b"[1]")))[0].to_vec();
        assert!(read(&good).is_ok());
        for end in 1..good.len() {
            let error = FrameError::Head { at: 0, length: end };
            assert_eq!(read(&good[..end]), Err(error), "cut at {end}");
        }
        let mut no_text = good.clone();
        let at = good.windows(3).position(|three| three == b"a.b").expect("the procedure");
        no_text[at] = 0xff;
        let mut too_long = good.clone();
        too_long[at - 1] = 0x7f;
        let (refuse, cancel) = ([0, 7, 3, 1, 8], [0, 7, 5, 1, 1, 3]);
        let (kind, unknown) = ([0, 7, 4, 1, 4, 0, 0, 1, 0], [0, 7, 11, 1, 1, 1, 1, 1, 1, 1]);
        let all: [&[u8]; 6] = [&no_text, &too_long, &refuse, &cancel, &kind, &unknown];
        for bytes in all {
            let error = FrameError::Head { at: 0, length: bytes.len() };
            assert_eq!(read(bytes), Err(error), "{bytes:?}");
        }
    }

    /// A later version may set more: what is known of them keeps its meaning.
    #[test]
    fn unknown_flags_and_contents_are_read_and_kept() {
        let flags = InvokeFlags(0xfe);
        assert!(flags.contains(InvokeFlags::HAS_MORE));
        assert!(!flags.contains(InvokeFlags::RECEIVE_PROGRESS));
        let (content, payload) = (Content::from_number(200), Bytes::from_static(b"x"));
        let message = more(1, flags, content, payload);
        let head = parts_of(message.clone());
        assert_eq!(read(&head[0]), Ok(Some(vec![message.into()])));
    }
}
