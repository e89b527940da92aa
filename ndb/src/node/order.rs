//! The order between nodes: how far it is on disk here, and its rows from and for others.
//!
//! Sync nodes forget what W nodes of its group have placed durably (DESIGN §4, *Retention*); a node
//! that is further behind takes rows of the order from another ndb node. What is read, and whom to
//! ask for it, is [`Reader`](vixen_core::order::Reader)'s.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use vixen_core::id::{NdbId, Position, SegmentId, Stamp, SyncId};
use vixen_core::order;
use vixen_core::wire::{DraftAnswer, Message, OrderBase};
use vixen_runtime::link::LinkId;

use super::{NdbError, NdbNode};
use crate::store::{Job, StoreError};
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

    /// Steps what reads the order, and the replica with what that has learned.
    pub(super) fn read_order(&mut self, input: order::Input, fx: &mut Effects) {
        let read = self.step_reader(input);
        self.settle_order(read, fx);
    }

    fn step_reader(&mut self, input: order::Input) -> order::Effects {
        let mut read = order::Effects::default();
        self.reader.step(input, Instant::now().into_std(), &mut read);
        read
    }

    fn settle_order(&mut self, read: order::Effects, fx: &mut Effects) {
        for elected in read.learned {
            self.replica.step(Input::Elected { elected }, fx);
        }
        for placed in read.placed {
            self.replica.step(Input::Placed { placed }, fx);
        }
        for (feed, after) in read.follows {
            for sender in self.senders_of_sync(feed) {
                let _down_follows = sender.send(Message::FollowFeed { after });
            }
        }
        for (peer, from) in read.fetches {
            let name = self.options.roster.ndb(peer);
            tracing::debug!(peer = %name, position = %from, "asking for the order");
            if let Some(sender) = self.senders_of_peer(peer).next() {
                let _down_follows = sender.send(Message::FetchOrder { from });
            }
        }
        let roster = &self.options.roster;
        read.notes.iter().for_each(|note| self.metrics.reader.note(note, roster));
    }

    /// A peer has dropped what comes next here. When all have, the order goes on where they begin.
    pub(super) fn on_order_trimmed(
        &mut self,
        from: NdbId,
        asked: Position,
        base: OrderBase,
        fx: &mut Effects,
    ) -> Result<(), NdbError> {
        let read = self.step_reader(order::Input::OrderTrimmed { from, asked, base });
        let left_behind = read.left_behind;
        self.settle_order(read, fx);
        left_behind.map_or(Ok(()), |base| self.rebase(base, fx))
    }

    fn rebase(&mut self, base: OrderBase, fx: &mut Effects) -> Result<(), NdbError> {
        tracing::warn!(
            position = %self.reader.next_position(), first = %base.next,
            "retention has dropped at all peers what comes next here: the order goes on after it"
        );
        self.replica.step(Input::Rebase { base }, fx);
        self.log.rebase(base.next, base.stamp);
        let unwritten = self.unwritten.take_due(Instant::now(), true);
        self.hand_over(unwritten)?;
        self.hand_over(vec![Job::Rebase(base)])?;
        self.read_order(order::Input::Rebase { base }, fx);
        Ok(())
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
        self.has_room_for_rows().then(|| self.reader.due_at().map(Instant::from_std)).flatten()
    }

    /// The order does not run far ahead of its bytes: what is missing is kept in memory.
    fn has_room_for_rows(&self) -> bool {
        self.writing_rows <= WRITING_ROWS_MAX && self.replica.missing().len() <= MISSING_MAX
    }

    /// Asks for what feeds wait for, when it is time.
    pub(super) fn order_due(&mut self, fx: &mut Effects) {
        let takes_rows = self.has_room_for_rows();
        self.read_order(order::Input::Tick { takes_rows }, fx);
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
