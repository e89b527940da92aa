//! The tools of `vixen-ndb` for a node's store, beside the node.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use super::process::{command, is_root};
use super::{Cluster, Tier};

/// A tool that is not through by then hangs.
const TIMEOUT: Duration = Duration::from_secs(300);

/// What a tool said, and how it ended.
#[derive(Clone, Debug)]
pub struct ToolOutput {
    /// How it ended.
    pub status: ExitStatus,
    /// Its output.
    pub stdout: Vec<u8>,
    /// What it had to say beside it.
    pub stderr: String,
}

impl ToolOutput {
    /// The end of all that it said, for an error.
    #[must_use]
    pub fn words(&self) -> String {
        const KEPT: usize = 2_000;
        let text = String::from_utf8_lossy(&self.stdout) + &*self.stderr;
        let from = text.ceil_char_boundary(text.len().saturating_sub(KEPT));
        format!("{}: {}", self.status, text[from..].trim_end())
    }
}

impl Cluster {
    /// What node `id` says of its configuration with `--check-config`.
    ///
    /// # Errors
    /// When it is not good.
    pub async fn check_config(&self, id: &str) -> anyhow::Result<String> {
        let node = self.node(id)?;
        let mut command = command(&[], &self.binaries.program(node.tier));
        command.envs(node.setup.env.iter().map(|(name, value)| (name, value)));
        command.arg("--config").arg(&self.config).args(["--node", id, "--check-config"]);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(TIMEOUT, command.output()).await;
        let output = output.with_context(|| format!("--check-config of {id} does not end"))??;
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        anyhow::ensure!(
            output.status.success(),
            "{id}: {words}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(words)
    }

    /// Runs `vixen-ndb` on the store of node `id` with `args`, the tool's name first, whether the
    /// node runs or not.
    ///
    /// # Errors
    /// When it cannot be started, or does not end in time; not when it ends badly.
    pub async fn ndb_tool(&self, id: &str, args: &[&str]) -> anyhow::Result<ToolOutput> {
        let node = self.node(id)?;
        // A store that only the node sees: the tool goes where the node is.
        let wrapper = match node.pid() {
            Some(pid) if !node.setup.wrapper.is_empty() => enter(pid),
            _ => Vec::new(),
        };
        let mut command = command(&wrapper, &self.binaries.program(Tier::Ndb));
        let (tool, rest) = args.split_first().context("a tool has a name")?;
        command.arg(tool).arg("--config").arg(&self.config).args(["--node", id]).args(rest);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let what = || format!("vixen-ndb {} for {id}", args.join(" "));
        let output = tokio::time::timeout(TIMEOUT, command.output()).await;
        let output = output.with_context(|| format!("{} does not end", what()))?;
        let output = output.with_context(what)?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(ToolOutput { status: output.status, stdout: output.stdout, stderr })
    }

    /// The folder of the store of a node that runs, as the node sees it.
    ///
    /// # Errors
    /// When it does not run.
    pub fn store_dir_inside(&self, id: &str) -> anyhow::Result<PathBuf> {
        let store = self.store_dir(id);
        let below_root = store.strip_prefix("/").unwrap_or(&store).to_owned();
        Ok(PathBuf::from(format!("/proc/{}/root", self.pid(id)?)).join(below_root))
    }
}

/// Into the mount namespace of a process.
pub(super) fn enter(pid: u32) -> Vec<String> {
    let rights: &[&str] = if is_root() { &[] } else { &["-U", "--preserve-credentials"] };
    let pid = pid.to_string();
    let words = [&["nsenter", "-t", &pid, "-m"], rights].concat();
    words.into_iter().map(str::to_owned).collect()
}
