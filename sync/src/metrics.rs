//! Metrics of a sync node: names, help, and handles held for the hot path.

use metrics::{Counter, Gauge, Histogram, counter, describe_counter, describe_gauge};
use metrics::{describe_histogram, gauge, histogram};

use crate::vote::Drop;

/// Handles; looking a metric up by name costs more than a step.
pub(crate) struct Metrics {
    pub(crate) commits: Counter,
    pub(crate) commit_seconds: Histogram,
    pub(crate) commit_rows: Counter,
    pub(crate) elected: Counter,
    pub(crate) messages_received: Counter,
    pub(crate) pending: Gauge,
    pub(crate) watermark: Gauge,
    pub(crate) feeds: Gauge,
    dropped: [Counter; 5],
    pub(crate) refused_messages: Counter,
}

const DROPS: [Drop; 5] =
    [Drop::Late, Drop::WildClock, Drop::NotCoordinator, Drop::StaleBallot, Drop::Conflict];

impl Metrics {
    pub(crate) fn new() -> Self {
        describe_counter!("vixen_sync_commits_total", "Group commits of the vote's store");
        describe_histogram!("vixen_sync_commit_seconds", "Duration of a group commit");
        describe_counter!("vixen_sync_commit_rows_total", "Rows written by group commits");
        describe_counter!(
            "vixen_sync_segments_elected_total",
            "Segments this node learned elected"
        );
        describe_counter!("vixen_sync_messages_received_total", "Messages received from nodes");
        describe_gauge!("vixen_sync_pending_segments", "Segments known and not known elected");
        describe_gauge!("vixen_sync_watermark_seconds", "Wall time of the watermark, Unix seconds");
        describe_gauge!("vixen_sync_feeds", "Readers that follow this node's feed");
        describe_counter!(
            "vixen_sync_inputs_dropped_total",
            "Inputs that changed nothing, by reason"
        );
        describe_counter!(
            "vixen_sync_messages_refused_total",
            "Messages that a peer of its kind must not send"
        );
        Self {
            commits: counter!("vixen_sync_commits_total"),
            commit_seconds: histogram!("vixen_sync_commit_seconds"),
            commit_rows: counter!("vixen_sync_commit_rows_total"),
            elected: counter!("vixen_sync_segments_elected_total"),
            messages_received: counter!("vixen_sync_messages_received_total"),
            pending: gauge!("vixen_sync_pending_segments"),
            watermark: gauge!("vixen_sync_watermark_seconds"),
            feeds: gauge!("vixen_sync_feeds"),
            dropped: DROPS
                .map(|drop| counter!("vixen_sync_inputs_dropped_total", "reason" => drop.name())),
            refused_messages: counter!("vixen_sync_messages_refused_total"),
        }
    }

    pub(crate) fn dropped(&self, drop: Drop) {
        let at = DROPS.iter().position(|known| *known == drop);
        if let Some(counter) = at.and_then(|at| self.dropped.get(at)) {
            counter.increment(1);
        }
    }
}
