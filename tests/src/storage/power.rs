//! The power of all nodes is cut at any moment, and what was not durable is lost.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rand::RngExt as _;
use tokio::time::sleep;

use vixen_runtime::clock::wall_time;

use super::dump::read_history;
use super::judge::{common_prefix, wait_settled};
use super::trial::{SOON, Trial, longest_and_median};
use super::{Outcome, Scenario, StorageOptions};
use crate::check::{History, Subscriber, check};
use crate::harness::{NodeSetup, Tier, wait_until};
use crate::power_cut::{Disk, Fate, Losses, PowerSupply};

/// Traffic of a round, in ms.
const TRAFFIC_MS: std::ops::Range<u64> = 20..900;
/// Of a start that is cut short, in ms.
const START_MS: std::ops::Range<u64> = 0..700;
/// A sync takes up to so long, like that of a common disk.
const SYNC_US: u32 = 4_000;
/// In the round that meets midnight the clocks begin so long before it, in ms.
const BEFORE_MIDNIGHT_MS: std::ops::Range<u64> = 500..3_000;
/// Until what disks lied about counts as lost.
const LYING_PATIENCE: Duration = Duration::from_secs(3);
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// A cluster is used for so many rounds: what it has stored is read in each.
pub(super) const ROUNDS_MAX: u32 = 25;

struct Power {
    supply: PowerSupply,
    disk: Disk,
    clock_offset_ms: u64,
    losses: Losses,
    cuts: u32,
}

pub(super) async fn run(trial: &mut Trial) -> anyhow::Result<()> {
    let rounds = trial.options.rounds;
    let midnight = trial.rng.random_range(1..=rounds);
    let mut power = Power::new(trial).await?;
    let mut times = Vec::new();
    for round in 1..=rounds {
        if round == midnight {
            let left_ms = trial.rng.random_range(BEFORE_MIDNIGHT_MS);
            power.clock_offset_ms = DAY_MS - wall_time().0 % DAY_MS - left_ms;
        }
        power.disk.lies = trial.options.lying_disks && round == rounds;
        let once = power.round(trial, round == 1).await;
        times.push(once.with_context(|| format!("round {round}"))?);
        trial.none_broken()?;
    }
    power.disk.lies = false;
    times.push(power.start(trial).await?);
    let judged = power.judge(trial).await;
    let days = std::fs::read_dir(trial.cluster.store_dir("D1"))?.flatten();
    let days = days.filter(|day| day.file_name().to_string_lossy().starts_with("20")).count();
    trial.fact("midnights passed", days.saturating_sub(1));
    trial.fact("power cuts", power.cuts);
    trial.fact("sectors that had not been synced", power.losses.sectors_unsynced);
    trial.fact("of them lost", power.losses.sectors_lost);
    trial.fact("names that had not been synced", power.losses.names_unsynced);
    trial.fact("names lost", power.losses.names_lost);
    trial.fact("all ready again", longest_and_median(times));
    judged
}

/// Runs more rounds than one cluster is for. The clusters have seeds that follow each other, and
/// each can be run again on its own.
pub(super) async fn run_on_several(options: StorageOptions) -> anyhow::Result<Outcome> {
    let mut all: Option<Outcome> = None;
    let mut left = options.rounds;
    for number in 0.. {
        let rounds = left.min(ROUNDS_MAX);
        left -= rounds;
        let one = StorageOptions {
            rounds,
            seed: options.seed + number,
            lying_disks: options.lying_disks && left == 0,
            dir: options.dir.as_ref().map(|dir| dir.join(number.to_string())),
            ..options.clone()
        };
        eprintln!("cluster {number}: again with --rounds {rounds} --seed {}", one.seed);
        let dir = one.dir.clone();
        let outcome = Box::pin(super::run_on_one(Scenario::Power, one)).await?;
        let is_over = !outcome.is_ok() || left == 0;
        // A good one's files are of no use, and there are many.
        if let Some(dir) = dir.filter(|_dir| outcome.is_ok()) {
            std::fs::remove_dir_all(dir)?;
        }
        match &mut all {
            Some(all) => all.absorb(outcome),
            None => all = Some(outcome),
        }
        if is_over {
            break;
        }
    }
    all.context("no rounds")
}

impl Power {
    /// The nodes begin again, with nothing, under this power.
    async fn new(trial: &mut Trial) -> anyhow::Result<Self> {
        trial.cluster.kill_all().await?;
        for id in stores(trial) {
            std::fs::remove_dir_all(trial.cluster.store_dir(&id))?;
        }
        Ok(Self {
            supply: PowerSupply::new(&trial.cluster.dir().join("power"))?,
            disk: Disk { sync_us: SYNC_US, ..Disk::default() },
            clock_offset_ms: 0,
            losses: Losses::default(),
            cuts: 0,
        })
    }

    /// Starts, perhaps after a start that was cut short, judges, and is cut under load.
    async fn round(&mut self, trial: &mut Trial, is_first: bool) -> anyhow::Result<Duration> {
        if is_first || trial.rng.random_range(0..4) == 0 {
            let starting = Duration::from_millis(trial.rng.random_range(START_MS));
            self.set_up(trial)?;
            for id in trial.cluster.ids() {
                trial.cluster.spawn(&id)?;
            }
            sleep(starting).await;
            let lost = self.cut(trial).await?;
            eprintln!("cut after {starting:?} of starting: {lost}");
        }
        let time = self.start(trial).await?;
        self.judge(trial).await?;
        let traffic = Duration::from_millis(trial.rng.random_range(TRAFFIC_MS));
        trial.start_load().await?;
        sleep(traffic).await;
        let lost = self.cut(trial).await?;
        trial.end_load(true).await?;
        eprintln!("ready after {time:.2?}, cut after {traffic:?} of traffic: {lost}");
        // As the cut left them.
        for id in trial.ndb_ids() {
            let verified = trial.cluster.ndb_tool(&id, &["verify"]).await?;
            if !verified.status.success() {
                trial.broken(format!("verify of {id}, cut: {}", verified.words()));
            }
        }
        Ok(time)
    }

    fn set_up(&self, trial: &mut Trial) -> anyhow::Result<()> {
        for id in trial.cluster.ids() {
            let mut setup = NodeSetup::default();
            if !id.starts_with('E') {
                setup = self.supply.setup(&id, &trial.cluster.store_dir(&id), self.disk)?;
            }
            let offset_ms = self.clock_offset_ms.to_string();
            setup.env.push(("VIXEN_CLOCK_OFFSET_MS".to_owned(), offset_ms));
            trial.cluster.set_up(&id, setup)?;
        }
        Ok(())
    }

    async fn start(&self, trial: &mut Trial) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        self.set_up(trial)?;
        trial.cluster.start_all().await?;
        Ok(begin.elapsed())
    }

    async fn cut(&mut self, trial: &mut Trial) -> anyhow::Result<String> {
        // One that has ended by itself has done so for a reason.
        for id in trial.cluster.ids() {
            if let Some(status) = trial.cluster.has_ended(&id)? {
                bail!("{id} has ended with {status}: {}", trial.cluster.log(&id)?);
            }
        }
        trial.cluster.kill_all().await?;
        let fate = if self.disk.lies { Fate::Lost } else { Fate::Drawn };
        let mut lost = Losses::default();
        for id in stores(trial) {
            let store = trial.cluster.store_dir(&id);
            lost += self.supply.cut(&id, &store, fate, &mut trial.rng)?;
        }
        for escape in &lost.escapes {
            trial.broken(format!("a change that power cuts do not model: {escape}"));
        }
        let Losses { sectors_unsynced, sectors_lost, names_unsynced, names_lost, .. } = lost;
        self.losses += lost;
        self.cuts += 1;
        Ok(format!(
            "{sectors_lost} of {sectors_unsynced} sectors and {names_lost} of {names_unsynced} \
             names lost"
        ))
    }

    /// What was acknowledged so far is read at each entry, in its place.
    async fn judge(&self, trial: &mut Trial) -> anyhow::Result<()> {
        // What is lost for good needs no long look.
        let patience = if trial.options.lying_disks { LYING_PATIENCE } else { SOON };
        let what = "everything acknowledged to be readable";
        let judged = wait_until(what, patience, || async {
            wait_settled(&trial.cluster, 0).await?;
            let report = check(&self.with_stored(trial).await?);
            ensure!(report.is_ok(), "{report}");
            Ok(Some(()))
        })
        .await;
        if let Err(error) = judged {
            trial.broken(format!("after a power cut: {error:#}"));
        }
        // What was found stays as it is, to be looked at.
        trial.none_broken()
    }

    /// What clients were told and saw, and what is stored, as subscribers who were there all along.
    async fn with_stored(&self, trial: &Trial) -> anyhow::Result<History> {
        let (realm, topics) = (trial.realm(), trial.topics());
        let mut judged = trial.history.clone();
        for id in trial.cluster.ids_of(Tier::Entry) {
            let address = trial.cluster.address(&id)?;
            let prefix = common_prefix(&topics);
            let (read, error) = read_history(&address, &realm, prefix, &topics, SOON).await?;
            ensure!(error.is_none(), "history at {id}: {error:?}");
            judged.subscribers.push(Subscriber {
                name: format!("history at {id}"),
                from: 0,
                events: read.events,
                complete: true,
                damaged: read.damaged,
            });
        }
        Ok(judged)
    }
}

/// The nodes that have one.
fn stores(trial: &Trial) -> Vec<String> {
    let mut ids = trial.cluster.ids_of(Tier::Sync);
    ids.extend(trial.ndb_ids());
    ids
}
