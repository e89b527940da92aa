//! An ndb node as a process: its port, its dialled links, and its end.

use std::sync::Arc;

use anyhow::Context;

use vixen_core::id::NdbId;
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

use crate::node::{NdbEvent, NdbNode, NdbOptions};

/// Runs the ndb node `name` of `config` until SIGTERM or SIGINT, and records it if asked to. At SIGHUP `load` reads
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
    let (id, member) = config.ndb_member(name)?;
    let roster = config.roster();
    let tls = Tls::of_links(config)?;
    config.tell_secret_and_name_concerns(Tier::Ndb, name, tls.as_deref());
    let address = member.bind_address();
    let listener = server::listen(&address).await?;
    let options = NdbOptions {
        id,
        name: name.clone(),
        roster: roster.clone(),
        membership: config.membership(),
        dir: config.node_dir(name),
        fsync: config.cluster.durability.is_fsync(),
        store_bytes_max: config.limits.store_bytes_max,
        retention_age: config.storage.retention_age,
        retention_bytes: config.storage.retention_bytes,
        disk_reserve: config.storage.disk_reserve,
        scrub_period: config.storage.scrub_period,
        tail_cache_bytes_max: config.limits.tail_cache_bytes_max,
        segment_bytes_max: config.limits.segment_bytes_max,
    };
    let recorder = recording.recorder(Tier::Ndb, name)?;
    let node = NdbNode::open_recorded(options, recorder)
        .with_context(|| format!("cannot start {name}"))?;
    let (inbox, handle) = (node.inbox(), node.handle());

    let identity = Identity {
        cluster: config.cluster.name.as_str().into(),
        secrets: LinkSecrets::of(&config.cluster.secrets, Tier::Ndb),
        peer: PeerId::Ndb { id, store: node.store_id() },
        name: name.clone(),
        roster,
        terms: config.terms(),
        queue_bytes_max: config.limits.link_queue_bytes_max,
        tls,
        admit: admission(config, id),
        owners: Owners::default(),
    };
    let sync = config.sync.iter().map(|member| {
        let expected = Expected::Sync(member.sync_id());
        DialTarget { address: member.address.clone(), expected }
    });
    // One link a pair of peers: the lower dials the higher. Those of other groups hold none of the
    // same segments, and the same order.
    let peers = config.ndb_members().filter(|(peer, _)| *peer > id);
    let peers = peers.map(|(peer, member)| DialTarget {
        address: member.address.clone(),
        expected: Expected::Ndb(peer),
    });
    for target in sync.chain(peers) {
        tokio::spawn(dial(identity.clone(), target, inbox.clone()));
    }
    tracing::info!(node = %name, address, "listening");
    let (ready, status) = (handle.clone(), handle);
    server::surround(
        listener,
        config,
        identity,
        inbox,
        NdbEvent::Stop,
        Arc::new(move || ready.readiness()),
        Arc::new(move || {
            let status = status.clone();
            Box::pin(async move { status.status().await })
        }),
        load,
    );
    node.run().await.context("the node had to stop")
}

/// Lets in peers of all groups and any entry that knows the secret; sync nodes do not dial.
fn admission(config: &Config, own: NdbId) -> Arc<dyn Fn(&PeerId) -> bool + Send + Sync> {
    let membership = config.membership();
    Arc::new(move |peer| match peer {
        PeerId::Sync { .. } => false,
        PeerId::Ndb { id, .. } => *id != own && membership.has(peer),
        PeerId::Entry { .. } => true,
    })
}
