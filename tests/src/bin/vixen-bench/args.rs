//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use vixen_tests::harness::{ClusterOptions, Durability};
use vixen_tests::load::{Amount, LoadOptions, Pace};

use crate::calls::CallsArgs;
use crate::calls_faults::CallsFaultsArgs;
use crate::campaign::CampaignArgs;
use crate::compare::CompareArgs;
use crate::faults::FaultsArgs;
use crate::history::HistoryArgs;
use crate::hostile::HostileArgs;
use crate::patterns::PatternsArgs;
use crate::peer::PeerArgs;
use crate::scaling::ScalingArgs;
use crate::storage::StorageArgs;
use crate::subscribers::SubscribersArgs;

const AFTER_HELP: &str = "\
Examples:
  A whole cluster on this machine, 8 publishers on E1 and E2, a subscriber on E3, medians of 5 runs:
    vixen-bench run --start-cluster 3+3+3 --runs 5

  One publisher with one message outstanding, against a cluster that runs:
    vixen-bench run --publish ws://127.0.0.1:9031/ws --subscribe ws://127.0.0.1:9033/ws \\
        --publishers 1 --window 1

  2,000 messages/s whatever the answers, latencies from the time each message was due:
    vixen-bench run --start-cluster 3+3+3 --rate 2000

  What the slowest of them waited for:
    vixen-bench run --start-cluster 3+3+3 --rate 2000 --duration 5s --trace

Exit codes: 0 all well; 1 a guarantee was broken, or a client did not get to its end;
2 it could not be run at all.";

/// Workload generator, fault measurement, demonstration and test clusters for vixen.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Publish and subscribe, measure, and check every guarantee over the whole run.
    ///
    /// Messages carry their publisher, number and time. After the run the history of all clients
    /// is checked: what was acknowledged was received, once, in one order at all subscribers, at
    /// rising positions with rising permanent ids, in each publisher's own order, and in real
    /// time.
    Run(Box<RunArgs>),
    /// Measure a build and others, NATS and etcd among them, under the same loads, in turns, and print all and
    /// their ratios.
    ///
    /// Each build starts its own clusters of nine nodes on this machine, by the vixen-bench in its folder.
    /// Prints a markdown table: throughput, latencies, processor time, commits and frames, medians with their spread.
    Compare(CompareArgs),
    /// Start three nodes of NATS or etcd on this machine, and measure them under a load.
    ///
    /// Publishers wait for answers as those of `run` do; nobody subscribes.
    Peer(PeerArgs),
    /// Kill or pause the nodes of a cluster in turns, and measure how long clients wait.
    ///
    /// Starts a cluster on this machine and publishes to every entry at a fixed rate, with a
    /// subscriber at every entry. Then each node of one tier in turn dies or is paused, stays so
    /// for a while, comes back, and the cluster settles. For each of these faults it notes the
    /// longest time without an acknowledgement, and without a delivery, at the entry where it was
    /// longest. Prints a markdown table, then whether every guarantee held. All that it started
    /// is stopped at the end, after an error and after Ctrl-C as well.
    Faults(Box<FaultsArgs>),
    /// Store very many messages, then measure how fast a late reader gets them, from an ndb node and
    /// from an entry, and how fast one sparse topic is found among them.
    ///
    /// Every reader checks that each position comes once, in order. Prints markdown tables. Memory
    /// is what the processes allocate; LMDB's file in the page cache is not counted.
    History(HistoryArgs),
    /// Let callers call through a router that runs, and print calls/s, latencies and its CPU.
    ///
    /// Callees and callers are in this process. Any router of WAMP will do, so that two can be compared.
    Calls(CallsArgs),
    /// Kill, pause and cut off nodes and callees in turns while callers call, and judge what they are told.
    ///
    /// Starts a cluster of nine nodes on this machine, in a network of its own, whose entries are linked. Callers
    /// and callees are at all entries; half of the callees share a procedure, each of the other procedures has one
    /// callee, and another that wants it. Every call must be answered once within its bound, with its own result; no
    /// registration may be left behind; of procedures with one callee nobody may be invoked after a later holder. In
    /// the end the records of the order say who held what. Prints a line a round, then tables in markdown. All that
    /// it started is stopped at the end, after an error and after Ctrl-C as well.
    CallsFaults(Box<CallsFaultsArgs>),
    /// What subscriptions by pattern that match nothing cost publishers, few and many in turns.
    Patterns(PatternsArgs),
    /// Count what each ndb group writes and what the vote costs, with 1, 2 and 4 groups.
    Scaling(ScalingArgs),
    /// Kill, wipe, damage or fill the stores of a cluster under load, and judge what they hold.
    ///
    /// Starts a cluster of two groups on this machine, with publishers and subscribers at both
    /// entries. In the end the tools of vixen-ndb verify and dump every store: what was
    /// acknowledged is there, once, in one order, the same in all nodes of a group. Prints a
    /// summary in markdown. All that it started is stopped at the end, after an error and after
    /// Ctrl-C as well.
    Storage(Box<StorageArgs>),
    /// Cut off, stall or multiply the subscribers of a cluster under load, and judge what they get.
    ///
    /// Starts a cluster of nine nodes on this machine. Every subscriber must have each message of
    /// its topics once, in one order, whatever happened to it; the memory of the entry is watched.
    /// Prints a summary in markdown. All that it started is stopped at the end, after an error and
    /// after Ctrl-C as well.
    Subscribers(Box<SubscribersArgs>),
    /// Kill, pause and cut off nodes of all tiers for minutes, one, two and all at once, and judge what
    /// clients were told and got.
    ///
    /// Starts a cluster of nine nodes on this machine, in a network of its own. Clients of every kind
    /// go on: publishers by WAMP and HTTP, subscribers that come back with `after` and with
    /// `Last-Event-ID`. What was acknowledged must have reached every subscriber once, in one order,
    /// at one position by WAMP, /events and /history. Prints a summary in markdown. All that it
    /// started is stopped at the end, after an error and after Ctrl-C as well.
    Campaign(CampaignArgs),
    /// Let two hundred hostile clients of all kinds loose on one entry, and judge how honest ones fare.
    ///
    /// Starts a cluster of nine nodes on this machine. Honest clients publish and subscribe at all
    /// entries, first in quiet, then while the crowd stalls, floods, guesses, and leaves everything
    /// unfinished. Their latencies, and the memory of all nodes against what `--check-config` says that
    /// it may be, are judged. Prints a summary in markdown. All that it started is stopped at the end,
    /// after an error and after Ctrl-C as well.
    Hostile(HostileArgs),
    /// Publish a few messages and show, in words, that all subscribers see one order.
    Demo(DemoArgs),
    /// Start a cluster of processes on free ports and keep it until SIGTERM, SIGINT or the end of
    /// standard input.
    Cluster(ClusterArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RunArgs {
    /// Entries to publish to; publishers are dealt out round-robin.
    #[arg(long, value_name = "URL", num_args = 1.., required_unless_present = "start_cluster")]
    pub(crate) publish: Vec<String>,
    /// Entries to subscribe at; subscribers are dealt out round-robin.
    #[arg(long, value_name = "URL", num_args = 1..)]
    pub(crate) subscribe: Vec<String>,
    /// Start a cluster of so many sync, ndb and entry nodes for this run. Publishers use all
    /// entries but the last, subscribers the last.
    #[arg(
        long,
        value_name = "SIZE",
        num_args = 0..=1,
        default_missing_value = "3+3+3",
        conflicts_with_all = ["publish", "subscribe"]
    )]
    pub(crate) start_cluster: Option<String>,
    /// What the started cluster waits for before it answers: fsync or memory.
    #[arg(long, default_value = "fsync", requires = "start_cluster")]
    pub(crate) durability: Durability,
    /// Where the started cluster keeps its files [default: a temporary folder].
    #[arg(long, requires = "start_cluster")]
    pub(crate) dir: Option<PathBuf>,
    /// Number of publishers.
    #[arg(long, default_value_t = 8)]
    pub(crate) publishers: usize,
    /// Messages that each publisher keeps unanswered.
    #[arg(long, default_value_t = 64, conflicts_with = "rate")]
    pub(crate) window: usize,
    /// Messages per second of all publishers together, sent when they are due whatever the
    /// answers (open loop) [default: as fast as the window allows].
    #[arg(long, value_name = "PER_SECOND")]
    pub(crate) rate: Option<f64>,
    /// Bytes of the arguments of each message, at least 48.
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    pub(crate) payload: usize,
    /// Measure so many messages of all publishers together.
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    pub(crate) messages: Option<u64>,
    /// Measure for so long.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) duration: Duration,
    /// Traffic before that, not measured but checked.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(crate) warmup: Duration,
    /// Number of subscribers [default: one for each URL of --subscribe].
    #[arg(long)]
    pub(crate) subscribers: Option<usize>,
    /// Topic of all messages; nobody else may publish to it [default: a new one for each run].
    #[arg(long)]
    pub(crate) topic: Option<String>,
    /// Realm of all sessions.
    #[arg(long, default_value = "realm1")]
    pub(crate) realm: String,
    /// Ask for no acknowledgements, but for each publisher's last message.
    #[arg(long)]
    pub(crate) no_ack: bool,
    /// Do it so often and print the medians as well.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Print JSON, an object a run, then the medians.
    #[arg(long)]
    pub(crate) json: bool,
    /// Threads of the generator.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Silence after which a missing answer or event is given up.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = duration)]
    pub(crate) patience: Duration,
    /// Record all nodes of the started cluster, and print what messages waited for, stage by stage, of all and of
    /// the slowest one in a thousand, and the N slowest segments one by one. Recording makes all slower.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "20", requires = "start_cluster")]
    pub(crate) trace: Option<usize>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Entry to publish to.
    #[arg(long, value_name = "URL")]
    pub(crate) publish: String,
    /// Entries to subscribe at.
    #[arg(long, value_name = "URL", num_args = 1.., required = true)]
    pub(crate) subscribe: Vec<String>,
    /// Messages to publish.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) messages: u32,
    /// Realm of all sessions.
    #[arg(long, default_value = "realm1")]
    pub(crate) realm: String,
    /// Topic; nobody else may publish to it [default: a new one].
    #[arg(long)]
    pub(crate) topic: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ClusterArgs {
    /// Where configuration, logs and stores go.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Written once every node is ready: JSON with the entries' URLs and the nodes' addresses.
    #[arg(long, value_name = "FILE")]
    pub(crate) ports_file: PathBuf,
    /// Number of sync, ndb and entry nodes.
    #[arg(long, default_value = "3+3+3")]
    pub(crate) size: String,
    /// What nodes wait for before they answer: fsync or memory.
    #[arg(long, default_value = "fsync")]
    pub(crate) durability: Durability,
    /// So many of the entries, the first, link to each other, so that calls go between them.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) linked_entries: usize,
    /// Further tables of the configuration file, such as `[[realm]]`.
    #[arg(long, value_name = "FILE")]
    pub(crate) config_append: Option<PathBuf>,
}

impl RunArgs {
    /// The workload, on these entries.
    pub(crate) fn options(&self, publish: Vec<String>, subscribe: Vec<String>) -> LoadOptions {
        let amount = match self.messages {
            Some(messages) => Amount::Messages(messages),
            None => Amount::Time(self.duration),
        };
        LoadOptions {
            publishers: self.publishers,
            subscribers: self.subscribers.unwrap_or(subscribe.len()),
            realm: self.realm.clone(),
            topic: topic_or_new(self.topic.as_ref(), "bench"),
            payload_bytes: self.payload,
            pace: match self.rate {
                Some(per_second) => Pace::Open { per_second },
                None => Pace::Closed { window: self.window },
            },
            amount,
            warmup: self.warmup,
            acknowledge: !self.no_ack,
            patience: self.patience,
            ..LoadOptions::new(publish, subscribe)
        }
    }

    /// The cluster to start, if one is to be started.
    pub(crate) fn cluster(&self) -> anyhow::Result<Option<ClusterOptions>> {
        let Some(size) = &self.start_cluster else { return Ok(None) };
        let size = ClusterOptions::parse_size(size)?;
        let (dir, durability) = (self.dir.clone(), self.durability);
        Ok(Some(ClusterOptions { dir, durability, ..size }))
    }
}

/// The topic asked for, or one that nobody used before.
pub(crate) fn topic_or_new(topic: Option<&String>, purpose: &str) -> String {
    topic.cloned().unwrap_or_else(|| format!("vixen.{purpose}.{:08x}", rand::random::<u32>()))
}

/// Reads `250ms`, `10s` or `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _other => return Err("a time is like 250ms, 10s or 2m".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_bad| "a time begins with a number".to_owned())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn times_are_numbers_with_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "5", "s", "1h", "-1s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_run_needs_entries_or_a_cluster() {
        let parse = |args: &str| Args::try_parse_from(args.split(' '));
        assert!(parse("b run").is_err());
        assert!(parse("b run --publish ws://a/ws ws://b/ws --subscribe ws://c/ws").is_ok());
        assert!(parse("b run --start-cluster").is_ok());
        assert!(parse("b run --start-cluster 1+1+1 --durability memory --runs 5").is_ok());
        assert!(parse("b run --start-cluster --publish ws://a/ws").is_err());
        assert!(parse("b run --start-cluster --window 3 --rate 5").is_err());
    }
}
