//! NATS with JetStream.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_nats::jetstream::stream::{Config, StorageType};
use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::PeerKind;
use super::nodes::{NODES, Nodes};

const STREAM: &str = "BENCH";
const SUBJECT: &str = "bench.load";
const START_TIME: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn start(dir: Option<PathBuf>) -> anyhow::Result<Nodes> {
    Nodes::start(PeerKind::Nats, dir, |place| {
        let routes: Vec<_> =
            place.node_ports.iter().map(|port| format!("nats-route://127.0.0.1:{port}")).collect();
        let config = place.dir.join("nats.conf");
        let text = format!(
            "server_name: n{}\nlisten: 127.0.0.1:{}\njetstream {{ store_dir: {:?} }}\n\
             cluster {{ name: bench, listen: 127.0.0.1:{}, routes: [{}] }}\n",
            place.number,
            place.client_ports[place.number],
            place.dir.display().to_string(),
            place.node_ports[place.number],
            routes.join(", ")
        );
        std::fs::write(&config, text)?;
        Ok(vec!["--config".to_owned(), config.display().to_string()])
    })
}

/// Makes the stream; the address of the node that leads it.
pub(super) async fn await_leader(nodes: &Nodes) -> anyhow::Result<String> {
    let deadline = Instant::now() + START_TIME;
    loop {
        match make_stream(nodes).await {
            Ok(address) => return Ok(address),
            Err(error) => {
                ensure!(Instant::now() < deadline, "no stream of {NODES} replicas: {error:#}");
                sleep(LOOK).await;
            }
        }
    }
}

async fn make_stream(nodes: &Nodes) -> anyhow::Result<String> {
    let client = async_nats::connect(&nodes.addresses[0]).await?;
    let context = jetstream::new(client);
    let stream = context.get_or_create_stream(Config {
        name: STREAM.to_owned(),
        subjects: vec![SUBJECT.to_owned()],
        storage: StorageType::File,
        num_replicas: NODES,
        ..Config::default()
    });
    let stream = stream.await?;
    let cluster = stream.cached_info().cluster.clone().context("no cluster")?;
    ensure!(cluster.replicas.len() == NODES - 1, "{} replicas", cluster.replicas.len());
    let leader = cluster.leader.context("no leader")?;
    let number: usize = leader.trim_start_matches('n').parse()?;
    Ok(nodes.addresses[number].clone())
}

pub(super) struct Publisher(Context);

impl Publisher {
    pub(super) async fn connect(address: &str) -> anyhow::Result<Self> {
        Ok(Self(jetstream::new(async_nats::connect(address).await?)))
    }

    pub(super) async fn publish(&self, payload: Bytes) -> anyhow::Result<()> {
        self.0.publish(SUBJECT, payload).await?.await?;
        Ok(())
    }
}
