//! A cluster and what can be done to it.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_rustls::rustls::ClientConfig;

use vixen_core::wire::Terms;
use vixen_runtime::config::Config;

use super::ports::{Ports, free_ports};
use super::process::{Node, NodeSetup};
use super::{Binaries, ClusterOptions, Tier, http};

/// Until every node must be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(90);
/// Between two looks at `/readyz`.
const READY_PAUSE: Duration = Duration::from_millis(20);
/// Attempts to find ports that stay free until the nodes have bound them.
const PORT_ATTEMPTS: usize = 3;

/// So many clusters at a time in a process: tests of faults wait most of the time, but more of them would
/// take each other's processors.
const CLUSTERS_MAX: u32 = 2;
static CLUSTERS: Semaphore = Semaphore::const_new(CLUSTERS_MAX as usize);

/// Real processes on loopback. Dropping it kills them; while a test panics their logs are printed.
#[derive(Debug)]
pub struct Cluster {
    pub(super) nodes: Vec<Node>,
    /// Of all its nodes, those that come later or are down included.
    ports: Ports,
    pub(super) binaries: Binaries,
    dir: PathBuf,
    pub(super) config: PathBuf,
    /// The file with the groups that come later, and their nodes.
    full_config: String,
    late: Vec<String>,
    /// How pages are read, when not without TLS.
    pub(super) tls: Option<Arc<ClientConfig>>,
    temporary: Option<TempDir>,
    _place: SemaphorePermit<'static>,
}

impl Cluster {
    /// Writes the configuration, starts all nodes, and waits until they are ready.
    ///
    /// # Errors
    /// When a node ends or is not ready within 90 s, with its reason and the end of its log.
    pub async fn start(options: ClusterOptions) -> anyhow::Result<Self> {
        Self::start_with(options, |_id, _store| NodeSetup::default()).await
    }

    /// As [`start`](Self::start); `setup` says how each node's process is started, by its name and
    /// the folder of its store.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn start_with(
        options: ClusterOptions,
        setup: impl Fn(&str, &Path) -> NodeSetup,
    ) -> anyhow::Result<Self> {
        let places = if options.is_alone { CLUSTERS_MAX } else { 1 };
        let place = CLUSTERS.acquire_many(places).await?;
        let binaries = tokio::task::spawn_blocking(Binaries::find).await??;
        let (dir, temporary) = match &options.dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
                (std::path::absolute(dir)?, None)
            }
            None => {
                let temporary = tempfile::Builder::new().prefix("vixen-").tempdir()?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let mut cluster = Self {
            nodes: Vec::new(),
            ports: Ports::default(),
            binaries,
            config: dir.join("vixen.toml"),
            dir,
            full_config: String::new(),
            late: Vec::new(),
            tls: options.tls.clone(),
            temporary,
            _place: place,
        };
        for attempt in 1.. {
            cluster.place(&options, &setup)?;
            let Err(error) = cluster.start_all().await else { break };
            let clash = cluster.nodes.iter().any(|node| node.log().contains("in use"));
            if !clash || attempt == PORT_ATTEMPTS {
                return Err(error);
            }
            cluster.kill_all().await?;
        }
        Ok(cluster)
    }

    /// Gives every node a port and writes the configuration file.
    fn place(
        &mut self,
        options: &ClusterOptions,
        setup: impl Fn(&str, &Path) -> NodeSetup,
    ) -> anyhow::Result<()> {
        self.ports = free_ports(options.ports())?;
        std::fs::write(&self.config, options.config(&self.ports, false))?;
        self.full_config = options.config(&self.ports, true);
        self.late = options
            .nodes()
            .filter(|(tier, id)| options.is_late(*tier, id))
            .map(|(_, id)| id)
            .collect();
        self.nodes = options
            .nodes()
            .zip(self.ports.iter().copied())
            .map(|((tier, id), port)| {
                let setup = setup(&id, &self.store_dir(&id));
                let link = options.link_port(&id).and_then(|at| self.ports.get(at).copied());
                Node::new(tier, id, (port, link), &self.dir, setup)
            })
            .collect();
        Ok(())
    }

    /// Starts every node and waits until all are ready.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn start_all(&mut self) -> anyhow::Result<()> {
        for node in self.nodes.iter_mut().filter(|node| !self.late.contains(&node.id)) {
            node.spawn(&self.binaries.program(node.tier), &self.config)?;
        }
        self.wait_ready().await
    }

    /// Waits until every node that runs is ready.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            let mut waiting = Vec::new();
            for node in &mut self.nodes {
                if let Some(status) = node.ended() {
                    bail!("{} ended with {status}\n{}", node.id, node.log_tail());
                }
                if node.pid().is_none() {
                    continue;
                }
                match http::get_by(self.tls.as_ref(), &node.address, "/readyz").await {
                    Ok(answer) if answer.status == 200 => {}
                    Ok(answer) => waiting.push((node.id.clone(), answer.body)),
                    Err(error) => waiting.push((node.id.clone(), format!("{error:#}\n"))),
                }
            }
            if waiting.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let mut text = format!("not ready after {READY_TIMEOUT:?}:\n");
                for (id, reason) in waiting {
                    text += &format!("{id}: {reason}{}\n", self.node(&id)?.log_tail());
                }
                bail!(text);
            }
            tokio::time::sleep(READY_PAUSE).await;
        }
    }

    pub(super) fn node(&self, id: &str) -> anyhow::Result<&Node> {
        self.nodes.iter().find(|node| node.id == id).with_context(|| format!("no node {id}"))
    }

    fn node_mut(&mut self, id: &str) -> anyhow::Result<&mut Node> {
        self.nodes.iter_mut().find(|node| node.id == id).with_context(|| format!("no node {id}"))
    }

    /// SIGKILL, and waits until the process is gone.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&mut self, id: &str) -> anyhow::Result<()> {
        self.kill_together(&[id.to_owned()]).await
    }

    /// SIGKILL to several at once, and waits until their processes are gone.
    ///
    /// # Errors
    /// When one does not run.
    pub async fn kill_together(&mut self, ids: &[String]) -> anyhow::Result<()> {
        for id in ids {
            self.node(id)?.signal(Signal::SIGKILL)?;
        }
        for id in ids {
            self.node_mut(id)?.wait().await?;
        }
        Ok(())
    }

    /// SIGKILL to all at once, like a power cut of the processes.
    ///
    /// # Errors
    /// When one does not go.
    pub async fn kill_all(&mut self) -> anyhow::Result<()> {
        let running: Vec<usize> =
            (0..self.nodes.len()).filter(|at| self.nodes[*at].pid().is_some()).collect();
        for at in &running {
            self.nodes[*at].kill_quietly();
        }
        for at in running {
            self.nodes[at].wait().await?;
        }
        Ok(())
    }

    /// SIGTERM, and waits for a clean exit.
    ///
    /// # Errors
    /// When it does not run, does not stop in time, or exits with another code than 0.
    pub async fn stop(&mut self, id: &str) -> anyhow::Result<()> {
        let node = self.node_mut(id)?;
        node.signal(Signal::SIGTERM)?;
        let status = node.wait().await?;
        ensure!(status.success(), "{id} stopped with {status}\n{}", node.log_tail());
        Ok(())
    }

    /// Stops every node, entries first, as an operator would.
    ///
    /// # Errors
    /// As for [`stop`](Self::stop).
    pub async fn stop_all(&mut self) -> anyhow::Result<()> {
        for id in self.ids().into_iter().rev() {
            self.stop(&id).await?;
        }
        Ok(())
    }

    /// SIGSTOP: the process is there and does nothing.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self, id: &str) -> anyhow::Result<()> {
        self.node(id)?.signal(Signal::SIGSTOP)
    }

    /// SIGCONT after [`pause`](Self::pause).
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self, id: &str) -> anyhow::Result<()> {
        self.node(id)?.signal(Signal::SIGCONT)
    }

    /// Starts a node that was stopped or killed, and waits until it is ready.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn restart(&mut self, id: &str) -> anyhow::Result<()> {
        self.restart_together(&[id.to_owned()]).await
    }

    /// Starts several nodes that were stopped or killed, and waits until all are ready.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn restart_together(&mut self, ids: &[String]) -> anyhow::Result<()> {
        for id in ids {
            self.spawn(id)?;
        }
        self.wait_ready().await
    }

    /// Starts a node that was stopped or killed, and waits for nothing.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    pub fn spawn(&mut self, id: &str) -> anyhow::Result<()> {
        let config = self.config.clone();
        let program = self.binaries.program(self.node(id)?.tier);
        self.node_mut(id)?.spawn(&program, &config)
    }

    /// Writes the groups that come later into the configuration file, and returns their nodes, which
    /// are still to be started, like all others to be restarted.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_groups(&mut self) -> anyhow::Result<Vec<String>> {
        std::fs::write(&self.config, &self.full_config)?;
        Ok(std::mem::take(&mut self.late))
    }

    /// How a node has ended by itself, if it has; then [`ended`](Self::ended) takes notice of it.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn has_ended(&mut self, id: &str) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.node_mut(id)?.ended())
    }

    /// Waits until a node has ended by itself, and says how.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn ended(&mut self, id: &str) -> anyhow::Result<ExitStatus> {
        self.node_mut(id)?.wait().await
    }

    /// How a node's process is started the next time.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn set_up(&mut self, id: &str, setup: NodeSetup) -> anyhow::Result<()> {
        self.node_mut(id)?.setup = setup;
        Ok(())
    }

    /// Keeps configuration, logs and stores when the cluster goes, and says where they are.
    pub fn keep_files(&mut self) -> &Path {
        if let Some(temporary) = self.temporary.take() {
            let _kept = temporary.keep();
        }
        &self.dir
    }

    /// Names of all nodes.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.id.clone()).collect()
    }

    /// Names of the nodes of one tier.
    #[must_use]
    pub fn ids_of(&self, tier: Tier) -> Vec<String> {
        self.nodes.iter().filter(|node| node.tier == tier).map(|node| node.id.clone()).collect()
    }

    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> &Path {
        &self.config
    }

    /// What its nodes must have in common, with who links to them as well.
    ///
    /// # Errors
    /// When the configuration file cannot be used.
    pub fn terms(&self) -> anyhow::Result<Terms> {
        Ok(Config::load(&self.config)?.terms())
    }

    /// The folder of configuration, logs and stores.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of a node's store.
    #[must_use]
    pub fn store_dir(&self, id: &str) -> PathBuf {
        self.dir.join("data").join(id)
    }

    /// The node's log so far.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn log(&self, id: &str) -> anyhow::Result<String> {
        Ok(self.node(id)?.log())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.kill_quietly();
        }
        if std::thread::panicking() {
            for node in &self.nodes {
                eprintln!("{}", node.log_tail());
            }
        }
    }
}
