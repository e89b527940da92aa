//! Names and help of the metrics of what entries ask and tell each other.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use vixen_broker::meta::Unanswered;

const UNANSWERED: &str = "vixen_entry_meta_unanswered_total";
const LEFT_OUT: &str = "vixen_entry_meta_left_out_total";
const REALMS_LEFT_OUT: &str = "vixen_entry_meta_realms_left_out";

/// Describes all.
pub(super) fn describe() {
    describe_counter!(
        UNANSWERED,
        "Entries that were asked for sessions or subscriptions and did not answer, by reason"
    );
    describe_counter!(
        LEFT_OUT,
        "Sessions and subscribers of other entries of which no events are made: too much is known"
    );
    describe_gauge!(
        REALMS_LEFT_OUT,
        "Realms in which clients listen and hear of this entry alone: others are told of too many"
    );
}

pub(super) fn realms_left_out(count: usize) {
    gauge!(REALMS_LEFT_OUT).set(count as f64);
}

pub(super) fn left_out(count: usize) {
    counter!(LEFT_OUT).increment(count as u64);
}

pub(super) fn unanswered(why: Unanswered) {
    counter!(UNANSWERED, "reason" => why.label()).increment(1);
}
