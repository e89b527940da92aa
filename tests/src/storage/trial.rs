//! A scenario under way.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::judge::{Stored, judge_stored};
use super::readings::Readings;
use super::{Outcome, Scenario, StorageOptions};
use crate::check::{self, History, check};
use crate::harness::{Cluster, ClusterOptions, NodeSetup, Tier, wait_until};
use crate::load::{Amount, Load, LoadOptions, LoadResult, Pace, Progress};

/// Bound on anything that a debug build on a busy machine does at once.
pub(super) const SOON: Duration = Duration::from_secs(60);
/// Of the disks that are to be full, in MiB: at first, and for the messages of a round.
const SMALL_DISK_MIB: u32 = 48;
const SMALL_DISK_MIB_ROUND: u32 = 16;
/// Of these disks.
pub(super) const DISK_RESERVE_MIB: u32 = 8;
pub(super) const GROUPS: usize = 2;
/// Members of a group.
pub(super) const GROUP_SIZE: usize = 3;
/// Nodes of a group that must have a message before it counts.
const WRITE_QUORUM: usize = 2;
const PUBLISHERS: usize = 4;
const TOPICS: u32 = 3;

pub(super) struct Trial {
    pub(super) scenario: Scenario,
    pub(super) options: StorageOptions,
    pub(super) cluster: Cluster,
    pub(super) rng: StdRng,
    /// Of the loads that have ended.
    pub(super) history: History,
    /// What was read from the stores during the run.
    pub(super) readings: Vec<Readings>,
    /// Publishes may be refused for want of a quorum.
    pub(super) may_refuse: bool,
    load: Option<Load>,
    load_options: LoadOptions,
    facts: Vec<(String, String)>,
    broken: Vec<String>,
    longest_silence: Duration,
}

impl Trial {
    /// Starts the cluster; the load comes with [`start_load`](Self::start_load).
    pub(super) async fn start(scenario: Scenario, options: StorageOptions) -> anyhow::Result<Self> {
        let (publish_timeout, storage) = match scenario {
            Scenario::Damage => (Duration::from_secs(10), "scrub-period = \"5s\"\n".to_owned()),
            Scenario::Full => {
                let reserve = format!("disk-reserve = \"{DISK_RESERVE_MIB}MiB\"\n");
                (Duration::from_secs(2), reserve)
            }
            Scenario::Kill | Scenario::Pause | Scenario::Wipe | Scenario::Power => {
                (Duration::from_secs(10), String::new())
            }
        };
        let cluster_options = ClusterOptions {
            sync: 3,
            groups: GROUPS,
            ndb: GROUP_SIZE,
            entries: 2,
            write_quorum: WRITE_QUORUM,
            dir: options.dir.clone(),
            durability: options.durability,
            publish_timeout,
            extra: format!("[storage]\n{storage}"),
            ..ClusterOptions::default()
        };
        let is_small = scenario == Scenario::Full;
        let disk_mib = SMALL_DISK_MIB + SMALL_DISK_MIB_ROUND * options.rounds;
        let cluster = Cluster::start_with(cluster_options, |id: &str, store: &Path| {
            if is_small && id.starts_with('D') {
                NodeSetup::small_disk(store, disk_mib)
            } else {
                NodeSetup::default()
            }
        })
        .await?;
        let urls = cluster.urls();
        let load_options = LoadOptions {
            publishers: PUBLISHERS,
            topic: format!("vixen.storage.{}", scenario.name()),
            topics: TOPICS,
            pace: Pace::Open { per_second: options.per_second },
            amount: Amount::UntilStopped,
            patience: SOON,
            ..LoadOptions::new(urls.clone(), urls)
        };
        Ok(Self {
            scenario,
            rng: StdRng::seed_from_u64(options.seed),
            options,
            cluster,
            history: History::default(),
            readings: Vec::new(),
            may_refuse: false,
            load: None,
            load_options,
            facts: Vec::new(),
            broken: Vec::new(),
            longest_silence: Duration::ZERO,
        })
    }

    pub(super) fn ndb_ids(&self) -> Vec<String> {
        self.cluster.ids_of(Tier::Ndb)
    }

    pub(super) fn topics(&self) -> Vec<String> {
        self.load_options.topic_names()
    }

    pub(super) fn realm(&self) -> String {
        self.load_options.realm.clone()
    }

    pub(super) fn fact(&mut self, name: &str, value: impl ToString) {
        self.facts.push((name.to_owned(), value.to_string()));
    }

    /// That nothing was found so far.
    ///
    /// # Errors
    /// With what was.
    pub(super) fn none_broken(&self) -> anyhow::Result<()> {
        ensure!(self.broken.is_empty(), "there is something wrong: no use in going on");
        Ok(())
    }

    pub(super) fn broken(&mut self, what: impl Into<String>) {
        let what = what.into();
        eprintln!("BROKEN: {what}");
        self.broken.push(what);
    }

    /// The readings of this name.
    pub(super) fn readings_of(&mut self, name: &str, group: Option<usize>) -> &mut Readings {
        let known = self.readings.iter().position(|readings| readings.name() == name);
        let at = known.unwrap_or(self.readings.len());
        if known.is_none() {
            self.readings.push(Readings::new(name.to_owned(), group));
        }
        &mut self.readings[at]
    }

    /// Publishers and subscribers at both entries, until [`end_load`](Self::end_load).
    pub(super) async fn start_load(&mut self) -> anyhow::Result<()> {
        let load = Load::start(self.load_options.clone()).await?;
        self.load_options.first_publisher += u32::try_from(PUBLISHERS)?;
        self.load = Some(load);
        Ok(())
    }

    /// Runs a workload of its own to its end, on the same topics.
    pub(super) async fn burst(
        &mut self,
        messages: u64,
        payload_bytes: usize,
    ) -> anyhow::Result<()> {
        let options = LoadOptions {
            payload_bytes,
            pace: Pace::Closed { window: 64 },
            amount: Amount::Messages(messages),
            ..self.load_options.clone()
        };
        self.load_options.first_publisher += u32::try_from(PUBLISHERS)?;
        let result = Load::run(options).await?;
        self.take(result, false);
        Ok(())
    }

    pub(super) fn progress(&self) -> anyhow::Result<Arc<Progress>> {
        Ok(self.load.as_ref().context("no load runs")?.progress())
    }

    /// Waits until `more` messages are acknowledged from now on.
    pub(super) async fn acknowledged(&self, more: u64) -> anyhow::Result<()> {
        let load = self.load.as_ref().context("no load runs")?;
        let progress = load.progress();
        let goal = progress.acknowledged() + more;
        let all_alive = wait_until(&format!("{more} more acknowledgements"), SOON, || async {
            let alive = !load.has_ended_client();
            let done = progress.acknowledged() >= goal;
            Ok((!alive || done).then_some(alive))
        })
        .await?;
        ensure!(all_alive, "a client has lost its connection");
        Ok(())
    }

    /// Ends the load. With `breaks` all its connections are cut: that is no trouble.
    pub(super) async fn end_load(&mut self, breaks: bool) -> anyhow::Result<()> {
        let Some(load) = self.load.take() else { return Ok(()) };
        load.stop();
        let result = load.finish().await?;
        self.take(result, breaks);
        Ok(())
    }

    fn take(&mut self, result: LoadResult, breaks: bool) {
        if !breaks {
            for trouble in &result.troubles {
                self.broken(format!("a client: {trouble}"));
            }
        }
        if let Some(error) = result.first_error.as_ref().filter(|_error| !self.may_refuse) {
            self.broken(format!("a publish was refused: {error}"));
        }
        self.longest_silence = self.longest_silence.max(result.longest_silence());
        let mut history = result.history;
        // All had subscribed before the first message of this load was sent.
        let from = first_acknowledged(&history);
        history.subscribers.iter_mut().for_each(|subscriber| subscriber.from = from);
        let number = self.history.publishers.len();
        for subscriber in &mut history.subscribers {
            // What it was owed to its end has come, or is a trouble; later loads are none of it.
            subscriber.complete = false;
            subscriber.name = format!("{} (from publisher {number} on)", subscriber.name);
        }
        self.history.publishers.append(&mut history.publishers);
        self.history.subscribers.append(&mut history.subscribers);
    }

    /// Waits until a node has all that any node has now, and what it mends is on its disk.
    pub(super) async fn caught_up(&self, id: &str) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        let mut next = 0;
        for other in self.ndb_ids() {
            if self.cluster.pid(&other).is_ok() {
                next = next.max(self.cluster.status_number(&other, "/next_position").await?);
            }
        }
        wait_until(&format!("{id} to catch up to {next}"), SOON, || async {
            let number = async |pointer| self.cluster.status_number(id, pointer).await;
            let at = number("/next_position").await?;
            let missing = number("/missing_segments").await?;
            let to_go = number("/catch_up/segments_to_go").await?;
            let rows = number("/catch_up/order_rows_in_repair").await?;
            let writes = number("/catch_up/mending_writes").await?;
            ensure!(
                at >= next && missing + to_go + rows + writes == 0,
                "at {at}, {missing} missing, {to_go} to go, {rows} rows in repair, \
                 {writes} mending writes under way"
            );
            Ok(Some(()))
        })
        .await?;
        Ok(begin.elapsed())
    }

    /// That no ndb node has ended by itself.
    ///
    /// # Errors
    /// With what those that have say.
    pub(super) fn all_alive(&mut self) -> anyhow::Result<()> {
        for id in self.ndb_ids() {
            if let Some(status) = self.cluster.has_ended(&id)? {
                let log = self.cluster.log(&id)?;
                let last = log.trim_end().rsplit('\n').next().unwrap_or_default();
                anyhow::bail!("{id} has ended with {status}: {last}");
            }
        }
        Ok(())
    }

    /// Judges what is there now against everything that clients were told.
    pub(super) async fn judge(&mut self) -> anyhow::Result<Stored> {
        let (realm, topics) = (self.realm(), self.topics());
        judge_stored(&self.cluster, GROUP_SIZE, &realm, &topics, &self.history).await
    }

    /// Ends the load, if one runs, and judges.
    pub(super) async fn finish(mut self, ran: anyhow::Result<()>) -> anyhow::Result<Outcome> {
        if let Err(error) = ran {
            self.broken(format!("it was broken off: {error:#}"));
        }
        let is_known = self.scenario == Scenario::Power && !self.broken.is_empty();
        let judged = match self.end_load(false).await.and_then(|()| self.all_alive()) {
            Ok(()) if is_known => Err(anyhow::anyhow!("what is broken was found before")),
            Ok(()) => self.judge().await,
            Err(error) => Err(error),
        };
        let mut history = std::mem::take(&mut self.history);
        match judged {
            Ok(stored) => {
                stored.broken.iter().for_each(|broken| self.broken(broken.clone()));
                self.check_readings(&stored);
                self.fact("rows of the order", stored.rows);
                let shares: Vec<_> = stored.groups.iter().map(|g| g.len().to_string()).collect();
                self.fact("messages by group", shares.join(" + "));
                history.subscribers.push(stored.subscriber);
            }
            Err(error) => {
                self.broken(format!("no judgement: {error:#}"));
                if is_known {
                    // Without the stores, what was cut off from subscribers looks like a loss.
                    history.subscribers.clear();
                }
            }
        }
        let report = check(&history);
        self.fact("longest time without an acknowledgement", format!("{:?}", self.longest_silence));
        let mut files = None;
        if self.broken.is_empty() && report.is_ok() {
            self.cluster.stop_all().await?;
        } else {
            files = Some(self.cluster.keep_files().to_owned());
        }
        let StorageOptions { rounds, seed, per_second, durability, .. } = self.options;
        let setup = format!(
            "rounds: {rounds}; 3 sync, {GROUPS} groups of {GROUP_SIZE} ndb (W = {WRITE_QUORUM}), 2 entry nodes, \
             durability {}; open loop, {per_second} messages/s in all on {TOPICS} topics, \
             publishers and a subscriber at both entries",
            durability.as_str()
        );
        let (scenario, facts, broken) = (self.scenario.name(), self.facts, self.broken);
        Ok(Outcome { scenario, seed, setup, facts, broken, report, files })
    }

    fn check_readings(&mut self, stored: &Stored) {
        for readings in std::mem::take(&mut self.readings) {
            self.fact(readings.name(), readings.summary());
            readings.wrong(stored).into_iter().for_each(|wrong| self.broken(wrong));
        }
    }
}

fn first_acknowledged(history: &History) -> u64 {
    let publications = history.publishers.iter().flat_map(|publisher| &publisher.publications);
    let positions = publications.filter_map(|publication| match publication.outcome {
        check::Outcome::Acknowledged { position, .. } => Some(position),
        check::Outcome::Refused | check::Outcome::Unknown => None,
    });
    positions.min().unwrap_or(u64::MAX)
}

/// Longest and median of some times, for a fact.
pub(super) fn longest_and_median(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    let longest = times.last().copied().unwrap_or_default();
    format!("longest {:.2} s, median {:.2} s", longest.as_secs_f64(), middle.as_secs_f64())
}
