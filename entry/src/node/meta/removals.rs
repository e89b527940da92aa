//! Callees that are taken out of their registrations, until the view has it: then the caller is answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use vixen_broker::api::SessionId;
use vixen_broker::api::calls::{MetaError, Payload};
use vixen_broker::dealer::{CallNumber, MetaResult};
use vixen_views::record::RegistrationId;

use super::super::run::{Effects, EntryNode};
use super::words::result;

/// Nobody waits longer, whatever the settings say.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One that is under way.
#[derive(Clone, Copy, Debug)]
struct Removal {
    call: CallNumber,
    registration: RegistrationId,
    session: SessionId,
    until: Instant,
}

/// Those that are under way; each is an open call.
#[derive(Debug, Default)]
pub(in crate::node) struct Removals(Vec<Removal>);

impl Removals {
    /// A call is over, answered or not: nobody waits for it any more.
    pub(in crate::node) fn end(&mut self, call: CallNumber) {
        self.0.retain(|removal| removal.call != call);
    }

    /// Whether a caller waits for what the order says.
    pub(in crate::node) const fn is_waiting(&self) -> bool {
        !self.0.is_empty()
    }

    /// When there is something to do without an event.
    pub(in crate::node) fn due_at(&self) -> Option<Instant> {
        self.0.iter().map(|removal| removal.until).min()
    }
}

impl EntryNode {
    /// The caller waits until the callee is out.
    pub(super) fn await_removal(
        &mut self,
        call: CallNumber,
        registration: RegistrationId,
        session: SessionId,
    ) {
        let now = Instant::now();
        let until = now.checked_add(self.options.publish_timeout).unwrap_or(now + DAY);
        self.removals.0.push(Removal { call, registration, session, until });
    }

    /// Answers those whose callees are out, and those that have waited for too long.
    pub(in crate::node) fn settle_removals(&mut self, fx: &mut Effects) {
        if self.removals.0.is_empty() {
            return;
        }
        let now = Instant::now();
        let view = self.calls.view();
        let has = |removal: &Removal| {
            let found = view.get(removal.registration);
            found.is_some_and(|found| {
                found.callees.iter().any(|(_, callee)| callee.session == removal.session.0)
            })
        };
        let (mut done, mut late) = (Vec::new(), Vec::new());
        self.removals.0.retain(|removal| {
            let (is_done, is_late) = (!has(removal), removal.until <= now);
            if is_done {
                done.push(removal.call);
            } else if is_late {
                late.push(removal.call);
            }
            !is_done && !is_late
        });
        for call in done {
            let payload: Payload = result(&serde_json::Value::Null);
            let (about, missing) = (None, Vec::new());
            let told = MetaResult { payload, about, missing };
            self.calls.answered(call, Ok(told), &mut fx.calls);
        }
        for call in late {
            let why: Arc<str> = format!("no place in the order yet: {}", self.missing()).into();
            self.calls.answered(call, Err(MetaError::Unavailable(why)), &mut fx.calls);
        }
    }
}
