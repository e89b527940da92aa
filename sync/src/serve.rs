//! A sync node as a process: its port, its dialled links, and its end.

use std::sync::Arc;

use anyhow::Context;

use vixen_common::config::{Config, NodeName};
use vixen_common::id::{GroupId, SyncId};
use vixen_common::link::{DialTarget, Expected, Identity, dial, link_router};
use vixen_common::server;
use vixen_common::telemetry::{install_metrics, ops_router, shutdown_signal};
use vixen_common::wire::PeerId;

use crate::node::{SyncEvent, SyncNode, SyncOptions};

/// Runs the sync node `name` of `config` until SIGTERM or SIGINT.
///
/// # Errors
/// When the node is not in the configuration, its port or directory is taken, or its store fails.
pub async fn serve(config: &Config, name: &NodeName) -> anyhow::Result<()> {
    let metrics = install_metrics();
    let member = config.sync_member(name)?;
    let address = member.listen.map_or_else(|| member.address.clone(), |listen| listen.to_string());
    let listener = server::listen(&address).await?;
    let id = SyncId(member.lane.index());
    let node = SyncNode::open(SyncOptions {
        id,
        name: name.to_string(),
        members: config.sync.iter().map(|member| SyncId(member.lane.index())).collect(),
        write_quorum: config.cluster.write_quorum,
        dir: config.node_dir(name),
        fsync: config.cluster.durability.is_fsync(),
        store_bytes_max: config.limits.store_bytes_max,
        clock_ahead_max: config.cluster.max_clock_ahead,
    })
    .with_context(|| format!("cannot start {name}"))?;
    let (inbox, handle) = (node.inbox(), node.handle());

    let identity = Identity {
        cluster: config.cluster.name.as_str().into(),
        secret: config.cluster.secret.as_bytes().into(),
        peer: PeerId::Sync { id, store: node.store_id() },
        queue_bytes_max: config.limits.link_queue_bytes_max,
        admit: admission(config, id),
    };
    // One link a pair of sync nodes: the lower lane dials the higher.
    for peer in config.sync.iter().filter(|peer| peer.lane.index() > id.0) {
        let expected = Expected::Sync(SyncId(peer.lane.index()));
        let target = DialTarget { address: peer.address.clone(), expected };
        tokio::spawn(dial(identity.clone(), target, inbox.clone()));
    }
    let ready = handle.clone();
    let status = handle.clone();
    let router = link_router(identity, inbox.clone()).merge(ops_router(
        metrics,
        Arc::new(move || ready.ready()),
        Arc::new(move || {
            let status = status.clone();
            Box::pin(async move { status.status().await })
        }),
    ));
    tracing::info!(node = %name, address, "listening");
    tokio::spawn(server::serve(listener, router, std::future::pending()));
    tokio::spawn(async move {
        shutdown_signal().await;
        tracing::info!("stopping");
        let _stopped_already = inbox.send(SyncEvent::Stop).await;
    });
    node.run().await.context("the node had to stop")
}

/// Lets in the nodes of the configuration and any entry that knows the secret.
fn admission(config: &Config, own: SyncId) -> Arc<dyn Fn(&PeerId) -> bool + Send + Sync> {
    let members: Vec<SyncId> =
        config.sync.iter().map(|member| SyncId(member.lane.index())).collect();
    let groups: Vec<usize> = config.ndb_groups.iter().map(|group| group.members.len()).collect();
    Arc::new(move |peer| match peer {
        PeerId::Sync { id, .. } => *id != own && members.contains(id),
        PeerId::Ndb { id, .. } => {
            let GroupId(group) = id.group;
            groups.get(usize::from(group)).is_some_and(|len| usize::from(id.member) < *len)
        }
        PeerId::Entry { .. } => true,
    })
}
