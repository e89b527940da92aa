//! The order as an entry reads it: from the feeds of the sync nodes, and from an ndb node for as far
//! as the sync nodes have forgotten it (DESIGN §4, *Frontier* and *Retention*).

use tokio::time::Instant;

use vixen_core::id::{NdbId, Position, Stamp, SyncId};
use vixen_core::name::NodeName;
use vixen_core::order::{Learned, Placed, Sequencer};
use vixen_core::segment::Elected;
use vixen_core::wire::{DISK_FULL, Message, OrderBase};
use vixen_runtime::link::LinkId;

use super::run::EntryNode;

impl EntryNode {
    /// The first tail tells where the order stands: from there on the feeds are counted.
    pub(super) fn begin(&mut self, after: Stamp, next: Position) {
        if self.placing.is_some() {
            return;
        }
        tracing::info!(stamp = %after, position = %next, "the order begins here for this entry");
        self.placing = Some(Sequencer::new(&self.options.membership, after, next));
        for id in self.sync.linked() {
            self.sync.send(id, Message::FollowFeed { after });
        }
        self.tell_readiness();
    }

    /// A new link has a new feed.
    pub(super) fn on_sync_up(&mut self, id: SyncId) {
        self.catch_up.feed_gone(id);
        if let Some(placing) = &self.placing {
            let after = placing.frontier().delivered();
            self.sync.send(id, Message::FollowFeed { after });
        }
    }

    pub(super) fn on_sync(&mut self, link: LinkId, from: SyncId, message: Message) {
        if let Message::SyncDiskFull = message {
            self.links.set_unable(link, Some(DISK_FULL));
            return self.tell_readiness();
        }
        if let Message::Reached { request, stamp } = message {
            self.refused.reached(from, request, stamp);
            return self.reads.reached(from, request, stamp);
        }
        if let Message::SyncTime { time, ahead_ms_max } = message {
            self.skew.note(from, time, ahead_ms_max, Instant::now().into_std());
            return self.tell_readiness();
        }
        // Before the base is known no feed was asked for.
        let Some(placing) = &mut self.placing else { return };
        match message {
            // It has said so by coming.
            Message::Heartbeat => {}
            Message::AdvanceSegmentResolved { elected } => match placing.learn(elected) {
                Learned::New | Learned::Known => {}
                Learned::Violation => self.on_violation(&self.options.roster.sync(from), &elected),
            },
            Message::Watermark { stamp } => placing.raise(from, stamp),
            Message::FeedTrimmed { to } => {
                let delivered = placing.frontier().delivered();
                tracing::info!(
                    peer = %self.options.roster.sync(from), stamp = %to, %delivered,
                    "feed has forgotten what comes next"
                );
                self.metrics.feeds_trimmed.increment(1);
                self.catch_up.trimmed(from, to, Instant::now().into_std());
            }
            other => self.on_stranger(&self.options.roster.sync(from), &other),
        }
    }

    fn on_violation(&self, from: &NodeName, elected: &Elected) {
        self.metrics.frontier_violations.increment(1);
        tracing::error!(
            peer = %from, segment = %elected.meta.id, stamp = %elected.stamp(),
            "a feed, or the order of an ndb node, contradicts the order here"
        );
    }

    /// Takes rows of an ndb node's order: what has got its place by them.
    pub(super) fn take_rows(
        &mut self,
        from: NdbId,
        first: Position,
        rows: &[Elected],
    ) -> Vec<Placed> {
        let Some(placing) = &mut self.placing else { return Vec::new() };
        let taken = placing.take_rows(first, rows);
        if let Some(elected) = &taken.violation {
            self.on_violation(&self.options.roster.ndb(from), elected);
        }
        self.metrics.order_rows_fetched.increment(taken.placed.len() as u64);
        let is_news = !taken.placed.is_empty();
        if is_news {
            self.trimmed_at.clear();
        }
        self.catch_up.answered(from, is_news, Instant::now().into_std());
        taken.placed
    }

    /// An ndb node has dropped what comes next here: this entry was cut off for longer than messages
    /// are kept.
    pub(super) fn on_order_trimmed(&mut self, from: NdbId, asked: Position, base: OrderBase) {
        let Some(placing) = &self.placing else { return };
        self.catch_up.answered(from, false, Instant::now().into_std());
        if asked == placing.next_position() && base.next > asked {
            self.trimmed_at.insert(from);
        }
        if self.is_left_behind() {
            tracing::error!(
                position = %asked, first = %base.next,
                "retention has dropped at all ndb nodes what comes next here: what became of this \
                 entry's messages cannot be told any more; it ends, to be started anew"
            );
        }
    }

    /// Whether no linked ndb node has what comes next here.
    pub(super) fn is_left_behind(&self) -> bool {
        let has_peer = self.ndb.linked().next().is_some();
        has_peer && self.ndb.linked().all(|ndb| self.trimmed_at.contains(&ndb))
    }

    /// When [`order_due`](Self::order_due) has something to do.
    pub(super) fn order_due_at(&self) -> Option<Instant> {
        self.catch_up.due_at().map(Instant::from_std)
    }

    /// Follows the feeds that can go on, and asks for what the others wait for.
    pub(super) fn order_due(&mut self) {
        let Some(placing) = &self.placing else { return };
        let after = placing.frontier().delivered();
        for feed in self.catch_up.take_caught_up(after) {
            let peer = self.options.roster.sync(feed);
            tracing::info!(%peer, stamp = %after, "feed is followed again");
            self.sync.send(feed, Message::FollowFeed { after });
        }
        if let Some(peer) = self.catch_up.take_due(Instant::now().into_std()) {
            let from = placing.next_position();
            let name = self.options.roster.ndb(peer);
            tracing::debug!(peer = %name, position = %from, "asking for the order");
            self.ndb.send(peer, Message::FetchOrder { from });
        }
    }
}
