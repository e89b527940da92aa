//! Names, help and handles of the metrics of calls.

use std::collections::BTreeMap;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

use vixen_broker::api::calls::{CallTold, CalleeRequest, RegisterError};
use vixen_broker::dealer::{Dealer, Note, Outcome};
use vixen_broker::registrar::Registrar;

use crate::gates::metrics::{calls_counter, count_registration};

const SECONDS: &str = "vixen_entry_call_seconds";
const OPEN: &str = "vixen_entry_calls_open";
const PROGRESS: &str = "vixen_entry_call_progress_total";
const QUEUED: &str = "vixen_entry_calls_queued_bytes";
const REROUTED: &str = "vixen_entry_calls_rerouted_total";
const LATE: &str = "vixen_entry_invocations_dropped_late_total";
const REGISTRATIONS: &str = "vixen_entry_registrations";
const CALLEES: &str = "vixen_entry_callees";

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
        }
    }

    pub(super) fn note(&mut self, note: Note) {
        match note {
            Note::Ended { outcome, is_linked, took } => {
                let ended = self.ended.entry(outcome);
                ended.or_insert_with(|| calls_counter(outcome.label())).increment(1);
                match is_linked {
                    Some(true) => self.seconds_link.record(took.as_secs_f64()),
                    Some(false) => self.seconds_same.record(took.as_secs_f64()),
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

    /// Counts what becomes of requests to register.
    pub(super) fn told(told: &CallTold) {
        match told {
            CallTold::Registered { .. } => count_registration("registered"),
            CallTold::Refused { kind: CalleeRequest::Register, error, .. } => {
                count_registration(match error {
                    RegisterError::AlreadyExists(_) => "already_exists",
                    RegisterError::OtherPolicy(_) => "other_policy",
                    RegisterError::Invalid(_) => "invalid_uri",
                    RegisterError::NoSuchRegistration => "no_such_registration",
                    RegisterError::TooMany { .. } => "too_many",
                    RegisterError::TooManyPatternsOfSession { .. }
                    | RegisterError::TooManyPatterns { .. } => "too_many_patterns",
                    RegisterError::TooManyShapes { .. } => "too_many_shapes",
                    RegisterError::Unavailable(_) => "unavailable",
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
}
