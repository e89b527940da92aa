//! Pending: what open calls of an entry's own callers wait for, for those who ask why nothing comes.

use std::time::{Duration, Instant};

use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::Topic;

use super::super::Dealer;
use super::super::routes::{Hold, Routes};
use super::{Open, Placed};
use crate::api::{RequestId, SessionId};

/// A call without a final answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingCall {
    /// Who calls.
    pub caller: SessionId,
    /// The caller's number for it.
    pub request: RequestId,
    /// What is called, in the realm of the caller.
    pub procedure: Topic,
    /// Since when.
    pub age: Duration,
    /// When it is given up, from now on; `None` for never.
    pub time_left: Option<Duration>,
    /// Callees that have not taken it.
    pub tried: usize,
    /// What it waits for.
    pub waits_for: Awaited,
}

/// What an open call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Nobody is known to have registered its procedure: until the view of registrations is complete.
    View,
    /// The router itself is to answer.
    Router,
    /// A callee has it, as far as this entry knows: the entry that the callee is at, and its session there.
    Callee {
        /// Entry of the callee.
        entry: OwnerId,
        /// The callee there.
        session: SessionId,
        /// It was interrupted, and its answer to that is waited for.
        is_canceled: bool,
    },
    /// The callee is at this entry and is invoked once the view of registrations has come so far.
    Place {
        /// Position of the record by which the callee has it.
        at: Position,
        /// The callee.
        session: SessionId,
    },
    /// The callee at this entry holds the procedure alone, and this entry has yet to hear that it still does.
    Lease {
        /// The callee.
        session: SessionId,
    },
    /// The callee at this entry holds the procedure alone, and who held it before may still be invoked elsewhere.
    HandOver {
        /// The callee.
        session: SessionId,
    },
}

impl Dealer {
    /// The first so many open calls of the entry's own callers, by their numbers: about by their age.
    pub fn pending<'a, R: Routes>(
        &'a self,
        now: Instant,
        routes: &'a R,
        max: usize,
    ) -> impl Iterator<Item = PendingCall> + 'a {
        let origin = &self.origin;
        let placed = origin
            .calls
            .iter()
            .take(max)
            .map(|(number, placed)| (number, Some(placed), &placed.open));
        let asked = origin.asked.calls.iter().take(max).map(|(number, open)| (number, None, open));
        let mut first: Vec<_> = placed.chain(asked).collect();
        first.sort_unstable_by_key(|(number, ..)| **number);
        first.into_iter().take(max).map(move |(number, placed, open)| {
            let waits_for = placed.map_or(Awaited::View, |placed| {
                let own = placed.callee.owner == self.options.owner;
                let place = own.then(|| self.serving.place_of((placed.callee.owner, *number)));
                waits_for(placed, place.flatten(), || routes.hold(now, placed.registration))
            });
            pending(now, open, waits_for)
        })
    }
}

/// `place`: where it waits to be invoked, if it does.
fn waits_for(
    placed: &Placed,
    place: Option<Position>,
    hold: impl FnOnce() -> Option<Hold>,
) -> Awaited {
    let (entry, session) = (placed.callee.owner, placed.callee.session);
    if placed.is_with_router() {
        return Awaited::Router;
    }
    let Some(at) = place else {
        return Awaited::Callee { entry, session, is_canceled: placed.is_killing };
    };
    match hold() {
        Some(Hold::HandOver) => Awaited::HandOver { session },
        Some(Hold::Lease) => Awaited::Lease { session },
        None => Awaited::Place { at, session },
    }
}

fn pending(now: Instant, open: &Open, waits_for: Awaited) -> PendingCall {
    PendingCall {
        caller: open.session,
        request: open.request,
        procedure: open.procedure.clone(),
        age: now.saturating_duration_since(open.begun),
        time_left: open.expires.map(|expires| expires.saturating_duration_since(now)),
        tried: open.tried.len(),
        waits_for,
    }
}
