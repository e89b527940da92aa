//! What comes to an entry of the World by its links.

use vixen_broker::{delivery, history, segmenter};
use vixen_core::id::{Ballot, NdbId, SyncId};
use vixen_core::order;
use vixen_core::segment::Acceptance;
use vixen_core::wire::{
    DraftAnswer, DraftMessage, FeedMessage, Message, NodeMessage, PublishMessage, ReadMessage,
    ReplicaMessage,
};

use super::{Effects, Turn};
use crate::world::io::{Arrived, Name};
use crate::world::mutant::Mutant;

impl Turn<'_> {
    pub(super) fn take(&mut self, arrived: Arrived, fx: &mut Effects) {
        match arrived {
            Arrived::Up { name: Name::Sync(feed), .. } => {
                self.process.sync.insert(feed);
                self.read_order(order::Input::FeedUp { feed }, fx);
            }
            Arrived::Down { name: Name::Sync(feed) } => {
                self.process.sync.remove(&feed);
                self.read_order(order::Input::FeedDown { feed }, fx);
            }
            Arrived::Up { name: Name::Ndb(ndb), .. } => self.on_ndb_up(ndb, fx),
            Arrived::Down { name: Name::Ndb(ndb) } => {
                self.process.ndb.remove(&ndb);
                self.segmenter(segmenter::Input::NdbDown { ndb }, fx);
                self.delivery(delivery::Input::NdbDown { ndb }, fx);
                self.history(history::Input::NdbDown { ndb }, fx);
                self.read_order(order::Input::PeerDown { peer: ndb }, fx);
            }
            Arrived::Silent { name: Name::Ndb(ndb), is_silent } => {
                self.process.ndb.insert(ndb, is_silent);
                self.segmenter(segmenter::Input::NdbSilent { ndb, is_silent }, fx);
                self.delivery(delivery::Input::NdbSilent { ndb, is_silent }, fx);
                self.history(
                    match is_silent {
                        true => history::Input::NdbDown { ndb },
                        false => history::Input::NdbUp { ndb },
                    },
                    fx,
                );
                self.read_order(order::Input::PeerSilent { peer: ndb, is_silent }, fx);
            }
            Arrived::Message { from: Name::Sync(from), message } => self.on_sync(from, message, fx),
            Arrived::Message { from: Name::Ndb(from), message } => self.on_ndb(from, message, fx),
            Arrived::Asked { session, ask } => self.on_asked(session, ask, fx),
            Arrived::Silent { .. } => {}
            Arrived::Up { .. } | Arrived::Down { .. } | Arrived::Message { .. } => {
                unreachable!("entries have no links to each other")
            }
            Arrived::Written { .. } | Arrived::ExpireOwners { .. } => {
                unreachable!("not of an entry")
            }
        }
    }

    pub(super) fn on_ndb_up(&mut self, ndb: NdbId, fx: &mut Effects) {
        self.process.ndb.insert(ndb, false);
        let sent = fx.segmenter.sends.len();
        self.segmenter(segmenter::Input::NdbUp { ndb }, fx);
        if self.mutant == Some(Mutant::NothingIsSentAgain) {
            fx.segmenter.sends.truncate(sent);
        }
        self.delivery(delivery::Input::NdbUp { ndb }, fx);
        self.history(history::Input::NdbUp { ndb }, fx);
        self.read_order(order::Input::PeerUp { peer: ndb }, fx);
    }

    pub(super) fn on_sync(&mut self, from: SyncId, message: Message, fx: &mut Effects) {
        let input = match message {
            // For people.
            Message::Node(NodeMessage::SyncDiskFull) => return,
            Message::Feed(FeedMessage::Reached { request, stamp }) => {
                self.process.refused.answered(from, request, stamp);
                return self.process.ahead.answered(from, request, stamp);
            }
            Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }) => {
                order::Input::Resolved { from, elected }
            }
            Message::Feed(FeedMessage::SegmentAccepted { acceptance }) => {
                let ballot = match self.mutant {
                    Some(Mutant::BallotsAddUp) => Some(Ballot(0)),
                    _ => acceptance.ballot,
                };
                let acceptance = Acceptance { ballot, ..acceptance };
                order::Input::Accepted { from, acceptance }
            }
            Message::Feed(FeedMessage::Watermark { marks }) => {
                order::Input::Watermark { from, marks }
            }
            Message::Feed(FeedMessage::FeedTrimmed { to }) => {
                order::Input::FeedTrimmed { from, to }
            }
            other => panic!("a sync node says {} to an entry", other.name()),
        };
        self.read_order(input, fx);
    }

    pub(super) fn on_ndb(&mut self, from: NdbId, message: Message, fx: &mut Effects) {
        match message {
            Message::Publish(PublishMessage::TrimAdvanceSegment { segment }) => {
                self.segmenter(segmenter::Input::Trim { from, segment }, fx);
            }
            Message::Publish(PublishMessage::SegmentDurable { segment }) => {
                self.segmenter(segmenter::Input::Durable { from, segment }, fx);
            }
            Message::Draft(DraftMessage::DraftAnswered {
                segment,
                answer: DraftAnswer::OwnerExpired,
            }) => {
                self.on_owner_refused(segment);
            }
            Message::Publish(PublishMessage::RefuseAdvanceSegment { segment, reason }) => {
                self.segmenter(segmenter::Input::Refused { from, segment, reason }, fx);
            }
            // For people.
            Message::Node(NodeMessage::NdbNowhere { .. }) => {}
            Message::Node(NodeMessage::NdbStanding { standing }) => {
                self.segmenter(segmenter::Input::Standing { from, standing }, fx);
            }
            Message::Read(ReadMessage::TailOpened { next, head_stamp, head_next }) => {
                self.begin(head_stamp, head_next, fx);
                self.delivery(delivery::Input::TailOpened { from, next }, fx);
            }
            Message::Read(ReadMessage::InterestChanged { version, next }) => {
                self.delivery(delivery::Input::InterestChanged { from, version, next }, fx);
            }
            Message::Replica(ReplicaMessage::OrderRows { first, rows }) => {
                self.read_order(order::Input::Rows { from, first, rows }, fx);
            }
            Message::Replica(ReplicaMessage::OrderTrimmed { asked, base }) => {
                self.read_order(order::Input::OrderTrimmed { from, asked, base }, fx);
            }
            Message::Read(ReadMessage::TailSegment(segment)) => {
                let from = self.followed_for(from);
                self.delivery(delivery::Input::Segment { from, segment }, fx);
            }
            Message::Read(ReadMessage::TailPosition { next }) => {
                let from = self.followed_for(from);
                let more = u32::from(self.mutant == Some(Mutant::TailGoesBy));
                let next = next.plus(more);
                self.delivery(delivery::Input::TailPosition { from, next }, fx);
            }
            Message::Read(ReadMessage::HistorySegment { request, segment }) => {
                self.history(history::Input::Segment { from, request, segment }, fx);
            }
            Message::Read(ReadMessage::HistoryEnd { request, end }) => {
                self.history(history::Input::End { from, request, end }, fx);
            }
            other => panic!("an ndb node says {} to an entry", other.name()),
        }
    }

    /// Whose tail it is, but for the mutant that takes any for the one that is followed.
    pub(super) fn followed_for(&self, from: NdbId) -> NdbId {
        let mut tails = self.process.delivery.tails();
        let followed = tails.find(|tail| tail.group == from.group).and_then(|tail| tail.at);
        match self.mutant {
            Some(Mutant::StaleTailCounts) => followed.unwrap_or(from),
            _ => from,
        }
    }
}
