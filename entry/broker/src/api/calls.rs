//! What callers, callees and the broker say to each other of calls, in words of no protocol.
//!
//! ```text
//!   caller --Call, Cancel--> dealer --Invocation, Interrupt--> callee
//!   caller <--Result, Failed-- dealer <--Yield, Fail----------- callee
//! ```
//! A session hands its words over in batches, in the order in which its client said them; it is answered in
//! batches as well. Rights are the gate's to
//! check before (`access::Ingress`). Payloads are passed through as those of messages are: in the encoding of who
//! sent them, transcoded by the gate of who gets them. Sources: WAMP spec §9 *Remote Procedure Calls* (basic), §11
//! *Advanced RPC*.

mod errors;

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use vixen_core::id::Position;
use vixen_core::segment::{Content, Match, Passthru, TopicPattern};

use super::{Publish, RequestId, SessionId};
use crate::access::Permissions;
pub use errors::{CallError, CalleeRequest, MetaError, RegisterError};

/// An invocation, by a number that the broker counts from 1 for each callee; session scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InvocationId(pub u64);

/// A registration as its callee was told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RegistrationId(pub u64);

/// What came after the last named element of CALL, YIELD or ERROR, verbatim: nothing, the arguments, or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// What the bytes are.
    pub content: Content,
    /// The bytes.
    pub bytes: Bytes,
    /// How they are packed, where that is for the other side alone to know; boxed, for hardly any are.
    pub passthru: Option<Box<Passthru>>,
}

impl Payload {
    /// One that is not packed.
    #[must_use]
    pub fn new(content: impl Into<Content>, bytes: impl Into<Bytes>) -> Self {
        Self { content: content.into(), bytes: bytes.into(), passthru: None }
    }

    /// What it takes in a message, about and not less.
    #[must_use]
    pub fn said_bytes(&self) -> usize {
        let passthru = self.passthru.as_deref();
        self.bytes.len()
            + passthru.map_or(0, |passthru| size_of::<Passthru>() + passthru.text_bytes())
    }

    /// What it counts against bounds on bytes.
    #[must_use]
    pub fn counted_bytes(&self) -> usize {
        const OVERHEAD: usize = 64;
        OVERHEAD + self.said_bytes()
    }

    /// The same without what it was read from: a small slice would hold all of its frame, or of what a socket had
    /// for several. What is larger is most of its frame.
    #[must_use]
    pub fn detached(self) -> Self {
        const SHARED_FROM: usize = 64 << 10;
        if self.bytes.len() >= SHARED_FROM {
            return self;
        }
        Self { bytes: Bytes::copy_from_slice(&self.bytes), ..self }
    }
}

/// What a client announced of calls in its HELLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFeatures {
    /// As callee: it wants INTERRUPT (`call_canceling`).
    pub is_interruptible: bool,
    /// As callee: it keeps timeouts itself (`call_timeout`).
    pub keeps_timeouts: bool,
    /// As callee: it hears when a registration is taken from it (`registration_revocation`).
    pub hears_revocation: bool,
    /// As callee: it takes and gives payloads that the router does not look into (`payload_passthru_mode`).
    pub answers_packed: bool,
    /// As caller: the same.
    pub calls_packed: bool,
    /// As callee: it takes a call in parts (`progressive_call_invocations`, which counts with `call_canceling` alone).
    pub takes_parts: bool,
}

/// How a call is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CancelMode {
    /// The caller is answered at once, the callee hears nothing.
    Skip,
    /// The callee is interrupted, and its answer is passed on.
    Kill,
    /// The caller is answered at once, and the callee is interrupted.
    KillNoWait,
    /// As [`Self::KillNoWait`], where the caller named no mode: the callee is told none.
    Unnamed,
}

/// Who of a shared registration is called (WAMP spec *Shared Registration*).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Invoke {
    /// There is one callee.
    #[default]
    Single,
    /// One after the other.
    RoundRobin,
    /// Any, alike.
    Random,
    /// Who registered first.
    First,
    /// Who registered last.
    Last,
}

impl Invoke {
    /// As the option of REGISTER.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::RoundRobin => "roundrobin",
            Self::Random => "random",
            Self::First => "first",
            Self::Last => "last",
        }
    }
}

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Of the caller; the request of an open call continues that.
    pub request: RequestId,
    /// What is called; checked by the gate.
    pub procedure: Arc<str>,
    /// Its arguments.
    pub payload: Payload,
    /// Whether the caller takes progressive results; passed on.
    pub takes_progress: bool,
    /// More of this call is to come (progressive invocations).
    pub has_more: bool,
    /// When the call is given up; `None`: not before the bound of the entry.
    pub timeout_ms: Option<NonZeroU64>,
    /// Since when, where its gate has kept it: else since it comes to the broker.
    pub came: Option<Instant>,
    /// The callee is told who calls.
    pub is_disclosed: bool,
    /// Chooses among the callees of a shared registration, alike each time.
    pub routing_key: Option<Arc<str>>,
    /// What its gate has made of its arguments, if it is one to leave a testament.
    pub testament: Option<Box<Testament>>,
    /// What the caller may do, by its gate, if it is a procedure of the router: that may tell of topics which only the
    /// broker knows by their subscription.
    pub rights: Option<Box<Permissions>>,
}

impl Call {
    /// Whether more may come of it than one answer: progress, or a message at the end of the session.
    #[must_use]
    pub const fn outlasts(&self) -> bool {
        self.takes_progress || self.has_more || self.testament.is_some()
    }
}

/// A message that is published when the session ends (WAMP spec *Session Testament*).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Testament {
    /// When.
    pub scope: Scope,
    /// What; checked by the gate.
    pub message: Publish,
}

/// Of testaments: which come first, and are forgotten together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The client is gone.
    Detached,
    /// The session is over.
    Destroyed,
}

/// What a callee asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// Of the callee.
    pub request: RequestId,
    /// A URI or a pattern; checked by the gate.
    pub procedure: Arc<str>,
    /// How it matches.
    pub matching: Match,
    /// Which callee is called, where there are several.
    pub invoke: Invoke,
    /// How many invocations of this registration it takes at once; `None`: any number.
    pub concurrency: Option<NonZeroU32>,
    /// Who holds it loses it.
    pub is_forced: bool,
    /// Callers are told who answered.
    pub is_disclosed: bool,
    /// The callee is told the caller's timeout, and keeps it, if it announced that.
    pub forwards_timeout: bool,
}

/// What a session says of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallWord {
    /// It calls, or goes on with a call. Answered by [`CallTold::Result`] or [`CallTold::Failed`].
    Call(Call),
    /// It gives up a call; nothing, if that is not open.
    Cancel {
        /// Of the call.
        request: RequestId,
        /// How.
        mode: CancelMode,
    },
    /// A call, or a part of one, that its gate has refused. With it ends what was open of the call; the caller is
    /// answered with this error, unless it has its answer.
    Spoiled {
        /// Of the caller.
        request: RequestId,
        /// What is called, as it was said: it need be no URI.
        procedure: Arc<str>,
        /// More of this call is to come.
        has_more: bool,
        /// The error's URI.
        error: Arc<str>,
        /// Its arguments.
        payload: Payload,
    },
    /// A call, or a part of one, that its gate keeps until it knows whether it may be made, and that is over before
    /// that. The caller is answered, unless it has its answer.
    Withdrawn {
        /// Of the caller.
        request: RequestId,
        /// What is called.
        procedure: Arc<str>,
        /// More of this call is to come.
        has_more: bool,
        /// Why.
        why: Withdrawal,
    },
    /// Answered by [`CallTold::Registered`] or [`CallTold::Refused`].
    Register(Register),
    /// Answered by [`CallTold::Unregistered`] or [`CallTold::Refused`].
    Unregister {
        /// Of the callee.
        request: RequestId,
        /// As it was told.
        registration: RegistrationId,
    },
    /// Callers are not told any more who answers for this registration: the callee's role has lost that. Not
    /// answered.
    Hide {
        /// As it was told.
        registration: RegistrationId,
    },
    /// A result; ignored where the invocation is not known any more.
    Yield {
        /// Which invocation.
        invocation: InvocationId,
        /// More is to come.
        is_progress: bool,
        /// The result.
        payload: Payload,
    },
    /// An invocation ends with an error; ignored where it is not known any more.
    Fail {
        /// Which invocation.
        invocation: InvocationId,
        /// The error's URI.
        error: Arc<str>,
        /// Its arguments.
        payload: Payload,
    },
}

impl CallWord {
    /// What it counts against bounds on bytes.
    #[must_use]
    pub fn counted_bytes(&self) -> usize {
        const BASE: usize = 64;
        match self {
            Self::Call(call) => {
                let key = call.routing_key.as_ref().map_or(0, |key| key.len());
                let testament = call.testament.as_ref();
                let testament = testament.map_or(0, |left| left.message.message_bytes());
                call.procedure.len() + key + testament + call.payload.counted_bytes()
            }
            Self::Yield { payload, .. } => payload.counted_bytes(),
            Self::Fail { error, payload, .. } => error.len() + payload.counted_bytes(),
            Self::Spoiled { procedure, error, payload, .. } => {
                procedure.len() + error.len() + payload.counted_bytes()
            }
            Self::Withdrawn { procedure, .. } => BASE + procedure.len(),
            Self::Register(register) => BASE + register.procedure.len(),
            Self::Cancel { .. } | Self::Unregister { .. } | Self::Hide { .. } => BASE,
        }
    }
}

/// Why a call is over before its gate knows whether it may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// The caller gives it up, and the gate has forgotten it. It ends what is open of the call, in this mode.
    Canceled(CancelMode),
    /// Its time is over, unless the call is open: then that has a time of its own. What the gate has of it comes yet, and
    /// is nothing.
    Timeout {
        /// The time that it had.
        timeout_ms: u64,
    },
}

/// Who is at the other end of a call, where that is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Its session.
    pub session: SessionId,
    /// As in its WELCOME.
    pub authid: Arc<str>,
    /// As in its WELCOME.
    pub authrole: Arc<str>,
}

impl Party {
    /// Of its names.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.authid.len() + self.authrole.len()
    }
}

/// What a session is told of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallTold {
    /// A result of its call: the last thing that it hears of it, unless it is progress.
    Result {
        /// Of the call.
        request: RequestId,
        /// More is to come.
        is_progress: bool,
        /// Who answered.
        callee: Option<Party>,
        /// Topics that it tells of: it is for those who may subscribe them.
        about: Option<Box<TopicPattern>>,
        /// Entries that were asked for it and have not answered.
        missing: Vec<Arc<str>>,
        /// The result.
        payload: Payload,
    },
    /// Its call has failed: the last thing that it hears of it.
    Failed {
        /// Of the call.
        request: RequestId,
        /// Why.
        error: CallError,
    },
    /// It is a callee of this registration.
    Registered {
        /// Of the register.
        request: RequestId,
        /// The registration.
        registration: RegistrationId,
    },
    /// It is a callee no more, as it asked.
    Unregistered {
        /// Of the unregister.
        request: RequestId,
    },
    /// Its register or unregister is refused.
    Refused {
        /// Of the request.
        request: RequestId,
        /// Which kind of request it was.
        kind: CalleeRequest,
        /// Why.
        error: RegisterError,
    },
    /// It is called, or told more of a call.
    Invocation {
        /// The invocation.
        invocation: InvocationId,
        /// Of which registration.
        registration: RegistrationId,
        /// What rises with each new holder of the registration, where `registration` does not: its present id.
        fence: Option<Position>,
        /// What was called, where the registration is a pattern.
        procedure: Option<Arc<str>>,
        /// Who calls, where that is told.
        caller: Option<Party>,
        /// The caller's timeout, where the callee keeps it.
        timeout_ms: Option<NonZeroU64>,
        /// The caller takes progressive results.
        takes_progress: bool,
        /// More of this call is to come.
        has_more: bool,
        /// The arguments.
        payload: Payload,
    },
    /// The call was cancelled. With the mode `kill` its answer is still passed on; else nobody waits for it.
    Interrupt {
        /// The invocation.
        invocation: InvocationId,
        /// As the call was cancelled.
        mode: CancelMode,
    },
    /// A registration was taken from it.
    Revoked {
        /// Which one.
        registration: RegistrationId,
    },
}

impl CallTold {
    /// What each counts beside its payload and its texts.
    pub const OVERHEAD_BYTES: usize = 96;

    /// What it counts against the room of its session's queue.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        Self::OVERHEAD_BYTES
            + match self {
                Self::Result { callee, missing, payload, .. } => {
                    let missing = missing.iter().map(|name| name.len()).sum::<usize>();
                    bytes_of(callee.as_ref()) + missing + payload.said_bytes()
                }
                Self::Invocation { procedure, caller, payload, .. } => {
                    let procedure = procedure.as_ref().map_or(0, |uri| uri.len());
                    procedure + bytes_of(caller.as_ref()) + payload.said_bytes()
                }
                Self::Failed { error, .. } => error.queued_bytes(),
                Self::Registered { .. }
                | Self::Unregistered { .. }
                | Self::Refused { .. }
                | Self::Interrupt { .. }
                | Self::Revoked { .. } => 0,
            }
    }
}

fn bytes_of(party: Option<&Party>) -> usize {
    party.map_or(0, Party::text_bytes)
}
