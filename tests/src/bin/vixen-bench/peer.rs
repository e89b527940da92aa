//! `vixen-bench peer`: NATS or etcd under a load of the generator.

use std::path::PathBuf;
use std::time::Duration;

use crate::args::duration;

/// Who is compared with; the names of `vixen_tests::peers`, which not each build has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    /// Three nodes of nats-server, a JetStream of three replicas on files.
    Nats,
    /// Three nodes of etcd.
    Etcd,
}

impl Peer {
    /// As the command line has it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Nats => "nats",
            Self::Etcd => "etcd",
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct PeerArgs {
    /// The peer; Debian's nats-server or etcd-server must be installed.
    peer: Peer,
    /// Number of publishers, a connection each, to the node that leads.
    #[arg(long, default_value_t = 8)]
    publishers: usize,
    /// Messages that each publisher keeps unanswered.
    #[arg(long, default_value_t = 64, conflicts_with = "rate")]
    window: usize,
    /// Messages per second of all publishers together, sent when they are due whatever the answers (open loop)
    /// [default: as fast as the window allows].
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// Bytes of each message.
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    payload: usize,
    /// Measure for so long.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// Traffic before that, not measured.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    warmup: Duration,
    /// Where the nodes keep their files [default: a temporary folder].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Print JSON, as `vixen-bench run --json` does.
    #[arg(long)]
    json: bool,
}

#[cfg(not(feature = "peers"))]
pub(crate) async fn peer(args: &PeerArgs) -> anyhow::Result<bool> {
    let _not_in_this_build = args;
    anyhow::bail!(
        "this build has no clients of peers: cargo build --release --workspace --bins --features \
         vixen-tests/peers"
    )
}

#[cfg(feature = "peers")]
pub(crate) use with_peers::peer;

#[cfg(feature = "peers")]
mod with_peers {
    use serde_json::{Value, json};
    use vixen_tests::load::Pace;
    use vixen_tests::peers::{PeerCluster, PeerKind, PeerLoad, PeerResult};

    use super::{Peer, PeerArgs};
    use crate::interrupt::Interrupts;

    /// Measures; an interrupt ends it, and the nodes that it has started.
    pub(crate) async fn peer(args: &PeerArgs) -> anyhow::Result<bool> {
        Interrupts::new()?.bound(measure(args)).await
    }

    async fn measure(args: &PeerArgs) -> anyhow::Result<bool> {
        anyhow::ensure!(args.publishers > 0 && args.window > 0, "nothing would be published");
        let kind = match args.peer {
            Peer::Nats => PeerKind::Nats,
            Peer::Etcd => PeerKind::Etcd,
        };
        let load = PeerLoad {
            publishers: args.publishers,
            pace: match args.rate {
                Some(per_second) => Pace::Open { per_second },
                None => Pace::Closed { window: args.window },
            },
            payload_bytes: args.payload,
            warmup: args.warmup,
            duration: args.duration,
        };
        let cluster = PeerCluster::start(kind, args.dir.clone()).await?;
        let result = cluster.run(&load).await;
        cluster.stop().await?;
        let result = result?;
        let setup = format!(
            "{kind}, three nodes, answers when a message is {}; {} publishers, {} bytes",
            kind.durability(),
            load.publishers,
            load.payload_bytes
        );
        if args.json {
            println!("{}", to_json(&setup, &result));
        } else {
            let cpu: f64 = result.cpu_seconds.iter().sum();
            println!(
                "{setup}\n  acknowledged     {:.0} messages/s over {:.2} s\n  acknowledgement  {}\n  \
                 processor        {cpu:.2} s of all nodes",
                result.acknowledged_per_second, result.seconds, result.acknowledge
            );
        }
        Ok(true)
    }

    /// In the words of `vixen-bench run --json`.
    fn to_json(setup: &str, result: &PeerResult) -> Value {
        let nodes = result.cpu_seconds.iter().enumerate();
        let used: serde_json::Map<_, _> =
            nodes.map(|(n, cpu)| (format!("P{}", n + 1), json!({"cpu-seconds": cpu}))).collect();
        let ms = |percent| result.acknowledge.percentile_ms(percent);
        json!({
            "setup": setup,
            "ok": true,
            "measured": {
                "acknowledged-per-second": result.acknowledged_per_second,
                "seconds": result.seconds,
                "acknowledge-ms": {"p50": ms(50.0), "p90": ms(90.0), "p99": ms(99.0), "p99.9": ms(99.9)},
            },
            "used": used,
        })
    }
}
