//! The command line of `vixen-bench faults`.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use vixen_tests::harness::{ClusterOptions, Durability, Tier};
use vixen_tests::load::{Amount, LoadOptions, Pace};

use crate::args::{duration, topic_or_new};

/// Silence after which a missing answer is given up when the load ends: beyond the 10 s after
/// which the cluster answers a publish with an error.
const PATIENCE: Duration = Duration::from_secs(30);
/// Nodes of a tier of which two may be down with the majority still there.
const KILL_TWO_NODES_MIN: usize = 5;

const AFTER_HELP: &str = "\
Examples:
  Kill each sync node ten times, 2,000 messages/s (about three minutes):
    vixen-bench faults

  A quick look at the ndb nodes:
    vixen-bench faults --tier ndb --rounds 1 --rate 500

  Freeze each sync node for 5 s instead of killing it:
    vixen-bench faults --fault pause --down 5s

  Two of five sync nodes at once:
    vixen-bench faults --start-cluster 5+3+3 --fault kill-two

How to read the table: each cell has the longest and the median of one number per fault, which is
the longest gap between two acknowledgements (or deliveries) in a row at the entry where it was
longest. The row `no fault` has the same from before the first fault: what this machine does by
itself. Messages are sent when they are due, whatever the answers, so a gap is a wait of the
clients and not of the generator.

Exit codes: 0 all well; 1 a guarantee was broken, a message was lost, or a client or node did not
get to its end; 2 it could not be run at all, or was interrupted.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct FaultsArgs {
    /// Size of the cluster to start: sync, ndb and entry nodes.
    #[arg(
        long,
        value_name = "SIZE",
        num_args = 0..=1,
        default_value = "3+3+3",
        default_missing_value = "3+3+3"
    )]
    start_cluster: String,
    /// What the cluster waits for before it answers: fsync or memory.
    #[arg(long, default_value = "fsync")]
    pub(super) durability: Durability,
    /// Where the cluster keeps its files, for a look at the logs afterwards; a new or empty folder
    /// [default: a temporary folder].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// What happens to a node.
    #[arg(long, value_enum, default_value_t = Fault::Kill)]
    pub(super) fault: Fault,
    /// Whose nodes.
    #[arg(long, value_enum, default_value_t = FaultTier::Sync)]
    tier: FaultTier,
    /// How often each node of the tier (or each pair) has its turn.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) rounds: u32,
    /// How long a node stays dead or paused.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub(super) down: Duration,
    /// Time from when the node is ready again to the next fault.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub(super) settle: Duration,
    /// Windows of the same length to measure without a fault, before the first one.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(super) baseline: u32,
    /// Messages per second of all publishers together, sent when they are due whatever the
    /// answers (open loop), all acknowledged.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 2000.0)]
    pub(super) rate: f64,
    /// Bytes of the arguments of each message, at least 48.
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    pub(super) payload_bytes: usize,
    /// Print one JSON object, with every fault and entry, instead of the table.
    #[arg(long)]
    pub(super) json: bool,
}

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Fault {
    /// SIGKILL, and a restart: a crash.
    Kill,
    /// SIGSTOP and SIGCONT: a node that is there and does nothing.
    Pause,
    /// SIGKILL to two neighbours at once, and a restart of both; the tier needs five nodes.
    KillTwo,
}

impl Fault {
    /// What was done to the node, for reports.
    pub(super) const fn done(self) -> &'static str {
        match self {
            Self::Kill | Self::KillTwo => "killed",
            Self::Pause => "paused",
        }
    }
}

/// A tier whose nodes can be taken from the clients' sessions without breaking them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FaultTier {
    Sync,
    Ndb,
}

impl FaultsArgs {
    /// The tier to be hit.
    pub(super) const fn tier(&self) -> Tier {
        match self.tier {
            FaultTier::Sync => Tier::Sync,
            FaultTier::Ndb => Tier::Ndb,
        }
    }

    /// The cluster to start.
    pub(super) fn cluster(&self) -> anyhow::Result<ClusterOptions> {
        let size = ClusterOptions::parse_size(&self.start_cluster)?;
        let nodes = match self.tier {
            FaultTier::Sync => size.sync,
            FaultTier::Ndb => size.ndb,
        };
        anyhow::ensure!(
            self.fault != Fault::KillTwo || nodes >= KILL_TWO_NODES_MIN,
            "kill-two needs {KILL_TWO_NODES_MIN} nodes in the tier, so that the majority stays, \
             and {} has {nodes}; try --start-cluster {}",
            self.start_cluster,
            match self.tier {
                FaultTier::Sync => "5+3+3",
                FaultTier::Ndb => "3+5+3",
            }
        );
        Ok(ClusterOptions { dir: self.dir.clone(), durability: self.durability, ..size })
    }

    /// One publisher and one subscriber at every entry, until stopped.
    pub(super) fn load(&self, entries: Vec<String>) -> LoadOptions {
        LoadOptions {
            publishers: entries.len(),
            topic: topic_or_new(None, "faults"),
            payload_bytes: self.payload_bytes,
            pace: Pace::Open { per_second: self.rate },
            amount: Amount::UntilStopped,
            patience: PATIENCE,
            ..LoadOptions::new(entries.clone(), entries)
        }
    }

    /// Who is hit together, in the order of a round.
    pub(super) fn victims(&self, nodes: &[String]) -> Vec<Vec<String>> {
        match self.fault {
            Fault::Kill | Fault::Pause => nodes.iter().map(|node| vec![node.clone()]).collect(),
            Fault::KillTwo => {
                let next = nodes.iter().cycle().skip(1);
                nodes.iter().zip(next).map(|(a, b)| vec![a.clone(), b.clone()]).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    fn parse(words: &str) -> FaultsArgs {
        match Args::try_parse_from(words.split(' ')).expect(words).command {
            Command::Faults(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_options_each_of_three_sync_nodes_is_killed_ten_times() {
        let args = parse("b faults");
        let nodes = ["S1", "S2", "S3"].map(str::to_owned);
        assert_eq!((args.fault, args.tier(), args.rounds), (Fault::Kill, Tier::Sync, 10));
        assert_eq!(args.victims(&nodes), nodes.map(|node| vec![node]));
        let size = args.cluster().expect("a cluster");
        assert_eq!((size.sync, size.ndb, size.entries), (3, 3, 3));
        assert!(args.load(vec!["ws://a/ws".to_owned()]).check().is_ok());
    }

    #[test]
    fn two_neighbours_are_killed_at_once_and_only_where_a_majority_stays() {
        let args = parse("b faults --fault kill-two --start-cluster 5+3+3");
        assert!(args.cluster().is_ok());
        let nodes = ["S1", "S2", "S3", "S4", "S5"].map(str::to_owned);
        let pairs: Vec<_> = args.victims(&nodes).iter().map(|pair| pair.join("+")).collect();
        assert_eq!(pairs, ["S1+S2", "S2+S3", "S3+S4", "S4+S5", "S5+S1"]);
        for small in ["--start-cluster 3+5+3", "--start-cluster 5+3+3 --tier ndb"] {
            let args = parse(&format!("b faults --fault kill-two {small}"));
            let error = args.cluster().expect_err(small).to_string();
            assert!(error.contains("kill-two needs 5 nodes"), "{error}");
        }
    }
}
