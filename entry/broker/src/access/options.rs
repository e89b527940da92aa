//! What a client may ask for beside a message, a topic or a procedure.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use vixen_core::segment::{Audience, Eligible, Match, Passthru};

use crate::api::calls::Invoke;
use crate::api::{AckLevel, After};

/// What a publisher asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishOptions {
    /// Tell the publisher what becomes of it.
    pub acknowledge: bool,
    /// When to tell.
    pub level: AckLevel,
    /// Send the event back to its publisher as well.
    pub include_me: bool,
    /// Tell subscribers who published.
    pub disclose_me: bool,
    /// Who else does not get it, or who alone does; boxed, for hardly anybody asks.
    pub lists: Option<Box<Lists>>,
    /// The payload is packed, and subscribers are told how; boxed as well.
    pub passthru: Option<Box<Passthru>>,
    /// Tell the message's place only, however long that takes, and never an error for lack of a quorum.
    pub wait: bool,
}

/// Subscriber black- and whitelists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Who does not get it.
    pub exclude: Audience,
    /// Who alone does.
    pub eligible: Eligible,
}

/// What a subscriber asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// How the topic is compared.
    pub matching: Match,
    /// Where in the past to begin.
    pub after: Option<After>,
    /// No more events than these.
    pub limit: Option<u64>,
    /// Only what is stored.
    pub is_snapshot: bool,
}

/// What a caller asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// When the call is given up.
    pub timeout_ms: Option<NonZeroU64>,
    /// Progressive results are taken.
    pub takes_progress: bool,
    /// More of the call is to come.
    pub has_more: bool,
    /// Tell the callee who calls.
    pub disclose_me: bool,
    /// Chooses among the callees of a shared registration.
    pub routing_key: Option<Arc<str>>,
    /// The payload is packed, and the callee is told how.
    pub passthru: Option<Box<Passthru>>,
}

/// What a callee asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegisterOptions {
    /// How the procedure is compared.
    pub matching: Match,
    /// Which callee is called.
    pub invoke: Invoke,
    /// How many invocations at once.
    pub concurrency: Option<NonZeroU32>,
    /// Who holds it loses it.
    pub is_forced: bool,
    /// The callee is told the caller's timeout.
    pub forwards_timeout: bool,
}
