//! What the nodes say of themselves.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::{Cluster, HttpAnswer, Tier, http};

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(20);

impl Cluster {
    /// `host:port` of a node's pages.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn address(&self, id: &str) -> anyhow::Result<String> {
        Ok(self.node(id)?.address.clone())
    }

    /// `host:port` where other entries dial an entry.
    ///
    /// # Errors
    /// When there is no such node, or they do not.
    pub fn link_address(&self, entry: &str) -> anyhow::Result<String> {
        let address = self.node(entry)?.link_address.clone();
        address.with_context(|| format!("{entry} is not dialled by other entries"))
    }

    /// Where clients of an entry connect.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn url(&self, entry: &str) -> anyhow::Result<String> {
        Ok(format!("ws://{}/ws", self.node(entry)?.address))
    }

    /// Where clients connect, of every entry.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let entries = self.nodes.iter().filter(|node| node.tier == Tier::Entry);
        entries.map(|node| format!("ws://{}/ws", node.address)).collect()
    }

    /// The process id of a node.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&self, id: &str) -> anyhow::Result<u32> {
        self.node(id)?.pid().with_context(|| format!("{id} is not running"))
    }

    /// A page of a node.
    ///
    /// # Errors
    /// When it does not answer in HTTP within 20 s.
    pub async fn get(&self, id: &str, path: &str) -> anyhow::Result<HttpAnswer> {
        http::get_by(self.tls.as_ref(), &self.node(id)?.address, path).await
    }

    /// `/status`.
    ///
    /// # Errors
    /// When the node does not answer with JSON.
    pub async fn status(&self, id: &str) -> anyhow::Result<Value> {
        let answer = self.get(id, "/status").await?;
        ensure!(answer.status == 200, "/status of {id}: {} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).with_context(|| format!("/status of {id}"))
    }

    /// Whether `/readyz` says so.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn is_ready(&self, id: &str) -> anyhow::Result<bool> {
        Ok(self.get(id, "/readyz").await?.status == 200)
    }

    /// `/metrics`: the sum of all samples of the metric `name`; 0 when there is none.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn metric(&self, id: &str, name: &str) -> anyhow::Result<f64> {
        self.metric_with(id, name, "").await
    }

    /// As [`metric`](Self::metric), of the samples whose labels contain `label`.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn metric_with(&self, id: &str, name: &str, label: &str) -> anyhow::Result<f64> {
        let answer = self.get(id, "/metrics").await?;
        let value = |line: &str| {
            let (sample, value) = line.rsplit_once(' ')?;
            let found = sample.split('{').next() == Some(name) && sample.contains(label);
            found.then(|| value.parse::<f64>().ok()).flatten()
        };
        Ok(answer.body.lines().filter_map(value).sum())
    }

    /// A number of `/status`, by JSON pointer.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn status_number(&self, id: &str, pointer: &str) -> anyhow::Result<u64> {
        let status = self.status(id).await?;
        let number = status.pointer(pointer).and_then(Value::as_u64);
        number.with_context(|| format!("no number {pointer} in /status of {id}: {status:#}"))
    }

    /// The home coordinator of what an entry publishes, as the first sync node that runs sees it.
    ///
    /// # Errors
    /// When nothing of the entry's was voted on yet, or the status does not tell.
    pub async fn home_of(&self, entry: &str) -> anyhow::Result<String> {
        let owner = self.status(entry).await?["owner"].clone();
        let ids = self.ids_of(Tier::Sync);
        let running = ids.iter().find(|id| self.pid(id).is_ok()).context("no sync node runs")?;
        let status = self.status(running).await?;
        let homes = status.get("homes").and_then(Value::as_array);
        let home = homes.into_iter().flatten().find(|home| home["owner"] == owner);
        let home = home.and_then(|home| home["home"].as_str());
        let home = home.with_context(|| format!("no home of {entry} ({owner}): {status:#}"))?;
        Ok(home.to_owned())
    }

    /// A sync node that is the home of none of these entries, all of which have published.
    ///
    /// # Errors
    /// When there is none, or the status does not tell.
    pub async fn sync_that_is_no_home(&self, entries: &[&str]) -> anyhow::Result<String> {
        let mut homes = BTreeSet::new();
        for entry in entries {
            homes.insert(self.home_of(entry).await?);
        }
        let ids = self.ids_of(Tier::Sync);
        let other = ids.into_iter().find(|id| !homes.contains(id));
        other.with_context(|| format!("every sync node is a home: {homes:?}"))
    }
}

/// Looks at `condition` until it holds: `Ok` with what it found, or `Err` with what it found last.
///
/// # Errors
/// When it does not hold within `timeout`; `what` is part of the text.
pub async fn wait_until<T, F>(
    what: &str,
    timeout: Duration,
    mut condition: impl FnMut() -> F,
) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let deadline = Instant::now() + timeout;
    loop {
        let found = condition().await;
        if let Ok(Some(found)) = found {
            return Ok(found);
        }
        if Instant::now() > deadline {
            let last = found.map_or_else(|error| format!(": {error:#}"), |_none| String::new());
            bail!("waited {timeout:?} in vain for {what}{last}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
