//! `--forget-peer`: lets a peer come back with another store, on an operator's word.

use tokio::time::Instant;

use vixen_core::name::NodeName;
use vixen_runtime::config::{Config, ConfigError};
use vixen_runtime::dirlock::DirLock;

use crate::store::Store;

/// Forgets the store of `peer` at node `name`, which must not run; what was done, in words.
///
/// # Errors
/// When a node is not in the configuration, this one runs or has no store, or segments are pending
/// here: then the lost store may have been part of their vote.
pub fn forget_peer(config: &Config, name: &NodeName, peer: &NodeName) -> anyhow::Result<String> {
    config.sync_member(name)?;
    let member = config.sync_member(peer).map_err(ConfigError::of_tool)?;
    anyhow::ensure!(name != peer, "{name} does not remember itself: name another sync node");
    let dir = config.node_dir(name);
    anyhow::ensure!(dir.is_dir(), "{name} has no store in {}", dir.display());
    let _lock = DirLock::take_for_tool(&dir, name.as_str())?;
    let fsync = config.cluster.durability.is_fsync();
    let now = Instant::now().into_std();
    let mut store = Store::open(&dir, config.limits.store_bytes_max, fsync, now)?;
    let pending = store.pending()?;
    anyhow::ensure!(
        pending == 0,
        "{pending} segments are pending at {name}, and the lost store of {peer} may have been part \
         of their vote. Start all other nodes, stop the entries, wait until `pending_total` is 0 \
         on every sync node's /status, stop {name} again, and repeat this"
    );
    let was_known = store.forget_peer(member.sync_id(), now)?;
    Ok(if was_known {
        format!("{name} has forgotten the store of {peer}, and will take the next it comes with")
    } else {
        format!("{name} remembers no store of {peer}: nothing to do")
    })
}
