//! Metrics of a sync node: names, help, and handles held for the hot path.

use metrics::{Counter, Gauge, Histogram, counter, describe_counter, describe_gauge};
use metrics::{describe_histogram, gauge, histogram};

use vixen_core::id::SyncId;
use vixen_core::roster::Roster;
use vixen_core::wire::PeerId;

use vixen_vote::{Drop, Waiting, WaitsFor};

/// Handles; looking a metric up by name costs more than a step.
pub(crate) struct Metrics {
    pub(crate) commits: Counter,
    pub(crate) commit_seconds: Histogram,
    pub(crate) commit_rows: Counter,
    pub(crate) elected: Counter,
    pub(crate) election_seconds: Histogram,
    messages_from_sync: Counter,
    messages_from_ndb: Counter,
    messages_from_entries: Counter,
    pub(crate) pending: Gauge,
    pub(crate) watermark: Gauge,
    pub(crate) feeds: Gauge,
    pub(crate) order_ahead: Gauge,
    pub(crate) clock_ahead: Gauge,
    dropped: [Counter; 6],
    pub(crate) refused_messages: Counter,
    pub(crate) ballots_started: Counter,
    pub(crate) peers_refused: Counter,
    pub(crate) stalls: Counter,
    pub(crate) disk_free: Gauge,
    waiting: [Gauge; WaitsFor::KINDS.len()],
    waiting_for_node: Vec<(SyncId, Gauge)>,
}

const DROPS: [Drop; 6] = [
    Drop::Late,
    Drop::WildClock,
    Drop::NotCoordinator,
    Drop::StaleBallot,
    Drop::Conflict,
    Drop::OwnerExpired,
];

impl Metrics {
    pub(crate) fn new(members: &[SyncId], roster: &Roster) -> Self {
        describe();
        Self {
            commits: counter!("vixen_sync_commits_total"),
            commit_seconds: histogram!("vixen_sync_commit_seconds"),
            commit_rows: counter!("vixen_sync_commit_rows_total"),
            elected: counter!("vixen_sync_segments_elected_total"),
            election_seconds: histogram!("vixen_sync_election_seconds"),
            messages_from_sync: counter!("vixen_sync_messages_received_total", "from" => "sync"),
            messages_from_ndb: counter!("vixen_sync_messages_received_total", "from" => "ndb"),
            messages_from_entries: counter!(
                "vixen_sync_messages_received_total", "from" => "entry"
            ),
            pending: gauge!("vixen_sync_pending_segments"),
            watermark: gauge!("vixen_sync_watermark_seconds"),
            feeds: gauge!("vixen_sync_feeds"),
            order_ahead: gauge!("vixen_sync_order_ahead_seconds"),
            clock_ahead: gauge!("vixen_sync_clock_ahead_seconds"),
            dropped: DROPS
                .map(|drop| counter!("vixen_sync_inputs_dropped_total", "reason" => drop.name())),
            refused_messages: counter!("vixen_sync_messages_refused_total"),
            ballots_started: counter!("vixen_sync_ballots_started_total"),
            stalls: counter!("vixen_sync_stalls_total"),
            disk_free: gauge!("vixen_sync_disk_free_bytes"),
            peers_refused: counter!("vixen_sync_peers_refused_total"),
            waiting: WaitsFor::KINDS
                .map(|kind| gauge!("vixen_sync_waiting_segments", "for" => kind)),
            waiting_for_node: members
                .iter()
                .map(|id| {
                    let node = String::from(roster.sync(*id));
                    (*id, gauge!("vixen_sync_waiting_for_node_segments", "node" => node))
                })
                .collect(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; these are small")]
    pub(crate) fn waiting(&self, waiting: &Waiting) {
        for (kind, gauge) in WaitsFor::KINDS.iter().zip(&self.waiting) {
            gauge.set(waiting.by_kind.get(kind).copied().unwrap_or(0) as f64);
        }
        for (node, gauge) in &self.waiting_for_node {
            gauge.set(waiting.by_node.get(node).copied().unwrap_or(0) as f64);
        }
    }

    pub(crate) fn received(&self, from: &PeerId, messages: usize) {
        let counter = match from {
            PeerId::Sync { .. } => &self.messages_from_sync,
            PeerId::Ndb { .. } => &self.messages_from_ndb,
            PeerId::Entry { .. } => &self.messages_from_entries,
        };
        counter.increment(messages as u64);
    }

    pub(crate) fn dropped(&self, drop: Drop) {
        let at = DROPS.iter().position(|known| *known == drop);
        if let Some(counter) = at.and_then(|at| self.dropped.get(at)) {
            counter.increment(1);
        }
    }
}

/// What the store counts itself.
pub(crate) struct StoreMetrics {
    /// LMDB syncs its commits.
    is_durable: bool,
    disk_syncs: Counter,
    journal_bytes: Gauge,
    pub(crate) full: Counter,
    checkpoint_seconds: Histogram,
    pub(crate) replayed: Gauge,
}

/// Syncs of a transaction of LMDB: of its pages, and of the page that says which they are.
const LMDB_SYNCS: u64 = 2;

impl StoreMetrics {
    /// Of a store that is to be durable or not.
    pub(crate) fn new(is_durable: bool) -> Self {
        describe_of_store();
        Self {
            is_durable,
            disk_syncs: counter!("vixen_sync_disk_syncs_total"),
            journal_bytes: gauge!("vixen_sync_journal_bytes"),
            full: counter!("vixen_sync_journal_full_total"),
            checkpoint_seconds: histogram!("vixen_sync_journal_checkpoint_seconds"),
            replayed: gauge!("vixen_sync_journal_replayed_records"),
        }
    }

    /// A record was appended to a journal that has now so many bytes that LMDB has not.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; these are small")]
    pub(crate) fn journal_synced(&self, bytes: u64) {
        self.disk_syncs.increment(1);
        self.journal_bytes.set(bytes as f64);
    }

    /// A transaction of LMDB was committed.
    pub(crate) fn lmdb_synced(&self) {
        if self.is_durable {
            self.disk_syncs.increment(LMDB_SYNCS);
        }
    }

    /// Rows of the journal are in LMDB, which took so long at most; so many bytes are left.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; these are small")]
    pub(crate) fn checkpoint(&self, elapsed: std::time::Duration, bytes: u64) {
        self.lmdb_synced();
        self.checkpoint_seconds.record(elapsed.as_secs_f64());
        self.journal_bytes.set(bytes as f64);
    }
}

fn describe_of_store() {
    describe_counter!(
        "vixen_sync_disk_syncs_total",
        "Syncs of the disk that the vote's store asked for: one a commit, two a checkpoint"
    );
    describe_gauge!("vixen_sync_journal_bytes", "Bytes of the journal that LMDB does not have yet");
    describe_counter!(
        "vixen_sync_journal_full_total",
        "Commits that waited for a checkpoint, because the journal was full"
    );
    describe_histogram!(
        "vixen_sync_journal_checkpoint_seconds",
        "Duration of checkpoints, which write to LMDB what the journal has, up to the look that finds one done"
    );
    describe_gauge!(
        "vixen_sync_journal_replayed_records",
        "Records of the journal that LMDB did not have when the node started"
    );
}

/// What each of them is, for whoever reads the page.
fn describe() {
    describe_counter!("vixen_sync_commits_total", "Group commits of the vote's store");
    describe_histogram!("vixen_sync_commit_seconds", "Duration of a group commit");
    describe_counter!("vixen_sync_commit_rows_total", "Rows written by group commits");
    describe_counter!("vixen_sync_segments_elected_total", "Segments this node learned elected");
    describe_histogram!(
        "vixen_sync_election_seconds",
        "Time from W durable votes known here to the election known here"
    );
    describe_counter!(
        "vixen_sync_messages_received_total",
        "Messages received, by the tier of the sender"
    );
    describe_gauge!("vixen_sync_pending_segments", "Segments known and not known elected");
    describe_gauge!("vixen_sync_watermark_seconds", "Wall time of the watermark, Unix seconds");
    describe_gauge!(
        "vixen_sync_order_ahead_seconds",
        "How far the newest elected stamp is ahead of wall time"
    );
    describe_gauge!(
        "vixen_sync_clock_ahead_seconds",
        "How far this node's own stamps are ahead of wall time"
    );
    describe_gauge!("vixen_sync_feeds", "Readers that follow this node's feed");
    describe_counter!("vixen_sync_inputs_dropped_total", "Inputs that changed nothing, by reason");
    describe_counter!(
        "vixen_sync_messages_refused_total",
        "Messages that a peer of its kind must not send"
    );
    describe_counter!(
        "vixen_sync_ballots_started_total",
        "Ballots above 0 that this node began, because others were absent or slow"
    );
    describe_counter!(
        "vixen_sync_peers_refused_total",
        "Times a peer came with a store that was wiped, copied or rolled back"
    );
    describe_counter!(
        "vixen_sync_stalls_total",
        "Times the node came 200 ms or more late to what was due: it was paused, or its disk or \
         machine is slow"
    );
    describe_gauge!("vixen_sync_disk_free_bytes", "Bytes free on the disk of the vote's store");
    describe_gauge!(
        "vixen_sync_waiting_segments",
        "Segments pending for about a second or longer, by what they wait for"
    );
    describe_gauge!(
        "vixen_sync_waiting_for_node_segments",
        "Segments pending for about a second or longer, by the sync node they wait for"
    );
}
