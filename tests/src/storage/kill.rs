//! Nodes die, or stand still, one after the other.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::time::sleep;

use super::trial::{Trial, longest_and_median};

/// How long a node is away.
const DOWN: Duration = Duration::from_secs(1);
/// Between the faults at least so many messages go through.
const BETWEEN: u64 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Kill,
    Pause,
}

pub(super) async fn run(trial: &mut Trial, fault: Fault) -> anyhow::Result<()> {
    trial.start_load().await?;
    trial.acknowledged(BETWEEN).await.context("traffic before the first fault")?;
    let mut times = Vec::new();
    for round in 1..=trial.options.rounds {
        for victim in trial.ndb_ids() {
            let away = async {
                match fault {
                    Fault::Kill => trial.cluster.kill(&victim).await?,
                    Fault::Pause => trial.cluster.pause(&victim)?,
                }
                sleep(DOWN).await;
                trial.acknowledged(BETWEEN).await.context("while it was away")?;
                let back_at = Instant::now();
                match fault {
                    Fault::Kill => trial.cluster.restart(&victim).await?,
                    Fault::Pause => trial.cluster.resume(&victim)?,
                }
                trial.caught_up(&victim).await?;
                trial.acknowledged(BETWEEN).await.context("after it came back")?;
                anyhow::Ok(back_at.elapsed())
            };
            let time = away.await.with_context(|| format!("round {round}, {victim}"))?;
            eprintln!("round {round}, {victim}: complete again after {time:.2?}");
            times.push(time);
        }
    }
    trial.fact("faults", times.len());
    trial.fact("ready and complete again", longest_and_median(times));
    Ok(())
}
