//! Bits and pages of a running node's files go bad.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};
use tokio::time::sleep;

use super::readings::Readers;
use super::trial::{SOON, Trial};

const PAGE_BYTES: usize = 4096;
/// LMDB's two root pages.
const META_PAGES: u64 = 2;
/// Damages at a time.
const BATCH: u32 = 20;
/// Large messages before the first batch: most of the files is to be bytes of segments.
const BURST: u64 = 20_000;
const BURST_BYTES: usize = 1_024;
/// Messages between two batches.
const BETWEEN: u64 = 250;
/// What a node can be brought back with, again and again, before it is wiped.
const REBUILDS_MAX: usize = 2;
const LOOK: Duration = Duration::from_millis(20);
/// A node that does not answer for so long and has not ended hangs.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Whole rounds of the scrub after the last damage.
const SCRUBS: u64 = 2;

const METRICS: [&str; 6] = [
    "vixen_ndb_segments_damaged_total",
    "vixen_ndb_segments_fetched_total",
    "vixen_ndb_order_rows_damaged_total",
    "vixen_ndb_order_rows_repaired_total",
    "vixen_ndb_segments_reindexed_total",
    "vixen_ndb_segments_offered_total",
];

/// Sums of counters over restarts.
#[derive(Debug, Default)]
struct Sums(BTreeMap<&'static str, (f64, f64)>);

impl Sums {
    async fn look(&mut self, trial: &Trial, victim: &str) {
        for name in METRICS {
            // A node that is away has nothing new to say.
            let Ok(now) = trial.cluster.metric(victim, name).await else { continue };
            let (sum, last) = self.0.entry(name).or_default();
            *sum += if now < *last { now } else { now - *last };
            *last = now;
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    bits: u64,
    pages: u64,
    meta: u64,
    stops: u64,
    rebuilds: u64,
    wipes: u64,
    hangs: u64,
}

pub(super) async fn run(trial: &mut Trial) -> anyhow::Result<()> {
    trial.burst(BURST, BURST_BYTES).await?;
    trial.start_load().await?;
    trial.acknowledged(BETWEEN).await.context("traffic before the first damage")?;
    let ids = trial.ndb_ids();
    let (mut counts, mut sums) = (Counts::default(), Sums::default());
    for round in 1..=trial.options.rounds {
        let victim = ids[trial.rng.random_range(0..ids.len())].clone();
        let other = ids.iter().find(|id| **id != victim).context("one node only")?.clone();
        let readers = Readers::start(trial, &[victim.clone(), other])?;
        let mut left = trial.options.damages;
        while left > 0 {
            for _damage in 0..BATCH.min(left) {
                damage(&trial.cluster.store_dir(&victim), &mut trial.rng, &mut counts)?;
            }
            left -= BATCH.min(left);
            trial.acknowledged(BETWEEN).await.with_context(|| format!("{victim} is damaged"))?;
            revive(trial, &victim, &mut counts).await?;
            sums.look(trial, &victim).await;
        }
        eprintln!("round {round}: {victim} is damaged: {counts:?}");
        scrubbed(trial, &victim, &mut counts).await?;
        sums.look(trial, &victim).await;
        let verified = trial.cluster.ndb_tool(&victim, &["verify"]).await?;
        if !verified.status.success() {
            trial.broken(format!(
                "round {round}: {SCRUBS} rounds of the scrub have left damage in {victim} that \
                 verify finds: {}",
                verified.words()
            ));
            trial.cluster.kill(&victim).await?;
            bring_back(trial, &victim, &mut counts).await?;
        }
        trial.caught_up(&victim).await?;
        readers.stop(trial).await?;
    }
    trial.fact("bits flipped", counts.bits);
    trial.fact("pages overwritten", counts.pages);
    trial.fact("of these in LMDB's root pages", counts.meta);
    trial.fact("times the node stopped", counts.stops);
    trial.fact("times it neither served nor ended", counts.hangs);
    trial.fact("rebuilds", counts.rebuilds);
    trial.fact("stores wiped for want of anything better", counts.wipes);
    for name in METRICS {
        let sum = sums.0.get(name).map_or(0.0, |(sum, _last)| *sum);
        trial.fact(name, sum);
    }
    Ok(())
}

/// One damage anywhere in the files.
fn damage(store: &Path, rng: &mut StdRng, counts: &mut Counts) -> anyhow::Result<()> {
    let mut files: Vec<(PathBuf, u64)> = Vec::new();
    for day in std::fs::read_dir(store)? {
        let file = day?.path().join("data.mdb");
        if let Ok(metadata) = std::fs::metadata(&file) {
            files.push((file, metadata.len()));
        }
    }
    let all: u64 = files.iter().map(|(_, bytes)| bytes).sum();
    // A store that was wiped may not have grown again.
    let page_bytes = PAGE_BYTES as u64;
    if all < page_bytes {
        return Ok(());
    }
    let mut at = rng.random_range(0..all);
    let (file, _bytes) = files
        .iter()
        .find(|(_, bytes)| {
            let is_here = at < *bytes;
            at -= if is_here { 0 } else { *bytes };
            is_here
        })
        .context("an offset beyond all files")?;
    let file: File = File::options().read(true).write(true).open(file)?;
    counts.meta += u64::from(at / page_bytes < META_PAGES);
    if rng.random_range(0..2) == 0 {
        counts.bits += 1;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at)?;
        byte[0] ^= 1 << rng.random_range(0..8);
        file.write_all_at(&byte, at)?;
    } else {
        counts.pages += 1;
        let mut page = [0; PAGE_BYTES];
        rng.fill_bytes(&mut page);
        file.write_all_at(&page, at / page_bytes * page_bytes)?;
    }
    Ok(())
}

/// When the node has stopped, it has said what helps, and that is done.
async fn revive(trial: &mut Trial, victim: &str, counts: &mut Counts) -> anyhow::Result<()> {
    let Some(status) = trial.cluster.has_ended(victim)? else { return Ok(()) };
    trial.cluster.ended(victim).await?;
    has_stopped(trial, victim, status, counts)?;
    bring_back(trial, victim, counts).await
}

fn has_stopped(
    trial: &mut Trial,
    victim: &str,
    status: std::process::ExitStatus,
    counts: &mut Counts,
) -> anyhow::Result<()> {
    counts.stops += 1;
    let log = trial.cluster.log(victim)?;
    let last: Vec<&str> = log.lines().rev().take(8).collect();
    let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
    eprintln!("{victim} stopped with {status}");
    if !(last.contains("rebuild") || last.contains("verify")) {
        trial.broken(format!(
            "{victim} stopped with {status} and no word on verify or rebuild:\n{last}"
        ));
    }
    Ok(())
}

/// Rebuilds the store of a node that does not run, and starts it.
async fn bring_back(trial: &mut Trial, victim: &str, counts: &mut Counts) -> anyhow::Result<()> {
    for attempt in 1.. {
        ensure!(attempt <= REBUILDS_MAX + 2, "{victim} cannot be brought back");
        if attempt <= REBUILDS_MAX {
            counts.rebuilds += 1;
            let rebuilt = trial.cluster.ndb_tool(victim, &["rebuild"]).await?;
            if !rebuilt.status.success() {
                trial.broken(format!("rebuild of {victim}: {}", rebuilt.words()));
                continue;
            }
        } else {
            counts.wipes += 1;
            std::fs::remove_dir_all(trial.cluster.store_dir(victim))?;
        }
        trial.cluster.spawn(victim)?;
        let Some(status) = ready_or_ended(trial, victim).await? else { break };
        trial.broken(format!("{victim} was rebuilt or wiped, and does not start"));
        has_stopped(trial, victim, status, counts)?;
    }
    trial.caught_up(victim).await?;
    Ok(())
}

async fn ready_or_ended(
    trial: &mut Trial,
    id: &str,
) -> anyhow::Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + SOON;
    while Instant::now() < deadline {
        if let Some(status) = trial.cluster.has_ended(id)? {
            trial.cluster.ended(id).await?;
            return Ok(Some(status));
        }
        if trial.cluster.is_ready(id).await.unwrap_or(false) {
            return Ok(None);
        }
        sleep(LOOK).await;
    }
    anyhow::bail!("{id} is not ready and has not ended after {SOON:?}")
}

/// Waits until the scrub has seen everything, and what it found is mended.
async fn scrubbed(trial: &mut Trial, victim: &str, counts: &mut Counts) -> anyhow::Result<()> {
    let deadline = Instant::now() + SOON;
    let (mut begin, mut answered_at) = (None, Instant::now());
    while Instant::now() < deadline {
        revive(trial, victim, counts).await?;
        match trial.cluster.status_number(victim, "/scrub/passes").await {
            Ok(passes) => {
                answered_at = Instant::now();
                // It begins to count again when it is started again.
                let from = begin.filter(|from| *from <= passes).unwrap_or(passes);
                begin = Some(from);
                if passes >= from + SCRUBS {
                    trial.caught_up(victim).await?;
                    return Ok(());
                }
            }
            Err(error) if answered_at.elapsed() > SILENCE_MAX => {
                counts.hangs += 1;
                trial.broken(format!("{victim} neither serves nor ends: {error:#}"));
                trial.cluster.kill(victim).await?;
                bring_back(trial, victim, counts).await?;
                answered_at = Instant::now();
            }
            Err(_silent) => {}
        }
        sleep(LOOK).await;
    }
    anyhow::bail!("the scrub of {victim} did not make {SCRUBS} rounds in {SOON:?}")
}
