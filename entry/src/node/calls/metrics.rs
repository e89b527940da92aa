//! Names, help and handles of the metrics of calls.

use std::collections::BTreeMap;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

use vixen_broker::api::calls::{CallTold, CalleeRequest, RegisterError};
use vixen_broker::dealer::{CalledAt, Dealer, Note, Outcome};
use vixen_broker::registrar::{self, Registrar};
use vixen_core::id::Position;
use vixen_views::record::GoneWhy;

use crate::gates::metrics::{calls_counter, count_registration};

const SECONDS: &str = "vixen_entry_call_seconds";
const OPEN: &str = "vixen_entry_calls_open";
const PROGRESS: &str = "vixen_entry_call_progress_total";
const QUEUED: &str = "vixen_entry_calls_queued_bytes";
const REROUTED: &str = "vixen_entry_calls_rerouted_total";
const LATE: &str = "vixen_entry_invocations_dropped_late_total";
const REGISTRATIONS: &str = "vixen_entry_registrations";
const CALLEES: &str = "vixen_entry_callees";
const POSITION: &str = "vixen_entry_view_position";
const READY: &str = "vixen_entry_view_ready";
const CHECKPOINTS: &str = "vixen_entry_view_checkpoints_total";
const DIFFER: &str = "vixen_entry_views_differ_total";
const GONE: &str = "vixen_entry_entries_gone_total";

/// See the module.
pub(super) struct CallMetrics {
    ended: BTreeMap<Outcome, Counter>,
    seconds_same: Histogram,
    seconds_link: Histogram,
    progress: Counter,
    late: Counter,
    callers: Gauge,
    invocations: Gauge,
    queued: Gauge,
    registrations: Gauge,
    callees: Gauge,
    position: Gauge,
    ready: Gauge,
    checkpoints: Counter,
    differ: Counter,
}

impl CallMetrics {
    /// Describes all metrics and takes their handles from the recorder of the process.
    pub(super) fn new() -> Self {
        describe();
        Self {
            ended: BTreeMap::new(),
            seconds_same: histogram!(SECONDS, "hop" => "same"),
            seconds_link: histogram!(SECONDS, "hop" => "link"),
            progress: counter!(PROGRESS),
            late: counter!(LATE),
            callers: gauge!(OPEN, "side" => "origin"),
            invocations: gauge!(OPEN, "side" => "serving"),
            queued: gauge!(QUEUED),
            registrations: gauge!(REGISTRATIONS),
            callees: gauge!(CALLEES),
            position: gauge!(POSITION),
            ready: gauge!(READY),
            checkpoints: counter!(CHECKPOINTS),
            differ: counter!(DIFFER),
        }
    }

    pub(super) fn note(&mut self, note: Note) {
        match note {
            Note::Ended { outcome, at, took } => {
                let ended = self.ended.entry(outcome);
                ended.or_insert_with(|| calls_counter(outcome.label())).increment(1);
                match at {
                    Some(CalledAt { is_linked: true, .. }) => {
                        self.seconds_link.record(took.as_secs_f64());
                    }
                    Some(CalledAt { is_linked: false, .. }) => {
                        self.seconds_same.record(took.as_secs_f64());
                    }
                    None => {}
                }
            }
            Note::Progress => self.progress.increment(1),
            Note::Rerouted(missed) => {
                counter!(REROUTED, "reason" => missed.label()).increment(1);
            }
            Note::Late => self.late.increment(1),
        }
    }

    pub(super) fn note_registrar(&self, note: registrar::Note) {
        use registrar::Note;
        match note {
            Note::Ready(life) => tracing::info!(%life, "the view of registrations is ready"),
            Note::Gone { life, why, by } => {
                let why = gone_label(why);
                counter!(GONE, "why" => why).increment(1);
                tracing::info!(%life, why, %by, "a life is over, and so are its registrations");
            }
            Note::Newer(life) => tracing::warn!(
                %life, "a process that began after this one has its name: one of the two is to be stopped"
            ),
            Note::Checkpoint => self.checkpoints.increment(1),
            Note::Unusable(error) => {
                tracing::warn!(%error, "a checkpoint of registrations is passed over");
            }
            Note::Differs(checked) => {
                self.differ.increment(1);
                tracing::error!(
                    writer = %checked.writer, as_of = %checked.as_of,
                    "a checkpoint of registrations differs from the view of this entry: one of the two is wrong"
                );
            }
            Note::Cut => tracing::error!(
                "retention has dropped registrations before they were read here: calls wait for the next checkpoint"
            ),
            Note::Stopped(error) => tracing::error!(
                %error, "registrations cannot be read on: a later version of vixen has written what is needed"
            ),
        }
    }

    /// Counts what becomes of requests to register.
    pub(super) fn told(told: &CallTold) {
        match told {
            CallTold::Registered { .. } => count_registration("registered"),
            CallTold::Refused { kind: CalleeRequest::Register, error, .. } => {
                count_registration(match error {
                    RegisterError::AlreadyExists(_) => "already_exists",
                    RegisterError::OtherPolicy { .. } => "other_policy",
                    RegisterError::Invalid(_) => "invalid_uri",
                    RegisterError::NoSuchRegistration => "no_such_registration",
                    // The books of the session say so, and the gate counts it.
                    RegisterError::Repeated => "refused",
                    RegisterError::TooMany { .. } => "too_many",
                    RegisterError::TooManyOfRealm { .. } => "too_many_of_realm",
                    RegisterError::TooManyPatternsOfSession { .. }
                    | RegisterError::TooManyPatterns { .. } => "too_many_patterns",
                    RegisterError::TooManyShapes { .. } => "too_many_shapes",
                    RegisterError::Unavailable(_) => "unavailable",
                    RegisterError::NoQuorum { .. } => "no_quorum",
                });
            }
            CallTold::Refused { kind: CalleeRequest::Unregister, .. }
            | CallTold::Unregistered { .. }
            | CallTold::Result { .. }
            | CallTold::Failed { .. }
            | CallTold::Invocation { .. }
            | CallTold::Interrupt { .. }
            | CallTold::Revoked { .. } => {}
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, exact up to 2^53")]
    pub(super) fn levels(&self, registrar: &Registrar, dealer: &Dealer) {
        self.callers.set(dealer.open_calls() as f64);
        self.invocations.set(dealer.open_invocations() as f64);
        self.queued.set(dealer.queued_bytes() as f64);
        self.registrations.set(registrar.view().len() as f64);
        self.callees.set(registrar.view().callees() as f64);
        let Position(position) = registrar.view().position();
        self.position.set(position as f64);
        self.ready.set(f64::from(u8::from(registrar.is_ready())));
    }
}

const fn gone_label(why: GoneWhy) -> &'static str {
    match why {
        GoneWhy::Stops => "stops",
        GoneWhy::NotHeard => "not_heard",
        GoneWhy::Renamed => "renamed",
    }
}

fn describe() {
    describe_histogram!(SECONDS, Unit::Seconds, "Time from a call to its final answer, by hop");
    describe_gauge!(OPEN, "Open calls: of this entry's callers, and with its callees");
    describe_counter!(PROGRESS, "Progressive results sent to callers");
    describe_gauge!(QUEUED, Unit::Bytes, "Calls and results that wait for sockets");
    describe_counter!(REROUTED, "Calls that went to another callee than the first, by reason");
    describe_counter!(LATE, "Answers to calls that were over");
    describe_gauge!(REGISTRATIONS, "Registrations");
    describe_gauge!(CALLEES, "Callees of all registrations");
    describe_gauge!(POSITION, "The view of registrations has applied the order up to here");
    describe_gauge!(READY, "1 while calls go by the view of registrations, else 0");
    describe_counter!(CHECKPOINTS, "Checkpoints of registrations written");
    describe_counter!(DIFFER, "Checkpoints that differ from the view of this entry");
    describe_counter!(GONE, "Entries whose registrations have ended with them, by why");
}
