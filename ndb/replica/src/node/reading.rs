//! The order between nodes: what is read of it, and what of it others get.
//!
//! Sync nodes forget what W nodes of its group have placed durably (DESIGN §4, *Retention*); a node
//! that is further behind takes rows of the order from another ndb node. What is read, and whom to
//! ask for it, is [`Reader`](vixen_core::order::Reader)'s.

use std::time::Instant;

use vixen_core::id::{Position, SegmentId, SyncId};
use vixen_core::order;
use vixen_core::wire::{
    DraftAnswer, DraftMessage, FeedMessage, Message, OrderBase, ReplicaMessage,
};

use super::{Effects, NdbCore, Note, Read, To};
use crate::replica;
use crate::storage::Job;
use crate::tail::Change;

/// Rows in one answer: about 300 KiB in a frame.
const ROWS_MAX: usize = 4_096;
/// Rows in one answer to a node that takes back what the group has kept.
pub(super) const ROWS_BEFORE_MAX: usize = 2_048;
/// No more are asked for while so many placed segments lack their bytes.
const MISSING_MAX: usize = 8 * ROWS_MAX;
/// No more are asked for while the writer has more than this before it.
const WRITING_ROWS_MAX: usize = 4 * ROWS_MAX;

impl NdbCore {
    /// Steps what reads the order, and the replica with what that has learned.
    pub(super) fn read_order(&mut self, input: order::Input, now: Instant, fx: &mut Effects) {
        let mut read = order::Effects::default();
        self.reader.step(input, now, &mut read);
        for elected in read.learned {
            self.step_replica(replica::Input::Elected { elected }, now, fx);
        }
        for placed in read.placed {
            self.step_replica(replica::Input::Placed { placed }, now, fx);
        }
        for (feed, after) in read.follows {
            fx.sends.push((To::Sync(feed), Message::Feed(FeedMessage::FollowFeed { after })));
        }
        for (feed, is_able) in read.counts {
            fx.sends.push((To::Sync(feed), Message::Feed(FeedMessage::CountElections { is_able })));
        }
        for (peer, from) in read.fetches {
            fx.notes.push(Note::AskingForOrder { peer, from });
            fx.sends.push((To::Ndb(peer), Message::Replica(ReplicaMessage::FetchOrder { from })));
        }
        fx.notes.extend(read.notes.into_iter().map(Note::Order));
        if let Some(base) = read.left_behind {
            self.rebase(base, now, fx);
        }
    }

    /// All linked ndb nodes have dropped what comes next here: the order goes on where they begin.
    fn rebase(&mut self, base: OrderBase, now: Instant, fx: &mut Effects) {
        // What a peer said before more was placed here, and contradicts it: its reader does not go there.
        if base.stamp <= self.reader.delivered() {
            return;
        }
        fx.notes.push(Note::LeftBehind { next: self.reader.next_position(), first: base.next });
        // What was placed before is written before.
        self.flush(now, true, fx);
        self.step_replica(replica::Input::Rebase { base }, now, fx);
        self.buffer.rebase(base.next);
        fx.changes.push(Change::Rebased(base));
        self.hand_over([Job::Rebase(base)], now, fx);
        self.read_order(order::Input::Rebase { base }, now, fx);
    }

    /// A segment that is held here gets no draft.
    pub(super) fn on_draft_answered(
        &mut self,
        from: SyncId,
        segment: SegmentId,
        answer: DraftAnswer,
        now: Instant,
        fx: &mut Effects,
    ) {
        // Once it is placed, all is said.
        if !self.replica.is_pending(segment) {
            return;
        }
        fx.notes.push(Note::DraftAnswered { from, segment, answer });
        match answer {
            // The feed tells, or is trimmed.
            DraftAnswer::Elected => {}
            DraftAnswer::OwnerExpired => {
                // No majority is left that could elect it: the other nodes hear the same.
                let quorum = self.membership.quorum();
                if self.upkeep.expiry.said(segment, from, quorum) {
                    fx.notes.push(Note::Expired { segment });
                    let answered = Message::Draft(DraftMessage::DraftAnswered { segment, answer });
                    fx.sends.push((To::Entry(segment.owner), answered));
                    self.upkeep.fetch.got(segment);
                    self.step_replica(replica::Input::Expired { segment }, now, fx);
                }
            }
        }
    }

    /// When [`order_due`](Self::order_due) has something to do.
    pub(super) fn order_due_at(&self) -> Option<Instant> {
        self.has_room_for_rows().then(|| self.reader.due_at()).flatten()
    }

    /// The order does not run far ahead of its bytes: what is missing is kept in memory.
    fn has_room_for_rows(&self) -> bool {
        self.buffer.rows_under_way() <= WRITING_ROWS_MAX
            && self.replica.missing().len() <= MISSING_MAX
    }

    /// Asks for what feeds wait for, when it is time.
    pub(super) fn order_due(&mut self, now: Instant, fx: &mut Effects) {
        let takes_rows = self.has_room_for_rows();
        self.read_order(order::Input::Tick { takes_rows }, now, fx);
    }

    /// A reader is behind, and asks for the order.
    pub(super) fn on_fetch_order(&self, from: Position, fx: &mut Effects) {
        let rows_max = if self.is_trusted(from) { ROWS_MAX } else { 0 };
        fx.reads.push(Read::Order { from, rows_max });
    }

    /// A peer of the group has dropped more than this node.
    pub(super) fn on_fetch_order_before(&self, before: Position, fx: &mut Effects) {
        let is_trusted = before <= self.upkeep.trusted_to;
        let rows_max = if is_trusted { ROWS_BEFORE_MAX } else { 0 };
        fx.reads.push(Read::OrderBefore { before, rows_max });
    }
}
