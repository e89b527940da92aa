//! Testaments: what sessions want published when they end.
//!
//! Source: WAMP spec *Session Testament*. Sessions are not resumed here, so each ends once: what is left for its
//! being detached is published first, then what is left for its end, each in the order in which it came.

use std::collections::BTreeMap;

use crate::api::calls::{Scope, Testament};
use crate::api::{Publish, SessionId};

/// Bounds, by the names of their keys in `[limits]`. Bytes are as [`Publish::counted_bytes`] has them, and the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestamentLimits {
    /// `testaments-per-session-max`
    pub per_session_max: usize,
    /// `testaments-bytes-per-session-max`
    pub bytes_per_session_max: usize,
    /// `testaments-bytes-max`: of all sessions of the entry, those that are over and whose messages wait for room too.
    pub bytes_max: usize,
}

/// A key of `[limits]` that is reached, and its value.
pub(super) type Reached = (&'static str, usize);

/// See the module.
#[derive(Debug)]
pub(super) struct Testaments {
    limits: TestamentLimits,
    of: BTreeMap<SessionId, Will>,
    bytes: usize,
}

/// That of one session.
#[derive(Debug, Default)]
struct Will {
    last: u64,
    bytes: usize,
    detached: Vec<Publish>,
    destroyed: Vec<Publish>,
}

impl Will {
    fn len(&self) -> usize {
        self.detached.len() + self.destroyed.len()
    }

    const fn scope(&mut self, scope: Scope) -> &mut Vec<Publish> {
        match scope {
            Scope::Detached => &mut self.detached,
            Scope::Destroyed => &mut self.destroyed,
        }
    }
}

impl Testaments {
    pub(super) const fn new(limits: TestamentLimits) -> Self {
        Self { limits, of: BTreeMap::new(), bytes: 0 }
    }

    /// Of all that are kept.
    #[cfg(test)]
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps one more, where `leaving` bytes of those that were left before are published and wait for room; its number
    /// among those of the session.
    pub(super) fn add(
        &mut self,
        session: SessionId,
        Testament { scope, message }: Testament,
        leaving: usize,
    ) -> Result<u64, Reached> {
        let limits = self.limits;
        let more = bytes_of(&message);
        let (count, bytes) = self.of.get(&session).map_or((0, 0), |will| (will.len(), will.bytes));
        if count >= limits.per_session_max {
            return Err(("testaments-per-session-max", limits.per_session_max));
        }
        if bytes.saturating_add(more) > limits.bytes_per_session_max {
            return Err(("testaments-bytes-per-session-max", limits.bytes_per_session_max));
        }
        if self.bytes.saturating_add(leaving).saturating_add(more) > limits.bytes_max {
            return Err(("testaments-bytes-max", limits.bytes_max));
        }
        let will = self.of.entry(session).or_default();
        will.last += 1;
        will.bytes += more;
        will.scope(scope).push(message);
        self.bytes += more;
        Ok(will.last)
    }

    /// Forgets those of a scope; how many there were.
    pub(super) fn flush(&mut self, session: SessionId, scope: Scope) -> usize {
        let Some(will) = self.of.get_mut(&session) else { return 0 };
        let flushed = std::mem::take(will.scope(scope));
        let bytes: usize = flushed.iter().map(bytes_of).sum();
        will.bytes -= bytes;
        self.bytes -= bytes;
        flushed.len()
    }

    /// Forgets those of a session that it may not publish any more.
    pub(super) fn retain(&mut self, session: SessionId, may_publish: impl Fn(&Publish) -> bool) {
        let Some(will) = self.of.get_mut(&session) else { return };
        will.detached.retain(&may_publish);
        will.destroyed.retain(&may_publish);
        let bytes = will.detached.iter().chain(&will.destroyed).map(bytes_of).sum();
        self.bytes -= std::mem::replace(&mut will.bytes, bytes) - bytes;
    }

    /// The session is over: what is to be published, in order.
    pub(super) fn take(&mut self, session: SessionId) -> Vec<Publish> {
        let Some(will) = self.of.remove(&session) else { return Vec::new() };
        self.bytes -= will.bytes;
        let mut all = will.detached;
        all.extend(will.destroyed);
        all
    }
}

fn bytes_of(message: &Publish) -> usize {
    message.counted_bytes() + message.topic.uri.len()
}
