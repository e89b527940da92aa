//! The driver of a sync node: I/O into inputs, effects into I/O.
//!
//! One loop: drain the inbox, step everything, let [`Commits`] write what something waits for in one
//! LMDB transaction, then send: in `deliver`, and nowhere else. Nothing leaves before the commit it
//! depends on (DESIGN §4), and what waits during a commit shares the next: that is the group commit. The
//! loop blocks its thread while it commits, so a node has a runtime of its own, on one thread.
//!
//! The state of the protocol is in the machines of `vixen_vote`; the node keeps the store, the links,
//! the inbox, and what people are told.

mod clocks;
mod haste;
mod peers;
mod readiness;
mod recorded;
mod room;
mod settle;
mod status;
mod timers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use vixen_core::id::{StoreId, SyncId};
use vixen_core::membership::Membership;
use vixen_core::name::NodeName;
use vixen_core::roster::Roster;
use vixen_core::time::WallTime;
use vixen_core::wire::{DraftMessage, FeedMessage, Message, NodeMessage, PeerId, VoteMessage};
use vixen_runtime::clock::wall_time;
use vixen_runtime::dirlock::{DirLock, DirLockError};
use vixen_runtime::link::{Haste, INBOX_FRAMES_MAX, Inbox, LinkEvent, LinkId, Linked, Links};
use vixen_runtime::recording::Recorder;
use vixen_runtime::telemetry::Readiness;

use crate::metrics::Metrics;
use crate::store::{Store, StoreError};
use clocks::Clocks;
use haste::Hastes;
use room::DiskRoom;
use vixen_vote::{
    Batch, Commits, Effects, Feeds, Health, Hearing, Input, Orderer, Outbox, Peers, Retention,
    Retries, Standings, VoteOptions,
};

/// How a sync node runs.
#[derive(Clone, Debug)]
pub struct SyncOptions {
    /// This node; its lane.
    pub id: SyncId,
    /// Its name in the configuration, for people.
    pub name: NodeName,
    /// What the others are called.
    pub roster: Roster,
    /// Who votes, this node included, and who stores.
    pub membership: Membership,
    /// Its data directory.
    pub dir: PathBuf,
    /// Whether commits are durable on return.
    pub fsync: bool,
    /// Size of the sparse LMDB map.
    pub store_bytes_max: u64,
    /// Rule 8.
    pub clock_ahead_max: Duration,
    /// How long an election stays after W ndb nodes have applied it.
    pub feed_retention: Duration,
    /// With less free on its disk, it does not vote.
    pub disk_reserve: u64,
}

/// Everything that reaches a sync node.
#[derive(Debug)]
pub enum SyncEvent {
    /// From its links.
    Link(LinkEvent),
    /// Answer with the status page.
    Status(oneshot::Sender<serde_json::Value>),
    /// Finish: commit what is unwritten and end.
    Stop,
}

impl From<LinkEvent> for SyncEvent {
    fn from(event: LinkEvent) -> Self {
        Self::Link(event)
    }
}

/// Why a sync node cannot start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The data directory is not to be had.
    #[error(transparent)]
    Lock(#[from] DirLockError),
    /// The store failed; after a failed commit nothing is certain but what is on disk.
    #[error("the store of the vote failed")]
    Store(#[from] StoreError),
    /// A peer remembers another store, or a newer one (DESIGN §4 rule 9).
    #[error(
        "{peer} refuses this node's store {store}: {problem}. A store that was wiped, copied or \
         rolled back has forgotten promises, and must not vote. Put this node's own, latest data \
         directory back, or, if that is lost, follow \"A sync node lost its store\" in \
         docs/operations.md"
    )]
    Refused {
        /// Who remembers.
        peer: NodeName,
        /// The store of this node.
        store: StoreId,
        /// What contradicts, in words.
        problem: String,
    },
}

/// A look at a running node from outside. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SyncHandle {
    inbox: Inbox<SyncEvent>,
    ready: Arc<Mutex<Readiness>>,
}

impl SyncHandle {
    /// Whether the node can take part in a quorum; else what it waits for.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn ready(&self) -> Result<(), String> {
        self.readiness().check()
    }

    /// Whether it can, and what it misses.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The status page; `null` while the node stops.
    pub async fn status(&self) -> serde_json::Value {
        let (answer, answered) = oneshot::channel();
        if self.inbox.send(SyncEvent::Status(answer)).await.is_err() {
            return serde_json::Value::Null;
        }
        answered.await.unwrap_or_default()
    }
}

/// One sync node.
pub struct SyncNode {
    options: SyncOptions,
    store: Store,
    _lock: DirLock,
    inbox: mpsc::Receiver<SyncEvent>,
    handle: SyncHandle,
    links: Links,
    /// Why links to peers went down last, for people.
    last_down: BTreeMap<SyncId, String>,
    orderer: Orderer,
    commits: Commits,
    recorder: Recorder,
    peers: Peers<LinkId>,
    feeds: Feeds<LinkId>,
    /// Which words of them are waited for.
    hastes: Hastes<LinkId>,
    health: Health,
    /// What it hears of entries, as others ask; judged as of when a stall was looked for.
    hearing: Hearing<LinkId>,
    turn_at: Instant,
    retention: Retention,
    retries: Retries,
    /// What leaves at the end of this turn.
    out: Outbox<LinkId>,
    refused: Option<SyncError>,
    room: DiskRoom,
    clocks: Clocks,
    metrics: Metrics,
}

impl SyncNode {
    /// Takes the directory, opens the store and recovers the vote. Blocking.
    ///
    /// # Errors
    /// When the directory is taken or the store is unusable.
    pub fn open(options: SyncOptions) -> Result<Self, SyncError> {
        Self::open_recorded(options, Recorder::off())
    }

    /// The same, and records what its machines are given. Blocking.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_recorded(options: SyncOptions, mut recorder: Recorder) -> Result<Self, SyncError> {
        let lock = DirLock::take(&options.dir)?;
        let now = Instant::now().into_std();
        let mut store = Store::open(&options.dir, options.store_bytes_max, options.fsync, now)?;
        // Each start counts as a commit: see `Standings`.
        let is_counted = match store.commit(&Batch::default(), None, now) {
            Ok(()) => true,
            Err(error) if error.is_of_room(&options.dir) => false,
            Err(error) => return Err(error.into()),
        };
        let vote = VoteOptions {
            id: options.id,
            membership: options.membership.clone(),
            clock_ahead_max_ms: u64::try_from(options.clock_ahead_max.as_millis())
                .unwrap_or(u64::MAX),
        };
        let (recovered, standings) = (store.recover()?, store.standings()?);
        recorded::begin(&mut recorder, &vote, &recovered, (&standings, is_counted));
        let orderer = Orderer::new(vote, &recovered);
        let metrics = Metrics::new(options.membership.sync(), &options.roster);
        let (sender, inbox) = mpsc::channel(INBOX_FRAMES_MAX);
        let ready = Arc::new(Mutex::new(Readiness::starting()));
        let run = uuid::Uuid::now_v7().as_u64_pair().1;
        let node = Self {
            _lock: lock,
            inbox,
            handle: SyncHandle { inbox: sender, ready },
            links: Links::new(options.name.clone(), options.roster.clone(), now),
            last_down: BTreeMap::new(),
            commits: Commits::new(Standings::new(standings), is_counted),
            recorder,
            peers: Peers::new(run, options.membership.quorum()),
            feeds: Feeds::new(orderer.clock()),
            hastes: Hastes::default(),
            health: Health::default(),
            hearing: Hearing::new(now),
            turn_at: Instant::now(),
            retention: Retention::new(now),
            retries: Retries::default(),
            out: Outbox::new(),
            refused: None,
            room: DiskRoom::new(options.dir.clone(), options.disk_reserve),
            clocks: Clocks::default(),
            metrics,
            orderer,
            store,
            options,
        };
        node.tell_readiness();
        Ok(node)
    }

    /// The id of its store.
    #[must_use]
    pub const fn store_id(&self) -> StoreId {
        self.store.store_id()
    }

    /// Where links and others put events for it.
    #[must_use]
    pub fn inbox(&self) -> Inbox<SyncEvent> {
        self.handle.inbox.clone()
    }

    /// A look at it from outside.
    #[must_use]
    pub fn handle(&self) -> SyncHandle {
        self.handle.clone()
    }

    /// Runs until `Stop`. Needs a thread of its own: commits block it.
    ///
    /// # Errors
    /// When the store fails; the process must then end, and recover from what is on disk.
    pub async fn run(mut self) -> Result<(), SyncError> {
        tracing::info!(
            node = %self.options.name,
            store = %self.store_id(),
            pending = self.orderer.pending_segments(),
            "sync node runs"
        );
        let mut fx = Effects::default();
        let aside = Input::PeerAside { peer: self.options.id, is_aside: true };
        self.step(wall_time(), aside, &mut fx);
        self.settle(fx, false).await?;
        let mut events = Vec::with_capacity(INBOX_FRAMES_MAX);
        let mut look = tokio::time::interval(clocks::LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = self.next_timer();
            tokio::select! {
                biased;
                _taken = self.inbox.recv_many(&mut events, INBOX_FRAMES_MAX) => {}
                () = sleep_until(due), if due.is_some() => {}
                _at = look.tick() => {
                    self.look_at_clocks(wall_time());
                    self.tell_time(wall_time());
                    self.deliver();
                    continue;
                }
            }
            let now = wall_time();
            let at = Instant::now();
            self.turn_at = at;
            if self.links.stalled(at.into_std()).is_some() {
                self.hearing.deaf_until(at.into_std());
            }
            self.look_at_disk(now).await?;
            if self.room.is_full() {
                if self.turn_while_full(at, &mut events)? {
                    return Ok(());
                }
                continue;
            }
            let mut fx = Effects::default();
            self.begin_turn(due, now, &mut fx);
            let mut stop = false;
            for event in events.drain(..) {
                match event {
                    SyncEvent::Link(event) => self.on_link(now, event, &mut fx),
                    SyncEvent::Status(answer) => {
                        let _asker_left = answer.send(self.status());
                    }
                    SyncEvent::Stop => stop = true,
                }
            }
            self.on_timers(now, &mut fx);
            self.note_silence(now, at, &mut fx);
            self.settle(fx, stop).await?;
            if let Some(refused) = self.refused.take() {
                return Err(refused);
            }
            if stop {
                self.close_store();
                self.recorder.finish();
                tracing::info!(node = %self.options.name, "sync node stopped");
                return Ok(());
            }
        }
    }

    fn on_link(&mut self, now: WallTime, event: LinkEvent, fx: &mut Effects) {
        match event {
            LinkEvent::Up { link, peer, name, sender, .. } => {
                let linked = Linked { peer, name, sender };
                self.links.up(link, linked, Instant::now().into_std());
                match peer {
                    PeerId::Sync { id, store } => self.on_peer_link(now, link, id, store, fx),
                    PeerId::Ndb { .. } => self.tell_aside(now, fx),
                    PeerId::Entry { owner } => {
                        self.hearing.up(link, owner, Instant::now().into_std());
                    }
                }
                self.tell_readiness();
            }
            LinkEvent::Messages { link, peer, messages } => {
                self.metrics.received(&peer, messages.len());
                self.hearing.heard(link, Instant::now().into_std());
                if self.links.heard(link, Instant::now().into_std()).is_some() {
                    self.on_silence(now, link, peer, false, fx);
                }
                for message in messages {
                    self.on_message(now, link, peer, message, fx);
                }
            }
            LinkEvent::Failed { name, refusal } => {
                self.links.failed(name, refusal);
                self.tell_readiness();
            }
            LinkEvent::Down { link, peer, name, reason } => {
                self.links.down(link);
                self.feeds.remove(link);
                self.hastes.remove(link);
                self.hearing.down(link, Instant::now().into_std());
                tracing::info!(peer = %name, reason, "link down");
                self.tell_aside(now, fx);
                if let PeerId::Sync { id, .. } = peer {
                    self.last_down.insert(id, reason);
                    // A newer link of the same peer may be up already.
                    if self.peers.link(id) == Some(link) {
                        self.drop_peer(now, id, fx);
                    }
                }
                self.tell_readiness();
            }
        }
    }

    fn on_message(
        &mut self,
        now: WallTime,
        link: LinkId,
        peer: PeerId,
        message: Message,
        fx: &mut Effects,
    ) {
        if let PeerId::Sync { id, .. } = peer
            && !self.takes_from(now, link, id, &message, fx)
        {
            return;
        }
        if self.takes_aside_from_votes(link, &peer, &message) {
            return;
        }
        let input = match (peer, message) {
            (
                PeerId::Ndb { id: from, .. },
                Message::Draft(DraftMessage::GenerateDraft { meta }),
            ) => match self.health.defer(Input::GenerateDraft { from, meta }) {
                Some(input) => input,
                None => return,
            },
            (PeerId::Sync { id, .. }, message) => {
                if let Message::Vote(VoteMessage::OwnerSettled { trimmed_to, .. })
                | Message::Vote(VoteMessage::OwnerForgotten { trimmed_to, .. }) = message
                    && trimmed_to > self.trimmed_to()
                    && !trimmed_to.is_of_the_last_year()
                {
                    self.trim(now, trimmed_to);
                }
                let name = message.name();
                match Input::from_peer(id, message) {
                    Some(input) => input,
                    None => return self.refuse(link, name),
                }
            }
            (_, other) => return self.refuse(link, other.name()),
        };
        self.step(now, input, fx);
    }

    /// Takes what is no input of the vote; `false` when it is one.
    fn takes_aside_from_votes(&mut self, link: LinkId, peer: &PeerId, message: &Message) -> bool {
        match (peer, message) {
            // It has said so by coming.
            (_, Message::Node(NodeMessage::Heartbeat)) => {}
            (PeerId::Ndb { .. }, Message::Node(NodeMessage::NdbStanding { standing })) => {
                self.links.set_unable(link, standing.unable());
                self.tell_readiness();
            }
            (PeerId::Ndb { .. }, Message::Node(NodeMessage::NdbNowhere { nowhere })) => {
                self.links.set_nowhere(link, *nowhere);
                self.tell_readiness();
            }
            (
                PeerId::Sync { id, .. },
                Message::Node(NodeMessage::SyncTime { time, ahead_ms_max }),
            ) => {
                let clock = Instant::now().into_std();
                self.clocks.skew.note(*id, *time, *ahead_ms_max, clock);
                self.look_at_skew();
            }
            (PeerId::Ndb { id, .. }, Message::Draft(DraftMessage::OrderApplied { stamp })) => {
                self.retention.applied(*id, *stamp);
            }
            (
                PeerId::Ndb { .. } | PeerId::Entry { .. },
                Message::Feed(FeedMessage::FollowFeed { after }),
            ) => {
                let owner = match peer {
                    PeerId::Entry { owner } => Some(*owner),
                    PeerId::Sync { .. } | PeerId::Ndb { .. } => None,
                };
                self.hastes.follow(link, owner);
                let trimmed_to = self.trimmed_to();
                self.feeds.follow(link, *after, trimmed_to, &mut self.out);
            }
            (
                PeerId::Ndb { .. } | PeerId::Entry { .. },
                Message::Feed(FeedMessage::AwaitFeed { is_awaited }),
            ) => {
                self.hastes.set_awaited(link, *is_awaited);
                if let Some(linked) = self.links.get(link).filter(|_| *is_awaited) {
                    linked.sender.flush();
                }
            }
            (
                PeerId::Ndb { .. } | PeerId::Entry { .. },
                Message::Feed(FeedMessage::CountElections { is_able }),
            ) => {
                self.hastes.set_counts(link, *is_able);
                if let Some(linked) = self.links.get(link).filter(|_| !*is_able) {
                    linked.sender.flush();
                }
            }
            (PeerId::Entry { .. }, Message::Feed(FeedMessage::AskReached { request })) => {
                // What owners were forgotten with is at or below the trimmed part.
                let stamp = self.orderer.reached().max(self.trimmed_to());
                self.out
                    .push((link, Message::Feed(FeedMessage::Reached { request: *request, stamp })));
            }
            (PeerId::Entry { .. }, Message::Feed(FeedMessage::AskHeard { request, owner })) => {
                let said = self.hearing.answer(*request, *owner, self.turn_at.into_std());
                self.out.extend(said.map(|said| (link, Message::Feed(said))));
            }
            _ => return false,
        }
        true
    }

    /// Sends what this turn has said, in one go for each link. A link that is gone has said so.
    /// Whether there was anything.
    fn deliver(&mut self) -> bool {
        let Self { out, hastes, orderer, links, .. } = self;
        let mut by_link: BTreeMap<LinkId, Vec<(Message, Haste)>> = BTreeMap::new();
        for (link, message) in out.drain(..) {
            let haste = match links.get(link).map(|linked| linked.peer) {
                Some(PeerId::Sync { id, .. }) => {
                    haste::of_vote(&message, |owner, ballot| orderer.gathers(id, owner, ballot))
                }
                _ => hastes.of(link, &message, |owner| orderer.is_reserve_of(owner)),
            };
            by_link.entry(link).or_default().push((message, haste));
        }
        let is_any = !by_link.is_empty();
        for (link, messages) in by_link {
            if let Some(linked) = self.links.get(link) {
                let _down_follows = linked.sender.send_all(messages);
            }
        }
        is_any
    }

    fn refuse(&self, link: LinkId, message: &str) {
        self.metrics.refused_messages.increment(1);
        let peer = self.links.get(link).map(|linked| linked.name.as_str());
        tracing::warn!(peer, message, "message is not for a sync node");
    }

    fn tell_metrics(&self) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; these are small")]
        {
            self.metrics.pending.set(self.orderer.pending_segments() as f64);
            self.metrics.watermark.set(self.feeds.told().wall_time().0 as f64 / 1e3);
            self.metrics.feeds.set(self.feeds.followers() as f64);
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
