//! A sync node as a process: its port, its dialled links, and its end.

use std::sync::Arc;

use anyhow::Context;

use vixen_core::id::SyncId;
use vixen_core::name::NodeName;
use vixen_core::tier::Tier;
use vixen_core::wire::PeerId;
use vixen_runtime::config::Config;
use vixen_runtime::link::{DialTarget, Expected, Identity, LinkSecrets, Owners, dial};
use vixen_runtime::process::outlive_file_size_limit;
use vixen_runtime::recording::RecordArgs;
use vixen_runtime::reload::Load;
use vixen_runtime::server;
use vixen_runtime::telemetry::install_metrics;
use vixen_runtime::tls::Tls;

use crate::node::{SyncEvent, SyncNode, SyncOptions};

/// Runs the sync node `name` of `config` until SIGTERM or SIGINT, and records it if asked to. At SIGHUP `load` reads
/// the configuration again, for the names of its certificates.
///
/// # Errors
/// When the node is not in the configuration, its port or directory is taken, its store fails, or it
/// cannot be recorded.
pub async fn serve(
    config: &Config,
    name: &NodeName,
    recording: &RecordArgs,
    load: Load,
) -> anyhow::Result<()> {
    install_metrics();
    outlive_file_size_limit();
    let member = config.sync_member(name)?;
    let tls = Tls::of_links(config)?;
    config.tell_secret_and_name_concerns(Tier::Sync, name, tls.as_deref());
    let address = member.bind_address();
    let listener = server::listen(&address).await?;
    let id = member.sync_id();
    let roster = config.roster();
    let options = SyncOptions {
        id,
        name: name.clone(),
        roster: roster.clone(),
        membership: config.membership(),
        dir: config.node_dir(name),
        fsync: config.cluster.durability.is_fsync(),
        store_bytes_max: config.limits.store_bytes_max,
        clock_ahead_max: config.cluster.max_clock_ahead,
        feed_retention: config.limits.feed_retention,
        disk_reserve: config.storage.sync_reserve(),
    };
    let recorder = recording.recorder(Tier::Sync, name)?;
    let node = SyncNode::open_recorded(options, recorder)
        .with_context(|| format!("cannot start {name}"))?;
    let (inbox, handle) = (node.inbox(), node.handle());

    let identity = Identity {
        cluster: config.cluster.name.as_str().into(),
        secrets: LinkSecrets::of(&config.cluster.secrets, Tier::Sync),
        peer: PeerId::Sync { id, store: node.store_id() },
        name: name.clone(),
        roster,
        terms: config.terms(),
        queue_bytes_max: config.limits.link_queue_bytes_max,
        tls,
        admit: admission(config, id),
        owners: Owners::default(),
    };
    // One link a pair of sync nodes: the lower lane dials the higher.
    for peer in config.sync.iter().filter(|peer| peer.lane.index() > id.0) {
        let expected = Expected::Sync(peer.sync_id());
        let target = DialTarget { address: peer.address.clone(), expected };
        tokio::spawn(dial(identity.clone(), target, inbox.clone()));
    }
    tracing::info!(node = %name, address, "listening");
    let (ready, status) = (handle.clone(), handle);
    server::surround(
        listener,
        config,
        identity,
        inbox,
        SyncEvent::Stop,
        Arc::new(move || ready.readiness()),
        Arc::new(move || {
            let status = status.clone();
            Box::pin(async move { status.status().await })
        }),
        load,
    );
    node.run().await.context("the node had to stop")
}

/// Lets in the nodes of the configuration and any entry that knows the secret.
fn admission(config: &Config, own: SyncId) -> Arc<dyn Fn(&PeerId) -> bool + Send + Sync> {
    let membership = config.membership();
    Arc::new(move |peer| match peer {
        PeerId::Sync { id, .. } => *id != own && membership.has(peer),
        PeerId::Ndb { .. } => membership.has(peer),
        PeerId::Entry { .. } => true,
    })
}
