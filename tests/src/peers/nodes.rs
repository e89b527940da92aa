//! Three processes of a peer.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use tokio::process::{Child, Command};

use super::PeerKind;
use crate::harness::{Ports, Usage, free_ports};

/// How many nodes there are.
pub(super) const NODES: usize = 3;

/// The processes end when this does.
#[derive(Debug)]
pub(super) struct Nodes {
    children: Vec<Child>,
    /// Of clients, a node each.
    pub(super) addresses: Vec<String>,
    _ports: Ports,
    _temporary: Option<tempfile::TempDir>,
}

/// What a node is told at its start.
pub(super) struct Place<'a> {
    /// From 0.
    pub(super) number: usize,
    /// Its folder.
    pub(super) dir: &'a Path,
    /// Where clients find each node.
    pub(super) client_ports: &'a [u16],
    /// Where nodes find each other.
    pub(super) node_ports: &'a [u16],
}

impl Nodes {
    /// Starts each with the arguments that `arguments` gives.
    pub(super) fn start(
        kind: PeerKind,
        dir: Option<PathBuf>,
        arguments: impl Fn(&Place<'_>) -> anyhow::Result<Vec<String>>,
    ) -> anyhow::Result<Self> {
        let temporary = if dir.is_some() { None } else { Some(tempfile::tempdir()?) };
        let root = dir.or_else(|| temporary.as_ref().map(|dir| dir.path().to_owned()));
        let root = root.unwrap_or_default();
        let ports = free_ports(2 * NODES)?;
        let (client_ports, node_ports) = ports.split_at(NODES);
        let (program, package) = kind.program();
        let mut children = Vec::new();
        for number in 0..NODES {
            let dir = root.join(format!("{kind}{number}"));
            std::fs::create_dir_all(&dir)?;
            let log = File::create(root.join(format!("{kind}{number}.log")))?;
            let place = Place { number, dir: &dir, client_ports, node_ports };
            let child = Command::new(program)
                .args(arguments(&place)?)
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .kill_on_drop(true)
                .spawn()
                .with_context(|| {
                    format!("{program}: is the Debian package {package} installed?")
                })?;
            children.push(child);
        }
        let addresses = client_ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        Ok(Self { children, addresses, _ports: ports, _temporary: temporary })
    }

    /// Ends all of them.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        for child in &mut self.children {
            child.kill().await?;
        }
        Ok(())
    }

    /// What each has used so far.
    pub(super) fn usage(&self) -> Vec<Usage> {
        self.children.iter().filter_map(|child| Usage::of(child.id()?)).collect()
    }
}
