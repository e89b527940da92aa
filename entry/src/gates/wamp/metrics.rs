//! Names, help and handles of the metrics of client sessions.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

use super::error::Ending;

const SESSIONS: &str = "vixen_entry_sessions";
const SESSIONS_TOTAL: &str = "vixen_entry_sessions_total";
const ENDED: &str = "vixen_entry_sessions_ended_total";
const VIOLATIONS: &str = "vixen_entry_protocol_violations_total";
const PUBLISHES: &str = "vixen_entry_publishes_received_total";
const EVENTS: &str = "vixen_entry_events_sent_total";
const SUBSCRIBE_ERRORS: &str = "vixen_entry_subscribe_errors_total";

/// Gives the metrics of sessions their help texts; once, when the node starts.
pub fn describe_session_metrics() {
    describe_gauge!(SESSIONS, "Open WAMP sessions");
    describe_counter!(SESSIONS_TOTAL, "WAMP sessions opened");
    describe_counter!(ENDED, "Connections of clients that ended");
    describe_counter!(VIOLATIONS, "Sessions aborted because the client broke the protocol");
    describe_counter!(PUBLISHES, "PUBLISH messages taken from clients");
    describe_counter!(EVENTS, "EVENT messages sent to clients");
    describe_counter!(SUBSCRIBE_ERRORS, "SUBSCRIBE and UNSUBSCRIBE messages refused");
}

/// Handles that one session keeps, so that counting looks nothing up.
pub(super) struct SessionMetrics {
    pub(super) sessions: Gauge,
    pub(super) sessions_total: Counter,
    pub(super) publishes: Counter,
    pub(super) events: Counter,
}

impl SessionMetrics {
    pub(super) fn new() -> Self {
        Self {
            sessions: gauge!(SESSIONS),
            sessions_total: counter!(SESSIONS_TOTAL),
            publishes: counter!(PUBLISHES),
            events: counter!(EVENTS),
        }
    }
}

/// Counts how a session ended, and what of the protocol the client broke.
pub(super) fn count_ending(ending: Ending) {
    counter!(ENDED, "reason" => ending.label()).increment(1);
    if let Ending::Violation(violation) = ending {
        counter!(VIOLATIONS, "reason" => violation.label()).increment(1);
    }
}

/// Counts a SUBSCRIBE or UNSUBSCRIBE answered with the error of this URI.
pub(super) fn count_subscribe_error(uri: &'static str) {
    let reason = uri.rsplit('.').next().unwrap_or(uri);
    counter!(SUBSCRIBE_ERRORS, "reason" => reason).increment(1);
}
