//! Nearcast: all three tiers in one process, on memory links.
//!
//! The same code as in a cluster: a vote cluster of one, a group of one with W = 1, and one entry.
//! The sync and the ndb node block while they commit, so each has a thread of its own; the entry
//! and the links run on the runtime that called.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};
use tokio::sync::{mpsc, oneshot};

use vixen_core::id::{GroupId, NdbId, SyncId};
use vixen_core::name::NodeName;
use vixen_core::tier::Tier as Role;
use vixen_core::wire::PeerId;
use vixen_ndb::{NdbEvent, NdbNode, NdbOptions};
use vixen_runtime::config::Config;
use vixen_runtime::dirlock::DirLock;
use vixen_runtime::link::{End, Inbox, LinkEvent, join};
use vixen_runtime::process::{outlive_file_size_limit, raise_open_files};
use vixen_runtime::recording::RecordArgs;
use vixen_runtime::reload::{Certificates, Load, Running, reload_on_hangup};
use vixen_runtime::telemetry::install_metrics;
use vixen_sync::{SyncEvent, SyncNode, SyncOptions};

use crate::admission::{Admission, reload_realms, tell_exposure};
use crate::node::{EntryHandle, EntryNode, EntryOptions};
use crate::serve::{self, Ports};

const SYNC: SyncId = SyncId(0);
const NDB: NdbId = NdbId { group: GroupId(0), member: 0 };

/// All three tiers, open and linked, with a bound client port.
pub struct Nearcast {
    config: Config,
    admission: Arc<Admission>,
    entry: EntryNode,
    ports: Ports,
    sync: Tier<SyncEvent>,
    ndb: Tier<NdbEvent>,
    /// How a storing tier ended, if it ended by itself.
    ended: mpsc::Receiver<anyhow::Error>,
    _lock: DirLock,
}

/// A node with a thread of its own.
struct Tier<E> {
    peer: PeerId,
    name: NodeName,
    inbox: Inbox<E>,
    thread: JoinHandle<()>,
}

impl<E> Tier<E> {
    fn end(&self) -> End<E> {
        End { peer: self.peer, name: self.name.clone(), inbox: self.inbox.clone() }
    }
}

impl Nearcast {
    /// Takes the data directory, binds the port, opens both stores and links the tiers.
    ///
    /// # Errors
    /// When the data directory is in use or unusable, or the port is taken.
    pub async fn open(config: Config) -> anyhow::Result<Self> {
        Self::open_recorded(config, &RecordArgs::default()).await
    }

    /// The same, and records its nodes if asked to.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when they cannot be recorded.
    pub async fn open_recorded(config: Config, recording: &RecordArgs) -> anyhow::Result<Self> {
        // Before the nodes, which take their handles from the recorder.
        install_metrics();
        outlive_file_size_limit();
        // For the first try any number will do.
        if let Err(error) = raise_open_files() {
            tracing::debug!(%error, "cannot raise the number of open files");
        }
        let data_dir = config.cluster.data_dir.clone();
        // Both errors say all there is in one line; a person reads them.
        let lock = DirLock::take(&data_dir).map_err(|error| anyhow!("{error} (--data-dir DIR)"))?;
        let member = config.entries.first().context("nearcast has an entry")?.clone();
        let ports = Ports::bind(&member)
            .await
            .map_err(|error| anyhow!("{error} (--listen 127.0.0.1:PORT)"))?;
        let (ended_sender, ended) = mpsc::channel(2);
        let sync = start_sync(&config, recording, ended_sender.clone()).await?;
        let ndb = start_ndb(&config, recording, ended_sender).await?;
        let recorder = recording.recorder_of_several(Role::Entry, &member.id)?;
        // Nobody else can reach the order: it is in this process.
        let options = EntryOptions { is_alone: true, ..serve::options_of(&config, &member.id) };
        let entry = EntryNode::recorded(options, recorder);
        let peer = PeerId::Entry { owner: entry.owner() };
        let end = || End { peer, name: member.id.clone(), inbox: entry.inbox() };
        let bytes_max = config.limits.link_queue_bytes_max;
        link(end(), sync.end(), bytes_max);
        link(end(), ndb.end(), bytes_max);
        link(ndb.end(), sync.end(), bytes_max);
        let admission = Arc::new(Admission::new(&config));
        Ok(Self { config, admission, entry, ports, sync, ndb, ended, _lock: lock })
    }

    /// Where clients connect.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.ports.clients.local_addr()
    }

    /// A look at the entry from outside.
    #[must_use]
    pub fn handle(&self) -> EntryHandle {
        self.entry.handle()
    }

    /// What takes the realms of a configuration that was read again.
    pub fn reloader(&self) -> impl Fn(&Config) + Send + use<> {
        let admission = Arc::clone(&self.admission);
        move |config| reload_realms(&admission, Ok(config))
    }

    /// From now on, SIGHUP has `load` read the configuration again, and realms are taken; without this it ends the
    /// process. To be called within a runtime.
    pub fn reload_on_hangup(&self, load: Load) {
        let admission = Arc::clone(&self.admission);
        let running = Running { config: self.config.clone(), tier: Role::Entry };
        tokio::spawn(reload_on_hangup(load, running, Certificates::default(), move |config| {
            reload_realms(&admission, config)
        }));
    }

    /// Runs until `stop`, then stops the tiers in the order of a message: entry, ndb, sync.
    ///
    /// # Errors
    /// When a tier fails.
    pub async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { config, admission, entry, ports, sync, ndb, mut ended, _lock } = self;
        let stop = async {
            tokio::select! {
                () = stop => Ok(()),
                Some(error) = ended.recv() => Err(error),
            }
        };
        if let Ok(address) = ports.clients.local_addr() {
            tell_exposure(&config, address);
        }
        let outcome = serve::run(entry, ports, None, &config, admission, stop).await;
        let _ended_already = ndb.inbox.send(NdbEvent::Stop).await;
        let _ended_already = sync.inbox.send(SyncEvent::Stop).await;
        let joined = tokio::task::spawn_blocking(move || {
            ndb.thread.join().is_ok() & sync.thread.join().is_ok()
        });
        let all_well = joined.await.context("waiting for the tiers")?;
        // What a tier said while it stopped counts as well.
        let last = ended.try_recv().map_or(Ok(()), Err);
        outcome.and(last).and_then(|()| {
            if all_well { Ok(()) } else { Err(anyhow!("a tier of nearcast panicked")) }
        })
    }
}

fn link<A, B>(a: End<A>, b: End<B>, queue_bytes_max: usize)
where
    A: From<LinkEvent> + Send + 'static,
    B: From<LinkEvent> + Send + 'static,
{
    tokio::spawn(join(a, b, queue_bytes_max));
}

async fn start_sync(
    config: &Config,
    recording: &RecordArgs,
    ended: mpsc::Sender<anyhow::Error>,
) -> anyhow::Result<Tier<SyncEvent>> {
    let member = config.sync.first().context("nearcast has a sync node")?;
    let options = SyncOptions {
        id: SYNC,
        name: member.id.clone(),
        roster: config.roster(),
        membership: config.membership(),
        dir: config.node_dir(&member.id),
        fsync: config.cluster.durability.is_fsync(),
        store_bytes_max: config.limits.store_bytes_max,
        clock_ahead_max: config.cluster.max_clock_ahead,
        feed_retention: config.limits.feed_retention,
        disk_reserve: config.storage.sync_reserve(),
    };
    let recorder = recording.recorder_of_several(Role::Sync, &member.id)?;
    let open = move || {
        let node =
            SyncNode::open_recorded(options, recorder).context("the sync node cannot start")?;
        let peer = PeerId::Sync { id: SYNC, store: node.store_id() };
        let inbox = node.inbox();
        let run = async move { node.run().await.context("the sync node had to stop") };
        Ok((peer, inbox, run))
    };
    start("sync", member.id.clone(), open, ended).await
}

async fn start_ndb(
    config: &Config,
    recording: &RecordArgs,
    ended: mpsc::Sender<anyhow::Error>,
) -> anyhow::Result<Tier<NdbEvent>> {
    let (_, member) = config.ndb_members().next().context("nearcast has an ndb node")?;
    let options = NdbOptions {
        id: NDB,
        name: member.id.clone(),
        roster: config.roster(),
        membership: config.membership(),
        dir: config.node_dir(&member.id),
        fsync: config.cluster.durability.is_fsync(),
        store_bytes_max: config.limits.store_bytes_max,
        retention_age: config.storage.retention_age,
        retention_bytes: config.storage.retention_bytes,
        disk_reserve: config.storage.disk_reserve,
        scrub_period: config.storage.scrub_period,
        tail_cache_bytes_max: config.limits.tail_cache_bytes_max,
        segment_bytes_max: config.limits.segment_bytes_max,
    };
    let recorder = recording.recorder_of_several(Role::Ndb, &member.id)?;
    let open = move || {
        let node =
            NdbNode::open_recorded(options, recorder).context("the ndb node cannot start")?;
        let peer = PeerId::Ndb { id: NDB, store: node.store_id() };
        let inbox = node.inbox();
        let run = async move { node.run().await.context("the ndb node had to stop") };
        Ok((peer, inbox, run))
    };
    start("ndb", member.id.clone(), open, ended).await
}

/// Opens a node and runs it, both on a new thread with a runtime of its own.
async fn start<E, F>(
    thread: &str,
    name: NodeName,
    open: impl FnOnce() -> anyhow::Result<(PeerId, Inbox<E>, F)> + Send + 'static,
    ended: mpsc::Sender<anyhow::Error>,
) -> anyhow::Result<Tier<E>>
where
    E: Send + 'static,
    F: Future<Output = anyhow::Result<()>>,
{
    let (opened, is_open) = oneshot::channel();
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let outcome = runtime.context("no runtime").and_then(|runtime| {
            let opened = {
                // Opening may need the runtime's clock.
                let _inside = runtime.enter();
                open()?
            };
            Ok((opened, runtime))
        });
        match outcome {
            Ok(((peer, inbox, run), runtime)) => {
                let _asker_gone = opened.send(Ok((peer, inbox)));
                if let Err(error) = runtime.block_on(run) {
                    let _nobody_left = ended.blocking_send(error);
                }
            }
            Err(error) => {
                let _asker_gone = opened.send(Err(error));
            }
        }
    };
    let thread = std::thread::Builder::new().name(thread.to_owned()).spawn(body)?;
    let (peer, inbox) = is_open.await.context("the thread died")??;
    Ok(Tier { peer, name, inbox, thread })
}
