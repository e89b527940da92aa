//! Calls of procedures that the router itself serves: open as others are, so that bounds, timeouts and CANCEL hold
//! for them, and with no callee.

use std::sync::Arc;

use vixen_core::id::Position;

use super::super::Outcome;
use super::super::io::{MetaCall, MetaResult};
use super::super::needs::Needs;
use super::super::routes::{Callee, Routes};
use super::super::turn::Turn;
use super::super::words::CallNumber;
use super::ending::{answer_in_room, fail};
use super::placing::fail_unplaced;
use super::{CallError, CallTold, Open, Origin, Placed, Policy};
use crate::access::Permissions;
use crate::api::SessionId;
use crate::api::calls::{MetaError, Testament};
use crate::meta::{Asker, Procedure};

/// In place of a callee: clients have `1..=2^53`.
const ROUTER: SessionId = SessionId(0);

/// What the gate of a caller has made of a call, and lets it do.
type FromGate = (Option<Box<Testament>>, Option<Box<Permissions>>);

impl Placed {
    pub(super) fn is_with_router(&self) -> bool {
        self.callee.session == ROUTER
    }
}

impl Origin {
    /// Hands a call to the router itself.
    pub(super) fn ask_router<R: Routes>(
        &mut self,
        open: Open,
        (testament, rights): FromGate,
        turn: &mut Turn<'_, R>,
    ) {
        let Some(procedure) = Procedure::of(&open.procedure.uri) else {
            let error = CallError::NoSuchProcedure(Arc::clone(&open.procedure.uri));
            return fail_unplaced(open, error, turn);
        };
        let Some(kept) = &open.kept else { return };
        // The router takes a call whole, and looks into it.
        if let Some(features) = Needs::of(kept.parts()).features() {
            let procedure = Arc::clone(&open.procedure.uri);
            return fail_unplaced(open, CallError::NotAnnounced { procedure, features }, turn);
        }
        let payload = kept.first.payload.clone();
        let number = self.next_number();
        if let Some(expires) = open.expires {
            self.timers.set(number.0, expires);
        }
        let asker = Asker { realm: Arc::clone(&open.procedure.realm), session: open.session };
        turn.fx.meta.push(MetaCall { number, asker, procedure, payload, testament, rights });
        let callee = Callee { owner: turn.options.owner, session: ROUTER };
        let (registration, policy) = (Position(0), Policy::Single);
        self.insert(number, Placed { open, registration, policy, callee, is_killing: false });
    }

    /// The router has answered.
    pub(in super::super) fn on_meta<R: Routes>(
        &mut self,
        number: CallNumber,
        answer: Result<MetaResult, MetaError>,
        turn: &mut Turn<'_, R>,
    ) {
        if !self.calls.get(&number).is_some_and(Placed::is_with_router) {
            return;
        }
        let Some(placed) = self.take(number) else { return };
        match answer {
            Ok(MetaResult { payload, about, missing }) => {
                let (request, callee, about) = (placed.open.request, None, about.map(Box::new));
                let is_progress = false;
                let told =
                    CallTold::Result { request, is_progress, callee, about, missing, payload };
                answer_in_room(placed, told, Outcome::Result, turn);
            }
            Err(error) => fail(placed, error.into(), turn),
        }
    }
}
