//! `vixen-bench run`.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use vixen_tests::check::check;
use vixen_tests::harness::{Cluster, Durability, NodeSetup, Tier, Usage};
use vixen_tests::load::{Load, LoadOptions, LoadResult};
use vixen_tests::trace::trace;

use crate::args::RunArgs;
use crate::interrupt::Interrupts;
use crate::report::{self, Outcome};

/// Runs the workload as often as asked; `true` when every run was in order. An interrupt ends it, and the cluster
/// that it has started.
pub(crate) async fn run(args: &RunArgs) -> anyhow::Result<bool> {
    Interrupts::new()?.bound(run_all(args)).await
}

async fn run_all(args: &RunArgs) -> anyhow::Result<bool> {
    let recordings = args.trace.map(|_| tempfile::Builder::new().prefix("vixen-trace-").tempdir());
    let recordings = recordings.transpose()?;
    let mut write_quorum = 0;
    let cluster = match args.cluster()? {
        None => None,
        Some(options) => {
            eprintln!(
                "starting {} sync, {} ndb, {} entry nodes with durability {}",
                options.sync,
                options.ndb_total(),
                options.entries,
                options.durability.as_str()
            );
            write_quorum = options.write_quorum;
            let setup = node_setup(recordings.as_ref().map(TempDir::path));
            Some(Cluster::start_with(options, |_id, _store| setup.clone()).await?)
        }
    };
    let is_durable = matches!(args.durability, Durability::Fsync);
    let mut outcomes = Vec::new();
    for number in 1..=args.runs {
        let options = match &cluster {
            None => args.options(args.publish.clone(), args.subscribe.clone()),
            Some(cluster) => {
                let (publish, subscribe) = split(cluster.urls());
                args.options(publish, subscribe)
            }
        };
        let setup = report::setup(&options, number, args.runs);
        eprintln!("{setup}");
        let before = usage(cluster.as_ref(), is_durable).await?;
        let result = measure(options).await?;
        let after = usage(cluster.as_ref(), is_durable).await?;
        let outcome = Outcome::new(setup, &result, check(&result.history), &before, &after);
        if args.json {
            println!("{}", outcome.to_json());
        } else {
            println!("{outcome}");
        }
        outcomes.push(outcome);
    }
    if args.runs > 1 {
        let medians = report::medians(&outcomes);
        if args.json {
            println!("{}", medians.to_json());
        } else {
            println!("{medians}");
        }
    }
    if let Some(mut cluster) = cluster {
        cluster.stop_all().await?;
    }
    if let (Some(recordings), Some(slowest)) = (recordings, args.trace) {
        println!("{}", trace(recordings.path(), write_quorum, slowest)?);
    }
    Ok(outcomes.iter().all(Outcome::is_ok))
}

/// Nodes that record into this directory, if there is one.
fn node_setup(recordings: Option<&Path>) -> NodeSetup {
    let record = recordings.map(|dir| ("VIXEN_RECORD".to_owned(), dir.display().to_string()));
    NodeSetup { env: record.into_iter().collect(), ..NodeSetup::default() }
}

/// All entries but the last for publishers, the last for subscribers.
fn split(mut urls: Vec<String>) -> (Vec<String>, Vec<String>) {
    let last = urls.last().cloned();
    if urls.len() > 1 {
        urls.pop();
    }
    (urls, last.into_iter().collect())
}

/// Runs the workload once, with a line a second on standard error.
async fn measure(options: LoadOptions) -> anyhow::Result<LoadResult> {
    const SECOND: Duration = Duration::from_secs(1);
    let subscribers = options.subscribers.max(1) as u64;
    let load = Load::start(options).await?;
    let progress = load.progress();
    let mut finished = std::pin::pin!(load.finish());
    let mut ticks = interval_at(Instant::now() + SECOND, SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = (0, 0, 0);
    let mut seconds = 0;
    loop {
        tokio::select! {
            result = &mut finished => return result,
            _tick = ticks.tick() => {}
        }
        seconds += 1;
        let now = (progress.acknowledged(), progress.delivered() / subscribers, progress.sent());
        eprintln!(
            "  {seconds:3} s: {} sent/s, {} acknowledged/s, {} delivered/s, {} errors",
            report::grouped(now.2 - last.2),
            report::grouped(now.0 - last.0),
            report::grouped(now.1 - last.1),
            progress.errors()
        );
        last = now;
    }
}

/// Syncs of a transaction of LMDB: of its pages, and of the page that says which they are.
const LMDB_SYNCS: u64 = 2;

/// Processor seconds, commits, syncs and frames so far of this process and of the cluster's nodes.
async fn usage(
    cluster: Option<&Cluster>,
    is_durable: bool,
) -> anyhow::Result<Vec<(String, Usage)>> {
    let own = Usage::of_this_process().map(|usage| ("generator".to_owned(), usage));
    let mut used: Vec<_> =
        own.into_iter().chain(cluster.map(Cluster::usage).unwrap_or_default()).collect();
    let Some(cluster) = cluster else { return Ok(used) };
    let commits = |tier| match tier {
        Tier::Sync => Some("vixen_sync_commits_total"),
        Tier::Ndb => Some("vixen_ndb_commits_total"),
        Tier::Entry => None,
    };
    for tier in Tier::ALL {
        for id in cluster.ids_of(tier) {
            let Some((_, usage)) = used.iter_mut().find(|(name, _)| *name == id) else { continue };
            usage.frames = count(cluster, &id, "vixen_link_frames_sent_total").await?;
            if let Some(metric) = commits(tier) {
                usage.commits = count(cluster, &id, metric).await?;
                let syncs = count(cluster, &id, &metric.replace("commits", "disk_syncs")).await?;
                usage.syncs = match tier {
                    // A version from before they were counted, beside which this one is measured.
                    Tier::Ndb if is_durable && syncs == Some(0) => {
                        usage.commits.map(|commits| commits * LMDB_SYNCS)
                    }
                    Tier::Sync | Tier::Ndb | Tier::Entry => syncs,
                };
            }
        }
    }
    Ok(used)
}

/// A counter of a node.
async fn count(cluster: &Cluster, id: &str, metric: &str) -> anyhow::Result<Option<u64>> {
    // Far below 2^53, and whole.
    Ok(format!("{:.0}", cluster.metric(id, metric).await?).parse().ok())
}
