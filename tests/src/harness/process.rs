//! One node as a process.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use super::Tier;

/// A node that was told to stop and does not within this time fails the test.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// Of a log file, this much goes into an error.
const TAIL_BYTES: usize = 4 << 10;

/// How a node's process is started, besides its command line.
#[derive(Clone, Debug, Default)]
pub struct NodeSetup {
    /// Environment variables, such as `VIXEN_CLOCK_OFFSET_MS`.
    pub env: Vec<(String, String)>,
    /// A program with arguments that makes itself the node: it must `exec` what follows, so that
    /// the process id stays.
    pub wrapper: Vec<String>,
    /// Where its output goes, in place of a file in the cluster's folder: a device, a terminal, or
    /// a named pipe that somebody has open for reading.
    pub output: Option<PathBuf>,
}

impl NodeSetup {
    /// `store` is a file system of its own in memory, of `mib` MiB, that this node alone sees and
    /// that goes with it. Without the rights of root it takes a user namespace.
    #[must_use]
    pub fn small_disk(store: &Path, mib: u32) -> Self {
        let namespaces = if is_root() { "-m" } else { "-rm" };
        let script =
            format!("mkdir -p \"$0\" && mount -t tmpfs -o size={mib}m none \"$0\" && exec \"$@\"");
        let store = store.display().to_string();
        let words = ["unshare", namespaces, "sh", "-c", &script, &store];
        Self { wrapper: words.map(str::to_owned).to_vec(), ..Self::default() }
    }
}

/// A small file system of its own in memory, which outlives the nodes that use it, and goes with this.
#[derive(Debug)]
pub struct Disk {
    holder: std::process::Child,
    store: PathBuf,
}

impl Disk {
    /// `store` is on it, for those that [`setup`](Self::setup) starts; of `mib` MiB.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn mount(store: &Path, mib: u32) -> anyhow::Result<Self> {
        use std::io::{BufRead as _, BufReader};
        let namespaces = if is_root() { "-m" } else { "-rm" };
        let script = format!(
            "mkdir -p \"$0\" && mount -t tmpfs -o size={mib}m none \"$0\" && echo up && exec cat"
        );
        // It ends with its input, whatever ends this process.
        let mut holder = std::process::Command::new("unshare")
            .args([namespaces, "sh", "-c", &script])
            .arg(store)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run unshare")?;
        let mut line = String::new();
        if let Some(said) = holder.stdout.as_mut() {
            BufReader::new(said).read_line(&mut line)?;
        }
        let disk = Self { holder, store: store.to_owned() };
        if line.trim() == "up" { Ok(disk) } else { bail!("no file system at {}", store.display()) }
    }

    /// How a node is started that has its store here.
    #[must_use]
    pub fn setup(&self) -> NodeSetup {
        NodeSetup { wrapper: super::tool::enter(self.holder.id()), ..NodeSetup::default() }
    }

    /// The folder of the store, as this process sees it.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        let below_root = self.store.strip_prefix("/").unwrap_or(&self.store).to_owned();
        PathBuf::from(format!("/proc/{}/root", self.holder.id())).join(below_root)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _gone_already = self.holder.kill();
        let _gone_already = self.holder.wait();
    }
}

/// Whether this process may mount and enter namespaces.
pub(crate) fn is_root() -> bool {
    // Its own folder is the process's user's.
    std::fs::metadata("/proc/self").is_ok_and(|folder| folder.uid() == 0)
}

/// `program` behind `wrapper`, without the overrides in the environment that are meant for other
/// clusters.
pub(super) fn command(wrapper: &[String], program: &Path) -> Command {
    let mut command = match wrapper {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    for (name, _value) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("VIXEN_") {
            command.env_remove(name);
        }
    }
    command
}

/// A node of the cluster, running or not.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) tier: Tier,
    pub(super) id: String,
    /// `host:port` of its pages, and of its clients if it is an entry.
    pub(super) address: String,
    /// `host:port` of an entry for other entries.
    pub(super) link_address: Option<String>,
    pub(super) setup: NodeSetup,
    log: PathBuf,
    child: Option<Child>,
}

impl Node {
    pub(super) fn new(
        tier: Tier,
        id: String,
        (port, link): (u16, Option<u16>),
        dir: &Path,
        setup: NodeSetup,
    ) -> Self {
        let log = dir.join(format!("{id}.log"));
        let address = |port| format!("127.0.0.1:{port}");
        let (address, link_address) = (address(port), link.map(address));
        Self { tier, id, address, link_address, setup, log, child: None }
    }

    pub(super) fn spawn(&mut self, program: &Path, config: &Path) -> anyhow::Result<()> {
        if self.is_running() {
            bail!("{} is running already", self.id);
        }
        let output = self.setup.output.as_ref().unwrap_or(&self.log);
        // A terminal must not become that of this process.
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(output)?;
        let mut command = command(&self.setup.wrapper, program);
        let child = command
            .envs(self.setup.env.iter().map(|(name, value)| (name, value)))
            .arg("--config")
            .arg(config)
            .args(["--node", &self.id])
            .stdin(Stdio::null())
            .stdout(File::try_clone(&log)?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {} for {}", program.display(), self.id))?;
        self.child = Some(child);
        Ok(())
    }

    /// The process id while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// How it ended, if it was started and has ended by itself.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    fn is_running(&mut self) -> bool {
        self.child.is_some() && self.ended().is_none()
    }

    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid().with_context(|| format!("{} is not running", self.id))?;
        let pid = Pid::from_raw(i32::try_from(pid)?);
        kill(pid, signal).with_context(|| format!("cannot send {signal} to {}", self.id))
    }

    /// Waits until the process is gone and says how it went.
    pub(super) async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let Some(child) = &mut self.child else { bail!("{} was never started", self.id) };
        let ended = tokio::time::timeout(STOP_TIMEOUT, child.wait()).await;
        let Ok(status) = ended else {
            bail!("{} did not stop within {STOP_TIMEOUT:?}\n{}", self.id, self.log_tail());
        };
        self.child = None;
        Ok(status?)
    }

    /// Kills without waiting and without complaint: for drops.
    pub(super) fn kill_quietly(&mut self) {
        if let Some(child) = &mut self.child {
            let _gone_already = child.start_kill();
        }
    }

    /// The whole log so far.
    pub(super) fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The end of the log, under a heading.
    pub(super) fn log_tail(&self) -> String {
        let log = self.log();
        let from = log.ceil_char_boundary(log.len().saturating_sub(TAIL_BYTES));
        format!("--- log of {} ---\n{}", self.id, &log[from..])
    }
}
