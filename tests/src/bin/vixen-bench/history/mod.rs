//! `vixen-bench history`: how fast a late reader gets what is stored, and at what cost.

mod over_http;
mod over_link;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use vixen_core::id::Position;
use vixen_tests::check::Outcome;
use vixen_tests::client::Connection;
use vixen_tests::harness::{
    Cluster, ClusterOptions, Durability, Tier, Usage, anonymous_mib, wait_until,
};
use vixen_tests::load::{Amount, Load, LoadOptions, Pace};

use crate::args::topic_or_new;

/// Messages of the sparse topic.
const SPARSE: u64 = 100;
/// For an answer, and for all to be read.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at the memory of the nodes.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, clap::Args)]
pub(crate) struct HistoryArgs {
    /// The cluster to start: sync, ndb and entry nodes.
    #[arg(long, value_name = "SIZE", default_value = "1+1+1")]
    start_cluster: String,
    /// What the nodes wait for before they answer: fsync or memory.
    #[arg(long, default_value = "fsync")]
    durability: Durability,
    /// Messages to store before anybody reads.
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    messages: u64,
    /// Bytes of the arguments of each message, at least 48.
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    payload: usize,
    /// Messages a publisher keeps unanswered: fewer make smaller segments.
    #[arg(long, default_value_t = 4096)]
    window: usize,
    /// Times that each reading is done.
    #[arg(long, value_name = "N", default_value_t = 3)]
    runs: u32,
}

/// What one reading took.
pub(super) struct Reading {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) elapsed: Duration,
}

/// Measures; `true` when every reader got everything in order.
pub(crate) async fn history(args: &HistoryArgs) -> anyhow::Result<bool> {
    let size = ClusterOptions::parse_size(&args.start_cluster)?;
    let cluster = Cluster::start(ClusterOptions { durability: args.durability, ..size }).await?;
    let (dense, sparse) = (topic_or_new(None, "dense"), topic_or_new(None, "sparse"));
    let begun = Instant::now();
    let stored = store(&cluster, args, &dense, &sparse).await?;
    let (total, end) = (stored.messages, stored.end);
    let segments = cluster.metric("D1", "vixen_ndb_segments_stored_total").await?;
    println!(
        "{total} messages of {} bytes in {segments} segments stored in {:.0} s; durability {}\n",
        args.payload,
        begun.elapsed().as_secs_f64(),
        args.durability.as_str()
    );
    print_usage(&cluster, "before reading");
    println!("| reading | run | messages | messages/s | MiB/s | peak MiB: ndb, entry, reader |");
    println!("|---|---|---|---|---|---|");
    let entry = cluster.address("E1")?;
    for run in 1..=args.runs {
        let watch = Watch::start(&cluster)?;
        let reading = over_link::read_all(&cluster, total, end).await?;
        print_reading("one ndb node, by its link", run, &reading, &watch.stop());
        let watch = Watch::start(&cluster)?;
        let path = "/history?after=0&limit=all";
        let reading = over_http::read_all(&entry, path, total).await?;
        print_reading("`GET /history` of an entry", run, &reading, &watch.stop());
    }
    println!("\n| {SPARSE} messages of one topic among {total} | run | ms |\n|---|---|---|");
    let path = format!("/history?topic={sparse}&after=0&limit={SPARSE}");
    for run in 1..=args.runs.max(5) {
        let begun = Instant::now();
        let found = over_http::positions(&entry, &path).await?;
        let elapsed = begun.elapsed();
        ensure!(found == stored.sparse, "the sparse topic has other positions: {found:?}");
        println!("| `GET /history?topic=…` | {run} | {:.1} |", elapsed.as_secs_f64() * 1e3);
    }
    let path = format!("/history?topic={sparse}&direction=backward&limit={SPARSE}");
    let begun = Instant::now();
    let mut found = over_http::positions(&entry, &path).await?;
    let elapsed = begun.elapsed();
    found.reverse();
    ensure!(found == stored.sparse, "backward, the sparse topic is another: {found:?}");
    println!("| the same, backward | 1 | {:.1} |", elapsed.as_secs_f64() * 1e3);
    let mut cluster = cluster;
    cluster.stop_all().await?;
    Ok(true)
}

/// What was published, and acknowledged. Entries have written a few messages of their own into the order as well.
struct Stored {
    messages: u64,
    /// Where the order of D1 ends.
    end: Position,
    /// The positions of the sparse topic.
    sparse: Vec<u64>,
}

/// Fills the store; the sparse topic's messages are spread over the time it takes.
async fn store(
    cluster: &Cluster,
    args: &HistoryArgs,
    dense: &str,
    sparse: &str,
) -> anyhow::Result<Stored> {
    let urls = cluster.urls();
    let options = LoadOptions {
        publishers: 4,
        subscribers: 0,
        topic: dense.to_owned(),
        payload_bytes: args.payload,
        pace: Pace::Closed { window: args.window },
        amount: Amount::Messages(args.messages),
        warmup: Duration::ZERO,
        acknowledge: true,
        patience: PATIENCE,
        ..LoadOptions::new(urls.clone(), Vec::new())
    };
    let load = Load::start(options).await?;
    let progress = load.progress();
    let mut publisher = Connection::open(&urls[0], "realm1").await?;
    let mut positions = Vec::new();
    for number in 1..=SPARSE {
        let due = args.messages / SPARSE * (number - 1);
        while progress.acknowledged() < due && !load.has_ended_client() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        positions.push(publisher.publish(number, sparse, &format!("[{number}]")).await?);
    }
    let result = load.finish().await?;
    ensure!(result.troubles.is_empty(), "{:?}", result.troubles);
    let publications = result.history.publishers.iter().flat_map(|one| &one.publications);
    let acknowledged = publications.filter_map(|publication| match publication.outcome {
        Outcome::Acknowledged { position, .. } => Some(position),
        Outcome::Refused | Outcome::Unknown => None,
    });
    let last = acknowledged.chain(positions.iter().copied()).max();
    let end = wait_until("D1 to have all of it", PATIENCE, || async {
        let next = cluster.status_number("D1", "/next_position").await?;
        Ok((Some(next) > last).then_some(Position(next)))
    });
    let end = end.await?;
    Ok(Stored { messages: progress.acknowledged() + SPARSE, end, sparse: positions })
}

fn print_usage(cluster: &Cluster, when: &str) {
    let line = |(id, usage): (String, Usage)| format!("{id} {:.0} MiB", usage.resident_mib);
    let all: Vec<_> = cluster.usage().into_iter().map(line).collect();
    println!("resident {when}: {}\n", all.join(", "));
}

fn print_reading(what: &str, run: u32, reading: &Reading, peaks: &[f64; 3]) {
    let seconds = reading.elapsed.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let (rate, mib) =
        (reading.messages as f64 / seconds, reading.bytes as f64 / seconds / f64::from(1 << 20));
    let [ndb, entry, reader] = peaks;
    println!(
        "| {what} | {run} | {} | {rate:.0} | {mib:.0} | {ndb:.0}, {entry:.0}, {reader:.0} |",
        reading.messages
    );
}

/// Looks at the anonymous memory of ndb node, entry and this process: pages of LMDB's file are the
/// system's cache, which it takes back at will.
struct Watch {
    done: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<[f64; 3]>,
}

impl Watch {
    fn start(cluster: &Cluster) -> anyhow::Result<Self> {
        let ndb = cluster.ids_of(Tier::Ndb).first().cloned().context("an ndb node")?;
        let pids = [cluster.pid(&ndb)?, cluster.pid("E1")?, std::process::id()];
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let thread = std::thread::spawn(move || {
            let mut peaks = [0.0_f64; 3];
            while !is_done.load(Ordering::Relaxed) {
                for (peak, pid) in peaks.iter_mut().zip(pids) {
                    *peak = peak.max(anonymous_mib(pid).unwrap_or_default());
                }
                std::thread::sleep(LOOK);
            }
            peaks
        });
        Ok(Self { done, thread })
    }

    fn stop(self) -> [f64; 3] {
        self.done.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}
