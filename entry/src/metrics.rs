//! Metrics of an entry's core: names, help, and handles for the hot path.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

use vixen_broker::history::HistoryError;
use vixen_core::wire::RefuseReason;
use vixen_runtime::order::ReaderCounters;

const SEGMENTS_CLOSED: &str = "vixen_entry_segments_closed_total";
const SEGMENTS_RESENT: &str = "vixen_entry_segments_resent_total";
const SEGMENTS_MOVED: &str = "vixen_entry_segments_moved_total";
const SEGMENTS_REFUSED: &str = "vixen_entry_segments_refused_total";
const SEGMENT_MESSAGES: &str = "vixen_entry_segment_messages";
const PUBLISH_ACK_SECONDS: &str = "vixen_entry_publish_ack_seconds";
const PLACED_MESSAGES: &str = "vixen_entry_placed_messages_total";
const NO_QUORUM: &str = "vixen_entry_publish_no_quorum_total";
const WRITES_TOO_LARGE: &str = "vixen_entry_writes_too_large_total";
const UNRESOLVED_SEGMENTS: &str = "vixen_entry_unresolved_segments";
const UNACKNOWLEDGED_BYTES: &str = "vixen_entry_unacknowledged_bytes";
const POSITION: &str = "vixen_entry_position";
const TAIL_LAG: &str = "vixen_entry_tail_lag_positions";
const TAIL_MOVES: &str = "vixen_entry_tail_moves_total";
const TAIL_DROPS: &str = "vixen_entry_tail_drops_total";
const POSITIONS_MISSED: &str = "vixen_entry_positions_missed_total";
const EVENTS: &str = "vixen_entry_events_total";
/// Events left out because their payload cannot be said in a subscriber's serializer.
const UNSAYABLE: &str = "vixen_entry_events_unsayable_total";
const FRONTIER_VIOLATIONS: &str = "vixen_entry_frontier_violations_total";
const FEEDS_TRIMMED: &str = "vixen_entry_feeds_trimmed_total";
const ORDER_ROWS_FETCHED: &str = "vixen_entry_order_rows_fetched_total";
const MESSAGES_REFUSED: &str = "vixen_entry_messages_refused_total";
const SLOW_SESSIONS: &str = "vixen_entry_slow_sessions_total";
const SUBSCRIPTIONS: &str = "vixen_entry_subscriptions";
const PATTERNS: &str = "vixen_entry_patterns";
const INTEREST_BYTES: &str = "vixen_entry_interest_bytes";
const SUBSCRIPTIONS_REFUSED: &str = "vixen_entry_subscriptions_refused_total";
const PATTERN_STEPS: &str = "vixen_entry_pattern_steps_total";
const HISTORY_READS: &str = "vixen_entry_history_reads_total";
const HISTORY_MESSAGES: &str = "vixen_entry_history_messages_total";
const HISTORY_ERRORS: &str = "vixen_entry_history_errors_total";
const READY: &str = "vixen_entry_ready";
const ENTRIES_LINKED: &str = "vixen_entry_entries_linked";
const STALLS: &str = "vixen_entry_stalls_total";

/// Handles to all metrics of one entry.
pub(crate) struct Metrics {
    pub(crate) segments_closed: Counter,
    pub(crate) segments_resent: Counter,
    pub(crate) segments_moved: Counter,
    pub(crate) placed_messages: Counter,
    pub(crate) no_quorum: Counter,
    pub(crate) writes_too_large: Counter,
    pub(crate) tail_moves: Counter,
    pub(crate) tail_repeats: Counter,
    pub(crate) tail_malformed: Counter,
    pub(crate) positions_missed: Counter,
    pub(crate) events: Counter,
    pub(crate) reader: ReaderCounters,
    pub(crate) messages_refused: Counter,
    pub(crate) slow_sessions: Counter,
    pub(crate) history_reads: Counter,
    pub(crate) history_messages: Counter,
    pub(crate) stalls: Counter,
    pub(crate) pattern_steps: Counter,
    segment_messages: Histogram,
    publish_ack_seconds: Histogram,
    unresolved_segments: Gauge,
    unacknowledged_bytes: Gauge,
    position: Gauge,
    tail_lag: Gauge,
    subscriptions: Gauge,
    patterns: Gauge,
    interest_bytes: Gauge,
    ready: Gauge,
    entries_linked: Gauge,
}

/// What the gauges show.
pub(crate) struct Levels {
    pub(crate) unresolved_segments: usize,
    pub(crate) unacknowledged_bytes: usize,
    pub(crate) position: u64,
    pub(crate) tail_lag: u64,
    pub(crate) subscriptions: usize,
    pub(crate) patterns: usize,
    pub(crate) interest_bytes: usize,
}

impl Metrics {
    /// Describes all metrics and takes their handles from the recorder of the process.
    pub(crate) fn new() -> Self {
        describe();
        let drops = |reason: &'static str| counter!(TAIL_DROPS, "reason" => reason);
        Self {
            segments_closed: counter!(SEGMENTS_CLOSED),
            segments_resent: counter!(SEGMENTS_RESENT),
            segments_moved: counter!(SEGMENTS_MOVED),
            placed_messages: counter!(PLACED_MESSAGES),
            no_quorum: counter!(NO_QUORUM),
            writes_too_large: counter!(WRITES_TOO_LARGE),
            tail_moves: counter!(TAIL_MOVES),
            tail_repeats: drops("repeated"),
            tail_malformed: drops("malformed"),
            positions_missed: counter!(POSITIONS_MISSED),
            events: counter!(EVENTS),
            reader: ReaderCounters {
                feeds_trimmed: counter!(FEEDS_TRIMMED),
                rows_fetched: counter!(ORDER_ROWS_FETCHED),
                violations: counter!(FRONTIER_VIOLATIONS),
            },
            messages_refused: counter!(MESSAGES_REFUSED),
            slow_sessions: counter!(SLOW_SESSIONS),
            history_reads: counter!(HISTORY_READS),
            history_messages: counter!(HISTORY_MESSAGES),
            stalls: counter!(STALLS),
            pattern_steps: counter!(PATTERN_STEPS),
            segment_messages: histogram!(SEGMENT_MESSAGES),
            publish_ack_seconds: histogram!(PUBLISH_ACK_SECONDS),
            unresolved_segments: gauge!(UNRESOLVED_SEGMENTS),
            unacknowledged_bytes: gauge!(UNACKNOWLEDGED_BYTES),
            position: gauge!(POSITION),
            tail_lag: gauge!(TAIL_LAG),
            subscriptions: gauge!(SUBSCRIPTIONS),
            patterns: gauge!(PATTERNS),
            interest_bytes: gauge!(INTEREST_BYTES),
            ready: gauge!(READY),
            entries_linked: gauge!(ENTRIES_LINKED),
        }
    }

    pub(crate) fn closed(&self, messages: u32) {
        self.segments_closed.increment(1);
        self.segment_messages.record(f64::from(messages));
    }

    pub(crate) fn placed(&self, messages: u32, waited: Option<Duration>) {
        self.placed_messages.increment(u64::from(messages));
        if let Some(waited) = waited {
            self.publish_ack_seconds.record(waited.as_secs_f64());
        }
    }

    pub(crate) fn refused(&self, reason: RefuseReason) {
        let reason = match reason {
            RefuseReason::Gap => "gap",
            RefuseReason::Mismatch => "mismatch",
            RefuseReason::TooLarge => "too_large",
            RefuseReason::Unwilling => "unwilling",
        };
        counter!(SEGMENTS_REFUSED, "reason" => reason).increment(1);
    }

    /// Counts a subscription refused for a limit, by its key.
    pub(crate) fn subscription_refused(&self, limit: &'static str) {
        counter!(SUBSCRIPTIONS_REFUSED, "limit" => limit).increment(1);
    }

    pub(crate) fn history_failed(&self, error: &HistoryError) {
        counter!(HISTORY_ERRORS, "reason" => error.label()).increment(1);
    }

    pub(crate) fn ready(&self, is_ready: bool) {
        self.ready.set(if is_ready { 1.0 } else { 0.0 });
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, exact up to 2^53")]
    pub(crate) fn entries_linked(&self, entries: usize) {
        self.entries_linked.set(entries as f64);
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, exact up to 2^53")]
    pub(crate) fn levels(&self, levels: &Levels) {
        self.unresolved_segments.set(levels.unresolved_segments as f64);
        self.unacknowledged_bytes.set(levels.unacknowledged_bytes as f64);
        self.position.set(levels.position as f64);
        self.tail_lag.set(levels.tail_lag as f64);
        self.subscriptions.set(levels.subscriptions as f64);
        self.patterns.set(levels.patterns as f64);
        self.interest_bytes.set(levels.interest_bytes as f64);
    }
}

/// Counts events that were left out: see the help text.
pub(crate) fn count_unsayable(events: usize) {
    if events > 0 {
        counter!(UNSAYABLE).increment(events as u64);
    }
}

fn describe() {
    describe_counter!(SEGMENTS_CLOSED, "Segments closed and sent to ndb nodes");
    describe_counter!(SEGMENTS_RESENT, "Segments sent again to one ndb node");
    describe_counter!(SEGMENTS_MOVED, "Segments given to another group than before");
    describe_counter!(
        SEGMENTS_REFUSED,
        "Segments an ndb node refused and did not get again at once, by reason"
    );
    describe_histogram!(SEGMENT_MESSAGES, Unit::Count, "Messages of a closed segment");
    describe_histogram!(
        PUBLISH_ACK_SECONDS,
        Unit::Seconds,
        "Time from closing a segment to its place in the order"
    );
    describe_counter!(PLACED_MESSAGES, "Messages of this entry that became canonical");
    describe_counter!(NO_QUORUM, "Publishes answered with an error for lack of a quorum");
    describe_counter!(WRITES_TOO_LARGE, "Writes of several messages that no segment holds");
    describe_gauge!(UNRESOLVED_SEGMENTS, "Closed segments without a place in the order");
    describe_gauge!(UNACKNOWLEDGED_BYTES, Unit::Bytes, "Messages without a place in the order");
    describe_gauge!(POSITION, "Next position of the order at the frontier");
    describe_gauge!(TAIL_LAG, "Positions by which the slowest tail is behind the frontier");
    describe_counter!(TAIL_MOVES, "Tails opened at a replica");
    describe_counter!(TAIL_DROPS, "Segments or messages of a tail left out, by reason");
    describe_counter!(POSITIONS_MISSED, "Positions that no replica could give to subscribers");
    describe_counter!(EVENTS, "Canonical messages encoded for subscribers");
    describe_counter!(
        UNSAYABLE,
        "Events left out: the payload has no form in the serializer, or a later version wrote what this \
         one has to know"
    );
    describe_counter!(FRONTIER_VIOLATIONS, "Words of sync nodes that contradict the order");
    describe_counter!(FEEDS_TRIMMED, "Times a sync node had forgotten what its feed should tell");
    describe_counter!(ORDER_ROWS_FETCHED, "Segments placed by the order of an ndb node");
    describe_counter!(MESSAGES_REFUSED, "Messages from nodes that are not for an entry");
    describe_counter!(SLOW_SESSIONS, "Times that a session was left to read from the store");
    describe_gauge!(SUBSCRIPTIONS, "Topics with subscribers");
    describe_gauge!(PATTERNS, "Subscriptions that are no exact topics");
    describe_gauge!(INTEREST_BYTES, Unit::Bytes, "Topics and patterns of all subscriptions");
    describe_counter!(SUBSCRIPTIONS_REFUSED, "Subscriptions refused for a limit, by its key");
    describe_counter!(PATTERN_STEPS, "Nodes of the index looked at to find subscribers");
    describe_counter!(HISTORY_READS, "Reads of stored messages begun");
    describe_counter!(HISTORY_MESSAGES, "Stored messages given to those who read them");
    describe_counter!(HISTORY_ERRORS, "Reads of stored messages that failed, by reason");
    describe_gauge!(READY, "1 while the entry has all it needs");
    describe_gauge!(ENTRIES_LINKED, "Other entries that are linked to this one and heard");
    describe_counter!(
        STALLS,
        "Times the core came 200 ms or more late to its beat: it was paused, or its machine is slow"
    );
}
