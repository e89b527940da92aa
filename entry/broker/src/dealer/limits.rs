//! How much calls may take.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

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

impl CallLimits {
    /// The timeout of a call that asks for this one, in ms.
    pub(super) fn timeout_ms(&self, asked: Option<NonZeroU64>) -> Option<u64> {
        let ms = |limit: Duration| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1);
        let wanted = asked.map(NonZeroU64::get).or_else(|| self.call_timeout.map(ms));
        let longest = self.call_timeout_max.map(ms);
        match (wanted, longest) {
            (Some(wanted), Some(longest)) => Some(wanted.min(longest)),
            (wanted, longest) => wanted.or(longest),
        }
    }

    /// Waiting bytes of a link above which it gets no invocations and no progress.
    pub(super) const fn link_busy_bytes(&self) -> usize {
        self.link_queue_bytes_max / 4
    }

    /// Waiting bytes of a link above which final answers are made small.
    pub(super) const fn link_full_bytes(&self) -> usize {
        self.link_queue_bytes_max / 2
    }
}

/// What all calls of the entry take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Calls of its own callers, and those that other entries have brought.
    pub(super) calls: usize,
    /// Of payloads that are kept.
    pub(super) kept_bytes: usize,
    /// Of what waits for the sockets of sessions.
    pub(super) queued_bytes: usize,
}

impl Usage {
    /// What counts against `limits.calls-bytes-max`.
    pub(super) const fn bytes(&self) -> usize {
        self.kept_bytes + self.queued_bytes
    }
}

/// When a call that begins now is given up; `None`: beyond what the clock has.
pub(super) fn after(now: Instant, ms: u64) -> Option<Instant> {
    now.checked_add(Duration::from_millis(ms))
}
