//! Lease: for how long an entry trusts its view for those who hold a procedure alone.
//!
//! ```text
//!   complete at t0 ------- 1 s: asked again, while there are calls ------- 2 s: nobody is invoked any more
//!                           \--- the answer of that may come up to 1.5 s later: calls wait for it -----/
//! ```
//! A lease counts from when its question was asked, however late the answer is. What another entry makes of the order
//! since then cannot take effect before the lease is over: a holder of `single` that comes after this entry's waits as
//! long (`registrar::tenure`).
//!
//! Source: `docs/design/027-calls.md`, *Lease*.

use std::time::{Duration, Instant};

use vixen_core::id::Position;
use vixen_core::wire::InvokeRefusal;

use super::super::routes::{Hold, Routes};
use super::super::turn::Turn;
use super::Serving;

/// Of the view, from when it was asked whether that is complete.
pub(in crate::dealer) const LEASE: Duration = Duration::from_secs(2);

/// So long its question may stay open: an answer that comes at the end leaves half a second.
pub const LEASE_ASKED: Duration = Duration::from_millis(1_500);

/// When it is asked again, if there are calls.
const RENEWED_AFTER: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lease {
    /// The view had all that was placed before.
    complete_at: Option<Instant>,
    /// A question is under way.
    is_asking: bool,
}

impl Lease {
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.age(now).is_some_and(|age| age <= LEASE)
    }

    fn age(&self, now: Instant) -> Option<Duration> {
        self.complete_at.map(|at| now.saturating_duration_since(at))
    }

    /// The view cannot be gone by any more.
    pub(super) const fn end(&mut self) {
        self.complete_at = None;
    }

    /// Whether it is to be asked for.
    fn asks(&mut self, now: Instant) -> bool {
        let is_due = self.age(now).is_none_or(|age| age >= RENEWED_AFTER);
        is_due && !std::mem::replace(&mut self.is_asking, true)
    }

    /// The view was complete at that moment. Where that is not the answer to its own question, this is still open.
    fn answered(&mut self, at: Option<Instant>, is_own: bool) {
        self.is_asking &= !is_own;
        self.complete_at = self.complete_at.max(at);
    }
}

impl Serving {
    /// What keeps a call from its callee; asks for the lease where that is wanted.
    pub(super) fn hold<R: Routes>(
        &mut self,
        registration: Position,
        turn: &mut Turn<'_, R>,
    ) -> Option<Hold> {
        let hold = turn.routes.hold(turn.now, registration)?;
        if hold == Hold::HandOver {
            return Some(hold);
        }
        if self.lease.asks(turn.now) {
            turn.fx.is_asking_lease = true;
        }
        (!self.lease.holds(turn.now)).then_some(hold)
    }

    /// The view was complete at that moment; where nobody can tell and the lease was asked for, calls that wait for it
    /// have waited in vain. An answer that is too old by now is asked for again.
    pub(in crate::dealer) fn on_complete<R: Routes>(
        &mut self,
        at: Option<Instant>,
        is_of_lease: bool,
        turn: &mut Turn<'_, R>,
    ) {
        self.lease.answered(at.filter(|_| self.is_ready), is_of_lease);
        if is_of_lease && at.is_none() && !self.lease.holds(turn.now) {
            for served in self.waiting.callees_up_to(turn.routes.applied()) {
                if turn.routes.hold(turn.now, served.0) != Some(Hold::Lease) {
                    continue;
                }
                while let Some(key) = self.waiting.first_of(served) {
                    self.refuse_waiting(key, InvokeRefusal::Lease, turn);
                }
            }
        }
        self.on_applied(turn);
    }
}
