//! Names and help of the metrics of what entries ask each other.

use metrics::{counter, describe_counter};

use vixen_broker::meta::Unanswered;

const UNANSWERED: &str = "vixen_entry_meta_unanswered_total";

/// Describes all.
pub(in crate::node) fn describe() {
    describe_counter!(
        UNANSWERED,
        "Entries that were asked for sessions or subscriptions and did not answer, by reason"
    );
}

pub(super) fn unanswered(why: Unanswered) {
    counter!(UNANSWERED, "reason" => why.label()).increment(1);
}
