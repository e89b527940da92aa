//! Metrics of what clients ask for, whatever their gate.

use metrics::{counter, describe_counter};

use vixen_broker::api::PublishError;

use super::refusal::Refusal;

const PUBLISH_ERRORS: &str = "vixen_entry_publish_errors_total";

/// Gives the metrics their help texts.
pub(crate) fn describe_request_metrics() {
    describe_counter!(PUBLISH_ERRORS, "Messages refused or not acknowledged");
}

/// Counts a message that is refused before the broker hears of it.
pub(crate) fn count_refusal(refusal: Refusal) {
    counter!(PUBLISH_ERRORS, "reason" => refusal.label()).increment(1);
}

/// Counts a message that was not acknowledged.
pub(crate) fn count_publish_error(error: &PublishError) {
    let reason = match error {
        PublishError::NoQuorum { .. } => "no_quorum",
    };
    counter!(PUBLISH_ERRORS, "reason" => reason).increment(1);
}
