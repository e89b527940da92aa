//! Other brokers and stores under the loads of the workload generator, for comparison: three nodes of NATS
//! with JetStream, or of etcd, as processes on this machine.
//!
//! Publishers talk to the node that leads, which is the best that can happen to a peer, and nobody
//! subscribes.

mod etcd;
mod load;
mod nats;
mod nodes;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

pub use load::{PeerLoad, PeerResult};
use nodes::Nodes;

/// Who is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerKind {
    /// `nats-server`: a stream of three replicas on files, which are not synced before the answer.
    Nats,
    /// `etcd`: a key a message, synced by a majority before the answer.
    Etcd,
}

impl PeerKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Nats, Self::Etcd];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nats => "nats",
            Self::Etcd => "etcd",
        }
    }

    /// Its program, and the Debian package that has it.
    const fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Nats => ("nats-server", "nats-server"),
            Self::Etcd => ("etcd", "etcd-server"),
        }
    }

    /// What an answer of it says of the message.
    #[must_use]
    pub const fn durability(self) -> &'static str {
        match self {
            Self::Nats => "in memory of a majority of three, synced minutes later",
            Self::Etcd => "on disk at a majority of three",
        }
    }
}

impl fmt::Display for PeerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Three nodes, ready.
#[derive(Debug)]
pub struct PeerCluster {
    kind: PeerKind,
    nodes: Nodes,
    /// Of the node that leads.
    leader: String,
}

impl PeerCluster {
    /// Starts three nodes with their files below `dir`, or in a temporary folder, and waits until they take
    /// messages.
    ///
    /// # Errors
    /// When the program is not there, or does not come up.
    pub async fn start(kind: PeerKind, dir: Option<PathBuf>) -> anyhow::Result<Self> {
        let nodes = match kind {
            PeerKind::Nats => nats::start(dir)?,
            PeerKind::Etcd => etcd::start(dir)?,
        };
        let leader = match kind {
            PeerKind::Nats => nats::await_leader(&nodes).await?,
            PeerKind::Etcd => etcd::await_leader(&nodes).await?,
        };
        Ok(Self { kind, nodes, leader })
    }

    /// Ends its nodes.
    ///
    /// # Errors
    /// When the system does not let it.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.nodes.stop().await
    }

    /// Runs a load.
    ///
    /// # Errors
    /// When no publisher can connect, or a message is refused.
    pub async fn run(&self, load: &PeerLoad) -> anyhow::Result<PeerResult> {
        let mut clients = Vec::new();
        for _publisher in 0..load.publishers {
            clients.push(match self.kind {
                PeerKind::Nats => Client::Nats(nats::Publisher::connect(&self.leader).await?),
                PeerKind::Etcd => Client::Etcd(etcd::Publisher::connect(&self.leader).await?),
            });
        }
        load::run(load, clients.into_iter().map(Arc::new).collect(), || self.nodes.usage()).await
    }
}

/// A publisher's connection.
enum Client {
    Nats(nats::Publisher),
    Etcd(etcd::Publisher),
}

impl Client {
    /// Publishes, and waits for the answer.
    async fn publish(&self, payload: Bytes) -> anyhow::Result<()> {
        match self {
            Self::Nats(nats) => nats.publish(payload).await,
            Self::Etcd(etcd) => etcd.publish(payload).await,
        }
    }
}
