//! What goes into the dealer, and what comes out.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::TopicPattern;
use vixen_core::wire::InvokeRefusal;

use super::words::{CallNumber, PeerWord};
use crate::access::Permissions;
use crate::api::calls::{CallTold, CallWord, MetaError, Payload, RegistrationId, Testament};
use crate::api::{RequestId, SessionId, SessionInfo};
use crate::meta::{Asker, Procedure};

/// What a callee of this entry has agreed on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The registration, as the callee was told it.
    pub told: RegistrationId,
    /// How many of its invocations the callee takes at once.
    pub concurrency: Option<NonZeroU32>,
    /// Callers are told who it is.
    pub is_disclosed: bool,
    /// It is told the caller's timeout, if it announced that it keeps it.
    pub forwards_timeout: bool,
}

/// A link to another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The entry.
    pub peer: OwnerId,
    /// Which of all links to it: a later one has a higher number.
    pub number: u64,
}

/// Everything that can happen to the dealer.
#[derive(Debug)]
pub enum Input {
    /// A session is welcome; first of its words.
    Opened {
        /// Who it is.
        info: Arc<SessionInfo>,
    },
    /// The entry itself calls, as this one, whom nobody else sees: only exact registrations serve it. What decides about
    /// others is nobody's by a pattern.
    OpenedByEntry {
        /// As who.
        info: Arc<SessionInfo>,
    },
    /// A session speaks of a call. What it says of registrations is the registrar's, and passed over.
    Word {
        /// The session.
        session: SessionId,
        /// What it says.
        word: CallWord,
    },
    /// A session is told something by others than the dealer, as the registrar: it waits in the same queue.
    Tell {
        /// The session.
        session: SessionId,
        /// What it is told.
        told: CallTold,
    },
    /// A session has written some of what it was told by [`Effects::told`]; at the latest told when that is a quarter
    /// of the smaller bound of its queue.
    Written {
        /// The session.
        session: SessionId,
        /// As [`CallTold::queued_bytes`] has them.
        bytes: usize,
    },
    /// The realms were read again: calls end that a session may not make any more, if more may come of them than one
    /// answer.
    Rights {
        /// The session.
        session: SessionId,
        /// What it may do now.
        permissions: Box<Permissions>,
    },
    /// The realms were read again: a session may not be callee of this any more, and its invocations end, if more may
    /// come of them than one answer.
    RightLost {
        /// The session.
        session: SessionId,
        /// As it was told.
        registration: RegistrationId,
    },
    /// A session is gone; last of its words.
    Closed {
        /// The session.
        session: SessionId,
    },
    /// A session of this entry is a callee, by the entry's own view. Told after its REGISTERED.
    Serves {
        /// The session.
        session: SessionId,
        /// The registration.
        registration: Position,
        /// What the two have agreed on.
        terms: Terms,
    },
    /// It is not any more; its open invocations go on.
    Leaves {
        /// The session.
        session: SessionId,
        /// The registration.
        registration: Position,
    },
    /// A registration has lost its last callee.
    RegistrationEnded {
        /// Which one.
        registration: Position,
    },
    /// The view has applied more records.
    Applied,
    /// A question of [`Effects`] whether the view is complete has its answer.
    Complete {
        /// The view has all that was placed before this moment, when it was asked; `None`: nobody can tell in time.
        at: Option<Instant>,
        /// It was asked for calls of which the view knew nobody: the last that had come by then.
        misses: Option<CallNumber>,
        /// It was asked for [`Effects::is_asking_lease`]. Answers to others are good for that as well, and do not end it.
        is_of_lease: bool,
    },
    /// Whether the entry's own view can be gone by; it can be at first. While it cannot, other entries are told so
    /// where they bring calls.
    View {
        /// It can.
        is_ready: bool,
    },
    /// A new link to an entry.
    LinkUp {
        /// The link.
        link: Link,
        /// What people call it.
        name: Arc<str>,
    },
    /// The link is gone, and with it all that was said on it.
    LinkDown {
        /// The link.
        link: Link,
    },
    /// Nothing comes on a link any more, or something comes again.
    LinkSilent {
        /// The link.
        link: Link,
        /// Nothing comes.
        is_silent: bool,
    },
    /// What waits for a link.
    LinkWaiting {
        /// The link.
        link: Link,
        /// Bytes that are not written.
        bytes: usize,
    },
    /// Where a peer stands.
    Standing {
        /// The link.
        link: Link,
        /// It takes calls.
        is_ready: bool,
        /// It is about to stop.
        is_draining: bool,
    },
    /// A word of a peer; one of a link that is gone, or was before this one, is nobody's any more.
    Heard {
        /// The link.
        link: Link,
        /// What it says.
        word: PeerWord,
    },
    /// The router has an answer to a call of [`Effects::meta`]. One that is over is passed over.
    Answered {
        /// The call.
        number: CallNumber,
        /// The result, or why there is none.
        answer: Result<MetaResult, MetaError>,
    },
    /// The entry is about to stop: its callees get no new calls.
    Drain,
    /// The entry stops: what is open ends.
    Stop,
    /// The time of [`Dealer::timeout_at`](super::Dealer::timeout_at) came.
    Timeout,
}

/// What the driver owes after a step.
#[derive(Debug, Default)]
pub struct Effects {
    /// Words to sessions, in this order for each session.
    pub told: Vec<(SessionId, CallTold)>,
    /// Words to other entries, in this order for each: each goes by its link, or nowhere if that is gone by then.
    pub sends: Vec<(Link, PeerWord)>,
    /// Calls of procedures that the router itself serves: each is to be answered by [`Input::Answered`].
    pub meta: Vec<MetaCall>,
    /// Of these, calls that are over, answered or not: nobody is told anything more of them.
    pub meta_over: BTreeSet<CallNumber>,
    /// A call waits until the view is complete up to now: answered by [`Input::Complete`], once.
    pub is_asking: bool,
    /// The entry wants to know that its view is complete, to invoke those who hold a procedure alone: answered by
    /// [`Input::Complete`], once, within [`LEASE_ASKED`](super::LEASE_ASKED).
    pub is_asking_lease: bool,
    /// Sessions that are to be ended for what they have to do with calls.
    pub breaches: Vec<(SessionId, Breach)>,
    /// What happened, for metrics and the log.
    pub notes: Vec<Note>,
}

/// What the router itself answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaResult {
    /// The result.
    pub payload: Payload,
    /// Topics that it tells of.
    pub about: Option<TopicPattern>,
    /// Entries that were asked for it and have not answered.
    pub missing: Vec<Arc<str>>,
}

/// A call of a procedure that the router itself serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaCall {
    /// The call.
    pub number: CallNumber,
    /// Who calls, and where.
    pub asker: Asker,
    /// What is called.
    pub procedure: Procedure,
    /// Its arguments.
    pub payload: Payload,
    /// What its gate has made of them.
    pub testament: Option<Box<Testament>>,
    /// What its gate lets the caller do.
    pub rights: Option<Box<Permissions>>,
}

/// Why a session is to be ended: what it must not do, or cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// A call has the request of one that is open, and is no part of it: that is complete, or of another procedure.
    #[error("CALL {} has the request id of an open call; number requests from 1 on", .0.0)]
    RepeatedRequest(RequestId),
    /// Beyond the room of its queue, the session leaves as much unread again. It is told nothing more.
    #[error(
        "the session does not read what it is told of calls: limits.caller-queue-bytes-max, limits.callee-queue-bytes-max"
    )]
    Unread,
    /// Another is callee of what it has registered, as its entry was called gone meanwhile; and it has not announced that it
    /// hears of that.
    #[error(
        "another has what the session had registered, and it announced no registration_revocation"
    )]
    RegistrationLost,
}

/// Facts for metrics and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A call has ended.
    Ended {
        /// How.
        outcome: Outcome,
        /// Where it was; `None`: it came to no callee, or to none that took it.
        at: Option<CalledAt>,
        /// How long it was open.
        took: Duration,
    },
    /// A caller was told a part of a result.
    Progress,
    /// A call went to another callee than the first.
    Rerouted(Missed),
    /// A callee or an entry said something of a call that was over, or a link that is gone.
    Late,
}

/// Where a call was as it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalledAt {
    /// The registration; 0 for what the router itself serves.
    pub registration: Position,
    /// The callee is at another entry.
    pub is_linked: bool,
}

/// How a call ended, for the metric `calls_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// With the result.
    Result,
    /// With an error of the callee.
    CalleeError,
    /// Cancelled by the caller, or because one of both is gone or too slow.
    Canceled,
    /// Not answered in time.
    Timeout,
    /// Nobody has registered the procedure.
    NoSuchProcedure,
    /// Nobody of those who have could be called.
    NoAvailableCallee,
    /// The entry could not serve it.
    Unavailable,
    /// All callees had as many as they take.
    MaxConcurrency,
    /// Beyond a bound on open calls.
    Refused,
}

impl Outcome {
    /// As a label of metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::CalleeError => "callee_error",
            Self::Canceled => "canceled",
            Self::Timeout => "timeout",
            Self::NoSuchProcedure => "no_such_procedure",
            Self::NoAvailableCallee => "no_available_callee",
            Self::Unavailable => "unavailable",
            Self::MaxConcurrency => "max_concurrency",
            Self::Refused => "refused",
        }
    }
}

/// Why a callee did not answer a call, so that another may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missed {
    /// It was not invoked.
    Refused(InvokeRefusal),
    /// It answered that it is not available.
    Unavailable,
}

impl Missed {
    /// As a label of metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Refused(InvokeRefusal::Left) => "left",
            Self::Refused(InvokeRefusal::Busy) => "busy",
            Self::Refused(InvokeRefusal::Queue) => "queue",
            Self::Refused(InvokeRefusal::Draining) => "draining",
            Self::Refused(InvokeRefusal::Lease) => "lease",
            Self::Refused(InvokeRefusal::NotReady) => "not_ready",
            Self::Refused(InvokeRefusal::EntryFull) => "entry_full",
            Self::Refused(InvokeRefusal::NotAnnounced) => "not_announced",
            Self::Unavailable => "unavailable",
        }
    }
}
