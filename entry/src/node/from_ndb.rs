//! What ndb nodes say to the core, and the places that segments get by it.

use vixen_broker::delivery::{self, Slot};
use vixen_broker::segmenter;
use vixen_core::id::NdbId;
use vixen_core::name::NodeName;
use vixen_core::order::{self, Placed};
use vixen_core::segment::Challenger;
use vixen_core::time::WallTime;
use vixen_core::wire::{
    DraftAnswer, DraftMessage, Message, NodeMessage, PublishMessage, ReadMessage, ReplicaMessage,
};

use super::run::{Effects, EntryNode};

impl EntryNode {
    pub(super) fn on_stranger(&self, from: &NodeName, message: &Message) {
        self.metrics.messages_refused.increment(1);
        tracing::warn!(peer = %from, message = message.name(), "message is not for an entry");
    }

    /// An ndb node says something on its present link.
    pub(super) fn on_ndb(
        &mut self,
        now: WallTime,
        from: NdbId,
        message: Message,
        fx: &mut Effects,
    ) {
        let input = match message {
            // It has said so by coming.
            Message::Node(NodeMessage::Heartbeat) => return,
            Message::Publish(PublishMessage::TrimAdvanceSegment { segment }) => {
                let input = segmenter::Input::Trim { from, segment };
                return self.step_segmenter(now, input, &mut fx.segmenter);
            }
            Message::Publish(PublishMessage::SegmentDurable { segment }) => {
                let input = segmenter::Input::Durable { from, segment };
                return self.step_segmenter(now, input, &mut fx.segmenter);
            }
            Message::Draft(DraftMessage::DraftAnswered {
                segment,
                answer: DraftAnswer::OwnerExpired,
            }) => {
                return self.on_owner_refused(now, segment);
            }
            Message::Publish(PublishMessage::RefuseAdvanceSegment { segment, reason }) => {
                let input = segmenter::Input::Refused { from, segment, reason };
                self.step_segmenter(now, input, &mut fx.segmenter);
                return self.tell_readiness();
            }
            Message::Node(NodeMessage::NdbStanding { standing }) => {
                tracing::info!(peer = %self.options.roster.ndb(from), standing = standing.name(), "ndb node stands");
                let input = segmenter::Input::Standing { from, standing };
                self.step_segmenter(now, input, &mut fx.segmenter);
                return self.tell_readiness();
            }
            Message::Read(ReadMessage::TailOpened { next, head_stamp, head_next }) => {
                self.begin(head_stamp, head_next, fx);
                delivery::Input::TailOpened { from, next }
            }
            Message::Read(ReadMessage::InterestChanged { version, next }) => {
                delivery::Input::InterestChanged { from, version, next }
            }
            Message::Replica(ReplicaMessage::OrderRows { first, rows }) => {
                return self.read_order(order::Input::Rows { from, first, rows }, fx);
            }
            Message::Replica(ReplicaMessage::OrderTrimmed { asked, base }) => {
                let input = order::Input::OrderTrimmed { from, asked, base };
                return self.read_order(input, fx);
            }
            Message::Read(ReadMessage::TailSegment(segment)) => {
                delivery::Input::Segment { from, segment }
            }
            Message::Read(ReadMessage::TailPosition { next }) => {
                delivery::Input::TailPosition { from, next }
            }
            message @ (Message::Read(ReadMessage::HistorySegment { .. })
            | Message::Read(ReadMessage::HistoryEnd { .. })) => {
                return self.on_history_message(now, from, message);
            }
            other => return self.on_stranger(&self.options.roster.ndb(from), &other),
        };
        self.step_delivery(now, input, &mut fx.delivery);
    }

    /// Acknowledges what is this entry's, and tells delivery the order.
    pub(super) fn on_placed(&mut self, now: WallTime, placed: Vec<Placed>, fx: &mut Effects) {
        if placed.is_empty() {
            return;
        }
        let slots = placed.iter().map(|placed| {
            let Challenger { group, .. } = placed.elected.challenger;
            Slot { first: placed.first, count: placed.elected.meta.count, group }
        });
        let slots = slots.collect();
        for placed in placed {
            let meta = placed.elected.meta;
            if meta.id.owner == self.segmenter.owner() {
                let (segment, first) = (meta.id, placed.first);
                let stamp = placed.elected.stamp();
                let input = segmenter::Input::Placed { segment, first, stamp };
                self.step_segmenter(now, input, &mut fx.segmenter);
                let waited = self.closed_at.pop_front().map(|at| at.elapsed());
                self.metrics.placed(meta.count, waited);
            }
        }
        self.step_delivery(now, delivery::Input::Placed { slots }, &mut fx.delivery);
    }
}
