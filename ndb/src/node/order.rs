//! The order between nodes: how far it is on disk here, and its rows from and for others.
//!
//! Sync nodes forget what W nodes of its group have placed durably (DESIGN §4, *Retention*); a node
//! that is further behind takes rows of the order from another ndb node. Whom to ask, and when, is
//! [`CatchUp`](vixen_core::order::CatchUp).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use vixen_core::id::{NdbId, Position, SegmentId, Stamp, SyncId};
use vixen_core::segment::Elected;
use vixen_core::wire::{DraftAnswer, Message};
use vixen_runtime::link::LinkId;

use super::NdbNode;
use crate::store::StoreError;
use vixen_replica::{Effects, Input};

/// Rows in one answer: about 300 KiB in a frame.
const ROWS_MAX: usize = 4_096;
/// No more are asked for while so many placed segments lack their bytes.
const MISSING_MAX: usize = 8 * ROWS_MAX;
/// No more are asked for while the writer has more than this before it.
const WRITING_ROWS_MAX: usize = 4 * ROWS_MAX;

impl NdbNode {
    /// The order is on disk up to here: sync nodes may forget it.
    pub(super) fn tell_applied(&mut self, stamp: Stamp) {
        self.applied = stamp;
        self.tell_sync(&Message::OrderApplied { stamp });
    }

    pub(super) fn on_feed_trimmed(&mut self, from: SyncId, to: Stamp) {
        self.metrics.feeds_trimmed.increment(1);
        let delivered = self.replica.placing().frontier().delivered();
        let peer = self.options.roster.sync(from);
        tracing::info!(%peer, stamp = %to, %delivered, "feed has forgotten what comes next");
        self.catch_up.trimmed(from, to, Instant::now().into_std());
    }

    pub(super) fn on_order_rows(
        &mut self,
        from: NdbId,
        first: Position,
        rows: Vec<Elected>,
        fx: &mut Effects,
    ) {
        let before = fx.placed.len();
        self.replica.step(Input::OrderRows { first, rows }, fx);
        let placed = fx.placed.len() - before;
        self.metrics.order_rows_fetched.increment(placed as u64);
        self.catch_up.answered(from, placed > 0, Instant::now().into_std());
    }

    /// A segment that is held here gets no draft.
    pub(super) fn on_draft_answered(
        &mut self,
        from: SyncId,
        segment: SegmentId,
        answer: DraftAnswer,
        fx: &mut Effects,
    ) {
        // Once it is placed, all is said.
        if !self.replica.is_pending(segment) {
            return;
        }
        self.metrics.draft_answered(answer);
        match answer {
            DraftAnswer::Elected => {
                let peer = self.options.roster.sync(from);
                tracing::debug!(%segment, %peer, "elected: the feed tells, or is trimmed");
            }
            DraftAnswer::OwnerExpired => {
                let by = self.expired.entry(segment).or_default();
                by.insert(from);
                let by = by.len();
                if by < self.feeds_needed() {
                    return;
                }
                // No majority is left that could elect it: the other nodes hear the same.
                tracing::warn!(
                    %segment,
                    "owners as old as that of this segment are forgotten, and it never was \
                     acknowledged: it is dropped, and its entry, if it runs, sends its messages again"
                );
                self.expired.remove(&segment);
                for sender in self.senders_of(segment.owner) {
                    let _down_follows = sender.send(Message::DraftAnswered { segment, answer });
                }
                self.fetching.got(segment);
                self.replica.step(Input::Expired { segment }, fx);
            }
        }
    }

    /// When [`order_due`](Self::order_due) has something to do.
    pub(super) fn order_due_at(&self) -> Option<Instant> {
        self.has_room_for_rows().then(|| self.catch_up.due_at().map(Instant::from_std)).flatten()
    }

    /// The order does not run far ahead of its bytes: what is missing is kept in memory.
    fn has_room_for_rows(&self) -> bool {
        self.writing_rows <= WRITING_ROWS_MAX && self.replica.missing().len() <= MISSING_MAX
    }

    /// Follows the feeds that can go on, and asks for what the others wait for.
    pub(super) fn order_due(&mut self) {
        let after = self.replica.placing().frontier().delivered();
        for feed in self.catch_up.take_caught_up(after) {
            let peer = self.options.roster.sync(feed);
            tracing::info!(%peer, stamp = %after, "feed is followed again");
            for sender in self.senders_of_sync(feed) {
                let _down_follows = sender.send(Message::FollowFeed { after });
            }
        }
        if !self.has_room_for_rows() {
            return;
        }
        if let Some(peer) = self.catch_up.take_due(Instant::now().into_std()) {
            let from = self.replica.placing().next_position();
            let name = self.options.roster.ndb(peer);
            tracing::debug!(peer = %name, position = %from, "asking for the order");
            if let Some(sender) = self.senders_of_peer(peer).next() {
                let _down_follows = sender.send(Message::FetchOrder { from });
            }
        }
    }

    /// Answers a reader that is behind, from the store, outside the loop.
    pub(super) fn serve_order(&self, link: LinkId, from: Position) {
        let Some(linked) = self.links.get(link) else { return };
        let (sender, store) = (linked.sender.clone(), Arc::clone(&self.store));
        let base = self.store.base();
        let is_trusted = from.0 < self.trusted_to.load(Ordering::Relaxed);
        let rows_max = if is_trusted { ROWS_MAX } else { 0 };
        tokio::spawn(async move {
            let read = tokio::task::spawn_blocking(move || store.order_from(from, rows_max)).await;
            let rows = match read {
                Ok(Ok(rows)) => rows,
                Ok(Err(StoreError::Trimmed { .. })) => {
                    let trimmed = Message::OrderTrimmed { asked: from, base };
                    let _link_is_down = sender.send_paced(trimmed).await;
                    return;
                }
                Ok(Err(error)) => {
                    tracing::error!(position = %from, %error, "cannot read the order for a reader");
                    Vec::new()
                }
                Err(_node_ended) => return,
            };
            let _link_is_down = sender.send_paced(Message::OrderRows { first: from, rows }).await;
        });
    }
}
