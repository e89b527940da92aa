//! How much calls may take.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use vixen_core::id::OwnerId;

/// Bounds, by the names of their keys in `[limits]`. Bytes are as
/// [`counted_bytes`](crate::api::calls::Payload::counted_bytes) and
/// [`queued_bytes`](crate::api::calls::CallTold::queued_bytes) have them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallLimits {
    /// Open calls of a caller.
    pub calls_per_session_max: usize,
    /// Payloads of a caller's calls, while they are kept.
    pub calls_bytes_per_session_max: usize,
    /// Open calls of the entry: those of its callers, and those that other entries have brought to its callees.
    pub calls_max: usize,
    /// Payloads of all of them while they are kept, and what waits for the sockets of sessions.
    pub calls_bytes_max: usize,
    /// Invocations that one callee has not answered.
    pub invocations_per_session_max: usize,
    /// What waits for the socket of a callee, beyond which it gets no invocations.
    pub callee_queue_bytes_max: usize,
    /// What waits for the socket of a caller, beyond which it gets no results.
    pub caller_queue_bytes_max: usize,
    /// What may wait for a link; more would end it.
    pub link_queue_bytes_max: usize,
    /// The longest timeout of a call.
    pub call_timeout_max: Option<Duration>,
    /// The timeout of calls that ask for none.
    pub call_timeout: Option<Duration>,
}

/// How long calls may take, of these bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTimeouts {
    /// The longest timeout of a call.
    pub longest: Option<Duration>,
    /// The timeout of calls that ask for none.
    pub unasked: Option<Duration>,
}

impl CallTimeouts {
    /// The timeout of a call that asks for this one, in ms.
    #[must_use]
    pub fn ms(&self, asked: Option<NonZeroU64>) -> Option<u64> {
        let ms = |limit: Duration| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1);
        let wanted = asked.map(NonZeroU64::get).or_else(|| self.unasked.map(ms));
        let longest = self.longest.map(ms);
        match (wanted, longest) {
            (Some(wanted), Some(longest)) => Some(wanted.min(longest)),
            (wanted, longest) => wanted.or(longest),
        }
    }
}

impl CallLimits {
    /// How long calls may take.
    pub(super) const fn timeouts(&self) -> CallTimeouts {
        CallTimeouts { longest: self.call_timeout_max, unasked: self.call_timeout }
    }

    /// Waiting bytes of a link above which it gets no invocations and no progress.
    pub(super) const fn link_busy_bytes(&self) -> usize {
        self.link_queue_bytes_max / 4
    }

    /// Calls that were answered before they were complete, of which a session is remembered.
    pub(super) const fn unfinished_max(&self) -> usize {
        // A session may have as many open, and end them all at once.
        const UNFINISHED_MIN: usize = 1024;
        if self.calls_per_session_max > UNFINISHED_MIN {
            self.calls_per_session_max
        } else {
            UNFINISHED_MIN
        }
    }

    /// Waiting bytes of a link above which final answers are made small.
    pub(super) const fn link_full_bytes(&self) -> usize {
        self.link_queue_bytes_max / 2
    }
}

/// What all calls of the entry take. Where that is as much as there is, those go on who have less than their share:
/// the bound over the number of those who take something. All of them together have at most twice the bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Calls of its own callers, and those that other entries have brought.
    pub(super) calls: usize,
    /// What calls hold: names, and payloads that are kept.
    pub(super) kept_bytes: usize,
    /// Of what waits for the sockets of sessions.
    pub(super) queued_bytes: usize,
    /// Sessions that take something of this.
    pub(super) sessions: usize,
    /// How many calls each other entry has brought that has brought any.
    pub(super) brought: BTreeMap<OwnerId, usize>,
}

impl Usage {
    /// What counts against `limits.calls-bytes-max`.
    pub(super) const fn bytes(&self) -> usize {
        self.kept_bytes + self.queued_bytes
    }

    /// The share of each, with one more if that takes nothing yet.
    fn share(&self, own: usize, max: usize) -> usize {
        let users = self.sessions + self.brought.len() + usize::from(own == 0);
        max / users.max(1)
    }

    /// Whether who has so many calls may have one more.
    pub(super) fn has_call_for(&self, own: usize, max: usize) -> bool {
        let is_within_share = own < self.share(own, max) && self.calls < max.saturating_mul(2);
        self.calls < max || is_within_share
    }

    /// Whether who takes so many bytes may take some more.
    pub(super) fn has_bytes_for(&self, own: usize, more: usize, max: usize) -> bool {
        let (own_then, all) = (own.saturating_add(more), self.bytes().saturating_add(more));
        all <= max || (own_then <= self.share(own, max) && all <= max.saturating_mul(2))
    }
}

/// Takes off what was counted.
///
/// # Panics
/// It was not counted.
pub(super) fn less(count: &mut usize, by: usize) {
    assert!(*count >= by, "J4: {by} of {count} are taken off");
    *count -= by;
}

/// When a call that begins now is given up; `None`: beyond what the clock has.
pub(super) fn after(now: Instant, ms: u64) -> Option<Instant> {
    now.checked_add(Duration::from_millis(ms))
}
