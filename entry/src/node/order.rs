//! The order as an entry reads it: from the feeds of the sync nodes, and from an ndb node for as far
//! as the sync nodes have forgotten it (DESIGN §4, *Frontier* and *Retention*).

use tokio::time::Instant;

use vixen_broker::registrar::HeardOf;
use vixen_core::id::{Position, Stamp, SyncId};
use vixen_core::order::Input;
use vixen_core::time::WallTime;
use vixen_core::wire::{DISK_FULL, FeedMessage, Message, NodeMessage, ReplicaMessage};
use vixen_runtime::link::LinkId;

use super::run::{Effects, EntryNode};

impl EntryNode {
    /// The first tail tells where the order stands: from there on it is read.
    pub(super) fn begin(&mut self, after: Stamp, next: Position, fx: &mut Effects) {
        if self.reader.is_some() {
            return;
        }
        tracing::info!(stamp = %after, position = %next, "the order begins here for this entry");
        self.begin_reader(after, next);
        let feeds = self.sync.linked().map(|feed| Input::FeedUp { feed });
        let peers = self.ndb.linked().map(|peer| Input::PeerUp { peer });
        let silent = self.ndb.silent().map(|peer| Input::PeerSilent { peer, is_silent: true });
        for input in feeds.chain(peers).chain(silent).collect::<Vec<_>>() {
            self.read_order(input, fx);
        }
        self.tell_readiness();
    }

    /// Before the base is known there is nothing to read.
    pub(super) fn read_order(&mut self, input: Input, fx: &mut Effects) {
        self.step_reader(input, &mut fx.order);
    }

    pub(super) fn on_sync(
        &mut self,
        link: LinkId,
        from: SyncId,
        message: Message,
        fx: &mut Effects,
    ) {
        let input = match message {
            // It has said so by coming.
            Message::Node(NodeMessage::Heartbeat) => return,
            Message::Node(NodeMessage::SyncDiskFull) => {
                self.links.set_unable(link, Some(DISK_FULL));
                return self.tell_readiness();
            }
            Message::Feed(FeedMessage::Reached { request, stamp }) => {
                self.refused.reached(from, request, stamp);
                self.calls.complete.reached(from, request, stamp);
                return self.reads.reached(from, request, stamp);
            }
            Message::Feed(FeedMessage::Heard { request, is_linked, silent_ms }) => {
                let said = HeardOf { is_linked, silent_ms };
                return self.calls.heard_of(from, request, said, &mut fx.calls);
            }
            Message::Node(NodeMessage::SyncTime { time, ahead_ms_max }) => {
                self.skew.note(from, time, ahead_ms_max, Instant::now().into_std());
                return self.tell_readiness();
            }
            Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }) => {
                Input::Resolved { from, elected }
            }
            Message::Feed(FeedMessage::SegmentAccepted { acceptance }) => {
                Input::Accepted { from, acceptance }
            }
            Message::Feed(FeedMessage::Watermark { marks }) => Input::Watermark { from, marks },
            Message::Feed(FeedMessage::FeedTrimmed { to }) => Input::FeedTrimmed { from, to },
            other => return self.on_stranger(&self.options.roster.sync(from), &other),
        };
        self.read_order(input, fx);
    }

    /// Does what reading the order owes, and goes on with what has got its place.
    pub(super) fn settle_order(&mut self, now: WallTime, fx: &mut Effects) {
        self.read_order(Input::Tick { takes_rows: true }, fx);
        let read = std::mem::take(&mut fx.order);
        for (feed, after) in read.follows {
            self.sync.send(feed, Message::Feed(FeedMessage::FollowFeed { after }));
        }
        for (feed, is_able) in read.counts {
            self.sync.send(feed, Message::Feed(FeedMessage::CountElections { is_able }));
        }
        for (peer, from) in read.fetches {
            let name = self.options.roster.ndb(peer);
            tracing::debug!(peer = %name, position = %from, "asking for the order");
            self.ndb.send(peer, Message::Replica(ReplicaMessage::FetchOrder { from }));
        }
        let roster = &self.options.roster;
        read.notes.iter().for_each(|note| self.metrics.reader.note(note, roster));
        if let (Some(base), Some(reader)) = (read.left_behind, &self.reader) {
            tracing::error!(
                position = %reader.next_position(), first = %base.next,
                "retention has dropped at all ndb nodes what comes next here: what became of this \
                 entry's messages cannot be told any more; it ends, to be started anew"
            );
        }
        self.on_placed(now, read.placed, fx);
    }

    /// When [`settle_order`](Self::settle_order) has something to do without an event.
    pub(super) fn order_due_at(&self) -> Option<Instant> {
        self.reader.as_ref()?.due_at().map(Instant::from_std)
    }
}
