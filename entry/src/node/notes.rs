//! What happened, for metrics and the log.

use std::collections::BTreeMap;

use tokio::time::Instant;

use vixen_broker::{delivery, segmenter};
use vixen_core::id::GroupId;
use vixen_core::wire::RefuseReason;

use super::EntryNode;
use crate::metrics::count_unsayable;

impl EntryNode {
    /// One line for all segments that went from one group to another.
    pub(super) fn note_moves(&self, notes: &[segmenter::Note]) {
        let mut moves = BTreeMap::<(GroupId, GroupId), usize>::new();
        for note in notes {
            if let segmenter::Note::Moved { from, to, .. } = note {
                *moves.entry((*from, *to)).or_default() += 1;
            }
        }
        for ((from, to), segments) in moves {
            tracing::warn!(%from, %to, segments, "unresolved segments go to another group");
        }
    }

    pub(super) fn note_segmenter(&mut self, note: segmenter::Note) {
        let roster = &self.options.roster;
        match note {
            segmenter::Note::Closed { meta } => {
                self.closed_at.push_back(Instant::now());
                self.metrics.closed(meta.count);
            }
            segmenter::Note::SentAgain { segment, to } => {
                self.metrics.segments_resent.increment(1);
                tracing::debug!(%segment, peer = %roster.ndb(to), "segment sent again");
            }
            segmenter::Note::GaveUp { segment, to, reason } => {
                self.metrics.refused(reason);
                let peer = roster.ndb(to);
                tracing::error!(%segment, %peer, ?reason, "segment refused for good");
            }
            segmenter::Note::Unwilling { segment, at } => {
                self.metrics.refused(RefuseReason::Unwilling);
                let peer = roster.ndb(at);
                tracing::debug!(%segment, %peer, "segment refused by an unwilling node");
            }
            // Logged for the group, not for each segment.
            segmenter::Note::Moved { .. } => self.metrics.segments_moved.increment(1),
            segmenter::Note::Stalled { group } => {
                tracing::warn!(%group, "group does not answer, and gets no segments for now");
            }
            segmenter::Note::TooLarge { parts, bytes } => {
                self.metrics.writes_too_large.increment(1);
                tracing::debug!(parts, bytes, "no segment holds a write");
            }
            segmenter::Note::NoQuorum { messages } => {
                self.metrics.no_quorum.increment(messages as u64);
                tracing::warn!(messages, missing = self.missing(), "publishers told of no quorum");
            }
        }
    }

    pub(super) fn note_delivery(&self, note: delivery::Note) {
        let roster = &self.options.roster;
        match note {
            delivery::Note::TailMoved { group, from, to } => {
                self.metrics.tail_moves.increment(1);
                let from = from.map(|from| String::from(roster.ndb(from)));
                tracing::info!(%group, peer = %roster.ndb(to), from, "tail follows");
            }
            delivery::Note::PositionsMissed { from, count } => {
                self.metrics.positions_missed.increment(count);
                let peer = roster.ndb(from);
                tracing::warn!(
                    %peer, count,
                    "a replica has dropped what comes next: subscribers read it from the store, or are told"
                );
            }
            delivery::Note::Repeated => self.metrics.tail_repeats.increment(1),
            delivery::Note::Delivered { events } => self.metrics.events.increment(events as u64),
            // Told as meta events.
            delivery::Note::Changed(_) => {}
            delivery::Note::LeftOut { messages } => count_unsayable(messages),
            delivery::Note::Malformed { first } => {
                self.metrics.tail_malformed.increment(1);
                tracing::error!(position = %first, "a segment of the tail is malformed");
            }
        }
    }
}
