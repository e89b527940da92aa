//! The driver of an ndb node: I/O into inputs, effects into I/O.
//!
//! One loop: drain the inbox, step everything, hand the writes to the writer thread in one batch,
//! then answer. TRIM does not wait for the disk, so the loop must not either: commits come back as
//! events, and only then GENERATE_DRAFT leaves. Rows of the order ride with the next segments, or
//! go by themselves after a short while: they can be had again from the feeds.

mod audit;
mod awaited;
mod blobs;
mod care;
mod disk_wait;
mod fetch;
mod history;
mod links;
mod order;
mod progress;
mod readiness;
mod receive;
mod retaining;
mod scrub;
mod status;
mod unwritten;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use vixen_core::id::{NdbId, SegmentId, Stamp, StoreId, SyncId};
use vixen_core::membership::Membership;
use vixen_core::name::NodeName;
use vixen_core::order::Reader;
use vixen_core::roster::Roster;
use vixen_core::skew::Skew;
use vixen_core::wire::{Message, NdbStanding, Nowhere};
use vixen_runtime::clock::wall_time;
use vixen_runtime::dirlock::{DirLock, DirLockError};
use vixen_runtime::disk::Room;
use vixen_runtime::link::{INBOX_FRAMES_MAX, Inbox, LinkEvent, LinkId, Links};
use vixen_runtime::telemetry::Readiness;

use crate::metrics::Metrics;
use crate::store::{Committed, Job, StartError, Store, StoreError, StoreOptions, Writer};
use crate::tail::{Change, TailHandle, TailLog, Trouble, TroubleReport};
use audit::Audit;
use awaited::Awaited;
use care::Care;
use disk_wait::DiskWait;
use fetch::Fetching;
use progress::Progress;
use retaining::Retaining;
use unwritten::Unwritten;
use vixen_replica::{Body, Effects, Input, Replica, ReplicaOptions};

/// The inbox is not read while the writer has more than this before it.
const WRITER_BYTES_MAX: usize = 64 << 20;
/// Bytes of incomplete segments, as a multiple of the largest segment.
const INCOMING_SEGMENTS: usize = 64;

/// How an ndb node runs.
#[derive(Clone, Debug)]
pub struct NdbOptions {
    /// This node: its group and its place in it.
    pub id: NdbId,
    /// Its name in the configuration, for people.
    pub name: NodeName,
    /// What the others are called.
    pub roster: Roster,
    /// Who votes, and who stores: this node included.
    pub membership: Membership,
    /// Its data directory.
    pub dir: PathBuf,
    /// Whether commits are durable before drafts are asked for.
    pub fsync: bool,
    /// Bound of the sparse LMDB map of one day.
    pub store_bytes_max: u64,
    /// A day that ended longer ago is dropped; `None`: no day is too old.
    pub retention_age: Option<Duration>,
    /// The oldest days are dropped while the store takes more; `None`: it may take any size.
    pub retention_bytes: Option<u64>,
    /// With less free on the disk no new segments are taken.
    pub disk_reserve: u64,
    /// Within this time everything stored is read and verified.
    pub scrub_period: Duration,
    /// Bytes of recent segments kept for live tails.
    pub tail_cache_bytes_max: usize,
    /// Largest segment taken.
    pub segment_bytes_max: usize,
}

/// Everything that reaches an ndb node.
#[derive(Debug)]
pub enum NdbEvent {
    /// From its links.
    Link(LinkEvent),
    /// Answer with the status page.
    Status(oneshot::Sender<serde_json::Value>),
    /// Finish: commit what waits and end.
    Stop,
}

impl From<LinkEvent> for NdbEvent {
    fn from(event: LinkEvent) -> Self {
        Self::Link(event)
    }
}

/// Why an ndb node cannot start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum NdbError {
    /// The data directory is not to be had.
    #[error(transparent)]
    Lock(#[from] DirLockError),
    /// The store failed; after a failed commit nothing is certain but what is on disk.
    #[error("the store of segments failed")]
    Store(#[from] StoreError),
    /// The writer cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The writer ended without a word.
    #[error("the writer thread has ended")]
    WriterGone,
}

/// A look at a running node from outside. Cheap to clone.
#[derive(Clone, Debug)]
pub struct NdbHandle {
    inbox: Inbox<NdbEvent>,
    ready: Arc<Mutex<Readiness>>,
}

impl NdbHandle {
    /// Whether the node follows a majority of feeds; else what it waits for.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn ready(&self) -> Result<(), String> {
        self.readiness().check()
    }

    /// Whether it does, and what it misses.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The status page; `null` while the node stops.
    pub async fn status(&self) -> serde_json::Value {
        let (answer, answered) = oneshot::channel();
        if self.inbox.send(NdbEvent::Status(answer)).await.is_err() {
            return serde_json::Value::Null;
        }
        answered.await.unwrap_or_default()
    }
}

/// One ndb node.
pub struct NdbNode {
    options: NdbOptions,
    store: Arc<Store>,
    _lock: DirLock,
    replica: Replica,
    reader: Reader,
    log: Arc<TailLog>,
    writer: Writer,
    reports: mpsc::UnboundedReceiver<Result<Committed, StoreError>>,
    trouble: TroubleReport,
    troubles: mpsc::UnboundedReceiver<Trouble>,
    scrub: scrub::SharedProgress,
    audit: Audit,
    /// Nothing from this position on is given out.
    trusted_to: Arc<AtomicU64>,
    care: Care,
    retaining: Retaining,
    progress: Progress,
    /// Segments that were missing and came, since the start.
    fetched_total: u64,
    room: Room,
    /// Placed segments that no node of the group has.
    nowhere: Nowhere,
    disk_wait: DiskWait,
    standing: NdbStanding,
    inbox: mpsc::Receiver<NdbEvent>,
    handle: NdbHandle,
    links: Links,
    /// Whose stamps are left out.
    skew: Skew,
    awaited: Awaited,
    /// Why the last link to a sync or ndb node ended.
    last_down: BTreeMap<NodeName, String>,
    tails: BTreeMap<LinkId, TailHandle>,
    /// Parts of an interest whose end has not come.
    parts: BTreeMap<LinkId, Change>,
    fetching: Fetching,
    /// Stamp of the last row of the order that is on disk.
    applied: Stamp,
    /// Pending segments whose owner sync nodes have forgotten, and which have.
    expired: BTreeMap<SegmentId, BTreeSet<SyncId>>,
    /// Not yet handed to the writer.
    unwritten: Unwritten,
    writing_bytes: usize,
    writing_rows: usize,
    /// Jobs that mend, at the writer and not yet on disk.
    mending: usize,
    metrics: Metrics,
}

impl NdbNode {
    /// Takes the directory, opens the store and recovers the replica. Blocking.
    ///
    /// # Errors
    /// When the directory is taken or the store is unusable.
    pub fn open(options: NdbOptions) -> Result<Self, NdbError> {
        let lock = DirLock::take(&options.dir)?;
        let of_store = StoreOptions {
            group: options.id.group,
            bytes_max: options.store_bytes_max,
            fsync: options.fsync,
        };
        let store = Arc::new(Store::open(&options.dir, of_store, wall_time())?);
        let recovered = store.recover()?;
        let (writer, reports) = Writer::start(Arc::clone(&store))?;
        let log =
            TailLog::new(recovered.head_next, recovered.head_stamp, options.tail_cache_bytes_max);
        let replica = ReplicaOptions {
            group: options.id.group,
            segment_bytes_max: options.segment_bytes_max,
            incoming_bytes_max: options.segment_bytes_max.saturating_mul(INCOMING_SEGMENTS),
        };
        let (applied, next) = (recovered.head_stamp, recovered.head_next);
        let reader = Reader::new(&options.membership, applied, next);
        let replica = Replica::new(replica, recovered);
        let mut fetching = Fetching::default();
        replica.missing().keys().for_each(|segment| fetching.want(*segment, Instant::now()));
        let retaining = Retaining::new(options.membership.group_majority(options.id.group));
        let unwritten = Unwritten::new(options.id, options.membership.clone());
        let (sender, inbox) = mpsc::channel(INBOX_FRAMES_MAX);
        let (trouble, troubles) = mpsc::unbounded_channel();
        let ready = Arc::new(Mutex::new(Readiness::starting()));
        let links =
            Links::new(options.name.clone(), options.roster.clone(), Instant::now().into_std());
        let room = Room::new(options.dir.clone(), options.disk_reserve);
        let mut node = Self {
            options,
            skew: Skew::default(),
            store,
            _lock: lock,
            replica,
            reader,
            log: Arc::new(log),
            writer,
            reports,
            trouble,
            troubles,
            scrub: scrub::SharedProgress::default(),
            audit: Audit::default(),
            trusted_to: Arc::new(AtomicU64::new(u64::MAX)),
            care: Care::new(Instant::now()),
            retaining,
            progress: Progress::default(),
            fetched_total: 0,
            room,
            nowhere: Nowhere::default(),
            disk_wait: DiskWait::default(),
            standing: NdbStanding::NoFeeds,
            inbox,
            handle: NdbHandle { inbox: sender, ready },
            links,
            awaited: Awaited::default(),
            last_down: BTreeMap::new(),
            tails: BTreeMap::new(),
            parts: BTreeMap::new(),
            fetching,
            applied,
            expired: BTreeMap::new(),
            unwritten,
            writing_bytes: 0,
            writing_rows: 0,
            mending: 0,
            metrics: Metrics::new(),
        };
        node.tell_readiness();
        Ok(node)
    }

    /// The id of its store.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.store.store_id()
    }

    /// Where links and others put events for it.
    #[must_use]
    pub fn inbox(&self) -> Inbox<NdbEvent> {
        self.handle.inbox.clone()
    }

    /// A look at it from outside.
    #[must_use]
    pub fn handle(&self) -> NdbHandle {
        self.handle.clone()
    }

    /// Runs until `Stop`.
    ///
    /// # Errors
    /// When the store fails; the process must then end, and recover from what is on disk.
    pub async fn run(mut self) -> Result<(), NdbError> {
        tracing::info!(
            node = %self.options.name,
            store = %self.store_id(),
            position = %self.reader.next_position(),
            pending = self.replica.pending_count(),
            "ndb node runs"
        );
        tokio::spawn(scrub::run(
            Arc::clone(&self.store),
            self.options.scrub_period,
            self.trouble.clone(),
            Arc::clone(&self.scrub),
        ));
        let mut events = Vec::with_capacity(INBOX_FRAMES_MAX);
        loop {
            let due = self.next_timer();
            let has_room = self.writing_bytes < WRITER_BYTES_MAX;
            if !has_room {
                // What peers say waits in the inbox.
                self.links.forgive(Instant::now().into_std());
            }
            let mut fx = Effects::default();
            tokio::select! {
                biased;
                report = self.reports.recv() => {
                    self.on_report(report.ok_or(NdbError::WriterGone)??, &mut fx)?;
                }
                Some(trouble) = self.troubles.recv() => self.on_trouble(trouble, &mut fx)?,
                _taken = self.inbox.recv_many(&mut events, INBOX_FRAMES_MAX), if has_room => {}
                () = tokio::time::sleep_until(due) => {}
            }
            if self.links.stalled(Instant::now().into_std()).is_some() {
                self.metrics.stalls.increment(1);
            }
            let mut stop = false;
            for event in events.drain(..) {
                match event {
                    NdbEvent::Link(event) => self.on_link(event, &mut fx)?,
                    NdbEvent::Status(answer) => {
                        let _asker_left = answer.send(self.status());
                    }
                    NdbEvent::Stop => stop = true,
                }
            }
            self.note_silence(&mut fx);
            self.order_due(&mut fx);
            let news = self.disk_wait.look(Instant::now());
            self.tell_disk(news);
            self.settle(fx, stop)?;
            self.fetch_due();
            self.care()?;
            if stop {
                return self.finish().await;
            }
        }
    }

    async fn finish(self) -> Result<(), NdbError> {
        let (writer, mut reports) = (self.writer, self.reports);
        let finished = tokio::task::spawn_blocking(move || writer.finish()).await;
        finished.map_err(|_panicked| NdbError::WriterGone)?;
        while let Ok(report) = reports.try_recv() {
            report?;
        }
        tracing::info!(node = %self.options.name, "ndb node stopped");
        Ok(())
    }

    fn next_timer(&self) -> Instant {
        let fetching = self.fetching.due_at().filter(|_| self.may_fetch());
        let beat = Some(Instant::from_std(self.links.due_at()));
        let disk = self.disk_wait.due_at();
        let due = [self.unwritten.due_at(), fetching, self.order_due_at(), beat, disk];
        due.into_iter().flatten().fold(self.care.due_at(), Instant::min)
    }

    fn on_report(&mut self, committed: Committed, fx: &mut Effects) -> Result<(), NdbError> {
        let news = self.disk_wait.answered(committed.batches, Instant::now());
        self.tell_disk(news);
        self.metrics.commits.increment(1);
        self.metrics.commit_seconds.record(committed.elapsed.as_secs_f64());
        self.metrics.segments_stored.increment(committed.stored.len() as u64);
        self.metrics.bytes_stored.increment(committed.bytes as u64);
        self.writing_bytes = self.writing_bytes.saturating_sub(committed.bytes);
        self.writing_rows = self.writing_rows.saturating_sub(committed.rows);
        self.mending = self.mending.saturating_sub(committed.mending);
        for segment in committed.stored {
            self.replica.step(Input::Committed { segment }, fx);
        }
        self.metrics.rows_repaired.increment(committed.repaired as u64);
        if let Some(first) = committed.trimmed_to {
            self.on_trimmed_to(first);
        }
        if let Some((stamp, position)) = committed.placed_to {
            self.log.written(position);
            self.tell_applied(stamp);
        } else if committed.filled || committed.repaired > 0 {
            self.log.wake();
        }
        committed.extended.into_iter().try_for_each(|extended| self.on_extended(extended))
    }

    /// Does what the steps owe: writes to the writer first, so that nothing answered is unwritten
    /// for longer than it must.
    fn settle(&mut self, fx: Effects, stop: bool) -> Result<(), NdbError> {
        for refused in &fx.refused {
            self.metrics.refused(*refused);
        }
        self.note_placed(&fx);
        self.write(fx.stores, stop)?;
        if !fx.dropped.is_empty() {
            self.metrics.dropped.increment(fx.dropped.len() as u64);
            fx.dropped.iter().for_each(|segment| {
                self.awaited.take(*segment);
            });
            self.hand_over(fx.dropped.into_iter().map(Job::Drop).collect())?;
        }
        for (owner, message) in fx.answers {
            for sender in self.senders_of(owner) {
                let _down_follows = sender.send(message.clone());
            }
        }
        for meta in fx.drafts {
            if self.awaited.take(meta.id) {
                self.say_durable(meta.id);
            }
            self.tell_sync(&Message::GenerateDraft { meta });
        }
        self.tell_metrics();
        Ok(())
    }

    /// An entry wants to know when a segment is on disk.
    fn on_await_durable(&mut self, segment: SegmentId) {
        if self.replica.is_durable(segment) {
            self.say_durable(segment);
        } else if !self.replica.is_placed(segment) {
            self.awaited.wait_for(segment);
        }
    }

    fn say_durable(&self, segment: SegmentId) {
        for sender in self.senders_of(segment.owner) {
            let _down_follows = sender.send(Message::SegmentDurable { segment });
        }
    }

    fn note_placed(&mut self, fx: &Effects) {
        let now = Instant::now();
        if !fx.placed.is_empty() {
            self.log.push(&fx.placed);
            self.unwritten.add_rows(&fx.placed, now);
        }
        for place in &fx.placed {
            self.metrics.messages_placed.increment(u64::from(place.row.elected.meta.count));
            let segment = place.row.elected.meta.id;
            self.awaited.placed(segment);
            if place.body == Body::Missing {
                self.fetching.want(segment, now);
            } else {
                // It was offered, and is of no use, or came by itself.
                self.fetching.got(segment);
            }
        }
        for segment in &fx.wanted {
            self.fetching.want(*segment, now);
        }
        for segment in &fx.arrived {
            self.fetching.got(*segment);
            self.fetched_total += 1;
            self.metrics.fetched.increment(1);
            let stored = fx.stores.iter().find(|store| store.meta.id == *segment);
            if let Some(store) = stored {
                self.log.arrive(*segment, &store.blob);
            }
        }
    }

    /// Hands what is due to the writer.
    fn write(&mut self, stores: Vec<vixen_replica::Store>, stop: bool) -> Result<(), NdbError> {
        let now = Instant::now();
        self.writing_bytes += stores.iter().map(|store| store.blob.as_bytes().len()).sum::<usize>();
        self.unwritten.add_stores(stores, now);
        let jobs = self.unwritten.take_due(now, stop);
        self.hand_over(jobs)
    }

    /// Hands jobs to the writer.
    fn hand_over(&mut self, jobs: Vec<Job>) -> Result<(), NdbError> {
        if jobs.is_empty() {
            return Ok(());
        }
        self.writing_rows += jobs.iter().filter(|job| matches!(job, Job::Place(_))).count();
        self.mending += jobs.iter().filter(|job| job.is_mending()).count();
        self.disk_wait.handed_over(Instant::now());
        if self.writer.write(jobs) { Ok(()) } else { Err(self.writer_error()) }
    }

    fn writer_error(&mut self) -> NdbError {
        while let Ok(report) = self.reports.try_recv() {
            if let Err(error) = report {
                return error.into();
            }
        }
        NdbError::WriterGone
    }

    fn tell_metrics(&self) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a float; positions are below 2^53"
        )]
        {
            self.metrics.position.set(self.reader.next_position().0 as f64);
            self.metrics.pending.set(self.replica.pending_count() as f64);
            self.metrics.missing.set(self.fetching.len() as f64);
        }
    }
}
