//! The driver of an ndb node: I/O into inputs, effects into I/O. It decides nothing:
//! [`NdbCore`](vixen_replica::NdbCore) does.
//!
//! One loop: drain the inbox, step everything, hand the jobs to the writer thread in one batch, then
//! send. TRIM does not wait for the disk, so the loop must not either: commits come back as events, and
//! what waits for them, GENERATE_DRAFT above all, is an effect of that event.

mod history;
mod links;
mod notes;
mod readiness;
mod receive;
mod scrub;
mod serve;
mod status;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use vixen_core::id::{NdbId, StoreId};
use vixen_core::membership::Membership;
use vixen_core::name::NodeName;
use vixen_core::recording::Now;
use vixen_core::roster::Roster;
use vixen_core::skew::Skew;
use vixen_replica::{
    CORE, Committed, CoreOptions, CoreStart, DiskRoom, Effects, Finding, Input, Job, Look, NdbCore,
    Note, RetentionPolicy,
};
use vixen_runtime::clock::wall_time;
use vixen_runtime::dirlock::{DirLock, DirLockError};
use vixen_runtime::disk::{DISK_LOOK, Room};
use vixen_runtime::link::{Awaited, INBOX_FRAMES_MAX, Inbox, LinkEvent, Links};
use vixen_runtime::recording::Recorder;
use vixen_runtime::telemetry::Readiness;

use crate::metrics::Metrics;
use crate::store::{StartError, Store, StoreError, StoreOptions, Writer};
use crate::tail::{TailContext, TailLog, Tails, Trouble};

/// The inbox is not read while the writer has more than this before it.
const WRITER_BYTES_MAX: usize = 64 << 20;

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
    core: NdbCore,
    recorder: Recorder,
    store: Arc<Store>,
    _lock: DirLock,
    writer: Writer,
    reports: mpsc::UnboundedReceiver<Result<Committed, StoreError>>,
    troubles: mpsc::UnboundedReceiver<Trouble>,
    tails: Tails,
    scrub: scrub::SharedProgress,
    room: Room,
    inbox: mpsc::Receiver<NdbEvent>,
    handle: NdbHandle,
    links: Links,
    awaited: Awaited,
    homes: links::Homes,
    /// Whose stamps are left out.
    skew: Skew,
    /// Why the last link to a sync or ndb node ended.
    last_down: BTreeMap<NodeName, String>,
    metrics: Metrics,
}

impl NdbNode {
    /// Takes the directory, opens the store and recovers what it holds. Blocking.
    ///
    /// # Errors
    /// When the directory is taken or the store is unusable.
    pub fn open(options: NdbOptions) -> Result<Self, NdbError> {
        Self::open_recorded(options, Recorder::off())
    }

    /// The same, and records what its core is given. Blocking.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_recorded(options: NdbOptions, mut recorder: Recorder) -> Result<Self, NdbError> {
        let lock = DirLock::take(&options.dir)?;
        let of_store = StoreOptions {
            group: options.id.group,
            bytes_max: options.store_bytes_max,
            fsync: options.fsync,
            has_peers: options.membership.group(options.id.group).len() > 1,
        };
        let store = Arc::new(Store::open(&options.dir, of_store, wall_time())?);
        let recovered = store.recover()?;
        let (writer, reports) = Writer::start(Arc::clone(&store))?;
        let (metrics, now) = (Metrics::new(), Instant::now());
        let (trouble, troubles) = mpsc::unbounded_channel();
        let of_core = core_options(&options);
        let begun = || Now { wall: wall_time(), instant: now };
        recorder.begin(CORE, begun, || CoreStart {
            options: of_core.clone(),
            recovered: recovered.clone(),
        });
        let head = recovered.head;
        let log = TailLog::new(head.next, head.stamp, options.tail_cache_bytes_max);
        let tails = Tails::new(TailContext {
            log: Arc::new(log),
            store: Arc::clone(&store),
            trouble,
            metrics: metrics.tail.clone(),
        });
        let (sender, inbox) = mpsc::channel(INBOX_FRAMES_MAX);
        let ready = Arc::new(Mutex::new(Readiness::starting()));
        let node = Self {
            core: NdbCore::new(of_core, recovered, now),
            recorder,
            store,
            _lock: lock,
            writer,
            reports,
            troubles,
            tails,
            scrub: scrub::SharedProgress::default(),
            room: Room::new(options.dir.clone(), options.disk_reserve),
            inbox,
            handle: NdbHandle { inbox: sender, ready },
            links: Links::new(options.name.clone(), options.roster.clone(), now),
            awaited: Awaited::default(),
            homes: links::Homes::default(),
            skew: Skew::default(),
            last_down: BTreeMap::new(),
            metrics,
            options,
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
            position = %self.core.reader().next_position(),
            pending = self.core.replica().pending_count(),
            "ndb node runs"
        );
        tokio::spawn(scrub::run(
            Arc::clone(&self.store),
            self.options.scrub_period,
            self.tails.trouble().clone(),
            Arc::clone(&self.scrub),
        ));
        let mut events = Vec::with_capacity(INBOX_FRAMES_MAX);
        loop {
            let due = self.core.due_at().min(self.links.due_at());
            let has_room = self.core.writing_bytes() < WRITER_BYTES_MAX;
            if !has_room {
                // What peers say waits in the inbox.
                self.links.forgive(Instant::now());
            }
            let mut fx = Effects::default();
            tokio::select! {
                biased;
                report = self.reports.recv() => {
                    let committed = report.ok_or(NdbError::WriterGone)??;
                    self.step(Input::Committed(committed), &mut fx);
                }
                Some(trouble) = self.troubles.recv() => self.on_trouble(trouble, &mut fx)?,
                _taken = self.inbox.recv_many(&mut events, INBOX_FRAMES_MAX), if has_room => {}
                () = tokio::time::sleep_until(due.into()) => {}
            }
            let at = Instant::now();
            if self.links.stalled(at).is_some() {
                self.metrics.stalls.increment(1);
            }
            let mut stop = false;
            for event in events.drain(..) {
                match event {
                    NdbEvent::Link(event) => self.on_link(event, &mut fx),
                    NdbEvent::Status(answer) => {
                        let _asker_left = answer.send(self.status());
                    }
                    NdbEvent::Stop => stop = true,
                }
            }
            self.note_silence(at, &mut fx);
            if stop {
                self.step(Input::Stop, &mut fx);
            }
            self.step(Input::Tick, &mut fx);
            self.look(&mut fx)?;
            self.settle(fx)?;
            if stop {
                return self.finish().await;
            }
        }
    }

    async fn finish(mut self) -> Result<(), NdbError> {
        let (writer, mut reports) = (self.writer, self.reports);
        let finished = tokio::task::spawn_blocking(move || writer.finish()).await;
        finished.map_err(|_panicked| NdbError::WriterGone)?;
        while let Ok(report) = reports.try_recv() {
            report?;
        }
        // Last: what is recorded waits for another disk, and the store does not wait for that.
        self.recorder.finish();
        tracing::info!(node = %self.options.name, "ndb node stopped");
        Ok(())
    }

    fn step(&mut self, input: Input, fx: &mut Effects) {
        let Self { core, recorder, .. } = self;
        let now = Instant::now();
        let step = |input, fx: &mut Effects| core.step(input, now, fx);
        recorder.step(CORE, || Now { wall: wall_time(), instant: now }, input, fx, step);
    }

    fn on_trouble(&mut self, trouble: Trouble, fx: &mut Effects) -> Result<(), NdbError> {
        match trouble {
            Trouble::Found(finding) => self.step(Input::Found(finding), fx),
            Trouble::Failed(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Looks at the disk, as the core asks.
    fn look(&mut self, fx: &mut Effects) -> Result<(), NdbError> {
        while !fx.looks.is_empty() {
            for look in std::mem::take(&mut fx.looks) {
                let seen = self.look_at(look)?;
                seen.into_iter().for_each(|input| self.step(input, fx));
            }
        }
        Ok(())
    }

    fn look_at(&mut self, look: Look) -> Result<Option<Input>, NdbError> {
        match look {
            Look::Room => {
                self.room.look();
                let (free, reserve) = (self.room.free(), self.room.reserve());
                self.metrics.disk_free(free);
                // While the journal still takes segments: what it has at the end is what must find room.
                let is_low = self.room.is_low() || self.writer.lacks_room();
                Ok(Some(Input::Room(DiskRoom { free, reserve, is_low })))
            }
            Look::Days => {
                self.store.clear_stale_readers()?;
                let days = self.store.day_bytes();
                self.metrics.store_bytes(days.iter().map(|(_, bytes)| bytes).sum());
                Ok(Some(Input::Days { days, now: wall_time() }))
            }
            Look::Chain { peer, next, chain } => {
                // One read of a row that was written lately; dropped or damaged, there is nothing to
                // compare.
                let row = self.store.row_before(next).ok().flatten();
                Ok(row.map(|row| Input::Compared { peer, next, agrees: row.chain == chain }))
            }
            Look::Index { day } => {
                let (store, trouble) = (Arc::clone(&self.store), self.tails.trouble().clone());
                tokio::task::spawn_blocking(move || {
                    let looked_up = store.look_up(day, |finding| {
                        let _node_has_ended = trouble.send(Trouble::Found(finding));
                    });
                    let _node_has_ended = trouble.send(match looked_up {
                        Ok(true) => Trouble::Found(Finding::LookedUp(day)),
                        Ok(false) => Trouble::Found(Finding::NotLookedUp(day)),
                        Err(error) => Trouble::Failed(error),
                    });
                });
                Ok(None)
            }
        }
    }

    /// Does what the steps owe: writes to the writer first, so that nothing answered is unwritten
    /// for longer than it must.
    fn settle(&mut self, mut fx: Effects) -> Result<(), NdbError> {
        self.tails.log().apply(&fx.changes);
        self.hand_over(std::mem::take(&mut fx.jobs))?;
        self.send_all(&mut fx);
        self.tell_awaited();
        let is_of_readiness =
            |note: &Note| matches!(note, Note::DiskRoom(_) | Note::Disk(_) | Note::Nowhere { .. });
        let has_changed = fx.notes.iter().any(is_of_readiness);
        fx.notes.into_iter().for_each(|note| self.note(note));
        if has_changed {
            self.tell_readiness();
        }
        self.tell_metrics();
        Ok(())
    }

    /// Hands jobs to the writer.
    fn hand_over(&mut self, jobs: Vec<Job>) -> Result<(), NdbError> {
        if jobs.is_empty() || self.writer.write(jobs) {
            return Ok(());
        }
        while let Ok(report) = self.reports.try_recv() {
            report?;
        }
        Err(NdbError::WriterGone)
    }

    fn tell_metrics(&self) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a float; positions are below 2^53"
        )]
        {
            self.metrics.position.set(self.core.reader().next_position().0 as f64);
            self.metrics.pending.set(self.core.replica().pending_count() as f64);
            self.metrics.missing.set(self.core.wanted() as f64);
        }
    }
}

fn core_options(options: &NdbOptions) -> CoreOptions {
    CoreOptions {
        id: options.id,
        membership: options.membership.clone(),
        segment_bytes_max: options.segment_bytes_max,
        retention: RetentionPolicy { age: options.retention_age, bytes: options.retention_bytes },
        room_look: DISK_LOOK,
    }
}
