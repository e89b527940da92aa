//! Everything at once, for minutes: nodes of all tiers are killed, stand still and lose their ports,
//! one, two and all together, and clients of every kind go on.
//!
//! ```text
//!   WAMP publishers, POST /publish ──> E1 E2 E3 ──> WAMP subscribers (`after`)
//!                                          │    └──> /events (`Last-Event-ID`)
//!       S1 S2 S3, D1 D2 D3                 └──> /history, in the end
//!         kill -9, SIGSTOP, packet filter on a port
//! ```
//! The judge stands outside: it knows what clients were told and what they got, by WAMP and HTTP, and
//! nothing else. What was acknowledged has reached every subscriber once, in one order, at the same
//! positions by all ways.

mod faults;
mod filter;
mod followers;
mod http;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

pub use crate::outcome::Outcome;
pub(crate) use filter::PacketFilter;
pub use filter::in_own_network;

use crate::check::{History, Subscriber, check};
use crate::harness::{Cluster, ClusterOptions, Tier, wait_until};
use crate::load::{Amount, LoadOptions, Pace, Progress, Roaming, RoamingResult};
use crate::storage::{common_prefix, read_history};
use faults::{Fault, Faults};
use followers::Followers;
use http::HttpPublishers;

/// Bound on anything that a debug build on a busy machine does at once.
const SOON: Duration = Duration::from_secs(60);
/// Longer than any fault lasts: nobody is to be refused for one.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(30);
const TOPICS: u32 = 3;
const PUBLISHERS: usize = 4;
/// Numbers of publishers by HTTP begin here.
const FIRST_BY_HTTP: u32 = 1_000_000;
const PAYLOAD_BYTES: usize = 96;
/// Between two faults at least so many messages are acknowledged.
const BETWEEN: u64 = 50;
/// Between two looks at what is acknowledged.
const LOOK: Duration = Duration::from_millis(5);

/// How a campaign is run.
#[derive(Clone, Debug)]
pub struct CampaignOptions {
    /// How long faults go on.
    pub time: Duration,
    /// Where everything random comes from, apart from the timing of the processes.
    pub seed: u64,
    /// Messages per second of all WAMP publishers together.
    pub per_second: f64,
    /// Where configuration, logs and stores go; `None`: a temporary folder, which stays when a
    /// guarantee was broken.
    pub dir: Option<PathBuf>,
}

struct Campaign {
    options: CampaignOptions,
    cluster: Cluster,
    filter: PacketFilter,
    rng: StdRng,
    history: History,
    facts: Vec<(String, String)>,
    broken: Vec<String>,
}

/// Runs it and judges.
///
/// # Errors
/// When the cluster cannot be started, or there is no packet filter to be had; whatever goes wrong
/// later is in the outcome.
pub async fn run(options: CampaignOptions) -> anyhow::Result<Outcome> {
    let filter = PacketFilter::new()?;
    let cluster = ClusterOptions {
        dir: options.dir.clone(),
        publish_timeout: PUBLISH_TIMEOUT,
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start(cluster).await?;
    let mut campaign = Campaign {
        rng: StdRng::seed_from_u64(options.seed),
        options,
        cluster,
        filter,
        history: History::default(),
        facts: Vec::new(),
        broken: Vec::new(),
    };
    if let Err(error) = campaign.run().await {
        campaign.broken(format!("it was broken off: {error:#}"));
    }
    campaign.finish().await
}

impl Campaign {
    fn fact(&mut self, name: &str, value: impl ToString) {
        self.facts.push((name.to_owned(), value.to_string()));
    }

    fn broken(&mut self, what: impl Into<String>) {
        let what = what.into();
        eprintln!("BROKEN: {what}");
        self.broken.push(what);
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        let urls = self.cluster.urls();
        let load = LoadOptions {
            publishers: PUBLISHERS,
            topic: "vixen.campaign".to_owned(),
            topics: TOPICS,
            payload_bytes: PAYLOAD_BYTES,
            pace: Pace::Open { per_second: self.options.per_second },
            amount: Amount::UntilStopped,
            patience: SOON,
            ..LoadOptions::new(urls, Vec::new())
        };
        let entries = self.cluster.ids_of(Tier::Entry);
        let addresses: Result<Vec<_>, _> =
            entries.iter().map(|id| self.cluster.address(id)).collect();
        let addresses = addresses?;
        let publishers = Roaming::start(load.clone())?;
        let by_http =
            HttpPublishers::start(addresses.clone(), load.topic_names(), self.rng.random());
        let followers = Followers::start(&load, addresses, self.rng.random());
        let progress = publishers.progress();
        let struck = self.strike(&progress).await;
        let published = publishers.stopped().await?;
        let by_http = by_http.stopped().await?;
        self.take_published(published, by_http);
        self.take_followed(followers).await?;
        struck?;
        self.read_histories(&load).await
    }

    /// One fault after the other, until the time is over.
    async fn strike(&mut self, progress: &Arc<Progress>) -> anyhow::Result<()> {
        acknowledged(progress).await.context("before the first fault")?;
        let mut faults = Faults::default();
        let mut longest = (Duration::ZERO, String::new());
        let begin = Instant::now();
        while begin.elapsed() < self.options.time {
            let fault = Fault::draw(&self.cluster, &mut self.rng);
            let struck = Instant::now();
            let what = fault.to_string();
            let strike = fault.strike(&mut self.cluster, &mut self.filter);
            let (done, silence) = with_longest_silence(progress, strike).await;
            done.context(what.clone())?;
            if !fault.is_of_all() && silence > longest.0 {
                longest = (silence, what.clone());
            }
            acknowledged(progress).await.with_context(|| format!("after {what}"))?;
            for id in self.cluster.ids() {
                if let Some(status) = self.cluster.has_ended(&id)? {
                    bail!("{id} has ended with {status} after {what}");
                }
            }
            eprintln!(
                "{:>4} s: {what}; all well after {:.2?}",
                begin.elapsed().as_secs(),
                struck.elapsed()
            );
            faults.count(&fault);
        }
        let (silence, what) = longest;
        let words = format!("{silence:.2?} ({what})");
        self.fact("longest time without any acknowledgement, but for kills of all", words);
        for (name, count) in faults.counts() {
            self.fact(&name, count);
        }
        Ok(())
    }

    fn take_published(&mut self, by_wamp: RoamingResult, by_http: http::Published) {
        for trouble in &by_wamp.troubles {
            self.broken(trouble.clone());
        }
        if let Some(error) = &by_wamp.first_error {
            self.broken(format!("a publish was refused: {error}"));
        }
        for refused in by_http.refusals {
            self.broken(format!("a publish by HTTP was refused: {refused}"));
        }
        self.fact("ack latency by WAMP", &by_wamp.acknowledge);
        self.fact("sessions of publishers lost", by_wamp.losses.len());
        self.fact("messages acknowledged by HTTP", by_http.acknowledged);
        self.fact("requests by HTTP lost", by_http.lost);
        self.history.publishers = by_wamp.publishers;
        self.history.publishers.extend(by_http.publishers);
    }

    async fn take_followed(&mut self, followers: Followers) -> anyhow::Result<()> {
        let last = last_positions(&self.history);
        for followed in followers.stopped(last).await? {
            if let Some(trouble) = followed.trouble {
                self.broken(trouble);
            }
            self.fact(&format!("subscriber {}", followed.subscriber.name), followed.words);
            self.history.subscribers.push(followed.subscriber);
        }
        Ok(())
    }

    /// What is stored is one more subscriber at each entry.
    async fn read_histories(&mut self, load: &LoadOptions) -> anyhow::Result<()> {
        let topics = load.topic_names();
        for id in self.cluster.ids_of(Tier::Entry) {
            let address = self.cluster.address(&id)?;
            let (read, error) =
                read_history(&address, &load.realm, common_prefix(&topics), &topics, SOON).await?;
            if let Some(error) = error {
                self.broken(format!("history at {id}: {error}"));
            }
            self.history.subscribers.push(Subscriber {
                name: format!("history at {id}"),
                from: 0,
                events: read.events,
                complete: true,
                damaged: read.damaged,
            });
        }
        Ok(())
    }

    async fn finish(mut self) -> anyhow::Result<Outcome> {
        let report = check(&self.history);
        let mut files = None;
        if self.broken.is_empty() && report.is_ok() {
            self.cluster.stop_all().await.context("at the end")?;
        } else {
            files = Some(self.cluster.keep_files().to_owned());
        }
        let CampaignOptions { time, seed, per_second, .. } = self.options;
        let setup = format!(
            "3 sync, 3 ndb, 3 entry nodes, fsync; faults for {time:?}; {PUBLISHERS} publishers by WAMP, \
             open loop, {per_second} messages/s in all, and {} by HTTP, on {TOPICS} topics",
            http::PUBLISHERS
        );
        let (facts, broken) = (self.facts, self.broken);
        Ok(Outcome { scenario: "campaign", seed, setup, facts, broken, report, files })
    }
}

/// Waits until some more messages are acknowledged.
async fn acknowledged(progress: &Arc<Progress>) -> anyhow::Result<()> {
    let goal = progress.acknowledged() + BETWEEN;
    let what = format!("{BETWEEN} more acknowledgements");
    wait_until(&what, SOON, || async { Ok((progress.acknowledged() >= goal).then_some(())) }).await
}

/// Does something, and says for how long at most there was no acknowledgement meanwhile.
async fn with_longest_silence<T>(
    progress: &Arc<Progress>,
    work: impl Future<Output = T>,
) -> (T, Duration) {
    let mut work = std::pin::pin!(work);
    let (mut seen, mut since) = (progress.acknowledged(), Instant::now());
    let mut longest = Duration::ZERO;
    loop {
        let done = tokio::time::timeout(LOOK, &mut work).await;
        longest = longest.max(since.elapsed());
        if progress.acknowledged() > seen {
            (seen, since) = (progress.acknowledged(), Instant::now());
        }
        if let Ok(done) = done {
            return (done, longest);
        }
    }
}

/// The last acknowledged position of each topic.
fn last_positions(history: &History) -> Vec<u64> {
    let mut last = vec![0; TOPICS as usize];
    for publisher in &history.publishers {
        for (seq, publication) in (1..).zip(&publisher.publications) {
            if let crate::check::Outcome::Acknowledged { position, .. } = publication.outcome {
                let of_topic = &mut last[LoadOptions::turn(TOPICS as usize, seq)];
                *of_topic = position.max(*of_topic);
            }
        }
    }
    last
}
