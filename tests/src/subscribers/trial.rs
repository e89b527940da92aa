//! A scenario under way.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::resumer::{Fared, Resumer};
use super::sessions::raise_files;
use super::stream::{Stream, Wanted};
use super::{Outcome, Scenario, SubscriberOptions};
use crate::check::{self, History, check};
use crate::harness::{Cluster, ClusterOptions, wait_until};
use crate::load::{Amount, LoadOptions, Pace, Progress, Roaming};

/// Bound on anything that a debug build on a busy machine does at once.
pub(super) const SOON: Duration = Duration::from_secs(60);

/// A session lasts no longer than this before it is cut.
const CUT_MS_MAX: u64 = 150;

pub(super) struct Trial {
    pub(super) scenario: Scenario,
    pub(super) options: SubscriberOptions,
    pub(super) cluster: Cluster,
    pub(super) rng: StdRng,
    /// To be checked in the end.
    pub(super) history: History,
    /// One line on what is run, beside the cluster.
    pub(super) setup: String,
    facts: Vec<(String, String)>,
    broken: Vec<String>,
}

/// Clients that come back, under way.
pub(super) struct Resumers {
    tasks: Vec<JoinHandle<Fared>>,
    target: watch::Sender<Option<Vec<u64>>>,
    pub(super) cuts_left: Arc<AtomicU64>,
}

impl Trial {
    /// Starts the cluster.
    pub(super) async fn start(
        scenario: Scenario,
        options: SubscriberOptions,
    ) -> anyhow::Result<Self> {
        if matches!(scenario, Scenario::Stalled | Scenario::Sessions) {
            raise_files(options.sessions)?;
        }
        let publish_timeout = match scenario {
            // Its storage stands still for a while, and nobody is to give up then.
            Scenario::Flood => 2 * SOON,
            Scenario::Resume | Scenario::Stalled | Scenario::Sessions | Scenario::Drain => {
                Duration::from_secs(20)
            }
        };
        let cluster_options = ClusterOptions {
            dir: options.dir.clone(),
            durability: options.durability,
            publish_timeout,
            // All of them come from one address.
            extra: "[limits]\nsessions-per-address-max = 65536\n".to_owned(),
            ..ClusterOptions::default()
        };
        let cluster = Cluster::start(cluster_options).await?;
        Ok(Self {
            scenario,
            rng: StdRng::seed_from_u64(options.seed),
            options,
            cluster,
            history: History::default(),
            setup: String::new(),
            facts: Vec::new(),
            broken: Vec::new(),
        })
    }

    pub(super) fn fact(&mut self, name: &str, value: impl ToString) {
        self.facts.push((name.to_owned(), value.to_string()));
    }

    pub(super) fn broken(&mut self, what: impl Into<String>) {
        let what = what.into();
        eprintln!("BROKEN: {what}");
        self.broken.push(what);
    }

    /// A load of this trial: open loop, all acknowledged, until stopped, without subscribers.
    pub(super) fn load_options(&self, publish: Vec<String>) -> LoadOptions {
        LoadOptions {
            publishers: 4,
            topic: format!("vixen.subscribers.{}", self.scenario.name()),
            payload_bytes: self.options.payload_bytes,
            pace: Pace::Open { per_second: self.options.per_second },
            amount: Amount::UntilStopped,
            patience: SOON,
            ..LoadOptions::new(publish, Vec::new())
        }
    }

    /// Clients that subscribe, each to some of the topics of `load`, at any entry.
    pub(super) fn start_resumers(
        &mut self,
        load: &LoadOptions,
        clients: &[(&str, &[Wanted])],
        cuts: u32,
    ) -> Resumers {
        let (target, targeted) = watch::channel(None);
        let cuts_left = Arc::new(AtomicU64::new(u64::from(cuts) * clients.len() as u64));
        let stream = |wanted: &Wanted| Stream::new(*wanted, load.topic_names(), load.payload_bytes);
        let tasks = clients.iter().map(|(name, wanted)| {
            let resumer = Resumer {
                name: (*name).to_owned(),
                realm: load.realm.clone(),
                urls: self.cluster.urls(),
                streams: wanted.iter().map(stream).collect(),
                rng: StdRng::seed_from_u64(self.rng.random()),
                cuts,
                cut_ms_max: CUT_MS_MAX,
                cuts_left: Arc::clone(&cuts_left),
                target: targeted.clone(),
                patience: SOON,
            };
            tokio::spawn(resumer.run())
        });
        Resumers { tasks: tasks.collect(), target, cuts_left }
    }

    /// Ends the load, waits for the clients, and puts all that they have into the history. What
    /// ended sessions of publishers and of clients by no doing of their own.
    pub(super) async fn end_load(
        &mut self,
        load: Roaming,
        topics: usize,
        resumers: Resumers,
    ) -> anyhow::Result<(Vec<String>, Vec<Fared>)> {
        load.stop();
        let result = load.finish().await?;
        for trouble in &result.troubles {
            self.broken(trouble.clone());
        }
        if let Some(error) = &result.first_error {
            self.broken(format!("a publish was refused: {error}"));
        }
        self.fact("ack latency", &result.acknowledge);
        resumers.target.send_replace(Some(result.last_positions(topics)));
        self.history.publishers = result.publishers;
        let mut all = Vec::new();
        for task in resumers.tasks {
            let mut fared = task.await?;
            if let Some(trouble) = fared.trouble.take() {
                self.broken(trouble);
            }
            all.push(fared);
        }
        Ok((result.losses, all))
    }

    /// Waits until so many more messages are acknowledged.
    pub(super) async fn acknowledged(
        &self,
        progress: &Arc<Progress>,
        more: u64,
    ) -> anyhow::Result<()> {
        let goal = progress.acknowledged() + more;
        let what = format!("{more} more acknowledgements");
        wait_until(&what, SOON, || async { Ok((progress.acknowledged() >= goal).then_some(())) })
            .await
    }

    /// Judges each topic of its own, by the streams that have that topic alone, and the order of
    /// all by those that have everything.
    pub(super) fn judge_streams(&mut self, topics: usize, all: Vec<Fared>) {
        let mut of_topics = vec![Vec::new(); topics];
        for fared in all {
            for stream in fared.streams {
                match stream.wanted {
                    Wanted::All => {
                        let name = format!("{}, all topics", fared.name);
                        self.history.subscribers.push(stream.into_subscriber(name));
                    }
                    Wanted::Topic(turn) => {
                        let name = format!("{}, topic {turn}", fared.name);
                        of_topics[turn].push(stream.into_subscriber(name));
                    }
                }
            }
        }
        for (turn, streams) in of_topics.into_iter().enumerate().filter(|(_, s)| !s.is_empty()) {
            let mut judged = only_topic(&self.history, topics, turn);
            judged.subscribers.extend(streams);
            let report = check(&judged);
            if !report.is_ok() {
                self.broken(format!("topic {turn}: {report}"));
            }
            self.fact(&format!("check of topic {turn} alone"), report);
        }
    }

    /// Judges, and stops the cluster.
    pub(super) async fn finish(mut self, ran: anyhow::Result<()>) -> anyhow::Result<Outcome> {
        if let Err(error) = ran {
            self.broken(format!("it was broken off: {error:#}"));
        }
        let report = check(&self.history);
        let mut files = None;
        if self.broken.is_empty() && report.is_ok() {
            self.cluster.stop_all().await.context("at the end")?;
        } else {
            files = Some(self.cluster.keep_files().to_owned());
        }
        let SubscriberOptions { seed, durability, payload_bytes, .. } = self.options;
        let setup = format!(
            "3 sync, 3 ndb, 3 entry nodes, durability {}; {payload_bytes} bytes a message; {}",
            durability.as_str(),
            self.setup
        );
        let (scenario, facts, broken) = (self.scenario.name(), self.facts, self.broken);
        Ok(Outcome { scenario, seed, setup, facts, broken, report, files })
    }
}

/// What is known of one topic: messages to others are as if never answered, and not received.
fn only_topic(history: &History, topics: usize, turn: usize) -> History {
    let is_of = |seq: u32| LoadOptions::turn(topics, seq) == turn;
    let mut history = history.clone();
    for publisher in &mut history.publishers {
        for (seq, publication) in (1..).zip(&mut publisher.publications) {
            if !is_of(seq) {
                publication.outcome = check::Outcome::Unknown;
            }
        }
    }
    for subscriber in &mut history.subscribers {
        subscriber.events.retain(|event| is_of(event.seq));
    }
    history
}
