//! Which store a tool works on.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;

use vixen_core::id::GroupId;
use vixen_runtime::config::{ConfigError, Limits, NodeArgs};

use crate::store::inspect::{Inspector, Surveyed};

/// The arguments that name a store.
#[derive(Clone, Debug, clap::Args)]
pub struct Target {
    /// The cluster's configuration file.
    #[arg(long, env = "VIXEN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which node of the cluster: an id of the configuration file.
    #[arg(long, env = "VIXEN_NODE", value_name = "ID")]
    node: Option<String>,
    /// A node's directory, or a backup, instead of --config and --node, which are then not used.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// With --dir: the node's group, by its place in the configuration, from 0 [default: the group
    /// whose messages are there].
    #[arg(long, value_name = "N")]
    group: Option<u16>,
}

/// A store that was found.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its directory.
    pub(super) dir: PathBuf,
    /// What to call it: the node's name, or the directory.
    pub(super) name: String,
    /// The node's group, if it is known.
    pub(super) group: Option<GroupId>,
    /// Nodes of the group, if they are known.
    pub(super) members: Option<usize>,
    /// Arguments that name the same store again.
    pub(super) arguments: String,
    /// Bound of one day's file.
    pub(super) bytes_max: u64,
    /// It is a backup that is read, and no node's store.
    pub(super) is_backup: bool,
}

impl Target {
    /// Finds the store; whether it exists is for the caller to see.
    pub(super) fn find(&self) -> anyhow::Result<Place> {
        if let Some(dir) = &self.dir {
            let name = dir.display().to_string();
            let arguments = format!("--dir {name}");
            let (group, bytes_max) = (self.group.map(GroupId), Limits::default().store_bytes_max);
            return Ok(Place {
                dir: dir.clone(),
                name,
                group,
                members: None,
                arguments,
                bytes_max,
                is_backup: false,
            });
        }
        anyhow::ensure!(
            self.config.is_some() && self.node.is_some(),
            "which store? Give --config FILE and --node ID, or --dir DIR"
        );
        anyhow::ensure!(
            self.group.is_none(),
            "--group goes with --dir: the configuration knows it"
        );
        let (config, node) = (self.config.clone(), self.node.clone());
        let (config, name) =
            NodeArgs { config, node, ..NodeArgs::default() }.load_required("ndb")?;
        let (id, _) = config.ndb_member(&name).map_err(ConfigError::of_tool)?;
        let file = self.config.clone().unwrap_or_default();
        Ok(Place {
            dir: config.node_dir(&name),
            name: name.to_string(),
            group: Some(id.group),
            members: config.ndb_groups.get(usize::from(id.group.0)).map(|g| g.members.len()),
            arguments: format!("--config {} --node {name}", file.display()),
            bytes_max: config.limits.store_bytes_max,
            is_backup: false,
        })
    }
}

/// Whether there is a directory; an error where the system does not let it be seen, or it is none.
pub(super) fn is_there(dir: &Path) -> anyhow::Result<bool> {
    // Of a file it is the error that the system has for that.
    match std::fs::metadata(dir.join(".")) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot use {}", dir.display())),
    }
}

/// Whether a directory, which need not be there yet, is another one or lies in it.
pub(super) fn is_within(inner: &Path, outer: &Path) -> anyhow::Result<bool> {
    let failed = |dir: &Path| format!("cannot use {}", dir.display());
    let outer = outer.canonicalize().with_context(|| failed(outer))?;
    let inner = std::path::absolute(inner).with_context(|| failed(inner))?;
    let mut there = inner.ancestors().filter_map(|dir| dir.canonicalize().ok());
    Ok(there.next().is_some_and(|there| there.starts_with(&outer)))
}

impl Place {
    /// Refuses a node that has no directory.
    pub(super) fn ensure_there(&self) -> anyhow::Result<()> {
        let (name, dir) = (&self.name, self.dir.display());
        anyhow::ensure!(is_there(&self.dir)?, "{name} has no store: there is no directory {dir}");
        Ok(())
    }

    /// The same, for a store that must be there; LMDB's signals are answered for from here on.
    fn inspect(&self) -> anyhow::Result<Inspector> {
        self.ensure_there()?;
        let advice = if self.is_backup {
            "This backup is damaged: take another, or an empty directory where peers have everything"
                .to_owned()
        } else {
            format!(
                "If the node cannot start any more: `vixen-ndb rebuild {}` fetches everything from \
                 the peers",
                self.arguments
            )
        };
        let damaged =
            format!("the store in {} is damaged so that LMDB cannot go on", self.dir.display());
        super::fault::answer_for(&damaged, &advice, 2);
        Ok(Inspector::new(self.dir.clone(), self.bytes_max))
    }

    /// The store and its days, of which there must be one.
    pub(super) fn survey(&self) -> anyhow::Result<(Inspector, Vec<Surveyed>)> {
        let store = self.inspect()?;
        let days = store.survey()?;
        anyhow::ensure!(!days.is_empty(), "there is no day of a store in {}", self.dir.display());
        Ok((store, days))
    }

    /// The group, told by the store itself where nothing else tells it.
    pub(super) fn group(
        &self,
        store: &Inspector,
        days: &[Surveyed],
    ) -> anyhow::Result<Option<GroupId>> {
        match self.group {
            Some(group) => Ok(Some(group)),
            None => store.find_group(days).context("cannot find out the group of the store"),
        }
    }
}
