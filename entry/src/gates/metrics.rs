//! Metrics of what clients ask for, whatever their gate.

use metrics::{Counter, counter, describe_counter};

use vixen_broker::api::PublishError;

use super::refusal::Refusal;

const PUBLISH_ERRORS: &str = "vixen_entry_publish_errors_total";
const CALLS: &str = "vixen_entry_calls_total";
const REGISTRATIONS: &str = "vixen_entry_registrations_total";

/// Gives the metrics their help texts.
pub(crate) fn describe_request_metrics() {
    describe_counter!(PUBLISH_ERRORS, "Messages refused or not acknowledged");
    describe_counter!(CALLS, "Calls answered, by what became of them");
    describe_counter!(REGISTRATIONS, "Requests to register answered, by what became of them");
}

/// Counts a message that is refused before the broker hears of it.
pub(crate) fn count_refusal(refusal: Refusal) {
    counter!(PUBLISH_ERRORS, "reason" => refusal.label()).increment(1);
}

/// Counts a message that was not acknowledged.
pub(crate) fn count_publish_error(error: &PublishError) {
    let reason = match error {
        PublishError::NoQuorum { .. } => "no_quorum",
        PublishError::TooLarge { .. } => "too_large",
    };
    counter!(PUBLISH_ERRORS, "reason" => reason).increment(1);
}

/// Counts a call that was answered.
pub(crate) fn count_call(outcome: &'static str) {
    calls_counter(outcome).increment(1);
}

/// Of calls with this outcome.
pub(crate) fn calls_counter(outcome: &'static str) -> Counter {
    counter!(CALLS, "outcome" => outcome)
}

/// Counts a request to register that was answered.
pub(crate) fn count_registration(outcome: &'static str) {
    counter!(REGISTRATIONS, "outcome" => outcome).increment(1);
}
