//! Memory of the nodes, against what their configuration allows.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::harness::{Cluster, Tier};

/// Between two looks.
const PACE: Duration = Duration::from_millis(500);

/// The most that a node had, and may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) most_bytes: u64,
    pub(super) bound_bytes: u64,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (most, bound) = (self.most_bytes >> 20, self.bound_bytes >> 20);
        write!(f, "{most} MiB of {bound} MiB that the configuration allows")
    }
}

/// Looks again and again.
pub(super) struct Memory {
    stop: watch::Sender<bool>,
    task: JoinHandle<BTreeMap<String, Taken>>,
}

impl Memory {
    /// Asks each node for its bound, and watches it.
    pub(super) async fn watch(cluster: &Cluster) -> anyhow::Result<Self> {
        let mut nodes = BTreeMap::new();
        for tier in Tier::ALL {
            for id in cluster.ids_of(tier) {
                let checked = cluster.check_config(&id).await?;
                let bound_bytes = bound_of(&checked).with_context(|| format!("{id}: {checked}"))?;
                nodes.insert(id.clone(), (cluster.pid(&id)?, Taken { most_bytes: 0, bound_bytes }));
            }
        }
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            while !*stopped.borrow_and_update() {
                for (pid, taken) in nodes.values_mut() {
                    taken.most_bytes = taken.most_bytes.max(anonymous_bytes(*pid).unwrap_or(0));
                }
                tokio::select! {
                    () = tokio::time::sleep(PACE) => {}
                    _changed = stopped.changed() => {}
                }
            }
            nodes.into_iter().map(|(id, (_pid, taken))| (id, taken)).collect()
        });
        Ok(Self { stop, task })
    }

    pub(super) async fn stopped(self) -> anyhow::Result<BTreeMap<String, Taken>> {
        self.stop.send_replace(true);
        Ok(self.task.await?)
    }
}

/// From the output of `--check-config`.
fn bound_of(checked: &str) -> Option<u64> {
    let (before, _) = checked.split_once(" bytes of RssAnon)")?;
    before.rsplit_once('(')?.1.parse().ok()
}

/// `RssAnon` of a process.
fn anonymous_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_found_in_the_words_of_the_check() {
        let words = "configuration is good: E1 …\nmemory at most 1.2 GiB (1288 bytes of RssAnon), of which:\n";
        assert_eq!(bound_of(words), Some(1288));
        assert_eq!(bound_of("configuration is good"), None);
        assert!(anonymous_bytes(std::process::id()).is_some_and(|bytes| bytes > 1 << 16));
    }
}
