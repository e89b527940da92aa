//! Why calls and registrations come to nothing, in words of no protocol.

use std::sync::Arc;

use vixen_core::id::Position;
use vixen_views::record::NotRegistrable;

use super::{Invoke, Payload};
use crate::api::Holder;
use crate::history::HistoryError;
use crate::meta::Missing;

/// Why a call failed. Gates have an error URI for each kind; the text names the cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The callee said so, or whoever else has an error with a URI of its own.
    #[error("the call was answered with {uri}")]
    Callee {
        /// The error's URI.
        uri: Arc<str>,
        /// Its arguments.
        payload: Payload,
    },
    /// The router itself serves it, and says no.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// Nobody has registered it.
    #[error("no callee registered for procedure {0}")]
    NoSuchProcedure(Arc<str>),
    /// Somebody has registered it, and nobody can be called.
    #[error("no callee of procedure {procedure} can be called: {reason}")]
    NoAvailableCallee {
        /// What was called.
        procedure: Arc<str>,
        /// What is with the callees.
        reason: Arc<str>,
    },
    /// Somebody has registered it, and nobody who has can take such a call.
    #[error("no callee of procedure {procedure} has announced {features}, which the call needs")]
    NotAnnounced {
        /// What was called.
        procedure: Arc<str>,
        /// What the call needs, as a HELLO names it.
        features: &'static str,
    },
    /// The realms were read again, and the caller may not call it any more.
    #[error("the role of this session may not call this procedure any more")]
    NotAuthorized,
    /// The caller has cancelled it.
    #[error("the call was cancelled")]
    Canceled,
    /// The callee is gone.
    #[error("callee disconnected from in-flight request")]
    CalleeGone {
        /// What is with its entry, where that is why: a text for the caller.
        entry: Option<Arc<str>>,
    },
    /// The caller takes its results too slowly.
    #[error("the caller takes its results too slowly: limits.caller-queue-bytes-max")]
    CallerTooSlow,
    /// It was not answered in time.
    #[error("no answer within {timeout_ms} ms")]
    Timeout {
        /// The time that it had.
        timeout_ms: u64,
    },
    /// The entry cannot serve it now.
    #[error("{0}")]
    Unavailable(Arc<str>),
    /// All callees have as many invocations as they take.
    #[error("all callees of procedure {0} have as many invocations as they take at once")]
    MaxConcurrency(Arc<str>),
    /// There are as many open calls as there may be.
    #[error("there are {max} open calls or bytes of them, as many as limits.{key} allows")]
    TooMany {
        /// The key in `[limits]`.
        key: &'static str,
        /// The bound.
        max: usize,
    },
}

impl CallError {
    pub(super) fn queued_bytes(&self) -> usize {
        match self {
            Self::Callee { uri, payload } => uri.len() + payload.said_bytes(),
            Self::NoSuchProcedure(text) | Self::Unavailable(text) | Self::MaxConcurrency(text) => {
                text.len()
            }
            Self::NoAvailableCallee { procedure, reason } => procedure.len() + reason.len(),
            Self::NotAnnounced { procedure, features } => procedure.len() + features.len(),
            Self::Meta(error) => error.queued_bytes(),
            Self::NotAuthorized
            | Self::Canceled
            | Self::CalleeGone { .. }
            | Self::CallerTooSlow
            | Self::Timeout { .. }
            | Self::TooMany { .. } => 0,
        }
    }
}

/// Why the router does not do what a procedure of its own was called for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaError {
    /// The arguments are not those of the procedure.
    #[error("{0}")]
    Argument(Arc<str>),
    /// A reason is no URI.
    #[error("{0}")]
    Uri(Arc<str>),
    /// There is nothing of that id.
    #[error("{0}")]
    NoSuch(Missing),
    /// It cannot be done now.
    #[error("{0}")]
    Unavailable(Arc<str>),
    /// It is not here, and these entries have not answered whether it is there.
    #[error("no answer of {}: it may be there", .0.join(", "))]
    Unanswered(Vec<Arc<str>>),
    /// Who asks may not have it.
    #[error("the role of this session may not subscribe what it asks for")]
    NotAuthorized,
    /// What is stored cannot be read now.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// As many reads of the session are under way as it may have.
    #[error(
        "{max} calls of this session that read what is stored are open, as many as it may have: wait for their answers"
    )]
    TooManyReads {
        /// The bound.
        max: usize,
    },
    /// As much was read as is for one call, and nothing of it is for who asks.
    #[error(
        "of the messages up to publication {}, as many as are read for one call, none is for this session: go on with \
         {argument}={}",
        .last.0, .last.0
    )]
    NothingSoFar {
        /// The argument that goes on from there.
        argument: &'static str,
        /// The last message that was looked at.
        last: Position,
    },
    /// Of testaments.
    #[error("scope is 'detached' or 'destroyed'")]
    Scope,
    /// There are as many testaments as there may be.
    #[error("there are {max} testaments or bytes of them, as many as limits.{key} allows")]
    TooManyTestaments {
        /// The key in `[limits]`.
        key: &'static str,
        /// The bound.
        max: usize,
    },
}

impl MetaError {
    fn queued_bytes(&self) -> usize {
        match self {
            Self::Argument(text) | Self::Uri(text) | Self::Unavailable(text) => text.len(),
            Self::Unanswered(names) => names.iter().map(|name| name.len()).sum(),
            Self::NoSuch(_)
            | Self::NotAuthorized
            | Self::History(_)
            | Self::TooManyReads { .. }
            | Self::NothingSoFar { .. }
            | Self::Scope
            | Self::TooManyTestaments { .. } => 0,
        }
    }
}

/// Requests of callees that may be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalleeRequest {
    /// To register.
    Register,
    /// To end a registration.
    Unregister,
}

/// Why a register or unregister is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// It has a callee already, and room for one.
    #[error(
        "procedure {0} is registered already, with invoke=single: by one callee, and no other joins it"
    )]
    AlreadyExists(Arc<str>),
    /// Its callees have agreed on another policy.
    #[error(
        "procedure {procedure} is registered with another invocation policy{}",
        .policy.map(|policy| format!(", invoke={}", policy.name())).unwrap_or_default()
    )]
    OtherPolicy {
        /// The procedure.
        procedure: Arc<str>,
        /// Theirs; `None`: they have left meanwhile.
        policy: Option<Invoke>,
    },
    /// No entry takes such a procedure or pattern.
    #[error("the procedure cannot be registered: {0}")]
    Invalid(NotRegistrable),
    /// No such registration of this session.
    #[error("no such registration of this session")]
    NoSuchRegistration,
    /// The session has as many as it may have.
    #[error(
        "the session has {max} registrations, as many as limits.registrations-per-session-max allows"
    )]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// The realm has as many as it may have, over all entries. One that is there may still get callees.
    #[error(
        "the realm has {max} registrations, as many as limits.registrations-per-realm-max allows"
    )]
    TooManyOfRealm {
        /// The bound.
        max: usize,
    },
    /// The session has as many patterns as it may have. Exact procedures may still be registered.
    #[error(
        "the session has {max} registrations by pattern, as many as limits.patterns-per-session-max allows: \
         register exact procedures, or fewer patterns"
    )]
    TooManyPatternsOfSession {
        /// The bound.
        max: usize,
    },
    /// There are as many patterns as there may be. Exact procedures may still be registered.
    #[error(
        "{} has {max} registrations by pattern, as many as {} allows: register exact procedures, or fewer \
         patterns{}",
        holder.name(), holder.said(holder.patterns_key()), holder.elsewhere()
    )]
    TooManyPatterns {
        /// Who has them.
        holder: Holder,
        /// The bound.
        max: usize,
    },
    /// The wildcards of the realm leave too many components open, in too many ways.
    #[error(
        "the wildcards of the realm would take more than {max} steps a call (limits.wildcard-steps-max): use one \
         that has its open components where others have them, or a prefix"
    )]
    TooManyShapes {
        /// The bound.
        max: usize,
    },
    /// Another of the session's requests has its id, and no answer yet.
    #[error("another request of this id still waits for its answer; number requests from 1 on")]
    Repeated,
    /// The entry cannot decide it now.
    #[error("{0}")]
    Unavailable(Arc<str>),
    /// It has no place in the order yet. A register that gets one after all is taken back, an unregister holds.
    #[error(
        "no place in the order within {waited_ms} ms: {missing}. The session is not called by this registration"
    )]
    NoQuorum {
        /// How long it was waited for.
        waited_ms: u64,
        /// What it waits for, in words.
        missing: Arc<str>,
    },
}
