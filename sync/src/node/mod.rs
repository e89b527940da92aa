//! The driver of a sync node: I/O into inputs, effects into I/O.
//!
//! One loop: drain the inbox, step everything, commit all writes in one LMDB transaction, then
//! send. Nothing leaves before the commit it depends on (DESIGN §4), and what waits during a
//! commit shares the next: that is the group commit. The loop blocks its thread while it commits,
//! so a node has a runtime of its own, on one thread.

mod peers;
mod retention;
mod standing;
mod status;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use vixen_common::dirlock::{DirLock, DirLockError};
use vixen_common::id::{NdbId, OwnerId, SegmentId, Seq, Stamp, StoreId, SyncId};
use vixen_common::link::{INBOX_FRAMES_MAX, Inbox, LinkEvent, LinkId, LinkSender};
use vixen_common::segment::Elected;
use vixen_common::time::WallTime;
use vixen_common::wire::{DraftAnswer, Message, PeerId};

use crate::feed::Feeds;
use crate::metrics::Metrics;
use crate::store::{Beside, Retention, Store, StoreError};
use crate::vote::{Effects, Input, OwnerRow, VoteOptions, Votes, Write};
use retention::Applied;
use standing::Standings;

pub(crate) use standing::Standing;

/// Rows that nothing sent depends on wait at most this long for a commit that is needed anyway.
const LAZY_WRITE: Duration = Duration::from_millis(200);
/// More elections than this do not wait.
const ELECTIONS_MAX: usize = 4_096;
/// Pause between looks at segments that have been pending for long.
const RETRY: Duration = Duration::from_secs(1);
/// A loop that comes this late to what was due has been paused, or its disk or machine is slow.
const STALL: Duration = Duration::from_millis(200);
/// How long a node stands aside then: it has to read what came meanwhile, and others need not wait.
const STALLED_ASIDE: Duration = Duration::from_millis(200);
/// Elections that took longer are worth a line of a debugging log.
const SLOW_MS: u64 = 100;
/// Pause between reads of the store for followers whose links were full.
const READ_ON: Duration = Duration::from_millis(2);
/// Rows of the store sent to a peer in one go while it catches up.
const CATCH_UP_BATCH: usize = 4_096;
/// Elections that one commit looks at for forgetting.
const FORGET_ROWS_MAX: usize = 2_048;
/// Pause between looks for owners that are idle, in a node that is not.
const EXPIRE_OWNERS: Duration = Duration::from_secs(600);

/// Readiness before the first look at the links.
const STARTING: &str = "starting";

/// How a sync node runs.
#[derive(Clone, Debug)]
pub struct SyncOptions {
    /// This node; its lane.
    pub id: SyncId,
    /// Its name in the configuration, for people.
    pub name: String,
    /// All sync nodes, this one included.
    pub members: Vec<SyncId>,
    /// W: ndb nodes of one group that must have a segment on disk.
    pub write_quorum: u8,
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
        peer: SyncId,
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
    ready: Arc<Mutex<Result<(), String>>>,
}

impl SyncHandle {
    /// Whether the node can take part in a quorum; else what it waits for.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn ready(&self) -> Result<(), String> {
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

struct Peer {
    link: LinkId,
    store: StoreId,
    sender: LinkSender,
    /// Its standing was taken: its messages count.
    is_taken: bool,
    /// It has taken this node's standing.
    has_taken: bool,
    /// Commits of this node that it was told.
    told_commits: u64,
    /// Up to where it was told each owner's elections on this link: never twice.
    caught_up: BTreeMap<OwnerId, Seq>,
}

/// One sync node.
pub struct SyncNode {
    options: SyncOptions,
    store: Store,
    _lock: DirLock,
    votes: Votes,
    inbox: mpsc::Receiver<SyncEvent>,
    handle: SyncHandle,
    peers: BTreeMap<SyncId, Peer>,
    last_down: BTreeMap<SyncId, String>,
    links: BTreeMap<LinkId, (PeerId, LinkSender)>,
    feeds: Feeds,
    /// Random number of this process.
    run: u64,
    standings: Standings,
    /// Enough peers have taken this node's standing: its promises stand.
    has_joined: bool,
    refused: Option<SyncError>,
    /// Peers do not wait for this node: W ndb nodes of no group are linked, or it stalled.
    is_aside: bool,
    stalled_until: Option<Instant>,
    /// Drafts asked for while this node was stalled: most are elected by now, and it reads so first.
    deferred: Vec<Input>,
    applied: Applied,
    /// A peer has forgotten elections up to here, and this is not on disk yet.
    trimmed_by_peer: Option<Stamp>,
    owners_expired_at: Instant,
    /// Vote rows that nothing sent depends on; they go with the next commit.
    unwritten: Vec<Write>,
    /// Elections that are not in the store, oldest first. They touch more of the store than votes
    /// do, so they go together, after a while; a segment's vote row is always written before. What
    /// is settled about owners goes with them.
    elections: Vec<Write>,
    unwritten_since: Option<Instant>,
    retry_at: Option<Instant>,
    told: Stamp,
    metrics: Metrics,
}

impl SyncNode {
    /// Takes the directory, opens the store and recovers the vote. Blocking.
    ///
    /// # Errors
    /// When the directory is taken or the store is unusable.
    pub fn open(options: SyncOptions) -> Result<Self, SyncError> {
        let lock = DirLock::take(&options.dir)?;
        let mut store = Store::open(&options.dir, options.store_bytes_max, options.fsync)?;
        // Each start counts as a commit: see `standing`.
        store.commit([], Beside::default(), None)?;
        let mut members = options.members.clone();
        members.sort_unstable();
        let vote = VoteOptions {
            id: options.id,
            members,
            write_quorum: options.write_quorum,
            clock_ahead_max_ms: u64::try_from(options.clock_ahead_max.as_millis())
                .unwrap_or(u64::MAX),
        };
        let votes = Votes::new(vote, store.recover()?);
        let metrics = Metrics::new(&options.members);
        let (sender, inbox) = mpsc::channel(INBOX_FRAMES_MAX);
        let ready = Arc::new(Mutex::new(Err(STARTING.to_owned())));
        let node = Self {
            options,
            _lock: lock,
            feeds: Feeds::new(votes.clock()),
            run: uuid::Uuid::now_v7().as_u64_pair().1,
            standings: Standings::new(store.standings()?),
            has_joined: votes.has_quorum(),
            refused: None,
            is_aside: true,
            stalled_until: None,
            deferred: Vec::new(),
            applied: Applied::default(),
            trimmed_by_peer: None,
            owners_expired_at: Instant::now(),
            store,
            votes,
            inbox,
            handle: SyncHandle { inbox: sender, ready },
            peers: BTreeMap::new(),
            last_down: BTreeMap::new(),
            links: BTreeMap::new(),
            unwritten: Vec::new(),
            elections: Vec::new(),
            unwritten_since: None,
            retry_at: None,
            told: Stamp::ZERO,
            metrics,
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
            node = self.options.name,
            store = %self.store_id(),
            pending = self.votes.pending_segments(),
            "sync node runs"
        );
        let mut fx = Effects::default();
        let aside = Input::PeerAside { peer: self.options.id, is_aside: true };
        self.votes.step(WallTime::now(), aside, &mut fx);
        self.settle(WallTime::now(), fx, false)?;
        let mut events = Vec::with_capacity(INBOX_FRAMES_MAX);
        loop {
            let due = self.next_timer();
            tokio::select! {
                biased;
                _taken = self.inbox.recv_many(&mut events, INBOX_FRAMES_MAX) => {}
                () = sleep_until(due), if due.is_some() => {}
            }
            let now = WallTime::now();
            let mut fx = Effects::default();
            self.note_stall(due, now, &mut fx);
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
            self.settle(now, fx, stop)?;
            if let Some(refused) = self.refused.take() {
                return Err(refused);
            }
            if stop {
                tracing::info!(node = self.options.name, "sync node stopped");
                return Ok(());
            }
        }
    }

    fn next_timer(&self) -> Option<Instant> {
        let unwritten = self.unwritten_since.map(|since| since + LAZY_WRITE);
        let hedge = self.votes.due_in_ms(WallTime::now()).filter(|_| !self.is_stalled());
        let hedge = hedge.map(|millis| Instant::now() + Duration::from_millis(millis));
        let reading = self.feeds.is_reading().then(|| Instant::now() + READ_ON);
        let timers =
            [unwritten, hedge, self.feeds.due_at(), self.retry_at, reading, self.stalled_until];
        timers.into_iter().flatten().min()
    }

    /// Stands aside for a while when the loop comes very late to what was due.
    fn note_stall(&mut self, due: Option<Instant>, wall: WallTime, fx: &mut Effects) {
        let now = Instant::now();
        if due.is_some_and(|due| now > due + STALL) {
            self.metrics.stalls.increment(1);
            self.stalled_until = Some(now + STALLED_ASIDE);
            self.tell_aside(wall, fx);
        } else if self.stalled_until.is_some_and(|until| until <= now) {
            self.stalled_until = None;
            self.tell_aside(wall, fx);
            for input in std::mem::take(&mut self.deferred) {
                self.votes.step(wall, input, fx);
            }
        }
    }

    const fn is_stalled(&self) -> bool {
        self.stalled_until.is_some()
    }

    fn on_timers(&mut self, now: WallTime, fx: &mut Effects) {
        let clock = Instant::now();
        while let Some(segment) = self.votes.overdue(now).filter(|_| !self.is_stalled()) {
            self.votes.step(now, Input::Overdue { segment }, fx);
        }
        if self.votes.pending_segments() == 0 {
            if self.retry_at.take().is_some() {
                self.metrics.waiting(&self.votes.waiting());
            }
        } else if self.retry_at.is_some_and(|at| at <= clock) {
            self.votes.step(now, Input::Retry, fx);
            self.retry_at = Some(clock + RETRY);
            self.metrics.waiting(&self.votes.waiting());
        } else if self.retry_at.is_none() {
            self.retry_at = Some(clock + RETRY);
        }
        if self.owners_expired_at.elapsed() >= EXPIRE_OWNERS {
            self.owners_expired_at = clock;
            let linked = self.links.values().filter_map(|(peer, _)| match peer {
                PeerId::Entry { owner } => Some(*owner),
                PeerId::Sync { .. } | PeerId::Ndb { .. } => None,
            });
            let keep = linked.collect();
            self.votes.step(now, Input::ExpireOwners { keep }, fx);
        }
    }

    fn on_link(&mut self, now: WallTime, event: LinkEvent, fx: &mut Effects) {
        match event {
            LinkEvent::Up { link, peer, sender } => {
                self.links.insert(link, (peer, sender.clone()));
                match peer {
                    PeerId::Sync { id, store } => {
                        self.on_peer_link(now, link, id, store, sender, fx);
                    }
                    PeerId::Ndb { .. } => self.tell_aside(now, fx),
                    PeerId::Entry { .. } => {}
                }
            }
            LinkEvent::Messages { link, peer, messages } => {
                self.metrics.messages_received.increment(messages.len() as u64);
                for message in messages {
                    self.on_message(now, link, peer, message, fx);
                }
            }
            LinkEvent::Down { link, peer, reason } => {
                self.links.remove(&link);
                self.feeds.remove(link);
                tracing::info!(%peer, reason, "link down");
                self.tell_aside(now, fx);
                if let PeerId::Sync { id, .. } = peer {
                    self.last_down.insert(id, reason);
                    // A newer link of the same peer may be up already.
                    if self.peers.get(&id).is_some_and(|peer| peer.link == link) {
                        self.drop_peer(now, id, fx);
                    }
                    self.tell_readiness();
                }
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
        let input = match (peer, message) {
            (PeerId::Ndb { id: from, .. }, Message::GenerateDraft { meta }) => {
                let input = Input::GenerateDraft { from, meta };
                if self.is_stalled() {
                    self.deferred.push(input);
                    return;
                }
                input
            }
            (PeerId::Ndb { id, .. }, Message::OrderApplied { stamp }) => {
                self.applied.note(id, stamp);
                return;
            }
            (PeerId::Ndb { .. } | PeerId::Entry { .. }, Message::FollowFeed { after }) => {
                if let Some((_, sender)) = self.links.get(&link) {
                    let trimmed_to = self.trimmed_to();
                    self.feeds.follow(link, peer, sender.clone(), after, trimmed_to);
                }
                return;
            }
            (
                PeerId::Sync { .. },
                Message::OwnerSettled { owner, contiguous, stamp, trimmed_to },
            ) => {
                if trimmed_to > self.trimmed_to() {
                    self.trimmed_by_peer = Some(trimmed_to);
                }
                Input::OwnerSettled { owner, row: OwnerRow { contiguous, stamp } }
            }
            (
                PeerId::Sync { id: from, .. },
                Message::PickChallenger { meta, ballot, draft, group, accepted },
            ) => Input::PickChallenger { from, meta, ballot, draft, group, accepted },
            (PeerId::Sync { id: from, .. }, Message::ElectSegment { proposal }) => {
                Input::ElectSegment { from, proposal }
            }
            (PeerId::Sync { id: from, .. }, Message::Vote { proposal }) => {
                Input::Vote { from, proposal }
            }
            (PeerId::Sync { id: from, .. }, Message::Prepare { meta, ballot }) => {
                Input::Prepare { from, meta, ballot }
            }
            (PeerId::Sync { id: from, .. }, Message::Reject { segment, promised }) => {
                Input::Reject { from, segment, promised }
            }
            (PeerId::Sync { .. }, Message::AdvanceSegmentResolved { elected }) => {
                Input::Resolved { elected }
            }
            (PeerId::Sync { id: from, .. }, Message::SyncDigest { owners }) => {
                Input::Digest { from, owners }
            }
            (_, other) => {
                self.metrics.refused_messages.increment(1);
                tracing::warn!(%peer, message = other.name(), "message is not for a sync node");
                return;
            }
        };
        self.votes.step(now, input, fx);
    }

    /// Does what the steps owe, in the order the vote asks for.
    fn settle(&mut self, wall: WallTime, fx: Effects, stop: bool) -> Result<(), SyncError> {
        for drop in &fx.dropped {
            self.metrics.dropped(*drop);
        }
        let is_overdue = self.unwritten_since.is_some_and(|since| since.elapsed() >= LAZY_WRITE);
        let all = is_overdue || stop || self.elections.len() >= ELECTIONS_MAX;
        if !fx.writes.is_empty() {
            self.unwritten.extend_from_slice(&fx.writes);
            self.unwritten_since.get_or_insert_with(Instant::now);
        }
        self.metrics.ballots_started.increment(fx.ballots_started);
        for (segment, waited_ms) in &fx.waited {
            self.metrics.election_seconds.record(Duration::from_millis(*waited_ms).as_secs_f64());
            if *waited_ms >= SLOW_MS {
                tracing::debug!(%segment, waited_ms, "slow election");
            }
        }
        if all || is_awaited(&fx) || self.trimmed_by_peer.is_some() {
            self.commit(wall, all)?;
        }
        if fx.ends_feeds {
            self.feeds.trim(self.trimmed_to());
        }
        for (to, message) in fx.sends {
            self.tell_peer(to, message);
        }
        for (to, segment, answer) in fx.answers {
            self.answer(to, segment, answer)?;
        }
        let now = Instant::now();
        for (elected, owner) in fx.elected {
            self.feeds.publish(elected, !self.votes.is_reserve_of(elected.meta.id.owner), now);
            self.metrics.elected.increment(1);
            self.elections.push(Write::Elected(elected, owner));
            self.unwritten_since.get_or_insert_with(Instant::now);
        }
        if !fx.later.is_empty() {
            self.elections.extend(fx.later);
            self.unwritten_since.get_or_insert_with(Instant::now);
        }
        for (to, owner, after) in fx.catch_ups {
            self.catch_up(to, owner, after)?;
        }
        if self.feeds.is_reading() {
            self.feeds.read_on(&self.store, elected_of(&self.elections))?;
        }
        let watermark = self.votes.watermark().filter(|_| self.has_joined);
        if let Some(watermark) = watermark {
            assert!(watermark >= self.told, "V3: the watermark never falls");
            self.told = watermark;
        }
        self.feeds.tell(watermark, now);
        self.tell_metrics();
        Ok(())
    }

    /// Commits the votes that wait, and `all`: the elections after them, and what may be forgotten.
    fn commit(&mut self, wall: WallTime, all: bool) -> Result<(), StoreError> {
        if all {
            self.unwritten.append(&mut self.elections);
            self.unwritten_since = None;
        }
        let mut beside = Beside { standings: Vec::new(), trimmed_to: self.trimmed_by_peer.take() };
        if self.unwritten.is_empty() && beside.trimmed_to.is_none() {
            return Ok(());
        }
        let begun = Instant::now();
        let rows = self.unwritten.len();
        let floors = self.applied.floors(self.options.write_quorum);
        let votes = &self.votes;
        let may_go = |elected: &Elected| {
            let owner = votes.owner_row(elected.meta.id.owner);
            floors.get(&elected.challenger.group).is_some_and(|floor| elected.stamp() <= *floor)
                // An owner that was dropped has been elected to its end.
                && owner.is_none_or(|row| elected.meta.id.seq <= row.contiguous)
        };
        let retention = Retention {
            upto: Stamp::before(wall.minus(self.options.feed_retention)),
            may_go: &may_go,
            rows_max: FORGET_ROWS_MAX,
        };
        if all {
            beside.standings = self.standings.take_unwritten();
        }
        self.store.commit(self.unwritten.drain(..), beside, all.then_some(retention))?;
        self.metrics.commits.increment(1);
        self.metrics.commit_rows.increment(rows as u64);
        self.metrics.commit_seconds.record(begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Elections up to here may be forgotten here.
    fn trimmed_to(&self) -> Stamp {
        self.store.trimmed_to().max(self.trimmed_by_peer.unwrap_or_default())
    }

    /// Sends to a peer whose standing was taken; before what depends on a commit, the standing of
    /// this node.
    fn tell_peer(&mut self, to: SyncId, message: Message) {
        let Some(peer) = self.peers.get_mut(&to).filter(|peer| peer.is_taken) else { return };
        let commits = self.store.commits();
        if peer.told_commits < commits {
            peer.told_commits = commits;
            let _down_follows = peer.sender.send(Message::SyncStanding { run: self.run, commits });
        }
        let _down_follows = peer.sender.send(message);
    }

    /// Answers an ndb node that seems to have missed an election.
    fn answer(&self, to: NdbId, segment: SegmentId, answer: DraftAnswer) -> Result<(), StoreError> {
        let before = segment.seq.before();
        let stored = self.store.elected_of(segment.owner, before, 1)?;
        let known = stored.into_iter().chain(elected_of(&self.elections));
        let message = match known.into_iter().find(|elected| elected.meta.id == segment) {
            Some(elected) => Message::AdvanceSegmentResolved { elected },
            None => Message::DraftAnswered { segment, answer },
        };
        for (peer, sender) in self.links.values() {
            if matches!(peer, PeerId::Ndb { id, .. } if *id == to) {
                let _down_follows = sender.send(message.clone());
            }
        }
        Ok(())
    }

    /// Sends a peer everything of an owner beyond `after` that it was not sent on this link: the
    /// elections that are still known, and where there is a gap before them, that all up to it are
    /// settled.
    fn catch_up(&mut self, to: SyncId, owner: OwnerId, after: Seq) -> Result<(), StoreError> {
        let Some(peer) = self.peers.get(&to) else { return Ok(()) };
        let after = peer.caught_up.get(&owner).copied().unwrap_or_default().max(after);
        let mut read_to = after;
        let mut first: Option<Elected> = None;
        loop {
            let batch = self.store.elected_of(owner, read_to, CATCH_UP_BATCH)?;
            let Some(last) = batch.last().map(|elected| elected.meta.id.seq) else { break };
            read_to = last;
            for elected in batch {
                first.get_or_insert(elected);
                self.tell_peer(to, Message::AdvanceSegmentResolved { elected });
            }
        }
        let unwritten: Vec<_> = elected_of(&self.elections)
            .filter(|e| e.meta.id.owner == owner && e.meta.id.seq > after)
            .collect();
        for elected in unwritten {
            if first.is_none_or(|first| elected.meta.id.seq < first.meta.id.seq) {
                first = Some(elected);
            }
            self.tell_peer(to, Message::AdvanceSegmentResolved { elected });
        }
        let row = self.votes.owner_row(owner).unwrap_or_default();
        if let Some(OwnerRow { contiguous, stamp }) = forgotten(after, first, row) {
            let trimmed_to = self.trimmed_to();
            self.tell_peer(to, Message::OwnerSettled { owner, contiguous, stamp, trimmed_to });
        }
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.caught_up.insert(owner, row.contiguous.max(after));
        }
        Ok(())
    }

    fn tell_readiness(&self) {
        let needed = self.options.members.len() / 2 + 1;
        let up = self.peers_taken() + 1;
        let ready = if up >= needed {
            Ok(())
        } else {
            let missing = self
                .options
                .members
                .iter()
                .filter(|id| **id != self.options.id && !self.has_taken(**id));
            let missing: Vec<_> = missing.map(ToString::to_string).collect();
            Err(format!("{up} of {needed} sync nodes; no link to {}", missing.join(", ")))
        };
        let mut told = self.handle.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != ready {
            match &ready {
                Ok(()) => tracing::info!(up, needed, "sync quorum is up"),
                // At a start that is only the first word, not a change for the worse.
                Err(reason) if told.as_ref().is_err_and(|before| before == STARTING) => {
                    tracing::info!(reason, "no sync quorum yet");
                }
                Err(reason) => tracing::warn!(reason, "no sync quorum"),
            }
            *told = ready;
        }
    }

    fn tell_metrics(&self) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; these are small")]
        {
            self.metrics.pending.set(self.votes.pending_segments() as f64);
            self.metrics.watermark.set(self.told.wall_time().0 as f64 / 1e3);
            self.metrics.feeds.set(self.feeds.len() as f64);
        }
    }
}

/// Whether something that leaves depends on the writes of these steps. A draft of the home itself
/// goes to nobody: it may ride with the proposal that follows it. A ceiling is awaited by the
/// watermark, an election by the feeds if this node's own vote is in it.
fn is_awaited(fx: &Effects) -> bool {
    let has_ceiling = fx.writes.iter().any(|write| matches!(write, Write::Ceiling(_)));
    let leaves = !fx.sends.is_empty() || !fx.elected.is_empty();
    has_ceiling || (leaves && !fx.writes.is_empty())
}

/// What of an owner's elections beyond `after` is forgotten: up to the `first` that is remembered,
/// never more, since what is remembered must reach the peer's feeds, and not beyond a gap. Its
/// stamp is an upper bound then; the one after it is elected, so nothing is proposed above it.
fn forgotten(after: Seq, first: Option<Elected>, row: OwnerRow) -> Option<OwnerRow> {
    let row = match first {
        Some(first) => {
            OwnerRow { contiguous: first.meta.id.seq.before(), stamp: first.stamp().just_below() }
        }
        None => row,
    };
    (row.contiguous > after).then_some(row)
}

/// The elections among rows that wait.
fn elected_of(unwritten: &[Write]) -> impl Iterator<Item = Elected> + Clone {
    unwritten.iter().filter_map(|write| match write {
        Write::Elected(elected, _) => Some(*elected),
        _ => None,
    })
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
