//! `vixen-bench patterns`: what patterns that match nothing cost those who publish.
//!
//! A number of subscriptions stand at E1. A publisher at E2 publishes to topics that none of them has,
//! and a bystander at E1, in another realm, publishes one message at a time throughout. Few and many
//! patterns are measured in turns, each with a cluster of its own, so that ratios are of one sitting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, Durability};

/// Subscriptions of one session.
const PER_SESSION: usize = 1_000;
/// How long the bystander is measured alone.
const QUIET: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    Exact,
    Prefix,
    Wildcard,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PatternsArgs {
    /// Numbers of subscriptions to try.
    #[arg(long, num_args = 1.., default_values_t = [10, 50_000])]
    patterns: Vec<usize>,
    /// Of which kind.
    #[arg(long, value_enum, default_value = "prefix")]
    kind: Kind,
    /// Messages to publish.
    #[arg(long, default_value_t = 20_000)]
    messages: usize,
    /// On so many topics.
    #[arg(long, default_value_t = 1_000)]
    topics: usize,
    /// Times that each number is tried.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Measures; `true` when all was answered.
pub(crate) async fn patterns(args: &PatternsArgs) -> anyhow::Result<bool> {
    println!(
        "| {:?} subscriptions | subscribed in | acknowledged/s | CPU s: ndb, entry | bystander's \
         median, longest: alone | while they subscribe | while others publish |",
        args.kind
    );
    println!("|---|---|---|---|---|---|---|");
    for _ in 0..args.rounds {
        for count in &args.patterns {
            measure(args, *count).await?;
        }
    }
    Ok(true)
}

async fn measure(args: &PatternsArgs, count: usize) -> anyhow::Result<()> {
    let options = ClusterOptions {
        sync: 1,
        ndb: 1,
        entries: 2,
        write_quorum: 1,
        durability: Durability::Memory,
        // All sessions are at one address.
        extra: format!(
            "[limits]\npatterns-per-session-max = {PER_SESSION}\npatterns-per-address-max = 100000\n"
        ),
        ..ClusterOptions::default()
    };
    let mut cluster = Cluster::start(options).await?;
    let (one, two) = (cluster.url("E1")?, cluster.url("E2")?);
    let bystander = Bystander::start(&one);
    tokio::time::sleep(QUIET).await;
    let alone = bystander.end().await?;

    let bystander = Bystander::start(&one);
    let begin = Instant::now();
    let sessions = subscribe(&one, args.kind, count).await?;
    let subscribed = begin.elapsed();
    let subscribing = bystander.end().await?;

    let used = cpu_of(&cluster);
    let bystander = Bystander::start(&one);
    let begin = Instant::now();
    publish(&two, args).await?;
    let published = begin.elapsed();
    let publishing = bystander.end().await?;
    let [ndb, entry] = [0, 1].map(|tier| cpu_of(&cluster)[tier] - used[tier]);

    #[expect(clippy::cast_precision_loss, reason = "a count of a short run")]
    let rate = args.messages as f64 / published.as_secs_f64();
    println!(
        "| {count} | {:.2} s | {rate:.0} | {ndb:.2}, {entry:.2} | {alone} | {subscribing} | {publishing} |",
        subscribed.as_secs_f64()
    );
    drop(sessions);
    cluster.stop_all().await
}

/// Processor seconds so far: of D1, of E1 and E2.
fn cpu_of(cluster: &Cluster) -> [f64; 2] {
    let mut seconds = [0.0; 2];
    for (id, usage) in cluster.usage() {
        match id.as_str() {
            "D1" => seconds[0] += usage.cpu_seconds,
            "E1" | "E2" => seconds[1] += usage.cpu_seconds,
            _ => {}
        }
    }
    seconds
}

/// Makes the subscriptions, all at once; the sessions that have them.
async fn subscribe(url: &str, kind: Kind, count: usize) -> anyhow::Result<Vec<Connection>> {
    let mut sessions = Vec::new();
    for first in (0..count).step_by(PER_SESSION) {
        let mut session = Connection::open(url, "realm1").await?;
        let here = PER_SESSION.min(count - first);
        for n in first..first + here {
            let (options, topic) = match kind {
                Kind::Exact => (json!({}), format!("com.bench.sub{n}.x")),
                Kind::Prefix => (json!({"match": "prefix"}), format!("com.bench.sub{n}.")),
                Kind::Wildcard => {
                    (json!({"match": "wildcard"}), format!("com.bench.sub{n}..value"))
                }
            };
            session.send(json!([32, n + 1, options, topic]).to_string().as_bytes());
        }
        answers(&mut session, 33, here).await?;
        sessions.push(session);
    }
    Ok(sessions)
}

async fn publish(url: &str, args: &PatternsArgs) -> anyhow::Result<()> {
    let mut session = Connection::open(url, "realm1").await?;
    for n in 0..args.messages {
        let topic = format!("com.bench.none{}.x.y", n % args.topics);
        let publish = json!([16, n + 1, {"acknowledge": true}, topic, ["x".repeat(64)]]);
        session.send(publish.to_string().as_bytes());
    }
    answers(&mut session, 17, args.messages).await
}

async fn answers(session: &mut Connection, code: u64, count: usize) -> anyhow::Result<()> {
    let mut left = count;
    while left > 0 {
        session.exchange().await?;
        while let Some(text) = session.next_text()? {
            let message: Value = serde_json::from_slice(text)?;
            ensure!(message[0] == code, "{message}");
            left -= 1;
        }
    }
    Ok(())
}

/// Publishes one message after the other in a realm of its own.
struct Bystander {
    is_over: Arc<AtomicBool>,
    task: JoinHandle<anyhow::Result<Waits>>,
}

/// How long it waited for its acknowledgements.
struct Waits(Vec<Duration>);

impl Bystander {
    fn start(url: &str) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (url, end) = (url.to_owned(), Arc::clone(&is_over));
        let task = tokio::spawn(async move {
            let mut session = Connection::open(&url, "bystander").await?;
            let mut waits = Vec::new();
            while !end.load(Ordering::Relaxed) {
                let begin = Instant::now();
                let request = waits.len() as u64 + 1;
                session.publish(request, "com.bystander", "[1]").await?;
                waits.push(begin.elapsed());
            }
            waits.sort_unstable();
            Ok(Waits(waits))
        });
        Self { is_over, task }
    }

    async fn end(self) -> anyhow::Result<Waits> {
        self.is_over.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

impl std::fmt::Display for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |wait: Option<&Duration>| wait.map_or(0.0, |wait| wait.as_secs_f64() * 1e3);
        let (median, longest) = (self.0.get(self.0.len() / 2), self.0.last());
        write!(f, "{:.1}, {:.0} ms", ms(median), ms(longest))
    }
}
