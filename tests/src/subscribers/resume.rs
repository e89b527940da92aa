//! Subscribers that are cut off at random moments and come back after their last event.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::RngExt as _;

use super::stream::Wanted;
use super::trial::{SOON, Trial};
use crate::harness::{Tier, wait_until};
use crate::load::{LoadOptions, Roaming};

const TOPICS: u32 = 2;
/// Between the faults of entries.
const KILL_PAUSE_MS: std::ops::Range<u64> = 200..1_500;
/// Bound on one cut, in a debug build on a busy machine.
const CUT_TIME: Duration = Duration::from_secs(3);

const CLIENTS: [(&str, &[Wanted]); 3] = [
    ("exact", &[Wanted::Topic(0)]),
    ("prefix", &[Wanted::All]),
    ("both", &[Wanted::Topic(1), Wanted::All]),
];

pub(super) async fn run(trial: &mut Trial) -> anyhow::Result<()> {
    let (cuts, kills) = (trial.options.cuts, trial.options.kills);
    let per_second = trial.options.per_second;
    trial.setup = format!(
        "open loop, {per_second} messages/s in all of four publishers at all entries on {TOPICS} \
         topics; three clients (an exact topic, a prefix, both), each cut off {cuts} times at \
         random moments, back at random entries; {kills} kill -9 of entries meanwhile"
    );
    let urls = trial.cluster.urls();
    let options = LoadOptions { topics: TOPICS, ..trial.load_options(urls) };
    let load = Roaming::start(options.clone())?;
    let progress = load.progress();
    // Some of it is the past when they come for the first time.
    trial.acknowledged(&progress, 100).await?;
    let resumers = trial.start_resumers(&options, &CLIENTS, cuts);
    let entries = trial.cluster.ids_of(Tier::Entry);
    for _ in 0..kills {
        let pause_ms = trial.rng.random_range(KILL_PAUSE_MS);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        let victim = entries[trial.rng.random_range(0..entries.len())].clone();
        trial.cluster.kill(&victim).await?;
        trial.cluster.restart(&victim).await?;
    }
    let left = &resumers.cuts_left;
    wait_until("all cuts", SOON + CUT_TIME * cuts, || async {
        let left = left.load(Ordering::Relaxed);
        anyhow::ensure!(left == 0, "{left} are to come");
        Ok(Some(()))
    })
    .await?;
    trial.acknowledged(&progress, 100).await?;
    let (losses, all) = trial.end_load(load, TOPICS as usize, resumers).await?;
    if kills == 0 {
        losses.iter().for_each(|loss| trial.broken(loss.clone()));
    }
    for fared in &all {
        let events: usize = fared.streams.iter().map(|stream| stream.events.len()).sum();
        let cuts = fared.resets + fared.closes;
        trial.fact(
            &format!("client `{}`", fared.name),
            format!(
                "{events} events in {} sessions; {cuts} cuts ({} by reset, {} before any event), {} \
                 times back by permanent id, {} sessions lost with an entry",
                fared.sessions,
                fared.resets,
                fared.before_any_event,
                fared.by_id,
                fared.losses.len()
            ),
        );
        // Whatever ended them, it was the connection and nothing that was said.
        let is_wrong =
            |loss: &&String| !loss.contains("connection lost") && !loss.contains("closed");
        let wrong: Vec<String> =
            fared.losses.iter().filter(|loss| kills == 0 || is_wrong(loss)).cloned().collect();
        wrong.into_iter().for_each(|loss| trial.broken(loss));
    }
    let sum = |of: fn(&super::resumer::Fared) -> u64| all.iter().map(of).sum::<u64>();
    trial.fact("cuts", sum(|fared| fared.resets + fared.closes));
    trial.fact("sessions of publishers lost with an entry", losses.len());
    trial.judge_streams(TOPICS as usize, all);
    Ok(())
}
