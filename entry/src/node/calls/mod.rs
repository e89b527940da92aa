//! Calls: the registrar and the dealer, stepped by the loop of the entry.
//!
//! A turn: the dealer learns what sessions have written since the last one; the words of all sessions are stepped
//! in order as they came; what comes of them is told at the end of the turn. What the registrar writes and reads of
//! the order goes by `follow`.

mod complete;
mod entries;
mod follow;
mod limits;
mod links;
mod metrics;
mod own;
mod procedures;
mod standing;
mod status;
mod suspects;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use vixen_broker::access::Permissions;
use vixen_broker::api::calls::{CallTold, CallWord, MetaError};
use vixen_broker::api::{SessionId, SessionInfo};
use vixen_broker::dealer::{self, Breach, CallNumber, Dealer, DealerOptions, MetaCall, MetaResult};
use vixen_broker::registrar::{self, Registrar, RegistrarOptions};
use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::TopicPattern;
use vixen_views::follower;
use vixen_views::record::RegistrationId;
use vixen_views::registrations::{Change, Registrations};

use super::deciders::is_entry;
use super::run::{Effects, EntryNode, fresh_seed};
use super::{EntryHandle, EntryOptions};
use complete::Completeness;
pub(super) use entries::Entries;
use follow::Follow;
pub(super) use follow::OWN_SESSION;
pub use follow::ViewEvent;
use metrics::CallMetrics;
use procedures::Procedures;
use standing::Standing;

/// How long open calls are waited for when the entry stops. Below the time that its sessions wait for their last
/// answers, which those are that come of this.
const DRAIN_TIME: Duration = Duration::from_millis(1500);

/// Whether the entry serves calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// It is about to stop: what is open may end until then.
    Draining {
        until: Instant,
    },
    /// What was open has ended.
    Over,
}

/// See the module.
pub(super) struct Calls {
    registrar: Registrar,
    pub(super) follow: Follow,
    pub(super) complete: Completeness,
    dealer: Dealer,
    /// What sessions were told and have not written, as far as the dealer knows.
    unwritten: BTreeMap<SessionId, usize>,
    phase: Phase,
    metrics: CallMetrics,
    procedures: Procedures,
}

/// What a turn owes.
#[derive(Default)]
pub(super) struct CallEffects {
    dealer: dealer::Effects,
    /// What has changed of the registrations.
    changes: Vec<Change>,
    /// Of these registrations a callee of this entry is invoked no more, whatever the order says yet.
    leaving: Vec<TopicPattern>,
    /// Words of both machines in their order.
    told: Vec<(SessionId, CallTold)>,
    /// Questions for sync nodes: a number, and the entry that they are about.
    asks: Vec<(u64, OwnerId)>,
    /// The registrar wants to know whether its view is complete.
    is_asking: bool,
    /// These were the last.
    is_end: bool,
}

impl CallEffects {
    /// Calls that the router itself is to answer.
    pub(super) fn take_meta(&mut self) -> Vec<MetaCall> {
        std::mem::take(&mut self.dealer.meta)
    }

    /// Whether a call that the router itself was to answer has ended in this turn.
    pub(super) fn is_over(&self, number: CallNumber) -> bool {
        self.dealer.meta_over.contains(&number)
    }

    /// Entries that have begun, in the order, with their first life.
    pub(super) fn first_lives(&self) -> Vec<OwnerId> {
        let first = self.changes.iter().filter_map(|change| match change {
            Change::Alive(life) if life.number == 1 => Some(life.owner),
            Change::Alive(_)
            | Change::Over(_)
            | Change::Created { .. }
            | Change::Joined { .. }
            | Change::Left { .. }
            | Change::Deleted { .. } => None,
        });
        first.collect()
    }

    /// What has changed of the registrations.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Of which registrations callees of this entry are about to leave.
    pub(super) fn take_leaving(&mut self) -> Vec<TopicPattern> {
        std::mem::take(&mut self.leaving)
    }
}

impl Calls {
    pub(super) fn new(options: &EntryOptions, handle: &EntryHandle) -> Self {
        let (owner, name) = (options.owner, options.name.clone());
        let limits = limits::registration_limits(&options.limits);
        let link_address = options.link_address.clone();
        let of_registrar = RegistrarOptions {
            owner,
            name,
            link_address,
            membership: options.membership.clone(),
            limits,
            timeout: options.publish_timeout,
            // A part is a message, with a head.
            part_bytes_max: options.limits.message_bytes_max / 2,
            is_alone: options.is_alone,
        };
        let of_dealer = DealerOptions {
            owner,
            name: options.name.as_str().into(),
            limits: limits::call_limits(&options.limits),
            cancel_answer: options.cancel_answer,
            seed: fresh_seed(),
        };
        let mut calls = Self {
            registrar: Registrar::new(of_registrar),
            follow: Follow::new(handle),
            complete: Completeness::new(&options.membership),
            dealer: Dealer::new(of_dealer),
            unwritten: BTreeMap::new(),
            phase: Phase::Serving,
            metrics: CallMetrics::new(),
            procedures: Procedures::default(),
        };
        // Nobody calls yet, so nobody is told.
        calls.step_dealer(dealer::Input::View { is_ready: false }, &mut CallEffects::default());
        calls
    }

    /// How this entry stands, for others.
    fn standing(&self) -> Standing {
        Standing {
            life: self.registrar.life().number,
            is_ready: self.registrar.is_ready(),
            is_draining: self.phase != Phase::Serving,
            applied_below: self.registrar.applied_below(),
        }
    }

    /// The next moment at which something is to be done without an event.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let end = match self.phase {
            Phase::Draining { until } => Some(until),
            Phase::Serving | Phase::Over => None,
        };
        let timeouts = [self.dealer.timeout_at(), self.registrar.timeout_at()];
        let timeouts = timeouts.into_iter().flatten().map(Instant::from_std);
        timeouts
            .chain(end)
            .chain(self.follow.due_at())
            .chain(self.complete.due_at(Instant::now()))
            .min()
    }

    /// Whether somebody waits for what others register.
    pub(super) fn is_awaited(&self) -> bool {
        self.registrar.is_awaited() || self.dealer.asked_calls() > 0
    }

    /// The entry stops, and nothing more comes of calls.
    pub(super) fn are_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// The entry is about to stop.
    pub(super) fn drain(&mut self, fx: &mut CallEffects) {
        if self.phase == Phase::Serving {
            self.phase = Phase::Draining { until: Instant::now() + DRAIN_TIME };
            self.step_dealer(dealer::Input::Drain, fx);
        }
    }

    /// Nobody registers here any more, and what is registered here ends in the order.
    pub(super) fn stop(&mut self, fx: &mut CallEffects) {
        self.step_registrar(registrar::Input::Stop, fx);
    }

    /// Why nothing more can be said of registrations now.
    pub(super) fn cannot_register(&self) -> Option<Arc<str>> {
        self.registrar.refuses_all()
    }

    pub(super) fn opened(&mut self, info: &Arc<SessionInfo>, fx: &mut CallEffects) {
        let info = Arc::clone(info);
        self.step_registrar(registrar::Input::Opened { info: Arc::clone(&info) }, fx);
        self.step_dealer(dealer::Input::Opened { info }, fx);
    }

    /// The realms were read again.
    pub(super) fn rights(
        &mut self,
        session: SessionId,
        permissions: &Permissions,
        fx: &mut CallEffects,
    ) {
        let permissions = Box::new(permissions.clone());
        self.step_dealer(dealer::Input::Rights { session, permissions }, fx);
    }

    pub(super) fn closed(&mut self, session: SessionId, fx: &mut CallEffects) {
        self.unwritten.remove(&session);
        self.step_registrar(registrar::Input::Closed { session }, fx);
        self.step_dealer(dealer::Input::Closed { session }, fx);
    }

    pub(super) fn words(&mut self, session: SessionId, words: Vec<CallWord>, fx: &mut CallEffects) {
        for word in words {
            match word {
                CallWord::Register(register) => {
                    let input = registrar::Input::Register { session, register };
                    self.step_registrar(input, fx);
                }
                CallWord::Unregister { request, registration } => {
                    let input = registrar::Input::Unregister { session, request, registration };
                    self.step_registrar(input, fx);
                }
                CallWord::Hide { registration } => {
                    self.step_registrar(registrar::Input::Hide { session, registration }, fx);
                }
                word @ (CallWord::Call(_)
                | CallWord::Spoiled { .. }
                | CallWord::Withdrawn { .. }
                | CallWord::Cancel { .. }
                | CallWord::Yield { .. }
                | CallWord::Fail { .. }) => {
                    self.step_dealer(dealer::Input::Word { session, word }, fx);
                }
            }
        }
    }

    /// The router has an answer to a call.
    pub(super) fn answered(
        &mut self,
        number: CallNumber,
        answer: Result<MetaResult, MetaError>,
        fx: &mut CallEffects,
    ) {
        self.step_dealer(dealer::Input::Answered { number, answer }, fx);
    }

    /// A callee is taken out of a registration.
    pub(super) fn remove_callee(
        &mut self,
        realm: &Arc<str>,
        (registration, session): (Position, SessionId),
        fx: &mut CallEffects,
    ) {
        let realm = Arc::clone(realm);
        self.step_registrar(registrar::Input::Remove { realm, registration, session }, fx);
    }

    /// Whether an entry does not live, as the view has it, which is ready.
    pub(super) fn is_gone(&self, owner: OwnerId) -> bool {
        self.registrar.is_ready() && self.view().living(owner).is_none()
    }

    /// Who is callee of what.
    pub(super) const fn view(&self) -> &Registrations {
        self.registrar.view()
    }

    /// Does what is due.
    fn on_due(&mut self, fx: &mut CallEffects) {
        let now = Instant::now().into_std();
        if self.dealer.timeout_at().is_some_and(|at| at <= now) {
            self.step_dealer(dealer::Input::Timeout, fx);
        }
        let Phase::Draining { until } = self.phase else { return };
        let is_idle = self.dealer.open_calls() == 0 && self.dealer.open_invocations() == 0;
        if is_idle && self.registrar.is_over() || until <= Instant::now() {
            self.phase = Phase::Over;
            self.step_dealer(dealer::Input::Stop, fx);
            fx.is_end = true;
        }
    }

    /// Gives the view what was read of the order.
    fn step_view(&mut self, inputs: Vec<follower::Input>, fx: &mut CallEffects) {
        let followed = self.follow.followed();
        for input in inputs {
            // It follows from elsewhere by now: what is left is of the view before, and comes again if it is needed.
            if self.follow.followed() != followed {
                return;
            }
            self.step_registrar(registrar::Input::View(input), fx);
        }
    }

    fn step_registrar(&mut self, input: registrar::Input, fx: &mut CallEffects) {
        let mut of_registrar = registrar::Effects::default();
        self.registrar.step(Instant::now().into_std(), input, &mut of_registrar);
        self.procedures.changed(&of_registrar.changes);
        fx.changes.append(&mut of_registrar.changes);
        fx.asks.append(&mut of_registrar.asks);
        fx.is_asking |= of_registrar.is_asking;
        of_registrar.records.iter().for_each(|record| self.follow.write(record));
        of_registrar.reads.into_iter().for_each(|read| self.follow.read(read));
        of_registrar.notes.into_iter().for_each(|note| self.metrics.note_registrar(note));
        // They wait in the queue that the dealer keeps the count of.
        for (session, told) in of_registrar.told {
            self.step_dealer(dealer::Input::Tell { session, told }, fx);
        }
        for input in of_registrar.dealer {
            // One that the view does not know any more is among the changes.
            if let dealer::Input::Leaves { registration, .. } = &input
                && let Some(left) = self.view().get(RegistrationId(registration.0))
            {
                fx.leaving.push(left.pattern.clone());
            }
            self.step_dealer(input, fx);
        }
        let misled = of_registrar.misled.into_iter();
        fx.dealer.breaches.extend(misled.map(|session| (session, Breach::RegistrationLost)));
    }

    fn step_dealer(&mut self, input: dealer::Input, fx: &mut CallEffects) {
        let now = Instant::now().into_std();
        self.dealer.step(now, &self.registrar, input, &mut fx.dealer);
        fx.told.append(&mut fx.dealer.told);
    }
}

impl EntryNode {
    /// Sessions that have waited for long are told so, before records are published.
    pub(super) fn on_registrar_due(&mut self, fx: &mut Effects) {
        let now = Instant::now().into_std();
        if self.calls.registrar.timeout_at().is_some_and(|at| at <= now) {
            let missing = self.missing().into();
            self.calls.step_registrar(registrar::Input::Timeout { missing }, &mut fx.calls);
        }
    }

    /// The dealer is told what was written since the last turn: before it is asked, with the words of this one,
    /// whether there is room.
    pub(super) fn note_written(&mut self, fx: &mut CallEffects) {
        let Self { calls, sessions, .. } = self;
        let records = calls.follow.unsent();
        if records != calls.registrar.unsent() {
            calls.step_registrar(registrar::Input::Unsent { records }, fx);
        }
        let mut written = Vec::new();
        calls.unwritten.retain(|session, known| {
            let waiting =
                sessions.get(session).map_or(0, |open| open.outbound.waiting_call_bytes());
            if waiting < *known {
                written.push((*session, *known - waiting));
                *known = waiting;
            }
            *known > 0
        });
        for (session, bytes) in written {
            calls.step_dealer(dealer::Input::Written { session, bytes }, fx);
        }
    }

    /// What the turn owes to sessions and metrics.
    pub(super) fn settle_calls(&mut self, mut fx: CallEffects) {
        self.calls.on_due(&mut fx);
        self.settle_deciders(&mut fx);
        let Self { calls, sessions, reads_of_calls, removals, deciders, .. } = self;
        calls.complete.want(&mut fx);
        for number in std::mem::take(&mut fx.dealer.meta_over) {
            reads_of_calls.end(number);
            removals.end(number);
        }
        let mut by_session: BTreeMap<SessionId, Vec<CallTold>> = BTreeMap::new();
        for (session, told) in fx.told {
            by_session.entry(session).or_default().push(told);
        }
        for (session, told) in by_session {
            // One that is gone wants no answer.
            let Some(open) = sessions.get(&session) else { continue };
            told.iter().for_each(CallMetrics::told);
            *calls.unwritten.entry(session).or_default() += open.outbound.send_calls(told);
        }
        for (session, breach) in fx.dealer.breaches {
            if is_entry(session) {
                deciders.lose(session);
            } else if let Some(open) = sessions.get(&session) {
                open.outbound.send_breach(breach);
            }
        }
        if fx.is_end {
            sessions.values().for_each(|open| open.outbound.send_calls_over());
        }
        self.tell_entries(fx.dealer.sends);
        self.ask_heard(fx.asks);
        let Self { calls, .. } = self;
        for note in fx.dealer.notes {
            calls.procedures.note(note, calls.registrar.view());
            calls.metrics.note(note);
        }
        calls.metrics.levels(&calls.registrar, &calls.dealer);
    }
}
