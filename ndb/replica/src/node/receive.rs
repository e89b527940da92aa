//! What peers say, by who says it.
//!
//! Tails and reads of history are beside this: a [`Tail`](crate::tail::Tail) and the store answer them.
//! What peers say of themselves (their standing, their disks, their clocks) is for people: nothing here
//! depends on it.

use std::time::Instant;

use vixen_core::id::{NdbId, OwnerId, SegmentId, SyncId};
use vixen_core::order;
use vixen_core::segment::Blob;
use vixen_core::wire::{
    DraftMessage, FeedMessage, Message, NodeMessage, PeerId, PublishMessage, ReadMessage,
    ReplicaMessage,
};

use super::{Effects, NdbCore, Note, Read};
use crate::replica::Input;

/// The name of a message that such a peer has no business to send.
struct NotForNdb(&'static str);

impl NdbCore {
    pub(super) fn on_message(
        &mut self,
        from: PeerId,
        message: Message,
        now: Instant,
        fx: &mut Effects,
    ) {
        let taken = match from {
            // It has said so by coming.
            _ if matches!(message, Message::Node(NodeMessage::Heartbeat)) => Ok(()),
            PeerId::Entry { owner } => self.on_entry(owner, message, now, fx),
            PeerId::Sync { id, .. } => self.on_sync(id, message, now, fx),
            PeerId::Ndb { id, .. } => self.on_ndb(id, message, now, fx),
        };
        if let Err(NotForNdb(message)) = taken {
            fx.notes.push(Note::NotForNdb { from, message });
        }
    }

    fn on_entry(
        &mut self,
        from: OwnerId,
        message: Message,
        now: Instant,
        fx: &mut Effects,
    ) -> Result<(), NotForNdb> {
        let input = match message {
            Message::Publish(PublishMessage::BeginAdvanceSegment { segment, .. }) => {
                Input::Begin { from, segment }
            }
            Message::Publish(PublishMessage::KeepAdvanceHistory {
                segment,
                offset,
                topics,
                count,
                records,
            }) => Input::Keep { from, segment, offset, topics, count, records },
            Message::Publish(PublishMessage::AdvanceSegmentOver { meta }) => {
                Input::Over { from, meta }
            }
            Message::Publish(PublishMessage::AwaitDurable { segment }) => {
                self.on_await_durable(segment, fx);
                return Ok(());
            }
            Message::Replica(ReplicaMessage::FetchOrder { from }) => {
                self.on_fetch_order(from, fx);
                return Ok(());
            }
            // For its tail, or for the store.
            Message::Read(ReadMessage::InterestPart { .. })
            | Message::Read(ReadMessage::FollowTail { .. })
            | Message::Read(ReadMessage::ChangeInterest { .. })
            | Message::Read(ReadMessage::ReadHistory { .. }) => return Ok(()),
            other => return Err(NotForNdb(other.name())),
        };
        self.step_replica(input, now, fx);
        Ok(())
    }

    fn on_sync(
        &mut self,
        from: SyncId,
        message: Message,
        now: Instant,
        fx: &mut Effects,
    ) -> Result<(), NotForNdb> {
        let input = match message {
            Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }) => {
                order::Input::Resolved { from, elected }
            }
            Message::Feed(FeedMessage::SegmentAccepted { acceptance }) => {
                order::Input::Accepted { from, acceptance }
            }
            Message::Feed(FeedMessage::Watermark { marks }) => {
                order::Input::Watermark { from, marks }
            }
            Message::Feed(FeedMessage::FeedTrimmed { to }) => {
                order::Input::FeedTrimmed { from, to }
            }
            Message::Draft(DraftMessage::DraftAnswered { segment, answer }) => {
                self.on_draft_answered(from, segment, answer, now, fx);
                return Ok(());
            }
            // For people.
            Message::Node(NodeMessage::SyncDiskFull)
            | Message::Node(NodeMessage::SyncTime { .. }) => return Ok(()),
            other => return Err(NotForNdb(other.name())),
        };
        self.read_order(input, now, fx);
        Ok(())
    }

    fn on_ndb(
        &mut self,
        from: NdbId,
        message: Message,
        now: Instant,
        fx: &mut Effects,
    ) -> Result<(), NotForNdb> {
        let is_of_group = from.group == self.id.group;
        match message {
            Message::Replica(ReplicaMessage::OrderRows { first, rows }) => {
                if rows.is_empty() || !self.upkeep.repairs.answered(first) {
                    self.read_order(order::Input::Rows { from, first, rows }, now, fx);
                } else {
                    self.on_repair_rows(first, rows, now, fx);
                }
            }
            Message::Replica(ReplicaMessage::OrderTrimmed { asked, base }) => {
                self.read_order(order::Input::OrderTrimmed { from, asked, base }, now, fx);
            }
            Message::Replica(ReplicaMessage::FetchOrder { from }) => self.on_fetch_order(from, fx),
            Message::Replica(ReplicaMessage::FetchOrderBefore { before }) => {
                self.on_fetch_order_before(before, fx)
            }
            Message::Replica(ReplicaMessage::OrderBefore { before, base, rows }) => {
                self.on_order_before(before, base, rows, now, fx);
            }
            Message::Replica(ReplicaMessage::FetchSegments { segments }) => {
                self.on_fetch_segments(segments, fx)
            }
            Message::Replica(ReplicaMessage::SegmentBlob { segment, blob }) => {
                let blob = Blob::from_bytes(blob);
                if !self.step_replica(Input::Fetched { segment, blob }, now, fx) {
                    // Damaged there as well: the next peer is asked.
                    self.upkeep.fetch.lacks(from, &[segment], now);
                }
            }
            Message::Replica(ReplicaMessage::SegmentsMissing { segments }) => {
                self.on_segments_missing(from, &segments, now)
            }
            Message::Replica(ReplicaMessage::OfferSegments { segments }) if is_of_group => {
                self.step_replica(Input::Offered { segments }, now, fx);
            }
            Message::Replica(ReplicaMessage::ChainAt { next, chain }) => {
                self.on_chain(from, next, chain, fx)
            }
            Message::Replica(ReplicaMessage::Retaining { retained }) if is_of_group => {
                self.on_retaining(from, retained, now);
            }
            // For people.
            Message::Node(NodeMessage::NdbStanding { .. })
            | Message::Node(NodeMessage::NdbNowhere { .. }) => {}
            other => return Err(NotForNdb(other.name())),
        }
        Ok(())
    }

    /// A peer lacks segments: they are in memory, or in the store.
    fn on_fetch_segments(&self, segments: Vec<SegmentId>, fx: &mut Effects) {
        let with_blob = |segment| (segment, self.replica.blob_of(segment));
        fx.reads.push(Read::Segments(segments.into_iter().map(with_blob).collect()));
    }
}
