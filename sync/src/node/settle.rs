//! What steps owe: one commit, if something waits for it, then everything that leaves.

use std::time::Duration;

use tokio::time::Instant;

use vixen_core::id::Stamp;
use vixen_core::segment::Elected;
use vixen_core::wire::{Message, PeerId, VoteMessage};
use vixen_runtime::link::Links;

use super::{SyncError, SyncNode, SyncOptions};
use crate::metrics::Metrics;
use crate::store::{Forgetting, Store, StoreError};
use vixen_vote::{Batch, Commits, Disk, Effects, Envelope, Known, Orderer, Retention, answer};

/// Elections that took longer are worth a line of a debugging log.
const SLOW_MS: u64 = 100;
/// Elections that one commit looks at for forgetting.
const FORGET_ROWS_MAX: usize = 2_048;
/// No more is read for a reader whose link has this much waiting.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// The store, and what says which elections may go with a commit.
pub(super) struct Writer<'a> {
    store: &'a mut Store,
    orderer: &'a Orderer,
    retention: &'a mut Retention,
    options: &'a SyncOptions,
    metrics: &'a Metrics,
}

impl Disk for Writer<'_> {
    type Error = StoreError;

    fn write(&mut self, batch: &Batch) -> Result<bool, StoreError> {
        let begun = Instant::now();
        let (age, newest) = (self.options.feed_retention, self.orderer.newest_elected());
        let upto = self.retention.known_for(age, newest, begun.into_std());
        let floors = self.retention.floors(&self.options.membership);
        let may_go = |elected: &Elected| {
            let owner = self.orderer.owner_row(elected.meta.id.owner);
            Retention::may_go(&floors, owner, elected)
        };
        let forgetting = Forgetting { upto, may_go: &may_go, rows_max: FORGET_ROWS_MAX };
        match self.store.commit(batch, batch.has_elections.then_some(forgetting), begun.into_std())
        {
            Ok(()) => {}
            Err(error) if error.is_of_room(&self.options.dir) => return Ok(false),
            Err(error) => return Err(error),
        }
        self.metrics.commits.increment(1);
        self.metrics.commit_rows.increment(batch.writes.len() as u64);
        self.metrics.commit_seconds.record(begun.elapsed().as_secs_f64());
        Ok(true)
    }
}

impl SyncNode {
    /// Does what the steps of a turn owe, and writes all that waits if so asked.
    pub(super) async fn settle(
        &mut self,
        mut fx: Effects,
        writes_all: bool,
    ) -> Result<(), SyncError> {
        self.count(&fx);
        let (early, commits) = (self.commits.early(&mut fx), self.store.commits());
        for Envelope { to, message, after: _ } in early.iter().cloned() {
            self.peers.tell(to, message, commits, &mut self.out);
        }
        // What was said in the turn depends on no commit, and must not wait for a slow disk: that this node is
        // aside, above all. A commit blocks the thread that carries links as well, so they have their turn first:
        // what leaves early is on its way while this node writes.
        if self.deliver() {
            tokio::task::yield_now().await;
        }
        match self.turn(fx, &early, writes_all)? {
            Some(fx) => self.leave(fx)?,
            None => self.cease(),
        }
        self.deliver();
        Ok(())
    }

    pub(super) fn writer(&mut self) -> (&mut Commits, Writer<'_>) {
        let Self { commits, store, orderer, retention, options, metrics, .. } = self;
        (commits, Writer { store, orderer, retention, options, metrics })
    }

    fn count(&self, fx: &Effects) {
        for drop in &fx.dropped {
            self.metrics.dropped(*drop);
        }
        self.metrics.ballots_started.increment(fx.ballots_started);
        for (segment, waited_ms) in &fx.waited {
            self.metrics.election_seconds.record(Duration::from_millis(*waited_ms).as_secs_f64());
            if *waited_ms >= SLOW_MS {
                tracing::debug!(%segment, waited_ms, "slow election");
            }
        }
    }

    /// Says what may leave, now that what it depends on is durable.
    pub(super) fn leave(&mut self, fx: Effects) -> Result<(), SyncError> {
        let (trimmed_to, commits) = (self.trimmed_to(), self.store.commits());
        if fx.ends_feeds {
            self.feeds.trim(trimmed_to, &mut self.out);
        }
        for Envelope { to, message, after: _ } in fx.sends {
            self.peers.tell(to, message, commits, &mut self.out);
        }
        for (to, owner) in fx.forgotten {
            let message = Message::Vote(VoteMessage::OwnerForgotten { owner, trimmed_to });
            self.peers.tell(to, message, commits, &mut self.out);
        }
        for (to, segment, said) in fx.answers {
            let message = answer(&self.store, self.commits.elections(), segment, said)?;
            let is_of = |peer: &PeerId| matches!(peer, PeerId::Ndb { id, .. } if *id == to);
            let links = self.links.iter().filter(|(_, linked)| is_of(&linked.peer));
            self.out.extend(links.map(|(link, _)| (link, message.clone())));
        }
        fx.accepted.into_iter().for_each(|(acceptance, _)| self.feeds.accept(acceptance));
        for election in fx.elected {
            let elected = election.elected;
            self.feeds.publish(elected);
            self.metrics.elected.increment(1);
        }
        for (to, owner, after) in fx.catch_ups {
            let row = self.orderer.owner_row(owner).unwrap_or_default();
            self.peers.catch_up(to, owner, after, row.contiguous);
        }
        self.read_on()?;
        let watermark = self.orderer.watermark().filter(|_| self.peers.has_joined());
        self.feeds.tell(watermark, || self.orderer.told(), &mut self.out);
        self.tell_metrics();
        Ok(())
    }

    /// Reads on in the store for peers that missed some of it, and for readers that have not come to its end.
    fn read_on(&mut self) -> Result<(), StoreError> {
        let trimmed_to = self.trimmed_to();
        let Self { peers, orderer, store, commits, links, out, .. } = self;
        if peers.is_catching_up() {
            let known = Known {
                store: &*store,
                unwritten: || commits.elections(),
                row: |owner| orderer.owner_row(owner).unwrap_or_default(),
                trimmed_to,
                commits: store.commits(),
                is_holding: commits.is_holding(),
            };
            peers.read_on(&known, |link| has_room(links, link), out)?;
        }
        self.read_feeds()
    }

    /// The same for readers alone, who are told nothing but elections: also while there is no room.
    pub(super) fn read_feeds(&mut self) -> Result<(), StoreError> {
        if !self.feeds.is_reading() {
            return Ok(());
        }
        let Self { feeds, store, commits, links, out, .. } = self;
        let has_room = |link| has_room(links, link);
        feeds.read_on(&*store, store.trimmed_to(), commits.elections(), has_room, out)
    }

    /// LMDB has all at the end of a node: a start has less to do, and who looks at the file sees all. What cannot be
    /// written is in the journal.
    pub(super) fn close_store(&mut self) {
        if let Err(error) = self.store.write_all(Instant::now().into_std()) {
            tracing::warn!(%error, "the journal has what could not be written to the store");
        }
    }

    /// Elections up to here may be forgotten here.
    pub(super) fn trimmed_to(&self) -> Stamp {
        self.store.trimmed_to().max(self.commits.trimmed_to())
    }
}

fn has_room(links: &Links, link: vixen_runtime::link::LinkId) -> bool {
    links.get(link).is_some_and(|linked| {
        linked.sender.waiting_bytes() <= WAITING_BYTES_MAX && !linked.sender.is_closed()
    })
}
