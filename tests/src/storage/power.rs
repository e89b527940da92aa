//! All nodes die at once, at any moment.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use rand::RngExt as _;
use tokio::time::sleep;

use super::trial::{Trial, longest_and_median};

/// Traffic of a round, in ms.
const TRAFFIC_MS: std::ops::Range<u64> = 200..2_000;
/// The whole judgement comes after so many rounds, and at the end.
const JUDGED_EVERY: u32 = 10;

pub(super) async fn run(trial: &mut Trial) -> anyhow::Result<()> {
    let mut times = Vec::new();
    for round in 1..=trial.options.rounds {
        let traffic = Duration::from_millis(trial.rng.random_range(TRAFFIC_MS));
        let time = once(trial, traffic).await.with_context(|| format!("round {round}"))?;
        eprintln!("round {round}: all killed after {traffic:?} of traffic, ready after {time:.2?}");
        times.push(time);
        if round % JUDGED_EVERY == 0 {
            let stored = trial.judge().await.with_context(|| format!("after round {round}"))?;
            stored.broken.into_iter().for_each(|broken| trial.broken(broken));
        }
    }
    trial.fact("power cuts", times.len());
    trial.fact("all ready again", longest_and_median(times));
    Ok(())
}

async fn once(trial: &mut Trial, traffic: Duration) -> anyhow::Result<Duration> {
    trial.start_load().await?;
    sleep(traffic).await;
    trial.cluster.kill_all().await?;
    trial.end_load(true).await?;
    // As the crash left them.
    for id in trial.ndb_ids() {
        let verified = trial.cluster.ndb_tool(&id, &["verify"]).await?;
        if !verified.status.success() {
            trial.broken(format!("verify of {id}, killed: {}", verified.words()));
        }
    }
    let begin = Instant::now();
    trial.cluster.start_all().await?;
    Ok(begin.elapsed())
}
