//! Metrics of an ndb node: names, help, and handles held for the hot path.

use metrics::{Counter, Gauge, Histogram, counter, describe_counter, describe_gauge};
use metrics::{describe_histogram, gauge, histogram};

use vixen_core::id::Position;
use vixen_core::wire::DraftAnswer;
use vixen_runtime::order::ReaderCounters;

use vixen_replica::Refused;

const REFUSALS: [Refused; 6] = [
    Refused::WrongOwner,
    Refused::Gap,
    Refused::Mismatch,
    Refused::TooLarge,
    Refused::Unwilling,
    Refused::Unwanted,
];

/// Names of counters, and what they count.
const COUNTERS: [(&str, &str); 30] = [
    (
        "vixen_ndb_disk_syncs_total",
        "Syncs of the disk that the store asked for: one a record of the journal, two a commit of LMDB",
    ),
    (
        "vixen_ndb_journal_full_total",
        "Groups of segments that LMDB took at once, because the journal had no place for them",
    ),
    (
        "vixen_ndb_journal_refused_total",
        "Journals that could not be used at a start: missing, damaged, or of another store",
    ),
    ("vixen_ndb_commits_total", "Group commits of the store"),
    ("vixen_ndb_segments_stored_total", "Segments written"),
    ("vixen_ndb_bytes_stored_total", "Bytes of segments written"),
    ("vixen_ndb_messages_placed_total", "Messages given their position"),
    ("vixen_ndb_messages_received_total", "Messages received from nodes"),
    ("vixen_ndb_segments_fetched_total", "Segments got from peers"),
    ("vixen_ndb_segments_damaged_total", "Stored segments found unreadable"),
    ("vixen_ndb_frontier_violations_total", "Elections that contradict the order; must stay 0"),
    ("vixen_ndb_messages_refused_total", "Messages that a peer of its kind must not send"),
    ("vixen_ndb_feeds_trimmed_total", "Times a sync node had forgotten what its feed should tell"),
    ("vixen_ndb_order_rows_fetched_total", "Segments placed by the order of another ndb node"),
    (
        "vixen_ndb_drafts_answered_total",
        "Segments held that get no draft, by the sync node's answer",
    ),
    ("vixen_ndb_order_rows_damaged_total", "Rows of the order found damaged"),
    ("vixen_ndb_order_rows_repaired_total", "Damaged rows of the order written anew from a peer"),
    (
        "vixen_ndb_segments_reindexed_total",
        "Segments whose entries of the topic index were written anew",
    ),
    (
        "vixen_ndb_index_at_odds_total",
        "Reads that found the topic index of a day and its order at odds",
    ),
    ("vixen_ndb_segments_offered_total", "Unresolved segments offered to the group"),
    ("vixen_ndb_segments_dropped_total", "Segments dropped since they never get a place"),
    ("vixen_ndb_history_batches_total", "Batches of stored messages asked for"),
    ("vixen_ndb_chain_differences_total", "Times a peer's order was found to differ; must stay 0"),
    ("vixen_ndb_history_segments_total", "Segments sent to readers of history"),
    ("vixen_ndb_history_bytes_total", "Bytes of records sent to such readers"),
    ("vixen_ndb_tail_segments_total", "Segments sent to entries"),
    ("vixen_ndb_tail_bytes_total", "Bytes of records sent to entries"),
    ("vixen_ndb_segments_refused_total", "Segments refused, by reason"),
    (
        "vixen_ndb_stalls_total",
        "Times the node's loop came 200 ms or more late to its beat: it was paused, or its machine \
             is slow",
    ),
    (
        "vixen_ndb_disk_stalls_total",
        "Times the disk did not answer for two seconds while something was to be written",
    ),
];

/// Names of gauges, and what they say.
const GAUGES: [(&str, &str); 11] = [
    ("vixen_ndb_journal_bytes", "Bytes of the journal that LMDB does not have all of yet"),
    (
        "vixen_ndb_journal_replayed_records",
        "Records of the journal that LMDB did not have all of when the node started",
    ),
    ("vixen_ndb_position", "The next position of the order"),
    ("vixen_ndb_pending_segments", "Segments held without a place"),
    ("vixen_ndb_missing_segments", "Placed segments whose bytes are not here"),
    ("vixen_ndb_chains_differing", "Peers whose order differs; must stay 0"),
    ("vixen_ndb_store_bytes", "Bytes of all days of the store"),
    (
        "vixen_ndb_nowhere_segments",
        "Placed segments that every other node of the group has said it lacks",
    ),
    ("vixen_ndb_disk_free_bytes", "Bytes free on the disk of the store"),
    ("vixen_ndb_first_position", "The first position that retention has left"),
    ("vixen_ndb_missing_bytes", "Bytes of placed segments that are not here"),
];

fn describe() {
    COUNTERS.iter().for_each(|(name, help)| describe_counter!(*name, *help));
    GAUGES.iter().for_each(|(name, help)| describe_gauge!(*name, *help));
    describe_histogram!("vixen_ndb_commit_seconds", "Duration of a group commit");
}

/// Syncs of the disk that the store asked for.
pub(crate) fn disk_syncs() -> Counter {
    counter!("vixen_ndb_disk_syncs_total")
}

/// What the store counts of its journal itself.
pub(crate) struct StoreMetrics {
    syncs: Counter,
    bytes: Gauge,
    pub(crate) full: Counter,
    pub(crate) refused: Counter,
    pub(crate) replayed: Gauge,
}

impl StoreMetrics {
    pub(crate) fn new() -> Self {
        Self {
            syncs: disk_syncs(),
            bytes: gauge!("vixen_ndb_journal_bytes"),
            full: counter!("vixen_ndb_journal_full_total"),
            refused: counter!("vixen_ndb_journal_refused_total"),
            replayed: gauge!("vixen_ndb_journal_replayed_records"),
        }
    }

    /// A record was appended to the journal.
    pub(crate) fn journal_synced(&self) {
        self.syncs.increment(1);
    }

    /// So many bytes of it LMDB does not have yet.
    pub(crate) fn journal_bytes(&self, bytes: u64) {
        set(&self.bytes, bytes);
    }
}

/// Handles of the node's loop.
pub(crate) struct Metrics {
    pub(crate) commits: Counter,
    pub(crate) commit_seconds: Histogram,
    pub(crate) segments_stored: Counter,
    pub(crate) bytes_stored: Counter,
    pub(crate) messages_placed: Counter,
    pub(crate) messages_received: Counter,
    pub(crate) position: Gauge,
    pub(crate) pending: Gauge,
    pub(crate) missing: Gauge,
    pub(crate) fetched: Counter,
    pub(crate) damaged: Counter,
    pub(crate) refused_messages: Counter,
    pub(crate) reader: ReaderCounters,
    drafts_elected: Counter,
    drafts_owner_expired: Counter,
    pub(crate) tail: TailMetrics,
    pub(crate) history: TailMetrics,
    pub(crate) damaged_rows: Counter,
    pub(crate) rows_repaired: Counter,
    pub(crate) reindexed: Counter,
    pub(crate) index_at_odds: Counter,
    pub(crate) offered: Counter,
    pub(crate) dropped: Counter,
    pub(crate) history_batches: Counter,
    pub(crate) chain_differences: Counter,
    chains_differing: Gauge,
    store_bytes: Gauge,
    disk_free: Gauge,
    nowhere: Gauge,
    first_position: Gauge,
    missing_bytes: Gauge,
    refused: [Counter; 6],
    pub(crate) stalls: Counter,
    pub(crate) disk_stalls: Counter,
}

/// Handles of the tails.
#[derive(Clone)]
pub(crate) struct TailMetrics {
    pub(crate) segments: Counter,
    pub(crate) bytes: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        describe();
        Self {
            stalls: counter!("vixen_ndb_stalls_total"),
            disk_stalls: counter!("vixen_ndb_disk_stalls_total"),
            commits: counter!("vixen_ndb_commits_total"),
            commit_seconds: histogram!("vixen_ndb_commit_seconds"),
            segments_stored: counter!("vixen_ndb_segments_stored_total"),
            bytes_stored: counter!("vixen_ndb_bytes_stored_total"),
            messages_placed: counter!("vixen_ndb_messages_placed_total"),
            messages_received: counter!("vixen_ndb_messages_received_total"),
            position: gauge!("vixen_ndb_position"),
            pending: gauge!("vixen_ndb_pending_segments"),
            missing: gauge!("vixen_ndb_missing_segments"),
            fetched: counter!("vixen_ndb_segments_fetched_total"),
            damaged: counter!("vixen_ndb_segments_damaged_total"),
            refused_messages: counter!("vixen_ndb_messages_refused_total"),
            reader: ReaderCounters {
                feeds_trimmed: counter!("vixen_ndb_feeds_trimmed_total"),
                rows_fetched: counter!("vixen_ndb_order_rows_fetched_total"),
                violations: counter!("vixen_ndb_frontier_violations_total"),
            },
            drafts_elected: counter!("vixen_ndb_drafts_answered_total", "answer" => "elected"),
            drafts_owner_expired: counter!(
                "vixen_ndb_drafts_answered_total", "answer" => "owner_expired"
            ),
            damaged_rows: counter!("vixen_ndb_order_rows_damaged_total"),
            rows_repaired: counter!("vixen_ndb_order_rows_repaired_total"),
            index_at_odds: counter!("vixen_ndb_index_at_odds_total"),
            reindexed: counter!("vixen_ndb_segments_reindexed_total"),
            offered: counter!("vixen_ndb_segments_offered_total"),
            dropped: counter!("vixen_ndb_segments_dropped_total"),
            history_batches: counter!("vixen_ndb_history_batches_total"),
            chain_differences: counter!("vixen_ndb_chain_differences_total"),
            chains_differing: gauge!("vixen_ndb_chains_differing"),
            store_bytes: gauge!("vixen_ndb_store_bytes"),
            disk_free: gauge!("vixen_ndb_disk_free_bytes"),
            nowhere: gauge!("vixen_ndb_nowhere_segments"),
            first_position: gauge!("vixen_ndb_first_position"),
            missing_bytes: gauge!("vixen_ndb_missing_bytes"),
            history: TailMetrics {
                segments: counter!("vixen_ndb_history_segments_total"),
                bytes: counter!("vixen_ndb_history_bytes_total"),
            },
            tail: TailMetrics {
                segments: counter!("vixen_ndb_tail_segments_total"),
                bytes: counter!("vixen_ndb_tail_bytes_total"),
            },
            refused: REFUSALS
                .map(|r| counter!("vixen_ndb_segments_refused_total", "reason" => r.name())),
        }
    }

    pub(crate) fn store_bytes(&self, bytes: u64) {
        set(&self.store_bytes, bytes);
    }

    pub(crate) fn disk_free(&self, bytes: u64) {
        set(&self.disk_free, bytes);
    }

    pub(crate) fn first_position(&self, first: Position) {
        set(&self.first_position, first.0);
    }

    pub(crate) fn chains_differing(&self, peers: usize) {
        set(&self.chains_differing, peers as u64);
    }

    /// Placed segments whose bytes are not here.
    pub(crate) fn catch_up(&self, segments: u64, bytes: u64) {
        set(&self.missing, segments);
        set(&self.missing_bytes, bytes);
    }

    pub(crate) fn nowhere(&self, segments: u64) {
        set(&self.nowhere, segments);
    }

    pub(crate) fn draft_answered(&self, answer: DraftAnswer) {
        match answer {
            DraftAnswer::Elected => self.drafts_elected.increment(1),
            DraftAnswer::OwnerExpired => self.drafts_owner_expired.increment(1),
        }
    }

    pub(crate) fn refused(&self, refused: Refused) {
        let at = REFUSALS.iter().position(|known| *known == refused);
        if let Some(counter) = at.and_then(|at| self.refused.get(at)) {
            counter.increment(1);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; these stay below 2^53")]
fn set(gauge: &Gauge, value: u64) {
    gauge.set(value as f64);
}
